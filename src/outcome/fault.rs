//! Local faults by cause: what each is called, what is wrong, and the cure. One table, from which
//! summary, metrics, log and shell all print.

use super::{Cause, Class, Detail, Outcome};
use nix::errno::Errno;

/// Probes by the place of their fault in [`FAULTS`].
pub type FaultCounts = [u64; FAULTS.len()];

/// What made probes fail that is not their targets' doing.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The errno's name or the cause's.
    pub name: &'static str,
    /// What is wrong, for people.
    pub what: &'static str,
    /// What can be done about it.
    pub cure: &'static str,
    detail: Detail,
}

const fn errno(errno: Errno, name: &'static str, what: &'static str, cure: &'static str) -> Fault {
    Fault { name, what, cure, detail: Detail::Errno(errno) }
}

const FILES: &str = "raise the file limit (ulimit -n, LimitNOFILE=)";
const MEMORY: &str =
    "raise the memory limit (MemoryMax=) or net.ipv4.tcp_mem, or lower engine.max_in_flight";
const POLICY: &str = "look for a firewall rule on output, a prohibit route, a security module, or a \
     broadcast address among the targets";

/// Every local fault; the last one stands for all that have no row of their own.
pub const FAULTS: [Fault; 14] = [
    Fault {
        name: "NoFreeSlot",
        what: "no probe slot became free in time",
        cure: "raise engine.max_in_flight, engine.workers or the file limit, lower timeouts, or use \
               handshake = \"raw\" for TCP checks",
        detail: Detail::Cause(Cause::NoFreeSlot),
    },
    Fault {
        name: "PacketsDropped",
        what: "this host dropped packets: its table of connections or of neighbours is full, or a \
               queue of handshake raw",
        cure: "do not track what is checked (notrack), or raise net.netfilter.nf_conntrack_max, \
               net.ipv4.neigh.default.gc_thresh3 or net.core.rmem_max",
        detail: Detail::Cause(Cause::PacketsDropped),
    },
    errno(
        Errno::EADDRNOTAVAIL,
        "EADDRNOTAVAIL",
        "no local port was free",
        "widen net.ipv4.ip_local_port_range, or use close = \"reset\"",
    ),
    errno(Errno::EMFILE, "EMFILE", "the process has too few files", FILES),
    errno(Errno::ENFILE, "ENFILE", "the host has too few files", "raise fs.file-max"),
    errno(Errno::ENOBUFS, "ENOBUFS", "the kernel had no buffer", MEMORY),
    errno(Errno::ENOMEM, "ENOMEM", "the kernel had no memory", MEMORY),
    errno(Errno::EACCES, "EACCES", "this host forbids the connection", POLICY),
    errno(Errno::EPERM, "EPERM", "this host forbids the connection", POLICY),
    errno(
        Errno::EINVAL,
        "EINVAL",
        "no such connection can be made",
        "look for a blackhole route, or an address among the targets that is nobody's",
    ),
    errno(Errno::ENETDOWN, "ENETDOWN", "the interface is down", "bring the interface up"),
    errno(
        Errno::EAFNOSUPPORT,
        "EAFNOSUPPORT",
        "the kernel does not speak this family of addresses",
        "enable IPv6 (net.ipv6.conf.all.disable_ipv6 = 0), or remove its targets",
    ),
    Fault {
        name: "NotRun",
        what: "a worker was not run while targets waited for it, until they gave up",
        cure: "a CPU of its own: stop other work on it, lower engine.workers, or give the machine \
               more",
        detail: Detail::Cause(Cause::NotRun),
    },
    Fault {
        name: "Other",
        what: "another error of this host",
        cure: "the detail of the targets says which: ringcheck targets --code SOCKERR",
        detail: Detail::None,
    },
];

impl Outcome {
    /// The place of its fault in [`FAULTS`]; none where it is a pass or a failure.
    #[must_use]
    pub fn fault(self) -> Option<usize> {
        let place = || FAULTS.iter().position(|fault| fault.detail == self.detail);
        (self.class() == Class::LocalFault).then(|| place().unwrap_or(FAULTS.len() - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Code;

    #[test]
    fn every_local_fault_has_its_row_and_nothing_else_has_one() {
        for (place, fault) in FAULTS.iter().enumerate() {
            let of = |code| Outcome { code, status: 0, detail: fault.detail }.fault();
            assert_eq!(of(Code::SockErr), Some(place), "{}", fault.name);
            assert_eq!(of(Code::L4Tout), None, "{}", fault.name);
            if let Detail::Errno(errno) = fault.detail {
                assert_eq!(format!("{errno:?}"), fault.name);
            }
        }
        assert_eq!(Outcome::errno(Code::SockErr, Errno::EDOM).fault(), Some(FAULTS.len() - 1));
        assert_eq!(Outcome::plain(Code::L4Ok).fault(), None);
    }
}
