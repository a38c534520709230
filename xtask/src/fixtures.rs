//! `cargo xtask fixtures`: runs the scripts of `xtask/fixtures`, which write the parity fixtures
//! with the reference packages, in a virtual environment of their own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::workspace::Workspace;
use crate::{process, venv};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Make only these; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<Fixture>,
    /// Draw other random weights than the committed ones
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Use this interpreter, as it is, instead of an environment with the pinned packages
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Fixture {
    /// Checkpoints of soundstorm-pytorch in every layout, and what it computes with them
    Soundstorm,
    /// Its critic and its self-conditioning
    SoundstormCritic,
    /// SpeechTokenizer's variants, their codes and waveforms
    #[value(name = "speechtokenizer")]
    SpeechTokenizer,
    /// What other programs measure between two signals
    Metrics,
    /// DAC by transformers and by its own package
    Dac,
    /// EnCodec by transformers and by its own package
    Encodec,
    /// Mimi by transformers
    Mimi,
    /// SoundStream by audiolm-pytorch
    #[value(name = "soundstream")]
    SoundStream,
    /// Gradients and optimiser steps of soundstorm-pytorch
    Training,
    /// Steps of training quantizers by vector-quantize-pytorch and by DAC's package
    QuantizerTraining,
    /// Losses between signals
    Losses,
}

impl Fixture {
    /// The script below `xtask/fixtures` with its arguments; paths are relative to the root.
    fn command(self, seed: Option<u64>) -> Result<Vec<String>> {
        let mut words: Vec<String> = match self {
            Self::Soundstorm => {
                let out = "crates/soundstorm-hub/tests/fixtures/soundstorm";
                vec!["soundstorm.py".into(), "--out".into(), out.into()]
            }
            Self::SoundstormCritic => {
                let out = "crates/soundstorm-hub/tests/fixtures/soundstorm_critic";
                vec!["soundstorm_critic.py".into(), "--out".into(), out.into()]
            }
            Self::SpeechTokenizer => vec!["speechtokenizer.py".into()],
            Self::Metrics => vec!["metrics.py".into()],
            Self::Dac => vec!["dac.py".into()],
            Self::Encodec => vec!["encodec.py".into()],
            Self::Mimi => vec!["mimi.py".into()],
            Self::SoundStream => vec!["soundstream.py".into()],
            Self::Training => vec!["training.py".into()],
            Self::QuantizerTraining => vec!["quantizer_training.py".into()],
            Self::Losses => vec!["losses.py".into()],
        };
        match (self, seed) {
            (_, None) => {}
            (Self::Soundstorm | Self::SoundstormCritic, Some(seed)) => {
                words.extend(["--seed".into(), seed.to_string()]);
            }
            (Self::Metrics, Some(_)) => {
                bail!("metrics.py draws nothing; give `--only soundstorm` with `--seed`")
            }
            (_, Some(_)) => {
                bail!(
                    "{} has one seed; give `--only soundstorm` with `--seed`",
                    words[0]
                )
            }
        }
        Ok(words)
    }
}

/// Runs the scripts and shows what they changed.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen = if args.only.is_empty() {
        Fixture::value_variants()
    } else {
        &args.only
    };
    // All of them before anything is installed or written.
    let commands = chosen
        .iter()
        .map(|fixture| fixture.command(args.seed))
        .collect::<Result<Vec<_>>>()?;
    let workspace = Workspace::load()?;
    let folder = workspace.root.join("xtask").join("fixtures");
    let python = match &args.python {
        Some(python) => python.clone(),
        None => venv::prepare(&workspace.target.join("fixtures-venv"), &folder)?,
    };
    for words in &commands {
        let (script, arguments) = words.split_at(1);
        let scripts = script.iter().map(|name| folder.join(name));
        let mut command = Command::new(&python);
        process::run(
            command
                .args(scripts)
                .args(arguments)
                .current_dir(&workspace.root),
        )?;
    }
    let git = |arguments: &[&str]| {
        process::output(
            Command::new("git")
                .args(arguments)
                .current_dir(&workspace.root),
        )
    };
    // Outside a git checkout there is nothing to compare with.
    if let (Ok(changed), Ok(status)) = (git(&["diff", "--stat"]), git(&["status", "--short"])) {
        let new: Vec<&str> = status
            .lines()
            .filter(|line| line.starts_with("??"))
            .collect();
        if changed.is_empty() && new.is_empty() {
            println!("nothing changed");
        } else {
            println!("{changed}{}", new.join("\n"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_script_exists() {
        let folder = crate::workspace::root().join("xtask").join("fixtures");
        for fixture in Fixture::value_variants() {
            let words = fixture.command(None).unwrap();
            assert!(folder.join(&words[0]).exists(), "{}", words[0]);
        }
    }

    #[test]
    fn a_seed_is_passed_on_or_refused() {
        let words = Fixture::Soundstorm.command(Some(7)).unwrap();
        assert_eq!(words[words.len() - 2..], ["--seed", "7"]);
        assert!(Fixture::SpeechTokenizer.command(Some(7)).is_err());
        assert!(Fixture::Metrics.command(Some(7)).is_err());
        let error = Fixture::Dac.command(Some(7)).unwrap_err().to_string();
        assert!(error.starts_with("dac.py has one seed"), "{error}");
        let error = Fixture::Encodec.command(Some(7)).unwrap_err().to_string();
        assert!(error.starts_with("encodec.py has one seed"), "{error}");
        assert!(Fixture::Mimi.command(Some(7)).is_err());
        assert!(Fixture::SoundStream.command(Some(7)).is_err());
        assert!(Fixture::Training.command(Some(7)).is_err());
        assert_eq!(
            Fixture::SpeechTokenizer.command(None).unwrap(),
            ["speechtokenizer.py"]
        );
    }
}
