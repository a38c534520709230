//! The recurrence of a long short-term memory: each frame's product reads all weights, so their
//! rows are shared out among threads, and everything else is done where it is needed.

use burn::tensor::{Tensor, backend::Backend};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Floats, Kernel,
    vector::{dot_with, sigmoid, tanh},
    vectorized,
};
use crate::LstmMemory;

/// Products that one task does: a frame takes several tasks only where weights are many.
const TASK: usize = 1 << 18;

/// - `gates`: `[frames, batch, 4, hidden]`, `weight`: `[4, hidden, hidden]`
/// - output: `[frames, batch, hidden]`
pub(crate) fn lstm_states<B: Backend>(
    gates: Tensor<B, 4>,
    weight: &Tensor<B, 3>,
    before: Option<&LstmMemory<B>>,
) -> Result<(Tensor<B, 3>, LstmMemory<B>), Tensor<B, 4>> {
    let [frames, batch, _, hidden] = gates.dims();
    let Some(weight) = Floats::read(weight) else {
        return Err(gates);
    };
    let (Some(cell), Some(state)) = (
        Floats::read_if(before.map(|before| &before.cell)),
        Floats::read_if(before.map(|before| &before.state)),
    ) else {
        return Err(gates);
    };
    let gates = Floats::take(gates)?;
    // Cells, then states.
    let mut memory = match (&cell, &state) {
        (Some(cell), Some(state)) => [cell.numbers(), state.numbers()].concat(),
        _ => vec![0.0; 2 * batch * hidden],
    };
    let sizes = [frames, batch, hidden];
    let states = run(gates.numbers(), weight.numbers(), &mut memory, sizes);
    let state = memory.split_off(batch * hidden);
    let memory = LstmMemory {
        state: Floats::new(state, [batch, hidden]).give(),
        cell: Floats::new(memory, [batch, hidden]).give(),
    };
    Ok((Floats::new(states, sizes).give(), memory))
}

/// `memory`: cells, then states, `[batch, hidden]` each.
fn run(
    gates: &[f32],
    weight: &[f32],
    memory: &mut [f32],
    [frames, batch, hidden]: [usize; 3],
) -> Vec<f32> {
    let mut states = vec![0.0; frames * batch * hidden];
    // Every gate of every row, a row's next to each other: `[4 * hidden, batch]`.
    let mut sums = vec![0.0; 4 * hidden * batch];
    let rows = (TASK / (hidden * batch)).max(1);
    let arch = pulp::Arch::new();
    let frames = gates.chunks_exact(batch * 4 * hidden);
    for (inputs, out) in frames.zip(states.chunks_exact_mut(batch * hidden)) {
        let before = &memory[batch * hidden..];
        sums.par_chunks_mut(rows * batch)
            .zip(weight.par_chunks(rows * hidden))
            .for_each(|(sums, weights)| {
                arch.dispatch(Products {
                    sums,
                    weights,
                    states: before,
                    hidden,
                });
            });
        let step = Step {
            inputs,
            sums: &sums,
            hidden,
        };
        vectorized(&step, 0, memory);
        out.copy_from_slice(&memory[batch * hidden..]);
    }
    states
}

/// What the states add to some of the gates.
struct Products<'a> {
    /// `[gates, batch]`
    sums: &'a mut [f32],
    /// `[gates, hidden]`
    weights: &'a [f32],
    /// `[batch, hidden]`
    states: &'a [f32],
    hidden: usize,
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let batch = self.states.len() / self.hidden;
        let rows = self.sums.chunks_exact_mut(batch);
        for (sums, weights) in rows.zip(self.weights.chunks_exact(self.hidden)) {
            for (sum, state) in sums.iter_mut().zip(self.states.chunks_exact(self.hidden)) {
                *sum = dot_with(simd, weights, state);
            }
        }
    }
}

/// One frame's cells and states.
struct Step<'a> {
    /// `[batch, 4, hidden]`
    inputs: &'a [f32],
    /// `[4, hidden, batch]`
    sums: &'a [f32],
    hidden: usize,
}

impl Kernel for Step<'_> {
    /// `memory`: cells, then states, `[batch, hidden]` each
    #[inline(always)]
    fn run(&self, _: usize, memory: &mut [f32]) {
        let (hidden, batch) = (self.hidden, memory.len() / (2 * self.hidden));
        let (cells, states) = memory.split_at_mut(batch * hidden);
        let rows = cells
            .chunks_exact_mut(hidden)
            .zip(states.chunks_exact_mut(hidden));
        for (row, (cells, states)) in rows.enumerate() {
            let inputs = &self.inputs[row * 4 * hidden..][..4 * hidden];
            let gate = |gate: usize, at: usize| {
                let at = gate * hidden + at;
                inputs[at] + self.sums[at * batch + row]
            };
            for (at, (cell, state)) in cells.iter_mut().zip(states).enumerate() {
                let kept = sigmoid(gate(1, at)) * *cell;
                *cell = kept + sigmoid(gate(0, at)) * tanh(gate(2, at));
                *state = sigmoid(gate(3, at)) * tanh(*cell);
            }
        }
    }
}
