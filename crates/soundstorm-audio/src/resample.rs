//! Sample-rate conversion: a windowed sinc applied by FFT (rubato), its delay removed.

use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use crate::{Audio, AudioError, Result};

/// Samples in the shorter of the two blocks, at least: the longer the filter, the narrower its transition band.
const BLOCK: usize = 2048;

impl Audio {
    /// The same sound at `rate` Hz: `round(frames * rate / sample_rate)` samples a channel, in phase with the input,
    /// everything above half the lower rate suppressed. Outside the clip is silence.
    ///
    /// # Errors
    /// [`AudioError::Invalid`] for a rate of zero, channels that differ in length, or NaN and infinite samples, which
    /// would spread.
    pub fn resample(&self, rate: u32) -> Result<Self> {
        const OPERATION: &str = "resample";
        self.check(OPERATION)?;
        let invalid = |detail: String| AudioError::Invalid {
            operation: OPERATION,
            detail,
        };
        if rate == 0 {
            return Err(invalid("the new sample rate is 0".into()));
        }
        if rate == self.sample_rate {
            return Ok(self.clone());
        }
        self.check_finite(OPERATION)?;
        let (from, to) = (self.sample_rate as usize, rate as usize);
        let frames = self.frames();
        let wanted = resampled_len(frames, self.sample_rate, rate);
        if wanted == 0 {
            return Ok(Self {
                sample_rate: rate,
                channels: vec![Vec::new(); self.channels.len()],
            });
        }
        // An even number of smallest blocks, so that half a block, the filter's delay, is whole on both sides.
        let divisor = gcd(from, to);
        let blocks = 2 * BLOCK.div_ceil(2 * from.min(to) / divisor);
        let (block_in, block_out) = (blocks * from / divisor, blocks * to / divisor);
        // In f64, so that what is left of the error is the rounding of the output.
        let mut fft = Fft::<f64>::new_custom(
            from,
            to,
            block_in,
            1,
            1,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|error| invalid(error.to_string()))?;

        let mut channels = Vec::with_capacity(self.channels.len());
        let mut chunk_in = vec![vec![0.0_f64; block_in]];
        let mut chunk_out = vec![vec![0.0_f64; block_out]];
        for channel in &self.channels {
            fft.reset();
            let mut skip = fft.output_delay();
            let mut output = Vec::with_capacity(wanted);
            let mut pieces = channel.chunks(block_in);
            while output.len() < wanted {
                // Behind the clip is silence, until the last of it has left the filter.
                let piece = pieces.next().unwrap_or_default();
                chunk_in[0].fill(0.0);
                for (to, from) in chunk_in[0].iter_mut().zip(piece) {
                    *to = f64::from(*from);
                }
                process(&mut fft, &chunk_in, &mut chunk_out)
                    .map_err(|error| invalid(error.to_string()))?;
                let fresh = chunk_out[0].iter().skip(skip).map(|&s| s as f32);
                output.extend(fresh.take(wanted - output.len()));
                skip = skip.saturating_sub(block_out);
            }
            channels.push(output);
        }
        Ok(Self {
            sample_rate: rate,
            channels,
        })
    }
}

/// One block in, one block out.
fn process(
    fft: &mut Fft<f64>,
    input: &[Vec<f64>],
    output: &mut [Vec<f64>],
) -> Result<(), Box<dyn std::error::Error>> {
    let (frames_in, frames_out) = (input[0].len(), output[0].len());
    let input = SequentialSliceOfVecs::new(input, 1, frames_in)?;
    let mut output = SequentialSliceOfVecs::new_mut(output, 1, frames_out)?;
    fft.process_into_buffer(&input, &mut output, None)?;
    Ok(())
}

/// `round(frames * to / from)`, halves up, in integers.
fn resampled_len(frames: usize, from: u32, to: u32) -> usize {
    let (frames, from, to) = (frames as u128, u128::from(from), u128::from(to));
    ((2 * frames * to + from) / (2 * from)) as usize
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_exactly() {
        let cases = [
            ((1, 16_000, 24_000), 2),
            ((1, 24_000, 16_000), 1),
            ((1, 48_000, 16_000), 0),
            ((1, 32_000, 16_000), 1),
            ((44_100, 44_100, 16_000), 16_000),
            ((7_919, 44_100, 48_000), 8_619),
            ((4_000_000_007, 48_000, 44_100), 3_675_000_006),
        ];
        for ((frames, from, to), expect) in cases {
            assert_eq!(
                resampled_len(frames, from, to),
                expect,
                "{frames} {from} {to}"
            );
        }
    }
}
