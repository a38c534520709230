//! Bad input gets an error that says what was expected and what was given.

use burn::prelude::*;
use soundstorm_codec::speechtokenizer::PackageConfig;
use soundstorm_codec::{
    AnyCodec, Codec, CodecConfig, CodecError, ConfigError, SpeechTokenizerConfig,
};

use crate::support::{B, Fixture};

fn codec() -> AnyCodec<B> {
    AnyCodec::SpeechTokenizer(Fixture::read("one_way").codec())
}

fn refuse_audio(audio: Tensor<B, 3>) -> CodecError {
    codec().encode(audio, None).unwrap_err()
}

fn refuse_codes(codes: Tensor<B, 3, Int>) -> CodecError {
    codec().decode(codes).unwrap_err()
}

#[test]
fn empty_audio() {
    for shape in [[1, 1, 0], [0, 1, 100]] {
        let error = refuse_audio(Tensor::zeros(shape, &Default::default()));
        assert_eq!(error, CodecError::EmptyAudio { shape });
    }
}

#[test]
fn another_number_of_channels() {
    for got in [0, 2] {
        let error = refuse_audio(Tensor::zeros([1, got, 100], &Default::default()));
        let codec = "speechtokenizer".to_owned();
        let expected = 1;
        assert_eq!(
            error,
            CodecError::Channels {
                codec,
                expected,
                got
            }
        );
    }
}

#[test]
fn one_sample_that_is_not_finite() {
    for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut audio = vec![0.25; 37];
        audio[31] = wrong;
        let audio = Tensor::<B, 1>::from_floats(audio.as_slice(), &Default::default());
        assert_eq!(
            refuse_audio(audio.reshape([1, 1, 37])),
            CodecError::NotFinite
        );
    }
}

#[test]
fn no_levels_and_too_many() {
    let device = Default::default();
    for got in [0, 3] {
        let encoded = codec().encode(Tensor::zeros([1, 1, 100], &device), Some(got));
        let decoded = codec().decode(Tensor::zeros([1, got, 5], &device));
        let errors = [("encode", encoded.err()), ("decode", decoded.err())];
        for (operation, error) in errors {
            let expected = CodecError::Levels {
                operation,
                codec: "speechtokenizer".to_owned(),
                available: 2,
                got,
            };
            assert_eq!(error, Some(expected));
        }
    }
    let error = codec().encode(Tensor::zeros([1, 1, 100], &device), Some(3));
    let message = error.unwrap_err().to_string();
    assert_eq!(message, "encode: speechtokenizer has 1 to 2 levels, got 3");
}

#[test]
fn codes_outside_their_codebook_are_found() {
    let device = Default::default();
    // The mask id is one past the last code.
    for wrong in [-1, 23, i64::from(i32::MAX)] {
        let codes = Tensor::<B, 3, Int>::zeros([3, 2, 5], &device);
        let one = Tensor::<B, 3, Int>::from_data([[[wrong]]], &device);
        let error = refuse_codes(codes.slice_assign([2..3, 1..2, 3..4], one));
        let expected = CodecError::CodeOutOfRange {
            codebook_size: 23,
            got: wrong,
            row: 2,
            level: 1,
            frame: 3,
        };
        assert_eq!(error, expected);
    }
    let last = Tensor::<B, 3, Int>::full([1, 2, 5], 22, &device);
    assert!(codec().decode(last).is_ok());
    let error = refuse_codes(Tensor::full([1, 1, 1], 23, &device));
    let message = error.to_string();
    assert_eq!(
        message,
        "decode: codes are 0 to 22, got 23 at row 0, level 1, frame 0"
    );
}

#[test]
fn codes_of_a_file_are_checked_before_they_are_a_tensor() {
    let spec = codec().spec();
    let mut codes = vec![22; 3 * 2 * 5];
    assert_eq!(spec.check_host_codes([3, 2, 5], codes.clone()), Ok(()));
    codes[2 * 10 + 5 + 3] = 1 << 40;
    let error = spec.check_host_codes([3, 2, 5], codes).unwrap_err();
    let message = "decode: codes are 0 to 22, got 1099511627776 at row 2, level 2, frame 3";
    assert_eq!(error.to_string(), message);
}

#[test]
fn no_frames() {
    for shape in [[1, 2, 0], [0, 2, 5]] {
        let error = refuse_codes(Tensor::zeros(shape, &Default::default()));
        assert_eq!(error, CodecError::EmptyCodes { shape });
    }
}

#[test]
fn our_configuration_refuses_unknown_keys_and_the_packages_ignores_them() {
    let config = CodecConfig::SpeechTokenizer(SpeechTokenizerConfig::snake());
    let json = serde_json::to_string(&config).unwrap();
    assert!(json.contains(r#""model_type":"speechtokenizer""#));
    assert!(json.contains(r#""activation":"snake""#));
    assert_eq!(serde_json::from_str::<CodecConfig>(&json).unwrap(), config);

    let unknown = json.replace("filters", "filterz");
    let error = serde_json::from_str::<CodecConfig>(&unknown).unwrap_err();
    assert!(
        error.to_string().contains("unknown field `filterz`"),
        "{error}"
    );
    let other = json.replace("speechtokenizer", "magic");
    let error = serde_json::from_str::<CodecConfig>(&other).unwrap_err();
    assert!(
        error.to_string().contains("unknown variant `magic`"),
        "{error}"
    );

    let config = Fixture::read("elu").config;
    assert_eq!(
        (config.filters, config.num_quantizers, config.hop()),
        (3, 5, 30)
    );
}

#[test]
fn the_packages_configuration_is_checked() {
    let json = r#"{"sample_rate": 16000, "n_filters": 64, "strides": [8, 5, 4, 2], "dimension": 1024,
        "codebook_size": 1024, "n_q": 8, "activation": "ELU", "lstm_layers": 2, "bidirectional": true,
        "n_residual_layers": 1, "residual_kernel_size": 3, "dilation_base": 2, "semantic_dimension": 768}"#;
    let read = |json: &str| {
        let package: PackageConfig = serde_json::from_str(json).unwrap();
        SpeechTokenizerConfig::try_from(package)
    };
    assert_eq!(read(json), Ok(SpeechTokenizerConfig::default()));
    let snake = json.replace("ELU", "Snake");
    assert_eq!(read(&snake), Ok(SpeechTokenizerConfig::snake()));
    let error = read(&json.replace("ELU", "ReLU")).unwrap_err();
    assert!(matches!(
        error,
        ConfigError::Unsupported {
            key: "activation",
            ..
        }
    ));
    let error = read(&json.replace("64", "1")).unwrap_err();
    assert!(matches!(error, ConfigError::Invalid { key: "filters", .. }));
}
