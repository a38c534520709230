//! Configurations with a name: those of published weights.

use std::{fmt, str::FromStr};

use crate::{
    CodecConfig, DacConfig, EncodecConfig, MimiConfig, SoundStreamConfig, SpectralConfig,
    SpeechTokenizerConfig,
};

/// A codec's configuration with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecPreset {
    /// SpeechTokenizer with ELU, 16 kHz, 50 frames a second, 8 levels.
    SpeechTokenizer,
    /// SpeechTokenizer with Snake.
    SpeechTokenizerSnake,
    /// EnCodec, 24 kHz, 75 frames a second, 32 levels.
    Encodec24,
    /// EnCodec, 48 kHz, two channels, 150 frames a second, 16 levels.
    Encodec48,
    /// DAC, 16 kHz, 50 frames a second, 12 levels.
    Dac16,
    /// DAC, 24 kHz, 75 frames a second, 32 levels.
    Dac24,
    /// DAC, 44.1 kHz, about 86 frames a second, 9 levels.
    Dac44,
    /// Mimi, 24 kHz, 12.5 frames a second, 32 levels.
    Mimi,
    /// SoundStream as audiolm-pytorch builds it, 16 kHz, 50 frames a second, 8 levels.
    SoundStream,
    /// SoundStream as audiolm-pytorch builds it for MusicLM, 24 kHz, 50 frames a second, 12 levels.
    SoundStreamMusicLm,
    /// The spectral codec, to be trained, 16 kHz, 50 frames a second, 8 levels.
    Spectral16,
}

impl CodecPreset {
    /// Every preset.
    pub const ALL: [Self; 11] = [
        Self::SpeechTokenizer,
        Self::SpeechTokenizerSnake,
        Self::Encodec24,
        Self::Encodec48,
        Self::Dac16,
        Self::Dac24,
        Self::Dac44,
        Self::Mimi,
        Self::SoundStream,
        Self::SoundStreamMusicLm,
        Self::Spectral16,
    ];

    /// The preset's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpeechTokenizer => "speechtokenizer",
            Self::SpeechTokenizerSnake => "speechtokenizer-snake",
            Self::Encodec24 => "encodec-24khz",
            Self::Encodec48 => "encodec-48khz",
            Self::Dac16 => "dac-16khz",
            Self::Dac24 => "dac-24khz",
            Self::Dac44 => "dac-44khz",
            Self::Mimi => "mimi",
            Self::SoundStream => "soundstream",
            Self::SoundStreamMusicLm => "soundstream-musiclm",
            Self::Spectral16 => "spectral-16khz",
        }
    }

    /// The preset's configuration.
    pub fn config(self) -> CodecConfig {
        match self {
            Self::SpeechTokenizer => CodecConfig::SpeechTokenizer(SpeechTokenizerConfig::default()),
            Self::SpeechTokenizerSnake => {
                CodecConfig::SpeechTokenizer(SpeechTokenizerConfig::snake())
            }
            Self::Encodec24 => CodecConfig::Encodec(EncodecConfig::default()),
            Self::Encodec48 => CodecConfig::Encodec(EncodecConfig::encodec_48khz()),
            Self::Dac16 => CodecConfig::Dac(DacConfig::dac_16khz()),
            Self::Dac24 => CodecConfig::Dac(DacConfig::dac_24khz()),
            Self::Dac44 => CodecConfig::Dac(DacConfig::default()),
            Self::Mimi => CodecConfig::Mimi(MimiConfig::default()),
            Self::SoundStream => CodecConfig::SoundStream(SoundStreamConfig::default()),
            Self::SoundStreamMusicLm => CodecConfig::SoundStream(SoundStreamConfig::musiclm()),
            Self::Spectral16 => CodecConfig::Spectral(SpectralConfig::default()),
        }
    }
}

impl fmt::Display for CodecPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CodecPreset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == name)
            .ok_or_else(|| {
                let names: Vec<_> = Self::ALL.iter().map(|preset| preset.name()).collect();
                format!("unknown codec {name:?}; there are {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for preset in CodecPreset::ALL {
            assert_eq!(preset.to_string().parse(), Ok(preset));
        }
        let error = "encodec".parse::<CodecPreset>().expect_err("no such name");
        assert!(error.contains("encodec-24khz") && error.contains("mimi"));
    }

    /// Sample rate, channels, samples per frame, levels.
    #[test]
    fn presets_are_what_their_names_say() {
        for (preset, expected) in CodecPreset::ALL.into_iter().zip([
            (16_000, 1, 320, 8),
            (16_000, 1, 320, 8),
            (24_000, 1, 320, 32),
            (48_000, 2, 320, 16),
            (16_000, 1, 320, 12),
            (24_000, 1, 320, 32),
            (44_100, 1, 512, 9),
            (24_000, 1, 1920, 32),
            (16_000, 1, 320, 8),
            (24_000, 1, 480, 12),
            (16_000, 1, 320, 8),
        ]) {
            let spec = preset.config().spec();
            let got = (spec.sample_rate, spec.channels, spec.hop, spec.levels);
            assert_eq!(got, expected, "{preset}");
        }
    }
}
