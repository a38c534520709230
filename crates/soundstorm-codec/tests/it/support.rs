//! Fixtures of the reference packages, and a codec's parameters by path.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::prelude::*;
use safetensors::SafeTensors;
use soundstorm_codec::import::{HostTensor, ImportRule};
use soundstorm_codec::speechtokenizer::{PackageConfig, import};
use soundstorm_codec::{SpeechTokenizer, SpeechTokenizerConfig, fold_weight_norm};

pub(crate) type B = burn_flex::Flex;

pub(crate) const VARIANTS: [&str; 3] = ["elu", "snake", "one_way"];

/// A fixture's tensors.
pub(crate) struct Tensors {
    bytes: Vec<u8>,
}

impl Tensors {
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        Self { bytes }
    }

    fn open(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.open();
        names.names().into_iter().map(str::to_owned).collect()
    }

    pub(crate) fn cases(&self) -> usize {
        let names = self.names();
        names.iter().filter(|n| n.starts_with("audio.")).count()
    }

    /// The package's state dict.
    pub(crate) fn state(&self) -> BTreeMap<String, HostTensor> {
        let names = self.names();
        let names = names.iter().filter_map(|name| name.strip_prefix("state."));
        names
            .map(|name| (name.to_owned(), self.host(&format!("state.{name}"))))
            .collect()
    }

    fn host(&self, name: &str) -> HostTensor {
        let tensors = self.open();
        let view = tensors.tensor(name).unwrap();
        let data = view.data().chunks_exact(4);
        HostTensor {
            shape: view.shape().to_vec(),
            data: data
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect(),
        }
    }

    pub(crate) fn float<const D: usize>(&self, name: &str) -> Tensor<B, D> {
        let HostTensor { shape, data } = self.host(name);
        Tensor::from_data(TensorData::new(data, shape), &Default::default())
    }

    pub(crate) fn int<const D: usize>(&self, name: &str) -> Tensor<B, D, Int> {
        let tensors = self.open();
        let view = tensors.tensor(name).unwrap();
        let data = view.data().chunks_exact(8);
        let data = data
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
            .collect::<Vec<_>>();
        let data = TensorData::new(data, view.shape().to_vec());
        Tensor::from_data(data, &Default::default())
    }
}

pub(crate) fn folder(codec: &str) -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests");
    tests.join("fixtures").join(codec)
}

/// A file of `xtask/fixtures/speechtokenizer.py`.
pub(crate) struct Fixture {
    pub(crate) config: SpeechTokenizerConfig,
    /// The package's state dict.
    pub(crate) state: BTreeMap<String, HostTensor>,
    tensors: Tensors,
}

impl Fixture {
    pub(crate) fn read(name: &str) -> Self {
        let folder = folder("speechtokenizer");
        let json = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let package: PackageConfig = serde_json::from_str(&json).unwrap();
        let tensors = Tensors::read(&folder.join(format!("{name}.safetensors")));
        Self {
            config: package.try_into().unwrap(),
            state: tensors.state(),
            tensors,
        }
    }

    pub(crate) fn cases(&self) -> usize {
        self.tensors.cases()
    }

    pub(crate) fn float(&self, name: &str) -> Tensor<B, 3> {
        self.tensors.float(name)
    }

    /// Codes, turned from the package's `[levels, batch, frames]`.
    pub(crate) fn codes(&self, name: &str) -> Tensor<B, 3, Int> {
        self.tensors.int(name).swap_dims(0, 1)
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
    let codec = config.init::<B>(&Default::default()).unwrap();
    apply(import::plan(config), codec, state)
}

/// `codec` with what the rules make of a state dict, and the names that they took.
pub(crate) fn apply<M: Module<B>>(
    rules: Vec<ImportRule>,
    codec: M,
    state: &BTreeMap<String, HostTensor>,
) -> (M, BTreeSet<String>) {
    let mut taken = BTreeSet::new();
    let mut values = BTreeMap::new();
    for rule in rules {
        let value = rule.apply(|name| {
            let tensor = state.get(name).cloned();
            if tensor.is_some() {
                taken.insert(name.to_owned());
            }
            Ok::<_, Infallible>(tensor)
        });
        assert!(values.insert(rule.target, value.unwrap()).is_none());
    }
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

/// A state dict in the other spellings of weight norm: as newer PyTorch names it, and folded.
pub(crate) fn respell(state: &BTreeMap<String, HostTensor>) -> [BTreeMap<String, HostTensor>; 2] {
    let mut parametrized = BTreeMap::new();
    let mut folded = BTreeMap::new();
    for (name, tensor) in state {
        if let Some(base) = name.strip_suffix(".weight_v") {
            let g = &state[&format!("{base}.weight_g")];
            let names = format!("{base}.parametrizations.weight.original");
            parametrized.insert(format!("{names}0"), g.clone());
            parametrized.insert(format!("{names}1"), tensor.clone());
            let data = fold_weight_norm(&g.data, &tensor.data).unwrap();
            let shape = tensor.shape.clone();
            folded.insert(format!("{base}.weight"), HostTensor { shape, data });
        } else if !name.ends_with(".weight_g") {
            parametrized.insert(name.clone(), tensor.clone());
            folded.insert(name.clone(), tensor.clone());
        }
    }
    [parametrized, folded]
}

/// Equal within 1e-5 of the loudest sample, or of 1.
pub(crate) fn assert_close(got: Tensor<B, 3>, expected: Tensor<B, 3>, what: &str) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let scale = expected.clone().abs().max().into_scalar().max(1.0);
    let error = (got - expected).abs().max().into_scalar();
    assert!(error <= 1e-5 * scale, "{what}: off by {error} of {scale}");
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
