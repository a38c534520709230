//! Short programs to start from: `generate.rs` needs nothing at all,
//! `voice_conversion.rs` a model folder, a codec folder and two recordings.
