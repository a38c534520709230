//! How many codes two arrays have in common, level by level.

use super::{MetricError, Result};

/// Shares of equal codes, from 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct CodeMatch {
    /// Of each level, coarse to fine, over all rows.
    pub levels: Vec<f64>,
    /// Of all codes.
    pub all: f64,
}

/// The share of codes that agree between two arrays of one shape, `[batch, quantizers, frames]`, row-major. Symmetric.
///
/// # Errors
/// [`MetricError::Shape`] for codes that do not fill it, [`MetricError::Empty`] where there is none.
pub fn code_match(reference: &[i64], estimate: &[i64], shape: [usize; 3]) -> Result<CodeMatch> {
    const METRIC: &str = "code match";
    let [_, levels, frames] = shape;
    // Too large to count is too large to be there.
    let expected = shape
        .into_iter()
        .try_fold(1_usize, usize::checked_mul)
        .unwrap_or(usize::MAX);
    for (array, codes) in [("reference", reference), ("estimate", estimate)] {
        if codes.len() != expected {
            return Err(MetricError::Shape {
                metric: METRIC,
                array,
                shape,
                expected,
                got: codes.len(),
            });
        }
    }
    if expected == 0 {
        return Err(MetricError::Empty { metric: METRIC });
    }
    let mut equal = vec![0_usize; levels];
    let rows = reference.chunks(frames).zip(estimate.chunks(frames));
    for (index, (reference, estimate)) in rows.enumerate() {
        let same = reference.iter().zip(estimate).filter(|(r, e)| r == e);
        equal[index % levels] += same.count();
    }
    let of_level = (expected / levels) as f64;
    Ok(CodeMatch {
        all: equal.iter().sum::<usize>() as f64 / expected as f64,
        levels: equal.iter().map(|&n| n as f64 / of_level).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Two rows, three levels, five frames: level 1 differs once in each row, level 3 everywhere in the second.
        let reference: Vec<i64> = (0..30).collect();
        let mut estimate = reference.clone();
        for at in [0, 17, 25, 26, 27, 28, 29] {
            estimate[at] += 100;
        }
        let found = code_match(&reference, &estimate, [2, 3, 5]);
        let expect = CodeMatch {
            levels: vec![0.8, 1.0, 0.5],
            all: 23.0 / 30.0,
        };
        assert_eq!(found, Ok(expect.clone()));
        assert_eq!(code_match(&estimate, &reference, [2, 3, 5]), Ok(expect));
    }

    #[test]
    fn what_does_not_fill_its_shape_is_refused() {
        let shape = |reference: usize, estimate: usize, shape| {
            code_match(&vec![0; reference], &vec![0; estimate], shape)
        };
        assert!(matches!(
            shape(30, 29, [2, 3, 5]),
            Err(MetricError::Shape {
                array: "estimate",
                expected: 30,
                got: 29,
                ..
            })
        ));
        assert!(matches!(
            shape(29, 30, [2, 3, 5]),
            Err(MetricError::Shape {
                array: "reference",
                ..
            })
        ));
        assert!(matches!(
            shape(0, 0, [2, 0, 5]),
            Err(MetricError::Empty { .. })
        ));
        assert!(shape(1, 1, [usize::MAX, 2, 2]).is_err());
    }
}
