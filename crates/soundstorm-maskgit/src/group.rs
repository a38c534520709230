//! Rows of a batch that have the same options, and so take the same steps.

use burn::tensor::{BasicOps, Int, Tensor, TensorData, backend::Backend};

use crate::{DecodeError, DecodeOptions, OptionsError};

/// Whose options they are.
#[derive(Clone, Copy)]
pub(crate) enum Options<'a> {
    Shared(&'a DecodeOptions),
    Each(&'a [DecodeOptions]),
}

impl Options<'_> {
    pub(crate) fn validate(self) -> Result<(), OptionsError> {
        match self {
            Self::Shared(options) => options.validate(),
            Self::Each(options) => options.iter().try_for_each(DecodeOptions::validate),
        }
    }
}

/// Some rows of a batch.
pub(crate) struct Group<'a, B: Backend> {
    pub(crate) options: &'a DecodeOptions,
    /// Their indices in the batch.
    pub(crate) rows: Vec<usize>,
    /// The same on the device; absent where they are the whole batch.
    index: Option<Tensor<B, 1, Int>>,
}

impl<'a, B: Backend> Group<'a, B> {
    /// Divides a batch by the options of its rows.
    pub(crate) fn divide<E>(
        options: Options<'a>,
        batch: usize,
        device: &B::Device,
    ) -> Result<Vec<Self>, DecodeError<E>> {
        let mut groups: Vec<Self> = Vec::new();
        match options {
            Options::Shared(options) => groups.push(Self {
                options,
                rows: (0..batch).collect(),
                index: None,
            }),
            Options::Each(options) if options.len() != batch => {
                return Err(DecodeError::RowOptions {
                    expected: batch,
                    got: options.len(),
                });
            }
            Options::Each(options) => {
                for (row, options) in options.iter().enumerate() {
                    match groups.iter_mut().find(|group| group.options == options) {
                        Some(group) => group.rows.push(row),
                        None => groups.push(Self {
                            options,
                            rows: vec![row],
                            index: None,
                        }),
                    }
                }
            }
        }
        for group in &mut groups {
            if group.rows.len() < batch {
                let rows: Vec<i64> = group.rows.iter().map(|&row| row as i64).collect();
                let rows = TensorData::new(rows, [group.rows.len()]);
                group.index = Some(Tensor::from_data(rows, device));
            }
        }
        Ok(groups)
    }

    /// The group's rows of a batch.
    pub(crate) fn of<const D: usize, K: BasicOps<B>>(
        &self,
        batch: &Tensor<B, D, K>,
    ) -> Tensor<B, D, K> {
        match &self.index {
            None => batch.clone(),
            Some(index) => batch.clone().select(0, index.clone()),
        }
    }

    /// A batch with the group's rows put in their places.
    pub(crate) fn put(
        &self,
        rows: Tensor<B, 2, Int>,
        batch: Tensor<B, 2, Int>,
    ) -> Tensor<B, 2, Int> {
        if self.index.is_none() {
            return rows;
        }
        let frames = batch.dims()[1];
        let rows = rows.cast(batch.dtype());
        let places = self.rows.iter().enumerate();
        places.fold(batch, |batch, (place, &row)| {
            let one = rows.clone().slice([place..place + 1, 0..frames]);
            batch.slice_assign([row..row + 1, 0..frames], one)
        })
    }
}
