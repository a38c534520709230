//! A user of soundstorm-gemm and of nothing else.

use soundstorm_gemm::{Matrix, product};

fn main() {
    let two = Matrix::new(&[2.0], [1, 1]);
    println!("{:?}", product(two, two));
}
