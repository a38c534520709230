//! DAC's checkpoints, under the hub's names and under those of the `descript-audio-codec`
//! package, as parameters of ours.

use super::config::CHANNELS;
use super::encoder::OUTPUT_KERNEL;
use super::residual::DILATIONS;
use super::{DacConfig, KERNEL};
use crate::import::{ImportRule, ImportSource};

/// Whose names the tensors of a checkpoint bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// Those of `transformers`, as on the hub: `decoder.block.0.conv_t1.weight`.
    Transformers,
    /// Those of `descript-audio-codec`, by place: `decoder.model.1.block.1.weight_g`.
    Descript,
}

impl Naming {
    /// Tells by the names of a checkpoint's tensors, or not at all if it has no decoder of DAC.
    pub fn detect<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        // Both have an `encoder.block`.
        names.into_iter().find_map(|name| {
            if name.starts_with("decoder.model.") {
                Some(Self::Descript)
            } else if name.starts_with("decoder.block.") {
                Some(Self::Transformers)
            } else {
                None
            }
        })
    }

    fn pick(self, transformers: String, descript: String) -> String {
        match self {
            Self::Transformers => transformers,
            Self::Descript => descript,
        }
    }
}

/// How each parameter of [`Dac`](super::Dac) comes out of a checkpoint.
///
/// Paths are those of the codec itself, without [`AnyCodec`](crate::AnyCodec)'s variant.
///
/// The configuration must be [valid](DacConfig::validate).
pub fn plan(config: &DacConfig, naming: Naming) -> Vec<ImportRule> {
    let mut plan = Plan {
        config,
        naming,
        rules: Vec::new(),
    };
    plan.encoder();
    plan.quantizer();
    plan.decoder();
    plan.rules
}

/// Whether a name is left behind. None is: neither naming has tensors beside the codec's parameters.
pub fn is_ignored(_name: &str) -> bool {
    false
}

struct Plan<'a> {
    config: &'a DacConfig,
    naming: Naming,
    rules: Vec<ImportRule>,
}

impl Plan<'_> {
    /// The package counts the first convolution, the stages, the activation and the last convolution.
    fn encoder(&mut self) {
        let (config, naming) = (self.config, self.naming);
        let pick = |transformers: &str, index: usize| {
            let transformers = format!("encoder.{transformers}");
            naming.pick(transformers, format!("encoder.block.{index}"))
        };
        let mut channels = config.encoder_channels;
        let input = [channels, CHANNELS, KERNEL];
        self.conv("encoder.input", pick("conv1", 0), input);
        for (stage, stride) in config.strides.iter().rev().enumerate() {
            let path = format!("encoder.stages.{stage}");
            let name = naming.pick(
                format!("encoder.block.{stage}"),
                format!("encoder.block.{}.block", stage + 1),
            );
            self.residuals(&path, &name, 0, channels);
            let part = |transformers: &str, index: usize| {
                let transformers = format!("{name}.{transformers}");
                naming.pick(transformers, format!("{name}.{index}"))
            };
            let units = DILATIONS.len();
            self.alpha(
                &format!("{path}.activation"),
                part("snake1", units),
                channels,
            );
            let down = [2 * channels, channels, 2 * stride];
            self.conv(
                &format!("{path}.downsample"),
                part("conv1", units + 1),
                down,
            );
            channels *= 2;
        }
        let stages = config.strides.len();
        self.alpha("encoder.activation", pick("snake1", stages + 1), channels);
        let output = [config.dimension, channels, OUTPUT_KERNEL];
        self.conv("encoder.output", pick("conv2", stages + 2), output);
    }

    fn quantizer(&mut self) {
        let (outside, inside) = (self.config.dimension, self.config.codebook_dimension);
        for level in 0..self.config.num_quantizers {
            let path = format!("quantizer.levels.{level}");
            let name = format!("quantizer.quantizers.{level}");
            let (down, up) = ([inside, outside, 1], [outside, inside, 1]);
            self.conv(&format!("{path}.in_proj"), format!("{name}.in_proj"), down);
            self.conv(&format!("{path}.out_proj"), format!("{name}.out_proj"), up);
            let shape = [self.config.codebook_size, inside];
            let codebook = format!("{name}.codebook.weight");
            self.tensor(format!("{path}.codebook"), codebook, &shape, &shape);
        }
    }

    fn decoder(&mut self) {
        let (config, naming) = (self.config, self.naming);
        let pick = |transformers: &str, index: usize| {
            let transformers = format!("decoder.{transformers}");
            naming.pick(transformers, format!("decoder.model.{index}"))
        };
        let mut channels = config.decoder_channels;
        let input = [channels, config.dimension, KERNEL];
        self.conv("decoder.input", pick("conv1", 0), input);
        for (stage, stride) in config.strides.iter().enumerate() {
            let path = format!("decoder.stages.{stage}");
            let name = naming.pick(
                format!("decoder.block.{stage}"),
                format!("decoder.model.{}.block", stage + 1),
            );
            let part = |transformers: &str, index: usize| {
                let transformers = format!("{name}.{transformers}");
                naming.pick(transformers, format!("{name}.{index}"))
            };
            self.alpha(&format!("{path}.activation"), part("snake1", 0), channels);
            let up = [channels, channels / 2, 2 * stride];
            channels /= 2;
            let upsample = format!("{path}.upsample");
            self.weight_norm(&upsample, part("conv_t1", 1), up, channels);
            self.residuals(&path, &name, 2, channels);
        }
        let stages = config.strides.len();
        self.alpha("decoder.activation", pick("snake1", stages + 1), channels);
        let output = [CHANNELS, channels, KERNEL];
        self.conv("decoder.output", pick("conv2", stages + 2), output);
    }

    /// The units of a stage; the package counts them from `first` on.
    fn residuals(&mut self, path: &str, name: &str, first: usize, channels: usize) {
        let naming = self.naming;
        for unit in 0..DILATIONS.len() {
            let path = format!("{path}.residuals.{unit}");
            let name = naming.pick(
                format!("{name}.res_unit{}", unit + 1),
                format!("{name}.{}.block", first + unit),
            );
            let part = |transformers: &str, index: usize| {
                let transformers = format!("{name}.{transformers}");
                naming.pick(transformers, format!("{name}.{index}"))
            };
            let dilated = [channels, channels, KERNEL];
            let pointwise = [channels, channels, 1];
            self.alpha(
                &format!("{path}.activation_in"),
                part("snake1", 0),
                channels,
            );
            self.conv(&format!("{path}.conv_in"), part("conv1", 1), dilated);
            self.alpha(
                &format!("{path}.activation_out"),
                part("snake2", 2),
                channels,
            );
            self.conv(&format!("{path}.conv_out"), part("conv2", 3), pointwise);
        }
    }

    fn alpha(&mut self, path: &str, name: String, channels: usize) {
        let (target, name) = (format!("{path}.alpha"), format!("{name}.alpha"));
        self.tensor(target, name, &[channels], &[1, channels, 1]);
    }

    /// A convolution, whose bias is as long as its weight's first axis.
    fn conv(&mut self, path: &str, base: String, shape: [usize; 3]) {
        self.weight_norm(path, base, shape, shape[0]);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decoders_names_tell_the_naming() {
        let transformers = [
            "encoder.block.0.conv1.weight",
            "decoder.block.3.snake1.alpha",
        ];
        let detected = Naming::detect(transformers);
        assert_eq!(detected, Some(Naming::Transformers));
        let descript = ["encoder.block.0.bias", "decoder.model.0.weight_g"];
        assert_eq!(Naming::detect(descript), Some(Naming::Descript));
        let encoder = ["encoder.block.0.bias", "decoder.input.weight"];
        assert_eq!(Naming::detect(encoder), None);
    }
}
