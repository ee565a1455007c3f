//! What a worker remembers of its targets with TLS: what each presented, and the session by which
//! its next handshake is a short one.
//!
//! By index in the shard, and only for targets that were probed over TLS, so that all others cost
//! nothing. Sessions are most of the memory (ticket, key and chain of certificates: a kilobyte or
//! two), so they are counted in bytes and bounded by `engine.tls_session_memory`: where that is
//! full, new ones are not kept, and those targets make full handshakes.
//!
//! A short handshake shows no certificate. So every Nth one is full, spread by target, and so is
//! each after a probe that did not pass.

use super::presented::PresentedOnce;
use crate::check::tls::{NamedGroup, Presented, Session, Told};
use crate::report::TargetId;
use crate::rng::mix;
use foldhash::HashMap;
use std::sync::Arc;

/// See the module's head.
#[derive(Debug)]
pub(super) struct Sessions {
    /// By index in the shard.
    known: HashMap<u32, Known>,
    presented: PresentedOnce,
    /// Of all sessions that are kept.
    bytes: usize,
    bytes_max: usize,
}

/// One target.
#[derive(Debug)]
struct Known {
    presented: Option<Arc<Presented>>,
    session: Option<Box<Session>>,
    group: Option<NamedGroup>,
    /// Short handshakes that may come before the next full one.
    short: u16,
}

/// What a handshake begins with.
#[derive(Debug, Default)]
pub(super) struct Offer {
    pub(super) session: Option<Box<Session>>,
    pub(super) group: Option<NamedGroup>,
}

impl Sessions {
    /// None yet, and room for so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        let presented = PresentedOnce::default();
        Self { known: HashMap::default(), presented, bytes: 0, bytes_max }
    }

    /// What the next handshake of a target begins with; each `every`th is full. The session is
    /// taken: the probe brings the next one.
    pub(super) fn offer(&mut self, index: u32, every: u16) -> Offer {
        let Some(known) = self.known.get_mut(&index) else { return Offer::default() };
        let session = known.session.take();
        self.bytes -= session.as_ref().map_or(0, |session| session.bytes());
        let group = known.group;
        if known.short == 0 {
            known.short = every.saturating_sub(1);
            return Offer { session: None, group };
        }
        known.short -= 1;
        Offer { session, group }
    }

    /// Takes in what a probe of a target found out. What the target presented, where that is new.
    pub(super) fn learn(
        &mut self,
        (index, id): (u32, TargetId),
        told: Told,
        passed: bool,
        every: u16,
    ) -> Option<Arc<Presented>> {
        let known = self.known.entry(index).or_insert_with(|| Known {
            presented: None,
            session: None,
            group: None,
            // Each target at another place of the round.
            short: u16::try_from(mix(u64::from(id.0)) % u64::from(every.max(1))).unwrap_or(0),
        });
        known.group = told.group;
        let now = self.presented.take(&told, known.presented.as_ref());
        if let Some(now) = &now {
            known.presented = Some(Arc::clone(now));
        }
        let session = told.session.filter(|_| passed && every > 1);
        if let Some(session) = session
            && self.bytes + session.bytes() <= self.bytes_max
        {
            self.bytes += session.bytes();
            known.session = Some(session);
        }
        now
    }

    /// The target has another recipe: its session may be of no use any more.
    pub(super) fn forget_session(&mut self, index: u32) {
        let session = self.known.get_mut(&index).and_then(|known| known.session.take());
        self.bytes -= session.map_or(0, |session| session.bytes());
    }

    /// The target is gone.
    pub(super) fn forget(&mut self, index: u32) {
        self.forget_session(index);
        self.known.remove(&index);
        if self.known.is_empty() {
            self.known.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tls::tests::session;

    fn told(session: Option<Box<Session>>) -> Told {
        let terms = Some(("TLSv1.3", "TLS_AES_128_GCM_SHA256"));
        Told { terms, session, ..Told::default() }
    }

    fn learn(sessions: &mut Sessions, index: u32, told: Told, passed: bool) -> bool {
        sessions.learn((index, TargetId(index)), told, passed, 10).is_some()
    }

    #[test]
    fn each_nth_handshake_is_full_at_another_time_for_each_target() {
        let mut sessions = Sessions::new(1 << 20);
        let mut full = [0; 10];
        for index in 0..200 {
            assert!(sessions.offer(index, 10).session.is_none(), "nothing is known yet");
            assert!(learn(&mut sessions, index, told(Some(session())), true), "news");
            for round in &mut full {
                let offer = sessions.offer(index, 10);
                *round += u32::from(offer.session.is_none());
                assert!(!learn(&mut sessions, index, told(Some(session())), true), "no news");
            }
        }
        assert_eq!(full.iter().sum::<u32>(), 200, "one of ten");
        assert!(full.iter().all(|&count| (8..40).contains(&count)), "{full:?}");
    }

    #[test]
    fn sessions_are_counted_and_bounded() {
        let bytes = session().bytes();
        let mut sessions = Sessions::new(bytes * 5 / 2);
        for index in 0..4 {
            learn(&mut sessions, index, told(Some(session())), true);
        }
        let kept = |sessions: &Sessions| {
            let kept = sessions.known.values().filter_map(|known| known.session.as_ref());
            let bytes: Vec<_> = kept.map(|session| session.bytes()).collect();
            assert_eq!(bytes.iter().sum::<usize>(), sessions.bytes);
            bytes.len()
        };
        assert_eq!(kept(&sessions), 2, "no more fit");
        sessions.forget_session(0);
        assert_eq!(kept(&sessions), 1);
        sessions.forget(1);
        assert_eq!((kept(&sessions), sessions.known.len()), (0, 3));
        learn(&mut sessions, 2, told(Some(session())), true);
        sessions.offer(2, 10);
        learn(&mut sessions, 2, told(None), true);
        assert_eq!(kept(&sessions), 0, "a session is used once");
        (0..4).for_each(|index| sessions.forget(index));
        assert_eq!((sessions.bytes, sessions.known.capacity()), (0, 0));
    }

    #[test]
    fn a_handshake_after_a_failure_is_full() {
        let mut sessions = Sessions::new(1 << 20);
        for _ in 0..20 {
            learn(&mut sessions, 0, told(Some(session())), false);
            assert!(sessions.offer(0, 10).session.is_none());
        }
    }
}
