//! Equal codes and waveforms, on fixtures of `speechtokenizer` 1.0.1 (`xtask/fixtures/speechtokenizer.py`).

use burn::tensor::Tolerance;
use soundstorm_codec::Codec;
use soundstorm_codec::speechtokenizer::import::is_ignored;

use crate::support::{Fixture, VARIANTS, assert_close, import_state, respell};

#[test]
fn embeddings_codes_and_waveforms_equal_the_packages() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let levels = codec.spec().levels;
        assert_eq!(fixture.cases(), 6);
        for case in 0..fixture.cases() {
            let what = format!("{variant}, case {case}");
            let audio = fixture.float(&format!("audio.{case}"));
            let frames = codec.spec().frames(audio.dims()[2]);

            let embedding = codec.embed_audio(audio.clone()).unwrap();
            assert_eq!(embedding.dims()[2], frames);
            assert_close(
                embedding,
                fixture.float(&format!("embedding.{case}")),
                &what,
            );

            let codes = codec.encode(audio, None).unwrap();
            let expected = fixture.codes(&format!("codes.{case}"));
            codes.to_data().assert_eq(&expected.to_data(), false);

            for levels in 1..=levels {
                let wave = codec.decode(codes.clone().narrow(1, 0, levels)).unwrap();
                assert_eq!(wave.dims()[2], frames * codec.spec().hop);
                let expected = fixture.float(&format!("wave.{case}.{levels}"));
                assert_close(wave, expected, &format!("{what}, {levels} levels"));
            }
        }
    }
}

#[test]
fn encoding_fewer_levels_gives_the_coarsest() {
    let fixture = Fixture::read("elu");
    let codec = fixture.codec();
    let audio = fixture.float("audio.5");
    let all = codec.encode(audio.clone(), None).unwrap();
    for levels in 1..=codec.spec().levels {
        let some = codec.encode(audio.clone(), Some(levels)).unwrap();
        let expected = all.clone().narrow(1, 0, levels);
        some.to_data().assert_eq(&expected.to_data(), true);
    }
}

#[test]
fn a_row_of_a_batch_gets_what_it_gets_alone() {
    let fixture = Fixture::read("snake");
    let codec = fixture.codec();
    let audio = fixture.float("audio.5");
    let codes = codec.encode(audio.clone(), None).unwrap();
    let wave = codec.decode(codes.clone()).unwrap();
    let alone = codec.encode(audio.narrow(0, 1, 1), None).unwrap();
    let codes = codes.narrow(0, 1, 1);
    codes.to_data().assert_eq(&alone.to_data(), true);
    let alone = codec.decode(alone).unwrap();
    let wave = wave.narrow(0, 1, 1);
    wave.to_data()
        .assert_approx_eq::<f32>(&alone.to_data(), Tolerance::absolute(1e-5));
}

#[test]
fn every_tensor_is_taken_or_ignored_on_purpose() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let (_, taken) = import_state(&fixture.config, &fixture.state);
        for name in fixture.state.keys() {
            assert_ne!(taken.contains(name), is_ignored(name), "{variant}: {name}");
        }
    }
}

/// Newer PyTorch calls the norm and the direction otherwise; others fold them beforehand.
#[test]
fn all_spellings_of_weight_norm_load_alike() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let expected = fixture.codec().decode(fixture.codes("codes.3")).unwrap();
        for state in respell(&fixture.state) {
            let (codec, _) = import_state(&fixture.config, &state);
            let wave = codec.decode(fixture.codes("codes.3")).unwrap();
            wave.to_data().assert_eq(&expected.to_data(), true);
        }
    }
}
