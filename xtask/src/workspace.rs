//! What cargo knows of the workspace: its folders, members and their direct dependencies.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The workspace, from `cargo metadata`.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) members: Vec<Member>,
}

/// One member of the workspace.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// Integration-test binaries.
    pub(crate) test_targets: usize,
}

/// One direct dependency of a member.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dev: bool,
    pub(crate) optional: bool,
    pub(crate) default_features: bool,
    pub(crate) features: Vec<String>,
}

/// The root of the checkout this program was built from.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().map_or(here.clone(), Path::to_path_buf)
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let json = process::output(
            process::cargo()
                .args(["metadata", "--format-version", "1", "--no-deps"])
                .current_dir(root()),
        )?;
        Self::parse(&json)
    }

    fn parse(json: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(json).context("cargo metadata is not JSON")?;
        let members = list(&value["packages"])
            .map(member)
            .collect::<Result<_>>()?;
        Ok(Self {
            root: PathBuf::from(text(&value["workspace_root"])?),
            target: PathBuf::from(text(&value["target_directory"])?),
            members,
        })
    }

    /// The members under `crates/`.
    pub(crate) fn crates(&self) -> impl Iterator<Item = &Member> {
        let folder = self.root.join("crates");
        self.members
            .iter()
            .filter(move |m| m.folder.starts_with(&folder))
    }
}

fn member(value: &Value) -> Result<Member> {
    let manifest = PathBuf::from(text(&value["manifest_path"])?);
    let is_test = |target: &&Value| list(&target["kind"]).any(|kind| kind == "test");
    Ok(Member {
        name: text(&value["name"])?.to_owned(),
        folder: manifest.parent().unwrap_or(&manifest).to_path_buf(),
        dependencies: list(&value["dependencies"])
            .map(dependency)
            .collect::<Result<_>>()?,
        test_targets: list(&value["targets"]).filter(is_test).count(),
    })
}

fn dependency(value: &Value) -> Result<Dependency> {
    Ok(Dependency {
        name: text(&value["name"])?.to_owned(),
        dev: value["kind"] == "dev",
        optional: value["optional"] == true,
        default_features: value["uses_default_features"] == true,
        features: list(&value["features"])
            .map(|f| Ok(text(f)?.to_owned()))
            .collect::<Result<_>>()?,
    })
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .context("cargo metadata lacks a text where one was expected")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn metadata_is_read() {
        let json = r#"{"workspace_root": "/w", "target_directory": "/t", "packages": [
            {"name": "a", "manifest_path": "/w/crates/a/Cargo.toml",
             "targets": [{"kind": ["lib"]}, {"kind": ["test"]}, {"kind": ["test"]}],
             "dependencies": [{"name": "burn", "kind": "dev", "optional": true,
                               "uses_default_features": false, "features": ["std"]}]},
            {"name": "xtask", "manifest_path": "/w/xtask/Cargo.toml", "targets": [], "dependencies": []}]}"#;
        let workspace = Workspace::parse(json).unwrap();
        assert_eq!(
            workspace.crates().map(|m| &*m.name).collect::<Vec<_>>(),
            ["a"]
        );
        assert_eq!(workspace.members[0].test_targets, 2);
        let burn = &workspace.members[0].dependencies[0];
        assert!(burn.dev && burn.optional && !burn.default_features);
        assert_eq!(burn.features, ["std"]);
    }

    #[test]
    fn this_workspace_is_found() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.members.iter().any(|m| m.name == "xtask"));
        assert!(workspace.crates().all(|m| m.name.starts_with("soundstorm")));
    }
}
