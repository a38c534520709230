//! What this build can run on here: the substance of a `doctor` command.

use std::fmt;

use crate::probe::{Adapter, AdapterKind};
use crate::{BackendKind, DeviceArg};

/// One backend, and what it found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The backend.
    pub backend: BackendKind,
    /// Whether it can be used.
    pub status: Status,
    /// The devices that it found, usable or not.
    pub adapters: Vec<Adapter>,
    /// What else is good to know: where the toolkit is, what to install.
    pub notes: Vec<String>,
}

/// Whether a backend can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It is not in this build.
    NotBuilt,
    /// It is built in and something is missing.
    Unusable(String),
    /// It can run.
    Usable,
}

impl fmt::Display for Report {
    /// A line for the backend, and one for each adapter and note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.backend)?;
        match &self.status {
            Status::NotBuilt => write!(f, "not built in (feature {})", self.backend)?,
            Status::Unusable(why) => write!(f, "cannot be used: {why}")?,
            Status::Usable => write!(f, "usable")?,
        }
        for adapter in &self.adapters {
            match adapter.device {
                Some(device) => write!(f, "\n  {device}: {adapter}")?,
                None => write!(f, "\n  (not selectable): {adapter}")?,
            }
        }
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        Ok(())
    }
}

/// Every backend, in the order in which `auto` tries them. Looks for drivers and devices; starts none.
pub fn available() -> Vec<Report> {
    let reports = BackendKind::ALL.into_iter().map(|backend| {
        if !backend.is_built() {
            return Report {
                backend,
                status: Status::NotBuilt,
                adapters: Vec::new(),
                notes: Vec::new(),
            };
        }
        match backend {
            BackendKind::Cuda => cuda(),
            BackendKind::Wgpu => wgpu(),
            BackendKind::Flex => host(backend, DeviceArg::Cpu),
            BackendKind::NdArray => host(backend, DeviceArg::NdArray),
        }
    });
    reports.collect()
}

fn host(backend: BackendKind, device: DeviceArg) -> Report {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Report {
        backend,
        status: Status::Usable,
        adapters: vec![Adapter {
            device: Some(device),
            name: format!("{threads} threads"),
            kind: AdapterKind::Cpu,
            driver: std::env::consts::ARCH.into(),
        }],
        notes: Vec::new(),
    }
}

#[cfg_attr(not(feature = "cuda"), allow(unused_mut))]
fn cuda() -> Report {
    let mut report = Report {
        backend: BackendKind::Cuda,
        status: Status::NotBuilt,
        adapters: Vec::new(),
        notes: Vec::new(),
    };
    #[cfg(feature = "cuda")]
    {
        use crate::probe::cuda::{adapters, toolkit};
        report.status = Status::Usable;
        match toolkit() {
            Ok(path) => report.notes.push(format!("toolkit in {path}, NVRTC works")),
            Err(why) => report.status = Status::Unusable(why),
        }
        match adapters() {
            Ok(found) => report.adapters = found,
            Err(why) => {
                // Without a driver the toolkit is the lesser trouble.
                if let Status::Unusable(toolkit) = report.status {
                    report.notes.push(toolkit);
                }
                report.status = Status::Unusable(why);
            }
        }
    }
    report
}

#[cfg_attr(not(feature = "wgpu"), allow(unused_mut))]
fn wgpu() -> Report {
    let mut report = Report {
        backend: BackendKind::Wgpu,
        status: Status::NotBuilt,
        adapters: Vec::new(),
        notes: Vec::new(),
    };
    #[cfg(feature = "wgpu")]
    {
        let found = crate::probe::wgpu::adapters().into_iter();
        report.adapters = found.map(|(adapter, _)| adapter).collect();
        let devices = || report.adapters.iter().filter_map(|adapter| adapter.device);
        report.status = if devices().next().is_none() {
            let driver = if cfg!(target_os = "macos") {
                "Metal"
            } else {
                "Vulkan"
            };
            Status::Unusable(format!(
                "no {driver} adapter; install the GPU's {driver} driver"
            ))
        } else {
            Status::Usable
        };
        if !report.adapters.is_empty() && devices().all(|device| device == DeviceArg::WgpuCpu) {
            let note = "software only: slower than flex, taken only by --device wgpu:cpu";
            report.notes.push(note.into());
        }
    }
    report
}
