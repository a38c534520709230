//! What there is to prepare: a folder of audio, or a manifest with a JSON object in each line.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{Result, TrainError};

/// Endings of audio that is read.
const AUDIO: [&str; 5] = ["wav", "flac", "mp3", "ogg", "oga"];

/// A recording with what is known about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The file as it is called in the data set: relative to the folder, or as in the manifest.
    pub name: String,
    /// The audio.
    pub audio: PathBuf,
    /// A codes file with its semantic tokens.
    pub semantic: Option<PathBuf>,
    /// What is said.
    pub text: Option<String>,
    /// Who speaks.
    pub speaker: Option<String>,
    /// Other text of the manifest, by its keys.
    pub fields: BTreeMap<String, String>,
}

/// Lists a folder's audio, in the order of the names, or the lines of a manifest.
///
/// A line is an object with `audio`, a path relative to the manifest, and perhaps `text`,
/// `speaker`, `semantic` (a codes file) and more, of which text and numbers are kept. In a folder,
/// `semantic` is one with a codes file for each recording: `a/b.safetensors` for `a/b.wav`.
///
/// # Errors
/// The input cannot be read, a line is no such object, or there is nothing.
pub fn list_inputs(input: &Path, semantic: Option<&Path>) -> Result<Vec<Input>> {
    let metadata = fs::metadata(input).map_err(TrainError::io("open", input))?;
    let mut inputs = match metadata.is_dir() {
        true => folder(input)?,
        false => manifest(input)?,
    };
    if let Some(semantic) = semantic {
        for input in &mut inputs {
            let own = Path::new(&input.name).with_extension("safetensors");
            input.semantic.get_or_insert_with(|| semantic.join(own));
        }
    }
    if inputs.is_empty() {
        return Err(TrainError::EmptySet {
            path: input.to_path_buf(),
            message: format!("there is no audio in it ({})", AUDIO.join(", ")),
        });
    }
    Ok(inputs)
}

fn folder(root: &Path) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(TrainError::io("list", &folder))? {
            let path = entry.map_err(TrainError::io("list", &folder))?.path();
            let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
            if path.is_dir() {
                folders.push(path);
            } else if ending.is_some_and(|ending| AUDIO.contains(&ending.as_str())) {
                let parts = path.strip_prefix(root).unwrap_or(&path).components();
                let parts: Vec<_> = parts.map(|p| p.as_os_str().to_string_lossy()).collect();
                inputs.push(Input {
                    name: parts.join("/"),
                    audio: path,
                    ..Input::default()
                });
            }
        }
    }
    inputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(inputs)
}

fn manifest(path: &Path) -> Result<Vec<Input>> {
    let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
    let root = path.parent().unwrap_or(Path::new(""));
    let lines = (1..).zip(text.lines());
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let malformed =
                |message: String| TrainError::malformed(path, format!("line {number}: {message}"));
            let object: Map<String, Value> =
                serde_json::from_str(line).map_err(|error| malformed(error.to_string()))?;
            of_object(object, root).map_err(malformed)
        })
        .collect()
}

fn of_object(object: Map<String, Value>, root: &Path) -> Result<Input, String> {
    let mut input = Input::default();
    for (key, value) in object {
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Null => continue,
            _ if ["audio", "semantic", "text", "speaker"].contains(&key.as_str()) => {
                return Err(format!("`{key}` is not text"));
            }
            _ => continue,
        };
        match key.as_str() {
            "audio" => input.name = text,
            "semantic" => input.semantic = Some(root.join(text)),
            "text" => input.text = Some(text),
            "speaker" => input.speaker = Some(text),
            _ => {
                input.fields.insert(key, text);
            }
        }
    }
    if input.name.is_empty() {
        return Err("there is no `audio`".into());
    }
    input.audio = root.join(&input.name);
    Ok(input)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_is_listed_by_name_with_its_folders() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("b/c")).unwrap();
        for name in ["z.wav", "b/c/y.FLAC", "b/x.ogg", "notes.txt", "wav"] {
            fs::write(dir.path().join(name), b"").unwrap();
        }
        let inputs = list_inputs(dir.path(), Some(Path::new("tokens"))).unwrap();
        let names: Vec<_> = inputs.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names, ["b/c/y.FLAC", "b/x.ogg", "z.wav"]);
        assert_eq!(inputs[1].audio, dir.path().join("b").join("x.ogg"));
        let semantic = Path::new("tokens").join("b/c/y.safetensors");
        assert_eq!(inputs[0].semantic.as_deref(), Some(semantic.as_path()));
    }

    #[test]
    fn a_manifest_carries_text_speaker_and_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        let line = r#"{"audio": "a.wav", "text": "hi", "speaker": 7, "split": "dev", "ok": true, "semantic": "a.st"}"#;
        fs::write(&path, format!("{line}\n\n{{\"audio\": \"b.wav\"}}\n")).unwrap();
        let inputs = list_inputs(&path, None).unwrap();
        assert_eq!(inputs.len(), 2);
        let first = &inputs[0];
        assert_eq!(first.audio, dir.path().join("a.wav"));
        assert_eq!(first.semantic, Some(dir.path().join("a.st")));
        assert_eq!(first.text.as_deref(), Some("hi"));
        assert_eq!(first.speaker.as_deref(), Some("7"));
        assert_eq!(first.fields.len(), 1);
        assert_eq!(first.fields["split"], "dev");
        for (line, says) in [
            ("{}", "no `audio`"),
            ("{\"audio\": []}", "not text"),
            ("[1]", "line 1"),
        ] {
            fs::write(&path, line).unwrap();
            let error = list_inputs(&path, None).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        fs::write(&path, "").unwrap();
        let error = list_inputs(&path, None).unwrap_err();
        assert!(matches!(error, TrainError::EmptySet { .. }), "{error}");
    }
}
