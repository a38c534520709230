//! `soundstorm compare`: how far one recording is from another, or how many
//! codes two files have in common.

use anyhow::{Result, ensure};
use serde::Serialize;
use soundstorm_audio::Audio;
use soundstorm_audio::metrics::{
    MelScale, MetricError, StftDistance, StftScale, code_match, mel_distance, si_sdr, stft_distance,
};
use soundstorm_hub::Array;

use crate::{
    args::{Common, Compare},
    audio_io, codes_io, output,
    usage::usage,
};

pub(crate) fn run(args: &Compare, common: &Common) -> Result<()> {
    match [&args.reference, &args.estimate].map(|path| codes_io::is_codes(path)) {
        [true, true] => codes(args, common),
        [false, false] => audio(args, common),
        _ => Err(usage(
            "compare takes two audio files or two codes files, not one of each",
        )),
    }
}

/// What is printed of two recordings.
#[derive(Serialize)]
struct AudioReport {
    /// None where a recording is silent; JSON has no infinity, and null for it.
    si_sdr_db: Option<f64>,
    identical: bool,
    spectral_convergence: f64,
    log_stft_magnitude: f64,
    mel_distance: f64,
    sample_rate: u32,
    samples: usize,
    notes: Vec<String>,
}

fn audio(args: &Compare, common: &Common) -> Result<()> {
    let mut notes = Vec::new();
    let reference = audio_io::read(&args.reference)?;
    let estimate = audio_io::read(&args.estimate)?;
    let [reference, estimate] = alike([reference, estimate], &mut notes)?;
    let rate = reference.sample_rate;
    let (reference, estimate) = (&reference.channels[0], &estimate.channels[0]);

    let ratio = match si_sdr(reference, estimate) {
        Ok(ratio) => Some(ratio),
        Err(error @ MetricError::Silent { .. }) => {
            notes.push(error.to_string());
            None
        }
        Err(error) => return Err(error.into()),
    };
    let StftDistance {
        spectral_convergence,
        log_magnitude,
    } = stft_distance(reference, estimate, &StftScale::PAPER)?;
    let report = AudioReport {
        si_sdr_db: ratio,
        identical: reference == estimate,
        spectral_convergence,
        log_stft_magnitude: log_magnitude,
        mel_distance: mel_distance(reference, estimate, rate, &MelScale::PAPER)?,
        sample_rate: rate,
        samples: reference.len(),
        notes,
    };
    if common.json {
        return output::json(&report);
    }
    let ratio = report
        .si_sdr_db
        .map_or("none".to_owned(), |db| format!("{db:.2} dB"));
    output::say(&format!("SI-SDR                {ratio}"))?;
    for (name, value) in [
        ("spectral convergence", report.spectral_convergence),
        ("log STFT magnitude", report.log_stft_magnitude),
        ("mel distance", report.mel_distance),
    ] {
        output::say(&format!("{name:21} {value:.4}"))?;
    }
    output::say(&format!(
        "samples               {} at {rate} Hz",
        report.samples
    ))?;
    say_notes(&report.notes)
}

/// Two recordings as they are compared: mono, at the lower rate, of the shorter
/// length.
fn alike(recordings: [Audio; 2], notes: &mut Vec<String>) -> Result<[Audio; 2]> {
    if recordings.iter().any(|audio| audio.channels.len() > 1) {
        notes.push("channels are mixed to mono".to_owned());
    }
    let rates = recordings.each_ref().map(|audio| audio.sample_rate);
    let rate = rates[0].min(rates[1]);
    if rates[0] != rates[1] {
        let higher = rates[0].max(rates[1]);
        notes.push(format!("{higher} Hz is resampled to {rate} Hz"));
    }
    let [mut reference, mut estimate] = recordings.map(|audio| audio.mono());
    for audio in [&mut reference, &mut estimate] {
        if audio.sample_rate != rate {
            *audio = audio.resample(rate)?;
        }
    }
    let lengths = [reference.frames(), estimate.frames()];
    let shorter = lengths[0].min(lengths[1]);
    if lengths[0] != lengths[1] {
        notes.push(format!(
            "the first {shorter} samples are compared, of {} and {}",
            lengths[0], lengths[1]
        ));
    }
    for audio in [&mut reference, &mut estimate] {
        for channel in &mut audio.channels {
            channel.truncate(shorter);
        }
    }
    Ok([reference, estimate])
}

fn codes(args: &Compare, common: &Common) -> Result<()> {
    let reference = codes_io::read(&args.reference)?.codes;
    let estimate = codes_io::read(&args.estimate)?.codes;
    let ([rows, levels, frames], [other_rows, other_levels, other_frames]) =
        (reference.shape(), estimate.shape());
    ensure!(
        rows == other_rows,
        "{} has {rows} rows of codes, {} has {other_rows}",
        args.reference.display(),
        args.estimate.display()
    );
    let mut notes = Vec::new();
    let levels = fewer("levels", levels, other_levels, &mut notes);
    let frames = fewer("frames", frames, other_frames, &mut notes);
    let shape = [rows, levels, frames];
    let [reference, estimate] = [reference, estimate].map(|codes| first(&codes, shape));
    let found = code_match(&reference, &estimate, shape)?;
    if common.json {
        return output::json(&serde_json::json!({
            "match": found.all,
            "levels": found.levels,
            "batch": rows,
            "frames": frames,
            "notes": notes,
        }));
    }
    output::say("level   match")?;
    for (index, share) in found.levels.iter().enumerate() {
        output::say(&format!("{:5}  {share:6.4}", index + 1))?;
    }
    output::say(&format!("  all  {:6.4}", found.all))?;
    say_notes(&notes)
}

/// The first levels and frames of each row, `[batch, quantizers, frames]`.
fn first(codes: &Array<i64, 3>, [rows, levels, frames]: [usize; 3]) -> Vec<i64> {
    let [_, all_levels, all_frames] = codes.shape();
    let starts = (0..rows)
        .flat_map(|row| (0..levels).map(move |level| (row * all_levels + level) * all_frames));
    let values = starts.flat_map(|start| &codes.values()[start..start + frames]);
    values.copied().collect()
}

/// The smaller of two counts, and a note where they differ.
fn fewer(what: &str, reference: usize, estimate: usize, notes: &mut Vec<String>) -> usize {
    let fewer = reference.min(estimate);
    if reference != estimate {
        notes.push(format!(
            "the first {fewer} {what} are compared, of {reference} and {estimate}"
        ));
    }
    fewer
}

fn say_notes(notes: &[String]) -> Result<()> {
    notes
        .iter()
        .try_for_each(|note| output::say(&format!("note: {note}")))
}
