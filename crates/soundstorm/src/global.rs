//! One vector for a whole row as a condition: a speaker of a table, an embedding from elsewhere,
//! or the sum of both.

use burn::{
    module::{Initializer, Module, Param},
    tensor::{Bool, DType, Int, Tensor, TensorData, backend::Backend},
};
use soundstorm_conformer::Vector;
use soundstorm_nn::{Linear, LinearConfig, linear};

use crate::{Conditions, GlobalConfig, SoundStormError};

/// Speakers and embeddings.
#[derive(Module, Debug)]
pub struct GlobalCondition<B: Backend> {
    /// `[speakers, dim]`.
    pub speakers: Option<Param<Tensor<B, 2>>>,
    /// From a given embedding's channels to the vector's.
    pub projection: Option<Linear<B>>,
    dim: usize,
    embedding: usize,
}

impl GlobalConfig {
    /// A table with normally distributed entries, and a projection with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> GlobalCondition<B> {
        let normal = Initializer::Normal {
            mean: 0.0,
            std: 1.0,
        };
        GlobalCondition {
            speakers: (self.speakers > 0).then(|| normal.init([self.speakers, self.dim], device)),
            projection: (self.embedding > 0)
                .then(|| LinearConfig::new(self.embedding, self.dim).init(device)),
            dim: self.dim,
            embedding: self.embedding,
        }
    }
}

impl<B: Backend> GlobalCondition<B> {
    /// The vectors of a batch; nothing if no row gives any.
    ///
    /// `dtype` is what the network computes in.
    ///
    /// # Errors
    /// A speaker that is not in the table, an embedding of another size, and what the model does
    /// not take.
    pub fn forward(
        &self,
        rows: &[Conditions],
        dtype: DType,
        device: &B::Device,
    ) -> Result<Option<Vector<B>>, SoundStormError> {
        let given: Vec<bool> = rows
            .iter()
            .map(|row| row.speaker.is_some() || row.embedding.is_some())
            .collect();
        if !given.contains(&true) {
            return Ok(None);
        }
        let zeros = Tensor::zeros([rows.len(), self.dim], (device, dtype));
        let speakers = self.of_speakers(rows, dtype, device)?;
        let embeddings = self.of_embeddings(rows, dtype, device)?;
        let values = [speakers, embeddings].into_iter().flatten();
        Ok(Some(Vector {
            values: values.fold(zeros, |sum, part| sum + part),
            given,
        }))
    }

    fn of_speakers(
        &self,
        rows: &[Conditions],
        dtype: DType,
        device: &B::Device,
    ) -> Result<Option<Tensor<B, 2>>, SoundStormError> {
        let Some(table) = &self.speakers else {
            return unused(rows, "a speaker of a table", |row| row.speaker.is_some());
        };
        let table = table.val();
        let limit = table.dims()[0] - 1;
        let bad = |row: &Conditions| row.speaker.filter(|&speaker| speaker > limit);
        let bad = rows
            .iter()
            .enumerate()
            .find_map(|(row, c)| Some((row, bad(c)?)));
        if let Some((row, got)) = bad {
            return Err(SoundStormError::Speaker { row, got, limit });
        }
        let ids: Vec<i64> = rows
            .iter()
            .map(|row| row.speaker.unwrap_or(0) as i64)
            .collect();
        let ids = Tensor::<B, 1, Int>::from_data(TensorData::new(ids, [rows.len()]), device);
        let chosen = table.select(0, ids).cast(dtype);
        Ok(Some(hide(
            chosen,
            rows,
            |row| row.speaker.is_none(),
            device,
        )))
    }

    fn of_embeddings(
        &self,
        rows: &[Conditions],
        dtype: DType,
        device: &B::Device,
    ) -> Result<Option<Tensor<B, 2>>, SoundStormError> {
        let Some(projection) = &self.projection else {
            return unused(rows, "a given embedding", |row| row.embedding.is_some());
        };
        let mut values = Vec::with_capacity(rows.len() * self.embedding);
        for (index, row) in rows.iter().enumerate() {
            match &row.embedding {
                Some(embedding) if embedding.len() != self.embedding => {
                    return Err(SoundStormError::Shape {
                        what: "embedding",
                        expected: format!("{} numbers in row {index}", self.embedding),
                        got: embedding.len().to_string(),
                    });
                }
                Some(embedding) if embedding.iter().any(|value| !value.is_finite()) => {
                    return Err(SoundStormError::Shape {
                        what: "embedding",
                        expected: format!("finite numbers in row {index}"),
                        got: "others".into(),
                    });
                }
                Some(embedding) => values.extend_from_slice(embedding),
                None => values.resize(values.len() + self.embedding, 0.0),
            }
        }
        let data = TensorData::new(values, [rows.len(), self.embedding]);
        let values = Tensor::<B, 2>::from_data(data, (device, DType::F32)).cast(dtype);
        // Never a product of one row: fused with what follows it, that is wrong on CUDA in burn 0.21.
        let twice = Tensor::cat(vec![values.clone(), values], 0);
        let projected = linear(twice, projection).narrow(0, 0, rows.len());
        Ok(Some(hide(
            projected,
            rows,
            |row| row.embedding.is_none(),
            device,
        )))
    }
}

/// Zero for rows that a part is absent from.
fn hide<B: Backend>(
    values: Tensor<B, 2>,
    rows: &[Conditions],
    absent: impl Fn(&Conditions) -> bool,
    device: &B::Device,
) -> Tensor<B, 2> {
    let absent: Vec<bool> = rows.iter().map(absent).collect();
    if !absent.contains(&true) {
        return values;
    }
    let shape = values.dims();
    let absent = Tensor::<B, 2, Bool>::from_data(TensorData::new(absent, [shape[0], 1]), device);
    values.mask_fill(absent.expand(shape), 0.0)
}

fn unused<T>(
    rows: &[Conditions],
    what: &'static str,
    given: impl Fn(&Conditions) -> bool,
) -> Result<Option<T>, SoundStormError> {
    match rows.iter().position(given) {
        Some(row) => Err(SoundStormError::Unused { what, row }),
        None => Ok(None),
    }
}
