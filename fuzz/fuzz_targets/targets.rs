//! The reader of targets: JSON or lines, fed with bytes of the fuzzer.

#![no_main]

#[path = "../decoders.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::targets(bytes));
