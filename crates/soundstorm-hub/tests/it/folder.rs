//! Model folders: made, opened, looked into, and damaged.

use std::path::Path;

use burn_flex::Flex;
use serde_json::Value;
use soundstorm::{Preset, SoundStormConfig};
use soundstorm_codec::{CodecConfig, SpeechTokenizerConfig};
use soundstorm_hub::{
    Folder, HubError, SafetensorsSource, config_path, init_codec, init_model, inspect, open_codec,
    open_model, weights_path,
};

use crate::{lengthen, names, random_stream, read_all, write_all};

type B = Flex;

pub(crate) fn tiny() -> SoundStormConfig {
    let mut config = Preset::Small.config();
    config.codebook_size = 11;
    config.num_quantizers = 3;
    config.conformer.dim = 13;
    config.conformer.depth = 2;
    config.conformer.heads = 2;
    config.conformer.dim_head = 6;
    config
}

fn init(folder: &Path, seed: u64) {
    let _alone = random_stream();
    init_model::<B>(&tiny(), folder, seed, false, &Default::default()).unwrap();
}

fn open(folder: &Path) -> Result<SoundStormConfig, HubError> {
    open_model::<B>(folder, &Default::default()).map(|model| model.config)
}

#[test]
fn an_untrained_model_depends_on_its_seed_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for (name, seed) in [("a", 7), ("b", 7), ("c", 8)] {
        init(&path(name), seed);
        assert_eq!(names(&path(name)), ["config.json", "model.safetensors"]);
        assert_eq!(open(&path(name)).unwrap(), tiny());
    }
    let hash = |name: &str| inspect(path(name)).unwrap().sha256;
    assert_eq!(hash("a"), hash("b"));
    assert_ne!(hash("a"), hash("c"));
    assert_eq!(names(dir.path()), ["a", "b", "c"]);
    let again = init_model::<B>(&tiny(), path("a"), 9, false, &Default::default());
    assert!(matches!(again, Err(HubError::Exists { .. })));
}

#[test]
fn a_folder_can_be_looked_into() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("m");
    init(&folder, 7);
    let info = inspect(&folder).unwrap();
    let source = SafetensorsSource::open(weights_path(&folder)).unwrap();
    let tensors = read_all(&source);
    assert_eq!(info.tensors, tensors.len());
    let numbers: usize = tensors.values().map(|(_, bytes)| bytes.len() / 4).sum();
    assert_eq!(info.parameters, numbers as u64);
    assert_eq!(info.metadata["seed"], "7");
    assert!(matches!(info.folder, Folder::Model(model) if model.config == tiny()));
}

#[test]
fn an_untrained_codec_opens_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("c");
    let config = SpeechTokenizerConfig {
        filters: 3,
        strides: vec![2, 3],
        dimension: 7,
        codebook_size: 11,
        num_quantizers: 2,
        ..Default::default()
    };
    let config = CodecConfig::SpeechTokenizer(config);
    {
        let _alone = random_stream();
        init_codec::<B>(&config, &folder, 7, false, &Default::default()).unwrap();
    }
    let codec = open_codec::<B>(&folder, &Default::default()).unwrap();
    assert_eq!(codec.config(), config);
    let info = inspect(&folder).unwrap();
    assert!(matches!(info.folder, Folder::Codec(codec) if codec.config == config));
    let error = open(&folder).unwrap_err().to_string();
    assert!(error.contains("the codec speechtokenizer"), "{error}");
}

fn change_config(folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = config_path(folder);
    let mut config = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(&path, config.to_string()).unwrap();
}

#[test]
fn a_configuration_that_is_wrong_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 10] = [
        (|c| c["codebook"] = 11.into(), "codebook"),
        (|c| c["conformer"]["width"] = 3.into(), "width"),
        (|c| c["imported"] = serde_json::json!({"from": "x"}), "from"),
        (|c| c["model_type"] = "gpt".into(), "gpt"),
        (
            |c| drop(c.as_object_mut().unwrap().remove("model_type")),
            "model_type",
        ),
        (|c| c["conformer"]["heads"] = 0.into(), "heads"),
        (|c| c["conformer"]["heads"] = "two".into(), "two"),
        (
            |c| c["codebook_size"] = 12.into(),
            "embedding.table (expected [39, 13], got [36, 13])",
        ),
        (
            |c| c["conformer"]["depth"] = 3.into(),
            "missing tensors: conformer.blocks.2.",
        ),
        (
            |c| c["conformer"]["depth"] = 1.into(),
            "unexpected tensors: conformer.blocks.1.",
        ),
    ];
    for (index, (change, needle)) in cases.into_iter().enumerate() {
        let folder = dir.path().join(index.to_string());
        init(&folder, 7);
        change_config(&folder, change);
        let error = open(&folder).unwrap_err().to_string();
        assert!(error.contains(needle), "{needle}: {error}");
    }
}

#[test]
fn weights_that_are_wrong_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("m");
    init(&folder, 7);
    let path = weights_path(&folder);
    let good = std::fs::read(&path).unwrap();
    let tensors = read_all(&SafetensorsSource::open(&path).unwrap());

    let mut changed = tensors.clone();
    changed.remove("head.weight");
    changed.insert("ghost".into(), tensors["head.bias"].clone());
    lengthen(&mut changed, "head.bias");
    write_all(&path, &changed);
    let error = open(&folder).unwrap_err().to_string();
    for needle in [
        "missing tensors: head.weight",
        "unexpected tensors: ghost",
        "head.bias (expected [3, 11], got [4, 11])",
    ] {
        assert!(error.contains(needle), "{error}");
    }

    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    assert!(matches!(open(&folder), Err(HubError::Truncated { .. })));
    std::fs::remove_file(&path).unwrap();
    let error = open(&folder).unwrap_err().to_string();
    assert!(error.contains("model.safetensors"), "{error}");
    std::fs::remove_file(config_path(&folder)).unwrap();
    let error = open(&folder).unwrap_err().to_string();
    assert!(error.contains("config.json"), "{error}");
}

#[test]
fn a_model_is_no_codec() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("m");
    init(&folder, 7);
    let error = open_codec::<B>(&folder, &Default::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("codec configuration") && error.contains("SoundStorm model"),
        "{error}"
    );
}
