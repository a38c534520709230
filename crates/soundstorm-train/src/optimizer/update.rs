//! A step of AdamW on every parameter of a model.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use soundstorm_nn::{AdamW, adamw, blend};

use super::{Gradients, Optimizer, Slot};
use crate::config::OptimizerConfig;

/// What a step is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) config: &'a OptimizerConfig,
    pub(crate) learning_rate: f64,
    /// Counted from 1.
    pub(crate) number: u64,
    /// What gradients are multiplied by first.
    pub(crate) scale: f64,
}

impl Step<'_> {
    fn adamw(&self, decays: bool) -> AdamW {
        let config = self.config;
        AdamW {
            learning_rate: self.learning_rate,
            beta_1: config.beta_1,
            beta_2: config.beta_2,
            epsilon: config.epsilon,
            weight_decay: match decays {
                true => config.weight_decay,
                false => 0.0,
            },
            step: self.number,
            gradient_scale: self.scale,
        }
    }

    /// How much of the running mean is kept: little of the first weights, which are random.
    fn average_decay(&self) -> f64 {
        let step = self.number as f64;
        self.config.ema_decay.min((1.0 + step) / (10.0 + step))
    }
}

/// The model after a step; a parameter without a gradient stays as it is.
pub(crate) fn with_updates<A, M>(
    model: M,
    optimizer: &mut Optimizer<A::InnerBackend>,
    gradients: Gradients<A::InnerBackend>,
    step: Step<'_>,
) -> M
where
    A: AutodiffBackend,
    M: Module<A>,
{
    let mut update = Update {
        pairs: optimizer.slots.iter_mut().zip(gradients.of),
        step,
    };
    model.map(&mut update)
}

struct Update<'a, I> {
    pairs: I,
    step: Step<'a>,
}

impl<'s, A, I> ModuleMapper<A> for Update<'_, I>
where
    A: AutodiffBackend,
    I: Iterator<
        Item = (
            &'s mut Slot<A::InnerBackend>,
            Option<Tensor<A::InnerBackend, 1>>,
        ),
    >,
{
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        let Some((slot, gradient)) = self.pairs.next() else {
            return param;
        };
        let step = self.step;
        param.map(|value| {
            let (shape, grad) = (value.shape(), value.is_require_grad());
            let numbers = shape.num_elements();
            let mut value = value.inner().reshape([numbers]);
            if let Some(gradient) = gradient {
                let options = step.adamw(slot.info.decays);
                // Taken, so that they can be written in place.
                let moments = slot.moments.take().unwrap_or_else(|| {
                    let zeros = value.zeros_like();
                    [zeros.clone(), zeros]
                });
                let (updated, moments) = adamw(value, gradient, moments, &options);
                value = updated;
                slot.moments = Some(moments);
            }
            if step.config.ema_decay > 0.0 {
                slot.average = Some(match slot.average.take() {
                    None => value.clone(),
                    Some(average) => blend(average, &value, 1.0 - step.average_decay()),
                });
            }
            Tensor::from_inner(value.reshape(shape)).set_require_grad(grad)
        })
    }
}

/// A model with the running means as its weights; parameters without one stay as they are.
pub(crate) fn with_averages<B: Backend, M: Module<B>>(model: M, optimizer: &Optimizer<B>) -> M {
    model.map(&mut Average {
        slots: optimizer.slots.iter(),
    })
}

struct Average<'a, B: Backend> {
    slots: std::slice::Iter<'a, Slot<B>>,
}

impl<B: Backend> ModuleMapper<B> for Average<'_, B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        match self.slots.next().and_then(|slot| slot.average.clone()) {
            None => param,
            Some(average) => param.map(|value| average.reshape(value.shape())),
        }
    }
}
