//! shown (being written)
