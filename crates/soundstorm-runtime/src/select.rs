//! From a `--device` argument to a device that is there.

use std::fmt;

use crate::{BackendKind, DeviceArg, Result, RuntimeError};

/// A device that was found and taken.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Selected {
    /// The backend that runs it.
    pub backend: BackendKind,
    /// The argument that would ask for exactly this device.
    pub device: DeviceArg,
    /// What the device is.
    pub description: String,
    /// Why it was taken: asked for, or what `auto` passed over before it.
    pub reason: String,
    pub(crate) target: Target,
}

impl fmt::Display for Selected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({})",
            self.backend, self.description, self.reason
        )
    }
}

/// The device as its backend knows it. Without any backend there is none.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    #[cfg(feature = "cuda")]
    Cuda(burn_cuda::CudaDevice),
    #[cfg(feature = "wgpu")]
    Wgpu(burn_wgpu::WgpuDevice),
    #[cfg(feature = "flex")]
    Flex,
    #[cfg(feature = "ndarray")]
    NdArray,
}

/// Finds the device that `arg` names and makes sure that it starts.
///
/// `auto` tries CUDA, then the first hardware adapter of wgpu, then the CPU, and never a software adapter.
///
/// # Errors
/// [`RuntimeError`]: the backend is not built in, the device is not there, or it does not start; for `auto`, that not
/// even the CPU is built in.
pub fn select(arg: &DeviceArg) -> Result<Selected> {
    let selected = named(*arg)?;
    tracing::info!(
        backend = selected.backend.name(),
        device = %selected.device,
        "running on {selected}"
    );
    Ok(selected)
}

fn named(device: DeviceArg) -> Result<Selected> {
    match device {
        DeviceArg::Auto => auto(),
        DeviceArg::Cuda(index) => cuda(index),
        DeviceArg::Wgpu(_) | DeviceArg::WgpuCpu => wgpu(device),
        DeviceArg::Cpu => cpu(),
        DeviceArg::NdArray => ndarray(device),
    }
}

fn auto() -> Result<Selected> {
    let attempts = [
        (BackendKind::Cuda, DeviceArg::Cuda(0)),
        (BackendKind::Wgpu, DeviceArg::Wgpu(0)),
        (BackendKind::Flex, DeviceArg::Cpu),
    ];
    let mut passed: Vec<String> = Vec::new();
    for (backend, device) in attempts {
        match named(device) {
            Ok(mut selected) => {
                selected.reason = match passed.as_slice() {
                    [] => "auto".into(),
                    passed => format!("auto; {}", passed.join("; ")),
                };
                return Ok(selected);
            }
            Err(RuntimeError::NotBuilt { .. }) => passed.push(format!("{backend}: not built in")),
            Err(RuntimeError::NotFound { seen, .. }) => passed.push(format!("{backend}: {seen}")),
            Err(other) => passed.push(format!("{backend}: {other}")),
        }
    }
    Err(RuntimeError::NoDevice {
        tried: passed.join("; "),
    })
}

fn cpu() -> Result<Selected> {
    #[cfg(feature = "flex")]
    return Ok(host(BackendKind::Flex, DeviceArg::Cpu, Target::Flex));
    #[cfg(not(feature = "flex"))]
    ndarray(DeviceArg::Cpu).map_err(|_| RuntimeError::NotBuilt {
        device: DeviceArg::Cpu,
        backend: BackendKind::Flex,
    })
}

fn ndarray(device: DeviceArg) -> Result<Selected> {
    #[cfg(feature = "ndarray")]
    return Ok(host(BackendKind::NdArray, device, Target::NdArray));
    #[cfg(not(feature = "ndarray"))]
    Err(RuntimeError::NotBuilt {
        device,
        backend: BackendKind::NdArray,
    })
}

#[cfg(any(feature = "flex", feature = "ndarray"))]
fn host(backend: BackendKind, device: DeviceArg, target: Target) -> Selected {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Selected {
        backend,
        device,
        description: format!("CPU, {threads} threads"),
        reason: ASKED.into(),
        target,
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<Selected> {
    Err(RuntimeError::NotBuilt {
        device: DeviceArg::Cuda(index),
        backend: BackendKind::Cuda,
    })
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Selected> {
    use crate::probe::cuda::{adapters, toolkit};

    let device = DeviceArg::Cuda(index);
    let not_found = |seen| RuntimeError::NotFound { device, seen };
    let found = adapters().map_err(not_found)?;
    let adapter = found
        .get(index)
        .ok_or_else(|| not_found(format!("there are {} CUDA devices, from 0", found.len())))?;
    let unusable = |detail| RuntimeError::Unusable {
        device,
        description: adapter.name.clone(),
        detail,
    };
    toolkit().map_err(unusable)?;
    let target = burn_cuda::CudaDevice::new(index);
    started::<burn_cuda::Cuda>(&target).map_err(unusable)?;
    Ok(Selected {
        backend: BackendKind::Cuda,
        device,
        description: adapter.to_string(),
        reason: ASKED.into(),
        target: Target::Cuda(target),
    })
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(device: DeviceArg) -> Result<Selected> {
    Err(RuntimeError::NotBuilt {
        device,
        backend: BackendKind::Wgpu,
    })
}

#[cfg(feature = "wgpu")]
fn wgpu(device: DeviceArg) -> Result<Selected> {
    use crate::probe::{Adapter, listed, wgpu::adapters};

    let found = adapters();
    let taken = found
        .iter()
        .find(|(adapter, _)| adapter.device == Some(device));
    let Some((adapter, target)) = taken else {
        let others: Vec<_> = found.into_iter().map(|(adapter, _)| adapter).collect();
        let is_hardware = |a: &&Adapter| matches!(a.device, Some(DeviceArg::Wgpu(_)));
        let seen = match (device, others.iter().filter(is_hardware).count()) {
            _ if others.is_empty() => "no graphics adapter".into(),
            (DeviceArg::Wgpu(_), 0) => format!("no hardware adapter, only {}", listed(&others)),
            (DeviceArg::Wgpu(_), count) => {
                format!("{count} hardware adapters, from 0: {}", listed(&others))
            }
            _ => format!("no software adapter, only {}", listed(&others)),
        };
        return Err(RuntimeError::NotFound { device, seen });
    };
    started::<burn_wgpu::Wgpu>(target).map_err(|detail| RuntimeError::Unusable {
        device,
        description: adapter.to_string(),
        detail,
    })?;
    Ok(Selected {
        backend: BackendKind::Wgpu,
        device,
        description: adapter.to_string(),
        reason: ASKED.into(),
        target: Target::Wgpu(target.clone()),
    })
}

#[cfg(any(
    feature = "flex",
    feature = "ndarray",
    feature = "cuda",
    feature = "wgpu"
))]
const ASKED: &str = "asked for";

/// Starts the backend on `device`, so that what its driver refuses is an error here, not a panic in a job.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn started<B: burn::tensor::backend::Backend>(device: &B::Device) -> Result<(), String> {
    crate::caches::keep_kernels();
    crate::probe::quietly(|| B::sync(device))?.map_err(|error| error.to_string())
}
