//! How a command ends: the exit statuses (DESIGN 4), and the one line that explains a failure.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Exit status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is good.
    Good = 0,
    /// The answer is bad: a probe failed, a target is not healthy.
    Bad = 1,
    /// Usage or configuration.
    Usage = 2,
    /// The engine cannot run, or the daemon cannot be reached.
    Engine = 3,
    /// Ctrl-C ended it before its time, as shells have it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What a command comes to.
pub type Answer = Result<Exit, Failure>;

/// Why a command has no answer: `what, where; cure`, and the status that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// The command line or the configuration is wrong (2).
    pub fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string() }
    }

    /// The engine cannot run, or the daemon cannot be reached (3).
    pub fn engine(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Engine, message: message.to_string() }
    }

    /// The daemon's answer is no (1).
    pub fn refused(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Bad, message: message.to_string() }
    }

    /// Ctrl-C (130).
    pub fn interrupted(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Interrupted, message: message.to_string() }
    }

    /// Standard output cannot be written.
    #[must_use]
    pub fn output(error: &io::Error) -> Self {
        Self::engine(format_args!("cannot write the answer: {error}; check the disk or the pipe"))
    }

    /// The same, which also says this much more.
    #[must_use]
    pub fn and(self, more: impl fmt::Display) -> Self {
        Self { message: format!("{}; {more}", self.message), ..self }
    }

    /// The status.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// The line for stderr. Control characters from outside do not reach the terminal.
    #[must_use]
    pub fn line(&self) -> String {
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        format!("error: {}", self.message).chars().map(clean).collect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
