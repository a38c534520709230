//! How much a file may ask for.

use crate::{AudioError, Result};

/// Bounds checked while reading, before the memory is spent. The default admits any ordinary recording.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Encoded size, in bytes.
    pub max_bytes: u64,
    /// Decoded length, in seconds.
    pub max_seconds: f64,
    /// Channels.
    pub max_channels: usize,
    /// Lowest sample rate, in Hz.
    pub min_sample_rate: u32,
    /// Highest sample rate, in Hz.
    pub max_sample_rate: u32,
    /// Whether NaN and infinite samples pass, instead of being [`AudioError::NonFinite`](crate::AudioError::NonFinite).
    pub allow_non_finite: bool,
}

impl Default for Limits {
    /// 2 GiB, 4 hours, 32 channels, 1 to 768 kHz, finite samples only.
    fn default() -> Self {
        Self {
            max_bytes: 2 << 30,
            max_seconds: 4.0 * 3600.0,
            max_channels: 32,
            min_sample_rate: 1_000,
            max_sample_rate: 768_000,
            allow_non_finite: false,
        }
    }
}

impl Limits {
    /// These limits with another bound on the encoded size, in bytes.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// These limits with another bound on the decoded length, in seconds.
    pub fn with_max_seconds(mut self, seconds: f64) -> Self {
        self.max_seconds = seconds;
        self
    }

    /// These limits with another bound on the channels.
    pub fn with_max_channels(mut self, channels: usize) -> Self {
        self.max_channels = channels;
        self
    }

    /// These limits with other bounds on the sample rate, in Hz.
    pub fn with_sample_rates(mut self, lowest: u32, highest: u32) -> Self {
        self.min_sample_rate = lowest;
        self.max_sample_rate = highest;
        self
    }

    /// These limits, letting NaN and infinite samples pass or not.
    pub fn with_non_finite(mut self, allow: bool) -> Self {
        self.allow_non_finite = allow;
        self
    }

    pub(crate) fn check_bytes(&self, bytes: u64, input: &str) -> Result<()> {
        if bytes > self.max_bytes {
            let (got, limit) = (format!("{bytes} bytes"), self.max_bytes.to_string());
            return Err(over(input, "the file", got, limit));
        }
        Ok(())
    }

    pub(crate) fn check_rate(&self, rate: u32, input: &str) -> Result<()> {
        if !(self.min_sample_rate..=self.max_sample_rate).contains(&rate) || rate == 0 {
            let limit = format!("{} to {} Hz", self.min_sample_rate, self.max_sample_rate);
            return Err(over(input, "the sample rate", format!("{rate} Hz"), limit));
        }
        Ok(())
    }

    pub(crate) fn check_channels(&self, count: usize, input: &str) -> Result<()> {
        if count > self.max_channels {
            let (got, limit) = (count.to_string(), self.max_channels.to_string());
            return Err(over(input, "the number of channels", got, limit));
        }
        Ok(())
    }

    pub(crate) fn check_frames(&self, frames: u64, rate: u32, input: &str) -> Result<()> {
        let seconds = frames as f64 / f64::from(rate.max(1));
        if seconds > self.max_seconds {
            let (got, limit) = (format!("{seconds:.1} s"), format!("{} s", self.max_seconds));
            return Err(over(input, "the duration", got, limit));
        }
        Ok(())
    }
}

fn over(input: &str, what: &'static str, got: String, limit: String) -> AudioError {
    AudioError::OverLimit {
        input: input.into(),
        what,
        got,
        limit,
    }
}
