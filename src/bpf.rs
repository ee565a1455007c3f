//! The instructions of classic BPF programs that are written here, under names
//! (linux/bpf_common.h). What is done is done to the accumulator, with the operand.

/// Loads a word. `BPF_LD | BPF_W | BPF_ABS`.
pub const LOAD_WORD: u16 = 0x20;
/// Loads two bytes. `BPF_LD | BPF_H | BPF_ABS`.
pub const LOAD_HALF: u16 = 0x28;
/// Loads a byte. `BPF_LD | BPF_B | BPF_ABS`.
pub const LOAD_BYTE: u16 = 0x30;
/// Loads two bytes behind X. `BPF_LD | BPF_H | BPF_IND`.
pub const LOAD_HALF_X: u16 = 0x48;
/// Loads a byte behind X. `BPF_LD | BPF_B | BPF_IND`.
pub const LOAD_BYTE_X: u16 = 0x50;
/// Loads X. `BPF_LDX | BPF_W | BPF_IMM`.
pub const LOAD_X: u16 = 0x01;
/// Loads X with the length of an IPv4 header. `BPF_LDX | BPF_B | BPF_MSH`.
pub const LOAD_X_HEADER_LENGTH: u16 = 0xB1;
/// Adds. `BPF_ALU | BPF_ADD | BPF_K`.
pub const ADD: u16 = 0x04;
/// Multiplies. `BPF_ALU | BPF_MUL | BPF_K`.
pub const MULTIPLY: u16 = 0x24;
/// Shifts right. `BPF_ALU | BPF_RSH | BPF_K`.
pub const SHIFT_RIGHT: u16 = 0x74;
/// Masks. `BPF_ALU | BPF_AND | BPF_K`.
pub const AND: u16 = 0x54;
/// Leaves the remainder. `BPF_ALU | BPF_MOD | BPF_K`.
pub const MODULO: u16 = 0x94;
/// Jumps by whether it is equal. `BPF_JMP | BPF_JEQ | BPF_K`.
pub const IF_EQUAL: u16 = 0x15;
/// Jumps by whether it is at least that. `BPF_JMP | BPF_JGE | BPF_K`.
pub const IF_AT_LEAST: u16 = 0x35;
/// Lets so many bytes pass. `BPF_RET | BPF_K`.
pub const RETURN: u16 = 0x06;
