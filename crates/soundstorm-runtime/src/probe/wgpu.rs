//! Adapters of wgpu, of the one graphics API that burn will use: Vulkan, or Metal on macOS.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use burn_wgpu::WgpuDevice;
use burn_wgpu::graphics::{AutoGraphicsApi, GraphicsApi};
use wgpu::{DeviceType, Instance, InstanceDescriptor};

use super::{Adapter, AdapterKind, quietly};
use crate::DeviceArg;

/// Every adapter, hardware first, with the device that burn knows it by.
pub(crate) fn adapters() -> Vec<(Adapter, WgpuDevice)> {
    let backend = AutoGraphicsApi::backend();
    let found = quietly(|| {
        let instance = Instance::new(InstanceDescriptor {
            backends: backend.into(),
            ..InstanceDescriptor::new_without_display_handle()
        });
        let adapters = at_once(instance.enumerate_adapters(backend.into()));
        let infos = adapters
            .into_iter()
            .flatten()
            .map(|adapter| adapter.get_info());
        infos.collect::<Vec<_>>()
    });
    let infos = found.unwrap_or_default().into_iter().map(|info| {
        let kind = match info.device_type {
            DeviceType::DiscreteGpu => AdapterKind::Discrete,
            DeviceType::IntegratedGpu => AdapterKind::Integrated,
            DeviceType::VirtualGpu => AdapterKind::Virtual,
            DeviceType::Cpu => AdapterKind::Software,
            DeviceType::Other => AdapterKind::Other,
        };
        let driver = format!("{:?}, {} {}", info.backend, info.driver, info.driver_info);
        (kind, info.name, driver.trim_end().to_owned())
    });
    number(infos.collect())
}

/// Burn counts the adapters of each kind apart, in the order in which they are found; users count all hardware.
fn number(mut found: Vec<(AdapterKind, String, String)>) -> Vec<(Adapter, WgpuDevice)> {
    found.sort_by_key(|(kind, ..)| *kind);
    let (mut hardware, mut previous, mut of_kind) = (0, None, 0);
    let numbered = found.into_iter().map(|(kind, name, driver)| {
        of_kind = if previous == Some(kind) {
            of_kind + 1
        } else {
            0
        };
        previous = Some(kind);
        let (device, burn) = match kind {
            AdapterKind::Discrete => (DeviceArg::Wgpu(hardware), WgpuDevice::DiscreteGpu(of_kind)),
            AdapterKind::Integrated => (
                DeviceArg::Wgpu(hardware),
                WgpuDevice::IntegratedGpu(of_kind),
            ),
            AdapterKind::Virtual => (DeviceArg::Wgpu(hardware), WgpuDevice::VirtualGpu(of_kind)),
            _ => (DeviceArg::WgpuCpu, WgpuDevice::Cpu),
        };
        if device == DeviceArg::Wgpu(hardware) {
            hardware += 1;
        }
        // Burn has no name for adapters of no stated kind, nor for a second software adapter.
        let usable = kind != AdapterKind::Other && (device != DeviceArg::WgpuCpu || of_kind == 0);
        let device = usable.then_some(device);
        let adapter = Adapter {
            device,
            name,
            kind,
            driver,
        };
        (adapter, burn)
    });
    numbered.collect()
}

/// The output of a future that is ready as soon as it is asked, as wgpu's are outside of browsers.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_is_numbered_by_kind() {
        let found = [
            (AdapterKind::Software, "s0"),
            (AdapterKind::Integrated, "i0"),
            (AdapterKind::Discrete, "d0"),
            (AdapterKind::Other, "o0"),
            (AdapterKind::Integrated, "i1"),
            (AdapterKind::Discrete, "d1"),
            (AdapterKind::Virtual, "v0"),
            (AdapterKind::Software, "s1"),
        ];
        let found = found.map(|(kind, name)| (kind, name.to_owned(), String::new()));
        let got: Vec<_> = number(found.into())
            .into_iter()
            .map(|(adapter, device)| (adapter.name, adapter.device, device))
            .collect();
        let hardware = |name: &str, n, device| (name.to_owned(), Some(DeviceArg::Wgpu(n)), device);
        assert_eq!(
            got,
            [
                hardware("d0", 0, WgpuDevice::DiscreteGpu(0)),
                hardware("d1", 1, WgpuDevice::DiscreteGpu(1)),
                hardware("i0", 2, WgpuDevice::IntegratedGpu(0)),
                hardware("i1", 3, WgpuDevice::IntegratedGpu(1)),
                hardware("v0", 4, WgpuDevice::VirtualGpu(0)),
                ("s0".into(), Some(DeviceArg::WgpuCpu), WgpuDevice::Cpu),
                ("s1".into(), None, WgpuDevice::Cpu),
                ("o0".into(), None, WgpuDevice::Cpu),
            ]
        );
    }
}
