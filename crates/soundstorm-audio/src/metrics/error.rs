//! What two signals or arrays of codes cannot be compared for.

use super::Result;

/// Why there is no measure.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// The signals differ in length.
    #[error(
        "cannot compute the {metric}: the reference has {expected} samples, the estimate {got}"
    )]
    Length {
        /// Which measure.
        metric: &'static str,
        /// Samples of the reference.
        expected: usize,
        /// Samples of the estimate.
        got: usize,
    },
    /// There is not one sample, or not one code.
    #[error("cannot compute the {metric}: there is nothing to compare")]
    Empty {
        /// Which measure.
        metric: &'static str,
    },
    /// All samples of a signal are zero, and the measure is a ratio to them.
    #[error("cannot compute the {metric}: the {signal} is silent")]
    Silent {
        /// Which measure.
        metric: &'static str,
        /// Reference or estimate.
        signal: &'static str,
    },
    /// A sample is NaN or infinite.
    #[error("cannot compute the {metric}: sample {index} of the {signal} is {value}")]
    NonFinite {
        /// Which measure.
        metric: &'static str,
        /// Reference or estimate.
        signal: &'static str,
        /// The sample's index.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A scale that makes no spectrum.
    #[error("cannot compute the {metric}: {detail}")]
    Scale {
        /// Which measure.
        metric: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Codes that do not fill their shape.
    #[error("cannot compute the {metric}: {expected} codes fill {shape:?}, the {array} has {got}")]
    Shape {
        /// Which measure.
        metric: &'static str,
        /// Reference or estimate.
        array: &'static str,
        /// `[batch, quantizers, frames]`.
        shape: [usize; 3],
        /// Codes that the shape has room for.
        expected: usize,
        /// Codes that there are.
        got: usize,
    },
}

/// Two signals that can be compared: of one length, not empty, all samples finite.
pub(super) fn check(metric: &'static str, reference: &[f32], estimate: &[f32]) -> Result<()> {
    if reference.len() != estimate.len() {
        return Err(MetricError::Length {
            metric,
            expected: reference.len(),
            got: estimate.len(),
        });
    }
    if reference.is_empty() {
        return Err(MetricError::Empty { metric });
    }
    for (signal, samples) in [("reference", reference), ("estimate", estimate)] {
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            return Err(MetricError::NonFinite {
                metric,
                signal,
                index,
                value: samples[index],
            });
        }
    }
    Ok(())
}
