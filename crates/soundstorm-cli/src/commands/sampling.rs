//! The options of generation: the model's own, overridden by the command line.

use std::{ops::ControlFlow, path::PathBuf, str::FromStr};

use anyhow::Result;
use burn::tensor::backend::Backend;
use clap::{Args, ValueEnum};
use soundstorm::{
    Guidance, GuidanceCurve, SoundStormConfig,
    maskgit::{Confidence, DecodeOptions, Order, Pass, Remask, Remdm, Schedule},
};

use super::trace::Trace;
use crate::{progress::Progress, usage::usage};

/// How a model is asked to decode; what is absent is as the model's folder says.
#[derive(Clone, Debug, Args)]
pub(crate) struct Sampling {
    /// Passes per level, as 16,1: the last number stands for all further levels
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub(crate) steps: Vec<usize>,
    /// How many frames stay masked after each step of a level
    #[arg(long, value_enum, value_name = "CURVE")]
    pub(crate) schedule: Option<ScheduleArg>,
    /// Temperature of drawing codes
    #[arg(long, value_name = "T")]
    pub(crate) temperature: Option<f64>,
    /// Draw among the K most likely codes only
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,
    /// Then among the most likely codes that together have this share of what is left
    #[arg(long, value_name = "P")]
    pub(crate) top_p: Option<f64>,
    /// Then among the most typical codes that together have this share of what is left
    #[arg(long, value_name = "SHARE")]
    pub(crate) typical: Option<f64>,
    /// What a frame's confidence is: probability of its code, margin to the second, entropy, or what
    /// the model's critic says
    #[arg(long, value_enum, value_name = "MEASURE")]
    pub(crate) confidence: Option<ConfidenceArg>,
    /// Which frames are filled first
    #[arg(long, value_enum, value_name = "ORDER")]
    pub(crate) order: Option<OrderArg>,
    /// Fill spans of N frames
    #[arg(long, value_name = "N")]
    pub(crate) span: Option<usize>,
    /// Mask again what was filled: never, least-confident, cap:ETA or rescale:ETA, and
    /// cap:ETA:confidence to choose by confidence
    #[arg(long, value_name = "HOW", value_parser = remask)]
    pub(crate) remask: Option<Remask>,
    /// Fill as many frames a step as have this entropy in nats together; --steps are then the most
    #[arg(long, value_name = "NATS")]
    pub(crate) entropy_budget: Option<f64>,
    /// Scale of the noise on confidence, annealed to zero over a level's steps
    #[arg(long, value_name = "SCALE")]
    pub(crate) confidence_noise: Option<f64>,
    /// Take the most likely code everywhere
    #[arg(long)]
    pub(crate) greedy: bool,
    /// Classifier-free guidance by this scale, or from the first step's to the last's, as 3,1
    #[arg(long, value_delimiter = ',', num_args = 1..=2, value_name = "SCALE[,LAST]")]
    pub(crate) guidance: Vec<f64>,
    /// How guidance goes from the first step's scale to the last's
    #[arg(long, value_enum, value_name = "CURVE", requires = "guidance")]
    pub(crate) guidance_curve: Option<CurveArg>,
    /// How far guided logits are brought back to the spread of unguided ones, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "guidance")]
    pub(crate) guidance_rescale: Option<f64>,
    /// Levels that are guided, from the coarsest; 1 by default
    #[arg(long, value_name = "N", requires = "guidance")]
    pub(crate) guidance_levels: Option<usize>,
    /// Picture to draw (.png or .svg): at which pass each frame of each level was filled, from black
    /// to white, and below it how probable its code was
    #[arg(long, value_name = "OUT.png|svg")]
    pub(crate) trace_picture: Option<PathBuf>,
    /// Write OUTPUT.json beside the output: what made it, with hashes of all that was read
    #[arg(long)]
    pub(crate) sidecar: bool,
    /// Make the output of such a file again, with nothing else but -o
    #[arg(long, value_name = "OUTPUT.json")]
    pub(crate) from_sidecar: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ScheduleArg {
    Cosine,
    Linear,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ConfidenceArg {
    Probability,
    Margin,
    Entropy,
    Critic,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OrderArg {
    Confidence,
    Random,
    VanDerCorput,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum CurveArg {
    Linear,
    Cosine,
}

/// `never`, `least-confident`, `cap:ETA[:confidence]` or `rescale:ETA[:confidence]`.
fn remask(text: &str) -> Result<Remask, String> {
    let expected = || {
        "expected never, least-confident, cap:ETA or rescale:ETA, with :confidence after it or not"
            .to_owned()
    };
    let mut parts = text.split(':');
    let kind = parts.next().unwrap_or_default();
    let eta = parts.next().map(f64::from_str);
    let by_confidence = match parts.next() {
        None => false,
        Some("confidence") => true,
        Some(_) => return Err(expected()),
    };
    if parts.next().is_some() {
        return Err(expected());
    }
    match (kind, eta) {
        ("never", None) => Ok(Remask::Never),
        ("least-confident", None) => Ok(Remask::LeastConfident),
        ("cap", Some(Ok(eta))) => Ok(Remask::Cap(Remdm { eta, by_confidence })),
        ("rescale", Some(Ok(eta))) => Ok(Remask::Rescale(Remdm { eta, by_confidence })),
        _ => Err(expected()),
    }
}

/// What a generation is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) options: DecodeOptions,
    pub(crate) guidance: Option<Guidance>,
}

/// The options to decode with, and the guidance.
///
/// # Errors
/// Options that make no sense, as a wrong call.
pub(crate) fn asked(sampling: &Sampling, config: &SoundStormConfig) -> Result<Asked> {
    let mut options = config.generation.clone();
    if !sampling.steps.is_empty() {
        options.steps.clone_from(&sampling.steps);
    }
    if let Some(schedule) = sampling.schedule {
        options.schedule = match schedule {
            ScheduleArg::Cosine => Schedule::Cosine,
            ScheduleArg::Linear => Schedule::Linear,
        };
    }
    if let Some(temperature) = sampling.temperature {
        options.temperature = temperature;
    }
    options.top_k = sampling.top_k.or(options.top_k);
    options.top_p = sampling.top_p.or(options.top_p);
    options.typical = sampling.typical.or(options.typical);
    if let Some(confidence) = sampling.confidence {
        options.confidence = match confidence {
            ConfidenceArg::Probability => Confidence::Probability,
            ConfidenceArg::Margin => Confidence::Margin,
            ConfidenceArg::Entropy => Confidence::Entropy,
            ConfidenceArg::Critic => Confidence::Critic,
        };
    }
    if let Some(order) = sampling.order {
        options.order = match order {
            OrderArg::Confidence => Order::Confidence,
            OrderArg::Random => Order::Random,
            OrderArg::VanDerCorput => Order::VanDerCorput,
        };
    }
    options.span = sampling.span.unwrap_or(options.span);
    options.remask = sampling.remask.unwrap_or(options.remask);
    options.entropy_budget = sampling.entropy_budget.or(options.entropy_budget);
    if let Some(noise) = sampling.confidence_noise {
        options.confidence_noise = noise;
    }
    options.greedy |= sampling.greedy;
    options
        .validate()
        .map_err(|error| usage(error.to_string()))?;

    let guidance = sampling.guidance.first().map(|&scale| {
        let plain = Guidance::default();
        Guidance {
            scale,
            last_scale: sampling.guidance.get(1).copied(),
            curve: match sampling.guidance_curve {
                Some(CurveArg::Cosine) => GuidanceCurve::Cosine,
                Some(CurveArg::Linear) | None => GuidanceCurve::Linear,
            },
            rescale: sampling.guidance_rescale.unwrap_or(plain.rescale),
            levels: sampling.guidance_levels.unwrap_or(plain.levels),
        }
    });
    if let Some(guidance) = &guidance {
        guidance
            .validate()
            .map_err(|error| usage(error.to_string()))?;
        if config.semantic.is_none() {
            return Err(usage("--guidance needs a model that takes semantic tokens"));
        }
    }
    Ok(Asked { options, guidance })
}

/// What watches a generation: its progress, and the trace where one is asked for.
pub(crate) fn observer<'a, B: Backend>(
    progress: &'a mut Progress,
    trace: &'a mut Option<Trace>,
) -> impl FnMut(&Pass<'_, B>) -> ControlFlow<()> + 'a {
    move |pass| {
        progress.at(pass.info().passes_done, pass.info().passes);
        if let Some(trace) = trace {
            trace.take(pass);
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remasking_is_named_in_a_word() {
        let of = |text| remask(text).ok();
        assert_eq!(of("never"), Some(Remask::Never));
        assert_eq!(of("least-confident"), Some(Remask::LeastConfident));
        assert_eq!(of("cap:0.25"), Some(Remask::cap(0.25)));
        let by_confidence = Remdm {
            eta: 0.5,
            by_confidence: true,
        };
        assert_eq!(
            of("rescale:0.5:confidence"),
            Some(Remask::Rescale(by_confidence))
        );
        for bad in [
            "",
            "cap",
            "cap:x",
            "never:1",
            "cap:1:2",
            "cap:1:confidence:3",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
