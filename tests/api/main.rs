//! The API over a real Unix socket: golden transcripts, pages and cursors, hostile clients.
//!
//! No engine runs: the test drives the collector itself, so what the table holds, and the time, are
//! the same in every run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alibaba;
mod aws;
mod door;
mod golden;
mod hostile;
mod pages;
mod reference;
#[path = "../support/sign.rs"]
mod sign;
mod streams;
mod world;
mod writes;
