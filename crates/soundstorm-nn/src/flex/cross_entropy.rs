//! The cross-entropy of rows of logits.

use std::sync::Arc;

use burn::tensor::{Int, Tensor, backend::Backend};

use super::{
    Floats, Function, Kernel, applies, apply, input,
    vector::{exp, largest, sum},
    vectorized_by_rows,
};

/// Minus the logarithm of the share that the softmax gives the target, of each row.
///
/// - `logits`: `[rows, classes]`
/// - `targets`, output: `[rows]`
pub(crate) fn cross_entropy<B: Backend>(
    logits: Tensor<B, 2>,
    targets: &Tensor<B, 1, Int>,
) -> Result<Tensor<B, 1>, Tensor<B, 2>> {
    if !applies::<B>(&[logits.dtype()]) {
        return Err(logits);
    }
    let data = targets.to_data();
    let targets = data.iter::<i64>().map(|target| target as usize);
    let targets = Arc::new(targets.collect());
    Ok(apply(CrossEntropy { targets }, [input(logits)]))
}

#[derive(Clone, Debug)]
struct CrossEntropy {
    targets: Arc<Vec<usize>>,
}

impl Function<1> for CrossEntropy {
    const READS: [bool; 1] = [true];

    fn forward(&self, [logits]: [Floats; 1]) -> Floats {
        let [rows, classes] = logits.dims();
        let mut out = vec![0.0; rows];
        let losses = Losses {
            logits: logits.numbers(),
            targets: &self.targets,
            classes,
        };
        vectorized_by_rows(classes, &mut out, 1, losses);
        Floats::new(out, [rows])
    }

    fn backward(
        &self,
        [mut logits]: [Floats; 1],
        gradient: Floats,
        _: [bool; 1],
    ) -> [Option<Floats>; 1] {
        let classes = logits.width();
        let slopes = LossSlopes {
            gradient: gradient.numbers(),
            targets: &self.targets,
            classes,
        };
        vectorized_by_rows(classes, logits.numbers_mut(), classes, slopes);
        [Some(logits)]
    }
}

struct Losses<'a> {
    logits: &'a [f32],
    targets: &'a [usize],
    classes: usize,
}

impl Kernel for Losses<'_> {
    #[inline(always)]
    fn run(&self, first: usize, out: &mut [f32]) {
        let rows = self.logits[first * self.classes..].chunks_exact(self.classes);
        for ((out, row), &target) in out.iter_mut().zip(rows).zip(&self.targets[first..]) {
            let largest = largest(row);
            *out = sum(row, |x| exp(x - largest)).ln() + largest - row[target];
        }
    }
}

/// From logits to their gradient, in place.
struct LossSlopes<'a> {
    gradient: &'a [f32],
    targets: &'a [usize],
    classes: usize,
}

impl Kernel for LossSlopes<'_> {
    #[inline(always)]
    fn run(&self, first: usize, logits: &mut [f32]) {
        let rows = logits.chunks_exact_mut(self.classes);
        let targets = self.gradient[first..].iter().zip(&self.targets[first..]);
        for (row, (gradient, &target)) in rows.zip(targets) {
            let largest = largest(row);
            for x in row.iter_mut() {
                *x = exp(*x - largest);
            }
            let scale = gradient / sum(row, |x| x);
            for x in row.iter_mut() {
                *x *= scale;
            }
            row[target] -= gradient;
        }
    }
}
