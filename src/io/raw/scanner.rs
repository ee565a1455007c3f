//! Half-open scanning: connects without sockets.
//!
//! A SYN goes out, and SYN-ACK, RST or ICMP's word comes in; the kernel, which knows of no such
//! connection, answers the SYN-ACK with RST by itself. What must be remembered of a probe is an
//! address and a count: forty bytes, and no file.
//!
//! Invariants: each connect brings exactly one completion, by an answer, an error or its cancel; a
//! slot's flight says whether it is still to come. Whatever comes in is believed only where
//! address, port and sequence number are those of a probe in flight.

use super::batch::{BATCH, Inbox, Outbox};
use super::packet::{self, ANSWER_BYTES, Answer};
use super::retries::{Due, Retries, Waiting};
use super::sequence::{self, Sequence};
use super::sockets::{Ports, Sockets};
use super::sources::Sources;
use crate::io::{Completion, Done, Kind, Token};
use crate::time::Instant;
use nix::errno::Errno;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Answers that are taken before the rest is left to the next call: more than the queue holds, of
/// which each takes 768 bytes or more, so that no deadline is judged while one lies unread.
const ANSWERS_MAX: usize = 65_536;
/// How long a full send buffer is left alone.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// One worker's connects without sockets.
pub(super) struct Scanner {
    /// Number of the first slot; the others follow.
    base: u32,
    /// By slot, from `base` on.
    flights: Vec<Flight>,
    /// None until the first connect.
    ports: Option<Ports>,
    v4: Option<Family>,
    v6: Option<Family>,
    sequence: Sequence,
    sources: Sources,
    retries: Retries,
    outbox: Outbox,
    inbox: Inbox,
    ready: Vec<Completion>,
    /// Connects whose completion is still to come.
    in_flight: u32,
    /// Packets that could not leave in time.
    stuck: u64,
}

/// What is remembered of a slot's probe.
#[derive(Clone, Copy, Debug)]
struct Flight {
    to: SocketAddr,
    generation: u32,
    /// Its completion is still to come.
    flying: bool,
}

/// One address family.
struct Family {
    sockets: Sockets,
    /// SYNs to send.
    queue: VecDeque<Try>,
    /// The send buffer was full.
    full: bool,
}

/// A SYN to send.
#[derive(Clone, Copy, Debug)]
struct Try {
    slot: u32,
    generation: u32,
    /// Which one of its probe, counted from 1.
    number: u8,
}

impl Scanner {
    /// Slots from `base` on; opens nothing yet.
    pub(super) fn new(base: u32) -> Self {
        Self {
            base,
            flights: Vec::new(),
            ports: None,
            v4: None,
            v6: None,
            sequence: Sequence::default(),
            sources: Sources::new(),
            retries: Retries::default(),
            outbox: Outbox::new(),
            inbox: Inbox::new(),
            ready: Vec::new(),
            in_flight: 0,
            stuck: 0,
        }
    }

    /// What to watch: readable where answers wait.
    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.v4, &self.v6].into_iter().flatten().map(|family| family.sockets.fd())
    }

    /// Packets that found a queue of ours full, so far, on their way out or in.
    pub(super) fn lost(&self) -> u64 {
        let families = [&self.v4, &self.v6].into_iter().flatten();
        families.map(|family| u64::from(family.sockets.dropped())).sum::<u64>() + self.stuck
    }

    // -- operations --

    /// Queues a SYN.
    pub(super) fn connect(&mut self, token: Token, address: SocketAddr) {
        let index = (token.slot - self.base) as usize;
        assert!(index < 1 << sequence::SLOT_BITS, "slot {} is beyond the raw ones", token.slot);
        let to = reached(address);
        if self.flights.len() <= index {
            let idle = Flight { to, generation: 0, flying: false };
            self.flights.resize(index + 1, idle);
        }
        let flight = &mut self.flights[index];
        assert!(!flight.flying, "slot {} has a connect in flight", token.slot);
        let (slot, generation) = (index as u32, token.generation);
        *flight = Flight { to, generation, flying: true };
        self.in_flight += 1;
        match self.open(to.is_ipv6()) {
            Ok(family) => family.queue.push_back(Try { slot, generation, number: 1 }),
            Err(errno) => self.end(slot, Done::Failed(errno)),
        }
    }

    /// Makes a connect complete, if it has not yet.
    pub(super) fn cancel(&mut self, token: Token) {
        let slot = token.slot - self.base;
        if self.is_flying(slot, token.generation) {
            self.end(slot, Done::Failed(Errno::ECANCELED));
        }
    }

    /// Panics where a connect of the slot is in flight.
    pub(super) fn assert_idle(&self, slot: u32) {
        let index = (slot - self.base) as usize;
        let flying = self.flights.get(index).is_some_and(|flight| flight.flying);
        assert!(!flying, "slot {slot} has a connect in flight");
    }

    /// Moves what has completed to `completions`.
    pub(super) fn deliver(&mut self, completions: &mut Vec<Completion>) {
        completions.append(&mut self.ready);
    }

    fn open(&mut self, ipv6: bool) -> Result<&mut Family, Errno> {
        let ports = match &self.ports {
            Some(ports) => ports,
            None => self.ports.insert(Ports::reserve()?),
        };
        match if ipv6 { &mut self.v6 } else { &mut self.v4 } {
            Some(family) => Ok(family),
            none @ None => {
                let sockets = Sockets::open(ipv6, ports)?;
                Ok(none.insert(Family { sockets, queue: VecDeque::new(), full: false }))
            }
        }
    }

    fn is_flying(&self, slot: u32, generation: u32) -> bool {
        is_flying(&self.flights, slot, generation)
    }

    /// The connect of a slot in flight has come to something.
    fn end(&mut self, slot: u32, done: Done) {
        let flight = &mut self.flights[slot as usize];
        debug_assert!(flight.flying, "one completion for each connect");
        flight.flying = false;
        self.in_flight -= 1;
        let (slot, generation) = (self.base + slot, flight.generation);
        let token = Token { slot, generation, kind: Kind::Connect };
        self.ready.push(Completion { token, done });
    }

    // -- out --

    /// When [`Scanner::flush`] has something to do again; none: not before the next connect.
    pub(super) fn wake(&mut self, now: Instant) -> Option<Instant> {
        if self.in_flight == 0 {
            return None;
        }
        let full = [&self.v4, &self.v6].into_iter().flatten().any(|family| family.full);
        let flights = &self.flights;
        let retry = self.retries.next(|w| is_flying(flights, w.slot, w.generation));
        let pause = full.then_some(now + FULL_PAUSE);
        [retry, pause].into_iter().flatten().min()
    }

    /// Sends the SYNs that are queued or due again; whether any left.
    pub(super) fn flush(&mut self, now: Instant) -> bool {
        if self.in_flight == 0 {
            return false;
        }
        self.queue_retries(now);
        let queued = |family: &Option<Family>| family.as_ref().is_some_and(|f| !f.queue.is_empty());
        if !queued(&self.v4) && !queued(&self.v6) {
            return false;
        }
        self.sources.refresh();
        let mut sent = false;
        for ipv6 in [false, true] {
            let family = if ipv6 { &mut self.v6 } else { &mut self.v4 };
            let Some(mut family) = family.take() else { continue };
            sent |= self.send_all(&mut family, now);
            *if ipv6 { &mut self.v6 } else { &mut self.v4 } = Some(family);
        }
        sent
    }

    fn queue_retries(&mut self, now: Instant) {
        loop {
            let flights = &self.flights;
            let waits = |w: &Waiting| is_flying(flights, w.slot, w.generation);
            match self.retries.due(now, waits) {
                None => return,
                Some(Due::GivenUp(waiting)) => {
                    self.end(waiting.slot, Done::Failed(Errno::ETIMEDOUT));
                }
                Some(Due::Again(Waiting { slot, generation, tries, .. })) => {
                    let ipv6 = flights[slot as usize].to.is_ipv6();
                    let family = if ipv6 { &mut self.v6 } else { &mut self.v4 };
                    if let Some(family) = family {
                        family.queue.push_back(Try { slot, generation, number: tries + 1 });
                    }
                }
            }
        }
    }

    fn send_all(&mut self, family: &mut Family, now: Instant) -> bool {
        family.full = false;
        let mut any = false;
        while !family.queue.is_empty() && !family.full {
            let tries = self.fill(family);
            let mut sent = 0;
            while sent < self.outbox.len() {
                match family.sockets.send(&mut self.outbox, sent) {
                    Ok(count) => {
                        for Try { slot, generation, number } in &tries[sent..sent + count] {
                            self.retries.sent(*slot, *generation, *number, now);
                        }
                        (sent, any) = (sent + count, true);
                    }
                    Err(Errno::EAGAIN) => {
                        family.full = true;
                        self.stuck += 1;
                        for &unsent in tries[sent..self.outbox.len()].iter().rev() {
                            family.queue.push_front(unsent);
                        }
                        break;
                    }
                    Err(Errno::EINTR) => {}
                    Err(errno) => {
                        self.end(tries[sent].slot, Done::Failed(as_by_connect(errno)));
                        sent += 1;
                    }
                }
            }
        }
        any
    }

    /// Fills the outbox from the queue, whose SYNs go out in the same order; returns them.
    fn fill(&mut self, family: &mut Family) -> [Try; BATCH] {
        let mut tries = [Try { slot: 0, generation: 0, number: 0 }; BATCH];
        self.outbox.clear();
        while self.outbox.len() < BATCH
            && let Some(next) = family.queue.pop_front()
        {
            if !self.is_flying(next.slot, next.generation) {
                continue;
            }
            let to = self.flights[next.slot as usize].to;
            let port = self.port(next.slot, next.generation);
            match self.sources.of(to) {
                Ok(from) => {
                    tries[self.outbox.len()] = next;
                    let sequence = self.sequence.of(next.slot, next.generation);
                    self.outbox.push(from, port, to, sequence);
                }
                Err(errno) => self.end(next.slot, Done::Failed(errno)),
            }
        }
        tries
    }

    /// The port that a probe comes from: another one each time.
    fn port(&self, slot: u32, generation: u32) -> u16 {
        let ports = self.ports.as_ref();
        ports.map_or(0, |ports| ports.of(slot.wrapping_add(generation)))
    }

    // -- in --

    /// Takes all answers that wait.
    pub(super) fn hear(&mut self) {
        for ipv6 in [false, true] {
            let family = if ipv6 { &mut self.v6 } else { &mut self.v4 };
            let Some(mut family) = family.take() else { continue };
            self.hear_family(&mut family, ipv6);
            *if ipv6 { &mut self.v6 } else { &mut self.v4 } = Some(family);
        }
    }

    fn hear_family(&mut self, family: &mut Family, ipv6: bool) {
        let mut taken = 0;
        while taken < ANSWERS_MAX {
            match family.sockets.receive(&mut self.inbox) {
                Ok(count) => {
                    for place in 0..count {
                        let bytes = self.inbox.bytes(place);
                        let answer = if ipv6 {
                            packet::read_v6(self.inbox.sender_v6(place), bytes)
                        } else {
                            packet::read_v4(bytes)
                        };
                        if let Some(answer) = answer {
                            self.answered(&answer);
                        }
                    }
                    if count < BATCH {
                        return;
                    }
                    taken += count;
                }
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                // An ICMP error that waits in another queue is told by whatever call comes next.
                Err(_) => {
                    self.troubled(family);
                    taken += 1;
                }
            }
        }
    }

    fn answered(&mut self, answer: &Answer) {
        let (slot, count) = self.sequence.name(answer.sequence);
        if self.is_asked(slot, count, answer.port, answer.from) {
            let refused = Done::Failed(Errno::ECONNREFUSED);
            self.end(slot, if answer.refused { refused } else { Done::Connected });
        }
    }

    fn troubled(&mut self, family: &mut Family) {
        let mut quoted = [0; ANSWER_BYTES];
        while let Some(trouble) = family.sockets.trouble(&mut quoted) {
            let quoted = &quoted[..trouble.quoted.min(ANSWER_BYTES)];
            let Some((port, to_port, sequence)) = packet::read_quoted(quoted) else { continue };
            let (slot, count) = self.sequence.name(sequence);
            if self.is_asked(slot, count, port, SocketAddr::new(trouble.to, to_port)) {
                self.end(slot, Done::Failed(trouble.errno));
            }
        }
    }

    /// Whether a probe in flight of this slot has asked `target` from `port`.
    fn is_asked(&self, slot: u32, count: u32, port: u16, target: SocketAddr) -> bool {
        let Some(flight) = self.flights.get(slot as usize) else { return false };
        flight.flying
            && sequence::count(flight.generation) == count
            && flight.to.port() == target.port()
            && flight.to.ip() == target.ip()
            && self.port(slot, flight.generation) == port
    }
}

fn is_flying(flights: &[Flight], slot: u32, generation: u32) -> bool {
    let flight = flights.get(slot as usize);
    flight.is_some_and(|flight| flight.flying && flight.generation == generation)
}

/// Where a connect to `address` goes: IPv4 in IPv6's clothes is IPv4, and nowhere is here.
fn reached(mut address: SocketAddr) -> SocketAddr {
    address.set_ip(address.ip().to_canonical());
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    address
}

/// A raw socket says EACCES where the address is one of broadcast, which a TCP connect calls
/// unreachable. (A route that prohibits was found before.)
const fn as_by_connect(errno: Errno) -> Errno {
    match errno {
        Errno::EACCES => Errno::ENETUNREACH,
        other => other,
    }
}
