//! What several integration tests share.

#![allow(dead_code, reason = "each test target uses its part of it")]

pub(crate) mod command;
pub(crate) mod conntrack;
pub(crate) mod daemon;
pub(crate) mod datagrams;
pub(crate) mod firewall;
pub(crate) mod health;
pub(crate) mod netns;
pub(crate) mod scripts;
pub(crate) mod sign;
pub(crate) mod stage;
pub(crate) mod tls;

use nix::poll::{PollTimeout, poll};
use ringcheck::time::monotonic;
use std::time::Duration;

/// Looks again and again until there is something, for `patience` at most.
pub(crate) fn wait_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let give_up = monotonic() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if monotonic() >= give_up {
            return None;
        }
        // Between two looks only: nothing is concluded from its being over.
        let _ = poll(&mut [], PollTimeout::from(10_u16));
    }
}

/// Makes tests of functions that take a [`Backend`](ringcheck::io::Backend): each is run on every
/// backend, and its name says on which.
#[macro_export]
macro_rules! on_each_backend {
    ($($(#[$attribute:meta])* $test:ident,)*) => {
        mod io_uring {
            $(#[test] $(#[$attribute])* fn $test() { super::$test(ringcheck::io::Backend::IoUring) })*
        }
        mod epoll {
            $(#[test] $(#[$attribute])* fn $test() { super::$test(ringcheck::io::Backend::Epoll) })*
        }
        /// A backend that is not tested above does not compile here.
        const _: [ringcheck::io::Backend; 2] = ringcheck::io::Backend::ALL;
    };
}
