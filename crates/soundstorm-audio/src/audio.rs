//! Samples in memory: one vector a channel, at a sample rate.

use crate::{AudioError, Result};

/// Decoded audio. Every channel has the same number of samples; full scale is ±1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audio {
    /// Samples a second, in Hz.
    pub sample_rate: u32,
    /// `[channels][samples]`.
    pub channels: Vec<Vec<f32>>,
}

impl Audio {
    /// Audio from `[channels][samples]` at `sample_rate` Hz.
    ///
    /// # Errors
    /// [`AudioError::Invalid`] where the rate is zero, there is no channel, or the channels differ in length.
    pub fn new(sample_rate: u32, channels: Vec<Vec<f32>>) -> Result<Self> {
        let audio = Self {
            sample_rate,
            channels,
        };
        audio.check("build audio")?;
        Ok(audio)
    }

    /// One channel of samples at `sample_rate` Hz.
    pub fn from_mono(sample_rate: u32, samples: Vec<f32>) -> Self {
        Self {
            sample_rate,
            channels: vec![samples],
        }
    }

    /// Samples a channel (of the shortest, should they differ).
    pub fn frames(&self) -> usize {
        self.channels.iter().map(Vec::len).min().unwrap_or(0)
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.frames() as f64 / f64::from(self.sample_rate.max(1))
    }

    /// The mean of all channels, as one channel.
    pub fn mono(&self) -> Self {
        if let [only] = self.channels.as_slice() {
            return Self::from_mono(self.sample_rate, only.clone());
        }
        let count = self.channels.len() as f64;
        let mixed = (0..self.frames())
            .map(|i| {
                let sum: f64 = self.channels.iter().map(|c| f64::from(c[i])).sum();
                (sum / count) as f32
            })
            .collect();
        Self::from_mono(self.sample_rate, mixed)
    }

    /// Where the first NaN or infinite sample is: `(channel, index, value)`, earliest index first.
    pub fn first_non_finite(&self) -> Option<(usize, usize, f32)> {
        self.channels
            .iter()
            .enumerate()
            .filter_map(|(channel, samples)| {
                let index = samples.iter().position(|s| !s.is_finite())?;
                Some((channel, index, samples[index]))
            })
            .min_by_key(|&(channel, index, _)| (index, channel))
    }

    /// The fields are public, so whatever leaves this crate is checked first.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let invalid = |detail: String| Err(AudioError::Invalid { operation, detail });
        if self.sample_rate == 0 {
            return invalid("the sample rate is 0".into());
        }
        let Some(first) = self.channels.first() else {
            return invalid("there are no channels".into());
        };
        for (index, channel) in self.channels.iter().enumerate() {
            if channel.len() != first.len() {
                return invalid(format!(
                    "channel {index} has {} samples, channel 0 has {}",
                    channel.len(),
                    first.len()
                ));
            }
        }
        Ok(())
    }

    /// As [`Self::check`], and every sample is a number.
    pub(crate) fn check_finite(&self, operation: &'static str) -> Result<()> {
        self.check(operation)?;
        match self.first_non_finite() {
            None => Ok(()),
            Some((channel, index, value)) => Err(AudioError::Invalid {
                operation,
                detail: format!("sample {index} of channel {channel} is {value}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mono_is_the_mean() {
        let audio = Audio {
            sample_rate: 7,
            channels: vec![vec![1.0, 0.0], vec![0.5, -1.0], vec![0.0, 0.25]],
        };
        assert_eq!(audio.mono(), Audio::from_mono(7, vec![0.5, -0.25]));
        assert_eq!(audio.mono().mono(), audio.mono());
    }

    #[test]
    fn unequal_channels_are_refused() {
        let error = Audio::new(3, vec![vec![0.0; 5], vec![0.0; 3]]);
        assert!(matches!(error, Err(AudioError::Invalid { .. })));
        assert!(Audio::new(0, vec![vec![]]).is_err());
        assert!(Audio::new(3, vec![]).is_err());
    }

    #[test]
    fn earliest_non_finite_wins() {
        let mut audio = Audio {
            sample_rate: 7,
            channels: vec![vec![0.0; 11], vec![0.0; 11]],
        };
        assert_eq!(audio.first_non_finite(), None);
        audio.channels[0][5] = f32::INFINITY;
        audio.channels[1][3] = f32::NEG_INFINITY;
        assert_eq!(audio.first_non_finite(), Some((1, 3, f32::NEG_INFINITY)));
    }
}
