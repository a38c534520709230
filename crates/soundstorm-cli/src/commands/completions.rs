//! `soundstorm completions`: a completion script for a shell.

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::args::{Cli, Completions};

pub(crate) fn run(args: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "soundstorm", &mut script);
    let script = String::from_utf8(script).context("the completion script is not text")?;
    crate::output::say(script.trim_end())
}
