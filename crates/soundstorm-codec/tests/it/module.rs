//! The codec as a module: its size, its parameters' paths, saving and loading, gradients.

use burn::module::Module;
use burn::prelude::*;
use burn::record::{BinBytesRecorder, FullPrecisionSettings, Recorder};
use soundstorm_codec::import::ImportSource;
use soundstorm_codec::speechtokenizer::import::plan;
use soundstorm_codec::{AnyCodec, Codec, SpeechTokenizerConfig};

use crate::support::{B, Fixture, VARIANTS, parameters};

/// The package counts 102,888,386 parameters without its `transform`, and has
/// the 8 x 1024 x 1024 codebook entries as buffers. Ours are fewer by each
/// weight norm's g, folded into the weight, and by PyTorch's second bias of each
/// recurrent layer, summed with the first.
#[test]
fn the_published_codec_has_the_packages_parameters() {
    let config = SpeechTokenizerConfig::default();
    let (mut norms, mut second_biases) = (0, 0);
    for rule in plan(&config) {
        match rule.source {
            ImportSource::WeightNorm { .. } => norms += rule.shape[0],
            ImportSource::StackedSums { names, .. } if names[0].len() == 2 => {
                second_biases += rule.shape.iter().product::<usize>();
            }
            _ => {}
        }
    }
    let codebooks = 8 * 1024 * 1024;
    assert_eq!((norms, second_biases), (10_753, 24_576));
    let ours = 102_888_386 - norms - second_biases + codebooks;
    assert_eq!(ours, 111_241_665);

    let codec = config.init::<B>(&Default::default()).unwrap();
    assert_eq!(codec.num_params(), ours);
}

#[test]
fn the_plan_has_each_parameter_once_in_its_shape() {
    let mut configs = VARIANTS
        .map(|variant| Fixture::read(variant).config)
        .to_vec();
    configs.push(SpeechTokenizerConfig::snake());
    configs.push(SpeechTokenizerConfig {
        lstm_layers: 0,
        bidirectional: false,
        ..configs[0].clone()
    });
    for config in configs {
        let codec = config.init::<B>(&Default::default()).unwrap();
        let mut expected = parameters(&codec);
        let mut planned = plan(&config)
            .into_iter()
            .map(|rule| (rule.target, rule.shape))
            .collect::<Vec<_>>();
        expected.sort();
        planned.sort();
        assert_eq!(planned, expected);
    }
}

#[test]
fn any_codec_puts_its_variant_before_the_paths() {
    let codec = Fixture::read("elu").codec();
    let inner = parameters(&codec);
    let outer = parameters(&AnyCodec::SpeechTokenizer(codec));
    assert_eq!(inner.len(), outer.len());
    for ((inner, _), (outer, _)) in inner.into_iter().zip(outer) {
        assert_eq!(outer, format!("SpeechTokenizer.{inner}"));
    }
}

#[test]
fn a_record_holds_everything() {
    let fixture = Fixture::read("snake");
    let device = Default::default();
    let recorder = BinBytesRecorder::<FullPrecisionSettings>::default();
    let record = fixture.codec().into_record();
    let bytes = recorder.record(record, ()).unwrap();
    let fresh = fixture.config.init::<B>(&device).unwrap();
    let codec = fresh.load_record(recorder.load(bytes, &device).unwrap());
    let codes = codec.encode(fixture.float("audio.4"), None).unwrap();
    codes
        .to_data()
        .assert_eq(&fixture.codes("codes.4").to_data(), false);
    let wave = codec.decode(codes.clone()).unwrap();
    let expected = fixture.codec().decode(codes).unwrap();
    wave.to_data().assert_eq(&expected.to_data(), true);
}

#[test]
fn everything_but_the_codebooks_learns() {
    type A = burn_autodiff::Autodiff<B>;
    let device = Default::default();
    let config = Fixture::read("snake").config;
    let codec = config.init::<A>(&device).unwrap();
    let audio = Tensor::<A, 3>::random([1, 1, 61], burn::tensor::Distribution::Default, &device);
    let embedding = codec.embed_audio(audio).unwrap();
    let wave = codec.decoder.forward(embedding);
    let grads = wave.powi_scalar(2).mean().backward();
    let encoder = codec.encoder.input.weight.val().grad(&grads).unwrap();
    let decoder = codec.decoder.output.weight.val().grad(&grads).unwrap();
    for grad in [encoder, decoder] {
        let size = grad.abs().sum().into_scalar();
        assert!(size.is_finite() && size > 0.0);
    }
    assert!(codec.quantizer.codebooks[0].val().grad(&grads).is_none());
}
