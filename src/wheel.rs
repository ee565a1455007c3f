//! wheel (being written)
