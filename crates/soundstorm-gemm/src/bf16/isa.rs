//! Which instructions the products run on.

use std::fmt;
use std::sync::OnceLock;

/// The instructions that [`product_bf16`](crate::product_bf16) runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// No bf16 arithmetic: the rounded numbers are multiplied as f32, by
    /// [`product`](crate::product). A plain f32 product is faster and closer.
    Portable,
    /// The dot products of AVX512-BF16.
    Avx512Bf16,
    /// The tiles of AMX-BF16, which Linux lends on request.
    Amx,
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Portable => "portable f32",
            Self::Avx512Bf16 => "AVX-512 BF16",
            Self::Amx => "AMX BF16",
        })
    }
}

/// The best instructions that this processor has, looked up once.
pub fn isa() -> Isa {
    static FOUND: OnceLock<Isa> = OnceLock::new();
    *FOUND.get_or_init(find)
}

#[cfg(target_arch = "x86_64")]
fn find() -> Isa {
    let has = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16");
    match has {
        true if super::x86::has_amx() => Isa::Amx,
        true => Isa::Avx512Bf16,
        false => Isa::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn find() -> Isa {
    Isa::Portable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        assert_eq!(Isa::Portable.to_string(), "portable f32");
        assert_eq!(format!("{:>14}", Isa::Avx512Bf16), "  AVX-512 BF16");
        assert_eq!(Isa::Amx.to_string(), "AMX BF16");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_processor_says_the_same_to_the_system() {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let has = |name| info.split_whitespace().any(|flag| flag == name);
        assert_eq!(isa() != Isa::Portable, has("avx512_bf16"));
        assert!(isa() != Isa::Amx || has("amx_bf16"));
    }
}
