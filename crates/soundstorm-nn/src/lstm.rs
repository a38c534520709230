//! The recurrence of a long short-term memory (Hochreiter and Schmidhuber 1997): what is left once
//! the inputs' share of all frames' gates is known.

use burn::tensor::{
    Tensor,
    activation::{sigmoid, tanh},
    backend::Backend,
};

/// Gates in the order input, forget, cell, output.
const GATES: usize = 4;

/// The states of every frame, from a state of zeros.
///
/// # Shapes
/// - `gates`: `[frames, batch, 4, hidden]`, the inputs' share, in the order input, forget, cell,
///   output
/// - `weight`: `[4, hidden, hidden]`, from the state to the gates, output before input
/// - output: `[frames, batch, hidden]`
pub fn lstm_states<B: Backend>(gates: Tensor<B, 4>, weight: Tensor<B, 3>) -> Tensor<B, 3> {
    #[cfg(feature = "flex")]
    let gates = match crate::flex::lstm_states(gates, &weight) {
        Ok(done) => return done,
        Err(gates) => gates,
    };
    plain(gates, weight)
}

fn plain<B: Backend>(gates: Tensor<B, 4>, weight: Tensor<B, 3>) -> Tensor<B, 3> {
    let [frames, batch, _, hidden] = gates.dims();
    let device = gates.device();
    // With the batch as rows of the product, weights stay as they are stored.
    let weight = weight.swap_dims(1, 2);
    let mut state = Tensor::<B, 3>::zeros([batch, 1, hidden], (&device, gates.dtype()));
    let mut cell = state.clone();
    let mut states = Vec::with_capacity(frames);
    for frame in 0..frames {
        let product = state
            .swap_dims(0, 1)
            .matmul(weight.clone())
            // The gates are turned before they are added to: burn-fusion 0.21 gives wrong numbers
            // where a product of one row and what follows it become one kernel.
            .reshape([GATES, batch, hidden])
            .swap_dims(0, 1);
        let gates = gates.clone().narrow(0, frame, 1);
        let gates = gates.reshape([batch, GATES, hidden]) + product;
        let input_and_forget = sigmoid(gates.clone().narrow(1, 0, 2));
        let candidate = tanh(gates.clone().narrow(1, 2, 1));
        let output = sigmoid(gates.narrow(1, 3, 1));
        let input = input_and_forget.clone().narrow(1, 0, 1);
        let forget = input_and_forget.narrow(1, 1, 1);
        cell = forget * cell + input * candidate;
        state = output * tanh(cell.clone());
        states.push(state.clone().swap_dims(0, 1));
    }
    Tensor::cat(states, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn random<const D: usize>(shape: [usize; D], size: f64) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, size), &Default::default())
    }

    /// One number a gate, so that the recurrence can be written out.
    #[test]
    fn a_single_cell_follows_the_equations() {
        let (gates, weight) = (random([7, 1, GATES, 1], 1.0), random([GATES, 1, 1], 1.0));
        let read = |x: Tensor<B, 1>| x.into_data().iter::<f64>().collect::<Vec<_>>();
        let (inputs, weights) = (
            read(gates.clone().reshape([7 * GATES])),
            read(weight.clone().reshape([GATES])),
        );
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (mut state, mut cell) = (0.0, 0.0);
        let mut want = Vec::new();
        for inputs in inputs.chunks(GATES) {
            let gate = |gate: usize| inputs[gate] + weights[gate] * state;
            cell = sigmoid(gate(1)) * cell + sigmoid(gate(0)) * gate(2).tanh();
            state = sigmoid(gate(3)) * cell.tanh();
            want.push(state);
        }
        for got in [
            lstm_states(gates.clone(), weight.clone()),
            plain(gates, weight),
        ] {
            for (got, want) in read(got.reshape([7])).iter().zip(&want) {
                assert!((got - want).abs() < 1e-6, "{got} {want}");
            }
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_equals_plain_burn() {
        for (batch, hidden) in [(1, 331), (3, 67)] {
            let gates = random([13, batch, GATES, hidden], 3.0);
            let weight = random([2, GATES, hidden, hidden], (hidden as f64).powf(-0.5));
            // One direction of two.
            let weight = weight.narrow(0, 1, 1).squeeze_dim::<3>(0);
            let got = crate::flex::lstm_states(gates.clone(), &weight).expect("f32 on flex");
            let want = plain(gates, weight).into_data();
            got.into_data()
                .assert_approx_eq::<f32>(&want, Tolerance::absolute(2e-6));
        }
    }
}
