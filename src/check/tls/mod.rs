//! TLS around a check: the handshake alone, or another check inside of it (DESIGN 3.5, 3.6).
//!
//! | file | one noun |
//! |---|---|
//! | `settings` | what a person asks for, and what is in the files that this names |
//! | `client` | the settings made ready once for all probes of a group: keys parsed |
//! | `clock` | the date, as certificates need it |
//! | `presented` | what a target showed of itself |
//! | `notes` | what the library tells in the middle of a call: certificates, sessions |
//! | `verifier` | which certificates pass |
//! | `records` | where one record ends and the next begins |
//! | `failure` | what the library's errors mean for an outcome |
//! | `probe` | one run: the handshake, and the check inside of it |

mod client;
mod clock;
mod failure;
mod notes;
pub mod presented;
mod presented_json;
mod probe;
mod records;
pub mod settings;
mod verifier;

pub use client::{Client, warm_up};
pub use notes::Session;
pub use presented::{Leaf, Presented};
pub use probe::{Probe, Told};
pub use rustls::NamedGroup;
pub use settings::{Error, Pems, Roots, Settings};

use super::{grpc, http};
use std::sync::Arc;

/// A check over TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// How the handshake is made; shared by all groups that ask for the same.
    pub client: Arc<Client>,
    /// What is asked when it is done.
    pub inner: Inner,
}

/// What is asked over a connection that TLS protects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Inner {
    /// Nothing: the handshake is the check.
    Handshake,
    /// HTTPS.
    Http(http::Check),
    /// gRPC's health service; passes only where the target chose `h2` by ALPN.
    Grpc(grpc::Check),
}

#[cfg(test)]
pub(crate) mod tests;
