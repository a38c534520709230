//! Damaged checkpoints, left-overs, and two processes in one folder.

use std::{fs, ops::ControlFlow, path::Path};

use soundstorm_train::{Checkpoint, Dataset, TrainError, TrainEvent, train};

use crate::support::{B, Bench, files, flip, many};

const STEP: &str = "run/checkpoints/step-";

fn begun() -> Bench {
    let bench = Bench::new(&many());
    bench.prepare();
    bench.weights(&bench.config(&[]));
    bench
}

fn settings(bench: &Bench) -> [String; 2] {
    let init = format!("init={}", bench.path("weights").display());
    [init, "checkpoint.every=2".into()]
}

fn config(bench: &Bench) -> soundstorm_train::TrainConfig {
    let settings = settings(bench);
    bench.config(&[&settings[0], &settings[1]])
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}

/// Whatever is wrong with the newest, the one before it is taken, it is said, and the end is the same.
#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let bench = begun();
    let config = config(&bench);
    bench.train(&config, "whole").unwrap();
    let last = |run: &str| files(&bench.path(run).join("checkpoints/step-000000012"));
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 7] = [
        ("optimizer.safetensors", truncate),
        ("optimizer.safetensors", flip),
        ("model/model.safetensors", flip),
        ("ema/model.safetensors", truncate),
        ("state.json", flip),
        ("manifest.json", truncate),
        ("ema/config.json", remove),
    ];
    for (file, damage) in damages {
        let _ = fs::remove_dir_all(bench.path("run"));
        bench.train_until(&config, "run", 6).unwrap();
        damage(&bench.path(&format!("{STEP}000000006")).join(file));
        let (mut damaged, mut resumed) = (Vec::new(), None);
        train::<B>(&config, bench.path("run"), &Default::default(), |event| {
            match event {
                TrainEvent::Damaged { path, message } => {
                    damaged.push(format!("{} {message}", path.display()));
                }
                TrainEvent::Resumed(checkpoint) => resumed = Some(checkpoint.state.step),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(damaged.len(), 1);
        assert!(damaged[0].contains("step-000000006"), "{damaged:?}");
        let name = file.rsplit('/').next().unwrap();
        assert!(damaged[0].contains(name), "{damaged:?}");
        // The one of the best score, which was made at step 5.
        assert_eq!(resumed, Some(5));
        assert_eq!(last("run"), last("whole"), "{file}");
        let log = |run: &str| fs::read(bench.path(run).join("log.jsonl")).unwrap();
        assert_eq!(log("run"), log("whole"));
        assert!(
            bench
                .path("run/checkpoints/damaged-0-step-000000006")
                .exists()
        );
    }
}

/// Starting over in silence would throw away what can still be looked into.
#[test]
fn where_no_checkpoint_is_whole_nothing_is_touched() {
    let bench = begun();
    let config = config(&bench);
    bench.train_until(&config, "run", 3).unwrap();
    for step in [2, 3] {
        flip(&bench.path(&format!("{STEP}{step:09}/state.json")));
    }
    let before = files(&bench.path("run"));
    let error = bench.train(&config, "run").unwrap_err();
    assert!(matches!(error, TrainError::NoCheckpoint { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("step 3") && text.contains("step 2"), "{text}");
    assert_eq!(files(&bench.path("run")), before);
}

#[test]
fn a_checkpoint_under_another_name_is_refused() {
    let bench = begun();
    bench.train_until(&config(&bench), "run", 2).unwrap();
    let from = bench.path(&format!("{STEP}000000002"));
    Checkpoint::open(&from).unwrap();
    let to = bench.path(&format!("{STEP}000000003"));
    fs::rename(from, &to).unwrap();
    let error = Checkpoint::open(&to).unwrap_err().to_string();
    assert!(error.contains("step 2"), "{error}");
}

#[test]
fn left_overs_are_removed_and_half_a_log_line_is_taken_back() {
    let bench = begun();
    let config = config(&bench);
    bench.train(&config, "whole").unwrap();
    bench.train_until(&config, "run", 5).unwrap();
    for name in [".part-x", ".old-step-000000001"] {
        fs::create_dir(bench.path("run/checkpoints").join(name)).unwrap();
    }
    let log = bench.path("run/log.jsonl");
    let mut text = fs::read(&log).unwrap();
    text.extend_from_slice(b"{\"kind\":\"train\",\"st");
    fs::write(&log, text).unwrap();
    bench.train(&config, "run").unwrap();
    let names = files(&bench.path("run/checkpoints"));
    assert!(names.keys().all(|name| name.starts_with("step-")));
    let read = |run: &str| fs::read(bench.path(run).join("log.jsonl")).unwrap();
    assert_eq!(read("run"), read("whole"));
}

#[test]
fn a_folder_is_for_one_process() {
    let bench = begun();
    let config = config(&bench);
    let mut seen = None;
    train::<B>(&config, bench.path("run"), &Default::default(), |_| {
        if seen.is_none() {
            seen = Some(bench.train(&config, "run").unwrap_err());
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(matches!(seen, Some(TrainError::Locked { .. })), "{seen:?}");
    bench.train(&config, "run").unwrap();
}

/// What cannot be written stops the run; what was published is whole.
#[test]
fn a_checkpoint_that_cannot_be_written_leaves_those_that_are_there() {
    let bench = begun();
    let config = config(&bench);
    let part = bench.path("run/checkpoints");
    let error = train::<B>(&config, bench.path("run"), &Default::default(), |event| {
        if let TrainEvent::Step(report) = event
            && report.step == 3
        {
            // A file where the next one is to be.
            fs::write(part.join("step-000000004"), b"in the way").unwrap();
        }
        ControlFlow::Continue(())
    })
    .unwrap_err();
    assert!(error.to_string().contains("step-000000004"), "{error}");
    Checkpoint::open(part.join("step-000000002")).unwrap();
    let names: Vec<_> = files(&part).into_keys().collect();
    assert!(
        names.iter().all(|name| !name.contains(".part")),
        "{names:?}"
    );
    fs::remove_file(part.join("step-000000004")).unwrap();
    bench.train(&config, "run").unwrap();
    assert_eq!(Dataset::open(bench.path("codes")).unwrap().skipped(), []);
}
