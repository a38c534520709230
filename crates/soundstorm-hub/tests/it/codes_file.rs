//! Codes files: round trips, and what is refused.

use std::{collections::BTreeMap, path::Path};

use burn::tensor::Tensor;
use burn_flex::Flex;
use soundstorm_hub::{
    Array, CodesFile, CodesMetadata, DType, HubError, TensorInfo, write_safetensors,
};

use crate::names;

fn codes() -> CodesFile {
    let values = (0..2 * 3 * 5).map(|i| i * 7 % 11).collect();
    let mut file = CodesFile::new(Array::new([2, 3, 5], values).unwrap());
    file.semantic = Some(Array::new([2, 7], (0..14).collect()).unwrap());
    file.scales = Some(Array::new([2, 1], vec![0.5, 0.25]).unwrap());
    file.lengths = Some(Array::new([2, 1], vec![1601, 1601]).unwrap());
    file.metadata = CodesMetadata {
        codec: Some("speechtokenizer".into()),
        sample_rate: Some(16000),
        hop: Some(320),
        channels: Some(1),
        samples: Some(1601),
        seed: Some(u64::MAX),
        other: BTreeMap::from([("note".to_owned(), "kept".to_owned())]),
    };
    file
}

#[test]
fn what_is_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.safetensors");
    codes().write(&path).unwrap();
    assert_eq!(CodesFile::read(&path).unwrap(), codes());
    assert_eq!(names(dir.path()), ["c.safetensors"]);
    let bare = CodesFile::new(Array::new([1, 1, 1], vec![3]).unwrap());
    bare.write(&path).unwrap();
    assert_eq!(CodesFile::read(&path).unwrap(), bare);
}

#[test]
fn tensors_go_in_and_out() {
    let codes = codes().codes;
    let tensor: Tensor<Flex, 3, _> = codes.to_tensor(&Default::default());
    assert_eq!(tensor.dims(), [2, 3, 5]);
    assert_eq!(Array::from_tensor(tensor), codes);
    assert!(Array::new([2, 3], vec![1_i64; 5]).is_err());
}

#[test]
fn codes_out_of_range_are_placed() {
    let mut file = codes();
    file.check_codes("c", 11).unwrap();
    file.check_semantic("c", 14).unwrap();
    let error = file.check_semantic("c", 13).unwrap_err().to_string();
    assert!(
        error.contains("semantic") && error.contains("row 1, level 1, frame 6"),
        "{error}"
    );
    let mut values = file.codes.values().to_vec();
    values[3 * 5 + 2 * 5 + 4] = -1;
    file.codes = Array::new([2, 3, 5], values).unwrap();
    let error = file.check_codes("c", 11).unwrap_err();
    assert!(matches!(
        error,
        HubError::CodeRange {
            row: 1,
            level: 3,
            frame: 4,
            size: 11,
            got: -1,
            ..
        }
    ));
}

fn write(path: &Path, tensors: &[(&str, DType, &[usize])], metadata: &[(&str, &str)]) {
    let planned: Vec<_> = tensors
        .iter()
        .map(|(name, dtype, shape)| {
            let (dtype, shape) = (*dtype, shape.to_vec());
            ((*name).to_owned(), TensorInfo { dtype, shape })
        })
        .collect();
    let metadata = metadata
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    write_safetensors(path, &metadata, &planned, |name| {
        let (_, info) = planned.iter().find(|(n, _)| n == name).unwrap();
        Ok(vec![0; info.elements() * info.dtype.size()])
    })
    .unwrap();
}

#[test]
fn other_forms_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    type Case<'a> = (
        &'a [(&'a str, DType, &'a [usize])],
        &'a [(&'a str, &'a str)],
        &'a str,
    );
    let good = ("codes", DType::I64, &[1, 2, 3][..]);
    let cases: [Case; 9] = [
        (&[("code", DType::I64, &[1, 2, 3])], &[], "code"),
        (&[("semantic", DType::I64, &[1, 3])], &[], "codes"),
        (&[("codes", DType::I64, &[2, 3])], &[], "3 dimensions"),
        (&[("codes", DType::I64, &[1, 2, 0])], &[], "empty"),
        (
            &[("codes", DType::I32, &[1, 2, 3])],
            &[],
            "expected I64, got I32",
        ),
        (
            &[("codes", DType::F32, &[1, 2, 3])],
            &[],
            "expected I64, got F32",
        ),
        (&[good, ("semantic", DType::I64, &[2, 3])], &[], "semantic"),
        (&[good, ("scales", DType::I64, &[1, 3])], &[], "scales"),
        (&[good], &[("hop", "many")], "hop"),
    ];
    for (tensors, metadata, needle) in cases {
        write(&path, tensors, metadata);
        let error = CodesFile::read(&path).unwrap_err().to_string();
        assert!(error.contains(needle), "{tensors:?}: {error}");
    }
    write(&path, &[good], &[]);
    CodesFile::read(&path).unwrap();
}
