//! What several integration tests share.

#![allow(dead_code, reason = "each test target uses its part of it")]

pub(crate) mod scripts;
