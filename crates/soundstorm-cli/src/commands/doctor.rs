//! `soundstorm doctor`: what this build can run on here.

use anyhow::Result;
use soundstorm_runtime::{Status, available};

use crate::{args::Common, output};

pub(crate) fn run(common: &Common) -> Result<()> {
    let reports = available();
    let auto = soundstorm_runtime::select(&soundstorm_runtime::DeviceArg::Auto);
    if common.json {
        let backends: Vec<_> = reports
            .iter()
            .map(|report| {
                serde_json::json!({
                    "backend": report.backend.name(),
                    "usable": report.status == Status::Usable,
                    "report": report.to_string(),
                })
            })
            .collect();
        let auto = match &auto {
            Ok(selected) => selected.to_string(),
            Err(error) => error.to_string(),
        };
        return output::json(&serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "auto": auto,
            "backends": backends,
        }));
    }
    output::say(&format!("soundstorm {}", env!("CARGO_PKG_VERSION")))?;
    for report in &reports {
        output::say(&report.to_string())?;
    }
    match auto {
        Ok(selected) => output::say(&format!("--device auto takes {selected}")),
        Err(error) => output::say(&format!("--device auto finds nothing: {error}")),
    }
}
