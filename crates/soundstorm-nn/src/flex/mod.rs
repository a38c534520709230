//! Kernels of our own for burn-flex, whose elementwise operations run on one
//! thread and element by element in 0.21: threads by rayon, vector instructions
//! by pulp, in safe code.
//!
//! Each takes tensors of any backend and gives them back untouched where they
//! are not burn-flex's in f32; the caller then does the same in plain burn. What
//! is computed is said there, and a test beside the caller holds both equal.

mod attention;
mod convolution;
mod elementwise;
mod linear;
mod norm;
mod packed;
mod select;
mod vector;

use std::any::Any;

use burn::tensor::{
    Bool, Bytes, DType, Shape, Tensor, TensorData, TensorPrimitive, backend::Backend,
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

pub(crate) use attention::{masked_softmax, merge_heads, mix_values, split_heads};
pub(crate) use convolution::depthwise;
pub(crate) use elementwise::{glu, swish};
pub(crate) use linear::{add_linear, linear};
pub(crate) use norm::channel_norm;
pub(crate) use packed::Kept;
pub(crate) use select::kth_largest;

/// Numbers that one task works on: less is not worth waking a thread.
const TASK: usize = 1 << 14;

/// The numbers of a burn-flex tensor in f32, without gaps and in order.
struct Floats {
    tensor: FlexTensor,
}

impl Floats {
    /// Takes the tensor apart, or gives it back if it is another backend's or
    /// of another type.
    fn take<B: Backend, const D: usize>(x: Tensor<B, D>) -> Result<Self, Tensor<B, D>> {
        if x.dtype() != DType::F32 {
            return Err(x);
        }
        let primitive = match x.into_primitive() {
            TensorPrimitive::Float(primitive) => primitive,
            quantized => return Err(Tensor::from_primitive(quantized)),
        };
        match exchange::<B::FloatTensorPrimitive, FlexTensor>(primitive) {
            // A view without gaps, such as one level of all heads' weights, is read where it lies.
            Ok(tensor) if tensor.is_contiguous() => Ok(Self { tensor }),
            Ok(tensor) => Ok(Self {
                tensor: tensor.to_contiguous(),
            }),
            Err(primitive) => Err(Tensor::from_primitive(TensorPrimitive::Float(primitive))),
        }
    }

    /// The same of a tensor that stays with its owner.
    fn read<B: Backend, const D: usize>(x: &Tensor<B, D>) -> Option<Self> {
        Self::take(x.clone()).ok()
    }

    /// The same of a tensor that may be absent: `None` if it cannot be read.
    fn read_if<B: Backend, const D: usize>(x: Option<&Tensor<B, D>>) -> Option<Option<Self>> {
        match x {
            None => Some(None),
            Some(x) => Self::read(x).map(Some),
        }
    }

    fn numbers(&self) -> &[f32] {
        let layout = self.tensor.layout();
        let start = layout.start_offset();
        &self.tensor.storage()[start..start + layout.num_elements()]
    }

    /// To write in place: copies first if anyone else holds the tensor, or more of it.
    fn numbers_mut(&mut self) -> &mut [f32] {
        self.tensor = self.tensor.to_contiguous();
        self.tensor.storage_mut()
    }

    /// Back into a tensor of the backend it was taken from.
    fn give<B: Backend, const D: usize>(self) -> Tensor<B, D> {
        match exchange::<FlexTensor, B::FloatTensorPrimitive>(self.tensor) {
            Ok(primitive) => Tensor::from_primitive(TensorPrimitive::Float(primitive)),
            Err(_) => unreachable!("it was taken from a tensor of this backend"),
        }
    }
}

/// A tensor of new numbers, for a backend that [`Floats::take`] has found to be burn-flex.
fn give<B: Backend, const D: usize>(numbers: Vec<f32>, shape: [usize; D]) -> Tensor<B, D> {
    let data = TensorData::from_bytes(Bytes::from_elems(numbers), Shape::from(shape), DType::F32);
    let tensor = FlexTensor::from_data(data);
    Floats { tensor }.give()
}

/// The flags of a mask that may be absent: `None` if it is another backend's.
fn flags_if<B: Backend, const D: usize>(
    mask: Option<&Tensor<B, D, Bool>>,
) -> Option<Option<Vec<bool>>> {
    let Some(mask) = mask else { return Some(None) };
    let primitive = mask.clone().into_primitive();
    exchange::<B::BoolTensorPrimitive, FlexTensor>(primitive).ok()?;
    Some(Some(mask.to_data().iter::<bool>().collect()))
}

/// A value as another type that turns out to be the same one.
fn exchange<A: 'static, T: 'static>(value: A) -> Result<T, A> {
    let mut value = Some(value);
    let found = (&mut value as &mut dyn Any)
        .downcast_mut::<Option<T>>()
        .and_then(Option::take);
    found.ok_or_else(|| value.expect("only the other branch takes it"))
}

/// Runs `kernel` on pieces of whole rows, on all threads and with the vector
/// instructions of this processor: it is given the number of its first row.
fn by_rows(numbers: &mut [f32], width: usize, kernel: impl Fn(usize, &mut [f32]) + Sync) {
    if numbers.is_empty() {
        return;
    }
    let rows = TASK.div_ceil(width);
    let arch = pulp::Arch::new();
    numbers
        .par_chunks_mut(rows * width)
        .enumerate()
        .for_each(|(piece, numbers)| {
            arch.dispatch(|| kernel(piece * rows, numbers));
        });
}
