//! Steps of training quantizers, against those of `xtask/fixtures/quantizer_training.py`.

use std::path::PathBuf;

use burn::module::Param;
use burn::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use soundstorm_codec::dac::{DacQuantizer, DacQuantizerConfig};
use soundstorm_codec::{
    AveragesConfig, PaddedConv1d, ResidualVectorQuantizer, ResidualVectorQuantizerConfig, k_means,
};

use crate::differences::A;
use crate::support::{B, Tensors, folder};

const LEVELS: usize = 2;

fn fixture(name: &str) -> Tensors {
    let file: PathBuf = folder("quantizer_training").join(name);
    Tensors::read(&file.with_extension("safetensors"))
}

fn close<const D: usize>(got: Tensor<B, D>, expected: Tensor<B, D>, what: &str) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let scale = expected.clone().abs().max().into_scalar().max(1.0);
    let error = (got - expected).abs().max().into_scalar();
    assert!(error <= 1e-5 * scale, "{what}: off by {error} of {scale}");
}

fn set<Bk: Backend, const D: usize>(param: &mut Param<Tensor<Bk, D>>, value: Tensor<Bk, D>) {
    *param = param.clone().map(|_| value);
}

#[test]
fn k_means_is_the_packages() {
    let fixture = fixture("averages");
    let samples = fixture.float::<2>("k_means.samples");
    let start = samples.clone().narrow(0, 0, 7);
    let (means, counts) = k_means(samples, start, 4);
    close(means, fixture.float("k_means.means"), "means");
    close(counts, fixture.float("k_means.counts"), "counts");
}

/// Codes, losses, and what the codebooks and their averages are after each step.
#[test]
fn averages_follow_as_the_packages_do() {
    let fixture = fixture("averages");
    let config = ResidualVectorQuantizerConfig {
        dimension: 5,
        codebook_size: 7,
        levels: LEVELS,
    };
    let mut quantizer: ResidualVectorQuantizer<B> = config.init(&Default::default());
    let config = AveragesConfig {
        decay: 0.9,
        revive_below: 0.0,
        ..AveragesConfig::default()
    };
    let mut averages = config.init(&quantizer).unwrap();
    for level in 0..LEVELS {
        let part = |name: &str| format!("start.{level}.{name}");
        set(
            &mut quantizer.codebooks[level],
            fixture.float(&part("codebook")),
        );
        set(
            &mut averages.levels[level].counts,
            fixture.float(&part("counts")),
        );
        set(
            &mut averages.levels[level].sums,
            fixture.float(&part("sums")),
        );
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for step in 0..3 {
        let x = fixture.float::<3>(&format!("x.{step}"));
        let rows = [LEVELS; 2];
        let quantized = quantizer.quantize(x.clone(), &rows);
        let codes = fixture.int::<3>(&format!("codes.{step}")).into_data();
        quantized.codes.to_data().assert_eq(&codes, false);
        let loss = fixture.float(&format!("loss.{step}"));
        close(quantized.commitment_loss, loss, "loss");
        averages.update(&mut quantizer, x, quantized.codes, &rows, &mut rng);
        for level in 0..LEVELS {
            let part = |name: &str| format!("after.{step}.{level}.{name}");
            let name = part("codebook");
            close(
                quantizer.codebooks[level].val(),
                fixture.float(&name),
                &name,
            );
            let level = &averages.levels[level];
            close(level.counts.val(), fixture.float(&part("counts")), "counts");
            close(level.sums.val(), fixture.float(&part("sums")), "sums");
        }
    }
}

fn set_projection(fixture: &Tensors, name: &str, layer: &mut PaddedConv1d<A>) {
    let weight = fixture.float(&format!("state.{name}.weight"));
    let bias = fixture.float(&format!("state.{name}.bias"));
    set(&mut layer.weight, Tensor::from_inner(weight).require_grad());
    set(&mut layer.bias, Tensor::from_inner(bias).require_grad());
}

/// Codes, vectors, losses, and the gradients of all that learns.
#[test]
fn projected_codebooks_learn_as_the_packages_do() {
    let fixture = fixture("factorized");
    let config = DacQuantizerConfig {
        dimension: 7,
        codebook_size: 13,
        codebook_dimension: 3,
        levels: 4,
    };
    let mut quantizer: DacQuantizer<A> = config.init(&Default::default());
    for (index, level) in quantizer.levels.iter_mut().enumerate() {
        let name = format!("quantizers.{index}");
        set_projection(&fixture, &format!("{name}.in_proj"), &mut level.in_proj);
        set_projection(&fixture, &format!("{name}.out_proj"), &mut level.out_proj);
        let codebook = fixture.float(&format!("state.{name}.codebook.weight"));
        set(
            &mut level.codebook,
            Tensor::from_inner(codebook).require_grad(),
        );
    }
    let x = Tensor::<A, 3>::from_inner(fixture.float("x")).require_grad();
    let weights = Tensor::<A, 3>::from_inner(fixture.float("weights"));
    let row_levels = fixture.int::<1>("row_levels").into_data();
    let row_levels: Vec<usize> = row_levels.iter::<i64>().map(|n| n as usize).collect();

    let got = quantizer.quantize(x.clone(), &row_levels);
    let codes = fixture.int::<3>("codes").into_data();
    got.codes.into_data().assert_eq(&codes, false);
    close(
        got.vectors.clone().inner(),
        fixture.float("vectors"),
        "vectors",
    );
    let (commitment, codebook) = (got.commitment_loss, got.codebook_loss.unwrap());
    let expected = |name: &str| fixture.float::<1>(name);
    close(
        commitment.clone().inner(),
        expected("commitment_loss"),
        "commitment",
    );
    close(
        codebook.clone().inner(),
        expected("codebook_loss"),
        "codebook",
    );

    let loss = (weights * got.vectors).sum() + commitment * 0.25 + codebook;
    let gradients = loss.backward();
    close(
        x.grad(&gradients).unwrap(),
        fixture.float("gradient.x"),
        "x",
    );
    for (index, level) in quantizer.levels.iter().enumerate() {
        let name = |part: &str| format!("gradient.quantizers.{index}.{part}");
        let projections = [("in_proj", &level.in_proj), ("out_proj", &level.out_proj)];
        for (part, layer) in projections {
            let name = |leaf: &str| name(&format!("{part}.{leaf}"));
            let weight = layer.weight.val().grad(&gradients).unwrap();
            close(weight, fixture.float(&name("weight")), &name("weight"));
            let bias = layer.bias.val().grad(&gradients).unwrap();
            close(bias, fixture.float(&name("bias")), &name("bias"));
        }
        let codebook = level.codebook.val().grad(&gradients).unwrap();
        let name = name("codebook.weight");
        close(codebook, fixture.float(&name), &name);
    }
}
