//! Short programs to start from: `generate.rs` and `train.rs` need nothing at all,
//! `voice_conversion.rs` a model folder, a codec folder and two recordings.
