//! A pickle reader that cannot run anything: a stack machine that knows tensors, storages and plain containers.
//!
//! Follows the opcode table of Python's `pickletools` (protocols 0 to 5). A pickle asks for code by
//! naming a global; every name that is not on [`Global::resolve`]'s short list ends the reading.

use std::{
    collections::HashMap,
    io::{BufRead, Read},
};

use crate::DType;

/// The largest pickle that is read, in bytes. A model's pickle holds names and shapes only.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// The most objects that a pickle may create.
const MAX_NODES: usize = 4_000_000;
/// The most dimensions of a tensor.
const MAX_RANK: usize = 16;

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

/// A storage: a named run of elements outside the pickle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) dtype: DType,
    /// Number of elements.
    pub(super) elements: u64,
}

/// A tensor: a strided view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorRecord {
    pub(super) storage: Storage,
    /// First element, counted in elements from the start of the storage.
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    /// Step along each dimension, in elements.
    pub(super) strides: Vec<u64>,
}

/// The objects that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// `OrderedDict` or `defaultdict`: becomes a dictionary.
    Dict,
    /// A storage class.
    Storage(DType),
    /// `_rebuild_tensor_v2(storage, offset, size, stride, …)`, or its predecessor with the same start.
    RebuildTensor,
    /// `_rebuild_parameter(tensor, …)`.
    RebuildParameter,
    /// A harmless value type whose result is not looked at.
    Inert,
}

impl Global {
    fn resolve(module: &str, name: &str) -> Result<Self> {
        let inert = |ok| if ok { Some(Self::Inert) } else { None };
        let found = match module {
            "collections" => match name {
                "OrderedDict" | "defaultdict" => Some(Self::Dict),
                _ => inert(name == "Counter"),
            },
            "torch._utils" => match name {
                "_rebuild_tensor" | "_rebuild_tensor_v2" => Some(Self::RebuildTensor),
                "_rebuild_parameter" | "_rebuild_parameter_with_state" => {
                    Some(Self::RebuildParameter)
                }
                _ => None,
            },
            "torch" | "torch.storage" => storage_dtype(name).map(Self::Storage).or_else(|| {
                inert(
                    module == "torch" && matches!(name, "Size" | "device" | "dtype") || {
                        module == "torch" && is_dtype_name(name)
                    },
                )
            }),
            "builtins" | "__builtin__" => match name {
                "dict" => Some(Self::Dict),
                _ => inert(matches!(
                    name,
                    "set" | "frozenset" | "int" | "float" | "bool" | "str" | "list" | "tuple"
                )),
            },
            "numpy" => inert(name == "dtype"),
            "numpy.core.multiarray" | "numpy._core.multiarray" => inert(name == "scalar"),
            "_codecs" => inert(name == "encode"),
            _ => None,
        };
        found.ok_or_else(|| PickleError::Refused(format!("{module}.{name}")))
    }
}

fn storage_dtype(class: &str) -> Option<DType> {
    Some(match class {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "IntStorage" => DType::I32,
        "ShortStorage" => DType::I16,
        "CharStorage" => DType::I8,
        "ByteStorage" => DType::U8,
        "BoolStorage" => DType::Bool,
        _ => return None,
    })
}

fn is_dtype_name(name: &str) -> bool {
    matches!(
        name,
        "float32"
            | "float64"
            | "float16"
            | "bfloat16"
            | "int64"
            | "int32"
            | "int16"
            | "int8"
            | "uint8"
            | "bool"
    )
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
        let mut machine = Machine {
            reader: reader.take(MAX_BYTES),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        let outcome = machine.run();
        match outcome {
            // The budget of bytes is used up: that, and not a truncated file, is what happened.
            Err(PickleError::Malformed(_)) if machine.reader.limit() == 0 => {
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

struct Machine<'a> {
    reader: std::io::Take<&'a mut dyn BufRead>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id> {
        loop {
            let opcode = self.byte()?;
            match opcode {
                b'.' => return self.pop(), // STOP
                0x80 => {
                    let protocol = self.byte()?; // PROTO
                    if protocol > 5 {
                        return Err(PickleError::Unsupported(format!(
                            "pickle protocol {protocol}"
                        )));
                    }
                }
                0x95 => drop(self.array::<8>()?), // FRAME
                b'(' => self.marks.push(self.stack.len()),
                b'0' => match self.marks.last() {
                    // POP takes back a mark when that is what is on top.
                    Some(&mark) if mark == self.stack.len() => drop(self.marks.pop()),
                    _ => drop(self.pop()?),
                },
                b'1' => drop(self.pop_mark()?),
                b'2' => {
                    let top = self.top()?; // DUP
                    self.stack.push(top);
                }
                b'N' => self.push(Node::Null)?,
                0x88 => self.push(Node::Bool(true))?,
                0x89 => self.push(Node::Bool(false))?,
                b'I' => self.int_line()?,
                b'L' => {
                    let line = self.line()?;
                    let digits = line.strip_suffix('L').unwrap_or(&line);
                    self.parse_int(digits)?;
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.array()?);
                    self.push(Node::Int(value.into()))?;
                }
                b'K' => {
                    let value = self.byte()?;
                    self.push(Node::Int(value.into()))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.array()?);
                    self.push(Node::Int(value.into()))?;
                }
                0x8a => {
                    let length = self.byte()?;
                    self.long(length.into())?;
                }
                0x8b => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.long(length.into())?;
                }
                b'F' => {
                    self.line()?;
                    self.push(Node::Opaque)?;
                }
                b'G' => {
                    self.array::<8>()?;
                    self.push(Node::Opaque)?;
                }
                b'S' | b'V' => {
                    let line = self.line()?;
                    let text = line.trim_matches(['\'', '"']).to_owned();
                    self.push(Node::Text(text))?;
                }
                b'U' | 0x8c => {
                    let length = self.byte()?;
                    self.text(length.into())?;
                }
                b'T' | b'X' => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.text(length.into())?;
                }
                0x8d => {
                    let length = u64::from_le_bytes(self.array()?);
                    self.text(length)?;
                }
                b'C' => {
                    let length = self.byte()?;
                    self.opaque_bytes(length.into())?;
                }
                b'B' => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.opaque_bytes(length.into())?;
                }
                0x8e | 0x96 => {
                    let length = u64::from_le_bytes(self.array()?);
                    self.opaque_bytes(length)?;
                }
                b']' => self.push(Node::List(Vec::new()))?,
                b')' => self.push(Node::Tuple(Vec::new()))?,
                b'}' => self.push(Node::Dict(Vec::new()))?,
                0x8f => self.push(Node::Opaque)?, // EMPTY_SET
                b'l' => {
                    let items = self.pop_mark()?;
                    self.push(Node::List(items))?;
                }
                b't' => {
                    let items = self.pop_mark()?;
                    self.push(Node::Tuple(items))?;
                }
                b'd' => {
                    let items = pairs(&self.pop_mark()?)?;
                    self.push(Node::Dict(items))?;
                }
                0x85..=0x87 => {
                    let count = usize::from(opcode - 0x84); // TUPLE1, TUPLE2, TUPLE3
                    let from = self.floor(count)?;
                    let items = self.stack.split_off(from);
                    self.push(Node::Tuple(items))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend_list(&[item])?;
                }
                b'e' => {
                    let items = self.pop_mark()?;
                    self.extend_list(&items)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.extend_dict(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_mark()?;
                    self.extend_dict(&items)?;
                }
                0x90 => drop(self.pop_mark()?), // ADDITEMS
                0x91 => {
                    self.pop_mark()?; // FROZENSET
                    self.push(Node::Opaque)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Node::Global(Global::resolve(&module, &name)?))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?); // STACK_GLOBAL
                    let (name, module) = (self.as_text(name)?, self.as_text(module)?);
                    let global = Global::resolve(&module, &name)?;
                    self.push(Node::Global(global))?;
                }
                b'R' | 0x81 => {
                    let (arguments, callee) = (self.pop()?, self.pop()?); // REDUCE, NEWOBJ
                    self.call(callee, arguments)?;
                }
                0x92 => {
                    self.pop()?; // NEWOBJ_EX: keyword arguments
                    let (arguments, callee) = (self.pop()?, self.pop()?);
                    self.call(callee, arguments)?;
                }
                b'b' => {
                    // BUILD sets attributes, which only Python objects have: an OrderedDict's
                    // `_metadata` for one.
                    self.pop()?;
                    let target = self.top()?;
                    if !matches!(
                        self.node(target),
                        Node::Dict(_) | Node::Opaque | Node::Tensor(_)
                    ) {
                        return Err(malformed("attributes for something that has none"));
                    }
                }
                b'Q' => {
                    let id = self.pop()?; // BINPERSID
                    let storage = self.storage(id)?;
                    self.push(Node::Storage(storage))?;
                }
                b'h' => {
                    let key = self.byte()?;
                    self.get(key.into())?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.array()?);
                    self.get(key.into())?;
                }
                b'g' => {
                    let key = self.line_number()?;
                    self.get(key)?;
                }
                b'q' => {
                    let key = self.byte()?;
                    self.put(key.into())?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.array()?);
                    self.put(key.into())?;
                }
                b'p' => {
                    let key = self.line_number()?;
                    self.put(key)?;
                }
                0x94 => self.put(self.memo.len() as u64)?, // MEMOIZE
                b'i' => {
                    // INST names a class and calls it; nothing harmless is written this way.
                    let (module, name) = (self.line()?, self.line()?);
                    return Err(PickleError::Refused(format!("{module}.{name}")));
                }
                other => {
                    return Err(PickleError::Unsupported(format!(
                        "pickle opcode 0x{other:02x}"
                    )));
                }
            }
        }
    }

    // Bytes.

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Grows with what is really there, so that a length without data costs nothing.
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let got = (&mut self.reader).take(length).read_to_end(&mut bytes)?;
        if got as u64 == length {
            Ok(bytes)
        } else {
            Err(malformed("the pickle ends early"))
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(malformed("the pickle ends early"));
        }
        String::from_utf8(line).map_err(|_| malformed("text that is not UTF-8"))
    }

    fn line_number(&mut self) -> Result<u64> {
        let line = self.line()?;
        line.trim()
            .parse()
            .map_err(|_| malformed(format!("expected a number, got `{line}`")))
    }

    fn text(&mut self, length: u64) -> Result<()> {
        let bytes = self.bytes(length)?;
        let text = String::from_utf8(bytes).map_err(|_| malformed("text that is not UTF-8"))?;
        self.push(Node::Text(text))
    }

    fn opaque_bytes(&mut self, length: u64) -> Result<()> {
        self.bytes(length)?;
        self.push(Node::Opaque)
    }

    fn int_line(&mut self) -> Result<()> {
        let line = self.line()?;
        match line.as_str() {
            "00" => self.push(Node::Bool(false)),
            "01" => self.push(Node::Bool(true)),
            digits => self.parse_int(digits),
        }
    }

    fn parse_int(&mut self, digits: &str) -> Result<()> {
        let value = digits
            .trim()
            .parse()
            .map_err(|_| malformed(format!("expected an integer, got `{digits}`")))?;
        self.push(Node::Int(value))
    }

    fn long(&mut self, length: u64) -> Result<()> {
        let bytes = self.bytes(length)?;
        if bytes.len() > 8 {
            return self.push(Node::BigInt(bytes));
        }
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut filled = [if negative { 0xff } else { 0 }; 8];
        filled[..bytes.len()].copy_from_slice(&bytes);
        self.push(Node::Int(i64::from_le_bytes(filled)))
    }

    // The stack.

    fn push(&mut self, node: Node) -> Result<()> {
        if self.nodes.len() >= MAX_NODES {
            return Err(PickleError::OverLimit {
                what: "the number of objects in the pickle",
                limit: MAX_NODES as u64,
            });
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    /// Where the top `count` objects start, if there are that many above the last mark.
    fn floor(&self, count: usize) -> Result<usize> {
        let mark = self.marks.last().copied().unwrap_or(0);
        self.stack
            .len()
            .checked_sub(count)
            .filter(|&from| from >= mark)
            .ok_or_else(|| malformed("the stack is empty"))
    }

    fn pop(&mut self) -> Result<Id> {
        self.floor(1)?;
        self.stack
            .pop()
            .ok_or_else(|| malformed("the stack is empty"))
    }

    fn top(&self) -> Result<Id> {
        Ok(self.stack[self.floor(1)?])
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or_else(|| malformed("no mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn get(&mut self, key: u64) -> Result<()> {
        let id = self.memo.get(&key).copied();
        self.stack
            .push(id.ok_or_else(|| malformed(format!("memo {key} is empty")))?);
        Ok(())
    }

    fn put(&mut self, key: u64) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    // Objects.

    fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Opaque)
    }

    fn as_text(&self, id: Id) -> Result<String> {
        match self.node(id) {
            Node::Text(text) => Ok(text.clone()),
            _ => Err(malformed("expected text")),
        }
    }

    fn as_items(&self, id: Id) -> Result<Vec<Id>> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) => Ok(items.clone()),
            _ => Err(malformed("expected a tuple")),
        }
    }

    fn as_size(&self, id: Id) -> Result<u64> {
        match self.node(id) {
            Node::Int(value) => {
                u64::try_from(*value).map_err(|_| malformed(format!("a negative size: {value}")))
            }
            _ => Err(malformed("expected an integer")),
        }
    }

    fn as_sizes(&self, id: Id) -> Result<Vec<u64>> {
        let items = self.as_items(id)?;
        items.into_iter().map(|item| self.as_size(item)).collect()
    }

    fn extend_list(&mut self, items: &[Id]) -> Result<()> {
        let target = self.top()?;
        match self.nodes.get_mut(target) {
            Some(Node::List(list)) => list.extend_from_slice(items),
            Some(Node::Opaque) => {}
            _ => return Err(malformed("items for something that is not a list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result<()> {
        let items = pairs(items)?;
        let target = self.top()?;
        match self.nodes.get_mut(target) {
            Some(Node::Dict(dict)) => dict.extend(items),
            Some(Node::Opaque) => {}
            _ => return Err(malformed("items for something that is not a dictionary")),
        }
        Ok(())
    }

    /// Stands in for a call: none of the listed globals needs more than its arguments looked at.
    fn call(&mut self, callee: Id, arguments: Id) -> Result<()> {
        let Node::Global(global) = *self.node(callee) else {
            return Err(malformed("a call of something that is not a global"));
        };
        let arguments = self.as_items(arguments)?;
        let first = arguments.first().copied();
        let node = match global {
            Global::Inert => Node::Opaque,
            Global::Dict => {
                // OrderedDict([[key, value], …]) is how the oldest protocols write its items.
                let mut items = Vec::new();
                if let Some(Node::List(list)) = first.map(|id| self.node(id)) {
                    for item in list {
                        items.extend(pairs(&self.as_items(*item)?)?);
                    }
                }
                Node::Dict(items)
            }
            Global::Storage(_) => {
                return Err(PickleError::Unsupported(
                    "a storage inside the pickle".into(),
                ));
            }
            Global::RebuildTensor => Node::Tensor(self.tensor(&arguments)?),
            Global::RebuildParameter => match first.map(|id| self.node(id)) {
                Some(Node::Tensor(tensor)) => Node::Tensor(tensor.clone()),
                _ => return Err(malformed("a parameter without a tensor")),
            },
        };
        self.push(node)
    }

    /// `("storage", class, key, device, elements, …)`, the persistent id of a storage.
    fn storage(&self, id: Id) -> Result<Storage> {
        let [kind, class, key, _, elements, rest @ ..] = &self.as_items(id)?[..] else {
            return Err(malformed("a persistent id that is not a storage"));
        };
        if self.as_text(*kind)? != "storage" {
            return Err(malformed("a persistent id that is not a storage"));
        }
        if rest.iter().any(|id| !matches!(self.node(*id), Node::Null)) {
            return Err(PickleError::Unsupported(
                "storages that are views of other storages".into(),
            ));
        }
        let Node::Global(Global::Storage(dtype)) = *self.node(*class) else {
            return Err(malformed("a storage without an element type"));
        };
        Ok(Storage {
            key: self.as_text(*key)?,
            dtype,
            elements: self.as_size(*elements)?,
        })
    }

    fn tensor(&self, arguments: &[Id]) -> Result<TensorRecord> {
        let [storage, offset, shape, strides, ..] = arguments else {
            return Err(malformed("a tensor without a shape"));
        };
        let Node::Storage(storage) = self.node(*storage) else {
            return Err(malformed("a tensor without a storage"));
        };
        let tensor = TensorRecord {
            storage: storage.clone(),
            offset: self.as_size(*offset)?,
            shape: self
                .as_sizes(*shape)?
                .into_iter()
                .map(|n| usize::try_from(n).map_err(|_| malformed("a size over the limit")))
                .collect::<Result<_>>()?,
            strides: self.as_sizes(*strides)?,
        };
        tensor.check()?;
        Ok(tensor)
    }
}

impl TensorRecord {
    /// Number of elements; checked not to overflow.
    pub(super) fn elements(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }

    /// One more than the last element of the storage that is touched.
    pub(super) fn end(&self) -> u64 {
        if self.elements() == 0 {
            return self.offset;
        }
        let steps = self.shape.iter().zip(&self.strides);
        self.offset + 1 + steps.map(|(&n, &step)| (n as u64 - 1) * step).sum::<u64>()
    }

    /// True when the elements lie one after another in row-major order.
    pub(super) fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        for (&n, &step) in self.shape.iter().zip(&self.strides).rev() {
            if n != 1 && step != expected {
                return false;
            }
            expected *= n as u64;
        }
        true
    }

    fn check(&self) -> Result<()> {
        if self.shape.len() != self.strides.len() || self.shape.len() > MAX_RANK {
            return Err(malformed(format!(
                "a tensor of shape {:?} with strides {:?}",
                self.shape, self.strides
            )));
        }
        let overflow = || malformed(format!("a tensor of shape {:?} overflows", self.shape));
        let mut elements = 1_u64;
        let mut end = self.offset;
        for (&n, &step) in self.shape.iter().zip(&self.strides) {
            elements = elements.checked_mul(n as u64).ok_or_else(overflow)?;
            end = step
                .checked_mul((n as u64).saturating_sub(1))
                .and_then(|span| end.checked_add(span))
                .ok_or_else(overflow)?;
        }
        elements.checked_mul(8).ok_or_else(overflow)?;
        end.checked_add(1)
            .and_then(|end| end.checked_mul(8))
            .ok_or_else(overflow)?;
        // A view that repeats elements (`expand`) would let a small file ask for any memory.
        if elements > self.storage.elements.max(1 << 20) {
            return Err(malformed(format!(
                "a tensor of shape {:?} in a storage of {} elements",
                self.shape, self.storage.elements
            )));
        }
        if elements > 0 && self.end() > self.storage.elements {
            return Err(malformed(format!(
                "a tensor that ends at element {} of a storage of {}",
                self.end(),
                self.storage.elements
            )));
        }
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        return Err(malformed("a key without a value"));
    }
    Ok(items
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect())
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
