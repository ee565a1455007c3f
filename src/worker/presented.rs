//! What the targets of a worker presented, each kept once however many present the same.
//!
//! Found by a hash over certificate and terms, so that a certificate is parsed only where nobody
//! has presented it yet. The hash is a cryptographic one: a target must not be able to show what is
//! another's.

use crate::check::tls::{Leaf, Presented, Told};
use foldhash::HashMap;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// From how many on it is looked through for what nobody presents any more.
const SWEEP_FROM: usize = 1_024;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct PresentedOnce {
    known: HashMap<[u8; 16], Arc<Presented>>,
    sweep_at: usize,
}

impl PresentedOnce {
    /// What a target that presented `before` has presented now; none where that is the same, or
    /// nothing.
    pub(super) fn take(
        &mut self,
        told: &Told,
        before: Option<&Arc<Presented>>,
    ) -> Option<Arc<Presented>> {
        let (version, cipher) = told.terms?;
        let alpn = told.alpn.as_deref();
        let is_same = |now: &Presented| {
            (now.version, now.cipher, now.alpn.as_deref()) == (version, cipher, alpn)
        };
        let Some(der) = &told.leaf else {
            // A session was resumed, or the target came no further: its certificate is as it was.
            let leaf = before.and_then(|before| before.leaf.clone());
            let changed = before.is_none_or(|before| !is_same(before));
            let alpn = told.alpn.clone();
            return changed.then(|| Arc::new(Presented { version, cipher, alpn, leaf }));
        };
        let now = self.known.entry(hash(der, version, cipher, alpn)).or_insert_with(|| {
            let leaf = Leaf::parse(der).map(Arc::new);
            Arc::new(Presented { version, cipher, alpn: told.alpn.clone(), leaf })
        });
        let now = Arc::clone(now);
        self.sweep();
        before.is_none_or(|before| !Arc::ptr_eq(before, &now)).then_some(now)
    }

    /// Forgets what nobody presents any more, when there is twice as much as was left last time.
    fn sweep(&mut self) {
        if self.known.len() >= self.sweep_at.max(SWEEP_FROM) {
            self.known.retain(|_, presented| Arc::strong_count(presented) > 1);
            self.sweep_at = self.known.len() * 2;
        }
    }
}

fn hash(der: &[u8], version: &str, cipher: &str, alpn: Option<&str>) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in [der, version.as_bytes(), cipher.as_bytes(), alpn.unwrap_or_default().as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let whole: [u8; 32] = hash.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(leaf: Option<&[u8]>, cipher: &'static str) -> Told {
        Told { terms: Some(("TLSv1.3", cipher)), leaf: leaf.map(Into::into), ..Told::default() }
    }

    #[test]
    fn the_same_is_kept_once_and_told_once() {
        let mut once = PresentedOnce::default();
        let a = once.take(&told(Some(b"a"), "x"), None).unwrap();
        assert_eq!(once.take(&told(Some(b"a"), "x"), Some(&a)), None);
        assert!(
            Arc::ptr_eq(&a, &once.take(&told(Some(b"a"), "x"), None).unwrap()),
            "another target"
        );
        let b = once.take(&told(Some(b"b"), "x"), Some(&a)).unwrap();
        assert!(!Arc::ptr_eq(&a, &b));
        assert!(once.take(&told(Some(b"b"), "y"), Some(&b)).is_some(), "other terms");
        assert_eq!(once.take(&told(None, "x"), Some(&b)), None, "resumed");
        let terms = once.take(&told(None, "y"), Some(&b)).unwrap();
        assert_eq!((terms.cipher, &terms.leaf), ("y", &b.leaf));
        assert_eq!(once.take(&Told::default(), Some(&b)), None, "nothing was presented");
    }

    #[test]
    fn what_nobody_presents_is_forgotten() {
        let mut once = PresentedOnce::default();
        let kept = once.take(&told(Some(b"kept"), "x"), None).unwrap();
        for number in 0..100_000_u32 {
            let _ = once.take(&told(Some(&number.to_be_bytes()), "x"), None);
        }
        assert!(once.known.len() <= SWEEP_FROM, "{}", once.known.len());
        assert_eq!(once.take(&told(Some(b"kept"), "x"), Some(&kept)), None);
    }
}
