//! The curves of a training's log: losses, and the accuracy of each level.

use anyhow::{Result, bail};
use soundstorm_audio::picture::{Curve, PictureSize, write_curves};
use soundstorm_train::{LogLine, read_log};

use crate::{
    args::{Common, Plot},
    output,
};

pub(super) fn run(args: &Plot, common: &Common) -> Result<()> {
    let log = read_log(&args.input)?;
    let (mut training, mut held_out) = (Curve::new(), Curve::new());
    let mut accuracies: Vec<Curve> = Vec::new();
    for line in &log {
        match line {
            LogLine::Train { step, loss, .. } => training.push((*step as f64, *loss)),
            LogLine::Validation(scores) => {
                held_out.push((scores.step as f64, scores.loss));
                accuracies.resize(scores.levels.len().max(accuracies.len()), Curve::new());
                for (curve, score) in accuracies.iter_mut().zip(&scores.levels) {
                    curve.push((scores.step as f64, score.accuracy));
                }
            }
            _ => {}
        }
    }
    if log.is_empty() {
        bail!("{}: there are no lines yet", args.input.display());
    }
    let mut panels = vec![vec![training, held_out]];
    if !accuracies.is_empty() {
        panels.push(accuracies);
    }
    let size = PictureSize {
        width: args.width,
        height: args.height,
    };
    write_curves(&args.output, &panels, size)?;
    if common.json {
        return output::json(&serde_json::json!({
            "output": args.output,
            "width": size.width,
            "height": u64::from(size.height) * panels.len() as u64,
            "lines": log.len(),
        }));
    }
    tracing::info!(
        "{}: training loss in blue, held-out loss in orange{}",
        args.output.display(),
        match panels.len() {
            1 => "",
            _ => "; below, the accuracy of each level, the coarsest in blue",
        }
    );
    Ok(())
}
