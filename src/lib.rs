//! ringcheck: health checks for hundreds of thousands of targets from one Linux host.
//!
//! The modules stand in the order in which the data flows; nothing points left:
//!
//! ```text
//!  config ─► registry ─► schedule ─► worker ─► report ─► table ─► api ─► cli
//!                         │    │      │   │
//!                       wheel health check io (trait: now, submit, wait)
//!                                           ├─ io::host (uring or epoll)   io::sim
//! ```
//!
//! See docs/ARCHITECTURE.md for the picture with its reasons.

// -- ground: imported by anyone, importing nothing --
pub mod bpf;
pub mod checksum;
pub mod defer_accept;
pub mod edit;
pub mod endpoint;
pub mod heap;
pub mod limits;
pub mod outcome;
pub mod rng;
pub mod time;
pub mod upcoming;
pub mod wall;

// -- who may ask --
pub mod access;

// -- what to check (control plane, pure) --
pub mod recipe;

pub mod config;

pub mod registry;

// -- when and how (data plane, pure) --
pub mod check;

pub mod health;

pub mod wheel;

pub mod schedule;

// -- the world: the only effects of the data plane --
pub mod io;

// -- one core --
pub mod stats;

pub mod worker;

// -- results --
pub mod report;

pub mod shown;

pub mod table;

pub mod store;

pub mod collector;

pub mod snapshot;

pub mod api;

// -- wiring and the shell --
pub mod engine;

pub mod farm;

pub mod cli;
