//! A step of training: the loss of SoundStorm, section 3.2, its gradients, and Adam's update with
//! decoupled weight decay, in f32.

use anyhow::{Result, ensure};
use burn::{
    module::Module,
    optim::{AdamWConfig, GradientsParams, Optimizer},
    tensor::{Int, Tensor, TensorData, backend::AutodiffBackend},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use soundstorm::TrainingBatch;
use soundstorm_runtime::{DTypeArg, TrainJob};

use super::{BenchJob, Once, Subject};

const LEARNING_RATE: f64 = 1e-4;

pub(super) struct TrainBenchJob(pub(super) BenchJob);

impl TrainJob for TrainBenchJob {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<()> {
        let job = self.0;
        ensure!(
            job.common.dtype == DTypeArg::F32,
            "training is measured in f32"
        );
        B::seed(&device, job.common.seed);
        let config = job.args.preset.config();
        let model = config.init::<B>(&device)?;
        let (parameters, levels) = (model.num_params(), model.levels());
        let mut rng = StdRng::seed_from_u64(job.common.seed);
        let (batch, frames) = (job.args.batch as usize, job.args.frames as usize);
        let codes: Vec<i64> = (0..batch * levels * frames)
            .map(|_| rng.random_range(0..config.codebook_size as i64))
            .collect();
        let codes = TensorData::new(codes, [batch, levels, frames]);
        let batch = TrainingBatch {
            semantic: job
                .semantic(&config)
                .map(|row| vec![row; job.args.batch as usize]),
            ..TrainingBatch::new(Tensor::<B, 3, Int>::from_data(codes, &device))
        };

        let mut optimizer = AdamWConfig::new().init();
        let mut trained = Some(model);
        let once: Once = Box::new(|| {
            let Some(model) = trained.take() else {
                anyhow::bail!("an earlier step failed");
            };
            let loss = model.loss(&batch, &mut rng)?;
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            trained = Some(optimizer.step(LEARNING_RATE, model, gradients));
            B::sync(&device)?;
            Ok(1)
        });
        let subject = Subject {
            name: job.args.preset.name(),
            parameters,
            levels,
            frames,
            seconds_of_audio: None,
        };
        job.measure(&subject, once)
    }
}
