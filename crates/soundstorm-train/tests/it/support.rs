//! A codec that is a formula, recordings for it, a small model, and runs of it in a folder.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::{Int, Tensor, TensorData};
use soundstorm_audio::{Audio, WavFormat, write_wav};
use soundstorm_codec::{Codec, CodecError, CodecSpec};
use soundstorm_train::{
    Dataset, Outcome, PrepareOptions, Result, TrainConfig, TrainEvent,
    data::{PrepareReport, prepare},
    train,
};

pub(crate) type Inner = burn_flex::Flex;
pub(crate) type B = burn_autodiff::Autodiff<Inner>;

pub(crate) const CODES: usize = 17;
pub(crate) const LEVELS: usize = 3;
pub(crate) const HOP: usize = 20;
pub(crate) const RATE: u32 = 8_000;

/// A level's code of a frame is a multiple of how loud its first sample is.
pub(crate) struct Formula {
    pub(crate) codes: usize,
}

impl Codec<Inner> for Formula {
    fn spec(&self) -> CodecSpec {
        CodecSpec {
            name: "formula".into(),
            sample_rate: RATE,
            channels: 1,
            hop: HOP,
            levels: LEVELS,
            codebook_size: self.codes,
        }
    }

    fn encode(
        &self,
        audio: Tensor<Inner, 3>,
        levels: Option<usize>,
    ) -> std::result::Result<Tensor<Inner, 3, Int>, CodecError> {
        self.spec().check_audio(&audio)?;
        let levels = self.spec().check_levels("encode", levels)?;
        let samples: Vec<f32> = audio.into_data().iter::<f32>().collect();
        let codes: Vec<i64> = (0..levels)
            .flat_map(|level| samples.chunks(HOP).map(move |frame| (level, frame[0])))
            .map(|(level, sample)| {
                let loud = (sample.abs() * 1000.0).round() as i64;
                (loud * (level as i64 + 1) + level as i64) % CODES as i64
            })
            .collect();
        let shape = [1, levels, samples.len().div_ceil(HOP)];
        Ok(Tensor::from_data(
            TensorData::new(codes, shape),
            &Default::default(),
        ))
    }

    fn decode(
        &self,
        _: Tensor<Inner, 3, Int>,
    ) -> std::result::Result<Tensor<Inner, 3>, CodecError> {
        unreachable!("nothing here listens")
    }
}

/// A folder with recordings in `audio`, of so many frames each, that goes when dropped.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new(frames: &[usize]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("audio")).unwrap();
        let bench = Self { dir };
        for (number, frames) in frames.iter().enumerate() {
            bench.recording(&format!("audio/{number:03}.wav"), *frames, number);
        }
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Frames go up in a rhythm of five, so that there is something to learn.
    pub(crate) fn recording(&self, name: &str, frames: usize, salt: usize) {
        let samples = (0..frames * HOP).map(|i| ((i / HOP + salt) % 5 * 3) as f32 / 1000.0);
        let audio = Audio::from_mono(RATE, samples.collect());
        write_wav(self.path(name), &audio, WavFormat::F32).unwrap();
    }

    /// Three recordings a shard.
    pub(crate) fn options(&self) -> PrepareOptions {
        PrepareOptions {
            files_per_shard: NonZeroUsize::new(3).unwrap(),
            ..PrepareOptions::new(self.path("audio"), self.path("codes"), "0123")
        }
    }

    pub(crate) fn prepare(&self) -> PrepareReport {
        self.try_prepare(&self.options()).unwrap()
    }

    pub(crate) fn try_prepare(&self, options: &PrepareOptions) -> Result<PrepareReport> {
        let codec = Formula { codes: CODES };
        prepare(&codec, options, &Default::default(), |_| ())
    }

    pub(crate) fn dataset(&self) -> Dataset {
        Dataset::open(self.path("codes")).unwrap()
    }

    /// A configuration of a small model on the prepared codes.
    pub(crate) fn config(&self, settings: &[&str]) -> TrainConfig {
        TrainConfig::parse(&self.text(), &owned(settings)).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        format!(
            r#"
            seed = 7
            steps = 12
            [data]
            path = '{}'
            max_frames = 13
            min_frames = 3
            batch = 4
            bucket_batches = 2
            [validation]
            fraction = 0.2
            every = 5
            [optimizer]
            learning_rate = 3e-3
            [schedule]
            warmup = 3
            [checkpoint]
            every = 4
            [log]
            every = 2
            [model]
            codebook_size = {CODES}
            num_quantizers = {LEVELS}
            head = "projected"
            [model.conformer]
            dim = 22
            depth = 2
            heads = 3
            dim_head = 6
            ff_mult = 2
            conv_kernel_size = 5
            value_residual = "learned"
            num_residual_streams = 2
            "#,
            self.path("codes").display()
        )
    }

    /// A model folder with random weights of a configuration, to begin from: what others draw
    /// at the same time does not change them.
    pub(crate) fn weights(&self, config: &TrainConfig) -> PathBuf {
        let folder = self.path("weights");
        soundstorm_hub::init_model::<Inner>(&config.model, &folder, 3, true, &Default::default())
            .unwrap();
        folder
    }

    pub(crate) fn train(&self, config: &TrainConfig, run: &str) -> Result<Outcome> {
        self.train_until(config, run, u64::MAX)
    }

    /// Trains, and stops after a step.
    pub(crate) fn train_until(
        &self,
        config: &TrainConfig,
        run: &str,
        stop: u64,
    ) -> Result<Outcome> {
        train::<B>(
            config,
            self.path(run),
            &Default::default(),
            |event| match event {
                TrainEvent::Step(report) if report.step >= stop => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            },
        )
    }
}

pub(crate) fn owned(settings: &[&str]) -> Vec<String> {
    settings.iter().map(|text| (*text).to_owned()).collect()
}

/// Recordings of lengths that fill batches of every kind.
pub(crate) fn many() -> Vec<usize> {
    [31, 7, 13, 3, 19, 41, 11, 23].repeat(2)
}

/// Every file below a folder with its content, by its path.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            for (below, content) in files(&path) {
                found.insert(format!("{name}/{below}"), content);
            }
        } else {
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// Changes one bit in the middle of a file.
pub(crate) fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(path, bytes).unwrap();
}
