//! What one row is conditioned on, and what of it is left out in training so that guidance works
//! (classifier-free guidance, arXiv 2207.12598, section 3.2).

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// The conditions of one row. Each is optional: what is absent is the null of that condition, by
/// which a guided generation is told apart from an unguided one, and gives the network exactly
/// nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// Semantic tokens.
    pub semantic: Option<Vec<i64>>,
    /// Symbols of the context: ids, or the [bytes](text_bytes) of a text.
    pub context: Option<Vec<i64>>,
    /// Frames that each of these symbols lasts, for a model that is trained on them or aligns
    /// by them.
    pub durations: Option<Vec<usize>>,
    /// The speaker's number in the model's table.
    pub speaker: Option<usize>,
    /// An embedding of the voice from elsewhere.
    pub embedding: Option<Vec<f32>>,
}

/// The bytes of a text as the symbols of a context.
pub fn text_bytes(text: &str) -> Vec<i64> {
    text.bytes().map(i64::from).collect()
}

/// How often each condition of a row is left out in training, each for itself. Missing keys of a
/// configuration take the defaults; unknown ones are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionDropout {
    /// Probability for semantic tokens.
    pub semantic: f64,
    /// Probability for the context, with its durations.
    pub context: f64,
    /// Probability for the speaker.
    pub speaker: f64,
    /// Probability for the embedding.
    pub embedding: f64,
}

impl ConditionDropout {
    /// What is wrong with the probabilities, in words, if anything is.
    pub fn problem(&self) -> Option<String> {
        let all = [
            ("semantic", self.semantic),
            ("context", self.context),
            ("speaker", self.speaker),
            ("embedding", self.embedding),
        ];
        let bad = all.iter().find(|(_, p)| !(0.0..=1.0).contains(p))?;
        Some(format!(
            "the dropout of {} is {}, not within 0 and 1",
            bad.0, bad.1
        ))
    }
}

impl Conditions {
    /// Semantic tokens alone.
    pub fn semantic(tokens: Vec<i64>) -> Self {
        Self {
            semantic: Some(tokens),
            ..Self::default()
        }
    }

    /// With semantic tokens that are given apart, if there are any.
    pub(crate) fn with_semantic(&self, semantic: Option<Vec<i64>>) -> Self {
        Self {
            semantic: semantic.or_else(|| self.semantic.clone()),
            ..self.clone()
        }
    }

    /// What is left of a row's conditions. Four numbers are drawn for each row, whatever it has.
    #[must_use]
    pub fn dropped<R: Rng + ?Sized>(&self, dropout: &ConditionDropout, rng: &mut R) -> Self {
        let mut stays = |probability: f64| rng.random::<f64>() >= probability;
        let semantic = stays(dropout.semantic);
        let context = stays(dropout.context);
        let speaker = stays(dropout.speaker);
        let embedding = stays(dropout.embedding);
        Self {
            semantic: self.semantic.clone().filter(|_| semantic),
            context: self.context.clone().filter(|_| context),
            durations: self.durations.clone().filter(|_| context),
            speaker: self.speaker.filter(|_| speaker),
            embedding: self.embedding.clone().filter(|_| embedding),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn full() -> Conditions {
        Conditions {
            semantic: Some(vec![1, 2]),
            context: Some(text_bytes("é")),
            durations: Some(vec![3, 4]),
            speaker: Some(5),
            embedding: Some(vec![0.5]),
        }
    }

    #[test]
    fn a_text_is_its_bytes() {
        assert_eq!(text_bytes("aé"), [97, 195, 169]);
    }

    #[test]
    fn each_condition_is_left_out_as_often_as_told() {
        let dropout = ConditionDropout {
            semantic: 0.0,
            context: 1.0,
            speaker: 0.3,
            embedding: 0.7,
        };
        let mut rng = StdRng::seed_from_u64(3);
        let mut left = [0; 2];
        let mut both = 0;
        for _ in 0..1000 {
            let row = full().dropped(&dropout, &mut rng);
            assert_eq!(row.semantic, full().semantic);
            assert_eq!((row.context, row.durations), (None, None));
            left[0] += usize::from(row.speaker.is_some());
            left[1] += usize::from(row.embedding.is_some());
            both += usize::from(row.speaker.is_some() && row.embedding.is_some());
        }
        // Means 700, 300 and 210, deviations up to 15.
        assert!((640..760).contains(&left[0]), "{left:?}");
        assert!((240..360).contains(&left[1]), "{left:?}");
        assert!((150..270).contains(&both), "they are drawn apart: {both}");
        let kept = full().dropped(&ConditionDropout::default(), &mut rng);
        assert_eq!(kept, full());
    }

    #[test]
    fn probabilities_are_checked_by_name() {
        let dropout = ConditionDropout {
            speaker: -0.1,
            ..Default::default()
        };
        assert!(dropout.problem().expect("it is bad").contains("speaker"));
        assert_eq!(ConditionDropout::default().problem(), None);
    }
}
