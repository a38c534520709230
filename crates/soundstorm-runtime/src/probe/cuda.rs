//! NVIDIA GPUs: the driver, the devices, and the toolkit that compiles for them while running.

use std::env;
use std::path::{Path, PathBuf};

use cudarc::driver::{CudaContext, result::device};
use cudarc::nvrtc::compile_ptx;

use super::{Adapter, AdapterKind, quietly};
use crate::DeviceArg;

/// The CUDA devices, or why there are none.
pub(crate) fn adapters() -> Result<Vec<Adapter>, String> {
    // The bindings panic where the library is missing; a build that aborts on panic has to look by itself.
    if cfg!(panic = "abort") && !driver_is_loaded() {
        return Err("no NVIDIA driver is loaded".into());
    }
    let count = quietly(CudaContext::device_count)
        .map_err(|_| "no NVIDIA driver (the CUDA library cannot be loaded)".to_owned())?
        .map_err(|error| format!("the NVIDIA driver fails: {error:?}"))?;
    if count < 1 {
        return Err("the NVIDIA driver sees no GPU".into());
    }
    let name = |index| device::get(index).and_then(device::get_name);
    Ok((0..count)
        .map(|index| Adapter {
            device: usize::try_from(index).ok().map(DeviceArg::Cuda),
            name: name(index).unwrap_or_else(|_| "NVIDIA GPU".into()),
            kind: AdapterKind::Discrete,
            driver: "CUDA".into(),
        })
        .collect())
}

fn driver_is_loaded() -> bool {
    let signs = ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"];
    cfg!(not(target_os = "linux")) || signs.iter().any(|path| Path::new(path).exists())
}

/// Where the toolkit is, or what of it is missing: kernels are compiled while running.
pub(crate) fn toolkit() -> Result<String, String> {
    let path = toolkit_path()
        .ok_or("no CUDA toolkit: set CUDA_PATH to a folder whose include/ has its headers")?;
    let header = path.join("include").join("cuda_fp16.h");
    if !header.exists() {
        return Err(format!(
            "the CUDA toolkit's headers are missing: no {}",
            header.display()
        ));
    }
    if cfg!(not(panic = "abort")) {
        quietly(|| compile_ptx("extern \"C\" __global__ void probe() {}"))
            .map_err(|_| "NVRTC cannot be loaded: install the CUDA toolkit's runtime compiler, or put it on the library path".to_owned())?
            .map_err(|error| format!("NVRTC fails: {error:?}"))?;
    }
    Ok(path.display().to_string())
}

/// The folder that burn's CUDA backend will take.
fn toolkit_path() -> Option<PathBuf> {
    if let Some(path) = env::var_os("CUDA_PATH") {
        return Some(path.into());
    }
    let usual: &[(&str, &str)] = if cfg!(windows) {
        let folder = "C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/";
        &[(folder, folder)]
    } else {
        &[
            ("/usr/local/cuda", "/usr/local/cuda"),
            ("/opt/cuda", "/opt/cuda"),
            ("/usr/bin/nvcc", "/usr"),
        ]
    };
    let found = usual.iter().find(|(sign, _)| Path::new(sign).exists());
    found.map(|(_, folder)| folder.into())
}
