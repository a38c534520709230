//! A small model of distinct prime sizes.

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use soundstorm::conformer::ConformerConfig;
use soundstorm::maskgit::DecodeOptions;
use soundstorm::{HeadKind, SemanticConfig, SoundStorm, SoundStormConfig};

pub(crate) type B = burn_flex::Flex;

pub(crate) const CODES: usize = 17;
pub(crate) const LEVELS: usize = 5;

pub(crate) fn config() -> SoundStormConfig {
    let conformer = ConformerConfig {
        heads: 3,
        dim_head: 2,
        conv_kernel_size: 5,
        ..ConformerConfig::new(13, 2)
    };
    SoundStormConfig {
        head: HeadKind::Projected,
        generation: DecodeOptions {
            steps: vec![3, 2, 1],
            ..DecodeOptions::default()
        },
        ..SoundStormConfig::new(CODES, LEVELS, conformer)
    }
}

pub(crate) fn conditioned() -> SoundStormConfig {
    SoundStormConfig {
        semantic: Some(SemanticConfig::new(11)),
        ..config()
    }
}

/// A model whose weights do not depend on what else the process draws.
pub(crate) fn model<Bk: Backend>(config: &SoundStormConfig) -> SoundStorm<Bk> {
    use burn::module::{Module, ModuleMapper, Param};

    struct Fill(u64);
    impl<Bk: Backend> ModuleMapper<Bk> for Fill {
        fn map_float<const D: usize>(
            &mut self,
            param: Param<Tensor<Bk, D>>,
        ) -> Param<Tensor<Bk, D>> {
            param.map(|tensor| {
                let shape = tensor.shape();
                let values: Vec<f32> = (0..shape.num_elements()).map(|_| self.next()).collect();
                let random = Tensor::from_data(TensorData::new(values, shape), &tensor.device());
                // Gains of norms stay near one: others would hide the input.
                let filled = match D {
                    1 => random * 0.2 + 1.0,
                    _ => random * 1.2,
                };
                filled.require_grad()
            })
        }
    }
    impl Fill {
        fn next(&mut self) -> f32 {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (self.0 >> 33) as f32 / 2f32.powi(31) - 0.5
        }
    }
    let model = config.init::<Bk>(&Default::default()).unwrap();
    model.map(&mut Fill(7))
}

/// Codes that look random, `[batch, levels, frames]`.
pub(crate) fn codes<Bk: Backend>(batch: usize, frames: usize, salt: usize) -> Tensor<Bk, 3, Int> {
    let count = batch * LEVELS * frames;
    let values: Vec<i64> = (0..count)
        .map(|i| ((i * 31 + salt * 7 + i * i) % CODES) as i64)
        .collect();
    Tensor::from_data(
        TensorData::new(values, [batch, LEVELS, frames]),
        &Default::default(),
    )
}
