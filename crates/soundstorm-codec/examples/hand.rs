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
        {
            let dev = Default::default();
            let r = |s: [usize; 4]| {
                Tensor::<B, 4>::random(s, burn::tensor::Distribution::Default, &dev)
            };
            for (d, n) in [(1, 1000), (2, 500), (1, 1000), (2, 500)] {
                let w = r([d, 4, 1024, 1024]).swap_dims(2, 3);
                let h = r([d, 1, 1, 1024]);
                let t = Instant::now();
                for _ in 0..n {
                    let _ = h.clone().matmul(w.clone());
                }
                println!("gemv {d} directions x {n}: {:?}", t.elapsed());
            }
            let x = r([1, 1, 500, 1024]).reshape([500, 1024]);
            let e = r([1, 1, 1024, 1024]).reshape([1024, 1024]);
            for _ in 0..2 {
                let t = Instant::now();
                let sc: Tensor<B, 2> = x.clone().matmul(e.clone().transpose());
                println!("rvq matmul {:?}", t.elapsed());
                let t = Instant::now();
                let hn = e.clone().mul(e.clone()).sum_dim(1);
                println!("rvq norms {:?}", t.elapsed());
                let t = Instant::now();
                let sc = sc.sub(hn.transpose());
                println!("rvq sub {:?}", t.elapsed());
                let t = Instant::now();
                let i = sc.argmax(1).squeeze_dim::<1>(1);
                println!("rvq argmax {:?}", t.elapsed());
                let t = Instant::now();
                let _ = e.clone().select(0, i);
                println!("rvq select {:?}", t.elapsed());
            }
        }
        for _ in 0..2 {
            let mut x = audio.clone();
            macro_rules! step {
                ($name:expr, $e:expr) => {{
                    let t = Instant::now();
                    let y = $e;
                    println!(
                        "  {:<28} {:>7.1} ms {:?}",
                        $name,
                        t.elapsed().as_secs_f64() * 1e3,
                        y.dims()
                    );
                    y
                }};
            }
            let e = &codec.encoder;
            x = step!("in", e.input.forward(x));
            for st in &e.stages {
                let r = &st.residuals[0];
                let a = step!("res act", r.activation_in.forward(x.clone()));
                let a = step!("res conv3", r.conv_in.forward(a));
                let a = step!("res act", r.activation_out.forward(a));
                let a = step!("res conv1", r.conv_out.forward(a));
                let b = step!("res shortcut", r.shortcut.forward(x));
                x = step!("res add", a + b);
                x = step!("act", st.activation.forward(x));
                x = step!("down", st.downsample.forward(x));
            }
            x = step!("lstm", e.lstm.as_ref().unwrap().forward(x));
            x = step!("act", e.activation.forward(x));
            x = step!("out", e.output.forward(x));
            let c = step!("rvq", codec.quantizer.encode(x, 8));
            let d = &codec.decoder;
            let mut x = step!("rvq decode", codec.quantizer.decode(c));
            x = step!("in", d.input.forward(x));
            x = step!("lstm", d.lstm.as_ref().unwrap().forward(x));
            for st in &d.stages {
                x = step!("act", st.activation.forward(x));
                x = step!("up", st.upsample.forward(x));
                x = step!("res", st.residuals[0].forward(x));
            }
            x = step!("act", d.activation.forward(x));
            step!("out", d.output.forward(x));
        }
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
