//! EnCodec against `transformers` 5.24.0 and `encodec` 0.1.1 (`xtask/fixtures/encodec.py`), and what holds for it alone.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};
use soundstorm_codec::encodec::import::{Naming, is_ignored, plan};
use soundstorm_codec::encodec::{Chunking, EncodecNorm, HubConfig};
use soundstorm_codec::import::{HostTensor, ImportSource};
use soundstorm_codec::{AnyCodec, Codec, CodecConfig, CodecError, Encodec, EncodecConfig};

use crate::support::{self, B, Tensors, apply, assert_close, parameters, respell};

/// Whose names the variants of the fixtures have.
const VARIANTS: [(&str, Naming); 5] = [
    ("mono", Naming::Transformers),
    ("stereo", Naming::Transformers),
    ("other", Naming::Transformers),
    ("package_mono", Naming::Package),
    ("package_stereo", Naming::Package),
];

pub(crate) struct Fixture {
    pub(crate) config: EncodecConfig,
    state: BTreeMap<String, HostTensor>,
    tensors: Tensors,
}

impl Fixture {
    pub(crate) fn read(name: &str) -> Self {
        let folder = support::folder("encodec");
        let json = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let hub: HubConfig = serde_json::from_str(&json).unwrap();
        let tensors = Tensors::read(&folder.join(format!("{name}.safetensors")));
        Self {
            config: hub.try_into().unwrap(),
            state: tensors.state(),
            tensors,
        }
    }

    pub(crate) fn codec(&self) -> Encodec<B> {
        import_state(&self.config, &self.state).0
    }

    fn audio(&self, case: usize) -> Tensor<B, 3> {
        self.tensors.float(&format!("audio.{case}"))
    }
}

fn import_state(
    config: &EncodecConfig,
    state: &BTreeMap<String, HostTensor>,
) -> (Encodec<B>, BTreeSet<String>) {
    let naming = Naming::detect(state.keys().map(String::as_str)).unwrap();
    let codec = config.init::<B>(&Default::default()).unwrap();
    apply(plan(config, naming), codec, state)
}

fn assert_close_2(got: Tensor<B, 2>, expected: Tensor<B, 2>, what: &str) {
    assert_close(got.unsqueeze(), expected.unsqueeze(), what);
}

#[test]
fn embeddings_codes_scales_and_waveforms_equal_the_packages() {
    let mut without_wave = 0;
    for (variant, _) in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let names = fixture.tensors.names();
        assert!(fixture.tensors.cases() >= 3);
        for case in 0..fixture.tensors.cases() {
            let what = format!("{variant}, case {case}");
            let audio = fixture.audio(case);
            let samples = audio.dims()[2];
            let frames = codec.frames(samples);

            let (embedding, scales) = codec.embed_audio(audio.clone()).unwrap();
            assert_eq!(embedding.dims()[2], frames);
            let expected = fixture.tensors.float(&format!("embedding.{case}"));
            assert_close(embedding, expected, &what);

            assert_eq!(scales.is_some(), fixture.config.normalize);
            let (codes, again) = codec.encode_scaled(audio.clone(), None).unwrap();
            let expected = fixture.tensors.int::<3>(&format!("codes.{case}"));
            codes.to_data().assert_eq(&expected.to_data(), false);
            let plain = codec.encode(audio, None).unwrap();
            plain.to_data().assert_eq(&codes.to_data(), true);
            if let Some(scales) = &scales {
                let expected = fixture.tensors.float(&format!("scales.{case}"));
                assert_close_2(scales.clone(), expected, &what);
                let again = again.unwrap().to_data();
                again.assert_eq(&scales.to_data(), true);
            }

            if !names.contains(&format!("wave.{case}.1")) {
                // The packages fail here; ours keeps what the last chunk but one says.
                without_wave += 1;
                let wave = codec.decode_scaled(codes, scales).unwrap();
                assert!(wave.dims()[2] >= samples);
                continue;
            }
            for levels in 1..=codec.spec().levels {
                let some = codes.clone().narrow(1, 0, levels);
                let wave = codec.decode_scaled(some, scales.clone()).unwrap();
                let expected = fixture.tensors.float(&format!("wave.{case}.{levels}"));
                assert_close(wave, expected, &format!("{what}, {levels} levels"));
            }
            if scales.is_some() {
                let wave = codec.decode(codes).unwrap();
                let expected = fixture.tensors.float(&format!("unscaled.{case}"));
                assert_close(wave, expected, &what);
            }
        }
    }
    assert_eq!(without_wave, 1);
}

#[test]
fn bandwidths_have_the_packages_levels() {
    for (variant, _) in VARIANTS {
        let fixture = Fixture::read(variant);
        let bandwidths = fixture.config.bandwidths.iter();
        let levels = bandwidths
            .map(|&bits| fixture.config.levels_for(f64::from(bits) / 1000.0))
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        let expected = fixture.tensors.int::<1>("levels").to_data();
        let expected: Vec<i64> = expected.iter().collect();
        assert!(expected.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(levels.iter().map(|&levels| levels as i64).eq(expected));
    }
}

#[test]
fn encoding_fewer_levels_gives_the_coarsest() {
    for (variant, case) in [("mono", 5), ("stereo", 5)] {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let all = codec.encode(fixture.audio(case), None).unwrap();
        for levels in 1..=codec.spec().levels {
            let some = codec.encode(fixture.audio(case), Some(levels)).unwrap();
            let expected = all.clone().narrow(1, 0, levels);
            some.to_data().assert_eq(&expected.to_data(), true);
        }
    }
}

#[test]
fn a_row_of_a_batch_gets_what_it_gets_alone() {
    for (variant, case) in [("mono", 5), ("stereo", 5), ("other", 2)] {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let audio = fixture.audio(case);
        let (codes, scales) = codec.encode_scaled(audio.clone(), None).unwrap();
        let wave = codec.decode_scaled(codes.clone(), scales).unwrap();
        let row = audio.narrow(0, 1, 1);
        let (alone, scales) = codec.encode_scaled(row, None).unwrap();
        let codes = codes.narrow(0, 1, 1);
        codes.to_data().assert_eq(&alone.to_data(), true);
        let alone = codec.decode_scaled(alone, scales).unwrap();
        wave.narrow(0, 1, 1)
            .to_data()
            .assert_approx_eq::<f32>(&alone.to_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn a_causal_codecs_frame_depends_on_nothing_later() {
    let codec = Fixture::read("mono").codec();
    let hop = codec.spec().hop;
    let noise = Distribution::Normal(0.0, 1.0);
    let audio = Tensor::<B, 3>::random([1, 1, 11 * hop], noise, &Default::default());
    let (whole, _) = codec.embed_audio(audio.clone()).unwrap();
    let (cut, _) = codec.embed_audio(audio.narrow(2, 0, 7 * hop)).unwrap();
    assert_close(whole.narrow(2, 0, 7), cut, "encoder");

    let codes = codec.encode(
        Tensor::random([1, 1, 11 * hop], noise, &Default::default()),
        None,
    );
    let codes = codes.unwrap();
    let whole = codec.decode(codes.clone()).unwrap();
    let cut = codec.decode(codes.narrow(2, 0, 7)).unwrap();
    assert_close(whole.narrow(2, 0, 7 * hop), cut, "decoder");
}

/// Loudness is in the scales alone, and each chunk has its own.
#[test]
fn louder_audio_has_the_same_codes() {
    let fixture = Fixture::read("stereo");
    let codec = fixture.codec();
    let audio = fixture.audio(5);
    let (codes, scales) = codec.encode_scaled(audio.clone(), None).unwrap();
    let (louder, doubled) = codec.encode_scaled(audio.mul_scalar(2.0), None).unwrap();
    louder.to_data().assert_eq(&codes.to_data(), true);
    let (scales, doubled) = (scales.unwrap(), doubled.unwrap());
    assert_eq!(scales.dims(), [2, 4]);
    assert_close_2(doubled, scales.mul_scalar(2.0), "scales");
}

#[test]
fn silence_stays_finite() {
    let codec = Fixture::read("stereo").codec();
    let audio = Tensor::zeros([1, 2, 131], &Default::default());
    let (codes, scales) = codec.encode_scaled(audio, None).unwrap();
    let wave = codec.decode_scaled(codes, scales).unwrap();
    assert!(wave.abs().max().into_scalar() < 1e-6);
}

#[test]
fn every_tensor_is_taken_or_ignored_on_purpose() {
    for (variant, naming) in VARIANTS {
        let Fixture { config, state, .. } = Fixture::read(variant);
        let detected = Naming::detect(state.keys().map(String::as_str));
        assert_eq!(detected, Some(naming));
        let (_, taken) = import_state(&config, &state);
        for name in state.keys() {
            assert_ne!(taken.contains(name), is_ignored(name), "{variant}: {name}");
        }
    }
}

#[test]
fn all_spellings_of_weight_norm_load_alike() {
    for (variant, case) in [("mono", 3), ("package_mono", 1)] {
        let fixture = Fixture::read(variant);
        let codes = fixture.tensors.int(&format!("codes.{case}"));
        let expected = fixture.codec().decode(codes.clone()).unwrap();
        for state in respell(&fixture.state) {
            let (codec, _) = import_state(&fixture.config, &state);
            let wave = codec.decode(codes.clone()).unwrap();
            wave.to_data().assert_eq(&expected.to_data(), true);
        }
    }
}

#[test]
fn the_plan_has_each_parameter_once_in_its_shape() {
    let mut configs = VARIANTS
        .map(|(variant, _)| Fixture::read(variant).config)
        .to_vec();
    configs.push(EncodecConfig {
        lstm_layers: 0,
        ..configs[0].clone()
    });
    for config in configs {
        let codec = config.init::<B>(&Default::default()).unwrap();
        let mut expected = parameters(&codec);
        expected.sort();
        for naming in [Naming::Package, Naming::Transformers] {
            let planned = plan(&config, naming).into_iter();
            let mut planned: Vec<_> = planned.map(|rule| (rule.target, rule.shape)).collect();
            planned.sort();
            assert_eq!(planned, expected);
        }
    }
}

/// What `transformers` 5.24.0 counts is without codebooks, which are buffers there. Ours are fewer by each
/// weight norm's g, folded into the weight, and by PyTorch's second bias of each recurrent layer.
#[test]
fn the_published_codecs_have_the_packages_parameters() {
    let published = [
        (EncodecConfig::default(), 14_851_810, 32),
        (EncodecConfig::encodec_48khz(), 14_856_294, 16),
    ];
    for (config, theirs, levels) in published {
        let weight_norm = config.norm == EncodecNorm::WeightNorm;
        let (mut norms, mut second_biases) = (0, 0);
        for rule in plan(&config, Naming::Transformers) {
            match rule.source {
                ImportSource::WeightNorm { .. } if weight_norm => norms += rule.shape[0],
                ImportSource::StackedSums { names, .. } if names[0].len() == 2 => {
                    second_biases += rule.shape.iter().product::<usize>();
                }
                _ => {}
            }
        }
        let ours = theirs - norms - second_biases + levels * 1024 * 128;
        let codec = config.init::<B>(&Default::default()).unwrap();
        assert_eq!(codec.num_params(), ours);
    }
}

fn stereo() -> (AnyCodec<B>, Tensor<B, 3, Int>, Tensor<B, 2>) {
    let codec = AnyCodec::Encodec(Fixture::read("stereo").codec());
    let noise = Distribution::Normal(0.0, 1.0);
    let audio = Tensor::random([2, 2, 200], noise, &Default::default());
    let (codes, scales) = codec.encode_scaled(audio, None).unwrap();
    (codec, codes, scales.unwrap())
}

#[test]
fn scales_must_fit_the_codes() {
    let (codec, codes, scales) = stereo();
    let expected = scales.dims();
    assert_eq!(expected, [2, 3]);
    for wrong in [
        scales.clone().narrow(0, 0, 1),
        scales.clone().narrow(1, 0, 2),
    ] {
        let got = wrong.dims();
        let error = codec.decode_scaled(codes.clone(), Some(wrong)).unwrap_err();
        assert_eq!(error, CodecError::Scales { expected, got });
    }
    for wrong in [f32::NAN, f32::INFINITY] {
        let one = Tensor::<B, 2>::full([1, 1], wrong, &Default::default());
        let scales = scales.clone().slice_assign([1..2, 2..3], one);
        let error = codec
            .decode_scaled(codes.clone(), Some(scales))
            .unwrap_err();
        assert_eq!(error, CodecError::ScaleNotFinite);
    }
}

#[test]
fn a_codec_without_scales_refuses_them() {
    let mono = AnyCodec::Encodec(Fixture::read("mono").codec());
    let speechtokenizer = AnyCodec::SpeechTokenizer(support::Fixture::read("one_way").codec());
    for (codec, name) in [(mono, "encodec"), (speechtokenizer, "speechtokenizer")] {
        let device = Default::default();
        let audio = Tensor::zeros([1, 1, 40], &device);
        let (codes, scales) = codec.encode_scaled(audio, None).unwrap();
        assert!(scales.is_none());
        let unscaled = codec.decode_scaled(codes.clone(), None).unwrap();
        let expected = codec.decode(codes.clone()).unwrap();
        unscaled.to_data().assert_eq(&expected.to_data(), true);
        let scales = Tensor::ones([1, 1], &device);
        let error = codec.decode_scaled(codes, Some(scales)).unwrap_err();
        let message = format!("decode: {name} has no scales, got [batch, chunks] = [1, 1]");
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn frames_that_no_audio_in_chunks_has_are_refused() {
    // With three chunks on a sample, several of them grow by a frame at once.
    let config = EncodecConfig {
        chunks: Some(Chunking {
            length: 36,
            stride: 12,
        }),
        ..Fixture::read("stereo").config
    };
    let codec = config.init::<B>(&Default::default()).unwrap();
    for samples in [5, 13, 30, 100] {
        let audio = Tensor::zeros([1, 2, samples], &Default::default());
        let codes = codec.encode(audio, None).unwrap();
        assert_eq!(codes.dims()[2], codec.frames(samples));
        assert!(codec.decode(codes).is_ok());
    }
    let codes = Tensor::zeros([1, 1, 2], &Default::default());
    let error = codec.decode(codes).unwrap_err().to_string();
    let expected = "decode: no audio in chunks of 36 samples, 12 apart, has 2 frames in all";
    assert_eq!(error, expected);
}

#[test]
fn bad_audio_and_codes_are_refused() {
    let (codec, codes, _) = stereo();
    let device = Default::default();
    let error = codec.encode(Tensor::zeros([1, 1, 50], &device), None);
    assert!(matches!(
        error,
        Err(CodecError::Channels {
            expected: 2,
            got: 1,
            ..
        })
    ));
    let error = codec.encode(Tensor::zeros([1, 2, 0], &device), None);
    assert!(matches!(error, Err(CodecError::EmptyAudio { .. })));
    let error = codec.encode_scaled(Tensor::zeros([1, 2, 50], &device), Some(4));
    assert!(matches!(error, Err(CodecError::Levels { got: 4, .. })));
    let mask_id = codec.spec().codebook_size as i64;
    let error = codec.decode(codes.zeros_like().add_scalar(mask_id));
    assert!(matches!(
        error,
        Err(CodecError::CodeOutOfRange { got: 16, .. })
    ));
}

#[test]
fn our_configuration_is_told_apart_by_its_model_type() {
    let config = CodecConfig::Encodec(EncodecConfig::encodec_48khz());
    let json = serde_json::to_string(&config).unwrap();
    for part in [
        r#""model_type":"encodec""#,
        r#""norm":"time_group_norm""#,
        r#""pad_mode":"reflect""#,
        r#""chunks":{"length":48000,"stride":47520}"#,
    ] {
        assert!(json.contains(part), "{json}");
    }
    assert_eq!(serde_json::from_str::<CodecConfig>(&json).unwrap(), config);
    for (key, unknown) in [("filters", "filterz"), ("stride\"", "strid\"")] {
        let error = serde_json::from_str::<CodecConfig>(&json.replace(key, unknown)).unwrap_err();
        assert!(error.to_string().contains("unknown field"), "{error}");
    }
    let codec = AnyCodec::Encodec(Fixture::read("mono").codec());
    let inner = CodecConfig::Encodec(Fixture::read("mono").config);
    assert_eq!(
        (codec.config(), codec.spec()),
        (inner.clone(), inner.spec())
    );
    let fresh = inner.init::<B>(&Default::default()).unwrap();
    assert_eq!(fresh.num_params(), codec.num_params());
}
