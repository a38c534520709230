//! DAC: equal codes and waveforms, on fixtures of `transformers` 5.24.0 and `descript-audio-codec`
//! 1.0.0 (`xtask/fixtures/dac.py`); loading; working piece by piece.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::prelude::*;
use burn::tensor::Distribution;
use soundstorm_codec::dac::import::{Naming, is_ignored, plan};
use soundstorm_codec::dac::{Dac, DacConfig, HubConfig};
use soundstorm_codec::import::HostTensor;
use soundstorm_codec::{
    AnyCodec, Codec, CodecConfig, CodecError, ConfigError, Context, Convolutional,
    SpeechTokenizerConfig, fold_weight_norm,
};

use crate::support::{B, Tensors, apply, assert_close, folder, parameters};

const VARIANTS: [(&str, Naming); 3] = [
    ("odd", Naming::Transformers),
    ("even", Naming::Transformers),
    ("descript", Naming::Descript),
];

type State = BTreeMap<String, HostTensor>;

pub(crate) struct Fixture {
    config: DacConfig,
    state: State,
    tensors: Tensors,
}

impl Fixture {
    pub(crate) fn read(name: &str) -> Self {
        let folder = folder("dac");
        let json = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let hub: HubConfig = serde_json::from_str(&json).unwrap();
        let tensors = Tensors::read(&folder.join(format!("{name}.safetensors")));
        Self {
            config: hub.try_into().unwrap(),
            state: tensors.state(),
            tensors,
        }
    }

    pub(crate) fn codec(&self) -> Dac<B> {
        import(&self.config, &self.state).0
    }
}

fn import(config: &DacConfig, state: &State) -> (Dac<B>, BTreeSet<String>) {
    let naming = Naming::detect(state.keys().map(String::as_str)).unwrap();
    let codec = config.init::<B>(&Default::default()).unwrap();
    apply(plan(config, naming), codec, state)
}

#[test]
fn embeddings_codes_and_waveforms_equal_the_references() {
    for (variant, _) in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let spec = codec.spec();
        assert_eq!(fixture.tensors.cases(), 6);
        for case in 0..fixture.tensors.cases() {
            let what = format!("{variant}, case {case}");
            let audio = fixture.tensors.float(&format!("audio.{case}"));
            let frames = spec.frames(audio.dims()[2]);

            let embedding = codec.embed_audio(audio.clone()).unwrap();
            assert_eq!(embedding.dims()[2], frames, "{what}");
            let expected = fixture.tensors.float(&format!("embedding.{case}"));
            assert_close(embedding, expected, &what);

            let codes = codec.encode(audio, None).unwrap();
            let expected = fixture.tensors.int::<3>(&format!("codes.{case}"));
            codes.to_data().assert_eq(&expected.to_data(), false);

            for levels in 1..=spec.levels {
                let wave = codec.decode(codes.clone().narrow(1, 0, levels)).unwrap();
                assert_eq!(wave.dims()[2], fixture.config.decoded_samples(frames));
                let expected = fixture.tensors.float(&format!("wave.{case}.{levels}"));
                assert_close(wave, expected, &format!("{what}, {levels} levels"));
            }
        }
    }
}

#[test]
fn encoding_fewer_levels_gives_the_coarsest() {
    let fixture = Fixture::read("odd");
    let codec = fixture.codec();
    let audio = fixture.tensors.float("audio.4");
    let all = codec.encode(audio.clone(), None).unwrap();
    for levels in 1..=codec.spec().levels {
        let some = codec.encode(audio.clone(), Some(levels)).unwrap();
        let expected = all.clone().narrow(1, 0, levels);
        some.to_data().assert_eq(&expected.to_data(), true);
    }
}

#[test]
fn a_row_of_a_batch_gets_what_it_gets_alone() {
    let fixture = Fixture::read("odd");
    let codec = fixture.codec();
    let audio = fixture.tensors.float("audio.4");
    let codes = codec.encode(audio.clone(), None).unwrap();
    let wave = codec.decode(codes.clone()).unwrap();
    for row in 0..2 {
        let alone = codec.encode(audio.clone().narrow(0, row, 1), None).unwrap();
        let together = codes.clone().narrow(0, row, 1).to_data();
        together.assert_eq(&alone.to_data(), true);
        let alone = codec.decode(alone).unwrap();
        assert_close(wave.clone().narrow(0, row, 1), alone, "a row of two");
    }
}

#[test]
fn every_tensor_is_taken_or_ignored_on_purpose() {
    for (variant, naming) in VARIANTS {
        let fixture = Fixture::read(variant);
        let names = fixture.state.keys().map(String::as_str);
        assert_eq!(Naming::detect(names), Some(naming));
        let (_, taken) = import(&fixture.config, &fixture.state);
        for name in fixture.state.keys() {
            assert_ne!(taken.contains(name), is_ignored(name), "{variant}: {name}");
        }
    }
}

#[test]
fn the_plan_has_each_parameter_once_in_its_shape() {
    let sixteen = DacConfig {
        encoder_channels: 7,
        ..DacConfig::dac_16khz()
    };
    for config in [Fixture::read("even").config, sixteen] {
        let codec = config.init::<B>(&Default::default()).unwrap();
        let mut expected = parameters(&codec);
        expected.sort();
        for naming in [Naming::Transformers, Naming::Descript] {
            let rules = plan(&config, naming).into_iter();
            let mut planned = rules
                .map(|rule| (rule.target, rule.shape))
                .collect::<Vec<_>>();
            planned.sort();
            assert_eq!(planned, expected);
        }
    }
}

/// The same weights with norms under the older and the newer of PyTorch's names, and folded as on the hub.
fn spellings(state: &State) -> [State; 3] {
    let mut spelled = [state.clone(), State::new(), State::new()];
    spelled[0].clear();
    for (name, tensor) in state {
        let base = name
            .strip_suffix(".weight_v")
            .or_else(|| name.strip_suffix(".parametrizations.weight.original1"));
        if let Some(base) = base {
            let old = [format!("{base}.weight_g"), format!("{base}.weight_v")];
            let new =
                ["0", "1"].map(|part| format!("{base}.parametrizations.weight.original{part}"));
            let g = state.get(&old[0]).or_else(|| state.get(&new[0])).unwrap();
            for (spelled, [g_name, v_name]) in spelled.iter_mut().zip([old, new]) {
                spelled.insert(g_name, g.clone());
                spelled.insert(v_name, tensor.clone());
            }
            let data = fold_weight_norm(&g.data, &tensor.data).unwrap();
            let shape = tensor.shape.clone();
            spelled[2].insert(format!("{base}.weight"), HostTensor { shape, data });
        } else if !name.ends_with(".weight_g") && !name.ends_with(".original0") {
            for spelled in &mut spelled {
                spelled.insert(name.clone(), tensor.clone());
            }
        }
    }
    spelled
}

#[test]
fn all_spellings_of_weight_norm_load_alike() {
    for (variant, _) in VARIANTS {
        let fixture = Fixture::read(variant);
        let codes = fixture.tensors.int("codes.3");
        let expected = fixture.codec().decode(codes.clone()).unwrap().to_data();
        for state in spellings(&fixture.state) {
            let (codec, taken) = import(&fixture.config, &state);
            assert_eq!(taken.len(), state.len());
            let wave = codec.decode(codes.clone()).unwrap();
            wave.to_data().assert_eq(&expected, true);
        }
    }
}

#[test]
fn any_codec_puts_its_variant_before_the_paths() {
    let codec = Fixture::read("even").codec();
    let inner = parameters(&codec);
    let any = AnyCodec::Dac(codec);
    let outer = parameters(&any);
    assert_eq!(inner.len(), outer.len());
    for ((inner, _), (outer, _)) in inner.into_iter().zip(outer) {
        assert_eq!(outer, format!("Dac.{inner}"));
    }
    let config = CodecConfig::Dac(Fixture::read("even").config);
    assert_eq!(any.config(), config);
    assert_eq!(any.spec(), config.spec());
    let json = serde_json::to_string(&config).unwrap();
    assert!(json.contains(r#""model_type":"dac""#));
    assert_eq!(serde_json::from_str::<CodecConfig>(&json).unwrap(), config);
    let unknown = json.replace("encoder_channels", "encoder_channelz");
    assert!(serde_json::from_str::<CodecConfig>(&unknown).is_err());
}

#[test]
fn the_hubs_configuration_is_checked() {
    // As `transformers` writes it for 44.1 kHz, less what it has for training.
    let json = r#"{"architectures": ["DacModel"], "codebook_dim": 8, "codebook_size": 1024, "decoder_hidden_size": 1536,
        "downsampling_ratios": [2, 4, 8, 8], "encoder_hidden_size": 64, "hidden_size": 1024, "hop_length": 512,
        "model_type": "dac", "n_codebooks": 9, "sampling_rate": 44100, "upsampling_ratios": [8, 8, 4, 2]}"#;
    let read = |json: &str| DacConfig::try_from(serde_json::from_str::<HubConfig>(json).unwrap());
    assert_eq!(read(json), Ok(DacConfig::default()));
    let short = r#"{"downsampling_ratios": [2, 4, 5, 8], "n_codebooks": 12}"#;
    assert_eq!(read(short), Ok(DacConfig::dac_16khz()));

    let key = |json: &str| match read(json).unwrap_err() {
        ConfigError::Unsupported { key, .. } | ConfigError::Invalid { key, .. } => key,
        error => panic!("{error}"),
    };
    let up = json.replace("[8, 8, 4, 2]", "[8, 8, 2, 4]");
    assert_eq!(key(&up), "upsampling_ratios");
    assert_eq!(key(&json.replace(r#""dac""#, r#""encodec""#)), "model_type");
    let none = json
        .replace("[2, 4, 8, 8]", "[]")
        .replace("[8, 8, 4, 2]", "[]");
    assert_eq!(key(&none), "strides");
    let wide = r#"{"downsampling_ratios": [2], "encoder_hidden_size": 18446744073709551615}"#;
    assert_eq!(key(wide), "dimension");
}

/// Long enough that pieces have neighbours on both sides.
const FRAMES: usize = 89;

#[test]
fn chunks_of_any_size_give_what_the_whole_gives() {
    for (variant, _) in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let hop = codec.spec().hop;
        for samples in [FRAMES * hop, (FRAMES - 1) * hop + 1] {
            let noise = Distribution::Normal(0.0, 0.4);
            let audio = Tensor::<B, 3>::random([2, 1, samples], noise, &Default::default());
            let codes = codec.encode(audio.clone(), None).unwrap();
            let wave = codec.decode(codes.clone()).unwrap();
            for chunk in [1, 2, 3, 5, 7, 11, 17, 29, 88, FRAMES, 97, usize::MAX] {
                let what = format!("{variant}, {samples} samples by {chunk} frames");
                let got = codec.encode_chunked(audio.clone(), None, chunk).unwrap();
                got.to_data().assert_eq(&codes.to_data(), true);
                let got = codec.decode_chunked(codes.clone(), chunk).unwrap();
                assert_close(got, wave.clone(), &what);
            }
            let two = codec.encode_chunked(audio, Some(2), 7).unwrap();
            let expected = codes.narrow(1, 0, 2).to_data();
            two.to_data().assert_eq(&expected, true);
        }
    }
}

/// A network of sums: all weights positive, no bias, and no wave in Snake. A number that goes in
/// comes out wherever there is a way for it.
struct Sums;

impl ModuleMapper<B> for Sums {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|value| if D == 1 { value * 0.0 } else { value.abs() })
    }
}

#[test]
fn the_contexts_are_as_wide_as_needed_and_no_wider() {
    const MIDDLE: usize = FRAMES / 2;
    let device = Default::default();
    // How far from the middle frame of `frames` those are that come out there.
    let context = |frames: Vec<usize>| Context {
        left: MIDDLE - frames[0],
        right: frames[frames.len() - 1] - MIDDLE,
    };
    let sounds = |x: Tensor<B, 3>| x.max().into_scalar() > 0.0;
    for (variant, _) in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec().map(&mut Sums);
        let (hop, dimension) = (codec.spec().hop, fixture.config.dimension);
        let heard = |frame: &usize| {
            let audio = Tensor::<B, 3>::zeros([1, 1, FRAMES * hop], &device);
            let audio = audio.slice_fill([0..1, 0..1, frame * hop..(frame + 1) * hop], 1.0);
            sounds(codec.encoder.forward(audio).narrow(2, MIDDLE, 1))
        };
        let frames = (0..FRAMES).filter(heard).collect();
        assert_eq!(context(frames), codec.encoder_context(), "{variant}");
        let heard = |frame: &usize| {
            let vectors = Tensor::<B, 3>::zeros([1, dimension, FRAMES], &device);
            let vectors = vectors.slice_fill([0..1, 0..dimension, *frame..frame + 1], 1.0);
            sounds(codec.decoder.forward(vectors).narrow(2, MIDDLE * hop, hop))
        };
        let frames = (0..FRAMES).filter(heard).collect();
        assert_eq!(context(frames), codec.decoder_context(), "{variant}");
    }
}

#[test]
fn the_published_codecs_need_few_frames_around_one() {
    let contexts = |config: DacConfig| {
        // Weights are drawn when they are used, so this codec takes no memory.
        let codec = config.init::<B>(&Default::default()).unwrap();
        (codec.encoder_context(), codec.decoder_context())
    };
    let around = |frames| Context {
        left: frames,
        right: frames,
    };
    for config in [DacConfig::default(), DacConfig::dac_24khz()] {
        assert_eq!(contexts(config), (around(8), around(10)));
    }
}

#[test]
fn chunks_report_what_the_whole_reports() {
    let codec = AnyCodec::Dac(Fixture::read("odd").codec());
    let codec = codec.as_convolutional().unwrap();
    let device = Default::default();
    let audio = || Tensor::<B, 3>::zeros([1, 1, 50], &device);
    let codes = || Tensor::<B, 3, Int>::zeros([1, 5, 4], &device);
    let encode = |audio, levels, chunk| codec.encode_chunked(audio, levels, chunk).unwrap_err();
    let decode = |codes, chunk| codec.decode_chunked(codes, chunk).unwrap_err();

    let operation = "encode";
    assert_eq!(
        encode(audio(), None, 0),
        CodecError::EmptyChunk { operation }
    );
    let operation = "decode";
    let error = decode(codes(), 0);
    assert_eq!(error, CodecError::EmptyChunk { operation });
    assert_eq!(
        error.to_string(),
        "decode: chunks of 0 frames, expected at least 1"
    );

    let error = encode(Tensor::zeros([1, 1, 0], &device), None, 2);
    assert!(matches!(error, CodecError::EmptyAudio { .. }));
    let error = encode(audio() / 0.0, None, 2);
    assert_eq!(error, CodecError::NotFinite);
    let error = encode(audio(), Some(6), 2);
    assert!(matches!(error, CodecError::Levels { got: 6, .. }));
    // Its place is that in the whole, not in a piece.
    let wrong = codes().slice_fill([0..1, 2..3, 3..4], 16);
    let error = decode(wrong, 1);
    assert!(matches!(error, CodecError::CodeOutOfRange { frame: 3, .. }));

    let recurrent = SpeechTokenizerConfig {
        filters: 2,
        dimension: 3,
        ..Default::default()
    };
    let recurrent = CodecConfig::SpeechTokenizer(recurrent).init::<B>(&device);
    assert!(recurrent.unwrap().as_convolutional().is_none());
}
