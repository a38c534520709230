//! Event files that TensorBoard reads: TFRecords, each a protobuf `Event` with scalars.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{Result, TrainError};

/// What the first event of a file says.
const VERSION: &[u8] = b"brain.Event:2";

/// An event file being written.
#[derive(Debug)]
pub(crate) struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Begins a file in a folder. Each part of a run has one of its own; TensorBoard joins them.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(TrainError::io("create", folder))?;
        let now = now();
        let (seconds, process) = (now.as_secs(), std::process::id());
        let name = format!(
            "events.out.tfevents.{seconds:010}.soundstorm.{process}.{}",
            now.subsec_nanos()
        );
        let path = folder.join(name);
        let file = File::create(&path).map_err(TrainError::io("create", &path))?;
        let mut events = Self { path, file };
        let mut event = Vec::new();
        double(&mut event, 1, now.as_secs_f64());
        bytes(&mut event, 3, VERSION);
        events.record(&event)?;
        Ok(events)
    }

    /// Writes scalars of a step.
    pub(crate) fn scalars(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<()> {
        let event = scalars_event(now().as_secs_f64(), step, scalars);
        self.record(&event)
    }

    fn record(&mut self, event: &[u8]) -> Result<()> {
        self.file
            .write_all(&record(event))
            .map_err(TrainError::io("write", &self.path))
    }
}

fn now() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}

fn scalars_event(wall_time: f64, step: u64, scalars: &[(String, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        let mut entry = Vec::new();
        bytes(&mut entry, 1, tag.as_bytes());
        key(&mut entry, 2, 5);
        entry.extend((*value as f32).to_le_bytes());
        bytes(&mut summary, 1, &entry);
    }
    let mut event = Vec::new();
    double(&mut event, 1, wall_time);
    key(&mut event, 2, 0);
    varint(&mut event, step);
    bytes(&mut event, 5, &summary);
    event
}

/// A TFRecord: length, its checksum, data, its checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(&length));
    record.extend(data);
    record.extend(masked(data));
    record
}

/// TensorFlow's rotation of a checksum, so that one of data with checksums in it is no trouble.
fn masked(data: &[u8]) -> [u8; 4] {
    let turned = crc32c(data).rotate_right(15);
    turned.wrapping_add(0xa282_ead8).to_le_bytes()
}

/// CRC-32C (Castagnoli), bit by bit: events are few and short.
fn crc32c(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc >>= 1;
            if carry == 1 {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    !crc
}

// Protobuf's wire format: a key of field and kind, then the value.

fn key(out: &mut Vec<u8>, field: u64, kind: u64) {
    varint(out, field << 3 | kind);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    key(out, field, 1);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(out, field, 2);
    varint(out, value.len() as u64);
    out.extend(value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// RFC 3720, appendix B.4.
    #[test]
    fn checksums_are_castagnoli_s() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&rising), 0x46dd_794e);
    }

    /// By tensorboard 2.20.0 and protobuf 7.36.2: `Event(wall_time=1.5, step=300, summary=Summary(value=[Summary.Value(
    /// tag="loss", simple_value=2.5)])).SerializeToString().hex()`.
    #[test]
    fn an_event_is_protobuf_s() {
        let event = scalars_event(1.5, 300, &[("loss".to_owned(), 2.5)]);
        let hex: String = event.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "09000000000000f83f10ac022a0d0a0b0a046c6f73731500002040"
        );
    }

    #[test]
    fn a_file_begins_with_its_version_and_every_record_is_framed() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::create(dir.path()).unwrap();
        events.scalars(7, &[("a/b".to_owned(), 0.5)]).unwrap();
        let mut rest = fs::read(&events.path).unwrap();
        let mut records = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(rest[8..12], masked(&rest[..8]));
            let data = rest[12..12 + length].to_vec();
            assert_eq!(rest[12 + length..16 + length], masked(&data));
            records.push(data);
            rest.drain(..16 + length);
        }
        assert_eq!(records.len(), 2);
        assert!(records[0].ends_with(VERSION));
        assert!(records[1].windows(3).any(|window| window == b"a/b"));
        let name = events.path.file_name().unwrap().to_str().unwrap();
        assert!(name.contains("tfevents"), "{name}");
    }
}
