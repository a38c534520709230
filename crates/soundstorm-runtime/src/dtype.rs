//! The `--dtype` argument: a cast of parameters and inputs while running, never another backend type.

#[cfg(any(feature = "flex", feature = "ndarray"))]
use std::any::TypeId;
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
        let supported = match on_flex::<B>() {
            true => self != Self::F16,
            false => B::supports_dtype(device, DType::from(self.float_dtype())),
        };
        if !supported {
            return Err(RuntimeError::DType {
                dtype: self,
                backend: B::name(device),
            });
        }
        if on_flex::<B>() && self == Self::BF16 && bf16_instructions().is_none() {
            tracing::warn!("this processor has no bf16 instructions: computing in f32");
        }
        Ok(())
    }

    /// An input in this dtype, `[any shape]` as it is; on flex it stays in f32, as all but the
    /// layers' weights do.
    pub fn cast<B: Backend, const D: usize>(self, tensor: Tensor<B, D>) -> Tensor<B, D> {
        match on_flex::<B>() {
            true => tensor,
            false => tensor.cast(self.float_dtype()),
        }
    }
}

/// So many frames that generation's lengths are best multiples of: GPUs tune and compile kernels
/// for each length anew, CPUs do not.
pub fn frame_multiple<B: Backend>() -> usize {
    match on_flex::<B>() || on_ndarray::<B>() {
        true => 1,
        false => 64,
    }
}

/// The processor's instructions that flex multiplies with in bf16, if it has any.
pub fn bf16_instructions() -> Option<String> {
    #[cfg(feature = "flex")]
    return soundstorm_nn::bf16_instructions();
    #[cfg(not(feature = "flex"))]
    None
}

#[cfg_attr(
    not(feature = "flex"),
    allow(clippy::extra_unused_type_parameters, reason = "only flex looks at it")
)]
fn on_flex<B: Backend>() -> bool {
    #[cfg(feature = "flex")]
    return TypeId::of::<B>() == TypeId::of::<burn_flex::Flex>();
    #[cfg(not(feature = "flex"))]
    false
}

#[cfg_attr(
    not(feature = "ndarray"),
    allow(
        clippy::extra_unused_type_parameters,
        reason = "only ndarray looks at it"
    )
)]
fn on_ndarray<B: Backend>() -> bool {
    #[cfg(feature = "ndarray")]
    return TypeId::of::<B>() == TypeId::of::<burn_ndarray::NdArray<f32>>();
    #[cfg(not(feature = "ndarray"))]
    false
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

/// `module` with its float parameters in `dtype`; integers, masks and whether a gradient is wanted
/// stay as they are.
///
/// Norms and heads stay in f32, and so do the logits. On flex bf16 is for the weights of linear
/// layers and heads, where the processor has instructions for products of them; all else stays in
/// f32, and so does everything where it has none.
pub fn cast_module<B: Backend, M: Module<B>>(module: M, dtype: DTypeArg) -> M {
    let on_flex = on_flex::<B>();
    let dtype = match on_flex && bf16_instructions().is_none() {
        true => FloatDType::F32,
        false => dtype.float_dtype(),
    };
    module.map(&mut Caster {
        dtype,
        on_flex,
        is_cast: false,
    })
}

/// The modules that multiply by their `weight` in soundstorm-nn's `affine`.
const LAYERS: [&str; 3] = ["Struct:Linear", "Struct:Head", "Struct:HeadProjection"];

/// What stays in f32 on a GPU.
const WIDE: [&str; 4] = [
    "Struct:LayerNorm",
    "Struct:ChannelNorm",
    "Struct:Head",
    "Struct:HeadProjection",
];

struct Caster {
    dtype: FloatDType,
    on_flex: bool,
    /// Whether the field just entered is cast.
    is_cast: bool,
}

impl<B: Backend> ModuleMapper<B> for Caster {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.is_cast = match self.on_flex {
            true => name == "weight" && LAYERS.contains(&container_type),
            false => !WIDE.contains(&container_type),
        };
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let wanted = match self.is_cast {
            true => self.dtype,
            false => FloatDType::F32,
        };
        param.map(|tensor| {
            if tensor.dtype() == DType::from(wanted) {
                return tensor;
            }
            // The cast parameter is a leaf of its own, not the outcome of an operation on the old one.
            let require_grad = tensor.is_require_grad();
            tensor.cast(wanted).detach().set_require_grad(require_grad)
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
