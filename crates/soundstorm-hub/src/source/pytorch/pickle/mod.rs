//! A pickle reader that cannot run anything: a stack machine that knows tensors, storages and plain containers.
//!
//! Follows the opcode table of Python's `pickletools` (protocols 0 to 5). A pickle asks for code by
//! naming a global; every name that is not on [`Global::resolve`]'s short list ends the reading.

mod global;
mod input;
mod machine;
mod tensor;

use std::{collections::HashMap, io::BufRead};

use crate::DType;
use global::Global;
use machine::Machine;
pub(super) use tensor::{Storage, TensorRecord};

/// The largest pickle that is read, in bytes. A model's pickle holds names and shapes only.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Why a pickle was not read.
#[derive(Debug)]
pub(super) enum PickleError {
    Io(std::io::Error),
    Malformed(String),
    Unsupported(String),
    /// A global that is not on the list, as `module.name`.
    Refused(String),
    OverLimit {
        what: &'static str,
        limit: u64,
    },
}

type Result<T, E = PickleError> = std::result::Result<T, E>;

impl From<std::io::Error> for PickleError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => malformed("the pickle ends early"),
            _ => Self::Io(error),
        }
    }
}

fn malformed(message: impl Into<String>) -> PickleError {
    PickleError::Malformed(message.into())
}

/// An object's place in [`Pickle::nodes`]. Objects refer to each other by place, so that shared and
/// even cyclic structures cost nothing.
pub(super) type Id = usize;

/// An object of the pickle.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits, little-endian two's complement.
    BigInt(Vec<u8>),
    Text(String),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(TensorRecord),
    /// Something harmless that is of no interest: a float, bytes, a set, a device, a numpy scalar.
    Opaque,
}

/// A pickle that was read: its objects, and which of them it is.
#[derive(Debug)]
pub(super) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    /// Reads one pickle from its start to its `STOP`, and nothing after it.
    pub(super) fn read(reader: &mut dyn BufRead) -> Result<Self> {
        let mut machine = Machine::new(reader);
        let outcome = machine.run();
        match outcome {
            // The budget of bytes is used up: that, and not a truncated file, is what happened.
            Err(PickleError::Malformed(_)) if machine.input.is_used_up() => {
                Err(PickleError::OverLimit {
                    what: "the length of the pickle",
                    limit: MAX_BYTES,
                })
            }
            Err(error) => Err(error),
            Ok(root) => Ok(Self {
                nodes: machine.nodes,
                root,
            }),
        }
    }

    pub(super) fn root(&self) -> &Node {
        self.node(self.root)
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        // Identifiers come from this vector, which only grows.
        self.nodes.get(id).unwrap_or(&Node::Opaque)
    }

    /// All objects, in the order of their creation.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The entries of a dictionary whose keys are text, the later of two equal keys standing.
    pub(super) fn entries(&self, dict: &[(Id, Id)]) -> Vec<(&str, &Node)> {
        let mut found: Vec<(&str, &Node)> = Vec::new();
        let mut places = HashMap::new();
        for (key, value) in dict {
            if let Node::Text(key) = self.node(*key) {
                let value = self.node(*value);
                match places.get(key.as_str()) {
                    Some(&place) => found[place] = (key.as_str(), value),
                    None => {
                        places.insert(key.as_str(), found.len());
                        found.push((key.as_str(), value));
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(bytes: &[u8]) -> Result<Pickle> {
        Pickle::read(&mut &*bytes)
    }

    #[test]
    fn every_global_that_is_not_listed_is_refused_by_name() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("torch", "load"),
            ("torch.storage", "Size"),
            ("torch.storage", "_load_from_bytes"),
            ("numpy.core.multiarray", "_reconstruct"),
        ] {
            let protocol_0 = format!("c{module}\n{name}\n(S'id'\ntR.");
            let inst = format!("(S'id'\ni{module}\n{name}\n.");
            let mut stack_global = vec![0x80, 4, 0x8c, module.len() as u8];
            stack_global.extend(module.bytes());
            stack_global.extend([0x8c, name.len() as u8]);
            stack_global.extend(name.bytes());
            stack_global.extend(b"\x93)R.");
            for bytes in [protocol_0.into_bytes(), inst.into_bytes(), stack_global] {
                match read(&bytes) {
                    Err(PickleError::Refused(global)) => {
                        assert_eq!(global, format!("{module}.{name}"));
                    }
                    other => panic!("{module}.{name}: {other:?}"),
                }
            }
        }
    }

    #[test]
    fn a_container_filled_after_it_was_shared_is_filled_everywhere() {
        // [d, d] with d = {} memoized, then d["k"] = 7
        let pickle = read(b"\x80\x02]}q\x00\x8c\x01kK\x07sah\x00a.").unwrap();
        let Node::List(items) = pickle.root() else {
            panic!("{:?}", pickle.root());
        };
        assert_eq!(items.len(), 2);
        for item in items {
            let Node::Dict(dict) = pickle.node(*item) else {
                panic!("not a dictionary");
            };
            assert!(matches!(pickle.entries(dict)[..], [("k", Node::Int(7))]));
        }
    }

    #[test]
    fn integers_of_every_opcode() {
        for (bytes, expected) in [
            (&b"K\xff."[..], 255),
            (b"M\x01\x01.", 257),
            (b"J\xff\xff\xff\xff.", -1),
            (b"\x8a\x02\x00\xff.", -256),
            (b"\x8a\x00.", 0),
            (b"\x8b\x01\x00\x00\x00\x7f.", 127),
            (b"I-12\n.", -12),
            (b"L-13L\n.", -13),
        ] {
            let pickle = read(bytes).unwrap();
            assert!(
                matches!(pickle.root(), Node::Int(v) if *v == expected),
                "{bytes:?} {:?}",
                pickle.root()
            );
        }
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic() {
        let cases: [&[u8]; 14] = [
            b"",
            b".",
            b"0.",
            b"t.",
            b"(0.",
            b"R.",
            b"h\x07.",
            b"(K\x01u.",
            b"K\x01K\x02a.",
            b"K\x01K\x02K\x03s.",
            b"K\x01Nb.",
            b"K\x01Q.",
            b"X\xff\xff\xff\xffshort",
            b"(ctorch._utils\n_rebuild_tensor_v2\n)R.",
        ];
        for bytes in cases {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        // Every single byte as the first opcode, and every prefix of a real pickle.
        for first in 0..=255_u8 {
            let _ = read(&[first]);
            let _ = read(&[b'K', 1, b'K', 2, first, b'.']);
        }
        let whole = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x07X\x01\x00\x00\x00bq\x02K\x08u.";
        assert!(read(whole).is_ok());
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err());
        }
    }

    #[test]
    fn a_tensor_must_lie_inside_its_storage() {
        let record = |elements, offset, shape: &[usize], strides: &[u64]| TensorRecord {
            storage: Storage {
                key: "0".into(),
                dtype: DType::F32,
                elements,
            },
            offset,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        };
        assert!(record(6, 0, &[2, 3], &[3, 1]).check().is_ok());
        assert!(record(6, 0, &[3, 2], &[1, 3]).check().is_ok());
        assert!(record(6, 1, &[2, 3], &[3, 1]).check().is_err());
        assert!(record(6, 0, &[2, 3], &[4, 1]).check().is_err());
        assert!(record(6, 0, &[2, 3], &[3]).check().is_err());
        assert!(record(1, 0, &[1 << 40, 1 << 40], &[0, 0]).check().is_err());
        assert!(record(1, 0, &[1 << 21], &[0]).check().is_err());
        assert!(record(1, 0, &[2, 1 << 62], &[0, 0]).check().is_err());
        assert!(record(6, 9, &[0, 3], &[3, 1]).check().is_ok());
        assert!(record(6, 0, &[2, 3], &[3, 1]).is_contiguous());
        assert!(!record(6, 0, &[3, 2], &[1, 3]).is_contiguous());
        assert!(record(6, 0, &[1, 6], &[99, 1]).is_contiguous());
    }
}
