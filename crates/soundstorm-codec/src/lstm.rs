//! Long short-term memory over frames (Hochreiter and Schmidhuber 1997), in one or both directions, with a skip.
//!
//! All frames' input gates are one product; the recurrence is one product of
//! all four gates a frame.

use burn::module::Param;
use burn::prelude::*;
use soundstorm_nn::{LstmMemory, lstm_states};

use crate::init::uniform;

/// Gates in the order input, forget, cell, output.
const GATES: usize = 4;

/// Configuration of an [`Lstm`].
#[derive(Debug, Clone)]
pub struct LstmConfig {
    /// Channels in, and of each direction's state.
    pub dimension: usize,
    /// Layers, one on the other.
    pub layers: usize,
    /// Whether a second state runs from the last frame to the first.
    pub bidirectional: bool,
    /// Whether the input is added to the output, once for each direction.
    pub skip: bool,
}

impl LstmConfig {
    /// A stack in one direction, with the skip.
    pub fn new(dimension: usize, layers: usize) -> Self {
        Self {
            dimension,
            layers,
            bidirectional: false,
            skip: true,
        }
    }

    /// Sets whether a second state runs backward.
    pub fn with_bidirectional(mut self, bidirectional: bool) -> Self {
        self.bidirectional = bidirectional;
        self
    }

    /// Sets whether the input is added to the output.
    pub fn with_skip(mut self, skip: bool) -> Self {
        self.skip = skip;
        self
    }

    /// A stack with random weights.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Lstm<B> {
        let directions = 1 + usize::from(self.bidirectional);
        let hidden = self.dimension;
        let layer = |index| {
            let input = if index == 0 {
                hidden
            } else {
                directions * hidden
            };
            LstmLayer {
                input: uniform([directions, GATES, hidden, input], hidden, device),
                hidden: uniform([directions, GATES, hidden, hidden], hidden, device),
                bias: uniform([directions, GATES, hidden], hidden, device),
            }
        };
        Lstm {
            layers: (0..self.layers).map(layer).collect(),
            skip: self.skip,
        }
    }
}

/// A stack of recurrent layers.
#[derive(Module, Debug)]
pub struct Lstm<B: Backend> {
    /// The layers, the first one nearest to the input.
    pub layers: Vec<LstmLayer<B>>,
    skip: bool,
}

impl<B: Backend> Lstm<B> {
    /// Runs all layers over all frames, from a state of zeros.
    ///
    /// # Shapes
    /// - x: `[batch, dimension, frames]`
    /// - output: `[batch, directions * dimension, frames]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let mut y = x.clone().permute([2, 0, 1]);
        let mut directions = 1;
        for layer in &self.layers {
            directions = layer.hidden.dims()[0];
            y = layer.forward(y);
        }
        let y = y.permute([1, 2, 0]);
        match self.skip {
            true => y + x.repeat_dim(1, directions),
            false => y,
        }
    }
}

/// What a stack in one direction keeps of a stream: nothing before the first frame.
#[derive(Debug, Clone)]
pub struct LstmState<B: Backend>(Vec<Option<LstmMemory<B>>>);

impl<B: Backend> LstmState<B> {
    /// How many numbers it holds.
    pub fn numbers(&self) -> usize {
        let layers = self.0.iter().flatten();
        let numbers = |kept: &LstmMemory<B>| kept.state.dims().iter().product::<usize>();
        layers.map(|kept| 2 * numbers(kept)).sum()
    }
}

impl<B: Backend> Lstm<B> {
    /// The state before the first frame.
    pub fn start(&self) -> LstmState<B> {
        LstmState(self.layers.iter().map(|_| None).collect())
    }

    /// Whether any layer runs backward as well.
    pub fn is_bidirectional(&self) -> bool {
        self.layers.iter().any(|layer| layer.hidden.dims()[0] > 1)
    }

    /// [`Lstm::forward`] piece by piece.
    ///
    /// # Shapes
    /// - x, output: `[batch, dimension, frames]`
    ///
    /// # Panics
    /// If it runs in both directions: a frame would depend on all that follow.
    pub fn stream(&self, x: Tensor<B, 3>, state: &mut LstmState<B>) -> Tensor<B, 3> {
        assert!(
            !self.is_bidirectional(),
            "only layers that run forward can be streamed"
        );
        let mut y = x.clone().permute([2, 0, 1]);
        for (layer, kept) in self.layers.iter().zip(&mut state.0) {
            y = layer.stream(y, kept);
        }
        let y = y.permute([1, 2, 0]);
        if self.skip { y + x } else { y }
    }
}

/// One recurrent layer, in one or two directions.
#[derive(Module, Debug)]
pub struct LstmLayer<B: Backend> {
    /// From the layer's input to the gates, `[directions, 4, dimension, input]`
    pub input: Param<Tensor<B, 4>>,
    /// From the state to the gates, `[directions, 4, dimension, dimension]`
    pub hidden: Param<Tensor<B, 4>>,
    /// `[directions, 4, dimension]`; PyTorch's two biases summed
    pub bias: Param<Tensor<B, 3>>,
}

impl<B: Backend> LstmLayer<B> {
    /// Runs over all frames.
    ///
    /// # Shapes
    /// - x: `[frames, batch, input]`
    /// - output: `[frames, batch, directions * dimension]`
    pub fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let [frames, batch, _] = x.dims();
        let [directions, _, hidden, _] = self.hidden.dims();
        let gates = self.input_gates(x);
        let outputs = (0..directions)
            .map(|direction| {
                let gates = gates.clone().narrow(1, direction, 1);
                let gates = gates.reshape([frames, batch, GATES, hidden]);
                let weight = self.hidden.val().narrow(0, direction, 1).squeeze_dim(0);
                in_time(lstm_states(gates, weight, None).0, direction)
            })
            .collect();
        Tensor::cat(outputs, 2)
    }

    /// The frames that follow those before, of the only direction.
    fn stream(&self, x: Tensor<B, 3>, kept: &mut Option<LstmMemory<B>>) -> Tensor<B, 3> {
        let [frames, batch, _] = x.dims();
        let [_, _, hidden, _] = self.hidden.dims();
        let gates = self.input_gates(x).reshape([frames, batch, GATES, hidden]);
        let weight = self.hidden.val().squeeze_dim(0);
        let (states, memory) = lstm_states(gates, weight, kept.take());
        *kept = Some(memory);
        states
    }

    /// What the input alone adds to the gates, the second direction's frames in
    /// the order in which it meets them.
    ///
    /// # Shapes
    /// - x: `[frames, batch, input]`
    /// - output: `[frames, directions, batch, 4, dimension]`
    fn input_gates(&self, x: Tensor<B, 3>) -> Tensor<B, 5> {
        let [frames, batch, input] = x.dims();
        let [directions, _, hidden, _] = self.hidden.dims();
        let width = directions * GATES * hidden;
        let weight = self.input.val().reshape([width, input]).transpose();
        let bias = self.bias.val().reshape([1, width]);
        let gates = x.reshape([frames * batch, input]).matmul(weight) + bias;
        let gates = gates
            .reshape([frames, batch, directions, GATES, hidden])
            .swap_dims(1, 2);
        let gates = (0..directions)
            .map(|direction| in_time(gates.clone().narrow(1, direction, 1), direction))
            .collect();
        Tensor::cat(gates, 1)
    }
}

/// Between the order of time and the order in which a direction runs.
fn in_time<B: Backend, const D: usize>(x: Tensor<B, D>, direction: usize) -> Tensor<B, D> {
    match direction {
        0 => x,
        _ => x.flip([0]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn signal(batch: usize, dimension: usize, frames: usize) -> Tensor<B, 3> {
        let shape = [batch, dimension, frames];
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// One direction of one layer by the book, in 64 bits, one number at a time.
    #[test]
    fn follows_the_recurrence() {
        let device = Default::default();
        let (dimension, frames) = (3, 5);
        let lstm = LstmConfig::new(dimension, 1)
            .with_skip(false)
            .init::<B>(&device);
        let x = signal(1, dimension, frames);
        let y = lstm.forward(x.clone()).to_data();
        let y = y.iter::<f64>().collect::<Vec<_>>();
        let numbers = |data: TensorData| data.iter::<f64>().collect::<Vec<_>>();
        let x = numbers(x.to_data());
        let layer = &lstm.layers[0];
        let input = numbers(layer.input.to_data());
        let hidden = numbers(layer.hidden.to_data());
        let bias = numbers(layer.bias.to_data());
        let (mut state, mut cell) = (vec![0.0; dimension], vec![0.0; dimension]);
        for frame in 0..frames {
            let gate = |gate: usize, unit: usize| {
                let row = gate * dimension + unit;
                (0..dimension).fold(bias[row], |sum, d| {
                    sum + input[row * dimension + d] * x[d * frames + frame]
                        + hidden[row * dimension + d] * state[d]
                })
            };
            let next = (0..dimension)
                .map(|unit| {
                    let cell = sigmoid(gate(1, unit)) * cell[unit]
                        + sigmoid(gate(0, unit)) * gate(2, unit).tanh();
                    (cell, sigmoid(gate(3, unit)) * cell.tanh())
                })
                .collect::<Vec<_>>();
            for (unit, (c, h)) in next.into_iter().enumerate() {
                (cell[unit], state[unit]) = (c, h);
                assert!((y[unit * frames + frame] - h).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_second_direction_is_the_first_in_reversed_time() {
        let device = Default::default();
        let both = LstmConfig::new(3, 1)
            .with_bidirectional(true)
            .with_skip(false)
            .init::<B>(&device);
        let layer = &both.layers[0];
        let backward = Lstm {
            layers: vec![LstmLayer {
                input: Param::from_tensor(layer.input.val().narrow(0, 1, 1)),
                hidden: Param::from_tensor(layer.hidden.val().narrow(0, 1, 1)),
                bias: Param::from_tensor(layer.bias.val().narrow(0, 1, 1)),
            }],
            skip: false,
        };
        let x = signal(2, 3, 7);
        let expected = backward.forward(x.clone().flip([2])).flip([2]);
        let got = both.forward(x).narrow(1, 3, 3);
        let tolerance = Tolerance::absolute(1e-6);
        got.to_data()
            .assert_approx_eq::<f32>(&expected.to_data(), tolerance);
    }

    #[test]
    fn pieces_give_what_the_whole_does() {
        for skip in [true, false] {
            let lstm = LstmConfig::new(3, 2)
                .with_skip(skip)
                .init::<B>(&Default::default());
            let x = signal(2, 3, 11);
            let (mut state, mut start) = (lstm.start(), 0);
            let parts = [1, 4, 1, 5].map(|piece| {
                start += piece;
                let y = lstm.stream(x.clone().narrow(2, start - piece, piece), &mut state);
                // Two layers, two rows, a state and a cell of three numbers.
                assert_eq!(state.numbers(), 24);
                y
            });
            let whole = lstm.forward(x).to_data();
            let pieces = Tensor::cat(parts.to_vec(), 2).to_data();
            pieces.assert_approx_eq::<f32>(&whole, Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn the_skip_adds_the_input_to_each_direction() {
        let device = Default::default();
        let mut lstm = LstmConfig::new(3, 2)
            .with_bidirectional(true)
            .init::<B>(&device);
        let x = signal(2, 3, 7);
        let with = lstm.forward(x.clone());
        lstm.skip = false;
        let expected = lstm.forward(x.clone()) + Tensor::cat(vec![x.clone(), x], 1);
        with.to_data().assert_eq(&expected.to_data(), true);
    }

    #[test]
    fn a_row_of_a_batch_gets_what_it_gets_alone() {
        let lstm = LstmConfig::new(3, 2)
            .with_bidirectional(true)
            .init::<B>(&Default::default());
        let x = signal(5, 3, 7);
        let whole = lstm.forward(x.clone()).narrow(0, 3, 1);
        let alone = lstm.forward(x.narrow(0, 3, 1));
        let tolerance = Tolerance::absolute(1e-6);
        whole
            .to_data()
            .assert_approx_eq::<f32>(&alone.to_data(), tolerance);
    }
}
