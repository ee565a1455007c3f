//! Receive buffers that the kernel takes from a ring of its own (`IORING_REGISTER_PBUF_RING`, Linux
//! 5.19) when bytes have come: a probe that waits holds none.

use super::Buffer;
use crate::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS};
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::sync::atomic::{AtomicU16, Ordering};

/// The ring of buffers and the buffers themselves. Invariant: a buffer is either in the ring (the
/// kernel may write to it) or lent to the worker (`lent`), never both.
pub(super) struct Buffers {
    /// [`RECEIVE_BUFFERS`] entries, page-aligned as the kernel demands; its first entry holds the
    /// tail.
    ring: *mut BufRingEntry,
    /// [`RECEIVE_BUFFERS`] times [`RECEIVE_BUFFER_BYTES`].
    bytes: *mut u8,
    lent: Box<[bool]>,
    tail: u16,
}

const PAGE: usize = 4_096;
const ENTRIES: usize = RECEIVE_BUFFERS as usize;
const _: () = assert!(RECEIVE_BUFFERS.is_power_of_two());

const fn layout(bytes: usize) -> Layout {
    match Layout::from_size_align(bytes, PAGE) {
        Ok(layout) => layout,
        Err(_) => panic!("constant sizes are valid"),
    }
}

const RING: Layout = layout(ENTRIES * size_of::<BufRingEntry>());
const BYTES: Layout = layout(ENTRIES * RECEIVE_BUFFER_BYTES);

fn allocate(layout: Layout) -> *mut u8 {
    // SAFETY: both layouts have a size that is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    memory
}

impl Buffers {
    /// All buffers, in the ring.
    pub(super) fn new() -> Self {
        let lent = vec![true; ENTRIES].into_boxed_slice();
        let ring = allocate(RING).cast();
        let mut buffers = Self { ring, bytes: allocate(BYTES), lent, tail: 0 };
        for id in 0..RECEIVE_BUFFERS {
            buffers.recycle(id);
        }
        buffers
    }

    /// Address of the ring, for its registration.
    pub(super) fn ring_address(&self) -> u64 {
        self.ring as u64
    }

    /// What came in a buffer. The kernel has handed it over, so it is ours until it is recycled.
    pub(super) fn bytes(&self, buffer: &Buffer) -> &[u8] {
        let len = (buffer.len as usize).min(RECEIVE_BUFFER_BYTES);
        // Anybody can name a buffer; only one that is lent is not the kernel's to write to.
        assert!(self.lent[usize::from(buffer.id)], "buffer {} is not lent", buffer.id);
        // SAFETY: the id was checked, so start and length lie within the allocation, which was
        // initialised with zeros; the kernel does not write to a buffer that is not in the ring,
        // and `recycle` takes `&mut self`, so it cannot get there while this borrow lives.
        unsafe {
            let start = self.bytes.add(usize::from(buffer.id) * RECEIVE_BUFFER_BYTES);
            std::slice::from_raw_parts(start, len)
        }
    }

    /// Notes that the kernel has handed a buffer over.
    pub(super) fn lend(&mut self, id: u16) {
        self.lent[usize::from(id)] = true;
    }

    /// Puts a buffer back into the ring.
    pub(super) fn recycle(&mut self, id: u16) {
        let lent = std::mem::replace(&mut self.lent[usize::from(id)], false);
        assert!(lent, "buffer {id} was given back already");
        // SAFETY: `id` is below ENTRIES (indexed above) and the masked tail too, so both stay
        // within their allocations; the kernel reads entries below the tail only, so this one is
        // ours.
        unsafe {
            let start = self.bytes.add(usize::from(id) * RECEIVE_BUFFER_BYTES);
            let entry = &mut *self.ring.add(usize::from(self.tail) & (ENTRIES - 1));
            entry.set_addr(start as u64);
            entry.set_len(RECEIVE_BUFFER_BYTES as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail lies in the first entry of the ring, is aligned to two bytes, and is
        // read by the kernel with acquire semantics; we are its only writer.
        unsafe {
            let tail = BufRingEntry::tail(self.ring).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: both were allocated with these layouts, and the owner drops this only when no
        // operation is in flight that could write here.
        unsafe {
            dealloc(self.ring.cast(), RING);
            dealloc(self.bytes, BYTES);
        }
    }
}
