//! Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019, arXiv 1811.02508).

use super::{MetricError, Result, error::check};

/// The ratio of what in the estimate is the reference, at whatever level, to the rest of it, in dB. Means are left as
/// they are: an offset counts as distortion.
///
/// It does not change when either signal is scaled, is infinite where the estimate is a multiple of the reference to
/// the last bit (scaled by anything but a power of two, rounding leaves some 150 dB), and minus infinity where they are
/// orthogonal.
///
/// # Errors
/// [`MetricError::Length`], [`MetricError::Empty`] and [`MetricError::NonFinite`] as with every measure;
/// [`MetricError::Silent`] where either signal is zero throughout, and there is no ratio.
pub fn si_sdr(reference: &[f32], estimate: &[f32]) -> Result<f64> {
    const METRIC: &str = "SI-SDR";
    check(METRIC, reference, estimate)?;
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    };
    let energy = dot(reference, reference);
    for (signal, energy) in [("reference", energy), ("estimate", dot(estimate, estimate))] {
        if energy == 0.0 {
            return Err(MetricError::Silent {
                metric: METRIC,
                signal,
            });
        }
    }
    let scale = dot(reference, estimate) / energy;
    let distortion: f64 = reference
        .iter()
        .zip(estimate)
        .map(|(r, e)| (scale * f64::from(*r) - f64::from(*e)).powi(2))
        .sum();
    Ok(10.0 * (scale * scale * energy / distortion).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // The estimate's projection on (3, 4) is itself twice, what is left is (4, -3): 4 * 25 / 25.
        let value = si_sdr(&[3.0, 4.0], &[10.0, 5.0]);
        assert!(matches!(value, Ok(db) if (db - 10.0 * 4.0_f64.log10()).abs() < 1e-12));
    }

    #[test]
    fn the_ends_of_the_scale() {
        let signal = [0.1, -0.7, 0.3, 0.9];
        assert_eq!(si_sdr(&signal, &signal), Ok(f64::INFINITY));
        assert_eq!(
            si_sdr(&signal, &signal.map(|s| -4.0 * s)),
            Ok(f64::INFINITY)
        );
        assert_eq!(si_sdr(&[1.0, 0.0], &[0.0, 1.0]), Ok(f64::NEG_INFINITY));
        for (reference, estimate, signal) in [
            ([0.0, 0.0], [1.0, 0.5], "reference"),
            ([1.0, 0.5], [0.0, 0.0], "estimate"),
        ] {
            let metric = "SI-SDR";
            assert_eq!(
                si_sdr(&reference, &estimate),
                Err(MetricError::Silent { metric, signal })
            );
        }
    }
}
