//! Targets that speak gRPC's health service over HTTP/2, for the simulated network and for real
//! sockets alike. Frames are written by hand, and each call is answered on its own stream; what a
//! call asks for is not looked at.

use ringcheck::io::sim::{Behaviour, Converse, End, Step, Talker};
use std::time::Duration;

/// What a call is answered with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// So healthy, by the number of the word.
    Says(u8),
    /// It is not answered.
    Nothing,
    /// This one is not, and no call is taken any more.
    GoAway,
    /// No HTTP/2 at all.
    Bytes(&'static [u8]),
}

/// A target that answers calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    /// To a connection's first call, and to each that follows.
    pub replies: [Reply; 2],
    /// So much time later comes what follows an answer.
    pub patience: Duration,
    /// It says then that it takes no more calls.
    pub leaves: bool,
    /// And then this.
    pub end: End,
}

/// Serves one call after the other.
pub(crate) const SERVING: Health = says(1);
/// Answers, and does not serve.
pub(crate) const NOT_SERVING: Health = says(2);
/// Takes the call, and says nothing to it.
pub(crate) const MUTE: Health = Health { replies: [Reply::Nothing; 2], ..SERVING };

const fn says(status: u8) -> Health {
    let replies = [Reply::Says(status); 2];
    Health { replies, patience: Duration::ZERO, leaves: false, end: End::Hold }
}

/// What a client says first, before any frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
/// The flag by which a stream ends, or SETTINGS are accepted.
const LAST: u8 = 1;

impl Health {
    /// The target, in plain text.
    pub(crate) fn behaviour(self) -> Behaviour {
        Behaviour::Converse(Converse::new(move || self.talker()))
    }

    /// One connection.
    pub(crate) fn talker(self) -> Box<dyn Talker> {
        Box::new(Calls { health: self, heard: Vec::new(), calls: 0, begun: false, over: false })
    }
}

struct Calls {
    health: Health,
    /// What came and is no whole frame yet.
    heard: Vec<u8>,
    calls: usize,
    begun: bool,
    over: bool,
}

impl Talker for Calls {
    fn hear(&mut self, bytes: &[u8]) -> (Vec<Step>, End) {
        self.heard.extend_from_slice(bytes);
        if self.over || !self.begun && self.heard.len() < PREFACE.len() {
            return (Vec::new(), End::Hold);
        }
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            assert!(self.heard.starts_with(PREFACE), "{:?}", self.heard);
            self.heard.drain(..PREFACE.len());
            out.extend(frame(SETTINGS, 0, 0, b""));
        }
        let mut asked = None;
        while let Some((kind, flags, stream)) = self.frame() {
            match (kind, flags & LAST) {
                (SETTINGS, 0) => out.extend(frame(SETTINGS, LAST, 0, b"")),
                (DATA, LAST) => {
                    let reply = self.health.replies[self.calls.min(1)];
                    self.calls += 1;
                    reply.say(stream, &mut out);
                    asked = Some(stream);
                }
                _ => {}
            }
        }
        let mut steps = sent(out);
        let Some(stream) = asked else { return (steps, End::Hold) };
        let Health { patience, leaves, end, .. } = self.health;
        if !patience.is_zero() {
            steps.push(Step::Pause(patience));
        }
        if leaves {
            self.over = true;
            steps.extend(sent(goes_away(stream)));
        }
        (steps, end)
    }
}

impl Calls {
    /// Takes the next whole frame: its type, its flags and its stream.
    fn frame(&mut self) -> Option<(u8, u8, u32)> {
        let head: [u8; FRAME_HEAD] = *self.heard.first_chunk()?;
        let [a, b, c, kind, flags, s, t, u, v] = head;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        if self.heard.len() < FRAME_HEAD + length {
            return None;
        }
        self.heard.drain(..FRAME_HEAD + length);
        Some((kind, flags, u32::from_be_bytes([s, t, u, v])))
    }
}

impl Reply {
    fn say(self, stream: u32, out: &mut Vec<u8>) {
        match self {
            Self::Says(status) => {
                // `:status: 200` and `content-type`, as RFC 7541 has them in its table.
                out.extend(frame(1, 4, stream, b"\x88\x5f\x10application/grpc"));
                // Not compressed, two bytes, of which the first names the field.
                out.extend(frame(DATA, 0, stream, &[0, 0, 0, 0, 2, 8, status]));
                out.extend(frame(1, 5, stream, b"\0\x0bgrpc-status\x010"));
            }
            Self::Nothing => {}
            Self::GoAway => out.extend(goes_away(0)),
            Self::Bytes(bytes) => *out = bytes.to_vec(),
        }
    }
}

/// No call after this stream's is taken.
fn goes_away(stream: u32) -> Vec<u8> {
    frame(7, 0, 0, &[stream.to_be_bytes(), [0; 4]].concat())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn sent(bytes: Vec<u8>) -> Vec<Step> {
    if bytes.is_empty() { Vec::new() } else { vec![Step::Send(bytes.into())] }
}
