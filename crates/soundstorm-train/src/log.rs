//! The log: a JSON object a line. It holds no times, so that equal runs have equal logs.

use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{Result, TrainError, Validation};

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum LogLine {
    /// Steps of training.
    Train {
        /// The last of them, counted from 1.
        step: u64,
        /// The epoch, from 0.
        epoch: u64,
        /// Mean of the losses of the steps since the last line, in nats.
        loss: f64,
        /// Norm of the last step's gradient, before it is clipped.
        gradient_norm: f64,
        /// The last step's learning rate.
        learning_rate: f64,
        /// Masked tokens of the steps.
        tokens: u64,
        /// Frames of the steps, without padding.
        frames: u64,
    },
    /// Scores on what is held out.
    Validation(Validation),
}

/// Reads a log.
///
/// # Errors
/// The file cannot be read, or has a line that is none of a log. A last line that was cut short is
/// left out.
pub fn read_log(path: impl AsRef<Path>) -> Result<Vec<LogLine>> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(TrainError::io("read", path))?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    (1..)
        .zip(whole.lines())
        .map(|(number, line)| {
            serde_json::from_str(line)
                .map_err(|error| TrainError::malformed(path, format!("line {number}: {error}")))
        })
        .collect()
}

/// A log being written.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Log {
    /// Opens a log and takes back what was written after its first `bytes` bytes.
    pub(crate) fn open(path: PathBuf, bytes: u64) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(TrainError::io("open", &path))?;
        let metadata = file.metadata().map_err(TrainError::io("inspect", &path))?;
        // One that lost its end, or all of it, is gone on with from there.
        let bytes = bytes.min(metadata.len());
        let mut log = Self { path, file, bytes };
        let cut = log.file.set_len(bytes);
        cut.and_then(|()| log.file.seek(SeekFrom::Start(bytes)))
            .map_err(TrainError::io("cut", &log.path))?;
        Ok(log)
    }

    pub(crate) fn write(&mut self, line: &LogLine) -> Result<()> {
        let mut text =
            serde_json::to_vec(line).map_err(|error| TrainError::malformed(&self.path, error))?;
        text.push(b'\n');
        self.file
            .write_all(&text)
            .map_err(TrainError::io("write", &self.path))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Its length, once it is on the disk.
    pub(crate) fn flushed(&self) -> Result<u64> {
        self.file
            .sync_all()
            .map_err(TrainError::io("flush", &self.path))?;
        Ok(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(step: u64) -> LogLine {
        LogLine::Train {
            step,
            epoch: 0,
            loss: 1.5,
            gradient_norm: 0.25,
            learning_rate: 1e-3,
            tokens: 7,
            frames: 11,
        }
    }

    #[test]
    fn what_was_written_after_a_checkpoint_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let mut log = Log::open(path.clone(), 0).unwrap();
        log.write(&line(1)).unwrap();
        let bytes = log.flushed().unwrap();
        log.write(&line(2)).unwrap();
        drop(log);
        assert_eq!(read_log(&path).unwrap(), [line(1), line(2)]);
        // Torn, as a process that died leaves it.
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 3]).unwrap();
        assert_eq!(read_log(&path).unwrap(), [line(1)]);

        let mut log = Log::open(path.clone(), bytes).unwrap();
        log.write(&line(3)).unwrap();
        assert_eq!(read_log(&path).unwrap(), [line(1), line(3)]);
        std::fs::write(&path, "{\"kind\": \"train\"}\n").unwrap();
        assert!(read_log(&path).unwrap_err().to_string().contains("line 1"));
    }
}
