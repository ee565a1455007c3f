//! What is freed goes back to the kernel, as far as it can.
//!
//! glibc moves its bound for blocks that are mapped by themselves up to the size of what is freed,
//! to 32 MiB at most. After the first reload the arrays of a million targets would come from its
//! arenas, which shrink from their ends only: five reloads leave twice the memory that is in use.
//! A bound that was set does not move. Small blocks come from the arenas all the same, and a
//! configuration of 100,000 groups is made of nothing else. mimalloc and jemalloc keep more
//! (docs/PERFORMANCE.md).

/// Bytes from which on a block is mapped by itself: above all that answers and batches take.
const MAPPED_BYTES: i32 = 256 * 1_024;

/// Keeps the bound where it is. To be called once, before anything large is allocated.
pub fn map_large_blocks() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: sets a number of the allocator, under the allocator's own lock.
        #[expect(unsafe_code, reason = "glibc's allocator is set up by no other way in a program")]
        let is_set = unsafe { nix::libc::mallopt(nix::libc::M_MMAP_THRESHOLD, MAPPED_BYTES) };
        // It refuses only what is above 32 MiB.
        debug_assert_eq!(is_set, 1);
    }
}

/// Gives the pages back in which nothing is in use any more. Takes some milliseconds for a million
/// targets: for after a start or a reload, and never for a worker.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: looks at free memory only, under the allocator's own locks.
        #[expect(unsafe_code, reason = "as above")]
        let _was_any = unsafe { nix::libc::malloc_trim(0) };
    }
}
