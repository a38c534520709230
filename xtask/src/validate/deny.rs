//! cargo-deny, where it is installed; advisories where their database is at hand.

use std::path::PathBuf;

use anyhow::Result;

use super::Outcome;
use crate::process;
use crate::workspace::Workspace;

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    if process::output(process::cargo().args(["deny", "--version"])).is_err() {
        return Ok(Outcome::Skipped("cargo-deny is not installed".to_owned()));
    }
    let deny = |checks: &[&str]| {
        process::run(
            process::cargo()
                .args(["deny", "--offline", "check", "--hide-inclusion-graph"])
                .args(checks)
                .current_dir(&workspace.root),
        )
    };
    deny(&["licenses", "bans", "sources"])?;
    if advisories().is_some_and(|folder| folder.exists()) {
        deny(&["advisories"])?;
    } else {
        eprintln!("advisories are left out: their database is not here (cargo deny fetch)");
    }
    Ok(Outcome::Passed)
}

/// Where cargo-deny keeps the advisory databases that it fetched.
fn advisories() -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
    Some(
        cargo
            .or_else(|| Some(PathBuf::from(home?).join(".cargo")))?
            .join("advisory-dbs"),
    )
}
