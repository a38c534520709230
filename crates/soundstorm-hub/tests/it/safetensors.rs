//! Safetensors files, read and written.

use std::collections::BTreeMap;

use soundstorm_hub::{
    DType, HubError, SafetensorsSource, TensorInfo, open_source, write_safetensors,
};

use crate::{cut, names};

fn planned() -> Vec<(String, TensorInfo)> {
    let info = |dtype, shape: &[usize]| TensorInfo {
        dtype,
        shape: shape.to_vec(),
    };
    vec![
        ("b".into(), info(DType::Bool, &[3])),
        ("a".into(), info(DType::F32, &[2, 3])),
        ("s".into(), info(DType::F32, &[])),
        ("c".into(), info(DType::I64, &[5])),
    ]
}

fn bytes(name: &str) -> Vec<u8> {
    match name {
        "a" => (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect(),
        "s" => 0.25_f32.to_le_bytes().to_vec(),
        "b" => vec![1, 0, 1],
        _ => (0..5).flat_map(|i| (i as i64 - 2).to_le_bytes()).collect(),
    }
}

fn write(path: &std::path::Path) -> String {
    let metadata: BTreeMap<String, String> =
        (0..9).map(|i| (format!("k{i}"), i.to_string())).collect();
    write_safetensors(path, &metadata, &planned(), |name| Ok(bytes(name))).unwrap()
}

#[test]
fn what_was_written_is_read_here_and_by_the_format_s_own_crate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    let hash = write(&path);
    assert_eq!(hash, soundstorm_hub::sha256_file(&path).unwrap());
    assert_eq!(names(dir.path()), ["x.safetensors"]);

    let source = open_source(&path).unwrap();
    for (name, info) in planned() {
        assert_eq!(source.info(&name).unwrap(), &info);
        assert_eq!(source.read_bytes(&name).unwrap(), bytes(&name));
    }
    assert_eq!(source.metadata()["k7"], "7");
    assert_eq!(source.read_i64("b").unwrap(), [1, 0, 1]);
    assert_eq!(source.read_f32("s").unwrap(), [0.25]);
    assert!(matches!(
        source.read_f32("c"),
        Err(HubError::Tensors { .. })
    ));

    let raw = std::fs::read(&path).unwrap();
    let theirs = ::safetensors::SafeTensors::deserialize(&raw).unwrap();
    assert_eq!(theirs.len(), 4);
    assert_eq!(theirs.tensor("a").unwrap().data(), bytes("a"));
}

#[test]
fn equal_contents_give_equal_bytes() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(write(&dir.path().join("x")), write(&dir.path().join("y")));
}

#[test]
fn a_failed_write_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let none = BTreeMap::new();
    let failed = write_safetensors(&path, &none, &planned(), |name| match name {
        "s" => Ok(vec![]),
        _ => Ok(bytes(name)),
    });
    assert!(failed.unwrap_err().to_string().contains("4 bytes for s"));
    let twice = [planned(), planned()].concat();
    assert!(write_safetensors(&path, &none, &twice, |name| Ok(bytes(name))).is_err());
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_file_cut_anywhere_is_truncated() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    write(&path);
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    let parts = dir.path().join("parts");
    std::fs::create_dir(&parts).unwrap();
    for at in 0..length {
        let error = SafetensorsSource::open(cut(&path, at, &parts)).unwrap_err();
        assert!(matches!(error, HubError::Truncated { .. }), "{at}: {error}");
    }
}

#[test]
fn bad_headers_are_errors_before_anything_is_allocated() {
    let dir = tempfile::tempdir().unwrap();
    let open = |length: u64, header: &str, data: usize| {
        let path = dir.path().join("x");
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.resize(bytes.len() + data, 0);
        std::fs::write(&path, bytes).unwrap();
        SafetensorsSource::open(&path)
    };
    let header = |header: &str, data| open(header.len() as u64, header, data);
    let one = |dtype: &str, shape: &str, end: u64| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    assert!(header(&one("F32", "[2]", 8), 8).is_ok());
    assert!(matches!(
        open(u64::MAX, "{}", 8).unwrap_err(),
        HubError::OverLimit { .. }
    ));
    assert!(matches!(
        header("{]", 8).unwrap_err(),
        HubError::Malformed { .. }
    ));
    for (dtype, shape, end) in [
        ("F32", "[3]", 8),
        ("F32", "[4294967296,4294967296]", 8),
        ("F32", "[-1]", 8),
        ("X99", "[2]", 8),
    ] {
        let error = header(&one(dtype, shape, end), 8).unwrap_err();
        assert!(matches!(error, HubError::Malformed { .. }), "{error}");
    }
    let far = 4 << 40;
    let error = header(&one("F32", &format!("[{}]", far / 4), far), 8).unwrap_err();
    assert!(matches!(error, HubError::Truncated { .. }), "{error}");
    let error = header(&one("F32", "[2]", 8), 9).unwrap_err();
    assert!(matches!(error, HubError::Malformed { .. }), "{error}");
    let error = header(&one("U64", "[1]", 8), 8).unwrap_err();
    assert!(
        error.to_string().contains("tensor a of type U64"),
        "{error}"
    );
}

/// A header's length is the file's first byte, and may be that of a pickle or of a zip archive.
#[test]
fn any_length_of_header_is_told_from_a_pickle() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let mut seen = std::collections::BTreeSet::new();
    for spaces in 0..300 {
        let header = format!("{{{}}}", " ".repeat(spaces));
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        seen.insert(bytes[0]);
        bytes.extend(header.bytes());
        std::fs::write(&path, bytes).unwrap();
        assert!(open_source(&path).unwrap().tensors().is_empty());
    }
    assert!(seen.contains(&b'(') && seen.contains(&b'c') && seen.contains(&0x80));
}
