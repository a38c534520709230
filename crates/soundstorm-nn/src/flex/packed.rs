//! Weights in bf16, packed once for the processor's instructions and kept beside their layer.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Bytes, DType, Tensor, TensorPrimitive, backend::Backend};
use burn_flex::FlexTensor;
use soundstorm_gemm::{Isa, PackedWeights, isa};

use super::exchange;

/// What was packed last: matrices of one tensor's memory.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Option<Memory>>);

/// As long as it is held, nobody can write to the memory, so what was packed stays true.
#[derive(Clone)]
struct Memory {
    bytes: Arc<Bytes>,
    /// By the number at which the matrix starts.
    matrices: Vec<(usize, Arc<PackedWeights>)>,
}

impl Clone for Kept {
    fn clone(&self) -> Self {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Self(Mutex::new(memory.clone()))
    }
}

impl Kept {
    /// The packed form of weights `[input, output]` in bf16; `None` if they are not, or not
    /// burn-flex's, or lie with gaps, or if the processor has no instructions for them.
    pub(crate) fn get<B: Backend>(&self, weights: &Tensor<B, 2>) -> Option<Arc<PackedWeights>> {
        if weights.dtype() != DType::BF16 || matches!(isa(), Isa::Portable) {
            return None;
        }
        let shape = weights.dims();
        let TensorPrimitive::Float(primitive) = weights.clone().into_primitive() else {
            return None;
        };
        let tensor = exchange::<B::FloatTensorPrimitive, FlexTensor>(primitive).ok()?;
        if !tensor.is_contiguous() {
            return None;
        }
        let start = tensor.layout().start_offset();
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = tensor.data_arc();
        if !memory
            .as_ref()
            .is_some_and(|m| Arc::ptr_eq(&m.bytes, &bytes))
        {
            *memory = None;
        }
        let memory = memory.get_or_insert_with(|| Memory {
            bytes,
            matrices: Vec::new(),
        });
        let found = (memory.matrices.iter()).find(|(at, m)| *at == start && m.shape() == shape);
        if let Some((_, packed)) = found {
            return Some(packed.clone());
        }
        let numbers: &[u16] = bytemuck::cast_slice(memory.bytes.as_ref());
        let numbers = &numbers[start..start + shape[0] * shape[1]];
        let packed = Arc::new(PackedWeights::from_bf16(numbers, shape));
        memory.matrices.push((start, packed.clone()));
        Some(packed)
    }
}
