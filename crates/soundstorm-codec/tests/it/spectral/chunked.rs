//! The spectral codec piece by piece: what a frame depends on, and the whole's codes and samples.

use burn::prelude::*;
use soundstorm_codec::{AnyCodec, Context, Convolutional};

use super::config;
use crate::differences::normal;
use crate::support::{B, assert_close};

#[test]
fn chunks_give_the_wholes_codes_and_samples() {
    let any = AnyCodec::Spectral(config().init::<B>(&Default::default()).unwrap());
    let codec = any.as_convolutional().unwrap();
    let audio = normal([2, 1, 397]);
    let codes = codec.encode(audio.clone(), None).unwrap();
    let wave = codec.decode(codes.clone()).unwrap();
    for chunk in [1, 7, 31, 5000] {
        let pieces = codec.encode_chunked(audio.clone(), None, chunk).unwrap();
        pieces.to_data().assert_eq(&codes.to_data(), true);
        let pieces = codec.decode_chunked(codes.clone(), chunk).unwrap();
        assert_close(pieces, wave.clone(), &format!("{chunk} frames"));
    }
}

/// A frame is changed: exactly those that are said to depend on it change.
#[test]
fn a_frame_depends_on_its_neighbours_as_far_as_said() {
    let codec = config().init::<B>(&Default::default()).unwrap();
    let (frames, changed, hop) = (31, 15, 7);
    let check = |whole: Tensor<B, 3>, other: Tensor<B, 3>, context: Context| {
        let difference = (whole - other).abs().max_dim(1).into_data();
        let differing = difference.iter::<f32>().enumerate();
        let differing: Vec<usize> = differing
            .filter_map(|(frame, by)| (by > 0.0).then_some(frame))
            .collect();
        let first = changed - context.right;
        let last = changed + context.left;
        assert_eq!(differing, (first..=last).collect::<Vec<_>>(), "{context:?}");
    };
    let audio = normal::<B, 3>([1, 1, frames * hop]);
    let samples = changed * hop..(changed + 1) * hop;
    let other = audio
        .clone()
        .slice_assign([0..1, 0..1, samples], normal([1, 1, hop]) * 9);
    let embed = |audio| codec.embed_audio(audio).unwrap();
    check(embed(audio), embed(other), codec.encoder_context());

    let vectors = normal::<B, 3>([1, 11, frames]);
    let ranges = [0..1, 0..11, changed..changed + 1];
    let other = vectors.clone().slice_assign(ranges, normal([1, 11, 1]) * 9);
    let decode = |vectors: Tensor<B, 3>| {
        let wave = codec.decoder.forward(vectors);
        wave.reshape([1, frames, hop]).swap_dims(1, 2)
    };
    check(decode(vectors), decode(other), codec.decoder_context());
}
