//! What comes in and out, the configuration as JSON, and gradients through every part.

use burn::module::{AutodiffModule, Module};
use burn::prelude::*;
use burn::record::{BinBytesRecorder, FullPrecisionSettings, Recorder};
use soundstorm_codec::{AnyCodec, Codec, CodecConfig, CodecError, PadMode, SpectralCodec, pad};

use super::config;
use crate::differences::{A, assert_gradient, clear, normal};
use crate::support::{B, assert_close, parameters};

fn codec<Bk: Backend>() -> SpectralCodec<Bk> {
    config().init(&Default::default()).unwrap()
}

#[test]
fn every_length_gives_its_frames_and_whole_hops_of_samples() {
    let codec = codec::<B>();
    for samples in [1usize, 6, 7, 8, 29, 97] {
        let frames = samples.div_ceil(7);
        let codes = codec.encode(normal([2, 1, samples]), None).unwrap();
        assert_eq!(codes.dims(), [2, 4, frames]);
        let wave = codec.decode(codes.clone().narrow(1, 0, 3)).unwrap();
        assert_eq!(wave.dims(), [2, 1, frames * 7]);
        let largest = codes.max().into_scalar();
        assert!(largest < 17);
    }
}

#[test]
fn what_is_wrong_is_an_error() {
    let codec = codec::<B>();
    let encode = |shape| codec.encode(normal(shape), None).unwrap_err();
    assert!(matches!(encode([1, 2, 29]), CodecError::Channels { .. }));
    let levels = codec.encode(normal([1, 1, 29]), Some(5)).unwrap_err();
    assert!(matches!(levels, CodecError::Levels { .. }));
    let codes = Tensor::full([1, 2, 3], 17, &Default::default());
    let codes = codec.decode(codes).unwrap_err();
    assert!(matches!(codes, CodecError::CodeOutOfRange { .. }));
    let levels = codec.reconstruct(normal([2, 1, 29]), &[4, 0]).unwrap_err();
    assert!(matches!(levels, CodecError::Levels { .. }));
}

#[test]
fn the_configuration_is_read_back_and_unknown_keys_are_refused() {
    let config = CodecConfig::Spectral(config());
    let json = serde_json::to_string(&config).unwrap();
    assert!(json.contains(r#""model_type":"spectral""#), "{json}");
    assert_eq!(serde_json::from_str::<CodecConfig>(&json).unwrap(), config);
    let json = json.replace("expansion", "expanse");
    assert!(serde_json::from_str::<CodecConfig>(&json).is_err());
}

/// What training does without dropout is what encoding and decoding do; with fewer levels, too.
#[test]
fn a_reconstruction_is_what_encoding_and_decoding_give() {
    let codec = codec::<B>();
    let audio = normal([2, 1, 95]);
    let got = codec.reconstruct(audio.clone(), &[4, 2]).unwrap();
    let codes = codec.encode(audio, None).unwrap();
    got.quantized
        .codes
        .into_data()
        .assert_eq(&codes.to_data(), true);
    for (row, levels) in [(0, 4), (1, 2)] {
        let codes = codes.clone().narrow(0, row, 1);
        let wave = codec.decode(codes.clone().narrow(1, 0, levels)).unwrap();
        let wave = wave.narrow(2, 0, 95);
        assert_close(got.wave.clone().narrow(0, row, 1), wave, "wave");
        let first = codec.embed_codes(codes.narrow(1, 0, 1)).unwrap();
        let got = got.quantized.first.clone().narrow(0, row, 1);
        assert_close(got, first, "first level");
    }
}

/// A sound and the same at another loudness are not the same to the codec, nor upside down.
#[test]
fn loudness_and_phase_are_seen() {
    let codec = codec::<B>();
    let audio = normal::<B, 3>([1, 1, 97]);
    let embed = |audio| codec.embed_audio(audio).unwrap();
    let usual = embed(audio.clone());
    for other in [audio.clone() * 0.1, -audio] {
        let change = (embed(other) - usual.clone()).abs().mean();
        assert!(change.into_scalar() > 0.01);
    }
}

#[test]
fn gradients_are_those_of_differences() {
    let codec = codec::<A>();
    let weights = normal::<A, 3>([2, 11, 5]);
    let around = |x, _| pad(x, 10, 11, PadMode::Zero);
    assert_gradient(clear([2, 1, 35], &[28], around), 2e-4, |audio| {
        (codec.encoder.forward(audio) * weights.clone()).sum()
    });
    let weights = normal::<A, 3>([2, 1, 35]);
    assert_gradient(normal([2, 11, 5]), 1e-3, |vectors| {
        (codec.decoder.forward(vectors) * weights.clone()).sum()
    });
}

/// From the wave alone every parameter learns but the codebooks, which their own loss moves.
#[test]
fn everything_learns() {
    let codec = codec::<A>();
    let audio = normal::<A, 3>([2, 1, 95]);
    let got = codec.reconstruct(audio.clone(), &[4, 4]).unwrap();
    let distance = (got.wave - audio).powi_scalar(2).mean();
    let loss = distance + got.quantized.codebook_loss.unwrap();
    let gradients = burn::optim::GradientsParams::from_grads(loss.backward(), &codec);
    assert_eq!(gradients.len(), parameters(&codec.valid()).len());
}

/// The matrices of the transforms are made of the sizes: they are neither counted nor saved.
#[test]
fn a_record_holds_everything_but_constants() {
    let device = Default::default();
    let codec = codec::<B>();
    let names = parameters(&codec);
    assert!(!names.iter().any(|(name, _)| name.contains("basis")));
    let recorder = BinBytesRecorder::<FullPrecisionSettings>::default();
    let audio = normal([1, 1, 97]);
    let codes = codec.encode(audio.clone(), None).unwrap();
    let wave = codec.decode(codes.clone()).unwrap().into_data();
    let bytes = recorder.record(codec.into_record(), ()).unwrap();
    let fresh = config().init::<B>(&device).unwrap();
    let loaded = fresh.load_record(recorder.load(bytes, &device).unwrap());
    let again = loaded.encode(audio, None).unwrap();
    again.into_data().assert_eq(&codes.to_data(), true);
    let any = AnyCodec::Spectral(loaded);
    let same = any.decode(codes).unwrap();
    same.into_data().assert_eq(&wave, true);
}
