//! The classic BPF programs that give silent and refusing targets their behaviour in the kernel,
//! and that make targets fall silent while the farm runs: a new program takes the old one's place.
//!
//! A filter on a listening TCP socket sees every packet before TCP does, the SYN too
//! (`tcp_v4_rcv` calls `tcp_filter`), and what it drops was never there: that is a silent target.
//! Both programs compute [`Mix::behaviour`] and [`Darkness::covers`] of the destination address,
//! with two instructions per class, seven more for a flapping one, and six for a blackout.
//! Offsets relative to the network header: `SKF_NET_OFF`,
//! linux/filter.h. Accepted sockets inherit the listener's filter, with the same answer.

use super::darkness::{Darkness, FACTOR, PHASE_SHIFT, SHARE_SHIFT, STEPS};
use super::mix::{Behaviour, Mix};
use crate::bpf::{
    ADD, AND, IF_AT_LEAST, IF_EQUAL, LOAD_BYTE, LOAD_BYTE_X, LOAD_HALF, LOAD_HALF_X, LOAD_WORD,
    LOAD_X_HEADER_LENGTH, MODULO, MULTIPLY, RETURN, SHIFT_RIGHT,
};
use socket2::SockFilter;

/// `SKF_NET_OFF`: offsets from here on count from the IP header, wherever the packet stands.
const NETWORK_HEADER: u32 = 0xFFF0_0000;
/// `SKF_AD_OFF + SKF_AD_IFINDEX`: the interface that the packet came in on.
const INTERFACE: u32 = 0xFFFF_F000 + 8;
/// The loopback interface has index 1 in every network namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK_INTERFACE: u32 = 1;
/// Offset of the destination address in an IPv4 header.
const DESTINATION: u32 = 16;

const DROP: u32 = 0;
const PASS_WHOLE: u32 = u32::MAX;
/// Bytes of a SYN that the refusing socket needs: both headers with all their options.
const PASS_HEADERS: u32 = 120;

const fn op(code: u16, operand: u32) -> SockFilter {
    SockFilter::new(code, 0, 0, operand)
}

/// Goes on behind the next instruction where the test holds, with the next one where it does not.
const fn unless(test: u16, operand: u32) -> SockFilter {
    SockFilter::new(test, 1, 0, operand)
}

/// What becomes of a packet for one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The bytes that pass.
    Always(u32),
    /// [`DROP`] in the dark half of the period, else the bytes that pass.
    Flaps(u32),
}

/// The listener's program: whatever is not for 127.0.0.0/8 is dropped, and so are the packets for
/// silent and refusing targets (the latter are answered by the socket of [`refusing`]), and for
/// those in the dark.
pub(super) fn listening(mix: &Mix, dark: Darkness) -> Vec<SockFilter> {
    let mut program = destination_is_loopback(NETWORK_HEADER);
    by_class(&mut program, mix, dark, NETWORK_HEADER, |behaviour| match behaviour {
        Behaviour::Refuse | Behaviour::Silent => Verdict::Always(DROP),
        Behaviour::Flap => Verdict::Flaps(PASS_WHOLE),
        Behaviour::Healthy
        | Behaviour::Stall
        | Behaviour::Status(_)
        | Behaviour::Garbage
        | Behaviour::Reset
        | Behaviour::Cut
        | Behaviour::Dribble
        | Behaviour::Endless => Verdict::Always(PASS_WHOLE),
    });
    program
}

/// The program of the listener on `[::1]`, which is a target of no class: dark where all are.
pub(super) fn listening_ipv6(dark: Darkness) -> Vec<SockFilter> {
    let is_dark = dark.blackout == Some(super::Percent::ALL);
    vec![op(RETURN, if is_dark { DROP } else { PASS_WHOLE })]
}

/// The program of the packet socket that sees the SYNs for refusing targets: TCP over the loopback
/// interface to `port`, SYN without ACK, to an address of a refusing class. Everything else on the
/// host is dropped by it before it costs a copy.
pub(super) fn refusing(mix: &Mix, dark: Darkness, port: u16) -> Vec<SockFilter> {
    let mut program = vec![
        op(LOAD_WORD, INTERFACE),
        unless(IF_EQUAL, LOOPBACK_INTERFACE),
        op(RETURN, DROP),
        op(LOAD_BYTE, 9), // protocol
        unless(IF_EQUAL, 6),
        op(RETURN, DROP),
        op(LOAD_HALF, 6), // fragment offset and flags: a first fragment is as good as none
        op(AND, 0x1FFF),
        unless(IF_EQUAL, 0),
        op(RETURN, DROP),
        op(LOAD_X_HEADER_LENGTH, 0),
        op(LOAD_HALF_X, 2), // destination port
        unless(IF_EQUAL, u32::from(port)),
        op(RETURN, DROP),
        op(LOAD_BYTE_X, 13), // flags: SYN, and none of ACK, RST, FIN
        op(AND, 0x17),
        unless(IF_EQUAL, 0x02),
        op(RETURN, DROP),
    ];
    program.extend(destination_is_loopback(0));
    by_class(&mut program, mix, dark, 0, |behaviour| {
        Verdict::Always(if behaviour == Behaviour::Refuse { PASS_HEADERS } else { DROP })
    });
    program
}

/// Begins a program: goes on only where the packet is for 127.0.0.0/8.
fn destination_is_loopback(header: u32) -> Vec<SockFilter> {
    vec![op(LOAD_BYTE, header + DESTINATION), unless(IF_EQUAL, 127), op(RETURN, DROP)]
}

/// Ends `program` with the verdict of the class that the destination address falls into.
fn by_class(
    program: &mut Vec<SockFilter>,
    mix: &Mix,
    dark: Darkness,
    header: u32,
    verdict: impl Fn(Behaviour) -> Verdict,
) {
    let address = || op(LOAD_WORD, header + DESTINATION);
    if let Some(share) = dark.blackout {
        program.extend([address(), op(MULTIPLY, FACTOR), op(SHIFT_RIGHT, SHARE_SHIFT)]);
        program.extend([op(MODULO, 100), unless(IF_AT_LEAST, share.get().into())]);
        program.push(op(RETURN, DROP));
    }
    program.extend([address(), op(MODULO, mix.total())]);
    for class in mix.classes() {
        match verdict(class.behaviour) {
            Verdict::Always(bytes) => {
                program.extend([unless(IF_AT_LEAST, class.end), op(RETURN, bytes)]);
            }
            Verdict::Flaps(bytes) => {
                let phase = [
                    address(),
                    op(MULTIPLY, FACTOR),
                    op(SHIFT_RIGHT, PHASE_SHIFT),
                    op(ADD, dark.step % STEPS),
                    op(AND, STEPS - 1),
                    unless(IF_AT_LEAST, STEPS / 2),
                    op(RETURN, bytes),
                    op(RETURN, DROP),
                ];
                let skipped = u8::try_from(phase.len()).unwrap_or(u8::MAX);
                program.push(SockFilter::new(IF_AT_LEAST, skipped, 0, class.end));
                program.extend(phase);
            }
        }
    }
    // Never reached: a remainder is below the end of the last class.
    program.push(op(RETURN, DROP));
}
