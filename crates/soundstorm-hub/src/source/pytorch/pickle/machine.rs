//! The stack machine that carries out a pickle's opcodes, in place of Python.

use std::{collections::HashMap, io::BufRead};

use super::{
    Id, Node, PickleError, Result, Storage, TensorRecord, global::Global, input::Input, malformed,
};

/// The most objects that a pickle may create.
const MAX_NODES: usize = 4_000_000;

pub(super) struct Machine<'a> {
    pub(super) input: Input<'a>,
    pub(super) nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(reader: &'a mut dyn BufRead) -> Self {
        Self {
            input: Input::new(reader),
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// Reads to the end of the pickle; returns its root.
    pub(super) fn run(&mut self) -> Result<Id> {
        loop {
            let opcode = self.input.byte()?;
            match opcode {
                b'.' => return self.pop(), // STOP
                0x80 => {
                    let protocol = self.input.byte()?; // PROTO
                    if protocol > 5 {
                        return Err(PickleError::Unsupported(format!(
                            "pickle protocol {protocol}"
                        )));
                    }
                }
                0x95 => drop(self.input.array::<8>()?), // FRAME
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
                    let line = self.input.line()?;
                    let digits = line.strip_suffix('L').unwrap_or(&line);
                    self.parse_int(digits)?;
                }
                b'J' => {
                    let value = i32::from_le_bytes(self.input.array()?);
                    self.push(Node::Int(value.into()))?;
                }
                b'K' => {
                    let value = self.input.byte()?;
                    self.push(Node::Int(value.into()))?;
                }
                b'M' => {
                    let value = u16::from_le_bytes(self.input.array()?);
                    self.push(Node::Int(value.into()))?;
                }
                0x8a => {
                    let length = self.input.byte()?;
                    self.long(length.into())?;
                }
                0x8b => {
                    let length = u32::from_le_bytes(self.input.array()?);
                    self.long(length.into())?;
                }
                b'F' => {
                    self.input.line()?;
                    self.push(Node::Opaque)?;
                }
                b'G' => {
                    self.input.array::<8>()?;
                    self.push(Node::Opaque)?;
                }
                b'S' | b'V' => {
                    let line = self.input.line()?;
                    let text = line.trim_matches(['\'', '"']).to_owned();
                    self.push(Node::Text(text))?;
                }
                b'U' | 0x8c => {
                    let length = self.input.byte()?;
                    self.text(length.into())?;
                }
                b'T' | b'X' => {
                    let length = u32::from_le_bytes(self.input.array()?);
                    self.text(length.into())?;
                }
                0x8d => {
                    let length = u64::from_le_bytes(self.input.array()?);
                    self.text(length)?;
                }
                b'C' => {
                    let length = self.input.byte()?;
                    self.opaque_bytes(length.into())?;
                }
                b'B' => {
                    let length = u32::from_le_bytes(self.input.array()?);
                    self.opaque_bytes(length.into())?;
                }
                0x8e | 0x96 => {
                    let length = u64::from_le_bytes(self.input.array()?);
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
                    let (module, name) = (self.input.line()?, self.input.line()?);
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
                    let key = self.input.byte()?;
                    self.get(key.into())?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.input.array()?);
                    self.get(key.into())?;
                }
                b'g' => {
                    let key = self.input.line_number()?;
                    self.get(key)?;
                }
                b'q' => {
                    let key = self.input.byte()?;
                    self.put(key.into())?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.input.array()?);
                    self.put(key.into())?;
                }
                b'p' => {
                    let key = self.input.line_number()?;
                    self.put(key)?;
                }
                0x94 => self.put(self.memo.len() as u64)?, // MEMOIZE
                b'i' => {
                    // INST names a class and calls it; nothing harmless is written this way.
                    let (module, name) = (self.input.line()?, self.input.line()?);
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

    // Values.

    fn text(&mut self, length: u64) -> Result<()> {
        let bytes = self.input.bytes(length)?;
        let text = String::from_utf8(bytes).map_err(|_| malformed("text that is not UTF-8"))?;
        self.push(Node::Text(text))
    }

    fn opaque_bytes(&mut self, length: u64) -> Result<()> {
        self.input.bytes(length)?;
        self.push(Node::Opaque)
    }

    fn int_line(&mut self) -> Result<()> {
        let line = self.input.line()?;
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
        let bytes = self.input.bytes(length)?;
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

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        return Err(malformed("a key without a value"));
    }
    Ok(items
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect())
}
