//! Results on stdout: JSON where it is asked for, otherwise lines for people.

use anyhow::{Context, Result};
use serde::Serialize;

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(value).context("cannot print the result as JSON")?;
    say(&line)
}

/// Prints a line on stdout; a reader that has gone away is an error and not a
/// panic.
pub(crate) fn say(line: &str) -> Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}
