//! Imported checkpoints of every layout against what soundstorm-pytorch computed with them
//! (`fixtures/soundstorm`, written by `xtask/fixtures/soundstorm.py`). Where a model has
//! self-conditioning, every pass here is a first one, with the null embedding.

use std::convert::Infallible;

use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use serde_json::Value;
use soundstorm::maskgit::{DecodeOptions, DecodeRow, decode};
use soundstorm::{GenerateRow, Prompt, RowCodes};
use soundstorm_hub::{
    ImportFrom, ImportOptions, Model, SafetensorsSource, Setting, TensorSource, import, inspect,
    open_model,
};

use crate::fixture;

type B = Flex;

const TOLERANCE: f64 = 1e-4;

/// Fixtures, each with what its tensors cannot tell.
pub(crate) fn cases() -> Vec<Value> {
    cases_of("soundstorm")
}

pub(crate) fn cases_of(folder: &str) -> Vec<Value> {
    let path = fixture(&format!("{folder}/cases.json"));
    let text = std::fs::read_to_string(path).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all["cases"].as_array().unwrap().clone()
}

pub(crate) fn options(case: &Value, destination: &std::path::Path) -> ImportOptions {
    options_of("soundstorm", case, destination)
}

pub(crate) fn options_of(
    folder: &str,
    case: &Value,
    destination: &std::path::Path,
) -> ImportOptions {
    let name = case["name"].as_str().unwrap();
    let source = fixture(folder).join(format!("{name}.pt"));
    let mut options = ImportOptions::new(ImportFrom::SoundStormPytorch, source, destination);
    let mut set = |key: &str, value: String| {
        let key = key.to_owned();
        options.settings.push(Setting { key, value });
    };
    let conformer = &case["settings"]["conformer"];
    set("heads", conformer["heads"].to_string());
    set("conv_causal", conformer["conv_causal"].to_string());
    if case["value_residual"] == "average" {
        set("value_residual", "average".into());
    }
    if let Some(rates) = case["settings"]["rates"].as_object() {
        for (key, theirs) in [
            ("semantic_sample_rate", "semantic_hz"),
            ("semantic_hop", "semantic_hop"),
            ("acoustic_sample_rate", "codec_hz"),
            ("acoustic_hop", "codec_hop"),
        ] {
            set(key, rates[theirs].to_string());
        }
    }
    options
}

/// A case with its expected tensors and the imported model.
struct Case {
    name: String,
    expected: SafetensorsSource,
    model: Model<B>,
    /// `[batch, levels, frames]`
    shape: [usize; 3],
    prompt_frames: usize,
    /// What the names of expected tensors begin with.
    prefix: &'static str,
}

impl Case {
    fn open(case: &Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("model");
        let name = case["name"].as_str().unwrap().to_owned();
        let report = import(&options(case, &folder)).unwrap();
        let layout = case["layout"].as_str().unwrap();
        assert_eq!(
            report.imported.layout,
            format!("soundstorm-pytorch {layout}")
        );
        assert_eq!(inspect(&folder).unwrap().sha256, report.weights_sha256);
        let expected = fixture("soundstorm").join(format!("{name}.safetensors"));
        let expected = SafetensorsSource::open(expected).unwrap();
        let shape = expected.info("codes").unwrap().shape.clone();
        Self {
            name,
            expected,
            model: open_model(&folder, &Default::default()).unwrap(),
            shape: shape.try_into().unwrap(),
            prompt_frames: case["prompt_frames"].as_u64().unwrap() as usize,
            prefix: match case["settings"]["self_cond"] == true {
                true => "self_cond_",
                false => "",
            },
        }
    }

    fn expected(&self, name: &str) -> Vec<f32> {
        let name = format!("{}{name}", self.prefix);
        self.expected.read_f32(&name).unwrap()
    }

    fn codes(&self, name: &str) -> Tensor<B, 3, Int> {
        let values = self.expected.read_i64(name).unwrap();
        Tensor::from_data(TensorData::new(values, self.shape), &Default::default())
    }

    /// Real frames of each row.
    fn lengths(&self) -> Vec<usize> {
        let [batch, _, frames] = self.shape;
        if !self.expected.tensors().contains_key("mask") {
            return vec![frames; batch];
        }
        let mask = self.expected.read_i64("mask").unwrap();
        mask.chunks(frames)
            .map(|row| row.iter().sum::<i64>() as usize)
            .collect()
    }

    fn semantic(&self) -> Option<Vec<Vec<i64>>> {
        let info = self.expected.tensors().get("semantic")?;
        let values = self.expected.read_i64("semantic").unwrap();
        Some(values.chunks(info.shape[1]).map(<[i64]>::to_vec).collect())
    }

    /// A row's codes of a tensor, `[levels][frames]`, between two frames.
    fn row(&self, name: &str, row: usize, from: usize, to: usize) -> RowCodes {
        let [_, levels, frames] = self.shape;
        let values = self.expected.read_i64(name).unwrap();
        let row = &values[row * levels * frames..][..levels * frames];
        row.chunks(frames)
            .map(|level| level[from..to].to_vec())
            .collect()
    }

    fn logits(&self) {
        let [batch, levels, frames] = self.shape;
        let model = &self.model.model;
        let condition = model.condition(self.semantic().as_deref(), frames).unwrap();
        let lengths = self.lengths();
        let got = model.logits(self.codes("masked_input"), condition, Some(&lengths));
        assert_eq!(got.dims(), [batch, levels, frames, model.codebook_size()]);
        let got: Vec<f32> = got.into_data().iter().collect();
        let expected = self.expected("logits");
        let size = model.codebook_size();
        let mut compared = 0;
        for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let frame = index / size % frames;
            if frame < lengths[index / size / frames / levels] {
                let room = TOLERANCE * f64::from(expected.abs().max(1.0));
                let apart = f64::from((got - expected).abs());
                assert!(
                    apart <= room,
                    "{}: logit {index}: {got}, not {expected}",
                    self.name
                );
                compared += 1;
            }
        }
        assert_eq!(compared, lengths.iter().sum::<usize>() * levels * size);
    }

    fn evaluation(&self) {
        let lengths = self.lengths();
        let semantic = self.semantic();
        let scores = self
            .model
            .model
            .evaluate(
                self.codes("codes"),
                Some(&lengths),
                semantic.as_deref(),
                |_| {},
            )
            .unwrap();
        let losses = self.expected("eval_loss");
        let accuracies = self.expected("eval_accuracy");
        assert_eq!(scores.len(), losses.len());
        for (level, score) in scores.iter().enumerate() {
            let apart = (score.loss - f64::from(losses[level])).abs();
            assert!(
                apart <= TOLERANCE,
                "{}: {score:?}, not {}",
                self.name,
                losses[level]
            );
            let apart = (score.accuracy - f64::from(accuracies[level])).abs();
            assert!(
                apart <= 1e-6,
                "{}: {score:?}, not {}",
                self.name,
                accuracies[level]
            );
        }
    }

    /// A generation whose passes know of none before them: so the reference's were made.
    fn first_passes(&self, options: &DecodeOptions, prompt_frames: usize) -> Vec<RowCodes> {
        let model = &self.model.model;
        let (lengths, semantic) = (self.lengths(), self.semantic());
        let [batch, levels, frames] = self.shape;
        let mask = model.mask_id() as i64;
        let mut tokens = vec![mask; batch * levels * frames];
        for row in 0..batch {
            let prompt = self.row("codes", row, 0, prompt_frames);
            for (level, codes) in prompt.iter().enumerate() {
                let start = (row * levels + level) * frames;
                tokens[start..start + prompt_frames].copy_from_slice(codes);
            }
        }
        let tokens = TensorData::new(tokens, self.shape);
        let tokens = Tensor::<B, 3, Int>::from_data(tokens, &model.device());
        let rows: Vec<_> = lengths
            .iter()
            .map(|&frames| DecodeRow { frames, seed: 7 })
            .collect();
        let condition = model.condition(semantic.as_deref(), frames).unwrap();
        let net = |tokens, level| {
            let condition = condition.clone();
            Ok::<_, Infallible>(model.level_logits(tokens, condition, Some(&lengths), level))
        };
        let decoded = decode(tokens, &rows, model.mask_id(), options, net, |_| ()).unwrap();
        let codes: Vec<i64> = decoded.into_data().iter::<i64>().collect();
        let row = |(row, length): (usize, &usize)| {
            let level = |level: usize| {
                let start = (row * levels + level) * frames;
                codes[start + prompt_frames..start + length].to_vec()
            };
            (0..levels).map(level).collect()
        };
        lengths.iter().enumerate().map(row).collect()
    }

    fn greedy(&self, prompt_frames: usize, name: &str) {
        let lengths = self.lengths();
        let semantic = self.semantic();
        let rows: Vec<_> = (0..self.shape[0])
            .map(|row| {
                let mut own = semantic.as_ref().map(|semantic| semantic[row].clone());
                let prompt = (prompt_frames > 0).then(|| Prompt {
                    codes: self.row("codes", row, 0, prompt_frames),
                    semantic: own.as_mut().map(|own| own.drain(..1).collect()),
                });
                GenerateRow {
                    frames: Some(lengths[row] - prompt_frames),
                    seed: 7,
                    semantic: own,
                    prompt,
                    ..GenerateRow::default()
                }
            })
            .collect();
        let options = DecodeOptions {
            steps: vec![1],
            greedy: true,
            ..Default::default()
        };
        let got = match self.prefix {
            "" => self.model.model.generate(&rows, &options, |_| {}).unwrap(),
            _ => self.first_passes(&options, prompt_frames),
        };
        for (row, got) in got.into_iter().enumerate() {
            let name = format!("{}{name}", self.prefix);
            let expected = self.row(&name, row, prompt_frames, lengths[row]);
            assert_eq!(got, expected, "{} {name} row {row}", self.name);
        }
    }
}

fn every_case(check: impl Fn(&Case)) {
    let cases = cases();
    assert!(cases.len() >= 20);
    for case in &cases {
        check(&Case::open(case));
    }
}

#[test]
fn logits_are_the_reference_s() {
    every_case(Case::logits);
}

#[test]
fn losses_and_accuracies_are_the_reference_s() {
    every_case(Case::evaluation);
}

#[test]
fn greedy_tokens_are_the_reference_s() {
    every_case(|case| {
        case.greedy(0, "greedy");
        case.greedy(case.prompt_frames, "greedy_prompt");
    });
}

#[test]
fn configurations_are_found_in_the_tensors() {
    for case in cases() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("model");
        let report = import(&options(&case, &folder)).unwrap();
        let model: Value =
            serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        let settings = &case["settings"];
        for key in ["codebook_size", "num_quantizers", "grouped_quantizers"] {
            assert_eq!(model[key], settings[key], "{key}");
        }
        for (key, value) in settings["conformer"].as_object().unwrap() {
            assert_eq!(&model["conformer"][key], value, "{key}");
        }
        assert_eq!(model["semantic"]["vocab"], settings["semantic"]["vocab"]);
        assert_eq!(model["model_type"], "soundstorm");
        assert_eq!(
            model["imported"]["file"],
            format!("{}.pt", case["name"].as_str().unwrap())
        );
        assert_eq!(report.skipped, [""; 0]);
        assert_eq!(
            report.imported.tensors as u64,
            case["tensors"].as_u64().unwrap()
        );
        assert_eq!(
            report.imported.parameters,
            case["parameters"].as_u64().unwrap()
        );
        let has = |section: &str| model.get(section).is_some();
        assert_eq!(has("self_conditioning"), settings["self_cond"] == true);
        assert_eq!(has("critic"), settings["self_token_critic"] == true);
        let training = case["package"] == "training";
        assert_eq!(!report.ignored.is_empty(), training);
    }
}
