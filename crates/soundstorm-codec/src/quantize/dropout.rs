//! Quantizer dropout: rows of a batch are trained with different numbers of levels, so that fewer
//! than all can be decoded (SoundStream, Zeghidour et al. 2021, section III.D; for some of the rows
//! only, Kumar et al. 2023).

use burn::prelude::*;
use burn::tensor::DType;
use rand::{Rng, RngExt};

/// The number of levels of each row: with a chance of `share` any number from 1 to `levels`, all
/// equally likely, and all of them otherwise.
///
/// # Panics
/// If there are no levels.
pub fn draw_levels<R: Rng + ?Sized>(
    rng: &mut R,
    rows: usize,
    levels: usize,
    share: f64,
) -> Vec<usize> {
    let mut draw = |_| {
        // Both are drawn for every row: its number depends on no other row's.
        let (chance, fewer) = (rng.random::<f64>(), rng.random_range(1..=levels));
        if chance < share { fewer } else { levels }
    };
    (0..rows).map(&mut draw).collect()
}

/// One where a row has a level, counted from 0, and zero elsewhere.
///
/// # Shapes
/// - output: `[batch, 1, 1]`
pub(super) fn kept<B: Backend>(
    row_levels: &[usize],
    level: usize,
    device: &B::Device,
) -> Tensor<B, 3> {
    let kept = row_levels
        .iter()
        .map(|&levels| f32::from(u8::from(level < levels)));
    let data = TensorData::new(kept.collect::<Vec<_>>(), [row_levels.len(), 1, 1]);
    Tensor::from_data(data, (device, DType::F32))
}

/// Fails unless there is a number of levels for each row.
pub(super) fn assert_rows(row_levels: &[usize], rows: usize) {
    assert_eq!(row_levels.len(), rows, "a number of levels for each row");
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_share_of_rows_has_fewer_levels_each_number_as_often() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (rows, levels) = (40_000, 5);
        let drawn = draw_levels(&mut rng, rows, levels, 0.5);
        for number in 1..=levels {
            let share = drawn.iter().filter(|&&drawn| drawn == number).count();
            let expected = 0.1 + if number == levels { 0.5 } else { 0.0 };
            let share = share as f64 / rows as f64;
            assert!((share - expected).abs() < 0.01, "{number}: {share}");
        }
    }

    #[test]
    fn without_dropout_every_row_has_all() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        assert_eq!(draw_levels(&mut rng, 3, 7, 0.0), [7, 7, 7]);
        assert!(draw_levels(&mut rng, 99, 7, 1.0).contains(&1));
    }
}
