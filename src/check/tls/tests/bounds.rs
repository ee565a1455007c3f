//! What a target may send at most.

use super::*;
use crate::check::http::{BodyMatch, Check as HttpCheck, Matcher};
use crate::limits::{TLS_BYTES_MAX, TLS_HANDSHAKE_BYTES_MAX};

#[test]
fn endless_rubbish_is_cut_off() {
    // Warnings, records that bring nothing, and a message that never ends.
    let warning = [0x15, 3, 3, 0, 2, 1, 90];
    let found = answered(&warning.repeat(100_000), 2_048, Event::Expired);
    assert_eq!(found.code, Code::L6Rsp, "{found:?}");
    let mut message = vec![0x16, 3, 3, 0x40, 0, 2, 0, 0xff, 0xff];
    message.extend([0; 16_380]);
    let mut piece = vec![0x16, 3, 3, 0x40, 0];
    piece.extend([0; 16_384]);
    message.extend(piece.repeat(40));
    assert_eq!(answered(&message, 2_048, Event::Expired).code, Code::L6Rsp);
    assert!(message.len() > TLS_HANDSHAKE_BYTES_MAX);
}

#[test]
fn an_endless_answer_is_cut_off() {
    let peer = Peer { tickets: false, answer: Vec::new(), ..Peer::default() };
    let check = tls(&Settings::default(), None, https());
    let mut server = ServerConnection::new(peer.config()).unwrap();
    let mut script = Script::new(&check, 2_048);
    script.connect();
    script.run(&mut server, b"");
    assert!(script.outcome.is_none() && script.probe.is_secured());
    let mut sent = 0;
    // Keys are changed again and again: records that bring nothing to the check inside.
    while script.outcome.is_none() {
        server.refresh_traffic_keys().unwrap();
        let mut out = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut out).unwrap();
        }
        sent += out.len();
        assert!(sent <= TLS_BYTES_MAX + 2_048 && !out.is_empty());
        script.receive(&out);
        script.sent.clear();
        script.sent();
    }
    assert_eq!(script.outcome.unwrap().code, Code::L7Rsp);
    assert!(!script.probe.is_answered());
}

#[test]
fn a_chain_may_be_large_but_not_huge() {
    let check = tls(&Settings::default(), None, Inner::Handshake);
    for (certificates, passes) in [(40, true), (400, false)] {
        let mut identity = identity("web.internal", |_| {});
        let filler = identity.0[0].clone();
        identity.0.extend(std::iter::repeat_n(filler, certificates));
        let peer = Peer { identity, versions: vec![&TLS12], ..Peer::default() };
        let found = outcome_of(&check, &peer, 2_048);
        assert_eq!(found.code == Code::L6Ok, passes, "{certificates}: {found:?}");
    }
}

/// Less than the check inside may read, but a byte at a time.
#[test]
fn an_answer_in_too_many_records_is_cut_off() {
    let wanted = BodyMatch::contains("never").unwrap();
    let inside = HttpCheck::new("/", None, Matcher::default()).matching(wanted);
    let check = tls(&Settings::default(), None, Inner::Http(inside));
    let mut server = ServerConnection::new(Peer::default().config()).unwrap();
    let mut script = Script::new(&check, 2_048);
    script.connect();
    script.run(&mut server, b"HTTP/1.1 200 OK\r\n\r\n");
    let mut sent = 0;
    while script.outcome.is_none() {
        server.writer().write_all(b"x").unwrap();
        let mut out = Vec::new();
        server.write_tls(&mut out).unwrap();
        sent += out.len();
        script.receive(&out);
    }
    assert_eq!(script.outcome, Some(Outcome::cause(Code::L7Rsp, Cause::TlsEndless)));
    assert!((TLS_BYTES_MAX - 4_096..=TLS_BYTES_MAX).contains(&sent), "{sent}");
}
