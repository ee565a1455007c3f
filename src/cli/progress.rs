//! How far a command of several requests is: a bar on a terminal, once it has taken a second.

use super::{Failure, units};
use crate::time::{Instant, monotonic};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Shorter commands need no bar.
const SILENT: Duration = Duration::from_secs(1);

/// See the module's head.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    began: Instant,
    done: u64,
}

impl Progress {
    /// Nothing done yet of `count`.
    pub(super) fn new(what: &'static str, count: u128) -> Self {
        // Hidden where stderr is no terminal, and until it has taken a while.
        let bar =
            ProgressBar::with_draw_target(u64::try_from(count).ok(), ProgressDrawTarget::hidden());
        // The template is a literal; with a default bar it would work too.
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {human_pos} of {human_len}")
        {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { bar, began: monotonic(), done: 0 }
    }

    /// So many are done.
    pub(super) fn done(&mut self, done: u64) {
        self.done = done;
        if self.bar.is_hidden() && monotonic().since(self.began) > SILENT {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(done);
    }

    /// Leaves no trace.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }

    /// `failure`, which also says what has been done before it.
    pub(super) fn after(&self, failure: Failure) -> Failure {
        self.bar.finish_and_clear();
        match self.done {
            0 => failure,
            done => {
                failure.and(format_args!("the {} before are done", units::counted(done, "target")))
            }
        }
    }
}
