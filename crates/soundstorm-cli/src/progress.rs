//! A progress bar on stderr for what takes longer than a second; nothing where
//! stderr is not a terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that appears when the work has lasted a second.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    shown: bool,
}

impl Progress {
    /// A bar for a named piece of work; its length is told by [`Self::at`].
    pub(crate) fn new(what: &'static str, quiet: bool) -> Self {
        Self::with_count("{pos}/{len}", what, quiet)
    }

    /// As [`Self::new`], for work that is counted in seconds of audio.
    pub(crate) fn seconds(what: &'static str, quiet: bool) -> Self {
        Self::with_count("{pos}/{len} s", what, quiet)
    }

    /// As [`Self::new`], for work that is counted in bytes.
    pub(crate) fn bytes(what: &'static str, quiet: bool) -> Self {
        Self::with_count("{bytes}/{total_bytes}", what, quiet)
    }

    fn with_count(count: &str, what: &'static str, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let template = format!("{{msg}} {{bar:30}} {count} [{{elapsed}} < {{eta}}]");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self {
            bar,
            started: Instant::now(),
            shown: quiet,
        }
    }

    /// Says something else in front of the bar.
    pub(crate) fn say(&mut self, what: String) {
        self.bar.set_message(what);
    }

    /// Begins where earlier work left off: the time left is reckoned from here.
    pub(crate) fn begin_at(&mut self, done: u64, of: u64) {
        self.at_bytes(done, of);
        self.bar.reset_eta();
    }

    /// Logs while no bar is in the way.
    pub(crate) fn aside(&self, log: impl FnOnce()) {
        self.bar.suspend(log);
    }

    /// Tells how far the work is.
    pub(crate) fn at(&mut self, done: usize, of: usize) {
        self.at_bytes(done as u64, of as u64);
    }

    /// As [`Self::at`], in bytes.
    pub(crate) fn at_bytes(&mut self, done: u64, of: u64) {
        if !self.shown && self.started.elapsed() > PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.shown = true;
        }
        self.bar.set_length(of);
        self.bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
