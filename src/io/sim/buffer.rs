//! Receive buffers of the simulated world, lent out one by one and counted.

use crate::io::Buffer;
use crate::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS};

/// All buffers. Invariant: an id is either in `free` or marked in `lent`.
#[derive(Debug)]
pub(super) struct Buffers {
    bytes: Vec<[u8; RECEIVE_BUFFER_BYTES]>,
    free: Vec<u16>,
    lent: Vec<Option<u32>>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), free: Vec::new(), lent: Vec::new() }
    }

    /// Lends a buffer with the first of `bytes`, as many as fit; none where all are lent.
    pub(super) fn lend(&mut self, bytes: &[u8]) -> Option<Buffer> {
        if self.free.is_empty() && self.bytes.len() < usize::from(RECEIVE_BUFFERS) {
            self.free.push(u16::try_from(self.bytes.len()).ok()?);
            self.bytes.push([0; RECEIVE_BUFFER_BYTES]);
            self.lent.push(None);
        }
        let id = self.free.pop()?;
        let len = bytes.len().min(RECEIVE_BUFFER_BYTES);
        self.bytes[usize::from(id)][..len].copy_from_slice(&bytes[..len]);
        let len = u32::try_from(len).ok()?;
        self.lent[usize::from(id)] = Some(len);
        Some(Buffer { id, len })
    }

    /// The bytes of a buffer; none where it is not lent, or not with that length.
    pub(super) fn bytes(&self, buffer: &Buffer) -> Option<&[u8]> {
        let id = usize::from(buffer.id);
        (self.lent.get(id) == Some(&Some(buffer.len)))
            .then(|| &self.bytes[id][..buffer.len as usize])
    }

    /// Takes a buffer back; false where it is not lent.
    pub(super) fn give_back(&mut self, id: u16) -> bool {
        let lent = self.lent.get_mut(usize::from(id)).and_then(Option::take).is_some();
        if lent {
            // What was in it must not be read by accident when it is lent again.
            self.bytes[usize::from(id)].fill(0xA5);
            self.free.push(id);
        }
        lent
    }

    /// How many are lent.
    pub(super) const fn lent(&self) -> usize {
        self.bytes.len() - self.free.len()
    }
}
