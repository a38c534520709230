//! What `auto` takes, and what is said of a device that is not there.

use soundstorm_runtime::{
    AdapterKind, BackendKind, DeviceArg, RuntimeError, Status, available, built, select,
};

#[test]
fn auto_never_takes_a_software_adapter() {
    let reports = available();
    let adapters = || reports.iter().flat_map(|report| &report.adapters);
    match select(&DeviceArg::Auto) {
        Ok(selected) => {
            println!("{selected}");
            assert_ne!(selected.device, DeviceArg::WgpuCpu);
            let hardware = adapters().any(|adapter| {
                use AdapterKind::{Discrete, Integrated, Virtual};
                matches!(adapter.kind, Discrete | Integrated | Virtual)
            });
            if !hardware {
                assert!(matches!(
                    selected.backend,
                    BackendKind::Flex | BackendKind::NdArray
                ));
                for skipped in [BackendKind::Cuda, BackendKind::Wgpu] {
                    assert!(selected.reason.contains(skipped.name()), "{selected}");
                }
            }
            // Asking for it by name gives the same.
            let again = select(&selected.device).unwrap();
            assert_eq!(again.backend, selected.backend);
            assert_eq!(again.description, selected.description);
            assert_eq!(again.reason, "asked for");
        }
        Err(error) => {
            assert!(matches!(error, RuntimeError::NoDevice { .. }), "{error}");
            assert!(!BackendKind::Flex.is_built() && !BackendKind::NdArray.is_built());
        }
    }
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    for (device, backend) in [
        (DeviceArg::Wgpu(997), BackendKind::Wgpu),
        (DeviceArg::Cuda(997), BackendKind::Cuda),
    ] {
        let error = select(&device).unwrap_err();
        if backend.is_built() {
            assert!(matches!(error, RuntimeError::NotFound { .. }), "{error}");
        } else {
            assert_eq!(error, RuntimeError::NotBuilt { device, backend });
        }
        println!("{error}");
        assert!(error.to_string().contains(&device.to_string()), "{error}");
    }
}

#[test]
fn cpu_is_flex_where_it_is_built() {
    let expect = [BackendKind::Flex, BackendKind::NdArray]
        .into_iter()
        .find(|b| b.is_built());
    let got = select(&DeviceArg::Cpu)
        .map(|selected| selected.backend)
        .ok();
    assert_eq!(got, expect);
}

#[test]
fn the_report_covers_every_backend_in_order() {
    let reports = available();
    let backends: Vec<_> = reports.iter().map(|report| report.backend).collect();
    assert_eq!(backends, BackendKind::ALL);
    for report in &reports {
        println!("{report}");
        let is_built = report.status != Status::NotBuilt;
        assert_eq!(is_built, built().contains(&report.backend), "{report}");
        if report.status == Status::Usable {
            assert!(
                report
                    .adapters
                    .iter()
                    .any(|adapter| adapter.device.is_some())
            );
        }
        assert!(report.to_string().starts_with(report.backend.name()));
    }
}
