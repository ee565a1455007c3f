//! worker (being written)
