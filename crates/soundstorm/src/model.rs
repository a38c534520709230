//! The model: token embeddings and conditions, summed and given to a conformer,
//! and heads that turn its frames into logits (SoundStorm, section 3.1).

use burn::{
    module::Module,
    tensor::{Int, Tensor, backend::Backend},
};
use soundstorm_conformer::Conformer;

use crate::{
    ContextEncoder, ContextEncoderConfig, CriticConfig, GlobalCondition, Head, HeadConfig,
    HeadKind, LevelEmbedding, LevelEmbeddingConfig, Prepared, ScoreHead, ScoreHeadConfig,
    SelfConditioning, SelfConditioningLayerConfig, SemanticCondition, SemanticConditionConfig,
    SoundStormConfig, SoundStormError, TokenCritic, critic::pass, prepare::Part,
};

/// SoundStorm.
#[derive(Module, Debug)]
pub struct SoundStorm<B: Backend> {
    /// Embedding of acoustic tokens.
    pub embedding: LevelEmbedding<B>,
    /// Embedding of semantic tokens, if the model is conditioned on them.
    pub semantic: Option<SemanticCondition<B>>,
    /// Encoder of text, if the model is conditioned on it.
    pub context: Option<ContextEncoder<B>>,
    /// Speakers and embeddings, if the model is conditioned on them.
    pub global: Option<GlobalCondition<B>>,
    /// Conditioning on the last pass, if the model has it.
    pub self_conditioning: Option<SelfConditioning<B>>,
    /// The conformer.
    pub conformer: Conformer<B>,
    /// The heads.
    pub head: Head<B>,
    /// The critic, if it is a head on the model itself.
    pub critic: Option<ScoreHead<B>>,
    /// The critic, if it is a network of its own.
    pub token_critic: Option<TokenCritic<B>>,
    codebook_size: usize,
    levels: usize,
    frame_multiple: usize,
}

impl SoundStormConfig {
    /// A model with random weights, drawn from the backend's generator.
    ///
    /// # Errors
    /// If [`Self::validate`] finds any.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<SoundStorm<B>, SoundStormError> {
        self.validate()?;
        let dim = self.conformer.dim;
        Ok(SoundStorm {
            embedding: LevelEmbeddingConfig::new(self.codebook_size, self.num_quantizers, dim)
                .with_groups(self.grouped_quantizers)
                .init(device),
            semantic: self
                .semantic
                .clone()
                .map(|semantic| SemanticConditionConfig { dim, semantic }.init(device)),
            context: self
                .context
                .clone()
                .map(|context| ContextEncoderConfig { dim, context }.init(device)),
            global: self.global.as_ref().map(|global| global.init(device)),
            self_conditioning: self.self_conditioning.map(|section| {
                SelfConditioningLayerConfig::new(dim, section.train_probability).init(device)
            }),
            conformer: self
                .conformer
                .init_conditioned(&self.conditioning(), device),
            head: HeadConfig::new(dim, self.levels(), self.codebook_size)
                .with_projected(self.head == HeadKind::Projected)
                .init(device),
            critic: (self.critic == Some(CriticConfig::SelfCritic {})).then(|| {
                // Heads with projections tell levels apart before the score.
                let outputs = match self.head {
                    HeadKind::Dense => self.levels(),
                    HeadKind::Projected => 1,
                };
                ScoreHeadConfig::new(dim).with_outputs(outputs).init(device)
            }),
            token_critic: match &self.critic {
                Some(CriticConfig::Token { conformer }) => {
                    Some(self.init_token_critic(conformer, device))
                }
                _ => None,
            },
            codebook_size: self.codebook_size,
            levels: self.levels(),
            frame_multiple: 1,
        })
    }
}

impl<B: Backend> SoundStorm<B> {
    /// Generates in lengths that are multiples of so many frames: GPUs tune and compile kernels for
    /// each length anew. The frames added are padding, and nothing of them is seen.
    #[must_use]
    pub fn with_frame_multiple(mut self, frames: usize) -> Self {
        self.frame_multiple = frames.max(1);
        self
    }

    /// The length that so many frames are generated in.
    pub fn padded(&self, frames: usize) -> usize {
        frames.next_multiple_of(self.frame_multiple)
    }

    /// Codes of one codebook.
    pub fn codebook_size(&self) -> usize {
        self.codebook_size
    }

    /// The token that stands for a masked one.
    pub fn mask_id(&self) -> usize {
        self.codebook_size
    }

    /// Levels of all groups.
    pub fn levels(&self) -> usize {
        self.levels
    }

    /// The device that the weights are on.
    pub fn device(&self) -> B::Device {
        self.embedding.table.val().device()
    }

    /// The semantic condition of a batch: `None` for a model that takes no semantic tokens. All
    /// other conditions are absent; [`Self::prepare`] takes all.
    ///
    /// # Shapes
    /// - `rows`: each row's semantic tokens
    /// - output: `[batch, frames, dim]`
    ///
    /// # Errors
    /// If tokens are missing, given in vain, or out of range.
    pub fn condition(
        &self,
        rows: Option<&[Vec<i64>]>,
        frames: usize,
    ) -> Result<Option<Tensor<B, 3>>, SoundStormError> {
        match (&self.semantic, rows) {
            (Some(semantic), Some(rows)) => semantic.forward(rows, frames).map(Some),
            (None, None) => Ok(None),
            (Some(_), None) => Err(SoundStormError::Semantic(
                "the model is conditioned on them, and none are given",
            )),
            (None, Some(_)) => Err(SoundStormError::Semantic(
                "the model is not conditioned on them",
            )),
        }
    }

    /// The conformer's frames, before any head, as of the first pass where the model has
    /// self-conditioning.
    ///
    /// # Shapes
    /// - `codes`: `[batch, levels, frames]`, the mask id where hidden
    /// - `condition`: `[batch, frames, dim]`
    /// - `lengths`: real frames of each row; all, when absent
    /// - output: `[batch, frames, dim]`
    pub fn hidden(
        &self,
        codes: Tensor<B, 3, Int>,
        condition: Option<Tensor<B, 3>>,
        lengths: Option<&[usize]>,
    ) -> Tensor<B, 3> {
        let prepared = Prepared {
            generator: Part::added(condition),
            critic: None,
            encoded: None,
        };
        self.hidden_given(codes, &prepared, None, lengths)
    }

    /// The same under any conditions, after a pass whose frames `last` are, if there was one.
    ///
    /// # Shapes
    /// - `codes`: `[batch, levels, frames]`, the mask id where hidden
    /// - `prepared`: by [`Self::prepare`], for as many rows and frames
    /// - `last`, output: `[batch, frames, dim]`
    /// - `lengths`: real frames of each row; all, when absent
    pub fn hidden_given(
        &self,
        codes: Tensor<B, 3, Int>,
        prepared: &Prepared<B>,
        last: Option<Tensor<B, 3>>,
        lengths: Option<&[usize]>,
    ) -> Tensor<B, 3> {
        let added = self.self_conditioning.as_ref().map(|layer| match last {
            Some(last) => layer.forward(self.head.summary(last)),
            None => layer.absent(),
        });
        self.hidden_adding(codes, prepared, added, lengths)
    }

    /// The same with what self-conditioning adds to the embedded frames.
    pub(crate) fn hidden_adding(
        &self,
        codes: Tensor<B, 3, Int>,
        prepared: &Prepared<B>,
        added: Option<Tensor<B, 3>>,
        lengths: Option<&[usize]>,
    ) -> Tensor<B, 3> {
        let x = self.embedding.forward(codes);
        let x = match added {
            Some(added) => x + added,
            None => x,
        };
        pass(x, &prepared.generator, &self.conformer, lengths)
    }

    /// The logits of one level.
    ///
    /// # Shapes
    /// - input as of [`Self::hidden`]
    /// - output: `[batch, frames, codebook_size]`
    pub fn level_logits(
        &self,
        codes: Tensor<B, 3, Int>,
        condition: Option<Tensor<B, 3>>,
        lengths: Option<&[usize]>,
        level: usize,
    ) -> Tensor<B, 3> {
        self.head
            .forward(self.hidden(codes, condition, lengths), level)
    }

    /// The logits of one level under any conditions, in a first pass. [`Self::passes`] makes
    /// several, each conditioned on the last.
    ///
    /// # Shapes
    /// - input as of [`Self::hidden_given`]
    /// - output: `[batch, frames, codebook_size]`
    pub fn level_logits_given(
        &self,
        codes: Tensor<B, 3, Int>,
        prepared: &Prepared<B>,
        lengths: Option<&[usize]>,
        level: usize,
    ) -> Tensor<B, 3> {
        let hidden = self.hidden_given(codes, prepared, None, lengths);
        self.head.forward(hidden, level)
    }

    /// The logits of every level.
    ///
    /// # Shapes
    /// - input as of [`Self::hidden`]
    /// - output: `[batch, levels, frames, codebook_size]`
    pub fn logits(
        &self,
        codes: Tensor<B, 3, Int>,
        condition: Option<Tensor<B, 3>>,
        lengths: Option<&[usize]>,
    ) -> Tensor<B, 4> {
        let hidden = self.hidden(codes, condition, lengths);
        let levels = (0..self.levels)
            .map(|level| self.head.forward(hidden.clone(), level))
            .collect();
        Tensor::stack(levels, 1)
    }

    /// Checks codes against the model: levels, range up to `limit`, lengths.
    pub(crate) fn check_codes(
        &self,
        what: &'static str,
        codes: &Tensor<B, 3, Int>,
        lengths: Option<&[usize]>,
        limit: usize,
    ) -> Result<(), SoundStormError> {
        let [batch, levels, frames] = codes.dims();
        if levels != self.levels {
            return Err(SoundStormError::Levels {
                what,
                expected: self.levels,
                got: levels,
            });
        }
        if batch == 0 || frames == 0 {
            return Err(SoundStormError::Empty(what));
        }
        if let Some(lengths) = lengths
            && (lengths.len() != batch || lengths.iter().any(|&length| length > frames))
        {
            return Err(SoundStormError::Shape {
                what: "lengths",
                expected: format!("{batch} numbers up to {frames}"),
                got: format!("{lengths:?}"),
            });
        }
        let bad = |code: &i64| !(0..=limit as i64).contains(code);
        let position = codes
            .to_data()
            .iter::<i64>()
            .enumerate()
            .find(|(_, code)| bad(code));
        if let Some((index, got)) = position {
            return Err(SoundStormError::Token {
                what: format!("{what} of level {}", index / frames % levels + 1),
                frame: index % frames,
                got,
                limit: limit as i64,
            });
        }
        Ok(())
    }
}
