//! One file for each command.

mod bench;
mod check;
mod compare;
mod completions;
mod convert;
mod decode;
mod doctor;
pub(crate) mod edit;
mod encode;
mod eval;
mod generate;
mod import;
mod info;
mod init;
mod load;
mod made;
mod manifest;
mod pair;
mod plot;
mod plot_log;
mod prepare;
pub(crate) mod sampling;
pub(crate) mod sidecar;
mod trace;
mod train;

use anyhow::Result;

use crate::args::{Cli, Command};

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let common = cli.common;
    match cli.command {
        Command::Encode(args) => encode::run(args, common),
        Command::Decode(args) => decode::run(args, common),
        Command::Generate(args) => generate::run(args, common),
        Command::Convert(args) => convert::run(args, common),
        Command::Edit(args) => edit::run(args, common),
        Command::Eval(args) => eval::run(args, common),
        Command::Compare(args) => compare::run(&args, &common),
        Command::Plot(args) => plot::run(&args, &common),
        Command::Prepare(args) => prepare::run(args, common),
        Command::Train(args) => train::run(args, common),
        Command::Import(args) => import::run(args, &common),
        Command::Init(args) => init::run(args, common),
        Command::Bench(args) => bench::run(args, common),
        Command::Info(args) => info::run(&args, &common),
        Command::Doctor(args) => match args.check {
            true => check::run(&common),
            false => doctor::run(&common),
        },
        Command::Completions(args) => completions::run(&args),
    }
}
