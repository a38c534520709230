//! Chunks of audio joined again: where they overlap, each counts more the nearer its middle is.

use burn::prelude::*;

/// The mean of overlapping chunks, weighted by a triangle over a full chunk.
///
/// # Shapes
/// - chunks: each `[batch, channels, samples]`, at least one; none is longer than the first, and
///   all but the last one are at least `stride` long
/// - output: `[batch, channels, samples]`, up to where the last sample of any chunk lies
pub(super) fn overlap_add<B: Backend>(chunks: Vec<Tensor<B, 3>>, stride: usize) -> Tensor<B, 3> {
    let mut joined = OverlapAdd::new(stride);
    let mut done: Vec<_> = chunks
        .into_iter()
        .filter_map(|chunk| joined.push(chunk))
        .collect();
    done.extend(joined.finish());
    Tensor::cat(done, 2)
}

/// [`overlap_add`], chunk by chunk.
#[derive(Debug)]
pub(super) struct OverlapAdd<B: Backend> {
    stride: usize,
    open: Open<B>,
}

/// What later chunks may still lie on.
#[derive(Debug)]
enum Open<B: Backend> {
    Nothing,
    /// The only chunk so far, as it is.
    First(Tensor<B, 3>),
    /// Weighted chunks and their weights, both from the last chunk's start on.
    Sums {
        triangle: Tensor<B, 3>,
        sum: Tensor<B, 3>,
        weights: Tensor<B, 3>,
    },
}

impl<B: Backend> OverlapAdd<B> {
    pub(super) fn new(stride: usize) -> Self {
        Self {
            stride,
            open: Open::Nothing,
        }
    }

    /// Takes the next chunk; gives the samples before it, which no later one lies on.
    pub(super) fn push(&mut self, chunk: Tensor<B, 3>) -> Option<Tensor<B, 3>> {
        let (triangle, sum, weights) = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {
                self.open = Open::First(chunk);
                return None;
            }
            Open::First(first) => {
                let triangle = triangle(&first);
                (triangle.clone(), first * triangle.clone(), triangle)
            }
            Open::Sums {
                triangle,
                sum,
                weights,
            } => (triangle, sum, weights),
        };
        let before = |x: &Tensor<B, 3>| x.clone().narrow(2, 0, self.stride);
        let done = before(&sum) / before(&weights);
        let new = triangle.clone().narrow(2, 0, chunk.dims()[2]);
        self.open = Open::Sums {
            sum: self.shift_and_add(sum, chunk * new.clone()),
            weights: self.shift_and_add(weights, new),
            triangle,
        };
        Some(done)
    }

    /// The rest.
    pub(super) fn finish(self) -> Option<Tensor<B, 3>> {
        match self.open {
            Open::Nothing => None,
            Open::First(chunk) => Some(chunk),
            Open::Sums { sum, weights, .. } => Some(sum / weights),
        }
    }

    /// What `sum` has beyond the stride, and `new` on it.
    fn shift_and_add(&self, sum: Tensor<B, 3>, new: Tensor<B, 3>) -> Tensor<B, 3> {
        match sum.dims()[2] - self.stride {
            0 => new,
            rest => add_to_start(new, sum.narrow(2, self.stride, rest)),
        }
    }
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
