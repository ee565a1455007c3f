//! A short exchange with a listener of our own, at start: whether the things that the worker relies
//! on, beyond single operations, hold on this kernel. Takes about a millisecond.
//!
//! Shown are: sockets with options, connect, the order of operations, recycling by
//! `connect(AF_UNSPEC)` after a connection and after a refusal, and that a cancel is answered.

use super::{Completion, Done, Io, Kind, Op, Socket, Token, Transport};
use crate::time::monotonic;
use nix::errno::Errno;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How long one step may take; on loopback it takes microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the exchange on slot 0 and leaves it without a connection; an error says what went wrong.
pub(super) fn run(io: &mut impl Io) -> Result<(), String> {
    let Some((listener, address)) = listener() else {
        // No loopback (a fresh network namespace): nothing can be shown, and nothing is refuted.
        tracing::warn!("loopback is down: sockets were not tested before use");
        return Ok(());
    };
    for round in 0..2 {
        let done = step(io, |token| connect(token, address), Kind::Connect)?;
        expect(done == Done::Connected, &format!("connect ({round}): {done:?}"))?;
        io.submit(Op::Disconnect { slot: 0 });
    }
    let done = step(io, |token| connect(token, address), Kind::Connect)?;
    expect(done == Done::Connected, &format!("connect after recycling: {done:?}"))?;
    let token = Token { slot: 0, generation: 0, kind: Kind::Receive };
    io.submit(Op::Receive { token });
    let done = step(io, |token| Op::Cancel { token }, Kind::Receive)?;
    expect(done == Done::Failed(Errno::ECANCELED), &format!("cancel: {done:?}"))?;
    io.submit(Op::Disconnect { slot: 0 });
    drop(listener);
    for round in 0..2 {
        let done = step(io, |token| connect(token, address), Kind::Connect)?;
        let refused = done == Done::Failed(Errno::ECONNREFUSED);
        expect(refused, &format!("refused connect ({round}): {done:?}"))?;
        io.submit(Op::Disconnect { slot: 0 });
    }
    io.submit(Op::Close { slot: 0 });
    Ok(())
}

fn listener() -> Option<(socket2::Socket, SocketAddr)> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).ok()?;
    socket.listen(16).ok()?;
    let address = socket.local_addr().ok()?.as_socket()?;
    // With loopback down, binding works and connecting does not.
    let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
    client.connect_timeout(&address.into(), PATIENCE).ok()?;
    Some((socket, address))
}

const fn connect(token: Token, address: SocketAddr) -> Op<'static> {
    let transport = Transport::Stream { hold_ack: true };
    Op::Connect { token, address, socket: Socket { ipv6: false, transport } }
}

/// Submits one operation and waits for the completion of `kind`.
fn step(io: &mut impl Io, op: impl Fn(Token) -> Op<'static>, kind: Kind) -> Result<Done, String> {
    let token = Token { slot: 0, generation: 0, kind };
    io.submit(op(token));
    let give_up = monotonic() + PATIENCE;
    let mut completions: Vec<Completion> = Vec::new();
    while completions.is_empty() && monotonic() < give_up {
        io.wait(give_up, &mut completions).map_err(|error| error.to_string())?;
    }
    match completions.pop() {
        Some(completion) => Ok(completion.done),
        None => Err(format!("{kind:?} never completed")),
    }
}

fn expect(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}
