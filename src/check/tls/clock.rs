//! The wall clock as TLS needs it: certificates are valid from one date to another, and sessions
//! for a while. The only place of the checks that asks for a time, because the library does in the
//! middle of a handshake; nothing else of an outcome follows from it.

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::time::Duration;

/// See the module's head.
#[derive(Debug)]
pub(super) struct WallTime;

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let wall = Duration::from_millis(crate::time::wall_ms());
        Some(UnixTime::since_unix_epoch(wall))
    }
}
