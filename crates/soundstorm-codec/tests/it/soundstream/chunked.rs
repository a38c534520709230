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
        for chunk in [7, 31, 5000] {
            let pieces = codec.encode_chunked(audio.clone(), None, chunk).unwrap();
            pieces.to_data().assert_eq(&codes.to_data(), true);
            let pieces = codec.decode_chunked(codes.clone(), chunk).unwrap();
            assert_close(pieces, wave.clone(), &format!("{variant}, {chunk} frames"));
        }
    }
}

/// One frame after another is changed: what comes out of others differs no farther than said, and
/// as far.
#[test]
fn the_contexts_are_as_wide_as_needed_and_no_wider() {
    let device = Default::default();
    for variant in VARIANTS {
        let codec = Fixture::read(variant).codec();
        let (hop, encoder) = (codec.spec().hop, codec.encoder_context());
        let decoder = codec.decoder_context();
        // The first frames are mirrored, so the changes begin after those.
        let first = codec.config().window.max(20);
        let frames = first + encoder.left.max(decoder.left) + 5;
        let normal = |shape| Tensor::<B, 3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        // Frames of `changed` that differ, from the one that was changed on.
        let context = |whole: Tensor<B, 3>, changed: Tensor<B, 3>| {
            let difference = (whole - changed).abs().max_dim(1).into_data();
            let differs = difference.iter::<f32>().map(|by| by > 0.0);
            let differs: Vec<usize> = differs
                .enumerate()
                .filter_map(|(frame, differs)| differs.then_some(frame))
                .collect();
            Context {
                left: differs[differs.len() - 1] - first,
                right: first - differs[0],
            }
        };

        let audio = normal([1, 1, frames * hop]);
        let other = audio.clone().slice_assign(
            [0..1, 0..1, first * hop..(first + 1) * hop],
            normal([1, 1, hop]) * 9,
        );
        let embed = |audio| codec.embed_audio(audio).unwrap();
        assert_eq!(context(embed(audio), embed(other)), encoder, "{variant}");

        let dimension = codec.config().dimension;
        let vectors = normal([1, dimension, frames]);
        let other = vectors.clone().slice_assign(
            [0..1, 0..dimension, first..first + 1],
            normal([1, dimension, 1]) * 9,
        );
        let decode = |vectors: Tensor<B, 3>| {
            let vectors = match &codec.decoder_transformer {
                Some(transformer) => transformer.forward(vectors),
                None => vectors,
            };
            let wave = codec.decoder.forward(vectors);
            wave.reshape([1, frames as i32, hop as i32]).swap_dims(1, 2)
        };
        assert_eq!(
            context(decode(vectors), decode(other)),
            decoder,
            "{variant}"
        );
    }
}

/// A window, and what the convolutions reach.
#[test]
fn the_default_needs_nothing_later() {
    // Weights are drawn when they are used, so this codec takes no memory.
    let codec = SoundStreamConfig::default().init::<B>(&Default::default());
    let codec = codec.unwrap();
    let before = |left| Context { left, right: 0 };
    assert_eq!(codec.encoder_context(), before(128 + 16));
    assert_eq!(codec.decoder_context(), before(128 + 20));
}
