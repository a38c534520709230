//! What no compiler checks: opening lines, READMEs, left-over marks, printing libraries.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::layering::MODEL;
use super::{Outcome, findings};
use crate::readme;
use crate::workspace::{Member, Workspace};

/// Folders that hold no source of ours.
const IGNORED: &[&str] = &["target", ".git", ".venv", "__pycache__"];
/// The folders whose Rust files open with a line that says what they are for.
const SOURCES: &[&str] = &["crates", "xtask", "examples", "benches"];
/// Files in which a left-over mark is looked for, by extension; `.ci/run` has none.
const TEXTS: &[&str] = &["rs", "md", "py", "toml", "sh", "yml", "yaml", "json", ""];
/// How a file says what it is for; a crate may do it by its README.
const OPENINGS: &[&str] = &["//! ", "#![doc = include_str!(\"../README.md\")]"];
/// Marks of unfinished work, spelled so that this list does not find itself.
const LEFT_OVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
];
/// What a library does not do: print, read a command line, end the process.
const PROGRAM_ONLY: &[&str] = &[
    "println!(",
    "eprintln!(",
    "print!(",
    "eprint!(",
    "env::args",
    "process::exit",
];
/// What a model crate does not do: open files, read the environment, hold global state.
const EDGE_ONLY: &[&str] = &[
    "std::fs",
    "File::open",
    "std::env",
    "thread_local!",
    "OnceLock",
    "LazyLock",
    "static mut",
];

pub(super) fn run(workspace: &Workspace) -> Result<Outcome> {
    let mut found = Vec::new();
    let mut files = Vec::new();
    walk(&workspace.root, &mut files)?;
    for path in &files {
        let Ok(text) = std::fs::read_to_string(path) else {
            continue; // binary: fixtures, audio
        };
        let name = path.strip_prefix(&workspace.root).unwrap_or(path);
        found.extend(
            file(name, &text)
                .into_iter()
                .map(|why| format!("{}: {why}", name.display())),
        );
    }
    for member in workspace.crates() {
        found.extend(
            package(member)
                .into_iter()
                .map(|why| format!("{}: {why}", member.name)),
        );
    }
    for name in [readme::TRY, readme::TEST] {
        found.extend(readme::marked(name).err().map(|error| format!("{error:#}")));
    }
    findings(found)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let ignored = path
            .file_name()
            .is_some_and(|name| IGNORED.iter().any(|i| name == *i));
        if path.is_dir() && !ignored {
            walk(&path, files)?;
        } else if path.is_file()
            && path
                .extension()
                .is_none_or(|e| TEXTS.iter().any(|t| e == *t))
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

/// What is wrong with one file; `name` is its path below the root.
fn file(name: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_rust = name.extension().is_some_and(|e| e == "rs");
    if is_rust
        && SOURCES.iter().any(|folder| name.starts_with(folder))
        && !OPENINGS.iter().any(|o| text.starts_with(o))
    {
        found.push("does not open with a `//!` line".to_owned());
    }
    let numbered = || (1..).zip(text.lines());
    for (number, line) in numbered() {
        for mark in LEFT_OVERS.iter().filter(|mark| has_word(line, mark)) {
            found.push(format!("line {number}: left over: {mark}"));
        }
    }
    // `testing.rs` helps the tests of several crates; it says what they skip.
    if is_rust && is_library_source(name) && !name.ends_with("testing.rs") {
        let model = krate(name).is_some_and(|name| MODEL.contains(&name));
        let edge = if model { EDGE_ONLY } else { &[] };
        // What follows the opening of the tests is not the library.
        for (number, line) in numbered().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for word in PROGRAM_ONLY
                .iter()
                .chain(edge)
                .filter(|word| has_word(line, word))
            {
                found.push(format!("line {number}: `{word}` is not for a library"));
            }
        }
    }
    found
}

/// Whether `mark` stands in `line` as a word of its own.
fn has_word(line: &str, mark: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(mark).any(|(at, _)| {
        let after = line[at + mark.len()..].chars().next();
        !letter(line[..at].chars().next_back()) && (mark.ends_with('(') || !letter(after))
    })
}

/// The crate that a path below the root belongs to.
fn krate(name: &Path) -> Option<&str> {
    name.strip_prefix("crates")
        .ok()?
        .components()
        .next()?
        .as_os_str()
        .to_str()
}

fn is_library_source(name: &Path) -> bool {
    krate(name).is_some_and(|krate| {
        krate != "soundstorm-cli" && name.starts_with(Path::new("crates").join(krate).join("src"))
    })
}

/// What is wrong with one crate as a whole.
fn package(member: &Member) -> Vec<String> {
    let mut found = Vec::new();
    let read = |name: &str| std::fs::read_to_string(member.folder.join(name)).unwrap_or_default();
    let readme = read("README.md");
    if readme
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count()
        < 3
    {
        found.push("README.md is missing or says nothing".to_owned());
    }
    let lib = read("src/lib.rs");
    let is_library = member.name != "soundstorm-cli";
    let has_doctest =
        (lib.contains("README.md") && readme.contains("```")) || lib.contains("//! ```");
    if is_library && !has_doctest {
        found.push("no doctest in README.md or src/lib.rs".to_owned());
    }
    if member.test_targets > 1 {
        found.push(format!(
            "{} integration-test binaries; one is enough",
            member.test_targets
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expect: &[&str]) {
        assert_eq!(file(Path::new(name), text), expect, "{name}");
    }

    #[test]
    fn files_open_with_what_they_are_for() {
        let why = "does not open with a `//!` line";
        check("crates/soundstorm-nn/src/a.rs", "//! Norms.\n", &[]);
        check("crates/soundstorm-nn/src/a.rs", "use x;\n", &[why]);
        check(
            "crates/soundstorm-nn/src/lib.rs",
            "#![doc = include_str!(\"../README.md\")]\n",
            &[],
        );
        check("crates/soundstorm-nn/tests/it/main.rs", "", &[why]);
        check("docs/a.md", "x", &[]);
    }

    #[test]
    fn left_overs() {
        let mark = LEFT_OVERS[0];
        check(
            "README.md",
            &format!("a\n{mark}: b"),
            &[&format!("line 2: left over: {mark}")],
        );
        check("README.md", &format!("my{mark} {mark}S"), &[]);
        let r#macro = LEFT_OVERS[2];
        check(
            "x.py",
            &format!(" {macro}\"x\")"),
            &[&format!("line 1: left over: {macro}")],
        );
        check("x.py", &format!("my_{macro})"), &[]);
    }

    #[test]
    fn libraries_do_not_print() {
        let text = "//! X.\n// println!(\nprintln!(1);\n#[cfg(test)]\nprintln!(2);\n";
        let why = "line 3: `println!(` is not for a library";
        check("crates/soundstorm-hub/src/a.rs", text, &[why]);
        check("crates/soundstorm-cli/src/a.rs", text, &[]);
        check("crates/soundstorm-hub/tests/it/a.rs", text, &[]);
        check("crates/soundstorm-hub/src/testing.rs", text, &[]);
    }

    #[test]
    fn model_crates_open_nothing() {
        let text = "//! X.\nuse std::fs;\n";
        let why = "line 2: `std::fs` is not for a library";
        check("crates/soundstorm-codec/src/a.rs", text, &[why]);
        check("crates/soundstorm/src/a.rs", text, &[why]);
        check("crates/soundstorm-hub/src/a.rs", text, &[]);
    }
}
