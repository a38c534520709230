//! Choosing a burn backend, device and dtype at run time: one program for CPUs and GPUs.
#![doc = include_str!("../README.md")]
// The types of burn's fusing backends nest deeper than the default allows.
#![recursion_limit = "256"]

pub mod alloc;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod caches;
mod device;
mod dtype;
mod error;
mod job;
mod memory;
mod probe;
mod report;
mod select;
pub mod testing;

pub use device::{BackendKind, DeviceArg, ParseDeviceError, built};
pub use dtype::{DTypeArg, ParseDTypeError, bf16_instructions, cast_module, frame_multiple};
pub use error::{Result, RuntimeError};
pub use job::{Job, TrainJob, run, run_autodiff};
pub use memory::peak_rss_mib;
pub use probe::{Adapter, AdapterKind};
pub use report::{Report, Status, available};
pub use select::{Selected, select};
