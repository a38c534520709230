//! `cargo xtask validate`: every check of the project, named, timed, cheapest first.

mod cargo;
mod deny;
mod layering;
mod standalone;
mod tidy;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only the steps that need no compilation, and clippy
    #[arg(long)]
    quick: bool,
    /// Run only this step; may be repeated
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// Leave this step out; may be repeated
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// Go on after a failure
    #[arg(long)]
    keep_going: bool,
    /// List the steps and stop
    #[arg(long)]
    list: bool,
}

/// What a step that did not fail says.
enum Outcome {
    Passed,
    Skipped(String),
}

struct Step {
    name: &'static str,
    about: &'static str,
    quick: bool,
    run: fn(&Workspace) -> Result<Outcome>,
}

/// Cheapest first; neighbours share what they compile.
const STEPS: &[Step] = &[
    Step {
        name: "format",
        about: "rustfmt changes nothing",
        quick: true,
        run: cargo::format,
    },
    Step {
        name: "tidy",
        about: "opening lines, READMEs, left-over marks, test binaries",
        quick: true,
        run: tidy::run,
    },
    Step {
        name: "layering",
        about: "dependencies point one way",
        quick: true,
        run: layering::run,
    },
    Step {
        name: "deny",
        about: "licences, bans, sources (needs cargo-deny)",
        quick: true,
        run: deny::run,
    },
    Step {
        name: "clippy",
        about: "no warning in any target",
        quick: true,
        run: cargo::clippy,
    },
    Step {
        name: "check-none",
        about: "the runtime and the program compile without a backend",
        quick: false,
        run: cargo::check_none,
    },
    Step {
        name: "standalone",
        about: "each library crate compiles alone and brings only what it should",
        quick: false,
        run: standalone::run,
    },
    Step {
        name: "check-flex",
        about: "… with flex alone",
        quick: false,
        run: cargo::check_flex,
    },
    Step {
        name: "check-ndarray",
        about: "… with ndarray alone",
        quick: false,
        run: cargo::check_ndarray,
    },
    Step {
        name: "check-wgpu",
        about: "… with wgpu alone",
        quick: false,
        run: cargo::check_wgpu,
    },
    Step {
        name: "check-cuda",
        about: "… with cuda alone",
        quick: false,
        run: cargo::check_cuda,
    },
    Step {
        name: "check-all",
        about: "… with all backends together",
        quick: false,
        run: cargo::check_all,
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        quick: false,
        run: cargo::docs,
    },
    Step {
        name: "tests",
        about: "all tests, with every backend that needs no vendor's hardware",
        quick: false,
        run: cargo::tests,
    },
];

/// Runs the chosen steps and prints a summary; an error if one failed.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.list {
        for step in STEPS {
            println!(
                "{:<14}{}{}",
                step.name,
                step.about,
                if step.quick { "  [quick]" } else { "" }
            );
        }
        return Ok(());
    }
    let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
    let chosen = choose(&names, &args.only, &args.skip)?;
    let workspace = Workspace::load()?;
    let mut summary = Vec::new();
    let mut failed = Vec::new();
    for step in STEPS {
        if !chosen.contains(&step.name) || (args.quick && !step.quick) {
            continue;
        }
        eprintln!("== {}: {}", step.name, step.about);
        let start = Instant::now();
        let result = (step.run)(&workspace);
        let word = match &result {
            Ok(Outcome::Passed) => "ok".to_owned(),
            Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
            Err(error) => {
                eprintln!("{error:#}");
                failed.push(step.name);
                "FAILED".to_owned()
            }
        };
        summary.push((step.name, start.elapsed(), word));
        if result.is_err() && !args.keep_going {
            break;
        }
    }
    eprint!("\n{}", render(&summary));
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn choose<'a>(names: &[&'a str], only: &[String], skip: &[String]) -> Result<Vec<&'a str>> {
    for name in only.iter().chain(skip) {
        if !names.contains(&name.as_str()) {
            bail!("no step `{name}`; there are: {}", names.join(", "));
        }
    }
    let has = |list: &[String], name: &str| list.iter().any(|n| n == name);
    Ok(names
        .iter()
        .copied()
        .filter(|name| (only.is_empty() || has(only, name)) && !has(skip, name))
        .collect())
}

fn render(summary: &[(&str, Duration, String)]) -> String {
    let mut text = String::new();
    for (name, time, word) in summary {
        text += &format!("{name:<14}{:>8.1} s  {word}\n", time.as_secs_f64());
    }
    let total: Duration = summary.iter().map(|(_, time, _)| *time).sum();
    text + &format!("{:<14}{:>8.1} s\n", "total", total.as_secs_f64())
}

/// An error that lists every finding of a check, or success when there is none.
fn findings(found: Vec<String>) -> Result<Outcome> {
    if found.is_empty() {
        return Ok(Outcome::Passed);
    }
    bail!("{}", found.join("\n"));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn steps_are_chosen_by_name() {
        let names = ["format", "clippy", "tests"];
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(choose(&names, &[], &[]).unwrap(), names);
        assert_eq!(
            choose(&names, &own(&["tests", "format"]), &[]).unwrap(),
            ["format", "tests"]
        );
        assert_eq!(
            choose(&names, &[], &own(&["tests"])).unwrap(),
            ["format", "clippy"]
        );
        assert!(choose(&names, &[], &own(&["test"])).is_err());
    }

    #[test]
    fn the_summary_adds_up() {
        let summary = [
            ("format", Duration::from_millis(1250), "ok".to_owned()),
            ("deny", Duration::from_millis(750), "skipped: x".to_owned()),
        ];
        assert_eq!(
            render(&summary),
            "format             1.2 s  ok\ndeny               0.8 s  skipped: x\ntotal              2.0 s\n"
        );
    }
}
