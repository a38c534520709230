//! Foreign codecs: a state dictionary, and its configuration, from beside it or from its tensors.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use soundstorm_codec::{
    CodecConfig, ConfigError, DacConfig, EncodecConfig, MimiConfig, SpeechTokenizerConfig, dac,
    encodec,
    import::{HostTensor, ImportError, ImportRule, ImportSource},
    mimi, soundstream, speechtokenizer,
};

use super::{Converted, ImportFrom, ImportOptions, Target, soundstream::configure};
use crate::{
    DType, HubError, Misshaped, TensorInfo, TensorReport, TensorSource,
    dtype::f32_bytes,
    folder::{CONFIG_FILE, CodecFolder, read_json},
};

pub(super) fn convert<'a>(
    source: &'a dyn TensorSource,
    options: &ImportOptions,
) -> Result<Converted<'a>, HubError> {
    if let Some(preset) = options.preset {
        return Err(HubError::Invalid {
            operation: "import a codec",
            expected: "no preset".into(),
            got: preset.to_string(),
        });
    }
    let path = source.path();
    let config = match options.from {
        ImportFrom::SoundStream => CodecConfig::SoundStream(configure(source, options)?),
        _ => configured(path, options)?,
    };
    let Plan {
        rules, is_ignored, ..
    } = plan(&config, source)?;
    let (report, used) = check(&rules, is_ignored, source);
    report.into_result(path)?;

    let skipped = source.tensors().keys().filter(|name| is_ignored(name));
    let skipped: Vec<String> = skipped.cloned().collect();
    let parameters = used.iter().filter_map(|name| source.tensors().get(name));
    Ok(Converted {
        layout: options.from.name().into(),
        tensors: used.len(),
        parameters: parameters.map(|info| info.elements() as u64).sum(),
        skipped,
        target: Target::Codec(CodecFolder::new(config)),
        planned: rules.iter().map(planned).collect(),
        read: Box::new({
            let rules = by_target(rules);
            move |name| match rules.get(name) {
                Some(rule) => read(source, rule),
                None => Ok(Vec::new()),
            }
        }),
    })
}

/// The configuration that lies beside a checkpoint.
fn configured(checkpoint: &Path, options: &ImportOptions) -> Result<CodecConfig, HubError> {
    if let Some(setting) = options.settings.first() {
        return Err(setting.error("this codec is configured by its config.json alone"));
    }
    let path = match &options.config {
        Some(path) => path.clone(),
        None => config_beside(checkpoint),
    };
    match options.from {
        ImportFrom::Encodec => read_hub_config("encodec", &path),
        ImportFrom::Dac => read_hub_config("dac", &path),
        ImportFrom::Mimi => read_hub_config("mimi", &path),
        _ => {
            let expected = "SpeechTokenizer configuration";
            let config = read_config::<speechtokenizer::PackageConfig, SpeechTokenizerConfig>(
                &path, expected,
            )?;
            Ok(CodecConfig::SpeechTokenizer(config))
        }
    }
}

/// The configuration of one of the hub's codecs, by its `model_type`.
pub(crate) fn read_hub_config(kind: &str, path: &Path) -> Result<CodecConfig, HubError> {
    Ok(match kind {
        "encodec" => CodecConfig::Encodec(read_config::<encodec::HubConfig, EncodecConfig>(
            path,
            "EnCodec configuration",
        )?),
        "dac" => CodecConfig::Dac(read_config::<dac::HubConfig, DacConfig>(
            path,
            "DAC configuration",
        )?),
        "mimi" => CodecConfig::Mimi(read_config::<mimi::HubConfig, MimiConfig>(
            path,
            "Mimi configuration",
        )?),
        other => {
            return Err(HubError::Config {
                path: path.to_path_buf(),
                expected: "codec configuration",
                message: format!("`model_type` is {other}, not encodec, dac or mimi"),
            });
        }
    })
}

fn read_config<F: DeserializeOwned, T: TryFrom<F, Error = ConfigError>>(
    path: &Path,
    expected: &'static str,
) -> Result<T, HubError> {
    let foreign: F = read_json(path, expected)?;
    T::try_from(foreign).map_err(|error| HubError::Config {
        path: path.to_path_buf(),
        expected,
        message: error.to_string(),
    })
}

/// How a codec comes out of a file.
struct Plan {
    rules: Vec<ImportRule>,
    is_ignored: fn(&str) -> bool,
}

/// By the names in the file, of which a codec may have several kinds.
fn plan(config: &CodecConfig, source: &dyn TensorSource) -> Result<Plan, HubError> {
    let names = || source.tensors().keys().map(String::as_str);
    let unknown = || {
        let name = config.spec().name;
        HubError::malformed(
            source.path(),
            format!("none of its tensors is one of {name}'s"),
        )
    };
    Ok(match config {
        CodecConfig::SpeechTokenizer(config) => Plan {
            rules: speechtokenizer::import::plan(config),
            is_ignored: speechtokenizer::import::is_ignored,
        },
        CodecConfig::Encodec(config) => {
            let naming = encodec::import::Naming::detect(names()).ok_or_else(unknown)?;
            Plan {
                rules: encodec::import::plan(config, naming),
                is_ignored: encodec::import::is_ignored,
            }
        }
        CodecConfig::Dac(config) => {
            let naming = dac::import::Naming::detect(names()).ok_or_else(unknown)?;
            Plan {
                rules: dac::import::plan(config, naming),
                is_ignored: dac::import::is_ignored,
            }
        }
        CodecConfig::Mimi(config) => {
            let layout = mimi::import::Layout::detect(names()).ok_or_else(unknown)?;
            Plan {
                rules: mimi::import::plan(config, layout),
                is_ignored: mimi::import::is_ignored,
            }
        }
        CodecConfig::SoundStream(config) => Plan {
            rules: soundstream::import::plan(config),
            is_ignored: soundstream::import::is_ignored,
        },
        _ => return Err(unknown()),
    })
}

/// A foreign codec's file under our names: what a rule makes of it is read as if it stood there.
pub(crate) struct Translated<S> {
    source: S,
    tensors: BTreeMap<String, TensorInfo>,
    rules: BTreeMap<String, ImportRule>,
}

impl<S: TensorSource> Translated<S> {
    /// # Errors
    /// The file's tensors are not those of the codec; all that differ are named.
    pub(crate) fn new(source: S, config: &CodecConfig) -> Result<Self, HubError> {
        let Plan {
            rules, is_ignored, ..
        } = plan(config, &source)?;
        check(&rules, is_ignored, &source)
            .0
            .into_result(source.path())?;
        Ok(Self {
            tensors: rules.iter().map(planned).collect(),
            rules: by_target(rules),
            source,
        })
    }
}

impl<S: TensorSource> TensorSource for Translated<S> {
    fn path(&self) -> &Path {
        self.source.path()
    }

    fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        self.source.metadata()
    }

    fn read_chunks(&self, name: &str, sink: &mut dyn FnMut(&[u8])) -> Result<(), HubError> {
        self.info(name)?;
        if let Some(rule) = self.rules.get(name) {
            sink(&read(&self.source, rule)?);
        }
        Ok(())
    }
}

fn planned(rule: &ImportRule) -> (String, TensorInfo) {
    let (dtype, shape) = (DType::F32, rule.shape.clone());
    (rule.target.clone(), TensorInfo { dtype, shape })
}

fn by_target(rules: Vec<ImportRule>) -> BTreeMap<String, ImportRule> {
    rules
        .into_iter()
        .map(|rule| (rule.target.clone(), rule))
        .collect()
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
fn check(
    rules: &[ImportRule],
    is_ignored: fn(&str) -> bool,
    source: &dyn TensorSource,
) -> (TensorReport, BTreeSet<String>) {
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
            ImportSource::Linear { names, .. } => {
                for (name, outputs) in names {
                    one(name, &[*outputs, rule.shape[0]]);
                }
            }
            ImportSource::Means { sums, counts } => {
                one(sums, &rule.shape);
                one(counts, &rule.shape[..1]);
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
    let extra = extra.filter(|name| !used.contains(*name) && !is_ignored(name));
    report.extra.extend(extra.cloned());
    (report, used)
}
