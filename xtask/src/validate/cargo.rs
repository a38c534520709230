//! The steps that are one call of cargo.

use std::process::Command;

use anyhow::{Result, bail};

use super::Outcome;
use crate::workspace::Workspace;
use crate::{process, readme};

/// The features of the tests: the backends that run on a machine without a vendor's hardware.
const FEATURES: &str = "ndarray,wgpu";

pub(super) fn format(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, &["fmt", "--all", "--check"])
}

/// All features: what the linter does not see, nobody lints.
pub(super) fn clippy(workspace: &Workspace) -> Result<Outcome> {
    let lint = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    cargo(workspace, &lint)
}

pub(super) fn check_none(workspace: &Workspace) -> Result<Outcome> {
    check(workspace, None)
}

pub(super) fn check_flex(workspace: &Workspace) -> Result<Outcome> {
    check(workspace, Some("flex"))
}

pub(super) fn check_ndarray(workspace: &Workspace) -> Result<Outcome> {
    check(workspace, Some("ndarray"))
}

pub(super) fn check_wgpu(workspace: &Workspace) -> Result<Outcome> {
    check(workspace, Some("wgpu"))
}

pub(super) fn check_cuda(workspace: &Workspace) -> Result<Outcome> {
    check(workspace, Some("cuda"))
}

pub(super) fn check_all(workspace: &Workspace) -> Result<Outcome> {
    cargo(workspace, &["check", "--workspace", "--all-features"])
}

/// With `check_all`'s features, so that rustdoc finds the dependencies checked: clippy's, on all
/// targets, are not the same, for development dependencies add features.
pub(super) fn docs(workspace: &Workspace) -> Result<Outcome> {
    let mut command = process::cargo();
    command
        .args(["doc", "--workspace", "--no-deps", "--all-features"])
        .env("RUSTDOCFLAGS", "-D warnings");
    run(workspace, &mut command)
}

/// The tests, by the very command that the README names.
pub(super) fn tests(workspace: &Workspace) -> Result<Outcome> {
    let own = test_command();
    let readme = readme::marked(readme::TEST)?;
    if readme != own {
        bail!("README.md tests with `{readme}`, this step with `{own}`");
    }
    cargo(workspace, &own.split(' ').skip(1).collect::<Vec<_>>())
}

/// The examples have no tests, and building each for every backend takes long; clippy sees them.
fn test_command() -> String {
    format!("cargo test --workspace --exclude soundstorm-examples --features {FEATURES}")
}

fn check(workspace: &Workspace, features: Option<&str>) -> Result<Outcome> {
    let packages = ["-p", "soundstorm-runtime", "-p", "soundstorm-cli"];
    let mut arguments = vec!["check", "--no-default-features"];
    arguments.extend(packages);
    arguments.extend(
        features
            .iter()
            .flat_map(|features| ["--features", features]),
    );
    cargo(workspace, &arguments)
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<Outcome> {
    run(workspace, process::cargo().args(arguments))
}

fn run(workspace: &Workspace, command: &mut Command) -> Result<Outcome> {
    process::run(command.current_dir(&workspace.root))?;
    Ok(Outcome::Passed)
}
