//! A module in another dtype: cast once, computing in it, and still trainable.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, ElementConversion, Int, Tensor, TensorData};
use soundstorm::{HeadKind, Preset, SoundStorm, conformer::ConformerConfig};
use soundstorm_runtime::{
    BackendKind, DTypeArg, DeviceArg, Job, RuntimeError, TrainJob, bf16_instructions, cast_module,
    run, run_autodiff,
};

#[derive(Module, Debug)]
struct Scale<B: Backend> {
    weight: Param<Tensor<B, 1>>,
    index: Param<Tensor<B, 1, Int>>,
    frozen: Param<Tensor<B, 1>>,
}

impl<B: Backend> Scale<B> {
    fn new(device: &B::Device) -> Self {
        let frozen = Param::from_tensor(Tensor::from_floats([0.1, 0.2], device));
        Self {
            weight: Param::from_tensor(Tensor::from_floats([0.1, 0.7, -1.3], device)),
            index: Param::initialized(Default::default(), Tensor::from_ints([2, 3, 5], device)),
            frozen: frozen.set_require_grad(false),
        }
    }
}

struct Cast(DTypeArg);

impl Job for Cast {
    type Output = Result<Vec<f32>, RuntimeError>;

    fn run<B: Backend>(self, device: B::Device) -> Self::Output {
        self.0.check::<B>(&device)?;
        let module = cast_module(Scale::<B>::new(&device), self.0);
        // No layer's weights: on flex it stays as it is.
        assert_eq!(module.weight.val().dtype(), DType::F32);
        let index = module.index.val().into_data();
        assert_eq!(index.iter::<i64>().collect::<Vec<_>>(), [2, 3, 5]);
        let input = self
            .0
            .cast(Tensor::<B, 1>::from_floats([3.0, 5.0, 7.0], &device));
        let output = input * module.weight.val();
        assert_eq!(output.dtype(), DType::F32);
        Ok(output.into_data().iter::<f32>().collect())
    }
}

#[test]
fn flex_keeps_in_f32_what_no_layer_multiplies_by() {
    if !BackendKind::Flex.is_built() {
        return;
    }
    let exact = [0.3_f32, 3.5, -9.1];
    for dtype in [DTypeArg::F32, DTypeArg::BF16] {
        let got = run(&DeviceArg::Cpu, Cast(dtype)).unwrap().unwrap();
        for (got, exact) in got.iter().zip(exact) {
            assert!((got - exact).abs() < 1e-5, "{dtype}: {got} for {exact}");
        }
    }
    let refused = run(&DeviceArg::Cpu, Cast(DTypeArg::F16)).unwrap();
    assert!(
        matches!(refused, Err(RuntimeError::DType { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_backend_without_the_dtype_says_so() {
    if !BackendKind::NdArray.is_built() {
        return;
    }
    let refused = run(&DeviceArg::NdArray, Cast(DTypeArg::BF16)).unwrap();
    assert!(
        matches!(refused, Err(RuntimeError::DType { .. })),
        "{refused:?}"
    );
    assert!(
        run(&DeviceArg::NdArray, Cast(DTypeArg::F32))
            .unwrap()
            .is_ok()
    );
}

struct Train;

impl TrainJob for Train {
    type Output = ();

    fn run<B: AutodiffBackend>(self, device: B::Device) {
        let module = Scale::<B>::new(&device);
        let ids = (module.weight.id, module.frozen.id);
        let module = cast_module(module, DTypeArg::BF16);
        assert_eq!((module.weight.id, module.frozen.id), ids);
        assert!(module.weight.is_require_grad());
        assert!(!module.frozen.is_require_grad());
        let weight = module.weight.val();
        let gradient = weight
            .grad(&weight.clone().powi_scalar(2).sum().backward())
            .unwrap();
        assert_eq!(gradient.dtype(), DType::BF16);
        let got = gradient.into_data().iter::<f32>().collect::<Vec<_>>();
        for (got, expect) in got.iter().zip([0.2, 1.4, -2.6]) {
            assert!((got - expect).abs() < 0.02, "{got} {expect}");
        }
    }
}

#[test]
fn gradients_reach_a_cast_parameter() {
    if BackendKind::Flex.is_built() {
        run_autodiff(&DeviceArg::Cpu, Train).unwrap();
    }
}

fn model<B: Backend>(dim: usize, device: &B::Device) -> SoundStorm<B> {
    let mut config = Preset::Small.config();
    config.conformer = ConformerConfig::new(dim, 1);
    config.head = HeadKind::Projected;
    config.init(device).unwrap()
}

/// The parameters of a model in bf16, by their fields.
struct Halves(DTypeArg);

impl Job for Halves {
    type Output = Vec<String>;

    fn run<B: Backend>(self, device: B::Device) -> Self::Output {
        let model = cast_module(model::<B>(6, &device), self.0);
        let mut seen = Fields::default();
        model.visit(&mut seen);
        seen.halves
    }
}

/// With gradients no backend counts as flex: everything goes the way that it goes on a GPU.
impl TrainJob for Halves {
    type Output = Vec<String>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Self::Output {
        Job::run::<B>(self, device)
    }
}

#[derive(Default)]
struct Fields {
    path: Vec<String>,
    halves: Vec<String>,
}

impl<B: Backend> ModuleVisitor<B> for Fields {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if param.val().dtype() == DType::BF16 {
            self.halves.push(self.path.join("."));
        }
    }
}

#[test]
fn on_flex_the_layers_weights_are_in_bf16_and_nothing_else() {
    if !BackendKind::Flex.is_built() {
        return;
    }
    assert_eq!(
        run(&DeviceArg::Cpu, Halves(DTypeArg::F32)).unwrap(),
        [""; 0]
    );
    let mut got = run(&DeviceArg::Cpu, Halves(DTypeArg::BF16)).unwrap();
    got.sort();
    let mut want: Vec<String> = [
        "attention.to_out",
        "attention.to_qkv",
        "convolution.contract",
        "convolution.expand",
        "ff1.contract",
        "ff1.expand",
        "ff2.contract",
        "ff2.expand",
    ]
    .map(|layer| format!("conformer.blocks.0.{layer}.weight"))
    .into();
    want.extend(["head.projection.weight".into(), "head.weight".into()]);
    if bf16_instructions().is_none() {
        want.clear();
    }
    assert_eq!(got, want);
}

#[test]
fn elsewhere_norms_and_heads_are_in_f32_and_nothing_else() {
    if !BackendKind::Flex.is_built() {
        return;
    }
    let got = run_autodiff(&DeviceArg::Cpu, Halves(DTypeArg::BF16)).unwrap();
    let is_wide = |field: &String| field.contains("norm") || field.starts_with("head");
    assert!(!got.iter().any(is_wide), "{got:?}");
    for field in ["embedding.table", "conformer.blocks.0.ff1.expand.bias"] {
        assert!(got.iter().any(|got| got == field), "{got:?}");
    }
}

/// How far the logits of a model in half precision are from those in single, beside their size.
struct Apart(DTypeArg);

impl TrainJob for Apart {
    type Output = f32;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> f32 {
        let model = model::<B>(128, &device);
        let codes = (0..8 * 31).map(|at| at * at % 1024).collect();
        let codes = TensorData::new::<i64, _>(codes, [1, 8, 31]);
        let codes = Tensor::<B, 3, Int>::from_data(codes, &device);
        let logits = |model: &SoundStorm<B>| {
            let logits = model.logits(codes.clone(), None, None);
            assert_eq!(logits.dtype(), DType::F32);
            logits
        };
        // First, as it is only then that the weights are drawn.
        let want = logits(&model);
        let got = logits(&cast_module(model, self.0));
        let size = |x: Tensor<B, 4>| x.square().mean().into_scalar().elem::<f32>().sqrt();
        size(got - want.clone()) / size(want)
    }
}

/// Each number that goes from layer to layer is rounded, by 2^-9 of itself at most in bf16.
#[test]
fn logits_in_half_precision_are_near() {
    if !BackendKind::Flex.is_built() {
        return;
    }
    for (dtype, bound) in [(DTypeArg::BF16, 0.02), (DTypeArg::F16, 0.0025)] {
        let apart = run_autodiff(&DeviceArg::Cpu, Apart(dtype)).unwrap();
        assert!(0.0 < apart && apart < bound, "{dtype}: {apart}");
    }
}
