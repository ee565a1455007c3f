//! Scripts of events and what becomes of them.

use super::*;
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

const fn ok(status: u16) -> Option<Outcome> {
    Some(Outcome { code: Code::L7Ok, status, detail: Detail::None })
}
const fn sts(status: u16) -> Option<Outcome> {
    let detail = Detail::Cause(Cause::StatusNotMatched);
    Some(Outcome { code: Code::L7Sts, status, detail })
}
const fn rsp(cause: Cause) -> Option<Outcome> {
    Some(Outcome::cause(Code::L7Rsp, cause))
}
const CUT: Option<Outcome> = Some(Outcome::cause(Code::L7Cut, Cause::Closed));
const RESET: Option<Outcome> = Some(Outcome::errno(Code::L7Cut, Errno::ECONNRESET));
const TOUT: Option<Outcome> = Some(Outcome::plain(Code::L7Tout));
const OPEN: Option<Outcome> = None;
use Cause::{BadHeader, BadStatusLine, NotHttp, NulByte};

#[rustfmt::skip]
const TABLE: &[(&str, Then, Option<Outcome>, &[u8])] = &[
    // What passes.
    ("plain",                 Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("no header",             Waits,   ok(204),            b"HTTP/1.1 204 No Content\r\n\r\n"),
    ("first of the matcher",  Waits,   ok(200),            b"HTTP/1.1 200 OK\r\n\r\n"),
    ("last of the matcher",   Waits,   ok(399),            b"HTTP/1.1 399 Odd\r\n\r\n"),
    ("HTTP/1.0",              Waits,   ok(200),            b"HTTP/1.0 200 OK\r\n\r\n"),
    ("HTTP/1.9",              Waits,   ok(200),            b"HTTP/1.9 200 OK\r\n\r\n"),
    ("a body behind",         Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\n\r\n\0not looked at\r\r"),
    ("end right behind",      Closed,  ok(200),            b"HTTP/1.1 200 OK\r\n\r\n"),
    ("LF alone",              Waits,   ok(200),            b"HTTP/1.1 200 OK\na: b\n\n"),
    ("LF and CRLF",           Waits,   ok(200),            b"HTTP/1.1 200 OK\na: b\r\n\n"),
    ("empty lines first",     Waits,   ok(200),
        b"\r\n\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ("folded line",           Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\na: b\r\n  c\r\n\td\r\n\r\n"),
    ("blank fold",            Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\na: b\r\n \r\n\r\n"),
    ("blank before colon",    Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\na : b\r\nc \t:d\r\n\r\n"),
    ("no value",              Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\na:\r\nb: \r\n\r\n"),
    ("no reason, blank",      Waits,   ok(200),            b"HTTP/1.1 200 \r\n\r\n"),
    ("no reason, no blank",   Waits,   ok(200),            b"HTTP/1.1 200\r\n\r\n"),
    ("no reason, LF",         Waits,   ok(200),            b"HTTP/1.1 200\n\n"),
    ("odd reason",            Waits,   ok(200),
        b"HTTP/1.1 200 \x01\x1b[1m\x7f\xff: 404\r\n\r\n"),
    ("blank more in reason",  Waits,   ok(200),            b"HTTP/1.1 200  OK\r\n\r\n"),
    ("8-bit value",           Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\na: \xe4\xf6\xfc\r\n\r\n"),
    ("odd Content-Length",    Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\nContent-Length: -x\r\n\r\n"),
    ("two Content-Lengths",   Waits,   ok(200),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    ("redirect",              Waits,   ok(302),
        b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"),
    // 1xx.
    ("100 first",             Waits,   ok(200),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ("102, 103, then 503",    Waits,   sts(503),
        b"HTTP/1.1 102 P\r\n\r\n\r\nHTTP/1.0 103 H\nLink: x\n\nHTTP/1.1 503 U\r\n\r\n"),
    ("100 alone",             Expired, TOUT,               b"HTTP/1.1 100 Continue\r\n\r\n"),
    ("100, then end",         Closed,  CUT,                b"HTTP/1.1 100 Continue\r\n\r\n"),
    ("100, then rubbish",     Waits,   rsp(NotHttp),
        b"HTTP/1.1 100 Continue\r\n\r\nbody"),
    ("101 is final",          Waits,   sts(101),
        b"HTTP/1.1 101 Switching\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    // Not matched.
    ("404",                   Waits,   sts(404),           b"HTTP/1.1 404 Not Found\r\n\r\n"),
    ("599",                   Waits,   sts(599),           b"HTTP/1.1 599 X\r\n\r\n"),
    // Not begun, not done.
    ("silence",               Expired, TOUT,               b""),
    ("nothing, open",         Waits,   OPEN,               b""),
    ("end at once",           Closed,  CUT,                b""),
    ("reset at once",         Reset,   RESET,              b""),
    ("half a status line",    Closed,  CUT,                b"HTTP/1."),
    ("status line, open",     Waits,   OPEN,               b"HTTP/1.1 200 OK\r\n"),
    ("status line, end",      Closed,  CUT,                b"HTTP/1.1 200 OK\r\n"),
    ("status line, reset",    Reset,   RESET,              b"HTTP/1.1 200 OK\r\n"),
    ("one LF short",          Expired, TOUT,               b"HTTP/1.1 200 OK\r\na: b\r\n\r"),
    ("half a header, end",    Closed,  rsp(BadHeader),     b"HTTP/1.1 200 OK\r\nno colon y"),
    ("half a header, reset",  Reset,   rsp(BadHeader),     b"HTTP/1.1 200 OK\r\na: \x01"),
    ("half a header, silence", Expired, rsp(BadHeader),    b"HTTP/1.1 200 OK\r\na: b\rc"),
    ("half a header, open",   Waits,   OPEN,               b"HTTP/1.1 200 OK\r\nno colon y"),
    ("NUL behind half of one", Waits,  rsp(BadHeader),
        b"HTTP/1.1 200 OK\r\nno colon y\0"),
    ("half a name, end",      Closed,  CUT,                b"HTTP/1.1 200 OK\r\nno-colon-yet"),
    // Not a response.
    ("SSH",                   Waits,   rsp(NotHttp),       b"SSH-2.0-OpenSSH_9.6\r\n"),
    ("SSH, first byte",       Waits,   rsp(NotHttp),       b"S"),
    ("rubbish, then reset",   Reset,   rsp(NotHttp),       b"\x15\x03\x01\0\x02"),
    ("SMTP",                  Closed,  rsp(NotHttp),       b"220 mail ESMTP\r\n"),
    ("HTTP/0.9 page",         Closed,  rsp(NotHttp),       b"<html>"),
    ("blank first",           Waits,   rsp(NotHttp),       b" HTTP/1.1 200 OK\r\n\r\n"),
    ("lower case",            Waits,   rsp(NotHttp),       b"http/1.1 200 OK\r\n\r\n"),
    ("ICY",                   Waits,   rsp(NotHttp),       b"ICY 200 OK\r\n\r\n"),
    ("CR alone first",        Waits,   rsp(NotHttp),       b"\rHTTP/1.1 200 OK\r\n\r\n"),
    ("HTTP/2",                Waits,   rsp(BadStatusLine), b"HTTP/2 200\r\n\r\n"),
    ("HTTP/2.0",              Waits,   rsp(BadStatusLine), b"HTTP/2.0 200 OK\r\n\r\n"),
    ("HTTP/1.10",             Waits,   rsp(BadStatusLine), b"HTTP/1.10 200 OK\r\n\r\n"),
    ("HTTP/1.x",              Waits,   rsp(BadStatusLine), b"HTTP/1.x 200 OK\r\n\r\n"),
    ("two blanks",            Waits,   rsp(BadStatusLine), b"HTTP/1.1  200 OK\r\n\r\n"),
    ("tab for blank",         Waits,   rsp(BadStatusLine), b"HTTP/1.1\t200 OK\r\n\r\n"),
    ("tab after status",      Waits,   rsp(BadStatusLine), b"HTTP/1.1 200\tOK\r\n\r\n"),
    ("no status",             Waits,   rsp(BadStatusLine), b"HTTP/1.1 OK\r\n\r\n"),
    ("no status at all",      Waits,   rsp(BadStatusLine), b"HTTP/1.1\r\n\r\n"),
    ("two digits",            Waits,   rsp(BadStatusLine), b"HTTP/1.1 20 OK\r\n\r\n"),
    ("four digits",           Waits,   rsp(BadStatusLine), b"HTTP/1.1 2000 OK\r\n\r\n"),
    ("letter behind status",  Waits,   rsp(BadStatusLine), b"HTTP/1.1 200OK\r\n\r\n"),
    ("000",                   Waits,   rsp(BadStatusLine), b"HTTP/1.1 000 Zero\r\n\r\n"),
    ("099",                   Waits,   rsp(BadStatusLine), b"HTTP/1.1 099 Low\r\n\r\n"),
    ("600",                   Waits,   rsp(BadStatusLine), b"HTTP/1.1 600 High\r\n\r\n"),
    ("minus",                 Waits,   rsp(BadStatusLine), b"HTTP/1.1 -20 OK\r\n\r\n"),
    ("CR alone, status line", Waits,   rsp(BadStatusLine), b"HTTP/1.1 200 OK\ra: b\r\n\r\n"),
    ("CR CR LF",              Waits,   rsp(BadStatusLine), b"HTTP/1.1 200 OK\r\r\n\r\n"),
    ("no colon",              Waits,   rsp(BadHeader),     b"HTTP/1.1 200 OK\r\nabc\r\n\r\n"),
    ("no name",               Waits,   rsp(BadHeader),     b"HTTP/1.1 200 OK\r\n: b\r\n\r\n"),
    ("fold without a line",   Waits,   rsp(BadHeader),     b"HTTP/1.1 200 OK\r\n a: b\r\n\r\n"),
    ("two words for a name",  Waits,   rsp(BadHeader),
        b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n"),
    ("8-bit name",            Waits,   rsp(BadHeader),
        b"HTTP/1.1 200 OK\r\n\xe4: b\r\n\r\n"),
    ("control in a value",    Waits,   rsp(BadHeader),
        b"HTTP/1.1 200 OK\r\na: \x01\r\n\r\n"),
    ("CR alone, header",      Waits,   rsp(BadHeader),
        b"HTTP/1.1 200 OK\r\na: b\rc: d\r\n\r\n"),
    ("CR alone at the end",   Waits,   rsp(BadHeader),
        b"HTTP/1.1 200 OK\r\na: b\r\n\r\r\n"),
    ("NUL first",             Waits,   rsp(NulByte),       b"\0"),
    ("NUL in the version",    Waits,   rsp(NulByte),       b"HTTP/\0"),
    ("NUL in the reason",     Waits,   rsp(NulByte),       b"HTTP/1.1 200 O\0K\r\n\r\n"),
    ("NUL in a name",         Waits,   rsp(NulByte),
        b"HTTP/1.1 200 OK\r\na\0: b\r\n\r\n"),
    ("NUL in a value",        Waits,   rsp(NulByte),       b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n"),
    ("NUL in a skipped head", Waits,   rsp(NulByte),       b"HTTP/1.1 100 C\r\na: \0\r\n\r\n"),
];

/// The outcome of a run that is sent `chunks`; none if it still goes on.
fn run<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, then: Then) -> Option<Outcome> {
    let check = Check::new("/", None, Matcher::default());
    let mut probe = Probe::default();
    assert_eq!(probe.handle(&check, Event::Connected), Action::Exchange);
    assert_eq!(probe.handle(&check, Event::Sent), Action::Wait);
    for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
        let action = probe.handle(&check, Event::Received(chunk));
        if let Action::Finish(outcome) = action {
            return Some(outcome);
        }
        assert_eq!(action, Action::Receive);
    }
    let end = match then {
        Waits => return None,
        Closed => Event::Closed,
        Reset => Event::ReceiveFailed(Errno::ECONNRESET),
        Expired => Event::Expired,
    };
    let action = probe.handle(&check, end);
    let Action::Finish(outcome) = action else { panic!("{action:?} after the end") };
    Some(outcome)
}

#[test]
fn each_answer_has_its_outcome_however_it_is_cut() {
    for &(name, then, expected, bytes) in TABLE {
        assert_eq!(run([bytes], then), expected, "{name}");
        assert_eq!(run(bytes.chunks(1), then), expected, "{name}, byte by byte");
        for at in 0..=bytes.len() {
            let (first, second) = bytes.split_at(at);
            assert_eq!(run([first, second], then), expected, "{name}, cut at {at}");
        }
    }
}

/// Heads of `heads` answers, `len` bytes together; the last one has as many headers as fit.
fn heads(len: usize, skipped: usize, header: &[u8]) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 100 C\r\n\r\n".repeat(skipped);
    bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    while bytes.len() + header.len() + 2 <= len {
        bytes.extend_from_slice(header);
    }
    let fill = len - bytes.len() - 2;
    bytes.splice(bytes.len() - 2..bytes.len() - 2, std::iter::repeat_n(b'x', fill));
    bytes.extend_from_slice(b"\r\n");
    assert_eq!(bytes.len(), len);
    bytes
}

#[test]
fn heads_of_16_kib_pass_and_a_byte_more_does_not() {
    let too_long = rsp(Cause::HeadTooLong);
    for header in [&b"a:b\r\n"[..], &b"name: a value of some length\r\n"[..]] {
        for skipped in [0, 1, 100] {
            for (len, expected) in [(16_384, ok(200)), (16_385, too_long)] {
                let bytes = heads(len, skipped, header);
                assert_eq!(run([&bytes[..]], Waits), expected, "{len}, {skipped} skipped");
                assert_eq!(run(bytes.chunks(1), Waits), expected, "{len}, byte by byte");
                assert_eq!(run(bytes.chunks(2_048), Closed), expected, "{len}, by 2 KiB");
            }
        }
    }
}

#[test]
fn what_never_ends_is_too_long_at_its_byte_16385() {
    let endless: [&[u8]; 4] = [b"\r\n", b"HTTP/1.1 200 OK\r\na: ", b"HTTP/1.1 200 ", b"\n"];
    for start in endless {
        let fill = if start.len() < 3 { b'\n' } else { b'x' };
        let mut bytes = start.to_vec();
        bytes.resize(16_384, fill);
        assert_eq!(run([&bytes[..]], Waits), OPEN);
        assert_eq!(run([&bytes[..]], Closed), CUT);
        // The limit comes first, whatever the byte is.
        bytes.push(0);
        assert_eq!(run([&bytes[..]], Waits), rsp(Cause::HeadTooLong));
        assert_eq!(run(bytes.chunks(1), Waits), rsp(Cause::HeadTooLong));
    }
}

#[test]
fn each_event_in_each_state_has_its_action() {
    let e = Errno::ECONNRESET;
    let response = b"HTTP/1.1 200 OK\r\n\r\n";
    let finish = |outcome: Option<Outcome>| Action::Finish(outcome.unwrap());
    let [l4con, l4tout] = [Outcome::errno(Code::L4Con, e), Outcome::plain(Code::L4Tout)];
    #[rustfmt::skip]
    let table = [
        // event                        before the connection         after it
        (Event::Connected,              Action::Exchange,             Action::Wait),
        (Event::ConnectFailed(e),       Action::Finish(l4con),        Action::Finish(l4con)),
        (Event::Sent,                   Action::Wait,                 Action::Wait),
        (Event::SendFailed(e),          Action::Wait,                 Action::Wait),
        (Event::Received(&response[..9]), Action::Receive,            Action::Receive),
        (Event::Received(response),     finish(ok(200)),              finish(ok(200))),
        (Event::Received(b"x"),         finish(rsp(NotHttp)),         finish(rsp(NotHttp))),
        (Event::Closed,                 finish(CUT),                  finish(CUT)),
        (Event::ReceiveFailed(e),       finish(RESET),                finish(RESET)),
        (Event::Expired,                Action::Finish(l4tout),       finish(TOUT)),
    ];
    let check = Check::new("/", None, Matcher::default());
    for (event, before, after) in table {
        let mut probe = Probe::default();
        assert_eq!(probe.handle(&check, event), before, "{event:?} before");
        // A used probe is as good as new.
        probe.restart();
        assert_eq!(probe.handle(&check, Event::Connected), Action::Exchange);
        assert_eq!(probe.handle(&check, event), after, "{event:?} after");
    }
}

#[test]
fn a_local_fault_is_not_held_against_the_target() {
    let check = Check::new("/", None, Matcher::default());
    let fault = Action::Finish(Outcome::errno(Code::SockErr, Errno::ENOBUFS));
    let mut probe = Probe::default();
    assert_eq!(probe.handle(&check, Event::ConnectFailed(Errno::ENOBUFS)), fault);
    probe.restart();
    assert_eq!(probe.handle(&check, Event::Connected), Action::Exchange);
    assert_eq!(probe.handle(&check, Event::ReceiveFailed(Errno::ENOBUFS)), fault);
    probe.restart();
    assert_eq!(probe.handle(&check, Event::Connected), Action::Exchange);
    assert_eq!(probe.handle(&check, Event::SendFailed(Errno::ENOBUFS)), fault);
}

#[test]
fn the_request_names_its_host_as_a_browser_would() {
    for (host, address, expected) in [
        (None, "127.0.0.1:8080", "127.0.0.1:8080"),
        (None, "127.0.0.1:80", "127.0.0.1"),
        (None, "[::1]:443", "[::1]:443"),
        (None, "[2001:db8::1]:80", "[2001:db8::1]"),
        (Some("web.internal"), "127.0.0.1:8080", "web.internal"),
    ] {
        let check = Check::new("/up?full=1", host, Matcher::default());
        let mut out = b"kept ".to_vec();
        check.render(address.parse().unwrap(), &mut out);
        let version = env!("CARGO_PKG_VERSION");
        let request = format!(
            "kept GET /up?full=1 HTTP/1.1\r\nHost: {expected}\r\n\
             User-Agent: ringcheck/{version}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(String::from_utf8(out).unwrap(), request);
    }
}

#[test]
fn the_request_has_the_method_and_version_that_were_asked_for() {
    for (method, version, line) in [
        (Method::Get, Version::Http10, "GET /up HTTP/1.0\r\nHost: "),
        (Method::Head, Version::Http10, "HEAD /up HTTP/1.0\r\nHost: "),
        (Method::Head, Version::Http11, "HEAD /up HTTP/1.1\r\nHost: "),
    ] {
        for host in [None, Some("127.0.0.1:81")] {
            let host = host.map(str::to_owned);
            let request = Request { method, version, host, ..Request::get("/up") };
            let check = Check::asking(&request, Matcher::default());
            let mut out = Vec::new();
            check.render("127.0.0.1:81".parse().unwrap(), &mut out);
            let request = String::from_utf8(out).unwrap();
            assert!(request.starts_with(&format!("{line}127.0.0.1:81\r\n")), "{request}");
            assert!(request.ends_with("\r\nConnection: close\r\n\r\n"), "{request}");
        }
    }
}
