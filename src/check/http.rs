//! The HTTP check, sans IO (stub being written).

use super::{Action, Event};
use std::net::SocketAddr;

/// Which statuses match: a set over 100-599.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher;

/// What is asked, rendered once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check;

impl Check {
    /// `host` none: each target's own `address:port`.
    #[must_use]
    pub fn new(_path: &str, _host: Option<&str>, _matcher: Matcher) -> Self {
        Self
    }

    /// Appends the request.
    pub fn render(&self, _address: SocketAddr, _out: &mut Vec<u8>) {}
}

/// One run.
#[derive(Debug, Default)]
pub struct Probe;

impl Probe {
    /// Fresh run, memory kept.
    pub fn restart(&mut self) {}
    /// One event.
    pub fn handle(&mut self, _check: &Check, _event: Event<'_>) -> Action {
        Action::Wait
    }
}
