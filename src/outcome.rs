//! What came of a probe: the one table of codes (DESIGN 3.3) and the three vocabularies read from
//! it.
//!
//! A failed probe is data, not an error. Every code stands once, in [`TABLE`], with its class, its
//! sentence, AWS's reason and Alibaba's reason code; API, log, metrics and shell all print from it.
//! A local fault is the checker's own failure and never counts against a target.

mod cause;
mod fault;

use cause::CAUSES;
pub use cause::Cause;
pub use fault::{FAULTS, Fault, FaultCounts};

use nix::errno::Errno;
use std::borrow::Cow;

/// The short reason of an outcome; the discriminant is the row in [`TABLE`] and fits four bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "each code's sentence stands in TABLE")]
pub enum Code {
    L4Ok,
    L6Ok,
    L7Ok,
    L4Tout,
    L4Con,
    L6Tout,
    L6Rsp,
    L7Tout,
    L7Cut,
    L7Rsp,
    L7Sts,
    SockErr,
}

/// What an outcome says about the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The target passed.
    Pass,
    /// The target failed.
    Fail,
    /// The checker failed; nothing is known of the target.
    LocalFault,
}

impl Class {
    /// The word of `probe --format json` and of the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::LocalFault => "local_fault",
        }
    }
}

/// AWS's reason codes that an outcome can lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsReason {
    /// `Target.Timeout`
    Timeout,
    /// `Target.FailedHealthChecks`
    FailedHealthChecks,
    /// `Target.ResponseCodeMismatch`
    ResponseCodeMismatch,
    /// `Elb.InternalError`
    InternalError,
}

impl AwsReason {
    /// The reason code as AWS spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "Target.Timeout",
            Self::FailedHealthChecks => "Target.FailedHealthChecks",
            Self::ResponseCodeMismatch => "Target.ResponseCodeMismatch",
            Self::InternalError => "Elb.InternalError",
        }
    }

    /// The description as AWS words it; `status` is the HTTP status that did not match, 0 where it
    /// was not that.
    #[must_use]
    pub fn description(self, status: u16) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Timeout => "Request timed out",
            Self::FailedHealthChecks => "Health checks failed",
            // A check that asks for no HTTP status says in its detail what did not match.
            Self::ResponseCodeMismatch if status == 0 => "Health checks failed",
            Self::ResponseCodeMismatch => {
                return Cow::Owned(format!("Health checks failed with these codes: [{status}]"));
            }
            Self::InternalError => "Health checks failed due to an internal error",
        })
    }
}

/// One row of the table of codes.
#[derive(Debug)]
pub struct Row {
    /// The code; its discriminant is this row's place.
    pub code: Code,
    /// The code as it is printed everywhere.
    pub name: &'static str,
    /// Pass, fail or local fault.
    pub class: Class,
    /// One sentence for people.
    pub meaning: &'static str,
    /// AWS's reason; none for a pass.
    pub aws: Option<AwsReason>,
    /// Alibaba's ReasonCode; none for a pass and for a local fault (shown as Initial).
    pub alibaba: Option<&'static str>,
}

const fn row(
    code: Code,
    name: &'static str,
    class: Class,
    meaning: &'static str,
    aws: Option<AwsReason>,
    alibaba: Option<&'static str>,
) -> Row {
    Row { code, name, class, meaning, aws, alibaba }
}

use AwsReason::{FailedHealthChecks, InternalError, ResponseCodeMismatch, Timeout};
use Class::{Fail, LocalFault, Pass};

/// DESIGN 3.3, row by row, in the order of [`Code`].
#[rustfmt::skip]
pub const TABLE: [Row; 12] = [
    row(Code::L4Ok,    "L4OK",    Pass, "connected", None, None),
    row(Code::L6Ok,    "L6OK",    Pass, "TLS handshake done", None, None),
    row(Code::L7Ok,    "L7OK",    Pass, "response matched", None, None),
    row(Code::L4Tout,  "L4TOUT",  Fail, "no connection in time", Some(Timeout), Some("CONNECT_TIMEOUT")),
    row(Code::L4Con,   "L4CON",   Fail, "refused, unreachable, or reset while connecting", Some(FailedHealthChecks), Some("CONNECT_FAILED")),
    row(Code::L6Tout,  "L6TOUT",  Fail, "TLS handshake not done in time", Some(Timeout), Some("RECV_RESPONSE_TIMEOUT")),
    row(Code::L6Rsp,   "L6RSP",   Fail, "TLS handshake failed", Some(FailedHealthChecks), Some("CONNECT_INTERRUPT")),
    row(Code::L7Tout,  "L7TOUT",  Fail, "no complete response in time", Some(Timeout), Some("RECV_RESPONSE_TIMEOUT")),
    row(Code::L7Cut,   "L7CUT",   Fail, "closed or reset before a complete response", Some(FailedHealthChecks), Some("CONNECT_INTERRUPT")),
    row(Code::L7Rsp,   "L7RSP",   Fail, "what came is not a valid response", Some(FailedHealthChecks), Some("HTTP_INVALID_HEADER")),
    row(Code::L7Sts,   "L7STS",   Fail, "valid response, status not matched", Some(ResponseCodeMismatch), Some("HTTP_CODE_NOT_MATCH")),
    row(Code::SockErr, "SOCKERR", LocalFault, "the checker's own failure, not the target's", Some(InternalError), None),
];

impl Code {
    /// This code's row in the table.
    #[must_use]
    pub const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The code as it is printed everywhere, as `L4TOUT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Pass, fail or local fault.
    #[must_use]
    pub const fn class(self) -> Class {
        self.row().class
    }

    /// The code in row `index` of the table.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        TABLE.get(index).map(|row| row.code)
    }

    /// The code that is printed as `name`, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name.eq_ignore_ascii_case(name)).map(|row| row.code)
    }
}

/// What is known beyond the code: an errno, a cause, or nothing. Nine bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The code says it all.
    #[default]
    None,
    /// What the kernel said.
    Errno(Errno),
    /// What the check found.
    Cause(Cause),
}

impl Detail {
    /// Bits that a packed detail takes.
    pub const BITS: u32 = 9;

    /// The detail in [`Detail::BITS`] bits.
    #[must_use]
    pub fn to_bits(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Errno(errno) => {
                u16::try_from(errno as i32).ok().filter(|&e| e < 256).unwrap_or(255)
            }
            Self::Cause(cause) => cause as u16,
        }
    }

    /// The inverse of [`Detail::to_bits`]; unknown bits are no detail.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "one errno is not an errno")]
    pub fn from_bits(bits: u16) -> Self {
        match bits {
            0 => Self::None,
            1..=255 => match Errno::from_raw(i32::from(bits)) {
                Errno::UnknownErrno => Self::None,
                errno => Self::Errno(errno),
            },
            _ => CAUSES
                .get(usize::from(bits) - 256)
                .map_or(Self::None, |&(cause, _)| Self::Cause(cause)),
        }
    }

    /// The detail in words; empty where there is none.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::None => String::new(),
            Self::Errno(errno) => format!("{} ({errno:?})", errno.desc().to_lowercase()),
            Self::Cause(cause) => CAUSES[usize::from(cause as u16 - 256)].1.to_owned(),
        }
    }
}

/// Result of one probe. Invariant: `status` is the HTTP status of a valid response, else 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The short reason.
    pub code: Code,
    /// HTTP status 100-599, or 0 where there was none.
    pub status: u16,
    /// What is known beyond the code.
    pub detail: Detail,
}

impl Outcome {
    /// An outcome that its code says all about.
    #[must_use]
    pub const fn plain(code: Code) -> Self {
        Self { code, status: 0, detail: Detail::None }
    }

    /// An outcome with what the kernel said.
    #[must_use]
    pub const fn errno(code: Code, errno: Errno) -> Self {
        Self { code, status: 0, detail: Detail::Errno(errno) }
    }

    /// An outcome with what the check found.
    #[must_use]
    pub const fn cause(code: Code, cause: Cause) -> Self {
        Self { code, status: 0, detail: Detail::Cause(cause) }
    }

    /// Pass, fail or local fault.
    #[must_use]
    pub const fn class(self) -> Class {
        self.code.class()
    }

    /// The detail in words, with the status where it is the point.
    #[must_use]
    pub fn detail_text(self) -> String {
        match self.detail {
            Detail::Cause(Cause::StatusNotMatched) => format!("status {}", self.status),
            Detail::None | Detail::Errno(_) | Detail::Cause(_) => self.detail.text(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_codes() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.code as usize, index);
            assert_eq!(Code::from_index(index), Some(row.code));
            assert_eq!(Code::from_name(&row.name.to_lowercase()), Some(row.code));
        }
        assert_eq!(Code::from_name("L4"), None);
    }

    #[test]
    fn only_failures_have_an_alibaba_reason_and_only_passes_lack_an_aws_one() {
        for row in &TABLE {
            assert_eq!(row.alibaba.is_some(), row.class == Fail, "{}", row.name);
            assert_eq!(row.aws.is_none(), row.class == Pass, "{}", row.name);
        }
    }

    #[test]
    fn each_status_of_grpc_is_said_by_number_and_name() {
        let text = |status| Detail::Cause(Cause::of_grpc_status(status)).text();
        for status in 1..=16 {
            let words = text(status);
            assert!(words.starts_with(&format!("gRPC status {status} ")), "{words}");
        }
        assert_eq!(text(12), "gRPC status 12 unimplemented");
        assert_eq!((text(17), text(u32::MAX)), (text(0), "a gRPC status above 16".to_owned()));
    }

    #[test]
    fn details_survive_packing() {
        for bits in 0..1 << Detail::BITS {
            let detail = Detail::from_bits(bits);
            assert!(detail.to_bits() < 1 << Detail::BITS);
            assert_eq!(Detail::from_bits(detail.to_bits()), detail);
        }
        for &(cause, text) in CAUSES {
            let detail = Detail::Cause(cause);
            assert_eq!(Detail::from_bits(detail.to_bits()), detail);
            assert_eq!(detail.text(), text);
        }
        assert_eq!(Detail::Errno(Errno::ECONNREFUSED).text(), "connection refused (ECONNREFUSED)");
    }
}
