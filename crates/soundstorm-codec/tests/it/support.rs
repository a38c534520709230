//! Fixtures of the reference package, and a codec's parameters by path.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use safetensors::SafeTensors;
use soundstorm_codec::import::HostTensor;
use soundstorm_codec::speechtokenizer::{PackageConfig, import};
use soundstorm_codec::{SpeechTokenizer, SpeechTokenizerConfig};

pub(crate) type B = burn_flex::Flex;

pub(crate) const VARIANTS: [&str; 3] = ["elu", "snake", "one_way"];

/// A file of `xtask/fixtures/speechtokenizer.py`.
pub(crate) struct Fixture {
    pub(crate) config: SpeechTokenizerConfig,
    /// The package's state dict.
    pub(crate) state: BTreeMap<String, HostTensor>,
    bytes: Vec<u8>,
}

impl Fixture {
    pub(crate) fn read(name: &str) -> Self {
        let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
        Self::open(&tests.join("fixtures/speechtokenizer"), name)
    }

    pub(crate) fn open(folder: &Path, name: &str) -> Self {
        let json = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let package: PackageConfig = serde_json::from_str(&json).unwrap();
        let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let mut state = BTreeMap::new();
        for (name, view) in tensors.iter() {
            if let Some(name) = name.strip_prefix("state.") {
                let data = view.data().chunks_exact(4);
                let tensor = HostTensor {
                    shape: view.shape().to_vec(),
                    data: data
                        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                        .collect(),
                };
                state.insert(name.to_owned(), tensor);
            }
        }
        Self {
            config: package.try_into().unwrap(),
            state,
            bytes,
        }
    }

    pub(crate) fn cases(&self) -> usize {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        tensors
            .names()
            .iter()
            .filter(|name| name.starts_with("audio."))
            .count()
    }

    pub(crate) fn float(&self, name: &str) -> Tensor<B, 3> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        let data = view.data().chunks_exact(4);
        let data = data
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect::<Vec<_>>();
        Tensor::from_data(
            TensorData::new(data, view.shape().to_vec()),
            &Default::default(),
        )
    }

    /// Codes, turned from the package's `[levels, batch, frames]`.
    pub(crate) fn codes(&self, name: &str) -> Tensor<B, 3, Int> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        let data = view.data().chunks_exact(8);
        let data = data
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
            .collect::<Vec<_>>();
        let data = TensorData::new(data, view.shape().to_vec());
        Tensor::<B, 3, Int>::from_data(data, &Default::default()).swap_dims(0, 1)
    }

    pub(crate) fn codec(&self) -> SpeechTokenizer<B> {
        import_state(&self.config, &self.state).0
    }
}

/// The codec that the rules make of a state dict, and the names that they took.
pub(crate) fn import_state(
    config: &SpeechTokenizerConfig,
    state: &BTreeMap<String, HostTensor>,
) -> (SpeechTokenizer<B>, BTreeSet<String>) {
    let mut taken = BTreeSet::new();
    let mut values = BTreeMap::new();
    for rule in import::plan(config) {
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

/// The module with a value for each of its parameters, by path.
pub(crate) fn load<M: Module<B>>(module: M, values: BTreeMap<String, HostTensor>) -> M {
    let mut load = Load {
        path: Vec::new(),
        values,
    };
    let module = module.map(&mut load);
    assert!(
        load.values.is_empty(),
        "no such parameter: {:?}",
        load.values.keys()
    );
    module
}

struct Load {
    path: Vec<String>,
    values: BTreeMap<String, HostTensor>,
}

impl ModuleMapper<B> for Load {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let path = self.path.join(".");
        let value = self
            .values
            .remove(&path)
            .unwrap_or_else(|| panic!("no value for {path}"));
        assert_eq!(param.dims().to_vec(), value.shape, "{path}");
        let data = TensorData::new(value.data, value.shape);
        param.map(|old| Tensor::from_data(data, &old.device()))
    }
}

/// Each parameter's path and number of values, in the order of a visitor.
pub(crate) fn parameters<M: Module<B>>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut list = List::default();
    module.visit(&mut list);
    list.found
}

#[derive(Default)]
struct List {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor<B> for List {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.found
            .push((self.path.join("."), param.lazy_shape().to_vec()));
    }
}
