//! The short-time Fourier transform, a frame at a time.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Frames of a signal under a periodic Hann window, transformed.
///
/// Frame `i` has its middle at sample `i * hop`; beyond its ends the signal goes on mirrored, without the sample at
/// the end said twice, as often as it takes. A window shorter than the transform stands in its middle, among zeros.
/// Nothing is scaled.
pub(crate) struct Stft {
    plan: Arc<dyn RealToComplex<f64>>,
    /// As long as the transform.
    window: Vec<f64>,
    hop: usize,
    input: Vec<f64>,
    output: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
}

impl Stft {
    /// A transform of `fft` points, windows of `window` samples (at most `fft`), `hop` samples apart; none is zero.
    pub(crate) fn new(fft: usize, window: usize, hop: usize) -> Self {
        let plan = RealFftPlanner::new().plan_fft_forward(fft);
        let mut padded = vec![0.0; fft];
        let left = (fft - window) / 2;
        for (index, value) in padded[left..left + window].iter_mut().enumerate() {
            *value = 0.5 - 0.5 * (TAU * index as f64 / window as f64).cos();
        }
        Self {
            input: plan.make_input_vec(),
            output: plan.make_output_vec(),
            scratch: plan.make_scratch_vec(),
            plan,
            window: padded,
            hop,
        }
    }

    /// Frames of a signal of so many samples.
    pub(crate) fn frames(&self, samples: usize) -> usize {
        1 + samples / self.hop
    }

    /// Frequencies from zero to half the sample rate.
    pub(crate) fn bins(&self) -> usize {
        self.output.len()
    }

    /// The squared magnitudes of one frame, `[bins]`. The signal has a sample at least.
    pub(crate) fn powers(&mut self, signal: &[f32], frame: usize) -> impl Iterator<Item = f64> {
        let start = (frame * self.hop) as isize - (self.window.len() / 2) as isize;
        for (offset, (value, weight)) in self.input.iter_mut().zip(&self.window).enumerate() {
            let index = mirrored(start + offset as isize, signal.len());
            *value = weight * f64::from(signal[index]);
        }
        self.plan
            .process_with_scratch(&mut self.input, &mut self.output, &mut self.scratch)
            .expect("the plan made these buffers");
        self.output.iter().map(Complex::norm_sqr)
    }
}

/// An index folded back at both ends: 2, 1, 0, 1, 2 of three samples, then 1, 0 and so on.
fn mirrored(index: isize, samples: usize) -> usize {
    if samples == 1 {
        return 0;
    }
    let last = samples - 1;
    let folded = index.rem_euclid(2 * last as isize) as usize;
    folded.min(2 * last - folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_mirrors() {
        let indices: Vec<_> = (-5..8).map(|index| mirrored(index, 3)).collect();
        assert_eq!(indices, [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1]);
        assert!((-3..3).all(|index| mirrored(index, 1) == 0));
    }

    #[test]
    fn a_cosine_falls_into_its_bin() {
        // Four periods in 16 points: half of it in bin 4, under a Hann window half of that again on average.
        let signal: Vec<f32> = (0..64)
            .map(|i| (TAU * i as f64 / 4.0).cos() as f32)
            .collect();
        let mut stft = Stft::new(16, 16, 5);
        assert_eq!((stft.frames(64), stft.bins()), (13, 9));
        let magnitudes: Vec<f64> = stft.powers(&signal, 4).map(f64::sqrt).collect();
        for (bin, expect) in [0.0, 0.0, 0.0, 2.0, 4.0, 2.0, 0.0, 0.0, 0.0]
            .into_iter()
            .enumerate()
        {
            assert!((magnitudes[bin] - expect).abs() < 1e-6, "{magnitudes:?}");
        }
    }

    #[test]
    fn a_short_window_stands_in_the_middle() {
        let mut stft = Stft::new(12, 4, 3);
        let mut signal = [0.0; 24];
        signal[12] = 1.0;
        // Window 0, 0.5, 1, 0.5: its middle stands at offset 6, on sample 12 in frame 4.
        let sum = |stft: &mut Stft, frame: usize| stft.powers(&signal, frame).sum::<f64>();
        assert!((sum(&mut stft, 4) - 7.0).abs() < 1e-12);
        assert_eq!(sum(&mut stft, 3), 0.0);
        assert_eq!(sum(&mut stft, 5), 0.0);
    }
}
