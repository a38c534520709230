//! A stream through EnCodec gives what the whole gives, wherever it is cut.

use burn::prelude::*;
use burn::tensor::Distribution;
use proptest::prelude::*;
use soundstorm_codec::{Codec, CodecError, Encodec, EncodecConfig, PadMode, StreamingCodec};

use crate::encodec::Fixture;
use crate::support::{B, assert_close};

/// Causal codecs: two of the reference's, one with every other option.
fn codecs() -> [Encodec<B>; 3] {
    let other = EncodecConfig {
        normalize: false,
        trim_right_percent: 100,
        ..Fixture::read("other").config
    };
    assert_eq!(other.pad_mode, PadMode::Zero);
    let other = other.init(&Default::default()).unwrap();
    let [mono, package] = ["mono", "package_mono"].map(|name| Fixture::read(name).codec());
    [mono, package, other]
}

fn noise(rows: usize, samples: usize) -> Tensor<B, 3> {
    let noise = Distribution::Normal(0.0, 0.4);
    Tensor::random([rows, 1, samples], noise, &Default::default())
}

/// Where the pieces end, the last one at `all`.
fn cuts(pieces: &[usize], all: usize) -> Vec<(usize, usize)> {
    let mut start = 0;
    let pieces = pieces.iter().copied().chain([all]);
    let pieces = pieces.map(|piece| {
        let cut = (start, piece.min(all - start));
        start += cut.1;
        cut
    });
    pieces.collect()
}

fn encode(codec: &Encodec<B>, audio: &Tensor<B, 3>, pieces: &[usize]) -> Tensor<B, 3, Int> {
    let [rows, _, samples] = audio.dims();
    let (hop, first) = (codec.spec().hop, codec.encoder.first_piece());
    let mut state = codec.start_encoding(None).unwrap();
    let (mut codes, mut frames, mut came) = (Vec::new(), 0, 0);
    for (start, length) in cuts(pieces, samples) {
        let piece = match length {
            0 => Tensor::zeros([rows, 1, 0], &Default::default()),
            _ => audio.clone().narrow(2, start, length),
        };
        came += length;
        let new = codec.encode_piece(&mut state, piece).unwrap();
        frames += new.as_ref().map_or(0, |new| new.dims()[2]);
        let expected = Some(came / hop).filter(|&whole| whole >= first);
        assert_eq!(frames, expected.unwrap_or(0), "every whole frame, at once");
        codes.extend(new);
    }
    codes.extend(codec.finish_encoding(state));
    Tensor::cat(codes, 2)
}

fn decode(codec: &Encodec<B>, codes: &Tensor<B, 3, Int>, pieces: &[usize]) -> Tensor<B, 3> {
    let [_, _, all] = codes.dims();
    let (hop, first) = (codec.spec().hop, codec.decoder.first_piece());
    let mut state = codec.start_decoding().unwrap();
    let (mut waves, mut samples, mut came) = (Vec::new(), 0, 0);
    for (start, length) in cuts(pieces, all) {
        if length == 0 {
            continue;
        }
        came += length;
        let piece = codes.clone().narrow(2, start, length);
        let wave = codec.decode_piece(&mut state, piece).unwrap();
        samples += wave.as_ref().map_or(0, |wave| wave.dims()[2]);
        let expected = Some(came * hop).filter(|_| came >= first);
        assert_eq!(samples, expected.unwrap_or(0), "every frame, at once");
        waves.extend(wave);
    }
    waves.extend(codec.finish_decoding(state));
    Tensor::cat(waves, 2)
}

fn assert_same(codec: &Encodec<B>, audio: &Tensor<B, 3>, samples: &[usize], frames: &[usize]) {
    let whole = codec.encode(audio.clone(), None).unwrap();
    let pieces = encode(codec, audio, samples);
    pieces.to_data().assert_eq(&whole.to_data(), true);
    let pieces = decode(codec, &whole, frames);
    assert_close(pieces, codec.decode(whole).unwrap(), "in pieces");
}

#[test]
fn sample_by_sample_and_frame_by_frame() {
    for codec in codecs() {
        let hop = codec.spec().hop;
        // Around the frames that a stream begins with, and of every number in a last frame.
        for samples in (1..2 * hop).chain(6 * hop - 2..8 * hop + 3) {
            let audio = noise(1, samples);
            assert_same(&codec, &audio, &vec![1; samples], &[1; 11]);
        }
    }
}

/// Where padding mirrors the start, a stream begins with as many frames as are mirrored.
#[test]
fn a_stream_begins_with_the_frames_that_are_mirrored() {
    let published = EncodecConfig::default();
    let [mono, _, other] = codecs();
    let of = |codec: &Encodec<B>| [codec.encoder.first_piece(), codec.decoder.first_piece()];
    assert_eq!(of(&published.init(&Default::default()).unwrap()), [7, 7]);
    assert_eq!(of(&mono), [7, 7]);
    assert_eq!(of(&other), [1, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_cut_gives_what_the_whole_gives(
        codec in 0usize..3,
        length in 1usize..=701,
        samples in proptest::collection::vec(0usize..131, 0..12),
        frames in proptest::collection::vec(0usize..7, 0..6),
    ) {
        assert_same(&codecs()[codec], &noise(2, length), &samples, &frames);
    }
}

#[test]
fn what_is_kept_does_not_grow_with_the_stream() {
    const FRAMES: usize = 500;
    for codec in codecs() {
        let hop = codec.spec().hop;
        let mut encoding = codec.start_encoding(None).unwrap();
        let mut decoding = codec.start_decoding().unwrap();
        let mut kept = Vec::new();
        for _ in 0..FRAMES {
            let codes = codec.encode_piece(&mut encoding, noise(1, hop)).unwrap();
            if let Some(codes) = codes {
                let wave = codec.decode_piece(&mut decoding, codes).unwrap();
                assert!(wave.is_some());
                kept.push([encoding.numbers(), decoding.numbers()]);
            }
        }
        assert!(kept.len() > FRAMES - 7 && kept[0].iter().all(|&numbers| numbers > 0));
        assert!(kept.iter().all(|&numbers| numbers == kept[0]));
    }
}

#[test]
fn a_refused_piece_leaves_no_trace() {
    let [codec, _, _] = codecs();
    let device = Default::default();
    let audio = noise(2, 997);
    let mut state = codec.start_encoding(Some(2)).unwrap();
    let first = codec
        .encode_piece(&mut state, audio.clone().narrow(2, 0, 500))
        .unwrap();
    for wrong in [
        Tensor::full([2, 1, 30], f32::NAN, &device),
        Tensor::zeros([2, 3, 30], &device),
        Tensor::zeros([1, 1, 30], &device),
    ] {
        assert!(codec.encode_piece(&mut state, wrong).is_err());
    }
    let second = codec
        .encode_piece(&mut state, audio.clone().narrow(2, 500, 497))
        .unwrap();
    let last = codec.finish_encoding(state);
    let codes = Tensor::cat([first, second, last].into_iter().flatten().collect(), 2);
    let whole = codec.encode(audio, Some(2)).unwrap();
    codes.to_data().assert_eq(&whole.to_data(), true);

    let mut state = codec.start_decoding().unwrap();
    let mut decode = |codes| codec.decode_piece(&mut state, codes);
    let first = decode(whole.clone().narrow(2, 0, 20)).unwrap();
    assert!(decode(Tensor::full([2, 2, 1], 16, &device)).is_err());
    assert!(decode(whole.clone().narrow(0, 0, 1)).is_err());
    let second = decode(whole.clone().narrow(2, 20, whole.dims()[2] - 20)).unwrap();
    let wave = Tensor::cat([first, second].into_iter().flatten().collect(), 2);
    assert_close(wave, codec.decode(whole).unwrap(), "after refusals");
}

#[test]
fn what_looks_ahead_is_named() {
    let reason = |change: fn(&mut EncodecConfig)| {
        let mut config = EncodecConfig {
            filters: 2,
            strides: vec![3, 2],
            dimension: 5,
            ..EncodecConfig::default()
        };
        change(&mut config);
        let codec = config.init::<B>(&Default::default()).unwrap();
        let encode = codec.start_encoding(None).map(|_| ());
        let decode = codec.start_decoding().map(|_| ());
        match (encode, decode) {
            (Ok(()), Ok(())) => None,
            (Err(CodecError::NotStreamed { reason, .. }), Err(_)) => Some(reason),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(reason(|_| ()), None);
    for (change, word) in [
        ((|c| c.causal = false) as fn(&mut EncodecConfig), "causal"),
        (|c| c.normalize = true, "loudness"),
        (|c| c.trim_right_percent = 70, "trimmed"),
        (
            |c| c.norm = soundstorm_codec::encodec::EncodecNorm::TimeGroupNorm,
            "norms",
        ),
        (
            |c| {
                c.chunks = Some(soundstorm_codec::encodec::Chunking {
                    length: 96,
                    stride: 80,
                })
            },
            "chunks",
        ),
    ] {
        let reason = reason(change).unwrap();
        assert!(reason.contains(word), "{reason}");
    }
}
