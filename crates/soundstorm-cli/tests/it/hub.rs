//! Names on the hub in place of folders.

use std::{fs, path::Path};

use crate::support::{Bench, RATE, folders};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Puts a folder into a cache, as if it had been fetched.
fn cached(home: &Path, name: &str, folder: &str) {
    let repository = home.join("hub").join(format!("models--owner--{name}"));
    let snapshot = repository.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), COMMIT).unwrap();
    for file in ["config.json", "model.safetensors"] {
        fs::copy(Path::new(folder).join(file), snapshot.join(file)).unwrap();
    }
}

#[test]
fn names_stand_for_folders() {
    let bench = Bench::new();
    let (codec, model) = folders();
    let home = bench.path("home");
    cached(&home, "codec", codec);
    cached(&home, "model", model);
    let offline = [("HF_HOME", home.to_str().unwrap()), ("HF_HUB_OFFLINE", "1")];
    let run = |args: &[&str]| {
        let output = bench.run_with(&offline, args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    bench.recording("a.wav", 1200, RATE);
    let named = [
        "encode",
        "a.wav",
        "--codec",
        "hf:owner/codec",
        "-o",
        "named.safetensors",
    ];
    run(&named);
    bench.ok(&[
        "encode",
        "a.wav",
        "--codec",
        codec,
        "-o",
        "folder.safetensors",
    ]);
    assert_eq!(
        bench.codes("named.safetensors"),
        bench.codes("folder.safetensors")
    );

    let pinned = format!("hf:owner/model@{COMMIT}");
    let eval = ["eval", "--model", &pinned, "--codes", "folder.safetensors"];
    let score = run(&eval);
    assert_eq!(
        score,
        bench.ok(&["eval", "--model", model, "--codes", "folder.safetensors"])
    );
    let info = run(&["info", "hf:owner/model"]);
    assert!(
        info.starts_with("hf:owner/model: SoundStorm model"),
        "{info}"
    );
}

#[test]
fn names_that_do_not_work_say_what_to_do() {
    let bench = Bench::new();
    bench.recording("a.wav", 1200, RATE);
    let home = bench.path("home");
    let home = ("HF_HOME", home.to_str().unwrap());
    let encode = |variables: &[(&str, &str)], codec: &str, status: i32, words: &[&str]| {
        let args = ["encode", "a.wav", "--codec", codec, "-o", "y.safetensors"];
        let output = bench.run_with(&[&[home][..], variables].concat(), &args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{codec}: {error}");
        for word in words {
            assert!(
                error.contains(word),
                "{codec} does not say {word:?}: {error}"
            );
        }
        assert!(!bench.path("y.safetensors").exists());
    };
    encode(
        &[],
        "hf:codec",
        2,
        &["hf:codec", "one slash", "hf:owner/name"],
    );
    let offline = ("HF_HUB_OFFLINE", "1");
    encode(
        &[offline],
        "hf:owner/codec",
        1,
        &["hf:owner/codec", "HF_HUB_OFFLINE"],
    );
    // A port at which nobody listens.
    let nobody = "http://127.0.0.1:1";
    let endpoint = ("HF_ENDPOINT", nobody);
    encode(
        &[endpoint],
        "hf:owner/codec",
        1,
        &[nobody, "no connection", "a folder"],
    );
}
