//! Convolutions over time, channels first: a product for each tap, all of them added to one tile
//! of the output before the next.

use burn::tensor::{Tensor, backend::Backend};
use soundstorm_gemm::{Matrix, add_products, product};

use super::{Floats, Kernel, by_rows, vectorized_by_rows};

/// Output channels below which products cost more in laying out the signal than in multiplying.
const FEW_OUTPUTS: usize = 4;

/// Samples that are added to over and over while they are in the cache.
const BLOCK: usize = 2048;

/// - `x`: `[batch, input, samples]`, `weight`: `[output, input, kernel]`, `bias`: `[output]`
/// - output: `[batch, output, (samples - (kernel - 1) * dilation - 1) / stride + 1]`
pub(crate) fn conv1d<B: Backend>(
    x: Tensor<B, 3>,
    weight: &Tensor<B, 3>,
    bias: Option<&Tensor<B, 1>>,
    stride: usize,
    dilation: usize,
) -> Result<Tensor<B, 3>, Tensor<B, 3>> {
    let [batch, input, samples] = x.dims();
    let [output, _, kernel] = weight.dims();
    let (Some(weight), Some(bias)) = (Floats::read(weight), Floats::read_if(bias)) else {
        return Err(x);
    };
    let x = Floats::take(x)?;
    let reach = (kernel - 1) * dilation;
    let convolution = Convolution {
        weight: weight.numbers(),
        sizes: [output, input, kernel],
        samples,
        length: (samples - reach - 1) / stride + 1,
        stride,
        dilation,
    };
    let bias = bias.as_ref().map(Floats::numbers);
    let out = convolution.run(x.numbers(), bias, batch);
    Ok(Floats::new(out, [batch, output, convolution.length]).give())
}

struct Convolution<'a> {
    weight: &'a [f32],
    /// `[output, input, kernel]`
    sizes: [usize; 3],
    samples: usize,
    /// Of the output.
    length: usize,
    stride: usize,
    dilation: usize,
}

impl Convolution<'_> {
    fn run(&self, x: &[f32], bias: Option<&[f32]>, batch: usize) -> Vec<f32> {
        let [output, input, _] = self.sizes;
        let mut out = vec![0.0; batch * output * self.length];
        if let Some(bias) = bias {
            by_rows(&mut out, self.length, |first, rows| {
                for (row, out) in rows.chunks_exact_mut(self.length).enumerate() {
                    out.fill(bias[(first + row) % output]);
                }
            });
        }
        let rows = out.chunks_exact_mut(output * self.length);
        for (x, out) in x.chunks_exact(input * self.samples).zip(rows) {
            match output < FEW_OUTPUTS && self.stride == 1 {
                true => self.add_by_samples(x, out),
                false => self.add_by_products(x, out),
            }
        }
        out
    }

    /// One row of the batch: taps are the inner dimension of the products where there are more of
    /// them than of channels, which are otherwise.
    fn add_by_products(&self, x: &[f32], out: &mut [f32]) {
        let [output, input, kernel] = self.sizes;
        let pairs: Vec<_> = match input < kernel {
            true => (0..input)
                .map(|channel| {
                    let weights = self.weights(channel * kernel, kernel, 1);
                    let from = &x[channel * self.samples..];
                    (weights, self.signal(from, kernel, self.dilation))
                })
                .collect(),
            false => (0..kernel)
                .map(|tap| {
                    let from = &x[tap * self.dilation..];
                    (
                        self.weights(tap, input, kernel),
                        self.signal(from, input, self.samples),
                    )
                })
                .collect(),
        };
        add_products(out, [output, self.length], &pairs);
    }

    /// So many weights of each output, from one on, at a stride.
    fn weights(&self, from: usize, inner: usize, stride: usize) -> Matrix<'_> {
        let [output, input, kernel] = self.sizes;
        let strides = [input * kernel, stride];
        Matrix::strided(&self.weight[from..], [output, inner], strides)
    }

    /// What these are multiplied by for each sample of the output.
    fn signal<'a>(&self, from: &'a [f32], inner: usize, stride: usize) -> Matrix<'a> {
        Matrix::strided(from, [inner, self.length], [stride, self.stride])
    }

    /// One row of the batch, sample by sample, at a stride of one.
    fn add_by_samples(&self, x: &[f32], out: &mut [f32]) {
        let [_, input, kernel] = self.sizes;
        for (weights, out) in
            (self.weight.chunks_exact(input * kernel)).zip(out.chunks_exact_mut(self.length))
        {
            let samples = Samples {
                x,
                weights,
                of: self,
            };
            vectorized_by_rows(input * kernel, out, 1, samples);
        }
    }
}

/// One output channel of one row of the batch, sample by sample.
struct Samples<'a> {
    x: &'a [f32],
    /// `[input, kernel]`
    weights: &'a [f32],
    of: &'a Convolution<'a>,
}

impl Kernel for Samples<'_> {
    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let [_, _, kernel] = self.of.sizes;
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let first = first + block * BLOCK;
            for (channel, taps) in self.weights.chunks_exact(kernel).enumerate() {
                for (tap, weight) in taps.iter().enumerate() {
                    let from = channel * self.of.samples + first + tap * self.of.dilation;
                    for (out, x) in out.iter_mut().zip(&self.x[from..]) {
                        *out += weight * x;
                    }
                }
            }
        }
    }
}

/// The samples from `start` on of a transposed convolution: one product for all taps of all frames,
/// whose windows are summed where they overlap.
///
/// - `x`: `[batch, input, frames]`, `weight`: `[input, output, kernel]`, `bias`: `[output]`
/// - output: `[batch, output, samples]`
pub(crate) fn conv_transpose1d<B: Backend>(
    x: Tensor<B, 3>,
    weight: &Tensor<B, 3>,
    bias: Option<&Tensor<B, 1>>,
    stride: usize,
    [start, samples]: [usize; 2],
) -> Result<Tensor<B, 3>, Tensor<B, 3>> {
    let [batch, input, frames] = x.dims();
    let [_, output, kernel] = weight.dims();
    let (Some(weight), Some(bias)) = (Floats::read(weight), Floats::read_if(bias)) else {
        return Err(x);
    };
    let x = Floats::take(x)?;
    let weight = Matrix::new(weight.numbers(), [input, output * kernel]).transposed();
    let bias = bias.as_ref().map(Floats::numbers);
    let mut out = vec![0.0; batch * output * samples];
    let rows = out.chunks_exact_mut(output * samples);
    for (x, out) in x.numbers().chunks_exact(input * frames).zip(rows) {
        let windows = product(weight, Matrix::new(x, [input, frames]));
        let channels = Channels {
            windows: &windows,
            sizes: [kernel, frames, samples],
            stride,
            start,
            bias,
        };
        vectorized_by_rows(kernel * samples, out, samples, channels);
    }
    Ok(Floats::new(out, [batch, output, samples]).give())
}

/// Windows summed into the channels of one row of the batch.
struct Channels<'a> {
    /// `[output, kernel, frames]`
    windows: &'a [f32],
    /// `[kernel, frames, samples]`
    sizes: [usize; 3],
    stride: usize,
    start: usize,
    bias: Option<&'a [f32]>,
}

impl Kernel for Channels<'_> {
    #[inline(always)]
    fn run(&self, first: usize, rows: &mut [f32]) {
        let [kernel, frames, samples] = self.sizes;
        for (row, out) in rows.chunks_exact_mut(samples).enumerate() {
            let channel = first + row;
            let windows = &self.windows[channel * kernel * frames..][..kernel * frames];
            out.fill(self.bias.map_or(0.0, |bias| bias[channel]));
            for (block, out) in out.chunks_mut(BLOCK).enumerate() {
                let start = self.start + block * BLOCK;
                add_windows(windows, frames, self.stride, start, out);
            }
        }
    }
}

/// Adds the samples from `start` on.
///
/// - `windows`: `[kernel, frames]`
#[inline(always)]
fn add_windows(windows: &[f32], frames: usize, stride: usize, start: usize, out: &mut [f32]) {
    for (tap, window) in windows.chunks_exact(frames).enumerate() {
        // The first frame whose sample is not before the start, and that sample's place.
        let first = start.saturating_sub(tap).div_ceil(stride);
        let place = first * stride + tap - start;
        let samples = out.get_mut(place..).unwrap_or_default().iter_mut();
        for (out, x) in samples
            .step_by(stride)
            .zip(window.get(first..).unwrap_or_default())
        {
            *out += x;
        }
    }
}
