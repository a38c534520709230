//! TEMPORARY hand test; never committed.
#![allow(clippy::unwrap_used, missing_docs)]
#[path = "../tests/it/support.rs"]
#[allow(dead_code)]
mod support;
use burn::prelude::*;
use soundstorm_codec::Codec;
use std::time::Instant;
use support::*;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let fixture = Fixture::open(std::path::Path::new(&args[1]), &args[2]);
    let t = Instant::now();
    let codec = fixture.codec();
    println!(
        "import {:?} params {}",
        t.elapsed(),
        burn::module::Module::num_params(&codec)
    );
    if args.len() > 3 {
        let n: usize = args[3].parse().unwrap();
        let audio = Tensor::<B, 3>::random(
            [1, 1, n],
            burn::tensor::Distribution::Normal(0.0, 0.1),
            &Default::default(),
        );
        for _ in 0..3 {
            let t = Instant::now();
            let codes = codec.encode(audio.clone(), None).unwrap();
            let e = t.elapsed();
            let t = Instant::now();
            let w = codec.decode(codes).unwrap();
            println!(
                "{n} samples: encode {e:?} decode {:?} {:?}",
                t.elapsed(),
                w.dims()
            );
        }
        return;
    }
    for case in 0..fixture.cases() {
        let audio = fixture.float(&format!("audio.{case}"));
        let emb = codec.embed_audio(audio.clone()).unwrap();
        let want = fixture.float(&format!("embedding.{case}"));
        let scale = want.clone().abs().max().into_scalar();
        let emb_err = (emb - want).abs().max().into_scalar();
        let codes = codec.encode(audio, None).unwrap();
        let want = fixture.codes(&format!("codes.{case}"));
        let a = codes.to_data().iter::<i64>().collect::<Vec<_>>();
        let b = want.to_data().iter::<i64>().collect::<Vec<_>>();
        let diff = a.iter().zip(&b).filter(|(a, b)| a != b).count();
        let frames = codes.dims()[2];
        let first = a
            .iter()
            .zip(&b)
            .enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(i, _)| (i / frames, i % frames))
            .take(8)
            .collect::<Vec<_>>();
        for levels in [3, 8] {
            let wave = codec.decode(want.clone().narrow(1, 0, levels)).unwrap();
            let w = fixture.float(&format!("wave.{case}.{levels}"));
            let ws = w.clone().abs().max().into_scalar();
            let err = (wave - w).abs().max().into_scalar();
            println!("case {case} levels {levels}: wave err {err:.2e} of {ws:.2}");
        }
        println!(
            "case {case}: {frames} frames, embedding err {emb_err:.2e} of {scale:.2}, codes differing {diff}/{} first (level, frame) {first:?}",
            a.len()
        );
    }
}
