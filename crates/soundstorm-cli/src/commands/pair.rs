//! Whether a codec goes with a model: codebooks, levels, and the rate of semantic tokens.

use anyhow::{Result, ensure};
use soundstorm::{SemanticConfig, SoundStormConfig};
use soundstorm_codec::CodecSpec;

use crate::codes_io;

/// The same codebooks, enough levels, and frames at the rate that the model meets semantic tokens
/// of another source at.
pub(super) fn check_pair(config: &SoundStormConfig, spec: &CodecSpec) -> Result<()> {
    ensure!(
        spec.codebook_size == config.codebook_size,
        "the codec {} has codebooks of {}, the model of {}",
        spec.name,
        spec.codebook_size,
        config.codebook_size
    );
    let needed = codes_io::codec_levels(config);
    ensure!(
        spec.levels >= needed,
        "the model needs a codec of at least {needed} levels, {} has {}",
        spec.name,
        spec.levels
    );
    if let Some(semantic) = &config.semantic
        && !codes_io::takes_first_level(config)
    {
        ensure!(
            same_rate(semantic, spec),
            "the model aligns semantic tokens with {} frames a second, the codec {} has {}",
            f64::from(semantic.acoustic_sample_rate) / f64::from(semantic.acoustic_hop),
            spec.name,
            spec.frame_rate()
        );
    }
    Ok(())
}

/// Without a rounding in between.
fn same_rate(semantic: &SemanticConfig, spec: &CodecSpec) -> bool {
    let model = u64::from(semantic.acoustic_sample_rate) * spec.hop as u64;
    model == u64::from(spec.sample_rate) * u64::from(semantic.acoustic_hop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use soundstorm::Preset;
    use soundstorm_codec::CodecPreset;

    /// What stands in the error, or nothing for a pair that fits.
    fn problem(model: Preset, codec: CodecPreset) -> Option<String> {
        let checked = check_pair(&model.config(), &codec.config().spec());
        checked.err().map(|error| error.to_string())
    }

    /// Every model with every codec.
    #[test]
    fn pairs_fit_or_are_refused_with_the_numbers() {
        use CodecPreset as C;
        for model in Preset::ALL {
            for codec in CodecPreset::ALL {
                let words: &[&str] = match (model, codec) {
                    (_, C::Mimi) => &["codebooks of 2048", "of 1024"],
                    (
                        Preset::Paper | Preset::Reference,
                        C::SpeechTokenizer
                        | C::SpeechTokenizerSnake
                        | C::SoundStream
                        | C::Spectral16,
                    ) => &["12 levels", "has 8"],
                    (Preset::Paper | Preset::Reference, C::Dac44) => &["12 levels", "has 9"],
                    (Preset::Paper, C::Encodec24 | C::Dac24) => &["50 frames", "has 75"],
                    (Preset::Paper, C::Encodec48) => &["50 frames", "has 150"],
                    _ => &[],
                };
                let problem = problem(model, codec);
                assert_eq!(problem.is_some(), !words.is_empty(), "{model} {codec}");
                let problem = problem.unwrap_or_default();
                for word in words {
                    assert!(problem.contains(word), "{model} {codec}: {problem}");
                }
            }
        }
    }
}
