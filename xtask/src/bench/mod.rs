//! `cargo xtask bench`: `soundstorm bench` beside a peer, run by run in turn, on one machine.
//!
//! Each side is one process that stays alive, does one timed run for each line on its stdin and
//! answers with one line of JSON, as `side.rs` says; so both pay for loading once, and a machine that
//! grows slower or faster meanwhile does so for both.

mod machine;
mod report;
mod side;
mod stats;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{process, venv};
use report::{Measured, Report};
use side::{Shape, Side};

/// The peers' scripts and their pinned packages, below the workspace's root.
const PEERS: &str = "benches/peers";
/// The script that serves `soundstorm-pytorch`.
const PEER_SCRIPT: &str = "soundstorm_pytorch.py";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to time
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "forward,generate",
        value_name = "WORK,…"
    )]
    work: Vec<String>,
    /// The model's settings
    #[arg(long, default_value = "reference")]
    preset: String,
    /// Frames in a row
    #[arg(long, default_value_t = 500)]
    frames: usize,
    /// Passes per level; the last value stands for the rest
    #[arg(long, default_value = "16,1")]
    steps: String,
    /// Timed runs of each side
    #[arg(long, default_value_t = 5, value_parser = at_least_one)]
    runs: usize,
    /// Runs of each side before the timed ones
    #[arg(long, default_value_t = 1)]
    warmup: usize,
    /// Threads of each side; by default as many as the machine has
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Where `soundstorm` runs
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Features to build `soundstorm` with, besides the default ones
    #[arg(long, value_name = "FEATURES")]
    features: Option<String>,
    /// Measure the peer too (the default)
    #[arg(long, overrides_with = "no_peer")]
    peer: bool,
    /// Measure `soundstorm` alone
    #[arg(long)]
    no_peer: bool,
    /// Run the peer with this interpreter, as it is
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Where the report goes
    #[arg(long, default_value = "docs/benchmarks", value_name = "DIR")]
    out: PathBuf,
    /// Run the criterion benches instead
    #[arg(long)]
    criterion: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}

/// Builds, measures, prints a table and writes the report.
pub(crate) fn run(args: &Args) -> Result<()> {
    let workspace = Workspace::load()?;
    if args.criterion {
        // The profile that everything uses, or `bench` would compile the world anew.
        let arguments = ["bench", "-p", "soundstorm-benches", "--profile", "dev"];
        return process::run(
            process::cargo()
                .args(arguments)
                .current_dir(&workspace.root),
        );
    }
    let threads = match args.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism()?.get(),
    };
    let program = build(&workspace, args)?;
    let python = if args.no_peer {
        None
    } else {
        Some(interpreter(&workspace, args)?)
    };

    let mut works = Vec::new();
    for work in &args.work {
        let mut ours = Command::new(&program);
        ours.args(["bench", "--serve", "--json", "--device", &args.device]);
        let mut sides = vec![Side::start(
            "soundstorm",
            shape(&mut ours, args, work, threads),
        )?];
        if let Some(python) = &python {
            let mut peer = Command::new(python);
            peer.arg(workspace.root.join(PEERS).join(PEER_SCRIPT))
                .arg("--serve");
            let device = if args.device.starts_with("cuda") {
                "cuda"
            } else {
                "cpu"
            };
            peer.args(["--threads", &threads.to_string(), "--device", device]);
            sides.push(Side::start(
                "soundstorm-pytorch",
                shape(&mut peer, args, work, threads),
            )?);
        }
        works.push(measure(work, sides, args)?);
    }
    let report = Report {
        preset: args.preset.clone(),
        steps: args.steps.clone(),
        device: args.device.clone(),
        threads,
        warmup: args.warmup,
        machine: machine::describe(),
        versions: machine::versions(&workspace.root),
        works,
    };
    println!("{}", report.table());
    let folder = workspace.root.join(&args.out);
    let all = args.work == ["forward", "generate"];
    let works = if all {
        String::new()
    } else {
        format!("-{}", args.work.join("-"))
    };
    let device = args.device.replace(':', "-");
    let name = format!("{}-{}-{device}{works}", args.preset, args.frames);
    report.write(&folder, &name)
}

/// The arguments that both sides share.
fn shape<'a>(command: &'a mut Command, args: &Args, work: &str, threads: usize) -> &'a mut Command {
    command
        .args([
            "--work",
            work,
            "--preset",
            &args.preset,
            "--steps",
            &args.steps,
        ])
        .args(["--frames", &args.frames.to_string()])
        .env("RAYON_NUM_THREADS", threads.to_string())
        .env("OMP_NUM_THREADS", threads.to_string())
}

fn build(workspace: &Workspace, args: &Args) -> Result<PathBuf> {
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

fn interpreter(workspace: &Workspace, args: &Args) -> Result<PathBuf> {
    match &args.python {
        Some(python) => Ok(python.clone()),
        None => venv::prepare(
            &workspace.target.join("peers-venv"),
            &workspace.root.join(PEERS),
        )
        .context("`--no-peer` measures without one"),
    }
}

fn measure(work: &str, mut sides: Vec<Side>, args: &Args) -> Result<Vec<Measured>> {
    let mut seconds = vec![Vec::new(); sides.len()];
    let mut shapes: Vec<Option<Shape>> = vec![None; sides.len()];
    for round in 0..args.warmup + args.runs {
        let timed = round >= args.warmup;
        // Who goes first alternates: what a run leaves behind meets both sides.
        let mut order: Vec<usize> = (0..sides.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let run = sides[index].run()?;
            let what = if timed { "" } else { " (warm-up)" };
            eprintln!(
                "{work:<10}{:<20}{:>9.3} s{what}",
                sides[index].name, run.seconds
            );
            if timed {
                seconds[index].push(run.seconds);
            }
            if shapes[index]
                .as_ref()
                .is_some_and(|before| *before != run.shape)
            {
                bail!("{}: two runs did different work", sides[index].name);
            }
            shapes[index] = Some(run.shape);
        }
    }
    let mut measured = Vec::new();
    for ((side, seconds), shape) in sides.into_iter().zip(seconds).zip(shapes) {
        let shape = shape.context("no run")?;
        let name = side.name;
        let stopped = side.stop()?;
        measured.push(Measured {
            work: work.to_owned(),
            side: name.to_owned(),
            seconds,
            shape,
            stopped,
        });
    }
    for pair in measured.windows(2) {
        side::same_work(
            pair[0].side.as_str(),
            &pair[0].shape,
            pair[1].side.as_str(),
            &pair[1].shape,
        )
        .with_context(|| format!("{work}: the two sides did not do the same work"))?;
    }
    Ok(measured)
}
