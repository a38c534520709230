//! Between the frames of the transformers and those of the codes, fewer by [`RESAMPLE`]:
//! convolutions without bias, whose windows are twice as long.

use burn::module::Param;
use burn::prelude::*;
use soundstorm_nn::conv1d;

use super::config::RESAMPLE;
use crate::Carry;
use crate::conv::missing;
use crate::conv_transpose::overlap;
use crate::init::uniform;

/// Fewer frames. Before the first and after the last it is as if they went on.
#[derive(Module, Debug)]
pub struct Downsample<B: Backend> {
    /// `[dimension, dimension, 4]`
    pub weight: Param<Tensor<B, 3>>,
}

/// More frames, each channel on its own.
#[derive(Module, Debug)]
pub struct Upsample<B: Backend> {
    /// `[dimension, 1, 4]`
    pub weight: Param<Tensor<B, 3>>,
}

impl<B: Backend> Downsample<B> {
    pub(super) fn new(dimension: usize, device: &B::Device) -> Self {
        let kernel = 2 * RESAMPLE;
        Self {
            weight: uniform([dimension, dimension, kernel], dimension * kernel, device),
        }
    }

    /// Pieces of a stream; every one but the last is a multiple of 2 frames.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, dimension, ceil(frames / 2)]`
    pub fn stream(&self, x: Tensor<B, 3>, carry: &mut Carry<B>) -> Tensor<B, 3> {
        let [_, _, frames] = x.dims();
        let x = carry.prepend(x, RESAMPLE, |x| {
            x.clone().narrow(2, 0, 1).repeat_dim(2, RESAMPLE)
        });
        let x = match missing(frames, RESAMPLE) {
            0 => x,
            missing => {
                let last = x.clone().narrow(2, frames + RESAMPLE - 1, 1);
                Tensor::cat(vec![x, last.repeat_dim(2, missing)], 2)
            }
        };
        conv1d(x, self.weight.val(), None, RESAMPLE, 1)
    }
}

impl<B: Backend> Upsample<B> {
    pub(super) fn new(dimension: usize, device: &B::Device) -> Self {
        let kernel = 2 * RESAMPLE;
        Self {
            weight: uniform([dimension, 1, kernel], kernel, device),
        }
    }

    /// Pieces of a stream, or all of it.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, dimension, 2 * frames]`
    pub fn stream(&self, x: Tensor<B, 3>, carry: &mut Carry<B>) -> Tensor<B, 3> {
        let [batch, dimension, frames] = x.dims();
        let weight = self.weight.val();
        let weight = weight.reshape([1, dimension, 2, RESAMPLE, 1]);
        let windows = x.reshape([batch, dimension, 1, 1, frames]) * weight;
        carry.add(overlap(windows), RESAMPLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn numbers(x: Tensor<B, 3>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    /// Windows of 1 1 | 1 2, of 1 2 | 4 8 and of 4 8 | 16 16: the last frame counts twice.
    #[test]
    fn frames_go_on_before_the_first_and_after_the_last() {
        let device = Default::default();
        let mut layer = Downsample::<B>::new(1, &device);
        layer.weight = Param::from_data([[[1000.0, 100.0, 10.0, 1.0]]], &device);
        let x = Tensor::<B, 3>::from_floats([[[1.0, 2.0, 4.0, 8.0, 16.0]]], &device);
        let y = layer.stream(x, &mut Carry::default());
        assert_eq!(numbers(y), [1112.0, 1248.0, 4976.0]);
    }

    #[test]
    fn each_channel_is_spread_by_its_own_weights() {
        let device = Default::default();
        let mut layer = Upsample::<B>::new(2, &device);
        layer.weight = Param::from_data([[[1.0, 2.0, 3.0, 4.0]], [[5.0, 6.0, 7.0, 8.0]]], &device);
        let x = Tensor::<B, 3>::from_floats([[[1.0, 10.0], [1.0, 100.0]]], &device);
        let y = layer.stream(x, &mut Carry::default());
        assert_eq!(numbers(y), [1.0, 2.0, 13.0, 24.0, 5.0, 6.0, 507.0, 608.0]);
    }

    #[test]
    fn pieces_give_what_the_whole_does() {
        let device = Default::default();
        let (down, up) = (Downsample::<B>::new(5, &device), Upsample::new(5, &device));
        let x = Tensor::<B, 3>::random([2, 5, 11], Distribution::Default, &device);
        let whole = down.stream(x.clone(), &mut Carry::default());
        let (mut carry, mut start) = (Carry::default(), 0);
        let parts = [2, 4, 2, 3].map(|piece| {
            start += piece;
            down.stream(x.clone().narrow(2, start - piece, piece), &mut carry)
        });
        let close = |got: Vec<Tensor<B, 3>>, whole: Tensor<B, 3>| {
            let got = Tensor::cat(got, 2).into_data();
            got.assert_approx_eq::<f32>(&whole.into_data(), Tolerance::absolute(1e-5));
        };
        close(parts.to_vec(), whole);

        let whole = up.stream(x.clone(), &mut Carry::default());
        let (mut carry, mut start) = (Carry::default(), 0);
        let parts = [1, 3, 7].map(|piece| {
            start += piece;
            up.stream(x.clone().narrow(2, start - piece, piece), &mut carry)
        });
        close(parts.to_vec(), whole);
    }
}
