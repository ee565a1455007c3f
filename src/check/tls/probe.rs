//! One run of a TLS check: bytes of the connection in and out, the check inside fed with what they
//! protect.
//!
//! The library has no socket: it is given what came and asked for what goes out. At most one send
//! and one receive are in flight; what the library wants to say meanwhile it keeps. Memory is
//! bounded by the bytes that a target may send ([`TLS_HANDSHAKE_BYTES_MAX`], [`TLS_BYTES_MAX`]),
//! and given back when the probe is over.
//!
//! **When a mere handshake has passed.** The client is done before the target has judged the
//! client's last message, and with TLS 1.3 a target that misses a client certificate says so only
//! then. So where a certificate was asked for in TLS 1.3, the probe waits for the next that the
//! target says: anything but an alert is a pass, a closed or reset connection is a refusal. A
//! target may have nothing to say (no tickets): at the end of the timeout its silence is a pass,
//! because a refusal would have come by then. With TLS 1.2 the target's last message comes after
//! its judgement, and who asked for no certificate has nothing to judge.

use super::super::{Action, Event, connect_failed, grpc, http};
use super::failure::{gave_up, handshake_failed};
use super::notes::{Notes, Session};
use super::records::Records;
use super::{Check, Inner};
use crate::limits::{TLS_BYTES_MAX, TLS_HANDSHAKE_BYTES_MAX};
use crate::outcome::{Cause, Class, Code, Outcome};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Error, NamedGroup, ProtocolVersion};
use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;

/// One run of a [`Check`].
#[derive(Debug, Default)]
pub struct Probe {
    phase: Phase,
    /// None before the first bytes are to be sent.
    connection: Option<Box<ClientConnection>>,
    notes: Notes,
    records: Records,
    /// Bytes that came.
    received: usize,
    sending: bool,
    receiving: bool,
    /// The connection takes nothing more from us.
    mute: bool,
    inner: InnerProbe,
    /// Bytes of the check inside on their way into the library.
    plaintext: Vec<u8>,
    address: Option<SocketAddr>,
    /// Bytes of the check inside have come.
    answered: bool,
    /// Bytes of the connection were left out, because the outcome was known before them.
    unread: bool,
}

#[derive(Debug, Default)]
enum Phase {
    /// No connection yet.
    #[default]
    Connecting,
    Handshake,
    /// The handshake is done on our side; the target may still refuse it.
    Judged,
    /// The check inside runs.
    Inner,
    /// The outcome is known; our last bytes are on their way.
    Leaving(Outcome),
}

/// A run of the check inside.
#[derive(Debug, Default)]
enum InnerProbe {
    #[default]
    None,
    Http(http::Probe),
    Grpc(grpc::Probe),
}

impl InnerProbe {
    fn of(inner: &Inner) -> Self {
        match inner {
            Inner::Handshake => Self::None,
            Inner::Http(_) => Self::Http(http::Probe::default()),
            Inner::Grpc(_) => Self::Grpc(grpc::Probe::default()),
        }
    }

    fn handle(&mut self, inner: &Inner, event: Event<'_>) -> Action {
        match (self, inner) {
            (Self::Http(probe), Inner::Http(check)) => probe.handle(check, event),
            (Self::Grpc(probe), Inner::Grpc(_)) => probe.handle(event),
            (Self::None | Self::Http(_) | Self::Grpc(_), _) => {
                Action::Finish(Outcome::plain(Code::L6Ok))
            }
        }
    }

    /// Whether what came of it was said to what it asked.
    fn is_answered(&self) -> bool {
        match self {
            Self::None | Self::Http(_) => true,
            Self::Grpc(probe) => probe.is_answered(),
        }
    }

    fn leaves_connection(&self) -> bool {
        match self {
            Self::None => false,
            Self::Http(probe) => probe.leaves_connection(),
            Self::Grpc(probe) => probe.leaves_connection(),
        }
    }

    fn restart_kept(&mut self) {
        match self {
            Self::None => {}
            Self::Http(probe) => probe.restart(),
            Self::Grpc(probe) => probe.restart_kept(),
        }
    }

    fn output(&mut self, inner: &Inner, address: SocketAddr, out: &mut Vec<u8>) {
        match (self, inner) {
            (_, Inner::Handshake) => {}
            (_, Inner::Http(check)) => check.render(address, out),
            (Self::Grpc(probe), Inner::Grpc(check)) => probe.output(check, address, out),
            (Self::None | Self::Http(_), Inner::Grpc(_)) => {
                debug_assert!(false, "a probe is of its check's sort");
            }
        }
    }
}

/// What a run found out besides its outcome.
#[derive(Debug, Default)]
pub struct Told {
    /// Version and cipher suite as `Presented` has them; none where the target did not answer.
    pub terms: Option<(&'static str, &'static str)>,
    /// The protocol that the target chose.
    pub alpn: Option<Box<str>>,
    /// Its certificate in DER; none where a session was resumed.
    pub leaf: Option<Box<[u8]>>,
    /// The newest session that it gave.
    pub session: Option<Box<Session>>,
    /// The key exchange that it took.
    pub group: Option<NamedGroup>,
}

impl Probe {
    /// Makes this a fresh run.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Lets the handshake be a short one, if the target still knows the session. Before the first
    /// event.
    pub fn resume(&mut self, session: Option<Box<Session>>, group: Option<NamedGroup>) {
        (self.notes.session, self.notes.group) = (session, group);
    }

    /// Whether the handshake was done.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        matches!(self.phase, Phase::Judged | Phase::Inner | Phase::Leaving(_))
    }

    /// Whether bytes have come of what the handshake protects.
    #[must_use]
    pub const fn has_come(&self) -> bool {
        self.answered
    }

    /// Whether such bytes were said to what this run asked.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered && self.inner.is_answered()
    }

    /// What was found out. The connection stays.
    pub fn tell(&mut self) -> Told {
        let Self { connection: Some(connection), notes, .. } = self else { return Told::default() };
        let alpn = connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into());
        Told {
            terms: terms(connection),
            alpn,
            leaf: notes.leaf.take(),
            session: notes.session.take(),
            group: notes.group,
        }
    }

    /// Ends the run: what was found out, and all its memory given back.
    pub fn end(&mut self) -> Told {
        let told = self.tell();
        self.restart();
        told
    }

    /// Whether this run, which passed, left its connection for another one: neither said more than
    /// what belongs to it.
    pub fn leaves_connection(&mut self) -> bool {
        let is_over = matches!(self.phase, Phase::Inner) && self.inner.leaves_connection();
        let is_whole = !self.sending && !self.mute && !self.unread;
        let Some(connection) = &mut self.connection else { return false };
        // It is an error to read where nothing is left and no farewell was said.
        is_over && is_whole && !connection.wants_write() && connection.reader().fill_buf().is_err()
    }

    /// Makes this another run over the connection of the last one, which left it.
    pub fn restart_kept(&mut self) {
        (self.received, self.answered, self.receiving) = (0, false, false);
        self.inner.restart_kept();
    }

    /// Appends what goes out to a target at `address`.
    pub fn output(&mut self, check: &Check, address: SocketAddr, out: &mut Vec<u8>) {
        if self.connection.is_none() {
            self.address = Some(address);
            match begin(check, address, &mut self.notes) {
                Ok(connection) => self.connection = Some(connection),
                // The send of nothing ends the probe.
                Err(error) => self.phase = Phase::Leaving(gave_up(Code::SockErr, &error)),
            }
        }
        while let Some(connection) = &mut self.connection
            && connection.wants_write()
        {
            let written = connection.write_tls(out);
            debug_assert!(written.is_ok(), "a Vec takes whatever is written to it");
        }
    }

    /// Feeds one event, and says what to do.
    pub fn handle(&mut self, check: &Check, event: Event<'_>) -> Action {
        match event {
            Event::ConnectFailed(errno) => Action::Finish(connect_failed(errno)),
            Event::Connected if matches!(self.phase, Phase::Inner) => {
                let action = self.inner.handle(&check.inner, event);
                match self.carry_out(check, action) {
                    Some(outcome) => Action::Finish(outcome),
                    None => self.go_on(),
                }
            }
            Event::Connected => {
                self.phase = Phase::Handshake;
                (self.sending, self.receiving) = (true, true);
                Action::Exchange
            }
            Event::Sent => {
                self.sending = false;
                self.sent(check)
            }
            Event::SendFailed(errno) => {
                (self.sending, self.mute) = (false, true);
                let outcome = handshake_failed(errno);
                match (&self.phase, outcome.class()) {
                    (&Phase::Leaving(outcome), _) => Action::Finish(outcome),
                    // Nothing will be answered to what we did not send.
                    (_, Class::LocalFault) => Action::Finish(outcome),
                    // The receive in flight tells more: an alert may have come before the reset.
                    (_, Class::Pass | Class::Fail) => Action::Wait,
                }
            }
            Event::Received(bytes) => {
                self.receiving = false;
                match self.take(check, bytes) {
                    Some(outcome) => Action::Finish(outcome),
                    None => self.go_on(),
                }
            }
            Event::Closed | Event::ReceiveFailed(_) | Event::Expired => self.over(check, event),
        }
    }

    /// What is next: whatever the library wants to say if nothing is on its way, and a receive.
    fn go_on(&mut self) -> Action {
        let wants = self.connection.as_ref().is_some_and(|connection| connection.wants_write());
        let send = wants && !self.sending && !self.mute;
        if let Phase::Leaving(outcome) = self.phase {
            if !send && !self.sending {
                return Action::Finish(outcome);
            }
            self.sending = true;
            return if send { Action::Send } else { Action::Wait };
        }
        let receive = !std::mem::replace(&mut self.receiving, true);
        self.sending |= send;
        match (send, receive) {
            (true, true) => Action::Exchange,
            (true, false) => Action::Send,
            (false, true) => Action::Receive,
            (false, false) => Action::Wait,
        }
    }

    fn sent(&mut self, check: &Check) -> Action {
        let wants = self.connection.as_ref().is_some_and(|connection| connection.wants_write());
        if matches!(self.phase, Phase::Inner) && !wants {
            let action = self.inner.handle(&check.inner, Event::Sent);
            if let Some(outcome) = self.carry_out(check, action) {
                return Action::Finish(outcome);
            }
        }
        self.go_on()
    }

    /// Nothing more comes.
    fn over(&mut self, check: &Check, event: Event<'_>) -> Action {
        let outcome = match (&self.phase, event) {
            (&Phase::Leaving(outcome), _) => outcome,
            (Phase::Connecting, Event::Expired) => Outcome::plain(Code::L4Tout),
            (Phase::Handshake, Event::Expired) => Outcome::plain(Code::L6Tout),
            // See the module's head.
            (Phase::Judged, Event::Expired) => Outcome::plain(Code::L6Ok),
            (Phase::Inner, event) => {
                let action = self.inner.handle(&check.inner, event);
                debug_assert!(matches!(action, Action::Finish(_)), "{action:?} after {event:?}");
                return action;
            }
            (_, Event::ReceiveFailed(errno)) => handshake_failed(errno),
            (_, _) => Outcome::cause(Code::L6Rsp, Cause::TlsClosed),
        };
        Action::Finish(outcome)
    }

    /// Takes bytes of the connection in, a record at a time; the outcome where they bring it.
    fn take(&mut self, check: &Check, mut bytes: &[u8]) -> Option<Outcome> {
        self.received += bytes.len();
        while !bytes.is_empty() {
            let Ok((taken, ended)) = self.records.next(bytes) else {
                return Some(self.no_record());
            };
            let (piece, rest) = bytes.split_at(taken);
            bytes = rest;
            if let Err(outcome) = self.buffer(piece) {
                return outcome;
            }
            if let Some(length) = ended {
                self.notes.unclaimed_bytes += length;
                if let Some(outcome) = self.process(check) {
                    self.unread = !bytes.is_empty();
                    return Some(outcome);
                }
                if matches!(self.phase, Phase::Leaving(_)) {
                    return None;
                }
            }
        }
        let (most, outcome) = match self.phase {
            Phase::Inner => (TLS_BYTES_MAX, Outcome::cause(Code::L7Rsp, Cause::TlsEndless)),
            Phase::Connecting | Phase::Handshake | Phase::Judged | Phase::Leaving(_) => {
                (TLS_HANDSHAKE_BYTES_MAX, Outcome::cause(Code::L6Rsp, Cause::TlsTooMuch))
            }
        };
        (self.received > most).then_some(outcome)
    }

    /// Bytes that are no record of TLS: plain text, if nothing came before.
    fn no_record(&self) -> Outcome {
        let is_first = self.connection.as_ref().is_none_or(|it| it.protocol_version().is_none());
        match self.phase {
            Phase::Inner => Outcome::cause(Code::L7Rsp, Cause::TlsMalformed),
            _ if is_first => Outcome::cause(Code::L6Rsp, Cause::NotTls),
            Phase::Connecting | Phase::Handshake | Phase::Judged | Phase::Leaving(_) => {
                Outcome::cause(Code::L6Rsp, Cause::TlsMalformed)
            }
        }
    }

    /// Hands part of a record to the library, which keeps it until all of it is there. The outcome
    /// where it takes no more; none where nothing of it would count, because the target has said
    /// that it is done.
    fn buffer(&mut self, mut piece: &[u8]) -> Result<(), Option<Outcome>> {
        let Some(connection) = &mut self.connection else { return Err(None) };
        while !piece.is_empty() {
            match connection.read_tls(&mut piece) {
                Ok(0) => return Err(None),
                Ok(_) => {}
                // A record that is longer than one may be.
                Err(_) => {
                    let code = if self.answered { Code::L7Rsp } else { Code::L6Rsp };
                    return Err(Some(Outcome::cause(code, Cause::TlsMalformed)));
                }
            }
        }
        Ok(())
    }

    /// Lets the library look at a whole record.
    fn process(&mut self, check: &Check) -> Option<Outcome> {
        let connection = self.connection.as_mut()?;
        let had = self.notes.session.is_some();
        let state = match self.notes.during(|| connection.process_new_packets()) {
            Ok(state) => state,
            Err(error) => return Some(self.broken(&error)),
        };
        if state.plaintext_bytes_to_read() > 0 || self.notes.session.is_some() != had {
            self.notes.unclaimed_bytes = 0;
        }
        match self.phase {
            Phase::Handshake if !connection.is_handshaking() => {
                let outcome = self.secured(check);
                if outcome.is_some() {
                    return outcome;
                }
            }
            Phase::Judged if state.peer_has_closed() => {
                return Some(Outcome::cause(Code::L6Rsp, Cause::TlsClosed));
            }
            Phase::Judged => return self.leave(Outcome::plain(Code::L6Ok)),
            Phase::Connecting | Phase::Handshake | Phase::Inner | Phase::Leaving(_) => {}
        }
        self.pass_on(check, state.peer_has_closed())
    }

    /// The library gave up. A refusal is one of the handshake also where it comes late, as long as
    /// nothing else has come.
    fn broken(&self, error: &Error) -> Outcome {
        let refused = matches!(error, Error::AlertReceived(_)) && !self.answered;
        let in_handshake = !matches!(self.phase, Phase::Inner);
        gave_up(if refused || in_handshake { Code::L6Rsp } else { Code::L7Rsp }, error)
    }

    /// The handshake is done on our side.
    fn secured(&mut self, check: &Check) -> Option<Outcome> {
        self.notes.unclaimed_bytes = 0;
        let version = self.connection.as_ref().and_then(|it| it.protocol_version());
        if check.inner == Inner::Handshake {
            let judged = self.notes.asked && version == Some(ProtocolVersion::TLSv1_3);
            if judged {
                self.phase = Phase::Judged;
                return None;
            }
            return self.leave(Outcome::plain(Code::L6Ok));
        }
        self.phase = Phase::Inner;
        let alpn = self.connection.as_ref().and_then(|it| it.alpn_protocol());
        if matches!(check.inner, Inner::Grpc(_)) && alpn != Some(b"h2") {
            return Some(Outcome::cause(Code::L7Rsp, Cause::NotH2));
        }
        self.inner = InnerProbe::of(&check.inner);
        let action = self.inner.handle(&check.inner, Event::Connected);
        self.carry_out(check, action)
    }

    /// The outcome is known, but the target waits for the end of the handshake: it is told, with a
    /// farewell, so that it has nothing to complain of in its log.
    fn leave(&mut self, outcome: Outcome) -> Option<Outcome> {
        self.phase = Phase::Leaving(outcome);
        if let Some(connection) = &mut self.connection {
            connection.send_close_notify();
        }
        None
    }

    /// Feeds the check inside with what came for it.
    fn pass_on(&mut self, check: &Check, closed: bool) -> Option<Outcome> {
        if !matches!(self.phase, Phase::Inner) {
            let outcome = Outcome::cause(Code::L6Rsp, Cause::TlsClosed);
            return (closed && !self.is_secured()).then_some(outcome);
        }
        loop {
            let mut reader = self.connection.as_mut()?.reader();
            // It says that nothing is left by an error or by nothing.
            let Ok(bytes @ [_, ..]) = reader.fill_buf() else { break };
            let length = bytes.len();
            self.answered = true;
            let action = self.inner.handle(&check.inner, Event::Received(bytes));
            reader.consume(length);
            let outcome = self.carry_out(check, action);
            if outcome.is_some() {
                return outcome;
            }
        }
        if !closed {
            return None;
        }
        let action = self.inner.handle(&check.inner, Event::Closed);
        self.carry_out(check, action)
    }

    /// Carries out what the check inside asks for, as far as it is not done anyway.
    fn carry_out(&mut self, check: &Check, action: Action) -> Option<Outcome> {
        match action {
            Action::Wait | Action::Receive => None,
            Action::Finish(outcome) => Some(outcome),
            Action::Send | Action::Exchange => {
                let (connection, address) = (self.connection.as_mut()?, self.address?);
                self.plaintext.clear();
                self.inner.output(&check.inner, address, &mut self.plaintext);
                let written = connection.writer().write_all(&self.plaintext);
                debug_assert!(written.is_ok(), "requests are smaller than the library's buffer");
                None
            }
        }
    }
}

/// A connection that is about to say hello.
fn begin(
    check: &Check,
    address: SocketAddr,
    notes: &mut Notes,
) -> Result<Box<ClientConnection>, Error> {
    let name = check.client.name().cloned();
    // An address is not told to the target (RFC 6066), only verified.
    let name = name.unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
    let config = check.client.config().clone();
    let connection = notes.during(|| ClientConnection::new(config, name));
    // A session that the library did not ask for is of no use.
    notes.session = None;
    connection.map(Box::new)
}

/// Version and cipher suite, as soon as the target has chosen them.
fn terms(connection: &ClientConnection) -> Option<(&'static str, &'static str)> {
    use rustls::CipherSuite as S;
    #[expect(clippy::wildcard_enum_match_arm, reason = "no other version is offered")]
    let version = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        _ => return None,
    };
    let suite = connection.negotiated_cipher_suite()?.suite();
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library names all others as they are")]
    let cipher = match suite {
        S::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        S::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        S::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    };
    Some((version, cipher))
}
