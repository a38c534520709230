//! A tiny model that learns two sequences by heart, and says them again from the text alone and
//! from a prompt alone. The same with the mask traps that implementations fall into, which fails.

use std::convert::Infallible;

use burn::module::{AutodiffModule, Module, ModuleMapper, Param};
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::{Int, Tensor, TensorData};
use rand::{SeedableRng, rngs::StdRng};
use soundstorm::conformer::ConformerConfig;
use soundstorm::maskgit::{DecodeOptions, DecodeRow, TrainingMask, decode};
use soundstorm::{
    ConditionDropout, ConditionedBatch, Conditions, ContextConfig, ContextSource, HeadKind,
    LossOptions, SoundStorm, SoundStormConfig, nn::cross_entropy, text_bytes,
};

use crate::support::B;

type Ad = burn_autodiff::Autodiff<B>;

const CODES: usize = 13;
const LEVELS: usize = 3;
const FRAMES: usize = 11;
const PROMPT: usize = 3;
const TEXTS: [&str; 2] = ["one word", "another"];
const STEPS: usize = 300;

/// What a training step shows and counts.
#[derive(Clone, Copy, PartialEq)]
enum Trap {
    /// As the paper has it.
    None,
    /// Levels finer than the one that is learned are shown.
    FinerLevelsShown,
    /// What is to be learned is shown.
    TargetsShown,
}

fn config() -> SoundStormConfig {
    let conformer = |depth, kernel| ConformerConfig {
        heads: 2,
        dim_head: 16,
        ff_mult: 2,
        conv_kernel_size: kernel,
        ..ConformerConfig::new(32, depth)
    };
    SoundStormConfig {
        head: HeadKind::Dense,
        context: Some(ContextConfig {
            source: ContextSource::Bytes,
            ..ContextConfig::new(256, conformer(1, 3))
        }),
        ..SoundStormConfig::new(CODES, LEVELS, conformer(2, 5))
    }
}

/// Two sequences without a pattern, `[levels][frames]` each.
fn sequences() -> [Vec<i64>; 2] {
    [3u64, 8].map(|seed| {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((state >> 33) % CODES as u64) as i64
        };
        (0..LEVELS * FRAMES).map(|_| next()).collect()
    })
}

fn texts() -> Vec<Conditions> {
    let text = |text| Conditions {
        context: Some(text_bytes(text)),
        ..Conditions::default()
    };
    TEXTS.map(text).to_vec()
}

/// Both sequences several times over: as many masks a step.
fn batch() -> ConditionedBatch<Ad> {
    let rows = 8;
    let flat: Vec<i64> = (0..rows)
        .flat_map(|row| sequences()[row % 2].clone())
        .collect();
    let data = TensorData::new(flat, [rows, LEVELS, FRAMES]);
    ConditionedBatch {
        codes: Tensor::from_data(data, &Default::default()),
        lengths: None,
        conditions: (0..rows).map(|row| texts()[row % 2].clone()).collect(),
    }
}

fn loss(
    model: &SoundStorm<Ad>,
    batch: &ConditionedBatch<Ad>,
    trap: Trap,
    rng: &mut StdRng,
) -> Tensor<Ad, 1> {
    let dropout = ConditionDropout {
        context: 0.4,
        ..ConditionDropout::default()
    };
    if trap == Trap::None {
        let options = LossOptions {
            dropout,
            ..LossOptions::default()
        };
        return model.losses(batch, &options, rng).unwrap().total;
    }
    let rows = batch.conditions.len();
    let mask = TrainingMask::draw(&vec![FRAMES; rows], LEVELS, FRAMES, rng).unwrap();
    let mut tokens: Vec<i64> = batch.codes.to_data().iter().collect();
    if trap == Trap::FinerLevelsShown {
        for (row, drawn) in mask.rows().iter().enumerate() {
            for frame in (0..FRAMES).filter(|&frame| drawn.masked[frame]) {
                tokens[(row * LEVELS + drawn.level) * FRAMES + frame] = CODES as i64;
            }
        }
    }
    let tokens = TensorData::new(tokens, [rows, LEVELS, FRAMES]);
    let tokens = Tensor::from_data(tokens, &Default::default());
    let conditions: Vec<_> = (batch.conditions.iter())
        .map(|row| row.dropped(&dropout, rng))
        .collect();
    let prepared = model.prepare(&conditions, None, FRAMES).unwrap();
    let hidden = model.hidden_given(tokens, &prepared, None, None);
    let mut sum = Tensor::<Ad, 1>::zeros([1], &Default::default());
    for (row, drawn) in mask.rows().iter().enumerate() {
        let hidden = hidden.clone().narrow(0, row, 1);
        let logits = model
            .head
            .forward(hidden, drawn.level)
            .reshape([FRAMES, CODES]);
        let target = (batch.codes.clone()).slice([row..row + 1, drawn.level..drawn.level + 1]);
        let counted: Vec<f32> = drawn
            .masked
            .iter()
            .map(|&m| f32::from(u8::from(m)))
            .collect();
        let counted = Tensor::from_data(counted.as_slice(), &Default::default());
        sum = sum + (cross_entropy(logits, target.reshape([FRAMES])) * counted).sum();
    }
    sum / mask.counted().iter().filter(|&&counts| counts).count() as f64
}

/// Weights as they are drawn usually, but the same whatever else the process draws.
#[derive(Default)]
struct Start {
    path: Vec<String>,
    state: u64,
}

impl Start {
    /// Uniform, of deviation 1.
    fn next(&mut self) -> f32 {
        self.state =
            (self.state.wrapping_mul(6364136223846793005)).wrapping_add(1442695040888963407);
        ((self.state >> 33) as f32 / 2f32.powi(30) - 1.0) * 3f32.sqrt()
    }
}

impl ModuleMapper<Ad> for Start {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<Ad, D>>) -> Param<Tensor<Ad, D>> {
        let name = self.path.last().cloned().unwrap_or_default();
        param.map(|old| {
            let shape = old.dims();
            let inputs = shape.iter().rev().skip(1).product::<usize>() as f32;
            let scale = match (name.as_str(), D) {
                ("table", _) => 1.0,
                ("depthwise_weight", _) => (shape[D - 1] as f32).powf(-0.5),
                (_, 3) => (shape[1] as f32).powf(-0.5),
                (_, 2) => inputs.powf(-0.5),
                _ => 0.0,
            };
            let ones = f32::from(u8::from(name == "gamma"));
            let count = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|_| ones + scale * self.next()).collect();
            let start = Tensor::from_data(TensorData::new(values, shape), &Default::default());
            start.require_grad()
        })
    }
}

fn trained(trap: Trap) -> SoundStorm<B> {
    let model = config().init::<Ad>(&Default::default()).unwrap();
    let mut model = model.map(&mut Start::default());
    let mut optimizer = AdamWConfig::new().with_weight_decay(0.0).init();
    let mut rng = StdRng::seed_from_u64(2);
    let batch = batch();
    for step in 0..STEPS {
        let loss = loss(&model, &batch, trap, &mut rng);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        // Warm up, then down to nothing.
        let progress = step as f64 / STEPS as f64;
        let rate = 6e-3 * (progress * 10.0).min(1.0 - progress).min(1.0);
        model = optimizer.step(rate, model, gradients);
    }
    model.valid()
}

/// Share of codes that two rows of the training's texts get back, without a prompt from their
/// text, or without a text from their prompt.
fn recalled(model: &SoundStorm<B>, from_text: bool) -> f64 {
    let prompt = if from_text { 0 } else { PROMPT };
    let conditions = match from_text {
        true => texts(),
        false => vec![Conditions::default(); 2],
    };
    let start: Vec<i64> = sequences()
        .concat()
        .into_iter()
        .enumerate()
        .map(|(at, code)| {
            if at % FRAMES < prompt {
                code
            } else {
                CODES as i64
            }
        })
        .collect();
    let start = TensorData::new(start, [2, LEVELS, FRAMES]);
    let start = Tensor::<B, 3, Int>::from_data(start, &Default::default());
    let prepared = model.prepare(&conditions, None, FRAMES).unwrap();
    let mut passes = model.passes(&prepared, None);
    let rows = [0, 1].map(|seed| DecodeRow {
        frames: FRAMES,
        seed,
    });
    let options = DecodeOptions {
        steps: vec![4, 1],
        greedy: true,
        ..DecodeOptions::default()
    };
    let net = |tokens, level| Ok::<_, Infallible>(passes.level_logits(tokens, level));
    let got = decode(start, &rows, CODES, &options, net, |_| ()).unwrap();
    let want = sequences().concat();
    let got: Vec<i64> = got.into_data().iter().collect();
    let free = |at: usize| at % FRAMES >= prompt;
    let same = |at: &usize| got[*at] == want[*at];
    let places: Vec<usize> = (0..want.len()).filter(|&at| free(at)).collect();
    places.iter().filter(|at| same(at)).count() as f64 / places.len() as f64
}

#[test]
fn a_sequence_is_recalled_from_its_text_and_from_a_prompt() {
    let model = trained(Trap::None);
    let share = [true, false].map(|from_text| recalled(&model, from_text));
    assert_eq!(share, [1.0; 2]);
}

/// The proof that the test above can fail.
#[test]
fn a_model_trained_with_a_trap_does_not_recall_it() {
    for trap in [Trap::FinerLevelsShown, Trap::TargetsShown] {
        let model = trained(trap);
        let share = [true, false].map(|from_text| recalled(&model, from_text));
        assert!(share.iter().all(|&share| share < 0.5), "{share:?}");
    }
}
