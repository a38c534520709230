//! Which part of its input a part of a network's output depends on, where only neighbours count.

use crate::{PaddedConv1dConfig, Padding, TrimmedConvTranspose1dConfig};

/// A layer over time, as far as it decides which numbers depend on which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// A convolution: output `i` depends on the inputs from `i * stride - left`
    /// to as many later as the taps reach.
    Convolution {
        /// Samples from the first tap to the last.
        reach: usize,
        /// Samples per frame.
        stride: usize,
        /// Samples of padding on the left.
        left: usize,
    },
    /// A transposed convolution: input `i` is spread over the outputs from
    /// `i * stride - left` to as many later as the taps reach.
    Transposed {
        /// Samples from the first tap to the last.
        reach: usize,
        /// Samples per frame.
        stride: usize,
        /// Samples trimmed on the left.
        left: usize,
    },
    /// Causal attention to a window: output `i` depends on the inputs from `i - past` to `i`.
    Attention {
        /// Frames before its own that a frame attends to.
        past: usize,
    },
}

impl Window {
    /// The first and the last input that the outputs from `first` to `last` depend on.
    fn inputs(self, (first, last): (i64, i64)) -> (i64, i64) {
        match self {
            Self::Convolution {
                reach,
                stride,
                left,
            } => {
                let start = |frame: i64| frame * stride as i64 - left as i64;
                (start(first), start(last) + reach as i64)
            }
            Self::Transposed {
                reach,
                stride,
                left,
            } => {
                let (stride, left) = (stride as i64, left as i64);
                // Rounded up: the first input whose window ends at `first` or later.
                let earliest = (first + left - reach as i64 + stride - 1).div_euclid(stride);
                (earliest, (last + left).div_euclid(stride))
            }
            Self::Attention { past } => (first - past as i64, last),
        }
    }
}

impl From<&PaddedConv1dConfig> for Window {
    fn from(config: &PaddedConv1dConfig) -> Self {
        let reach = (config.kernel - 1) * config.dilation;
        let total = (reach + 1).saturating_sub(config.stride);
        Self::Convolution {
            reach,
            stride: config.stride,
            left: match config.padding {
                Padding::Centered => total - total / 2,
                Padding::Causal => total,
            },
        }
    }
}

impl From<&TrimmedConvTranspose1dConfig> for Window {
    fn from(config: &TrimmedConvTranspose1dConfig) -> Self {
        Self::Transposed {
            reach: config.kernel - 1,
            stride: config.stride,
            left: config.trim_left(),
        }
    }
}

/// The first and the last input of a stack of layers that its outputs from `first` to `last`
/// depend on; a negative one stands before the signal.
fn receptive_field(windows: &[Window], first: i64, last: i64) -> (i64, i64) {
    let layers = windows.iter().rev();
    layers.fold((first, last), |outputs, window| window.inputs(outputs))
}

/// How many of its neighbours a frame depends on, or is heard through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Frames before it.
    pub left: usize,
    /// Frames after it.
    pub right: usize,
}

impl Context {
    /// Of an encoder: whole frames of audio that hold all that a frame is made from.
    ///
    /// # Arguments
    /// - `windows`: every layer that sees more than one sample, from the audio on
    /// - `hop`: samples per frame
    pub fn of_encoder(windows: &[Window], hop: usize) -> Self {
        let (first, last) = receptive_field(windows, 0, 0);
        let frames = |samples: i64| samples.max(0).unsigned_abs() as usize;
        Self {
            left: frames(-first).div_ceil(hop),
            right: frames(last + 1 - hop as i64).div_ceil(hop),
        }
    }

    /// Of a decoder: the frames that any sample of a frame is made from.
    ///
    /// # Arguments
    /// - `windows`: every layer that sees more than one frame, up to the audio
    /// - `hop`: samples per frame
    pub fn of_decoder(windows: &[Window], hop: usize) -> Self {
        let (first, last) = receptive_field(windows, 0, hop as i64 - 1);
        let frames = |frames: i64| frames.max(0).unsigned_abs() as usize;
        Self {
            left: frames(-first),
            right: frames(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PadMode;
    use burn::prelude::*;

    type B = burn_flex::Flex;

    const SAMPLES: usize = 67;

    /// An impulse, sample by sample, shows what each output depends on.
    fn dependencies(layer: impl Fn(Tensor<B, 3>) -> Tensor<B, 3>) -> Vec<Vec<usize>> {
        let device = Default::default();
        let silence = layer(Tensor::zeros([1, 1, SAMPLES], &device));
        let mut found = vec![Vec::new(); silence.dims()[2]];
        for sample in 0..SAMPLES {
            let impulse = Tensor::<B, 3>::zeros([1, 1, SAMPLES], &device)
                .slice_fill([0..1, 0..1, sample..sample + 1], 1.0);
            let change = (layer(impulse) - silence.clone()).abs().to_data();
            for (output, change) in change.iter::<f32>().enumerate() {
                if change > 0.0 {
                    found[output].push(sample);
                }
            }
        }
        found
    }

    /// Each output's first and last input, away from the edges, where padding takes their place.
    fn check(window: Window, found: &[Vec<usize>]) {
        let mut seen = 0;
        for (output, inputs) in found.iter().enumerate() {
            let (first, last) = receptive_field(&[window], output as i64, output as i64);
            if first >= 0 && last < SAMPLES as i64 {
                let ends = (inputs.first(), inputs.last());
                let expected = (first as usize, last as usize);
                assert_eq!(ends, (Some(&expected.0), Some(&expected.1)), "{window:?}");
                seen += 1;
            }
        }
        assert!(seen > 3, "{window:?}");
    }

    #[test]
    fn a_convolutions_window_is_what_it_depends_on() {
        for (kernel, stride, dilation) in [(7, 1, 1), (7, 1, 3), (6, 3, 1), (10, 5, 1), (5, 2, 2)] {
            for padding in [Padding::Centered, Padding::Causal] {
                let config = PaddedConv1dConfig::new(1, 1, kernel)
                    .with_stride(stride)
                    .with_dilation(dilation)
                    .with_padding(padding)
                    .with_pad_mode(PadMode::Zero);
                let layer = config.init::<B>(&Default::default());
                let layer = move |x| layer.forward(x);
                check(Window::from(&config), &dependencies(layer));
            }
        }
    }

    #[test]
    fn a_transposed_convolutions_window_is_what_it_depends_on() {
        for (kernel, stride) in [(4, 2), (6, 3), (10, 5), (5, 2), (3, 3)] {
            for padding in [Padding::Centered, Padding::Causal] {
                let config = TrimmedConvTranspose1dConfig::new(1, 1, kernel, stride);
                let config = config.with_padding(padding);
                let layer = config.init::<B>(&Default::default());
                let layer = move |x| layer.forward(x);
                check(Window::from(&config), &dependencies(layer));
            }
        }
    }

    /// Two convolutions of three taps, the second at stride 2: frame 0 sees the samples from -2 to 3.
    #[test]
    fn windows_add_up_along_a_stack() {
        let first = Window::from(&PaddedConv1dConfig::new(1, 1, 3));
        let second = Window::from(&PaddedConv1dConfig::new(1, 1, 4).with_stride(2));
        assert_eq!(receptive_field(&[first, second], 0, 0), (-2, 3));
        let context = Context::of_encoder(&[first, second], 2);
        assert_eq!(context, Context { left: 1, right: 1 });
    }

    #[test]
    fn a_causal_stack_needs_nothing_later() {
        let causal = |kernel, stride| {
            let config = PaddedConv1dConfig::new(1, 1, kernel).with_stride(stride);
            Window::from(&config.with_padding(Padding::Causal))
        };
        let context = Context::of_encoder(&[causal(7, 1), causal(6, 3), causal(3, 1)], 3);
        assert_eq!(context, Context { left: 5, right: 0 });
        let up = TrimmedConvTranspose1dConfig::new(1, 1, 6, 3).with_padding(Padding::Causal);
        let context = Context::of_decoder(&[causal(3, 1), Window::from(&up)], 3);
        assert_eq!(context, Context { left: 3, right: 0 });
    }
}
