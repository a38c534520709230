//! Functions of tensors on burn-flex whose gradients are kernels of our own too: burn-autodiff
//! records each as one step, where the same in plain burn would be many.

use std::{any::TypeId, fmt::Debug, marker::PhantomData};

use burn::tensor::{
    DType, Tensor, TensorPrimitive,
    backend::{Backend, BackendTypes},
};
use burn_autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn_flex::{Flex, FlexTensor};

use super::{Floats, exchange};

/// What burn-autodiff makes of a burn-flex tensor, whatever its checkpoints are.
type Recorded = <Autodiff<Flex> as BackendTypes>::FloatTensorPrimitive;

/// A function of `N` tensors in f32. Inputs that may be absent are empty then.
pub(super) trait Function<const N: usize>: Clone + Debug + Send + 'static {
    /// Which inputs [`Self::backward`] reads; it is given the others empty.
    const READS: [bool; N];

    /// The output.
    fn forward(&self, inputs: [Floats; N]) -> Floats;

    /// The gradients of those inputs that are wanted, from the output's.
    fn backward(
        &self,
        inputs: [Floats; N],
        gradient: Floats,
        wanted: [bool; N],
    ) -> [Option<Floats>; N];
}

/// Whether [`apply`] can be called with tensors of these types.
pub(super) fn applies<B: Backend>(dtypes: &[DType]) -> bool {
    let backend = TypeId::of::<B::FloatTensorPrimitive>();
    (backend == TypeId::of::<FlexTensor>() || backend == TypeId::of::<Recorded>())
        && dtypes.iter().all(|&dtype| dtype == DType::F32)
}

/// A tensor as an input of [`apply`].
pub(super) fn input<B: Backend, const D: usize>(x: Tensor<B, D>) -> B::FloatTensorPrimitive {
    x.into_primitive().tensor()
}

/// A tensor that may be absent as an input of [`apply`]. `beside`: one that is there.
pub(super) fn input_if<B: Backend, const D: usize, const E: usize>(
    x: Option<&Tensor<B, D>>,
    beside: &Tensor<B, E>,
) -> B::FloatTensorPrimitive {
    match x {
        Some(x) => input(x.clone()),
        None => input(Tensor::<B, 1>::zeros([0], (&beside.device(), DType::F32))),
    }
}

/// Applies a function to tensors for which [`applies`] holds.
pub(super) fn apply<B: Backend, F: Function<N>, const N: usize, const D: usize>(
    function: F,
    inputs: [B::FloatTensorPrimitive; N],
) -> Tensor<B, D> {
    let output = match exchange::<_, [FlexTensor; N]>(inputs) {
        Ok(inputs) => exchange(function.forward(inputs.map(Floats::of)).tensor).ok(),
        Err(inputs) => {
            let inputs = exchange::<_, [Recorded; N]>(inputs).ok();
            inputs.and_then(|inputs| exchange(record(function, inputs)).ok())
        }
    };
    let output = output.expect("the caller asked whether the function applies");
    Tensor::from_primitive(TensorPrimitive::Float(output))
}

fn record<F: Function<N>, const N: usize>(function: F, inputs: [Recorded; N]) -> Recorded {
    let nodes = inputs.each_ref().map(|input| input.node.clone());
    let inputs = inputs.map(|input| Floats::of(input.primitive));
    let step = Recording(PhantomData::<F>).prepare::<NoCheckpointing>(nodes);
    match step.compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let mut reads = F::READS.iter();
            let kept = inputs.each_ref().map(|input| match reads.next() {
                Some(true) => input.tensor.clone(),
                _ => Floats::new(Vec::new(), [0]).tensor,
            });
            let output = function.forward(inputs).tensor;
            step.finish((function, kept), output)
        }
        OpsKind::UnTracked(step) => step.finish(function.forward(inputs).tensor),
    }
}

/// A function as burn-autodiff keeps it.
#[derive(Debug)]
struct Recording<F>(PhantomData<F>);

impl<F: Function<N>, const N: usize> Backward<Flex, N> for Recording<F> {
    type State = (F, [FlexTensor; N]);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = Floats::of(grads.consume::<Flex>(&ops.node));
        let (function, kept) = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let gradients = function.backward(kept.map(Floats::of), gradient, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient.tensor);
            }
        }
    }
}
