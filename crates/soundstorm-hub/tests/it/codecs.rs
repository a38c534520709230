//! Folders of codecs as they lie on the hub, opened and imported, against what `transformers`
//! computed (soundstorm-codec's fixtures, written by `xtask/fixtures/{encodec,dac,mimi}.py`).

use std::{collections::BTreeMap, fs, path::Path};

use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use soundstorm_codec::Codec;
use soundstorm_hub::{
    Folder, HubError, ImportFrom, ImportOptions, SafetensorsSource, TensorInfo, TensorSource,
    import, inspect, open_codec, write_safetensors,
};

type B = Flex;

const CODECS: [(ImportFrom, &str, &str); 6] = [
    (ImportFrom::Encodec, "encodec", "mono"),
    (ImportFrom::Encodec, "encodec", "stereo"),
    (ImportFrom::Dac, "dac", "even"),
    (ImportFrom::Dac, "dac", "odd"),
    (ImportFrom::Mimi, "mimi", "deep"),
    (ImportFrom::Mimi, "mimi", "window"),
];

fn fixture(codec: &str, name: &str) -> (SafetensorsSource, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../soundstorm-codec/tests/fixtures");
    let file = folder.join(codec).join(name);
    let tensors = SafetensorsSource::open(file.with_extension("safetensors")).unwrap();
    let config = fs::read_to_string(file.with_extension("json")).unwrap();
    (tensors, config)
}

/// A folder with the fixture's state dict and configuration, as the hub has them. `change` may
/// rename a tensor or leave it out.
fn hub_folder(
    to: &Path,
    (fixture, config): &(SafetensorsSource, String),
    change: impl Fn(&str) -> Option<String>,
) {
    fs::create_dir(to).unwrap();
    fs::write(to.join("config.json"), config).unwrap();
    let mut planned: Vec<(String, TensorInfo)> = Vec::new();
    let mut sources = BTreeMap::new();
    for (name, info) in fixture.tensors() {
        if let Some(state) = name.strip_prefix("state.").and_then(&change) {
            sources.insert(state.clone(), name.clone());
            planned.push((state, info.clone()));
        }
    }
    let path = to.join("model.safetensors");
    write_safetensors(path, &BTreeMap::new(), &planned, |name| {
        fixture.read_bytes(&sources[name])
    })
    .unwrap();
}

fn as_it_is(name: &str) -> Option<String> {
    Some(name.to_owned())
}

fn audio_and_codes(fixture: &SafetensorsSource) -> (Tensor<B, 3>, Tensor<B, 3, Int>) {
    let device = Default::default();
    let shape = |name: &str| -> [usize; 3] {
        let info = fixture.info(name).unwrap();
        info.shape.clone().try_into().unwrap()
    };
    let audio = TensorData::new(fixture.read_f32("audio.3").unwrap(), shape("audio.3"));
    let codes = TensorData::new(fixture.read_i64("codes.3").unwrap(), shape("codes.3"));
    (
        Tensor::from_data(audio, &device),
        Tensor::from_data(codes, &device),
    )
}

#[test]
fn a_folder_of_the_hub_is_opened_and_imported_alike() {
    for (from, codec, name) in CODECS {
        let dir = tempfile::tempdir().unwrap();
        let fixture = fixture(codec, name);
        let (hub, ours) = (dir.path().join("hub"), dir.path().join("ours"));
        hub_folder(&hub, &fixture, as_it_is);
        import(&ImportOptions::new(from, &hub, &ours)).unwrap();
        let (audio, codes) = audio_and_codes(&fixture.0);
        for folder in [&hub, &ours] {
            let opened = open_codec::<B>(folder, &Default::default()).unwrap();
            let got = opened.encode(audio.clone(), None).unwrap();
            assert_eq!(got.to_data(), codes.to_data(), "{codec} {name}");
        }
        let about = |folder: &Path| match inspect(folder).unwrap().folder {
            Folder::Codec(codec) => codec,
            other => panic!("{other:?}"),
        };
        assert_eq!(about(&hub).config, about(&ours).config);
        assert_eq!(about(&ours).imported.unwrap().layout, from.name());
        assert_eq!(about(&hub).imported, None);
    }
}

/// Every tensor that is missing, unknown or of another type is named.
#[test]
fn tensors_that_differ_are_named() {
    for (from, codec, name) in CODECS {
        let dir = tempfile::tempdir().unwrap();
        let fixture = fixture(codec, name);
        let bias = fixture.0.tensors().keys();
        let bias = bias.filter_map(|name| name.strip_prefix("state."));
        let mut bias =
            bias.filter(|name| name.ends_with("conv.bias") || name.ends_with("conv1.bias"));
        let bias = bias.next().unwrap().to_owned();
        let hub = dir.path().join("hub");
        hub_folder(&hub, &fixture, |name| match name == bias {
            true => Some(format!("{name}.moved")),
            false => Some(name.to_owned()),
        });
        let opened = open_codec::<B>(&hub, &Default::default()).map(|_| ());
        let imported = import(&ImportOptions::new(from, &hub, dir.path().join("ours")));
        for error in [opened.unwrap_err(), imported.map(|_| ()).unwrap_err()] {
            let HubError::Tensors { report, .. } = error else {
                panic!("{error}");
            };
            assert_eq!(report.missing, [bias.as_str()], "{codec} {name}");
            assert_eq!(report.extra, [format!("{bias}.moved")], "{codec} {name}");
        }
    }
}

#[test]
fn other_weights_beside_a_configuration_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (tensors, _) = fixture("dac", "even");
    let (_, config) = fixture("mimi", "deep");
    let hub = dir.path().join("hub");
    hub_folder(&hub, &(tensors, config), as_it_is);
    let error = open_codec::<B>(&hub, &Default::default()).unwrap_err();
    assert!(error.to_string().contains("mimi"), "{error}");
}
