//! Large blocks of the heap go back to the kernel when they are freed.
//!
//! glibc moves its bound for blocks that are mapped by themselves up to the size of what is freed,
//! to 32 MiB at most. After the first reload the arrays of a million targets would come from its
//! arenas, which shrink from their ends only: five reloads leave twice the memory that is in use.
//! A bound that was set does not move. mimalloc and jemalloc keep more (docs/PERFORMANCE.md).

/// Bytes from which on a block is mapped by itself: above all that answers and batches take.
const MAPPED_BYTES: i32 = 256 * 1_024;

/// Keeps the bound where it is. To be called once, before anything large is allocated.
pub fn map_large_blocks() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: sets a number of the allocator, under the allocator's own lock.
        #[expect(unsafe_code, reason = "glibc's allocator is set up by no other way in a program")]
        let is_set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES) };
        // It refuses only what is above 32 MiB.
        debug_assert_eq!(is_set, 1);
    }
}
