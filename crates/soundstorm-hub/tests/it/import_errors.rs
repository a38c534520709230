//! Checkpoints that cannot be imported: every error says which tensor, key or file, and nothing is left behind.

use std::path::{Path, PathBuf};

use serde_json::Value;
use soundstorm::Preset;
use soundstorm_hub::{HubError, ImportFrom, ImportOptions, import, import_observed, open_source};

use crate::{
    Tensors, cut, fixture, lengthen, names,
    parity::{cases, options},
    read_all, write_all,
};

fn case(name: &str) -> Value {
    cases()
        .into_iter()
        .find(|case| case["name"] == name)
        .unwrap()
}

fn tensors(name: &str) -> Tensors {
    let path = fixture("soundstorm").join(format!("{name}.pt"));
    read_all(open_source(path).unwrap().as_ref())
}

/// Imports changed tensors with the case's own settings.
fn import_changed(name: &str, change: impl FnOnce(&mut Tensors)) -> Result<(), HubError> {
    let dir = tempfile::tempdir().unwrap();
    let mut tensors = tensors(name);
    change(&mut tensors);
    let checkpoint = dir.path().join("changed.safetensors");
    write_all(&checkpoint, &tensors);
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let mut options = options(&case(name), &out.join("model"));
    options.source = checkpoint;
    let result = import(&options).map(drop);
    if result.is_err() {
        assert!(names(&out).is_empty());
    }
    result
}

#[test]
fn an_unchanged_checkpoint_also_imports_as_safetensors() {
    import_changed("c_grouped", |_| {}).unwrap();
}

/// What a checkpoint can do without, for then it is simply another model's.
const OPTIONAL: [&str; 2] = ["semantic_token_emb.weight", "rel_pos_bias"];

#[test]
fn every_missing_tensor_is_named() {
    for fixture in ["a_t5", "b_grouped", "c_grouped"] {
        for name in tensors(fixture).into_keys() {
            if OPTIONAL.iter().any(|optional| name.contains(optional)) {
                continue;
            }
            let error = import_changed(fixture, |tensors| drop(tensors.remove(&name)));
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("missing") && error.contains(&name),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn every_misshaped_tensor_is_named() {
    for fixture in ["a_t5", "b_grouped", "c_grouped"] {
        for name in tensors(fixture).into_keys() {
            if name.contains("semantic_token_emb") {
                continue; // a longer vocabulary is as good as the old one
            }
            let error = import_changed(fixture, |tensors| lengthen(tensors, &name));
            let error = error.unwrap_err().to_string();
            // A size that one tensor alone shows contradicts what was set, not another tensor.
            let alone = name.contains("rel_pos_bias") || name.contains("residual_mix");
            let named = error.contains(&name) || alone && error.contains("heads");
            assert!(named, "{name}: {error}");
        }
    }
}

#[test]
fn every_extra_tensor_is_named_and_all_of_them_at_once() {
    let error = import_changed("b_semantic", |tensors| {
        let some = tensors["net.to_logits.0.bias"].clone();
        for name in [
            "ghost",
            "net.conformer.layers.0.gateloop.weight",
            "net.conformer.layers.7.x",
        ] {
            tensors.insert(name.into(), some.clone());
        }
        tensors.remove("net.heads.0.bias");
        lengthen(tensors, "net.to_logits.0.bias");
    });
    let Err(HubError::Tensors { report, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        report.extra,
        [
            "ghost",
            "net.conformer.layers.0.gateloop.weight",
            "net.conformer.layers.7.x"
        ]
    );
    assert_eq!(report.missing, ["net.heads.0.bias"]);
    assert_eq!(report.misshaped.len(), 1);
}

#[test]
fn a_tensor_of_integers_is_named() {
    let error = import_changed("b_semantic", |tensors| {
        tensors.get_mut("net.heads.0.bias").unwrap().0.dtype = soundstorm_hub::DType::I32;
    });
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("net.heads.0.bias (expected floating-point"),
        "{error}"
    );
}

#[test]
fn presets_and_settings_must_agree_with_the_tensors() {
    let dir = tempfile::tempdir().unwrap();
    type Row<'a> = (&'a str, Option<Preset>, &'a [&'a str], &'a str);
    let cases: [Row; 16] = [
        ("a_plain", None, &[], "heads=N"),
        ("a_plain", None, &["heads=7"], "`heads` is contradicted"),
        (
            "a_plain",
            None,
            &["heads=3", "dim_head=9"],
            "`dim_head` is contradicted",
        ),
        ("a_plain", None, &["dim_head=7"], "dim_head"),
        (
            "a_plain",
            None,
            &["heads=3", "dim=11"],
            "expected 11 (a setting), got 22 (the tensors)",
        ),
        ("a_plain", None, &["heads=3", "vocab=19"], "not conditioned"),
        (
            "a_plain",
            None,
            &["heads=3", "value_residual=average"],
            "value_residual",
        ),
        (
            "a_plain",
            None,
            &["heads=3", "head=dense"],
            "`head` is contradicted",
        ),
        ("a_plain", None, &["heads=3", "hats=3"], "no such key"),
        (
            "a_plain",
            None,
            &["heads=3", "conv_causal=perhaps"],
            "conv_causal=perhaps",
        ),
        (
            "a_plain",
            Some(Preset::Uslm),
            &[],
            "`semantic` is contradicted: expected 1024 semantic tokens (preset uslm)",
        ),
        ("a_semantic", Some(Preset::Uslm), &[], "(preset uslm)"),
        ("b_plain", Some(Preset::Small), &[], "(preset small)"),
        (
            "c_streams",
            None,
            &["heads=5"],
            "`heads` is contradicted: expected 5 (a setting)",
        ),
        (
            "c_streams",
            None,
            &["num_residual_streams=1"],
            "num_residual_streams",
        ),
        (
            "c_streams",
            None,
            &["value_residual=none"],
            "value_residual",
        ),
    ];
    for (name, preset, settings, needle) in cases {
        let mut options = options(&case(name), &dir.path().join("model"));
        options.preset = preset;
        options.settings = settings.iter().map(|s| s.parse().unwrap()).collect();
        let error = import(&options).unwrap_err().to_string();
        assert!(error.contains(needle), "{name} {settings:?}: {error}");
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn what_tensors_tell_needs_no_settings() {
    let dir = tempfile::tempdir().unwrap();
    for (name, settings) in [
        ("c_streams", &[][..]),
        ("c_t5", &[]),
        ("a_t5", &[]),
        ("a_plain", &["dim_head=10"]),
        ("b_plain", &["heads=3", "dim_head=4", "dim=11", "steps=7,1"]),
    ] {
        let mut options = options(&case(name), &dir.path().join(name));
        options.settings = settings.iter().map(|s: &&str| s.parse().unwrap()).collect();
        import(&options).unwrap();
        let folder = soundstorm_hub::Folder::read_model(dir.path().join(name)).unwrap();
        assert_eq!(folder.config.conformer.heads, 3);
        if name == "b_plain" {
            assert_eq!(folder.config.generation.steps, [7, 1]);
        }
    }
}

#[test]
fn progress_ends_at_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(&case("c_streams"), &dir.path().join("model"));
    let mut seen = Vec::new();
    let report = import_observed(&options, |done, total| seen.push((done, total))).unwrap();
    assert!(seen.is_sorted() && seen.len() > 50);
    let all = report.imported.parameters;
    assert_eq!(seen.last(), Some(&(all, all)));
}

fn import_file(source: &Path, destination: &Path) -> Result<(), HubError> {
    let from = ImportFrom::SoundStormPytorch;
    import(&ImportOptions::new(from, source, destination)).map(drop)
}

#[test]
fn bad_files_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let model = out.join("model");
    let whole = fixture("soundstorm").join("c_streams.pt");
    let length = std::fs::metadata(&whole).unwrap().len() as usize;
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let two = dir.path().join("two");
    std::fs::create_dir(&two).unwrap();
    std::fs::copy(&whole, two.join("a.pt")).unwrap();
    std::fs::copy(&whole, two.join("b.pt")).unwrap();
    let cases: [(PathBuf, &str); 8] = [
        (dir.path().join("none.pt"), "none.pt"),
        (cut(&whole, length / 2, dir.path()), "truncated"),
        (fixture("pickle/evil.pt"), "posix.system"),
        (fixture("pickle/evil_legacy.pt"), "posix.system"),
        (fixture("pickle/state.pt"), "no known layout"),
        (
            fixture("soundstorm/cases.json"),
            "expected safetensors or a PyTorch",
        ),
        (empty, "expected a checkpoint"),
        (two.clone(), "got a.pt, b.pt"),
    ];
    for (source, needle) in cases {
        let error = import_file(&source, &model).unwrap_err().to_string();
        assert!(error.contains(needle), "{source:?}: {error}");
        assert!(names(&out).is_empty());
    }
    std::fs::remove_file(two.join("b.pt")).unwrap();
    import_file(&two, &model).unwrap();
}

#[test]
fn a_folder_is_not_overwritten_unless_forced() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("model");
    std::fs::create_dir(&model).unwrap();
    std::fs::write(model.join("mine"), b"1").unwrap();
    let mut options = options(&case("c_streams"), &model);
    assert!(matches!(import(&options), Err(HubError::Exists { .. })));
    assert_eq!(names(&model), ["mine"]);
    options.force = true;
    import(&options).unwrap();
    assert_eq!(names(&model), ["config.json", "model.safetensors"]);
}
