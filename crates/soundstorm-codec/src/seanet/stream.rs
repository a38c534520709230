//! SEANet piece by piece: what its convolutions keep of a stream.

use burn::prelude::*;

use super::{
    SeanetDecoder, SeanetDecoderStage, SeanetEncoder, SeanetEncoderStage, SeanetResidualBlock,
};
use crate::Carry;

/// What an encoder or a decoder keeps of a stream.
#[derive(Debug, Clone)]
pub struct SeanetState<B: Backend> {
    input: Carry<B>,
    stages: Vec<SeanetStageState<B>>,
    output: Carry<B>,
}

/// What a stage keeps of a stream.
#[derive(Debug, Clone)]
pub struct SeanetStageState<B: Backend> {
    /// Of each block's dilated convolution; the others have one tap.
    residuals: Vec<Carry<B>>,
    resample: Carry<B>,
}

impl<B: Backend> SeanetState<B> {
    /// Before the first piece, for stages with so many residual blocks.
    fn new(residuals: impl Iterator<Item = usize>) -> Self {
        let stage = |residuals| SeanetStageState {
            residuals: vec![Carry::default(); residuals],
            resample: Carry::default(),
        };
        Self {
            input: Carry::default(),
            stages: residuals.map(stage).collect(),
            output: Carry::default(),
        }
    }
}

impl<B: Backend> SeanetEncoder<B> {
    /// The state before the first sample.
    pub fn start(&self) -> SeanetState<B> {
        SeanetState::new(self.stages.iter().map(|stage| stage.residuals.len()))
    }

    /// [`SeanetEncoder::forward`] piece by piece; every piece but the last is a multiple of the
    /// hop.
    ///
    /// # Shapes
    /// - audio: `[batch, channels, samples]`
    /// - output: `[batch, dimension, ceil(samples / hop)]`
    ///
    /// # Panics
    /// If it has recurrent layers, or convolutions that are not causal or not padded with zeros.
    pub fn stream(&self, audio: Tensor<B, 3>, state: &mut SeanetState<B>) -> Tensor<B, 3> {
        assert!(self.lstm.is_none(), "recurrent layers cannot be streamed");
        let mut x = self.input.stream(audio, &mut state.input);
        for (stage, state) in self.stages.iter().zip(&mut state.stages) {
            x = stage.stream(x, state);
        }
        let x = self.activation.forward(x);
        self.output.stream(x, &mut state.output)
    }
}

impl<B: Backend> SeanetDecoder<B> {
    /// The state before the first frame.
    pub fn start(&self) -> SeanetState<B> {
        SeanetState::new(self.stages.iter().map(|stage| stage.residuals.len()))
    }

    /// [`SeanetDecoder::forward`] piece by piece.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, channels, frames * hop]`
    ///
    /// # Panics
    /// As [`SeanetEncoder::stream`].
    pub fn stream(&self, x: Tensor<B, 3>, state: &mut SeanetState<B>) -> Tensor<B, 3> {
        assert!(self.lstm.is_none(), "recurrent layers cannot be streamed");
        let mut x = self.input.stream(x, &mut state.input);
        for (stage, state) in self.stages.iter().zip(&mut state.stages) {
            x = stage.stream(x, state);
        }
        let x = self.activation.forward(x);
        self.output.stream(x, &mut state.output)
    }
}

impl<B: Backend> SeanetEncoderStage<B> {
    fn stream(&self, x: Tensor<B, 3>, state: &mut SeanetStageState<B>) -> Tensor<B, 3> {
        let x = blocks(&self.residuals, x, &mut state.residuals);
        let x = self.activation.forward(x);
        self.downsample.stream(x, &mut state.resample)
    }
}

impl<B: Backend> SeanetDecoderStage<B> {
    fn stream(&self, x: Tensor<B, 3>, state: &mut SeanetStageState<B>) -> Tensor<B, 3> {
        let x = self.activation.forward(x);
        let x = self.upsample.stream(x, &mut state.resample);
        blocks(&self.residuals, x, &mut state.residuals)
    }
}

fn blocks<B: Backend>(
    blocks: &[SeanetResidualBlock<B>],
    x: Tensor<B, 3>,
    carries: &mut [Carry<B>],
) -> Tensor<B, 3> {
    let pairs = blocks.iter().zip(carries);
    pairs.fold(x, |x, (block, carry)| block.stream(x, carry))
}

impl<B: Backend> SeanetResidualBlock<B> {
    fn stream(&self, x: Tensor<B, 3>, carry: &mut Carry<B>) -> Tensor<B, 3> {
        let y = self.activation_in.forward(x.clone());
        let y = self.conv_in.stream(y, carry);
        self.join(x, y)
    }
}
