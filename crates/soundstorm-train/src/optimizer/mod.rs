//! AdamW over a model's parameters by their names, with its moments, and a running mean of the
//! weights; every number of it can be saved and read back to the bit.

mod gradients;
mod groups;
#[cfg(test)]
mod parity;
mod update;

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{Tensor, TensorData, backend::Backend};
use soundstorm_hub::{
    DType, Misshaped, SafetensorsSource, TensorInfo, TensorReport, TensorSource, write_safetensors,
};

pub(crate) use gradients::Gradients;
pub use groups::{ParameterInfo, parameters};
pub(crate) use update::{Step, with_averages, with_updates};

use crate::Result;

/// The first moments' names in a file begin with this, the second ones' with the other.
const MOMENTS: [&str; 2] = ["first.", "second."];

/// One parameter's state, each part `[numbers]`.
#[derive(Clone, Debug)]
pub(crate) struct Slot<B: Backend> {
    pub(crate) info: ParameterInfo,
    /// `None` until there was a gradient.
    pub(crate) moments: Option<[Tensor<B, 1>; 2]>,
    /// The running mean, where one is kept.
    pub(crate) average: Option<Tensor<B, 1>>,
}

/// The state of every parameter, in the order of the model's fields.
#[derive(Clone, Debug)]
pub(crate) struct Optimizer<B: Backend> {
    pub(crate) slots: Vec<Slot<B>>,
}

impl<B: Backend> Optimizer<B> {
    /// Before the first step.
    pub(crate) fn new(parameters: Vec<ParameterInfo>) -> Self {
        let slots = parameters.into_iter().map(|info| Slot {
            info,
            moments: None,
            average: None,
        });
        Self {
            slots: slots.collect(),
        }
    }

    /// Writes the moments.
    pub(crate) fn save(&self, path: &Path) -> Result<String> {
        let moments: BTreeMap<String, (&ParameterInfo, &Tensor<B, 1>)> = self
            .slots
            .iter()
            .flat_map(|slot| {
                let both = MOMENTS.iter().zip(slot.moments.iter().flatten());
                both.map(|(prefix, moment)| {
                    (format!("{prefix}{}", slot.info.name), (&slot.info, moment))
                })
            })
            .collect();
        let plan = moments.iter().map(|(name, (info, _))| {
            let (dtype, shape) = (DType::F32, info.shape.clone());
            (name.clone(), TensorInfo { dtype, shape })
        });
        let plan: Vec<_> = plan.collect();
        let sha256 = write_safetensors(path, &BTreeMap::new(), &plan, |name| {
            let numbers = moments
                .get(name)
                .map(|(_, moment)| (*moment).clone().into_data());
            let numbers = numbers.iter().flat_map(|data| data.iter::<f32>());
            Ok(numbers.flat_map(f32::to_le_bytes).collect())
        })?;
        Ok(sha256)
    }

    /// Reads the moments that [`Self::save`] wrote.
    pub(crate) fn load(&mut self, path: &Path, device: &B::Device) -> Result<()> {
        let source = SafetensorsSource::open(path)?;
        let names = |slot: &Slot<B>| MOMENTS.map(|prefix| format!("{prefix}{}", slot.info.name));
        let known: Vec<_> = self.slots.iter().flat_map(names).collect();
        let extra = source.tensors().keys().filter(|name| !known.contains(name));
        let mut report = TensorReport::default();
        report.extra.extend(extra.cloned());
        report.into_result(path)?;
        for slot in &mut self.slots {
            let [first, second] = names(slot);
            slot.moments = match source.tensors().contains_key(&first) {
                false => None,
                true => Some([
                    read(&source, &first, &slot.info, device)?,
                    read(&source, &second, &slot.info, device)?,
                ]),
            };
        }
        Ok(())
    }

    /// Reads the running mean of a model's weights.
    pub(crate) fn load_averages(&mut self, path: &Path, device: &B::Device) -> Result<()> {
        let source = SafetensorsSource::open(path)?;
        for slot in &mut self.slots {
            slot.average = Some(read(&source, &slot.info.name, &slot.info, device)?);
        }
        Ok(())
    }
}

fn read<B: Backend>(
    source: &SafetensorsSource,
    name: &str,
    parameter: &ParameterInfo,
    device: &B::Device,
) -> Result<Tensor<B, 1>> {
    let got = source.info(name)?.shape.clone();
    let mut report = TensorReport::default();
    if got != parameter.shape {
        report.misshaped.push(Misshaped {
            name: name.to_owned(),
            expected: parameter.shape.clone(),
            got,
        });
    }
    report.into_result(source.path())?;
    let numbers = source.read_f32(name)?;
    let shape = [numbers.len()];
    Ok(Tensor::from_data(TensorData::new(numbers, shape), device))
}
