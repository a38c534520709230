//! Text as a condition: symbols embedded and encoded by a conformer of their own, for the frames
//! to attend to, or repeated for as long as they last and added to the frames.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Bool, Int, Tensor, TensorData, backend::Backend},
};
use soundstorm_conformer::{Conformer, Context};
use soundstorm_nn::{Linear, LinearConfig, frame_mask, linear};

use crate::{
    ContextAlignment, ContextConfig, DurationHead, DurationHeadConfig, SoundStormError,
    durations::spread,
};

/// Configuration of [`ContextEncoder`].
#[derive(Clone, Debug)]
pub struct ContextEncoderConfig {
    /// Channels of the frames.
    pub dim: usize,
    /// Symbols, encoder and alignment.
    pub context: ContextConfig,
}

/// The encoder of a context's symbols.
#[derive(Module, Debug)]
pub struct ContextEncoder<B: Backend> {
    /// `[vocab, encoder dim]`.
    pub table: Param<Tensor<B, 2>>,
    /// The encoder.
    pub conformer: Conformer<B>,
    /// From the encoder's channels to the frames', for symbols that are added to frames.
    pub to_frames: Option<Linear<B>>,
    /// Predicts how long symbols last.
    pub durations: Option<DurationHead<B>>,
    vocab: usize,
}

impl ContextEncoderConfig {
    /// An encoder with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ContextEncoder<B> {
        let ContextConfig {
            vocab,
            encoder,
            alignment,
            predict_durations,
            ..
        } = &self.context;
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        // Without a bias a frame that no symbol reaches gets exactly nothing.
        let to_frames = LinearConfig::new(encoder.dim, self.dim).with_bias(false);
        ContextEncoder {
            table: normal.init([*vocab, encoder.dim], device),
            conformer: encoder.init(device),
            to_frames: (*alignment == ContextAlignment::Durations).then(|| to_frames.init(device)),
            durations: predict_durations.then(|| DurationHeadConfig::new(encoder.dim).init(device)),
            vocab: *vocab,
        }
    }
}

impl<B: Backend> ContextEncoder<B> {
    /// Encodes the symbols of each row, which may have none.
    ///
    /// # Returns
    /// Frames `[batch, longest row, encoder dim]`; nothing if no row has symbols.
    ///
    /// # Errors
    /// A symbol that is not in the vocabulary.
    pub fn forward(&self, rows: &[&[i64]]) -> Result<Option<Context<B>>, SoundStormError> {
        let vocab = self.vocab as i64;
        for (index, row) in rows.iter().enumerate() {
            if let Some(place) = row.iter().position(|symbol| !(0..vocab).contains(symbol)) {
                return Err(SoundStormError::Token {
                    what: format!("context of row {index}"),
                    frame: place,
                    got: row[place],
                    limit: vocab - 1,
                });
            }
        }
        let lengths: Vec<usize> = rows.iter().map(|row| row.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        if longest == 0 {
            return Ok(None);
        }
        let mut symbols = Vec::with_capacity(rows.len() * longest);
        for row in rows {
            symbols.extend_from_slice(row);
            symbols.resize(symbols.len() + longest - row.len(), 0);
        }
        let table = self.table.val();
        let (device, dim) = (table.device(), table.dims()[1]);
        let count = symbols.len();
        let symbols = Tensor::<B, 1, Int>::from_data(TensorData::new(symbols, [count]), &device);
        let embedded = table.select(0, symbols).reshape([rows.len(), longest, dim]);
        let mask = frame_mask(&lengths, longest, &device);
        Ok(Some(Context {
            frames: self.conformer.forward(embedded, mask),
            lengths,
        }))
    }

    /// What is added to the frames: each symbol for as long as it lasts. `None` for a model that
    /// attends to the symbols instead.
    ///
    /// # Shapes
    /// - `durations`: of each row's symbols, in frames
    /// - output: `[batch, frames, dim]`
    ///
    /// # Errors
    /// Durations that are not one for each symbol, or last longer than the frames.
    pub fn aligned(
        &self,
        encoded: &Context<B>,
        durations: &[Vec<usize>],
        frames: usize,
    ) -> Result<Option<Tensor<B, 3>>, SoundStormError> {
        let Some(to_frames) = &self.to_frames else {
            return Ok(None);
        };
        let [batch, longest, dim] = encoded.frames.dims();
        let device = encoded.frames.device();
        let mut places = Vec::with_capacity(batch * frames);
        for (row, (durations, &symbols)) in durations.iter().zip(&encoded.lengths).enumerate() {
            let symbols = spread(durations, symbols, frames, row)?;
            places.extend(symbols.into_iter().map(|s| s.map(|s| row * longest + s)));
        }
        let ids: Vec<i64> = places.iter().map(|at| at.unwrap_or(0) as i64).collect();
        let none: Vec<bool> = places.iter().map(Option::is_none).collect();
        let count = places.len();
        let ids = Tensor::<B, 1, Int>::from_data(TensorData::new(ids, [count]), &device);
        let none = Tensor::<B, 2, Bool>::from_data(TensorData::new(none, [count, 1]), &device);
        let flat = encoded.frames.clone().reshape([batch * longest, dim]);
        let chosen = flat
            .select(0, ids)
            .mask_fill(none.expand([count, dim]), 0.0);
        Ok(Some(linear(
            chosen.reshape([batch, frames, dim]),
            to_frames,
        )))
    }
}
