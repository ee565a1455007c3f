//! Bytes that were good once: what decoders are tried with.

use proptest::prelude::*;

/// `good` with some bytes, of which each is one of `byte`, put in, replaced, taken out or doubled,
/// or the rest cut off; up to so many `changes`.
pub(crate) fn mutated(
    good: impl Strategy<Value = Vec<u8>>,
    byte: impl Strategy<Value = u8>,
    changes: usize,
) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0..5_u8, byte);
    (good, prop::collection::vec(change, 0..changes)).prop_map(|(mut bytes, changes)| {
        for (place, kind, byte) in changes {
            let place = place.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(place, byte),
                1 if place < bytes.len() => bytes[place] = byte,
                2 if place < bytes.len() => drop(bytes.remove(place)),
                3 if bytes.len() < 4_096 => bytes.extend_from_within(place..),
                4 => bytes.truncate(place),
                _ => {}
            }
        }
        bytes
    })
}
