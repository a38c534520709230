//! Python virtual environments under the target folder, made once for a requirements file.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// Pinned packages.
const REQUIREMENTS: &str = "requirements.txt";
/// Pinned packages whose own dependencies are not wanted; optional.
const WITHOUT_DEPENDENCIES: &str = "requirements-no-deps.txt";

/// The interpreter of the environment at `folder`, with what the requirements files in `scripts`
/// name installed.
pub(crate) fn prepare(folder: &Path, scripts: &Path) -> Result<PathBuf> {
    let requirements = scripts.join(REQUIREMENTS);
    let without = scripts.join(WITHOUT_DEPENDENCIES);
    let mut wanted = std::fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    if without.exists() {
        wanted.push_str("\n# --no-deps\n");
        wanted.push_str(&std::fs::read_to_string(&without)?);
    }
    let python = interpreter(folder);
    // The stamp is written last, so a half-installed environment is made again.
    let stamp = folder.join("requirements.installed");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
    {
        return Ok(python);
    }
    let base = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    process::run(
        Command::new(base)
            .args(["-m", "venv", "--clear"])
            .arg(folder),
    )
    .context("Python 3 with its venv module is needed (Debian: python3-venv)")?;
    let install = || {
        let mut command = Command::new(&python);
        command.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        command
    };
    process::run(install().arg("-r").arg(&requirements))?;
    if without.exists() {
        process::run(install().args(["--no-deps", "-r"]).arg(&without))?;
    }
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

fn interpreter(folder: &Path) -> PathBuf {
    if cfg!(windows) {
        folder.join("Scripts").join("python.exe")
    } else {
        folder.join("bin").join("python")
    }
}
