//! What conditions a conformer beside its frames: a sequence that they attend to, and a vector
//! that modulates the norms. What every pass needs of them is worked out once.

use burn::tensor::{Bool, DType, Int, Tensor, TensorData, backend::Backend};
use serde::{Deserialize, Serialize};
use soundstorm_nn::{ContextKeys, ContextView, Rotary, RotaryConfig, frame_mask};

use crate::{Conformer, Modulation};

/// What a conformer is conditioned on; nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditioningConfig {
    /// A sequence that every block attends to.
    pub context: Option<ContextAttentionConfig>,
    /// Channels of a vector that modulates the norms of every block.
    pub vector: Option<usize>,
}

/// How blocks attend to a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextAttentionConfig {
    /// Channels of the context.
    pub dim: usize,
    /// How places in it and frames are related.
    pub positions: ContextPositions,
}

/// How the places of a context's symbols and of the frames are related in cross-attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContextPositions {
    /// By rotary positions in symbols. Frames are spread evenly over the row's symbols, so that
    /// even untrained attention can tell what comes early from what comes late (as the
    /// length-aware positions of arXiv 2509.11084, which scale both sides to one length).
    #[default]
    Spread,
    /// Not at all: what a frame looks for depends on its content alone.
    None,
}

/// A sequence to attend to.
#[derive(Clone, Debug)]
pub struct Context<B: Backend> {
    /// `[batch, context frames, context dim]`.
    pub frames: Tensor<B, 3>,
    /// Real frames of each row; 0 for a row without context.
    pub lengths: Vec<usize>,
}

/// A vector for each row.
#[derive(Clone, Debug)]
pub struct Vector<B: Backend> {
    /// `[batch, channels]`.
    pub values: Tensor<B, 2>,
    /// Which rows have one. The others are not modulated: they get what an unconditioned
    /// conformer gives.
    pub given: Vec<bool>,
}

/// Context and vector as the blocks want them, for any number of passes over one batch.
#[derive(Clone, Debug)]
pub struct Conditioning<B: Backend> {
    pub(crate) blocks: Vec<BlockConditioning<B>>,
    view: Option<View<B>>,
}

/// One block's part of it.
#[derive(Clone, Debug)]
pub struct BlockConditioning<B: Backend> {
    /// Keys and values of the context.
    pub context: Option<ContextKeys<B>>,
    /// Modulations in the order of [`BlockModulations`].
    pub modulations: Option<BlockModulations<B>>,
}

/// How each branch of a block is modulated.
#[derive(Clone, Debug)]
pub struct BlockModulations<B: Backend> {
    /// First feed-forward.
    pub ff1: Modulation<B>,
    /// Self-attention.
    pub attention: Modulation<B>,
    /// Convolution module.
    pub convolution: Modulation<B>,
    /// Second feed-forward.
    pub ff2: Modulation<B>,
    /// Cross-attention, if there is any.
    pub cross_attention: Option<Modulation<B>>,
}

/// What is the same for all blocks.
#[derive(Clone, Debug)]
struct View<B: Backend> {
    mask: Option<Tensor<B, 2, Bool>>,
    empty: Option<Tensor<B, 3, Bool>>,
    /// Frames of the context, with padding.
    frames: usize,
    /// Symbols of each row, `[batch, 1]`.
    symbols: Tensor<B, 2>,
    rotary: Option<RotaryConfig>,
}

impl<B: Backend> Conformer<B> {
    /// Prepares a context and a vector for passes over a batch. A part that the conformer was
    /// not built for is not looked at; a part that is absent is absent for all rows.
    pub fn condition(
        &self,
        context: Option<Context<B>>,
        vector: Option<Vector<B>>,
    ) -> Conditioning<B> {
        let context = context.filter(|context| context.lengths.iter().any(|&length| length > 0));
        let view = context.as_ref().map(|context| self.view(context));
        let rotary = view.as_ref().and_then(View::of_context);
        let absent = vector.as_ref().and_then(Vector::absent);
        let blocks = self.blocks.iter().map(|block| BlockConditioning {
            context: context.as_ref().and_then(|context| {
                let layer = block.cross_attention.as_ref()?;
                Some(
                    layer
                        .attention
                        .keys(context.frames.clone(), rotary.as_ref()),
                )
            }),
            modulations: vector.as_ref().and_then(|vector| {
                let norm = block.adaptive_norm.as_ref()?;
                let all = norm.forward(vector.values.clone(), absent.as_ref());
                BlockModulations::new(all)
            }),
        });
        Conditioning {
            blocks: blocks.collect(),
            view,
        }
    }

    fn view(&self, context: &Context<B>) -> View<B> {
        let [batch, frames, _] = context.frames.dims();
        let device = context.frames.device();
        let empty: Vec<bool> = context.lengths.iter().map(|&length| length == 0).collect();
        let symbols: Vec<f32> = context
            .lengths
            .iter()
            .map(|&length| length as f32)
            .collect();
        View {
            mask: frame_mask(&context.lengths, frames, &device),
            empty: empty
                .contains(&true)
                .then(|| Tensor::from_data(TensorData::new(empty, [batch, 1, 1]), &device)),
            frames,
            symbols: Tensor::from_data(TensorData::new(symbols, [batch, 1]), (&device, DType::F32)),
            rotary: self.context_rotary(),
        }
    }
}

impl<B: Backend> Conditioning<B> {
    /// What frames see of the context, for rows of these real frames.
    pub(crate) fn view(
        &self,
        frames: usize,
        mask: Option<&Tensor<B, 2, Bool>>,
    ) -> Option<ContextView<B>> {
        let view = self.view.as_ref()?;
        Some(ContextView {
            mask: view.mask.clone(),
            empty: view.empty.clone(),
            rotary: view.of_frames(frames, mask),
        })
    }
}

impl<B: Backend> View<B> {
    /// A context's symbols stand at 0, 1, 2, ….
    fn of_context(&self) -> Option<Rotary<B>> {
        let rotary = self.rotary.as_ref()?;
        Some(rotary.init(self.frames, &self.symbols.device()))
    }

    /// Frame i of n stands at `(i + 1/2) * symbols / n - 1/2`.
    fn of_frames(&self, frames: usize, mask: Option<&Tensor<B, 2, Bool>>) -> Option<Rotary<B>> {
        let rotary = self.rotary.as_ref()?;
        let device = self.symbols.device();
        let [batch, _] = self.symbols.dims();
        let index = Tensor::<B, 1, Int>::arange(0..frames as i64, &device).float();
        let index = index.cast(DType::F32).unsqueeze::<2>() + 0.5;
        let step = match mask {
            Some(mask) => {
                let count = mask.clone().int().sum_dim(1).float().cast(DType::F32);
                self.symbols.clone() / count.clamp_min(1.0)
            }
            None => self.symbols.clone() / frames as f64,
        };
        let places = index.expand([batch, frames]) * step - 0.5;
        Some(rotary.init_rows(places))
    }
}

impl<B: Backend> Vector<B> {
    /// Rows without a vector, `[batch, 1]`, if there are any.
    fn absent(&self) -> Option<Tensor<B, 2, Bool>> {
        let absent: Vec<bool> = self.given.iter().map(|given| !given).collect();
        let batch = absent.len();
        absent
            .contains(&true)
            .then(|| Tensor::from_data(TensorData::new(absent, [batch, 1]), &self.values.device()))
    }
}

impl<B: Backend> BlockModulations<B> {
    /// How many branches are modulated.
    pub(crate) fn branches(cross_attention: bool) -> usize {
        4 + usize::from(cross_attention)
    }

    fn new(all: Vec<Modulation<B>>) -> Option<Self> {
        let mut all = all.into_iter();
        Some(Self {
            ff1: all.next()?,
            attention: all.next()?,
            convolution: all.next()?,
            ff2: all.next()?,
            cross_attention: all.next(),
        })
    }
}

#[cfg(test)]
mod tests;
