//! What one `cargo xtask bench` measures: the command line, with the gaps filled.

use super::args::{Args, Work};
use super::points::Points;

/// Frames in a second, of the codec that the presets are made for.
pub(super) const FRAMES_PER_SECOND: usize = 50;
/// Codecs that are measured; a quick bench takes the first two.
const CODECS: [&str; 6] = [
    "speechtokenizer",
    "mimi",
    "encodec-24khz",
    "encodec-48khz",
    "dac-16khz",
    "dac-44khz",
];
/// A codec that streams, and how long its frames are in frames of the presets.
const STREAMED: (&str, usize) = ("mimi", 4);
/// The length at which a sweep goes over batches.
const BATCHES_AT: usize = 10;

/// A piece of work and its size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Case {
    pub(super) work: Work,
    pub(super) preset: String,
    pub(super) frames: usize,
    pub(super) batch: usize,
    pub(super) steps: String,
}

impl Case {
    pub(super) fn seconds(&self) -> f64 {
        self.frames as f64 / FRAMES_PER_SECOND as f64
    }
}

#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// Compared one after the other.
    pub(super) works: Vec<Case>,
    /// Swept, each over all points.
    pub(super) sweeps: Vec<Case>,
    pub(super) points: Points,
    /// Encoding and decoding, each codec beside its peer, and a streamed codec's frames.
    pub(super) codecs: Vec<Case>,
    pub(super) criterion: bool,
    pub(super) runs: usize,
    /// The report's name.
    pub(super) name: String,
}

impl Plan {
    /// No part named is every part; a work named without a sweep is a part.
    pub(super) fn new(args: &Args) -> Self {
        let compared = !args.work.is_empty() && !args.sweep;
        let all = !(compared || args.sweep || args.codecs || args.criterion);
        let works = match args.work.as_slice() {
            [] if all => vec![Work::Forward, Work::Generate, Work::Train],
            given if compared => given.to_vec(),
            _ => vec![],
        };
        let sweeps = match args.work.as_slice() {
            given if args.sweep && !given.is_empty() => given.to_vec(),
            _ if args.sweep || all => vec![Work::Forward],
            _ => vec![],
        };
        let cases = |works: &[Work]| works.iter().map(|&work| case(args, work)).collect();
        Self {
            works: cases(&works),
            sweeps: cases(&sweeps),
            points: points(args),
            codecs: match args.codecs || all {
                true => codecs(args),
                false => vec![],
            },
            criterion: args.criterion || (all && args.program.is_none()),
            runs: args.runs.unwrap_or(if args.quick { 2 } else { 5 }),
            name: args.name.clone().unwrap_or_else(|| name(args, all)),
        }
    }
}

fn case(args: &Args, work: Work) -> Case {
    let (preset, frames, batch) = match (args.quick, work) {
        // With fewer frames some of 16 passes would have nothing to unmask, and ours skips those.
        (true, Work::Train) => ("small", 100, 2),
        (true, _) => ("small", 100, 1),
        (false, Work::Train) => ("small", 250, 8),
        (false, _) => ("reference", 500, 1),
    };
    Case {
        work,
        preset: args.preset.clone().unwrap_or_else(|| preset.to_owned()),
        frames: args.frames.unwrap_or(frames),
        batch: args.batch.unwrap_or(batch),
        steps: args.steps.clone(),
    }
}

/// Of every codec both ways, and of one that streams its first frame and as many seconds.
fn codecs(args: &Args) -> Vec<Case> {
    let coded = |work, codec: &str| Case {
        preset: codec.to_owned(),
        ..case(args, work)
    };
    let mut cases = Vec::new();
    for codec in if args.quick {
        &CODECS[..2]
    } else {
        &CODECS[..]
    } {
        cases.extend([Work::Encode, Work::Decode].map(|work| coded(work, codec)));
    }
    let (codec, frame) = STREAMED;
    let first = Case {
        frames: frame,
        ..coded(Work::Stream, codec)
    };
    cases.extend([first, coded(Work::Stream, codec)]);
    cases
}

fn points(args: &Args) -> Points {
    let or = |given: &[usize], quick: &[usize], full: &[usize]| match (given, args.quick) {
        ([], true) => quick.to_vec(),
        ([], false) => full.to_vec(),
        (given, _) => given.to_vec(),
    };
    Points::new(
        or(&args.seconds, &[1, 2, 4], &[5, 10, 30, 60, 120]),
        or(&args.batches, &[1, 2], &[1, 2, 4, 8, 16]),
        if args.quick { 1 } else { BATCHES_AT },
    )
}

/// Preset, frames, device and parts; all parts have no name.
fn name(args: &Args, all: bool) -> String {
    let device = args.device.replace(':', "-");
    let work = args.work.first().copied().unwrap_or(Work::Forward);
    let Case { preset, frames, .. } = case(args, work);
    let mut parts: Vec<String> = match (args.sweep || !args.work.is_empty() || all, args.codecs) {
        (true, _) => vec![preset],
        (false, true) => vec!["codecs".to_owned()],
        (false, false) => vec!["criterion".to_owned()],
    };
    let only_criterion = args.criterion && parts == ["criterion"];
    if !args.sweep && !only_criterion {
        parts.push(frames.to_string());
    }
    parts.push(device);
    parts.extend(args.work.iter().map(|work| work.name().to_owned()));
    let model = args.sweep || !args.work.is_empty();
    let named = [
        (args.sweep, "sweep"),
        (args.codecs && model, "codecs"),
        (args.criterion && !only_criterion, "criterion"),
        (args.quick, "quick"),
    ];
    let named = named.into_iter().filter(|(given, _)| *given);
    parts.extend(named.map(|(_, name)| name.to_owned()));
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn plan(line: &str) -> Plan {
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        Plan::new(&Cli::parse_from(words).args)
    }

    fn works(cases: &[Case]) -> Vec<Work> {
        cases.iter().map(|case| case.work).collect()
    }

    #[test]
    fn no_part_named_is_every_part() {
        let plan = plan("");
        let expect = [Work::Forward, Work::Generate, Work::Train];
        assert_eq!(works(&plan.works), expect);
        assert_eq!(works(&plan.sweeps), [Work::Forward]);
        let codecs = works(&plan.codecs);
        assert_eq!(codecs.len(), 2 * CODECS.len() + 2);
        assert_eq!(codecs[..2], [Work::Encode, Work::Decode]);
        let [.., first, long] = &plan.codecs[..] else {
            panic!("{codecs:?}");
        };
        assert_eq!((first.work, first.seconds()), (Work::Stream, 0.08));
        assert_eq!((long.work, long.seconds()), (Work::Stream, 10.0));
        assert!(plan.criterion);
        assert_eq!(plan.runs, 5);
    }

    #[test]
    fn parts_are_what_is_named() {
        let parts = |line: &str| {
            let plan = plan(line);
            (
                plan.works.len(),
                plan.sweeps.len(),
                plan.codecs.len(),
                plan.criterion,
            )
        };
        assert_eq!(parts("--work generate"), (1, 0, 0, false));
        assert_eq!(parts("--sweep"), (0, 1, 0, false));
        assert_eq!(parts("--sweep --work forward,train"), (0, 2, 0, false));
        assert_eq!(parts("--codecs"), (0, 0, 14, false));
        assert_eq!(parts("--criterion --work train"), (1, 0, 0, true));
        assert_eq!(
            parts("--quick"),
            (3, 1, 6, true),
            "quick is a size, not a part"
        );
    }

    #[test]
    fn a_program_that_is_given_needs_nothing_built() {
        assert!(!plan("--program x").criterion);
        assert!(plan("--program x --criterion").criterion);
    }

    #[test]
    fn sizes_are_the_works_own_unless_given() {
        let sizes = |line: &str| {
            let all = plan(line).works;
            let size = |case: Case| (case.preset, case.frames, case.batch);
            all.into_iter().map(size).collect::<Vec<_>>()
        };
        let own = |preset: &str, frames, batch| (preset.to_owned(), frames, batch);
        assert_eq!(
            sizes("--work forward,train"),
            [own("reference", 500, 1), own("small", 250, 8)]
        );
        assert_eq!(
            sizes("--work forward,train --quick"),
            [own("small", 100, 1), own("small", 100, 2)]
        );
        assert_eq!(
            sizes("--work train --quick --preset uslm --frames 7 --batch 3"),
            [own("uslm", 7, 3)]
        );
        assert_eq!(plan("--quick").runs, 2);
        assert_eq!(plan("--quick --runs 9").runs, 9);
    }

    #[test]
    fn names_tell_what_was_measured() {
        for (line, expect) in [
            ("", "reference-500-cpu"),
            ("--quick", "small-100-cpu-quick"),
            ("--work forward", "reference-500-cpu-forward"),
            ("--work train", "small-250-cpu-train"),
            (
                "--work forward,generate --device cuda:1",
                "reference-500-cuda-1-forward-generate",
            ),
            ("--sweep --preset small", "small-cpu-sweep"),
            ("--sweep --work generate", "reference-cpu-generate-sweep"),
            ("--codecs", "codecs-500-cpu"),
            ("--criterion", "criterion-cpu"),
            (
                "--work forward --codecs --criterion",
                "reference-500-cpu-forward-codecs-criterion",
            ),
            ("--codecs --criterion", "codecs-500-cpu-criterion"),
            ("--work forward --name mine", "mine"),
        ] {
            assert_eq!(plan(line).name, expect, "{line}");
        }
    }
}
