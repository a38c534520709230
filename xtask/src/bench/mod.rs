//! `cargo xtask bench`: `soundstorm bench` beside its peers, run by run in turn, on one machine.
//!
//! Each side is one process that stays alive, does one timed run for each line on its stdin and
//! answers with one line of JSON, as `side.rs` says; so all pay for loading once, and a machine that
//! grows slower or faster meanwhile does so for all.

mod args;
mod criterion;
mod draw;
mod machine;
mod markdown;
mod measure;
mod parts;
mod plan;
mod plot;
mod points;
mod report;
mod rows;
mod shape;
mod side;
mod sides;
mod stats;
mod sweep;
#[cfg(test)]
mod testing;

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{process, venv};
pub(crate) use args::Args;
use plan::{Case, Plan};
use report::Report;
use rows::Group;
use sides::{SCRIPTS, Setup, Spec};

/// Builds, measures, prints tables and writes the report.
pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    let plan = Plan::new(args);
    let threads = match args.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    // Before anything is built or measured, for the load that is not ours.
    let machine = machine::describe(&args.device);
    let warning = machine::busy();
    if let Some(warning) = &warning {
        eprintln!("warning: {warning}");
    }
    let mut parts = Vec::new();
    if !(plan.works.is_empty() && plan.sweeps.is_empty() && plan.codecs.is_empty()) {
        let setup = Setup {
            program: program(&workspace, args)?,
            python: interpreter(&workspace, args)?,
            scripts: workspace.root.join(SCRIPTS),
            device: args.device.clone(),
            threads,
            dtypes: args.dtypes.clone(),
            peers: args.peers.clone(),
        };
        let measured = |cases: &[Case], specs: &dyn Fn(&Case) -> Vec<Spec>| {
            let group = |case: &Case| Group {
                case: case.clone(),
                sides: measure::measure(case.work.name(), specs(case), args.warmup, plan.runs),
            };
            cases.iter().map(group).collect::<Vec<_>>()
        };
        if !plan.works.is_empty() {
            parts.push(parts::works(&measured(&plan.works, &|c| setup.models(c))));
        }
        for case in &plan.sweeps {
            let groups = measured(&plan.points.cases(case), &|c| setup.models(c));
            parts.push(sweep::part(&plan.points, &groups));
        }
        if !plan.codecs.is_empty() {
            parts.push(parts::codecs(&measured(&plan.codecs, &|c| setup.codecs(c))));
        }
    }
    if plan.criterion {
        parts.push(criterion::run(&workspace, args.quick)?);
    }
    let report = Report {
        name: plan.name,
        command: process::typed("cargo xtask"),
        device: args.device.clone(),
        threads,
        warmup: args.warmup,
        runs: plan.runs,
        machine,
        warning,
        versions: machine::versions(&workspace.root),
        parts,
    };
    println!("{}", report.text());
    report.write(&workspace.root.join(&args.out))?;
    report.check()
}

fn program(workspace: &Workspace, args: &Args) -> Result<PathBuf> {
    if let Some(program) = &args.program {
        return std::path::absolute(program).with_context(|| program.display().to_string());
    }
    let mut command = process::cargo();
    command
        .args(["build", "-p", "soundstorm-cli"])
        .current_dir(&workspace.root);
    if let Some(features) = &args.features {
        command.args(["--features", features]);
    }
    process::run(&mut command)?;
    let name = format!("soundstorm{}", std::env::consts::EXE_SUFFIX);
    Ok(workspace.target.join("debug").join(name))
}

fn interpreter(workspace: &Workspace, args: &Args) -> Result<Option<PathBuf>> {
    if args.no_peer {
        return Ok(None);
    }
    if args.python.is_some() {
        return Ok(args.python.clone());
    }
    let folder = workspace.target.join("peers-venv");
    let python = venv::prepare(&folder, &workspace.root.join(SCRIPTS));
    python.map(Some).context("`--no-peer` measures without one")
}
