//! Equal codes and waveforms, whole signals; levels and groups.

use burn::prelude::*;
use soundstorm_codec::soundstream::import::is_ignored;
use soundstorm_codec::{AnyCodec, Codec, CodecError};

use super::fixture::{Fixture, VARIANTS};
use crate::support::{B, assert_close};

/// The coarsest levels of every group.
fn coarsest(codes: &Tensor<B, 3, Int>, groups: usize, levels: usize) -> Tensor<B, 3, Int> {
    let each = codes.dims()[1] / groups;
    let group = |group: usize| codes.clone().narrow(1, group * each, levels / groups);
    Tensor::cat((0..groups).map(group).collect(), 1)
}

#[test]
fn embeddings_codes_and_waveforms_equal_the_packages() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let (spec, groups) = (codec.spec(), fixture.config.groups);
        assert_eq!(fixture.tensors.cases(), 6);
        for case in 0..fixture.tensors.cases() {
            let what = format!("{variant}, case {case}");
            let audio = fixture.tensors.float(&format!("audio.{case}"));
            let frames = spec.frames(audio.dims()[2]);

            let embedding = codec.embed_audio(audio.clone()).unwrap();
            assert_eq!(embedding.dims()[2], frames, "{what}");
            let expected = fixture.tensors.float(&format!("embedding.{case}"));
            assert_close(embedding, expected, &what);

            let codes = codec.encode(audio, None).unwrap();
            let expected = fixture.tensors.int::<3>(&format!("codes.{case}"));
            codes.to_data().assert_eq(&expected.to_data(), false);

            for levels in (groups..=spec.levels).step_by(groups) {
                let wave = codec.decode(coarsest(&codes, groups, levels)).unwrap();
                assert_eq!(wave.dims()[2], frames * spec.hop);
                let expected = fixture.tensors.float(&format!("wave.{case}.{levels}"));
                assert_close(wave, expected, &format!("{what}, {levels} levels"));
            }
        }
    }
}

/// The package cuts off what is no whole frame: the frames that it keeps are the same.
#[test]
fn the_last_partial_frame_changes_no_other() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let audio = fixture.tensors.float("audio.4");
        let hop = codec.spec().hop;
        let whole = audio.dims()[2] / hop;
        assert_ne!(audio.dims()[2], whole * hop, "{variant}");
        let cut = codec.encode(audio.clone().narrow(2, 0, whole * hop), None);
        let all = codec.encode(audio, None).unwrap();
        assert_eq!(all.dims()[2], whole + 1);
        let all = all.narrow(2, 0, whole).to_data();
        all.assert_eq(&cut.unwrap().to_data(), true);
    }
}

#[test]
fn encoding_fewer_levels_gives_the_coarsest_of_every_group() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = AnyCodec::SoundStream(fixture.codec());
        let (audio, groups) = (fixture.tensors.float("audio.5"), fixture.config.groups);
        let all = codec.encode(audio.clone(), None).unwrap();
        for levels in (groups..=codec.spec().levels).step_by(groups) {
            let some = codec.encode(audio.clone(), Some(levels)).unwrap();
            let expected = coarsest(&all, groups, levels).to_data();
            some.to_data().assert_eq(&expected, true);
        }
    }
}

#[test]
fn every_group_has_as_many_levels() {
    let codec = AnyCodec::SoundStream(Fixture::read("grouped").codec());
    let device = Default::default();
    let audio = || Tensor::<B, 3>::zeros([1, 1, 50], &device);
    for got in [1, 3, 5] {
        let expected = |operation| CodecError::GroupLevels {
            operation,
            codec: "soundstream".to_owned(),
            groups: 2,
            got,
        };
        let error = codec.encode(audio(), Some(got)).unwrap_err();
        assert_eq!(error, expected("encode"));
        let codes = Tensor::<B, 3, Int>::zeros([1, got, 4], &device);
        assert_eq!(codec.decode(codes).unwrap_err(), expected("decode"));
        let message = format!(
            "encode: soundstream has 2 groups of levels: expected a multiple of 2, got {got}"
        );
        assert_eq!(error.to_string(), message);
    }
    let error = codec.encode(audio(), Some(8)).unwrap_err();
    assert!(matches!(error, CodecError::Levels { available: 6, .. }));
    let wrong = Tensor::<B, 3, Int>::full([1, 2, 4], 16, &device);
    let error = codec.decode(wrong).unwrap_err();
    assert!(matches!(error, CodecError::CodeOutOfRange { got: 16, .. }));
}

#[test]
fn a_row_of_a_batch_gets_what_it_gets_alone() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        let audio = fixture.tensors.float("audio.5");
        let codes = codec.encode(audio.clone(), None).unwrap();
        let wave = codec.decode(codes.clone()).unwrap();
        let alone = codec.encode(audio.narrow(0, 1, 1), None).unwrap();
        let codes = codes.narrow(0, 1, 1).to_data();
        codes.assert_eq(&alone.to_data(), true);
        let alone = codec.decode(alone).unwrap();
        assert_close(wave.narrow(0, 1, 1), alone, variant);
    }
}

#[test]
fn every_tensor_is_taken_or_ignored_on_purpose() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let (_, taken) = fixture.import();
        assert!(fixture.state.contains_key("encoder_film.to_cond.weight"));
        for name in fixture.state.keys() {
            assert_ne!(taken.contains(name), is_ignored(name), "{variant}: {name}");
        }
    }
}
