//! Signals that ask the program to end: the first is a wish, the second ends it.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// What a shell adds to the number of a signal that ended a program.
const SIGNALLED: i32 = 128;

/// A flag that is set by the first SIGINT or SIGTERM. Another one then ends the program at once.
pub(crate) fn wish_to_end() -> Result<Arc<AtomicBool>> {
    let wish = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag not set yet.
        flag::register_conditional_shutdown(signal, SIGNALLED + signal, Arc::clone(&wish))
            .and_then(|_| flag::register(signal, Arc::clone(&wish)))
            .context("cannot listen for signals")?;
    }
    Ok(wish)
}
