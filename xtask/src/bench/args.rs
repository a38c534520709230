//! The command line of `cargo xtask bench`.

use std::path::PathBuf;

use clap::ValueEnum;

/// A piece of work, as `soundstorm bench --work` and the peers' scripts name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// One pass through the network, with the logits of every level
    Forward,
    /// All passes of a generation
    Generate,
    /// One step of an optimiser
    Train,
    /// Audio to codes
    #[value(skip)]
    Encode,
    /// Codes to audio
    #[value(skip)]
    Decode,
    /// Audio to codes and back, frame by frame
    #[value(skip)]
    Stream,
}

impl Work {
    /// Whether a codec does it, and not a model.
    pub(super) fn is_codecs(self) -> bool {
        matches!(self, Self::Encode | Self::Decode | Self::Stream)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Generate => "generate",
            Self::Train => "train",
            Self::Encode => "encode",
            Self::Decode => "decode",
            Self::Stream => "stream",
        }
    }
}

/// The type of the weights and of what is computed with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dtype {
    F32,
    Bf16,
}

impl Dtype {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// A way to run soundstorm-pytorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// As it is written, in f32
    Eager,
    /// Through torch.compile, in f32
    Compile,
    /// As it is written, in bf16
    Bf16,
    /// Through torch.compile, in bf16
    CompileBf16,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Compare on this work, or sweep it with --sweep [default: all; of a sweep: forward]
    #[arg(long, value_delimiter = ',', value_name = "WORK,…")]
    pub(super) work: Vec<Work>,
    /// Sweep over lengths, and over batches
    #[arg(long)]
    pub(super) sweep: bool,
    /// Measure the codecs beside those of other packages
    #[arg(long)]
    pub(super) codecs: bool,
    /// Run the criterion benches of layers, sampler steps and the codec
    #[arg(long)]
    pub(super) criterion: bool,
    /// A version of everything that takes minutes: a small model, few frames, two runs
    #[arg(long)]
    pub(super) quick: bool,
    /// The model's settings [default: reference; of train: small]
    #[arg(long, value_name = "PRESET")]
    pub(super) preset: Option<String>,
    /// Frames in a row, 50 a second [default: 500; of train: 250]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) frames: Option<usize>,
    /// Rows [default: 1; of train: 8]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) batch: Option<usize>,
    /// Passes per level of a generation; the last value stands for the rest
    #[arg(long, default_value = "16,1")]
    pub(super) steps: String,
    /// Lengths of a sweep, in seconds, at batch 1 [default: 5,10,30,60,120]
    #[arg(long, value_delimiter = ',', value_name = "S,…", value_parser = at_least_one)]
    pub(super) seconds: Vec<usize>,
    /// Batches of a sweep, at 10 seconds [default: 1,2,4,8,16]
    #[arg(long, value_delimiter = ',', value_name = "N,…", value_parser = at_least_one)]
    pub(super) batches: Vec<usize>,
    /// Timed runs of each side [default: 5]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) runs: Option<usize>,
    /// Runs of each side before the timed ones; after the first, all sides have loaded
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = at_least_one)]
    pub(super) warmup: usize,
    /// Threads of each side; by default as many as the machine has
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) threads: Option<usize>,
    /// Where the sides run
    #[arg(long, default_value = "cpu")]
    pub(super) device: String,
    /// Types that `soundstorm` computes in, one side each
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "f32",
        value_name = "TYPE,…"
    )]
    pub(super) dtypes: Vec<Dtype>,
    /// Ways to run soundstorm-pytorch, one side each; the ratios are to the first
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "eager",
        value_name = "PEER,…"
    )]
    pub(super) peers: Vec<Peer>,
    /// Measure `soundstorm` alone
    #[arg(long)]
    pub(super) no_peer: bool,
    /// Features to build `soundstorm` with, besides the default ones
    #[arg(long, value_name = "FEATURES")]
    pub(super) features: Option<String>,
    /// Measure this `soundstorm` instead of building one; criterion benches, which must be built,
    /// then run only where --criterion stands
    #[arg(long, value_name = "PATH", conflicts_with = "features")]
    pub(super) program: Option<PathBuf>,
    /// Run the peers with this interpreter, as it is
    #[arg(long, value_name = "PATH")]
    pub(super) python: Option<PathBuf>,
    /// Where the report goes
    #[arg(long, default_value = "docs/benchmarks", value_name = "DIR")]
    pub(super) out: PathBuf,
    /// The report's name, instead of one from preset, frames, device and work
    #[arg(long)]
    pub(super) name: Option<String>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one".to_owned()),
        Ok(count) => Ok(count),
        Err(error) => Err(format!("{error}")),
    }
}
