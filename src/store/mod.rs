//! The store: what is made through the API, and the transition history, in SQLite.
//!
//! A commit is one transaction, and is answered when it is on the disk (write-ahead log,
//! `synchronous = FULL`): what was acknowledged survives `kill -9` and a power cut. A commit that
//! fails has changed nothing. [`Database`] is the file, driven by calls; [`Store`] is the thread
//! around it, which also takes transitions in once a second. The store knows rows, not the
//! registry.
//!
//! A database that is damaged, or is of a newer release, is never written to: the start is refused
//! with the cure.

mod database;
mod error;
mod events;
mod load;
mod rows;
mod schema;
mod thread;

pub use database::Database;
pub use error::StoreError;
pub use rows::{EventRow, GroupRow, Loaded, LoadedGroup, Op, TargetKey, TargetRow};
pub use schema::FILE;
pub use thread::{Feed, Store, StoreThread};

#[cfg(test)]
mod tests;
