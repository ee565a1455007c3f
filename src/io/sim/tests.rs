//! The simulated world itself: each behaviour gives the right completions, a seed repeats them,
//! each fault happens, and each violation of the contract panics.

use super::peer::OK;
use super::slot::Flight;
use super::*;
use crate::io::{Done, Transport};
use nix::errno::Errno;

const PEER: ([u8; 4], u16) = ([10, 0, 0, 1], 80);
const STREAM: Transport = Transport::Stream { hold_ack: false };
const SOCKET: Socket = Socket { ipv6: false, transport: STREAM };
const DATAGRAM: Socket = Socket { ipv6: false, transport: Transport::Datagram };

/// A world with one peer, and a checker that runs one exchange on slot 0.
struct World {
    sim: Sim,
    generation: u32,
}

impl World {
    fn new(behaviour: Behaviour) -> Self {
        Self::seeded(1, behaviour)
    }

    fn seeded(seed: u64, behaviour: Behaviour) -> Self {
        let mut network = Network::new();
        network.add(PEER.into(), Peer::new(behaviour));
        Self { sim: Sim::new(seed, 4, network), generation: 1 }
    }

    const fn token(&self, kind: Kind) -> Token {
        Token { slot: 0, generation: self.generation, kind }
    }

    fn connect(&mut self) {
        let token = self.token(Kind::Connect);
        self.sim.submit(Op::Connect { token, address: PEER.into(), socket: SOCKET });
    }

    fn exchange(&mut self) {
        self.sim.submit(Op::Send { token: self.token(Kind::Send), bytes: b"GET" });
        self.receive();
    }

    fn receive(&mut self) {
        self.sim.submit(Op::Receive { token: self.token(Kind::Receive) });
    }

    fn cancel(&mut self, kind: Kind) {
        self.sim.submit(Op::Cancel { token: self.token(kind) });
    }

    /// Waits for at most `ms`, and tells what came in words: `connected`, `sent`, bytes, `end`,
    /// errno.
    fn wait(&mut self, ms: u64) -> Vec<String> {
        let mut completions = Vec::new();
        let until = self.sim.clock() + Duration::from_millis(ms);
        self.sim.wait(until, &mut completions).unwrap();
        let words = completions.into_iter().map(|completion| match completion.done {
            Done::Connected => "connected".to_owned(),
            Done::Sent => "sent".to_owned(),
            Done::Failed(errno) => format!("{errno:?}"),
            Done::Received(buffer) => {
                let bytes = String::from_utf8_lossy(self.sim.bytes(&buffer)).into_owned();
                self.sim.recycle(buffer);
                if bytes.is_empty() { "end".to_owned() } else { bytes }
            }
        });
        words.collect()
    }

    fn wait_for(&mut self, expect: &[&str]) {
        assert_eq!(self.wait(10_000), expect);
    }

    /// Receives until the stream ends, fails, or is silent for ten seconds.
    fn drain(&mut self) -> (String, String) {
        let mut all = String::new();
        for _ in 0..100 {
            match self.wait(10_000).pop() {
                None => return (all, "silence".to_owned()),
                Some(word) if word == "sent" => {}
                Some(word) if word == "end" || word.starts_with('E') => return (all, word),
                Some(bytes) => {
                    all.push_str(&bytes);
                    self.receive();
                }
            }
        }
        (all, "endless".to_owned())
    }

    fn exchange_with(behaviour: Behaviour) -> (String, String) {
        let mut world = Self::new(behaviour);
        world.connect();
        world.wait_for(&["connected"]);
        world.exchange();
        world.drain()
    }
}

#[test]
fn connections_that_do_not_come_about() {
    let mut world = World::new(Behaviour::Refuse);
    world.connect();
    world.wait_for(&["ECONNREFUSED"]);
    assert!(world.sim.clock() <= Instant::from_millis(2), "after one round trip");
    world.sim.network_mut().behave(0, Behaviour::Unreachable(Errno::EHOSTUNREACH));
    world.generation += 1;
    world.connect();
    world.wait_for(&["EHOSTUNREACH"]);
    world.sim.network_mut().behave(0, Behaviour::Silent);
    world.generation += 1;
    world.connect();
    world.wait_for(&[]);
    assert_eq!(world.wait(120_000), ["ETIMEDOUT"]);
    world.sim.assert_idle();
    let seen = world.sim.ledger().seen(0);
    assert_eq!((seen.starts, seen.in_flight, seen.in_flight_max), (3, 0, 1));
}

#[test]
fn datagrams() {
    let talk = |steps: Vec<Step>| Behaviour::talk(Starts::OnRequest, steps, End::Hold);
    let send = |bytes: &[u8]| Step::Send(bytes.into());
    let pause = Step::Pause(Duration::from_secs(20));
    let answers = talk(vec![send(b"one"), send(b""), pause, send(&[b'x'; 3_000])]);
    let mut world = World::new(answers);
    let ask = |world: &mut World| {
        let token = world.token(Kind::Connect);
        world.sim.submit(Op::Connect { token, address: PEER.into(), socket: DATAGRAM });
        assert_eq!(
            (world.wait(0), world.sim.clock()),
            (vec!["connected".to_owned()], Instant::ZERO)
        );
        world.sim.submit(Op::Send { token: world.token(Kind::Send), bytes: b"" });
        world.receive();
        assert_eq!(world.wait(0), ["sent"]);
    };
    ask(&mut world);
    for expect in [&["one"][..], &["end"], &[], &["x".repeat(2_048).as_str()]] {
        world.wait_for(expect);
        if !expect.is_empty() {
            world.receive();
        }
    }
    world.wait_for(&[]);
    for (behaviour, expect) in [
        (Behaviour::Refuse, &["ECONNREFUSED"][..]),
        (Behaviour::Unreachable(Errno::EHOSTUNREACH), &["EHOSTUNREACH"]),
        (Behaviour::Silent, &[]),
    ] {
        let mut world = World::new(behaviour);
        ask(&mut world);
        world.wait_for(expect);
    }
}

#[test]
fn conversations() {
    let (ok, tail) = (String::from_utf8(OK.to_vec()).unwrap(), |s: &str| s.to_owned());
    let gap = Duration::from_millis(5);
    assert_eq!(World::exchange_with(Behaviour::healthy(OK)), (ok.clone(), tail("end")));
    assert_eq!(World::exchange_with(Behaviour::stall()), (tail(""), tail("silence")));
    let reset = Behaviour::reset_after(&OK[..9]);
    assert_eq!(World::exchange_with(reset), (tail("HTTP/1.1 "), tail("ECONNRESET")));
    assert_eq!(World::exchange_with(Behaviour::cut_after(b"")), (tail(""), tail("end")));
    let garbage = Behaviour::garbage(b"220 mail ready");
    assert_eq!(World::exchange_with(garbage), (tail("220 mail ready"), tail("silence")));
    assert_eq!(World::exchange_with(Behaviour::dribble(b"HTTP", gap)), (tail("HTTP"), tail("end")));
    let endless = Behaviour::endless(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", gap);
    let (bytes, end) = World::exchange_with(endless);
    assert!(bytes.starts_with("HTTP/1.1 200 OK\r\na: b\r\na: b\r\n"), "{bytes}");
    assert_eq!(end, "endless");
}

#[test]
fn bytes_drip_one_at_a_time() {
    let mut world = World::new(Behaviour::dribble(b"ab", Duration::from_millis(5)));
    world.connect();
    world.wait_for(&["connected"]);
    world.exchange();
    world.wait_for(&["sent"]);
    world.wait_for(&["a"]);
    let first = world.sim.clock();
    world.receive();
    world.wait_for(&["b"]);
    assert_eq!(world.sim.clock().since(first), Duration::from_millis(5));
}

#[test]
fn an_answer_can_be_there_before_the_request() {
    let mut world = World::new(Behaviour::early_answer(b"HTTP/1.1 200 OK\r\n\r\n", End::Reset));
    world.connect();
    world.wait_for(&["connected"]);
    world.wait_for(&[]);
    world.exchange();
    // The RST is told to the send; the bytes that came before it are still there.
    world.wait_for(&["ECONNRESET", "HTTP/1.1 200 OK\r\n\r\n"]);
    world.receive();
    world.wait_for(&["end"]);
}

#[test]
fn pieces_are_split_by_the_seed() {
    let pieces = |seed| {
        let mut world = World::seeded(seed, Behaviour::healthy(OK));
        world.connect();
        world.wait_for(&["connected"]);
        world.exchange();
        let mut pieces = world.wait(100);
        loop {
            world.receive_unless_in_flight();
            let more = world.wait(100);
            if more.contains(&"end".to_owned()) {
                return pieces;
            }
            pieces.extend(more);
        }
    };
    let counts: std::collections::BTreeSet<_> = (0..50).map(|seed| pieces(seed).len()).collect();
    assert!(counts.len() > 1, "{counts:?}");
    assert_eq!(pieces(7), pieces(7));
}

impl World {
    fn receive_unless_in_flight(&mut self) {
        if self.sim.slots[0].flight(Kind::Receive) == Flight::None {
            self.receive();
        }
    }
}

#[test]
fn waiting_ends_at_the_deadline_and_a_past_one_does_not_wait() {
    let mut world = World::new(Behaviour::Refuse);
    world.wait_for(&[]);
    assert_eq!(world.sim.clock(), Instant::from_millis(10_000));
    world.connect();
    assert!(world.wait(0).is_empty(), "one round trip is not over");
    assert_eq!(world.sim.clock(), Instant::from_millis(10_000));
    world.sim.skip(Duration::from_secs(1));
    assert_eq!(world.wait(0), ["ECONNREFUSED"]);
    assert_eq!(world.sim.clock(), Instant::from_millis(11_000));
}

#[test]
fn cancelled_operations_complete_and_stale_cancels_do_nothing() {
    let mut world = World::new(Behaviour::Silent);
    world.connect();
    world.cancel(Kind::Connect);
    world.wait_for(&["ECANCELED"]);
    world.cancel(Kind::Connect);
    world.sim.submit(Op::Disconnect { slot: 0 });
    world.sim.network_mut().behave(0, Behaviour::stall());
    let stale = world.token(Kind::Connect);
    world.generation += 1;
    world.connect();
    world.sim.submit(Op::Cancel { token: stale });
    world.wait_for(&["connected"]);
    world.exchange();
    world.wait_for(&["sent"]);
    assert_eq!((world.sim.sockets(), world.sim.ledger().open()), (1, 1));
    world.cancel(Kind::Receive);
    world.wait_for(&["ECANCELED"]);
    assert_eq!((world.sim.sockets(), world.sim.ledger().open()), (1, 0));
    world.sim.submit(Op::Close { slot: 0 });
    assert_eq!((world.sim.sockets(), world.sim.ledger().open()), (0, 0));
    world.sim.assert_idle();
}

#[test]
fn a_packet_of_an_earlier_connection_is_dropped() {
    let mut world = World::new(Behaviour::healthy(OK));
    world.connect();
    world.wait_for(&["connected"]);
    world.sim.submit(Op::Send { token: world.token(Kind::Send), bytes: b"GET" });
    world.wait_for(&["sent"]);
    world.sim.submit(Op::Disconnect { slot: 0 });
    world.sim.network_mut().behave(0, Behaviour::stall());
    world.generation += 1;
    world.connect();
    world.wait_for(&["connected"]);
    world.receive();
    world.wait_for(&[]);
}

#[test]
fn faults_of_the_checker_happen() {
    let at = Instant::from_millis;
    let mut world = World::new(Behaviour::early_answer(b"hello", End::Hold));
    world.sim.set_faults(Faults::none().between(Fault::Connect(Errno::EMFILE), at(0), at(1)));
    world.connect();
    world.wait_for(&["EMFILE"]);
    assert_eq!((world.sim.sockets(), world.sim.clock()), (0, at(0)));

    world.sim.set_faults(Faults::none().between(Fault::Room(0), at(0), at(1)));
    assert_eq!(world.sim.room(), 0);
    assert!(world.wait(1).is_empty());
    assert_eq!(world.sim.room(), ROOM);

    let asleep = Duration::from_millis(500);
    world.sim.set_faults(Faults::none().chance(Fault::Oversleep(asleep), 1, 1));
    assert!(world.wait(1).is_empty());
    assert!(world.sim.clock() > at(2) && world.sim.clock() <= at(502));

    world.sim.set_faults(Faults::none().chance(Fault::Held(asleep), 1, 1));
    let before = world.sim.clock();
    assert!(world.wait(0).is_empty());
    assert!(world.sim.clock() > before);

    world.sim.set_faults(Faults::none().chance(Fault::Pause(asleep), 1, 1));
    let before = world.sim.clock();
    assert!(world.sim.now() > before);

    world.sim.set_faults(Faults::none().chance(Fault::Late(Duration::from_secs(1)), 1, 1));
    let before = world.sim.clock();
    world.generation += 1;
    world.connect();
    world.wait_for(&["connected"]);
    assert!(world.sim.clock().since(before) > Duration::from_millis(2));

    world.sim.set_faults(Faults::none().chance(Fault::NoBuffer, 1, 1));
    world.receive();
    world.wait_for(&["ENOBUFS"]);
    world.sim.set_faults(Faults::none().chance(Fault::Batch(1), 1, 1));
    world.exchange();
    world.wait_for(&["sent"]);
    world.wait_for(&["hello"]);
}

#[test]
fn buffers_run_out_and_come_back() {
    let mut buffers = Buffers::new();
    let mut lent: Vec<_> = std::iter::from_fn(|| buffers.lend(b"x")).collect();
    assert_eq!(lent.len(), usize::from(crate::limits::RECEIVE_BUFFERS));
    let last = lent.pop().unwrap();
    assert_eq!(buffers.bytes(&last), Some(&b"x"[..]));
    assert!(buffers.give_back(last.id) && !buffers.give_back(last.id));
    assert_eq!(buffers.lend(b"y").map(|buffer| buffer.len), Some(1));
}

/// What a checker does when it follows no plan at all, as a trace of words.
fn wander(seed: u64) -> Vec<String> {
    let random = Behaviour::Random(vec![
        Behaviour::healthy(OK),
        Behaviour::Refuse,
        Behaviour::Silent,
        Behaviour::reset_at_once(),
        Behaviour::dribble(OK, Duration::from_millis(1)),
    ]);
    let mut world = World::seeded(seed, random);
    let late = Fault::Late(Duration::from_millis(3));
    world.sim.set_faults(Faults::none().chance(late, 1, 4).chance(Fault::NoBuffer, 1, 8));
    let mut rng = Rng::new(seed);
    let mut trace = Vec::new();
    for _ in 0..500 {
        match world.sim.slots[0].stage {
            Stage::Connected if rng.chance(1, 2) => world.receive_unless_in_flight(),
            Stage::Idle => {
                world.generation += 1;
                world.connect();
            }
            Stage::Connecting | Stage::Connected | Stage::Cancelled => {
                for kind in [Kind::Connect, Kind::Send, Kind::Receive] {
                    world.cancel(kind);
                }
            }
        }
        trace.extend(world.wait(rng.below(10)));
        if world.sim.slots[0].quiet() {
            world.sim.submit(Op::Disconnect { slot: 0 });
        }
        trace.push(world.sim.clock().as_nanos().to_string());
    }
    trace
}

#[test]
fn a_seed_repeats_its_world() {
    assert_eq!(wander(1), wander(1));
    assert_ne!(wander(1), wander(2));
}

mod contract {
    use super::*;

    fn connected() -> World {
        let mut world = World::new(Behaviour::stall());
        world.connect();
        world.wait_for(&["connected"]);
        world
    }

    #[test]
    #[should_panic(expected = "Connect while connected (seed 1, virtual time")]
    fn connect_while_connected() {
        let mut world = connected();
        world.generation += 1;
        world.connect();
    }

    #[test]
    #[should_panic(expected = "Connect while a Connect is in flight")]
    fn two_connects() {
        let mut world = World::new(Behaviour::stall());
        world.connect();
        world.generation += 1;
        world.connect();
    }

    #[test]
    #[should_panic(expected = "cancelled one without Disconnect")]
    fn connect_after_a_cancelled_connect() {
        let mut world = World::new(Behaviour::Silent);
        world.connect();
        world.cancel(Kind::Connect);
        world.wait_for(&["ECANCELED"]);
        world.generation += 1;
        world.connect();
    }

    #[test]
    #[should_panic(expected = "generation of the probe before")]
    fn a_generation_used_twice() {
        let mut world = connected();
        world.sim.submit(Op::Disconnect { slot: 0 });
        world.connect();
    }

    #[test]
    #[should_panic(expected = "another probe's generation")]
    fn a_receive_of_another_generation() {
        let mut world = connected();
        world.generation += 1;
        world.receive();
    }

    #[test]
    #[should_panic(expected = "names another kind")]
    fn a_token_of_another_kind() {
        let mut world = connected();
        world.sim.submit(Op::Send { token: world.token(Kind::Receive), bytes: b"x" });
    }

    #[test]
    #[should_panic(expected = "while not connected")]
    fn receive_before_the_connection_stands() {
        let mut world = World::new(Behaviour::stall());
        world.connect();
        world.receive();
    }

    #[test]
    #[should_panic(expected = "of that kind is in flight")]
    fn two_receives() {
        let mut world = connected();
        world.receive();
        world.receive();
    }

    #[test]
    #[should_panic(expected = "while an operation is in flight")]
    fn disconnect_under_a_receive() {
        let mut world = connected();
        world.receive();
        world.sim.submit(Op::Disconnect { slot: 0 });
    }

    #[test]
    #[should_panic(expected = "while an operation is in flight")]
    fn close_under_a_connect() {
        let mut world = World::new(Behaviour::stall());
        world.connect();
        world.sim.submit(Op::Close { slot: 0 });
    }

    #[test]
    #[should_panic(expected = "Disconnect of a datagram socket")]
    fn a_datagram_socket_is_not_recycled() {
        let mut world = World::new(Behaviour::Silent);
        let (token, address) = (world.token(Kind::Connect), PEER.into());
        world.sim.submit(Op::Connect { token, address, socket: DATAGRAM });
        world.wait_for(&["connected"]);
        world.sim.submit(Op::Disconnect { slot: 0 });
    }

    #[test]
    #[should_panic(expected = "a slot beyond the capacity")]
    fn a_slot_that_is_not_there() {
        let mut world = connected();
        world.sim.submit(Op::Disconnect { slot: 4 });
    }

    #[test]
    #[should_panic(expected = "Connect beyond the room")]
    fn connect_without_room() {
        let mut world = World::new(Behaviour::stall());
        world.sim.set_faults(Faults::none().chance(Fault::Room(0), 1, 1));
        world.connect();
    }

    #[test]
    #[should_panic(expected = "of the other family")]
    fn a_socket_of_the_other_family() {
        let mut world = World::new(Behaviour::stall());
        let (token, socket) =
            (world.token(Kind::Connect), Socket { ipv6: true, transport: STREAM });
        world.sim.submit(Op::Connect { token, address: PEER.into(), socket });
    }

    #[test]
    #[should_panic(expected = "an address that no target has")]
    fn an_address_of_nobody() {
        let mut world = World::new(Behaviour::stall());
        let (token, address) = (world.token(Kind::Connect), ([10, 0, 0, 2], 80).into());
        world.sim.submit(Op::Connect { token, address, socket: SOCKET });
    }

    #[test]
    #[should_panic(expected = "given back that is not lent")]
    fn a_buffer_given_back_twice() {
        let mut sim = connected().sim;
        let buffer = sim.buffers.lend(b"x").unwrap();
        let again = Buffer { id: buffer.id, len: buffer.len };
        sim.recycle(buffer);
        sim.recycle(again);
    }

    #[test]
    #[should_panic(expected = "1 buffers never came back")]
    fn a_buffer_never_given_back() {
        let mut world = connected();
        world.sim.submit(Op::Disconnect { slot: 0 });
        world.sim.buffers.lend(b"x").unwrap();
        world.sim.assert_idle();
    }

    #[test]
    #[should_panic(expected = "neither disconnected nor closed")]
    fn a_connection_left_behind() {
        connected().sim.assert_idle();
    }

    #[test]
    #[should_panic(expected = "waits again and again")]
    fn a_worker_that_never_sleeps() {
        let mut world = connected();
        for _ in 0..=IDLE_WAITS_MAX {
            world.wait(0);
        }
    }
}
