//! From one tensor of all heads to a tensor for each of query, key and value,
//! and back.

use burn::tensor::{Tensor, backend::Backend};

use crate::Rotary;

/// Query, key and value of every head, the first two turned by the positions.
///
/// # Shapes
/// - `qkv`: `[batch, frames, 3 * heads * dim_head]`
/// - output: `[batch, heads, frames, dim_head]` each
pub fn split_heads<B: Backend>(
    qkv: Tensor<B, 3>,
    heads: usize,
    rotary: Option<&Rotary<B>>,
) -> [Tensor<B, 4>; 3] {
    #[cfg(feature = "flex")]
    let qkv = match rotary {
        Some(rotary) if rotary.of_rows() => qkv,
        _ => match crate::flex::split_heads(qkv, heads, rotary.map(Rotary::tables)) {
            Ok(done) => return done,
            Err(qkv) => qkv,
        },
    };
    plain_split(qkv, heads, rotary)
}

fn plain_split<B: Backend>(
    qkv: Tensor<B, 3>,
    heads: usize,
    rotary: Option<&Rotary<B>>,
) -> [Tensor<B, 4>; 3] {
    let [batch, frames, width] = qkv.dims();
    let dim_head = width / (3 * heads);
    let qkv = qkv.reshape([batch, frames, 3, heads, dim_head]);
    [0, 1, 2].map(|index| {
        let part = qkv.clone().narrow(2, index, 1);
        let part = part
            .reshape([batch, frames, heads, dim_head])
            .swap_dims(1, 2);
        match rotary.filter(|_| index < 2) {
            Some(rotary) => rotary.forward(part),
            None => part,
        }
    })
}

/// All heads of a frame side by side.
///
/// # Shapes
/// - input: `[batch, heads, frames, dim_head]`
/// - output: `[batch, frames, heads * dim_head]`
pub fn merge_heads<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 3> {
    #[cfg(feature = "flex")]
    let x = match crate::flex::merge_heads(x) {
        Ok(done) => return done,
        Err(x) => x,
    };
    plain_merge(x)
}

fn plain_merge<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, heads, frames, dim_head] = x.dims();
    x.swap_dims(1, 2).reshape([batch, frames, heads * dim_head])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    use crate::RotaryConfig;

    type B = burn_flex::Flex;

    fn random(shape: [usize; 3]) -> Tensor<B, 3> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Default::default())
    }

    #[test]
    fn values_split_and_merged_are_what_they_were() {
        let qkv = random([2, 7, 3 * 5 * 4]);
        let [_, _, values] = split_heads(qkv.clone(), 5, None);
        assert_eq!(values.dims(), [2, 5, 7, 4]);
        let merged = merge_heads(values).into_data();
        merged.assert_eq(&qkv.narrow(2, 2 * 5 * 4, 5 * 4).into_data(), true);
    }

    /// Each row by its own tables, whatever kernel there is for one table.
    #[test]
    fn rows_with_places_of_their_own_are_turned_by_them() {
        let qkv = random([2, 7, 3 * 5 * 6]);
        let device = Default::default();
        let places = Tensor::<B, 1, burn::tensor::Int>::arange(0..14, &device).float();
        let rotary = RotaryConfig::new(6).init_rows(places.reshape([2, 7]));
        let got = split_heads(qkv.clone(), 5, Some(&rotary));
        let second = RotaryConfig::new(6).init_at::<B>(7..14, &device);
        let want = split_heads(qkv.narrow(0, 1, 1), 5, Some(&second));
        for (got, want) in got.into_iter().zip(want) {
            got.narrow(0, 1, 1)
                .into_data()
                .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-4));
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_equal_plain_burn() {
        let qkv = random([2, 301, 3 * 5 * 6]);
        // Tables for more frames than there are.
        let rotary = RotaryConfig::new(6).init::<B>(307, &Default::default());
        for rotary in [None, Some(&rotary)] {
            let tables = rotary.map(Rotary::tables);
            let got = crate::flex::split_heads(qkv.clone(), 5, tables).expect("f32 on flex");
            let plain = rotary.map(|_| RotaryConfig::new(6).init::<B>(301, &Default::default()));
            let want = plain_split(qkv.clone(), 5, plain.as_ref());
            for (got, want) in got.into_iter().zip(want) {
                got.clone()
                    .into_data()
                    .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-5));
                let merged = crate::flex::merge_heads(got.clone()).expect("f32 on flex");
                merged
                    .into_data()
                    .assert_eq(&plain_merge(got).into_data(), true);
            }
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_have_the_gradients_of_plain_burn() {
        use crate::testing::{Recording, assert_same_gradients};

        let shape = [2, 301, 3 * 5 * 6];
        let rotary = RotaryConfig::new(6).init::<Recording>(301, &Default::default());
        for part in 0..3 {
            for rotary in [None, Some(&rotary)] {
                assert_same_gradients(
                    [shape.iter().product()],
                    |[qkv]| {
                        let tables = rotary.map(Rotary::tables);
                        let parts = crate::flex::split_heads(qkv.reshape(shape), 5, tables);
                        parts.expect("f32")[part].clone()
                    },
                    |[qkv]| plain_split(qkv.reshape(shape), 5, rotary)[part].clone(),
                );
            }
        }
        let shape = [2, 5, 301, 6];
        assert_same_gradients(
            [shape.iter().product()],
            |[x]| crate::flex::merge_heads(x.reshape(shape)).expect("f32"),
            |[x]| plain_merge(x.reshape(shape)),
        );
    }
}
