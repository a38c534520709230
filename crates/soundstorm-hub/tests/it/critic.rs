//! Critics and self-conditioning of imported checkpoints against what soundstorm-pytorch computed
//! with them (`fixtures/soundstorm_critic`, written by `xtask/fixtures/soundstorm_critic.py`).

use std::convert::Infallible;

use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::Flex;
use soundstorm::{
    Conditions, Prepared,
    maskgit::{DecodeOptions, DecodeRow, decode},
};
use soundstorm_hub::{Model, SafetensorsSource, TensorSource, import, open_model};

use crate::{
    fixture,
    parity::{cases_of, options_of},
};

type B = Flex;

const FOLDER: &str = "soundstorm_critic";

/// A case with its expected tensors and the imported model.
struct Case {
    name: String,
    expected: SafetensorsSource,
    model: Model<B>,
    /// `[batch, levels, frames]`
    shape: [usize; 3],
    lengths: Vec<usize>,
    prepared: Prepared<B>,
}

impl Case {
    fn all() -> Vec<Self> {
        let cases = cases_of(FOLDER);
        assert_eq!(cases.len(), 2);
        cases.iter().map(Self::open).collect()
    }

    fn open(case: &serde_json::Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("model");
        let name = case["name"].as_str().unwrap().to_owned();
        let report = import(&options_of(FOLDER, case, &folder)).unwrap();
        assert_eq!(report.skipped, [""; 0]);
        assert_eq!(
            report.imported.tensors as u64,
            case["tensors"].as_u64().unwrap()
        );
        let expected = fixture(FOLDER).join(format!("{name}.safetensors"));
        let expected = SafetensorsSource::open(expected).unwrap();
        let shape: [usize; 3] = expected
            .info("codes")
            .unwrap()
            .shape
            .clone()
            .try_into()
            .unwrap();
        let [batch, _, frames] = shape;
        let lengths = match expected.tensors().contains_key("mask") {
            true => {
                let mask = expected.read_i64("mask").unwrap();
                let rows = mask.chunks(frames);
                rows.map(|row| row.iter().sum::<i64>() as usize).collect()
            }
            false => vec![frames; batch],
        };
        let conditions = match expected.tensors().get("semantic") {
            Some(info) => {
                let tokens = expected.read_i64("semantic").unwrap();
                let rows = tokens.chunks(info.shape[1]).map(<[i64]>::to_vec);
                rows.map(Conditions::semantic).collect()
            }
            None => vec![Conditions::default(); batch],
        };
        let model = open_model::<B>(&folder, &Default::default()).unwrap();
        let prepared = model
            .model
            .prepare(&conditions, Some(&lengths), frames)
            .unwrap();
        Self {
            name,
            expected,
            model,
            shape,
            lengths,
            prepared,
        }
    }

    fn codes(&self, name: &str) -> Tensor<B, 3, Int> {
        let values = self.expected.read_i64(name).unwrap();
        Tensor::from_data(TensorData::new(values, self.shape), &Default::default())
    }

    /// Compares at real frames; `got` is of one level, `width` numbers a frame.
    fn compare(&self, name: &str, level: usize, width: usize, got: Vec<f32>) {
        let [batch, levels, frames] = self.shape;
        let expected = self.expected.read_f32(name).unwrap();
        assert_eq!(expected.len(), batch * levels * frames * width);
        for row in 0..batch {
            for frame in 0..self.lengths[row] {
                for at in 0..width {
                    let got = got[(row * frames + frame) * width + at];
                    let want = expected[((row * levels + level) * frames + frame) * width + at];
                    let room = 1e-4 * want.abs().max(1.0);
                    let name = &self.name;
                    assert!((got - want).abs() <= room, "{name}: {got}, not {want}");
                }
            }
        }
    }
}

#[test]
fn scores_are_the_reference_s() {
    for case in Case::all() {
        let [batch, levels, frames] = case.shape;
        let model = &case.model.model;
        for level in 0..levels {
            let mut codes = case.codes("codes");
            if level + 1 < levels {
                let finer = [0..batch, level + 1..levels, 0..frames];
                let shape = [batch, levels - level - 1, frames];
                let masked = Tensor::full(shape, model.mask_id() as i64, &Default::default());
                codes = codes.slice_assign(finer, masked);
            }
            let lengths = Some(&case.lengths[..]);
            let scores = model.critic_scores(codes, &case.prepared, lengths, level);
            let scores = scores.unwrap().into_data().iter().collect();
            case.compare("scores", level, 1, scores);
        }
    }
}

/// The second of two passes over the same input.
#[test]
fn a_pass_after_another_is_the_reference_s() {
    for case in Case::all() {
        let model = &case.model.model;
        for level in 0..model.levels() {
            let mut passes = model.passes(&case.prepared, Some(&case.lengths));
            passes.level_logits(case.codes("masked_input"), 0);
            let logits = passes.level_logits(case.codes("masked_input"), level);
            let logits = logits.into_data().iter().collect();
            case.compare("again_logits", level, model.codebook_size(), logits);
        }
    }
}

#[test]
fn greedy_tokens_of_passes_in_a_row_are_the_reference_s() {
    for case in Case::all() {
        let model = &case.model.model;
        let [_, levels, frames] = case.shape;
        let masked = case.codes("codes").full_like(model.mask_id() as i64);
        let rows: Vec<DecodeRow> = case
            .lengths
            .iter()
            .map(|&frames| DecodeRow { frames, seed: 7 })
            .collect();
        let options = DecodeOptions {
            steps: vec![1],
            greedy: true,
            ..Default::default()
        };
        let mut passes = model.passes(&case.prepared, Some(&case.lengths));
        let net = |tokens, level| Ok::<_, Infallible>(passes.level_logits(tokens, level));
        let got = decode(masked, &rows, model.mask_id(), &options, net, |_| {}).unwrap();
        let got: Vec<i64> = got.into_data().iter().collect();
        let expected = case.expected.read_i64("again_greedy").unwrap();
        for (index, (got, want)) in got.iter().zip(&expected).enumerate() {
            if index % frames < case.lengths[index / frames / levels] {
                assert_eq!(got, want, "{} at {index}", case.name);
            }
        }
    }
}
