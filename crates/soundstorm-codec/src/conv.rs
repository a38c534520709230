//! Strided convolution that pads by itself, as EnCodec's SEANet does (Défossez et al. 2022):
//! `ceil(samples / stride)` frames for any number of samples.

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::ops::PadMode as BurnPadMode;
use serde::{Deserialize, Serialize};
use soundstorm_nn::conv1d;

use crate::Carry;
use crate::init::uniform;
use crate::{ConvNorm, TimeGroupNorm, Window};

/// Where the padding that keeps the length stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// Half on each side, the odd one on the left.
    #[default]
    Centered,
    /// All on the left: a frame depends on nothing later.
    Causal,
}

/// What the padding is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// The signal mirrored at its end, the end itself not repeated.
    #[default]
    Reflect,
    /// Zeros.
    Zero,
}

/// Configuration of a [`PaddedConv1d`].
#[derive(Debug, Clone)]
pub struct PaddedConv1dConfig {
    /// Channels in.
    pub channels_in: usize,
    /// Channels out.
    pub channels_out: usize,
    /// Taps; at least the stride.
    pub kernel: usize,
    /// Samples per frame, by default 1.
    pub stride: usize,
    /// Samples from tap to tap, by default 1.
    pub dilation: usize,
    /// Where the padding stands, by default on both sides.
    pub padding: Padding,
    /// What it is filled with, by default the mirrored signal.
    pub pad_mode: PadMode,
    /// What follows the convolution, by default nothing.
    pub norm: ConvNorm,
}

impl PaddedConv1dConfig {
    /// A convolution with stride and dilation 1 and centered, reflected padding.
    pub fn new(channels_in: usize, channels_out: usize, kernel: usize) -> Self {
        Self {
            channels_in,
            channels_out,
            kernel,
            stride: 1,
            dilation: 1,
            padding: Padding::default(),
            pad_mode: PadMode::default(),
            norm: ConvNorm::default(),
        }
    }

    /// Sets the stride.
    pub fn with_stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    /// Sets the dilation.
    pub fn with_dilation(mut self, dilation: usize) -> Self {
        self.dilation = dilation;
        self
    }

    /// Sets where the padding stands.
    pub fn with_padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Sets what the padding is filled with.
    pub fn with_pad_mode(mut self, pad_mode: PadMode) -> Self {
        self.pad_mode = pad_mode;
        self
    }

    /// Sets what follows the convolution.
    pub fn with_norm(mut self, norm: ConvNorm) -> Self {
        self.norm = norm;
        self
    }

    /// A convolution with random weights.
    ///
    /// # Panics
    /// If the kernel is shorter than the stride, which would skip samples.
    pub fn init<B: Backend>(&self, device: &B::Device) -> PaddedConv1d<B> {
        assert!(
            self.stride >= 1 && self.kernel >= self.stride,
            "a kernel of {} at stride {} would skip samples",
            self.kernel,
            self.stride
        );
        let fan_in = self.channels_in * self.kernel;
        PaddedConv1d {
            weight: uniform(
                [self.channels_out, self.channels_in, self.kernel],
                fan_in,
                device,
            ),
            bias: uniform([self.channels_out], fan_in, device),
            norm: self.norm.init(self.channels_out, device),
            stride: self.stride,
            dilation: self.dilation,
            padding: self.padding,
            pad_mode: self.pad_mode,
        }
    }
}

/// A convolution over time that gives `ceil(frames / stride)` frames.
#[derive(Module, Debug)]
pub struct PaddedConv1d<B: Backend> {
    /// `[channels_out, channels_in, kernel]`, its weight norm folded in
    pub weight: Param<Tensor<B, 3>>,
    /// `[channels_out]`
    pub bias: Param<Tensor<B, 1>>,
    /// After the convolution
    pub norm: Option<TimeGroupNorm<B>>,
    stride: usize,
    dilation: usize,
    padding: Padding,
    pad_mode: PadMode,
}

impl<B: Backend> PaddedConv1d<B> {
    /// Convolves.
    ///
    /// # Shapes
    /// - x: `[batch, channels_in, frames]`
    /// - output: `[batch, channels_out, ceil(frames / stride)]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [_, _, frames] = x.dims();
        let total = self.padding_total();
        let extra = missing(frames, self.stride);
        let right = match self.padding {
            Padding::Centered => total / 2,
            Padding::Causal => 0,
        };
        let x = pad(x, total - right, right + extra, self.pad_mode);
        let y = self.convolve(x);
        match &self.norm {
            Some(norm) => norm.forward(y),
            None => y,
        }
    }

    /// [`PaddedConv1d::forward`] piece by piece: before a piece stands the end of the one before
    /// it. Every piece but the last is whole strides, and the first has
    /// [`PaddedConv1d::first_piece`] frames at least.
    ///
    /// # Shapes
    /// - x: `[batch, channels_in, frames]`
    /// - output: `[batch, channels_out, ceil(frames / stride)]`
    ///
    /// # Panics
    /// If the convolution is not causal or a norm follows it: it would have to know what comes
    /// later.
    pub fn stream(&self, x: Tensor<B, 3>, carry: &mut Carry<B>) -> Tensor<B, 3> {
        assert!(
            self.padding == Padding::Causal && self.norm.is_none(),
            "only a causal convolution without a norm can be streamed"
        );
        let [_, _, frames] = x.dims();
        let (total, kept) = (self.padding_total(), self.kept());
        let x = carry.prepend(x, kept, |x| match self.pad_mode {
            PadMode::Zero => zeros(x, kept),
            PadMode::Reflect => x.clone().narrow(2, 1, kept).flip([2]),
        });
        let x = pad(x, 0, missing(frames, self.stride), self.pad_mode);
        let [_, _, padded] = x.dims();
        self.convolve(x.narrow(2, kept - total, padded - (kept - total)))
    }

    /// The frames without which a stream cannot begin: those that its padding mirrors.
    pub fn first_piece(&self) -> usize {
        match self.pad_mode {
            PadMode::Zero => 1,
            PadMode::Reflect => self.kept() + 1,
        }
    }

    /// Frames of a stream that the next piece is padded with on its left, or at the end on its
    /// right.
    fn kept(&self) -> usize {
        match self.pad_mode {
            PadMode::Zero => self.padding_total(),
            PadMode::Reflect => self.padding_total().max(self.stride - 1),
        }
    }

    /// Which samples a frame depends on.
    pub(crate) fn window(&self) -> Window {
        let [_, _, kernel] = self.weight.dims();
        let total = self.padding_total();
        Window::Convolution {
            reach: (kernel - 1) * self.dilation,
            stride: self.stride,
            left: match self.padding {
                Padding::Centered => total - total / 2,
                Padding::Causal => total,
            },
        }
    }

    /// Samples per frame.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Padding that keeps the number of frames at stride 1.
    fn padding_total(&self) -> usize {
        let [_, _, kernel] = self.weight.dims();
        ((kernel - 1) * self.dilation + 1).saturating_sub(self.stride)
    }

    fn convolve(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        conv1d(x, weight, Some(bias), self.stride, self.dilation)
    }
}

/// How many frames fill the last window, which no sample may miss.
pub(crate) fn missing(frames: usize, stride: usize) -> usize {
    frames.div_ceil(stride) * stride - frames
}

/// Zeros before and after, along the last axis. burn's own constant padding has the device's
/// default number type, whatever that of the tensor.
pub(crate) fn pad_zeros<B: Backend, const D: usize>(
    x: Tensor<B, D>,
    left: usize,
    right: usize,
) -> Tensor<B, D> {
    if left + right == 0 {
        return x;
    }
    let side = |length| (length > 0).then(|| zeros(&x, length));
    let parts = [side(left), Some(x.clone()), side(right)];
    Tensor::cat(parts.into_iter().flatten().collect(), D - 1)
}

/// As many zeros as would stand beside `x`, along the last axis.
fn zeros<B: Backend, const D: usize>(x: &Tensor<B, D>, length: usize) -> Tensor<B, D> {
    let mut shape = x.dims();
    shape[D - 1] = length;
    Tensor::zeros(shape, (&x.device(), x.dtype()))
}

/// Pads the last axis. A signal too short to be mirrored is first extended by
/// zeros on its right, and as many samples are cut off the end afterwards.
///
/// # Shapes
/// - x: `[batch, channels, frames]`
/// - output: `[batch, channels, left + frames + right]`
pub fn pad<B: Backend>(x: Tensor<B, 3>, left: usize, right: usize, mode: PadMode) -> Tensor<B, 3> {
    if left + right == 0 {
        return x;
    }
    let [_, _, frames] = x.dims();
    match mode {
        PadMode::Zero => pad_zeros(x, left, right),
        PadMode::Reflect => {
            // Mirroring without the end needs one sample more than the padding.
            let short = (left.max(right) + 1).saturating_sub(frames);
            let x = match short {
                0 => x,
                _ => pad_zeros(x, 0, short),
            };
            let x = x.pad([(left, right)], BurnPadMode::Reflect);
            x.narrow(2, 0, left + frames + right)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Tolerance};

    type B = burn_flex::Flex;

    fn padded(x: &[f32], left: usize, right: usize, mode: PadMode) -> Vec<f32> {
        let x = Tensor::<B, 1>::from_floats(x, &Default::default());
        let y = pad(x.reshape([1, 1, -1]), left, right, mode).to_data();
        y.iter().collect()
    }

    #[test]
    fn mirrors_without_repeating_the_ends() {
        let y = padded(&[1.0, 2.0, 3.0, 4.0], 2, 3, PadMode::Reflect);
        assert_eq!(y, [3.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 2.0, 1.0]);
        let y = padded(&[1.0, 2.0], 1, 2, PadMode::Zero);
        assert_eq!(y, [0.0, 1.0, 2.0, 0.0, 0.0]);
    }

    /// Values by `encodec`'s rule, worked by hand: [1, 0, 0, 0] mirrored by 3
    /// on both sides, less the 3 zeros put in.
    #[test]
    fn a_signal_shorter_than_its_padding_is_extended_by_zeros() {
        let y = padded(&[1.0], 3, 3, PadMode::Reflect);
        assert_eq!(y, [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let y = padded(&[1.0, 2.0, 3.0], 3, 1, PadMode::Reflect);
        assert_eq!(y, [0.0, 3.0, 2.0, 1.0, 2.0, 3.0, 0.0]);
    }

    #[test]
    fn every_length_gives_its_share_of_frames() {
        let device = Default::default();
        for (kernel, stride, dilation) in [(7, 1, 1), (6, 3, 1), (4, 2, 1), (3, 1, 2), (5, 5, 1)] {
            for padding in [Padding::Centered, Padding::Causal] {
                let conv = PaddedConv1dConfig::new(2, 3, kernel)
                    .with_stride(stride)
                    .with_dilation(dilation)
                    .with_padding(padding)
                    .init::<B>(&device);
                for frames in 1..=23usize {
                    let y = conv.forward(Tensor::zeros([1, 2, frames], &device));
                    assert_eq!(y.dims(), [1, 3, frames.div_ceil(stride)]);
                }
            }
        }
    }

    #[test]
    fn a_causal_frame_depends_on_nothing_later() {
        let device = Default::default();
        let conv = PaddedConv1dConfig::new(1, 2, 4)
            .with_stride(2)
            .with_padding(Padding::Causal)
            .with_pad_mode(PadMode::Zero)
            .init::<B>(&device);
        let x = Tensor::<B, 3>::random([1, 1, 22], burn::tensor::Distribution::Default, &device);
        let whole = conv.forward(x.clone()).narrow(2, 0, 5);
        let cut = conv.forward(x.narrow(2, 0, 10));
        whole.to_data().assert_eq(&cut.to_data(), true);
    }

    #[test]
    fn pieces_give_what_the_whole_does() {
        let device = Default::default();
        let convolutions = [
            (2, 7, 1, 1),
            (11, 6, 3, 1),
            (11, 3, 1, 2),
            (3, 5, 5, 1),
            (3, 5, 4, 1),
        ];
        let modes = [PadMode::Zero, PadMode::Reflect];
        let cases = convolutions.into_iter().flat_map(|c| modes.map(|m| (c, m)));
        for ((channels, kernel, stride, dilation), mode) in cases {
            let conv = PaddedConv1dConfig::new(channels, 5, kernel)
                .with_stride(stride)
                .with_dilation(dilation)
                .with_padding(Padding::Causal)
                .with_pad_mode(mode)
                .init::<B>(&device);
            // A first one that is no longer than it must be, others shorter than the kernel, and a
            // last one that is no whole stride.
            let first = conv.first_piece().next_multiple_of(stride);
            let pieces = [first, 2 * stride, 5 * stride, stride, stride + 1];
            let shape = [2, channels, pieces.iter().sum()];
            let x = Tensor::<B, 3>::random(shape, burn::tensor::Distribution::Default, &device);
            let (mut carry, mut start) = (Carry::default(), 0);
            let parts = pieces.map(|piece| {
                start += piece;
                conv.stream(x.clone().narrow(2, start - piece, piece), &mut carry)
            });
            let whole = conv.forward(x).to_data();
            Tensor::cat(parts.to_vec(), 2)
                .to_data()
                .assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn zeros_take_the_type_of_what_they_surround() {
        let x = Tensor::<B, 2>::from_data([[1.0f32, 2.0], [3.0, 4.0]], &Default::default());
        for dtype in [DType::F32, DType::BF16] {
            let padded = pad_zeros(x.clone().cast(dtype), 1, 2);
            assert_eq!(padded.dtype(), dtype);
            let numbers: Vec<f32> = padded.into_data().iter().collect();
            assert_eq!(numbers, [0., 1., 2., 0., 0., 0., 3., 4., 0., 0.]);
        }
        let same = pad_zeros(x.clone(), 0, 0);
        same.into_data().assert_eq(&x.into_data(), true);
    }
}
