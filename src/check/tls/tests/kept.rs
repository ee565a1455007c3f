//! Probes over a connection that the one before has left.

use super::*;
use crate::check::http::{Check as HttpCheck, Matcher, Request};

fn keeping() -> Check {
    let inner = HttpCheck::reusing(&Request::get("/"), Matcher::default());
    tls(&Settings::default(), None, Inner::Http(inner))
}

/// A run over the connection of `script`, which is left afterwards if that is said.
fn run(script: &mut Script<'_>, server: &mut ServerConnection, answer: &[u8]) -> (Outcome, bool) {
    script.connect();
    script.run(server, answer);
    let outcome = script.outcome.take().expect("the probe is over");
    (outcome, script.probe.leaves_connection())
}

/// Makes the next run one over the same connection.
fn again(script: &mut Script<'_>) {
    script.probe.restart_kept();
    (script.sending, script.receiving) = (false, false);
}

#[test]
fn a_connection_takes_one_request_after_the_other() {
    for version in [&TLS12, &TLS13] {
        for piece in [1, 50, usize::MAX] {
            let peer = Peer { versions: vec![version], ..Peer::default() };
            let mut server = ServerConnection::new(peer.config()).unwrap();
            let check = keeping();
            let mut script = Script::new(&check, piece);
            for number in 0..5 {
                let (outcome, is_left) = run(&mut script, &mut server, OK);
                assert_eq!((outcome.code, is_left), (Code::L7Ok, true), "run {number} by {piece}");
                assert!(script.probe.is_answered());
                let told = script.probe.tell();
                assert_eq!(told.leaf.is_some(), number == 0, "one handshake");
                again(&mut script);
                assert!(!script.probe.is_answered());
            }
            // The target says farewell while nobody listens.
            server.send_close_notify();
            let (outcome, is_left) = run(&mut script, &mut server, OK);
            assert_eq!((outcome.code, is_left), (Code::L7Cut, false));
            assert!(!script.probe.is_answered());
        }
    }
}

/// What a target may send is counted for each run by itself.
#[test]
fn so_many_answers_are_not_too_much() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n";
    let answer = [&head[..], &[b'x'; 60_000]].concat();
    let mut server = ServerConnection::new(Peer::default().config()).unwrap();
    let check = keeping();
    let mut script = Script::new(&check, 2_048);
    for number in 0..20 {
        let (outcome, is_left) = run(&mut script, &mut server, &answer);
        assert_eq!((outcome, is_left), (L7OK, true), "run {number}");
        again(&mut script);
    }
}

#[test]
fn a_connection_on_which_more_was_said_is_not_left() {
    let more = [OK, b"HTTP/1.1 200 OK\r\n"].concat();
    let closes = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for answer in [&more[..], closes] {
        let mut server = ServerConnection::new(Peer::default().config()).unwrap();
        let check = keeping();
        let mut script = Script::new(&check, usize::MAX);
        let (outcome, is_left) = run(&mut script, &mut server, answer);
        assert_eq!((outcome.code, is_left), (Code::L7Ok, false));
    }
}

/// Behind the end of the answer, in the same piece, comes another record: it is not read, so the
/// connection would go on without it.
#[test]
fn a_connection_of_which_not_all_was_read_is_not_left() {
    for is_farewell in [true, false] {
        let mut server = ServerConnection::new(Peer::default().config()).unwrap();
        let check = keeping();
        let mut script = Script::new(&check, usize::MAX);
        script.connect();
        script.run(&mut server, b"");
        server.writer().write_all(OK).unwrap();
        if is_farewell {
            server.send_close_notify();
        } else {
            server.refresh_traffic_keys().unwrap();
        }
        let mut out = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut out).unwrap();
        }
        script.receive(&out);
        assert_eq!(script.outcome, Some(L7OK));
        assert!(!script.probe.leaves_connection());
    }
}
