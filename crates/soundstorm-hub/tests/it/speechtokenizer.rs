//! SpeechTokenizer, imported, against what the package computed (`fixtures/speechtokenizer`, written by
//! `xtask/fixtures/speechtokenizer.py`).

use std::path::{Path, PathBuf};

use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use soundstorm_codec::Codec;
use soundstorm_hub::{
    HubError, ImportFrom, ImportOptions, ImportReport, SafetensorsSource, TensorSource, import,
    open_codec, open_model, open_source,
};

use crate::{Tensors, fixture, lengthen, names, read_all, write_all};

type B = Flex;

const VARIANTS: [&str; 2] = ["elu", "snake"];

fn checkpoint(variant: &str) -> PathBuf {
    fixture("speechtokenizer").join(format!("{variant}.pt"))
}

fn import_to(source: &Path, destination: &Path) -> Result<ImportReport, HubError> {
    let from = ImportFrom::SpeechTokenizer;
    import(&ImportOptions::new(from, source, destination))
}

#[test]
fn codes_and_waveforms_are_the_package_s() {
    for variant in VARIANTS {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("codec");
        import_to(&checkpoint(variant), &folder).unwrap();
        let device = Default::default();
        let codec = open_codec::<B>(&folder, &device).unwrap();
        let levels = codec.spec().levels;
        let expected = fixture("speechtokenizer").join(format!("{variant}.expected.safetensors"));
        let expected = SafetensorsSource::open(expected).unwrap();
        let float = |name: &str| {
            let shape: [usize; 3] = expected
                .info(name)
                .unwrap()
                .shape
                .clone()
                .try_into()
                .unwrap();
            TensorData::new(expected.read_f32(name).unwrap(), shape)
        };
        let mut cases = 0;
        while expected.tensors().contains_key(&format!("audio.{cases}")) {
            let audio = Tensor::<B, 3>::from_data(float(&format!("audio.{cases}")), &device);
            let codes = codec.encode(audio, None).unwrap();
            // The package's codes are [levels, batch, frames].
            let name = format!("codes.{cases}");
            let shape: [usize; 3] = expected
                .info(&name)
                .unwrap()
                .shape
                .clone()
                .try_into()
                .unwrap();
            let theirs = TensorData::new(expected.read_i64(&name).unwrap(), shape);
            let theirs = Tensor::<B, 3, Int>::from_data(theirs, &device).swap_dims(0, 1);
            codes
                .clone()
                .into_data()
                .assert_eq(&theirs.into_data(), false);
            for level in 1..=levels {
                let wave = codec.decode(codes.clone().narrow(1, 0, level)).unwrap();
                let theirs = float(&format!("wave.{cases}.{level}"));
                let got = wave.into_data();
                assert_eq!(got.shape, theirs.shape);
                for (got, theirs) in got.iter::<f32>().zip(theirs.iter::<f32>()) {
                    assert!(
                        (got - theirs).abs() <= 1e-4 * theirs.abs().max(1.0),
                        "{got} {theirs}"
                    );
                }
            }
            cases += 1;
        }
        assert!(cases >= 5);
    }
}

#[test]
fn what_only_training_needs_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let report = import_to(&checkpoint("elu"), &dir.path().join("codec")).unwrap();
    assert!(report.skipped.contains(&"transform.weight".to_owned()));
    let buffers = report
        .skipped
        .iter()
        .filter(|name| name.ends_with("embed_avg"));
    assert_eq!(buffers.count(), 5);
    assert!(!report.skipped.iter().any(|name| name.ends_with(".embed")));
    assert_eq!(report.imported.layout, "speechtokenizer");
}

fn import_changed(change: impl FnOnce(&mut Tensors)) -> Result<ImportReport, HubError> {
    let dir = tempfile::tempdir().unwrap();
    let mut tensors = read_all(open_source(checkpoint("snake")).unwrap().as_ref());
    change(&mut tensors);
    // The configuration as it is published: `config.json` beside the checkpoint.
    let source = dir.path().join("weights.safetensors");
    write_all(&source, &tensors);
    let config = dir.path().join("config.json");
    std::fs::copy(fixture("speechtokenizer/snake.json"), config).unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let result = import_to(&source, &out.join("codec"));
    assert_eq!(names(&out).is_empty(), result.is_err());
    result
}

#[test]
fn every_wrong_tensor_is_named() {
    import_changed(|_| {}).unwrap();
    let all = read_all(open_source(checkpoint("snake")).unwrap().as_ref());
    for name in all.into_keys().step_by(3) {
        let beside = ["transform.", "cluster_size", "embed_avg", "inited"];
        if beside.iter().any(|part| name.contains(part)) {
            continue;
        }
        let error = import_changed(|tensors| drop(tensors.remove(&name)));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("missing") && error.contains(&name),
            "{name}: {error}"
        );
        let error = import_changed(|tensors| lengthen(tensors, &name));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("misshaped") && error.contains(&name),
            "{name}: {error}"
        );
    }
    let error = import_changed(|tensors| {
        let some = tensors["encoder.model.0.conv.conv.bias"].clone();
        tensors.insert("ghost".into(), some);
    });
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("unexpected tensors: ghost")
    );
}

#[test]
fn other_mistakes_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("elu.pt");
    std::fs::copy(checkpoint("elu"), &source).unwrap();
    let codec = dir.path().join("codec");
    let error = import_to(&source, &codec).unwrap_err().to_string();
    assert!(error.contains("config.json"), "{error}");

    let mut options = ImportOptions::new(ImportFrom::SpeechTokenizer, &source, &codec);
    options.config = Some(fixture("speechtokenizer/snake.json"));
    let error = import(&options).unwrap_err();
    assert!(matches!(error, HubError::Tensors { .. }), "{error}");
    options.settings = vec!["heads=3".parse().unwrap()];
    assert!(matches!(import(&options), Err(HubError::Setting { .. })));

    options.settings.clear();
    options.config = Some(fixture("speechtokenizer/elu.json"));
    import(&options).unwrap();
    let error = open_model::<B>(&codec, &Default::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("the codec speechtokenizer"), "{error}");
    let config = codec.join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"filters\"", "\"filter\"")).unwrap();
    let error = open_codec::<B>(&codec, &Default::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("filter"), "{error}");
}
