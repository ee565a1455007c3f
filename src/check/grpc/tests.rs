//! The check against h2's own server, each at one end of a pipe in memory, with every cut that the
//! bytes can have between them; and against what no server says.

use super::message::{ServingStatus, framed};
use super::pipe::Pipe;
use super::*;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use http::{HeaderMap, Response};
use nix::errno::Errno;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

const ADDRESS: &str = "127.0.0.1:50051";

/// What the server does with the call.
#[derive(Clone, Debug)]
enum Reply {
    Says(ServingStatus),
    /// Only a head, with this gRPC status.
    Status(&'static str),
    /// A message, and trailers with this gRPC status.
    Trailers(Bytes, Option<&'static str>),
    /// Another answer of HTTP.
    Http(u16, &'static str),
    Reset,
    GoAway,
    Nothing,
}

enum Stage {
    Handshake(Box<Handshake<Pipe, Bytes>>),
    /// Never dropped: h2 asserts that nobody leaves a server in the middle of an answer.
    Serving(Box<ManuallyDrop<Connection<Pipe, Bytes>>>),
}

struct Server {
    pipe: Pipe,
    stage: Stage,
    reply: Reply,
    /// What was asked: authority, path, and the timeout.
    asked: Vec<(String, String, String)>,
    /// Calls that are not answered.
    open: Vec<SendResponse<Bytes>>,
}

impl Server {
    fn new(reply: Reply, builder: &Builder) -> Self {
        let pipe = Pipe::default();
        let stage = Stage::Handshake(Box::new(builder.handshake(pipe.clone())));
        Self { pipe, stage, reply, asked: Vec::new(), open: Vec::new() }
    }

    /// Takes what the client sent, and gives what is sent back.
    fn turn(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pipe.give(bytes);
        let mut context = Context::from_waker(Waker::noop());
        if let Stage::Handshake(handshake) = &mut self.stage
            && let Poll::Ready(connection) = Pin::new(&mut **handshake).poll(&mut context)
        {
            self.stage = Stage::Serving(Box::new(ManuallyDrop::new(connection.unwrap())));
        }
        if let Stage::Serving(connection) = &mut self.stage {
            while let Poll::Ready(Some(Ok((request, respond)))) =
                connection.poll_accept(&mut context)
            {
                let (head, _) = request.into_parts();
                let authority = head.uri.authority().unwrap().to_string();
                let timeout = head.headers["grpc-timeout"].to_str().unwrap().to_owned();
                self.asked.push((authority, head.uri.path().to_owned(), timeout));
                assert_eq!(head.headers["te"], "trailers");
                if matches!(self.reply, Reply::GoAway) {
                    connection.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
                }
                self.open.extend(answer(respond, &self.reply));
            }
        }
        let mut out = Vec::new();
        self.pipe.take_output(&mut out);
        out
    }
}

/// Answers, or hands the call back.
fn answer(mut respond: SendResponse<Bytes>, reply: &Reply) -> Option<SendResponse<Bytes>> {
    let head = |status: u16, kind| {
        Response::builder().status(status).header("content-type", kind).body(()).unwrap()
    };
    let grpc = "application/grpc+proto";
    match reply {
        Reply::Says(status) => {
            return answer(respond, &Reply::Trailers(framed(*status), Some("0")));
        }
        Reply::Status(status) => {
            let mut head = head(200, grpc);
            head.headers_mut().insert("grpc-status", status.parse().unwrap());
            respond.send_response(head, true).unwrap();
        }
        Reply::Trailers(message, status) => {
            let mut body = respond.send_response(head(200, grpc), false).unwrap();
            body.send_data(message.clone(), status.is_none()).unwrap();
            if let Some(status) = status {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", status.parse().unwrap());
                body.send_trailers(trailers).unwrap();
            }
        }
        Reply::Http(status, kind) => {
            let mut body = respond.send_response(head(*status, kind), false).unwrap();
            body.send_data(Bytes::from_static(b"<html>"), true).unwrap();
        }
        Reply::Reset => respond.send_reset(h2::Reason::REFUSED_STREAM),
        Reply::Nothing | Reply::GoAway => return Some(respond),
    }
    None
}

fn check() -> Check {
    Check::new("shop.Cart", None, Duration::from_secs(6)).unwrap()
}

/// Runs a probe against a server, bytes going both ways in pieces; none where nobody has more to
/// say and the probe still waits.
fn run(server: &mut Server, check: &Check, piece: usize) -> Option<Outcome> {
    run_probe(&mut Probe::default(), server, check, piece)
}

fn run_probe(
    probe: &mut Probe,
    server: &mut Server,
    check: &Check,
    piece: usize,
) -> Option<Outcome> {
    run_steps(probe, server, check, piece, usize::MAX)
}

/// The same, given up after so many steps.
fn run_steps(
    probe: &mut Probe,
    server: &mut Server,
    check: &Check,
    piece: usize,
    steps: usize,
) -> Option<Outcome> {
    let address = ADDRESS.parse().unwrap();
    let mut to_client = Vec::new();
    let mut action = probe.handle(Event::Connected);
    for _ in 0..steps {
        match action {
            Action::Finish(outcome) => return Some(outcome),
            Action::Send | Action::Exchange => {
                let mut out = Vec::new();
                probe.output(check, address, &mut out);
                assert!(!out.is_empty(), "a send of nothing");
                for part in out.chunks(piece) {
                    to_client.extend(server.turn(part));
                }
                action = probe.handle(Event::Sent);
            }
            Action::Wait | Action::Receive => {
                to_client.extend(server.turn(&[]));
                if to_client.is_empty() {
                    return None;
                }
                let rest = to_client.split_off(piece.min(to_client.len()));
                action = probe.handle(Event::Received(&std::mem::replace(&mut to_client, rest)));
            }
        }
    }
    None
}

/// SERVING, and behind it so many bytes in a field that nobody knows.
fn padded(bytes: usize) -> Bytes {
    let length = [bytes % 128 + 128, bytes / 128].map(|part| u8::try_from(part).unwrap());
    let message = [&[8, 1, 0x7A][..], &length, &vec![0; bytes]].concat();
    let prefix = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &prefix, &message].concat().into()
}

fn cause(code: Code, cause: Cause) -> Option<Outcome> {
    Some(Outcome::cause(code, cause))
}

#[test]
#[rustfmt::skip]
fn each_answer_has_its_outcome_however_it_is_cut() {
    use ServingStatus::{NotServing, ServiceUnknown, Serving, Unknown};
    let not_found =
        Outcome { code: Code::L7Sts, status: 404, detail: crate::outcome::Detail::Cause(Cause::StatusNotMatched) };
    let serving = || framed(Serving);
    let table = [
        (Reply::Says(Serving),                         Some(Outcome::plain(Code::L7Ok))),
        (Reply::Says(NotServing),                      cause(Code::L7Sts, Cause::NotServing)),
        (Reply::Says(Unknown),                         cause(Code::L7Sts, Cause::ServingUnknown)),
        (Reply::Says(ServiceUnknown),                  cause(Code::L7Sts, Cause::ServiceUnknown)),
        (Reply::Status("12"),                          cause(Code::L7Sts, Cause::GrpcUnimplemented)),
        (Reply::Status("5"),                           cause(Code::L7Sts, Cause::GrpcNotFound)),
        (Reply::Status("x"),                           cause(Code::L7Sts, Cause::GrpcUnknown)),
        (Reply::Status("99"),                          cause(Code::L7Sts, Cause::GrpcOther)),
        (Reply::Status("0"),                           cause(Code::L7Rsp, Cause::NotGrpc)),
        (Reply::Trailers(serving(), Some("14")),       cause(Code::L7Sts, Cause::GrpcUnavailable)),
        (Reply::Trailers(serving(), None),             cause(Code::L7Rsp, Cause::NotGrpc)),
        (Reply::Trailers(Bytes::from_static(b"x"), Some("0")), cause(Code::L7Rsp, Cause::NotGrpc)),
        (Reply::Trailers(vec![0; 100_000].into(), Some("0")), cause(Code::L7Rsp, Cause::NotGrpc)),
        (Reply::Trailers(padded(4_000), Some("0")),    Some(Outcome::plain(Code::L7Ok))),
        (Reply::Trailers(padded(4_096), Some("0")),    cause(Code::L7Rsp, Cause::NotGrpc)),
        (Reply::Http(404, "text/html"),                Some(not_found)),
        (Reply::Http(200, "text/html"),                cause(Code::L7Rsp, Cause::NotGrpc)),
        (Reply::Reset,                                 cause(Code::L7Cut, Cause::StreamReset)),
        // The call came before it, so it may still be answered.
        (Reply::GoAway,                                None),
        (Reply::Nothing,                               None),
    ];
    for (reply, expected) in table {
        for piece in [1, 2, 9, 100, usize::MAX] {
            let mut server = Server::new(reply.clone(), &Builder::new());
            assert_eq!(run(&mut server, &check(), piece), expected, "{reply:?} by {piece}");
            let asked = (ADDRESS.to_owned(), message::PATH.to_owned(), "6000m".to_owned());
            assert_eq!(server.asked, [asked]);
        }
    }
}

#[test]
fn settings_of_any_size_are_lived_with() {
    let mut narrow = Builder::new();
    // The request has to wait for room, a few bytes at a time.
    narrow.initial_window_size(1).max_concurrent_streams(1).max_header_list_size(1_000);
    let mut wide = Builder::new();
    wide.initial_window_size((1 << 31) - 1)
        .initial_connection_window_size((1 << 31) - 1)
        .max_frame_size((1 << 24) - 1);
    let serving = Reply::Says(ServingStatus::Serving);
    for builder in [wide, narrow] {
        let mut server = Server::new(serving.clone(), &builder);
        let outcome = run(&mut server, &check(), 7);
        assert_eq!(outcome, Some(Outcome::plain(Code::L7Ok)));
    }
}

#[test]
fn a_probe_may_be_given_up_at_any_point() {
    let mut narrow = Builder::new();
    narrow.initial_window_size(1);
    for reply in [Reply::Says(ServingStatus::Serving), Reply::Nothing, Reply::GoAway] {
        for steps in 0..120 {
            let mut server = Server::new(reply.clone(), &narrow);
            run_steps(&mut Probe::default(), &mut server, &check(), 5, steps);
        }
    }
}

#[test]
fn host_and_scheme_are_those_that_were_asked_for() {
    let timeout = Duration::from_secs(1);
    let mut server = Server::new(Reply::Says(ServingStatus::Serving), &Builder::new());
    let check = Check::new("", Some("shop:8443"), timeout).unwrap().over_tls();
    assert_eq!(run(&mut server, &check, 100), Some(Outcome::plain(Code::L7Ok)));
    assert_eq!(server.asked[0].0, "shop:8443");
    assert!(Check::new("", Some("a/b"), timeout).is_err());
}

#[test]
fn a_connection_takes_one_call_after_the_other() {
    let mut server = Server::new(Reply::Says(ServingStatus::Serving), &Builder::new());
    let mut probe = Probe::default();
    for run in 1..=20 {
        let outcome = run_probe(&mut probe, &mut server, &check(), 50);
        assert_eq!(outcome, Some(Outcome::plain(Code::L7Ok)), "run {run}");
        assert!(probe.leaves_connection());
        assert_eq!(server.asked.len(), run);
        probe.restart_kept();
    }
    // What a target may send is counted for each call by itself.
    server.reply = Reply::Trailers(padded(4_000), Some("0"));
    for run in 1..=100 {
        let outcome = run_probe(&mut probe, &mut server, &check(), 1_000);
        assert_eq!(outcome, Some(Outcome::plain(Code::L7Ok)), "run {run}");
        probe.restart_kept();
    }
    server.reply = Reply::Says(ServingStatus::NotServing);
    let outcome = run_probe(&mut probe, &mut server, &check(), 50);
    assert_eq!(outcome, cause(Code::L7Sts, Cause::NotServing));
}

#[test]
fn what_is_said_of_the_connection_answers_no_call() {
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingping";
    let mut server = Server::new(Reply::Says(ServingStatus::Serving), &Builder::new());
    let mut probe = Probe::default();
    assert!(!probe.is_answered());
    assert!(run_probe(&mut probe, &mut server, &check(), 50).is_some() && probe.is_answered());
    probe.restart_kept();
    assert_eq!(probe.handle(Event::Connected), Action::Exchange);
    probe.output(&check(), ADDRESS.parse().unwrap(), &mut Vec::new());
    assert_eq!(probe.handle(Event::Received(PING)), Action::Receive);
    let closed = Outcome::cause(Code::L7Cut, Cause::Closed);
    assert_eq!(probe.handle(Event::Closed), Action::Finish(closed));
    assert!(!probe.is_answered());
    // Who resets the call itself has answered it.
    let mut server = Server::new(Reply::Reset, &Builder::new());
    let mut probe = Probe::default();
    let outcome = run_probe(&mut probe, &mut server, &check(), 50);
    assert!(outcome == cause(Code::L7Cut, Cause::StreamReset) && probe.is_answered());
}

/// A probe that has asked.
fn asked() -> Probe {
    let mut probe = Probe::default();
    assert_eq!(probe.handle(Event::Connected), Action::Exchange);
    probe.output(&check(), ADDRESS.parse().unwrap(), &mut Vec::new());
    assert_eq!(probe.handle(Event::Sent), Action::Wait);
    probe
}

#[test]
fn what_is_no_http2_is_told_at_once() {
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    for (bytes, cause) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Cause::NotHttp2),
        (b"SSH-2.0-OpenSSH\r\n", Cause::NotHttp2),
        (b"\x15\x03\x01\0\x02", Cause::NotHttp2),
        // A frame of data of a stream that does not exist, one that is too long, and headers that
        // no table has.
        (b"\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\x09x", Cause::BadHttp2),
        (b"\0\0\0\x04\0\0\0\0\0\xFF\0\0\0\0\0\0\0\x01", Cause::BadHttp2),
        (b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\x04\0\0\0\x01\xFF", Cause::BadHttp2),
    ] {
        for piece in [1, 4, 100] {
            let mut probe = asked();
            let mut pieces = bytes.chunks(piece);
            let outcome = pieces.find_map(|piece| match probe.handle(Event::Received(piece)) {
                Action::Finish(outcome) => Some(outcome),
                Action::Wait | Action::Exchange | Action::Send | Action::Receive => None,
            });
            assert_eq!(outcome, Some(Outcome::cause(Code::L7Rsp, cause)), "{bytes:?} by {piece}");
        }
    }
    let gone = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut probe = asked();
    let action = probe.handle(Event::Received(&[&settings[..], gone].concat()));
    assert_eq!(action, Action::Finish(Outcome::cause(Code::L7Cut, Cause::GoAway)));
    let finish = |event| {
        let mut probe = asked();
        assert!(matches!(probe.handle(Event::Received(settings)), Action::Exchange));
        probe.handle(event)
    };
    assert_eq!(finish(Event::Closed), Action::Finish(Outcome::cause(Code::L7Cut, Cause::Closed)));
    assert_eq!(finish(Event::Expired), Action::Finish(Outcome::plain(Code::L7Tout)));
    let reset = Outcome::errno(Code::L7Cut, Errno::ECONNRESET);
    assert_eq!(finish(Event::ReceiveFailed(Errno::ECONNRESET)), Action::Finish(reset));
}

#[test]
fn before_the_connection_it_is_a_connection_that_failed() {
    let mut probe = Probe::default();
    let refused = Outcome::errno(Code::L4Con, Errno::ECONNREFUSED);
    let action = probe.handle(Event::ConnectFailed(Errno::ECONNREFUSED));
    assert_eq!(action, Action::Finish(refused));
    probe.restart();
    assert_eq!(probe.handle(Event::Expired), Action::Finish(Outcome::plain(Code::L4Tout)));
}

/// What a hostile target says without end costs bounded memory and ends.
#[test]
fn floods_end() {
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    let ping = b"\0\0\x08\x06\0\0\0\0\0abcdefgh";
    let continuation = [b"\0\x10\0\x09\0\0\0\0\x01".to_vec(), vec![0x40; 4_096]].concat();
    let headers = b"\0\0\0\x01\0\0\0\0\x01";
    let informational = b"\0\0\x05\x01\x04\0\0\0\x01\x08\x03100";
    let data = b"\0\0\0\0\0\0\0\0\x01";
    for (name, start, flood) in [
        ("pings", &b""[..], &ping[..]),
        ("settings", b"", settings),
        ("continuations", headers, &continuation),
        ("interim answers", b"", informational),
        ("empty data", b"", data),
    ] {
        let mut probe = asked();
        let first = [&settings[..], start].concat();
        let mut action = probe.handle(Event::Received(&first));
        let mut rounds = 0;
        while !matches!(action, Action::Finish(_)) {
            // Nothing that we say is ever taken.
            action = probe.handle(Event::Received(flood));
            rounds += flood.len();
            let waiting = probe.call.as_ref().unwrap().output_len();
            assert!(waiting <= 16 * 1_024, "{name}: {waiting} bytes wait");
            assert!(rounds <= RECEIVED_BYTES_MAX + flood.len(), "{name}");
        }
        let Action::Finish(outcome) = action else { unreachable!("it is finished") };
        assert_eq!(outcome.code, Code::L7Rsp, "{name}");
    }
}
