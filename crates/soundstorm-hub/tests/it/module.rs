//! Burn modules to and from safetensors.

use std::{collections::BTreeMap, path::Path};

use burn::{
    module::{Module, Param, ParamId},
    nn::{Linear, LinearConfig},
    tensor::{Int, Tensor, backend::Backend},
};
use burn_flex::Flex;
use soundstorm_hub::{
    DType, HubError, SafetensorsSource, TensorInfo, load_module, open_source, save_module, shapes,
    write_safetensors,
};

use crate::names;

type B = Flex;

#[derive(Module, Debug)]
struct Net<B: Backend> {
    layers: Vec<Linear<B>>,
    scale: Param<Tensor<B, 1>>,
    steps: Param<Tensor<B, 1, Int>>,
    absent: Option<Linear<B>>,
    depth: usize,
}

fn net(seed: f32) -> Net<B> {
    let device = Default::default();
    let filled = move |d: &_| Tensor::<B, 1>::from_floats([seed, seed + 1.0], d);
    Net {
        layers: vec![
            LinearConfig::new(3, 5).init(&device),
            LinearConfig::new(5, 2).with_bias(false).init(&device),
        ],
        scale: Param::uninitialized(
            ParamId::new(),
            move |device, _| filled(device),
            device,
            true,
            [2].into(),
        ),
        steps: Param::initialized(ParamId::new(), Tensor::from_ints([7, -8, 9], &device)),
        absent: None,
        depth: 2,
    }
}

/// A network of which no parameter may be initialised.
fn untouchable() -> Net<B> {
    let device = Default::default();
    let mut net = net(0.0);
    net.scale = Param::uninitialized(
        ParamId::new(),
        |_, _| panic!("an initialiser was run"),
        device,
        true,
        [2].into(),
    );
    net
}

fn saved(dir: &Path) -> (Net<B>, std::path::PathBuf) {
    let path = dir.join("model.safetensors");
    let net = net(0.5);
    let _alone = crate::random_stream();
    save_module(&net, &path, &BTreeMap::new()).unwrap();
    (net, path)
}

#[test]
fn names_are_paths_and_nothing_is_initialised() {
    let expected = [
        ("layers.0.weight", vec![3, 5]),
        ("layers.0.bias", vec![5]),
        ("layers.1.weight", vec![5, 2]),
        ("scale", vec![2]),
        ("steps", vec![3]),
    ];
    let expected = expected.map(|(name, shape)| (name.to_owned(), shape));
    assert_eq!(shapes(&untouchable()), expected);
}

#[test]
fn a_saved_module_loads_with_equal_values_without_initialisation() {
    let dir = tempfile::tempdir().unwrap();
    let (old, path) = saved(dir.path());
    assert_eq!(names(dir.path()), ["model.safetensors"]);
    let new = load_module(untouchable(), open_source(&path).unwrap().as_ref()).unwrap();
    for (a, b) in old.layers.iter().zip(&new.layers) {
        assert_eq!(a.weight.val().into_data(), b.weight.val().into_data());
    }
    let bias = |net: &Net<B>| net.layers[0].bias.as_ref().unwrap().val().into_data();
    assert_eq!(bias(&old), bias(&new));
    assert_eq!(
        new.scale
            .val()
            .into_data()
            .iter::<f32>()
            .collect::<Vec<_>>(),
        [0.5, 1.5]
    );
    assert_eq!(
        new.steps
            .val()
            .into_data()
            .iter::<i64>()
            .collect::<Vec<_>>(),
        [7, -8, 9]
    );
    assert!(new.scale.is_initialized());
}

#[test]
fn half_precision_is_widened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("half");
    let linear = LinearConfig::new(2, 3).with_bias(false);
    let info = TensorInfo {
        dtype: DType::BF16,
        shape: vec![2, 3],
    };
    // The upper halves of 1.0 and -2.0.
    let bytes = [0x80, 0x3f, 0x00, 0xc0].repeat(3);
    write_safetensors(&path, &BTreeMap::new(), &[("weight".into(), info)], |_| {
        Ok(bytes.clone())
    })
    .unwrap();
    let linear: Linear<B> = linear.init(&Default::default());
    let linear = load_module(linear, &SafetensorsSource::open(&path).unwrap()).unwrap();
    let data = linear.weight.val().into_data();
    assert_eq!(data.as_slice::<f32>().unwrap(), [1.0, -2.0].repeat(3));
}

#[test]
fn every_difference_is_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other");
    let info = |dtype, shape: &[usize]| TensorInfo {
        dtype,
        shape: shape.to_vec(),
    };
    let tensors = [
        ("layers.0.weight".to_owned(), info(DType::F32, &[5, 3])),
        ("layers.1.weight".to_owned(), info(DType::F32, &[5, 2])),
        ("scale".to_owned(), info(DType::F32, &[3])),
        ("steps".to_owned(), info(DType::F32, &[3])),
        ("layers.2.weight".to_owned(), info(DType::F32, &[1])),
        ("ghost".to_owned(), info(DType::F32, &[1])),
    ];
    write_safetensors(&path, &BTreeMap::new(), &tensors, |name| {
        let (_, info) = tensors.iter().find(|(n, _)| n == name).unwrap();
        Ok(vec![0; info.elements() * 4])
    })
    .unwrap();
    let error = load_module(untouchable(), &SafetensorsSource::open(&path).unwrap()).unwrap_err();
    let HubError::Tensors { report, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(report.missing, ["layers.0.bias"]);
    assert_eq!(report.extra, ["ghost", "layers.2.weight"]);
    let misshaped: Vec<_> = report.misshaped.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(misshaped, ["layers.0.weight", "scale"]);
    assert_eq!(report.mistyped[0].0, "steps");
    let message = error.to_string();
    assert!(
        message.contains("scale (expected [2], got [3])"),
        "{message}"
    );
    assert!(message.contains("ghost") && message.contains("layers.0.bias"));
}
