//! What a checkpoint's shapes tell about the model. Each size is what most of the tensors that
//! show it agree on, so that a single wrong tensor is found out instead of believed.

use std::collections::BTreeMap;

use super::layout::{BLOCKS, Layout};
use crate::{HubError, TensorInfo, TensorReport};

/// Sizes of a model, as its tensors show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) dim: usize,
    pub(super) depth: usize,
    /// Channels inside the feed-forward modules.
    pub(super) hidden: usize,
    /// Channels inside the convolution modules.
    pub(super) channels: usize,
    pub(super) kernel: usize,
    /// Channels of all heads together.
    pub(super) inner: usize,
    /// Only some tensors of some models tell.
    pub(super) heads: Option<usize>,
    pub(super) t5: bool,
    pub(super) streams: usize,
    pub(super) codebook: usize,
    /// Levels of all groups.
    pub(super) levels: usize,
    pub(super) groups: usize,
    pub(super) vocab: Option<usize>,
    pub(super) self_conditioning: bool,
    pub(super) critic: bool,
}

/// Values that tensors give for one size, in the order they were seen.
#[derive(Debug, Default)]
struct Votes(Vec<usize>);

impl Votes {
    fn cast(&mut self, value: Option<usize>) {
        // A size beyond any model's is a damaged file's; products of two stay far from overflow.
        self.0
            .extend(value.filter(|value| (1..1 << 24).contains(value)));
    }

    /// The most frequent value, the earlier of equally frequent ones.
    fn winner(&self) -> Option<usize> {
        let count = |value: usize| self.0.iter().filter(|v| **v == value).count();
        self.0
            .iter()
            .copied()
            .rev()
            .max_by_key(|value| count(*value))
    }
}

#[derive(Debug, Default)]
struct Ballot {
    dim: Votes,
    hidden: Votes,
    channels: Votes,
    kernel: Votes,
    inner: Votes,
    heads: Votes,
    streams: Votes,
    codebook: Votes,
    levels: Votes,
}

/// The first block's tensors that must be there to tell a size at all.
const ESSENTIAL: [&str; 3] = ["ff1", "attn", "conv"];

impl Facts {
    pub(super) fn find(
        tensors: &BTreeMap<String, TensorInfo>,
        layout: Layout,
        path: &std::path::Path,
    ) -> Result<Self, HubError> {
        let mut ballot = Ballot::default();
        for (name, info) in tensors {
            if let Some(rest) = name.strip_prefix(BLOCKS)
                && let Some((_, rest)) = rest.split_once('.')
            {
                ballot.block(&rest.replace(".branch", ""), &info.shape, layout);
            }
        }
        let shape = |name: &str| tensors.get(name).map(|info| info.shape.as_slice());
        let at = |name: &str, index: usize| shape(name).and_then(|s| s.get(index).copied());
        ballot.dim.cast(at("net.code_embeds.weight", 1));
        ballot.dim.cast(at("net.to_logits.0.weight", 0));
        ballot.heads.cast(at(super::T5_WEIGHT, 1));

        let missing = |name: String| HubError::Tensors {
            path: path.to_path_buf(),
            report: Box::new(TensorReport {
                missing: vec![name],
                ..Default::default()
            }),
        };
        let dim = ballot
            .dim
            .winner()
            .ok_or_else(|| missing("net.code_embeds.weight".into()))?;

        let (weight, bias) = (super::LOGITS_WEIGHT, super::LOGITS_BIAS);
        // The bias has leading axes of length 1 in some versions.
        let from_end = |name: &str, back: usize| {
            let shape = shape(name)?;
            shape.len().checked_sub(back).map(|index| shape[index])
        };
        ballot.levels.cast(at(weight, 0));
        ballot.levels.cast(from_end(bias, 2));
        for name in ["net.heads.0.weight", "net.heads.0.bias"] {
            ballot.levels.cast(at(name, 0).map(|rows| rows / dim));
        }
        ballot.codebook.cast(at(weight, 2));
        ballot.codebook.cast(from_end(bias, 1));
        let levels = ballot
            .levels
            .winner()
            .ok_or_else(|| missing(weight.into()))?;
        let rows = at("net.code_embeds.weight", 0);
        ballot
            .codebook
            .cast(rows.map(|rows| (rows / levels).saturating_sub(1)));

        let depth = (0..)
            .take_while(|index| {
                let prefix = format!("{BLOCKS}{index}.");
                tensors
                    .range(prefix.clone()..)
                    .next()
                    .is_some_and(|(name, _)| name.starts_with(&prefix))
            })
            .count();
        let [feed_forward, attention, convolution] = ESSENTIAL.map(|part| layout.part(0, part));
        let names = layout.convolution();
        let depthwise = format!("{convolution}.{}.weight", names.depthwise);
        let grouped = tensors
            .keys()
            .any(|name| name.starts_with("net.embedding_proj."));
        let projection = "net.embedding_proj.0.weight";
        let groups = match at(projection, 1) {
            Some(joined) => (joined / dim).max(1),
            None if grouped => return Err(missing(projection.into())),
            None => 1,
        };
        Ok(Self {
            dim,
            depth,
            hidden: ballot
                .hidden
                .winner()
                .ok_or_else(|| missing(format!("{feed_forward}.fn.fn.net.0.weight")))?,
            channels: ballot
                .channels
                .winner()
                .ok_or_else(|| missing(depthwise.clone()))?,
            kernel: ballot
                .kernel
                .winner()
                .ok_or_else(|| missing(depthwise.clone()))?,
            inner: ballot
                .inner
                .winner()
                .ok_or_else(|| missing(format!("{attention}.fn.to_q.weight")))?,
            heads: ballot.heads.winner(),
            t5: tensors.contains_key(super::T5_WEIGHT),
            streams: ballot.streams.winner().unwrap_or(1),
            codebook: ballot
                .codebook
                .winner()
                .ok_or_else(|| missing(weight.into()))?,
            levels,
            groups,
            vocab: at(super::SEMANTIC_WEIGHT, 0),
            self_conditioning: tensors.contains_key(super::NULL_EMBEDDING),
            critic: tensors.contains_key(&format!("{}.weight", super::CRITIC)),
        })
    }
}

impl Ballot {
    /// Counts one tensor of a block by its name within the block, wrappers removed.
    fn block(&mut self, name: &str, shape: &[usize], layout: Layout) {
        let axis = |index: usize| shape.get(index).copied();
        let half = |size: Option<usize>| size.map(|size| size / 2);
        if let Some(part) = name.strip_prefix("conv.") {
            let names = layout.convolution();
            let parameter = |of: &str| part.strip_prefix(of).and_then(|p| p.strip_prefix('.'));
            if let Some(parameter) = parameter(names.expand) {
                self.channels.cast(half(axis(0)));
                if parameter == "weight" {
                    self.dim.cast(axis(1));
                }
            } else if let Some(parameter) = parameter(names.depthwise) {
                self.channels.cast(axis(0));
                if parameter == "weight" {
                    self.kernel.cast(axis(2));
                }
            } else if part == names.gamma {
                self.channels.cast(Some(shape.iter().product()));
            } else if parameter(names.contract) == Some("weight") {
                self.dim.cast(axis(0));
                self.channels.cast(axis(1));
            }
        }
        match name {
            "post_norm.weight" | "post_norm.bias" => self.dim.cast(axis(0)),
            "attn.fn.to_q.weight" => {
                self.inner.cast(axis(0));
                self.dim.cast(axis(1));
            }
            "attn.fn.to_kv.weight" => {
                self.inner.cast(half(axis(0)));
                self.dim.cast(axis(1));
            }
            "attn.fn.to_out.weight" => {
                self.dim.cast(axis(0));
                self.inner.cast(axis(1));
            }
            "attn.fn.to_value_residual_mix.0.weight" => self.heads.cast(axis(0)),
            _ => {}
        }
        match name.split_once('.') {
            Some(("ff1" | "ff2", "fn.fn.net.0.weight" | "fn.fn.net.0.bias")) => {
                self.hidden.cast(axis(0));
            }
            Some(("ff1" | "ff2", "fn.fn.net.3.weight")) => self.hidden.cast(axis(1)),
            Some((_, "static_alpha" | "static_beta")) => self.streams.cast(axis(0)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_decides_and_the_earlier_of_a_tie() {
        let votes = |values: &[usize]| Votes(values.to_vec()).winner();
        assert_eq!(votes(&[5, 7, 7]), Some(7));
        assert_eq!(votes(&[5, 7]), Some(5));
        assert_eq!(votes(&[7, 5, 5, 7]), Some(7));
        assert_eq!(votes(&[]), None);
    }
}
