//! Text and speakers through the program, by a model of untrained weights.

use std::fs;

use crate::support::Bench;

/// One level of semantic tokens from the bytes of a text.
const CONFIG: &str = r#"{
    "model_type": "soundstorm", "codebook_size": 23, "num_quantizers": 1, "head": "dense",
    "conformer": {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8},
    "context": {
        "vocab": 256, "source": "bytes", "predict_durations": true,
        "encoder": {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8}
    },
    "global": {"dim": 8, "speakers": 3}, "critic": {"kind": "self"}
}"#;

fn model(bench: &Bench) {
    fs::create_dir(bench.path("like")).unwrap();
    fs::write(bench.path("like/config.json"), CONFIG).unwrap();
    bench.ok(&["init", "--like", "like", "-o", "model"]);
}

#[test]
fn a_text_is_generated_from() {
    let bench = Bench::new();
    model(&bench);
    let generate = |text, output: &str| {
        let args = [
            "generate",
            "--model",
            "model",
            "--frames",
            "29",
            "--speaker",
            "2",
        ];
        bench.ok(&[&args[..], &["--text", text, "-o", output]].concat());
        bench.codes(output)
    };
    let (shape, codes) = generate("one", "a.safetensors");
    assert_eq!(shape, [1, 1, 29]);
    assert_eq!(generate("one", "b.safetensors").1, codes);
    assert_ne!(generate("two", "c.safetensors").1, codes);

    // By the order that the model's critic likes.
    let args = [
        "generate",
        "--model",
        "model",
        "--frames",
        "29",
        "--speaker",
        "2",
        "--text",
        "one",
    ];
    bench.ok(&[
        &args[..],
        &["--confidence", "critic", "-o", "e.safetensors"],
    ]
    .concat());
    assert_ne!(bench.codes("e.safetensors").1, codes);

    // Without a length it is the predicted one.
    let args = [
        "generate",
        "--model",
        "model",
        "--text",
        "longer",
        "--speaker",
        "0",
    ];
    let made = bench.run(&[&args[..], &["-o", "d.safetensors"]].concat());
    let error = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success() || error.contains("empty"), "{error}");
}

#[test]
fn what_a_model_does_not_take_is_refused() {
    let bench = Bench::new();
    model(&bench);
    bench.ok(&[
        "init", "--preset", "small", "--set", "dim=16", "--set", "depth=1", "-o", "plain",
    ]);
    let refused = |args: &[&str], status: i32, word: &str| {
        let (got, error) = bench.fails(&[args, &["-o", "x.safetensors"]].concat());
        assert!(got == status && error.contains(word), "{got} {error}");
    };
    let plain = ["generate", "--model", "plain", "--frames", "3"];
    refused(&[&plain[..], &["--text", "a"]].concat(), 2, "text");
    refused(&[&plain[..], &["--speaker", "1"]].concat(), 1, "speaker");
    let model = ["generate", "--model", "model", "--frames", "3"];
    refused(&[&model[..], &["--speaker", "1"]].concat(), 1, "context");
    refused(&[&model[..], &["--text", "a"]].concat(), 1, "speaker");
    refused(
        &[&model[..], &["--text", "a", "--speaker", "3"]].concat(),
        1,
        "3",
    );
}
