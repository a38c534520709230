//! Semantic tokens as a condition: embedded, brought to the rate of the
//! acoustic frames and added to them (SoundStorm, section 3.1). Tokens of
//! another rate are repeated as in the paper or interpolated linearly as in
//! soundstorm-pytorch, each row by its own length.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Int, Tensor, TensorData, backend::Backend},
};

use crate::{Alignment, SemanticConfig, SoundStormError};

/// Configuration of [`SemanticCondition`].
#[derive(Clone, Debug)]
pub struct SemanticConditionConfig {
    /// Channels.
    pub dim: usize,
    /// Vocabulary, rates and alignment.
    pub semantic: SemanticConfig,
}

/// The embedding of semantic tokens.
#[derive(Module, Debug)]
pub struct SemanticCondition<B: Backend> {
    /// `[vocab, dim]`.
    pub table: Param<Tensor<B, 2>>,
    #[module(skip)]
    semantic: SemanticConfig,
}

impl SemanticConditionConfig {
    /// An embedding with normally distributed weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> SemanticCondition<B> {
        let initializer = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        SemanticCondition {
            table: initializer.init([self.semantic.vocab, self.dim], device),
            semantic: self.semantic.clone(),
        }
    }
}

/// The tokens that one acoustic frame takes its condition from.
#[derive(Clone, Copy, Default)]
struct Mix {
    tokens: [i64; 2],
    weights: [f32; 2],
}

impl<B: Backend> SemanticCondition<B> {
    /// Acoustic frames that a number of semantic tokens covers.
    pub fn acoustic_frames(&self, tokens: usize) -> usize {
        self.semantic.acoustic_frames(tokens)
    }

    /// What is added to the embedded frames. Frames that a row's tokens do not
    /// reach, and tokens that are the pad id, give zero.
    ///
    /// # Shapes
    /// - `rows`: each row's semantic tokens
    /// - output: `[batch, frames, dim]`
    ///
    /// # Errors
    /// A token that is neither in the vocabulary nor the pad id.
    pub fn forward(
        &self,
        rows: &[Vec<i64>],
        frames: usize,
    ) -> Result<Tensor<B, 3>, SoundStormError> {
        let vocab = self.semantic.vocab as i64;
        for (index, row) in rows.iter().enumerate() {
            let bad = |token: &i64| *token != self.semantic.pad_id && !(0..vocab).contains(token);
            if let Some(frame) = row.iter().position(bad) {
                return Err(SoundStormError::Token {
                    what: format!("semantic tokens of row {index}"),
                    frame,
                    got: row[frame],
                    limit: vocab - 1,
                });
            }
        }

        let mixes: Vec<Mix> = rows
            .iter()
            .flat_map(|row| self.align(row, frames))
            .collect();
        let table = self.table.val();
        let (device, dim, count) = (table.device(), table.dims()[1], mixes.len());
        let part = |side: usize| {
            let ids: Vec<i64> = mixes.iter().map(|mix| mix.tokens[side]).collect();
            let weights: Vec<f32> = mixes.iter().map(|mix| mix.weights[side]).collect();
            let ids = Tensor::<B, 1, Int>::from_data(TensorData::new(ids, [count]), &device);
            let weights = Tensor::<B, 2>::from_data(TensorData::new(weights, [count, 1]), &device);
            table.clone().select(0, ids) * weights.cast(table.dtype())
        };
        let second = mixes.iter().any(|mix| mix.weights[1] != 0.0);
        let sum = match second {
            true => part(0) + part(1),
            false => part(0),
        };
        Ok(sum.reshape([rows.len(), frames, dim]))
    }

    /// The tokens and weights of each of a row's first `frames` frames.
    fn align(&self, row: &[i64], frames: usize) -> Vec<Mix> {
        let reached = self.semantic.acoustic_frames(row.len());
        (0..frames)
            .map(|frame| match self.semantic.alignment {
                _ if frame >= reached || row.is_empty() => Mix::default(),
                Alignment::Repeat => {
                    let repeats = self.semantic.repeats().unwrap_or(1);
                    let last = row.len() - 1;
                    self.mix(row, [(frame / repeats).min(last), 0], 0.0)
                }
                Alignment::Interpolate if reached == row.len() => self.mix(row, [frame, 0], 0.0),
                Alignment::Interpolate => {
                    // Centres are aligned, in single precision: PyTorch's linear
                    // interpolation without aligned corners.
                    let scale = row.len() as f32 / reached as f32;
                    let position = ((frame as f32 + 0.5) * scale - 0.5).max(0.0);
                    let left = (position as usize).min(row.len() - 1);
                    let right = (left + 1).min(row.len() - 1);
                    self.mix(row, [left, right], position - left as f32)
                }
            })
            .collect()
    }

    fn mix(&self, row: &[i64], at: [usize; 2], second: f32) -> Mix {
        let mut mix = Mix::default();
        for (side, weight) in [1.0 - second, second].into_iter().enumerate() {
            let token = row[at[side]];
            if token != self.semantic.pad_id {
                mix.tokens[side] = token;
                mix.weights[side] = weight;
            }
        }
        mix
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tolerance;

    type B = burn_flex::Flex;

    /// A table whose row t holds t and 10 t.
    fn condition(semantic: SemanticConfig) -> SemanticCondition<B> {
        let device = Default::default();
        let config = SemanticConditionConfig { dim: 2, semantic };
        let mut condition = config.init::<B>(&device);
        let values: Vec<f32> = (0..7).flat_map(|t| [t as f32, 10.0 * t as f32]).collect();
        condition.table = Param::from_data(TensorData::new(values, [7, 2]), &device);
        condition
    }

    fn first_channel(condition: &SemanticCondition<B>, row: &[i64], frames: usize) -> Vec<f32> {
        let out = condition
            .forward(&[row.to_vec()], frames)
            .expect("in range");
        out.narrow(2, 0, 1).into_data().iter::<f32>().collect()
    }

    #[test]
    fn equal_rates_pass_tokens_through_and_pad_gives_zero() {
        let condition = condition(SemanticConfig::new(7));
        assert_eq!(
            first_channel(&condition, &[3, -1, 5], 5),
            [3.0, 0.0, 5.0, 0.0, 0.0]
        );
    }

    #[test]
    fn tokens_repeat_or_interpolate() {
        let half = SemanticConfig {
            semantic_hop: 640,
            ..SemanticConfig::new(7)
        };
        let repeat = condition(SemanticConfig {
            alignment: Alignment::Repeat,
            ..half.clone()
        });
        assert_eq!(
            first_channel(&repeat, &[2, 6], 5),
            [2.0, 2.0, 6.0, 6.0, 0.0]
        );
        let interpolate = condition(half);
        assert_eq!(
            first_channel(&interpolate, &[2, 6], 5),
            [2.0, 3.0, 5.0, 6.0, 0.0]
        );
    }

    /// torch.nn.functional.interpolate(torch.tensor([[[2., 6., 1.]]]), 5, mode = 'linear')
    #[test]
    fn interpolation_is_pytorchs() {
        let condition = condition(SemanticConfig {
            acoustic_sample_rate: 25_000,
            ..SemanticConfig::new(7)
        });
        let got = first_channel(&condition, &[2, 6, 1], 5);
        let want = [2.0f32, 3.6, 6.0, 3.0, 1.0];
        TensorData::from(got.as_slice())
            .assert_approx_eq::<f32>(&TensorData::from(want), Tolerance::absolute(1e-5));
    }

    /// A short row in a batch is aligned by its own length.
    #[test]
    fn rows_do_not_see_each_other() {
        let condition = condition(SemanticConfig {
            acoustic_sample_rate: 24_000,
            ..SemanticConfig::new(7)
        });
        let (short, long) = (vec![1, 4, 2], vec![6, 5, 4, 3, 2]);
        let both = condition
            .forward(&[short.clone(), long], 8)
            .expect("in range");
        let alone = condition.forward(&[short], 8).expect("in range");
        both.narrow(0, 0, 1)
            .into_data()
            .assert_eq(&alone.into_data(), true);
    }

    #[test]
    fn tokens_out_of_range_are_named() {
        let error = condition(SemanticConfig::new(7))
            .forward(&[vec![0, 1], vec![0, 2, 7]], 3)
            .expect_err("7 is not in the vocabulary");
        let text = error.to_string();
        assert!(
            text.contains("row 1") && text.contains("7") && text.contains("frame 2"),
            "{text}"
        );
    }
}
