//! A step of Adam with decoupled weight decay (arXiv 1711.05101), as PyTorch's AdamW takes it, and
//! what goes with it: running means and the square of a norm.

use burn::tensor::{Tensor, backend::Backend};

/// What a step is taken with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The step's learning rate.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of the parameter, as a multiple of the learning rate.
    pub weight_decay: f64,
    /// The step, counted from 1: it corrects the moments, which begin at zero.
    pub step: u64,
    /// What the gradient is multiplied by first.
    pub gradient_scale: f64,
}

/// The factors of a step, in the order of the formula.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    pub(crate) scale: f32,
    pub(crate) keep: f32,
    pub(crate) beta_1: f32,
    pub(crate) beta_2: f32,
    /// Of one less the decays, rounded once.
    pub(crate) new_1: f32,
    pub(crate) new_2: f32,
    pub(crate) root: f32,
    pub(crate) epsilon: f32,
    pub(crate) rate: f32,
}

impl AdamW {
    pub(crate) fn factors(&self) -> Factors {
        let corrected = |beta: f64| 1.0 - beta.powf(self.step as f64);
        Factors {
            scale: self.gradient_scale as f32,
            keep: (1.0 - self.learning_rate * self.weight_decay) as f32,
            beta_1: self.beta_1 as f32,
            beta_2: self.beta_2 as f32,
            new_1: (1.0 - self.beta_1) as f32,
            new_2: (1.0 - self.beta_2) as f32,
            root: corrected(self.beta_2).sqrt() as f32,
            epsilon: self.epsilon as f32,
            rate: (self.learning_rate / corrected(self.beta_1)) as f32,
        }
    }
}

/// A parameter and its moments after a step. What is not shared is written in place.
///
/// # Shapes
/// - all: `[numbers]`
pub fn adamw<B: Backend>(
    parameter: Tensor<B, 1>,
    gradient: Tensor<B, 1>,
    moments: [Tensor<B, 1>; 2],
    step: &AdamW,
) -> (Tensor<B, 1>, [Tensor<B, 1>; 2]) {
    let factors = step.factors();
    #[cfg(feature = "flex")]
    let (parameter, gradient, moments) =
        match crate::flex::adamw(parameter, gradient, moments, factors) {
            Ok(done) => return done,
            Err(given) => given,
        };
    plain(parameter, gradient, moments, factors)
}

fn plain<B: Backend>(
    parameter: Tensor<B, 1>,
    gradient: Tensor<B, 1>,
    [first, second]: [Tensor<B, 1>; 2],
    f: Factors,
) -> (Tensor<B, 1>, [Tensor<B, 1>; 2]) {
    let gradient = gradient * f.scale;
    let first = first * f.beta_1 + gradient.clone() * f.new_1;
    let second = second * f.beta_2 + gradient.clone() * gradient * f.new_2;
    let update = first.clone() / (second.clone().sqrt() / f.root + f.epsilon);
    (parameter * f.keep - update * f.rate, [first, second])
}

/// A running mean that moves by `weight` of the way to a value.
///
/// # Shapes
/// - all: `[numbers]`
pub fn blend<B: Backend>(mean: Tensor<B, 1>, value: &Tensor<B, 1>, weight: f64) -> Tensor<B, 1> {
    let weight = weight as f32;
    #[cfg(feature = "flex")]
    let mean = match crate::flex::blend(mean, value, weight) {
        Ok(done) => return done,
        Err(mean) => mean,
    };
    plain_blend(mean, value, weight)
}

fn plain_blend<B: Backend>(mean: Tensor<B, 1>, value: &Tensor<B, 1>, weight: f32) -> Tensor<B, 1> {
    (value.clone() - mean.clone()) * weight + mean
}

/// The sum of the squares of all numbers.
///
/// # Shapes
/// - `x`: `[numbers]`
/// - output: `[1]`
pub fn sum_of_squares<B: Backend>(x: &Tensor<B, 1>) -> Tensor<B, 1> {
    #[cfg(feature = "flex")]
    if let Some(sum) = crate::flex::sum_of_squares(x) {
        return sum;
    }
    (x.clone() * x.clone()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    type B = burn_flex::Flex;

    fn step() -> AdamW {
        AdamW {
            learning_rate: 0.25,
            beta_1: 0.75,
            beta_2: 0.5,
            epsilon: 0.125,
            weight_decay: 0.5,
            step: 2,
            gradient_scale: 0.5,
        }
    }

    fn tensor(numbers: &[f32]) -> Tensor<B, 1> {
        let data = TensorData::new(numbers.to_vec(), [numbers.len()]);
        Tensor::from_data(data, &Default::default())
    }

    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        let of = |i: usize| ((i * i + salt * i + 7 * salt) % 1009) as f32 / 1009.0 - 0.25;
        (0..count).map(of).collect()
    }

    fn close(got: &Tensor<B, 1>, want: &Tensor<B, 1>) {
        let pairs = got.to_data();
        let want = want.to_data();
        for (index, (got, want)) in pairs.iter::<f32>().zip(want.iter::<f32>()).enumerate() {
            let room = 1e-6 * want.abs().max(1.0);
            assert!((got - want).abs() <= room, "{index}: {got}, not {want}");
        }
    }

    /// Worked out by hand for one number: p 2, g 1.5, m 0.5, v 0.75.
    #[test]
    fn a_step_by_hand() {
        let moments = [tensor(&[0.5]), tensor(&[0.75])];
        let (parameter, [first, second]) = adamw(tensor(&[2.0]), tensor(&[1.5]), moments, &step());
        let g: f64 = 0.75;
        let m = 0.75 * 0.5 + 0.25 * g;
        let v = 0.5 * 0.75 + 0.5 * g * g;
        let corrected = (m / (1.0 - 0.5625), v / (1.0 - 0.25));
        let p = 2.0 * (1.0 - 0.125) - 0.25 * corrected.0 / (corrected.1.sqrt() + 0.125);
        close(&parameter, &tensor(&[p as f32]));
        close(&first, &tensor(&[m as f32]));
        close(&second, &tensor(&[v as f32]));
    }

    #[cfg(feature = "flex")]
    #[test]
    fn the_kernels_equal_plain_burn() {
        let count = 70_001;
        let given = || {
            let second = numbers(count, 4).into_iter().map(f32::abs);
            let second: Vec<f32> = second.collect();
            let moments = [tensor(&numbers(count, 3)), tensor(&second)];
            (
                tensor(&numbers(count, 1)),
                tensor(&numbers(count, 2)),
                moments,
            )
        };
        let (parameter, gradient, moments) = given();
        let (got, got_moments) = adamw(parameter, gradient, moments, &step());
        let (parameter, gradient, moments) = given();
        let (want, want_moments) = plain(parameter, gradient, moments, step().factors());
        close(&got, &want);
        close(&got_moments[0], &want_moments[0]);
        close(&got_moments[1], &want_moments[1]);
        let mean = tensor(&numbers(count, 5));
        close(
            &blend(mean.clone(), &got, 0.125),
            &plain_blend(mean, &want, 0.125),
        );
        let squares = sum_of_squares(&got).into_scalar();
        let want: f64 = got.to_data().iter::<f64>().map(|x| x * x).sum();
        assert!(
            (f64::from(squares) / want - 1.0).abs() < 1e-6,
            "{squares}, not {want}"
        );
    }

    /// What another owner still holds stays as it was.
    #[test]
    fn shared_tensors_are_not_written() {
        let parameter = tensor(&[2.0, 3.0]);
        let moments = [tensor(&[0.5, 0.25]), tensor(&[0.75, 0.5])];
        let gradient = tensor(&[1.5, -1.0]);
        let before = (parameter.to_data(), moments[1].to_data());
        adamw(parameter.clone(), gradient, moments.clone(), &step());
        blend(parameter.clone(), &moments[0], 0.5);
        assert_eq!(before, (parameter.to_data(), moments[1].to_data()));
    }
}
