//! How each of our parameters comes out of soundstorm-pytorch's tensors.

use soundstorm::{SoundStormConfig, conformer::ValueResidual};

use super::layout::Layout;

/// One parameter of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// Its name.
    pub(super) target: String,
    /// Its shape.
    pub(super) shape: Vec<usize>,
    /// The tensors it is made of, one after another, with their shapes. Axes of length 1 do not count.
    pub(super) sources: Vec<(String, Vec<usize>)>,
    /// Whether the last two axes change places: PyTorch's linear layers are `[out, in]`, ours `[in, out]`.
    pub(super) turned: bool,
}

/// The rules for a whole model.
pub(super) fn rules(config: &SoundStormConfig, layout: Layout) -> Vec<Rule> {
    let mut rules = Rules {
        config,
        layout,
        found: Vec::new(),
    };
    rules.embedding();
    for block in 0..config.conformer.depth {
        rules.block(block);
    }
    rules.head();
    rules.beside();
    rules.found
}

struct Rules<'a> {
    config: &'a SoundStormConfig,
    layout: Layout,
    found: Vec<Rule>,
}

impl Rules<'_> {
    fn embedding(&mut self) {
        let config = self.config;
        let dim = config.conformer.dim;
        let rows = config.levels() * (config.codebook_size + 1);
        self.copy("embedding.table", "net.code_embeds.weight", &[rows, dim]);
        if config.grouped_quantizers > 1 {
            let joined = config.grouped_quantizers * dim;
            self.linear(
                "embedding.group_projection",
                "net.embedding_proj.0",
                joined,
                dim,
                true,
            );
            self.norm("embedding.group_norm", "net.embedding_proj.1");
        }
        if let Some(semantic) = &config.semantic {
            self.copy(
                "semantic.table",
                super::SEMANTIC_WEIGHT,
                &[semantic.vocab, dim],
            );
        }
        if config.conformer.t5_rel_pos_bias {
            let shape = [super::T5_BUCKETS, config.conformer.heads];
            self.copy("conformer.t5_bias.weight", super::T5_WEIGHT, &shape);
        }
    }

    fn block(&mut self, block: usize) {
        let conformer = &self.config.conformer;
        let ours = format!("conformer.blocks.{block}");
        let layout = self.layout;
        let part = |part: &str| layout.part(block, part);

        for name in ["ff1", "ff2"] {
            let theirs = part(name);
            let (dim, hidden) = (conformer.dim, conformer.dim * conformer.ff_mult);
            self.norm(&format!("{ours}.{name}.norm"), &format!("{theirs}.fn.norm"));
            let net = |index| format!("{theirs}.fn.fn.net.{index}");
            self.linear(&format!("{ours}.{name}.expand"), &net(0), dim, hidden, true);
            self.linear(
                &format!("{ours}.{name}.contract"),
                &net(3),
                hidden,
                dim,
                true,
            );
        }
        self.attention(block, &ours, &part("attn"));
        self.convolution(&ours, &part("conv"));
        let theirs = format!("{}{block}.post_norm", super::layout::BLOCKS);
        self.norm(&format!("{ours}.post_norm"), &theirs);

        if conformer.num_residual_streams > 1 {
            for (ours_name, theirs) in [
                ("ff1", "ff1"),
                ("attention", "attn"),
                ("convolution", "conv"),
                ("ff2", "ff2"),
            ] {
                let theirs = format!("{}{block}.{theirs}", super::layout::BLOCKS);
                self.streams(&format!("{ours}.{ours_name}_streams"), &theirs);
            }
        }
    }

    fn attention(&mut self, block: usize, ours: &str, theirs: &str) {
        let conformer = &self.config.conformer;
        let (dim, inner) = (conformer.dim, conformer.heads * conformer.dim_head);
        self.norm(&format!("{ours}.attention_norm"), &format!("{theirs}.norm"));
        let ours = format!("{ours}.attention");
        self.found.push(Rule {
            target: format!("{ours}.to_qkv.weight"),
            shape: vec![dim, 3 * inner],
            sources: vec![
                (format!("{theirs}.fn.to_q.weight"), vec![inner, dim]),
                (format!("{theirs}.fn.to_kv.weight"), vec![2 * inner, dim]),
            ],
            turned: true,
        });
        // The first block has no earlier values to mix in.
        if conformer.value_residual == ValueResidual::Learned && block > 0 {
            let mix = format!("{theirs}.fn.to_value_residual_mix.0");
            self.linear(
                &format!("{ours}.to_value_mix"),
                &mix,
                dim,
                conformer.heads,
                false,
            );
        }
        self.linear(
            &format!("{ours}.to_out"),
            &format!("{theirs}.fn.to_out"),
            inner,
            dim,
            true,
        );
    }

    fn convolution(&mut self, ours: &str, theirs: &str) {
        let conformer = &self.config.conformer;
        let dim = conformer.dim;
        let (channels, kernel) = (
            dim * conformer.conv_expansion_factor,
            conformer.conv_kernel_size,
        );
        let names = self.layout.convolution();
        let ours = format!("{ours}.convolution");
        let of = |name: &str| format!("{theirs}.{name}");
        self.norm(&format!("{ours}.norm"), &of(names.norm));
        self.linear(
            &format!("{ours}.expand"),
            &of(names.expand),
            dim,
            2 * channels,
            true,
        );
        let depthwise = of(names.depthwise);
        let shape = [channels, 1, kernel];
        self.copy(
            &format!("{ours}.depthwise_weight"),
            &format!("{depthwise}.weight"),
            &shape,
        );
        self.copy(
            &format!("{ours}.depthwise_bias"),
            &format!("{depthwise}.bias"),
            &[channels],
        );
        self.copy(
            &format!("{ours}.channel_norm.gamma"),
            &of(names.gamma),
            &[channels],
        );
        self.linear(
            &format!("{ours}.contract"),
            &of(names.contract),
            channels,
            dim,
            true,
        );
    }

    fn streams(&mut self, ours: &str, theirs: &str) {
        let (dim, streams) = (
            self.config.conformer.dim,
            self.config.conformer.num_residual_streams,
        );
        for (ours_name, theirs_name, shape) in [
            ("norm_gamma", "norm.gamma", &[dim][..]),
            ("static_alpha", "static_alpha", &[streams, streams + 1]),
            ("dynamic_alpha", "dynamic_alpha_fn", &[dim, streams + 1]),
            // A single number, stored there without axes.
            ("dynamic_alpha_scale", "dynamic_alpha_scale", &[1]),
            ("static_beta", "static_beta", &[streams]),
            ("dynamic_beta", "dynamic_beta_fn", &[dim]),
            ("dynamic_beta_scale", "dynamic_beta_scale", &[1]),
        ] {
            self.copy(
                &format!("{ours}.{ours_name}"),
                &format!("{theirs}.{theirs_name}"),
                shape,
            );
        }
    }

    fn head(&mut self) {
        let config = self.config;
        let (dim, levels, codes) = (config.conformer.dim, config.levels(), config.codebook_size);
        // One layer to all levels there, one for each level here.
        self.found.push(Rule {
            target: "head.projection.weight".into(),
            shape: vec![levels, dim, dim],
            sources: vec![("net.heads.0.weight".into(), vec![levels * dim, dim])],
            turned: true,
        });
        self.found.push(Rule {
            target: "head.projection.bias".into(),
            shape: vec![levels, dim],
            sources: vec![("net.heads.0.bias".into(), vec![levels * dim])],
            turned: false,
        });
        self.norm("head.projection.norm", "net.to_logits.0");
        self.copy("head.weight", super::LOGITS_WEIGHT, &[levels, dim, codes]);
        self.copy("head.bias", super::LOGITS_BIAS, &[levels, codes]);
    }

    /// Self-conditioning and the critic.
    fn beside(&mut self) {
        let dim = self.config.conformer.dim;
        if self.config.self_conditioning.is_some() {
            self.copy("self_conditioning.null", super::NULL_EMBEDDING, &[dim]);
            self.linear(
                "self_conditioning.to_frames",
                super::SELF_CONDITIONING,
                dim,
                dim,
                false,
            );
        }
        if self.config.critic.is_some() {
            let of = |parameter: &str| format!("{}.{parameter}", super::CRITIC);
            self.copy("critic.weight", &of("weight"), &[1, dim]);
            self.copy("critic.bias", &of("bias"), &[1]);
        }
    }

    // Kinds of layers.

    fn copy(&mut self, target: &str, source: &str, shape: &[usize]) {
        self.found.push(Rule {
            target: target.into(),
            shape: shape.to_vec(),
            sources: vec![(source.into(), shape.to_vec())],
            turned: false,
        });
    }

    fn norm(&mut self, target: &str, source: &str) {
        let dim = self.config.conformer.dim;
        self.copy(
            &format!("{target}.gamma"),
            &format!("{source}.weight"),
            &[dim],
        );
        self.copy(&format!("{target}.beta"), &format!("{source}.bias"), &[dim]);
    }

    /// A linear layer, or a convolution over one frame.
    fn linear(&mut self, target: &str, source: &str, input: usize, output: usize, bias: bool) {
        self.found.push(Rule {
            target: format!("{target}.weight"),
            shape: vec![input, output],
            sources: vec![(format!("{source}.weight"), vec![output, input])],
            turned: true,
        });
        if bias {
            self.copy(
                &format!("{target}.bias"),
                &format!("{source}.bias"),
                &[output],
            );
        }
    }
}

impl Rule {
    /// The parameter's values out of the sources' values one after another.
    pub(super) fn make(&self, values: Vec<f32>) -> Vec<f32> {
        if !self.turned {
            return values;
        }
        let [.., columns, rows] = self.shape[..] else {
            return values;
        };
        turn(&values, rows, columns)
    }
}

/// Transposes each `[rows, columns]` matrix of a stack, in tiles that fit a cache.
fn turn(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0.0; values.len()];
    let size = (rows * columns).max(1);
    for (from, to) in values.chunks_exact(size).zip(out.chunks_exact_mut(size)) {
        for row_tile in (0..rows).step_by(TILE) {
            for column_tile in (0..columns).step_by(TILE) {
                for row in row_tile..rows.min(row_tile + TILE) {
                    for column in column_tile..columns.min(column_tile + TILE) {
                        to[column * rows + row] = from[row * columns + column];
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use soundstorm::Preset;

    use super::*;

    /// Tensors and numbers that the rules of a preset read, each tensor once.
    fn count(preset: Preset, layout: Layout) -> (usize, usize) {
        let rules = rules(&preset.config(), layout);
        let sources: BTreeMap<_, _> = rules.into_iter().flat_map(|rule| rule.sources).collect();
        let numbers = sources
            .values()
            .map(|shape| shape.iter().product::<usize>());
        (sources.len(), numbers.sum())
    }

    /// The published USLM checkpoint, and what the packages build (`fixtures/soundstorm/counts.json`).
    #[test]
    fn full_size_models_have_the_published_counts() {
        assert_eq!(count(Preset::Uslm, Layout::A), (356, 351_378_432));
        assert_eq!(count(Preset::Anygpt, Layout::B), (356, 351_378_432));
        assert_eq!(count(Preset::Reference, Layout::C), (366, 365_615_104));
        assert_eq!(count(Preset::Small, Layout::C), (186, 15_021_568));
    }

    #[test]
    fn every_matrix_of_a_stack_is_turned() {
        let (stack, rows, columns) = (2, 37, 41);
        let at = |s: usize, r: usize, c: usize| (s * 10_000 + r * 100 + c) as f32;
        let mut values = Vec::new();
        for s in 0..stack {
            for r in 0..rows {
                values.extend((0..columns).map(|c| at(s, r, c)));
            }
        }
        let turned = turn(&values, rows, columns);
        for s in 0..stack {
            for c in 0..columns {
                for r in 0..rows {
                    let got = turned[(s * columns + c) * rows + r];
                    assert_eq!(got, at(s, r, c));
                }
            }
        }
    }
}
