//! Whether connections can be accepted, told once per change.
//!
//! Where files are short, each client that leaves lets the next one in, so that failures and
//! successes alternate many times a second. It is over when some have been accepted in a row.

use nix::libc;
use std::io;

/// Connections in a row after which the trouble is over.
const WELL_AFTER: u8 = 16;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Deaf {
    /// Connections that are still to be accepted until the trouble is over; 0: there is none.
    left: u8,
}

impl Deaf {
    /// A connection could not be accepted; whether that is news.
    pub(super) const fn fails(&mut self) -> bool {
        let is_news = self.left == 0;
        self.left = WELL_AFTER;
        is_news
    }

    /// A connection was accepted; whether the trouble is over by that.
    pub(super) const fn hears(&mut self) -> bool {
        let was = self.left;
        self.left = was.saturating_sub(1);
        was == 1
    }
}

/// What can be done about it.
pub(super) fn cure(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => "raise the file limit (ulimit -n, LimitNOFILE=), or close clients",
        Some(libc::ENFILE) => "raise fs.file-max",
        _ => "raise the memory limit (MemoryMax=); checks go on meanwhile",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_and_is_over_after_some_in_a_row() {
        let mut deaf = Deaf::default();
        assert!(!deaf.hears());
        assert!(deaf.fails());
        for _ in 0..3 {
            assert!((1..WELL_AFTER).all(|_| !deaf.hears()));
            assert!(!deaf.fails());
        }
        assert!((1..WELL_AFTER).all(|_| !deaf.hears()));
        assert!(deaf.hears());
        assert!(!deaf.hears());
        assert!(deaf.fails());
    }
}
