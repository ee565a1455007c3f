//! One probe slot as the backend sees it, and the part of the contract of [`crate::io`] that is
//! about the order of a slot's operations. A violation is a sentence; [`super::Sim`] panics with
//! it.

use super::line::Line;
use crate::io::{Kind, Socket, Token};
use nix::errno::Errno;

/// What an operation came to, before its buffer is lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Connected,
    Sent,
    Readable,
    Failed(Errno),
}

/// An operation of a slot. The serial tells it from earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flight {
    /// There is none.
    #[default]
    None,
    /// Submitted.
    Waiting(u32),
    /// It has come to this, which is told later.
    Late(u32, Fact),
    /// Its completion waits for the worker to take it.
    Ready(u32),
}

impl Flight {
    pub(super) const fn serial(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Waiting(serial) | Self::Late(serial, _) | Self::Ready(serial) => Some(serial),
        }
    }
}

/// What became of a slot's socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It may be connected.
    #[default]
    Idle,
    /// A connect is in flight.
    Connecting,
    /// Connected, whatever the peer did since.
    Connected,
    /// The connect was cancelled: the kernel takes no other before a disconnect.
    Cancelled,
}

/// One slot.
#[derive(Debug, Default)]
pub(super) struct Slot {
    generation: Option<u32>,
    serial: u32,
    flights: [Flight; 3],
    pub(super) stage: Stage,
    /// The socket that exists.
    pub(super) socket: Option<Socket>,
    /// Counts connections, so that a packet of an earlier one is dropped.
    pub(super) epoch: u32,
    /// The peer of the present connection.
    pub(super) peer: u32,
    /// A probe of that peer runs: its connection neither failed nor was it given up.
    pub(super) running: bool,
    pub(super) line: Line,
    /// What is being sent.
    pub(super) request: Vec<u8>,
}

/// Which sentence of the contract was broken.
pub(super) type Violation = &'static str;

impl Slot {
    pub(super) const fn flight(&self, kind: Kind) -> Flight {
        self.flights[kind as usize]
    }

    pub(super) const fn set(&mut self, kind: Kind, flight: Flight) {
        self.flights[kind as usize] = flight;
    }

    /// The token of the present probe's operation.
    pub(super) fn token(&self, slot: u32, kind: Kind) -> Token {
        Token { slot, generation: self.generation.unwrap_or(0), kind }
    }

    /// Whether its socket is for datagrams.
    pub(super) fn is_datagram(&self) -> bool {
        self.socket.is_some_and(Socket::is_datagram)
    }

    /// Whether nothing is in flight.
    pub(super) fn quiet(&self) -> bool {
        self.flights.iter().all(|&flight| flight == Flight::None)
    }

    /// Takes a connect; returns its serial.
    pub(super) fn connect(&mut self, token: Token) -> Result<u32, Violation> {
        if token.kind != Kind::Connect {
            return Err("a Connect whose token names another kind");
        }
        match self.stage {
            Stage::Idle => {}
            Stage::Connecting => return Err("Connect while a Connect is in flight"),
            Stage::Connected => return Err("Connect while connected"),
            Stage::Cancelled => return Err("Connect after a cancelled one without Disconnect"),
        }
        if self.generation == Some(token.generation) {
            return Err("Connect with the generation of the probe before");
        }
        self.generation = Some(token.generation);
        self.stage = Stage::Connecting;
        self.epoch = self.epoch.wrapping_add(1);
        self.begin(Kind::Connect)
    }

    /// Takes a send or a receive; returns its serial.
    pub(super) fn exchange(&mut self, token: Token, kind: Kind) -> Result<u32, Violation> {
        if token.kind != kind {
            return Err("a Send or Receive whose token names another kind");
        }
        if self.generation != Some(token.generation) {
            return Err("a Send or Receive with another probe's generation");
        }
        if self.stage != Stage::Connected {
            return Err("Send or Receive while not connected");
        }
        self.begin(kind)
    }

    fn begin(&mut self, kind: Kind) -> Result<u32, Violation> {
        if self.flight(kind) != Flight::None {
            return Err("an operation of that kind is in flight already");
        }
        self.serial = self.serial.wrapping_add(1);
        self.set(kind, Flight::Waiting(self.serial));
        Ok(self.serial)
    }

    /// Takes a disconnect or a close.
    pub(super) fn give_up(&mut self) -> Result<(), Violation> {
        if !self.quiet() {
            return Err("Disconnect or Close while an operation is in flight");
        }
        self.epoch = self.epoch.wrapping_add(1);
        self.stage = Stage::Idle;
        Ok(())
    }

    /// The operation that a cancel means, if it is still in flight.
    pub(super) fn cancelled(&self, token: Token) -> Option<u32> {
        let serial = self.flight(token.kind).serial()?;
        (self.generation == Some(token.generation)).then_some(serial)
    }
}
