//! Work that is generic over the backend, and the one place where the backend's type is chosen.
#![cfg_attr(
    // Without any backend there is no target either, and nothing is left to match.
    not(any(feature = "cuda", feature = "wgpu", feature = "flex", feature = "ndarray")),
    allow(unused_imports, unused_variables, unreachable_code)
)]

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_autodiff::Autodiff;

use crate::select::Target;
use crate::{DeviceArg, Result, Selected, select};

/// Work for any backend. Compiled once for each backend of the build.
pub trait Job {
    /// What it returns: nothing that names the backend.
    type Output;

    /// Does the work on `device`.
    fn run<B: Backend>(self, device: B::Device) -> Self::Output;
}

/// Work for any backend that differentiates: training.
pub trait TrainJob {
    /// What it returns: nothing that names the backend.
    type Output;

    /// Does the work on `device`.
    fn run<B: AutodiffBackend>(self, device: B::Device) -> Self::Output;
}

/// Runs `job` on the device that `arg` names.
///
/// # Errors
/// As [`select`]; the job's own are in its output.
pub fn run<J: Job>(arg: &DeviceArg, job: J) -> Result<J::Output> {
    Ok(select(arg)?.run(job))
}

/// Runs `job`, with gradients, on the device that `arg` names.
///
/// # Errors
/// As [`select`]; the job's own are in its output.
pub fn run_autodiff<J: TrainJob>(arg: &DeviceArg, job: J) -> Result<J::Output> {
    Ok(select(arg)?.run_autodiff(job))
}

impl Selected {
    /// Runs `job` here.
    pub fn run<J: Job>(&self, job: J) -> J::Output {
        match self.target.clone() {
            #[cfg(feature = "cuda")]
            Target::Cuda(device) => job.run::<burn_cuda::Cuda>(device),
            #[cfg(feature = "wgpu")]
            Target::Wgpu(device) => job.run::<burn_wgpu::Wgpu>(device),
            #[cfg(feature = "flex")]
            Target::Flex => job.run::<burn_flex::Flex>(Default::default()),
            #[cfg(feature = "ndarray")]
            Target::NdArray => job.run::<burn_ndarray::NdArray<f32>>(Default::default()),
        }
    }

    /// Runs `job` here, with gradients.
    pub fn run_autodiff<J: TrainJob>(&self, job: J) -> J::Output {
        match self.target.clone() {
            #[cfg(feature = "cuda")]
            Target::Cuda(device) => job.run::<Autodiff<burn_cuda::Cuda>>(device),
            #[cfg(feature = "wgpu")]
            Target::Wgpu(device) => job.run::<Autodiff<burn_wgpu::Wgpu>>(device),
            #[cfg(feature = "flex")]
            Target::Flex => job.run::<Autodiff<burn_flex::Flex>>(Default::default()),
            #[cfg(feature = "ndarray")]
            Target::NdArray => job.run::<Autodiff<burn_ndarray::NdArray<f32>>>(Default::default()),
        }
    }
}
