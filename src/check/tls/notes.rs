//! What the TLS library tells, and asks for, in the middle of a call.
//!
//! It calls back objects that all probes of a group share: verifier, session store, holder of our
//! own key. None of these is told for which connection. But a call into the library is over before
//! the thread does anything else, so a probe lends its [`Notes`] to the thread for the call
//! ([`Notes::during`]), and the shared objects write there. The alternative, a configuration of its
//! own for each probe, cannot be: a session is resumed only with the very verifier that it began
//! with.

use rustls::client::{
    ClientSessionStore, ResolvesClientCert, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{NamedGroup, SignatureScheme};
use std::cell::RefCell;
use std::mem;
use std::sync::Arc;

/// What one probe offers the library, and what it was told.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Offered at the start of a handshake; then the newest that the target gave.
    pub(super) session: Option<Box<Session>>,
    /// The key exchange that the target took last, so that it need not ask for it.
    pub(super) group: Option<NamedGroup>,
    /// The certificate that the target presented, in DER; none where a session was resumed.
    pub(super) leaf: Option<Box<[u8]>>,
    /// Bytes of all certificates that it presented, now or when the session began.
    pub(super) chain_bytes: usize,
    /// It asked for a certificate of ours.
    pub(super) asked: bool,
    /// Bytes that came since the last thing that they could have been for: a ticket is among them.
    pub(super) unclaimed_bytes: usize,
    /// Bytes of the ticket of the session that was offered.
    ticket_bytes: usize,
}

thread_local! {
    static LENT: RefCell<Notes> = RefCell::default();
}

impl Notes {
    /// Calls the library, which writes here meanwhile.
    pub(super) fn during<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let swap = |notes: &mut Self| LENT.with_borrow_mut(|lent| mem::swap(lent, notes));
        swap(self);
        let result = call();
        swap(self);
        result
    }

    /// Notes what the target presented, for the probe that calls the library now.
    pub(super) fn presented(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) {
        LENT.with_borrow_mut(|lent| {
            lent.leaf = Some(leaf.as_ref().into());
            lent.chain_bytes = leaf.len() + others.iter().map(|other| other.len()).sum::<usize>();
        });
    }
}

/// What a target gave so that its next handshake is a short one.
#[derive(Debug)]
pub struct Session {
    state: SessionState,
    chain_bytes: usize,
    ticket_bytes: usize,
}

#[derive(Debug)]
enum SessionState {
    Tls12(Tls12ClientSessionValue),
    Tls13(Tls13ClientSessionValue),
}

/// What the library allocates for a session besides ticket and chain: key, counts, lists of one.
const SESSION_PARTS: usize = 256;

impl Session {
    /// Memory that it takes, about: its ticket and all certificates are among it.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        size_of::<Self>() + SESSION_PARTS + self.chain_bytes + self.ticket_bytes
    }

    fn keep(state: SessionState) {
        LENT.with_borrow_mut(|lent| {
            let chain_bytes = lent.chain_bytes;
            // A TLS 1.2 session that was resumed may go on with the ticket that it had.
            let ticket_bytes = match (&state, &lent.leaf) {
                (SessionState::Tls12(_), Some(_)) => {
                    lent.unclaimed_bytes.saturating_sub(chain_bytes)
                }
                (SessionState::Tls12(_), None) => lent.unclaimed_bytes.max(lent.ticket_bytes),
                (SessionState::Tls13(_), _) => lent.unclaimed_bytes,
            };
            lent.session = Some(Box::new(Self { state, chain_bytes, ticket_bytes }));
        });
    }

    /// The session that the probe offers, if it is of the right sort.
    fn offered(is_right: impl FnOnce(&SessionState) -> bool) -> Option<SessionState> {
        LENT.with_borrow_mut(|lent| {
            let offered = lent.session.take_if(|session| is_right(&session.state))?;
            (lent.chain_bytes, lent.ticket_bytes) = (offered.chain_bytes, offered.ticket_bytes);
            Some(offered.state)
        })
    }
}

/// One session, that of the probe at hand.
#[derive(Debug)]
pub(super) struct Store;

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        LENT.with_borrow_mut(|lent| lent.group = Some(group));
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        LENT.with_borrow(|lent| lent.group)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        Session::keep(SessionState::Tls12(session));
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        match Session::offered(|state| matches!(state, SessionState::Tls12(_)))? {
            SessionState::Tls12(session) => Some(session),
            SessionState::Tls13(_) => None,
        }
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, session: Tls13ClientSessionValue) {
        Session::keep(SessionState::Tls13(session));
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        match Session::offered(|state| matches!(state, SessionState::Tls13(_)))? {
            SessionState::Tls13(session) => Some(session),
            SessionState::Tls12(_) => None,
        }
    }
}

/// Our own certificate for targets that ask for one, and the note that they did.
#[derive(Debug)]
pub(super) struct Ours(pub(super) Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Ours {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        LENT.with_borrow_mut(|lent| lent.asked = true);
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
