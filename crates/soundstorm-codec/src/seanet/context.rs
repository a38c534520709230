//! How far SEANet's convolutions reach, recurrent layers aside.

use burn::prelude::*;

use super::{SeanetDecoder, SeanetEncoder, SeanetResidualBlock};
use crate::{Context, Window};

impl<B: Backend> SeanetEncoder<B> {
    /// The frames around a frame that hold all the audio that its vector is made from, were there
    /// no recurrent layers.
    ///
    /// # Arguments
    /// - `hop`: samples per frame
    pub fn context(&self, hop: usize) -> Context {
        let mut windows = vec![self.input.window()];
        for stage in &self.stages {
            windows.extend(reaches(&stage.residuals));
            windows.push(stage.downsample.window());
        }
        windows.push(self.output.window());
        Context::of_encoder(&windows, hop)
    }
}

impl<B: Backend> SeanetDecoder<B> {
    /// The frames around a frame that its samples are made from, were there no recurrent layers.
    ///
    /// # Arguments
    /// - `hop`: samples per frame
    pub fn context(&self, hop: usize) -> Context {
        let mut windows = vec![self.input.window()];
        for stage in &self.stages {
            windows.push(stage.upsample.window());
            windows.extend(reaches(&stage.residuals));
        }
        windows.push(self.output.window());
        Context::of_decoder(&windows, hop)
    }
}

/// Of the blocks' dilated convolutions; the others have one tap.
fn reaches<B: Backend>(blocks: &[SeanetResidualBlock<B>]) -> impl Iterator<Item = Window> {
    blocks.iter().map(|block| block.conv_in.window())
}
