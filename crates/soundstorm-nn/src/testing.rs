//! Gradients of kernels beside those of plain burn.

use burn::tensor::{Distribution, Tensor};
use burn_autodiff::Autodiff;
use burn_flex::Flex;

/// The backend that records.
pub(crate) type Recording = Autodiff<Flex>;

/// Asserts that two functions of tensors of so many numbers have the same output and the same
/// gradients, of one input alone and of all.
pub(crate) fn assert_same_gradients<const N: usize, const D: usize>(
    sizes: [usize; N],
    kernel: impl Fn([Tensor<Recording, 1>; N]) -> Tensor<Recording, D>,
    plain: impl Fn([Tensor<Recording, 1>; N]) -> Tensor<Recording, D>,
) {
    let device = Default::default();
    let normal = Distribution::Normal(0.3, 1.0);
    let inputs = sizes.map(|size| Tensor::<Recording, 1>::random([size], normal, &device));
    let shape = plain(inputs.clone()).dims();
    let weights = Tensor::<Recording, D>::random(shape, normal, &device);
    for wanted in 0..=N {
        let mut index = 0..N;
        let inputs = inputs.clone().map(|input| match index.next() {
            Some(index) if index == wanted || wanted == N => input.require_grad(),
            _ => input,
        });
        let [got, want] = [
            gradients(&inputs, &weights, kernel(inputs.clone())),
            gradients(&inputs, &weights, plain(inputs.clone())),
        ];
        for (got, want) in got.into_iter().zip(want) {
            match (got, want) {
                (Some(got), Some(want)) => assert_close(&got, &want),
                (None, None) => {}
                (got, want) => panic!("{got:?} is not {want:?}"),
            }
        }
    }
}

/// The output, and the gradients of its weighted sum.
fn gradients<const D: usize>(
    inputs: &[Tensor<Recording, 1>],
    weights: &Tensor<Recording, D>,
    output: Tensor<Recording, D>,
) -> Vec<Option<Tensor<Flex, 1>>> {
    let size = output.shape().num_elements();
    let flat = output.clone().inner().reshape([size]);
    let gradients = (output * weights.clone()).sum().backward();
    let of_inputs = inputs.iter().map(|input| input.grad(&gradients));
    of_inputs.chain([Some(flat)]).collect()
}

fn assert_close(got: &Tensor<Flex, 1>, want: &Tensor<Flex, 1>) {
    assert_eq!(got.dims(), want.dims());
    let largest = want.clone().abs().max().into_scalar();
    let apart = (got.clone() - want.clone()).abs().max().into_scalar();
    assert!(apart <= 2e-5 * largest, "{apart} apart, of {largest}");
}
