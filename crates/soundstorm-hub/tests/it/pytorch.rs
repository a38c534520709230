//! PyTorch checkpoints as torch 2.11.0 writes them; values and files come from `fixtures/pickle/make.py`.

use soundstorm_hub::{DType, HubError, TensorSource, open_source};

use crate::{cut, fixture};

fn open(name: &str) -> Result<Box<dyn TensorSource>, HubError> {
    open_source(fixture("pickle").join(name))
}

fn counted(base: f32, elements: usize) -> Vec<f32> {
    (0..elements).map(|i| base + i as f32).collect()
}

#[test]
fn every_container_gives_the_same_tensors() {
    for name in [
        "state.pt",
        "state_legacy.pt",
        "state_protocol4.pt",
        "state_deflated.pt",
    ] {
        let source = open(name).unwrap();
        assert_eq!(source.tensors().len(), 18, "{name}");
        assert!(source.ignored().is_empty(), "{name}");
        let check = |tensor: &str, dtype: DType, shape: &[usize], values: &[f32]| {
            let info = source.info(tensor).unwrap();
            assert_eq!(
                (info.dtype, &info.shape[..]),
                (dtype, shape),
                "{name} {tensor}"
            );
            let got = if dtype.is_float() {
                source.read_f32(tensor).unwrap()
            } else {
                let values = source.read_i64(tensor).unwrap();
                values.into_iter().map(|v| v as f32).collect()
            };
            assert_eq!(got, values, "{name} {tensor}");
        };
        check("f32", DType::F32, &[2, 3], &counted(1.0, 6));
        check("f64", DType::F64, &[3], &counted(2.0, 3));
        check("f16", DType::F16, &[5], &counted(3.0, 5));
        check("bf16", DType::BF16, &[7], &counted(4.0, 7));
        check("i64", DType::I64, &[3], &counted(-2.0, 3));
        check("i32", DType::I32, &[2], &counted(-3.0, 2));
        check("i16", DType::I16, &[2], &counted(-4.0, 2));
        check("u8", DType::U8, &[3], &counted(250.0, 3));
        check("bool", DType::Bool, &[3], &[1.0, 0.0, 1.0]);
        check("scalar", DType::F32, &[], &[0.5]);
        check("empty", DType::F32, &[0, 3], &[]);
        check("parameter", DType::F32, &[3, 2], &counted(5.0, 6));
        check("transposed", DType::F32, &[3, 5], &counted(6.0, 15));
        // Permuted there and back around a copy: strides of no order, values as they were.
        check("permuted", DType::F32, &[2, 3, 5], &counted(7.0, 30));
        check("shared", DType::F32, &[5, 7], &counted(100.0, 35));
        check("shared_row", DType::F32, &[7], &counted(121.0, 7));
        let column: Vec<f32> = (0..5).map(|row| 102.0 + 7.0 * row as f32).collect();
        check("shared_column", DType::F32, &[5], &column);
        check("expanded", DType::F32, &[2, 3], &[9.0; 6]);
    }
}

#[test]
fn of_a_package_only_the_model_is_read() {
    for name in ["package.pt", "package_legacy.pt"] {
        let source = open(name).unwrap();
        let names: Vec<_> = source.tensors().keys().map(String::as_str).collect();
        assert_eq!(names, ["0.bias", "0.weight", "1.bias", "1.weight"]);
        assert_eq!(source.ignored(), ["optim", "scheduler", "steps", "version"]);
        assert_eq!(source.read_f32("0.weight").unwrap(), counted(0.0, 15));
        assert_eq!(source.read_f32("1.bias").unwrap(), counted(30.0, 5));
    }
}

#[test]
fn an_archive_of_any_name_is_opened() {
    let source = open("name_of_21_characters.pt").unwrap();
    assert_eq!(source.read_f32("weight").unwrap(), counted(0.0, 6));
}

#[test]
fn a_pickle_that_names_code_is_refused_and_not_run() {
    for (name, global) in [
        ("evil.pt", "posix.system"),
        ("evil_legacy.pt", "posix.system"),
        ("evil.pkl", "posix.system"),
        ("evil_eval.pt", "builtins.eval"),
        ("whole_module.pt", "torch.nn.modules.linear.Linear"),
    ] {
        match open(name).map(drop) {
            Err(HubError::Refused { global: got, .. }) => {
                let eval = got == "__builtin__.eval" && global == "builtins.eval";
                assert!(got == global || eval, "{name}: {got}");
            }
            other => panic!("{name}: {other:?}"),
        }
        let message = open(name).map(drop).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("nothing was executed"));
    }
    assert!(!std::path::Path::new("soundstorm-pickle-was-run").exists());
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["state.pt", "state_legacy.pt", "package_legacy.pt"] {
        let whole = fixture("pickle").join(name);
        let length = std::fs::metadata(&whole).unwrap().len() as usize;
        for at in (0..length).step_by(13).chain([length - 1]) {
            let path = cut(&whole, at, dir.path());
            let error = open_source(&path).map(drop).unwrap_err().to_string();
            assert!(error.contains(name), "{at}: {error}");
        }
    }
}

#[test]
fn a_damaged_file_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["state.pt", "state_legacy.pt", "state_deflated.pt"] {
        let whole = std::fs::read(fixture("pickle").join(name)).unwrap();
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            if let Ok(source) = open_source(&path) {
                for tensor in source.tensors().keys() {
                    let _ = source.read_bytes(tensor);
                }
            }
        }
    }
}

#[test]
fn other_files_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let missing = open_source(dir.path().join("none.pt"))
        .map(drop)
        .unwrap_err();
    assert!(matches!(
        missing,
        HubError::Io {
            operation: "open",
            ..
        }
    ));
    assert!(open_source(dir.path()).map(drop).is_err());
    for content in [
        &b""[..],
        b"RIFF....WAVEfmt ",
        b"\x80\x02K\x07.aaaaaaaa",
        b"PK\x03\x04",
    ] {
        let path = dir.path().join("x");
        std::fs::write(&path, content).unwrap();
        assert!(open_source(&path).map(drop).is_err(), "{content:?}");
    }
}
