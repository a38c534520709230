//! Chunks of audio joined again: where they overlap, each counts more the nearer its middle is.

use burn::prelude::*;

/// The mean of overlapping chunks, weighted by a triangle over a full chunk.
///
/// # Shapes
/// - chunks: each `[batch, channels, samples]`, at least one; none is longer than the first, and
///   all but the last one are at least `stride` long
/// - output: `[batch, channels, samples]`, up to where the last sample of any chunk lies
pub(super) fn overlap_add<B: Backend>(chunks: Vec<Tensor<B, 3>>, stride: usize) -> Tensor<B, 3> {
    let triangle = triangle(&chunks[0]);
    let (chunks, weights) = chunks
        .into_iter()
        .map(|chunk| {
            let weights = triangle.clone().narrow(2, 0, chunk.dims()[2]);
            (chunk * weights.clone(), weights)
        })
        .unzip();
    add_shifted(chunks, stride) / add_shifted(weights, stride)
}

/// Rises from the first sample of `chunk` to its middle and falls as much, `[1, 1, samples]`. No
/// weight is zero.
fn triangle<B: Backend>(chunk: &Tensor<B, 3>) -> Tensor<B, 3> {
    let [_, _, samples] = chunk.dims();
    let weight = |index: usize| {
        let time = (index + 1) as f64 / (samples + 1) as f64;
        (0.5 - (time - 0.5).abs()) as f32
    };
    let weights = (0..samples).map(weight).collect::<Vec<_>>();
    let data = TensorData::new(weights, [1, 1, samples]);
    Tensor::from_data(data, (&chunk.device(), chunk.dtype()))
}

/// The sum of `parts`, each `stride` samples after the one before it.
fn add_shifted<B: Backend>(parts: Vec<Tensor<B, 3>>, stride: usize) -> Tensor<B, 3> {
    let mut done = Vec::with_capacity(parts.len());
    // What later parts may still add to.
    let mut open: Option<Tensor<B, 3>> = None;
    for part in parts {
        let sum = match open {
            Some(before) => {
                let length = before.dims()[2];
                done.push(before.clone().narrow(2, 0, stride));
                match length - stride {
                    0 => part,
                    rest => add_to_start(part, before.narrow(2, stride, rest)),
                }
            }
            None => part,
        };
        open = Some(sum);
    }
    done.extend(open);
    Tensor::cat(done, 2)
}

/// The sum of two signals that start together, as long as the longer one.
fn add_to_start<B: Backend>(a: Tensor<B, 3>, b: Tensor<B, 3>) -> Tensor<B, 3> {
    let (length, other) = (a.dims()[2], b.dims()[2]);
    let (long, short) = if length < other { (b, a) } else { (a, b) };
    let common = length.min(other);
    let start = long.clone().narrow(2, 0, common) + short;
    match length.max(other) - common {
        0 => start,
        rest => Tensor::cat(vec![start, long.narrow(2, common, rest)], 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn noise(samples: usize) -> Tensor<B, 3> {
        let noise = Distribution::Normal(0.0, 1.0);
        Tensor::random([2, 3, samples], noise, &Default::default())
    }

    /// Sample by sample in 64 bits, in the words of the definition.
    #[test]
    fn is_the_weighted_mean_of_what_lies_on_a_sample() {
        // The last but one reaches farther than the last one in the second and the fourth.
        for (lengths, stride) in [
            (vec![11, 11, 7], 8),
            (vec![11, 11, 2], 8),
            (vec![11, 11, 11, 5], 3),
            (vec![11, 10, 3], 4),
            (vec![7, 7, 7, 1], 7),
            (vec![5], 9),
        ] {
            let chunks = lengths
                .iter()
                .map(|&length| noise(length))
                .collect::<Vec<_>>();
            let ends = lengths.iter().enumerate();
            let total = ends.map(|(index, length)| index * stride + length).max();
            let total = total.unwrap_or_default();
            let numbers = chunks
                .iter()
                .map(|chunk| chunk.to_data().iter::<f64>().collect::<Vec<_>>())
                .collect::<Vec<_>>();
            let mut expected = Vec::new();
            for row in 0..2 * 3 {
                for sample in 0..total {
                    let (mut sum, mut weights) = (0.0, 0.0);
                    for (index, &length) in lengths.iter().enumerate() {
                        let Some(at) = sample.checked_sub(index * stride) else {
                            continue;
                        };
                        if at < length {
                            let rise = (at + 1).min(lengths[0] - at) as f64;
                            sum += rise * numbers[index][row * length + at];
                            weights += rise;
                        }
                    }
                    expected.push((sum / weights) as f32);
                }
            }
            let expected = TensorData::new(expected, [2, 3, total]);
            let got = overlap_add(chunks, stride).to_data();
            got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn chunks_of_one_signal_give_it_back() {
        let signal = noise(61);
        let chunking = crate::encodec::Chunking {
            length: 23,
            stride: 17,
        };
        let chunks = chunking
            .ranges(61)
            .map(|chunk| signal.clone().narrow(2, chunk.start, chunk.len()))
            .collect();
        overlap_add(chunks, chunking.stride)
            .to_data()
            .assert_approx_eq::<f32>(&signal.to_data(), Tolerance::absolute(1e-5));
    }
}
