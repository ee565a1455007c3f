//! An answer to gRPC checks, fed with bytes of the fuzzer.

#![no_main]

#[path = "../answers.rs"]
mod answers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| answers::grpc(bytes));
