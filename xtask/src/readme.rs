//! Commands taken from README.md itself, so that what CI runs is what a reader types.
//!
//! A command is the fenced block that follows a comment `<!-- ci: NAME -->`.

use anyhow::{Context, Result, bail};

use crate::workspace;

/// The command a reader tries first.
pub(crate) const TRY: &str = "try";
/// The command that passes the tests.
pub(crate) const TEST: &str = "test";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name of the mark: `try` or `test`
    name: String,
}

/// Prints the marked command.
pub(crate) fn run(args: &Args) -> Result<()> {
    println!("{}", marked(&args.name)?);
    Ok(())
}

/// The marked command of this project's README.md.
pub(crate) fn marked(name: &str) -> Result<String> {
    let path = workspace::root().join("README.md");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    extract(&text, name).with_context(|| format!("in {}", path.display()))
}

/// The lines of the one fenced block that `<!-- ci: name -->` stands above.
fn extract(text: &str, name: &str) -> Result<String> {
    let mark = format!("<!-- ci: {name} -->");
    let mut found = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != mark {
            continue;
        }
        if found.is_some() {
            bail!("`{mark}` stands twice");
        }
        let opening = lines
            .by_ref()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        if !opening.trim_start().starts_with("```") {
            bail!("`{mark}` is not followed by a fenced block, but by `{opening}`");
        }
        found = Some(block(&mut lines).with_context(|| format!("the block below `{mark}`"))?);
    }
    found.with_context(|| format!("`{mark}` is missing"))
}

fn block<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Result<String> {
    let mut commands = Vec::new();
    for line in lines {
        let line = line.trim();
        if line.starts_with("```") {
            if commands.is_empty() {
                bail!("is empty");
            }
            return Ok(commands.join("\n"));
        }
        let command = line.strip_prefix("$ ").unwrap_or(line);
        if !command.is_empty() && !command.starts_with('#') {
            commands.push(command);
        }
    }
    bail!("does not end")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const README: &str = "# Title\n\n<!-- ci: try -->\n```sh\n# listen\n$ cargo run --example generate\n```\n\
        text\n  <!-- ci: test -->\n\n  ```sh\n  cargo test\n  cargo bench\n  ```\n```sh\nother\n```\n";

    #[test]
    fn the_marked_block_is_taken() {
        assert_eq!(
            extract(README, TRY).unwrap(),
            "cargo run --example generate"
        );
        assert_eq!(extract(README, TEST).unwrap(), "cargo test\ncargo bench");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |text: &str, expect: &str| {
            let error = format!("{:#}", extract(text, TRY).unwrap_err());
            assert!(error.contains(expect), "{error}");
        };
        check("nothing", "missing");
        check(
            "<!-- ci: try -->\ntext\n```\nx\n```",
            "not followed by a fenced block, but by `text`",
        );
        check("<!-- ci: try -->", "not followed");
        check("<!-- ci: try -->\n```\nx\n", "does not end");
        check("<!-- ci: try -->\n```\n\n# only a comment\n```", "is empty");
        check(&README.repeat(2), "stands twice");
    }
}
