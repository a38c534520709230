//! The `--dtype` argument: a cast of parameters and inputs while running, never another backend type.

use std::fmt;
use std::str::FromStr;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, FloatDType, Tensor};

use crate::{Result, RuntimeError};

/// The number format to compute in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DTypeArg {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats, IEEE.
    F16,
    /// 16-bit floats with the exponent of `f32`.
    BF16,
}

impl DTypeArg {
    /// Burn's name for it.
    pub fn float_dtype(self) -> FloatDType {
        match self {
            Self::F32 => FloatDType::F32,
            Self::F16 => FloatDType::F16,
            Self::BF16 => FloatDType::BF16,
        }
    }

    /// Whether the device computes in it.
    ///
    /// # Errors
    /// [`RuntimeError::DType`] where it does not.
    pub fn check<B: Backend>(self, device: &B::Device) -> Result<()> {
        if B::supports_dtype(device, DType::from(self.float_dtype())) {
            return Ok(());
        }
        Err(RuntimeError::DType {
            dtype: self,
            backend: B::name(device),
        })
    }

    /// `tensor` in this dtype, `[any shape]` as it is.
    pub fn cast<B: Backend, const D: usize>(self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        tensor.cast(self.float_dtype())
    }
}

impl fmt::Display for DTypeArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
        })
    }
}

/// Not a dtype.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dtype '{got}': expected one of f32, f16, bf16")]
pub struct ParseDTypeError {
    /// What was given.
    pub got: String,
}

impl FromStr for DTypeArg {
    type Err = ParseDTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::BF16),
            _ => Err(ParseDTypeError { got: text.into() }),
        }
    }
}

/// `module` with all its float parameters in `dtype`; integers, masks and whether a gradient is wanted stay as they are.
pub fn cast_module<B: Backend, M: Module<B>>(module: M, dtype: DTypeArg) -> M {
    module.map(&mut Caster(dtype.float_dtype()))
}

struct Caster(FloatDType);

impl<B: Backend> ModuleMapper<B> for Caster {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let wanted = DType::from(self.0);
        param.map(|tensor| {
            if tensor.dtype() == wanted {
                return tensor;
            }
            // The cast parameter is a leaf of its own, not the outcome of an operation on the old one.
            let require_grad = tensor.is_require_grad();
            tensor.cast(self.0).detach().set_require_grad(require_grad)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_shown_alike() {
        for dtype in [DTypeArg::F32, DTypeArg::F16, DTypeArg::BF16] {
            assert_eq!(dtype.to_string().parse(), Ok(dtype));
        }
        let error = "f64".parse::<DTypeArg>().map_err(|e| e.to_string());
        assert_eq!(
            error,
            Err("unknown dtype 'f64': expected one of f32, f16, bf16".into())
        );
    }
}
