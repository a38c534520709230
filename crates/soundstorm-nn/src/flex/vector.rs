//! Functions of one number, and reductions, in a form that the compiler turns
//! into vector instructions: no calls, no branches, sums in lanes.

/// Lanes of a sum or a maximum: enough for four vectors of AVX2 in flight.
const LANES: usize = 32;

/// Adding this rounds a number to an integer, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `exp(x)`, within 2e-7 relative; 0 below -87.3, 1.7e38 above 88, NaN of NaN.
///
/// The number is split into a power of two and a rest, for which a polynomial
/// stands (Cephes, `expf`).
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let inside = x.clamp(-87.3, 88.0);
    let rounded = inside * std::f32::consts::LOG2_E + ROUND;
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    let rounded = rounded - ROUND;
    let rest = inside - rounded * LN2_HIGH - rounded * LN2_LOW;
    let mut sum = 1.987_569_1e-4;
    sum = sum * rest + 1.398_199_9e-3;
    sum = sum * rest + 8.333_452e-3;
    sum = sum * rest + 4.166_579_6e-2;
    sum = sum * rest + 1.666_666_5e-1;
    sum = sum * rest + 0.5;
    let value = (sum * rest * rest + rest + 1.0) * power;
    if x < -87.3 { 0.0 } else { value }
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The sum of `term` over the numbers. Its order is not that of a plain sum, but
/// depends on their count alone.
#[inline(always)]
pub(super) fn sum(numbers: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    in_lanes(numbers, 0.0, |sum, x| sum + term(x)).iter().sum()
}

/// The sum of products.
#[inline(always)]
pub(super) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (mut xs, mut ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    for (x, y) in (&mut xs).zip(&mut ys) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    let rest = xs.remainder().iter().zip(ys.remainder());
    for (lane, (x, y)) in lanes.iter_mut().zip(rest) {
        *lane += x * y;
    }
    lanes.iter().sum()
}

/// The largest number; those that are NaN do not count.
#[inline(always)]
pub(super) fn largest(numbers: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let lanes = in_lanes(numbers, f32::NEG_INFINITY, larger);
    lanes.into_iter().fold(f32::NEG_INFINITY, larger)
}

/// Every `LANES`-th number folded into one lane.
#[inline(always)]
fn in_lanes(numbers: &[f32], start: f32, join: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    let mut lanes = [start; LANES];
    let mut pieces = numbers.chunks_exact(LANES);
    for piece in &mut pieces {
        for (lane, &x) in lanes.iter_mut().zip(piece) {
            *lane = join(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(pieces.remainder()) {
        *lane = join(*lane, x);
    }
    lanes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_the_standard_library() {
        let mut x = -87.2f32;
        while x < 88.0 {
            let want = f64::from(x).exp();
            let apart = (f64::from(exp(x)) - want).abs() / want;
            assert!(apart < 3e-7, "exp({x}): {} and not {want}", exp(x));
            x += 0.003_7;
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e30), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        assert!(sigmoid(100.0) == 1.0 && sigmoid(-100.0) < 1e-37);
    }

    #[test]
    fn reductions_take_every_number_once() {
        for count in [1, 31, 32, 33, 97] {
            let numbers: Vec<f32> = (0..count).map(|i| (i * 7 % count) as f32).collect();
            let want = (count * (count - 1) / 2) as f32;
            assert_eq!(sum(&numbers, |x| x), want);
            assert_eq!(largest(&numbers), (count - 1) as f32);
            let squares = numbers.iter().map(|x| x * x).sum::<f32>();
            assert_eq!(dot(&numbers, &numbers), squares);
        }
        assert_eq!(largest(&[-3.0, f32::NAN, -2.0]), -2.0);
    }
}
