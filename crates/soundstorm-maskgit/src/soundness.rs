//! Whether logits and scores were sound, told by flags that stay on the device until the end.

use burn::tensor::{Bool, Int, Tensor, backend::Backend};

use crate::{DecodeError, PassAt};

/// Flags of a row: a frame without any code, and one whose numbers are no distribution.
const NO_CODE: i64 = 1;
const NOT_FINITE: i64 = 2;

/// What was looked at.
#[derive(Clone, Copy)]
enum Source {
    Logits,
    Scores,
}

/// What was looked at, and the rows that have a flag of it.
struct Look {
    at: PassAt,
    source: Source,
    rows: Vec<usize>,
}

/// The flags of all passes.
pub(crate) struct Soundness<B: Backend> {
    looks: Vec<Look>,
    flags: Vec<Tensor<B, 2, Int>>,
}

impl<B: Backend> Soundness<B> {
    pub(crate) fn new() -> Self {
        Self {
            looks: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// Looks at the logits of some rows, at the frames that count.
    pub(crate) fn logits(
        &mut self,
        at: PassAt,
        rows: &[usize],
        logits: Tensor<B, 3>,
        counted: Tensor<B, 2, Bool>,
    ) {
        let best = logits.clone().max_dim(2);
        // A sum is NaN if any term is; whether a maximum is, depends on the backend.
        let not_finite = logits
            .sum_dim(2)
            .is_nan()
            .bool_or(best.clone().equal_elem(f32::INFINITY));
        let no_code = best.equal_elem(f32::NEG_INFINITY);
        let flags = not_finite.int() * NOT_FINITE + no_code.int() * NO_CODE;
        self.take(at, Source::Logits, rows, flags.squeeze_dim(2), counted);
    }

    /// Looks at a critic's scores of some rows, at the frames that count.
    pub(crate) fn scores(
        &mut self,
        at: PassAt,
        rows: &[usize],
        scores: Tensor<B, 2>,
        counted: Tensor<B, 2, Bool>,
    ) {
        let flags = scores.is_finite().bool_not().int() * NOT_FINITE;
        self.take(at, Source::Scores, rows, flags, counted);
    }

    fn take(
        &mut self,
        at: PassAt,
        source: Source,
        rows: &[usize],
        flags: Tensor<B, 2, Int>,
        counted: Tensor<B, 2, Bool>,
    ) {
        let rows = rows.to_vec();
        self.looks.push(Look { at, source, rows });
        let flags = flags.mask_fill(counted.bool_not(), 0);
        self.flags.push(flags.max_dim(1));
    }

    /// Reads all flags in one go, and tells the first row of the first pass that has one.
    pub(crate) fn report<E>(self) -> Result<(), DecodeError<E>> {
        if self.flags.is_empty() {
            return Ok(());
        }
        let mut flags = Tensor::cat(self.flags, 0)
            .into_data()
            .iter::<i64>()
            .collect::<Vec<_>>()
            .into_iter();
        let mut found: Option<(PassAt, Source, usize, i64)> = None;
        for Look { at, source, rows } in self.looks {
            for (row, flag) in rows.into_iter().zip(&mut flags) {
                let first = match found {
                    None => true,
                    Some((other, _, least, _)) => other == at && row < least,
                };
                if flag > 0 && first {
                    found = Some((at, source, row, flag));
                }
            }
        }
        let Some((PassAt { level, step }, source, row, flag)) = found else {
            return Ok(());
        };
        Err(match source {
            Source::Logits if flag == NO_CODE => DecodeError::NoCode { level, step, row },
            Source::Logits => DecodeError::NotFinite { level, step, row },
            Source::Scores => DecodeError::ScoresNotFinite { level, step, row },
        })
    }
}
