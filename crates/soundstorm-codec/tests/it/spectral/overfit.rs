//! A small spectral codec learns a second of a made-up voice by heart.

use std::f32::consts::TAU;

use burn::module::AutodiffModule;
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use soundstorm_codec::losses::{MelLossConfig, MelScale, StftLossConfig};
use soundstorm_codec::{Codec, SpectralConfig, draw_levels};

use crate::differences::A;
use crate::support::B;

const SAMPLES: usize = 16_000;
const STEPS: usize = 250;

/// Harmonics of a gliding pitch under two formants that move, with breath, in syllables.
fn voice() -> Tensor<B, 3> {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut phase = 0.0;
    let sample = |at: usize| {
        let time = at as f32 / 16_000.0;
        let pitch = 140.0 + 30.0 * (TAU * 1.3 * time).sin();
        phase = (phase + TAU * pitch / 16_000.0) % TAU;
        let formants = [
            600.0 + 200.0 * (TAU * 2.0 * time).sin(),
            1700.0 + 500.0 * (TAU * 1.1 * time).cos(),
        ];
        let partial = |k: usize| {
            let hz = k as f32 * pitch;
            let near = formants.map(|formant: f32| (-((hz - formant) / 180.0).powi(2)).exp());
            (0.05 + near[0] + near[1]) * (k as f32 * phase).sin()
        };
        let breath = rng.next_u32() as f32 / u32::MAX as f32 - 0.5;
        let loudness = (TAU * 2.0 * time).sin().abs();
        0.1 * loudness * (1..30).map(partial).sum::<f32>() + 0.02 * breath
    };
    let samples = (0..SAMPLES).map(sample).collect::<Vec<_>>();
    Tensor::from_data(
        TensorData::new(samples, [1, 1, SAMPLES]),
        &Default::default(),
    )
}

#[test]
fn a_second_of_voice_is_learned() {
    let device = Default::default();
    let config = SpectralConfig {
        window: 256,
        hop: 64,
        dimension: 48,
        expansion: 2,
        kernel: 5,
        encoder_blocks: 1,
        decoder_blocks: 2,
        num_quantizers: 4,
        codebook_size: 64,
        codebook_dimension: 8,
        ..SpectralConfig::default()
    };
    let scales = [(64, 10), (256, 40), (1024, 80)];
    let scales = scales.map(|(window, bands)| MelScale { window, bands });
    let mel = MelLossConfig {
        sample_rate: 16_000,
        scales: scales.to_vec(),
    };
    let mel = mel.init::<A>(&device).unwrap();
    let windows = vec![128, 512];
    let stft = StftLossConfig { windows }.init::<A>(&device).unwrap();

    let audio = Tensor::<A, 3>::from_inner(voice());
    let mut codec = config.init::<A>(&device).unwrap();
    let mut optimizer = AdamConfig::new().init();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut first = None;
    for _ in 0..STEPS {
        let levels = draw_levels(&mut rng, 1, 4, 0.2);
        let got = codec.reconstruct(audio.clone(), &levels).unwrap();
        let terms = stft.forward(got.wave.clone(), audio.clone());
        let mel = mel.forward(got.wave, audio.clone());
        first.get_or_insert_with(|| mel.clone().into_scalar());
        let spectra = mel + terms.convergence + terms.log_magnitude;
        let quantizer = got.quantized.commitment_loss * 0.25 + got.quantized.codebook_loss.unwrap();
        let gradients = (spectra + quantizer).backward();
        let gradients = GradientsParams::from_grads(gradients, &codec);
        codec = optimizer.step(3e-3, codec, gradients);
    }
    // As it is used: through its codes.
    let (codec, mel, audio) = (codec.valid(), mel.valid(), audio.inner());
    let codes = codec.encode(audio.clone(), None).unwrap();
    let loss = |levels: usize| {
        let wave = codec.decode(codes.clone().narrow(1, 0, levels)).unwrap();
        mel.forward(wave, audio.clone()).into_scalar()
    };
    let (first, last) = (first.unwrap(), loss(4));
    println!(
        "mel loss from {first} to {last}, with one level {}",
        loss(1)
    );
    assert!(last < first / 2.0, "{first}, {last}");
    assert!(last < loss(1), "{last}, {}", loss(1));
}
