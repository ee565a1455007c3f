//! One connection's talk: read the request, send the answer of its class, say what comes next.
//!
//! Nothing here blocks: every call is told to come back at once.

use super::answers::Answer;
use super::connections::Progress;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use socket2::Socket;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Bytes of a request after which we no longer wait for its end.
const REQUEST_BYTES_MAX: u32 = 64 * 1_024;
/// `MSG_MORE`, which nix does not name.
const MORE: MsgFlags = MsgFlags::from_bits_retain(nix::libc::MSG_MORE);
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1_024;

/// What becomes of a connection after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is closed by dropping its socket.
    Close,
    /// It waits for its peer.
    Wait(Progress),
    /// It waits for its next beat, or for its peer to go.
    Beat(Progress),
}

/// What the talks of one thread share.
#[derive(Debug)]
pub(super) struct Exchange {
    /// By class.
    answers: Vec<Answer>,
    buffer: Box<[u8]>,
    /// Requests answered so far, whatever the answer.
    pub(super) answered: u64,
}

impl Exchange {
    /// Answers by class.
    pub(super) fn new(answers: Vec<Answer>) -> Self {
        Self { answers, buffer: vec![0; READ_BYTES].into(), answered: 0 }
    }

    /// The peer may have sent something, or gone: goes on as far as that allows.
    pub(super) fn step(&mut self, socket: &Socket, class: usize, progress: Progress) -> Next {
        let Progress::Request { mut tail, mut read } = progress else {
            return self.discard(socket, progress);
        };
        loop {
            let length = match receive(socket, &mut self.buffer) {
                Ok(0) => return Next::Close,
                Ok(length) => length,
                Err(Errno::EAGAIN) => return Next::Wait(Progress::Request { tail, read }),
                Err(_) => return Next::Close,
            };
            let bytes = &self.buffer[..length];
            // What does not begin like HTTP (a TLS hello) has no end to wait for.
            let is_foreign = read == 0 && !bytes[0].is_ascii_uppercase();
            if is_foreign || ends_head(&mut tail, bytes) {
                return self.answer(socket, class);
            }
            read = read.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
            if read > REQUEST_BYTES_MAX {
                return Next::Close;
            }
        }
    }

    /// The next portion of an answer that is sent in portions.
    pub(super) fn beat(&self, socket: &Socket, class: usize, progress: Progress) -> Next {
        match (progress, &self.answers[class]) {
            (Progress::Dribbling(sent), Answer::Dribble(bytes)) => {
                let Some(byte) = bytes.get(sent..=sent) else { return Next::Close };
                match transmit(socket, byte, MsgFlags::empty()) {
                    Ok(count) => Next::Beat(Progress::Dribbling(sent + count)),
                    Err(Errno::EAGAIN) => Next::Beat(progress),
                    Err(_) => Next::Close,
                }
            }
            (Progress::Endless, Answer::Endless { more, .. }) => {
                match transmit(socket, more, MsgFlags::empty()) {
                    Ok(_) | Err(Errno::EAGAIN) => Next::Beat(progress),
                    Err(_) => Next::Close,
                }
            }
            // Only those two ever wait for a beat.
            (_, _) => Next::Close,
        }
    }

    fn answer(&mut self, socket: &Socket, class: usize) -> Next {
        self.answered += 1;
        match &self.answers[class] {
            Answer::Once(bytes) => {
                // Thus the bytes wait for the FIN of the close: one packet, not two.
                let _ = transmit(socket, bytes, MORE);
                Next::Close
            }
            Answer::Reset => {
                let _ = socket.set_linger(Some(Duration::ZERO));
                Next::Close
            }
            Answer::Never => Next::Wait(Progress::Stalled),
            Answer::Dribble(_) => self.beat(socket, class, Progress::Dribbling(0)),
            Answer::Endless { head, .. } => match transmit(socket, head, MsgFlags::empty()) {
                Ok(_) | Err(Errno::EAGAIN) => Next::Beat(Progress::Endless),
                Err(_) => Next::Close,
            },
        }
    }

    /// Reads and forgets, so that only the peer's end is noticed.
    fn discard(&mut self, socket: &Socket, progress: Progress) -> Next {
        match receive(socket, &mut self.buffer) {
            Ok(0) => Next::Close,
            Ok(_) | Err(Errno::EAGAIN) => Next::Wait(progress),
            Err(_) => Next::Close,
        }
    }
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> Result<usize, Errno> {
    recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)
}

fn transmit(socket: &Socket, bytes: &[u8], flags: MsgFlags) -> Result<usize, Errno> {
    send(socket.as_raw_fd(), bytes, flags | MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
}

/// Whether the empty line that ends a request's head is within `tail` (the last three bytes before)
/// and `bytes`; keeps `tail` up to date.
fn ends_head(tail: &mut [u8; 3], bytes: &[u8]) -> bool {
    let mut seam = [0; 6];
    seam[..3].copy_from_slice(tail);
    let begin = bytes.len().min(3);
    seam[3..3 + begin].copy_from_slice(&bytes[..begin]);
    let ends = |bytes: &[u8]| bytes.windows(4).any(|window| window == b"\r\n\r\n");
    if ends(bytes) || ends(&seam[..3 + begin]) {
        return true;
    }
    match bytes.last_chunk() {
        Some(last) => *tail = *last,
        None => tail.copy_from_slice(&seam[begin..3 + begin]),
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_however_it_is_cut() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for first in 1..head.len() {
            for second in first..head.len() {
                let mut tail = [0; 3];
                let parts = [&head[..first], &head[first..second], &head[second..]];
                let found: Vec<_> = parts
                    .iter()
                    .filter(|part| !part.is_empty())
                    .map(|part| ends_head(&mut tail, part))
                    .collect();
                assert_eq!(found.iter().position(|&f| f), Some(found.len() - 1));
            }
        }
        assert!(!ends_head(&mut [0; 3], b"GET / HTTP/1.1\r\nHost: a\r\n"));
        assert!(ends_head(&mut [0; 3], b"POST / HTTP/1.1\r\n\r\nbody"));
    }
}
