//! Checkpoints of audiolm-pytorch, by its names, as parameters of ours.
//!
//! What they hold beside the codec is left behind on purpose, see [`is_ignored`].

use super::squeeze_excite::inner;
use super::{CHANNELS, DECODER_KERNEL, ENCODER_KERNEL, KERNEL, SoundStreamConfig, UNITS};
use crate::import::{ImportRule, ImportSource};

/// How each parameter of [`SoundStream`](super::SoundStream) comes out of a checkpoint.
///
/// Paths are those of the codec itself, without [`AnyCodec`](crate::AnyCodec)'s variant.
///
/// The configuration must be [valid](SoundStreamConfig::validate).
pub fn plan(config: &SoundStreamConfig) -> Vec<ImportRule> {
    let mut plan = Plan {
        config,
        rules: Vec::new(),
    };
    plan.encoder();
    plan.transformer("encoder_transformer", "encoder_attn");
    plan.quantizer();
    plan.transformer("decoder_transformer", "decoder_attn");
    plan.decoder();
    plan.rules
}

/// Whether a name is left behind: what only training or denoising needs.
///
/// These are the discriminators, the mel spectrograms of the loss, the two modulations that an
/// input to be denoised would have, each codebook's moving averages and its flag that they have
/// begun, and the tables of the rotary positions, which are worked out.
pub fn is_ignored(name: &str) -> bool {
    const BESIDE: [&str; 5] = [
        "discriminators.",
        "stft_discriminator.",
        "mel_spec_transforms.",
        "encoder_film.",
        "decoder_film.",
    ];
    const STATISTICS: [&str; 3] = ["initted", "cluster_size", "embed_avg"];
    let statistic = || {
        let statistic = name.split_once("._codebook.");
        statistic
            .is_some_and(|(layer, name)| layer.starts_with("rq.") && STATISTICS.contains(&name))
    };
    let table = || {
        let table = name.split_once("_attn.layers.");
        table.is_some_and(|(_, layer)| layer.contains(".attn_fn.rel_pos."))
    };
    BESIDE.iter().any(|prefix| name.starts_with(prefix)) || statistic() || table()
}

struct Plan<'a> {
    config: &'a SoundStreamConfig,
    rules: Vec<ImportRule>,
}

impl Plan<'_> {
    fn encoder(&mut self) {
        let config = self.config;
        let channels = config.stage_channels();
        let input = [channels[0], CHANNELS, KERNEL];
        self.conv("encoder.input", "encoder.0.conv", input);
        for (stage, stride) in config.strides.iter().enumerate() {
            let path = format!("encoder.stages.{stage}");
            let name = format!("encoder.{}", stage + 1);
            let (from, to) = (channels[stage], channels[stage + 1]);
            self.residuals(&path, &name, 0, from);
            let down = [to, from, 2 * stride];
            let name = format!("{name}.{UNITS}.conv");
            self.conv(&format!("{path}.downsample"), &name, down);
        }
        let stages = config.strides.len();
        let output = [config.dimension, channels[stages], ENCODER_KERNEL];
        let name = format!("encoder.{}.conv", stages + 1);
        self.conv("encoder.output", &name, output);
    }

    fn decoder(&mut self) {
        let config = self.config;
        let channels = config.stage_channels();
        let stages = config.strides.len();
        let input = [channels[stages], config.dimension, DECODER_KERNEL];
        self.conv("decoder.input", "decoder.0.conv", input);
        for (stage, stride) in config.strides.iter().rev().enumerate() {
            let path = format!("decoder.stages.{stage}");
            let name = format!("decoder.{}", stage + 1);
            let (from, to) = (channels[stages - stage], channels[stages - stage - 1]);
            let up = format!("{path}.upsample");
            self.same(
                format!("{up}.weight"),
                format!("{name}.0.conv.weight"),
                &[from, to, 2 * stride],
            );
            self.same(format!("{up}.bias"), format!("{name}.0.conv.bias"), &[to]);
            self.residuals(&path, &name, 1, to);
        }
        let output = [CHANNELS, channels[0], KERNEL];
        let name = format!("decoder.{}.conv", stages + 1);
        self.conv("decoder.output", &name, output);
    }

    /// The units of a stage, which the package counts from `first` on.
    fn residuals(&mut self, path: &str, name: &str, first: usize, channels: usize) {
        for unit in 0..UNITS {
            let path = format!("{path}.residuals.{unit}");
            let name = format!("{name}.{}.fn", first + unit);
            let part = |path_part: &str, name_part: &str| {
                (format!("{path}.{path_part}"), format!("{name}.{name_part}"))
            };
            let mut convs = vec![
                (part("conv_in", "0.conv"), [channels, channels, KERNEL]),
                (part("conv_out", "2.conv"), [channels, channels, 1]),
            ];
            if self.config.squeeze_excite {
                let inner = inner(channels);
                convs.extend([
                    (part("gate.input", "4.net.0"), [inner, channels, 1]),
                    (part("gate.output", "4.net.2"), [channels, inner, 1]),
                ]);
            }
            for ((path, name), shape) in convs {
                self.conv(&path, &name, shape);
            }
        }
    }

    fn transformer(&mut self, path: &str, name: &str) {
        let config = self.config;
        let (dim, inner) = (config.dimension, config.heads * config.dim_head);
        let feed_forward = config.feed_forward();
        for layer in 0..config.attention_layers {
            let path = format!("{path}.layers.{layer}");
            let name = format!("{name}.layers.{layer}");
            let attention = format!("{path}.attention");
            self.norm(&format!("{path}.attention_norm"), &format!("{name}.0.norm"));
            let to_qkv = format!("{name}.0.to_qkv");
            self.linear(&format!("{attention}.to_qkv"), &to_qkv, [dim, 3 * inner]);
            for (scale, theirs) in [("query_scale", "q_scale"), ("key_scale", "k_scale")] {
                self.same(
                    format!("{attention}.{scale}"),
                    format!("{name}.0.{theirs}"),
                    &[config.dim_head],
                );
            }
            let gate = (
                format!("{attention}.to_gate"),
                format!("{name}.0.to_v_gate.0"),
            );
            self.linear_with_bias(&gate.0, &gate.1, [dim, config.heads]);
            let to_out = format!("{name}.0.to_out");
            self.linear(&format!("{attention}.to_out"), &to_out, [inner, dim]);
            self.norm(&format!("{path}.feed_forward_norm"), &format!("{name}.1.0"));
            self.linear(
                &format!("{path}.feed_forward_in"),
                &format!("{name}.1.1"),
                [dim, 2 * feed_forward],
            );
            self.linear(
                &format!("{path}.feed_forward_out"),
                &format!("{name}.1.4"),
                [feed_forward, dim],
            );
        }
        if config.dynamic_position_bias {
            let half = dim / 2;
            for (part, index, shape) in [
                ("input", 0, [1, half]),
                ("inner", 2, [half, half]),
                ("output", 4, [half, config.heads]),
            ] {
                let path = format!("{path}.position_bias.{part}");
                let name = format!("{name}.pos_bias.mlp.{index}");
                self.linear_with_bias(&path, &name, shape);
            }
        }
    }

    fn quantizer(&mut self) {
        let config = self.config;
        let shape = [config.codebook_size, config.dimension / config.groups];
        for group in 0..config.groups {
            for level in 0..config.num_quantizers {
                self.tensor(
                    format!("quantizer.groups.{group}.codebooks.{level}"),
                    format!("rq.rvqs.{group}.layers.{level}._codebook.embed"),
                    &shape,
                    // Of one head.
                    &[1, shape[0], shape[1]],
                );
            }
        }
    }

    fn conv(&mut self, path: &str, name: &str, shape: [usize; 3]) {
        self.same(format!("{path}.weight"), format!("{name}.weight"), &shape);
        let bias = [shape[0]];
        self.same(format!("{path}.bias"), format!("{name}.bias"), &bias);
    }

    fn norm(&mut self, path: &str, name: &str) {
        let shape = [self.config.dimension];
        self.same(format!("{path}.gamma"), format!("{name}.weight"), &shape);
        self.same(format!("{path}.beta"), format!("{name}.bias"), &shape);
    }

    fn linear_with_bias(&mut self, path: &str, name: &str, shape: [usize; 2]) {
        self.linear(path, name, shape);
        let bias = [shape[1]];
        self.same(format!("{path}.bias"), format!("{name}.bias"), &bias);
    }

    fn linear(&mut self, path: &str, name: &str, [from, to]: [usize; 2]) {
        self.rules.push(ImportRule {
            target: format!("{path}.weight"),
            shape: vec![from, to],
            source: ImportSource::Linear {
                names: vec![(format!("{name}.weight"), to)],
                order: (0..to).collect(),
            },
        });
    }

    fn same(&mut self, target: String, name: String, shape: &[usize]) {
        self.tensor(target, name, shape, shape);
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
}

#[cfg(test)]
mod tests {
    use super::is_ignored;

    #[test]
    fn only_what_training_or_denoising_needs_is_ignored() {
        for name in [
            "discriminators.0.init_conv.weight",
            "stft_discriminator.layers.0.1.bias",
            "mel_spec_transforms.5.mel_scale.fb",
            "encoder_film.to_cond.weight",
            "decoder_film.to_cond.bias",
            "rq.rvqs.1.layers.7._codebook.initted",
            "rq.rvqs.0.layers.0._codebook.cluster_size",
            "rq.rvqs.0.layers.12._codebook.embed_avg",
            "decoder_attn.layers.0.0.attn_fn.rel_pos.inv_freq",
        ] {
            assert!(is_ignored(name), "{name}");
        }
        for name in [
            "rq.rvqs.0.layers.0._codebook.embed",
            "rq.rvqs.0.layers.0._codebook.batch_mean",
            "vq.layers.0._codebook.initted",
            "encoder_attn.layers.0.0.to_qkv.weight",
            "encoder_attn.pos_bias.mlp.0.weight",
            "encoder.0.conv.weight",
            "discriminator.weight",
        ] {
            assert!(!is_ignored(name), "{name}");
        }
    }
}
