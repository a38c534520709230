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
    use soundstorm::{Preset, SemanticSource};

    type B = burn_flex::Flex;

    fn windows(spans: &[(usize, usize)]) -> Vec<Window> {
        let windows = spans.iter().map(|&(start, frames)| Window {
            utterance: 0,
            start,
            frames,
        });
        windows.collect()
    }

    /// A file of 13 frames and 3 levels: 100 for each level and 1 for each frame.
    fn codes() -> Vec<Vec<u16>> {
        let level = |level: u16| (0..13).map(|frame| 100 * level + frame).collect();
        (0..3).map(level).collect()
    }

    fn config(levels: usize, semantic: Option<SemanticConfig>) -> SoundStormConfig {
        SoundStormConfig {
            num_quantizers: levels,
            semantic,
            ..Preset::Small.config()
        }
    }

    #[test]
    fn rows_are_padded_to_the_longest() {
        let dataset = Dataset::of(&codes(), None);
        let config = config(3, None);
        let batch = batch::<B>(
            &windows(&[(4, 2), (7, 3)]),
            &config,
            &dataset,
            &Default::default(),
        );
        assert_eq!(batch.lengths, Some(vec![2, 3]));
        assert_eq!(batch.codes.dims(), [2, 3, 3]);
        let got: Vec<i64> = batch.codes.into_data().iter::<i64>().collect();
        let short = [4, 5, 0, 104, 105, 0, 204, 205, 0];
        let long = [7, 8, 9, 107, 108, 109, 207, 208, 209];
        assert_eq!(got, [short, long].concat());
        assert!(batch.semantic.is_none());
    }

    #[test]
    fn the_first_level_goes_apart_where_the_model_takes_it() {
        let dataset = Dataset::of(&codes(), None);
        let semantic = SemanticConfig {
            source: SemanticSource::CodecLevel1,
            ..SemanticConfig::new(7)
        };
        let config = config(2, Some(semantic));
        assert_eq!(grid(&config), 1);
        let batch = batch::<B>(&windows(&[(4, 2)]), &config, &dataset, &Default::default());
        let got: Vec<i64> = batch.codes.into_data().iter::<i64>().collect();
        assert_eq!(got, [104, 105, 204, 205]);
        assert_eq!(batch.semantic, Some(vec![vec![4, 5]]));
    }

    /// Two tokens for three frames: windows start where a token does, and their last token may
    /// last longer than they.
    #[test]
    fn semantic_tokens_of_another_rate_are_cut_with_their_frames() {
        let dataset = Dataset::of(&codes(), Some((0..9).collect()));
        let semantic = SemanticConfig {
            acoustic_sample_rate: 24_000,
            ..SemanticConfig::new(9)
        };
        let config = config(3, Some(semantic));
        assert_eq!(grid(&config), 3);
        let spans = windows(&[(0, 3), (6, 4), (9, 4)]);
        let batch = batch::<B>(&spans, &config, &dataset, &Default::default());
        let want = [vec![0, 1], vec![4, 5, 6], vec![6, 7, 8]];
        assert_eq!(batch.semantic, Some(want.to_vec()));
    }

    /// A row's mask is its own, whatever piece it is in and whatever its neighbours.
    #[test]
    fn masks_belong_to_rows() {
        let rows = windows(&[(0, 5), (1, 9), (2, 7), (0, 13)]);
        let masks = |pieces: usize, step: u64| {
            let pieces = MicroBatch::cut(&rows, pieces, 3, 7, step).expect("they can be masked");
            let rows = pieces.iter().flat_map(|piece| piece.mask.rows().to_vec());
            let rows = rows.map(|row| (row.prompt, row.level, row.masked[..row.frames].to_vec()));
            let counted: usize = pieces.iter().map(|piece| piece.counted).sum();
            (rows.collect::<Vec<_>>(), counted)
        };
        assert_eq!(masks(1, 4), masks(2, 4));
        assert_eq!(masks(1, 4), masks(4, 4));
        assert_ne!(masks(1, 4), masks(1, 5));
        let (rows, counted) = masks(1, 4);
        let masked = rows.iter().flat_map(|row| &row.2).filter(|&&masked| masked);
        assert_eq!(masked.count(), counted);
    }

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
