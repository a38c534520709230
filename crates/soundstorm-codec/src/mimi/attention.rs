//! Causal self-attention to a window of frames, with rotary positions, whole or piece by piece.

use burn::prelude::*;
use soundstorm_nn::{Linear, LinearConfig, Rotary, linear, merge_heads, split_heads};

use super::MimiConfig;
use crate::band::Band;

/// Self-attention without biases.
#[derive(Module, Debug)]
pub struct WindowAttention<B: Backend> {
    /// Query, key and value in one product, `dimension` to `3 * heads * dim_head`.
    pub to_qkv: Linear<B>,
    /// Back, `heads * dim_head` to `dimension`.
    pub to_out: Linear<B>,
    heads: usize,
    window: usize,
}

/// Keys and values of the frames that the next one attends to besides itself; none before the
/// first.
#[derive(Debug, Clone, Default)]
pub struct KeyValues<B: Backend>(Option<[Tensor<B, 4>; 2]>);

impl<B: Backend> KeyValues<B> {
    /// How many numbers they are.
    pub fn numbers(&self) -> usize {
        let kept = self.0.iter().flatten();
        kept.map(|kept| kept.dims().iter().product::<usize>()).sum()
    }

    /// Those kept, and those of a piece after them. The last `length` of all are kept.
    ///
    /// # Shapes
    /// - piece: `[batch, heads, frames, dim_head]` each
    /// - output: `[batch, heads, past + frames, dim_head]` each
    fn extend(&mut self, piece: [Tensor<B, 4>; 2], length: usize) -> [Tensor<B, 4>; 2] {
        let all = match self.0.take() {
            Some([keys, values]) => {
                let [new_keys, new_values] = piece;
                [
                    Tensor::cat(vec![keys, new_keys], 2),
                    Tensor::cat(vec![values, new_values], 2),
                ]
            }
            None => piece,
        };
        let [_, _, frames, _] = all[0].dims();
        let length = length.min(frames);
        if length > 0 {
            let last = |x: &Tensor<B, 4>| x.clone().narrow(2, frames - length, length);
            self.0 = Some(all.each_ref().map(last));
        }
        all
    }
}

impl MimiConfig {
    pub(super) fn init_attention<B: Backend>(&self, device: &B::Device) -> WindowAttention<B> {
        let inner = self.heads * self.dim_head;
        let linear = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        WindowAttention {
            to_qkv: linear(self.dimension, 3 * inner),
            to_out: linear(inner, self.dimension),
            heads: self.heads,
            window: self.window,
        }
    }
}

impl<B: Backend> WindowAttention<B> {
    /// # Shapes
    /// - x, output: `[batch, frames, dimension]`
    ///
    /// # Arguments
    /// - `rotary`: positions of just these frames
    /// - `band`: for these frames after those that are kept
    pub(super) fn stream(
        &self,
        x: Tensor<B, 3>,
        rotary: &Rotary<B>,
        band: &Band<B>,
        kept: &mut KeyValues<B>,
    ) -> Tensor<B, 3> {
        let qkv = linear(x, &self.to_qkv);
        let [query, key, value] = split_heads(qkv, self.heads, Some(rotary));
        let [key, value] = kept.extend([key, value], self.window - 1);
        let out = merge_heads(band.attend(&query, &key, &value));
        linear(out, &self.to_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn what_is_kept_does_not_grow_with_the_stream() {
        let mut kept = KeyValues::<B>::default();
        let mut position = 0;
        for frames in [1, 2, 1, 11, 3, 1] {
            let start = position as i64;
            position += frames;
            let piece = start..position as i64;
            let piece = Tensor::<B, 1, Int>::arange(piece, &Default::default());
            let piece = piece.float().reshape([1, 1, frames as i32, 1]);
            let [keys, values] = kept.extend([piece.clone(), piece * 2], 4);
            let [_, _, length, _] = keys.dims();
            let numbers: Vec<f32> = keys.into_data().iter().collect();
            let first = position - length;
            let expected: Vec<f32> = (first..position).map(|at| at as f32).collect();
            assert_eq!(numbers, expected);
            assert_eq!(length, position.min(frames + 4));
            assert_eq!(values.dims()[2], length);
        }
        assert_eq!(kept.0.map(|[keys, _]| keys.dims()), Some([1, 1, 4, 1]));
        // A window of one frame keeps nothing.
        let mut kept = KeyValues::<B>::default();
        let piece = Tensor::zeros([1, 1, 3, 2], &Default::default());
        kept.extend([piece.clone(), piece], 0);
        assert!(kept.0.is_none());
    }
}
