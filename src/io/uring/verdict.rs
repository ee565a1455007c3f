//! Whether a connect that the kernel calls good is good.
//!
//! An ICMP message that refuses a connection goes into the socket's error queue. Where it is back
//! before `connect` has returned (a firewall of this host or behind a virtual link of it), the
//! socket holds it as a soft error and goes on connecting; `IORING_OP_CONNECT` finds an error told
//! of and none pending, and takes that for a success (Linux 6.18, `io_connect`). `SO_ERROR` gives
//! soft errors too, so each good connect is asked for it: one more operation, which the kernel
//! completes as it is submitted.

use io_uring::types::Fixed;
use io_uring::{opcode, squeue};
use nix::libc;

/// `SOCKET_URING_OP_GETSOCKOPT` (linux/io_uring.h), which the crate has only the other of.
const GET: u32 = 2;

/// Reads `SO_ERROR` of the socket in `slot` to `error`, which must live until that has completed.
pub(super) fn ask(slot: u32, error: *mut libc::c_int) -> squeue::Entry {
    // The two operations have the same fields.
    let mut entry = opcode::SetSockOpt::new(
        Fixed(slot),
        libc::SOL_SOCKET as u32,
        libc::SO_ERROR as u32,
        error.cast_const().cast(),
        size_of::<libc::c_int>() as u32,
    )
    .build();
    const _: () = assert!(size_of::<squeue::Entry>() == 64 && align_of::<squeue::Entry>() >= 4);
    // SAFETY: an entry is the kernel's io_uring_sqe by its representation, in which `cmd_op` is the
    // four bytes from the eighth on.
    unsafe { (&raw mut entry).cast::<u32>().add(2).write(GET) };
    entry
}
