//! Fixtures of `xtask/fixtures/mimi.py`, and their checkpoints by the other package's names.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::PathBuf;

use burn::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use soundstorm_codec::import::HostTensor;
use soundstorm_codec::mimi::HubConfig;
use soundstorm_codec::mimi::import::{Layout, plan};
use soundstorm_codec::{Mimi, MimiConfig};

use crate::support::{B, load};

pub(super) const VARIANTS: [&str; 2] = ["window", "deep"];

pub(super) type State = BTreeMap<String, HostTensor>;

pub(crate) struct Fixture {
    pub(super) config: MimiConfig,
    /// By the names of transformers.
    pub(super) state: State,
    bytes: Vec<u8>,
}

impl Fixture {
    pub(crate) fn read(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mimi");
        let json = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let hub: HubConfig = serde_json::from_str(&json).unwrap();
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let state = tensors.iter().filter_map(|(name, view)| {
            let tensor = HostTensor {
                shape: view.shape().to_vec(),
                data: floats(&view),
            };
            Some((name.strip_prefix("state.")?.to_owned(), tensor))
        });
        let state = state.collect();
        Self {
            config: hub.try_into().unwrap(),
            state,
            bytes,
        }
    }

    pub(super) fn cases(&self) -> usize {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let names = tensors.names();
        names
            .iter()
            .filter(|name| name.starts_with("audio."))
            .count()
    }

    pub(super) fn float(&self, name: &str) -> Tensor<B, 3> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        let data = TensorData::new(floats(&view), view.shape().to_vec());
        Tensor::from_data(data, &Default::default())
    }

    pub(super) fn codes(&self, name: &str) -> Tensor<B, 3, Int> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        let data = view.data().chunks_exact(8);
        let data = data
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
            .collect::<Vec<_>>();
        let data = TensorData::new(data, view.shape().to_vec());
        Tensor::from_data(data, &Default::default())
    }

    pub(crate) fn codec(&self) -> Mimi<B> {
        import(&self.config, &self.state).0
    }
}

fn floats(view: &TensorView<'_>) -> Vec<f32> {
    let data = view.data().chunks_exact(4);
    data.map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect()
}

/// The codec that the rules make of a checkpoint, and the names that they took.
pub(super) fn import(config: &MimiConfig, state: &State) -> (Mimi<B>, BTreeSet<String>) {
    let layout = Layout::detect(state.keys().map(String::as_str)).unwrap();
    let mut taken = BTreeSet::new();
    let mut values = BTreeMap::new();
    for rule in plan(config, layout) {
        let value = rule.apply(|name| {
            let tensor = state.get(name).cloned();
            if tensor.is_some() {
                taken.insert(name.to_owned());
            }
            Ok::<_, Infallible>(tensor)
        });
        assert!(values.insert(rule.target, value.unwrap()).is_none());
    }
    let codec = config.init::<B>(&Default::default()).unwrap();
    (load(codec, values), taken)
}

/// The same checkpoint as the `moshi` package has it: its names, one input product in the
/// attention, and the two halves of a head's rotary pairs side by side.
pub(super) fn moshi(config: &MimiConfig, state: &State) -> State {
    let renames = [
        ("encoder.layers", "encoder.model"),
        ("decoder.layers", "decoder.model"),
        ("_transformer.layers", "_transformer.transformer.layers"),
        (
            "semantic_residual_vector_quantizer.layers",
            "rvq_first.vq.layers",
        ),
        (
            "acoustic_residual_vector_quantizer.layers",
            "rvq_rest.vq.layers",
        ),
        ("semantic_residual_vector_quantizer", "rvq_first"),
        ("acoustic_residual_vector_quantizer", "rvq_rest"),
        (".codebook.initialized", ".codebook._initialized"),
        (".codebook.", "._codebook."),
        ("embed_sum", "embedding_sum"),
        ("self_attn.o_proj", "self_attn.out_proj"),
        ("self_attn_layer_scale", "layer_scale_1"),
        ("mlp_layer_scale", "layer_scale_2"),
        ("mlp.fc1", "linear1"),
        ("mlp.fc2", "linear2"),
        ("input_layernorm", "norm1"),
        ("post_attention_layernorm", "norm2"),
    ];
    let mut renamed = State::new();
    for (name, tensor) in state {
        let mut new = renames
            .iter()
            .fold(name.clone(), |name, (from, to)| name.replace(from, to));
        let wraps = if new.starts_with("downsample") {
            "conv.conv.conv."
        } else if new.starts_with("upsample") {
            "convtr.convtr.convtr."
        } else if is_transposed(config, name) {
            "convtr.convtr."
        } else {
            "conv.conv."
        };
        new = new.replace(".conv.", &format!(".{wraps}"));
        let Some((before, _)) = new.split_once("q_proj") else {
            if !new.contains("k_proj") && !new.contains("v_proj") {
                renamed.insert(new, tensor.clone());
            }
            continue;
        };
        let part = |part: &str| &state[&name.replace("q_proj", part)];
        let mut stacked = interleaved(part("q_proj"), config.dim_head);
        stacked.extend(interleaved(part("k_proj"), config.dim_head));
        stacked.extend(&part("v_proj").data);
        let tensor = HostTensor {
            shape: vec![3 * tensor.shape[0], tensor.shape[1]],
            data: stacked,
        };
        renamed.insert(format!("{before}in_proj_weight"), tensor);
    }
    renamed
}

/// Every other row from the second half of its head.
fn interleaved(weight: &HostTensor, dim_head: usize) -> Vec<f32> {
    let inputs = weight.shape[1];
    let head = |head: &[f32]| {
        let (first, second) = head.split_at(dim_head / 2 * inputs);
        first
            .chunks(inputs)
            .zip(second.chunks(inputs))
            .flat_map(|(first, second)| [first, second].concat())
            .collect::<Vec<_>>()
    };
    weight
        .data
        .chunks(dim_head * inputs)
        .flat_map(head)
        .collect()
}

/// Of the decoder's layers a stage has an activation, a transposed convolution and its blocks.
fn is_transposed(config: &MimiConfig, name: &str) -> bool {
    let Some(rest) = name.strip_prefix("decoder.layers.") else {
        return false;
    };
    let (layer, _) = rest.split_once('.').unwrap();
    let layer: usize = layer.parse().unwrap();
    let stage = 2 + config.residual_layers;
    layer <= stage * config.strides.len() && layer % stage == 2 % stage
}
