//! The soundstorm program.
