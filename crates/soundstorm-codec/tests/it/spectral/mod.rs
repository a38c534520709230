//! The spectral codec: what comes out, piece by piece, its gradients, and that it learns.

mod chunked;
mod codec;
mod overfit;

use soundstorm_codec::SpectralConfig;

/// Small, of distinct sizes, none of which divides another without need.
pub(crate) fn config() -> SpectralConfig {
    SpectralConfig {
        sample_rate: 8000,
        window: 28,
        hop: 7,
        dimension: 11,
        expansion: 2,
        kernel: 3,
        encoder_blocks: 2,
        decoder_blocks: 3,
        num_quantizers: 4,
        codebook_size: 17,
        codebook_dimension: 5,
    }
}
