//! Who may ask over TCP: captured requests of real clients verify as a whole, and whatever is
//! changed in them is refused with the right error.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod key_file;
mod mutated;
mod refused;
mod request;
