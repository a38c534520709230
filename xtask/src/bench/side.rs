//! One side of a comparison: a process that does one timed run for each line on its stdin.
//!
//! The protocol, the same for `soundstorm bench --serve` and for a peer's script: the process
//! loads, then waits; for the line `run` it does one run and prints one line of JSON with its
//! `seconds`. What was done stands in the same line, or once in a line before the first: what
//! `Shape` holds; and, if it likes, `peak_mib` and versions. At the end of its stdin it leaves.
//! Anything else goes to stderr.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::machine;
use super::shape::Shape;
use crate::process;

/// One timed run.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    pub(super) seconds: f64,
    pub(super) shape: Shape,
}

/// What remains of a side when it has left.
pub(super) struct Stopped {
    /// The most memory that the process ever held.
    pub(super) peak_mib: Option<f64>,
    /// What the side says of its own versions.
    pub(super) versions: Option<String>,
}

/// A running side.
pub(super) struct Side {
    pub(super) name: String,
    line: String,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    peak_mib: Option<f64>,
    /// Everything it has said, the newest value of each key.
    said: Map<String, Value>,
}

impl Side {
    /// Starts the process; it loads while others do.
    pub(super) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let line = process::display(command);
        eprintln!("$ {line}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{line}`"))?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        let said = Map::new();
        Ok(Self {
            name: name.to_owned(),
            line,
            child,
            stdin,
            stdout,
            peak_mib: None,
            said,
        })
    }

    /// Asks for one run and waits for it.
    pub(super) fn run(&mut self) -> Result<Run> {
        // A process that has died shows in its missing answer.
        let _ = self
            .stdin
            .write_all(b"run\n")
            .and_then(|()| self.stdin.flush());
        loop {
            let mut answer = String::new();
            let read = self.stdout.read_line(&mut answer);
            if read.with_context(|| format!("reading from {}", self.name))? == 0 {
                let status = self.child.wait()?;
                bail!("`{}` left without an answer: {status}", self.line);
            }
            let run = listen(&mut self.said, &answer)
                .with_context(|| format!("{} answered `{}`", self.name, answer.trim_end()))?;
            if let Some(run) = run {
                let own = self.said.get("peak_mib").and_then(Value::as_f64);
                self.peak_mib = machine::peak_mib(self.child.id()).or(own);
                return Ok(run);
            }
        }
    }

    /// Ends it, whatever it does: it has failed, and its memory is wanted.
    pub(super) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Ends its stdin and waits.
    pub(super) fn stop(self) -> Result<Stopped> {
        let Self {
            line,
            mut child,
            stdin,
            stdout,
            peak_mib,
            said,
            ..
        } = self;
        drop(stdin);
        // A summary may follow; a closed pipe would turn it into a failure.
        for rest in stdout.lines() {
            rest?;
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("`{line}` failed: {status}");
        }
        Ok(Stopped {
            peak_mib,
            versions: versions(&said),
        })
    }
}

/// Takes one line in; a run, if it is one.
fn listen(said: &mut Map<String, Value>, line: &str) -> Result<Option<Run>> {
    let value: Map<String, Value> = serde_json::from_str(line).context("that is not JSON")?;
    let seconds = value
        .get("seconds")
        .map(|s| s.as_f64().context("`seconds` is no number"));
    said.extend(value);
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    Ok(Some(Run {
        seconds: seconds?,
        shape: Shape::read(said)?,
    }))
}

/// What a side says of its versions and of how it runs.
fn versions(said: &Map<String, Value>) -> Option<String> {
    let keys = [
        "peer", "version", "burn", "torch", "backend", "device", "dtype", "compile", "threads",
    ];
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let parts: Vec<String> = keys
        .iter()
        .filter_map(|key| Some((key, said.get(*key).filter(|value| !value.is_null())?)))
        // What is not compiled needs no word.
        .filter(|(_, value)| **value != Value::Bool(false))
        .map(|(key, value)| match value {
            Value::Bool(_) => (*key).to_owned(),
            value => format!("{key} {}", text(value)),
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ABOUT: &str = r#"{"torch": "2.11.0", "passes": 27, "levels": 12, "frames": 500, "parameters": 365615104}"#;
    const ANSWER: &str = r#"{"run": 1, "seconds": 1.5}"#;

    fn shape() -> Shape {
        Shape {
            passes: 27,
            levels: 12,
            frames: 500,
            parameters: 365_615_104,
        }
    }

    #[test]
    fn a_run_is_told_apart_from_what_is_said_before_it() {
        let mut said = Map::new();
        assert_eq!(listen(&mut said, ABOUT).unwrap(), None);
        let run = listen(&mut said, ANSWER).unwrap();
        assert_eq!(
            run,
            Some(Run {
                seconds: 1.5,
                shape: shape()
            })
        );
        assert_eq!(versions(&said).as_deref(), Some("torch 2.11.0"));
        said.extend([("compile".to_owned(), Value::Bool(false))]);
        assert_eq!(versions(&said).as_deref(), Some("torch 2.11.0"));
        said.extend([("compile".to_owned(), Value::Bool(true))]);
        assert_eq!(versions(&said).as_deref(), Some("torch 2.11.0, compile"));
        let one = ABOUT.replace('{', r#"{"seconds": 2.5, "#);
        assert_eq!(
            listen(&mut Map::new(), &one).unwrap(),
            Some(Run {
                seconds: 2.5,
                shape: shape()
            })
        );
    }

    #[test]
    fn an_answer_that_lacks_something_is_an_error() {
        for key in ["passes", "levels", "frames", "parameters"] {
            let mut said = Map::new();
            assert_eq!(listen(&mut said, &ABOUT.replace(key, "x")).unwrap(), None);
            let error = listen(&mut said, ANSWER).unwrap_err().to_string();
            assert_eq!(error, format!("`{key}` is missing"));
        }
        assert!(listen(&mut Map::new(), "loading…").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_side_answers_each_line() {
        let script = format!("echo '{ABOUT}'; while read x; do echo '{ANSWER}'; done; echo bye");
        let mut side = Side::start("peer", Command::new("sh").args(["-c", &script])).unwrap();
        assert_eq!(side.run().unwrap().seconds, 1.5);
        assert_eq!(side.run().unwrap().shape, shape());
        assert_eq!(
            side.stop().unwrap().versions.as_deref(),
            Some("torch 2.11.0")
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_side_that_dies_is_an_error() {
        let mut side = Side::start("peer", Command::new("sh").args(["-c", "exit 3"])).unwrap();
        let error = side.run().unwrap_err().to_string();
        assert!(error.contains("left without an answer"), "{error}");
    }
}
