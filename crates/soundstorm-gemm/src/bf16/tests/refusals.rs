//! Sizes that do not fit.

use crate::{PackedWeights, add_product_bf16, product_bf16};

#[test]
#[should_panic(expected = "x is not [2, 3]")]
fn a_wrong_left_matrix_is_refused() {
    product_bf16(&[0.0; 5], &PackedWeights::new(&[0.0; 6], [3, 2]), 2);
}

#[test]
#[should_panic(expected = "is too large")]
fn an_output_beyond_memory_is_refused() {
    product_bf16(&[], &PackedWeights::new(&[], [0, usize::MAX]), 2);
}

#[test]
#[should_panic(expected = "x is not [2, 3]")]
fn a_left_matrix_with_part_of_a_row_is_refused() {
    let packed = PackedWeights::new(&[0.0; 6], [3, 2]);
    add_product_bf16(&mut [0.0; 4], 1.0, &[0.0; 7], &packed);
}

#[test]
#[should_panic(expected = "the output is not [2, 2]")]
fn a_wrong_output_is_refused() {
    let packed = PackedWeights::new(&[0.0; 6], [3, 2]);
    add_product_bf16(&mut [0.0; 5], 1.0, &[0.0; 6], &packed);
}

#[test]
#[should_panic(expected = "the output is not [2, 2]")]
fn a_wrong_output_of_empty_sums_is_refused() {
    let packed = PackedWeights::new(&[], [0, 2]);
    add_product_bf16(&mut [0.0; 5], 1.0, &[], &packed);
}
