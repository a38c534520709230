//! Codes between files and rows, split and joined where a model's semantic
//! tokens are the codec's first level.

use std::{ops::Range, path::Path};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use soundstorm::{RowCodes, SemanticSource, SoundStormConfig};
use soundstorm_codec::{CodecSpec, ScaledCodes};
use soundstorm_hub::{Array, CodesFile};

/// Metadata that tells where a codes file's semantic tokens come from.
pub(crate) const SEMANTIC_SOURCE: &str = "semantic_source";
/// Its value where they are the codec's first level.
pub(crate) const CODEC_LEVEL_1: &str = "codec_level_1";

/// Rows as a model takes them.
#[derive(Debug)]
pub(crate) struct ModelRows {
    /// Each row's codes, `[levels][frames]`.
    pub(crate) codes: Vec<RowCodes>,
    /// Each row's semantic tokens.
    pub(crate) semantic: Option<Vec<Vec<i64>>>,
}

/// Whether a model's semantic tokens are the codec's first level.
pub(crate) fn takes_first_level(config: &SoundStormConfig) -> bool {
    config
        .semantic
        .as_ref()
        .is_some_and(|semantic| semantic.source == SemanticSource::CodecLevel1)
}

/// Codec levels behind a model: its own, and the one it takes as semantic.
pub(crate) fn codec_levels(config: &SoundStormConfig) -> usize {
    config.levels() + usize::from(takes_first_level(config))
}

/// The rows of an array of codes.
pub(crate) fn rows(codes: &Array<i64, 3>) -> Vec<RowCodes> {
    let [_, levels, frames] = codes.shape();
    codes
        .values()
        .chunks(levels * frames)
        .map(|row| row.chunks(frames).map(<[i64]>::to_vec).collect())
        .collect()
}

/// The rows of an array of semantic tokens.
pub(crate) fn semantic_rows(semantic: &Array<i64, 2>) -> Vec<Vec<i64>> {
    let [_, frames] = semantic.shape();
    semantic
        .values()
        .chunks(frames)
        .map(<[i64]>::to_vec)
        .collect()
}

/// Rows of equal length as an array.
pub(crate) fn array(rows: &[RowCodes]) -> Result<Array<i64, 3>> {
    let levels = rows.first().map_or(0, Vec::len);
    let frames = rows.first().and_then(|row| row.first()).map_or(0, Vec::len);
    let values = rows.iter().flatten().flatten().copied().collect();
    Ok(Array::new([rows.len(), levels, frames], values)?)
}

/// Rows of equal length as a tensor, `[batch, levels, frames]`.
pub(crate) fn tensor<B: Backend>(
    rows: &[RowCodes],
    device: &B::Device,
) -> Result<Tensor<B, 3, Int>> {
    Ok(array(rows)?.to_tensor(device))
}

/// A codec's codes, `[batch, levels, frames]`, as rows.
pub(crate) fn from_tensor<B: Backend>(codes: Tensor<B, 3, Int>) -> Vec<RowCodes> {
    rows(&Array::from_tensor(codes))
}

/// One row's codes and scales, gathered piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// `[levels][frames]`
    codes: RowCodes,
    scales: Vec<f32>,
}

impl Gathered {
    /// Appends the first row of what an encoder gave, if it gave any.
    pub(crate) fn extend<B: Backend>(&mut self, piece: Option<ScaledCodes<B>>) {
        let Some((codes, scales)) = piece else {
            return;
        };
        let new = from_tensor(codes).swap_remove(0);
        self.codes.resize(new.len(), Vec::new());
        for (level, new) in self.codes.iter_mut().zip(new) {
            level.extend(new);
        }
        if let Some(scales) = scales {
            self.scales.extend(scales.into_data().iter::<f32>());
        }
    }

    /// As a file of one row.
    pub(crate) fn into_file(self) -> Result<CodesFile> {
        let (levels, frames) = (self.codes.len(), self.codes.first().map_or(0, Vec::len));
        let codes = Array::new([1, levels, frames], self.codes.concat())?;
        let mut file = CodesFile::new(codes);
        if !self.scales.is_empty() {
            file.scales = Some(Array::new([1, self.scales.len()], self.scales)?);
        }
        Ok(file)
    }
}

/// Frames `frames` of a row, `[1, levels, frames]`.
pub(crate) fn part_tensor<B: Backend>(
    row: &RowCodes,
    frames: Range<usize>,
    device: &B::Device,
) -> Tensor<B, 3, Int> {
    let part: RowCodes = row
        .iter()
        .map(|level| level[frames.clone()].to_vec())
        .collect();
    row_tensor(&part, device)
}

/// Splits codec levels into a model's semantic tokens and codes, if it takes
/// the first level; otherwise they are the model's codes.
pub(crate) fn split(
    mut codes: RowCodes,
    config: &SoundStormConfig,
) -> (Option<Vec<i64>>, RowCodes) {
    if takes_first_level(config) && !codes.is_empty() {
        let semantic = codes.remove(0);
        return (Some(semantic), codes);
    }
    (None, codes)
}

/// A codes file as rows for a model: of exactly its levels, or of one more
/// where it takes the codec's first.
pub(crate) fn for_model(
    file: &CodesFile,
    path: &Path,
    config: &SoundStormConfig,
) -> Result<ModelRows> {
    file.check_codes(path, config.codebook_size)?;
    let [_, levels, frames] = file.codes.shape();
    let mut codes = rows(&file.codes);
    let mut semantic = file.semantic.as_ref().map(semantic_rows);
    if semantic.is_none() && takes_first_level(config) && levels == config.levels() + 1 {
        let (first, rest) = codes
            .into_iter()
            .map(|row| split(row, config))
            .unzip::<_, _, Vec<_>, _>();
        semantic = first.into_iter().collect();
        codes = rest;
    } else if levels != config.levels() {
        let also = match takes_first_level(config) {
            true => format!(
                ", or {} with the codec's first as semantic tokens",
                config.levels() + 1
            ),
            false => String::new(),
        };
        bail!(
            "{}: the model has {} levels{also}, the codes have {levels}",
            path.display(),
            config.levels()
        );
    }
    if let (Some(condition), Some(tokens)) = (&config.semantic, &semantic) {
        for (row, tokens) in tokens.iter().enumerate() {
            let bad = |token: &i64| {
                *token != condition.pad_id && !(0..condition.vocab as i64).contains(token)
            };
            if let Some(at) = tokens.iter().position(bad) {
                bail!(
                    "{}: semantic token {} at {at} of row {row} is not within 0 and {}",
                    path.display(),
                    tokens[at],
                    condition.vocab - 1
                );
            }
        }
    }
    if config.semantic.is_none() {
        // What a model without conditioning has no use for does no harm.
        semantic = None;
    }
    ensure!(
        config.semantic.is_none() || semantic.is_some(),
        "{}: the model is conditioned on semantic tokens, and the file has none",
        path.display()
    );
    ensure!(frames > 0, "{}: the codes have no frames", path.display());
    Ok(ModelRows { codes, semantic })
}

/// A codes file as codec levels: semantic tokens that are the codec's first
/// level are put back in their place.
pub(crate) fn for_codec(file: &CodesFile, path: &Path, spec: &CodecSpec) -> Result<Vec<RowCodes>> {
    let [_, levels, frames] = file.codes.shape();
    let mut codes = rows(&file.codes);
    if let Some(semantic) = &file.semantic {
        let source = file.metadata.other.get(SEMANTIC_SOURCE);
        let first_level = match source {
            Some(source) => source == CODEC_LEVEL_1,
            // A file that does not tell: they fit in front, or they do not.
            None => semantic.shape()[1] == frames && levels < spec.levels,
        };
        if first_level {
            ensure!(
                semantic.shape()[1] == frames,
                "{}: {} semantic tokens beside {frames} frames of codes",
                path.display(),
                semantic.shape()[1]
            );
            for (row, first) in codes.iter_mut().zip(semantic_rows(semantic)) {
                row.insert(0, first);
            }
        }
    }
    let joined = codes.first().map_or(0, Vec::len);
    ensure!(
        joined <= spec.levels,
        "{}: the codec has {} levels, the codes have {joined}",
        path.display(),
        spec.levels
    );
    let size = spec.codebook_size as i64;
    for (row, levels) in codes.iter().enumerate() {
        for (level, codes) in levels.iter().enumerate() {
            if let Some(frame) = codes.iter().position(|code| !(0..size).contains(code)) {
                bail!(
                    "{}: code {} at row {row}, level {}, frame {frame} is not within 0 and {}",
                    path.display(),
                    codes[frame],
                    level + 1,
                    size - 1
                );
            }
        }
    }
    Ok(codes)
}

/// Reads a codes file.
pub(crate) fn read(path: &Path) -> Result<CodesFile> {
    CodesFile::read(path).context("codes file")
}

/// Whether a path names a codes file and not audio.
pub(crate) fn is_codes(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
}

/// Semantic tokens as an array, `[batch, frames]`.
pub(crate) fn semantic_array(rows: &[Vec<i64>]) -> Result<Array<i64, 2>> {
    let frames = rows.first().map_or(0, Vec::len);
    Ok(Array::new([rows.len(), frames], rows.concat())?)
}

/// A tensor's data of one row, for a codec that takes `[1, levels, frames]`.
pub(crate) fn row_tensor<B: Backend>(row: &RowCodes, device: &B::Device) -> Tensor<B, 3, Int> {
    let frames = row.first().map_or(0, Vec::len);
    let data = TensorData::new(row.concat(), [1, row.len(), frames]);
    Tensor::from_data(data, device)
}
