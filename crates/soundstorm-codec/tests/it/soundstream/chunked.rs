//! SoundStream piece by piece: what a frame depends on, and the whole's codes and samples.

use burn::prelude::*;
use burn::tensor::Distribution;
use soundstorm_codec::{AnyCodec, Codec, Context, Convolutional, SoundStreamConfig};

use super::fixture::{Fixture, VARIANTS};
use crate::support::{B, assert_close};

#[test]
fn chunks_give_the_wholes_codes_and_samples() {
    for variant in VARIANTS {
        let fixture = Fixture::read(variant);
        let any = AnyCodec::SoundStream(fixture.codec());
        let codec = any.as_convolutional().unwrap();
        let audio = fixture.tensors.float("audio.4");
        let codes = codec.encode(audio.clone(), None).unwrap();
        let wave = codec.decode(codes.clone()).unwrap();
        for chunk in [1, 7, 31, 5000] {
            let pieces = codec.encode_chunked(audio.clone(), None, chunk).unwrap();
            pieces.to_data().assert_eq(&codes.to_data(), true);
            let pieces = codec.decode_chunked(codes.clone(), chunk).unwrap();
            assert_close(pieces, wave.clone(), &format!("{variant}, {chunk} frames"));
        }
    }
}

/// The frames of `changed` that differ from those of `whole`.
fn differing(whole: Tensor<B, 3>, changed: Tensor<B, 3>) -> Vec<usize> {
    let difference = (whole - changed).abs().max_dim(1).into_data();
    let differs = difference.iter::<f32>().map(|by| by > 0.0).enumerate();
    differs
        .filter_map(|(frame, differs)| differs.then_some(frame))
        .collect()
}

/// What comes out when one frame is changed that is not among the first, which are mirrored.
#[test]
fn a_frame_depends_on_those_before_it_and_no_farther_than_said() {
    let device = Default::default();
    for variant in VARIANTS {
        let codec = Fixture::read(variant).codec();
        let hop = codec.spec().hop;
        let (encoder, decoder) = (codec.encoder_context(), codec.decoder_context());
        let changed = encoder.right.max(decoder.right) + 1;
        let frames = changed + encoder.left.max(decoder.left) + 5;
        let normal = |shape| Tensor::<B, 3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        // What little reaches it from the farthest frames may be lost in rounding.
        let check = |differing: Vec<usize>, context: Context| {
            let (first, last) = (differing[0], differing[differing.len() - 1]);
            assert_eq!(first, changed, "{variant}");
            let farthest = last - changed;
            let said = context.left * 9 / 10..=context.left;
            assert!(said.contains(&farthest), "{variant}: {farthest}, {said:?}");
        };

        let audio = normal([1, 1, frames * hop]);
        let samples = changed * hop..(changed + 1) * hop;
        let other = normal([1, 1, hop]) * 9;
        let other = audio.clone().slice_assign([0..1, 0..1, samples], other);
        let embed = |audio| codec.embed_audio(audio).unwrap();
        check(differing(embed(audio), embed(other)), encoder);

        let dimension = codec.config().dimension;
        let vectors = normal([1, dimension, frames]);
        let ranges = [0..1, 0..dimension, changed..changed + 1];
        let other = normal([1, dimension, 1]) * 9;
        let other = vectors.clone().slice_assign(ranges, other);
        let decode = |vectors: Tensor<B, 3>| {
            let vectors = match &codec.decoder_transformer {
                Some(transformer) => transformer.forward(vectors),
                None => vectors,
            };
            let wave = codec.decoder.forward(vectors);
            wave.reshape([1, frames as i32, hop as i32]).swap_dims(1, 2)
        };
        check(differing(decode(vectors), decode(other)), decoder);
    }
}

/// What is mirrored before the first frame is the last of the frames that it needs after itself.
#[test]
fn the_first_frame_depends_on_what_is_mirrored() {
    let device = Default::default();
    for variant in VARIANTS {
        let codec = Fixture::read(variant).codec();
        let hop = codec.spec().hop;
        let right = codec.encoder_context().right;
        let shape = [1, 1, (right + 5) * hop];
        let audio = Tensor::<B, 3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let embed = |audio| codec.embed_audio(audio).unwrap();
        let whole = embed(audio.clone());
        for (frame, expected) in [(right, true), (right + 1, false)] {
            let samples = frame * hop..(frame + 1) * hop;
            let other = audio.clone().slice_fill([0..1, 0..1, samples], 9.0);
            let differs = differing(whole.clone(), embed(other))[0] == 0;
            assert_eq!(differs, expected, "{variant}, frame {frame}");
        }
    }
}

/// A window and what the convolutions reach before a frame, and what is mirrored after it.
#[test]
fn the_default_needs_a_window_and_a_few_frames() {
    // Weights are drawn when they are used, so this codec takes no memory.
    let codec = SoundStreamConfig::default().init::<B>(&Default::default());
    let codec = codec.unwrap();
    let around = |left| Context { left, right: 6 };
    assert_eq!(codec.encoder_context(), around(128 + 16));
    assert_eq!(codec.decoder_context(), around(128 + 20));
}
