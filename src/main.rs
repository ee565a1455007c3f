//! The `ringcheck` command: flags to calls, errors to exit codes.

fn main() {}
