//! Configurations with a name: the paper's, the reference project's, those of
//! published weights, and a small one.

use std::{fmt, str::FromStr};

use soundstorm_conformer::{ConformerConfig, ValueResidual};
use soundstorm_maskgit::DecodeOptions;

use crate::{Alignment, HeadKind, SemanticConfig, SemanticSource, SoundStormConfig};

/// A configuration with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The paper's: 12 levels, dense heads, 1024 semantic tokens at half the rate.
    Paper,
    /// What soundstorm-pytorch 0.6.1 builds at the paper's size.
    Reference,
    /// The weights published with USLM, for SpeechTokenizer's levels 2 to 8.
    Uslm,
    /// The weights published with AnyGPT, built alike.
    Anygpt,
    /// A small one for trying things and for training on a laptop.
    Small,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 5] = [
        Self::Paper,
        Self::Reference,
        Self::Uslm,
        Self::Anygpt,
        Self::Small,
    ];

    /// The preset's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Reference => "reference",
            Self::Uslm => "uslm",
            Self::Anygpt => "anygpt",
            Self::Small => "small",
        }
    }

    /// The preset's configuration.
    pub fn config(self) -> SoundStormConfig {
        match self {
            Self::Paper => paper(),
            Self::Reference => reference(),
            Self::Uslm | Self::Anygpt => uslm(),
            Self::Small => small(),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|preset| preset.name()).collect();
                format!("unknown preset {name:?}; there are {}", names.join(", "))
            })
    }
}

fn paper() -> SoundStormConfig {
    let conformer = ConformerConfig {
        heads: 16,
        dim_head: 64,
        conv_kernel_size: 5,
        ..ConformerConfig::new(1024, 12)
    };
    SoundStormConfig {
        semantic: Some(SemanticConfig {
            alignment: Alignment::Repeat,
            // 25 tokens a second beside 50 frames.
            semantic_hop: 640,
            ..SemanticConfig::new(1024)
        }),
        ..SoundStormConfig::new(1024, 12, conformer)
    }
}

fn reference() -> SoundStormConfig {
    SoundStormConfig {
        head: HeadKind::Projected,
        conformer: ConformerConfig {
            value_residual: ValueResidual::Learned,
            ..paper().conformer
        },
        semantic: None,
        ..paper()
    }
}

fn uslm() -> SoundStormConfig {
    let conformer = ConformerConfig {
        heads: 8,
        dim_head: 128,
        ..ConformerConfig::new(1024, 12)
    };
    SoundStormConfig {
        head: HeadKind::Projected,
        semantic: Some(SemanticConfig {
            source: SemanticSource::CodecLevel1,
            ..SemanticConfig::new(1024)
        }),
        generation: DecodeOptions {
            // The fork draws among the top 30 % of codes, in 8 steps at level 1.
            steps: vec![8, 1],
            top_k: Some(308),
            ..DecodeOptions::default()
        },
        ..SoundStormConfig::new(1024, 7, conformer)
    }
}

fn small() -> SoundStormConfig {
    SoundStormConfig {
        num_quantizers: 8,
        conformer: ConformerConfig {
            heads: 4,
            dim_head: 64,
            conv_kernel_size: 5,
            value_residual: ValueResidual::Learned,
            ..ConformerConfig::new(256, 6)
        },
        ..reference()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_every_preset_is_valid() {
        for preset in Preset::ALL {
            assert_eq!(preset.name().parse(), Ok(preset));
            preset.config().validate().expect("a preset is valid");
        }
        let error = "tiny".parse::<Preset>().expect_err("there is none");
        assert!(error.contains("small"));
    }
}
