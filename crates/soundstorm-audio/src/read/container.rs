//! Which container a file has, by its first bytes.

use crate::{AudioError, Result};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Container {
    Wav,
    Flac,
    Ogg,
    Mp3,
}

impl Container {
    /// Bytes that it takes to tell.
    pub(super) const HEAD: usize = 1 << 16;

    /// By the first bytes. An MP3 has none of its own: a tag or a layer III frame must begin the file (zeros aside), so
    /// that no other file is searched for something that resembles one.
    pub(super) fn of(bytes: &[u8], input: &str) -> Result<Self> {
        const OTHERS: [(usize, &[u8], &str); 7] = [
            (0, b"RF64", "RF64"),
            (0, b"RIFX", "big-endian RIFF"),
            (0, b"FORM", "AIFF"),
            (0, b"caff", "Core Audio"),
            (4, b"ftyp", "MP4"),
            (0, b"\x1A\x45\xDF\xA3", "Matroska or WebM"),
            (0, b".snd", "AU"),
        ];
        if bytes.starts_with(b"RIFF") {
            return Ok(Self::Wav);
        }
        if bytes.starts_with(b"fLaC") {
            return Ok(Self::Flac);
        }
        if bytes.starts_with(b"OggS") {
            return Ok(Self::Ogg);
        }
        let start = bytes.iter().position(|&b| b != 0).unwrap_or(0);
        let layer_three = |b: &[u8]| b.len() > 1 && b[0] == 0xFF && b[1] & 0xE6 == 0xE2;
        if bytes.starts_with(b"ID3") || layer_three(&bytes[start..]) {
            return Ok(Self::Mp3);
        }
        let other = OTHERS
            .iter()
            .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic)));
        Err(AudioError::Unsupported {
            input: input.to_owned(),
            detail: match other {
                Some((_, _, what)) => format!("{what} (WAV, FLAC, MP3 and Ogg Vorbis are read)"),
                None => "not WAV, FLAC, MP3 or Ogg Vorbis".into(),
            },
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Ogg => "Ogg",
            Self::Mp3 => "MP3",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_formats_are_named() {
        let cases: [(&[u8], &str); 4] = [
            (b"FORM\0\0\0\0AIFF", "AIFF"),
            (b"\0\0\0\x20ftypM4A ", "MP4"),
            (b"RF64\xFF\xFF\xFF\xFFWAVE", "RF64"),
            (b"\xFF\xF1\x50\x80\0\0\0\0", "not WAV"),
        ];
        for (bytes, expect) in cases {
            let error = Container::of(bytes, "x").map(Container::name);
            let error = error.map_err(|e| e.to_string());
            assert!(matches!(&error, Err(e) if e.contains(expect)), "{error:?}");
        }
    }
}
