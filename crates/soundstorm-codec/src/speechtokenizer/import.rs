//! The `speechtokenizer` package's state dict, by its names, as parameters of ours.
//!
//! What it holds beside the codec is left behind on purpose, see [`is_ignored`].

use super::SpeechTokenizerConfig;
use crate::import::ImportRule;
use crate::seanet::import::{Naming, plan_decoder, plan_encoder};

/// How each parameter of [`SpeechTokenizer`](super::SpeechTokenizer) comes out of the package's state dict.
///
/// Paths are those of the codec itself, without [`AnyCodec`](crate::AnyCodec)'s variant.
///
/// The configuration must be [valid](SpeechTokenizerConfig::validate).
pub fn plan(config: &SpeechTokenizerConfig) -> Vec<ImportRule> {
    let (seanet, naming) = (config.seanet(), Naming::Package);
    let mut rules = plan_encoder(&seanet, naming);
    rules.extend(naming.plan_codebooks(
        config.num_quantizers,
        config.codebook_size,
        config.dimension,
    ));
    rules.extend(plan_decoder(&seanet, naming));
    rules
}

/// Whether a name is left behind: what only training needs.
///
/// These are `transform.weight` and `transform.bias`, the projection to the
/// teacher's features, and each codebook's moving averages `cluster_size` and
/// `embed_avg` and its flag `inited`.
pub fn is_ignored(name: &str) -> bool {
    matches!(name, "transform.weight" | "transform.bias")
        || Naming::Package.is_codebook_statistic(name)
}

#[cfg(test)]
mod tests {
    use super::is_ignored;

    #[test]
    fn only_what_training_needs_is_ignored() {
        for name in [
            "transform.weight",
            "transform.bias",
            "quantizer.vq.layers.7._codebook.inited",
            "quantizer.vq.layers.0._codebook.cluster_size",
            "quantizer.vq.layers.12._codebook.embed_avg",
        ] {
            assert!(is_ignored(name), "{name}");
        }
        for name in [
            "quantizer.vq.layers.0._codebook.embed",
            "quantizer.vq.layers.x._codebook.inited",
            "quantizer.vq.layers.0.inited",
            "encoder.model.0.conv.conv.bias",
            "transform.scale",
        ] {
            assert!(!is_ignored(name), "{name}");
        }
    }
}
