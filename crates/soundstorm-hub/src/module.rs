//! Any burn module to and from safetensors: a parameter's name is its path of fields, joined by dots.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Bool, Int, Tensor, TensorData, backend::Backend},
};

use crate::{
    DType, HubError, Misshaped, TensorInfo, TensorReport, TensorSource,
    dtype::{f32_bytes, i64_bytes},
    write::{Planned, write_safetensors},
};

/// Names and shapes of a module's parameters, in the order of its fields. Nothing is initialised.
pub fn shapes<B: Backend, M: Module<B>>(module: &M) -> Vec<(String, Vec<usize>)> {
    let planned = plan(module).into_iter();
    planned.map(|(name, info)| (name, info.shape)).collect()
}

/// Writes a module's parameters in single precision (integers as I64), one at a time, and returns
/// the file's SHA-256.
///
/// # Errors
/// The file cannot be written; the destination is untouched then.
pub fn save_module<B: Backend, M: Module<B>>(
    module: &M,
    path: impl AsRef<Path>,
    metadata: &BTreeMap<String, String>,
) -> Result<String, HubError> {
    write_safetensors(path, metadata, &plan(module), |name| {
        let mut fetch = Fetch {
            path: Names::default(),
            wanted: name,
            bytes: None,
        };
        module.visit(&mut fetch);
        fetch.bytes.unwrap_or_else(|| Ok(Vec::new()))
    })
}

/// Fills a module from a file, one tensor at a time. Floating-point tensors of any width become
/// single precision, on the device that each parameter was made for. Parameters that were not
/// initialised yet never are: building a module and loading it costs its weights once.
///
/// # Errors
/// [`HubError::Tensors`] with every missing, extra, misshaped or mistyped tensor, before anything is
/// read; later, the errors of reading.
pub fn load_module<B: Backend, M: Module<B>>(
    module: M,
    source: &dyn TensorSource,
) -> Result<M, HubError> {
    compare(&plan(&module), source.tensors()).into_result(source.path())?;
    let mut load = Load {
        path: Names::default(),
        source,
        failed: None,
    };
    let module = module.map(&mut load);
    match load.failed {
        Some(error) => Err(error),
        None => Ok(module),
    }
}

/// How the tensors of a file differ from those planned.
pub(crate) fn compare(planned: &[Planned], found: &BTreeMap<String, TensorInfo>) -> TensorReport {
    let mut report = TensorReport::default();
    let mut known = BTreeSet::new();
    for (name, expected) in planned {
        known.insert(name.as_str());
        let Some(got) = found.get(name) else {
            report.missing.push(name.clone());
            continue;
        };
        if got.shape != expected.shape {
            report.misshaped.push(Misshaped {
                name: name.clone(),
                expected: expected.shape.clone(),
                got: got.shape.clone(),
            });
        }
        if got.dtype.is_float() != expected.dtype.is_float() {
            let kind = if expected.dtype.is_float() {
                "floating-point values"
            } else {
                "integers"
            };
            let message = format!("expected {kind}, got {}", got.dtype);
            report.mistyped.push((name.clone(), message));
        }
    }
    let extra = found.keys().filter(|name| !known.contains(name.as_str()));
    report.extra.extend(extra.cloned());
    report
}

/// A module's parameters as they are stored.
pub(crate) fn plan<B: Backend, M: Module<B>>(module: &M) -> Vec<Planned> {
    let mut plan = Plan::default();
    module.visit(&mut plan);
    plan.found
}

/// The fields entered so far.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn joined(&self) -> String {
        self.0.join(".")
    }
}

#[derive(Default)]
struct Plan {
    path: Names,
    found: Vec<Planned>,
}

impl Plan {
    fn add(&mut self, dtype: DType, shape: Vec<usize>) {
        let info = TensorInfo { dtype, shape };
        self.found.push((self.path.joined(), info));
    }
}

impl<B: Backend> ModuleVisitor<B> for Plan {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.add(DType::F32, param.lazy_shape().to_vec());
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<B, D, Int>>) {
        self.add(DType::I64, param.lazy_shape().to_vec());
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<B, D, Bool>>) {
        self.add(DType::Bool, param.lazy_shape().to_vec());
    }
}

/// Takes the bytes of one parameter.
struct Fetch<'a> {
    path: Names,
    wanted: &'a str,
    bytes: Option<Result<Vec<u8>, HubError>>,
}

impl Fetch<'_> {
    fn wanted(&self) -> bool {
        self.bytes.is_none() && self.path.joined() == self.wanted
    }

    fn set<E: burn::tensor::Element>(&mut self, data: TensorData, bytes: fn(&[E]) -> Vec<u8>) {
        let name = self.wanted;
        let found = data.convert::<E>().as_slice::<E>().map(bytes);
        self.bytes = Some(found.map_err(|error| HubError::Invalid {
            operation: "save a module",
            expected: format!("plain values in {name}"),
            got: format!("{error:?}"),
        }));
    }
}

impl<B: Backend> ModuleVisitor<B> for Fetch<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if self.wanted() {
            self.set(param.val().into_data(), f32_bytes);
        }
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<B, D, Int>>) {
        if self.wanted() {
            self.set(param.val().into_data(), i64_bytes);
        }
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<B, D, Bool>>) {
        if self.wanted() {
            let bytes = |values: &[bool]| values.iter().map(|v| u8::from(*v)).collect();
            self.set(param.val().into_data(), bytes);
        }
    }
}

/// Replaces each parameter by the file's tensor of that name; stops reading at the first failure.
struct Load<'a> {
    path: Names,
    source: &'a dyn TensorSource,
    failed: Option<HubError>,
}

impl Load<'_> {
    fn read<T>(&mut self, read: fn(&dyn TensorSource, &str) -> Result<T, HubError>) -> Option<T> {
        if self.failed.is_some() {
            return None;
        }
        match read(self.source, &self.path.joined()) {
            Ok(values) => Some(values),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

impl<B: Backend> ModuleMapper<B> for Load<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let Some(values) = self.read(|source, name| source.read_f32(name)) else {
            return param;
        };
        let data = TensorData::new(values, param.lazy_shape());
        let tensor = Tensor::from_data(data, &param.lazy_device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }

    fn map_int<const D: usize>(
        &mut self,
        param: Param<Tensor<B, D, Int>>,
    ) -> Param<Tensor<B, D, Int>> {
        let Some(values) = self.read(|source, name| source.read_i64(name)) else {
            return param;
        };
        let data = TensorData::new(values, param.lazy_shape());
        let tensor = Tensor::from_data(data, &param.lazy_device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<B, D, Bool>>,
    ) -> Param<Tensor<B, D, Bool>> {
        let Some(values) = self.read(|source, name| source.read_i64(name)) else {
            return param;
        };
        let values: Vec<bool> = values.into_iter().map(|v| v != 0).collect();
        let data = TensorData::new(values, param.lazy_shape());
        let tensor = Tensor::from_data(data, &param.lazy_device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}
