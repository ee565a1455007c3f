//! The body of a response, where the check looks at it or the connection is wanted again.
//!
//! At most 64 KiB of it are read, decoded from their chunks. A body that matches is a pass at once;
//! one that is over, or larger, and did not match is not a valid response; one that is cut before
//! it is over says what cut it. Where only the connection is at stake the outcome is known with the
//! head: what goes wrong behind it costs the connection and never the pass.
//!
//! Bounds: 16 KiB of heads and 64 KiB of body, of which 4 KiB each outlive the probe.

use super::Check;
use super::body_match::Search;
use super::chunked::Chunks;
use super::framing::{Framing, Length};
use crate::check::Action;
use crate::check::head::Complete;
use crate::limits::HTTP_BODY_BYTES_MAX;
use crate::outcome::{Cause, Code, Detail, Outcome};

/// Bytes of memory that each buffer keeps for the next run.
const KEPT_BYTES_MAX: usize = 4 * 1_024;

/// One body.
#[derive(Debug, Default)]
pub(super) struct Body {
    at: At,
    /// All heads so far, where the last one did not come whole in the first piece.
    heads: Vec<u8>,
    /// The body as far as it has come, where something is looked for in it.
    text: Vec<u8>,
    /// Bytes of the body that have come.
    len: usize,
    search: Search,
    /// The status of the head.
    status: u16,
    /// Nothing is looked for, or it was found.
    matched: bool,
    /// The target keeps the connection behind this answer.
    keeps: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
enum At {
    /// The head is not complete.
    #[default]
    Head,
    /// So many bytes are left.
    Exactly(u64),
    /// In chunks.
    Chunked(Chunks),
    /// It goes on to the end of the stream.
    ToEnd,
    /// All of it came.
    Over,
    /// No more of it is read.
    GivenUp,
}

impl Body {
    /// Forgets all that came, but keeps a little memory.
    pub(super) fn restart(&mut self) {
        let (mut heads, mut text) =
            (std::mem::take(&mut self.heads), std::mem::take(&mut self.text));
        for buffer in [&mut heads, &mut text] {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES_MAX);
        }
        *self = Self { heads, text, ..Self::default() };
    }

    /// Whether the head is complete.
    pub(super) const fn has_begun(&self) -> bool {
        !matches!(self.at, At::Head)
    }

    /// Whether the answer came to its end, and the target keeps the connection behind it.
    pub(super) const fn leaves_connection(&self) -> bool {
        self.is_over() && self.keeps
    }

    /// Takes a piece of heads that are not complete with it.
    pub(super) fn heads(&mut self, piece: &[u8]) {
        self.heads.extend_from_slice(piece);
    }

    /// The head is `complete` with `piece`, which goes on with the body.
    pub(super) fn begin(&mut self, check: &Check, complete: Complete, piece: &[u8]) -> Action {
        let (end, behind) = piece.split_at(complete.len);
        let framing = if self.heads.is_empty() {
            Framing::of(end, check.method, complete.status)
        } else {
            self.heads(end);
            Framing::of(&self.heads, check.method, complete.status)
        };
        self.at = match framing.length {
            Length::Exactly(0) => At::Over,
            Length::Exactly(length) => At::Exactly(length),
            Length::Chunked => At::Chunked(Chunks::default()),
            Length::ToEnd => At::ToEnd,
        };
        (self.status, self.keeps) = (complete.status, framing.keeps);
        self.matched = check.body_match.is_none();
        self.take(check, behind)
    }

    /// Takes the next bytes behind the head.
    pub(super) fn take(&mut self, check: &Check, bytes: &[u8]) -> Action {
        let broken = self.decode(bytes).err();
        let over = matches!(self.at, At::Over | At::GivenUp);
        if let Some(wanted) = check.body_match.as_deref().filter(|_| !self.matched) {
            self.matched = if over || broken.is_some() {
                self.search.last(wanted, &self.text, over)
            } else {
                self.search.found(wanted, &self.text)
            };
        }
        match (self.matched, over, broken) {
            // The rest is read for the sake of the connection.
            (true, false, None) if check.reuse && self.keeps => Action::Receive,
            (true, ..) => self.pass(),
            (false, true, _) => self.no_match(),
            (false, false, Some(cause)) => Action::Finish(Outcome::cause(Code::L7Rsp, cause)),
            (false, false, None) => Action::Receive,
        }
    }

    /// Nothing more comes behind the head: what cut it is told by `outcome`, if anybody cares.
    pub(super) fn cut(&mut self, check: &Check, outcome: Outcome) -> Action {
        let is_end = outcome.detail == Detail::Cause(Cause::Closed) && matches!(self.at, At::ToEnd);
        self.keeps = false;
        if let Some(wanted) = check.body_match.as_deref().filter(|_| !self.matched) {
            self.matched = self.search.last(wanted, &self.text, is_end);
        }
        match (self.matched, is_end) {
            (true, _) => self.pass(),
            (false, true) => self.no_match(),
            (false, false) => Action::Finish(outcome),
        }
    }

    /// Takes the body's bytes out of what came.
    fn decode(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let behind = match self.at {
            At::Exactly(left) => {
                let all = usize::try_from(left).unwrap_or(usize::MAX);
                let (piece, behind) = bytes.split_at(all.min(bytes.len()));
                self.append(piece);
                let left = left - piece.len() as u64;
                self.at = if left == 0 { At::Over } else { At::Exactly(left) };
                Ok(behind)
            }
            At::Chunked(mut chunks) => {
                let taken = chunks.take(bytes, |piece| self.append(piece));
                self.at = if let Ok(Some(_)) = taken { At::Over } else { At::Chunked(chunks) };
                taken.map(Option::unwrap_or_default)
            }
            At::ToEnd => {
                self.append(bytes);
                Ok(&[][..])
            }
            At::Head | At::Over | At::GivenUp => Ok(bytes),
        };
        // What nobody asked for must not be taken for the answer to the next request.
        self.keeps &= behind.is_ok_and(<[u8]>::is_empty);
        if self.len > HTTP_BODY_BYTES_MAX || self.len == HTTP_BODY_BYTES_MAX && !self.is_over() {
            self.at = At::GivenUp;
        }
        behind.map(|_| ())
    }

    fn append(&mut self, piece: &[u8]) {
        if !self.matched {
            let room = HTTP_BODY_BYTES_MAX - self.text.len();
            self.text.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        self.len = self.len.saturating_add(piece.len());
    }

    /// Whether all of it came.
    const fn is_over(&self) -> bool {
        matches!(self.at, At::Over)
    }

    const fn pass(&self) -> Action {
        Action::Finish(Outcome { code: Code::L7Ok, status: self.status, detail: Detail::None })
    }

    const fn no_match(&self) -> Action {
        let detail = Detail::Cause(Cause::BodyNotMatched);
        Action::Finish(Outcome { code: Code::L7Rsp, status: self.status, detail })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BodyMatch, Matcher, Method, Probe, Request};
    use super::*;
    use crate::check::Event;
    use nix::errno::Errno;

    /// How the exchange ends if the bytes did not end it.
    #[derive(Clone, Copy, Debug)]
    enum Then {
        Waits,
        Closed,
        Reset,
        Expired,
    }
    use Then::{Closed, Expired, Reset, Waits};

    const fn ok() -> Option<Outcome> {
        Some(Outcome { code: Code::L7Ok, status: 200, detail: Detail::None })
    }
    const NO: Option<Outcome> = Some(Outcome {
        code: Code::L7Rsp,
        status: 200,
        detail: Detail::Cause(Cause::BodyNotMatched),
    });
    const STS: Option<Outcome> = Some(Outcome {
        code: Code::L7Sts,
        status: 503,
        detail: Detail::Cause(Cause::StatusNotMatched),
    });
    const BAD: Option<Outcome> = Some(Outcome::cause(Code::L7Rsp, Cause::BadChunk));
    const CUT: Option<Outcome> = Some(Outcome::cause(Code::L7Cut, Cause::Closed));
    const RESET: Option<Outcome> = Some(Outcome::errno(Code::L7Cut, Errno::ECONNRESET));
    const TOUT: Option<Outcome> = Some(Outcome::plain(Code::L7Tout));
    const OPEN: Option<Outcome> = None;

    /// The outcome of a run that is sent `bytes` in pieces, none if it still goes on; and whether
    /// the connection is left.
    fn run(check: &Check, bytes: &[u8], piece: usize, then: Then) -> (Option<Outcome>, bool) {
        let mut probe = Probe::default();
        assert_eq!(probe.handle(check, Event::Connected), Action::Exchange);
        let finished = |probe: &mut Probe, event| match probe.handle(check, event) {
            Action::Finish(outcome) => Some((Some(outcome), probe.leaves_connection())),
            Action::Receive => None,
            action @ (Action::Wait | Action::Exchange | Action::Send) => {
                panic!("{action:?} at {event:?}")
            }
        };
        for chunk in bytes.chunks(piece) {
            if let Some(end) = finished(&mut probe, Event::Received(chunk)) {
                return end;
            }
        }
        let end = match then {
            Waits => return (None, probe.leaves_connection()),
            Closed => Event::Closed,
            Reset => Event::ReceiveFailed(Errno::ECONNRESET),
            Expired => Event::Expired,
        };
        finished(&mut probe, end).expect("an end is an end")
    }

    fn looking_for(pattern: &str) -> Check {
        Check::new("/", None, Matcher::default()).matching(BodyMatch::regex(pattern).unwrap())
    }

    #[test]
    #[rustfmt::skip]
    fn each_body_has_its_outcome_however_it_is_cut() {
        let length = |length: u64, rest: &str| {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{rest}")
        };
        let chunked = |rest: &str| {
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}")
        };
        let to_end = |rest: &str| format!("HTTP/1.1 200 OK\r\n\r\n{rest}");
        let fill = "x".repeat(HTTP_BODY_BYTES_MAX - 2);
        let table = [
            ("all is well",              "ok", Waits,   ok(),  length(2, "ok")),
            ("found before the end",     "ok", Waits,   ok(),  length(9, "ok")),
            ("found, then cut",          "ok", Reset,   ok(),  length(9, "ok")),
            ("not in it",                "ok", Waits,   NO,    length(2, "no")),
            ("behind it",                "ok", Waits,   NO,    length(2, "no ok")),
            ("empty",                    "ok", Waits,   NO,    length(0, "")),
            ("empty matches",            "^$", Waits,   ok(),  length(0, "")),
            ("goes on",                  "ok", Waits,   OPEN,  length(9, "no")),
            ("closed early",             "ok", Closed,  CUT,   length(9, "no")),
            ("reset early",              "ok", Reset,   RESET, length(9, "no")),
            ("late",                     "ok", Expired, TOUT,  length(9, "no")),
            ("in the head only",         "200", Waits,  NO,    length(2, "no")),
            ("chunks",                   "okay", Waits, ok(),  chunked("2\r\nok\r\n2\r\nay\r\n0\r\n\r\n")),
            ("in a chunk's size",        "2",  Waits,   NO,    chunked("2\r\nok\r\n0\r\n\r\n")),
            ("found before a bad chunk", "ok", Waits,   ok(),  chunked("2\r\nok\r\nx")),
            ("bad chunk",                "ok", Waits,   BAD,   chunked("2\r\nno\r\nx")),
            ("chunks closed early",      "ok", Closed,  CUT,   chunked("2\r\nno\r\n0\r\n")),
            ("chunks late",              "ok", Expired, TOUT,  chunked("2\r\nno\r\n0\r\n")),
            ("to the end, found",        "ok", Waits,   ok(),  to_end("it is ok")),
            ("to the end, open",         "ok", Waits,   OPEN,  to_end("no")),
            ("to the end, not found",    "ok", Closed,  NO,    to_end("no")),
            ("to the end, reset",        "ok", Reset,   RESET, to_end("no")),
            ("to the end, late",         "ok", Expired, TOUT,  to_end("no")),
            ("nothing, end",             "ok", Closed,  NO,    to_end("")),
            ("looks ahead, open",        "ok$", Waits,  OPEN,  to_end("ok")),
            ("looks ahead, end",         "ok$", Closed, ok(),  to_end("ok")),
            ("looks ahead, cut",         "ok$", Reset,  RESET, to_end("ok")),
            ("looks ahead, more",        "ok$", Closed, NO,    to_end("okay")),
            ("last bytes looked at",     "ok", Waits,   ok(),  length(1 << 40, &format!("{fill}ok"))),
            ("bytes not looked at",      "ok", Waits,   NO,    length(1 << 40, &format!("{fill}xxok"))),
            ("half looked at",           "ok", Waits,   NO,    to_end(&format!("{fill}xok"))),
            ("large, all in it",         "ok", Waits,   ok(),  length(1 << 16, &format!("{fill}ok"))),
            ("status first",             "ok", Waits,   STS,   "HTTP/1.1 503 U\r\n\r\nok".to_owned()),
            ("behind a skipped head",    "ok", Waits,   ok(),
                format!("HTTP/1.1 100 C\r\n\r\n{}", length(2, "ok"))),
            ("head cut",                 "ok", Closed,  CUT,   "HTTP/1.1 200 OK\r\n".to_owned()),
        ];
        for (name, pattern, then, expected, bytes) in &table {
            for piece in [1, 2, 3, 7, 2_048, usize::MAX] {
                let (outcome, _) = run(&looking_for(pattern), bytes.as_bytes(), piece, *then);
                assert_eq!(outcome, *expected, "{name} by {piece}");
            }
        }
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let request = Request { method: Method::Head, ..Request::get("/") };
        let wanted = BodyMatch::contains("ok").unwrap();
        let check = Check::asking(&request, Matcher::default()).matching(wanted);
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(run(&check, bytes, 100, Waits).0, NO);
    }

    #[test]
    #[rustfmt::skip]
    fn a_connection_is_left_where_the_answer_came_to_its_end() {
        let table: &[(&str, Then, Option<Outcome>, bool)] = &[
            ("HTTP/1.1 200\nContent-Length: 2\n\nhi",                      Waits,   ok(), true),
            ("HTTP/1.1 200\nContent-Length: 0\n\n",                        Waits,   ok(), true),
            ("HTTP/1.1 200\nTransfer-Encoding: chunked\n\n1\nx\n0\n\n",    Waits,   ok(), true),
            ("HTTP/1.0 200\nContent-Length: 0\nConnection: keep-alive\n\n", Waits,  ok(), true),
            ("HTTP/1.1 200\nContent-Length: 2\n\nh",                       Waits,   OPEN, false),
            ("HTTP/1.1 200\nContent-Length: 2\n\nh",                       Closed,  ok(), false),
            ("HTTP/1.1 200\nContent-Length: 2\n\nh",                       Expired, ok(), false),
            ("HTTP/1.1 200\nTransfer-Encoding: chunked\n\n1\nx\nx",        Waits,   ok(), false),
            ("HTTP/1.1 200\nContent-Length: 0\nConnection: close\n\n",     Waits,   ok(), false),
            ("HTTP/1.0 200\nContent-Length: 0\n\n",                        Waits,   ok(), false),
            ("HTTP/1.1 200\n\n",                                           Waits,   ok(), false),
            ("HTTP/1.1 503\nContent-Length: 0\n\n",                        Waits,   STS,  false),
        ];
        let check = Check::reusing(&Request::get("/"), Matcher::default());
        for &(bytes, then, outcome, is_left) in table {
            for piece in [1, 2, 3, usize::MAX] {
                let end = run(&check, bytes.as_bytes(), piece, then);
                assert_eq!(end, (outcome, is_left), "{bytes:?} by {piece}");
            }
        }
        // What nobody asked for came with it.
        let surplus = b"HTTP/1.1 200\nContent-Length: 2\n\nhiHTTP/1.1 200";
        assert_eq!(run(&check, surplus, 100, Waits), (ok(), false));
        let large = format!("HTTP/1.1 200\nContent-Length: 99999\n\n{}", "x".repeat(99_999));
        assert_eq!(run(&check, large.as_bytes(), 2_048, Waits), (ok(), false));
    }

    #[test]
    fn memory_is_used_again_if_it_is_little() {
        let check = looking_for("ok");
        let mut probe = Probe::default();
        assert_eq!(probe.handle(&check, Event::Connected), Action::Exchange);
        let large = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 60_000]].concat();
        assert_eq!(probe.handle(&check, Event::Received(&large)), Action::Receive);
        assert!(probe.body.as_ref().unwrap().text.capacity() >= 60_000);
        probe.restart();
        let body = probe.body.as_ref().unwrap();
        assert!((1..=KEPT_BYTES_MAX).contains(&body.text.capacity()) && !body.has_begun());
    }
}
