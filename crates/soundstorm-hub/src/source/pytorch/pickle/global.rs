//! The names that a pickle may mention. Every other one ends the reading.

use super::{DType, PickleError, Result};

/// The objects that a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Global {
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
    pub(super) fn resolve(module: &str, name: &str) -> Result<Self> {
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
