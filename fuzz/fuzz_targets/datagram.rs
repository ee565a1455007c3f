//! An answer to UDP checks, fed with bytes of the fuzzer.

#![no_main]

#[path = "../answers.rs"]
mod answers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| answers::datagram(bytes));
