//! How likely a model finds a row: its pseudo-log-likelihood (Salazar et al., 2020, arXiv
//! 1910.14659), with frames masked a part at a time, as a model of masked tokens is trained.

use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use soundstorm_maskgit::{confidence::log_probability, step_noise};

use crate::{Conditions, RowCodes, SoundStorm, SoundStormError};

/// A row whose likelihood is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreRow {
    /// Its codes, `[levels][frames]`.
    pub codes: RowCodes,
    /// The first frame that counts; those before it are a prompt.
    pub from: usize,
    /// What the whole row is conditioned on.
    pub conditions: Conditions,
    /// What divides the frames into parts; to compare rows give them the same.
    pub seed: u64,
}

impl<B: Backend> SoundStorm<B> {
    /// The mean log-probability, in nats, of each row's codes from `from` on. At each level the
    /// frames are divided at random into `parts`; each part is masked in turn, with all finer levels,
    /// and its codes are scored. So every code counts once, in `levels * parts` passes.
    ///
    /// # Errors
    /// Rows that do not fit the model or have no frame to score, and 0 parts.
    pub fn pseudo_log_likelihood(
        &self,
        rows: &[ScoreRow],
        parts: usize,
    ) -> Result<Vec<f64>, SoundStormError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if parts == 0 {
            return Err(SoundStormError::Empty("parts to score"));
        }
        let mut lengths = Vec::with_capacity(rows.len());
        for row in rows {
            self.check_row("row to score", &row.codes, |_, _| true)?;
            let frames = row.codes.first().map_or(0, Vec::len);
            if row.from >= frames {
                return Err(SoundStormError::Empty("row to score"));
            }
            lengths.push(frames);
        }
        let frames = self.padded(lengths.iter().copied().max().unwrap_or(0));
        let conditions: Vec<Conditions> = rows.iter().map(|row| row.conditions.clone()).collect();
        self.require(&conditions)?;
        let prepared = self.prepare(&conditions, Some(&lengths), frames)?;

        let (device, levels) = (self.device(), self.levels());
        let tensor = |values: Vec<i64>| -> Tensor<B, 3, Int> {
            let data = TensorData::new(values, [rows.len(), levels, frames]);
            Tensor::from_data(data, &device)
        };
        let mut sums = vec![0.0; rows.len()];
        for level in 0..levels {
            let parts_of: Vec<Vec<usize>> = rows
                .iter()
                .map(|row| {
                    let uniforms = step_noise(row.seed, level, 0, row.codes[0].len()).uniforms;
                    let part = |uniform: &f32| (*uniform as f64 * parts as f64) as usize;
                    uniforms.iter().map(part).collect()
                })
                .collect();
            for part in 0..parts {
                let masked = |row: usize, at: usize, frame: usize| {
                    let open = frame >= rows[row].from;
                    open && (at > level || (at == level && parts_of[row][frame] == part))
                };
                let scored: Vec<Vec<usize>> = (0..rows.len())
                    .map(|row| {
                        (0..lengths[row])
                            .filter(|&f| masked(row, level, f))
                            .collect()
                    })
                    .collect();
                if scored.iter().all(Vec::is_empty) {
                    continue;
                }
                let mut tokens = Vec::with_capacity(rows.len() * levels * frames);
                let mut codes = Vec::with_capacity(rows.len() * frames);
                for (index, row) in rows.iter().enumerate() {
                    for at in 0..levels {
                        let shown = row.codes[at].iter().enumerate().map(|(frame, &code)| {
                            match masked(index, at, frame) {
                                true => self.mask_id() as i64,
                                false => code,
                            }
                        });
                        let padding = frames - lengths[index];
                        tokens.extend(shown);
                        tokens.resize(tokens.len() + padding, self.mask_id() as i64);
                        if at == level {
                            codes.extend(&row.codes[at]);
                            codes.resize(codes.len() + padding, 0);
                        }
                    }
                }
                // Each pass is a first one: no row was seen before.
                let mut passes = self.passes(&prepared, Some(&lengths));
                let logits = passes.level_logits(tensor(tokens), level);
                let codes = TensorData::new(codes, [rows.len(), frames]);
                let codes = Tensor::from_data(codes, &device);
                let found: Vec<f64> = log_probability(logits, codes).into_data().iter().collect();
                for (row, scored) in scored.into_iter().enumerate() {
                    sums[row] += scored.iter().map(|f| found[row * frames + f]).sum::<f64>();
                }
            }
        }
        let counts = rows
            .iter()
            .zip(&lengths)
            .map(|(row, length)| length - row.from);
        let means = sums.into_iter().zip(counts);
        Ok(means
            .map(|(sum, count)| sum / (count * levels) as f64)
            .collect())
    }
}
