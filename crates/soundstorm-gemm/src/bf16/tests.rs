//! The products on whatever this processor has, against exact sums.

mod refusals;

use rayon::ThreadPoolBuilder;

use super::layout::{round, widen};
use super::product::{add_product_on, product_on};
use super::{Isa, PackedWeights, add_product_bf16, isa, product_bf16};
use crate::testing::{exact, numbers};

/// Sizes below, at and above those of tiles, lines, panels, steps and blocks, and none.
const SHAPES: [[usize; 3]; 24] = [
    [1, 1, 1],
    [2, 0, 3],
    [0, 5, 3],
    [5, 3, 0],
    [0, 0, 0],
    [1, 7, 1031],
    [2, 32, 16],
    [3, 31, 15],
    [4, 33, 17],
    [5, 2, 31],
    [6, 1, 32],
    [7, 5, 33],
    [8, 63, 47],
    [9, 64, 48],
    [10, 65, 49],
    [11, 2047, 3],
    [12, 2048, 5],
    [13, 2049, 7],
    [14, 4159, 67],
    [15, 127, 131],
    [29, 331, 1009],
    [131, 67, 257],
    [293, 4099, 37],
    [1021, 61, 131],
];

/// Whole numbers on `[-8, 8)`: bf16 holds them, and f32 their sums.
fn whole(count: usize, seed: u64) -> Vec<f32> {
    numbers(count, seed)
        .iter()
        .map(|x| (8.0 * x).floor())
        .collect()
}

fn rounded(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|&x| widen(round(x))).collect()
}

/// What `run` gives with one thread and with more, wherever this processor can run it.
fn everywhere<T: Send>(run: impl Fn(Isa) -> T + Sync) -> Vec<T> {
    let mut all = vec![run(Isa::Portable)];
    let has: &[Isa] = match isa() {
        Isa::Portable => &[],
        Isa::Avx512Bf16 => &[Isa::Avx512Bf16],
        Isa::Amx => &[Isa::Avx512Bf16, Isa::Amx],
    };
    for threads in [1, 2, 5] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.expect("threads");
        all.extend(has.iter().map(|&isa| pool.install(|| run(isa))));
    }
    all
}

/// How far additions alone may be off, of the sum of absolute values.
fn additions(k: usize) -> f64 {
    (k + 2) as f64 * 2f64.powi(-23)
}

#[test]
fn products_of_whole_numbers_are_exact() {
    for shape @ [m, k, n] in SHAPES {
        let (x, weights) = (whole(m * k, 1), whole(k * n, 2));
        let want = exact(&x, &weights, shape);
        let packed = PackedWeights::new(&weights, [k, n]);
        let start = whole(m * n, 3);
        for (got, added) in everywhere(|isa| {
            let mut added = start.clone();
            add_product_on(isa, &mut added, -0.5, &x, &packed);
            (product_on(isa, &x, &packed, m), added)
        }) {
            assert_eq!((got.len(), added.len()), (m * n, m * n));
            for (at, &[want, _]) in want.iter().enumerate() {
                assert_eq!(f64::from(got[at]), want, "{shape:?} {at}");
                let sum = f64::from(start[at]) - 0.5 * want;
                assert_eq!(f64::from(added[at]), sum, "{shape:?} {at}");
            }
        }
    }
}

#[test]
fn products_are_within_their_bounds() {
    for shape @ [m, k, n] in SHAPES {
        let (x, weights) = (numbers(m * k, 4), numbers(k * n, 5));
        let want = exact(&x, &weights, shape);
        let summed = exact(&rounded(&x), &rounded(&weights), shape);
        let packed = PackedWeights::new(&weights, [k, n]);
        let start = numbers(m * n, 6);
        for (got, added) in everywhere(|isa| {
            let mut added = start.clone();
            add_product_on(isa, &mut added, 3.0, &x, &packed);
            (product_on(isa, &x, &packed, m), added)
        }) {
            for (at, &[want, absolute]) in want.iter().enumerate() {
                let bound = (2f64.powi(-7) + additions(k)) * absolute;
                let off = (f64::from(got[at]) - want).abs();
                assert!(off <= bound, "{shape:?} {at}: {off} > {bound}");

                let start = f64::from(start[at]);
                let bound = 3.0 * bound + additions(k) * start.abs();
                let off = (f64::from(added[at]) - (start + 3.0 * want)).abs();
                assert!(off <= bound, "{shape:?} {at}: {off} > {bound}");

                let [summed, absolute] = summed[at];
                let bound = additions(k) * absolute;
                let off = (f64::from(got[at]) - summed).abs();
                assert!(off <= bound, "{shape:?} {at}: {off} > {bound} of sums");
            }
        }
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    if isa() == Isa::Portable {
        // The f32 kernels choose how they sum by the size of a thread's block.
        return;
    }
    for shape @ [m, k, n] in SHAPES {
        let x = numbers(m * k, 7);
        let packed = PackedWeights::new(&numbers(k * n, 8), [k, n]);
        let all = everywhere(|_| product_bf16(&x, &packed, m));
        assert!(all.iter().all(|each| *each == all[0]), "{shape:?}");
        let added = everywhere(|_| {
            let mut out = vec![0.0; m * n];
            add_product_bf16(&mut out, 1.0, &x, &packed);
            out
        });
        assert!(added.iter().all(|each| *each == all[0]), "{shape:?}");
    }
}

#[test]
fn the_left_matrix_is_rounded_as_the_weights_are() {
    // Each number in a row of its own, and in each place of a line.
    let bits = [
        0x3f80_7fff,
        0x3f80_8000,
        0x3f80_8001,
        0x3f81_8000,
        0x3fff_8000,
        0x7f7f_7fff,
        0x7f7f_8000,
        0x7f80_0000,
        0x7f80_0001,
        0x7fff_ffff,
        0x0080_0000,
        0x8080_7fff,
        0xbf81_8000,
        0xff7f_8000,
        0xff80_0000,
        0xff80_0001,
        0x0000_0000,
    ];
    for k in 1..=33 {
        let mut x = vec![0.0; bits.len() * k];
        for (row, &bits) in x.chunks_exact_mut(k).zip(&bits) {
            row[k - 1] = f32::from_bits(bits);
        }
        let packed = PackedWeights::new(&vec![1.0; k], [k, 1]);
        for got in everywhere(|isa| product_on(isa, &x, &packed, bits.len())) {
            for (&got, &bits) in got.iter().zip(&bits) {
                let want = widen(round(f32::from_bits(bits)));
                if want.is_nan() {
                    assert!(got.is_nan(), "{bits:x}");
                } else {
                    assert_eq!(got, want, "{bits:x}");
                }
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_in_its_row_and_column() {
    let [m, k, n] = [17, 67, 37];
    let (mut x, mut weights) = (vec![1.0; m * k], vec![1.0; k * n]);
    x[3 * k + 66] = f32::NAN;
    x[15 * k] = f32::NEG_INFINITY;
    weights[66 * n + 33] = f32::INFINITY;
    let packed = PackedWeights::new(&weights, [k, n]);
    for got in everywhere(|isa| product_on(isa, &x, &packed, m)) {
        for (at, &got) in got.iter().enumerate() {
            match (at / n, at % n) {
                (3, _) | (15, 33) => assert!(got.is_nan(), "{at}"),
                (15, _) => assert_eq!(got, f32::NEG_INFINITY, "{at}"),
                (_, 33) => assert_eq!(got, f32::INFINITY, "{at}"),
                _ => assert_eq!(got, 67.0, "{at}"),
            }
        }
    }
}

#[test]
fn a_product_within_a_product_is_another() {
    use rayon::prelude::*;
    let packed = PackedWeights::new(&whole(67 * 1031, 2), [67, 1031]);
    let all: Vec<_> = (0..32u64)
        .into_par_iter()
        .map(|seed| product_bf16(&whole(61 * 67, seed), &packed, 61))
        .collect();
    for (seed, got) in all.iter().enumerate() {
        let want = product_on(Isa::Portable, &whole(61 * 67, seed as u64), &packed, 61);
        assert_eq!(*got, want, "{seed}");
    }
}
