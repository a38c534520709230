//! From the conformer's frames to the logits of one level: a linear layer for
//! each (SoundStorm, section 3.1), or soundstorm-pytorch's projection, norm and
//! linear layer. Levels lie one after the other, so that one alone is read.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{DType, Tensor, backend::Backend},
};
use soundstorm_nn::{LayerNorm, LayerNormConfig, Packed, affine};

/// Configuration of [`Head`].
#[derive(Config, Debug)]
pub struct HeadConfig {
    /// Channels.
    pub dim: usize,
    /// Levels of all groups.
    pub levels: usize,
    /// Codes of one codebook.
    pub codebook_size: usize,
    /// Whether each level has a projection before the shared norm.
    #[config(default = false)]
    pub projected: bool,
}

/// The heads of all levels.
#[derive(Module, Debug)]
pub struct Head<B: Backend> {
    /// Projection and norm before the logits, in soundstorm-pytorch's heads.
    pub projection: Option<HeadProjection<B>>,
    /// `[levels, dim, codebook_size]`.
    pub weight: Param<Tensor<B, 3>>,
    /// `[levels, codebook_size]`.
    pub bias: Param<Tensor<B, 2>>,
    #[module(skip)]
    packed: Packed,
}

/// What comes before the logits in soundstorm-pytorch's heads.
#[derive(Module, Debug)]
pub struct HeadProjection<B: Backend> {
    /// `[levels, dim, dim]`, input before output.
    pub weight: Param<Tensor<B, 3>>,
    /// `[levels, dim]`.
    pub bias: Param<Tensor<B, 2>>,
    /// One norm for all levels.
    pub norm: LayerNorm<B>,
    #[module(skip)]
    packed: Packed,
}

impl HeadConfig {
    /// Heads with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Head<B> {
        let (dim, levels, codes) = (self.dim, self.levels, self.codebook_size);
        let uniform = Initializer::KaimingUniform {
            gain: 1.0 / 3f64.sqrt(),
            fan_out_only: false,
        };
        let random3 = |shape| uniform.init_with::<B, 3, _>(shape, Some(dim), None, device);
        let random2 = |shape| uniform.init_with::<B, 2, _>(shape, Some(dim), None, device);
        Head {
            projection: self.projected.then(|| HeadProjection {
                weight: random3([levels, dim, dim]),
                bias: random2([levels, dim]),
                norm: LayerNormConfig::new(dim).init(device),
                packed: Packed::default(),
            }),
            weight: random3([levels, dim, codes]),
            bias: random2([levels, codes]),
            packed: Packed::default(),
        }
    }
}

impl<B: Backend> Head<B> {
    /// The logits of one level; those of no other are worked out.
    ///
    /// # Shapes
    /// - `x`: `[batch, frames, dim]`
    /// - output: `[batch, frames, codebook_size]`
    pub fn forward(&self, x: Tensor<B, 3>, level: usize) -> Tensor<B, 3> {
        let [batch, frames, _] = x.dims();
        let mut x = self.rows(x);
        if let Some(projection) = &self.projection {
            x = projection.norm.forward(projection.forward(x, level));
        }
        let logits = linear(x, &self.weight, &self.bias, &self.packed, level);
        let codes = logits.dims()[1];
        logits.reshape([batch, frames, codes])
    }

    /// One level's projection of the frames, before its norm, if the heads have projections.
    ///
    /// # Shapes
    /// - `x`, output: `[batch, frames, dim]`
    pub(crate) fn projected(&self, x: Tensor<B, 3>, level: usize) -> Option<Tensor<B, 3>> {
        let shape = x.dims();
        let projection = self.projection.as_ref()?;
        Some(projection.forward(self.rows(x), level).reshape(shape))
    }

    /// The sum of all levels' projections; without projections the frames themselves.
    ///
    /// # Shapes
    /// - `x`, output: `[batch, frames, dim]`
    pub(crate) fn summary(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let Some(projection) = &self.projection else {
            return x;
        };
        let (shape, dtype) = (x.dims(), x.dtype());
        // The sum of products is the product with the sum.
        let weight = projection.weight.val().cast(DType::F32).sum_dim(0);
        let bias = projection.bias.val().cast(DType::F32).sum_dim(0);
        let [_, input, output] = weight.dims();
        let sum = affine(
            self.rows(x).cast(DType::F32),
            weight.reshape([input, output]),
            Some(bias.reshape([output])),
            &Packed::default(),
        );
        sum.reshape(shape).cast(dtype)
    }

    /// Frames as the rows of one matrix: a batched product would copy the weights. Heads that were
    /// left in single precision give logits in it.
    fn rows(&self, x: Tensor<B, 3>) -> Tensor<B, 2> {
        let [batch, frames, dim] = x.dims();
        let x = x.reshape([batch * frames, dim]);
        match self.weight.val().dtype() {
            DType::F32 => x.cast(DType::F32),
            _ => x,
        }
    }
}

impl<B: Backend> HeadProjection<B> {
    fn forward(&self, x: Tensor<B, 2>, level: usize) -> Tensor<B, 2> {
        linear(x, &self.weight, &self.bias, &self.packed, level)
    }
}

/// One level's linear layer.
fn linear<B: Backend>(
    x: Tensor<B, 2>,
    weight: &Param<Tensor<B, 3>>,
    bias: &Param<Tensor<B, 2>>,
    packed: &Packed,
    level: usize,
) -> Tensor<B, 2> {
    let weight = weight.val();
    let [levels, input, output] = weight.dims();
    // Reshaped first: on flex a level that is narrowed first would be copied by it.
    let weight = weight
        .reshape([levels * input, output])
        .narrow(0, level * input, input);
    let bias = bias.val().narrow(0, level, 1).reshape([output]);
    affine(x, weight, Some(bias), packed)
}
