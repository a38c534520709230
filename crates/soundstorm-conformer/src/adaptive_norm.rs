//! Adaptive layer norm with gates that start at nothing (adaLN-Zero of arXiv 2212.09748, section
//! 3.2): a vector for each row scales and shifts what a branch reads, and scales what it adds.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{Bool, Tensor, activation, backend::Backend},
};
use soundstorm_nn::{Linear, LinearConfig, linear};

/// Configuration of [`AdaptiveNorm`].
#[derive(Config, Debug)]
pub struct AdaptiveNormConfig {
    /// Channels of the frames.
    pub dim: usize,
    /// Channels of the vector.
    pub vector: usize,
    /// Branches that are modulated.
    pub branches: usize,
}

/// From a vector to the modulation of every branch of a block.
#[derive(Module, Debug)]
pub struct AdaptiveNorm<B: Backend> {
    /// Scale, shift and gate of one branch after the other, `vector` to `branches * 3 * dim`; all
    /// zero until it is trained.
    pub to_modulation: Linear<B>,
    branches: usize,
}

/// How one branch is modulated, each `[batch, 1, dim]` and zero where nothing is to change.
#[derive(Clone, Debug)]
pub struct Modulation<B: Backend> {
    /// What the normed frames are scaled by, less one.
    pub scale: Tensor<B, 3>,
    /// What is added to them then.
    pub shift: Tensor<B, 3>,
    /// What the branch's output is scaled by, less one.
    pub gate: Tensor<B, 3>,
}

impl AdaptiveNormConfig {
    /// Modulations that change nothing, whatever the vector.
    pub fn init<B: Backend>(&self, device: &B::Device) -> AdaptiveNorm<B> {
        let output = self.branches * 3 * self.dim;
        let mut to_modulation = LinearConfig::new(self.vector, output).init(device);
        to_modulation.weight = zeros([self.vector, output], device);
        to_modulation.bias = Some(zeros([output], device));
        AdaptiveNorm {
            to_modulation,
            branches: self.branches,
        }
    }
}

fn zeros<B: Backend, const D: usize>(shape: [usize; D], device: &B::Device) -> Param<Tensor<B, D>> {
    Initializer::Zeros.init(shape, device)
}

impl<B: Backend> AdaptiveNorm<B> {
    /// The modulation of each branch.
    ///
    /// # Shapes
    /// - `vector`: `[batch, vector]`
    /// - `absent`: `[batch, 1]`, true for rows that are not modulated
    pub fn forward(
        &self,
        vector: Tensor<B, 2>,
        absent: Option<&Tensor<B, 2, Bool>>,
    ) -> Vec<Modulation<B>> {
        let [batch, _] = vector.dims();
        // Never a product of one row: fused with what follows it, that is wrong on CUDA in burn 0.21.
        let rows = Tensor::cat(vec![vector.clone(), vector], 0);
        let all = linear(activation::silu(rows), &self.to_modulation).narrow(0, 0, batch);
        let all = match absent {
            Some(absent) => {
                let shape = all.dims();
                all.mask_fill(absent.clone().expand(shape), 0.0)
            }
            None => all,
        };
        let dim = all.dims()[1] / (3 * self.branches);
        let all = all.reshape([batch, 3 * self.branches, dim]);
        (0..self.branches)
            .map(|branch| {
                let [scale, shift, gate] =
                    [0, 1, 2].map(|part| all.clone().narrow(1, 3 * branch + part, 1));
                Modulation { scale, shift, gate }
            })
            .collect()
    }
}

/// Normed frames, scaled and shifted.
///
/// # Shapes
/// - `x`, output: `[batch, frames, dim]`
pub(crate) fn modulate<B: Backend>(
    x: Tensor<B, 3>,
    modulation: Option<&Modulation<B>>,
) -> Tensor<B, 3> {
    match modulation {
        Some(Modulation { scale, shift, .. }) => x * (scale.clone() + 1.0) + shift.clone(),
        None => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    type B = burn_flex::Flex;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    #[test]
    fn untrained_it_changes_nothing() {
        let norm = AdaptiveNormConfig::new(5, 7, 3).init::<B>(&Default::default());
        let modulations = norm.forward(random([2, 7]), None);
        assert_eq!(modulations.len(), 3);
        let x = random([2, 11, 5]);
        for modulation in &modulations {
            modulate(x.clone(), Some(modulation))
                .into_data()
                .assert_eq(&x.to_data(), true);
            assert_eq!(modulation.gate.clone().abs().max().into_scalar(), 0.0);
        }
    }

    #[test]
    fn each_branch_has_its_own_and_absent_rows_have_none() {
        let mut norm = AdaptiveNormConfig::new(5, 7, 2).init::<B>(&Default::default());
        norm.to_modulation.weight = Param::from_tensor(random([7, 30]));
        norm.to_modulation.bias = Some(Param::from_tensor(random([30])));
        let absent = Tensor::from_data([[false], [true]], &Default::default());
        let vector = random([2, 7]);
        let modulations = norm.forward(vector.clone(), Some(&absent));
        let silu = vector.clone() / (vector.neg().exp() + 1.0);
        let want = silu.matmul(norm.to_modulation.weight.val())
            + norm
                .to_modulation
                .bias
                .map(|bias| bias.val().unsqueeze())
                .expect("a bias");
        let mut at = 0;
        for modulation in modulations {
            for part in [modulation.scale, modulation.shift, modulation.gate] {
                let second = part.clone().narrow(0, 1, 1).abs().max().into_scalar();
                assert_eq!(second, 0.0);
                let first = part.narrow(0, 0, 1).reshape([1, 5]);
                let want = want.clone().slice([0..1, at..at + 5]);
                assert!((first - want).abs().max().into_scalar() < 1e-5);
                at += 5;
            }
        }
    }
}
