//! The `ringcheck` command: flags to calls, errors to exit codes.

use std::process::ExitCode;

fn main() -> ExitCode {
    ringcheck::cli::main(std::env::args_os())
}
