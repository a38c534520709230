//! A module in another dtype: cast once, computing in it, and still trainable.

use burn::module::{Module, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Int, Tensor};
use soundstorm_runtime::{
    BackendKind, DTypeArg, DeviceArg, Job, RuntimeError, TrainJob, cast_module, run, run_autodiff,
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
        assert_eq!(
            module.weight.val().dtype(),
            DType::from(self.0.float_dtype())
        );
        let index = module.index.val().into_data();
        assert_eq!(index.iter::<i64>().collect::<Vec<_>>(), [2, 3, 5]);
        let input = self
            .0
            .cast(Tensor::<B, 1>::from_floats([3.0, 5.0, 7.0], &device));
        let output = input * module.weight.val();
        assert_eq!(output.dtype(), DType::from(self.0.float_dtype()));
        Ok(output.into_data().iter::<f32>().collect())
    }
}

#[test]
fn computed_in_the_dtype_that_was_asked_for() {
    if !BackendKind::Flex.is_built() {
        return;
    }
    let exact = [0.3_f32, 3.5, -9.1];
    // Half a unit in the last place for each rounding: weights, then products.
    for (dtype, tolerance) in [
        (DTypeArg::F32, 1e-6),
        (DTypeArg::F16, 1e-3),
        (DTypeArg::BF16, 8e-3),
    ] {
        let got = run(&DeviceArg::Cpu, Cast(dtype)).unwrap().unwrap();
        let errors = got
            .iter()
            .zip(exact)
            .map(|(got, exact)| ((got - exact) / exact).abs());
        let worst = errors.fold(0.0, f32::max);
        assert!(worst <= tolerance, "{dtype}: {got:?} for {exact:?}");
        // Rounded indeed.
        assert!(dtype == DTypeArg::F32 || worst > 1e-5, "{dtype}: {got:?}");
    }
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
