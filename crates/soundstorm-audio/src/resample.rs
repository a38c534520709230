//! Sample-rate conversion, whole or piece by piece: a windowed sinc applied by FFT (rubato), its delay removed.

use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use crate::{Audio, AudioError, Result};

/// Samples in the shorter of the two blocks, at least: the longer the filter, the narrower its transition band.
const BLOCK: usize = 2048;

const OPERATION: &str = "resample";

fn invalid(detail: impl ToString) -> AudioError {
    AudioError::Invalid {
        operation: OPERATION,
        detail: detail.to_string(),
    }
}

impl Audio {
    /// The same sound at `rate` Hz: `round(frames * rate / sample_rate)` samples a channel, in phase with the input,
    /// everything above half the lower rate suppressed. Outside the clip is silence.
    ///
    /// # Errors
    /// [`AudioError::Invalid`] for a rate of zero, channels that differ in length, or NaN and infinite samples, which
    /// would spread.
    pub fn resample(&self, rate: u32) -> Result<Self> {
        self.check(OPERATION)?;
        if rate == self.sample_rate {
            return Ok(self.clone());
        }
        let mut resampler = Resampler::new(self.sample_rate, rate, self.channels.len())?;
        let mut audio = resampler.push(self)?;
        let rest = resampler.finish()?;
        for (channel, rest) in audio.channels.iter_mut().zip(rest.channels) {
            channel.extend(rest);
        }
        Ok(audio)
    }
}

/// [`Audio::resample`] piece by piece: however the input is cut, the pieces that come out are together what the whole
/// gives, to the bit.
pub struct Resampler {
    from: u32,
    to: u32,
    /// What the filter works on at a time; absent where both rates are the same.
    filter: Option<Filter>,
    channels: usize,
    /// Samples a channel that came, and that went.
    frames: (usize, usize),
}

struct Filter {
    /// One for each channel.
    ffts: Vec<Fft<f64>>,
    block_in: usize,
    block_out: usize,
    /// Samples that come out before the first of the signal.
    skip: usize,
    /// Fewer samples of each channel than a block.
    waiting: Vec<Vec<f64>>,
}

impl Resampler {
    /// From one rate to another, both in Hz.
    ///
    /// # Errors
    /// [`AudioError::Invalid`] for a rate of zero, or no channels.
    pub fn new(from: u32, to: u32, channels: usize) -> Result<Self> {
        if from == 0 || to == 0 {
            let which = if from == 0 { "" } else { "new " };
            return Err(invalid(format!("the {which}sample rate is 0")));
        }
        if channels == 0 {
            return Err(invalid("there are no channels"));
        }
        let filter = (from != to).then(|| Filter::new(from as usize, to as usize, channels));
        Ok(Self {
            from,
            to,
            filter: filter.transpose()?,
            channels,
            frames: (0, 0),
        })
    }

    /// Takes a piece of the input; gives what is certain of the output, which may be nothing.
    ///
    /// # Errors
    /// [`AudioError::Invalid`] for another rate or number of channels, channels that differ in length, or NaN and
    /// infinite samples.
    pub fn push(&mut self, piece: &Audio) -> Result<Audio> {
        piece.check(OPERATION)?;
        if (piece.sample_rate, piece.channels.len()) != (self.from, self.channels) {
            return Err(invalid(format!(
                "{} Hz with {} channels turns into {} Hz with {}",
                self.from,
                self.channels,
                piece.sample_rate,
                piece.channels.len()
            )));
        }
        piece.check_finite(OPERATION)?;
        self.frames.0 += piece.frames();
        let channels = match &mut self.filter {
            None => piece.channels.clone(),
            Some(filter) => filter.push(&piece.channels)?,
        };
        self.frames.1 += channels[0].len();
        Ok(Audio {
            sample_rate: self.to,
            channels,
        })
    }

    /// The rest of the output: behind the input is silence, until the last of it has left the filter.
    ///
    /// # Errors
    /// [`AudioError::Invalid`] where the filter refuses to work.
    pub fn finish(self) -> Result<Audio> {
        let (came, went) = self.frames;
        let missing = resampled_len(came, self.from, self.to) - went;
        let channels = match self.filter {
            Some(filter) if missing > 0 => filter.finish(missing)?,
            _ => vec![Vec::new(); self.channels],
        };
        Ok(Audio {
            sample_rate: self.to,
            channels,
        })
    }
}

impl Filter {
    fn new(from: usize, to: usize, channels: usize) -> Result<Self> {
        // An even number of smallest blocks, so that half a block, the filter's delay, is whole on both sides.
        let divisor = gcd(from, to);
        let blocks = 2 * BLOCK.div_ceil(2 * from.min(to) / divisor);
        let (block_in, block_out) = (blocks * from / divisor, blocks * to / divisor);
        // In f64, so that what is left of the error is the rounding of the output.
        let fft = || {
            let window = WindowFunction::BlackmanHarris2;
            Fft::<f64>::new_custom(from, to, block_in, 1, 1, window, FixedSync::Both)
        };
        let ffts = (0..channels).map(|_| fft().map_err(invalid));
        let ffts = ffts.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            skip: ffts.first().map_or(0, Fft::output_delay),
            ffts,
            block_in,
            block_out,
            waiting: vec![Vec::new(); channels],
        })
    }

    /// The output of all blocks that are full now.
    fn push(&mut self, piece: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let mut output = Vec::with_capacity(piece.len());
        let mut skip = self.skip;
        for (channel, samples) in piece.iter().enumerate() {
            let mut waiting = std::mem::take(&mut self.waiting[channel]);
            let mut fresh = Vec::new();
            skip = self.skip;
            for &sample in samples {
                waiting.push(f64::from(sample));
                if waiting.len() == self.block_in {
                    self.block(channel, &mut waiting, &mut skip, &mut fresh)?;
                }
            }
            self.waiting[channel] = waiting;
            output.push(fresh);
        }
        self.skip = skip;
        Ok(output)
    }

    /// So many samples more of each channel.
    fn finish(mut self, missing: usize) -> Result<Vec<Vec<f32>>> {
        let mut output = Vec::with_capacity(self.waiting.len());
        for channel in 0..self.waiting.len() {
            let mut waiting = std::mem::take(&mut self.waiting[channel]);
            let (mut skip, mut fresh) = (self.skip, Vec::new());
            while fresh.len() < missing {
                waiting.resize(self.block_in, 0.0);
                self.block(channel, &mut waiting, &mut skip, &mut fresh)?;
            }
            fresh.truncate(missing);
            output.push(fresh);
        }
        Ok(output)
    }

    /// One block of a channel in, which is emptied, and one out but for what is skipped.
    fn block(
        &mut self,
        channel: usize,
        block: &mut Vec<f64>,
        skip: &mut usize,
        fresh: &mut Vec<f32>,
    ) -> Result<()> {
        let mut out = [vec![0.0; self.block_out]];
        let input = [std::mem::take(block)];
        process(&mut self.ffts[channel], &input, &mut out).map_err(invalid)?;
        [*block] = input;
        block.clear();
        fresh.extend(out[0].iter().skip(*skip).map(|&sample| sample as f32));
        *skip = skip.saturating_sub(self.block_out);
        Ok(())
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
