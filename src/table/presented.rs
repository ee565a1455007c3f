//! What targets presented of themselves, by target: eight bytes each, in chunks that exist only
//! where there are targets with TLS. Readers take no lock.

use super::CHUNK;
use crate::check::tls::Presented;
use crate::report::TargetId;
use arc_swap::ArcSwapOption;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Records of one chunk.
type Chunk = Box<[ArcSwapOption<Presented>]>;

/// See the module's head.
pub(super) struct PresentedByTarget(Box<[OnceLock<Chunk>]>);

impl PresentedByTarget {
    /// Places for ids below `capacity`.
    pub(super) fn new(capacity: usize) -> Self {
        Self((0..capacity.div_ceil(CHUNK)).map(|_| OnceLock::new()).collect())
    }

    pub(super) fn get(&self, target: TargetId) -> Option<Arc<Presented>> {
        self.place(target)?.load_full()
    }

    /// Takes note of what `target` presented; none: nothing is known any more.
    pub(super) fn set(&self, target: TargetId, presented: Option<Arc<Presented>>) {
        if presented.is_some()
            && let Some(chunk) = self.0.get(target.index() / CHUNK)
        {
            chunk.get_or_init(|| (0..CHUNK).map(|_| ArcSwapOption::empty()).collect());
        }
        if let Some(place) = self.place(target) {
            place.store(presented);
        }
    }

    /// Forgets targets of one chunk that are none of `is_known`; the number of chunks is where it
    /// begins again.
    pub(super) fn sweep(&self, chunk: usize, is_known: impl Fn(TargetId) -> bool) -> usize {
        let places = self.0.get(chunk).and_then(OnceLock::get);
        for (place, presented) in places.iter().flat_map(|places| places.iter().enumerate()) {
            let target = TargetId(u32::try_from(chunk * CHUNK + place).unwrap_or(u32::MAX));
            if presented.load().is_some() && !is_known(target) {
                presented.store(None);
            }
        }
        (chunk + 1) % self.0.len().max(1)
    }

    fn place(&self, target: TargetId) -> Option<&ArcSwapOption<Presented>> {
        self.0.get(target.index() / CHUNK)?.get()?.get(target.index() % CHUNK)
    }
}

impl fmt::Debug for PresentedByTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresentedByTarget").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_presented_is_kept_until_the_target_is_gone() {
        let presented = Arc::new(Presented {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            alpn: None,
            leaf: None,
        });
        let table = PresentedByTarget::new(2 * CHUNK);
        let [a, b] = [TargetId(7), TargetId(4_097)];
        assert_eq!(table.get(a), None);
        table.set(a, None);
        assert!(table.0[0].get().is_none(), "no memory for nothing");
        table.set(a, Some(Arc::clone(&presented)));
        table.set(b, Some(Arc::clone(&presented)));
        table.set(TargetId(8_192), Some(Arc::clone(&presented)));
        assert_eq!(
            [table.get(a), table.get(b)],
            [Some(presented.clone()), Some(presented.clone())]
        );
        assert_eq!(table.sweep(0, |target| target == b), 1);
        assert_eq!((table.get(a), table.get(b).is_some()), (None, true));
        assert_eq!(table.sweep(1, |target| target == a), 0, "from the start again");
        assert_eq!((table.get(b), Arc::strong_count(&presented)), (None, 1));
    }
}
