//! The command line: what can be asked for, before any of it is checked against
//! files.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::{
    Args, Parser, Subcommand, ValueEnum, ValueHint,
    builder::{OsStringValueParser, TypedValueParser},
};
use soundstorm::Preset;
use soundstorm_codec::CodecPreset;
use soundstorm_hub::{ImportFrom, Location, Setting};
use soundstorm_runtime::{DTypeArg, DeviceArg};
use soundstorm_train::data::Part;

use crate::commands::{edit::Span, sampling::Sampling};

/// SoundStorm: parallel generation of audio, coarse to fine.
#[derive(Debug, Parser)]
#[command(name = "soundstorm", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// A folder, or a name on the hub.
fn location() -> impl TypedValueParser<Value = Location> {
    OsStringValueParser::new().try_map(Location::try_from)
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Where to compute: auto, cpu, ndarray, wgpu or wgpu:N, wgpu:cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE")]
    pub(crate) device: DeviceArg,
    /// Number type of weights and activations: f32, bf16 or f16
    #[arg(long, global = true, default_value = "f32", value_name = "DTYPE")]
    pub(crate) dtype: DTypeArg,
    /// Seed of everything random
    #[arg(long, global = true, default_value_t = 0, value_name = "N")]
    pub(crate) seed: u64,
    /// Print results as JSON on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say more on stderr; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Turn audio into a codec's codes
    Encode(Encode),
    /// Turn codes into audio
    Decode(Decode),
    /// Generate codes or audio
    Generate(Generate),
    /// Say what one recording says, in the voice of another
    Convert(Convert),
    /// Generate parts of a recording or of codes anew, and keep the rest
    Edit(Edit),
    /// Score a model on codes, level by level
    Eval(Eval),
    /// Measure how far one recording is from another, or one codes file
    Compare(Compare),
    /// Draw a recording, or the log of a training
    Plot(Plot),
    /// Encode recordings into a data set to train on
    Prepare(Prepare),
    /// Train a model, or go on with a training
    Train(Train),
    /// Turn a foreign checkpoint into a model folder
    Import(Import),
    /// Make a model folder with random weights, for tests and benchmarks
    Init(Init),
    /// Measure speed and memory
    Bench(Bench),
    /// Tell what a model folder or codes file holds
    Info(Info),
    /// Tell what this program can run on here
    Doctor(Doctor),
    /// Print a completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Run a small codec and model on --device, and hold them against the CPU
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Encode {
    /// Audio file, or - for standard input
    pub(crate) input: PathBuf,
    /// Folder of the codec, or hf:owner/name@revision
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) codec: Location,
    /// Levels to encode, coarse to fine; all of the codec's by default
    #[arg(long, value_name = "N")]
    pub(crate) levels: Option<usize>,
    /// As many levels as this bandwidth has, for a codec that is made for several
    #[arg(long, value_name = "KBPS", conflicts_with = "levels")]
    pub(crate) bandwidth: Option<f64>,
    /// Codes file to write
    #[arg(short, long, value_name = "CODES.safetensors")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Decode {
    /// Codes file
    pub(crate) input: PathBuf,
    /// Folder of the codec, or hf:owner/name@revision
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) codec: Location,
    /// Audio file to write (.wav or .flac), or - for standard output
    #[arg(short, long, value_name = "OUT.wav|flac")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) wav: Wav,
}

/// How audio is written.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Wav {
    /// Sample format of audio files
    #[arg(
        long,
        visible_alias = "sample-format",
        value_enum,
        default_value = "s16",
        value_name = "FORMAT"
    )]
    pub(crate) wav_format: WavFormatArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WavFormatArg {
    /// 16-bit integers, clipped to ±1
    S16,
    /// 24-bit integers, clipped to ±1
    S24,
    /// 32-bit floats; not in FLAC
    F32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Generate {
    /// Folder of the model, or hf:owner/name@revision
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) model: Location,
    /// Folder of the codec, or hf:owner/name@revision; needed for audio in
    /// and out
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) codec: Option<Location>,
    /// Semantic tokens: a codes file with `semantic`, or with the codec's codes
    /// where the model takes the codec's first level
    #[arg(long, value_name = "CODES")]
    pub(crate) semantic: Option<PathBuf>,
    /// What is said, for a model that is conditioned on the bytes of a text; without --seconds and
    /// --frames it lasts as long as the model predicts
    #[arg(long, value_name = "TEXT")]
    pub(crate) text: Option<String>,
    /// Who speaks, as a number, for a model that is conditioned on speakers
    #[arg(long, value_name = "N")]
    pub(crate) speaker: Option<usize>,
    /// Seconds to generate, without the prompt
    #[arg(long, value_name = "S", conflicts_with = "frames")]
    pub(crate) seconds: Option<f64>,
    /// Frames to generate, without the prompt
    #[arg(long, value_name = "N")]
    pub(crate) frames: Option<usize>,
    /// What to continue: an audio file, or a codes file
    #[arg(long, value_name = "AUDIO|CODES")]
    pub(crate) prompt: Option<PathBuf>,
    /// Rows to generate, each with a seed of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) batch: usize,
    /// Generate N candidates of each row, and take the one that the model finds likeliest
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) best_of: usize,
    #[command(flatten)]
    pub(crate) sampling: Sampling,
    /// Audio file (.wav or .flac, or - for standard output) or codes file
    /// (.safetensors)
    #[arg(short, long, value_name = "OUT", required_unless_present = "manifest")]
    pub(crate) output: Option<PathBuf>,
    /// Many outputs by one model: a file with a line of JSON for each, as {"output": "a.wav",
    /// "semantic": "a.safetensors", "text": "hello", "speaker": 2, "prompt": "b.wav", "seconds": 3,
    /// "frames": 7, "seed": 1}, of which the output is needed. What became of each is written to FILE.status, and those that are
    /// done are not done again
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "output", "semantic", "text", "prompt", "seconds", "frames", "trace_picture", "sidecar",
            "from_sidecar",
        ]
    )]
    pub(crate) manifest: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) wav: Wav,
}

#[derive(Debug, Args)]
pub(crate) struct Convert {
    /// Folder of the model, or hf:owner/name@revision; one that takes the
    /// codec's first level
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) model: Location,
    /// Folder of the codec, or hf:owner/name@revision
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) codec: Location,
    /// The recording whose words are kept
    #[arg(long, value_name = "AUDIO")]
    pub(crate) source: PathBuf,
    /// The recording whose voice is taken
    #[arg(long, value_name = "AUDIO")]
    pub(crate) prompt: PathBuf,
    #[command(flatten)]
    pub(crate) sampling: Sampling,
    /// Audio file to write (.wav or .flac), or - for standard output; as long as
    /// the source, at its sample rate
    #[arg(short, long, value_name = "OUT.wav|flac")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) wav: Wav,
}

#[derive(Debug, Args)]
pub(crate) struct Edit {
    /// Folder of the model, or hf:owner/name@revision
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) model: Location,
    /// Folder of the codec, or hf:owner/name@revision; needed for audio in and out, and for seconds
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) codec: Option<Location>,
    /// What is edited: an audio file, or a codes file (.safetensors)
    #[arg(long = "in", value_name = "AUDIO|CODES")]
    pub(crate) input: PathBuf,
    /// What is generated anew, as 1.2s..2.0s in seconds or 60..100 in frames (without the last); may
    /// be given several times. An end left away is the recording's
    #[arg(long, value_name = "FROM..TO", default_value = "..")]
    pub(crate) regenerate: Vec<Span>,
    /// Levels of the codec that are generated anew, as 3.. or 3..5 (with the last); all that the
    /// model makes by default
    #[arg(long, value_name = "FROM..TO", default_value = "..")]
    pub(crate) levels: Span,
    /// How large a share of the frames is generated anew, drawn by the seed: variations from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    pub(crate) strength: f64,
    #[command(flatten)]
    pub(crate) sampling: Sampling,
    /// Audio file (.wav or .flac, or - for standard output) or codes file
    /// (.safetensors)
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) wav: Wav,
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// Folder of the model, or hf:owner/name@revision
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) model: Location,
    /// Codes to score it on
    #[arg(long, value_name = "CODES")]
    pub(crate) codes: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The reference: an audio file, - for standard input, or a codes file
    /// (.safetensors)
    pub(crate) reference: PathBuf,
    /// What is held against it: the same kind of file
    pub(crate) estimate: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// Audio file, - for standard input, or the log of a training (.jsonl)
    pub(crate) input: PathBuf,
    /// Picture to write
    #[arg(short, long, value_name = "OUT.png|svg")]
    pub(crate) output: PathBuf,
    /// Draw the spectrogram (mel bands over 80 dB) and not the waveform
    #[arg(long)]
    pub(crate) spectrogram: bool,
    /// Width in pixels
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) width: u32,
    /// Height of each channel or panel in pixels
    #[arg(long, default_value_t = 300, value_name = "N")]
    pub(crate) height: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Prepare {
    /// Folder of the codec, or hf:owner/name@revision
    #[arg(long, value_name = "DIR|hf:NAME", value_hint = ValueHint::DirPath, value_parser = location())]
    pub(crate) codec: Location,
    /// A folder of audio, or a manifest: a JSON object a line with `audio`, and
    /// perhaps `text`, `speaker`, `semantic` and other fields
    #[arg(long = "in", value_name = "FOLDER|MANIFEST.jsonl", value_hint = ValueHint::AnyPath)]
    pub(crate) input: PathBuf,
    /// A folder with a codes file of semantic tokens for each recording
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) semantic: Option<PathBuf>,
    /// Levels to encode, coarse to fine; all of the codec's by default
    #[arg(long, value_name = "N")]
    pub(crate) levels: Option<usize>,
    /// Recordings of one shard
    #[arg(long, value_name = "N", default_value = "256")]
    pub(crate) files_per_shard: NonZeroUsize,
    /// Make only every N-th shard, from the I-th on, counted from 0: for N
    /// processes or machines that share the work
    #[arg(long, value_name = "I/N", default_value = "0/1")]
    pub(crate) shard: Part,
    /// Skip recordings that are longer
    #[arg(long, value_name = "S", default_value_t = 600.0)]
    pub(crate) max_seconds: f64,
    /// Folder of the data set; what is finished in it is kept
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Configuration
    #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
    pub(crate) config: PathBuf,
    /// Change the configuration, as optimizer.learning_rate=1e-4
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Folder of the run; one that is there is gone on with
    #[arg(short, long, value_name = "DIR", required_unless_present = "dry_run")]
    pub(crate) output: Option<PathBuf>,
    /// Tell parameters, memory and shapes, and train nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The checkpoint file, or a folder with a checkpoint and its configuration
    pub(crate) checkpoint: PathBuf,
    /// Where the checkpoint comes from
    #[arg(long, value_name = "PROJECT")]
    pub(crate) from: ImportFrom,
    /// Folder to write
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// The checkpoint's own configuration file, where it has one; looked for
    /// beside the checkpoint otherwise
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What the tensors cannot tell, from a preset
    #[arg(long, value_name = "PRESET")]
    pub(crate) preset: Option<Preset>,
    /// What the tensors cannot tell, one by one, as heads=8
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// Replace the folder if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// A model (paper, reference, uslm, anygpt, small) or a codec
    /// (speechtokenizer, speechtokenizer-snake, encodec-24khz, encodec-48khz,
    /// dac-16khz, dac-24khz, dac-44khz, mimi, soundstream, soundstream-musiclm,
    /// spectral-16khz)
    #[arg(long, value_name = "PRESET", required_unless_present = "like")]
    pub(crate) preset: Option<String>,
    /// Instead of a preset, a folder with a config.json of a model or codec
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "preset")]
    pub(crate) like: Option<PathBuf>,
    /// Change the model's configuration, as depth=3
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<Setting>,
    /// Folder to write
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Replace the folder if it is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// One pass through the network, with the logits of every level
    Forward,
    /// All passes of a generation
    Generate,
    /// Audio to codes
    Encode,
    /// Codes to audio
    Decode,
    /// Audio to codes and back, one frame after the other as they come
    Stream,
    /// One step of training: loss, gradients, optimiser
    Train,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(long, value_enum, default_value = "generate")]
    pub(crate) work: Work,
    /// The model's size; its weights are random
    #[arg(long, default_value = "small", value_name = "PRESET")]
    pub(crate) preset: Preset,
    /// The codec of encode, decode and stream; its weights are random
    #[arg(long, default_value = "speechtokenizer", value_name = "CODEC")]
    pub(crate) codec: CodecPreset,
    /// The codec's levels [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) levels: Option<u64>,
    /// Frames of a row
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) frames: u64,
    /// A codec's audio in seconds, instead of frames
    #[arg(long, value_name = "S", conflicts_with = "frames")]
    pub(crate) seconds: Option<f64>,
    /// Rows
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: u64,
    /// Passes per level of a generation
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "16,1",
        value_name = "N,…"
    )]
    pub(crate) steps: Vec<usize>,
    /// Measured runs
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) runs: u64,
    /// Runs before those that count
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) warmup: u64,
    /// Do one run for every line on standard input, so that another program can
    /// be timed in turn
    #[arg(long)]
    pub(crate) serve: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Info {
    /// A model folder, a codes file, or hf:owner/name@revision
    #[arg(value_hint = ValueHint::AnyPath, value_parser = location())]
    pub(crate) path: Location,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn steps_are_a_list() {
        let cli = Cli::try_parse_from([
            "soundstorm",
            "generate",
            "--model",
            "m",
            "--frames",
            "7",
            "--steps",
            "16,1",
            "-o",
            "x.wav",
        ])
        .expect("a good command line");
        let Command::Generate(generate) = cli.command else {
            panic!("generate was asked for");
        };
        assert_eq!(generate.sampling.steps, [16, 1]);
    }
}
