//! What h2 takes for a connection: two buffers in memory. Nothing here waits for anything; who
//! feeds it polls h2 again.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that wait to be sent; beyond that h2 must wait, and reads nothing meanwhile that it would
/// have to answer.
const OUTGOING_BYTES_MAX: usize = 16 * 1_024;

/// One end of a connection. Clones share it: h2 owns one, who feeds it another.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe(Rc<RefCell<Buffers>>);

#[derive(Debug, Default)]
struct Buffers {
    incoming: Vec<u8>,
    /// Bytes of `incoming` that have been read.
    read: usize,
    outgoing: Vec<u8>,
}

impl Pipe {
    /// Gives bytes to be read.
    pub(super) fn give(&self, bytes: &[u8]) {
        self.0.borrow_mut().incoming.extend_from_slice(bytes);
    }

    /// Whether there is something to be sent.
    pub(super) fn has_output(&self) -> bool {
        !self.0.borrow().outgoing.is_empty()
    }

    /// How much is to be sent.
    #[cfg(test)]
    pub(super) fn output_len(&self) -> usize {
        self.0.borrow().outgoing.len()
    }

    /// Moves what is to be sent to `out`.
    pub(super) fn take_output(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.borrow_mut().outgoing);
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffers = self.0.borrow_mut();
        let Buffers { incoming, read, .. } = &mut *buffers;
        let unread = &incoming[*read..];
        let len = unread.len().min(buffer.remaining());
        if len == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&unread[..len]);
        *read += len;
        if *read == incoming.len() {
            (*read, *incoming) = (0, Vec::new());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outgoing = &mut self.0.borrow_mut().outgoing;
        let len = bytes.len().min(OUTGOING_BYTES_MAX - outgoing.len().min(OUTGOING_BYTES_MAX));
        if len == 0 {
            return Poll::Pending;
        }
        outgoing.extend_from_slice(&bytes[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
