//! The UDP check: one datagram out, and what comes back, if anything must (DESIGN 3.5).
//!
//! There is no connection: "connected" says that the socket knows its target, so that the kernel
//! takes datagrams and ICMP errors from there only. An ICMP error is the one sign of a target that
//! is not there; without one, silence passes where no answer is asked for. It is the weakest of all
//! passes, so nothing of our own may look like it: a datagram that did not leave is a local fault,
//! and the worker sees to packets that this host dropped.

use super::{Action, Event, connect_failed};
use crate::outcome::{Cause, Code, Outcome};
use nix::errno::Errno;

/// What is sent, and what must come back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Check {
    /// The datagram; it may be empty, and is sent all the same.
    pub send: Box<[u8]>,
    /// What the first datagram that comes back must contain, within its first
    /// [`RECEIVE_BUFFER_BYTES`](crate::limits::RECEIVE_BUFFER_BYTES). None: any datagram passes,
    /// and silence too.
    pub expect: Option<Box<[u8]>>,
}

/// One run of a [`Check`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Probe {
    /// The datagram has left.
    sent: bool,
}

impl Probe {
    /// Feeds one event, and says what to do.
    pub fn handle(&mut self, check: &Check, event: Event<'_>) -> Action {
        Action::Finish(match event {
            Event::Connected => return Action::Exchange,
            Event::Sent => {
                self.sent = true;
                return Action::Wait;
            }
            Event::Received(datagram) => check.judge(datagram),
            // An empty datagram: there is no end of a stream here.
            Event::Closed => check.judge(b""),
            // What `connect` says of a datagram socket for which no local port is free.
            Event::ConnectFailed(Errno::EAGAIN) => {
                Outcome::errno(Code::SockErr, Errno::EADDRNOTAVAIL)
            }
            // An ICMP error refuses the datagram, whichever call is told of it. A datagram that is
            // too long for the way (EMSGSIZE) is our fault, and the kernel splits the next one.
            Event::ConnectFailed(errno)
            | Event::SendFailed(errno)
            | Event::ReceiveFailed(errno) => connect_failed(errno),
            Event::Expired => check.silence(self.sent),
        })
    }
}

impl Check {
    fn judge(&self, datagram: &[u8]) -> Outcome {
        match &self.expect {
            None => Outcome::plain(Code::L4Ok),
            Some(expect) if contains(datagram, expect) => Outcome::plain(Code::L7Ok),
            Some(_) => Outcome::cause(Code::L7Rsp, Cause::AnswerNotMatched),
        }
    }

    /// Nothing came in time.
    const fn silence(&self, sent: bool) -> Outcome {
        match self.expect {
            _ if !sent => Outcome::cause(Code::SockErr, Cause::NotSent),
            Some(_) => Outcome::plain(Code::L7Tout),
            None => Outcome::cause(Code::L4Ok, Cause::Unanswered),
        }
    }
}

/// Whether `part` is in `whole`. Both are short: a buffer at most.
fn contains(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expect: Option<&[u8]>) -> Check {
        Check { send: (*b"ping").into(), expect: expect.map(Into::into) }
    }

    /// The outcome of `event`, after the datagram has left if it has.
    fn outcome(expect: Option<&[u8]>, is_sent: bool, event: Event<'_>) -> Outcome {
        let (check, mut probe) = (check(expect), Probe::default());
        if is_sent {
            assert_eq!(probe.handle(&check, Event::Connected), Action::Exchange);
            assert_eq!(probe.handle(&check, Event::Sent), Action::Wait);
        }
        let action = probe.handle(&check, event);
        let Action::Finish(outcome) = action else { panic!("{action:?}") };
        outcome
    }

    #[test]
    fn what_comes_back_must_contain_what_is_expected_if_anything_is() {
        let not_matched = Outcome::cause(Code::L7Rsp, Cause::AnswerNotMatched);
        for (expect, answer, expected) in [
            (None, &b"anything"[..], Outcome::plain(Code::L4Ok)),
            (Some(&b"pong"[..]), b"pong", Outcome::plain(Code::L7Ok)),
            (Some(b"pong"), b"ping pong ping", Outcome::plain(Code::L7Ok)),
            (Some(b"pong"), b"pon", not_matched),
            (Some(b"pong"), b"poNg", not_matched),
            (Some(b"\0\xff"), b"x\0\xff", Outcome::plain(Code::L7Ok)),
            (Some(b""), b"x", Outcome::plain(Code::L7Ok)),
        ] {
            assert_eq!(outcome(expect, true, Event::Received(answer)), expected, "{answer:?}");
        }
        assert_eq!(outcome(None, true, Event::Closed), Outcome::plain(Code::L4Ok));
        assert_eq!(outcome(Some(b"pong"), true, Event::Closed), not_matched);
    }

    #[test]
    fn silence_passes_where_nothing_is_expected_and_only_if_it_was_asked() {
        let silent = Outcome::cause(Code::L4Ok, Cause::Unanswered);
        assert_eq!(outcome(None, true, Event::Expired), silent);
        assert_eq!(outcome(Some(b"x"), true, Event::Expired), Outcome::plain(Code::L7Tout));
        let not_sent = Outcome::cause(Code::SockErr, Cause::NotSent);
        assert_eq!(outcome(None, false, Event::Expired), not_sent);
        assert_eq!(outcome(Some(b"x"), false, Event::Expired), not_sent);
    }

    #[test]
    fn an_icmp_error_is_no_connection_whoever_is_told_of_it() {
        type Failed = fn(Errno) -> Event<'static>;
        let told: [Failed; 3] = [Event::ConnectFailed, Event::SendFailed, Event::ReceiveFailed];
        for failed in told {
            for (errno, code) in [
                (Errno::ECONNREFUSED, Code::L4Con),
                (Errno::EHOSTUNREACH, Code::L4Con),
                (Errno::ENETUNREACH, Code::L4Con),
                (Errno::EMSGSIZE, Code::SockErr),
                (Errno::EPERM, Code::SockErr),
                (Errno::ENOBUFS, Code::SockErr),
            ] {
                assert_eq!(outcome(None, true, failed(errno)), Outcome::errno(code, errno));
            }
        }
        let no_port = Outcome::errno(Code::SockErr, Errno::EADDRNOTAVAIL);
        assert_eq!(outcome(None, false, Event::ConnectFailed(Errno::EAGAIN)), no_port);
    }
}
