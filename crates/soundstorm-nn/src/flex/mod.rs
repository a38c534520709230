//! Kernels of our own for burn-flex, whose elementwise operations run on one
//! thread and element by element in 0.21: threads by rayon, vector instructions
//! by pulp, in safe code.
//!
//! Each takes tensors of any backend and gives them back untouched where they
//! are not burn-flex's in f32; the caller then does the same in plain burn. What
//! is computed is said there, and a test beside the caller holds both equal.
//! Where burn-autodiff records what is computed on burn-flex, the kernel's gradient
//! is recorded with it ([`Function`]).

mod activation;
mod adamw;
mod attention;
mod conv1d;
mod convolution;
mod cross_entropy;
mod embedding_sum;
mod function;
mod group_norm;
mod heads;
mod linear;
mod lstm;
mod norm;
mod packed;
mod select;
mod snake;
mod vector;

use std::any::Any;

use burn::tensor::{
    Bool, Bytes, DType, Shape, Tensor, TensorData, TensorPrimitive, backend::Backend,
};
use burn_flex::FlexTensor;
use rayon::prelude::*;

pub(crate) use activation::{glu, swish};
pub(crate) use adamw::{adamw, blend, sum_of_squares};
pub(crate) use attention::attend;
pub(crate) use conv1d::{conv_transpose1d, conv1d};
pub(crate) use convolution::depthwise;
pub(crate) use cross_entropy::cross_entropy;
pub(crate) use embedding_sum::embedding_sum;
use function::{Function, applies, apply, input, input_if};
pub(crate) use group_norm::group_norm;
pub(crate) use heads::{merge_heads, mix_values, split_heads};
pub(crate) use linear::{add_linear, linear};
pub(crate) use lstm::lstm_states;
pub(crate) use norm::norm;
pub(crate) use packed::Kept;
pub(crate) use select::kth_largest;
pub(crate) use snake::{elu, snake};

/// Numbers that one task works on: less is not worth waking a thread.
const TASK: usize = 1 << 14;

/// Numbers that one task works on, if it also adds up sums over rows: each task has its own.
const SUMMING_TASK: usize = 1 << 17;

/// The numbers of a burn-flex tensor in f32, without gaps and in order.
#[derive(Clone)]
struct Floats {
    tensor: FlexTensor,
}

impl Floats {
    /// Of a tensor in f32.
    fn of(tensor: FlexTensor) -> Self {
        // A view without gaps, such as one level of all heads' weights, is read where it lies.
        let tensor = match tensor.is_contiguous() {
            true => tensor,
            false => tensor.to_contiguous(),
        };
        Self { tensor }
    }

    /// Of new numbers.
    fn new<const D: usize>(numbers: Vec<f32>, shape: [usize; D]) -> Self {
        let shape = Shape::from(shape);
        let data = TensorData::from_bytes(Bytes::from_elems(numbers), shape, DType::F32);
        Self {
            tensor: FlexTensor::from_data(data),
        }
    }

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
            Ok(tensor) => Ok(Self::of(tensor)),
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

    /// New numbers in the same shape but for the last dimension.
    fn like(&self, numbers: Vec<f32>, width: usize) -> Self {
        let mut shape = self.tensor.layout().shape().clone();
        let last = shape.num_dims() - 1;
        shape[last] = width;
        let data = TensorData::from_bytes(Bytes::from_elems(numbers), shape, DType::F32);
        Self {
            tensor: FlexTensor::from_data(data),
        }
    }

    fn dims<const D: usize>(&self) -> [usize; D] {
        self.tensor.layout().shape().dims()
    }

    /// The last dimension.
    fn width(&self) -> usize {
        let shape = self.tensor.layout().shape();
        shape[shape.num_dims() - 1]
    }

    fn numbers(&self) -> &[f32] {
        let layout = self.tensor.layout();
        let start = layout.start_offset();
        &self.tensor.storage()[start..start + layout.num_elements()]
    }

    /// The numbers, unless there are none: then the input of a [`Function`] is absent.
    fn numbers_if(&self) -> Option<&[f32]> {
        Some(self.numbers()).filter(|numbers| !numbers.is_empty())
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

/// Work on whole rows of numbers.
trait Kernel: Sync {
    /// `first`: the number of the first row. To be `inline(always)`: only then is it certain that
    /// it is compiled with the processor's vector instructions.
    fn run(&self, first: usize, rows: &mut [f32]);
}

/// Runs a kernel with the vector instructions of this processor.
fn vectorized(kernel: &impl Kernel, first: usize, rows: &mut [f32]) {
    struct Call<'a, K>(&'a K, usize, &'a mut [f32]);

    impl<K: Kernel> pulp::NullaryFnOnce for Call<'_, K> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.0.run(self.1, self.2);
        }
    }

    pulp::Arch::new().dispatch(Call(kernel, first, rows));
}

/// Runs a kernel on pieces of whole rows, on all threads. A row takes the `work` of so many numbers.
fn vectorized_by_rows(work: usize, numbers: &mut [f32], width: usize, kernel: impl Kernel) {
    if numbers.is_empty() {
        return;
    }
    let rows = TASK.div_ceil(work);
    numbers
        .par_chunks_mut(rows * width)
        .enumerate()
        .for_each(|(piece, numbers)| vectorized(&kernel, piece * rows, numbers));
}

/// The same of a closure, for what waits for memory more than it computes.
fn by_rows(numbers: &mut [f32], width: usize, kernel: impl Fn(usize, &mut [f32]) + Sync) {
    struct Closure<F>(F);

    impl<F: Fn(usize, &mut [f32]) + Sync> Kernel for Closure<F> {
        #[inline(always)]
        fn run(&self, first: usize, rows: &mut [f32]) {
            self.0(first, rows);
        }
    }

    vectorized_by_rows(width, numbers, width, Closure(kernel));
}

/// A kernel that adds to sums over all rows, beside what it makes of them.
trait SummingKernel: Sync {
    /// `first`: the number of the first row.
    fn run(&self, first: usize, rows: &mut [f32], sums: &mut [f32]);
}

/// Runs a kernel on pieces of whole rows, on all threads, and returns its sums. Their order
/// depends on the sizes alone, not on the threads.
fn by_rows_and_sums(
    numbers: &mut [f32],
    width: usize,
    sums: usize,
    kernel: impl SummingKernel,
) -> Vec<f32> {
    struct Call<'a, K>(&'a K, usize, &'a mut [f32], &'a mut [f32]);

    impl<K: SummingKernel> pulp::NullaryFnOnce for Call<'_, K> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            self.0.run(self.1, self.2, self.3);
        }
    }

    if numbers.is_empty() {
        return vec![0.0; sums];
    }
    let rows = SUMMING_TASK.div_ceil(width);
    let arch = pulp::Arch::new();
    let parts = numbers.par_chunks_mut(rows * width).enumerate();
    let parts = parts.map(|(piece, numbers)| {
        let mut part = vec![0.0; sums];
        arch.dispatch(Call(&kernel, piece * rows, numbers, &mut part));
        part
    });
    add_up(parts.collect(), sums)
}

/// The sum of all rows.
fn sums_of_rows(numbers: &[f32], width: usize) -> Vec<f32> {
    let rows = SUMMING_TASK.div_ceil(width);
    let parts = numbers.par_chunks(rows * width).map(|numbers| {
        let mut part = vec![0.0; width];
        for row in numbers.chunks_exact(width) {
            for (sum, number) in part.iter_mut().zip(row) {
                *sum += number;
            }
        }
        part
    });
    add_up(parts.collect(), width)
}

fn add_up(parts: Vec<Vec<f32>>, count: usize) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_else(|| vec![0.0; count]);
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    sums
}
