//! What numbers the configurations of codecs may hold.

use crate::ConfigError;

/// No dimension, count or rate of a codec comes near this: a larger one is a mistake in a file.
pub(crate) const LIMIT: usize = 1 << 20;

/// The error of a value that makes no network.
pub(crate) fn invalid(
    codec: &'static str,
    key: &'static str,
    expected: &'static str,
    got: impl ToString,
) -> Result<(), ConfigError> {
    Err(ConfigError::Invalid {
        codec,
        key,
        expected,
        got: got.to_string(),
    })
}

/// Fails for the first number that is zero or past any use.
pub(crate) fn check_counts(
    codec: &'static str,
    counts: &[(&'static str, usize)],
) -> Result<(), ConfigError> {
    match counts
        .iter()
        .find(|(_, count)| !(1..=LIMIT).contains(count))
    {
        Some(&(key, count)) => invalid(codec, key, "1 to 2^20", count),
        None => Ok(()),
    }
}
