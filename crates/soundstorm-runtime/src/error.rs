//! What can go wrong before a job runs.

use crate::device::built_names;
use crate::{BackendKind, DTypeArg, DeviceArg};

/// This crate's result.
pub type Result<T, E = RuntimeError> = std::result::Result<T, E>;

/// A device or dtype that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The backend is not in this build.
    #[error(
        "device {device} needs the {backend} backend, which this build lacks: it has {}",
        built_names()
    )]
    NotBuilt {
        /// What was asked for.
        device: DeviceArg,
        /// What it needs.
        backend: BackendKind,
    },
    /// The backend is there, the device is not.
    #[error("device {device} is not there: {seen}")]
    NotFound {
        /// What was asked for.
        device: DeviceArg,
        /// What was found instead.
        seen: String,
    },
    /// The device is there and does not work.
    #[error("device {device} ({description}) cannot be used: {detail}")]
    Unusable {
        /// What was asked for.
        device: DeviceArg,
        /// The device's name.
        description: String,
        /// Why not.
        detail: String,
    },
    /// Built without any backend, or with none that works.
    #[error("no device can be used: {tried}")]
    NoDevice {
        /// What was tried, and why it was passed over.
        tried: String,
    },
    /// The device does not compute in this dtype.
    #[error("{backend} does not support {dtype} on this device")]
    DType {
        /// The dtype that was asked for.
        dtype: DTypeArg,
        /// The backend's own name.
        backend: String,
    },
}
