//! EnCodec's state dicts, by the names of `transformers` or of the `encodec` package, as parameters of ours.
//!
//! What they hold beside the codec is left behind on purpose, see [`is_ignored`].

use super::EncodecConfig;
use crate::import::ImportRule;
use crate::seanet::import::{plan_decoder, plan_encoder};

pub use crate::seanet::import::Naming;

/// How each parameter of [`Encodec`](super::Encodec) comes out of a state dict with such names
/// ([`Naming::detect`] tells which they are).
///
/// Paths are those of the codec itself, without [`AnyCodec`](crate::AnyCodec)'s variant.
///
/// The configuration must be [valid](EncodecConfig::validate).
pub fn plan(config: &EncodecConfig, naming: Naming) -> Vec<ImportRule> {
    let seanet = config.seanet();
    let mut rules = plan_encoder(&seanet, naming);
    rules.extend(naming.plan_codebooks(
        config.num_quantizers,
        config.codebook_size,
        config.dimension,
    ));
    rules.extend(plan_decoder(&seanet, naming));
    rules
}

/// Whether a name is left behind: each codebook's moving averages `cluster_size` and `embed_avg`
/// and its flag `inited`, which only training needs.
pub fn is_ignored(name: &str) -> bool {
    [Naming::Package, Naming::Transformers]
        .into_iter()
        .any(|naming| naming.is_codebook_statistic(name))
}

#[cfg(test)]
mod tests {
    use super::is_ignored;

    #[test]
    fn only_what_training_needs_is_ignored() {
        for name in [
            "quantizer.layers.31.codebook.inited",
            "quantizer.layers.0.codebook.cluster_size",
            "quantizer.vq.layers.12._codebook.embed_avg",
        ] {
            assert!(is_ignored(name), "{name}");
        }
        for name in [
            "quantizer.layers.0.codebook.embed",
            "quantizer.vq.layers.0._codebook.embed",
            "quantizer.layers.0.inited",
            "encoder.layers.0.norm.bias",
        ] {
            assert!(!is_ignored(name), "{name}");
        }
    }
}
