//! Each library crate from a user's side: a small crate outside the workspace that depends on that
//! crate alone compiles, and brings in no backend and nothing that is not the crate's job.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::layering::{BACKENDS, PROGRAM, belongs};
use super::{Outcome, findings};
use crate::process;
use crate::workspace::{Member, Workspace};

/// Reading and writing audio.
const AUDIO: &[&str] = &["symphonia", "hound", "rubato"];
/// Fetching over the network.
const NETWORK: &[&str] = &["hf-hub", "reqwest", "ureq", "hyper"];

/// What is a crate's job although it is nobody else's.
const JOBS: &[(&str, &[&str])] = &[
    ("soundstorm-audio", AUDIO),
    // It reads what it encodes.
    ("soundstorm-train", AUDIO),
    // Its default feature; `check-none` holds it to none without.
    ("soundstorm-runtime", &["burn-flex"]),
];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let folder = Folder::new()?;
    let templates = workspace.root.join("xtask").join("standalone");
    let manifest = workspace.root.join("Cargo.toml");
    let profiles = profiles(
        &std::fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?,
    );
    let mut found = Vec::new();
    for member in workspace
        .crates()
        .filter(|member| member.name != "soundstorm-cli")
    {
        let template = templates.join(format!("{}.rs", member.name));
        let main = std::fs::read_to_string(&template)
            .with_context(|| format!("cannot read {}", template.display()))?;
        let home = folder.0.join(&member.name);
        let write = |name: &str, text: &str| {
            std::fs::write(home.join(name), text)
                .with_context(|| format!("cannot write {name} in {}", home.display()))
        };
        std::fs::create_dir_all(home.join("src"))?;
        write("src/main.rs", &main)?;
        write("Cargo.toml", &format!("{}{profiles}", package(member)))?;
        // The versions that the workspace is tested with, and none newer.
        std::fs::copy(workspace.root.join("Cargo.lock"), home.join("Cargo.lock"))?;

        process::run(&mut cargo(workspace, &home, &["check", "--quiet"]))
            .with_context(|| format!("{} alone", member.name))?;
        let tree = process::output(&mut cargo(
            workspace,
            &home,
            &[
                "tree", "--edges", "normal", "--prefix", "none", "--format", "{p}",
            ],
        ))?;
        found.extend(
            unwanted(&member.name, &tree)
                .into_iter()
                .map(|other| format!("{} alone brings in {other}", member.name)),
        );
    }
    findings(found)
}

/// A folder outside the workspace, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path =
            std::env::temp_dir().join(format!("soundstorm-standalone-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left-overs in the temporary folder harm nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Offline: the lock file names what the workspace's own steps have fetched. The target folder
/// is the workspace's, so that what was checked there is not checked again.
fn cargo(workspace: &Workspace, home: &Path, arguments: &[&str]) -> Command {
    let mut command = process::cargo();
    command
        .args(arguments)
        .arg("--offline")
        .current_dir(home)
        .env("CARGO_TARGET_DIR", &workspace.target);
    command
}

fn package(member: &Member) -> String {
    // A literal string: a Windows path has backslashes.
    format!(
        "[package]\nname = \"standalone-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [workspace]\n\n[dependencies]\n{name} = {{ path = '{}' }}\n\n",
        member.folder.display(),
        name = member.name,
    )
}

/// The profile tables of the workspace's manifest: with other ones cargo would compile anew.
fn profiles(manifest: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.starts_with("[profile.");
        }
        if inside {
            text += line;
            text.push('\n');
        }
    }
    text
}

/// The packages of a dependency tree (one `name vX.Y.Z` a line) that `name` should not bring.
fn unwanted(name: &str, tree: &str) -> Vec<String> {
    let job = JOBS
        .iter()
        .find(|(who, _)| *who == name)
        .map_or(&[][..], |(_, job)| *job);
    let mut found: Vec<String> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|package| {
            [BACKENDS, PROGRAM, AUDIO, NETWORK]
                .iter()
                .any(|families| belongs(package, families))
                && !belongs(package, job)
        })
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_copied_whole() {
        let manifest = "[workspace]\na = 1\n\n[profile.dev]\nopt-level = 3\n\
            [profile.dev.package.\"*\"]\nopt-level = 3\n[lints]\nb = 2\n[profile.release]\nstrip = true";
        assert_eq!(
            profiles(manifest),
            "[profile.dev]\nopt-level = 3\n[profile.dev.package.\"*\"]\nopt-level = 3\n\
             [profile.release]\nstrip = true\n"
        );
    }

    #[test]
    fn unwanted_packages_are_named_once() {
        let tree = "standalone v0.0.0\nburn-flex v0.21.0\nsymphonia-core v0.6.1\nburn v0.21.0\n\
            clap_builder v4.6.7\nburn-flex v0.21.0 (*)\n";
        assert_eq!(
            unwanted("soundstorm-nn", tree),
            ["burn-flex", "clap_builder", "symphonia-core"]
        );
        assert_eq!(
            unwanted("soundstorm-runtime", tree),
            ["clap_builder", "symphonia-core"]
        );
        assert_eq!(
            unwanted("soundstorm-audio", tree),
            ["burn-flex", "clap_builder"]
        );
    }
}
