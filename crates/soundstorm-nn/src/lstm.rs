//! The recurrence of a long short-term memory (Hochreiter and Schmidhuber 1997): what is left once
//! the inputs' share of all frames' gates is known.

use burn::tensor::{
    Tensor,
    activation::{sigmoid, tanh},
    backend::Backend,
};

/// Gates in the order input, forget, cell, output.
const GATES: usize = 4;

/// What a recurrence keeps from one frame to the next.
#[derive(Debug, Clone)]
pub struct LstmMemory<B: Backend> {
    /// What the last frame's output was, `[batch, hidden]`
    pub state: Tensor<B, 2>,
    /// `[batch, hidden]`
    pub cell: Tensor<B, 2>,
}

/// The states of every frame, and what is kept for those that follow.
///
/// # Shapes
/// - `gates`: `[frames, batch, 4, hidden]`, the inputs' share, in the order input, forget, cell,
///   output; one frame at least
/// - `weight`: `[4, hidden, hidden]`, from the state to the gates, output before input
/// - output: `[frames, batch, hidden]`
///
/// # Arguments
/// - `before`: what the frames before kept; zeros if there are none
pub fn lstm_states<B: Backend>(
    gates: Tensor<B, 4>,
    weight: Tensor<B, 3>,
    before: Option<LstmMemory<B>>,
) -> (Tensor<B, 3>, LstmMemory<B>) {
    #[cfg(feature = "flex")]
    let gates = match crate::flex::lstm_states(gates, &weight, before.as_ref()) {
        Ok(done) => return done,
        Err(gates) => gates,
    };
    plain(gates, weight, before)
}

fn plain<B: Backend>(
    gates: Tensor<B, 4>,
    weight: Tensor<B, 3>,
    before: Option<LstmMemory<B>>,
) -> (Tensor<B, 3>, LstmMemory<B>) {
    let [frames, batch, _, hidden] = gates.dims();
    let device = gates.device();
    // With the batch as rows of the product, weights stay as they are stored.
    let weight = weight.swap_dims(1, 2);
    let (mut state, mut cell) = match before {
        Some(before) => (before.state.unsqueeze_dim(1), before.cell.unsqueeze_dim(1)),
        None => {
            let zeros = Tensor::<B, 3>::zeros([batch, 1, hidden], (&device, gates.dtype()));
            (zeros.clone(), zeros)
        }
    };
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
    let memory = LstmMemory {
        state: state.squeeze_dim(1),
        cell: cell.squeeze_dim(1),
    };
    (Tensor::cat(states, 0), memory)
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
            lstm_states(gates.clone(), weight.clone(), None).0,
            plain(gates, weight, None).0,
        ] {
            for (got, want) in read(got.reshape([7])).iter().zip(&want) {
                assert!((got - want).abs() < 1e-6, "{got} {want}");
            }
        }
    }

    fn memory(batch: usize, hidden: usize) -> LstmMemory<B> {
        LstmMemory {
            state: random([batch, hidden], 0.5),
            cell: random([batch, hidden], 1.0),
        }
    }

    fn assert_close<const D: usize>(got: Tensor<B, D>, want: Tensor<B, D>) {
        let tolerance = Tolerance::absolute(2e-6);
        got.into_data()
            .assert_approx_eq::<f32>(&want.into_data(), tolerance);
    }

    /// Cut anywhere, with and without frames before the first.
    #[test]
    fn frames_go_on_where_those_before_ended() {
        let (gates, weight) = (random([7, 2, GATES, 5], 2.0), random([GATES, 5, 5], 0.6));
        for before in [None, Some(memory(2, 5))] {
            for states in [lstm_states::<B>, plain::<B>] {
                let (whole, end) = states(gates.clone(), weight.clone(), before.clone());
                for cut in 1..7 {
                    let part = |start, end| gates.clone().narrow(0, start, end - start);
                    let (first, kept) = states(part(0, cut), weight.clone(), before.clone());
                    let (second, kept) = states(part(cut, 7), weight.clone(), Some(kept));
                    assert_close(Tensor::cat(vec![first, second], 0), whole.clone());
                    assert_close(kept.state, end.state.clone());
                    assert_close(kept.cell, end.cell.clone());
                }
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
            for before in [None, Some(memory(batch, hidden))] {
                let got = crate::flex::lstm_states(gates.clone(), &weight, before.as_ref());
                let (got, end) = got.expect("f32 on flex");
                let (want, expected) = plain(gates.clone(), weight.clone(), before);
                assert_close(got, want);
                assert_close(end.state, expected.state);
                assert_close(end.cell, expected.cell);
            }
        }
    }
}
