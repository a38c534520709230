//! The masks a model is trained on (SoundStorm, arXiv 2305.09636, section 3.2).

use std::f64::consts::FRAC_PI_2;

use burn::tensor::{Bool, Int, Tensor, TensorData, backend::Backend};
use rand::{Rng, RngExt};

use crate::TrainingMaskError;

/// What was drawn for one row of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct RowMask {
    /// The row's real frames; those after them are padding and never masked.
    pub frames: usize,
    /// The prompt delimiter: frames before it are never masked.
    pub prompt: usize,
    /// The level whose masked tokens are predicted, 0-based; finer ones are masked from `prompt` on.
    pub level: usize,
    /// The probability with which each frame of `level` from `prompt` on was masked.
    pub ratio: f64,
    /// The frames masked at `level`, of the length of the batch's frames.
    pub masked: Vec<bool>,
}

/// The training mask of a batch, drawn row by row.
///
/// For each row the prompt delimiter t is uniform on `0..frames`, the level q uniform over the
/// levels, and the ratio is `cos(u)` with u uniform on `[0, pi/2)`. From frame t on, each token of
/// level q is masked with that ratio and every token of a finer level is masked. Where nothing of
/// level q would be masked, one of its frames from t on is, taken at random: the paper does not
/// say what happens then, and the loss would be 0/0.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingMask {
    rows: Vec<RowMask>,
    levels: usize,
    frames: usize,
}

/// A batch with its tokens masked.
#[derive(Debug, Clone)]
pub struct MaskedBatch<B: Backend> {
    /// `[batch, levels, frames]`, the mask id where masked: the network's input.
    pub tokens: Tensor<B, 3, Int>,
    /// `[batch, frames]`, true where the row's level counts in the loss.
    pub counted: Tensor<B, 2, Bool>,
    /// `[batch]`, the level predicted in each row, 0-based.
    pub levels: Vec<usize>,
}

impl TrainingMask {
    /// Draws a mask for rows of `lengths` real frames out of `frames`.
    ///
    /// # Errors
    /// If there is no row, level or frame, or a length is 0 or above `frames`.
    pub fn draw<R: Rng + ?Sized>(
        lengths: &[usize],
        levels: usize,
        frames: usize,
        rng: &mut R,
    ) -> Result<Self, TrainingMaskError> {
        let shape = [lengths.len(), levels, frames];
        if shape.contains(&0) {
            return Err(TrainingMaskError::Empty { got: shape });
        }
        let in_range = |length: &usize| (1..=frames).contains(length);
        if let Some(row) = lengths.iter().position(|length| !in_range(length)) {
            return Err(TrainingMaskError::Length {
                row,
                got: lengths[row],
                limit: frames,
            });
        }
        let rows = lengths
            .iter()
            .map(|&length| RowMask::draw(length, levels, frames, rng))
            .collect();
        Ok(Self {
            rows,
            levels,
            frames,
        })
    }

    /// A mask that was drawn elsewhere.
    ///
    /// # Errors
    /// If there is no row, level or frame; a row has another number of frames than `frames`, a
    /// level above `levels`, nothing masked, or something masked that is prompt or padding.
    pub fn from_rows(
        rows: Vec<RowMask>,
        levels: usize,
        frames: usize,
    ) -> Result<Self, TrainingMaskError> {
        let shape = [rows.len(), levels, frames];
        if shape.contains(&0) {
            return Err(TrainingMaskError::Empty { got: shape });
        }
        for (index, row) in rows.iter().enumerate() {
            if !(1..=frames).contains(&row.frames) {
                return Err(TrainingMaskError::Length {
                    row: index,
                    got: row.frames,
                    limit: frames,
                });
            }
            let open = row.prompt..row.frames;
            let fits = |frame: usize| row.masked[frame] <= open.contains(&frame);
            let is_whole = row.masked.len() == frames && row.level < levels;
            if !is_whole || !row.masked.contains(&true) || !(0..frames).all(fits) {
                return Err(TrainingMaskError::Row { row: index });
            }
        }
        Ok(Self {
            rows,
            levels,
            frames,
        })
    }

    /// What was drawn for each row.
    pub fn rows(&self) -> &[RowMask] {
        &self.rows
    }

    /// Batch, levels and frames.
    pub fn shape(&self) -> [usize; 3] {
        [self.rows.len(), self.levels, self.frames]
    }

    /// The level predicted in each row, 0-based.
    pub fn levels(&self) -> Vec<usize> {
        self.rows.iter().map(|row| row.level).collect()
    }

    /// The positions that count in the loss: `[batch, frames]`, row-major, each of its row's level.
    pub fn counted(&self) -> Vec<bool> {
        self.rows
            .iter()
            .flat_map(|row| row.masked.iter().copied())
            .collect()
    }

    /// The positions whose token is hidden: `[batch, levels, frames]`, row-major.
    pub fn hidden(&self) -> Vec<bool> {
        let mut hidden = Vec::with_capacity(self.rows.len() * self.levels * self.frames);
        for row in &self.rows {
            for level in 0..self.levels {
                hidden.extend((0..self.frames).map(|frame| row.hides(level, frame)));
            }
        }
        hidden
    }

    /// The tokens with the hidden ones replaced by `mask_id`; both `[batch, levels, frames]`,
    /// row-major.
    ///
    /// # Errors
    /// If the number of tokens does not fit the mask's shape.
    pub fn apply(&self, tokens: &[i64], mask_id: usize) -> Result<Vec<i64>, TrainingMaskError> {
        let hidden = self.hidden();
        if tokens.len() != hidden.len() {
            return Err(TrainingMaskError::Shape {
                expected: self.shape(),
                got: vec![tokens.len()],
            });
        }
        let masked = tokens.iter().zip(hidden);
        Ok(masked
            .map(|(&token, hidden)| if hidden { mask_id as i64 } else { token })
            .collect())
    }

    /// [`apply`](Self::apply) on the tokens' device, with what the loss needs.
    ///
    /// # Shapes
    /// - tokens: `[batch, levels, frames]`
    ///
    /// # Errors
    /// If the tokens' shape is not the mask's.
    pub fn apply_tensor<B: Backend>(
        &self,
        tokens: Tensor<B, 3, Int>,
        mask_id: usize,
    ) -> Result<MaskedBatch<B>, TrainingMaskError> {
        let shape = self.shape();
        if tokens.dims() != shape {
            return Err(TrainingMaskError::Shape {
                expected: shape,
                got: tokens.dims().to_vec(),
            });
        }
        let [batch, _, frames] = shape;
        let device = tokens.device();
        let hidden = Tensor::from_data(TensorData::new(self.hidden(), shape), &device);
        let counted = TensorData::new(self.counted(), [batch, frames]);
        Ok(MaskedBatch {
            tokens: tokens.mask_fill(hidden, mask_id as i64),
            counted: Tensor::from_data(counted, &device),
            levels: self.levels(),
        })
    }
}

impl RowMask {
    fn draw<R: Rng + ?Sized>(length: usize, levels: usize, frames: usize, rng: &mut R) -> Self {
        let prompt = rng.random_range(0..length);
        let level = rng.random_range(0..levels);
        let ratio = (FRAC_PI_2 * rng.random::<f64>()).cos();
        let mut masked = vec![false; frames];
        for frame in &mut masked[prompt..length] {
            *frame = rng.random::<f64>() < ratio;
        }
        if !masked.contains(&true) {
            masked[rng.random_range(prompt..length)] = true;
        }
        Self {
            frames: length,
            prompt,
            level,
            ratio,
            masked,
        }
    }

    /// Whether the token of this level and frame is hidden from the network.
    pub fn hides(&self, level: usize, frame: usize) -> bool {
        if level == self.level {
            self.masked[frame]
        } else {
            level > self.level && (self.prompt..self.frames).contains(&frame)
        }
    }
}
