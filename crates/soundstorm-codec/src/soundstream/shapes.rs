//! What the tensors of an audiolm-pytorch checkpoint tell of a configuration.

use std::collections::BTreeMap;

use super::{CHANNELS, NAME, SoundStreamConfig};
use crate::ConfigError;

/// The shapes of a checkpoint's tensors, by name.
type Shapes = BTreeMap<String, Vec<usize>>;

/// Why tensors tell no configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapesError {
    /// A tensor that every SoundStream has, or every one with the others that are there.
    #[error("soundstream: the tensor {0} is missing")]
    Missing(String),
    /// A tensor of a shape that none has.
    #[error("soundstream: the tensor {name} has shape {got:?}, expected {expected}")]
    Shape {
        /// Its name.
        name: String,
        /// What would be accepted.
        expected: &'static str,
        /// Its shape.
        got: Vec<usize>,
    },
    /// The checkpoint was made with an option that is not implemented.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl SoundStreamConfig {
    /// The keys that no tensor tells: they have their defaults after
    /// [`SoundStreamConfig::from_shapes`], right or wrong.
    pub const UNTOLD: [&str; 6] = [
        "sample_rate",
        "encoder_dilations",
        "decoder_dilations",
        "pad_mode",
        "window",
        "attention_scale_base",
    ];

    /// The configuration as far as a checkpoint's tensors tell, by audiolm-pytorch's names, and the
    /// defaults for [`SoundStreamConfig::UNTOLD`]. It is not [validated](Self::validate).
    ///
    /// # Errors
    /// A tensor that tells is missing or of an impossible shape, or the checkpoint was made with an
    /// option that is not implemented: another quantizer than by codebooks, or other layers.
    pub fn from_shapes(shapes: &BTreeMap<String, Vec<usize>>) -> Result<Self, ShapesError> {
        check_options(shapes)?;
        let [channels, audio_channels, _] = shape(shapes, "encoder.0.conv.weight".to_owned())?;
        if audio_channels != CHANNELS {
            return Err(unsupported("input_channels", "1", audio_channels).into());
        }
        let mut config = Self {
            channels,
            channel_multipliers: Vec::new(),
            strides: Vec::new(),
            squeeze_excite: shapes.contains_key("encoder.1.0.fn.4.net.0.weight"),
            ..Self::default()
        };
        let stage = |stage: usize| format!("encoder.{stage}.3.conv.weight");
        let stages = count(shapes, |index| format!("encoder.{}.0.", index + 1));
        for index in 1..=stages {
            let got @ [outputs, _, taps] = shape(shapes, stage(index))?;
            let whole = |size: usize, of: usize, expected| match of > 0 && size.is_multiple_of(of) {
                true => Ok(size / of),
                false => Err(ShapesError::Shape {
                    name: stage(index),
                    expected,
                    got: got.to_vec(),
                }),
            };
            config
                .strides
                .push(whole(taps, 2, "an even number of taps")?);
            let times = whole(outputs, channels, "a multiple of the first channels")?;
            config.channel_multipliers.push(times);
        }
        [config.dimension, _, _] = shape(shapes, format!("encoder.{}.conv.weight", stages + 1))?;

        config.attention_layers = count(shapes, |layer| format!("encoder_attn.layers.{layer}."));
        if config.attention_layers > 0 {
            let first = |part: &str| format!("encoder_attn.layers.0.0.{part}");
            [config.dim_head] = shape(shapes, first("q_scale"))?;
            [config.heads, _] = shape(shapes, first("to_v_gate.0.weight"))?;
            config.dynamic_position_bias =
                shapes.contains_key("encoder_attn.pos_bias.mlp.0.weight");
        }

        let first = "rq.rvqs.0.layers.0._codebook.embed".to_owned();
        [_, config.codebook_size, _] = shape(shapes, first)?;
        config.groups = count(shapes, |group| format!("rq.rvqs.{group}."));
        config.num_quantizers = count(shapes, |level| format!("rq.rvqs.0.layers.{level}."));
        Ok(config)
    }
}

/// How many of the beginnings of names, from the first on, some name has: a part of which a tensor
/// is missing counts.
fn count(shapes: &Shapes, beginning: impl Fn(usize) -> String) -> usize {
    let there = |index: &usize| {
        let beginning = beginning(*index);
        let next = shapes.range(beginning.clone()..).next();
        next.is_some_and(|(name, _)| name.starts_with(&beginning))
    };
    (0..).take_while(there).count()
}

fn shape<const D: usize>(shapes: &Shapes, name: String) -> Result<[usize; D], ShapesError> {
    let Some(shape) = shapes.get(&name) else {
        return Err(ShapesError::Missing(name));
    };
    let wrong = |_| ShapesError::Shape {
        name,
        expected: match D {
            1 => "one axis",
            2 => "two axes",
            _ => "three axes",
        },
        got: shape.clone(),
    };
    shape.as_slice().try_into().map_err(wrong)
}

fn unsupported(key: &'static str, supported: &'static str, got: impl ToString) -> ConfigError {
    ConfigError::Unsupported {
        codec: NAME,
        key,
        supported,
        got: got.to_string(),
    }
}

/// Fails for an option of the package that changes the network in a way that is not implemented.
fn check_options(shapes: &Shapes) -> Result<(), ConfigError> {
    let unsupported = |key| Err(unsupported(key, "without it", "used"));
    let any = |of: fn(&str) -> bool| shapes.keys().any(|name| of(name));
    if any(|name| name.starts_with("encoder.") && name.contains(".fn.fn.")) {
        return unsupported("use_gate_loop_layers");
    }
    if any(|name| name.starts_with("rq.") && name.contains(".mlps.")) {
        return unsupported("rq_kwargs.implicit_neural_codebook");
    }
    if any(|name| name.starts_with("rq.") && name.ends_with("._codebook.codebook_mean")) {
        return unsupported("rq_kwargs.affine_param");
    }
    let codebooks = any(|name| name.starts_with("rq.") && name.ends_with("._codebook.embed"));
    if any(|name| name.starts_with("rq.") && name.contains(".project_in.")) && codebooks {
        return unsupported("rq_kwargs.codebook_dim");
    }
    if any(|name| name.starts_with("rq.")) && !codebooks {
        let masks = any(|name| name.starts_with("rq.") && name.ends_with(".mask"));
        return unsupported(match masks {
            true => "use_lookup_free_quantizer",
            false => "use_finite_scalar_quantizer",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn published() -> Shapes {
        let rules = super::super::import::plan(&SoundStreamConfig::default());
        let mut shapes = Shapes::new();
        for rule in rules {
            match rule.source {
                crate::import::ImportSource::Tensor { name, shape } => {
                    shapes.insert(name, shape);
                }
                crate::import::ImportSource::Linear { names, .. } => {
                    let (name, outputs) = names[0].clone();
                    shapes.insert(name, vec![outputs, rule.shape[0]]);
                }
                other => panic!("{other:?}"),
            }
        }
        shapes
    }

    #[test]
    fn the_default_is_found_again() {
        let found = SoundStreamConfig::from_shapes(&published());
        assert_eq!(found, Ok(SoundStreamConfig::default()));
    }

    #[test]
    fn what_is_missing_or_misshaped_is_named() {
        for name in [
            "encoder.0.conv.weight",
            "encoder.5.conv.weight",
            "encoder_attn.layers.0.0.q_scale",
            "encoder_attn.layers.0.0.to_v_gate.0.weight",
        ] {
            let mut shapes = published();
            shapes.remove(name);
            let error = SoundStreamConfig::from_shapes(&shapes);
            assert_eq!(error, Err(ShapesError::Missing(name.to_owned())));
            shapes.insert(name.to_owned(), vec![1; 5]);
            let error = SoundStreamConfig::from_shapes(&shapes).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let change = |name: &str, shape: &[usize]| {
            let mut shapes = published();
            shapes.insert(name.to_owned(), shape.to_vec());
            SoundStreamConfig::from_shapes(&shapes)
        };
        let error = change("encoder.2.3.conv.weight", &[128, 64, 7]).unwrap_err();
        assert!(error.to_string().contains("an even number"), "{error}");
        let error = change("encoder.2.3.conv.weight", &[127, 64, 8]).unwrap_err();
        assert!(error.to_string().contains("a multiple"), "{error}");
        let error = change("encoder.0.conv.weight", &[0, 1, 7]).unwrap_err();
        assert!(error.to_string().contains("a multiple"), "{error}");
        let error = change("encoder.0.conv.weight", &[32, 2, 7]).unwrap_err();
        let message = "soundstream configuration: input_channels = 2 is not supported, only 1";
        assert_eq!(error.to_string(), message);
        let none = SoundStreamConfig::from_shapes(&Shapes::new()).unwrap_err();
        assert!(matches!(none, ShapesError::Missing(_)));
    }

    #[test]
    fn options_that_are_not_implemented_are_named() {
        let with = |name: &str, key: &str, keep: fn(&str) -> bool| {
            let mut shapes = published();
            shapes.retain(|name, _| keep(name));
            shapes.insert(name.to_owned(), vec![3]);
            match SoundStreamConfig::from_shapes(&shapes) {
                Err(ShapesError::Config(ConfigError::Unsupported { key: got, .. })) => {
                    assert_eq!(got, key);
                }
                other => panic!("{key}: {other:?}"),
            }
        };
        let all = |_: &str| true;
        let no_codebooks = |name: &str| !name.starts_with("rq.");
        let gate_loop = "encoder.2.fn.fn.to_qkva.0.weight";
        with(gate_loop, "use_gate_loop_layers", all);
        let projection = "rq.rvqs.0.project_in.weight";
        with(projection, "rq_kwargs.codebook_dim", all);
        with(projection, "use_finite_scalar_quantizer", no_codebooks);
        let mask = "rq.rvqs.0.layers.0.mask";
        with(mask, "use_lookup_free_quantizer", no_codebooks);
        let network = "rq.rvqs.0.mlps.0.proj_in.weight";
        with(network, "rq_kwargs.implicit_neural_codebook", all);
        let mean = "rq.rvqs.0.layers.0._codebook.codebook_mean";
        with(mean, "rq_kwargs.affine_param", all);
    }
}
