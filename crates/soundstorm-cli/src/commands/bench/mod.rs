//! `soundstorm bench`: times a piece of work on random weights, without cargo, so
//! that the program can be carried to another machine.

mod codec;
mod measure;
mod train;

use anyhow::Result;
use burn::{
    module::Module,
    tensor::{Int, Tensor, TensorData, backend::Backend},
};
use soundstorm::{GenerateRow, SoundStorm, SoundStormConfig, maskgit::row_seed};
use soundstorm_runtime::{
    BackendKind, DTypeArg, Job, bf16_instructions, cast_module, frame_multiple,
};

use crate::args::{Bench, Common, Work};
use measure::{Once, Subject};
use train::TrainBenchJob;

pub(crate) fn run(args: Bench, common: Common) -> Result<()> {
    let selected = soundstorm_runtime::select(&common.device)?;
    let about = About {
        backend: selected.backend,
        device: selected.description.clone(),
    };
    let train = args.work == Work::Train;
    let job = BenchJob {
        args,
        common,
        about,
    };
    if train {
        selected.run_autodiff(TrainBenchJob(job))
    } else {
        selected.run(job)
    }
}

struct About {
    backend: BackendKind,
    device: String,
}

struct BenchJob {
    args: Bench,
    common: Common,
    about: About,
}

impl Job for BenchJob {
    type Output = Result<()>;

    fn run<B: Backend>(self, device: B::Device) -> Result<()> {
        self.common.dtype.check::<B>(&device)?;
        B::seed(&device, self.common.seed);
        match self.args.work {
            Work::Forward | Work::Generate => self.model::<B>(&device),
            Work::Encode | Work::Decode | Work::Stream => self.codec::<B>(&device),
            Work::Train => unreachable!("a job of its own"),
        }
    }
}

impl BenchJob {
    fn model<B: Backend>(&self, device: &B::Device) -> Result<()> {
        let config = self.args.preset.config();
        let model = cast_module(config.init::<B>(device)?, self.common.dtype)
            .with_frame_multiple(frame_multiple::<B>());
        let (parameters, levels) = (model.num_params(), model.levels());
        let once: Once = match self.args.work {
            Work::Forward => self.forward(&config, &model, device)?,
            _ => self.generate(&config, &model)?,
        };
        B::sync(device)?;
        let subject = Subject {
            name: self.args.preset.name(),
            parameters,
            levels,
            frames: self.args.frames as usize,
            seconds_of_audio: None,
        };
        self.measure(&subject, once)
    }

    /// What products in bf16 run on, on the CPU: f32 is what they are in without any.
    fn instructions(&self) -> Option<String> {
        let asked = self.common.dtype == DTypeArg::BF16 && self.about.backend == BackendKind::Flex;
        asked.then(|| bf16_instructions().unwrap_or_else(|| "none, in f32".into()))
    }

    /// One pass with the logits of every level, as the reference's network does.
    fn forward<'a, B: Backend>(
        &self,
        config: &SoundStormConfig,
        model: &'a SoundStorm<B>,
        device: &'a B::Device,
    ) -> Result<Once<'a>> {
        let (batch, frames) = (self.args.batch as usize, self.args.frames as usize);
        let shape = [batch, model.levels(), frames];
        let codes: Vec<i64> = (0..shape.iter().product::<usize>())
            .map(|index| (index * 7 % config.codebook_size) as i64)
            .collect();
        let codes = Tensor::<B, 3, Int>::from_data(TensorData::new(codes, shape), device);
        let semantic = self.semantic(config).map(|row| vec![row; batch]);
        let condition = model.condition(semantic.as_deref(), frames)?;
        Ok(Box::new(move || {
            let logits = model.logits(codes.clone(), condition.clone(), None);
            B::sync(device)?;
            drop(logits);
            Ok(1)
        }))
    }

    fn generate<'a, B: Backend>(
        &self,
        config: &SoundStormConfig,
        model: &'a SoundStorm<B>,
    ) -> Result<Once<'a>> {
        let mut options = config.generation.clone();
        options.steps.clone_from(&self.args.steps);
        let rows: Vec<_> = (0..self.args.batch as usize)
            .map(|row| GenerateRow {
                frames: Some(self.args.frames as usize),
                seed: row_seed(self.common.seed, row),
                semantic: self.semantic(config),
                ..GenerateRow::default()
            })
            .collect();
        Ok(Box::new(move || {
            let mut passes = 0;
            model.generate(&rows, &options, |info| passes = info.passes_done)?;
            Ok(passes)
        }))
    }

    /// Semantic tokens that cover the frames, for a model that takes any.
    fn semantic(&self, config: &SoundStormConfig) -> Option<Vec<i64>> {
        let semantic = config.semantic.as_ref()?;
        let covered =
            |tokens: &usize| semantic.acoustic_frames(*tokens) >= self.args.frames as usize;
        let tokens = (1..).find(covered)?;
        Some(
            (0..tokens)
                .map(|token| (token * 5 % semantic.vocab) as i64)
                .collect(),
        )
    }
}
