//! The `--device` argument.

use std::fmt;
use std::str::FromStr;

/// A backend that this crate knows, built in or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendKind {
    /// burn-cuda.
    Cuda,
    /// burn-wgpu.
    Wgpu,
    /// burn-flex.
    Flex,
    /// burn-ndarray.
    NdArray,
}

impl BackendKind {
    /// All of them, in the order in which `auto` tries them.
    pub const ALL: [Self; 4] = [Self::Cuda, Self::Wgpu, Self::Flex, Self::NdArray];

    /// Whether this build contains it.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
        }
    }

    /// The name, which is also that of the cargo feature.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The backends of this build, in the order in which `auto` tries them.
pub fn built() -> Vec<BackendKind> {
    let all = BackendKind::ALL.into_iter();
    all.filter(|backend| backend.is_built()).collect()
}

/// [`built`] as a list for messages.
pub(crate) fn built_names() -> String {
    let names: Vec<_> = built().into_iter().map(BackendKind::name).collect();
    match names.as_slice() {
        [] => "no backend".into(),
        names => names.join(", "),
    }
}

/// Which device to run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceArg {
    /// CUDA, then a hardware adapter of wgpu, then the CPU: the first that is there.
    #[default]
    Auto,
    /// The CPU, by flex, or by ndarray where flex is not built in.
    Cpu,
    /// The CPU, by ndarray.
    NdArray,
    /// The N-th hardware adapter of wgpu: discrete before integrated before virtual.
    Wgpu(usize),
    /// The software adapter of wgpu, which emulates a GPU on the CPU: for tests.
    WgpuCpu,
    /// The N-th CUDA device.
    Cuda(usize),
}

impl DeviceArg {
    /// What [`DeviceArg::from_str`] takes, for help texts.
    pub const SYNTAX: &str = "auto, cpu, ndarray, wgpu[:N], wgpu:cpu, cuda[:N]";
}

impl fmt::Display for DeviceArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::NdArray => f.write_str("ndarray"),
            Self::Wgpu(index) => write!(f, "wgpu:{index}"),
            Self::WgpuCpu => f.write_str("wgpu:cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// Not a device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown device '{got}': expected one of {}; this build has {}",
    DeviceArg::SYNTAX,
    built_names()
)]
pub struct ParseDeviceError {
    /// What was given.
    pub got: String,
}

impl FromStr for DeviceArg {
    type Err = ParseDeviceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ParseDeviceError { got: text.into() };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index)),
            None => (text, None),
        };
        let number = || match index {
            None => Ok(0),
            // A sign is no index, though it parses as one.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| unknown())
            }
            Some(_) => Err(unknown()),
        };
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("ndarray", None) => Ok(Self::NdArray),
            ("wgpu", Some("cpu")) => Ok(Self::WgpuCpu),
            ("wgpu", _) => number().map(Self::Wgpu),
            ("cuda", _) => number().map(Self::Cuda),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_valid_is_read_and_shown_alike() {
        let cases = [
            ("auto", DeviceArg::Auto, "auto"),
            ("cpu", DeviceArg::Cpu, "cpu"),
            ("ndarray", DeviceArg::NdArray, "ndarray"),
            ("wgpu", DeviceArg::Wgpu(0), "wgpu:0"),
            ("wgpu:7", DeviceArg::Wgpu(7), "wgpu:7"),
            ("wgpu:cpu", DeviceArg::WgpuCpu, "wgpu:cpu"),
            ("cuda", DeviceArg::Cuda(0), "cuda:0"),
            ("cuda:3", DeviceArg::Cuda(3), "cuda:3"),
        ];
        for (text, device, shown) in cases {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), shown);
            assert_eq!(shown.parse(), Ok(device));
        }
    }

    #[test]
    fn what_is_not_is_told_what_would_be() {
        for text in [
            "",
            "gpu",
            "CPU",
            "cpu:1",
            "auto:0",
            "wgpu:",
            "wgpu:x",
            "cuda:-1",
            "cuda:+1",
            "cuda:cpu",
            "wgpu:1:2",
            "cuda:99999999999999999999",
        ] {
            let error = text.parse::<DeviceArg>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{text}'")), "{error}");
            assert!(error.contains(DeviceArg::SYNTAX), "{error}");
            for backend in built() {
                assert!(error.contains(backend.name()), "{error}");
            }
        }
    }
}
