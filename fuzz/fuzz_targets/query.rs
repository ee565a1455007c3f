//! The query decoder of the native API, fed with bytes of the fuzzer.

#![no_main]

#[path = "../decoders.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::query(bytes));
