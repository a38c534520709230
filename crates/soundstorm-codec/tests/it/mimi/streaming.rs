//! A stream gives what the whole gives, wherever it is cut.

use burn::prelude::*;
use burn::tensor::Distribution;
use proptest::prelude::*;
use soundstorm_codec::{Codec, CodecError, Mimi, StreamingCodec};

use super::fixture::{Fixture, VARIANTS};
use crate::support::B;

/// All codes of a signal that comes in pieces of these lengths, the last one for the rest.
fn encode(codec: &Mimi<B>, audio: &Tensor<B, 3>, pieces: &[usize]) -> Tensor<B, 3, Int> {
    let [_, _, samples] = audio.dims();
    let hop = codec.spec().hop;
    let mut state = codec.start_encoding(None).unwrap();
    let (mut codes, mut frames, mut start) = (Vec::new(), 0, 0);
    for piece in pieces.iter().copied().chain([samples]) {
        let end = samples.min(start + piece);
        let piece = match end - start {
            0 => Tensor::zeros([audio.dims()[0], 1, 0], &Default::default()),
            length => audio.clone().narrow(2, start, length),
        };
        start = end;
        let new = codec.encode_piece(&mut state, piece).unwrap();
        frames += new.as_ref().map_or(0, |new| new.dims()[2]);
        assert_eq!(frames, start / hop, "every whole frame, at once");
        codes.extend(new);
    }
    codes.extend(codec.finish_encoding(state));
    Tensor::cat(codes, 2)
}

fn decode(codec: &Mimi<B>, codes: &Tensor<B, 3, Int>, pieces: &[usize]) -> Tensor<B, 3> {
    let [_, _, frames] = codes.dims();
    let mut state = codec.start_decoding().unwrap();
    let (mut waves, mut start) = (Vec::new(), 0);
    for piece in pieces.iter().copied().chain([frames]) {
        let end = frames.min(start + piece);
        if start < end {
            let piece = codes.clone().narrow(2, start, end - start);
            let wave = codec.decode_piece(&mut state, piece).unwrap().unwrap();
            assert_eq!(wave.dims()[2], (end - start) * codec.spec().hop);
            waves.push(wave);
        }
        start = end;
    }
    assert!(codec.finish_decoding(state).is_none());
    Tensor::cat(waves, 2)
}

fn assert_same(codec: &Mimi<B>, audio: &Tensor<B, 3>, samples: &[usize], frames: &[usize]) {
    let whole = codec.encode(audio.clone(), None).unwrap();
    let pieces = encode(codec, audio, samples);
    pieces.to_data().assert_eq(&whole.to_data(), true);

    let pieces = decode(codec, &whole, frames);
    let whole = codec.decode(whole).unwrap();
    assert_eq!(pieces.dims(), whole.dims());
    let scale = whole.clone().abs().max().into_scalar().max(1.0);
    let error = (pieces - whole).abs().max().into_scalar();
    assert!(error <= 1e-5 * scale, "off by {error} of {scale}");
}

#[test]
fn sample_by_sample_and_frame_by_frame() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let codec = fixture.codec();
        for case in 0..fixture.cases() {
            let audio = fixture.float(&format!("audio.{case}"));
            assert_same(&codec, &audio, &[1; 211], &[1; 18]);
            assert_same(&codec, &audio, &[codec.spec().hop; 18], &[2; 9]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_cut_gives_what_the_whole_gives(
        variant in 0..VARIANTS.len(),
        length in 1usize..=194,
        samples in proptest::collection::vec(0usize..47, 0..12),
        frames in proptest::collection::vec(0usize..7, 0..6),
    ) {
        let fixture = Fixture::read(VARIANTS[variant]);
        // Both rows, one after the other, as two rows of another signal.
        let audio = fixture.float("audio.5");
        let audio = Tensor::cat(vec![audio.clone(), audio.flip([0])], 2).narrow(2, 0, length);
        assert_same(&fixture.codec(), &audio, &samples, &frames);
    }
}

#[test]
fn fewer_levels_are_streamed_alike() {
    let fixture = Fixture::read("deep");
    let codec = fixture.codec();
    let audio = fixture.float("audio.4");
    for levels in 1..=codec.spec().levels {
        let mut state = codec.start_encoding(Some(levels)).unwrap();
        let codes = codec.encode_piece(&mut state, audio.clone()).unwrap();
        let rest = codec.finish_encoding(state);
        let codes = Tensor::cat(codes.into_iter().chain(rest).collect(), 2);
        let expected = fixture.codes("codes.4").narrow(1, 0, levels);
        codes.to_data().assert_eq(&expected.to_data(), false);
    }
    let error = codec.start_encoding(Some(6)).unwrap_err();
    assert_eq!(error.to_string(), "encode: mimi has 1 to 5 levels, got 6");
}

#[test]
fn no_samples_give_no_frames() {
    let codec = Fixture::read("window").codec();
    let mut state = codec.start_encoding(None).unwrap();
    let none = Tensor::zeros([2, 1, 0], &Default::default());
    assert!(codec.encode_piece(&mut state, none).unwrap().is_none());
    assert!(codec.finish_encoding(state).is_none());
}

#[test]
fn a_refused_piece_leaves_no_trace() {
    let fixture = Fixture::read("window");
    let codec = fixture.codec();
    let device = Default::default();
    let (audio, codes) = (fixture.float("audio.5"), fixture.codes("codes.5"));

    let mut state = codec.start_encoding(None).unwrap();
    let mut encode = |audio| codec.encode_piece(&mut state, audio);
    let first = encode(audio.clone().narrow(2, 0, 41)).unwrap();
    let wrong = Tensor::full([2, 1, 30], f32::NAN, &device);
    assert_eq!(encode(wrong).unwrap_err(), CodecError::NotFinite);
    let error = encode(Tensor::zeros([2, 3, 30], &device)).unwrap_err();
    assert!(matches!(error, CodecError::Channels { got: 3, .. }));
    let error = encode(audio.clone().narrow(0, 0, 1)).unwrap_err();
    let message = "encode: the stream has 2 row(s), this piece of it has 1";
    assert_eq!(error.to_string(), message);
    let second = encode(audio.narrow(2, 41, 56)).unwrap();
    let got = [first, second, codec.finish_encoding(state)];
    let got = Tensor::cat(got.into_iter().flatten().collect(), 2);
    got.to_data().assert_eq(&codes.to_data(), false);

    let mut state = codec.start_decoding().unwrap();
    let mut decode = |codes| codec.decode_piece(&mut state, codes);
    let first = decode(codes.clone().narrow(2, 0, 4)).unwrap().unwrap();
    let error = decode(Tensor::full([2, 4, 1], 16, &device)).unwrap_err();
    assert!(matches!(error, CodecError::CodeOutOfRange { got: 16, .. }));
    let error = decode(codes.clone().narrow(0, 0, 1)).unwrap_err();
    let message = "decode: the stream has 2 row(s), this piece of it has 1";
    assert_eq!(error.to_string(), message);
    let second = decode(codes.clone().narrow(2, 4, 5)).unwrap().unwrap();
    let whole = codec.decode(codes).unwrap();
    let error = (Tensor::cat(vec![first, second], 2) - whole).abs().max();
    assert!(error.into_scalar() <= 1e-5);
}

#[test]
fn what_is_kept_does_not_grow_with_the_stream() {
    const FRAMES: usize = 500;
    for variant in VARIANTS {
        let codec = Fixture::read(variant).codec();
        let (hop, device) = (codec.spec().hop, Default::default());
        let mut state = codec.start_encoding(None).unwrap();
        let mut decoding = codec.start_decoding().unwrap();
        let mut kept = Vec::new();
        for _ in 0..FRAMES {
            let audio = Tensor::random([1, 1, hop], Distribution::Default, &device);
            let codes = codec.encode_piece(&mut state, audio).unwrap().unwrap();
            codec.decode_piece(&mut decoding, codes).unwrap().unwrap();
            kept.push([state.numbers(), decoding.numbers()]);
        }
        // Once the windows are full, which takes no more frames than they have.
        let full = kept[FRAMES - 1];
        assert!(full.iter().all(|&numbers| numbers > 0));
        assert!(
            kept[codec.config().window..]
                .iter()
                .all(|&kept| kept == full)
        );
    }
}
