//! One slot: its socket, and the operations that wait for it to be ready.
//!
//! Readiness is told once per change, so it must neither be missed nor be taken for another
//! connection's. Not missed: a send is tried at once, and waits only when the kernel took no more;
//! a receive is tried at once where the connection has shown itself readable since it last was not.
//! Not another's: epoll looks at the socket's state when it is asked, not when the change came, and
//! between that and our reading of its events nothing is carried out; a connect forgets what its
//! socket was before.

use super::buffers::Buffers;
use super::interest::Interest;
use super::socket;
use crate::io::{Done, Socket, Token};
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// What makes a connection worth a receive: bytes, its end, or its failure.
const READABLE: EpollFlags = EpollFlags::EPOLLIN
    .union(EpollFlags::EPOLLRDHUP)
    .union(EpollFlags::EPOLLHUP)
    .union(EpollFlags::EPOLLERR);
/// What makes it worth a send.
const WRITABLE: EpollFlags =
    EpollFlags::EPOLLOUT.union(EpollFlags::EPOLLHUP).union(EpollFlags::EPOLLERR);

/// One slot.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// The socket; none: it must be created first.
    socket: Option<(OwnedFd, Socket)>,
    connecting: Option<Token>,
    sending: Option<Sending>,
    receiving: Option<Token>,
    /// Whether a receive may bring something.
    is_readable: bool,
    /// The request of its probe.
    pub(super) request: Vec<u8>,
    /// One bit per [`Kind`](crate::io::Kind) that was submitted and has not completed.
    pub(super) in_flight: u8,
}

/// A send under way, with the bytes that the kernel has taken.
#[derive(Clone, Copy, Debug)]
struct Sending {
    token: Token,
    sent: usize,
}

/// What became of a try.
pub(super) enum Tried {
    /// The operation is over.
    Done(Token, Done),
    /// It waits for the socket.
    Waits,
    /// All receive buffers are lent: it must be tried again when some are back.
    Starved,
}

impl Slot {
    // -- operations, in the order of their submission --

    /// Begins to connect, on a fresh socket where the slot has none of this sort.
    pub(super) fn connect(
        &mut self,
        token: Token,
        address: SocketAddr,
        sort: Socket,
        interest: &Interest,
    ) -> Tried {
        self.is_readable = false;
        match self.begin(address, sort, interest, token.slot) {
            Ok(true) => Tried::Done(token, Done::Connected),
            Ok(false) => {
                self.connecting = Some(token);
                Tried::Waits
            }
            Err(errno) => Tried::Done(token, Done::Failed(errno)),
        }
    }

    fn begin(
        &mut self,
        address: SocketAddr,
        sort: Socket,
        interest: &Interest,
        slot: u32,
    ) -> Result<bool, Errno> {
        let fd = match &mut self.socket {
            Some((fd, is)) if *is == sort => fd,
            other => {
                // The former socket goes first: its file may be the last that there is.
                *other = None;
                let fd = socket::create(sort, interest, slot.into())?;
                &mut other.insert((fd, sort)).0
            }
        };
        let begun = socket::connect(fd, address);
        if matches!(begun, Err(Errno::EISCONN | Errno::EALREADY)) {
            // It has not let go of a connection: a fresh one next time.
            self.socket = None;
        }
        begun
    }

    /// Begins to send the slot's request.
    pub(super) fn send(&mut self, token: Token) -> Tried {
        self.sending = Some(Sending { token, sent: 0 });
        self.go_on_sending()
    }

    /// Receives, or waits for what comes.
    pub(super) fn receive(&mut self, token: Token, buffers: &mut Buffers) -> Tried {
        self.receiving = Some(token);
        self.go_on_receiving(buffers)
    }

    /// Ends the operation of this token, where it waits.
    pub(super) fn cancel(&mut self, token: Token) -> Tried {
        let is_found = self.connecting.take_if(|waits| *waits == token).is_some()
            || self.sending.take_if(|waits| waits.token == token).is_some()
            || self.receiving.take_if(|waits| *waits == token).is_some();
        if is_found { Tried::Done(token, Done::Failed(Errno::ECANCELED)) } else { Tried::Waits }
    }

    /// Drops the connection with RST.
    pub(super) fn disconnect(&mut self) {
        // A socket that cannot let go is closed, and the next probe has a fresh one.
        self.socket.take_if(|(fd, _)| socket::disconnect(fd).is_err());
    }

    /// Closes the connection with FIN.
    pub(super) fn close(&mut self) {
        self.socket = None;
    }

    // -- readiness --

    /// Takes in what epoll says of the socket; operations that wait for it go on with
    /// [`Slot::go_on_connecting`] and its like.
    pub(super) fn ready(&mut self, flags: EpollFlags) {
        self.is_readable |= flags.intersects(READABLE);
    }

    /// The connect that waits, if these flags decide it.
    pub(super) fn go_on_connecting(&mut self, flags: EpollFlags) -> Tried {
        let (Some(token), Some((fd, _))) = (self.connecting, &self.socket) else {
            return Tried::Waits;
        };
        let failure = if flags.contains(EpollFlags::EPOLLERR) { socket::failure(fd) } else { None };
        let done = match failure {
            Some(errno) => Done::Failed(errno),
            None if flags.contains(EpollFlags::EPOLLOUT) => Done::Connected,
            None => return Tried::Waits,
        };
        self.connecting = None;
        Tried::Done(token, done)
    }

    /// Whether a send waits, and these flags let it go on.
    pub(super) fn may_send(&self, flags: EpollFlags) -> bool {
        self.sending.is_some() && flags.intersects(WRITABLE)
    }

    /// Sends what is left of the request, as far as the kernel takes it.
    pub(super) fn go_on_sending(&mut self) -> Tried {
        let Some(Sending { token, mut sent }) = self.sending.take() else { return Tried::Waits };
        let Some((fd, _)) = &self.socket else { return failed(token, Errno::ENOTCONN) };
        // An empty request is a datagram too.
        loop {
            match socket::send(fd, &self.request[sent..]) {
                Ok(more) if sent + more == self.request.len() => {
                    return Tried::Done(token, Done::Sent);
                }
                Ok(more) => sent += more,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    self.sending = Some(Sending { token, sent });
                    return Tried::Waits;
                }
                Err(errno) => return failed(token, errno),
            }
        }
    }

    /// Receives for the receive that waits, if there is one and something may have come.
    pub(super) fn go_on_receiving(&mut self, buffers: &mut Buffers) -> Tried {
        let Some(token) = self.receiving else { return Tried::Waits };
        let Some((fd, _)) = &self.socket else {
            self.receiving = None;
            return failed(token, Errno::ENOTCONN);
        };
        if !self.is_readable {
            return Tried::Waits;
        }
        let received = loop {
            match buffers.fill(|into| socket::receive(fd, into)) {
                Some(Err(Errno::EINTR)) => {}
                Some(received) => break received,
                None => return Tried::Starved,
            }
        };
        let done = match received {
            Ok(buffer) => Done::Received(buffer),
            Err(Errno::EAGAIN) => {
                self.is_readable = false;
                return Tried::Waits;
            }
            Err(errno) => Done::Failed(errno),
        };
        self.receiving = None;
        Tried::Done(token, done)
    }
}

const fn failed(token: Token, errno: Errno) -> Tried {
    Tried::Done(token, Done::Failed(errno))
}
