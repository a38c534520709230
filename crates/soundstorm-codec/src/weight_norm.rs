//! Weight norm (Salimans and Kingma 2016) folded into the weight it parametrizes.

/// The weight `g * v / |v|`, where norms are taken over all but the first axis.
///
/// PyTorch keeps one norm for each index of the first axis: the output channel
/// of a convolution, `[out, in, kernel]`, but the *input* channel of a
/// transposed one, `[in, out, kernel]`. Norms are summed in 64 bits.
///
/// # Arguments
/// - `g`: one norm for each index of the first axis
/// - `v`: the direction, row-major, its length a multiple of `g`'s
///
/// Returns `None` if the lengths do not fit, and a weight that is not finite
/// where a direction is zero, as PyTorch does.
pub fn fold_weight_norm(g: &[f32], v: &[f32]) -> Option<Vec<f32>> {
    if g.is_empty() || v.is_empty() || !v.len().is_multiple_of(g.len()) {
        return None;
    }
    let row = v.len() / g.len();
    let mut weight = Vec::with_capacity(v.len());
    for (&g, v) in g.iter().zip(v.chunks_exact(row)) {
        let norm = v.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let scale = f64::from(g) / norm;
        weight.extend(v.iter().map(|&v| (f64::from(v) * scale) as f32));
    }
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_gets_its_own_norm() {
        let weight = fold_weight_norm(&[10.0, -2.0], &[3.0, 4.0, 0.0, 0.5]);
        assert_eq!(weight, Some(vec![6.0, 8.0, 0.0, -2.0]));
    }

    #[test]
    fn lengths_must_fit() {
        assert_eq!(fold_weight_norm(&[1.0, 1.0], &[1.0, 2.0, 3.0]), None);
        assert_eq!(fold_weight_norm(&[], &[1.0]), None);
        assert_eq!(fold_weight_norm(&[1.0], &[]), None);
    }
}
