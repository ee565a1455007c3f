//! A firewall in a network of its own, over netlink: refuses every packet of a protocol, with an
//! ICMP message.

use super::conntrack::{
    ACK, BATCH_BEGIN, BATCH_END, CREATE, NEW_CHAIN, NEW_RULE, NEW_TABLE, answer, attribute,
    message, nested, text,
};

/// Codes of ICMP's "destination unreachable" (RFC 792).
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Unreachable {
    /// EHOSTUNREACH.
    Host = 1,
    /// ECONNREFUSED.
    Port = 3,
}

/// From now on the calling thread's network refuses to send TCP. `name` is that of a table.
pub(crate) fn refuse_tcp(name: &str, why: Unreachable) {
    const LOCAL_OUT: u32 = 3;
    refuse(name, LOCAL_OUT, 6, why);
}

/// From now on it refuses to take UDP in. Who sends is told, as by a host that is far.
pub(crate) fn refuse_udp(name: &str, why: Unreachable) {
    const LOCAL_IN: u32 = 1;
    refuse(name, LOCAL_IN, 17, why);
}

/// Refuses at a hook of `NF_INET_*` what has this protocol of IPv4.
fn refuse(name: &str, hook: u32, protocol: u8, why: Unreachable) {
    let number = |kind, value: u32| attribute(kind, &value.to_be_bytes());
    let (table, chain) = (text(1, name), text(3, "c"));
    // At priority 0, of type "filter".
    let hook = nested(4, &[number(1, hook), number(2, 0)].concat());
    let chain = [table.clone(), chain, hook, text(7, "filter")].concat();
    let expression =
        |kind: &str, data: &[u8]| nested(1, &[text(1, kind), nested(2, data)].concat());
    // The protocol of the IPv4 head (base 1, offset 9) into register 1; it is this.
    let load = [number(1, 1), number(2, 1), number(3, 9), number(4, 1)].concat();
    let equal = [number(1, 1), number(2, 0), nested(3, &attribute(1, &[protocol]))].concat();
    let reject = [number(1, 0), attribute(2, &[why as u8])].concat();
    let expressions =
        [expression("payload", &load), expression("cmp", &equal), expression("reject", &reject)];
    let rule = [table.clone(), text(2, "c"), nested(4, &expressions.concat())].concat();
    let batch = [
        message(BATCH_BEGIN, 0, &[]),
        message(NEW_TABLE, CREATE, &table),
        message(NEW_CHAIN, CREATE, &chain),
        message(NEW_RULE, CREATE | ACK, &rule),
        message(BATCH_END, 0, &[]),
    ];
    assert_eq!(answer(&batch.concat()), 0, "netlink refuses");
}
