//! Mimi's configurations and parameters.

use burn::module::Module;
use soundstorm_codec::mimi::HubConfig;
use soundstorm_codec::mimi::import::{Layout, plan};
use soundstorm_codec::{AnyCodec, CodecConfig, ConfigError, MimiConfig};

use super::fixture::{Fixture, VARIANTS};
use crate::support::{B, parameters};

#[test]
fn the_hubs_configuration_is_read_and_what_it_adds_ignored() {
    let read = |json: &str| {
        let hub: HubConfig = serde_json::from_str(json).unwrap();
        MimiConfig::try_from(hub)
    };
    assert_eq!(read("{}"), Ok(MimiConfig::default()));
    let json = r#"{"architectures": ["MimiModel"], "model_type": "mimi", "frame_rate": 12.5,
        "head_dim": 64, "rope_theta": 10000.0, "normalize": false, "use_cache": false}"#;
    assert_eq!(read(json), Ok(MimiConfig::default()));
    let json = r#"{"rope_parameters": {"rope_theta": 10000.0, "rope_type": "linear"}}"#;
    let error = read(json).unwrap_err();
    let message = "mimi configuration: rope_type = linear is not supported, only default";
    assert_eq!(error.to_string(), message);
    let error = read(r#"{"num_filters": 1}"#).unwrap_err();
    assert!(matches!(error, ConfigError::Invalid { key: "filters", .. }));

    let config = Fixture::read("deep").config;
    assert_eq!((config.hop(), config.residual_layers), (20, 2));
    assert_eq!(config.semantic_quantizers, 2);
}

#[test]
fn our_configuration_refuses_unknown_keys() {
    let config = CodecConfig::Mimi(MimiConfig::default());
    let json = serde_json::to_string(&config).unwrap();
    assert!(json.contains(r#""model_type":"mimi""#));
    assert_eq!(serde_json::from_str::<CodecConfig>(&json).unwrap(), config);
    let error = serde_json::from_str::<CodecConfig>(&json.replace("window", "windows"));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("unknown field `windows`"), "{error}");
}

/// transformers counts 79,308,609 parameters, and has the 32 x 2048 x 256 codebook entries as
/// buffers.
#[test]
fn the_published_codec_has_the_packages_parameters() {
    let codec = MimiConfig::default().init::<B>(&Default::default());
    let ours = codec.unwrap().num_params();
    assert_eq!(ours, 79_308_609 + 32 * 2048 * 256);
}

#[test]
fn the_plan_has_each_parameter_once_in_its_shape() {
    let mut configs = VARIANTS.map(|name| Fixture::read(name).config).to_vec();
    configs.push(MimiConfig::default());
    for config in configs {
        let codec = config.init::<B>(&Default::default()).unwrap();
        let mut expected = parameters(&codec);
        expected.sort();
        for layout in [Layout::Transformers, Layout::Moshi] {
            let rules = plan(&config, layout).into_iter();
            let mut planned = rules
                .map(|rule| (rule.target, rule.shape))
                .collect::<Vec<_>>();
            planned.sort();
            assert_eq!(planned, expected);
        }
    }
}

#[test]
fn any_codec_puts_its_variant_before_the_paths() {
    let fixture = Fixture::read("window");
    let inner = parameters(&fixture.codec());
    let any = AnyCodec::Mimi(fixture.codec());
    assert_eq!(any.config(), CodecConfig::Mimi(fixture.config));
    let outer = parameters(&any);
    assert_eq!(inner.len(), outer.len());
    for ((inner, _), (outer, _)) in inner.into_iter().zip(outer) {
        assert_eq!(outer, format!("Mimi.{inner}"));
    }
}
