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
    let shape = x.dims();
    if pad_left + pad_right + 1 != weight.dims()[2] {
        return Err(x);
    }
    let (Some(weight), Some(bias)) = (Floats::read(weight), Floats::read(bias)) else {
        return Err(x);
    };
    let Some(real) = flags_if(mask) else {
        return Err(x);
    };
    let x = Floats::take(x)?;
    let kernels = Kernels::new(weight.numbers(), bias.numbers(), pad_left);
    Ok(give(
        kernels.run(x.numbers(), shape[1], real.as_deref()),
        shape,
    ))
}

/// The kernels of all channels, tap by tap.
struct Kernels<'a> {
    /// `[taps, channels]`
    taps: Vec<f32>,
    bias: &'a [f32],
    pad_left: usize,
}

impl<'a> Kernels<'a> {
    fn new(weight: &[f32], bias: &'a [f32], pad_left: usize) -> Self {
        let channels = bias.len();
        let kernel = weight.len() / channels;
        let mut taps = vec![0.0; weight.len()];
        for (channel, row) in weight.chunks_exact(kernel).enumerate() {
            for (tap, &weight) in row.iter().enumerate() {
                taps[tap * channels + channel] = weight;
            }
        }
        Self {
            taps,
            bias,
            pad_left,
        }
    }

    fn run(&self, x: &[f32], frames: usize, real: Option<&[bool]>) -> Vec<f32> {
        let channels = self.bias.len();
        let mut out = vec![0.0; x.len()];
        by_rows(&mut out, channels, |first, out| {
            for (row, out) in out.chunks_exact_mut(channels).enumerate() {
                self.frame(x, first + row, frames, real, out);
            }
        });
        out
    }

    /// One frame of one row of the batch, all channels.
    #[inline(always)]
    fn frame(&self, x: &[f32], row: usize, frames: usize, real: Option<&[bool]>, out: &mut [f32]) {
        let channels = self.bias.len();
        let (start, frame) = (row / frames * frames, row % frames);
        let seen = (0..self.taps.len() / channels)
            .filter(|tap| (self.pad_left..frames + self.pad_left).contains(&(frame + tap)))
            .map(|tap| (tap, start + frame + tap - self.pad_left))
            .filter(|&(_, row)| real.is_none_or(|real| real[row]));
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let (at, width) = (block * BLOCK, out.len());
            let mut sums = [0.0; BLOCK];
            sums[..width].copy_from_slice(&self.bias[at..at + width]);
            for (tap, row) in seen.clone() {
                let taps = &self.taps[tap * channels + at..][..width];
                let x = &x[row * channels + at..][..width];
                for ((sum, tap), x) in sums.iter_mut().zip(taps).zip(x) {
                    *sum += tap * x;
                }
            }
            out.copy_from_slice(&sums[..width]);
        }
    }
}
