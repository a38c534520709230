//! Mimi's published checkpoints, by the names of `transformers` and of the `moshi` package, as
//! parameters of ours.

use super::MimiConfig;
use super::config::{CHANNELS, COMPRESS, RESAMPLE};
use crate::import::{ImportRule, ImportSource};

/// Who named the tensors of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `transformers`, as in `kyutai/mimi` on the hub: `encoder.layers.0.conv.weight`.
    Transformers,
    /// The `moshi` package, as in `tokenizer-e351c8d8-checkpoint125.safetensors`:
    /// `encoder.model.0.conv.conv.weight`. Its query, key and value are one tensor, and its rotary
    /// positions pair neighbours where the other pairs halves.
    Moshi,
}

impl Layout {
    /// Who named these tensors; `None` if none of them tells.
    pub fn detect<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        names.into_iter().find_map(|name| {
            [Self::Transformers, Self::Moshi]
                .into_iter()
                .find(|layout| name.starts_with(layout.names().encoder_layers))
        })
    }

    fn names(self) -> &'static Names {
        match self {
            Self::Transformers => &TRANSFORMERS,
            Self::Moshi => &MOSHI,
        }
    }
}

/// Parts of names.
struct Names {
    encoder_layers: &'static str,
    decoder_layers: &'static str,
    /// After a layer of SEANet.
    conv: &'static str,
    conv_transpose: &'static str,
    encoder_transformer: &'static str,
    decoder_transformer: &'static str,
    /// Of a transformer's layer, with weight and bias.
    norms: [&'static str; 2],
    /// Of a transformer's layer.
    scales: [&'static str; 2],
    /// The attention's input, one product or three.
    to_qkv: &'static [&'static str],
    to_out: &'static str,
    feed_forward: [&'static str; 2],
    downsample: &'static str,
    upsample: &'static str,
    semantic: &'static str,
    acoustic: &'static str,
    /// Between a quantizer and a level's number, and after that.
    codebook: [&'static str; 2],
    sums: &'static str,
    initialized: &'static str,
}

/// The same with both.
const COUNTS: &str = "cluster_usage";

const TRANSFORMERS: Names = Names {
    encoder_layers: "encoder.layers.",
    decoder_layers: "decoder.layers.",
    conv: "conv",
    conv_transpose: "conv",
    encoder_transformer: "encoder_transformer.layers.",
    decoder_transformer: "decoder_transformer.layers.",
    norms: ["input_layernorm", "post_attention_layernorm"],
    scales: ["self_attn_layer_scale.scale", "mlp_layer_scale.scale"],
    to_qkv: &[
        "self_attn.q_proj.weight",
        "self_attn.k_proj.weight",
        "self_attn.v_proj.weight",
    ],
    to_out: "self_attn.o_proj.weight",
    feed_forward: ["mlp.fc1.weight", "mlp.fc2.weight"],
    downsample: "downsample.conv.weight",
    upsample: "upsample.conv.weight",
    semantic: "quantizer.semantic_residual_vector_quantizer.",
    acoustic: "quantizer.acoustic_residual_vector_quantizer.",
    codebook: ["layers.", ".codebook."],
    sums: "embed_sum",
    initialized: "initialized",
};

const MOSHI: Names = Names {
    encoder_layers: "encoder.model.",
    decoder_layers: "decoder.model.",
    conv: "conv.conv",
    conv_transpose: "convtr.convtr",
    encoder_transformer: "encoder_transformer.transformer.layers.",
    decoder_transformer: "decoder_transformer.transformer.layers.",
    norms: ["norm1", "norm2"],
    scales: ["layer_scale_1.scale", "layer_scale_2.scale"],
    to_qkv: &["self_attn.in_proj_weight"],
    to_out: "self_attn.out_proj.weight",
    feed_forward: ["linear1.weight", "linear2.weight"],
    downsample: "downsample.conv.conv.conv.weight",
    upsample: "upsample.convtr.convtr.convtr.weight",
    semantic: "quantizer.rvq_first.",
    acoustic: "quantizer.rvq_rest.",
    codebook: ["vq.layers.", "._codebook."],
    sums: "embedding_sum",
    initialized: "_initialized",
};

/// How each parameter of [`Mimi`](super::Mimi) comes out of a checkpoint.
///
/// Paths are those of the codec itself, without [`AnyCodec`](crate::AnyCodec)'s variant.
///
/// The configuration must be [valid](MimiConfig::validate).
pub fn plan(config: &MimiConfig, layout: Layout) -> Vec<ImportRule> {
    let mut plan = Plan {
        config,
        layout,
        names: layout.names(),
        rules: Vec::new(),
    };
    plan.encoder();
    plan.transformer("encoder_transformer", plan.names.encoder_transformer);
    plan.resample();
    plan.quantizer("semantic", plan.names.semantic, config.semantic_quantizers);
    let acoustic = config.num_quantizers - config.semantic_quantizers;
    plan.quantizer("acoustic", plan.names.acoustic, acoustic);
    plan.transformer("decoder_transformer", plan.names.decoder_transformer);
    plan.decoder();
    plan.rules
}

/// Whether a name is left behind: each codebook's flag that training has started, in either layout.
pub fn is_ignored(name: &str) -> bool {
    [&TRANSFORMERS, &MOSHI].into_iter().any(|names| {
        let [before, after] = names.codebook;
        [names.semantic, names.acoustic]
            .into_iter()
            .filter_map(|quantizer| name.strip_prefix(quantizer)?.strip_prefix(before))
            .filter_map(|rest| rest.split_once(after))
            .any(|(level, leaf)| level.parse::<usize>().is_ok() && leaf == names.initialized)
    })
}

struct Plan<'a> {
    config: &'a MimiConfig,
    layout: Layout,
    names: &'static Names,
    rules: Vec<ImportRule>,
}

impl Plan<'_> {
    /// Modules without parameters are counted, too.
    fn encoder(&mut self) {
        let config = self.config;
        let mut layer = Layers::new(self.names.encoder_layers);
        let mut channels = config.filters;
        let shape = [channels, CHANNELS, config.kernel_size];
        self.conv("encoder.input", &layer.next(), shape);
        for (stage, stride) in config.strides.iter().rev().enumerate() {
            let path = format!("encoder.stages.{stage}");
            self.residuals(&path, &mut layer, channels);
            layer.next();
            let shape = [2 * channels, channels, 2 * stride];
            self.conv(&format!("{path}.downsample"), &layer.next(), shape);
            channels *= 2;
        }
        layer.next();
        let shape = [config.dimension, channels, config.last_kernel_size];
        self.conv("encoder.output", &layer.next(), shape);
    }

    fn decoder(&mut self) {
        let config = self.config;
        let mut layer = Layers::new(self.names.decoder_layers);
        let mut channels = config.filters << config.strides.len();
        let shape = [channels, config.dimension, config.kernel_size];
        self.conv("decoder.input", &layer.next(), shape);
        for (stage, stride) in config.strides.iter().enumerate() {
            let path = format!("decoder.stages.{stage}");
            layer.next();
            let base = format!("{}.{}", layer.next(), self.names.conv_transpose);
            let shape = [channels, channels / 2, 2 * stride];
            channels /= 2;
            self.weight_and_bias(&format!("{path}.upsample"), base, shape, channels);
            self.residuals(&path, &mut layer, channels);
        }
        layer.next();
        let shape = [CHANNELS, channels, config.last_kernel_size];
        self.conv("decoder.output", &layer.next(), shape);
    }

    fn residuals(&mut self, path: &str, layer: &mut Layers, channels: usize) {
        let inside = channels / COMPRESS;
        for block in 0..self.config.residual_layers {
            let (path, layer) = (format!("{path}.residuals.{block}"), layer.next());
            let shape = [inside, channels, self.config.residual_kernel_size];
            self.conv(
                &format!("{path}.conv_in"),
                &format!("{layer}.block.1"),
                shape,
            );
            let shape = [channels, inside, 1];
            self.conv(
                &format!("{path}.conv_out"),
                &format!("{layer}.block.3"),
                shape,
            );
        }
    }

    fn conv(&mut self, path: &str, layer: &str, shape: [usize; 3]) {
        let base = format!("{layer}.{}", self.names.conv);
        self.weight_and_bias(path, base, shape, shape[0]);
    }

    fn weight_and_bias(&mut self, path: &str, base: String, shape: [usize; 3], bias: usize) {
        let name = format!("{base}.bias");
        let source = ImportSource::WeightNorm { base };
        self.rule(format!("{path}.weight"), &shape, source);
        self.tensor(format!("{path}.bias"), name, &[bias], &[bias]);
    }

    fn transformer(&mut self, path: &str, name: &str) {
        let (config, names) = (self.config, self.names);
        let (dimension, inner) = (config.dimension, config.heads * config.dim_head);
        for layer in 0..config.transformer_layers {
            let path = |part: &str| format!("{path}.layers.{layer}.{part}");
            let name = |part: &str| format!("{name}{layer}.{part}");
            let channels = [dimension];
            for (index, branch) in ["attention", "feed_forward"].into_iter().enumerate() {
                let (norm, scale) = (names.norms[index], names.scales[index]);
                for (ours, theirs) in [("gamma", "weight"), ("beta", "bias")] {
                    let target = path(&format!("{branch}_norm.{ours}"));
                    let name = name(&format!("{norm}.{theirs}"));
                    self.tensor(target, name, &channels, &channels);
                }
                let target = path(&format!("{branch}_scale"));
                self.tensor(target, name(scale), &channels, &channels);
            }
            let parts = names.to_qkv;
            let outputs = 3 * inner / parts.len();
            let parts = parts.iter().map(|part| (name(part), outputs)).collect();
            let target = path("attention.to_qkv.weight");
            self.linear(target, parts, dimension, self.qkv_order());
            let [up, down] = names.feed_forward;
            for (part, theirs, from, to) in [
                ("attention.to_out", names.to_out, inner, dimension),
                ("feed_forward_in", up, dimension, config.feed_forward),
                ("feed_forward_out", down, config.feed_forward, dimension),
            ] {
                let target = path(&format!("{part}.weight"));
                let order = (0..to).collect();
                self.linear(target, vec![(name(theirs), to)], from, order);
            }
        }
    }

    /// Where each output of the attention's input lies in the file: there, positions turn pairs of
    /// neighbours (moshi) or a head's halves (transformers, and ours).
    fn qkv_order(&self) -> Vec<usize> {
        let (heads, dim_head) = (self.config.heads, self.config.dim_head);
        let inner = heads * dim_head;
        match self.layout {
            Layout::Transformers => (0..3 * inner).collect(),
            Layout::Moshi => {
                let turned = (0..2 * heads).flat_map(|head| {
                    let pairs = move |side| (0..dim_head / 2).map(move |pair| 2 * pair + side);
                    (0..2)
                        .flat_map(pairs)
                        .map(move |output| head * dim_head + output)
                });
                turned.chain(2 * inner..3 * inner).collect()
            }
        }
    }

    fn resample(&mut self) {
        let (dimension, kernel) = (self.config.dimension, 2 * RESAMPLE);
        for (path, name, shape) in [
            (
                "downsample",
                self.names.downsample,
                [dimension, dimension, kernel],
            ),
            ("upsample", self.names.upsample, [dimension, 1, kernel]),
        ] {
            self.tensor(format!("{path}.weight"), name.to_owned(), &shape, &shape);
        }
    }

    fn quantizer(&mut self, path: &str, name: &str, levels: usize) {
        let (dimension, inside) = (self.config.dimension, self.config.codebook_dim);
        for (ours, theirs, shape) in [
            ("input", "input_proj", [inside, dimension]),
            ("output", "output_proj", [dimension, inside]),
        ] {
            let (target, name) = (
                format!("quantizer.{path}.{ours}"),
                format!("{name}{theirs}.weight"),
            );
            self.tensor(target, name, &shape, &[shape[0], shape[1], 1]);
        }
        let ([before, after], sums) = (self.names.codebook, self.names.sums);
        for level in 0..levels {
            let codebook = format!("{name}{before}{level}{after}");
            let source = ImportSource::Means {
                sums: format!("{codebook}{sums}"),
                counts: format!("{codebook}{COUNTS}"),
            };
            let target = format!("quantizer.{path}.levels.codebooks.{level}");
            self.rule(target, &[self.config.codebook_size, inside], source);
        }
    }

    fn linear(
        &mut self,
        target: String,
        names: Vec<(String, usize)>,
        inputs: usize,
        order: Vec<usize>,
    ) {
        let shape = [inputs, order.len()];
        self.rule(target, &shape, ImportSource::Linear { names, order });
    }

    fn tensor(&mut self, target: String, name: String, shape: &[usize], foreign: &[usize]) {
        let source = ImportSource::Tensor {
            name,
            shape: foreign.to_vec(),
        };
        self.rule(target, shape, source);
    }

    fn rule(&mut self, target: String, shape: &[usize], source: ImportSource) {
        self.rules.push(ImportRule {
            target,
            shape: shape.to_vec(),
            source,
        });
    }
}

/// The names of SEANet's layers, one after the other.
struct Layers {
    before: &'static str,
    next: usize,
}

impl Layers {
    fn new(before: &'static str) -> Self {
        Self { before, next: 0 }
    }

    fn next(&mut self) -> String {
        self.next += 1;
        format!("{}{}", self.before, self.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoder_tells_who_named_it() {
        let detect = |names: &[&'static str]| Layout::detect(names.iter().copied());
        let shared = "quantizer.x.cluster_usage";
        let moshi = "encoder.model.0.conv.conv.bias";
        let hub = "encoder.layers.0.conv.bias";
        assert_eq!(detect(&[shared, moshi]), Some(Layout::Moshi));
        assert_eq!(detect(&[hub, shared]), Some(Layout::Transformers));
        assert_eq!(detect(&[shared, "encoder_transformer.layers.0.x"]), None);
    }

    #[test]
    fn only_the_flags_of_training_are_ignored() {
        for name in [
            "quantizer.semantic_residual_vector_quantizer.layers.0.codebook.initialized",
            "quantizer.acoustic_residual_vector_quantizer.layers.30.codebook.initialized",
            "quantizer.rvq_first.vq.layers.0._codebook._initialized",
            "quantizer.rvq_rest.vq.layers.12._codebook._initialized",
        ] {
            assert!(is_ignored(name), "{name}");
        }
        for name in [
            "quantizer.semantic_residual_vector_quantizer.layers.0.codebook.embed_sum",
            "quantizer.semantic_residual_vector_quantizer.layers.x.codebook.initialized",
            "quantizer.rvq_rest.vq.layers.0._codebook.initialized",
            "quantizer.rvq_rest.vq.layers.0._codebook.cluster_usage",
            "encoder.layers.0.conv.bias",
        ] {
            assert!(!is_ignored(name), "{name}");
        }
    }
}
