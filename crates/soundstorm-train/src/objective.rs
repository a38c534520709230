//! The one place that turns windows into the model's batches and calls its loss.

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use soundstorm::{
    SemanticConfig, SoundStorm, SoundStormConfig, SoundStormError, TrainingBatch,
    maskgit::{TrainingMask, row_seed},
};

use crate::{
    Result,
    config::takes_first_level,
    data::{Dataset, Window},
};

/// The stream of a seed that masks are drawn from.
const MASKS: usize = 1;

/// A piece of a batch with its mask, on the host.
#[derive(Clone, Debug)]
pub(crate) struct MicroBatch {
    windows: Vec<Window>,
    mask: TrainingMask,
    /// Masked tokens that the loss is a mean over.
    pub(crate) counted: usize,
}

impl MicroBatch {
    /// Cuts a batch into pieces of equal numbers of rows. Each row's mask is drawn from a stream of
    /// the seed, the step and the row's place in the batch: however a batch is cut, and whoever
    /// computes a piece, the masks are the same.
    pub(crate) fn cut(
        windows: &[Window],
        pieces: usize,
        levels: usize,
        seed: u64,
        step: u64,
    ) -> Result<Vec<Self>> {
        let rows = windows.len().div_ceil(pieces.max(1)).max(1);
        let seed = row_seed(row_seed(seed, MASKS), step as usize);
        let pieces = windows.chunks(rows).enumerate();
        pieces
            .map(|(piece, windows)| Self::draw(windows, levels, seed, piece * rows))
            .collect()
    }

    fn draw(windows: &[Window], levels: usize, seed: u64, first: usize) -> Result<Self> {
        let frames = lengths(windows).into_iter().max().unwrap_or(0);
        let mut rows = Vec::with_capacity(windows.len());
        for (row, window) in windows.iter().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream((first + row) as u64);
            let mask = TrainingMask::draw(&[window.frames], levels, frames, &mut rng);
            rows.extend_from_slice(mask.map_err(SoundStormError::from)?.rows());
        }
        let mask = TrainingMask::from_rows(rows, levels, frames).map_err(SoundStormError::from)?;
        let counted = mask.counted().iter().filter(|&&counts| counts).count();
        Ok(Self {
            windows: windows.to_vec(),
            mask,
            counted,
        })
    }

    /// The mean cross-entropy of its masked tokens, `[1]`.
    pub(crate) fn loss<B: Backend>(
        &self,
        model: &SoundStorm<B>,
        config: &SoundStormConfig,
        dataset: &Dataset,
        device: &B::Device,
    ) -> Result<Tensor<B, 1>> {
        let batch = batch(&self.windows, config, dataset, device);
        Ok(model.masked_loss(&batch, &self.mask)?)
    }
}

fn lengths(windows: &[Window]) -> Vec<usize> {
    windows.iter().map(|window| window.frames).collect()
}

/// Frames at whose multiples windows start, so that semantic tokens can be cut where they are.
pub(crate) fn grid(config: &SoundStormConfig) -> usize {
    match &config.semantic {
        Some(semantic) if !takes_first_level(config) => ratio(semantic).1,
        _ => 1,
    }
}

/// Semantic tokens for so many acoustic frames, in lowest terms.
fn ratio(semantic: &SemanticConfig) -> (usize, usize) {
    let tokens = semantic.acoustic_hop as usize * semantic.semantic_sample_rate as usize;
    let frames = semantic.semantic_hop as usize * semantic.acoustic_sample_rate as usize;
    let (mut a, mut b) = (tokens, frames);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let divisor = a.max(1);
    (tokens / divisor, frames / divisor)
}

/// Windows as a batch of the model's: padded with the first code to the longest, with their lengths.
pub(crate) fn batch<B: Backend>(
    windows: &[Window],
    config: &SoundStormConfig,
    dataset: &Dataset,
    device: &B::Device,
) -> TrainingBatch<B> {
    let first = usize::from(takes_first_level(config));
    let (levels, lengths) = (config.levels(), lengths(windows));
    let frames = lengths.iter().max().copied().unwrap_or(0);
    let mut codes = Vec::with_capacity(windows.len() * levels * frames);
    for window in windows {
        let utterance = &dataset.utterances()[window.utterance];
        for level in first..first + levels {
            codes.extend(utterance.codes(level, window.start, window.frames));
            codes.resize(codes.len() + frames - window.frames, 0);
        }
    }
    let shape = [windows.len(), levels, frames];
    let codes = Tensor::<B, 3, Int>::from_data(TensorData::new(codes, shape), device);
    let semantic = config.semantic.as_ref().map(|semantic| {
        let rows = windows.iter();
        rows.map(|window| tokens(window, semantic, first == 1, dataset))
            .collect()
    });
    TrainingBatch {
        lengths: Some(lengths),
        semantic,
        ..TrainingBatch::new(codes)
    }
}

/// The semantic tokens of a window: the codec's first level, or those that its frames last.
fn tokens(
    window: &Window,
    semantic: &SemanticConfig,
    is_first_level: bool,
    dataset: &Dataset,
) -> Vec<i64> {
    let utterance = &dataset.utterances()[window.utterance];
    if is_first_level {
        return utterance.codes(0, window.start, window.frames).collect();
    }
    let all = utterance.semantic().unwrap_or_default();
    let (tokens, frames) = ratio(semantic);
    let start = (window.start / frames * tokens).min(all.len());
    let end = (window.start + window.frames) * tokens;
    let end = end.div_ceil(frames).clamp(start, all.len());
    all[start..end].iter().map(|&token| token.into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_in_lowest_terms() {
        let semantic = |hop, rate| SemanticConfig {
            acoustic_hop: hop,
            acoustic_sample_rate: rate,
            ..SemanticConfig::new(7)
        };
        assert_eq!(ratio(&semantic(320, 16_000)), (1, 1));
        // 50 Hz beside 75 Hz, and beside 12.5 Hz.
        assert_eq!(ratio(&semantic(320, 24_000)), (2, 3));
        assert_eq!(ratio(&semantic(1920, 24_000)), (4, 1));
    }
}
