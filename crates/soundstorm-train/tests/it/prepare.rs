//! Audio to shards: restarted, shared between workers, with files that cannot be used.

use std::fs;

use soundstorm_hub::{Array, CodesFile};
use soundstorm_train::{
    PrepareOptions, TrainError,
    data::{Part, PrepareEvent, prepare},
};

use crate::support::{Bench, CODES, Formula, HOP, LEVELS, RATE, files, flip};

#[test]
fn codes_are_what_the_codec_makes() {
    let bench = Bench::new(&[7, 3, 11, 5]);
    let report = bench.prepare();
    assert_eq!((report.shards, report.kept, report.files), (2, 0, 4));
    assert_eq!(report.frames, 26);
    assert!((report.seconds - 26.0 * HOP as f64 / f64::from(RATE)).abs() < 1e-12);
    let dataset = bench.dataset();
    let names: Vec<_> = dataset.utterances().iter().map(|u| &u.entry.file).collect();
    assert_eq!(names, ["000.wav", "001.wav", "002.wav", "003.wav"]);
    let third = &dataset.utterances()[2];
    for level in 0..LEVELS {
        let want = (4..9).map(|frame| {
            let loud = (frame + 2) as i64 % 5 * 3;
            (loud * (level as i64 + 1) + level as i64) % CODES as i64
        });
        assert!(third.codes(level, 4, 5).eq(want));
    }
    assert_eq!(dataset.codec().levels, LEVELS);
    assert_eq!(dataset.codec().weights_sha256, "0123");
}

/// Whoever makes a shard, and however often it was begun, it has the same bytes.
#[test]
fn workers_and_restarts_make_the_same_bytes() {
    let bench = Bench::new(&[7, 3, 11, 5, 2, 13, 17, 3]);
    bench.prepare();
    let whole = files(&bench.path("codes"));
    assert_eq!(whole.len(), 1 + 2 * 3);
    for index in [1, 0] {
        let options = PrepareOptions {
            output: bench.path("shared"),
            part: Part { index, of: 2 },
            ..bench.options()
        };
        let report = bench.try_prepare(&options).unwrap();
        assert_eq!(report.shards, 2 - index);
    }
    assert_eq!(files(&bench.path("shared")), whole);

    // A shard without its index, one that is damaged, and one that is gone are made anew.
    let codes = bench.path("codes");
    fs::remove_file(codes.join("shard-00000.json")).unwrap();
    flip(&codes.join("shard-00001.safetensors"));
    let mut made = Vec::new();
    let codec = Formula { codes: CODES };
    let report = prepare(&codec, &bench.options(), &Default::default(), |event| {
        if let PrepareEvent::Shard { shard, .. } = event {
            made.push(*shard);
        }
    });
    assert_eq!(made, [0, 1]);
    assert_eq!(report.unwrap().kept, 1);
    assert_eq!(files(&codes), whole);
    fs::remove_file(codes.join("shard-00002.safetensors")).unwrap();
    bench.prepare();
    assert_eq!(files(&codes), whole);
    assert_eq!(bench.prepare().kept, 3);
}

#[test]
fn files_that_cannot_be_used_are_skipped_with_their_names() {
    let bench = Bench::new(&[7, 3]);
    fs::write(bench.path("audio/broken.wav"), b"RIFF\x04\0\0\0WAVE").unwrap();
    fs::write(bench.path("audio/empty.flac"), b"").unwrap();
    bench.recording("audio/long.wav", 401, 0);
    let options = PrepareOptions {
        max_seconds: 1.0,
        ..bench.options()
    };
    let mut told = Vec::new();
    let codec = Formula { codes: CODES };
    let report = prepare(&codec, &options, &Default::default(), |event| {
        if let PrepareEvent::File { done, of, skipped } = event {
            told.push((*done, *of, skipped.map(|s| s.file.clone())));
        }
    });
    let report = report.unwrap();
    assert_eq!(report.files, 2);
    let skipped: Vec<_> = report.skipped.iter().map(|s| s.file.as_str()).collect();
    assert_eq!(skipped, ["broken.wav", "empty.flac", "long.wav"]);
    assert!(report.skipped[2].reason.contains("limit"), "{report:?}");
    assert_eq!(told[2], (3, 5, Some("broken.wav".to_owned())));
    assert_eq!(told[4], (5, 5, Some("long.wav".to_owned())));
    assert_eq!(bench.dataset().skipped(), report.skipped);
    // A second call tells of them again.
    let again = bench.try_prepare(&options).unwrap();
    assert_eq!((again.kept, again.skipped), (2, report.skipped));
}

#[test]
fn nothing_to_use_is_an_error() {
    let bench = Bench::new(&[]);
    let error = bench.try_prepare(&bench.options()).unwrap_err();
    assert!(matches!(error, TrainError::EmptySet { .. }), "{error}");
    fs::write(bench.path("audio/broken.wav"), b"RIFF").unwrap();
    let error = bench.try_prepare(&bench.options()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("none of its 1 files") && text.contains("broken.wav"),
        "{text}"
    );
}

#[test]
fn a_folder_keeps_to_one_codec_and_one_list() {
    let bench = Bench::new(&[7, 3]);
    bench.prepare();
    let error = |options: &PrepareOptions| bench.try_prepare(options).unwrap_err().to_string();
    let levels = PrepareOptions {
        levels: Some(2),
        ..bench.options()
    };
    assert!(error(&levels).contains("codec"));
    let levels = PrepareOptions {
        levels: Some(4),
        ..bench.options()
    };
    assert!(error(&levels).contains('4'));
    let sharded = PrepareOptions {
        files_per_shard: 1.try_into().unwrap(),
        ..bench.options()
    };
    assert!(error(&sharded).contains("options"));
    bench.recording("audio/new.wav", 3, 0);
    assert!(error(&bench.options()).contains("list of files"));
}

/// Text, speaker and other fields ride along, and so do semantic tokens.
#[test]
fn a_manifest_is_carried_along() {
    let bench = Bench::new(&[6, 4]);
    let mut file = CodesFile::new(Array::new([1, 1, 1], vec![0]).unwrap());
    file.semantic = Some(Array::new([1, 3], vec![5, 1, 4]).unwrap());
    file.write(bench.path("audio/a.safetensors")).unwrap();
    let first = r#"{"audio": "000.wav", "speaker": "x", "text": "hi", "set": "dev", "semantic": "a.safetensors"}"#;
    fs::write(
        bench.path("audio/list.jsonl"),
        format!("{first}\n{{\"audio\": \"001.wav\"}}\n{{\"audio\": \"none.wav\"}}\n"),
    )
    .unwrap();
    let options = PrepareOptions {
        input: bench.path("audio/list.jsonl"),
        ..bench.options()
    };
    let report = bench.try_prepare(&options).unwrap();
    // One has no semantic tokens although the set has some; one is not there.
    let skipped: Vec<_> = report.skipped.iter().map(|s| s.file.as_str()).collect();
    assert_eq!(skipped, ["001.wav", "none.wav"]);
    assert!(report.skipped[0].reason.contains("semantic"));
    let dataset = bench.dataset();
    let utterance = &dataset.utterances()[0];
    assert_eq!(utterance.semantic(), Some(&[5, 1, 4][..]));
    let entry = &utterance.entry;
    assert_eq!(entry.field("speaker"), Some("x"));
    assert_eq!(entry.field("text"), Some("hi"));
    assert_eq!(entry.field("set"), Some("dev"));
    assert_eq!(entry.field("file"), Some("000.wav"));
    assert_eq!(entry.field("other"), None);
}
