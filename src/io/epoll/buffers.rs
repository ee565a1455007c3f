//! Receive buffers, lent to the worker from the moment that bytes have come: a probe that waits
//! holds none.

use super::Buffer;
use crate::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS};
use nix::errno::Errno;

/// The id of a buffer that is none: at the end of the stream.
const NO_BUFFER: u16 = u16::MAX;
const _: () = assert!(RECEIVE_BUFFERS < NO_BUFFER);

/// All buffers of one worker. Invariant: a buffer is on the free list or lent, never both.
#[derive(Debug)]
pub(super) struct Buffers {
    /// [`RECEIVE_BUFFERS`] times [`RECEIVE_BUFFER_BYTES`]. Pages that were never used take no
    /// memory, and what was given back last is taken first.
    bytes: Box<[u8]>,
    free: Vec<u16>,
    lent: Box<[bool]>,
}

const fn range(id: u16) -> std::ops::Range<usize> {
    let start = id as usize * RECEIVE_BUFFER_BYTES;
    start..start + RECEIVE_BUFFER_BYTES
}

impl Buffers {
    /// All buffers, free.
    pub(super) fn new() -> Self {
        let count = usize::from(RECEIVE_BUFFERS);
        Self {
            bytes: vec![0; count * RECEIVE_BUFFER_BYTES].into_boxed_slice(),
            free: (0..RECEIVE_BUFFERS).rev().collect(),
            lent: vec![false; count].into_boxed_slice(),
        }
    }

    /// Lends a buffer with what `read` puts into it; none where all are lent. Where nothing came,
    /// by an error or because the stream has ended, no buffer is lent.
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
    ) -> Option<Result<Buffer, Errno>> {
        let id = *self.free.last()?;
        Some(read(&mut self.bytes[range(id)]).map(|len| {
            if len == 0 {
                return Buffer { id: NO_BUFFER, len: 0 };
            }
            self.free.pop();
            self.lent[usize::from(id)] = true;
            // A buffer has RECEIVE_BUFFER_BYTES at most.
            Buffer { id, len: u32::try_from(len).unwrap_or(0) }
        }))
    }

    /// What came in a buffer.
    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        if buffer.id == NO_BUFFER {
            return &[];
        }
        assert!(self.lent[usize::from(buffer.id)], "buffer {} is not lent", buffer.id);
        let len = (buffer.len as usize).min(RECEIVE_BUFFER_BYTES);
        &self.bytes[range(buffer.id)][..len]
    }

    /// Takes a buffer back.
    pub(super) fn recycle(&mut self, id: u16) {
        if id == NO_BUFFER {
            return;
        }
        let lent = std::mem::replace(&mut self.lent[usize::from(id)], false);
        assert!(lent, "buffer {id} was given back already");
        self.free.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_lent_where_bytes_came_and_until_it_is_given_back() {
        let mut buffers = Buffers::new();
        let read = |buffers: &mut Buffers, text: &[u8]| {
            buffers.fill(|into| {
                into[..text.len()].copy_from_slice(text);
                Ok(text.len())
            })
        };
        assert_eq!(buffers.fill(|_| Err(Errno::EAGAIN)), Some(Err(Errno::EAGAIN)));
        assert_eq!(read(&mut buffers, b""), Some(Ok(Buffer { id: NO_BUFFER, len: 0 })));
        for id in 0..RECEIVE_BUFFERS {
            let buffer = read(&mut buffers, &id.to_le_bytes()).unwrap().unwrap();
            assert_eq!((buffer.id, buffers.bytes(&buffer)), (id, &id.to_le_bytes()[..]));
        }
        assert_eq!(read(&mut buffers, b"x"), None);
        buffers.recycle(7);
        assert_eq!(read(&mut buffers, b"x"), Some(Ok(Buffer { id: 7, len: 1 })));
        assert_eq!(buffers.bytes(&Buffer { id: 8, len: 2 }), [8, 0]);
    }
}
