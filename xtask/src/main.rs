//! `cargo xtask`: what the project does to itself — validation, fixtures, benchmarks.

mod bench;
mod fixtures;
mod process;
mod readme;
mod validate;
mod venv;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Validation, fixtures and benchmarks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the whole project, cheapest step first
    Validate(validate::Args),
    /// Make the parity fixtures again with the reference packages
    Fixtures(fixtures::Args),
    /// Measure `soundstorm` beside its peers, run by run
    Bench(Box<bench::Args>),
    /// Print a command that README.md marks with `<!-- ci: NAME -->`
    Readme(readme::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Validate(args) => validate::run(&args),
        Command::Fixtures(args) => fixtures::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Readme(args) => readme::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
