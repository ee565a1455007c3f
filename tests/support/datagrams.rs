//! Scripted UDP targets on real sockets of loopback: who sends them a datagram is sent one for each
//! `Step::Send` of their talk. One thread with poll(2) plays them all.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ringcheck::io::sim::{Behaviour, Step, Talk};
use ringcheck::time::{Instant, monotonic};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Longest sleep in milliseconds, so that a stop is seen.
const TURN_MS: u16 = 5;

/// UDP targets; once started they play until this is dropped.
#[derive(Default)]
pub(crate) struct Datagrams {
    doors: Vec<(UdpSocket, Arc<Talk>)>,
    /// Sockets that only hold their port.
    held: Vec<UdpSocket>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Datagrams {
    /// Adds a target; returns where it is.
    pub(crate) fn add(&mut self, ipv6: bool, behaviour: &Behaviour) -> SocketAddr {
        let any = if ipv6 { "[::1]:0" } else { "127.0.0.1:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        match behaviour {
            Behaviour::Silent => self.held.push(socket),
            Behaviour::Refuse => {
                // A socket that knows its peer takes from nobody else.
                socket.connect((address.ip(), 9)).unwrap();
                self.held.push(socket);
            }
            Behaviour::Accept(talk) => self.doors.push((socket, Arc::clone(talk))),
            Behaviour::Converse(_)
            | Behaviour::Unreachable(_)
            | Behaviour::Scheduled(_)
            | Behaviour::Random(_) => {
                panic!("no real target does this: {behaviour:?}")
            }
        }
        address
    }

    /// Begins to play those that were added.
    pub(crate) fn start(&mut self) {
        let doors = std::mem::take(&mut self.doors);
        if !doors.is_empty() {
            let stop = Arc::clone(&self.stop);
            self.thread = Some(std::thread::spawn(move || play(&doors, &stop)));
        }
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            assert!(std::thread::panicking(), "the thread of the datagrams has panicked");
        }
    }
}

/// Who is owed the rest of an answer.
struct Owed {
    door: usize,
    to: SocketAddr,
    step: usize,
    due: Instant,
}

fn play(doors: &[(UdpSocket, Arc<Talk>)], stop: &AtomicBool) {
    let mut owed: Vec<Owed> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut fds: Vec<PollFd<'_>> =
            doors.iter().map(|door| PollFd::new(door.0.as_fd(), PollFlags::POLLIN)).collect();
        // Interrupted or not: what is there is looked at.
        let _ = poll(&mut fds, PollTimeout::from(TURN_MS));
        let now = monotonic();
        for (door, (socket, _)) in doors.iter().enumerate() {
            // An error tells of an answer that was refused, and that is all.
            while let Ok((_, to)) = socket.recv_from(&mut [0; 2_048]) {
                owed.push(Owed { door, to, step: 0, due: now });
            }
        }
        owed.retain_mut(|owed| owed.pay(doors, now));
    }
}

impl Owed {
    /// Does all that is due; false where nothing is left.
    fn pay(&mut self, doors: &[(UdpSocket, Arc<Talk>)], now: Instant) -> bool {
        let (socket, talk) = &doors[self.door];
        while self.due <= now {
            match talk.steps.get(self.step) {
                None => return false,
                Some(Step::Pause(pause)) => self.due = now + *pause,
                // Who asked may be gone.
                Some(Step::Send(bytes)) => {
                    let _ = socket.send_to(bytes, self.to);
                }
                Some(step) => panic!("no datagram is sent so: {step:?}"),
            }
            self.step += 1;
        }
        true
    }
}
