//! Tests of a conditioned conformer: nothing leaks, nothing is added where nothing is given, and
//! gradients are those of finite differences.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Distribution, Tensor, TensorData, Tolerance, backend::Backend},
};
use soundstorm_nn::frame_mask;

use super::*;
use crate::{ConformerConfig, ValueResidual};

type B = burn_flex::Flex;
type Ad = burn_autodiff::Autodiff<B>;

const DIM: usize = 13;
const CONTEXT: usize = 11;
const VECTOR: usize = 7;

fn variants() -> Vec<ConformerConfig> {
    let small = ConformerConfig {
        heads: 3,
        dim_head: 2,
        conv_kernel_size: 5,
        ..ConformerConfig::new(DIM, 2)
    };
    let t5 = ConformerConfig {
        t5_rel_pos_bias: true,
        conv_causal: true,
        ..small.clone()
    };
    let streams = ConformerConfig {
        num_residual_streams: 3,
        value_residual: ValueResidual::Learned,
        ..small.clone()
    };
    vec![small, t5, streams]
}

fn conditioning(positions: ContextPositions) -> ConditioningConfig {
    ConditioningConfig {
        context: Some(ContextAttentionConfig {
            dim: CONTEXT,
            positions,
        }),
        vector: Some(VECTOR),
    }
}

/// A generator of numbers that look random and are the same whatever else runs.
struct Numbers(u64, Vec<String>);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as f32 / 2f32.powi(30) - 1.0
    }

    fn tensor<Bk: Backend, const D: usize>(&mut self, shape: [usize; D]) -> Tensor<Bk, D> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.next()).collect();
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }
}

/// Fills every parameter with numbers that matter.
impl<Bk: Backend> ModuleMapper<Bk> for Numbers {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<Bk, D>>) -> Param<Tensor<Bk, D>> {
        param.map(|old| {
            let random = self.tensor::<Bk, D>(old.dims());
            // A stream that others cancel would be next to nothing, and its norm bend sharply.
            let name = self.1.last().map_or("", String::as_str);
            let filled = match (name, D) {
                ("static_alpha", _) => (old + random * 0.2).detach(),
                ("dynamic_alpha_scale" | "dynamic_beta_scale", _) => random * 0.1,
                (_, 1) => random * 0.3 + 0.8,
                _ => random * 0.5,
            };
            filled.require_grad()
        })
    }
}

fn model<Bk: Backend>(config: &ConformerConfig, positions: ContextPositions) -> Conformer<Bk> {
    let model = config.init_conditioned::<Bk>(&conditioning(positions), &Default::default());
    model.map(&mut Numbers(5, Vec::new()))
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<B, D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
}

fn largest<const D: usize>(x: Tensor<B, D>) -> f32 {
    x.abs().max().into_scalar()
}

/// Rows with and without context and vector, of other lengths, each as it is alone; garbage in
/// the padding of frames and of the context is never seen.
#[test]
fn a_row_gets_what_it_gets_alone() {
    let (frames, longest) = (11, 5);
    let lengths = [7, 11, 4, 9];
    let context_lengths = [3, 0, 5, 1];
    let given = [true, true, false, false];
    for positions in [ContextPositions::Spread, ContextPositions::None] {
        for config in variants() {
            let model = model::<B>(&config, positions);
            let (x, context) = (
                random([4, frames, DIM]),
                random([4, longest, CONTEXT]) * 9.0,
            );
            let vector = random([4, VECTOR]);
            let condition = model.condition(
                Some(Context {
                    frames: context.clone(),
                    lengths: context_lengths.to_vec(),
                }),
                Some(Vector {
                    values: vector.clone(),
                    given: given.to_vec(),
                }),
            );
            let mask = frame_mask(&lengths, frames, &Default::default());
            let together = model.forward_conditioned(x.clone(), mask, Some(&condition));
            for row in 0..4 {
                let (length, symbols) = (lengths[row], context_lengths[row]);
                let context = (symbols > 0).then(|| Context {
                    frames: context.clone().slice([row..row + 1, 0..symbols]),
                    lengths: vec![symbols],
                });
                let vector = given[row].then(|| Vector {
                    values: vector.clone().narrow(0, row, 1),
                    given: vec![true],
                });
                let condition = model.condition(context, vector);
                let x = x.clone().slice([row..row + 1, 0..length]);
                let alone = model.forward_conditioned(x, None, Some(&condition));
                let got = together.clone().slice([row..row + 1, 0..length]);
                got.into_data()
                    .assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-5));
            }
        }
    }
}

/// A row without context and vector gets the very bits that an unconditioned pass gives.
#[test]
fn nothing_given_is_nothing_added() {
    for config in variants() {
        let model = model::<B>(&config, ContextPositions::Spread);
        let x = random([2, 7, DIM]);
        let context = Context {
            frames: random([2, 5, CONTEXT]),
            lengths: vec![0, 5],
        };
        let condition = model.condition(Some(context), None);
        let want = model.forward(x.clone(), None);
        let got = model.forward_conditioned(x.clone(), None, Some(&condition));
        let row = |x: &Tensor<B, 3>, row| x.clone().narrow(0, row, 1);
        row(&got, 0)
            .into_data()
            .assert_eq(&row(&want, 0).into_data(), true);
        assert!(largest(row(&got, 1) - row(&want, 1)) > 1e-3);

        // Neither does a context without any symbol, or a vector that no row has.
        let nothing = model.condition(
            Some(Context {
                frames: random([2, 5, CONTEXT]),
                lengths: vec![0, 0],
            }),
            Some(Vector {
                values: random([2, VECTOR]),
                given: vec![false; 2],
            }),
        );
        model
            .forward_conditioned(x, None, Some(&nothing))
            .into_data()
            .assert_eq(&want.into_data(), true);
    }
}

/// Gates and scales are zero before training: the very bits of an unconditioned pass.
#[test]
fn an_untrained_vector_changes_nothing() {
    for config in variants() {
        let plain = ConditioningConfig {
            context: None,
            vector: Some(VECTOR),
        };
        let model = config.init_conditioned::<B>(&plain, &Default::default());
        let x = random([2, 7, DIM]);
        let vector = Vector {
            values: random([2, VECTOR]) * 100.0,
            given: vec![true; 2],
        };
        let condition = model.condition(None, Some(vector));
        model
            .forward_conditioned(x.clone(), None, Some(&condition))
            .into_data()
            .assert_eq(&model.forward(x, None).into_data(), true);
    }
}

/// Frames that are all alike are told apart by what they see of the context, early and late.
#[test]
fn spread_positions_tell_equal_frames_apart() {
    let config = &variants()[0];
    let x = Tensor::<B, 3>::ones([1, 9, DIM], &Default::default());
    let context = Context {
        frames: random([1, 5, CONTEXT]),
        lengths: vec![5],
    };
    let apart = |positions| {
        let mut model = model::<B>(config, positions);
        // Without the convolution, which sees where a row ends.
        for block in &mut model.blocks {
            let weight = block.convolution.contract.weight.clone();
            block.convolution.contract.weight = weight.map(|weight| weight.zeros_like());
        }
        let condition = model.condition(Some(context.clone()), None);
        let out = model.forward_conditioned(x.clone(), None, Some(&condition));
        largest(out.clone().narrow(1, 1, 8) - out.narrow(1, 0, 8))
    };
    assert!(apart(ContextPositions::None) < 1e-5);
    assert!(apart(ContextPositions::Spread) > 1e-2);
}

/// A model that is conditioned on nothing has the parameters it always had.
#[test]
fn parameters_are_there_when_they_are_needed() {
    for config in variants() {
        let count = |conditioning: &ConditioningConfig| {
            let model = config.init_conditioned::<B>(conditioning, &Default::default());
            model.num_params()
        };
        let plain = count(&ConditioningConfig::default());
        assert_eq!(plain, config.init::<B>(&Default::default()).num_params());
        let inner = 3 * 2;
        let cross = 2 * DIM + DIM * inner + CONTEXT * 2 * inner + inner * DIM;
        let streams = config.num_residual_streams;
        let connection = match streams {
            1 => 0,
            _ => DIM + (streams + DIM) * (1 + streams) + 1 + streams + DIM + 1,
        };
        let vector = (VECTOR + 1) * 5 * 3 * DIM;
        assert_eq!(
            count(&conditioning(ContextPositions::Spread)),
            plain + 2 * (cross + connection + vector)
        );
    }
}

/// One parameter's name, and its gradient, number by number.
type Gradient = (String, Vec<f32>);

struct Collect<'a> {
    gradients: &'a <Ad as burn::tensor::backend::AutodiffBackend>::Gradients,
    path: Vec<String>,
    found: Vec<Gradient>,
}

impl ModuleVisitor<Ad> for Collect<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Ad, D>>) {
        let gradient = param.val().grad(self.gradients);
        let gradient = gradient.unwrap_or_else(|| panic!("{} has none", self.path.join(".")));
        let gradient = gradient.into_data().iter::<f32>().collect();
        self.found.push((self.path.join("."), gradient));
    }
}

/// Adds to one number of one parameter.
struct Nudge {
    skip: usize,
    place: usize,
    by: f32,
}

impl ModuleMapper<B> for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        if self.skip > 0 {
            self.skip -= 1;
            return param;
        }
        self.skip = usize::MAX;
        param.map(|old| {
            let shape = old.dims();
            let mut values: Vec<f32> = old.into_data().iter().collect();
            values[self.place] += self.by;
            Tensor::from_data(TensorData::new(values, shape), &Default::default())
        })
    }
}

/// A weighted sum of what a padded batch with all conditions gives, summed in double precision by
/// `sum`.
fn outcome<Bk: Backend>(model: &Conformer<Bk>) -> Tensor<Bk, 3> {
    let mut numbers = Numbers(11, Vec::new());
    let context = Context {
        frames: numbers.tensor([2, 5, CONTEXT]),
        lengths: vec![5, 3],
    };
    let vector = Vector {
        values: numbers.tensor([2, VECTOR]),
        given: vec![true; 2],
    };
    let condition = model.condition(Some(context), Some(vector));
    let mask = frame_mask(&[7, 4], 7, &Default::default());
    let x = numbers.tensor([2, 7, DIM]);
    let out = model.forward_conditioned(x, mask, Some(&condition));
    let real = out.narrow(1, 0, 4);
    let weights = numbers.tensor(real.dims());
    real * weights
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for config in variants() {
        let recorded = model::<Ad>(&config, ContextPositions::Spread);
        let gradients = outcome(&recorded).sum().backward();
        let mut collect = Collect {
            gradients: &gradients,
            path: Vec::new(),
            found: Vec::new(),
        };
        recorded.visit(&mut collect);

        let plain = model::<B>(&config, ContextPositions::Spread);
        let sum = |nudge: Nudge| -> f64 {
            let nudged = plain.clone().map(&mut { nudge });
            outcome(&nudged).into_data().iter::<f64>().sum()
        };
        let mut compared = 0;
        for (skip, (name, gradient)) in collect.found.iter().enumerate() {
            if !name.contains("cross_attention") && !name.contains("adaptive_norm") {
                continue;
            }
            for part in 0..5 {
                let place = part * (gradient.len() - 1) / 4;
                let by = 2e-2;
                let rise = |by: f32| {
                    let sum = |by| sum(Nudge { skip, place, by });
                    sum(by) - sum(-by)
                };
                // Of the fourth order.
                let want = (8.0 * rise(by) - rise(2.0 * by)) / (12.0 * f64::from(by));
                let got = f64::from(gradient[place]);
                let room = 1e-2 * want.abs().max(0.3);
                assert!(
                    (got - want).abs() < room,
                    "{name}[{place}]: {got}, not {want}"
                );
                compared += 1;
            }
        }
        assert!(compared >= 2 * 5 * 7, "{compared}");
    }
}
