//! A process that has no files left: what cannot be had is the fault of the connect that needed it,
//! and as soon as there are files again all goes on. A process of its own, because its limit is
//! everybody's.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringcheck::io::{Backend, Completion, Done, Host, Io, Kind, Op, Socket, Token, Transport};
use ringcheck::time::monotonic;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::Duration;

#[test]
fn on_epoll_a_connect_without_a_file_fails_by_itself_and_comes_back() {
    const SLOTS: u32 = 20;
    let mut host = Host::open(Backend::Epoll, SLOTS, true).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (before, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Descriptors are the lowest free numbers: room for ten at most.
    let lowest = std::fs::File::open("/dev/null").unwrap().as_raw_fd();
    setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(lowest).unwrap() + 10, hard).unwrap();
    let mut round = |generation| {
        for slot in 0..SLOTS {
            let token = Token { slot, generation, kind: Kind::Connect };
            let socket = Socket { ipv6: false, transport: Transport::Stream { hold_ack: true } };
            host.submit(Op::Connect { token, address, socket });
        }
        let mut all: Vec<Completion> = Vec::new();
        let give_up = monotonic() + Duration::from_secs(10);
        while all.len() < SLOTS as usize && monotonic() < give_up {
            host.wait(give_up, &mut all).unwrap();
        }
        (0..SLOTS).for_each(|slot| host.submit(Op::Disconnect { slot }));
        let slots: BTreeMap<u32, Done> =
            all.into_iter().map(|completion| (completion.token.slot, completion.done)).collect();
        assert!(slots.keys().copied().eq(0..SLOTS), "each one once");
        let connected = slots.values().filter(|done| **done == Done::Connected).count();
        let failed = Done::Failed(Errno::EMFILE);
        assert_eq!(slots.values().filter(|done| **done == failed).count(), 20 - connected);
        connected
    };
    let first = round(0);
    assert!((1..20).contains(&first), "{first} connected");
    assert_eq!(round(1), first, "those that have a socket keep it");
    setrlimit(Resource::RLIMIT_NOFILE, before, hard).unwrap();
    assert_eq!(round(2), 20);
}
