//! The TCP listener of `api.listen`: on a loopback address, or not at all.

use crate::limits::API_CONNECTIONS_MAX;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Why nobody listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Other hosts could ask.
    #[error("api.listen {0} is no loopback address; use 127.0.0.1:PORT or [::1]:PORT")]
    NotLoopback(SocketAddr),
    /// Somebody listens there.
    #[error("api.listen {0} is taken; stop who listens there, or choose another port")]
    Taken(SocketAddr),
    /// The kernel refused.
    #[error("cannot listen on api.listen {0}: {1}; choose another address or port")]
    Refused(SocketAddr, io::Error),
}

/// A listener on `address`, with the port that the kernel chose where it is 0. It does not block,
/// so `tokio::net::TcpListener::from_std` takes it.
///
/// # Errors
/// See [`ListenError`].
pub fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ListenError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    bind(address).map_err(|error| {
        let is_taken = error.kind() == io::ErrorKind::AddrInUse;
        if is_taken { ListenError::Taken(address) } else { ListenError::Refused(address, error) }
    })
}

fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // The connections of the daemon before, which may linger, do not hold up its successor.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(API_CONNECTIONS_MAX).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on_and_a_taken_port_is_told() {
        for foreign in ["0.0.0.0:0", "[::]:0", "10.0.0.1:0", "[::ffff:10.0.0.1]:0"] {
            let error = listen(foreign.parse().unwrap()).unwrap_err();
            assert!(matches!(error, ListenError::NotLoopback(_)), "{error}");
        }
        let (_first, address) = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(address.port(), 0);
        let error = listen(address).unwrap_err().to_string();
        let expected = "is taken; stop who listens there, or choose another port";
        assert_eq!(error, format!("api.listen {address} {expected}"));
    }
}
