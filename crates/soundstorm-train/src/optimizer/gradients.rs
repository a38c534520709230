//! A batch's gradient, piece by piece: each piece's is added to the sum of those before it, always
//! in the same order.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use soundstorm_nn::sum_of_squares;

/// Gradients of all parameters, `[numbers]` each, in the order of the model's fields; `None` where
/// nothing of the loss depends on a parameter.
#[derive(Debug)]
pub(crate) struct Gradients<B: Backend> {
    pub(crate) of: Vec<Option<Tensor<B, 1>>>,
}

impl<B: Backend> Gradients<B> {
    pub(crate) fn new() -> Self {
        Self { of: Vec::new() }
    }

    /// Adds the gradients of a loss.
    pub(crate) fn add<A, M>(&mut self, model: &M, loss: &Tensor<A, 1>)
    where
        A: AutodiffBackend<InnerBackend = B>,
        M: Module<A>,
    {
        let mut collect = Collect::<A> {
            gradients: loss.backward(),
            found: Vec::with_capacity(self.of.len()),
        };
        model.visit(&mut collect);
        if self.of.is_empty() {
            self.of = collect.found;
            return;
        }
        for (sum, new) in self.of.iter_mut().zip(collect.found) {
            *sum = match (sum.take(), new) {
                (Some(sum), Some(new)) => Some(sum + new),
                (one, other) => one.or(other),
            };
        }
    }

    /// The norm of the gradient of all parameters together. Waits for the device.
    pub(crate) fn norm(&self) -> f64 {
        let squares: Vec<_> = self.of.iter().flatten().map(sum_of_squares).collect();
        if squares.is_empty() {
            return 0.0;
        }
        let squares = Tensor::cat(squares, 0).into_data();
        squares.iter::<f64>().sum::<f64>().sqrt()
    }
}

struct Collect<A: AutodiffBackend> {
    gradients: A::Gradients,
    found: Vec<Option<Tensor<A::InnerBackend, 1>>>,
}

impl<A: AutodiffBackend> ModuleVisitor<A> for Collect<A> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<A, D>>) {
        let gradient = param.val().grad_remove(&mut self.gradients);
        self.found.push(gradient.map(|gradient| {
            let numbers = gradient.shape().num_elements();
            gradient.reshape([numbers])
        }));
    }
}
