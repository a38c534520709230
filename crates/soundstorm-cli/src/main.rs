//! The `soundstorm` program: encode, decode, generate, convert, evaluate,
//! import, and look at what there is.

// The types of burn's fusing backends nest deeper than the default allows.
#![recursion_limit = "256"]

mod args;
mod audio_io;
mod codes_io;
mod commands;
mod output;
mod progress;
mod signals;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::{args::Cli, usage::UsageError};

#[global_allocator]
static ALLOCATOR: soundstorm_runtime::alloc::MiMalloc = soundstorm_runtime::alloc::MiMalloc;

/// The exit status of a command that was called wrongly; clap's own.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match commands::sidecar::expand(std::env::args_os().collect()) {
        Ok(arguments) => arguments,
        Err(error) => return failure(&error),
    };
    let cli = Cli::parse_from(arguments);
    start_logging(cli.common.verbose, cli.common.quiet);
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(&error),
    }
}

/// Says what went wrong, and whether it was the call.
fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    match error.downcast_ref::<UsageError>() {
        Some(_) => ExitCode::from(USAGE),
        None => ExitCode::FAILURE,
    }
}

/// Logs go to stderr, so that results on stdout stay clean.
fn start_logging(verbose: u8, quiet: bool) {
    let ours = match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let default = format!(
        "warn,wgpu=error,naga=error,cubecl=error,burn=error,soundstorm={ours},soundstorm_hub={ours},soundstorm_runtime={ours}"
    );
    let filter = tracing_subscriber::EnvFilter::try_from_env("SOUNDSTORM_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
}
