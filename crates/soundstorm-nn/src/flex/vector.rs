//! Functions of one number, and reductions, in a form that the compiler turns
//! into vector instructions: no calls, no branches, sums in lanes.

use pulp::{Simd, WithSimd};

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

/// The hyperbolic tangent, within 2e-7.
#[inline(always)]
pub(super) fn tanh(x: f32) -> f32 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// The sine, within 2e-7 where `x` is within [`SINE_RANGE`]: that of what is left of `x` beyond a
/// multiple of pi, by a polynomial (SLEEF, `sinf`).
#[inline(always)]
pub(super) fn sin(x: f32) -> f32 {
    // Pi in parts whose products with whole numbers are exact.
    const PI: [f32; 3] = [3.140_625, 9.675_026e-4, 1.509_957_9e-7];
    let turns = x * std::f32::consts::FRAC_1_PI + ROUND;
    let odd = turns.to_bits() << 31;
    let turns = turns - ROUND;
    let rest = x - turns * PI[0] - turns * PI[1] - turns * PI[2];
    let square = rest * rest;
    let mut sum = 2.608_316e-6;
    sum = sum * square - 1.981_069e-4;
    sum = sum * square + 8.333_074e-3;
    sum = sum * square - 1.666_665_7e-1;
    let sine = rest + rest * square * sum;
    f32::from_bits(sine.to_bits() ^ odd)
}

/// How far from zero [`sin`] may be asked for.
pub(super) const SINE_RANGE: f32 = 8192.0;

/// The sum of `term` over the numbers. Its order is not that of a plain sum, but
/// depends on their count alone.
#[inline(always)]
pub(super) fn sum(numbers: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    in_lanes(numbers, 0.0, |sum, x| sum + term(x)).iter().sum()
}

/// The sum of products. In vectors by hand: the compiler does not find them in two slices.
#[inline(always)]
pub(super) fn dot(x: &[f32], y: &[f32]) -> f32 {
    pulp::Arch::new().dispatch(Dot { x, y })
}

struct Dot<'a> {
    x: &'a [f32],
    y: &'a [f32],
}

impl WithSimd for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        dot_with(simd, self.x, self.y)
    }
}

/// [`dot`], where vector instructions were chosen already.
#[inline(always)]
pub(super) fn dot_with<S: Simd>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    let (xs, x_rest) = S::as_simd_f32s(x);
    let (ys, y_rest) = S::as_simd_f32s(y);
    // Several sums, so that none waits for the one before it.
    let mut sums = [simd.splat_f32s(0.0); 4];
    let (x_fours, x_last) = xs.as_chunks::<4>();
    let (y_fours, y_last) = ys.as_chunks::<4>();
    for (x, y) in x_fours.iter().zip(y_fours) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum = simd.mul_add_e_f32s(x, y, *sum);
        }
    }
    for (&x, &y) in x_last.iter().zip(y_last) {
        sums[0] = simd.mul_add_e_f32s(x, y, sums[0]);
    }
    let sum = simd.add_f32s(
        simd.add_f32s(sums[0], sums[1]),
        simd.add_f32s(sums[2], sums[3]),
    );
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    simd.reduce_sum_f32s(sum) + rest
}

/// The largest number; those that are NaN do not count.
#[inline(always)]
pub(super) fn largest(numbers: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let lanes = in_lanes(numbers, f32::NEG_INFINITY, larger);
    lanes.into_iter().fold(f32::NEG_INFINITY, larger)
}

/// The smallest number, likewise.
#[inline(always)]
pub(super) fn smallest(numbers: &[f32]) -> f32 {
    let smaller = |a: f32, b: f32| if b < a { b } else { a };
    let lanes = in_lanes(numbers, f32::INFINITY, smaller);
    lanes.into_iter().fold(f32::INFINITY, smaller)
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
    fn sine_and_tangent_are_those_of_the_standard_library() {
        let mut x = -20.0f32;
        while x < 20.0 {
            let want = f64::from(x);
            assert!((f64::from(tanh(x)) - want.tanh()).abs() < 2e-7, "tanh({x})");
            assert!((f64::from(sin(x)) - want.sin()).abs() < 2e-7, "sin({x})");
            x += 0.000_37;
        }
        for x in (-8192..=8192).map(|x| x as f32) {
            let apart = (f64::from(sin(x)) - f64::from(x).sin()).abs();
            assert!(apart < 2e-7, "sin({x}) is {apart} off");
        }
        assert!(tanh(f32::NAN).is_nan() && sin(f32::NAN).is_nan());
        assert!(tanh(200.0) == 1.0 && tanh(-200.0) == -1.0);
    }

    #[test]
    fn reductions_take_every_number_once() {
        for count in [1, 31, 32, 33, 97] {
            let numbers: Vec<f32> = (0..count).map(|i| (i * 7 % count) as f32).collect();
            let want = (count * (count - 1) / 2) as f32;
            assert_eq!(sum(&numbers, |x| x), want);
            assert_eq!(largest(&numbers), (count - 1) as f32);
            assert_eq!(smallest(&numbers), 0.0);
            let squares = numbers.iter().map(|x| x * x).sum::<f32>();
            assert_eq!(dot(&numbers, &numbers), squares);
        }
        assert_eq!(largest(&[-3.0, f32::NAN, -2.0]), -2.0);
    }
}
