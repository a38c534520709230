//! The direction of the dependencies: the invariants of `docs/ARCHITECTURE.md`, from the manifests.

use anyhow::Result;

use super::{Outcome, findings};
use crate::workspace::{Dependency, Member, Workspace};

/// The model crates that each crate may use; one that is not named here may use them all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("soundstorm-gemm", &[]),
    ("soundstorm-nn", &["soundstorm-gemm"]),
    ("soundstorm-maskgit", &["soundstorm-nn"]),
    ("soundstorm-audio", &[]),
    ("soundstorm-conformer", &["soundstorm-nn"]),
    ("soundstorm-codec", &["soundstorm-nn"]),
    ("soundstorm", MODEL),
    ("soundstorm-hub", MODEL),
    ("soundstorm-runtime", MODEL),
];

/// Generic over the backend, without one.
pub(super) const MODEL: &[&str] = &[
    "soundstorm-nn",
    "soundstorm-conformer",
    "soundstorm-maskgit",
    "soundstorm-codec",
    "soundstorm",
];

/// Crates that know of each other not even in tests.
const STRANGERS: &[&str] = &[
    "soundstorm-conformer",
    "soundstorm-maskgit",
    "soundstorm-codec",
];

/// Burn's backends, by the beginning of their names.
pub(super) const BACKENDS: &[&str] = &[
    "burn-flex",
    "burn-ndarray",
    "burn-wgpu",
    "burn-cuda",
    "burn-rocm",
    "burn-cubecl",
    "burn-candle",
    "burn-tch",
    "burn-cpu",
];

/// What belongs to programs, by the beginning of the names.
pub(super) const PROGRAM: &[&str] = &["clap", "anyhow", "indicatif", "tracing-subscriber"];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let members: Vec<&Member> = workspace.crates().collect();
    findings(members.iter().flat_map(|member| check(member)).collect())
}

/// Whether `name` is one of `families` or belongs to one (`symphonia-core` to `symphonia`).
pub(super) fn belongs(name: &str, families: &[&str]) -> bool {
    families.iter().any(|family| {
        name.strip_prefix(family)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    })
}

fn check(member: &Member) -> Vec<String> {
    let name = member.name.as_str();
    let is_program = name == "soundstorm-cli";
    let may_use = MAY_USE
        .iter()
        .find(|(who, _)| *who == name)
        .map(|(_, uses)| *uses);
    let mut found = Vec::new();
    for dependency in &member.dependencies {
        let other = dependency.name.as_str();
        let ours = belongs(other, &["soundstorm"]);
        let mut say = |why: &str| found.push(format!("{name} depends on {other}: {why}"));
        if STRANGERS.contains(&name) && STRANGERS.contains(&other) {
            say("conformer, maskgit and codec know nothing of each other");
        } else if ours && !dependency.dev && may_use.is_some_and(|uses| !uses.contains(&other)) {
            say("dependencies point one way");
        }
        if !is_program && ours && other == "soundstorm-cli" {
            say("nothing stands above the program");
        }
        if !is_program && !dependency.dev && belongs(other, PROGRAM) {
            say("that is for programs");
        }
        if other == "burn" && !is_plain(dependency) {
            say("its features are the workspace's, `std` alone, so that it is built once");
        }
        if !dependency.dev && !dependency.optional && belongs(other, BACKENDS) {
            say("a backend is the user's choice: optional, or for tests");
        }
    }
    found
}

fn is_plain(burn: &Dependency) -> bool {
    !burn.default_features && burn.features == ["std"]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dependency(name: &str) -> Dependency {
        Dependency {
            name: name.to_owned(),
            dev: false,
            optional: false,
            default_features: false,
            features: vec!["std".to_owned()],
        }
    }

    fn said(name: &str, dependency: Dependency) -> usize {
        check(&Member {
            name: name.to_owned(),
            folder: "crates".into(),
            dependencies: vec![dependency],
            test_targets: 0,
        })
        .len()
    }

    #[test]
    fn direction() {
        let case = |name: &str, other: &str, expect| {
            assert_eq!(said(name, dependency(other)), expect, "{name} -> {other}")
        };
        case("soundstorm-codec", "soundstorm-nn", 0);
        case("soundstorm-nn", "soundstorm-codec", 1);
        case("soundstorm-nn", "soundstorm-gemm", 0);
        case("soundstorm-codec", "soundstorm-gemm", 1);
        case("soundstorm-gemm", "soundstorm-nn", 1);
        case("soundstorm-codec", "soundstorm-maskgit", 1);
        case("soundstorm-maskgit", "soundstorm-nn", 0);
        case("soundstorm-maskgit", "soundstorm-gemm", 1);
        case("soundstorm", "soundstorm-codec", 0);
        case("soundstorm", "soundstorm-hub", 1);
        case("soundstorm-hub", "soundstorm-runtime", 1);
        case("soundstorm-train", "soundstorm-hub", 0);
        case("soundstorm-train", "soundstorm-cli", 1);
        case("soundstorm-cli", "soundstorm-hub", 0);
    }

    #[test]
    fn foreign_crates() {
        let case = |name: &str, other: &str, expect| {
            assert_eq!(said(name, dependency(other)), expect, "{name} -> {other}")
        };
        case("soundstorm-hub", "clap", 1);
        case("soundstorm-hub", "clap_complete", 1);
        case("soundstorm-cli", "clap", 0);
        case("soundstorm-cli", "burn-flex", 1);
        case("soundstorm", "burn-flex", 1);
        case("soundstorm", "burn-flexible", 0);
        case("soundstorm", "burn", 0);
    }

    #[test]
    fn tests_and_options_are_free() {
        let dev = Dependency {
            dev: true,
            ..dependency("burn-flex")
        };
        assert_eq!(said("soundstorm", dev), 0);
        let optional = Dependency {
            optional: true,
            ..dependency("burn-cuda")
        };
        assert_eq!(said("soundstorm-runtime", optional), 0);
        let stranger = Dependency {
            dev: true,
            ..dependency("soundstorm-codec")
        };
        assert_eq!(said("soundstorm-maskgit", stranger), 1);
        let fat = Dependency {
            default_features: true,
            ..dependency("burn")
        };
        assert_eq!(said("soundstorm", fat), 1);
        let more = Dependency {
            features: vec!["std".into(), "ndarray".into()],
            ..dependency("burn")
        };
        assert_eq!(said("soundstorm", more), 1);
    }
}
