//! Fetching from a hub on loopback; no test here uses a network.

mod broken;
mod fake;
mod fetched;
mod offline;
mod refused;
mod server;
