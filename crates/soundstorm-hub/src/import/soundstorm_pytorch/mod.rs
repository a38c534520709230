//! Checkpoints of soundstorm-pytorch, versions 0.1 to 0.6, and of the fork behind USLM and AnyGPT.

mod config;
mod facts;
mod layout;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use self::{config::Stated, facts::Facts, layout::Layout, rules::Rule};
use super::{Converted, ImportOptions, Target};
use crate::{
    DType, HubError, Misshaped, TensorInfo, TensorReport, TensorSource, dtype::f32_bytes,
    folder::ModelFolder, write::Planned,
};

const SEMANTIC_WEIGHT: &str = "semantic_token_emb.weight";
const T5_WEIGHT: &str = "net.conformer.rel_pos_bias.relative_attention_bias.weight";
const LOGITS_WEIGHT: &str = "net.to_logits.2.weight";
const LOGITS_BIAS: &str = "net.to_logits.2.bias";
/// The package does not let it vary.
const T5_BUCKETS: usize = 32;

const NULL_EMBEDDING: &str = "null_embed";
const SELF_CONDITIONING: &str = "to_self_cond";
const CRITIC: &str = "token_critic.to_logits";
/// The critic is the network with a head of its own, and so the network stands here once more.
const CRITIC_NET: &str = "token_critic.net.";

/// Models that a checkpoint may hold beside the network and only carries along.
const BESIDE: [&str; 3] = ["soundstream.", "wav2vec.", "text_to_semantic."];

pub(super) fn convert<'a>(
    source: &'a dyn TensorSource,
    options: &ImportOptions,
) -> Result<Converted<'a>, HubError> {
    let path = source.path();
    let (skipped, model): (BTreeMap<_, _>, BTreeMap<_, _>) = source
        .tensors()
        .iter()
        .filter(|(name, info)| !is_again(name, info, source))
        .map(|(name, info)| (name.clone(), info.clone()))
        .partition(|(name, _)| is_beside(name));
    let layout = Layout::detect(model.keys().map(String::as_str)).ok_or_else(|| {
        let some: Vec<_> = model.keys().take(3).cloned().collect();
        HubError::unsupported(
            path,
            format!(
                "no known layout of soundstorm-pytorch; the first names are {}",
                some.join(", ")
            ),
        )
    })?;
    let facts = Facts::find(&model, layout, path)?;
    let stated = Stated {
        preset: options.preset,
        settings: &options.settings,
        path,
    };
    let config = config::configure(&facts, layout, &stated)?;
    let rules = rules::rules(&config, layout);
    check(&rules, &model).into_result(path)?;

    let parameters = model.values().map(|info| info.elements() as u64).sum();
    let planned = rules.iter().map(|rule| {
        let (dtype, shape) = (DType::F32, rule.shape.clone());
        (rule.target.clone(), TensorInfo { dtype, shape })
    });
    let planned: Vec<Planned> = planned.collect();
    let by_name: BTreeMap<String, Rule> = rules
        .into_iter()
        .map(|rule| (rule.target.clone(), rule))
        .collect();
    Ok(Converted {
        layout: format!("soundstorm-pytorch {layout}"),
        tensors: model.len(),
        parameters,
        skipped: skipped.into_keys().collect(),
        target: Target::Model(ModelFolder::new(config)),
        planned,
        read: Box::new(move |name| match by_name.get(name) {
            Some(rule) => read(source, rule),
            None => Ok(Vec::new()),
        }),
    })
}

fn is_beside(name: &str) -> bool {
    let first_block = name.starts_with("net.conformer.layers.0.");
    BESIDE.iter().any(|prefix| name.starts_with(prefix))
        // 0.6.0 builds it in the first block too, and never uses it there.
        || first_block && name.contains(".to_value_residual_mix.")
}

/// Whether a tensor is one of the network's that stands under the critic's name too.
fn is_again(name: &str, info: &TensorInfo, source: &dyn TensorSource) -> bool {
    name.strip_prefix(CRITIC_NET).is_some_and(|of_net| {
        let twin = source.tensors().get(&format!("net.{of_net}"));
        twin.is_some_and(|twin| twin.shape == info.shape)
    })
}

/// Every tensor that a rule misses or finds in another shape, and every tensor without a rule.
fn check(rules: &[Rule], tensors: &BTreeMap<String, TensorInfo>) -> TensorReport {
    let mut report = TensorReport::default();
    let mut used = BTreeSet::new();
    for (name, expected) in rules.iter().flat_map(|rule| &rule.sources) {
        used.insert(name.as_str());
        let Some(info) = tensors.get(name) else {
            report.missing.push(name.clone());
            continue;
        };
        if essence(expected) != essence(&info.shape) {
            report.misshaped.push(Misshaped {
                name: name.clone(),
                expected: expected.clone(),
                got: info.shape.clone(),
            });
        }
        if !info.dtype.is_float() {
            let message = format!("expected floating-point values, got {}", info.dtype);
            report.mistyped.push((name.clone(), message));
        }
    }
    let extra = tensors.keys().filter(|name| !used.contains(name.as_str()));
    report.extra.extend(extra.cloned());
    report
}

/// A shape without its axes of length 1.
fn essence(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|n| *n != 1).collect()
}

fn read(source: &dyn TensorSource, rule: &Rule) -> Result<Vec<u8>, HubError> {
    let mut values = Vec::with_capacity(rule.shape.iter().product());
    for (name, _) in &rule.sources {
        values.extend(source.read_f32(name)?);
    }
    Ok(f32_bytes(&rule.make(values)))
}
