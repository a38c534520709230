//! SEANet piece by piece: what its convolutions keep of a stream.

use burn::prelude::*;

use super::{
    SeanetDecoder, SeanetDecoderStage, SeanetEncoder, SeanetEncoderStage, SeanetResidualBlock,
};
use crate::{Carry, Lstm, LstmState};

/// What an encoder or a decoder keeps of a stream.
#[derive(Debug, Clone)]
pub struct SeanetState<B: Backend> {
    input: Carry<B>,
    lstm: Option<LstmState<B>>,
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
    fn new(residuals: impl Iterator<Item = usize>, lstm: Option<LstmState<B>>) -> Self {
        let stage = |residuals| SeanetStageState {
            residuals: vec![Carry::default(); residuals],
            resample: Carry::default(),
        };
        Self {
            input: Carry::default(),
            lstm,
            stages: residuals.map(stage).collect(),
            output: Carry::default(),
        }
    }

    /// How many numbers it holds.
    pub fn numbers(&self) -> usize {
        let stage = |stage: &SeanetStageState<B>| {
            let residuals: usize = stage.residuals.iter().map(Carry::numbers).sum();
            residuals + stage.resample.numbers()
        };
        self.input.numbers()
            + self.lstm.as_ref().map_or(0, LstmState::numbers)
            + self.stages.iter().map(stage).sum::<usize>()
            + self.output.numbers()
    }
}

impl<B: Backend> SeanetEncoder<B> {
    /// The state before the first sample.
    pub fn start(&self) -> SeanetState<B> {
        let residuals = self.stages.iter().map(|stage| stage.residuals.len());
        SeanetState::new(residuals, self.lstm.as_ref().map(Lstm::start))
    }

    /// The frames without which a stream cannot begin; see [`PaddedConv1d::first_piece`](crate::PaddedConv1d::first_piece).
    pub fn first_piece(&self) -> usize {
        let mut samples = self.input.first_piece();
        let mut per_frame = 1;
        for stage in &self.stages {
            for block in &stage.residuals {
                samples = samples.max(block.conv_in.first_piece() * per_frame);
            }
            samples = samples.max(stage.downsample.first_piece() * per_frame);
            per_frame *= stage.downsample.stride();
        }
        let last = self.output.first_piece();
        samples.div_ceil(per_frame).max(last)
    }

    /// [`SeanetEncoder::forward`] piece by piece; every piece but the last is a multiple of the
    /// hop, and the first has [`SeanetEncoder::first_piece`] frames at least.
    ///
    /// # Shapes
    /// - audio: `[batch, channels, samples]`
    /// - output: `[batch, dimension, ceil(samples / hop)]`
    ///
    /// # Panics
    /// If it has recurrent layers in both directions, convolutions that are not causal, or norms.
    pub fn stream(&self, audio: Tensor<B, 3>, state: &mut SeanetState<B>) -> Tensor<B, 3> {
        let mut x = self.input.stream(audio, &mut state.input);
        for (stage, state) in self.stages.iter().zip(&mut state.stages) {
            x = stage.stream(x, state);
        }
        if let (Some(lstm), Some(state)) = (&self.lstm, &mut state.lstm) {
            x = lstm.stream(x, state);
        }
        let x = self.activation.forward(x);
        self.output.stream(x, &mut state.output)
    }
}

impl<B: Backend> SeanetDecoder<B> {
    /// The state before the first frame.
    pub fn start(&self) -> SeanetState<B> {
        let residuals = self.stages.iter().map(|stage| stage.residuals.len());
        SeanetState::new(residuals, self.lstm.as_ref().map(Lstm::start))
    }

    /// The frames without which a stream cannot begin; see [`PaddedConv1d::first_piece`](crate::PaddedConv1d::first_piece).
    pub fn first_piece(&self) -> usize {
        let mut frames = self.input.first_piece();
        let mut per_frame = 1;
        for stage in &self.stages {
            per_frame *= stage.upsample.stride();
            for block in &stage.residuals {
                frames = frames.max(block.conv_in.first_piece().div_ceil(per_frame));
            }
        }
        frames.max(self.output.first_piece().div_ceil(per_frame))
    }

    /// [`SeanetDecoder::forward`] piece by piece; the first has [`SeanetDecoder::first_piece`]
    /// frames at least.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, channels, frames * hop]`
    ///
    /// # Panics
    /// As [`SeanetEncoder::stream`].
    pub fn stream(&self, x: Tensor<B, 3>, state: &mut SeanetState<B>) -> Tensor<B, 3> {
        let mut x = self.input.stream(x, &mut state.input);
        if let (Some(lstm), Some(state)) = (&self.lstm, &mut state.lstm) {
            x = lstm.stream(x, state);
        }
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
