//! `TCP_DEFER_ACCEPT`, which `io/epoll` sets on clients and `farm` on listeners (tcp(7)).

use nix::libc;
use nix::sys::socket::sockopt::SetStruct;

/// Of a client, any value: the handshake's last ACK is held back until there is something to send.
/// Of a listener, in seconds: a connection is handed out together with its request.
#[derive(Clone, Copy, Debug)]
pub struct DeferAccept;

nix::setsockopt_impl!(
    DeferAccept,
    libc::IPPROTO_TCP,
    libc::TCP_DEFER_ACCEPT,
    i32,
    SetStruct<'_, i32>
);
