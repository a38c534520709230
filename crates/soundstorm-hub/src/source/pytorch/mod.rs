//! PyTorch checkpoints, tensors only and nothing executed: the zip archive and the older bare pickle.
//!
//! Both hold a pickle that describes tensors as views of storages, and the storages' raw bytes.

mod container;
mod pickle;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use container::Container;
use pickle::{Node, Pickle, PickleError, TensorRecord};

use super::{TensorInfo, TensorSource};
use crate::HubError;

pub(super) use container::is_legacy;

/// Where training programs put the model's weights in a package.
const MODEL_KEYS: [&str; 2] = ["model", "state_dict"];

/// Where they put the moving average of a model's weights, and what stands before its names there:
/// those who train with one go on with it, and not with the weights of the last step.
const AVERAGE_KEY: &str = "ema_model";
const AVERAGE_PREFIX: &str = "ema_model.";

/// A checkpoint written by `torch.save`: a state dictionary, or a package `{"model": state
/// dictionary, …}` of which only the model is read, or the moving average of its weights
/// (`ema_model`, as ema-pytorch has it) if there is one.
#[derive(Debug)]
pub struct PytorchSource {
    path: PathBuf,
    container: Mutex<Container>,
    tensors: BTreeMap<String, TensorInfo>,
    records: BTreeMap<String, TensorRecord>,
    ignored: Vec<String>,
    metadata: BTreeMap<String, String>,
}

impl PytorchSource {
    /// Reads the pickle and finds every storage that the model's tensors need.
    ///
    /// # Errors
    /// The file is missing, truncated or malformed, is not a state dictionary, or its pickle names
    /// anything but tensors and plain containers ([`HubError::Refused`]).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, HubError> {
        let path = path.as_ref();
        let (mut container, pickle) = Container::open(path)?;
        let (records, ignored) = state_dict(&pickle, path)?;
        for record in records.values() {
            container.require(&record.storage, path)?;
        }
        let tensors = records
            .iter()
            .map(|(name, record)| {
                let info = TensorInfo {
                    dtype: record.storage.dtype,
                    shape: record.shape.clone(),
                };
                (name.clone(), info)
            })
            .collect();
        Ok(Self {
            path: path.to_path_buf(),
            container: Mutex::new(container),
            tensors,
            records,
            ignored,
            metadata: BTreeMap::new(),
        })
    }
}

impl TensorSource for PytorchSource {
    fn path(&self) -> &Path {
        &self.path
    }

    fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    fn ignored(&self) -> &[String] {
        &self.ignored
    }

    fn read_chunks(&self, name: &str, sink: &mut dyn FnMut(&[u8])) -> Result<(), HubError> {
        self.info(name)?;
        let Some(record) = self.records.get(name) else {
            return Ok(());
        };
        if record.elements() == 0 {
            return Ok(());
        }
        let size = record.storage.dtype.size() as u64;
        let key = &record.storage.key;
        let start = record.offset * size;
        let length = (record.end() - record.offset) * size;
        let mut container = self
            .container
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if record.is_contiguous() {
            return container.read(key, start, length, &self.path, sink);
        }
        let mut span = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        container.read(key, start, length, &self.path, &mut |chunk| {
            span.extend_from_slice(chunk);
        })?;
        drop(container);
        gather(record, &span, sink);
        Ok(())
    }
}

/// Walks a strided view in row-major order over the bytes from its first element on.
fn gather(record: &TensorRecord, span: &[u8], sink: &mut dyn FnMut(&[u8])) {
    let size = record.storage.dtype.size();
    let mut index = vec![0_usize; record.shape.len()];
    let mut chunk = Vec::with_capacity(super::CHUNK);
    loop {
        let steps = index.iter().zip(&record.strides);
        let element: u64 = steps.map(|(&i, &step)| i as u64 * step).sum();
        let from = element as usize * size;
        chunk.extend_from_slice(&span[from..from + size]);
        if chunk.len() >= super::CHUNK {
            sink(&chunk);
            chunk.clear();
        }
        // The odometer: the last dimension turns fastest.
        let turned = (0..index.len()).rev().find(|&dim| {
            index[dim] += 1;
            if index[dim] == record.shape[dim] {
                index[dim] = 0;
                return false;
            }
            true
        });
        if turned.is_none() {
            break;
        }
    }
    sink(&chunk);
}

type StateDict = (BTreeMap<String, TensorRecord>, Vec<String>);

/// The entries of a moving average of weights, by the model's names, and the names of what is
/// beside them; nothing if there is none.
fn average<'a>(pickle: &'a Pickle, root: &[(&str, &'a Node)]) -> Option<Average<'a>> {
    let (_, Node::Dict(dict)) = root.iter().find(|(key, _)| *key == AVERAGE_KEY)? else {
        return None;
    };
    let mut entries = Vec::new();
    let mut beside = BTreeSet::new();
    for (name, node) in pickle.entries(dict) {
        match name.strip_prefix(AVERAGE_PREFIX) {
            Some(name) => entries.push((name, node)),
            // The weights of the last step once more, and counters.
            None => drop(beside.insert(name.split('.').next().unwrap_or(name))),
        }
    }
    let beside = beside.into_iter();
    let beside = beside.map(|name| format!("{AVERAGE_PREFIX}{name}"));
    (!entries.is_empty()).then(|| (entries, beside.collect()))
}

type Average<'a> = (Vec<(&'a str, &'a Node)>, Vec<String>);

/// The model's tensors, and the names of what is beside them.
fn state_dict(pickle: &Pickle, path: &Path) -> Result<StateDict, HubError> {
    let Node::Dict(root) = pickle.root() else {
        return Err(HubError::unsupported(
            path,
            "expected a dictionary of tensors",
        ));
    };
    let root = pickle.entries(root);
    let package = MODEL_KEYS.iter().find_map(|wanted| {
        root.iter().find_map(|(key, node)| match node {
            Node::Dict(dict) if key == wanted => Some((*wanted, dict)),
            _ => None,
        })
    });
    let mut ignored = Vec::new();
    let entries = match (average(pickle, &root), package) {
        (Some((entries, beside)), _) => {
            let others = root.iter().filter(|(key, _)| *key != AVERAGE_KEY);
            ignored.extend(others.map(|(key, _)| (*key).to_owned()));
            ignored.extend(beside);
            entries
        }
        (None, Some((model, dict))) => {
            let others = root.iter().filter(|(key, _)| *key != model);
            ignored.extend(others.map(|(key, _)| (*key).to_owned()));
            pickle.entries(dict)
        }
        (None, None) => root,
    };
    let mut records = BTreeMap::new();
    for (name, node) in entries {
        match node {
            Node::Tensor(record) => drop(records.insert(name.to_owned(), record.clone())),
            _ => ignored.push(name.to_owned()),
        }
    }
    if records.is_empty() {
        return Err(HubError::unsupported(
            path,
            "expected a dictionary of tensors or a package with one under `model`, got no tensor",
        ));
    }
    Ok((records, ignored))
}

fn pickle_error(error: PickleError, path: &Path) -> HubError {
    match error {
        PickleError::Io(source) => HubError::io("read", path)(source),
        PickleError::Malformed(message) => HubError::malformed(path, message),
        PickleError::Unsupported(message) => HubError::unsupported(path, message),
        PickleError::Refused(global) => HubError::Refused {
            path: path.to_path_buf(),
            global,
        },
        PickleError::OverLimit { what, limit } => HubError::OverLimit {
            path: path.to_path_buf(),
            what: what.into(),
            limit,
            got: limit + 1,
        },
    }
}
