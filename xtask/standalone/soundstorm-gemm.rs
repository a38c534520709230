//! A user of soundstorm-gemm and of nothing else.

fn main() {
    println!("{:?}", soundstorm_gemm::product(&[2.0], &[3.0], [1, 1, 1]));
}
