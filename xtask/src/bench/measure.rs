//! Sides run in turn. One that fails leaves, and its failure is what was measured of it.

use anyhow::{Context, Result, bail};

use super::shape::{self, Shape};
use super::side::{Side, Stopped};
use super::sides::{Role, Spec};

/// What became of one side.
pub(super) struct Measured {
    pub(super) side: String,
    pub(super) role: Role,
    /// Or why it failed.
    pub(super) result: Result<Timed, String>,
}

/// The timed runs of a side.
pub(super) struct Timed {
    pub(super) seconds: Vec<f64>,
    pub(super) shape: Shape,
    pub(super) stopped: Stopped,
}

/// A side and its runs so far.
struct Running {
    side: Side,
    seconds: Vec<f64>,
    shape: Option<Shape>,
}

/// Starts all, does `warmup` rounds and `runs` timed ones. The first round waits for each side to
/// load, so that none loads beside a timed run.
pub(super) fn measure(what: &str, specs: Vec<Spec>, warmup: usize, runs: usize) -> Vec<Measured> {
    let mut sides: Vec<(String, Role, Result<Running>)> = Vec::new();
    for mut spec in specs {
        let side = Side::start(&spec.name, &mut spec.command).map(|side| Running {
            side,
            seconds: Vec::new(),
            shape: None,
        });
        sides.push((spec.name, spec.role, side));
    }
    for round in 0..warmup + runs {
        for index in order(round, sides.len()) {
            let (_, _, running) = &mut sides[index];
            let Ok(side) = running else { continue };
            if let Err(error) = side.run(what, round >= warmup) {
                eprintln!("{what:<10}{:<34}failed: {error:#}", side.side.name);
                if let Ok(failed) = std::mem::replace(running, Err(error)) {
                    failed.side.kill();
                }
            }
        }
    }
    let mut measured: Vec<Measured> = sides
        .into_iter()
        .map(|(side, role, running)| Measured {
            side,
            role,
            result: running
                .and_then(Running::stop)
                .map_err(|e| format!("{e:#}")),
        })
        .collect();
    refuse_other_work(&mut measured);
    measured
}

/// Who goes first alternates: what a run leaves behind meets all sides.
fn order(round: usize, sides: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sides).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order
}

impl Running {
    fn run(&mut self, what: &str, timed: bool) -> Result<()> {
        let run = self.side.run()?;
        let note = if timed { "" } else { " (warm-up)" };
        eprintln!(
            "{what:<10}{:<34}{:>9.3} s{note}",
            self.side.name, run.seconds
        );
        if self.shape.as_ref().is_some_and(|shape| *shape != run.shape) {
            bail!("two runs did different work");
        }
        self.shape = Some(run.shape);
        if timed {
            self.seconds.push(run.seconds);
        }
        Ok(())
    }

    fn stop(self) -> Result<Timed> {
        Ok(Timed {
            seconds: self.seconds,
            shape: self.shape.context("no run")?,
            stopped: self.side.stop()?,
        })
    }
}

/// Sides are held against the first.
fn refuse_other_work(measured: &mut [Measured]) {
    let mut first: Option<(String, Shape)> = None;
    for side in measured.iter_mut() {
        let Ok(timed) = &side.result else { continue };
        let Some((name, shape)) = &first else {
            first = Some((side.side.clone(), timed.shape.clone()));
            continue;
        };
        if let Err(error) = shape::same_work(name, shape, &side.side, &timed.shape) {
            side.result = Err(format!("did other work: {error}"));
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::process::Command;

    /// A side that answers `lives` times, then leaves with an error.
    fn spec(name: &str, role: Role, passes: u64, lives: usize) -> Spec {
        let answer = format!(
            r#"{{"seconds": 1.5, "passes": {passes}, "levels": 1, "frames": 2, "parameters": 3}}"#
        );
        let script = format!(
            "n=0; while read x; do n=$((n+1)); [ $n -gt {lives} ] && exit 3; echo '{answer}'; done"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        Spec {
            name: name.to_owned(),
            role,
            command,
        }
    }

    #[test]
    fn a_side_that_fails_does_not_end_the_others() {
        let specs = vec![
            spec("mortal", Role::Ours, 1, 2),
            spec("absent", Role::Ours, 1, 0),
            spec("fine", Role::Peer, 1, 9),
        ];
        let measured = measure("test", specs, 1, 3);
        let failed = |index: usize| measured[index].result.as_ref().err().cloned().unwrap();
        assert!(failed(0).contains("exit status: 3"), "{}", failed(0));
        assert!(failed(1).contains("exit status: 3"), "{}", failed(1));
        let fine = measured[2].result.as_ref().ok().unwrap();
        assert_eq!(fine.seconds, [1.5; 3], "the warm-up does not count");
    }

    #[test]
    fn a_program_that_does_not_start_is_a_failed_side() {
        let mut missing = spec("missing", Role::Ours, 1, 9);
        missing.command = Command::new("/no/such/program");
        let measured = measure("test", vec![missing], 1, 1);
        let why = measured[0].result.as_ref().err().unwrap();
        assert!(why.contains("cannot start"), "{why}");
    }

    #[test]
    fn other_work_is_refused() {
        let specs = vec![
            spec("ours", Role::Ours, 27, 9),
            spec("peer", Role::Peer, 28, 9),
        ];
        let measured = measure("test", specs, 1, 1);
        assert!(measured[0].result.is_ok());
        let why = measured[1].result.as_ref().err().unwrap();
        assert_eq!(why, "did other work: passes: 27 in ours, 28 in peer");
    }

    #[test]
    fn who_goes_first_alternates() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
        assert_eq!(order(2, 3), [0, 1, 2]);
    }
}
