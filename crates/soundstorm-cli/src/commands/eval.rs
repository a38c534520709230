//! `soundstorm eval`: a model's cross-entropy and accuracy on codes, for each
//! level with that level and all finer ones masked.

use anyhow::Result;
use burn::tensor::backend::Backend;
use soundstorm::LevelScore;
use soundstorm_runtime::Job;

use super::load;
use crate::{
    args::{Common, Eval},
    codes_io, output,
    progress::Progress,
};

pub(crate) fn run(args: Eval, common: Common) -> Result<()> {
    let json = common.json;
    let device = common.device;
    let scores = soundstorm_runtime::run(&device, EvalJob { args, common })??;
    if json {
        return output::json(&serde_json::json!({ "levels": scores }));
    }
    output::say("level     loss  accuracy")?;
    for score in scores {
        output::say(&format!(
            "{:5}  {:7.4}  {:8.4}",
            score.level, score.loss, score.accuracy
        ))?;
    }
    Ok(())
}

struct EvalJob {
    args: Eval,
    common: Common,
}

impl Job for EvalJob {
    type Output = Result<Vec<LevelScore>>;

    fn run<B: Backend>(self, device: B::Device) -> Self::Output {
        let Self { args, common } = self;
        common.dtype.check::<B>(&device)?;
        let file = codes_io::read(&args.codes)?;
        let (config, model) = load::model::<B>(&args.model, &common, &device)?;
        let rows = codes_io::for_model(&file, &args.codes, &config)?;
        let codes = codes_io::tensor::<B>(&rows.codes, &device)?;
        let levels = config.levels();
        let mut progress = Progress::new("evaluating", common.quiet);
        Ok(
            model.evaluate(codes, None, rows.semantic.as_deref(), |score| {
                progress.at(score.level, levels);
            })?,
        )
    }
}
