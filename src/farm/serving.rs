//! The loop of one farm thread: accept, let the exchange go on, close.
//!
//! A connection whose request came with it (the usual case, thanks to TCP_DEFER_ACCEPT) is answered
//! and closed without ever being registered anywhere: four system calls, one more where the mix has
//! classes to tell apart. Only what must wait goes into epoll and a bounded slab. Nothing blocks,
//! and whatever a peer does ends at worst its own connection.

use super::Counters;
use super::answers::Answer;
use super::connections::{Connection, Connections, Key, Progress};
use super::exchange::{Exchange, Next};
use super::listener::Listeners;
use super::mix::{Behaviour, Mix};
use super::refuse::Refuser;
use crate::time::{Instant, monotonic};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use socket2::Socket;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Connections taken in one turn, so that the ones that wait get their turn too.
const ACCEPTS_PER_TURN: usize = 256;
/// Events taken in one turn.
const EVENTS_PER_TURN: usize = 256;
/// Time between two bytes of a dribbled answer, and two portions of an endless one.
const BEAT: Duration = Duration::from_millis(100);
/// How long nothing is accepted when files have run out and no connection is left to close.
const PAUSE: Duration = Duration::from_millis(10);

/// Tokens above any [`Key::token`].
const WAKE: u64 = u64::MAX;
const IPV4: u64 = u64::MAX - 1;
const IPV6: u64 = u64::MAX - 2;
const REFUSE: u64 = u64::MAX - 3;

/// What the threads of a farm share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) mix: Arc<Mix>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) counters: Arc<Counters>,
    pub(super) stop: Arc<EventFd>,
    pub(super) connections_max: usize,
}

/// One thread's part.
#[derive(Debug)]
pub(super) struct Serving {
    shared: Shared,
    refuser: Option<Arc<Refuser>>,
    epoll: Epoll,
    exchange: Exchange,
    /// The class of `[::1]`, after those of the mix.
    ipv6_class: usize,
    connections: Connections,
    /// Who gets its next bytes when; all wait one beat, so the order of entry is that of time.
    beats: VecDeque<(Instant, Key)>,
    /// Accepting rests until then.
    paused_until: Option<Instant>,
    accepted: u64,
}

impl Serving {
    /// Registers the sockets.
    pub(super) fn new(shared: Shared, refuser: Option<Arc<Refuser>>) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&*shared.stop, EpollEvent::new(EpollFlags::EPOLLIN, WAKE))?;
        if let Some(refuser) = &refuser {
            epoll.add(refuser, EpollEvent::new(EpollFlags::EPOLLIN, REFUSE))?;
        }
        let mut answers = Answer::all(&shared.mix);
        let ipv6_class = answers.len();
        answers.push(Answer::of(Behaviour::Healthy));
        let connections = Connections::new(shared.connections_max);
        let serving = Self {
            shared,
            refuser,
            epoll,
            exchange: Exchange::new(answers),
            ipv6_class,
            connections,
            beats: VecDeque::new(),
            paused_until: None,
            accepted: 0,
        };
        serving.listen()?;
        Ok(serving)
    }

    /// Serves until told to stop.
    pub(super) fn run(mut self) {
        let mut events = vec![EpollEvent::empty(); EVENTS_PER_TURN];
        while self.turn(&mut events) {}
    }

    /// Waits once and does what there is to do; false where it is time to end.
    fn turn(&mut self, events: &mut [EpollEvent]) -> bool {
        let count = match self.epoll.wait(events, self.timeout()) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            // Nothing else can happen to a valid epoll; without it there is nothing to serve.
            Err(_) => return false,
        };
        let events = &events[..count];
        for event in events {
            match event.data() {
                WAKE => {}
                IPV4 => self.accept(IPV4),
                IPV6 => self.accept(IPV6),
                REFUSE => self.refuse(),
                token => self.peer_acted(Key::from_token(token)),
            }
        }
        self.beat();
        self.resume();
        publish(&mut self.accepted, &self.shared.counters.accepted);
        publish(&mut self.exchange.answered, &self.shared.counters.answered);
        events.iter().all(|event| event.data() != WAKE)
    }

    fn timeout(&self) -> EpollTimeout {
        let beat = self.beats.front().map(|beat| beat.0);
        let Some(due) = beat.into_iter().chain(self.paused_until).min() else {
            return EpollTimeout::NONE;
        };
        // Rounded up: to wake early is to turn in circles.
        let wait = due.since(monotonic()) + Duration::from_millis(1);
        EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::NONE)
    }

    fn listen(&self) -> Result<(), Errno> {
        // Exclusive: a connection wakes one thread, not all.
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        self.epoll.add(&self.shared.listeners.ipv4, EpollEvent::new(flags, IPV4))?;
        match &self.shared.listeners.ipv6 {
            Some(socket) => self.epoll.add(socket, EpollEvent::new(flags, IPV6)),
            None => Ok(()),
        }
    }

    /// Stops accepting for a moment: the files have run out, and none of ours is left to close.
    fn pause(&mut self) {
        if self.paused_until.is_none() {
            let _ = self.epoll.delete(&self.shared.listeners.ipv4);
            if let Some(socket) = &self.shared.listeners.ipv6 {
                let _ = self.epoll.delete(socket);
            }
            self.paused_until = Some(monotonic() + PAUSE);
        }
    }

    fn resume(&mut self) {
        if self.paused_until.is_some_and(|until| until <= monotonic()) {
            // Where there is no memory for it now, there may be after the next pause.
            self.paused_until = self.listen().err().map(|_| monotonic() + PAUSE);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "every other errno is of one connection")]
    fn accept(&mut self, token: u64) {
        let listeners = Arc::clone(&self.shared.listeners);
        let listener = match &listeners.ipv6 {
            Some(ipv6) if token == IPV6 => ipv6,
            Some(_) | None => &listeners.ipv4,
        };
        for _ in 0..ACCEPTS_PER_TURN {
            let error = match listener.accept() {
                Ok((socket, _)) => {
                    self.accepted += 1;
                    self.welcome(socket, token);
                    continue;
                }
                Err(error) => error,
            };
            match Errno::from_raw(error.raw_os_error().unwrap_or(0)) {
                Errno::EAGAIN => return,
                errno if has_run_out(errno) && !self.connections.close_oldest() => {
                    return self.pause();
                }
                // There is room now; or the connection was gone before we took it (accept(2)), and
                // the next one is not.
                _ => {}
            }
        }
    }

    fn welcome(&mut self, socket: Socket, token: u64) {
        let class = if token == IPV6 { Some(self.ipv6_class) } else { self.class(&socket) };
        let Some(class) = class else { return };
        let request = Progress::Request { tail: [0; 3], read: 0 };
        let (progress, has_beat) = match self.exchange.step(&socket, class, request) {
            Next::Close => return,
            Next::Wait(progress) => (progress, false),
            Next::Beat(progress) => (progress, true),
        };
        let key = self.connections.insert(Connection { socket, class, progress });
        let Some(connection) = self.connections.get(key) else { return };
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP;
        let event = EpollEvent::new(flags, key.token());
        if self.epoll.add(&connection.socket, event).is_err() {
            self.connections.remove(key);
        } else if has_beat {
            self.beats.push_back((monotonic() + BEAT, key));
        }
    }

    /// The class of the address that was connected to; none where the peer is gone already.
    fn class(&self, socket: &Socket) -> Option<usize> {
        if self.shared.mix.classes().len() == 1 {
            return Some(0);
        }
        match socket.local_addr().ok()?.as_socket()? {
            SocketAddr::V4(address) => Some(self.shared.mix.class(*address.ip())),
            SocketAddr::V6(_) => None,
        }
    }

    fn peer_acted(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        let Connection { socket, class, progress } = connection;
        match self.exchange.step(socket, *class, *progress) {
            Next::Close => drop(self.connections.remove(key)),
            Next::Wait(next) => *progress = next,
            Next::Beat(next) => {
                *progress = next;
                self.beats.push_back((monotonic() + BEAT, key));
            }
        }
    }

    /// Sends the portions that are due.
    fn beat(&mut self) {
        if self.beats.is_empty() {
            return;
        }
        let now = monotonic();
        while let Some(&(_, key)) = self.beats.front().filter(|beat| beat.0 <= now) {
            self.beats.pop_front();
            let Some(connection) = self.connections.get(key) else { continue };
            let Connection { socket, class, progress } = connection;
            match self.exchange.beat(socket, *class, *progress) {
                Next::Beat(next) => {
                    *progress = next;
                    self.beats.push_back((now + BEAT, key));
                }
                Next::Close | Next::Wait(_) => drop(self.connections.remove(key)),
            }
        }
    }

    fn refuse(&self) {
        if let Some(refuser) = &self.refuser {
            let refused = refuser.turn(&self.shared.mix, self.shared.listeners.port);
            let refused = u64::try_from(refused).unwrap_or(0);
            self.shared.counters.refused.fetch_add(refused, Ordering::Relaxed);
        }
    }
}

fn has_run_out(errno: Errno) -> bool {
    matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
}

fn publish(count: &mut u64, total: &AtomicU64) {
    if *count > 0 {
        total.fetch_add(std::mem::take(count), Ordering::Relaxed);
    }
}
