//! SEANet and its quantizer's codebooks in foreign state dicts, by their names there.

use super::SeanetConfig;
use crate::import::{ImportRule, ImportSource};
use crate::{ActivationKind, ConvNorm};

/// What training keeps beside a codebook: whether it has started, and moving averages.
const STATISTICS: [&str; 3] = ["inited", "cluster_size", "embed_avg"];

/// Who named the tensors of a state dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Naming {
    /// The `encodec` package and what was made from it: `encoder.model.0.conv.conv.weight`.
    Package,
    /// `transformers`: `encoder.layers.0.conv.weight`.
    Transformers,
}

impl Naming {
    /// Who named these tensors, by the encoder's first one; `None` if none of them is an encoder's.
    pub fn detect<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        names.into_iter().find_map(|name| {
            [Self::Package, Self::Transformers]
                .into_iter()
                .find(|naming| name.starts_with(&format!("{}.", naming.layer("encoder", 0))))
        })
    }

    /// The name of layer `index` of the encoder or the decoder.
    fn layer(self, part: &str, index: usize) -> String {
        let sequence = match self {
            Self::Package => "model",
            Self::Transformers => "layers",
        };
        format!("{part}.{sequence}.{index}")
    }

    /// The names of a layer's convolution and of its norm. The package wraps
    /// both once more and has another word for transposed ones.
    fn conv(self, layer: &str, transposed: bool) -> (String, String) {
        match (self, transposed) {
            (Self::Package, false) => (format!("{layer}.conv.conv"), format!("{layer}.conv.norm")),
            (Self::Package, true) => (
                format!("{layer}.convtr.convtr"),
                format!("{layer}.convtr.norm"),
            ),
            (Self::Transformers, _) => (format!("{layer}.conv"), format!("{layer}.norm")),
        }
    }

    /// What stands before and after a level's number in a codebook's name.
    fn codebook(self) -> (&'static str, &'static str) {
        match self {
            Self::Package => ("quantizer.vq.layers.", "._codebook."),
            Self::Transformers => ("quantizer.layers.", ".codebook."),
        }
    }

    /// The codebooks of a quantizer whose path is `quantizer`.
    pub(crate) fn plan_codebooks(
        self,
        levels: usize,
        codebook_size: usize,
        dimension: usize,
    ) -> impl Iterator<Item = ImportRule> {
        let (before, after) = self.codebook();
        (0..levels).map(move |level| {
            let shape = vec![codebook_size, dimension];
            ImportRule {
                target: format!("quantizer.codebooks.{level}"),
                shape: shape.clone(),
                source: ImportSource::Tensor {
                    name: format!("{before}{level}{after}embed"),
                    shape,
                },
            }
        })
    }

    /// Whether a name is that of what only training needs of a codebook.
    pub(crate) fn is_codebook_statistic(self, name: &str) -> bool {
        let (before, after) = self.codebook();
        name.strip_prefix(before)
            .and_then(|rest| rest.split_once(after))
            .is_some_and(|(level, leaf)| {
                level.parse::<usize>().is_ok() && STATISTICS.contains(&leaf)
            })
    }
}

/// The rules for an encoder whose path is `encoder`.
pub(crate) fn plan_encoder(config: &SeanetConfig, naming: Naming) -> Vec<ImportRule> {
    let mut plan = Plan::new(config, naming, "encoder");
    let mut channels = config.filters;
    let layer = plan.next();
    plan.conv("input", &layer, [config.channels, channels, config.kernel]);
    for (stage, stride) in config.strides.iter().rev().enumerate() {
        let path = format!("stages.{stage}");
        plan.residuals(&path, channels);
        let layer = plan.next();
        plan.activation(&format!("{path}.activation"), &layer, channels);
        let layer = plan.next();
        let path = format!("{path}.downsample");
        plan.conv(&path, &layer, [channels, 2 * channels, 2 * stride]);
        channels *= 2;
    }
    channels = plan.lstm(channels, config.directions());
    let layer = plan.next();
    plan.activation("activation", &layer, channels);
    let layer = plan.next();
    let shape = [channels, config.dimension, config.last_kernel];
    plan.conv("output", &layer, shape);
    plan.rules
}

/// The rules for a decoder whose path is `decoder`.
pub(crate) fn plan_decoder(config: &SeanetConfig, naming: Naming) -> Vec<ImportRule> {
    let mut plan = Plan::new(config, naming, "decoder");
    let mut channels = config.widest();
    let layer = plan.next();
    plan.conv("input", &layer, [config.dimension, channels, config.kernel]);
    plan.lstm(channels, 1);
    for (stage, stride) in config.strides.iter().enumerate() {
        let path = format!("stages.{stage}");
        let layer = plan.next();
        plan.activation(&format!("{path}.activation"), &layer, channels);
        let layer = plan.next();
        let shape = [channels, channels / 2, 2 * stride];
        plan.conv_transpose(&format!("{path}.upsample"), &layer, shape);
        channels /= 2;
        plan.residuals(&path, channels);
    }
    let layer = plan.next();
    plan.activation("activation", &layer, channels);
    let layer = plan.next();
    let shape = [channels, config.channels, config.last_kernel];
    plan.conv("output", &layer, shape);
    plan.rules
}

/// One half of a SEANet, layer by layer.
struct Plan<'a> {
    config: &'a SeanetConfig,
    naming: Naming,
    part: &'static str,
    layers: usize,
    rules: Vec<ImportRule>,
}

impl<'a> Plan<'a> {
    fn new(config: &'a SeanetConfig, naming: Naming, part: &'static str) -> Self {
        Self {
            config,
            naming,
            part,
            layers: 0,
            rules: Vec::new(),
        }
    }

    /// The next layer's name; those without parameters are counted, too.
    fn next(&mut self) -> String {
        let layer = self.naming.layer(self.part, self.layers);
        self.layers += 1;
        layer
    }

    fn residuals(&mut self, path: &str, channels: usize) {
        let inside = channels / self.config.compress;
        for block in 0..self.config.residual_layers {
            let layer = self.next();
            let path = |leaf: &str| format!("{path}.residuals.{block}.{leaf}");
            let part = |index: usize| format!("{layer}.block.{index}");
            self.activation(&path("activation_in"), &part(0), channels);
            let shape = [channels, inside, self.config.residual_kernel];
            self.conv(&path("conv_in"), &part(1), shape);
            self.activation(&path("activation_out"), &part(2), inside);
            self.conv(&path("conv_out"), &part(3), [inside, channels, 1]);
            if self.config.conv_shortcut {
                let layer = format!("{layer}.shortcut");
                self.conv(&path("shortcut"), &layer, [channels, channels, 1]);
            }
        }
    }

    fn activation(&mut self, path: &str, layer: &str, channels: usize) {
        if self.config.activation == ActivationKind::Snake {
            let name = format!("{layer}.alpha");
            self.tensor(
                &format!("{path}.alpha"),
                name,
                &[channels],
                &[1, channels, 1],
            );
        }
    }

    fn conv(&mut self, path: &str, layer: &str, [from, to, kernel]: [usize; 3]) {
        let names = self.naming.conv(layer, false);
        self.normed(path, names, [to, from, kernel], to);
    }

    fn conv_transpose(&mut self, path: &str, layer: &str, shape: [usize; 3]) {
        let names = self.naming.conv(layer, true);
        self.normed(path, names, shape, shape[1]);
    }

    /// A convolution, its weight norm where the file has one, and the norm after it.
    fn normed(
        &mut self,
        path: &str,
        (conv, norm): (String, String),
        weight: [usize; 3],
        channels: usize,
    ) {
        let channels = [channels];
        let bias = format!("{conv}.bias");
        self.rules.push(ImportRule {
            target: format!("{}.{path}.weight", self.part),
            shape: weight.to_vec(),
            source: ImportSource::WeightNorm { base: conv },
        });
        self.tensor(&format!("{path}.bias"), bias, &channels, &channels);
        if self.config.norm == ConvNorm::TimeGroup {
            for (ours, theirs) in [("gamma", "weight"), ("beta", "bias")] {
                let name = format!("{norm}.{theirs}");
                self.tensor(&format!("{path}.norm.{ours}"), name, &channels, &channels);
            }
        }
    }

    fn tensor(&mut self, path: &str, name: String, shape: &[usize], foreign: &[usize]) {
        self.rules.push(ImportRule {
            target: format!("{}.{path}", self.part),
            shape: shape.to_vec(),
            source: ImportSource::Tensor {
                name,
                shape: foreign.to_vec(),
            },
        });
    }

    /// The recurrent layers, if there are any, and the channels that follow them.
    /// PyTorch stacks the gates i, f, g, o on the first axis, as we do on one of its own.
    fn lstm(&mut self, dimension: usize, directions: usize) -> usize {
        if self.config.lstm_layers == 0 {
            return dimension;
        }
        let name = self.next();
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
                    target: format!("{}.lstm.layers.{layer}.{part}", self.part),
                    shape,
                    source: ImportSource::StackedSums {
                        names,
                        shape: foreign,
                    },
                });
            }
        }
        directions * dimension
    }
}

#[cfg(test)]
mod tests {
    use super::Naming;

    #[test]
    fn the_first_layer_tells_who_named_it() {
        let detect = |names: &[&'static str]| Naming::detect(names.iter().copied());
        let codebook = "quantizer.layers.0.codebook.embed";
        assert_eq!(
            detect(&[codebook, "encoder.layers.0.conv.bias"]),
            Some(Naming::Transformers)
        );
        assert_eq!(
            detect(&["encoder.model.0.conv.conv.bias", codebook]),
            Some(Naming::Package)
        );
        assert_eq!(detect(&[codebook, "encoder.layers.01.conv.bias"]), None);
    }

    #[test]
    fn only_a_codebooks_statistics_are_told_apart() {
        let package = "quantizer.vq.layers.12._codebook.embed_avg";
        let transformers = "quantizer.layers.3.codebook.inited";
        for (naming, own, other) in [
            (Naming::Package, package, transformers),
            (Naming::Transformers, transformers, package),
        ] {
            assert!(naming.is_codebook_statistic(own));
            assert!(!naming.is_codebook_statistic(other));
        }
        for name in [
            "quantizer.layers.3.codebook.embed",
            "quantizer.layers.x.codebook.inited",
        ] {
            assert!(!Naming::Transformers.is_codebook_statistic(name));
        }
    }
}
