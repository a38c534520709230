//! SoundStream's configurations and parameters.

use burn::module::Module;
use soundstorm_codec::soundstream::import::plan;
use soundstorm_codec::{AnyCodec, CodecConfig, PadMode, SoundStreamConfig};

use super::fixture::{Fixture, VARIANTS};
use crate::support::{B, parameters};

#[test]
fn our_configuration_refuses_unknown_keys() {
    let config = CodecConfig::SoundStream(SoundStreamConfig::musiclm());
    let json = serde_json::to_string(&config).unwrap();
    assert!(json.contains(r#""model_type":"soundstream""#));
    assert_eq!(serde_json::from_str::<CodecConfig>(&json).unwrap(), config);
    let error = serde_json::from_str::<CodecConfig>(&json.replace("window", "windows"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("unknown field `windows`"), "{error}");
}

/// All that tensors tell is told, and only the rest has its default.
#[test]
fn tensors_tell_all_but_what_is_listed() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let found = SoundStreamConfig::from_shapes(&fixture.shapes()).unwrap();
        let as_json = |config: &SoundStreamConfig| serde_json::to_value(config).unwrap();
        let (found, mut expected) = (as_json(&found), as_json(&fixture.config));
        let default = as_json(&SoundStreamConfig::default());
        for key in SoundStreamConfig::UNTOLD {
            expected[key] = default[key].clone();
        }
        if fixture.config.attention_layers == 0 {
            for key in ["heads", "dim_head"] {
                assert_eq!(found[key], default[key]);
            }
        }
        assert_eq!(found, expected, "{variant}");
    }
    let zero = Fixture::read("bias").config.pad_mode;
    assert_eq!(zero, PadMode::Zero);
}

/// The package counts 5,378,560 parameters in the encoder, 6,426,625 in the decoder and twice
/// 3,151,496 in the attention, and has the 8 x 1024 x 512 codebook entries as buffers.
#[test]
fn the_default_has_the_packages_parameters() {
    let codec = SoundStreamConfig::default().init::<B>(&Default::default());
    let codec = codec.unwrap();
    assert_eq!(codec.encoder.num_params(), 5_378_560);
    assert_eq!(codec.decoder.num_params(), 6_426_625);
    for side in [&codec.encoder_transformer, &codec.decoder_transformer] {
        assert_eq!(side.as_ref().unwrap().num_params(), 3_151_496);
    }
    assert_eq!(codec.num_params(), 18_108_177 + 8 * 1024 * 512);
}

#[test]
fn the_plan_has_each_parameter_once_in_its_shape() {
    let mut configs = VARIANTS.map(|name| Fixture::read(name).config).to_vec();
    configs.push(SoundStreamConfig::default());
    for config in configs {
        let codec = config.init::<B>(&Default::default()).unwrap();
        let mut expected = parameters(&codec);
        let rules = plan(&config).into_iter();
        let mut planned = rules
            .map(|rule| (rule.target, rule.shape))
            .collect::<Vec<_>>();
        expected.sort();
        planned.sort();
        assert_eq!(planned, expected);
    }
}

#[test]
fn any_codec_puts_its_variant_before_the_paths() {
    let fixture = Fixture::read("window");
    let inner = parameters(&fixture.codec());
    let any = AnyCodec::SoundStream(fixture.codec());
    assert_eq!(any.config(), CodecConfig::SoundStream(fixture.config));
    let outer = parameters(&any);
    assert_eq!(inner.len(), outer.len());
    for ((inner, _), (outer, _)) in inner.into_iter().zip(outer) {
        assert_eq!(outer, format!("SoundStream.{inner}"));
    }
}

/// Numbers past any use are refused before anything is drawn.
#[test]
fn a_configuration_that_makes_no_network_is_refused() {
    let json = r#"{"model_type": "soundstream", "dimension": 1000000, "channels": 60000}"#;
    let config: CodecConfig = serde_json::from_str(json).unwrap();
    let error = config.init::<B>(&Default::default()).unwrap_err();
    let message = "soundstream configuration: channels: expected convolutions of at most 2^30 numbers, got 60000";
    assert_eq!(error.to_string(), message);
}
