//! The engine on the real kernel, by each backend: the table of scripts that the simulator plays,
//! over loopback, and what only real sockets can show: what the target sees of a probe, and hostile
//! targets by the hundred.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use nix::errno::Errno;
use ringcheck::check::{Check, http};
use ringcheck::endpoint::Endpoint;
use ringcheck::engine::Plan;
use ringcheck::engine::oneshot::{OneShot, Shot, collect};
use ringcheck::health::Thresholds;
use ringcheck::io::Backend;
use ringcheck::io::sim::{Behaviour, End, Starts, Step};
use ringcheck::outcome::{Cause, Code, Detail, Outcome};
use ringcheck::recipe::{Close, Handshake, ProxyProtocol, Recipe, Reuse};
use ringcheck::report::Report;
use ringcheck::time::monotonic;
use socket2::Socket;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use support::daemon::resident_kib;
use support::netns::{Route, in_own_network};
use support::scripts::{Asked, OK, SCRIPTS, Script};
use support::stage::{Scene, Stage, bound};
use support::wait_for;

/// What the scripts are made for: a quarter of it is ample for loopback on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(3);
/// What a deadline may be late on a busy machine.
const SLACK: Duration = Duration::from_secs(3);
/// Longer than anything here takes unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);

fn recipe(check: Check, close: Close, handshake: Handshake) -> Recipe {
    let thresholds = Thresholds { healthy: 1, unhealthy: 1 };
    let (interval, timeout) = (Duration::ZERO, TIMEOUT);
    Recipe {
        port: None,
        interval,
        timeout,
        thresholds,
        check,
        close,
        handshake,
        proxy_protocol: None,
        reuse: None,
    }
}

/// Probes each target once; reports by place in the list.
fn probe(
    on: Backend,
    workers: usize,
    recipes: &[Recipe],
    targets: &[(usize, SocketAddr)],
) -> Vec<Report> {
    let plan = Plan::new(on, Some(workers), Some(1_024), false).unwrap();
    let shots = targets.iter().map(|&(recipe, address)| Shot {
        recipe: u32::try_from(recipe).unwrap(),
        endpoint: Endpoint::from(address),
    });
    let run = OneShot::start(&plan, recipes, shots, targets.len(), 1, None).unwrap();
    let mut reports = collect(run).unwrap();
    reports.sort_by_key(|report| report.target);
    assert!(
        reports.iter().map(|report| report.target.index()).eq(0..targets.len()),
        "each probe is reported once"
    );
    reports
}

fn probe_one(on: Backend, recipe: Recipe, address: SocketAddr) -> Report {
    probe(on, 1, &[recipe], &[(0, address)])[0]
}

fn total(report: &Report) -> Duration {
    Duration::from_micros(report.phases.total_us.into())
}

on_each_backend! {
    the_table_of_scripts_comes_true_on_the_real_kernel,
    a_half_handshake_is_not_seen_by_accept_and_a_full_one_is,
    reset_leaves_no_time_wait_and_the_target_reads_a_reset_graceful_reads_the_end,
    thousands_of_probes_leave_no_time_wait,
    a_proxy_header_goes_first_and_is_all_that_a_tcp_check_says,
    a_kept_connection_serves_the_next_probes_of_its_target,
    a_backlog_that_is_full_is_no_connection_in_time,
    each_errno_of_a_real_connect_has_its_code,
    when_our_ports_run_out_it_is_our_fault,
    a_connect_that_the_kernel_gives_up_is_no_connection_in_time,
    hostile_targets_by_the_hundred_end_in_their_code_in_time_and_in_bounded_memory,
}

const CLOSES: [Close; 2] = [Close::Reset, Close::Graceful];
const HANDSHAKES: [Handshake; 3] = [Handshake::Half, Handshake::Full, Handshake::Raw];

/// Whether `code` may come of `script`. With a full handshake, an RST that is as fast as our
/// reading of the connection's result is reported by the connect itself (DESIGN 3.6).
fn is_expected(script: &Script, code: Code, recipe: &Recipe, resets: &Behaviour) -> bool {
    let raced = recipe.handshake == Handshake::Full && (script.behaviour)(TIMEOUT) == *resets;
    code == script.code || raced && code == Code::L4Con
}

fn the_table_of_scripts_comes_true_on_the_real_kernel(on: Backend) {
    let is_played =
        |script: &&Script| !matches!((script.behaviour)(TIMEOUT), Behaviour::Unreachable(_));
    let scripts: Vec<&Script> = SCRIPTS.iter().filter(is_played).collect();
    assert!(scripts.len() > 35);
    let scene = |ipv6, script: &Script| Scene {
        udp: script.asked.is_udp(),
        ipv6,
        behaviour: (script.behaviour)(TIMEOUT),
    };
    let scenes: Vec<Scene> = [false, true]
        .iter()
        .flat_map(|&ipv6| scripts.iter().map(move |script| scene(ipv6, script)))
        .collect();
    let stage = Stage::play(&scenes);
    let mut recipes = Vec::new();
    for close in CLOSES {
        for handshake in HANDSHAKES {
            recipes.extend(Asked::ALL.map(|asked| recipe(asked.check(), close, handshake)));
        }
    }
    let (mut targets, mut played) = (Vec::new(), Vec::new());
    for (which, recipe) in recipes.iter().enumerate() {
        // What has no socket asks nothing.
        if recipe.handshake == Handshake::Raw && recipe.check != Check::Tcp {
            continue;
        }
        for (place, &address) in stage.addresses.iter().enumerate() {
            let script = scripts[place % scripts.len()];
            if recipe.check == script.asked.check() {
                targets.push((which, address));
                played.push(script);
            }
        }
    }
    let resets = Behaviour::reset_at_once();
    let mut wrong = Vec::new();
    for (report, (which, address)) in probe(on, 2, &recipes, &targets).iter().zip(&targets) {
        let script = played[report.target.index()];
        let (recipe, outcome) = (&recipes[*which], report.outcome);
        let is_right = is_expected(script, outcome.code, recipe, &resets)
            && (outcome.code != script.code || outcome.status == script.status)
            && total(report) < TIMEOUT + SLACK
            && (!is_timeout(outcome.code) || total(report) >= TIMEOUT);
        if !is_right {
            let how = (recipe.close, recipe.handshake);
            wrong.push(format!("{} {how:?} {address}: {report:?}", script.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_timeout(code: Code) -> bool {
    matches!(code, Code::L4Tout | Code::L6Tout | Code::L7Tout)
}

fn a_half_handshake_is_not_seen_by_accept_and_a_full_one_is(on: Backend) {
    for ipv6 in [false, true] {
        let listener = listener(ipv6);
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        for handshake in [Handshake::Half, Handshake::Raw] {
            let report = probe_one(on, recipe(Check::Tcp, Close::Reset, handshake), address);
            assert_eq!(report.outcome.code, Code::L4Ok);
            // The run is over, so its RST has been here: loopback delivers within the call that
            // sends.
            let nobody = listener.accept().unwrap_err();
            assert_eq!(nobody.kind(), ErrorKind::WouldBlock, "{nobody}");
        }
        let report = probe_one(on, recipe(Check::Tcp, Close::Reset, Handshake::Full), address);
        assert_eq!(report.outcome.code, Code::L4Ok);
        assert!(accepted(&listener).is_some());
    }
}

fn reset_leaves_no_time_wait_and_the_target_reads_a_reset_graceful_reads_the_end(on: Backend) {
    for ipv6 in [false, true] {
        let listener = listener(ipv6);
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let report = probe_one(on, recipe(Check::Tcp, Close::Reset, Handshake::Full), address);
        assert_eq!(report.outcome.code, Code::L4Ok);
        let mut socket = accepted(&listener).unwrap();
        let reset = socket.read(&mut [0; 16]).unwrap_err();
        assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
        drop(socket);
        assert_eq!(time_waits(address.port()), 0);

        let report = probe_one(on, recipe(Check::Tcp, Close::Graceful, Handshake::Full), address);
        assert_eq!(report.outcome.code, Code::L4Ok);
        let mut socket = accepted(&listener).unwrap();
        assert_eq!(socket.read(&mut [0; 16]).unwrap(), 0, "end of stream");
        drop(socket);
        let seen = wait_for(PATIENCE, || (time_waits(address.port()) == 1).then_some(()));
        assert!(seen.is_some(), "who closes first keeps TIME_WAIT");
    }
}

fn thousands_of_probes_leave_no_time_wait(on: Backend) {
    let stage = Stage::start(&[(false, Behaviour::healthy(OK))]);
    let address = stage.addresses[0];
    for handshake in [Handshake::Half, Handshake::Full] {
        let recipes = [Asked::Tcp, Asked::Http].map(|a| recipe(a.check(), Close::Reset, handshake));
        let targets: Vec<_> = (0..2_000).map(|place| (place % 2, address)).collect();
        for report in probe(on, 2, &recipes, &targets) {
            assert!(matches!(report.outcome.code, Code::L4Ok | Code::L7Ok), "{report:?}");
        }
    }
    // An answer with FIN makes the target the one that closes first; RST ends its wait too.
    let none = wait_for(PATIENCE, || (time_waits(address.port()) == 0).then_some(()));
    assert!(none.is_some(), "{} in TIME_WAIT", time_waits(address.port()));
}

fn a_proxy_header_goes_first_and_is_all_that_a_tcp_check_says(on: Backend) {
    let listener = listener(false);
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    for (version, header) in [
        (ProxyProtocol::V1, &b"PROXY UNKNOWN\r\n"[..]),
        (ProxyProtocol::V2, b"\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A\x20\0\0\0"),
    ] {
        for (asked, code) in [(Asked::Tcp, Code::L4Ok), (Asked::Http, Code::L7Tout)] {
            let recipe = Recipe {
                proxy_protocol: Some(version),
                timeout: TIMEOUT / 3,
                ..recipe(asked.check(), Close::Graceful, Handshake::Half)
            };
            assert_eq!(probe_one(on, recipe, address).outcome.code, code);
            let mut came = Vec::new();
            accepted(&listener).unwrap().read_to_end(&mut came).unwrap();
            let behind = came.strip_prefix(header).unwrap();
            assert_eq!(behind.starts_with(b"GET / HTTP/1.1\r\n"), asked == Asked::Http);
            assert_eq!(behind.is_empty(), asked == Asked::Tcp, "{behind:?}");
        }
    }
}

fn a_kept_connection_serves_the_next_probes_of_its_target(on: Backend) {
    const ROUNDS: u32 = 23;
    let keeps = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    // One keeps its connections, the other closes each behind an answer that does not say so.
    let scenes = [Behaviour::lasting(keeps, None), Behaviour::healthy(keeps)];
    let stage = Stage::start(&scenes.map(|behaviour| (false, behaviour)));
    let check = http::Check::reusing(&http::Request::get("/"), http::Matcher::default());
    let recipes = [Recipe {
        reuse: Some(Reuse { fresh_connection_every: 10 }),
        ..recipe(Check::Http(check), Close::Reset, Handshake::Half)
    }];
    let plan = Plan::new(on, Some(1), Some(1_024), false).unwrap();
    let shots = stage.addresses.iter().map(|&address| Shot { recipe: 0, endpoint: address.into() });
    let run = OneShot::start(&plan, &recipes, shots, 2, ROUNDS, None).unwrap();
    let reports = collect(run).unwrap();
    for (target, fresh) in [(0, 3), (1, ROUNDS as usize)] {
        let of_it = || reports.iter().filter(|report| report.target.index() == target);
        assert!(of_it().all(|report| report.outcome.code == Code::L7Ok), "{reports:?}");
        assert_eq!(of_it().count(), ROUNDS as usize);
        let connected = of_it().filter(|report| report.phases.connect_us.is_some()).count();
        assert_eq!(connected, fresh, "of target {target}");
    }
}

fn a_backlog_that_is_full_is_no_connection_in_time(on: Backend) {
    let listener = bound(false);
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // A backlog of 0 has room for one; those that hang in the handshake do not count.
    let fillers: Vec<Socket> = (0..4)
        .map(|_| {
            let filler = bound(false);
            let _ = filler.connect(&address);
            filler
        })
        .collect();
    let address = address.as_socket().unwrap();
    let half = recipe(Check::Tcp, Close::Reset, Handshake::Half);
    let full = recipe(Check::Tcp, Close::Reset, Handshake::Full);
    for report in probe(on, 1, &[half, full], &[(0, address), (1, address)]) {
        assert_eq!(report.outcome.code, Code::L4Tout, "{report:?}");
        assert!(total(&report) >= TIMEOUT);
    }
    drop(fillers);
}

/// On a network of its own (this thread, and the workers that it starts): every errno of a connect
/// that can be had there, with the code that the table of scripts gives it.
fn each_errno_of_a_real_connect_has_its_code(on: Backend) {
    in_own_network(|network| {
        let place = |last| Ipv4Addr::new(192, 0, 2, last);
        network.route(place(1), Route::Unreachable);
        network.route(place(2), Route::Prohibit);
        network.route(place(3), Route::Blackhole);
        let link_local: Ipv6Addr = "fe80::1".parse().unwrap();
        let cases: [(IpAddr, Errno, Code); 6] = [
            (place(1).into(), Errno::EHOSTUNREACH, Code::L4Con),
            (place(2).into(), Errno::EACCES, Code::SockErr),
            (place(3).into(), Errno::EINVAL, Code::SockErr),
            (place(4).into(), Errno::ENETUNREACH, Code::L4Con),
            (Ipv4Addr::BROADCAST.into(), Errno::ENETUNREACH, Code::L4Con),
            (link_local.into(), Errno::EINVAL, Code::SockErr),
        ];
        let recipes = [
            recipe(Asked::Tcp.check(), Close::Reset, Handshake::Half),
            recipe(Asked::Http.check(), Close::Reset, Handshake::Half),
            recipe(Asked::Tcp.check(), Close::Reset, Handshake::Raw),
        ];
        for which in [0, 1, 2] {
            let targets = cases.map(|(ip, ..)| (which, SocketAddr::new(ip, 9)));
            for (report, (ip, errno, code)) in probe(on, 1, &recipes, &targets).iter().zip(cases) {
                assert_eq!(report.outcome.detail, Detail::Errno(errno), "{ip}: {report:?}");
                assert_eq!(report.outcome.code, code, "{ip}");
                let scripted =
                    |s: &&Script| (s.behaviour)(TIMEOUT) == Behaviour::Unreachable(errno);
                for script in SCRIPTS.iter().filter(scripted) {
                    assert_eq!(script.code, code, "{}", script.name);
                }
            }
        }
    });
}

fn when_our_ports_run_out_it_is_our_fault(on: Backend) {
    in_own_network(|network| {
        let listener = listener(false);
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        network.set("ipv4/ip_local_port_range", "50000 50009");
        let stalls = recipe(Asked::Http.check(), Close::Reset, Handshake::Full);
        let reports = probe(on, 1, &[stalls], &[(0, address); 30]);
        let count = |code| reports.iter().filter(|report| report.outcome.code == code).count();
        assert_eq!((count(Code::L7Tout), count(Code::SockErr)), (10, 20), "{reports:?}");
        for report in reports.iter().filter(|report| report.outcome.code == Code::SockErr) {
            assert_eq!(report.outcome.detail, Detail::Errno(Errno::EADDRNOTAVAIL));
        }
        // A datagram socket's port is its own, whomever it talks to.
        let silent = Scene { udp: true, ipv6: false, behaviour: Behaviour::Silent };
        let stage = Stage::play(&[silent]);
        let asks = recipe(Asked::OPEN.check(), Close::Reset, Handshake::Half);
        let mut left = 10 - 1;
        for report in probe(on, 1, &[asks], &[(0, stage.addresses[0]); 30]) {
            let expected = if report.outcome.code == Code::L4Ok {
                left -= 1;
                Outcome::cause(Code::L4Ok, Cause::Unanswered)
            } else {
                Outcome::errno(Code::SockErr, Errno::EADDRNOTAVAIL)
            };
            assert_eq!(report.outcome, expected);
        }
        assert_eq!(left, 0, "the target has one of the ports");
    });
}

/// When the kernel itself gives up on a SYN before we do.
fn a_connect_that_the_kernel_gives_up_is_no_connection_in_time(on: Backend) {
    in_own_network(|network| {
        network.set("ipv4/tcp_syn_retries", "1");
        network.set("ipv4/tcp_syn_linear_timeouts", "0");
        let stage = Stage::start(&[(false, Behaviour::Silent)]);
        let patient =
            Recipe { timeout: 4 * PATIENCE, ..recipe(Check::Tcp, Close::Reset, Handshake::Half) };
        let report = probe_one(on, patient, stage.addresses[0]);
        assert_eq!(report.outcome.code, Code::L4Tout);
        assert_eq!(report.outcome.detail, Detail::Errno(Errno::ETIMEDOUT));
        assert!(total(&report) < 2 * PATIENCE, "{report:?}");
    });
}

/// More than a worker has slots, and each says more than all its receive buffers hold.
fn hostile_targets_by_the_hundred_end_in_their_code_in_time_and_in_bounded_memory(on: Backend) {
    const EACH: usize = 200;
    let forever = |begin: &[u8], more: &[u8], gap| Behaviour::endless(begin, more, gap);
    let at_once = Duration::ZERO;
    let gap = Duration::from_millis(100);
    let binary: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let huge = [OK, &vec![b'x'; 4 << 20]].concat();
    let hostile = [
        (forever(b"HTTP/1.1 200 OK\r\n", &b"A: b\r\n".repeat(999), at_once), Code::L7Rsp, 0),
        (forever(b"HTTP/1.1 200 OK\r\n", b"x", gap), Code::L7Tout, 0),
        (forever(b"HTTP/1.1 200 OK\r\nA:", &[b'x'; 9_999], at_once), Code::L7Rsp, 0),
        (forever(b"", &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(99), at_once), Code::L7Rsp, 0),
        (forever(b"", &binary, at_once), Code::L7Rsp, 0),
        (forever(b"", b"\r\n", gap), Code::L7Tout, 0),
        (
            Behaviour::talk(Starts::OnRequest, vec![Step::Send(huge.into())], End::Hold),
            Code::L7Ok,
            200,
        ),
    ];
    let scenes: Vec<_> = hostile.iter().map(|(behaviour, ..)| (false, behaviour.clone())).collect();
    let stage = Stage::start(&scenes);
    let recipes = [recipe(Asked::Http.check(), Close::Reset, Handshake::Half)];
    let targets: Vec<_> =
        (0..EACH * hostile.len()).map(|n| (0, stage.addresses[n % hostile.len()])).collect();
    let before = resident_kib("/proc/self/status");
    let started = monotonic();
    let reports = probe(on, 1, &recipes, &targets);
    let took = monotonic().since(started);
    let grown = resident_kib("/proc/self/status").saturating_sub(before);
    for report in &reports {
        let (behaviour, code, status) = &hostile[report.target.index() % hostile.len()];
        let outcome = report.outcome;
        assert_eq!((outcome.code, outcome.status), (*code, *status), "{report:?} {behaviour:?}");
    }
    // 1,400 probes in 1,024 slots: two rounds at most.
    assert!(took < 2 * TIMEOUT + SLACK, "{took:?}");
    assert!(grown < 64 * 1_024, "{grown} KiB more");
}

fn listener(ipv6: bool) -> Socket {
    let listener = bound(ipv6);
    listener.listen(64).unwrap();
    listener
}

/// The connection that has come, blocking but not for ever; none where none has.
fn accepted(listener: &Socket) -> Option<Socket> {
    let (socket, _) = listener.accept().ok()?;
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    Some(socket)
}

/// Sockets in TIME_WAIT (06) with this port at either end.
fn time_waits(port: u16) -> usize {
    let port = format!(":{port:04X}");
    let is_ours = |line: &&str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, remote, state) = (fields.next(), fields.next(), fields.next());
        let has_port = |end: Option<&str>| end.is_some_and(|end| end.ends_with(&port));
        (has_port(local) || has_port(remote)) && state == Some("06")
    };
    let count = |file| std::fs::read_to_string(file).unwrap().lines().filter(is_ours).count();
    count("/proc/self/net/tcp") + count("/proc/self/net/tcp6")
}
