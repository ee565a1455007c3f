//! The floor: recycled direct sockets on a bare ring, `CONNECT` then `CONNECT(AF_UNSPEC)`; over
//! HTTP, `SEND` and `RECV` of an answer that fits one packet in between.

#![allow(unsafe_code, reason = "a bare ring is driven by hand")]

use io_uring::types::{DestinationSlot, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use nix::libc;
use std::net::SocketAddr;

/// A ring with sockets that are created once.
pub struct Ring {
    ring: IoUring,
    addresses: Box<[libc::sockaddr_in]>,
    answers: Box<[[u8; 1_024]]>,
    slots: usize,
}

static ONE: libc::c_int = 1;
static UNSPEC: [u8; 16] = [0; 16];

impl Ring {
    pub fn new(slots: usize) -> Self {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_no_sqarray()
            .setup_cqsize(4_096)
            .build(2_048)
            .unwrap();
        ring.submitter().register_files_sparse(slots as u32).unwrap();
        // SAFETY: all zeros is a valid sockaddr_in.
        let zero: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        let addresses = vec![zero; slots].into_boxed_slice();
        let answers = vec![[0; 1_024]; slots].into_boxed_slice();
        let mut this = Self { ring, addresses, answers, slots };
        for slot in 0..slots as u32 {
            let target = DestinationSlot::try_from_slot_target(slot).unwrap();
            let create = opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0);
            this.push(create.file_index(Some(target)).build().flags(squeue::Flags::SKIP_SUCCESS));
            let option = opcode::SetSockOpt::new(
                Fixed(slot),
                libc::IPPROTO_TCP as u32,
                libc::TCP_DEFER_ACCEPT as u32,
                (&raw const ONE).cast(),
                4,
            );
            this.push(option.build().flags(squeue::Flags::SKIP_SUCCESS));
        }
        this.ring.submit().unwrap();
        this
    }

    fn push(&mut self, entry: squeue::Entry) {
        // SAFETY: addresses live as long as the ring and change only between batches.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.ring.submit().unwrap();
        }
    }

    /// Checks one batch of at most as many addresses as there are slots; returns how many
    /// connected.
    pub fn batch(&mut self, addresses: impl Iterator<Item = SocketAddr>) -> usize {
        let count = self.connect(addresses);
        let mut connected = 0;
        self.complete(count, |result| connected += usize::from(result == 0));
        self.disconnect(count);
        connected
    }

    /// The same over HTTP; returns how many were answered well.
    pub fn batch_http(&mut self, addresses: impl Iterator<Item = SocketAddr>) -> usize {
        let count = self.connect(addresses);
        self.complete(count, |_| ());
        for slot in 0..count {
            let fd = Fixed(slot as u32);
            let request = super::REQUEST;
            let send = opcode::Send::new(fd, request.as_ptr(), request.len() as u32).build();
            self.push(send.flags(squeue::Flags::SKIP_SUCCESS).user_data(slot as u64));
            let answer = &mut self.answers[slot];
            let receive = opcode::Recv::new(fd, answer.as_mut_ptr(), answer.len() as u32).build();
            self.push(receive);
        }
        let mut lengths = Vec::with_capacity(count);
        self.complete(count, |result| lengths.push(result));
        self.disconnect(count);
        let is_good = |answer: &&mut [u8; 1_024]| answer.starts_with(super::GOOD);
        let good = self.answers[..count].iter_mut().filter(is_good).map(|answer| answer[0] = 0);
        good.count().min(lengths.iter().filter(|length| **length > 0).count())
    }

    fn connect(&mut self, addresses: impl Iterator<Item = SocketAddr>) -> usize {
        let mut count = 0;
        for (slot, address) in addresses.take(self.slots).enumerate() {
            let SocketAddr::V4(address) = address else { unreachable!("the baselines are IPv4") };
            let place = &mut self.addresses[slot];
            place.sin_family = libc::AF_INET as u16;
            place.sin_port = address.port().to_be();
            place.sin_addr.s_addr = u32::from(*address.ip()).to_be();
            let pointer = (&raw const *place).cast();
            let connect = opcode::Connect::new(Fixed(slot as u32), pointer, 16).build();
            self.push(connect.user_data(slot as u64));
            count += 1;
        }
        count
    }

    /// Waits for so many completions.
    fn complete(&mut self, count: usize, mut each: impl FnMut(i32)) {
        let mut done = 0;
        while done < count {
            self.ring.submit_and_wait(count - done).unwrap();
            for entry in self.ring.completion() {
                done += 1;
                each(entry.result());
            }
        }
    }

    /// Makes the first `count` sockets new again; goes out with what is submitted next.
    fn disconnect(&mut self, count: usize) {
        for slot in 0..count as u32 {
            let undo = opcode::Connect::new(Fixed(slot), UNSPEC.as_ptr().cast(), 16).build();
            self.push(undo.flags(squeue::Flags::SKIP_SUCCESS));
        }
    }

    /// Submits what is queued and sleeps for `nanos`.
    pub fn sleep(&self, nanos: u32) {
        let pause = Timespec::new().nsec(nanos);
        // The wait ends with ETIME, as it should.
        let _ = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&pause));
    }
}

/// Checks `count` addresses, [`super::IN_FLIGHT`] at a time.
pub fn run(ring: &mut Ring, port: u16, count: usize) -> usize {
    let mut connected = 0;
    for start in (0..count).step_by(ring.slots) {
        let end = (start + ring.slots).min(count);
        connected += ring.batch((start..end).map(|i| super::address(i, port)));
    }
    ring.ring.submit().unwrap();
    connected
}
