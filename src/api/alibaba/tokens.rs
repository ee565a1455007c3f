//! `ClientToken`: a call that is repeated with its token gets the answer of the first time, and
//! changes nothing again.
//!
//! The last [`CLIENT_TOKENS_MAX`] tokens are kept, in memory: a restart forgets them. While the
//! first call with a token is being carried out, a second one is told to try again.

use super::answer::Content;
use super::error::AlibabaError;
use crate::api::form::Params;
use crate::limits::CLIENT_TOKENS_MAX;
use crate::rng::mix;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parameters that a repeated call has anew, or whose value does not matter.
const VOLATILE: [&str; 11] = [
    "AccessKeyId",
    "ClientToken",
    "Format",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// The tokens that are known.
#[derive(Debug, Default)]
pub(in crate::api) struct Tokens(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<Key, Entry>,
    /// Oldest first.
    order: VecDeque<Key>,
}

/// Action and token.
type Key = (&'static str, String);

#[derive(Debug)]
struct Entry {
    /// What the call asked for.
    asked: u64,
    /// None while it is being carried out.
    answer: Option<Content>,
}

/// What is to be done about a call.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    /// It was carried out before.
    Answered(Content),
    /// Carry it out, and hand the answer to the ticket; a ticket that is dropped without forgets
    /// the call.
    First(Ticket<'a>),
}

/// The first call with a token, under way.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    tokens: &'a Tokens,
    key: Option<Key>,
}

impl Tokens {
    /// What to do about a call of `action` with `token` that asks for `asked`.
    pub(super) fn turn(
        &self,
        action: &'static str,
        token: String,
        asked: u64,
    ) -> Result<Turn<'_>, AlibabaError> {
        let key = (action, token);
        let mut known = self.lock();
        match known.by_key.get(&key) {
            Some(entry) if entry.asked != asked => {
                let message = "The ClientToken was used with other parameters; use a new one.";
                Err(AlibabaError::bad("IdempotentParameterMismatch", message))
            }
            Some(Entry { answer: None, .. }) => {
                let message = "A request with this ClientToken is being processed; try again.";
                Err(AlibabaError::busy(message))
            }
            Some(Entry { answer: Some(answer), .. }) => Ok(Turn::Answered(answer.clone())),
            None => {
                if known.order.len() == CLIENT_TOKENS_MAX
                    && let Some(oldest) = known.order.pop_front()
                {
                    known.by_key.remove(&oldest);
                }
                known.order.push_back(key.clone());
                known.by_key.insert(key.clone(), Entry { asked, answer: None });
                Ok(Turn::First(Ticket { tokens: self, key: Some(key) }))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing in here panics half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// The call was carried out.
    pub(super) fn done(mut self, answer: &Content) {
        let Some(key) = self.key.take() else { return };
        if let Some(entry) = self.tokens.lock().by_key.get_mut(&key) {
            entry.answer = Some(answer.clone());
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut known = self.tokens.lock();
        known.by_key.remove(&key);
        known.order.retain(|other| *other != key);
    }
}

/// What a call asks for, as a number.
pub(super) fn asked(params: &Params) -> u64 {
    let mut hash = 0;
    for (name, value) in params.pairs().filter(|(name, _)| !VOLATILE.contains(name)) {
        for byte in name.bytes().chain([b'=']).chain(value.bytes()).chain([0]) {
            hash = mix(hash ^ u64::from(byte));
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn first<'a>(tokens: &'a Tokens, token: &str) -> Ticket<'a> {
        match tokens.turn("A", token.to_owned(), 1).unwrap() {
            Turn::First(ticket) => ticket,
            Turn::Answered(answer) => panic!("{answer:?}"),
        }
    }

    #[test]
    fn a_token_is_answered_once_and_forgotten_if_the_call_failed() {
        let tokens = Tokens::default();
        let turn = |token: &str, asked| tokens.turn("A", token.to_owned(), asked);
        let ticket = first(&tokens, "t");
        assert_eq!(turn("t", 1).unwrap_err().code, "SystemBusy");
        drop(ticket);
        let answer = super::super::answer::content(json!({"Id": "x"}));
        first(&tokens, "t").done(&answer);
        let Turn::Answered(again) = turn("t", 1).unwrap() else { panic!() };
        assert_eq!(again, answer);
        assert_eq!(turn("t", 2).unwrap_err().code, "IdempotentParameterMismatch");
        assert!(matches!(tokens.turn("B", "t".to_owned(), 2), Ok(Turn::First(_))));
    }

    #[test]
    fn the_oldest_token_makes_room() {
        let tokens = Tokens::default();
        for n in 0..=CLIENT_TOKENS_MAX {
            first(&tokens, &n.to_string()).done(&Content::new());
        }
        assert_eq!(tokens.lock().by_key.len(), CLIENT_TOKENS_MAX);
        drop(first(&tokens, "0"));
        assert!(matches!(tokens.turn("A", "2".to_owned(), 1), Ok(Turn::Answered(_))));
    }

    #[test]
    fn what_is_asked_for_does_not_depend_on_signature_and_order() {
        let of = |text: &str| asked(&Params::parse(text, b"").unwrap());
        assert_eq!(of("A=1&B=2&SignatureNonce=x"), of("B=2&SignatureNonce=y&A=1"));
        assert_ne!(of("A=1&B=2"), of("A=1&B=3"));
        assert_ne!(of("A=1&B=2"), of("A=1"));
    }
}
