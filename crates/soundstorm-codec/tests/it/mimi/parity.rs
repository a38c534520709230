//! Equal codes and waveforms, whole signals.

use burn::prelude::*;
use burn::tensor::Tolerance;
use soundstorm_codec::mimi::import::is_ignored;
use soundstorm_codec::{AnyCodec, Codec};

use super::fixture::{Fixture, VARIANTS, import, moshi};
use crate::support::B;

fn assert_close(got: Tensor<B, 3>, expected: Tensor<B, 3>, what: &str) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let scale = expected.clone().abs().max().into_scalar().max(1.0);
    let error = (got - expected).abs().max().into_scalar();
    assert!(error <= 1e-5 * scale, "{what}: off by {error} of {scale}");
}

#[test]
fn embeddings_codes_and_waveforms_equal_the_packages() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let spec = codec.spec();
        assert_eq!(fixture.cases(), 6);
        for case in 0..fixture.cases() {
            let what = format!("{variant}, case {case}");
            let audio = fixture.float(&format!("audio.{case}"));
            let frames = spec.frames(audio.dims()[2]);

            let embedding = codec.embed_audio(audio.clone()).unwrap();
            assert_eq!(embedding.dims()[2], frames);
            let expected = fixture.float(&format!("embedding.{case}"));
            assert_close(embedding, expected, &what);

            let codes = codec.encode(audio, None).unwrap();
            let expected = fixture.codes(&format!("codes.{case}"));
            codes.to_data().assert_eq(&expected.to_data(), false);

            for levels in 1..=spec.levels {
                let wave = codec.decode(codes.clone().narrow(1, 0, levels)).unwrap();
                assert_eq!(wave.dims()[2], frames * spec.hop);
                let expected = fixture.float(&format!("wave.{case}.{levels}"));
                assert_close(wave, expected, &format!("{what}, {levels} levels"));
            }
        }
    }
}

#[test]
fn encoding_fewer_levels_gives_the_coarsest() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = AnyCodec::Mimi(fixture.codec());
        let audio = fixture.float("audio.5");
        let all = codec.encode(audio.clone(), None).unwrap();
        for levels in 1..=codec.spec().levels {
            let some = codec.encode(audio.clone(), Some(levels)).unwrap();
            let expected = all.clone().narrow(1, 0, levels);
            some.to_data().assert_eq(&expected.to_data(), true);
        }
    }
}

#[test]
fn a_row_of_a_batch_gets_what_it_gets_alone() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let audio = fixture.float("audio.5");
        let codes = codec.encode(audio.clone(), None).unwrap();
        let wave = codec.decode(codes.clone()).unwrap();
        let alone = codec.encode(audio.narrow(0, 1, 1), None).unwrap();
        let codes = codes.narrow(0, 1, 1);
        codes.to_data().assert_eq(&alone.to_data(), true);
        let alone = codec.decode(alone).unwrap();
        let wave = wave.narrow(0, 1, 1).to_data();
        wave.assert_approx_eq::<f32>(&alone.to_data(), Tolerance::absolute(1e-5));
    }
}

#[test]
fn every_tensor_is_taken_or_ignored_on_purpose() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        for state in [
            fixture.state.clone(),
            moshi(&fixture.config, &fixture.state),
        ] {
            let (_, taken) = import(&fixture.config, &state);
            for name in state.keys() {
                assert_ne!(taken.contains(name), is_ignored(name), "{variant}: {name}");
            }
        }
    }
}

#[test]
fn both_layouts_load_alike() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let other = moshi(&fixture.config, &fixture.state);
        assert!(other.contains_key("encoder.model.0.conv.conv.weight"));
        assert!(other.contains_key("decoder.model.2.convtr.convtr.weight"));
        assert!(other.contains_key("quantizer.rvq_first.vq.layers.0._codebook.embedding_sum"));
        let (other, _) = import(&fixture.config, &other);
        let codec = fixture.codec();
        let audio = fixture.float("audio.4");
        let embedding = codec.embed_audio(audio.clone()).unwrap().to_data();
        let same = other.embed_audio(audio).unwrap().to_data();
        embedding.assert_eq(&same, true);
        let codes = fixture.codes("codes.4");
        let wave = codec.decode(codes.clone()).unwrap().to_data();
        wave.assert_eq(&other.decode(codes).unwrap().to_data(), true);
    }
}
