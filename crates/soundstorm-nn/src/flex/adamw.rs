//! AdamW's step in one pass over the numbers, where plain burn takes a dozen.

use burn::tensor::{Tensor, backend::Backend};
use rayon::prelude::*;

use super::{Floats, TASK};
use crate::adamw::Factors;

/// A parameter, its gradient and its moments.
type Given<B> = (Tensor<B, 1>, Tensor<B, 1>, [Tensor<B, 1>; 2]);

/// A parameter and its moments.
type Done<B> = (Tensor<B, 1>, [Tensor<B, 1>; 2]);

/// `crate::adamw`'s step.
pub(crate) fn adamw<B: Backend>(
    parameter: Tensor<B, 1>,
    gradient: Tensor<B, 1>,
    [first, second]: [Tensor<B, 1>; 2],
    factors: Factors,
) -> Result<Done<B>, Given<B>> {
    // Either all are this backend's and in f32, or the first tells.
    let all = [&parameter, &gradient, &first, &second];
    if all.iter().any(|x| Floats::read(*x).is_none()) {
        return Err((parameter, gradient, [first, second]));
    }
    let take = |x| Floats::take(x).unwrap_or_else(|_| unreachable!("it was read before"));
    let [mut parameter, gradient, mut first, mut second] =
        [parameter, gradient, first, second].map(take);
    let p = parameter.numbers_mut().par_chunks_mut(TASK);
    let m = first.numbers_mut().par_chunks_mut(TASK);
    let v = second.numbers_mut().par_chunks_mut(TASK);
    let g = gradient.numbers().par_chunks(TASK);
    let arch = pulp::Arch::new();
    p.zip(m).zip(v).zip(g).for_each(|(((p, m), v), g)| {
        arch.dispatch(Update {
            p,
            m,
            v,
            g,
            factors,
        });
    });
    Ok((parameter.give(), [first.give(), second.give()]))
}

struct Update<'a> {
    p: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    g: &'a [f32],
    factors: Factors,
}

impl pulp::NullaryFnOnce for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self {
            p,
            m,
            v,
            g,
            factors: f,
        } = self;
        for (((p, m), v), g) in p.iter_mut().zip(m).zip(v).zip(g) {
            let g = g * f.scale;
            *m = *m * f.beta_1 + g * f.new_1;
            *v = *v * f.beta_2 + g * g * f.new_2;
            let update = *m / (v.sqrt() / f.root + f.epsilon);
            *p = *p * f.keep - update * f.rate;
        }
    }
}

/// `crate::blend`'s.
pub(crate) fn blend<B: Backend>(
    mean: Tensor<B, 1>,
    value: &Tensor<B, 1>,
    weight: f32,
) -> Result<Tensor<B, 1>, Tensor<B, 1>> {
    let Some(value) = Floats::read(value) else {
        return Err(mean);
    };
    let mut mean = Floats::take(mean)?;
    let means = mean.numbers_mut().par_chunks_mut(TASK);
    means
        .zip(value.numbers().par_chunks(TASK))
        .for_each(|(means, values)| {
            for (mean, value) in means.iter_mut().zip(values) {
                *mean += (value - *mean) * weight;
            }
        });
    Ok(mean.give())
}

/// `crate::sum_of_squares`, in double precision until the end.
pub(crate) fn sum_of_squares<B: Backend>(x: &Tensor<B, 1>) -> Option<Tensor<B, 1>> {
    let x = Floats::read(x)?;
    let parts = x.numbers().par_chunks(TASK).map(|numbers| {
        // Lanes of their own, which vector instructions add to; their order is fixed.
        let mut lanes = [0.0f64; 8];
        for numbers in numbers.chunks(lanes.len()) {
            for (lane, &number) in lanes.iter_mut().zip(numbers) {
                let number = f64::from(number);
                *lane += number * number;
            }
        }
        lanes.iter().sum::<f64>()
    });
    let parts: Vec<f64> = parts.collect();
    Some(Floats::new(vec![parts.iter().sum::<f64>() as f32], [1]).give())
}
