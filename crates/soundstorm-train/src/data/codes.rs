//! One file to codes: read, brought to the codec's rate and channels, encoded; and its semantic
//! tokens read. What goes wrong with one file is a reason to skip it.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use soundstorm_audio::{Audio, Limits};
use soundstorm_codec::{Codec, CodecSpec};
use soundstorm_hub::CodesFile;

use super::Input;

/// What a file gives.
pub(super) struct Coded {
    /// `[levels][frames]`, one after another.
    pub(super) codes: Vec<i64>,
    pub(super) frames: usize,
    pub(super) semantic: Option<Vec<i64>>,
}

pub(super) fn encode<B: Backend, C: Codec<B>>(
    codec: &C,
    input: &Input,
    levels: usize,
    limits: &Limits,
    device: &B::Device,
) -> Result<Coded, String> {
    let spec = codec.spec();
    let audio = soundstorm_audio::read(&input.audio, limits).map_err(|error| error.to_string())?;
    let audio = for_codec(&audio, &spec)?;
    let samples = audio.frames();
    let data = TensorData::new(audio.channels.concat(), [1, spec.channels, samples]);
    let audio = Tensor::from_data(data, device);
    let (codes, scales) = codec
        .encode_scaled(audio, Some(levels))
        .map_err(|error| error.to_string())?;
    if scales.is_some() {
        return Err(format!(
            "{} takes the loudness of chunks out of its codes, which no model makes",
            spec.name
        ));
    }
    let [_, _, frames] = codes.dims();
    let semantic = match &input.semantic {
        None => None,
        Some(path) => Some(semantic_tokens(path)?),
    };
    Ok(Coded {
        codes: codes.into_data().iter::<i64>().collect(),
        frames,
        semantic,
    })
}

/// Mixed to mono for a codec of one channel, mono in every channel of a codec of several.
fn for_codec(audio: &Audio, spec: &CodecSpec) -> Result<Audio, String> {
    let audio = match (spec.channels, audio.channels.as_slice()) {
        (1, _) => audio.mono(),
        (channels, given) if channels == given.len() => audio.clone(),
        (channels, [only]) => Audio {
            sample_rate: audio.sample_rate,
            channels: vec![only.clone(); channels],
        },
        (channels, given) => {
            return Err(format!(
                "the codec takes {channels} channels, the audio has {}",
                given.len()
            ));
        }
    };
    let audio = audio.resample(spec.sample_rate);
    audio.map_err(|error| error.to_string())
}

/// The semantic tokens of a codes file of one row.
fn semantic_tokens(path: &std::path::Path) -> Result<Vec<i64>, String> {
    let file = CodesFile::read(path).map_err(|error| error.to_string())?;
    let semantic = file
        .semantic
        .ok_or_else(|| format!("{} has no semantic tokens", path.display()))?;
    match semantic.shape() {
        [1, tokens] if tokens > 0 => Ok(semantic.values().to_vec()),
        shape => Err(format!(
            "{}: expected semantic tokens of one row, got {shape:?}",
            path.display()
        )),
    }
}
