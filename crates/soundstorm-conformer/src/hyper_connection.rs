//! How a branch joins the residual: plainly, or through hyper-connections over
//! several residual streams (arXiv 2409.19606, appendix J, algorithm 2), with
//! the parameters of the package hyper-connections 0.4.11.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    tensor::{Tensor, TensorData, backend::Backend},
};

use soundstorm_nn::LayerNorm;

use crate::BranchEnd;

/// Configuration of [`HyperConnection`].
#[derive(Config, Debug)]
pub struct HyperConnectionConfig {
    /// Channels of a stream.
    pub dim: usize,
    /// Number of residual streams.
    pub streams: usize,
    /// The stream that the branch reads from before training.
    #[config(default = 0)]
    pub first_stream: usize,
}

/// Learned weights from the streams to a branch's input, among the streams, and
/// from the branch's output back to each stream.
#[derive(Module, Debug)]
pub struct HyperConnection<B: Backend> {
    /// Gain of the root-mean-square norm, less one, `[dim]`.
    pub norm_gamma: Param<Tensor<B, 1>>,
    /// Weights of every stream in the branch's input (column 0) and in each new
    /// stream (the others), `[streams, 1 + streams]`.
    pub static_alpha: Param<Tensor<B, 2>>,
    /// What a frame adds to these, `[dim, 1 + streams]`.
    pub dynamic_alpha: Param<Tensor<B, 2>>,
    /// Scale of that, `[1]`.
    pub dynamic_alpha_scale: Param<Tensor<B, 1>>,
    /// Weights of the branch's output in each stream, `[streams]`.
    pub static_beta: Param<Tensor<B, 1>>,
    /// What a frame adds to these, `[dim]`.
    pub dynamic_beta: Param<Tensor<B, 1>>,
    /// Scale of that, `[1]`.
    pub dynamic_beta_scale: Param<Tensor<B, 1>>,
}

impl HyperConnectionConfig {
    /// Connections that act as one plain residual until they are trained.
    pub fn init<B: Backend>(&self, device: &B::Device) -> HyperConnection<B> {
        let (dim, streams) = (self.dim, self.streams);
        let small = Initializer::Constant { value: 1e-2 };
        let first = self.first_stream % streams.max(1);
        let mut alpha = vec![0f32; streams * (1 + streams)];
        for stream in 0..streams {
            let row = stream * (1 + streams);
            alpha[row] = f32::from(u8::from(stream == first));
            alpha[row + 1 + stream] = 1.0;
        }
        let alpha = TensorData::new(alpha, [streams, 1 + streams]);
        HyperConnection {
            norm_gamma: Initializer::Zeros.init([dim], device),
            static_alpha: Param::from_data(alpha, device),
            dynamic_alpha: Initializer::Zeros.init([dim, 1 + streams], device),
            dynamic_alpha_scale: small.init([1], device),
            static_beta: Initializer::Ones.init([streams], device),
            dynamic_beta: Initializer::Zeros.init([dim], device),
            dynamic_beta_scale: small.init([1], device),
        }
    }
}

impl<B: Backend> HyperConnection<B> {
    /// The branch's input and the mixed streams.
    ///
    /// # Shapes
    /// - `residual`: `[batch, frames, streams, dim]`
    /// - output: `[batch, frames, dim]`, `[batch, frames, streams, dim]`, and
    ///   the weights for [`Self::depth`], `[batch, frames, streams, 1]`
    fn width(&self, residual: Tensor<B, 4>) -> (Tensor<B, 3>, Tensor<B, 4>, Tensor<B, 4>) {
        let [batch, frames, streams, dim] = residual.dims();
        let norm = residual
            .clone()
            .powi_scalar(2)
            .sum_dim(3)
            .sqrt()
            .clamp_min(1e-12);
        let gamma = (self.norm_gamma.val() + 1.0) * (dim as f64).sqrt();
        let normed = residual.clone() / norm * gamma.unsqueeze();

        let flat = normed.reshape([batch * frames * streams, dim]);
        let alpha = (flat.clone().matmul(self.dynamic_alpha.val())).tanh()
            * self.dynamic_alpha_scale.val().unsqueeze();
        let alpha = alpha.reshape([batch, frames, streams, 1 + streams])
            + self.static_alpha.val().unsqueeze();
        // Not as a product with one column: fused with what follows, that is wrong on CUDA in burn
        // 0.21 (tracel-ai/burn#5122).
        let beta = (flat * self.dynamic_beta.val().unsqueeze()).sum_dim(1);
        let beta = beta.tanh() * self.dynamic_beta_scale.val().unsqueeze();
        let beta = beta.reshape([batch, frames, streams, 1])
            + self.static_beta.val().reshape([1, 1, streams as i32, 1]);

        let mixed = alpha.swap_dims(2, 3).matmul(residual);
        let input = mixed.clone().narrow(2, 0, 1).reshape([batch, frames, dim]);
        (input, mixed.narrow(2, 1, streams), beta)
    }

    /// Adds the branch's output to every stream by its weight.
    fn depth(output: Tensor<B, 3>, residual: Tensor<B, 4>, beta: Tensor<B, 4>) -> Tensor<B, 4> {
        output.unsqueeze_dim::<4>(2) * beta + residual
    }
}

/// What flows between a block's branches.
#[derive(Clone, Debug)]
pub enum Residual<B: Backend> {
    /// One plain residual, `[batch, frames, dim]`.
    Plain(Tensor<B, 3>),
    /// Several streams, `[batch, frames, streams, dim]`.
    Streams(Tensor<B, 4>),
}

impl<B: Backend> Residual<B> {
    /// Copies frames into each of several streams; one stream is a plain residual.
    ///
    /// # Shapes
    /// - `x`: `[batch, frames, dim]`
    pub fn expand(x: Tensor<B, 3>, streams: usize) -> Self {
        match streams {
            1 => Self::Plain(x),
            _ => Self::Streams(x.unsqueeze_dim::<4>(2).repeat_dim(2, streams)),
        }
    }

    /// The sum of the streams, `[batch, frames, dim]`.
    pub fn reduce(self) -> Tensor<B, 3> {
        match self {
            Self::Plain(x) => x,
            Self::Streams(x) => {
                let [batch, frames, _, dim] = x.dims();
                x.sum_dim(2).reshape([batch, frames, dim])
            }
        }
    }

    /// Runs a branch on the residual and joins its output to it.
    ///
    /// Streams need a connection; without one the branch would have no input,
    /// so each then counts as a residual of its own sum.
    pub fn join(
        self,
        connection: Option<&HyperConnection<B>>,
        branch: impl FnOnce(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Self {
        match (self, connection) {
            (Self::Streams(x), Some(connection)) => {
                let (input, x, beta) = connection.width(x);
                Self::Streams(HyperConnection::depth(branch(input), x, beta))
            }
            (residual, _) => {
                let x = residual.reduce();
                Self::Plain(x.clone() + branch(x))
            }
        }
    }

    /// The same for a branch that ends in a linear layer, which a plain residual
    /// is added to as it is worked out. `branch` is what comes before that layer.
    pub fn join_linear(
        self,
        connection: Option<&HyperConnection<B>>,
        end: &BranchEnd<B>,
        branch: impl FnOnce(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Self {
        match (&self, connection) {
            (Self::Streams(_), Some(_)) => self.join(connection, |x| end.forward(branch(x))),
            _ => {
                let x = self.reduce();
                let hidden = branch(x.clone());
                Self::Plain(end.add_to(x, hidden))
            }
        }
    }

    /// The same for a branch whose output is scaled by a gate; 0 leaves it exactly as it is.
    ///
    /// # Shapes
    /// - `gate`: `[batch, 1, dim]`, the scale less one; none at all, when absent
    pub fn join_gated(
        self,
        connection: Option<&HyperConnection<B>>,
        end: &BranchEnd<B>,
        gate: Option<&Tensor<B, 3>>,
        branch: impl FnOnce(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Self {
        let Some(gate) = gate else {
            return self.join_linear(connection, end, branch);
        };
        match (&self, connection) {
            (Self::Streams(_), Some(_)) => self.join(connection, |x| {
                let output = end.forward(branch(x));
                output.clone() + output * gate.clone()
            }),
            _ => {
                let x = self.reduce();
                let hidden = branch(x.clone());
                // What was added, added so many times more: a gate of 0 keeps every bit.
                let joined = end.add_to(x.clone(), hidden);
                Self::Plain(joined.clone() + (joined - x) * gate.clone())
            }
        }
    }

    /// Normalises each stream.
    pub fn norm(self, norm: &LayerNorm<B>) -> Self {
        match self {
            Self::Plain(x) => Self::Plain(norm.forward(x)),
            Self::Streams(x) => Self::Streams(norm.forward(x)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    type B = burn_flex::Flex;

    fn connection(streams: usize) -> HyperConnection<B> {
        HyperConnectionConfig::new(5, streams)
            .with_first_stream(1)
            .init(&Default::default())
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    /// Untrained, every stream is what a plain residual would be.
    #[test]
    fn untrained_connections_act_as_a_plain_residual() {
        let x = random([2, 7, 5]);
        let branch = |x: Tensor<B, 3>| x * 2.0;
        let Residual::Streams(streams) =
            Residual::expand(x.clone(), 3).join(Some(&connection(3)), branch)
        else {
            panic!("three streams went in");
        };
        for stream in 0..3 {
            let got = streams.clone().narrow(2, stream, 1).reshape([2, 7, 5]);
            got.into_data()
                .assert_approx_eq::<f32>(&(x.clone() * 3.0).into_data(), Tolerance::absolute(1e-5));
        }
    }

    /// Against the definition, worked out one frame at a time.
    #[test]
    fn trained_connections_follow_the_definition() {
        let (dim, streams) = (5, 3);
        let mut connection = connection(streams);
        connection.norm_gamma = Param::from_tensor(random([dim]));
        connection.static_alpha = Param::from_tensor(random([streams, 1 + streams]));
        connection.dynamic_alpha = Param::from_tensor(random([dim, 1 + streams]));
        connection.dynamic_alpha_scale = Param::from_data([0.7], &Default::default());
        connection.static_beta = Param::from_tensor(random([streams]));
        connection.dynamic_beta = Param::from_tensor(random([dim]));
        connection.dynamic_beta_scale = Param::from_data([-0.9], &Default::default());

        let x = random([1, 1, streams, dim]);
        let flat = |data: TensorData| data.iter::<f32>().collect::<Vec<f32>>();
        let gamma = flat(connection.norm_gamma.val().into_data());
        let static_alpha = flat(connection.static_alpha.val().into_data());
        let dynamic_alpha = flat(connection.dynamic_alpha.val().into_data());
        let static_beta = flat(connection.static_beta.val().into_data());
        let dynamic_beta = flat(connection.dynamic_beta.val().into_data());
        let residual = flat(x.clone().into_data());
        let at = |stream: usize, channel: usize| residual[stream * dim + channel];

        let mut alpha = vec![0f32; streams * (1 + streams)];
        let mut beta = vec![0f32; streams];
        for stream in 0..streams {
            let norm = (0..dim).map(|c| at(stream, c).powi(2)).sum::<f32>().sqrt();
            let normed: Vec<f32> = (0..dim)
                .map(|c| at(stream, c) / norm * (dim as f32).sqrt() * (1.0 + gamma[c]))
                .collect();
            for to in 0..1 + streams {
                let dynamic: f32 = (0..dim)
                    .map(|c| normed[c] * dynamic_alpha[c * (1 + streams) + to])
                    .sum();
                alpha[stream * (1 + streams) + to] =
                    static_alpha[stream * (1 + streams) + to] + 0.7 * dynamic.tanh();
            }
            let dynamic: f32 = (0..dim).map(|c| normed[c] * dynamic_beta[c]).sum();
            beta[stream] = static_beta[stream] - 0.9 * dynamic.tanh();
        }
        let mixed = |to: usize, channel: usize| -> f32 {
            (0..streams)
                .map(|stream| alpha[stream * (1 + streams) + to] * at(stream, channel))
                .sum()
        };
        // The branch squares its input.
        let want: Vec<f32> = (0..streams)
            .flat_map(|stream| (0..dim).map(move |channel| (stream, channel)))
            .map(|(stream, channel)| {
                mixed(1 + stream, channel) + beta[stream] * mixed(0, channel).powi(2)
            })
            .collect();

        let joined = Residual::Streams(x).join(Some(&connection), |x| x.powi_scalar(2));
        let Residual::Streams(got) = joined else {
            panic!("streams went in");
        };
        got.into_data().assert_approx_eq::<f32>(
            &TensorData::new(want, [1, 1, streams, dim]),
            Tolerance::absolute(1e-4),
        );
    }

    #[test]
    fn reducing_sums_the_streams() {
        let x = random([2, 3, 5]);
        let got = Residual::expand(x.clone(), 4).reduce();
        got.into_data()
            .assert_approx_eq::<f32>(&(x * 4.0).into_data(), Tolerance::absolute(1e-5));
    }
}
