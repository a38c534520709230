//! Folders of the spectral codec: written, opened, and refused.

use burn::tensor::{Distribution, Tensor};
use burn_flex::Flex;
use soundstorm_codec::{Codec, CodecConfig, SpectralConfig};
use soundstorm_hub::{Folder, SafetensorsSource, TensorSource, init_codec, inspect, open_codec};

type B = Flex;

fn config() -> CodecConfig {
    CodecConfig::Spectral(SpectralConfig {
        window: 28,
        hop: 7,
        dimension: 11,
        encoder_blocks: 1,
        decoder_blocks: 1,
        num_quantizers: 3,
        codebook_size: 17,
        codebook_dimension: 5,
        ..SpectralConfig::default()
    })
}

#[test]
fn a_folder_is_written_and_opened() {
    let _alone = super::random_stream();
    let dir = tempfile::tempdir().unwrap();
    let device = Default::default();
    let folders = ["one", "two", "other"].map(|name| dir.path().join(name));
    for (folder, seed) in folders.iter().zip([5, 5, 6]) {
        init_codec::<B>(&config(), folder, seed, false, &device).unwrap();
    }
    let audio = Tensor::<B, 3>::random([1, 1, 97], Distribution::Normal(0.0, 1.0), &device);
    let [one, two, other] = folders.each_ref().map(|folder| {
        let codec = open_codec::<B>(folder, &device).unwrap();
        assert_eq!(codec.config(), config());
        let codes = codec.encode(audio.clone(), None).unwrap();
        codec.decode(codes).unwrap().into_data()
    });
    assert_eq!(one, two);
    assert_ne!(one, other);

    let info = inspect(&folders[0]).unwrap();
    let Folder::Codec(codec) = info.folder else {
        panic!("{:?}", info.folder);
    };
    assert_eq!(codec.config, config());
    // What follows from the sizes is not in the file.
    let source = SafetensorsSource::open(info.weights).unwrap();
    let mut names = source.tensors().keys();
    assert!(names.any(|name| name == "encoder.input.weight"));
    assert!(!source.tensors().keys().any(|name| name.contains("basis")));
}

#[test]
fn a_key_that_is_not_known_is_refused() {
    let _alone = super::random_stream();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("codec");
    init_codec::<B>(&config(), &folder, 5, false, &Default::default()).unwrap();
    let path = folder.join("config.json");
    let json = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, json.replace("kernel", "kernels")).unwrap();
    let error = open_codec::<B>(&folder, &Default::default()).unwrap_err();
    assert!(error.to_string().contains("kernels"), "{error}");
}
