//! The spectral codec piece by piece: what a frame depends on, and the whole's codes and samples.

use std::collections::BTreeSet;

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

/// The frames that change with one of them.
fn differing(whole: Tensor<B, 3>, other: Tensor<B, 3>) -> BTreeSet<usize> {
    let difference = (whole - other).abs().max_dim(1).into_data();
    let difference = difference.iter::<f32>().enumerate();
    difference
        .filter_map(|(frame, by)| (by > 0.0).then_some(frame))
        .collect()
}

/// All frames that are said to depend on one do, and no others. What little reaches the farthest
/// may be lost in rounding, so several codecs are tried.
#[test]
fn a_frame_depends_on_its_neighbours_as_far_as_said() {
    let (frames, changed, hop) = (31, 15, 7);
    let (mut encoded, mut decoded) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..7 {
        let codec = config().init::<B>(&Default::default()).unwrap();
        let audio = normal::<B, 3>([1, 1, frames * hop]);
        let samples = changed * hop..(changed + 1) * hop;
        let other = normal([1, 1, hop]) * 9;
        let other = audio.clone().slice_assign([0..1, 0..1, samples], other);
        let embed = |audio| codec.embed_audio(audio).unwrap();
        encoded.extend(differing(embed(audio), embed(other)));

        let vectors = normal::<B, 3>([1, 11, frames]);
        let ranges = [0..1, 0..11, changed..changed + 1];
        let other = vectors.clone().slice_assign(ranges, normal([1, 11, 1]) * 9);
        let decode = |vectors: Tensor<B, 3>| {
            let wave = codec.decoder.forward(vectors);
            wave.reshape([1, frames, hop]).swap_dims(1, 2)
        };
        decoded.extend(differing(decode(vectors), decode(other)));
    }
    let codec = config().init::<B>(&Default::default()).unwrap();
    let around = |context: Context| (changed - context.right..=changed + context.left).collect();
    assert_eq!(encoded, around(codec.encoder_context()));
    assert_eq!(decoded, around(codec.decoder_context()));
}
