//! farm (being written)
