//! Scripted targets on real sockets of loopback: what `io::sim` plays by its seed, this plays to
//! the kernel. One thread with poll(2) is enough, and all the targets that a test needs share it.

use super::datagrams::Datagrams;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ringcheck::io::sim::{Behaviour, Converse, End, Starts, Step, Talk, Talker};
use ringcheck::time::{Instant, monotonic};
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest sleep, so that a stop is seen.
const TURN: Duration = Duration::from_millis(20);

/// Running targets; they end when this is dropped.
pub(crate) struct Stage {
    /// By place in the list that was given.
    pub addresses: Vec<SocketAddr>,
    cues: Arc<Cues>,
    thread: Option<JoinHandle<()>>,
    /// Sockets that only hold their port.
    _held: Vec<Socket>,
    _datagrams: Datagrams,
}

/// What one target does.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub udp: bool,
    pub ipv6: bool,
    pub behaviour: Behaviour,
}

/// What the test and the thread say to each other.
#[derive(Debug, Default)]
struct Cues {
    stop: AtomicBool,
    /// Nobody is answered.
    hushed: AtomicBool,
    /// Connections that wait for an answer now.
    asked: AtomicUsize,
    /// Connections that have done something since they came.
    spoken: AtomicUsize,
}

impl Stage {
    /// One target for each behaviour and family.
    pub(crate) fn start(scenes: &[(bool, Behaviour)]) -> Self {
        let scene = |(ipv6, behaviour): &(bool, Behaviour)| Scene {
            udp: false,
            ipv6: *ipv6,
            behaviour: behaviour.clone(),
        };
        Self::play(&scenes.iter().map(scene).collect::<Vec<_>>())
    }

    /// One target for each scene.
    pub(crate) fn play(scenes: &[Scene]) -> Self {
        let cues = Arc::new(Cues::default());
        let (mut addresses, mut held, mut doors) = (Vec::new(), Vec::new(), Vec::new());
        let mut datagrams = Datagrams::default();
        for Scene { udp, ipv6, behaviour } in scenes {
            if *udp {
                addresses.push(datagrams.add(*ipv6, behaviour));
                continue;
            }
            let socket = bound(*ipv6);
            addresses.push(socket.local_addr().unwrap().as_socket().unwrap());
            match behaviour {
                Behaviour::Refuse => held.push(socket),
                Behaviour::Silent => {
                    // A filter that keeps nothing of any packet: the SYN is lost.
                    socket.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]).unwrap();
                    socket.listen(1).unwrap();
                    held.push(socket);
                }
                Behaviour::Accept(talk) => {
                    socket.listen(4_096).unwrap();
                    doors.push(Door { socket, talk: Arc::clone(talk), converse: None });
                }
                Behaviour::Converse(converse) => {
                    socket.listen(4_096).unwrap();
                    let talk = Arc::new(Talk::silence());
                    doors.push(Door { socket, talk, converse: Some(converse.clone()) });
                }
                Behaviour::Unreachable(_) | Behaviour::Scheduled(_) | Behaviour::Random(_) => {
                    panic!("no real target does this: {behaviour:?}")
                }
            }
        }
        let play = Play { doors, actors: Vec::new(), cues: Arc::clone(&cues) };
        let thread = Some(std::thread::spawn(move || play.run()));
        datagrams.start();
        Self { addresses, cues, thread, _held: held, _datagrams: datagrams }
    }

    /// From now on nobody is answered, or everybody at once.
    pub(crate) fn hush(&self, hushed: bool) {
        self.cues.hushed.store(hushed, Ordering::Relaxed);
    }

    /// How many connections have asked and are still there.
    pub(crate) fn asked(&self) -> usize {
        self.cues.asked.load(Ordering::Relaxed)
    }

    /// How many of those that are still there were answered, or begun to be.
    pub(crate) fn spoken(&self) -> usize {
        self.cues.spoken.load(Ordering::Relaxed)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.cues.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            assert!(std::thread::panicking(), "the stage has panicked");
        }
    }
}

/// A stream socket on a free port of loopback that does not listen yet, and does not block.
pub(crate) fn bound(ipv6: bool) -> Socket {
    let domain = if ipv6 { Domain::IPV6 } else { Domain::IPV4 };
    let ip = if ipv6 { IpAddr::V6(Ipv6Addr::LOCALHOST) } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.bind(&SockAddr::from(SocketAddr::new(ip, 0))).unwrap();
    socket
}

struct Door {
    socket: Socket,
    talk: Arc<Talk>,
    converse: Option<Converse>,
}

/// One connection, and how far its talk has come.
struct Actor {
    socket: Socket,
    talk: Arc<Talk>,
    /// Who makes the talk as it goes, where it is not written.
    talker: Option<Box<dyn Talker>>,
    /// The last bytes that were read.
    tail: Vec<u8>,
    step: usize,
    sent: usize,
    due: Instant,
    /// The connection's last step is done; what still comes is read.
    over: bool,
    full: bool,
}

struct Play {
    doors: Vec<Door>,
    actors: Vec<Actor>,
    cues: Arc<Cues>,
}

impl Play {
    fn run(mut self) {
        while !self.cues.stop.load(Ordering::Relaxed) {
            let (open, readable) = self.wait();
            for (index, door) in self.doors.iter().enumerate() {
                while open[index]
                    && let Ok((socket, _)) = door.socket.accept()
                {
                    self.actors.push(Actor::enter(socket, door));
                }
            }
            let mut index = 0;
            self.actors.retain_mut(|actor| {
                let is_readable = readable.get(index).copied().unwrap_or(true);
                index += 1;
                !is_readable || actor.hear()
            });
            if !self.cues.hushed.load(Ordering::Relaxed) {
                let now = monotonic();
                self.actors.retain_mut(|actor| actor.act(now));
            }
            let count = |is: fn(&Actor) -> bool| self.actors.iter().filter(|a| is(a)).count();
            self.cues.asked.store(count(Actor::is_asked), Ordering::Relaxed);
            self.cues.spoken.store(count(|a| a.step + a.sent > 0), Ordering::Relaxed);
        }
    }

    /// Waits for whatever comes first; which doors and which actors have something to read.
    fn wait(&self) -> (Vec<bool>, Vec<bool>) {
        let now = monotonic();
        let due = self.actors.iter().filter(|actor| actor.is_asked() && !actor.over && !actor.full);
        let due = due.map(|actor| actor.due.since(now)).min().unwrap_or(TURN).min(TURN);
        let due = if self.cues.hushed.load(Ordering::Relaxed) { TURN } else { due };
        let flags =
            |full| if full { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
        let doors = self.doors.iter().map(|door| PollFd::new(door.socket.as_fd(), flags(false)));
        let actors =
            self.actors.iter().map(|actor| PollFd::new(actor.socket.as_fd(), flags(actor.full)));
        let mut fds: Vec<PollFd<'_>> = doors.chain(actors).collect();
        // Rounded up, so as not to turn in circles.
        let due = PollTimeout::try_from(due + Duration::from_millis(1)).unwrap();
        // Interrupted or not: what is there is looked at.
        let _ = poll(&mut fds, due);
        let mut any = fds.iter().map(|fd| fd.any().unwrap_or(false));
        (any.by_ref().take(self.doors.len()).collect(), any.collect())
    }
}

impl Actor {
    fn enter(socket: Socket, door: &Door) -> Self {
        socket.set_nonblocking(true).unwrap();
        let (talk, due) = (Arc::clone(&door.talk), monotonic());
        let talker = door.converse.as_ref().map(Converse::begin);
        let tail = Vec::new();
        Self { socket, talk, talker, tail, step: 0, sent: 0, due, over: false, full: false }
    }

    fn is_asked(&self) -> bool {
        if self.talker.is_some() {
            return self.talk.is_left(self.step);
        }
        self.talk.starts == Starts::AtOnce || self.tail.ends_with(b"\r\n\r\n")
    }

    /// Reads what there is; false where the peer is gone.
    fn hear(&mut self) -> bool {
        let mut bytes = [0; 4_096];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => {
                    if let Some(talker) = &mut self.talker {
                        let talk = self.talk.go_on(self.step, &mut **talker, &bytes[..count]);
                        (self.talk, self.step) = (Arc::new(talk), 0);
                    }
                    self.tail.extend_from_slice(&bytes[..count]);
                    self.tail.drain(..self.tail.len().saturating_sub(4));
                }
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    /// Does all that is due; false where the connection is over.
    fn act(&mut self, now: Instant) -> bool {
        self.full = false;
        while self.is_asked() && !self.over && self.due <= now && !self.full {
            let talk = Arc::clone(&self.talk);
            match talk.steps.get(self.step) {
                Some(Step::Pause(pause)) => self.next(now + *pause),
                Some(Step::Send(bytes)) => match self.send(&bytes[self.sent..]) {
                    Some(sent) if self.sent + sent == bytes.len() => self.next(now),
                    Some(sent) => self.sent += sent,
                    None => return false,
                },
                Some(Step::Drip(bytes, gap)) => match self.send(&bytes[self.sent..=self.sent]) {
                    Some(sent) if self.sent + sent == bytes.len() => self.next(now + *gap),
                    Some(sent) => {
                        self.sent += sent;
                        self.due = now + *gap;
                    }
                    None => return false,
                },
                Some(Step::Forever(bytes, gap)) => match self.send(&bytes[self.sent..]) {
                    Some(sent) => {
                        self.sent = (self.sent + sent) % bytes.len();
                        self.due = now + (*gap).max(Duration::from_nanos(1));
                    }
                    None => return false,
                },
                None => return self.finish(talk.end),
            }
        }
        true
    }

    fn next(&mut self, due: Instant) {
        (self.step, self.sent, self.due) = (self.step + 1, 0, due);
    }

    /// How many bytes were taken; none where the peer is gone.
    fn send(&mut self, bytes: &[u8]) -> Option<usize> {
        match self.socket.write(bytes) {
            Ok(sent) => Some(sent),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.full = true;
                Some(0)
            }
            Err(_) => None,
        }
    }

    fn finish(&mut self, end: End) -> bool {
        self.over = true;
        match end {
            End::Hold => true,
            // The rest is read until the peer closes too, so that no RST takes the FIN's place.
            End::Close => self.socket.shutdown(std::net::Shutdown::Write).is_ok(),
            End::Reset => {
                self.socket.set_linger(Some(Duration::ZERO)).unwrap();
                false
            }
            // Its patience has no end here.
            End::Again(_) => {
                (self.over, self.step, self.sent) = (false, 0, 0);
                self.tail.clear();
                true
            }
        }
    }
}
