//! One datagram socket: what the peer sends to it, and what lies in its receive queue.
//!
//! Each [`Step::Send`] of a talk is a datagram, of any length and always whole; nothing comes
//! unasked, because nobody knows the socket's port before, and there is no end.

use super::peer::{Behaviour, Step, Talk};
use crate::limits::RECEIVE_BUFFER_BYTES;
use nix::errno::Errno;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A connected datagram socket.
#[derive(Debug, Default)]
pub(super) struct Datagrams {
    /// What the first datagram is answered with.
    answer: Answer,
    round_trip: Duration,
    step: usize,
    queue: VecDeque<Arc<[u8]>>,
    /// An ICMP error that is not told yet.
    error: Option<Errno>,
    asked: bool,
}

/// What a datagram is answered with.
#[derive(Debug, Default)]
enum Answer {
    /// Nothing.
    #[default]
    None,
    /// An ICMP error.
    Error(Errno),
    /// Datagrams.
    Talk(Arc<Talk>),
}

impl Datagrams {
    /// A fresh socket whose peer does this; none: what is sent to it is lost.
    pub(super) fn new(behaviour: Option<&Behaviour>, round_trip: Duration) -> Self {
        let answer = match behaviour {
            None | Some(Behaviour::Silent) => Answer::None,
            Some(Behaviour::Refuse) => Answer::Error(Errno::ECONNREFUSED),
            Some(Behaviour::Unreachable(errno)) => Answer::Error(*errno),
            Some(Behaviour::Accept(talk)) => Answer::Talk(Arc::clone(talk)),
            Some(Behaviour::Converse(_)) => panic!("a talker needs a connection"),
            Some(Behaviour::Scheduled(_) | Behaviour::Random(_)) => {
                unreachable!("resolved by who asks")
            }
        };
        Self { answer, round_trip, ..Self::default() }
    }

    /// Sends a datagram: how long until something comes back, if it makes that come.
    pub(super) fn send(&mut self) -> Result<Option<Duration>, Errno> {
        if let Some(errno) = self.error.take() {
            return Err(errno);
        }
        let first = !std::mem::replace(&mut self.asked, true);
        let answered = !matches!(self.answer, Answer::None);
        Ok((first && answered).then_some(self.round_trip))
    }

    /// The next datagram or error comes; how long until the one after it, if there is one.
    pub(super) fn arrive(&mut self) -> Option<Duration> {
        match &self.answer {
            Answer::None => None,
            Answer::Error(errno) => {
                self.error = Some(*errno);
                None
            }
            Answer::Talk(talk) => {
                let step = talk.steps.get(self.step)?;
                self.step += 1;
                match step {
                    Step::Pause(pause) => Some(*pause),
                    Step::Send(bytes) => {
                        self.queue.push_back(Arc::clone(bytes));
                        Some(Duration::ZERO)
                    }
                    Step::Drip(..) | Step::Forever(..) => panic!("no datagram is sent in drops"),
                }
            }
        }
    }

    /// Whether a receive has something to tell.
    pub(super) fn readable(&self) -> bool {
        self.error.is_some() || !self.queue.is_empty()
    }

    /// The next datagram, cut off where a buffer ends.
    pub(super) fn peek(&mut self) -> Result<&[u8], Errno> {
        if let Some(errno) = self.error.take() {
            return Err(errno);
        }
        let next = self.queue.front().map_or(&[][..], |datagram| datagram);
        Ok(&next[..next.len().min(RECEIVE_BUFFER_BYTES)])
    }

    /// Takes the datagram that [`Datagrams::peek`] showed.
    pub(super) fn consume(&mut self) {
        self.queue.pop_front();
    }
}
