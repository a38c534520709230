//! Data sets as they are opened and split.

use std::fs;

use soundstorm_train::{
    Dataset, TrainError,
    config::ValidationConfig,
    data::{prepare, split},
};

use crate::support::{Bench, Formula, flip};

#[test]
fn what_is_missing_or_damaged_is_named() {
    let bench = Bench::new(&[7, 3, 11, 5]);
    let codes = bench.path("codes");
    let error = |want: &str| {
        let text = Dataset::open(&codes).unwrap_err().to_string();
        assert!(text.contains(want), "{text}");
    };
    error("soundstorm prepare");
    bench.prepare();
    let whole = bench.dataset();
    assert_eq!(whole.frames(), 26);

    fs::rename(codes.join("shard-00001.json"), codes.join("aside")).unwrap();
    error("1 of 2 shards are not finished, the first is 1");
    fs::rename(codes.join("aside"), codes.join("shard-00001.json")).unwrap();
    flip(&codes.join("shard-00001.safetensors"));
    error("SHA-256");
    flip(&codes.join("shard-00001.safetensors"));
    assert_eq!(bench.dataset().sha256(), whole.sha256());

    let info = fs::read_to_string(codes.join("dataset.json")).unwrap();
    let write = |text: String| fs::write(codes.join("dataset.json"), text).unwrap();
    write(info.replace("\"format\": 1", "\"format\": 2"));
    error("expected format 1, got 2");
    write(info.replace("\"codebook_size\": 17", "\"codebook_size\": 9"));
    error("not below 9");
    write(info.replace("\"levels\": 3", "\"levels\": 2"));
    error("codes.00000: expected [2, 7], got [3, 7]");
    write("{".into());
    error("malformed");
}

#[test]
fn a_code_above_the_codebook_is_refused() {
    let bench = Bench::new(&[7]);
    let codec = Formula { codes: 5 };
    prepare(&codec, &bench.options(), &Default::default(), |_| ()).unwrap();
    let error = Dataset::open(bench.path("codes")).unwrap_err();
    assert!(matches!(error, TrainError::Malformed { .. }), "{error}");
}

/// Files of one speaker are on one side, and named values are held out as they are named.
#[test]
fn a_field_decides_what_is_held_out() {
    let bench = Bench::new(&[3; 12]);
    let lines: Vec<String> = (0..12)
        .map(|i| {
            let speaker = ["a", "b", "c", "d"][i % 4];
            format!(r#"{{"audio": "{i:03}.wav", "speaker": "{speaker}"}}"#)
        })
        .collect();
    fs::write(bench.path("audio/list.jsonl"), lines.join("\n")).unwrap();
    let mut options = bench.options();
    options.input = bench.path("audio/list.jsonl");
    bench.try_prepare(&options).unwrap();
    let dataset = bench.dataset();
    let by = |values: &[&str], fraction| ValidationConfig {
        by: Some("speaker".into()),
        values: values.iter().map(|v| (*v).to_owned()).collect(),
        fraction,
        ..ValidationConfig::default()
    };
    let held = split(&dataset, &by(&["b", "d"], 0.1), 1).unwrap();
    assert_eq!(held.validation, [1, 3, 5, 7, 9, 11]);
    assert_eq!(held.training, [0, 2, 4, 6, 8, 10]);
    let drawn = split(&dataset, &by(&[], 0.25), 1).unwrap();
    assert_eq!(drawn.validation.len(), 3);
    let speaker = drawn.validation[0];
    assert_eq!(drawn.validation, [speaker, speaker + 4, speaker + 8]);
    let error = |config: &ValidationConfig| split(&dataset, config, 1).unwrap_err().to_string();
    assert!(error(&by(&["e"], 0.1)).contains("\"e\""));
    assert!(error(&by(&["a", "b", "c", "d"], 0.1)).contains("none is left"));
    let unknown = ValidationConfig {
        by: Some("accent".into()),
        ..ValidationConfig::default()
    };
    assert!(error(&unknown).contains("000.wav has no field accent"));
    let none = ValidationConfig {
        fraction: 0.0,
        ..ValidationConfig::default()
    };
    assert!(split(&dataset, &none, 1).unwrap().validation.is_empty());
}
