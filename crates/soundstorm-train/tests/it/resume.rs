//! A run that is stopped and gone on with comes to the bits of one that is not.

use soundstorm_train::{Ended, TrainConfig};

use crate::support::{Bench, files, many};

fn config(bench: &Bench, more: &[&str]) -> TrainConfig {
    let init = format!("init={}", bench.path("weights").display());
    bench.config(&[&[init.as_str(), "data.micro_batches=2"], more].concat())
}

/// Everything of a run that does not tell how often it was stopped.
fn result(bench: &Bench, run: &str) -> Vec<(String, Vec<u8>)> {
    let all = files(&bench.path(run)).into_iter();
    let found: Vec<_> = all
        .filter(|(name, _)| {
            let last = name.starts_with("checkpoints/step-000000012/");
            last || name.starts_with("model/") || name == "log.jsonl"
        })
        .collect();
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    for name in [
        "checkpoints/step-000000012/optimizer.safetensors",
        "checkpoints/step-000000012/model/model.safetensors",
        "checkpoints/step-000000012/ema/model.safetensors",
        "checkpoints/step-000000012/state.json",
        "model/model.safetensors",
        "log.jsonl",
    ] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    found
}

#[test]
fn wherever_it_is_stopped_it_comes_to_the_same_bits() {
    let bench = Bench::new(&many());
    bench.prepare();
    bench.weights(&bench.config(&[]));
    let config = config(&bench, &[]);
    let outcome = bench.train(&config, "whole").unwrap();
    assert_eq!(outcome.ended, Ended::Finished);
    let whole = result(&bench, "whole");
    // Between checkpoints, at one, between lines of the log, and more than once.
    for (run, stops) in [
        ("at 1", &[1][..]),
        ("at 4", &[4]),
        ("at 6", &[6]),
        ("at 11", &[11]),
        ("often", &[2, 3, 5, 9]),
    ] {
        for &stop in stops {
            let outcome = bench.train_until(&config, run, stop).unwrap();
            assert_eq!(outcome.ended, Ended::Stopped);
            assert_eq!(outcome.checkpoint.state.step, stop);
            assert!(outcome.model.join("model.safetensors").exists());
        }
        assert_eq!(bench.train(&config, run).unwrap().ended, Ended::Finished);
        for (got, want) in result(&bench, run).iter().zip(&whole) {
            assert_eq!(got.0, want.0);
            assert!(got.1 == want.1, "{run}: {} has other bytes", got.0);
        }
    }
    // A run that is finished stays as it is.
    bench.train(&config, "whole").unwrap();
    assert_eq!(result(&bench, "whole"), whole);
}

#[test]
fn what_may_change_between_two_parts_of_a_run_is_known() {
    let bench = Bench::new(&many());
    bench.prepare();
    bench.weights(&bench.config(&[]));
    bench.train_until(&config(&bench, &[]), "run", 2).unwrap();
    let error = bench
        .train(&config(&bench, &["optimizer.clip=0.25"]), "run")
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`optimizer.clip` was 0.5 and is 0.25"),
        "{text}"
    );
    let error = bench.train(&config(&bench, &["model.conformer.depth=1"]), "run");
    assert!(error.unwrap_err().to_string().contains("conformer.depth"));
    let more = [
        "steps=13",
        "checkpoint.every=3",
        "log.every=1",
        "validation.every=7",
    ];
    let outcome = bench.train(&config(&bench, &more), "run").unwrap();
    assert_eq!(outcome.checkpoint.state.step, 13);

    // Other data under the same name is noticed.
    bench.recording("audio/000.wav", 31, 2);
    std::fs::remove_dir_all(bench.path("codes")).unwrap();
    bench.prepare();
    let more = ["steps=14"];
    let error = bench.train(&config(&bench, &more), "run").unwrap_err();
    assert!(error.to_string().contains("is not what"), "{error}");
}

#[test]
fn the_newest_and_the_best_checkpoints_stay() {
    let bench = Bench::new(&many());
    bench.prepare();
    let settings = [
        "checkpoint.every=1",
        "checkpoint.keep=2",
        "validation.every=3",
    ];
    let config = bench.config(&[&settings[..], &["optimizer.learning_rate=3.0"]].concat());
    let outcome = bench.train(&config, "run").unwrap();
    let best = outcome.checkpoint.state.best.unwrap().step;
    assert!(best < 11, "so high a rate spoils what was learnt: {best}");
    let mut steps: Vec<u64> = std::fs::read_dir(bench.path("run/checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_prefix("step-").unwrap().parse().unwrap())
        .collect();
    steps.sort_unstable();
    assert_eq!(steps, [best, 11, 12]);
}
