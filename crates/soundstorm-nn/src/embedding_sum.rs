//! Sums of embeddings: several tokens of a frame looked up in one table (SoundStorm,
//! arXiv 2305.09636, section 3.1).

use burn::tensor::{Int, Tensor, backend::Backend};

/// The sum of the table's rows that each column of `ids` names.
///
/// # Shapes
/// - `table`: `[rows, dim]`
/// - `ids`: `[terms, count]`, below `rows`
/// - output: `[count, dim]`
pub fn embedding_sum<B: Backend>(table: Tensor<B, 2>, ids: Tensor<B, 2, Int>) -> Tensor<B, 2> {
    #[cfg(feature = "flex")]
    let table = match crate::flex::embedding_sum(table, &ids) {
        Ok(done) => return done,
        Err(table) => table,
    };
    plain(table, ids)
}

/// Terms are added one by one: all of them side by side would take as many times the memory.
fn plain<B: Backend>(table: Tensor<B, 2>, ids: Tensor<B, 2, Int>) -> Tensor<B, 2> {
    let [terms, count] = ids.dims();
    let term = |index: usize| {
        let ids = ids.clone().narrow(0, index, 1).reshape([count]);
        table.clone().select(0, ids)
    };
    (1..terms).fold(term(0), |sum, index| sum + term(index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    type B = burn_flex::Flex;

    #[test]
    fn rows_are_looked_up_and_summed() {
        let device = Default::default();
        let table = TensorData::new(vec![1.0f32, 2.0, 10.0, 20.0, 100.0, 200.0], [3, 2]);
        let ids = TensorData::new(vec![0i64, 1, 2, 2], [2, 2]);
        let got = embedding_sum::<B>(
            Tensor::from_data(table, &device),
            Tensor::from_data(ids, &device),
        );
        let want = TensorData::new(vec![101.0f32, 202.0, 110.0, 220.0], [2, 2]);
        got.into_data().assert_eq(&want, false);
    }

    /// Rows that several frames name, that a frame names twice, and that nobody names.
    #[cfg(feature = "flex")]
    #[test]
    fn the_kernel_and_its_gradient_equal_plain_burn() {
        let device = Default::default();
        let ids = (0..3 * 601).map(|at| at * at % 89).collect::<Vec<i64>>();
        let ids = Tensor::from_data(TensorData::new(ids, [3, 601]), &device);
        let table = Tensor::<B, 2>::random([97, 37], Distribution::Normal(0.0, 1.0), &device);
        let got = crate::flex::embedding_sum(table.clone(), &ids).expect("f32 on flex");
        let want = plain(table, ids.clone()).into_data();
        got.into_data()
            .assert_approx_eq::<f32>(&want, Tolerance::absolute(1e-6));

        let ids = Tensor::from_data(ids.into_data(), &device);
        crate::testing::assert_same_gradients(
            [97 * 37],
            |[table]| crate::flex::embedding_sum(table.reshape([97, 37]), &ids).expect("f32"),
            |[table]| plain(table.reshape([97, 37]), ids.clone()),
        );
    }
}
