//! The depthwise convolution with channels last, so that it needs no transposes
//! and its inner loop runs over channels.

use burn::tensor::{Bool, Tensor, backend::Backend};

use super::{Floats, by_rows, flags_if, give};

/// Channels worked on at a time: their sums stay in registers.
const BLOCK: usize = 32;

/// `out[t] = bias + sum over j of weight[j] * x[t + j - pad_left]`, over frames
/// that are there and not padding.
///
/// - `x`, output: `[batch, frames, channels]`
/// - `weight`: `[channels, 1, kernel]`, `bias`: `[channels]`
/// - padding: so much that there are as many frames after as before
/// - `mask`: `[batch, frames]`, true for real frames
pub(crate) fn depthwise<B: Backend>(
    x: Tensor<B, 3>,
    weight: &Tensor<B, 3>,
    bias: &Tensor<B, 1>,
    [pad_left, pad_right]: [usize; 2],
    mask: Option<&Tensor<B, 2, Bool>>,
) -> Result<Tensor<B, 3>, Tensor<B, 3>> {
    let [batch, frames, channels] = x.dims();
    let kernel = weight.dims()[2];
    if pad_left + pad_right + 1 != kernel {
        return Err(x);
    }
    let (Some(weight), Some(bias)) = (Floats::read(weight), Floats::read(bias)) else {
        return Err(x);
    };
    let Some(real) = flags_if(mask) else {
        return Err(x);
    };
    let real = real.unwrap_or_else(|| vec![true; batch * frames]);
    let x = Floats::take(x)?;

    // From channel by channel to tap by tap.
    let mut taps = vec![0.0; kernel * channels];
    for (channel, row) in weight.numbers().chunks_exact(kernel).enumerate() {
        for (tap, &weight) in row.iter().enumerate() {
            taps[tap * channels + channel] = weight;
        }
    }

    let mut out = vec![0.0; batch * frames * channels];
    by_rows(&mut out, channels, |first, out| {
        for (row, out) in out.chunks_exact_mut(channels).enumerate() {
            let (start, frame) = ((first + row) / frames * frames, (first + row) % frames);
            let seen = (0..kernel)
                .filter(|tap| (pad_left..frames + pad_left).contains(&(frame + tap)))
                .map(|tap| (tap, start + frame + tap - pad_left))
                .filter(|&(_, row)| real[row]);
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let (at, width) = (block * BLOCK, out.len());
                let mut sums = [0.0; BLOCK];
                sums[..width].copy_from_slice(&bias.numbers()[at..at + width]);
                for (tap, row) in seen.clone() {
                    let taps = &taps[tap * channels + at..][..width];
                    let x = &x.numbers()[row * channels + at..][..width];
                    for ((sum, tap), x) in sums.iter_mut().zip(taps).zip(x) {
                        *sum += tap * x;
                    }
                }
                out.copy_from_slice(&sums[..width]);
            }
        }
    });
    Ok(give(out, [batch, frames, channels]))
}
