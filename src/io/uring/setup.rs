//! Building a ring: flags, the features that we need, and what to tell a person where one is
//! missing.

use super::BUFFER_GROUP;
use super::memory::Memory;
use crate::io::Unsupported;
use crate::limits::{CQ_ENTRIES_MAX, RECEIVE_BUFFERS, SQ_ENTRIES};
use io_uring::{IoUring, Probe, opcode};
use nix::errno::Errno;
use std::fmt::Write;

/// The kernel that has everything. 6.13: closing a direct descriptor no longer waits for older
/// operations of the ring (commit 7029acd8a950); 6.12: `min_wait` and absolute time-outs.
const KERNEL: &str = "Linux 6.13 or newer is needed";

impl Unsupported {
    pub(super) fn new(what: &str, errno: Errno) -> Self {
        Self { what: format!("{what}: {}", describe(errno)), cure: cure(errno) }
    }

    pub(super) fn feature(what: impl Into<String>) -> Self {
        Self { what: what.into(), cure: format!("{KERNEL}, this is {}", release()) }
    }
}

fn describe(errno: Errno) -> String {
    format!("{} ({errno:?})", errno.desc().to_lowercase())
}

fn release() -> String {
    nix::sys::utsname::uname()
        .map_or_else(|_| "unknown".to_owned(), |u| u.release().to_string_lossy().into_owned())
}

/// What helps against an errno of setup or registration.
fn cure(errno: Errno) -> String {
    match errno {
        Errno::EPERM | Errno::EACCES => forbidden_cure(),
        Errno::ENOSYS => format!(
            "this kernel has no io_uring; {KERNEL}, or a container runtime that passes it through"
        ),
        Errno::EMFILE | Errno::ENFILE => {
            "raise the file limit (ulimit -n, LimitNOFILE=) or lower engine.max_in_flight"
                .to_owned()
        }
        Errno::ENOMEM => {
            "raise the memory limit of the container, lower engine.max_in_flight or engine.workers, or \
             set engine.backend = \"epoll\""
                .to_owned()
        }
        _ => format!("{KERNEL}, this is {}", release()),
    }
}

/// Why io_uring is forbidden: the sysctl, or else a seccomp filter.
fn forbidden_cure() -> String {
    let sysctl = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match sysctl.trim() {
        "1" => "kernel.io_uring_disabled is 1: run with CAP_SYS_ADMIN or in the group of \
                kernel.io_uring_group, or run sysctl -w kernel.io_uring_disabled=0"
            .to_owned(),
        "2" => "kernel.io_uring_disabled is 2: run sysctl -w kernel.io_uring_disabled=0".to_owned(),
        _ => "a seccomp filter forbids it, as container runtimes do by default: allow io_uring_setup, \
              io_uring_enter and io_uring_register (docker: --security-opt seccomp=PROFILE)"
            .to_owned(),
    }
}

/// A ring with everything registered, and the memory that its operations use.
pub(super) fn build(capacity: u32) -> Result<(IoUring, Memory), Unsupported> {
    let ring = ring(capacity)?;
    require(&ring)?;
    let submitter = ring.submitter();
    // No operation of ours needs the kernel's worker threads; should one ever, there are few of
    // them.
    register("limit io-wq workers", submitter.register_iowq_max_workers(&mut [1, 1]))?;
    register(
        &format!("cannot register {capacity} direct descriptors"),
        submitter.register_files_sparse(capacity),
    )?;
    let memory = Memory::new(capacity);
    // SAFETY: the ring of buffers is page-aligned, has that many entries, and is freed only after
    // the io_uring instance no longer uses it (see `Drop for Uring`).
    let registered = unsafe {
        let address = memory.buffers.ring_address();
        submitter.register_buf_ring_with_flags(address, RECEIVE_BUFFERS, BUFFER_GROUP, 0)
    };
    register("cannot register receive buffers", registered)?;
    Ok((ring, memory))
}

fn register(what: &str, result: std::io::Result<()>) -> Result<(), Unsupported> {
    result.map_err(|error| Unsupported::new(what, errno(&error)))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(0))
}

/// The ring itself. Every completion of every slot fits the completion queue: two operations, their
/// cancels, and a few of our own.
fn ring(capacity: u32) -> Result<IoUring, Unsupported> {
    let cq_entries = (capacity * 4 + 64).next_power_of_two().clamp(256, CQ_ENTRIES_MAX as u32);
    let sq_entries = SQ_ENTRIES as u32;
    let build = |no_sqarray: bool| {
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(cq_entries)
            .dontfork();
        if no_sqarray {
            builder.setup_no_sqarray();
        }
        builder.build(sq_entries.min(cq_entries))
    };
    build(true)
        .or_else(|error| if errno(&error) == Errno::EINVAL { build(false) } else { Err(error) })
        .map_err(|error| Unsupported::new("cannot set up io_uring", errno(&error)))
}

/// Checks that the kernel has what the backend uses.
fn require(ring: &IoUring) -> Result<(), Unsupported> {
    let params = ring.params();
    let mut probe = Probe::new();
    register(
        "cannot ask io_uring for its operations",
        ring.submitter().register_probe(&mut probe),
    )?;
    let has = |code: u8| probe.is_supported(code);
    let needs = [
        ("no dropped completions", params.is_feature_nodrop()),
        ("waiting with a deadline", params.is_feature_ext_arg()),
        ("silent successes", params.is_feature_skip_cqe_on_success()),
        ("minimum waits", params.is_feature_min_timeout()),
        ("SOCKET", has(opcode::Socket::CODE)),
        ("CONNECT", has(opcode::Connect::CODE)),
        ("SEND", has(opcode::Send::CODE)),
        ("RECV", has(opcode::Recv::CODE)),
        ("CLOSE", has(opcode::Close::CODE)),
        ("READ", has(opcode::Read::CODE)),
        ("ASYNC_CANCEL", has(opcode::AsyncCancel::CODE)),
        ("URING_CMD (setsockopt)", has(opcode::SetSockOpt::CODE)),
    ];
    let mut missing = String::new();
    for (name, _) in needs.iter().filter(|(_, there)| !there) {
        let comma = if missing.is_empty() { "" } else { ", " };
        let _ = write!(missing, "{comma}{name}");
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Unsupported::feature(format!("io_uring lacks {missing}")))
}
