//! SpeechTokenizer's published checkpoints: a state dictionary and the package's `config.json`.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use soundstorm_codec::{
    CodecConfig, SpeechTokenizerConfig,
    import::{HostTensor, ImportError, ImportRule, ImportSource},
    speechtokenizer::{PackageConfig, import},
};

use super::{Converted, ImportOptions, Target};
use crate::{
    DType, HubError, Misshaped, TensorInfo, TensorReport, TensorSource,
    dtype::f32_bytes,
    folder::{CONFIG_FILE, CodecFolder, read_json},
};

pub(super) fn convert<'a>(
    source: &'a dyn TensorSource,
    options: &ImportOptions,
) -> Result<Converted<'a>, HubError> {
    if let Some(setting) = options.settings.first() {
        return Err(setting.error("a codec is configured by its config.json alone"));
    }
    if let Some(preset) = options.preset {
        return Err(HubError::Invalid {
            operation: "import a codec",
            expected: "no preset".into(),
            got: preset.to_string(),
        });
    }
    let path = source.path();
    let config_path = match &options.config {
        Some(path) => path.clone(),
        None => config_beside(path),
    };
    let package: PackageConfig = read_json(&config_path, "SpeechTokenizer configuration")?;
    let config = SpeechTokenizerConfig::try_from(package).map_err(|error| HubError::Config {
        path: config_path.clone(),
        expected: "SpeechTokenizer configuration",
        message: error.to_string(),
    })?;
    let rules = import::plan(&config);
    let (report, used) = check(&rules, source);
    report.into_result(path)?;

    let skipped = source
        .tensors()
        .keys()
        .filter(|name| import::is_ignored(name));
    let skipped: Vec<String> = skipped.cloned().collect();
    let parameters = used.iter().filter_map(|name| source.tensors().get(name));
    let planned = rules.iter().map(|rule| {
        let (dtype, shape) = (DType::F32, rule.shape.clone());
        (rule.target.clone(), TensorInfo { dtype, shape })
    });
    Ok(Converted {
        layout: "speechtokenizer".into(),
        tensors: used.len(),
        parameters: parameters.map(|info| info.elements() as u64).sum(),
        skipped,
        target: Target::Codec(CodecFolder::new(CodecConfig::SpeechTokenizer(config))),
        planned: planned.collect(),
        read: Box::new({
            let rules: BTreeMap<String, ImportRule> = rules
                .into_iter()
                .map(|rule| (rule.target.clone(), rule))
                .collect();
            move |name| match rules.get(name) {
                Some(rule) => read(source, rule),
                None => Ok(Vec::new()),
            }
        }),
    })
}

/// `config.json` in the checkpoint's folder, or a file of the checkpoint's own name.
fn config_beside(checkpoint: &Path) -> PathBuf {
    let own = checkpoint.with_extension("json");
    if own.exists() {
        return own;
    }
    checkpoint.with_file_name(CONFIG_FILE)
}

fn read(source: &dyn TensorSource, rule: &ImportRule) -> Result<Vec<u8>, HubError> {
    let made = rule.apply(|name| match source.tensors().get(name) {
        Some(info) => Ok(Some(HostTensor {
            shape: info.shape.clone(),
            data: source.read_f32(name)?,
        })),
        None => Ok::<_, HubError>(None),
    });
    match made {
        Ok(tensor) => Ok(f32_bytes(&tensor.data)),
        Err(ImportError::Read(error)) => Err(error),
        Err(error) => Err(HubError::malformed(source.path(), error.to_string())),
    }
}

/// Every tensor that a rule misses or finds in another shape, every tensor without a rule, and the
/// names that the rules use. Rules are tried on shapes alone: nothing is read.
fn check(rules: &[ImportRule], source: &dyn TensorSource) -> (TensorReport, BTreeSet<String>) {
    let mut report = TensorReport::default();
    let used = RefCell::new(BTreeSet::new());
    let mut one = |name: &str, expected: &[usize]| {
        used.borrow_mut().insert(name.to_owned());
        match source.tensors().get(name) {
            None => report.missing.push(name.to_owned()),
            Some(info) => {
                if info.shape != expected {
                    report.misshaped.push(Misshaped {
                        name: name.to_owned(),
                        expected: expected.to_vec(),
                        got: info.shape.clone(),
                    });
                }
                if !info.dtype.is_float() {
                    let message = format!("expected floating-point values, got {}", info.dtype);
                    report.mistyped.push((name.to_owned(), message));
                }
            }
        }
    };
    for rule in rules {
        match &rule.source {
            ImportSource::Tensor { name, shape } => one(name, shape),
            ImportSource::StackedSums { names, shape } => {
                names.iter().flatten().for_each(|name| one(name, shape));
            }
            ImportSource::WeightNorm { base } => {
                let has = |name: &String| source.tensors().contains_key(name);
                let folded = format!("{base}.weight");
                let new = ["original0", "original1"]
                    .map(|part| format!("{base}.parametrizations.weight.{part}"));
                let old = [format!("{base}.weight_g"), format!("{base}.weight_v")];
                let mut gains = vec![1; rule.shape.len()];
                gains[0] = rule.shape[0];
                if has(&folded) {
                    one(&folded, &rule.shape);
                } else {
                    let [g, v] = if new.iter().any(has) { &new } else { &old };
                    one(g, &gains);
                    one(v, &rule.shape);
                }
            }
            // Rules of a kind that is newer than this function are checked when they are applied.
            _ => {}
        }
    }
    let used = used.into_inner();
    let extra = source.tensors().keys();
    let extra = extra.filter(|name| !used.contains(*name) && !import::is_ignored(name));
    report.extra.extend(extra.cloned());
    (report, used)
}
