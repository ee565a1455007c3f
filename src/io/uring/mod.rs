//! uring (being written)
