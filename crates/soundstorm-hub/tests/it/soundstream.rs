//! SoundStream, imported as `SoundStream.save` and `SoundStreamTrainer.save` of audiolm-pytorch
//! 2.4.0 leave it (`fixtures/soundstream`, written by `xtask/fixtures/soundstream.py`), against what
//! the package computed.

use std::path::{Path, PathBuf};

use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use soundstorm_codec::{AnyCodec, Codec, SoundStreamConfig};
use soundstorm_hub::{
    HubError, ImportFrom, ImportOptions, ImportReport, SafetensorsSource, TensorSource, import,
    open_codec, open_source,
};

use crate::{Tensors, fixture, lengthen, names, read_all, write_all};

type B = Flex;

/// Each checkpoint, whose it is among soundstorm-codec's fixtures, and what its tensors cannot tell.
const CHECKPOINTS: [(&str, &str, &[&str]); 2] = [
    ("saved.pt", "window", &["window=5"]),
    (
        "trained.pt",
        "bare",
        &["encoder_dilations=1", "decoder_dilations=[3, 1]"],
    ),
];

fn checkpoint(name: &str) -> PathBuf {
    fixture("soundstream").join(name)
}

fn import_to(
    source: &Path,
    destination: &Path,
    settings: &[&str],
) -> Result<ImportReport, HubError> {
    let mut options = ImportOptions::new(ImportFrom::SoundStream, source, destination);
    options.settings = settings.iter().map(|text| text.parse().unwrap()).collect();
    import(&options)
}

fn imported(name: &str, settings: &[&str]) -> Result<(ImportReport, AnyCodec<B>), HubError> {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("codec");
    let report = import_to(&checkpoint(name), &folder, settings)?;
    Ok((report, open_codec(&folder, &Default::default())?))
}

fn expected(variant: &str) -> SafetensorsSource {
    let codec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../soundstorm-codec/tests/fixtures");
    let file = codec.join("soundstream").join(variant);
    SafetensorsSource::open(file.with_extension("safetensors")).unwrap()
}

#[test]
fn codes_and_waveforms_are_the_package_s() {
    for (name, variant, settings) in CHECKPOINTS {
        let (_, codec) = imported(name, settings).unwrap();
        let (expected, device) = (expected(variant), Default::default());
        let shape = |name: &str| -> [usize; 3] {
            let info = expected.info(name).unwrap();
            info.shape.clone().try_into().unwrap()
        };
        let float = |name: &str| {
            let data = TensorData::new(expected.read_f32(name).unwrap(), shape(name));
            Tensor::<B, 3>::from_data(data, &device)
        };
        for case in 0..6 {
            let codes = codec.encode(float(&format!("audio.{case}")), None).unwrap();
            let theirs = format!("codes.{case}");
            let theirs = TensorData::new(expected.read_i64(&theirs).unwrap(), shape(&theirs));
            let theirs = Tensor::<B, 3, Int>::from_data(theirs, &device);
            let codes = codes.into_data();
            codes.assert_eq(&theirs.clone().into_data(), false);
            let wave = codec.decode(theirs).unwrap();
            let theirs = float(&format!("wave.{case}.{}", codec.spec().levels));
            let error = (wave - theirs).abs().max().into_scalar();
            assert!(error <= 1e-5, "{name}, case {case}: off by {error}");
        }
    }
}

#[test]
fn what_is_left_out_is_told() {
    let (report, _) = imported("saved.pt", &[]).unwrap();
    assert_eq!(report.ignored, ["config", "version"]);
    let skipped = |part: &str| {
        report
            .skipped
            .iter()
            .filter(|name| name.contains(part))
            .count()
    };
    assert_eq!(skipped("embed_avg"), 4);
    assert_eq!(skipped("film"), 4);
    assert!(skipped("discriminator") > 0);
    assert_eq!(skipped("embed") - skipped("embed_avg"), 0);
    assert_eq!(report.imported.layout, "soundstream");

    // The average of the weights stands for those of the last step.
    let (report, _) = imported("trained.pt", &[]).unwrap();
    let expected = [
        "model",
        "optim",
        "config",
        "discr_optim",
        "version",
        "multiscale_discr_optimizer_0",
        "ema_model.initted",
        "ema_model.online_model",
        "ema_model.step",
    ];
    assert_eq!(report.ignored, expected);
}

#[test]
fn settings_add_to_the_tensors_and_contradict_none() {
    let config = |settings: &[&str]| -> Result<SoundStreamConfig, HubError> {
        match imported("saved.pt", settings)?.1 {
            AnyCodec::SoundStream(codec) => Ok(codec.config().clone()),
            other => panic!("{other:?}"),
        }
    };
    let default = config(&[]).unwrap();
    assert_eq!((default.window, default.sample_rate), (128, 16_000));
    assert_eq!(default.strides, [2, 3]);
    let other = config(&[
        "sample_rate=24000",
        "window=7",
        "attention_scale_base=3",
        "pad_mode=zero",
        "encoder_dilations=2,1",
        "heads=3",
    ]);
    let other = other.unwrap();
    assert_eq!((other.window, other.sample_rate), (7, 24_000));
    assert_eq!(other.attention_scale_base, Some(3));
    assert_eq!(other.encoder_dilations, [2, 1]);
    assert_eq!(other.pad_mode, soundstorm_codec::PadMode::Zero);

    for (setting, message) in [
        (
            "heads=4",
            "`heads` is contradicted: expected 4 (a setting), got 3",
        ),
        ("strides=2,4", "`strides` is contradicted"),
        ("windows=4", "there is no such key; there are"),
        ("window=many", "setting `window=many`"),
        ("pad_mode=replicate", "setting `pad_mode=replicate`"),
        ("window=1", "window: expected at least 2, got 1"),
        ("decoder_dilations=99999", "decoder_dilations: expected"),
    ] {
        let error = config(&[setting]).unwrap_err().to_string();
        assert!(error.contains(message), "{setting}: {error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let source = checkpoint("saved.pt");
    let mut options = ImportOptions::new(ImportFrom::SoundStream, source, dir.path().join("codec"));
    options.config = Some("config.json".into());
    let error = import(&options).unwrap_err().to_string();
    assert!(error.contains("but settings, got config.json"), "{error}");
}

fn import_changed(change: impl FnOnce(&mut Tensors)) -> Result<ImportReport, HubError> {
    let dir = tempfile::tempdir().unwrap();
    let mut tensors = read_all(open_source(checkpoint("saved.pt")).unwrap().as_ref());
    change(&mut tensors);
    let source = dir.path().join("weights.safetensors");
    write_all(&source, &tensors);
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let result = import_to(&source, &out.join("codec"), &[]);
    assert_eq!(names(&out).is_empty(), result.is_err());
    result
}

#[test]
fn every_wrong_tensor_is_an_error() {
    import_changed(|_| {}).unwrap();
    let all = read_all(open_source(checkpoint("saved.pt")).unwrap().as_ref());
    let ignored = soundstorm_codec::soundstream::import::is_ignored;
    for name in all.into_keys().filter(|name| !ignored(name)).step_by(3) {
        import_changed(|tensors| drop(tensors.remove(&name))).unwrap_err();
        import_changed(|tensors| lengthen(tensors, &name)).unwrap_err();
    }
    let ghost = |tensors: &mut Tensors, name: &str| {
        let some = tensors["encoder.0.conv.bias"].clone();
        tensors.insert(name.into(), some);
    };
    let error = import_changed(|tensors| ghost(tensors, "ghost"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("unexpected tensors: ghost"), "{error}");
    let error = import_changed(|tensors| ghost(tensors, "rq.rvqs.0.project_in.bias"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("rq_kwargs.codebook_dim"), "{error}");
    let error = import_changed(|tensors| drop(tensors.remove("encoder.0.conv.weight")));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains("encoder.0.conv.weight"));
    let bias = "decoder.1.0.conv.bias";
    let error = import_changed(|tensors| drop(tensors.remove(bias)));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains(bias), "{error}");
}
