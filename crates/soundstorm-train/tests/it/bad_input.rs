//! Configurations and data that do not go together, and losses that are no numbers.

use std::{fs, ops::ControlFlow};

use soundstorm_hub::{SafetensorsSource, TensorSource, weights_path, write_safetensors};
use soundstorm_train::{TrainConfig, TrainError, TrainEvent, train};

use crate::support::{B, Bench, files, many, owned};

fn refused(bench: &Bench, settings: &[&str]) -> String {
    let error = bench.train(&bench.config(settings), "run").unwrap_err();
    assert!(!bench.path("run/checkpoints").exists() || files(&bench.path("run")).len() <= 2);
    error.to_string()
}

#[test]
fn a_model_that_contradicts_the_codec_is_told_both_numbers() {
    let bench = Bench::new(&many());
    bench.prepare();
    for (settings, says) in [
        (
            &["model.num_quantizers=4"][..],
            "levels: the model has 4 levels, the data set's codec formula has 3 levels",
        ),
        (&["model.grouped_quantizers=2"], "6 levels"),
        (
            &["model.codebook_size=19"],
            "19 codes, the data set's codec formula has 17 codes",
        ),
        (&["model.semantic.vocab=17"], "none"),
        (
            &[
                "model.semantic.vocab=17",
                "model.semantic.source=codec_level_1",
            ],
            "3 levels and takes the codec's first",
        ),
        (
            &[
                "model.semantic.vocab=5",
                "model.semantic.source=codec_level_1",
                "model.num_quantizers=2",
            ],
            "5 semantic tokens",
        ),
        (
            &[
                "model.semantic.vocab=17",
                "model.semantic.source=codec_level_1",
                "model.num_quantizers=2",
                "model.semantic.semantic_hop=640",
            ],
            "rate of the first level",
        ),
    ] {
        let error = refused(&bench, settings);
        assert!(error.contains(says), "{error}");
        assert!(!bench.path("run").exists(), "no folder is left");
    }
}

/// The codec's first level as semantic tokens: the model makes the others.
#[test]
fn the_first_level_may_be_the_condition() {
    let bench = Bench::new(&many());
    bench.prepare();
    let config = bench.config(&[
        "model.semantic.vocab=17",
        "model.semantic.source=codec_level_1",
        "model.num_quantizers=2",
        "steps=60",
    ]);
    let outcome = bench.train(&config, "run").unwrap();
    // Both other levels follow from it.
    let best = outcome.checkpoint.state.best.unwrap();
    assert!(best.loss < 1.0, "{best:?}");
}

#[test]
fn a_batch_larger_than_the_set_is_told() {
    let bench = Bench::new(&[5, 7]);
    bench.prepare();
    let error = refused(&bench, &[]);
    assert!(
        error.contains("a batch of 4 rows is larger than the set"),
        "{error}"
    );
}

#[test]
fn a_missing_data_set_is_told() {
    let bench = Bench::new(&[5]);
    let error = refused(&bench, &[]);
    assert!(error.contains("soundstorm prepare"), "{error}");
    let missing = TrainConfig::read(bench.path("none.toml"), &[]).unwrap_err();
    assert!(missing.to_string().contains("none.toml"));
    fs::write(bench.path("bad.toml"), "steps = ").unwrap();
    let bad = TrainConfig::read(bench.path("bad.toml"), &owned(&["seed=1"])).unwrap_err();
    assert!(bad.to_string().contains("bad.toml"), "{bad}");
}

/// The step is named, nothing of it is kept, and the last checkpoint is.
#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let bench = Bench::new(&many());
    bench.prepare();
    let config = bench.config(&["checkpoint.every=2"]);
    bench.train_until(&config, "run", 4).unwrap();
    let before = files(&bench.path("run/checkpoints"));
    // A weight that is no number, in a folder to begin from.
    let good = bench.weights(&config);
    let path = weights_path(&good);
    let source = SafetensorsSource::open(&path).unwrap();
    let planned: Vec<_> = source.tensors().clone().into_iter().collect();
    let broken = bench.path("broken.safetensors");
    write_safetensors(&broken, &Default::default(), &planned, |name| {
        let mut bytes = source.read_bytes(name)?;
        if name == "head.bias" {
            bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
        Ok(bytes)
    })
    .unwrap();
    fs::rename(&broken, &path).unwrap();
    let init = format!("init={}", good.display());
    let error = bench.train(&bench.config(&[&init]), "other").unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("step") && text.contains("no checkpoint yet"),
        "{text}"
    );

    // A rate so high that the numbers run away after the first checkpoint.
    let config = bench.config(&[
        "checkpoint.every=1",
        "checkpoint.keep=9",
        "optimizer.learning_rate=1e30",
        "schedule.kind=constant",
        "optimizer.clip=0",
        "steps=50",
    ]);
    let mut saved = Vec::new();
    let error = train::<B>(&config, bench.path("wild"), &Default::default(), |event| {
        if let TrainEvent::Saved(checkpoint) = event {
            saved.push(checkpoint.path.clone());
        }
        ControlFlow::Continue(())
    })
    .unwrap_err();
    let TrainError::NotFinite {
        step, checkpoint, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*step, saved.len() as u64 + 1);
    assert_eq!(checkpoint.as_ref(), saved.last());
    assert!(
        error.to_string().contains("nothing of this step was kept"),
        "{error}"
    );
    assert_eq!(files(&bench.path("run/checkpoints")), before);
}
