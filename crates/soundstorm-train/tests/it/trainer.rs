//! What a step does.

use burn::module::AutodiffModule;
use soundstorm_hub::{SafetensorsSource, TensorSource, open_model, shapes};
use soundstorm_train::{LogLine, Plan, Trainer, parameters, read_log};

use crate::support::{B, Bench, Inner, many};

/// With such an epsilon a step is proportional to the gradient.
const PROPORTIONAL: [&str; 4] = [
    "optimizer.epsilon=1e6",
    "optimizer.learning_rate=1e5",
    "optimizer.weight_decay=0",
    "schedule.warmup=0",
];

fn weights(model: &soundstorm::SoundStorm<Inner>, bench: &Bench) -> Vec<(String, Vec<f32>)> {
    let path = bench.path("dump.safetensors");
    soundstorm_hub::save_module(model, &path, &Default::default()).unwrap();
    let source = SafetensorsSource::open(&path).unwrap();
    let names = shapes(model).into_iter().map(|(name, _)| name);
    names
        .map(|name| (name.clone(), source.read_f32(&name).unwrap()))
        .collect()
}

fn largest_difference(a: &[(String, Vec<f32>)], b: &[(String, Vec<f32>)]) -> f32 {
    let pairs = a.iter().zip(b).flat_map(|(a, b)| a.1.iter().zip(&b.1));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A batch that is cut into pieces, of other numbers of masked tokens each, has the loss and the
/// gradient of the whole: after a step that is proportional to the gradient, weights agree.
#[test]
fn however_a_batch_is_cut_its_gradient_is_the_same() {
    let bench = Bench::new(&many());
    bench.prepare();
    let init = format!("init={}", bench.weights(&bench.config(&[])).display());
    let step = |pieces: &str| {
        let settings = [&PROPORTIONAL[..], &[&init, pieces, "optimizer.clip=0"]].concat();
        let config = bench.config(&settings);
        let mut trainer = Trainer::<B>::new(config, bench.dataset(), &Default::default()).unwrap();
        let report = trainer.step().unwrap();
        (report, weights(&trainer.model().valid(), &bench))
    };
    let before = {
        let config = bench.config(&[&init]);
        let trainer = Trainer::<B>::new(config, bench.dataset(), &Default::default()).unwrap();
        weights(&trainer.model().valid(), &bench)
    };
    let (whole, after) = step("data.micro_batches=1");
    let moved = largest_difference(&after, &before);
    assert!(moved > 1e-3, "{moved}");
    for pieces in ["data.micro_batches=2", "data.micro_batches=4"] {
        let (cut, after_cut) = step(pieces);
        assert_eq!((cut.frames, cut.tokens), (whole.frames, whole.tokens));
        assert!(
            (cut.loss - whole.loss).abs() < 1e-5,
            "{cut:?}, not {whole:?}"
        );
        assert!((cut.gradient_norm / whole.gradient_norm - 1.0).abs() < 1e-4);
        let apart = largest_difference(&after_cut, &after);
        assert!(apart < 1e-4 * moved, "{pieces}: {apart} of {moved}");
    }
}

#[test]
fn a_model_learns_and_the_log_tells() {
    let bench = Bench::new(&many());
    bench.prepare();
    let config = bench.config(&["steps=150", "log.every=10", "validation.every=50"]);
    let outcome = bench.train(&config, "run").unwrap();
    let log = read_log(bench.path("run/log.jsonl")).unwrap();
    let losses: Vec<f64> = log
        .iter()
        .filter_map(|line| match line {
            LogLine::Train { loss, .. } => Some(*loss),
            _ => None,
        })
        .collect();
    assert_eq!(losses.len(), 15);
    let uniform = (17f64).ln();
    assert!((losses[0] - uniform).abs() < 0.7, "{losses:?}");
    assert!(losses[14] < 0.5 * losses[0], "{losses:?}");
    let scores: Vec<_> = log
        .iter()
        .filter_map(|line| match line {
            LogLine::Validation(scores) => Some(scores),
            _ => None,
        })
        .collect();
    assert_eq!(scores.len(), 3);
    assert!(scores[2].loss < scores[0].loss);
    // The coarsest level decides the finer ones.
    assert!(scores[2].levels[1].accuracy > 0.9, "{:?}", scores[2]);
    assert_eq!(outcome.model, bench.path("run/model"));
}

/// The folder to generate with holds the running mean, and is what a checkpoint has.
#[test]
fn the_model_that_is_written_is_the_running_mean() {
    let bench = Bench::new(&many());
    bench.prepare();
    let config = bench.config(&[]);
    let outcome = bench.train(&config, "run").unwrap();
    let open = |path: &std::path::Path| {
        let model = open_model::<Inner>(path, &Default::default()).unwrap();
        assert_eq!(model.config, config.model);
        weights(&model.model, &bench)
    };
    let averaged = open(&outcome.model);
    assert_eq!(averaged, open(&outcome.checkpoint.path.join("ema")));
    assert_eq!(
        outcome.checkpoint.model(),
        outcome.checkpoint.path.join("ema")
    );
    let raw = open(&outcome.checkpoint.path.join("model"));
    assert!(largest_difference(&averaged, &raw) > 1e-5);

    let config = bench.config(&["optimizer.ema_decay=0"]);
    let outcome = bench.train(&config, "plain").unwrap();
    assert!(!outcome.checkpoint.path.join("ema").exists());
    let raw = open(&outcome.checkpoint.path.join("model"));
    assert_eq!(open(&outcome.model), raw);
}

/// By hand: the mean after two steps, of decays 2/11 and then 3/12.
#[test]
fn the_running_mean_begins_quickly() {
    let bench = Bench::new(&many());
    bench.prepare();
    let config = bench.config(&["optimizer.learning_rate=0.1", "schedule.warmup=0"]);
    let mut trainer = Trainer::<B>::new(config, bench.dataset(), &Default::default()).unwrap();
    trainer.step().unwrap();
    let first = weights(&trainer.model().valid(), &bench);
    assert_eq!(weights(&trainer.averaged(), &bench), first);
    trainer.step().unwrap();
    let second = weights(&trainer.model().valid(), &bench);
    let mean = weights(&trainer.averaged(), &bench);
    for ((first, second), mean) in first.iter().zip(&second).zip(&mean) {
        for ((a, b), got) in first.1.iter().zip(&second.1).zip(&mean.1) {
            let want = 0.25 * a + 0.75 * b;
            assert!((got - want).abs() < 1e-6, "{}: {got}, not {want}", mean.0);
        }
    }
}

/// Only what multiplies frames decays.
#[test]
fn norms_biases_and_embeddings_do_not_decay() {
    let bench = Bench::new(&many());
    bench.prepare();
    let config = bench.config(&["model.semantic.vocab=7"]);
    let model = config.model.init::<Inner>(&Default::default()).unwrap();
    let (decaying, others): (Vec<_>, Vec<_>) =
        parameters(&model).into_iter().partition(|info| info.decays);
    assert!(
        decaying
            .iter()
            .all(|info| info.name.ends_with("weight") && info.shape.len() >= 2)
    );
    for name in [
        "head.weight",
        "head.projection.weight",
        "conformer.blocks.0.convolution.depthwise_weight",
        "conformer.blocks.1.attention.to_qkv.weight",
    ] {
        assert!(
            decaying.iter().any(|info| info.name == name),
            "{name} of {decaying:?}"
        );
    }
    for name in ["embedding.table", "semantic.table", "head.bias"] {
        assert!(others.iter().any(|info| info.name == name), "{name}");
    }
    assert!(
        others
            .iter()
            .all(|info| !info.name.ends_with("to_qkv.weight"))
    );
}

#[test]
fn the_gradient_is_clipped_by_its_norm() {
    let bench = Bench::new(&many());
    bench.prepare();
    let init = format!("init={}", bench.weights(&bench.config(&[])).display());
    let step = |clip: &str| {
        let settings = [&PROPORTIONAL[..], &[&init, clip]].concat();
        let config = bench.config(&settings);
        let mut trainer = Trainer::<B>::new(config, bench.dataset(), &Default::default()).unwrap();
        let before = weights(&trainer.model().valid(), &bench);
        let report = trainer.step().unwrap();
        let after = weights(&trainer.model().valid(), &bench);
        (
            report.gradient_norm,
            f64::from(largest_difference(&before, &after)),
        )
    };
    let (norm, free) = step("optimizer.clip=0");
    let (same, clipped) = step("optimizer.clip=0.01");
    assert_eq!(norm, same, "it is told before it is clipped");
    assert!(norm > 0.1, "{norm}");
    assert!(
        (clipped / free / (0.01 / norm) - 1.0).abs() < 1e-2,
        "{clipped} of {free}"
    );
}

#[test]
fn a_plan_tells_sizes() {
    let bench = Bench::new(&many());
    bench.prepare();
    let config = bench.config(&["data.micro_batches=2"]);
    let plan = Plan::new::<Inner>(&config, &bench.dataset(), &Default::default()).unwrap();
    let model = config.model.init::<Inner>(&Default::default()).unwrap();
    let count = burn::module::Module::num_params(&model) as u64;
    assert_eq!(plan.parameters, count);
    assert_eq!(plan.memory.weights, 4 * count);
    assert_eq!(plan.memory.total(), 4 * count * 6 + plan.memory.data);
    assert_eq!(plan.memory.data, 2 * 3 * 296);
    assert_eq!(plan.piece, [2, 3, 13]);
    assert_eq!((plan.training_files, plan.validation_files), (13, 3));
    assert!(plan.decaying < plan.parameters && plan.decaying > plan.parameters / 2);
    assert_eq!(plan.shapes.len(), parameters(&model).len());
    assert!((plan.epochs - 12.0 / plan.batches as f64).abs() < 1e-12);
}
