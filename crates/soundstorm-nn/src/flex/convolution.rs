//! The depthwise convolution with channels last, so that it needs no transposes
//! and its inner loop runs over channels.

use std::{ops::Range, sync::Arc};

use burn::tensor::{Bool, Tensor, backend::Backend};
use rayon::prelude::*;

use super::{
    Floats, Function, Kernel, add_up, applies, apply, flags_if, input, sums_of_rows, vectorized,
    vectorized_by_rows,
};

/// Channels worked on at a time: their sums stay in registers.
const BLOCK: usize = 32;

/// Frames that one task works on for the gradient of the kernels.
const FRAMES: usize = 256;

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
    let fits = pad_left + pad_right + 1 == weight.dims()[2];
    if !fits || !applies::<B>(&[x.dtype(), weight.dtype(), bias.dtype()]) {
        return Err(x);
    }
    let Some(real) = flags_if(mask) else {
        return Err(x);
    };
    let convolution = Depthwise {
        pad_left,
        real: real.map(Arc::new),
    };
    let (weight, bias) = (input(weight.clone()), input(bias.clone()));
    Ok(apply(convolution, [input(x), weight, bias]))
}

#[derive(Clone, Debug)]
struct Depthwise {
    pad_left: usize,
    /// `[batch, frames]`
    real: Option<Arc<Vec<bool>>>,
}

impl Depthwise {
    fn real(&self) -> Option<&[bool]> {
        self.real.as_ref().map(|real| real.as_slice())
    }
}

impl Function<3> for Depthwise {
    const READS: [bool; 3] = [true, true, false];

    fn forward(&self, [x, weight, bias]: [Floats; 3]) -> Floats {
        let [_, frames, channels] = x.dims();
        let kernels = Kernels {
            taps: by_taps(weight.numbers(), channels),
            bias: bias.numbers(),
            pad_left: self.pad_left,
        };
        x.like(kernels.run(x.numbers(), frames, self.real()), channels)
    }

    fn backward(
        &self,
        [x, weight, _]: [Floats; 3],
        gradient: Floats,
        wanted: [bool; 3],
    ) -> [Option<Floats>; 3] {
        let [_, frames, channels] = x.dims();
        let [_, _, taps] = weight.dims();
        let of_x = wanted[0].then(|| {
            // The same convolution with its taps in reverse, where padding is not read but left out.
            let mut reversed = by_taps(weight.numbers(), channels);
            for tap in 0..taps / 2 {
                for channel in 0..channels {
                    let other = (taps - 1 - tap) * channels + channel;
                    reversed.swap(tap * channels + channel, other);
                }
            }
            let kernels = Kernels {
                taps: reversed,
                bias: &vec![0.0; channels],
                pad_left: taps - 1 - self.pad_left,
            };
            let mut out = kernels.run(gradient.numbers(), frames, None);
            if let Some(real) = self.real() {
                for (row, _) in real.iter().enumerate().filter(|&(_, &real)| !real) {
                    out[row * channels..][..channels].fill(0.0);
                }
            }
            x.like(out, channels)
        });
        let of_weight = wanted[1].then(|| {
            let sums = self.taps_gradient([&x, &gradient], taps);
            Floats::new(by_channels(&sums, channels), [channels, 1, taps])
        });
        let of_bias =
            wanted[2].then(|| Floats::new(sums_of_rows(gradient.numbers(), channels), [channels]));
        [of_x, of_weight, of_bias]
    }
}

impl Depthwise {
    /// For each tap and channel the sum of what it multiplied, times what became of it,
    /// `[taps, channels]`.
    fn taps_gradient(&self, [x, gradient]: [&Floats; 2], taps: usize) -> Vec<f32> {
        let [batch, frames, channels] = x.dims();
        let (x, gradient) = (x.numbers(), gradient.numbers());
        let pieces = frames.div_ceil(FRAMES);
        let parts = (0..batch * pieces).into_par_iter().map(|piece| {
            let (row, from) = (piece / pieces, piece % pieces * FRAMES);
            let products = TapProducts {
                pad_left: self.pad_left,
                x: &x[row * frames * channels..][..frames * channels],
                gradient: &gradient[row * frames * channels..][..frames * channels],
                real: self.real().map(|real| &real[row * frames..][..frames]),
                frames: from..frames.min(from + FRAMES),
                channels,
            };
            let mut sums = vec![0.0; taps * channels];
            vectorized(&products, 0, &mut sums);
            sums
        });
        add_up(parts.collect(), taps * channels)
    }
}

/// For some frames of one row of the batch, tap by tap.
struct TapProducts<'a> {
    pad_left: usize,
    /// `[frames, channels]`, as the gradient
    x: &'a [f32],
    gradient: &'a [f32],
    real: Option<&'a [bool]>,
    frames: Range<usize>,
    channels: usize,
}

impl Kernel for TapProducts<'_> {
    /// `sums`: `[taps, channels]`
    #[inline(always)]
    fn run(&self, _: usize, sums: &mut [f32]) {
        let channels = self.channels;
        for (tap, sums) in sums.chunks_exact_mut(channels).enumerate() {
            for frame in self.frames.clone() {
                let seen = (frame + tap).checked_sub(self.pad_left);
                let Some(seen) = seen.filter(|&seen| seen < self.x.len() / channels) else {
                    continue;
                };
                if self.real.is_some_and(|real| !real[seen]) {
                    continue;
                }
                let x = &self.x[seen * channels..][..channels];
                let gradient = &self.gradient[frame * channels..][..channels];
                for (sum, (x, gradient)) in sums.iter_mut().zip(x.iter().zip(gradient)) {
                    *sum += x * gradient;
                }
            }
        }
    }
}

/// From `[channels, 1, taps]` to `[taps, channels]`.
fn by_taps(weight: &[f32], channels: usize) -> Vec<f32> {
    transposed(weight, weight.len() / channels)
}

/// And back.
fn by_channels(taps: &[f32], channels: usize) -> Vec<f32> {
    transposed(taps, channels)
}

/// A matrix with so many columns, its rows as columns.
fn transposed(numbers: &[f32], columns: usize) -> Vec<f32> {
    let rows = numbers.len() / columns;
    (0..numbers.len())
        .map(|at| numbers[at % rows * columns + at / rows])
        .collect()
}

/// The kernels of all channels, tap by tap.
struct Kernels<'a> {
    /// `[taps, channels]`
    taps: Vec<f32>,
    bias: &'a [f32],
    pad_left: usize,
}

impl Kernels<'_> {
    fn run(&self, x: &[f32], frames: usize, real: Option<&[bool]>) -> Vec<f32> {
        let channels = self.bias.len();
        let mut out = vec![0.0; x.len()];
        let rows = Frames {
            kernels: self,
            x,
            frames,
            real,
        };
        vectorized_by_rows(channels, &mut out, channels, rows);
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

/// What the kernels are run on.
struct Frames<'a> {
    kernels: &'a Kernels<'a>,
    x: &'a [f32],
    /// Of one row of the batch.
    frames: usize,
    real: Option<&'a [bool]>,
}

impl Kernel for Frames<'_> {
    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let channels = self.kernels.bias.len();
        for (row, out) in out.chunks_exact_mut(channels).enumerate() {
            self.kernels
                .frame(self.x, first + row, self.frames, self.real, out);
        }
    }
}
