//! What a decode starts from, read from the device once and checked.

use burn::tensor::{Bool, Int, Tensor, TensorData, backend::Backend};

use crate::{DecodeError, DecodeRow};

/// The tokens at the start, on the host.
pub(crate) struct Given {
    tokens: Vec<i64>,
    real: Vec<usize>,
    levels: usize,
    frames: usize,
    mask_id: i64,
}

impl Given {
    /// Reads `[batch, levels, frames]` tokens, and checks them and their rows.
    pub(crate) fn new<B: Backend, E>(
        tokens: &Tensor<B, 3, Int>,
        rows: &[DecodeRow],
        mask_id: usize,
    ) -> Result<Self, DecodeError<E>> {
        let shape = tokens.dims();
        let [batch, levels, frames] = shape;
        if shape.contains(&0) {
            return Err(DecodeError::Empty { got: shape });
        }
        if rows.len() != batch {
            return Err(DecodeError::Rows {
                expected: batch,
                got: rows.len(),
            });
        }
        if let Some(row) = rows.iter().position(|row| row.frames > frames) {
            return Err(DecodeError::RowFrames {
                row,
                got: rows[row].frames,
                limit: frames,
            });
        }
        if mask_id == 0 || mask_id > i32::MAX as usize {
            return Err(DecodeError::MaskId { got: mask_id });
        }
        let tokens: Vec<i64> = tokens.to_data().iter().collect();
        let bad = |token: &i64| !(0..=mask_id as i64).contains(token);
        if let Some(index) = tokens.iter().position(bad) {
            return Err(DecodeError::Token {
                row: index / (levels * frames),
                level: index / frames % levels,
                frame: index % frames,
                got: tokens[index],
                mask_id,
            });
        }
        Ok(Self {
            tokens,
            real: rows.iter().map(|row| row.frames).collect(),
            levels,
            frames,
            mask_id: mask_id as i64,
        })
    }

    /// The masked real frames of a row at a level.
    pub(crate) fn masked(&self, level: usize, row: usize) -> impl Iterator<Item = usize> + '_ {
        let start = (row * self.levels + level) * self.frames;
        (0..self.real[row]).filter(move |frame| self.tokens[start + frame] == self.mask_id)
    }

    /// Whether each frame of the level is masked and real, `[rows, frames]`.
    pub(crate) fn masked_tensor<B: Backend>(
        &self,
        level: usize,
        rows: &[usize],
        device: &B::Device,
    ) -> Tensor<B, 2, Bool> {
        let mut masked = vec![false; rows.len() * self.frames];
        for (place, &row) in rows.iter().enumerate() {
            for frame in self.masked(level, row) {
                masked[place * self.frames + frame] = true;
            }
        }
        Tensor::from_data(TensorData::new(masked, [rows.len(), self.frames]), device)
    }
}
