//! The parts of codecs and models give the same on every backend. Whole models take
//! minutes to compile on a software driver: `soundstorm doctor --check` runs them.

use std::convert::Infallible;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bool, Int, Tensor, TensorData, backend::Backend};
use soundstorm_codec::{LstmConfig, PaddedConv1dConfig, TrimmedConvTranspose1dConfig};
use soundstorm_conformer::{ConformerConfig, ValueResidual};
use soundstorm_maskgit::{Confidence, DecodeOptions, DecodeRow, Order, Remask, Remdm, decode};
use soundstorm_runtime::{DeviceArg, Job, Selected, select, testing};

use crate::agree::noise;

fn tensor<B: Backend, const D: usize>(
    shape: [usize; D],
    seed: u32,
    device: &B::Device,
) -> Tensor<B, D> {
    let numbers = noise(shape.iter().product(), seed);
    Tensor::from_data(TensorData::new(numbers, shape), device)
}

/// Gives every weight numbers that do not depend on the backend.
struct Fill(u32);

impl<B: Backend> ModuleMapper<B> for Fill {
    fn map_float<const D: usize>(&mut self, weight: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        self.0 += 1;
        weight.map(|weight| tensor(weight.dims(), self.0, &weight.device()) * 0.3)
    }
}

type Outputs = Vec<(&'static str, Vec<f32>)>;

/// What a part makes of noise, by the part's name.
struct Parts;

impl Job for Parts {
    type Output = Outputs;

    fn run<B: Backend>(self, device: B::Device) -> Outputs {
        let mut outputs = Vec::new();
        let mut say = |name, output: Tensor<B, 3>| {
            outputs.push((name, output.into_data().iter::<f32>().collect()));
        };

        let x = tensor::<B, 3>([1, 12, 41], 3, &device);
        let convolution = PaddedConv1dConfig::new(12, 5, 7).init::<B>(&device);
        let convolution = convolution.map(&mut Fill(20));
        say("convolution", convolution.forward(x.clone()));
        let upsample = TrimmedConvTranspose1dConfig::new(12, 5, 6, 3).init::<B>(&device);
        let upsample = upsample.map(&mut Fill(30));
        say("transposed convolution", upsample.forward(x.clone()));
        let lstm = LstmConfig::new(12, 1).init::<B>(&device).map(&mut Fill(40));
        say("LSTM of one row", lstm.forward(x));
        let x = tensor::<B, 3>([2, 12, 7], 5, &device);
        say("LSTM of two rows", lstm.forward(x));

        let conformer = ConformerConfig {
            heads: 3,
            dim_head: 4,
            conv_kernel_size: 5,
            num_residual_streams: 2,
            value_residual: ValueResidual::Learned,
            ..ConformerConfig::new(20, 2)
        };
        let conformer = conformer.init::<B>(&device).map(&mut Fill(50));
        let mask = (0..2 * 23).map(|at| at < 23 + 17).collect::<Vec<bool>>();
        let mask = Tensor::<B, 2, Bool>::from_data(TensorData::new(mask, [2, 23]), &device);
        let x = conformer.forward(tensor([2, 23, 20], 7, &device), Some(mask));
        say("conformer", x.narrow(1, 0, 17));
        // Every linear layer is a product of one row.
        say(
            "conformer of one frame",
            conformer.forward(tensor([1, 1, 20], 17, &device), None),
        );

        let logits = tensor::<B, 3>([1, 37, 19], 11, &device) * 4.0;
        let rows = [DecodeRow {
            frames: 37,
            seed: 13,
        }];
        for (name, options) in decodes() {
            let tokens = Tensor::<B, 3, Int>::full([1, 2, 37], 19, &device);
            let net = |_, _| Ok::<_, Infallible>(logits.clone());
            let tokens = decode(tokens, &rows, 19, &options, net, |_| ()).unwrap();
            say(name, tokens.float());
        }
        outputs
    }
}

/// Decodes that use each part of the sampler.
fn decodes() -> [(&'static str, DecodeOptions); 5] {
    let plain = DecodeOptions {
        steps: vec![4, 1],
        top_k: Some(7),
        ..Default::default()
    };
    let filtered = DecodeOptions {
        temperature: 1.3,
        top_p: Some(0.8),
        typical: Some(0.7),
        confidence: Confidence::Margin,
        ..plain.clone()
    };
    let exchanged = DecodeOptions {
        remask: Remask::LeastConfident,
        span: 3,
        ..plain.clone()
    };
    let drawn = DecodeOptions {
        remask: Remask::Cap(Remdm {
            eta: 0.4,
            by_confidence: true,
        }),
        order: Order::VanDerCorput,
        ..plain.clone()
    };
    let bounded = DecodeOptions {
        entropy_budget: Some(9.0),
        confidence: Confidence::Entropy,
        ..plain.clone()
    };
    [
        ("decoding", plain),
        ("decoding with filters", filtered),
        ("decoding in spans, masking again", exchanged),
        ("decoding in order, masking at random", drawn),
        ("decoding by entropy", bounded),
    ]
}

fn same(selected: &Selected) {
    let want = select(&DeviceArg::Cpu).unwrap().run(Parts);
    let got = selected.run(Parts);
    assert_eq!(got.len(), want.len());
    for ((name, got), (_, want)) in got.iter().zip(&want) {
        assert_eq!(got.len(), want.len(), "{name}");
        let largest = want.iter().fold(0f32, |most, x| most.max(x.abs()));
        assert!(largest > 0.1, "{name}: nothing to compare");
        for (got, want) in got.iter().zip(want) {
            let near = (got - want).abs() <= 1e-4 * largest;
            assert!(near, "{name} on {selected}: {got} and not {want}");
        }
    }
}

#[test]
fn of_ndarray() {
    if let Ok(selected) = select(&DeviceArg::NdArray) {
        same(&selected);
    }
}

#[test]
fn of_vulkan() {
    if let Some(selected) = testing::vulkan_or_skip() {
        same(&selected);
    }
}
