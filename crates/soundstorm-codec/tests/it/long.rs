//! Long audio in pieces: what the whole gives, from every codec, wherever it is cut.

use burn::prelude::*;
use burn::tensor::Distribution;
use proptest::prelude::*;
use soundstorm_codec::{AnyCodec, Codec, CodecError, LongAudio, LongOptions, ScaledCodes};

use crate::support::{self, B, assert_close};
use crate::{dac, encodec, mimi, soundstream, spectral};

/// Exact ones: by windows with an odd and an even stride, streamed, in chunks, and whole, as one
/// that divides by the loudness of all of it must be.
fn codecs() -> [AnyCodec<B>; 8] {
    let encodec = |name| AnyCodec::Encodec(encodec::Fixture::read(name).codec());
    [
        AnyCodec::Dac(dac::Fixture::read("odd").codec()),
        AnyCodec::Dac(dac::Fixture::read("even").codec()),
        AnyCodec::Mimi(mimi::fixture::Fixture::read("window").codec()),
        encodec("mono"),
        encodec("stereo"),
        encodec("other"),
        AnyCodec::SoundStream(soundstream::fixture::Fixture::read("window").codec()),
        AnyCodec::Spectral(spectral::config().init(&Default::default()).unwrap()),
    ]
}

fn noise(rows: usize, channels: usize, samples: usize) -> Tensor<B, 3> {
    let noise = Distribution::Normal(0.0, 0.4);
    Tensor::random([rows, channels, samples], noise, &Default::default())
}

/// Lengths of pieces, again and again until all is gone.
fn cuts(pieces: &[usize], all: usize) -> Vec<(usize, usize)> {
    let (mut start, mut cuts) = (0, Vec::new());
    for &piece in pieces.iter().chain([&all]).cycle() {
        if start == all {
            break;
        }
        let length = piece.min(all - start);
        cuts.push((start, length));
        start += length;
    }
    cuts
}

fn encode(
    codec: &impl LongAudio<B>,
    audio: &Tensor<B, 3>,
    options: &LongOptions,
    pieces: &[usize],
) -> ScaledCodes<B> {
    let mut encoder = codec.long_encoder(None, options).unwrap();
    let mut parts = Vec::new();
    for (start, length) in cuts(pieces, audio.dims()[2]) {
        if length > 0 {
            let piece = audio.clone().narrow(2, start, length);
            parts.extend(encoder.push(piece).unwrap());
        }
    }
    parts.extend(encoder.finish().unwrap());
    let (codes, scales): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let scales: Vec<_> = scales.into_iter().flatten().collect();
    let scales = (!scales.is_empty()).then(|| Tensor::cat(scales, 1));
    (Tensor::cat(codes, 2), scales)
}

fn decode(
    codec: &impl LongAudio<B>,
    (codes, scales): &ScaledCodes<B>,
    options: &LongOptions,
    pieces: &[usize],
) -> Tensor<B, 3> {
    let mut decoder = codec.long_decoder(options);
    let mut waves = Vec::new();
    for (index, (start, length)) in cuts(pieces, codes.dims()[2]).into_iter().enumerate() {
        if length > 0 {
            let piece = codes.clone().narrow(2, start, length);
            let scales = scales.clone().filter(|_| index == 0);
            waves.extend(decoder.push(piece, scales).unwrap());
        }
    }
    waves.extend(decoder.finish().unwrap());
    Tensor::cat(waves, 2)
}

fn assert_same(
    codec: &AnyCodec<B>,
    audio: &Tensor<B, 3>,
    options: &LongOptions,
    samples: &[usize],
    frames: &[usize],
) {
    let what = format!("{}, {options:?}", codec.spec().name);
    let whole = codec.encode_scaled(audio.clone(), None).unwrap();
    let (codes, scales) = encode(codec, audio, options, samples);
    codes.to_data().assert_eq(&whole.0.to_data(), true);
    assert_eq!(scales.is_some(), whole.1.is_some());
    if let (Some(scales), Some(expected)) = (scales, whole.1.clone()) {
        assert_close(scales.unsqueeze(), expected.unsqueeze(), &what);
    }
    let wave = decode(codec, &whole, options, frames);
    let whole = codec.decode_scaled(whole.0, whole.1).unwrap();
    assert_close(wave, whole, &what);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_cut_gives_what_the_whole_gives(
        codec in 0usize..8,
        length in 1usize..=1999,
        piece in 1usize..=31,
        whole in 0usize..=41,
        samples in proptest::collection::vec(1usize..331, 0..6),
        frames in proptest::collection::vec(1usize..37, 0..6),
    ) {
        let codec = &codecs()[codec];
        let options = LongOptions { piece, whole, overlap: 0 };
        let audio = noise(2, codec.spec().channels, length);
        assert_same(codec, &audio, &options, &samples, &frames);
    }
}

/// Each number of samples once, as where the last chunk or the last frame begins matters.
#[test]
fn every_length_has_its_end() {
    let options = LongOptions {
        piece: 3,
        whole: 0,
        overlap: 0,
    };
    for codec in codecs() {
        let channels = codec.spec().channels;
        for length in (1..19).chain(280..420) {
            let audio = noise(1, channels, length);
            assert_same(&codec, &audio, &options, &[17, 50], &[4, 1]);
        }
    }
}

/// Recurrent layers that see both ends of a signal are given the frames around a piece. The more
/// there are, the less is missing; with all of them, nothing is.
#[test]
fn recurrent_layers_see_what_overlaps() {
    let mut others = [0; 4];
    for variant in support::VARIANTS {
        let codec = support::Fixture::read(variant).codec();
        let audio = noise(1, 1, 300 * codec.spec().hop - 7);
        let codes = codec.encode(audio.clone(), None).unwrap();
        let wave = codec.decode(codes.clone()).unwrap();
        let deviation = |overlap| {
            let options = LongOptions {
                piece: 41,
                whole: 0,
                overlap,
            };
            let (got, _) = encode(&codec, &audio, &options, &[211]);
            assert_eq!(got.dims(), codes.dims());
            let other = got.not_equal(codes.clone()).int().sum().into_scalar();
            let got = decode(&codec, &(codes.clone(), None), &options, &[13]);
            assert_eq!(got.dims(), wave.dims());
            let error = (got - wave.clone()).abs().max().into_scalar();
            (other, error / wave.clone().abs().max().into_scalar())
        };
        let found = [0, 3, 20, 300].map(deviation);
        let errors = found.map(|(_, error)| error);
        assert!(errors.is_sorted_by(|a, b| a > b), "{variant}: {errors:?}");
        assert!(
            errors[2] < 1e-3 && errors[3] < 1e-5,
            "{variant}: {errors:?}"
        );
        assert_eq!(found[3].0, 0, "{variant}");
        for (sum, (other, _)) in others.iter_mut().zip(found) {
            *sum += other;
        }
    }
    // Of 300 frames of each level of each variant.
    assert!(others[0] > others[2], "{others:?}");
}

#[test]
fn short_audio_is_done_whole() {
    let codec = support::Fixture::read("elu").codec();
    let options = LongOptions {
        piece: 5,
        whole: 60,
        overlap: 0,
    };
    let hop = codec.spec().hop;
    let same = |frames: usize| {
        let audio = noise(1, 1, frames * hop);
        let whole = codec.encode(audio.clone(), None).unwrap();
        let wave = codec.decode(whole.clone()).unwrap().to_data();
        let codes = encode(&codec, &audio, &options, &[77]);
        let got = decode(&codec, &(whole.clone(), None), &options, &[7]);
        codes.0.to_data() == whole.to_data() && got.to_data() == wave
    };
    assert!(same(60));
    assert!(!same(61));
}

#[test]
fn what_is_wrong_is_refused() {
    let device = Default::default();
    for codec in codecs() {
        let spec = codec.spec();
        let options = codec.long_options();
        let levels = codec.long_encoder(Some(spec.levels + 1), &options);
        assert!(matches!(levels.err(), Some(CodecError::Levels { .. })));

        let encoder = codec.long_encoder(None, &options).unwrap();
        let nothing = encoder.finish().unwrap_err();
        assert!(matches!(nothing, CodecError::EmptyAudio { .. }));
        let mut encoder = codec.long_encoder(None, &options).unwrap();
        let audio = || noise(2, spec.channels, 30);
        assert!(encoder.push(audio()).unwrap().is_none());
        let error = encoder.push(audio() / 0.0).unwrap_err();
        assert_eq!(error, CodecError::NotFinite);
        let error = encoder.push(audio().narrow(0, 0, 1)).unwrap_err();
        assert!(matches!(error, CodecError::StreamRows { .. }));
        assert!(encoder.finish().unwrap().is_some());

        let decoder = codec.long_decoder(&options);
        let nothing = decoder.finish().unwrap_err();
        assert!(matches!(nothing, CodecError::EmptyCodes { .. }));
        let mut decoder = codec.long_decoder(&options);
        let codes = || Tensor::<B, 3, Int>::zeros([2, 2, 5], &device);
        assert!(decoder.push(codes(), None).unwrap().is_none());
        let error = decoder.push(codes().narrow(0, 0, 1), None).unwrap_err();
        assert!(matches!(error, CodecError::StreamRows { .. }));
        let error = decoder.push(codes().narrow(1, 0, 1), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "decode: the stream has 2 level(s), this piece of it has 1"
        );
        let error = decoder.push(codes() + 999, None).unwrap_err();
        assert!(matches!(error, CodecError::CodeOutOfRange { .. }));
    }
}

/// Scales for a codec without, too many, too few, too late, not finite.
#[test]
fn scales_that_fit_no_chunks_are_refused() {
    let options = LongOptions {
        piece: 1,
        whole: 0,
        overlap: 0,
    };
    let device = Default::default();
    let [dac, _, _, mono, stereo, ..] = codecs();
    let scales = |chunks| Tensor::<B, 2>::ones([1, chunks], &device);
    for codec in [dac, mono] {
        let mut decoder = codec.long_decoder(&options);
        let codes = Tensor::zeros([1, 2, 50], &device);
        let error = decoder.push(codes, Some(scales(3))).err();
        assert!(matches!(error, Some(CodecError::NoScales { .. })));
    }

    let (codes, expected) = stereo.encode_scaled(noise(1, 2, 500), None).unwrap();
    let chunks = expected.unwrap().dims()[1];
    let (frames, half) = (codes.dims()[2], codes.dims()[2] / 2);
    let decode = |first: Option<Tensor<B, 2>>, second: Option<Tensor<B, 2>>| {
        let mut decoder = stereo.long_decoder(&options);
        decoder.push(codes.clone().narrow(2, 0, half), first)?;
        decoder.push(codes.clone().narrow(2, half, frames - half), second)?;
        decoder.finish()
    };
    assert!(decode(None, None).is_ok());
    assert!(decode(Some(scales(chunks)), None).is_ok());
    assert!(decode(Some(scales(chunks - 1)), Some(scales(1))).is_ok());
    let error = decode(Some(scales(1)), None).unwrap_err();
    let message = "decode: expected scales [batch, chunks] = [1, 2], got [1, 1]";
    assert_eq!(error.to_string(), message);
    let error = decode(Some(scales(chunks)), Some(scales(1))).unwrap_err();
    assert!(matches!(error, CodecError::Scales { .. }));
    let error = decode(None, Some(scales(chunks))).unwrap_err();
    assert!(matches!(error, CodecError::Scales { .. }));
    let error = decode(Some(scales(chunks) / 0.0), None).unwrap_err();
    assert_eq!(error, CodecError::ScaleNotFinite);

    // The fixture's chunks: no audio has so many frames.
    let config = match &stereo {
        AnyCodec::Encodec(codec) => codec.config().clone(),
        other => panic!("{other:?}"),
    };
    let (chunking, hop) = (config.chunks.unwrap(), config.hop());
    let impossible = (frames..2 * frames).find(|&n| chunking.split_frames(n, hop).is_none());
    if let Some(frames) = impossible {
        let codes = Tensor::<B, 3, Int>::zeros([1, 1, frames], &device);
        let mut decoder = stereo.long_decoder(&options);
        decoder.push(codes, None).unwrap();
        let error = decoder.finish().unwrap_err();
        assert!(matches!(error, CodecError::ChunkFrames { frames: n, .. } if n == frames));
    }
}
