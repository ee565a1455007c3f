//! Many packets with one system call: sendmmsg(2) and recvmmsg(2).
//!
//! `unsafe` of this folder is here, and in one connect. What it must uphold: the arrays of headers
//! that the kernel is handed point into boxes of this file, which live and stay where they are
//! until the call returns; both calls do not wait.

use super::packet::{ANSWER_BYTES, SYN_BYTES_MAX, write_syn};
use nix::errno::Errno;
use nix::libc;
use socket2::{SockAddr, Socket};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

/// Packets of one call. The kernel handles them one after the other; beyond some dozens, only the
/// first ones' latency grows.
pub(super) const BATCH: usize = 64;

/// SYNs on their way out.
pub(super) struct Outbox {
    packets: Box<[Packet; BATCH]>,
    count: usize,
}

struct Packet {
    bytes: [u8; SYN_BYTES_MAX],
    length: usize,
    to: SockAddr,
}

impl Outbox {
    pub(super) fn new() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let packet = |_| Packet { bytes: [0; SYN_BYTES_MAX], length: 0, to: nowhere.into() };
        Self { packets: Box::new(std::array::from_fn(packet)), count: 0 }
    }

    /// How many packets there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Adds one. Not more than [`BATCH`].
    pub(super) fn push(&mut self, from: IpAddr, port: u16, to: SocketAddr, sequence: u32) {
        let packet = &mut self.packets[self.count];
        packet.length = write_syn(&mut packet.bytes, from, port, to, sequence);
        // The port of a raw socket's address is a protocol, or nothing.
        let mut to = to;
        to.set_port(0);
        packet.to = SockAddr::from(to);
        self.count += 1;
    }

    /// Forgets all of them.
    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }

    /// Sends packets from number `first` on; returns how many were sent, or why not even that one.
    pub(super) fn send(&mut self, socket: &Socket, first: usize) -> Result<usize, Errno> {
        // SAFETY: all-zero bytes are a valid mmsghdr and a valid iovec: numbers and null pointers.
        let (mut slices, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { std::mem::zeroed() };
        let packets = &mut self.packets[first..self.count];
        for ((packet, slice), header) in packets.iter_mut().zip(&mut slices).zip(&mut headers) {
            slice.iov_base = packet.bytes.as_mut_ptr().cast();
            slice.iov_len = packet.length;
            header.msg_hdr.msg_name = packet.to.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = packet.to.len();
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
        }
        let count = packets.len() as libc::c_uint;
        // SAFETY: the first `count` headers point to slices and names that live until the end of
        // this function; the kernel only reads them, but for `msg_len` in the headers themselves.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| Errno::last())
    }
}

/// Answers that have come in.
pub(super) struct Inbox {
    bytes: Box<[[u8; ANSWER_BYTES]; BATCH]>,
    names: Box<[libc::sockaddr_in6; BATCH]>,
    lengths: [usize; BATCH],
}

impl Inbox {
    pub(super) fn new() -> Self {
        // SAFETY: all-zero bytes are a valid sockaddr_in6: it consists of numbers.
        let name: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
        Self {
            bytes: Box::new([[0; ANSWER_BYTES]; BATCH]),
            names: Box::new([name; BATCH]),
            lengths: [0; BATCH],
        }
    }

    /// Takes what waits, [`BATCH`] packets at most; returns how many.
    pub(super) fn receive(&mut self, socket: &Socket) -> Result<usize, Errno> {
        // SAFETY: as in `Outbox::send`.
        let (mut slices, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { std::mem::zeroed() };
        let places = self.bytes.iter_mut().zip(self.names.iter_mut());
        for (((bytes, name), slice), header) in places.zip(&mut slices).zip(&mut headers) {
            slice.iov_base = bytes.as_mut_ptr().cast();
            slice.iov_len = ANSWER_BYTES;
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header points to a slice and a name of the size that it says, which live
        // until the end of this function and are borrowed by nobody else; without MSG_WAITFORONE
        // and a time-out the null pointer is what the call wants.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(received).map_err(|_| Errno::last())?;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..count]) {
            *length = (header.msg_len as usize).min(ANSWER_BYTES);
        }
        Ok(count)
    }

    /// The bytes of packet number `place`.
    pub(super) fn bytes(&self, place: usize) -> &[u8] {
        &self.bytes[place][..self.lengths[place]]
    }

    /// Who sent it; for packets of an IPv6 socket.
    pub(super) fn sender_v6(&self, place: usize) -> Ipv6Addr {
        Ipv6Addr::from(self.names[place].sin6_addr.s6_addr)
    }
}

/// Packets that a socket had no room for, so far; 0 where the kernel does not tell.
pub(super) fn drops(socket: &Socket) -> u32 {
    /// `SK_MEMINFO_DROPS` and `SK_MEMINFO_VARS` of linux/sock_diag.h.
    const DROPS: usize = 8;
    const VARS: usize = 9;
    let mut information = [0_u32; VARS];
    let mut length = size_of_val(&information) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is the size of the array.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            information.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 { information[DROPS] } else { 0 }
}
