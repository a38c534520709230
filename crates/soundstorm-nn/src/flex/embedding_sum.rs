//! Sums of embeddings, frame by frame; the gradient by rows of the table, so that no two threads
//! add to one.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, backend::Backend};

use super::{Floats, Function, Kernel, applies, apply, input, vectorized_by_rows};

/// - `table`: `[rows, dim]`, `ids`: `[terms, count]`
/// - output: `[count, dim]`
pub(crate) fn embedding_sum<B: Backend>(
    table: Tensor<B, 2>,
    ids: &Tensor<B, 2, Int>,
) -> Result<Tensor<B, 2>, Tensor<B, 2>> {
    if !applies::<B>(&[table.dtype()]) {
        return Err(table);
    }
    let [_, count] = ids.dims();
    let data = ids.to_data();
    let ids = data.iter::<i64>().map(|id| id as usize);
    let ids = Arc::new(ids.collect());
    Ok(apply(EmbeddingSum { ids, count }, [input(table)]))
}

#[derive(Clone, Debug)]
struct EmbeddingSum {
    /// `[terms, count]`
    ids: Arc<Vec<usize>>,
    count: usize,
}

impl Function<1> for EmbeddingSum {
    const READS: [bool; 1] = [true];

    fn forward(&self, [table]: [Floats; 1]) -> Floats {
        let dim = table.width();
        let mut out = vec![0.0; self.count * dim];
        let rows = Rows {
            table: table.numbers(),
            ids: &self.ids,
            count: self.count,
            dim,
        };
        vectorized_by_rows(dim, &mut out, dim, rows);
        Floats::new(out, [self.count, dim])
    }

    fn backward(
        &self,
        [table]: [Floats; 1],
        gradient: Floats,
        _: [bool; 1],
    ) -> [Option<Floats>; 1] {
        let shape @ [rows, dim] = table.dims();
        let mut out = vec![0.0; rows * dim];
        // Each piece looks through all names: few pieces, then.
        let work = (dim * self.ids.len()).div_ceil(rows).max(dim);
        let named = Named {
            gradient: gradient.numbers(),
            ids: &self.ids,
            count: self.count,
            dim,
        };
        vectorized_by_rows(work, &mut out, dim, named);
        [Some(Floats::new(out, shape))]
    }
}

struct Rows<'a> {
    table: &'a [f32],
    ids: &'a [usize],
    count: usize,
    dim: usize,
}

impl Kernel for Rows<'_> {
    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        for ids in self.ids.chunks_exact(self.count) {
            for (out, &id) in out.chunks_exact_mut(self.dim).zip(&ids[first..]) {
                for (out, x) in out.iter_mut().zip(&self.table[id * self.dim..][..self.dim]) {
                    *out += x;
                }
            }
        }
    }
}

/// Where the gradient goes: to the rows of the table that were named.
struct Named<'a> {
    gradient: &'a [f32],
    ids: &'a [usize],
    count: usize,
    dim: usize,
}

impl Kernel for Named<'_> {
    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let own = first..first + out.len() / self.dim;
        for ids in self.ids.chunks_exact(self.count) {
            for (id, gradient) in ids.iter().zip(self.gradient.chunks_exact(self.dim)) {
                if own.contains(id) {
                    let out = &mut out[(id - first) * self.dim..][..self.dim];
                    for (out, gradient) in out.iter_mut().zip(gradient) {
                        *out += gradient;
                    }
                }
            }
        }
    }
}
