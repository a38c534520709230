//! `soundstorm doctor --check`: a small codec and a small model on a device, held
//! against the CPU, in f32, and with `--dtype` the model's logits in half precision too.
//! It needs no files, so it can be carried to any machine.

use std::path::Path;

use anyhow::{Result, ensure};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use serde::Serialize;
use soundstorm::{
    GenerateRow, HeadKind, Prompt, RowCodes, SemanticConfig, SoundStorm, SoundStormConfig,
    conformer::{ConformerConfig, ValueResidual},
    maskgit::DecodeOptions,
};
use soundstorm_codec::{ActivationKind, Codec, CodecConfig, SpeechTokenizerConfig};
use soundstorm_hub::{init_codec, init_model, open_codec, open_model};
use soundstorm_runtime::{
    BackendKind, DTypeArg, DeviceArg, Job, cast_module, frame_multiple, select,
};

use crate::{args::Common, output};

/// Sizes that no kernel's tile divides.
const FRAMES: usize = 131;
const SAMPLES: usize = 1009;
const CODES: usize = 61;
const VOCAB: usize = 31;
const LEVELS: usize = 3;

/// How far apart numbers may be, as a share of the largest; and how many of the codes.
struct Room {
    numbers: f64,
    codes: f64,
}

/// One comparison.
#[derive(Serialize)]
struct Finding {
    what: &'static str,
    /// Largest difference over largest value, or the share of codes that differ.
    apart: f64,
    room: f64,
    holds: bool,
}

pub(crate) fn run(common: &Common) -> Result<()> {
    let selected = select(&common.device)?;
    let cpu = select(&DeviceArg::Cpu)?;
    let folder = tempfile::tempdir()?;
    cpu.run(Make(folder.path(), common.seed))?;
    let want = cpu.run(Measure(folder.path(), DTypeArg::F32))?;
    let got = selected.run(Measure(folder.path(), common.dtype))?;

    let room = match selected.backend {
        // Tensor cores round the factors of a product to 11 bits, and a code may be nearly tied.
        BackendKind::Cuda => Room {
            numbers: 2e-2,
            codes: 0.02,
        },
        _ => Room {
            numbers: 1e-4,
            codes: 0.0,
        },
    };
    let mut findings = compare(&got, &want, &room);
    if let Some(halved) = &got.halved {
        // Every layer rounds what it gives to the next, to 8 or 11 bits.
        let room = match common.dtype {
            DTypeArg::F16 => 4e-3,
            _ => 3e-2,
        };
        findings.push(numbers("model: in half", halved, &want.logits, room));
    }
    let device = selected.to_string();
    let holds = findings.iter().all(|finding| finding.holds);
    if common.json {
        output::json(&serde_json::json!({
            "device": device,
            "against": cpu.to_string(),
            "findings": findings,
            "holds": holds,
        }))?;
    } else {
        output::say(&format!("{device}, held against {cpu}"))?;
        for finding in &findings {
            let word = if finding.holds { "ok" } else { "TOO FAR" };
            output::say(&format!(
                "{:<18} {:.1e} apart, {:.1e} allowed: {word}",
                finding.what, finding.apart, finding.room
            ))?;
        }
    }
    ensure!(holds, "{device} does not compute what the CPU does");
    Ok(())
}

fn numbers(what: &'static str, got: &[f32], want: &[f32], room: f64) -> Finding {
    let largest = want.iter().fold(0f32, |most, x| most.max(x.abs()));
    let apart = got.iter().zip(want).map(|(got, want)| (got - want).abs());
    // A maximum that does not lose a NaN.
    let apart = apart.fold(0f32, |most, x| if x <= most { most } else { x });
    let apart = f64::from(apart / largest);
    Finding {
        what,
        apart,
        room,
        holds: got.len() == want.len() && apart <= room,
    }
}

fn compare(got: &Found, want: &Found, room: &Room) -> Vec<Finding> {
    let numbers = |what, got: &[f32], want: &[f32]| numbers(what, got, want, room.numbers);
    let codes = |what, got: &[i64], want: &[i64]| {
        let differ = got.iter().zip(want).filter(|(got, want)| got != want);
        let apart = differ.count() as f64 / want.len() as f64;
        Finding {
            what,
            apart,
            room: room.codes,
            holds: got.len() == want.len() && apart <= room.codes,
        }
    };
    vec![
        codes("codec: codes", &got.codes, &want.codes),
        numbers("codec: waveform", &got.wave, &want.wave),
        numbers("model: logits", &got.logits, &want.logits),
        codes("model: likeliest", &got.greedy, &want.greedy),
        codes("model: drawn", &got.drawn, &want.drawn),
    ]
}

/// Writes the two folders: weights of one backend's generator for all.
struct Make<'a>(&'a Path, u64);

impl Job for Make<'_> {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        let Self(folder, seed) = self;
        let codec = CodecConfig::SpeechTokenizer(SpeechTokenizerConfig {
            filters: 4,
            strides: vec![5, 3, 2],
            dimension: 32,
            codebook_size: CODES,
            num_quantizers: LEVELS + 1,
            activation: ActivationKind::Snake,
            ..Default::default()
        });
        init_codec::<B>(&codec, folder.join("codec"), seed, false, &device)?;
        let conformer = ConformerConfig {
            heads: 3,
            dim_head: 22,
            conv_kernel_size: 5,
            num_residual_streams: 2,
            value_residual: ValueResidual::Learned,
            ..ConformerConfig::new(70, 2)
        };
        let model = SoundStormConfig {
            head: HeadKind::Projected,
            semantic: Some(SemanticConfig::new(VOCAB)),
            ..SoundStormConfig::new(CODES, LEVELS, conformer)
        };
        init_model::<B>(&model, folder.join("model"), seed, false, &device)?;
        Ok(())
    }
}

/// What a backend makes of them.
struct Found {
    codes: Vec<i64>,
    wave: Vec<f32>,
    logits: Vec<f32>,
    /// The logits of the model in half precision, if that was asked for.
    halved: Option<Vec<f32>>,
    greedy: Vec<i64>,
    drawn: Vec<i64>,
}

struct Measure<'a>(&'a Path, DTypeArg);

impl Job for Measure<'_> {
    type Output = Result<Found>;

    fn run<B: Backend>(self, device: B::Device) -> Result<Found> {
        self.1.check::<B>(&device)?;
        let codec = open_codec::<B>(self.0.join("codec"), &device)?;
        let wave = (0..SAMPLES).map(|i| {
            let t = i as f32;
            0.4 * (t * 0.11 * (1.0 + t * 1e-3)).sin() + 0.2 * (t * 0.37).sin()
        });
        let wave = TensorData::new(wave.collect::<Vec<_>>(), [1, 1, SAMPLES]);
        let codes = codec.encode(Tensor::from_data(wave, &device), None)?;
        // The same codes on every device, so that one difference is not found twice.
        let wave = codec.decode(counted(1, LEVELS + 1, 41, &device))?;

        let model = open_model::<B>(self.0.join("model"), &device)?.model;
        let model = model.with_frame_multiple(frame_multiple::<B>());
        let semantic = |frames: usize, row: usize| -> Vec<i64> {
            (0..frames)
                .map(|frame| ((frame * 5 + row) % VOCAB) as i64)
                .collect()
        };
        let both = [semantic(FRAMES, 0), semantic(FRAMES, 1)];
        // What stands in padding may differ: look at frames that both rows have.
        let lengths = [FRAMES, FRAMES - 40];
        let logits = |model: &SoundStorm<B>| -> Result<Vec<f32>> {
            let condition = model.condition(Some(&both), FRAMES)?;
            let tokens = counted(2, LEVELS, FRAMES, &device);
            let logits = model.logits(tokens, condition, Some(&lengths));
            let logits = logits.narrow(2, 0, lengths[1]);
            Ok(logits.into_data().iter::<f32>().collect())
        };
        let halved = match self.1 {
            DTypeArg::F32 => None,
            dtype => Some(logits(&cast_module(model.clone(), dtype))?),
        };

        let rows = [97, 53].map(|frames| GenerateRow {
            frames: Some(frames),
            seed: frames as u64,
            semantic: Some(semantic(frames, 2)),
            prompt: Some(Prompt {
                codes: vec![vec![3, 1, 4]; LEVELS],
                semantic: Some(semantic(3, 3)),
            }),
            ..GenerateRow::default()
        });
        let generate = |greedy| -> Result<Vec<i64>> {
            let options = DecodeOptions {
                steps: vec![4, 1],
                top_k: Some(17),
                greedy,
                ..Default::default()
            };
            let rows: Vec<RowCodes> = model.generate(&rows, &options, |_| ())?;
            Ok(rows.into_iter().flatten().flatten().collect())
        };
        Ok(Found {
            codes: codes.into_data().iter::<i64>().collect(),
            wave: wave.into_data().iter::<f32>().collect(),
            logits: logits(&model)?,
            halved,
            greedy: generate(true)?,
            drawn: generate(false)?,
        })
    }
}

/// Codes that take turns, `[batch, levels, frames]`.
fn counted<B: Backend>(
    batch: usize,
    levels: usize,
    frames: usize,
    device: &B::Device,
) -> Tensor<B, 3, Int> {
    let codes: Vec<i64> = (0..batch * levels * frames)
        .map(|at| (at * 7 % CODES) as i64)
        .collect();
    Tensor::from_data(TensorData::new(codes, [batch, levels, frames]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            codes: vec![1, 2, 3, 4],
            wave: vec![0.5, -2.0],
            logits: vec![10.0, 0.0],
            halved: None,
            greedy: vec![5, 6],
            drawn: vec![7, 8],
        }
    }

    const ROOM: Room = Room {
        numbers: 1e-4,
        codes: 0.3,
    };

    fn strays(change: impl Fn(&mut Found)) -> Vec<&'static str> {
        let mut got = found();
        change(&mut got);
        compare(&got, &found(), &ROOM)
            .iter()
            .filter(|finding| !finding.holds)
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn what_is_near_holds_and_what_is_not_is_named() {
        assert!(strays(|_| ()).is_empty());
        assert!(strays(|got| got.wave[0] += 1e-4).is_empty());
        assert_eq!(strays(|got| got.wave[0] += 1e-3), ["codec: waveform"]);
        assert_eq!(strays(|got| got.logits[1] = f32::NAN), ["model: logits"]);
        assert_eq!(strays(|got| got.logits.truncate(1)), ["model: logits"]);
        assert!(strays(|got| got.codes[2] = 0).is_empty(), "one of four");
        assert_eq!(strays(|got| got.greedy[0] = 0), ["model: likeliest"]);
        assert_eq!(strays(|got| got.drawn[1] = 0), ["model: drawn"]);
    }
}
