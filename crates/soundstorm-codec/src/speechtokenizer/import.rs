//! The `speechtokenizer` package's state dict, by its names, as parameters of ours.
//!
//! What it holds beside the codec is left behind on purpose, see [`is_ignored`].

use super::SpeechTokenizerConfig;
use super::config::{COMPRESS, KERNEL};
use crate::ActivationKind;
use crate::import::{ImportRule, ImportSource};

/// How each parameter of [`SpeechTokenizer`](super::SpeechTokenizer) comes out of the package's state dict.
///
/// Paths are those of the codec itself, without [`AnyCodec`](crate::AnyCodec)'s variant.
///
/// The configuration must be [valid](SpeechTokenizerConfig::validate).
pub fn plan(config: &SpeechTokenizerConfig) -> Vec<ImportRule> {
    let mut plan = Plan {
        config,
        rules: Vec::new(),
    };
    plan.encoder();
    plan.quantizer();
    plan.decoder();
    plan.rules
}

/// Whether a name is left behind: what only training needs.
///
/// These are `transform.weight` and `transform.bias`, the projection to the
/// teacher's features, and each codebook's moving averages `cluster_size` and
/// `embed_avg` and its flag `inited`.
pub fn is_ignored(name: &str) -> bool {
    if matches!(name, "transform.weight" | "transform.bias") {
        return true;
    }
    let Some(rest) = name.strip_prefix("quantizer.vq.layers.") else {
        return false;
    };
    let Some((level, rest)) = rest.split_once('.') else {
        return false;
    };
    let buffers = ["inited", "cluster_size", "embed_avg"];
    level.parse::<usize>().is_ok()
        && rest
            .strip_prefix("_codebook.")
            .is_some_and(|buffer| buffers.contains(&buffer))
}

struct Plan<'a> {
    config: &'a SpeechTokenizerConfig,
    rules: Vec<ImportRule>,
}

impl Plan<'_> {
    /// The package counts every module of its sequence, also those without parameters.
    fn encoder(&mut self) {
        let config = self.config;
        let name = |index: &mut usize| {
            let name = format!("encoder.model.{index}");
            *index += 1;
            name
        };
        let mut index = 0;
        let mut channels = config.filters;
        self.conv("encoder.input", &name(&mut index), 1, channels, KERNEL);
        for (stage, stride) in config.strides.iter().rev().enumerate() {
            let path = format!("encoder.stages.{stage}");
            for block in 0..config.residual_layers {
                let path = format!("{path}.residuals.{block}");
                self.residual(&path, &name(&mut index), channels);
            }
            self.activation(&format!("{path}.activation"), &name(&mut index), channels);
            let down = format!("{path}.downsample");
            self.conv(&down, &name(&mut index), channels, 2 * channels, 2 * stride);
            channels *= 2;
        }
        if config.lstm_layers > 0 {
            let directions = 1 + usize::from(config.bidirectional);
            self.lstm("encoder.lstm", &name(&mut index), channels, directions);
            channels *= directions;
        }
        self.activation("encoder.activation", &name(&mut index), channels);
        let dimension = config.dimension;
        self.conv(
            "encoder.output",
            &name(&mut index),
            channels,
            dimension,
            KERNEL,
        );
    }

    fn quantizer(&mut self) {
        for level in 0..self.config.num_quantizers {
            let name = format!("quantizer.vq.layers.{level}._codebook.embed");
            let shape = [self.config.codebook_size, self.config.dimension];
            self.tensor(format!("quantizer.codebooks.{level}"), name, &shape, &shape);
        }
    }

    fn decoder(&mut self) {
        let config = self.config;
        let name = |index: &mut usize| {
            let name = format!("decoder.model.{index}");
            *index += 1;
            name
        };
        let mut index = 0;
        let mut channels = config.filters << config.strides.len();
        let dimension = config.dimension;
        self.conv(
            "decoder.input",
            &name(&mut index),
            dimension,
            channels,
            KERNEL,
        );
        if config.lstm_layers > 0 {
            self.lstm("decoder.lstm", &name(&mut index), channels, 1);
        }
        for (stage, stride) in config.strides.iter().enumerate() {
            let path = format!("decoder.stages.{stage}");
            self.activation(&format!("{path}.activation"), &name(&mut index), channels);
            let up = format!("{path}.upsample");
            let base = format!("{}.convtr.convtr", name(&mut index));
            self.weight_norm(
                &up,
                base,
                [channels, channels / 2, 2 * stride],
                channels / 2,
            );
            channels /= 2;
            for block in 0..config.residual_layers {
                let path = format!("{path}.residuals.{block}");
                self.residual(&path, &name(&mut index), channels);
            }
        }
        self.activation("decoder.activation", &name(&mut index), channels);
        self.conv("decoder.output", &name(&mut index), channels, 1, KERNEL);
    }

    fn residual(&mut self, path: &str, name: &str, channels: usize) {
        let inside = channels / COMPRESS;
        let kernel = self.config.residual_kernel_size;
        let part = |part: &str| format!("{path}.{part}");
        let block = |index: usize| format!("{name}.block.{index}");
        self.activation(&part("activation_in"), &block(0), channels);
        self.conv(&part("conv_in"), &block(1), channels, inside, kernel);
        self.activation(&part("activation_out"), &block(2), inside);
        self.conv(&part("conv_out"), &block(3), inside, channels, 1);
        let shortcut = format!("{name}.shortcut");
        self.conv(&part("shortcut"), &shortcut, channels, channels, 1);
    }

    fn activation(&mut self, path: &str, name: &str, channels: usize) {
        if self.config.activation == ActivationKind::Snake {
            let (path, name) = (format!("{path}.alpha"), format!("{name}.alpha"));
            self.tensor(path, name, &[channels], &[1, channels, 1]);
        }
    }

    fn conv(&mut self, path: &str, name: &str, from: usize, to: usize, kernel: usize) {
        self.weight_norm(path, format!("{name}.conv.conv"), [to, from, kernel], to);
    }

    fn weight_norm(&mut self, path: &str, base: String, shape: [usize; 3], bias: usize) {
        let bias_name = format!("{base}.bias");
        self.rules.push(ImportRule {
            target: format!("{path}.weight"),
            shape: shape.to_vec(),
            source: ImportSource::WeightNorm { base },
        });
        self.tensor(format!("{path}.bias"), bias_name, &[bias], &[bias]);
    }

    fn tensor(&mut self, target: String, name: String, shape: &[usize], foreign: &[usize]) {
        self.rules.push(ImportRule {
            target,
            shape: shape.to_vec(),
            source: ImportSource::Tensor {
                name,
                shape: foreign.to_vec(),
            },
        });
    }

    /// PyTorch stacks the gates i, f, g, o on the first axis, as we do on one of its own.
    fn lstm(&mut self, path: &str, name: &str, dimension: usize, directions: usize) {
        for layer in 0..self.config.lstm_layers {
            let input = if layer == 0 {
                dimension
            } else {
                directions * dimension
            };
            let stacked = |parts: &[&str]| {
                let direction = |direction: usize| {
                    let suffix = ["", "_reverse"][direction];
                    let part = |part: &&str| format!("{name}.lstm.{part}_l{layer}{suffix}");
                    parts.iter().map(part).collect()
                };
                (0..directions).map(direction).collect::<Vec<Vec<String>>>()
            };
            let gates = 4 * dimension;
            let parts = [
                ("input", stacked(&["weight_ih"]), vec![gates, input]),
                ("hidden", stacked(&["weight_hh"]), vec![gates, dimension]),
                ("bias", stacked(&["bias_ih", "bias_hh"]), vec![gates]),
            ];
            for (part, names, foreign) in parts {
                let mut shape = vec![directions, 4, dimension];
                shape.extend(&foreign[1..]);
                self.rules.push(ImportRule {
                    target: format!("{path}.layers.{layer}.{part}"),
                    shape,
                    source: ImportSource::StackedSums {
                        names,
                        shape: foreign,
                    },
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_ignored;

    #[test]
    fn only_what_training_needs_is_ignored() {
        for name in [
            "transform.weight",
            "transform.bias",
            "quantizer.vq.layers.7._codebook.inited",
            "quantizer.vq.layers.0._codebook.cluster_size",
            "quantizer.vq.layers.12._codebook.embed_avg",
        ] {
            assert!(is_ignored(name), "{name}");
        }
        for name in [
            "quantizer.vq.layers.0._codebook.embed",
            "quantizer.vq.layers.x._codebook.inited",
            "quantizer.vq.layers.0.inited",
            "encoder.model.0.conv.conv.bias",
            "transform.scale",
        ] {
            assert!(!is_ignored(name), "{name}");
        }
    }
}
