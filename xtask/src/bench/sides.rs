//! Who is measured: the commands of `soundstorm` and of its peers.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::args::{Dtype, Peer, Work};
use super::plan::Case;

/// The peers' scripts and their pinned packages, below the workspace's root.
pub(super) const SCRIPTS: &str = "benches/peers";
/// The script that serves soundstorm-pytorch, and the one that serves the codecs of other packages.
const MODELS: &str = "soundstorm_pytorch.py";
const CODECS: &str = "codecs.py";
/// Levels that codecs encode to and decode from: as many as each of them has.
const CODEC_LEVELS: usize = 8;

/// What a side is compared as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    Ours,
    /// Another implementation, which does the same work.
    Peer,
}

/// A side before it starts.
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) command: Command,
}

/// How sides are started.
pub(super) struct Setup {
    pub(super) program: PathBuf,
    /// The peers' interpreter, or nothing for no peers.
    pub(super) python: Option<PathBuf>,
    pub(super) scripts: PathBuf,
    pub(super) device: String,
    pub(super) threads: usize,
    pub(super) dtypes: Vec<Dtype>,
    pub(super) peers: Vec<Peer>,
}

impl Setup {
    /// Ours, one for each type, then soundstorm-pytorch in each way.
    pub(super) fn models(&self, case: &Case) -> Vec<Spec> {
        let mut specs = self.ours(case);
        for (peer, python) in self.peers.iter().zip(self.python.iter().cycle()) {
            let (dtype, compiled) = match peer {
                Peer::Eager => (Dtype::F32, false),
                Peer::Compile => (Dtype::F32, true),
                Peer::Bf16 => (Dtype::Bf16, false),
                Peer::CompileBf16 => (Dtype::Bf16, true),
            };
            let mut command = self.script(python, MODELS, dtype);
            model(&mut command, case);
            let mut name = "soundstorm-pytorch".to_owned();
            if compiled {
                command.arg("--compile");
                name += " compiled";
            }
            specs.push(Spec {
                name: named(&name, dtype),
                role: Role::Peer,
                command,
            });
        }
        specs
    }

    /// Ours, one for each type, then the peer's, where it has that codec and that work.
    pub(super) fn codecs(&self, case: &Case) -> Vec<Spec> {
        let mut specs = self.ours(case);
        if let (Some(python), Some(peer)) = (&self.python, codec_peer(case)) {
            let mut command = self.script(python, CODECS, Dtype::F32);
            codec(&mut command, case);
            specs.push(Spec {
                name: peer.to_owned(),
                role: Role::Peer,
                command,
            });
        }
        specs
    }

    fn ours(&self, case: &Case) -> Vec<Spec> {
        let side = |&dtype: &Dtype| {
            let mut command = Command::new(&self.program);
            command
                .args(["bench", "--serve", "--json", "--device", &self.device])
                .args(["--dtype", dtype.name(), "--warmup", "0"]);
            self.threads(&mut command);
            match case.work.is_codecs() {
                true => codec(&mut command, case),
                false => model(&mut command, case),
            }
            Spec {
                name: named("soundstorm", dtype),
                role: Role::Ours,
                command,
            }
        };
        self.dtypes.iter().map(side).collect()
    }

    fn script(&self, python: &Path, script: &str, dtype: Dtype) -> Command {
        let device = match self.device.starts_with("cuda") {
            true => "cuda",
            false => "cpu",
        };
        let mut command = Command::new(python);
        command
            .arg(self.scripts.join(script))
            .args(["--serve", "--device", device, "--dtype", dtype.name()])
            .args(["--warmup", "0", "--threads", &self.threads.to_string()]);
        if let Some((_, index)) = self.device.split_once(':')
            && device == "cuda"
        {
            command.env("CUDA_VISIBLE_DEVICES", index);
        }
        self.threads(&mut command);
        command
    }

    fn threads(&self, command: &mut Command) {
        for name in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS"] {
            command.env(name, self.threads.to_string());
        }
    }
}

/// The package that has a codec too; none of them streams.
fn codec_peer(case: &Case) -> Option<&'static str> {
    match case.preset.as_str() {
        _ if case.work == Work::Stream => None,
        "speechtokenizer" => Some("speechtokenizer"),
        _ => Some("transformers"),
    }
}

/// What ours and the script of the models call a case.
fn model(command: &mut Command, case: &Case) {
    command
        .args(["--work", case.work.name(), "--preset", &case.preset])
        .args(["--steps", &case.steps])
        .args(["--frames", &case.frames.to_string()])
        .args(["--batch", &case.batch.to_string()]);
}

/// What ours and the script of the codecs call a case.
fn codec(command: &mut Command, case: &Case) {
    command
        .args(["--work", case.work.name(), "--codec", &case.preset])
        .args(["--levels", &CODEC_LEVELS.to_string()])
        .args(["--seconds", &case.seconds().to_string()])
        .args(["--batch", &case.batch.to_string()]);
}

/// A name without a type is in f32.
fn named(name: &str, dtype: Dtype) -> String {
    match dtype {
        Dtype::F32 => name.to_owned(),
        Dtype::Bf16 => format!("{name} bf16"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;

    fn setup() -> Setup {
        Setup {
            program: "soundstorm".into(),
            python: Some("python".into()),
            scripts: "p".into(),
            device: "cpu".to_owned(),
            threads: 3,
            dtypes: vec![Dtype::F32, Dtype::Bf16],
            peers: vec![Peer::Compile, Peer::Bf16, Peer::CompileBf16, Peer::Eager],
        }
    }

    fn case(work: Work) -> Case {
        Case {
            work,
            preset: "small".to_owned(),
            frames: 75,
            batch: 2,
            steps: "4,1".to_owned(),
        }
    }

    fn lines(specs: &[Spec]) -> Vec<(&str, Role, String)> {
        let line = |spec: &Spec| process::display(&spec.command);
        specs
            .iter()
            .map(|spec| (spec.name.as_str(), spec.role, line(spec)))
            .collect()
    }

    #[test]
    fn every_type_and_every_way_is_a_side_of_the_same_size() {
        let specs = setup().models(&case(Work::Train));
        let lines = lines(&specs);
        let sides: Vec<_> = lines.iter().map(|(name, role, _)| (*name, *role)).collect();
        assert_eq!(
            sides,
            [
                ("soundstorm", Role::Ours),
                ("soundstorm bf16", Role::Ours),
                ("soundstorm-pytorch compiled", Role::Peer),
                ("soundstorm-pytorch bf16", Role::Peer),
                ("soundstorm-pytorch compiled bf16", Role::Peer),
                ("soundstorm-pytorch", Role::Peer),
            ]
        );
        let size = "--work train --preset small --steps 4,1 --frames 75 --batch 2";
        for (name, _, line) in &lines {
            for part in [
                size,
                "--serve",
                "--warmup 0",
                "--device cpu",
                "OMP_NUM_THREADS=3",
                "RAYON_NUM_THREADS=3",
            ] {
                assert!(line.contains(part), "{part}: {line}");
            }
            let dtype = match name.contains("bf16") {
                true => "--dtype bf16",
                false => "--dtype f32",
            };
            assert!(line.contains(dtype), "{line}");
            assert_eq!(
                line.contains("--compile"),
                name.contains("compiled"),
                "{line}"
            );
            let threads = name.contains("pytorch");
            assert_eq!(line.contains("--threads 3"), threads, "{line}");
        }
    }

    #[test]
    fn codecs_get_as_many_seconds() {
        for (codec, work, peers) in [
            ("mimi", Work::Encode, &["transformers"][..]),
            ("speechtokenizer", Work::Decode, &["speechtokenizer"]),
            ("mimi", Work::Stream, &[]),
        ] {
            let case = Case {
                preset: codec.to_owned(),
                ..case(work)
            };
            let specs = setup().codecs(&case);
            let names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
            assert_eq!(names, [&["soundstorm", "soundstorm bf16"], peers].concat());
            let size = format!("--codec {codec} --levels 8 --seconds 1.5 --batch 2");
            for (_, _, line) in lines(&specs) {
                let work = format!("--work {} {size}", work.name());
                assert!(line.contains(&work), "{line}");
            }
        }
    }

    #[test]
    fn without_an_interpreter_there_are_no_peers() {
        let alone = Setup {
            python: None,
            ..setup()
        };
        assert_eq!(alone.models(&case(Work::Forward)).len(), 2);
        assert_eq!(alone.codecs(&case(Work::Encode)).len(), 2);
    }

    #[test]
    fn a_peer_gets_the_same_gpu() {
        let gpu = Setup {
            device: "cuda:1".to_owned(),
            ..setup()
        };
        let specs = gpu.models(&case(Work::Forward));
        let lines = lines(&specs);
        assert!(lines[0].2.contains("--device cuda:1"), "{}", lines[0].2);
        let peer = &lines[2].2;
        assert!(
            peer.contains("--device cuda ") && peer.contains("CUDA_VISIBLE_DEVICES=1"),
            "{peer}"
        );
    }
}
