//! The end of a residual branch: its last linear layer, dropout, and how much of
//! it counts (half, for a feed-forward; arXiv 2005.08100, section 2.3).

use burn::{
    nn::Dropout,
    tensor::{Tensor, backend::Backend},
};
use soundstorm_nn::{Linear, add_linear, linear};

/// What ends a branch.
#[derive(Debug)]
pub struct BranchEnd<'a, B: Backend> {
    /// The last layer.
    pub linear: &'a Linear<B>,
    /// Dropout of its output, in training.
    pub dropout: Option<&'a Dropout>,
    /// What its output is multiplied by.
    pub scale: f64,
}

impl<B: Backend> BranchEnd<'_, B> {
    /// The branch's output.
    ///
    /// # Shapes
    /// - `hidden`: `[batch, frames, input of the layer]`
    /// - output: `[batch, frames, dim]`
    pub fn forward(&self, hidden: Tensor<B, 3>) -> Tensor<B, 3> {
        let x = linear(hidden, self.linear);
        let x = match self.dropout {
            Some(dropout) => dropout.forward(x),
            None => x,
        };
        if self.scale == 1.0 { x } else { x * self.scale }
    }

    /// The branch's output added to a residual, `[batch, frames, dim]`.
    pub(crate) fn add_to(&self, residual: Tensor<B, 3>, hidden: Tensor<B, 3>) -> Tensor<B, 3> {
        match self.dropout {
            Some(dropout) if dropout.prob > 0.0 => residual + self.forward(hidden),
            _ => add_linear(residual, self.scale, hidden, self.linear),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::{
        nn::DropoutConfig,
        tensor::{Distribution, Tolerance},
    };
    use burn_autodiff::Autodiff;
    use burn_flex::Flex;
    use soundstorm_nn::LinearConfig;

    fn random<B: Backend>(shape: [usize; 3]) -> Tensor<B, 3> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    /// What is added to a residual, without it, beside the branch's output.
    fn added<B: Backend>(dropout: f64, scale: f64) -> [Tensor<B, 3>; 2] {
        let linear = LinearConfig::new(7, 5).init::<B>(&Default::default());
        let dropout = DropoutConfig::new(dropout).init();
        let end = BranchEnd {
            linear: &linear,
            dropout: Some(&dropout),
            scale,
        };
        let (residual, hidden) = (random([2, 3, 5]), random([2, 3, 7]));
        let sum = end.add_to(residual.clone(), hidden.clone());
        [sum - residual, end.forward(hidden)]
    }

    #[test]
    fn what_is_added_is_the_output_so_many_times() {
        for scale in [1.0, 0.5] {
            let [added, output] = added::<Flex>(0.9, scale);
            added
                .into_data()
                .assert_approx_eq::<f32>(&output.into_data(), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn in_training_it_drops_out() {
        for got in added::<Autodiff<Flex>>(1.0 - 1e-9, 0.5) {
            let largest = got.abs().max().into_scalar();
            assert!(largest < 1e-6, "{largest}");
        }
    }
}
