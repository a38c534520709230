//! One small job gives the same on every backend.

use burn::tensor::activation::softmax;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use soundstorm_runtime::{
    DeviceArg, Job, RuntimeError, TrainJob, run, run_autodiff, select, testing,
};

const ROWS: usize = 7;
const INNER: usize = 13;
const COLUMNS: usize = 31;

pub(crate) fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn operands<B: Backend>(device: &B::Device) -> (Tensor<B, 2>, Tensor<B, 2>) {
    let a = TensorData::new(noise(ROWS * INNER, 3), [ROWS, INNER]);
    let b = TensorData::new(noise(INNER * COLUMNS, 5), [INNER, COLUMNS]);
    (Tensor::from_data(a, device), Tensor::from_data(b, device))
}

/// Probabilities and the most likely column of each row.
pub(crate) struct Likely;

impl Job for Likely {
    type Output = (Vec<f32>, Vec<i64>);

    fn run<B: Backend>(self, device: B::Device) -> Self::Output {
        let (a, b) = operands::<B>(&device);
        let probabilities = softmax(a.matmul(b) * 3.0, 1);
        let best = probabilities.clone().argmax(1);
        (
            probabilities.into_data().iter::<f32>().collect(),
            best.into_data().iter::<i64>().collect(),
        )
    }
}

/// The gradient of a sum of squares.
struct Slope;

impl TrainJob for Slope {
    type Output = Vec<f32>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Vec<f32> {
        let (a, b) = operands::<B>(&device);
        let a = a.require_grad();
        let loss = a.clone().matmul(b).powi_scalar(2).sum();
        let gradient = a.grad(&loss.backward()).unwrap();
        gradient.into_data().iter::<f32>().collect()
    }
}

fn close(got: &[f32], expect: &[f32]) {
    assert_eq!(got.len(), expect.len());
    for (got, expect) in got.iter().zip(expect) {
        assert!(
            (got - expect).abs() <= 1e-4 * expect.abs().max(1.0),
            "{got} {expect}"
        );
    }
}

/// The same by hand, in f64.
fn by_hand() -> (Vec<f32>, Vec<i64>) {
    let (a, b) = (noise(ROWS * INNER, 3), noise(INNER * COLUMNS, 5));
    let (mut probabilities, mut best) = (Vec::new(), Vec::new());
    for row in 0..ROWS {
        let logits: Vec<f64> = (0..COLUMNS)
            .map(|column| {
                let dot = |i| f64::from(a[row * INNER + i]) * f64::from(b[i * COLUMNS + column]);
                3.0 * (0..INNER).map(dot).sum::<f64>()
            })
            .collect();
        let sum: f64 = logits.iter().map(|l| l.exp()).sum();
        probabilities.extend(logits.iter().map(|l| (l.exp() / sum) as f32));
        best.push(
            (0..COLUMNS)
                .max_by(|&i, &j| logits[i].total_cmp(&logits[j]))
                .unwrap() as i64,
        );
    }
    (probabilities, best)
}

#[test]
fn cpu_backends() {
    let (probabilities, best) = by_hand();
    for device in [DeviceArg::Cpu, DeviceArg::NdArray] {
        match run(&device, Likely) {
            Ok((got, got_best)) => {
                close(&got, &probabilities);
                assert_eq!(got_best, best, "{device}");
            }
            Err(error) => assert!(matches!(error, RuntimeError::NotBuilt { .. }), "{error}"),
        }
    }
}

#[test]
fn vulkan() {
    let Some(selected) = testing::vulkan_or_skip() else {
        return;
    };
    let (probabilities, best) = by_hand();
    let (got, got_best) = selected.run(Likely);
    close(&got, &probabilities);
    assert_eq!(got_best, best, "{selected}");
}

#[test]
fn every_device_found_here() {
    let (probabilities, _) = by_hand();
    for report in soundstorm_runtime::available() {
        if report.status != soundstorm_runtime::Status::Usable {
            continue;
        }
        for device in report.adapters.iter().filter_map(|adapter| adapter.device) {
            let selected = select(&device).unwrap();
            // Tensor cores round the factors to 11 bits.
            if selected.backend != soundstorm_runtime::BackendKind::Cuda {
                close(&selected.run(Likely).0, &probabilities);
            }
        }
    }
}

#[test]
fn gradients() {
    let (a, b) = (noise(ROWS * INNER, 3), noise(INNER * COLUMNS, 5));
    let mut expect = Vec::new();
    for row in 0..ROWS {
        for inner in 0..INNER {
            let mut sum = 0.0;
            for column in 0..COLUMNS {
                let product: f32 = (0..INNER)
                    .map(|i| a[row * INNER + i] * b[i * COLUMNS + column])
                    .sum();
                sum += 2.0 * product * b[inner * COLUMNS + column];
            }
            expect.push(sum);
        }
    }
    for device in [DeviceArg::Cpu, DeviceArg::NdArray] {
        if let Ok(got) = run_autodiff(&device, Slope) {
            close(&got, &expect);
        }
    }
    if let Some(selected) = testing::vulkan_or_skip() {
        close(&selected.run_autodiff(Slope), &expect);
    }
}
