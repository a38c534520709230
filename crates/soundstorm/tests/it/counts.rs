//! The sizes of the presets, without building them.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use soundstorm::Preset;

use crate::support::B;

/// Parameters and tensors, counted without initialising any.
fn count(preset: Preset) -> (usize, usize) {
    struct Count(usize, usize);
    impl ModuleVisitor<B> for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0 += param.lazy_shape().num_elements();
            self.1 += 1;
        }
    }
    let model = preset.config().init::<B>(&Default::default()).unwrap();
    let mut count = Count(0, 0);
    model.visit(&mut count);
    (count.0, count.1)
}

/// Counted by PyTorch from soundstorm-pytorch 0.6.1 and 0.1.0: see `counts.json`
/// among the fixtures of soundstorm-hub. Query, key and value are one tensor here
/// and two there, for each of 12 blocks.
#[test]
fn presets_have_the_reference_sizes() {
    assert_eq!(count(Preset::Uslm), (351_378_432, 356 - 12));
    assert_eq!(count(Preset::Anygpt), (351_378_432, 356 - 12));
    assert_eq!(count(Preset::Reference).0, 365_615_104);
    assert_eq!(count(Preset::Small).0, 15_021_568);
}

/// The paper says 350 M. Beside `reference`: dense heads have no projections and
/// no norm, there is no value residual, and there are semantic tokens.
#[test]
fn the_papers_model_has_its_size() {
    let (dim, levels, depth, heads, semantic) = (1024, 12, 12, 16, 1024);
    let projections = levels * (dim * dim + dim) + 2 * dim;
    let value_residual = (depth - 1) * dim * heads;
    assert_eq!(
        count(Preset::Paper).0,
        365_615_104 - projections - value_residual + semantic * dim
    );
}
