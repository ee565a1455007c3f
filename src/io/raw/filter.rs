//! The classic BPF program of the sockets that hear answers: SYN-ACK and RST to our ports, nothing
//! else. It runs in the kernel on every TCP packet that this host takes in, before the packet takes
//! room in the socket's queue.

use super::packet::ANSWER_BYTES;
use crate::bpf::{AND, IF_EQUAL, LOAD_BYTE_X, LOAD_HALF_X, LOAD_X, LOAD_X_HEADER_LENGTH, RETURN};
use socket2::SockFilter;

const DROP: u32 = 0;

/// The program for `ports` of ours, 200 at most. An IPv6 socket sees a packet from TCP's header on.
pub(super) fn answers(ports: &[u16], ipv6: bool) -> Vec<SockFilter> {
    let op = |code, operand| SockFilter::new(code, 0, 0, operand);
    let skip_if = |operand, yes, no| SockFilter::new(IF_EQUAL, yes, no, operand);
    let mut program = vec![
        if ipv6 { op(LOAD_X, 0) } else { op(LOAD_X_HEADER_LENGTH, 0) },
        op(LOAD_BYTE_X, 13), // flags
        op(AND, 0x16),       // of SYN, RST, ACK
        skip_if(0x12, 3, 0), // SYN-ACK
        skip_if(0x14, 2, 0), // RST that acknowledges
        skip_if(0x16, 1, 0),
        op(RETURN, DROP),
        op(LOAD_HALF_X, 2), // destination port
    ];
    for (place, &port) in ports.iter().enumerate() {
        // Over the ports that are left, and the drop behind them.
        let ahead = u8::try_from(ports.len() - place).unwrap_or(u8::MAX);
        program.push(skip_if(u32::from(port), ahead, 0));
    }
    program.push(op(RETURN, DROP));
    program.push(op(RETURN, ANSWER_BYTES as u32));
    program
}
