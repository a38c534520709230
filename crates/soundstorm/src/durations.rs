//! How many frames the symbols of a context last: predicted for each symbol and summed for a row
//! (FastSpeech, arXiv 1905.09263, sections 3.2 and 3.3).

use burn::{
    config::Config,
    module::Module,
    tensor::{DType, Tensor, TensorData, activation, backend::Backend},
};
use soundstorm_nn::{Linear, LinearConfig, linear_swish};

use crate::{ScoreHead, ScoreHeadConfig, SoundStormError};

/// Configuration of [`DurationHead`].
#[derive(Config, Debug)]
pub struct DurationHeadConfig {
    /// Channels of the encoded symbols.
    pub dim: usize,
}

/// Predicts durations from encoded symbols.
#[derive(Module, Debug)]
pub struct DurationHead<B: Backend> {
    /// `dim` to `dim`.
    pub hidden: Linear<B>,
    /// To one number, the duration before its softplus.
    pub score: ScoreHead<B>,
}

impl DurationHeadConfig {
    /// A head with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> DurationHead<B> {
        DurationHead {
            hidden: LinearConfig::new(self.dim, self.dim).init(device),
            score: ScoreHeadConfig::new(self.dim).init(device),
        }
    }
}

impl<B: Backend> DurationHead<B> {
    /// Durations in frames, above 0, in single precision.
    ///
    /// # Shapes
    /// - `encoded`: `[batch, symbols, dim]`
    /// - output: `[batch, symbols]`
    pub fn forward(&self, encoded: Tensor<B, 3>) -> Tensor<B, 2> {
        let score = self.score.forward(linear_swish(encoded, &self.hidden), 0);
        // A softplus that does not overflow.
        activation::log_sigmoid(score.neg()).neg()
    }
}

/// What is known of the durations of one row.
pub(crate) struct DurationTarget {
    /// Symbols of the row.
    pub(crate) symbols: usize,
    /// Frames of each symbol, if they are known.
    pub(crate) durations: Option<Vec<usize>>,
    /// Frames of the row.
    pub(crate) frames: usize,
}

/// The mean over the rows of squared differences of logarithms: of `1 + duration` over a row's
/// symbols where they are known, and of the sum of its durations where they are not. Rows without
/// symbols do not count; `None` if none does.
///
/// # Shapes
/// - `predicted`: `[batch, symbols]`
/// - output: `[1]`
pub(crate) fn duration_loss<B: Backend>(
    predicted: Tensor<B, 2>,
    targets: &[DurationTarget],
) -> Option<Tensor<B, 1>> {
    let counted = targets.iter().filter(|row| row.symbols > 0).count();
    if counted == 0 {
        return None;
    }
    let [batch, symbols] = predicted.dims();
    let device = predicted.device();
    let mut real = vec![0f32; batch * symbols];
    let mut logs = vec![0f32; batch * symbols];
    let mut weights = vec![0f32; batch * symbols];
    let mut of_sums = vec![0f32; batch];
    let mut log_frames = vec![0f32; batch];
    for (index, row) in targets
        .iter()
        .enumerate()
        .filter(|(_, row)| row.symbols > 0)
    {
        let start = index * symbols;
        real[start..start + row.symbols].fill(1.0);
        match &row.durations {
            Some(durations) => {
                for (at, &duration) in durations.iter().enumerate() {
                    logs[start + at] = (duration as f32).ln_1p();
                    weights[start + at] = 1.0 / row.symbols as f32;
                }
            }
            None => {
                of_sums[index] = 1.0;
                log_frames[index] = (row.frames.max(1) as f32).ln();
            }
        }
    }
    let tensor = |values: Vec<f32>, width: usize| {
        let data = TensorData::new(values, [batch, width]);
        Tensor::<B, 2>::from_data(data, (&device, DType::F32))
    };
    let of_symbols = (predicted.clone() + 1.0).log() - tensor(logs, symbols);
    let of_symbols = (of_symbols.square() * tensor(weights, symbols)).sum();
    // Rows that do not count have a sum of 1, whose logarithm is sound.
    let sums = (predicted * tensor(real, symbols)).sum_dim(1);
    let of_sums = tensor(of_sums, 1);
    let sums = sums * of_sums.clone() + (of_sums.clone().neg() + 1.0);
    let of_rows = (sums.log() - tensor(log_frames, 1)).square() * of_sums;
    Some((of_symbols + of_rows.sum()) / counted as f64)
}

/// Whole frames for durations, by rounding where each symbol ends, so that they add up: to
/// `total`, if it is given, and to their rounded sum otherwise. They are scaled to either, so that
/// both ways agree where the totals do.
pub(crate) fn whole_frames(durations: &[f32], total: Option<usize>) -> Vec<usize> {
    let sum: f64 = durations.iter().map(|&duration| f64::from(duration)).sum();
    let total = total.unwrap_or(sum.round() as usize);
    let scale = match sum > 0.0 {
        true => total as f64 / sum,
        false => 1.0,
    };
    let (mut end, mut last) = (0.0, 0);
    let mut frames: Vec<usize> = durations
        .iter()
        .map(|&duration| {
            end += f64::from(duration) * scale;
            let whole = end.round() as usize;
            let frames = whole - last;
            last = whole;
            frames
        })
        .collect();
    // Sums of many small numbers may end next to where they should.
    if let Some(frames) = frames.last_mut() {
        *frames = (*frames + total).saturating_sub(last);
    }
    frames
}

/// The symbol that each of the first `frames` frames belongs to, if any.
///
/// # Errors
/// Durations that are not one for each symbol, or last longer than the frames.
pub(crate) fn spread(
    durations: &[usize],
    symbols: usize,
    frames: usize,
    row: usize,
) -> Result<Vec<Option<usize>>, SoundStormError> {
    let sum = durations
        .iter()
        .try_fold(0usize, |sum, &frames| sum.checked_add(frames))
        .filter(|&sum| sum <= frames);
    let fits = durations.len() == symbols;
    let Some(sum) = sum.filter(|_| fits) else {
        return Err(SoundStormError::Shape {
            what: "durations",
            expected: format!("{symbols} of at most {frames} frames in all, for row {row}"),
            got: format!("{durations:?}"),
        });
    };
    let mut places = Vec::with_capacity(frames);
    for (symbol, &frames) in durations.iter().enumerate() {
        places.extend(std::iter::repeat_n(Some(symbol), frames));
    }
    debug_assert_eq!(places.len(), sum);
    places.resize(frames, None);
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    type B = burn_flex::Flex;

    #[test]
    fn whole_frames_add_up() {
        assert_eq!(whole_frames(&[0.4, 0.4, 0.4], None), [0, 1, 0]);
        assert_eq!(whole_frames(&[1.0, 2.0], Some(9)), [3, 6]);
        for total in [0, 1, 7, 100] {
            let durations = [0.3, 2.7, 1.1, 5.0, 0.01];
            let frames = whole_frames(&durations, Some(total));
            assert_eq!(frames.iter().sum::<usize>(), total);
        }
        assert_eq!(whole_frames(&[], Some(3)), [0usize; 0]);
    }

    #[test]
    fn symbols_are_spread_over_their_frames() {
        let places = spread(&[2, 0, 1], 3, 5, 0).expect("they fit");
        assert_eq!(places, [Some(0), Some(0), Some(2), None, None]);
        for bad in [vec![2, 0], vec![3, 3, 0], vec![usize::MAX, 2, 0]] {
            let error = spread(&bad, 3, 5, 7).expect_err("it is bad").to_string();
            assert!(error.contains("row 7"), "{error}");
        }
    }

    /// By the definition, of rows with durations, with frames alone, and with neither.
    #[test]
    fn the_loss_follows_its_definition() {
        let predicted = [[1.5f32, 2.5, 9.0], [4.0, 3.0, 2.0], [7.0, 7.0, 7.0]];
        let target = |symbols, durations, frames| DurationTarget {
            symbols,
            durations,
            frames,
        };
        let targets = [
            target(2, Some(vec![1, 0]), 40),
            target(3, None, 5),
            target(0, None, 4),
        ];
        let predicted = Tensor::<B, 2>::from_data(predicted, &Default::default());
        let got = duration_loss(predicted.clone(), &targets).expect("two rows count");
        let square = |a: f32, b: f32| (a.ln() - b.ln()).powi(2);
        let first = (square(2.5, 2.0) + square(3.5, 1.0)) / 2.0;
        let want = (first + square(9.0, 5.0)) / 2.0;
        assert!((got.into_scalar() - want).abs() < 1e-5);
        assert!(duration_loss(predicted.narrow(0, 0, 1), &targets[2..]).is_none());
    }
}
