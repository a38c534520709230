//! Critics, which tell generated tokens from real ones: a network of its own (Token-Critic,
//! arXiv 2209.04439) or a head on the generator (self-critic, SCRIPT, NAACL 2021).
//!
//! soundstorm-pytorch calls its critic without conditions and without a mask of padding, shows it
//! the true tokens of finer levels, and takes a sample's label even where the sample is not used.
//! Here a critic sees what generation can show it: its row's conditions, no padding, and finer
//! levels masked.

use burn::{
    module::Module,
    tensor::{Int, Tensor, backend::Backend},
};
use soundstorm_conformer::{Conformer, ConformerConfig};
use soundstorm_nn::frame_mask;

use crate::{
    ContextConfig, ContextEncoder, ContextEncoderConfig, GlobalCondition, LevelEmbedding,
    LevelEmbeddingConfig, Prepared, ScoreHead, ScoreHeadConfig, SemanticCondition,
    SemanticConditionConfig, SoundStorm, SoundStormConfig, SoundStormError,
    prepare::{Conditioners, Part},
};

/// A critic that is a network of its own.
#[derive(Module, Debug)]
pub struct TokenCritic<B: Backend> {
    /// Embedding of acoustic tokens.
    pub embedding: LevelEmbedding<B>,
    /// Embedding of semantic tokens.
    pub semantic: Option<SemanticCondition<B>>,
    /// Encoder of text.
    pub context: Option<ContextEncoder<B>>,
    /// Speakers and embeddings.
    pub global: Option<GlobalCondition<B>>,
    /// The conformer.
    pub conformer: Conformer<B>,
    /// A score for each level.
    pub head: ScoreHead<B>,
}

impl SoundStormConfig {
    /// A critic with random weights that takes what a model of this configuration takes.
    pub(crate) fn init_token_critic<B: Backend>(
        &self,
        conformer: &ConformerConfig,
        device: &B::Device,
    ) -> TokenCritic<B> {
        let dim = conformer.dim;
        // Durations are the generator's to predict.
        let context = self.context.clone().map(|context| ContextConfig {
            predict_durations: false,
            ..context
        });
        TokenCritic {
            embedding: LevelEmbeddingConfig::new(self.codebook_size, self.num_quantizers, dim)
                .with_groups(self.grouped_quantizers)
                .init(device),
            semantic: self
                .semantic
                .clone()
                .map(|semantic| SemanticConditionConfig { dim, semantic }.init(device)),
            context: context.map(|context| ContextEncoderConfig { dim, context }.init(device)),
            global: self.global.as_ref().map(|global| global.init(device)),
            conformer: conformer.init_conditioned(&self.conditioning(), device),
            head: ScoreHeadConfig::new(dim)
                .with_outputs(self.levels())
                .init(device),
        }
    }
}

impl<B: Backend> TokenCritic<B> {
    pub(crate) fn conditioners(&self) -> Conditioners<'_, B> {
        let table = self.embedding.table.val();
        Conditioners {
            semantic: self.semantic.as_ref(),
            context: self.context.as_ref(),
            global: self.global.as_ref(),
            conformer: &self.conformer,
            dtype: table.dtype(),
            device: table.device(),
        }
    }

    fn hidden(
        &self,
        codes: Tensor<B, 3, Int>,
        part: &Part<B>,
        lengths: Option<&[usize]>,
    ) -> Tensor<B, 3> {
        pass(
            self.embedding.forward(codes),
            part,
            &self.conformer,
            lengths,
        )
    }
}

/// Embedded frames and their conditions through a conformer.
///
/// # Shapes
/// - `x`, output: `[batch, frames, dim]`
pub(crate) fn pass<B: Backend>(
    x: Tensor<B, 3>,
    part: &Part<B>,
    conformer: &Conformer<B>,
    lengths: Option<&[usize]>,
) -> Tensor<B, 3> {
    let (frames, device) = (x.dims()[1], x.device());
    let mask = lengths.and_then(|lengths| frame_mask(lengths, frames, &device));
    let x = match &part.added {
        Some(added) => x + added.clone(),
        None => x,
    };
    conformer.forward_conditioned(x, mask, part.conditioning.as_ref())
}

/// What a critic made of a batch, before the score of any level.
pub(crate) struct Judged<'a, B: Backend> {
    model: &'a SoundStorm<B>,
    hidden: Tensor<B, 3>,
}

impl<B: Backend> SoundStorm<B> {
    /// Whether the model has a critic.
    pub fn has_critic(&self) -> bool {
        self.critic.is_some() || self.token_critic.is_some()
    }

    /// How sure the critic is that a level's token is generated rather than real: the logit of it,
    /// higher for a token that ought to be masked again.
    ///
    /// # Shapes
    /// - `codes`: `[batch, levels, frames]`, filled up to `level`, the mask id at finer levels
    /// - `lengths`: real frames of each row; all, when absent
    /// - output: `[batch, frames]`, in single precision
    ///
    /// # Errors
    /// A model without a critic.
    pub fn critic_scores(
        &self,
        codes: Tensor<B, 3, Int>,
        prepared: &Prepared<B>,
        lengths: Option<&[usize]>,
        level: usize,
    ) -> Result<Tensor<B, 2>, SoundStormError> {
        Ok(self.judge(codes, prepared, lengths)?.scores(None, level))
    }

    pub(crate) fn judge(
        &self,
        codes: Tensor<B, 3, Int>,
        prepared: &Prepared<B>,
        lengths: Option<&[usize]>,
    ) -> Result<Judged<'_, B>, SoundStormError> {
        let hidden = match (&self.token_critic, &prepared.critic, &self.critic) {
            (Some(critic), Some(part), _) => critic.hidden(codes, part, lengths),
            // Conditions that were not prepared by this model are no conditions to its critic.
            (Some(critic), None, _) => critic.hidden(codes, &Part::added(None), lengths),
            // Nothing is predicted from an earlier pass here, so there is no self-conditioning.
            (None, _, Some(_)) => pass(
                self.embedding.forward(codes),
                &prepared.generator,
                &self.conformer,
                lengths,
            ),
            (None, _, None) => return Err(SoundStormError::Absent("critic")),
        };
        Ok(Judged {
            model: self,
            hidden,
        })
    }
}

impl<B: Backend> Judged<'_, B> {
    /// The scores of one level, of some rows or all.
    pub(crate) fn scores(&self, rows: Option<Tensor<B, 1, Int>>, level: usize) -> Tensor<B, 2> {
        let hidden = match rows {
            Some(rows) => self.hidden.clone().select(0, rows),
            None => self.hidden.clone(),
        };
        match (&self.model.token_critic, &self.model.critic) {
            (Some(critic), _) => critic.head.forward(hidden, level),
            (None, Some(head)) => match self.model.head.projected(hidden.clone(), level) {
                Some(projected) => head.forward(projected, 0),
                None => head.forward(hidden, level),
            },
            (None, None) => hidden.sum_dim(2).squeeze_dim(2),
        }
    }
}
