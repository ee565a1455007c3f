//! `ringcheck validate`: checks a configuration and says what it would cost.

use super::{Answer, Failure, Format};
use std::path::PathBuf;

/// Check a configuration: groups, targets, probes per second, probes in flight, files needed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ringcheck validate /etc/ringcheck.toml")]
pub struct ValidateArgs {
    /// The configuration (TOML).
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,
}

/// Runs the command.
pub fn run(args: &ValidateArgs) -> Answer {
    Err(Failure::usage(format_args!("cannot validate {} yet", args.file.display())))
}
