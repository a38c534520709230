//! The residual unit of SoundStream (Zeghidour et al. 2021, figure 3): a dilated and a pointwise
//! convolution beside the identity, each followed by ELU.

use burn::prelude::*;
use soundstorm_nn::elu;

use super::squeeze_excite::SqueezeExcite;
use super::{KERNEL, SoundStreamConfig, UNITS};
use crate::{PaddedConv1d, PaddedConv1dConfig};

/// `x + gate(elu(conv_out(elu(conv_in(x)))))`.
#[derive(Module, Debug)]
pub struct SoundStreamResidualUnit<B: Backend> {
    /// The dilated convolution.
    pub conv_in: PaddedConv1d<B>,
    /// The pointwise convolution.
    pub conv_out: PaddedConv1d<B>,
    /// A gate over the channels, if the configuration has it.
    pub gate: Option<SqueezeExcite<B>>,
}

impl SoundStreamConfig {
    /// The only convolution of each unit of a stage that sees more than one sample.
    pub(super) fn dilated(
        &self,
        channels: usize,
        dilations: &[usize],
    ) -> [PaddedConv1dConfig; UNITS] {
        std::array::from_fn(|unit| {
            let dilation = dilations[unit % dilations.len()];
            self.conv(channels, channels, KERNEL)
                .with_dilation(dilation)
        })
    }

    /// The units of a stage.
    pub(super) fn init_units<B: Backend>(
        &self,
        channels: usize,
        dilations: &[usize],
        device: &B::Device,
    ) -> Vec<SoundStreamResidualUnit<B>> {
        let unit = |dilated: PaddedConv1dConfig| SoundStreamResidualUnit {
            conv_in: dilated.init(device),
            conv_out: self.conv(channels, channels, 1).init(device),
            gate: (self.squeeze_excite).then(|| SqueezeExcite::new(channels, device)),
        };
        self.dilated(channels, dilations).map(unit).into()
    }
}

impl<B: Backend> SoundStreamResidualUnit<B> {
    /// # Shapes
    /// - x, output: `[batch, channels, samples]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let y = elu(self.conv_in.forward(x.clone()));
        let y = elu(self.conv_out.forward(y));
        x + match &self.gate {
            Some(gate) => gate.forward(y),
            None => y,
        }
    }
}
