//! The order in which a level's frames are filled.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use serde::{Deserialize, Serialize};

/// Which of the masked frames are filled first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The most confident ones, as in MaskGIT.
    #[default]
    Confidence,
    /// Any, by the row's random stream.
    Random,
    /// Frames far apart from one another: the row's masked frames in the order of van der Corput's
    /// sequence of base 2, which is Halton's in one dimension. Besnier et al. (2025, arXiv
    /// 2503.17076) fill images so. It needs no confidence and draws nothing.
    VanDerCorput,
}

/// The places `0..count` in van der Corput's order: `floor(count * v)` for each v of one period of
/// the sequence, 0, 1/2, 1/4, 3/4, 1/8, …, without those that were there before.
///
/// ```
/// assert_eq!(soundstorm_maskgit::van_der_corput(6), [0, 3, 1, 4, 2, 5]);
/// ```
pub fn van_der_corput(count: usize) -> Vec<usize> {
    let period = count.next_power_of_two();
    let bits = period.trailing_zeros();
    let mut seen = vec![false; count];
    let mut places = Vec::with_capacity(count);
    for index in 0..period {
        let reversed = match bits {
            0 => 0,
            bits => index.reverse_bits() >> (usize::BITS - bits),
        };
        let place = count * reversed / period;
        if place < count && !seen[place] {
            seen[place] = true;
            places.push(place);
        }
    }
    places
}

/// What ranks the masked frames of each row in van der Corput's order, `[rows, frames]`: the
/// earlier in it, the more.
pub(crate) fn van_der_corput_ranking<B: Backend>(
    masked: &[Vec<usize>],
    frames: usize,
    device: &B::Device,
) -> Tensor<B, 2> {
    let mut ranking = vec![0.0f32; masked.len() * frames];
    for (row, masked) in masked.iter().enumerate() {
        for (rank, place) in van_der_corput(masked.len()).into_iter().enumerate() {
            ranking[row * frames + masked[place]] = -(rank as f32);
        }
    }
    Tensor::from_data(TensorData::new(ranking, [masked.len(), frames]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_comes_once() {
        for count in 0..70 {
            let mut places = van_der_corput(count);
            assert_eq!(places.len(), count);
            places.sort_unstable();
            assert!(places.into_iter().eq(0..count));
        }
    }

    /// 0, 1/2, 1/4, 3/4, 1/8, 5/8, 3/8, 7/8 of 8 and of 7.
    #[test]
    fn golden() {
        assert_eq!(van_der_corput(8), [0, 4, 2, 6, 1, 5, 3, 7]);
        assert_eq!(van_der_corput(7), [0, 3, 1, 5, 4, 2, 6]);
        assert_eq!(van_der_corput(1), [0]);
    }

    /// After a power of two of them, no gap is more than twice as wide as another.
    #[test]
    fn they_lie_far_apart() {
        let count = 1000;
        let places = van_der_corput(count);
        for first in [2, 4, 16, 64] {
            let mut some = places[..first].to_vec();
            some.sort_unstable();
            some.push(count);
            let gaps: Vec<_> = some.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let most = gaps.iter().max();
            let least = gaps.iter().min().map(|gap| gap * 2);
            assert!(most <= least.as_ref(), "{first}: {gaps:?}");
        }
    }
}
