//! Devices as they are on this machine: every backend of the build runs, and agrees.
#![allow(clippy::unwrap_used)]
#![recursion_limit = "256"]

mod agree;
mod dtype;
mod parts;
mod selection;
