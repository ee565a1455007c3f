//! The shell: flags to calls, answers to text, errors to one line and an exit status.
//!
//! One file per command: its arguments, and a `run` that answers with an [`Exit`] or a [`Failure`].
//! Only this file knows how an argument error looks and what a process returns.

mod certificate;
pub mod client;
pub mod delete_group;
pub mod demo;
pub mod deregister;
pub mod events;
mod exit;
pub mod farm;
mod follow;
pub mod groups;
mod interrupt;
pub mod keys;
pub mod listed;
pub mod mark;
pub mod probe;
mod progress;
pub mod put_group;
pub mod register;
pub mod reload;
pub mod routable;
pub mod serve;
pub mod status;
pub mod table;
pub mod target;
pub mod targets;
pub mod top;
pub mod units;
mod usage;
pub mod validate;
pub mod wait;

pub use exit::{Answer, Exit, Failure};

use crate::heap;
use clap::{Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Health checks for hundreds of thousands of targets from one Linux host.
#[derive(Debug, Parser)]
#[command(name = "ringcheck", version, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  ringcheck demo                                   see it work, on loopback
  ringcheck probe 10.0.0.0/24:80                   probe 256 addresses now
  ringcheck serve --config /etc/ringcheck.toml     run the daemon
  ringcheck status                                 ask it

Exit status: 0 good, 1 the answer is bad (a probe failed, a target is not healthy),
2 usage or configuration, 3 the engine cannot run or the daemon cannot be reached.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Probe(Box<probe::ProbeArgs>),
    Serve(serve::ServeArgs),
    Validate(validate::ValidateArgs),
    Demo(demo::DemoArgs),
    Farm(farm::FarmArgs),
    Reload(reload::ReloadArgs),
    Status(status::StatusArgs),
    Groups(groups::GroupsArgs),
    Targets(targets::TargetsArgs),
    Target(target::TargetArgs),
    Events(events::EventsArgs),
    Keys(keys::KeysArgs),
    Routable(routable::RoutableArgs),
    Wait(wait::WaitArgs),
    PutGroup(Box<put_group::PutGroupArgs>),
    DeleteGroup(delete_group::DeleteGroupArgs),
    Register(register::RegisterArgs),
    Deregister(deregister::DeregisterArgs),
    Mark(mark::MarkArgs),
    Top(top::TopArgs),
}

/// How a query's answer is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON object per line.
    Json,
}

/// Runs the command line `args` (the program's name first) and returns the process's status.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    heap::map_large_blocks();
    let args: Vec<OsString> = args.into_iter().collect();
    let answer = match Cli::try_parse_from(&args) {
        Ok(cli) => run(cli.command),
        Err(error) => usage::answer(&error, &args),
    };
    match answer {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Where stderr is gone, the status still says it.
            let _ = writeln!(anstream::stderr(), "{}", failure.line());
            failure.exit().into()
        }
    }
}

fn run(command: Command) -> Answer {
    match command {
        Command::Probe(args) => probe::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Farm(args) => farm::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Groups(args) => groups::run(&args),
        Command::Targets(args) => targets::run(&args),
        Command::Target(args) => target::run(&args),
        Command::Events(args) => events::run(&args),
        Command::Keys(args) => keys::run(&args),
        Command::Routable(args) => routable::run(&args),
        Command::Wait(args) => wait::run(&args),
        Command::PutGroup(args) => put_group::run(&args),
        Command::DeleteGroup(args) => delete_group::run(&args),
        Command::Register(args) => register::run(&args),
        Command::Deregister(args) => deregister::run(&args),
        Command::Mark(args) => mark::run(&args),
        Command::Top(args) => top::run(&args),
    }
}
