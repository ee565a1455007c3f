//! One target in a snapshot: who it is, and what is known of it.
//!
//! ```text
//! flags 1 | address 4 or 16 | port 2 | id length 1, id | since
//! code 1 | status 2 | detail 2 | streak 2 | last probe | four phases | failure: code 1, status 2
//! ```
//!
//! The id is there where one was given, the failure where the last outcome is none itself. Times
//! are varints, relative to when the snapshot was written; a phase is one more than its
//! microseconds, 0 where it was not reached.

use super::SnapshotError;
use super::bytes::{Reader, put_signed, put_varint};
use crate::endpoint::Endpoint;
use crate::health::Observed;
use crate::outcome::{Class, Code, Detail, Outcome};
use crate::report::Phases;
use crate::table::{Failure, LastProbe, Reading, Verdict};
use crate::wall::Moment;
use std::net::IpAddr;

const OBSERVED: u8 = 0b11;
const HAS_FAILURE: u8 = 1 << 2;
const IS_IPV6: u8 = 1 << 3;
const HAS_ID: u8 = 1 << 4;
const FLAGS: u8 = OBSERVED | HAS_FAILURE | IS_IPV6 | HAS_ID;
/// Most bytes that a target can take: flags, address, port, id, two long times, outcome, streak,
/// four long phases, failure.
pub(super) const ENTRY_BYTES_MAX: usize = 1 + 16 + 2 + 256 + 2 * 10 + 5 + 2 + 4 * 5 + 3;

/// One target, with moments of a clock of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its id where one was given; else its id is its address.
    pub id: Option<&'a str>,
    /// Address and traffic port.
    pub endpoint: Endpoint,
    /// What is known of it.
    pub known: Reading,
}

impl<'a> Entry<'a> {
    /// Appends it, relative to the moment `written`; nothing, and false, where there is nothing to
    /// remember: no outcome yet, or a state that only hides another.
    pub(super) fn put(&self, written: Moment, out: &mut Vec<u8>) -> bool {
        let Reading { verdict, last, failure } = self.known;
        let (Some(outcome), Some(last)) = (verdict.outcome, last) else { return false };
        // Longer ids are refused by the configuration.
        let id = self.id.map_or(Ok(0), |id| u8::try_from(id.len()));
        let (Ok(id_len), true) = (id, verdict.observed != Observed::Unavailable) else {
            return false;
        };
        let failure = failure.filter(|_| outcome.class() != Class::Fail);
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let ip = self.endpoint.ip();
        out.push(
            verdict.observed as u8
                | flag(failure.is_some(), HAS_FAILURE)
                | flag(ip.is_ipv6(), IS_IPV6)
                | flag(id_len > 0, HAS_ID),
        );
        match ip {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
        out.extend_from_slice(&self.endpoint.port().to_le_bytes());
        if let Some(id) = self.id.filter(|id| !id.is_empty()) {
            out.push(id_len);
            out.extend_from_slice(id.as_bytes());
        }
        put_signed(out, verdict.since.0.saturating_sub(written.0));
        out.push(outcome.code as u8);
        out.extend_from_slice(&outcome.status.to_le_bytes());
        out.extend_from_slice(&outcome.detail.to_bits().to_le_bytes());
        out.extend_from_slice(&last.streak.to_le_bytes());
        put_signed(out, last.at.0.saturating_sub(written.0));
        let Phases { connect_us, tls_us, first_byte_us, total_us } = last.phases;
        for us in [connect_us, tls_us, first_byte_us, Some(total_us)] {
            put_varint(out, us.map_or(0, |us| u64::from(us) + 1));
        }
        if let Some(Failure { code, status }) = failure {
            out.push(code as u8);
            out.extend_from_slice(&status.to_le_bytes());
        }
        true
    }

    /// Reads one that is relative to the moment `written`.
    pub(super) fn take(reader: &mut Reader<'a>, written: Moment) -> Result<Self, SnapshotError> {
        let flags = reader.u8()?;
        let has = |flag| flags & flag != 0;
        if flags & !FLAGS != 0 {
            return Err(reader.garbled("unknown flags"));
        }
        let ip: IpAddr = match has(IS_IPV6) {
            false => reader.array::<4>()?.into(),
            true => reader.array::<16>()?.into(),
        };
        let endpoint = Endpoint::new(ip, reader.u16()?);
        let id = match has(HAS_ID) {
            false => None,
            true => {
                let count = usize::from(reader.u8()?);
                Some(reader.text(count)?).filter(|id| !id.is_empty())
            }
        };
        let since = moment(reader, written)?;
        let code = code(reader)?;
        let (status, detail) = (status(reader)?, Detail::from_bits(reader.u16()?));
        let outcome = Outcome { code, status, detail };
        let streak = reader.u16()?.cast_signed();
        let at = moment(reader, written)?;
        let phases = phases(reader)?;
        let failure = match code.class() {
            Class::Fail => Some(Failure { code, status }),
            Class::Pass | Class::LocalFault if has(HAS_FAILURE) => Some(failure(reader)?),
            Class::Pass | Class::LocalFault => None,
        };
        let observed = Observed::ALL[usize::from(flags & OBSERVED)];
        let verdict = Verdict { observed, outcome: Some(outcome), since };
        let last = Some(LastProbe { at, streak, phases });
        Ok(Self { id, endpoint, known: Reading { verdict, last, failure } })
    }
}

fn moment(reader: &mut Reader<'_>, written: Moment) -> Result<Moment, SnapshotError> {
    Ok(Moment(written.0.saturating_add(reader.signed()?)))
}

fn code(reader: &mut Reader<'_>) -> Result<Code, SnapshotError> {
    let code = Code::from_index(usize::from(reader.u8()?));
    code.ok_or_else(|| reader.garbled("an unknown code"))
}

fn status(reader: &mut Reader<'_>) -> Result<u16, SnapshotError> {
    match reader.u16()? {
        status @ (0 | 100..=599) => Ok(status),
        _ => Err(reader.garbled("an impossible status")),
    }
}

fn failure(reader: &mut Reader<'_>) -> Result<Failure, SnapshotError> {
    let (code, status) = (code(reader)?, status(reader)?);
    match code.class() {
        Class::Fail => Ok(Failure { code, status }),
        Class::Pass | Class::LocalFault => Err(reader.garbled("a failure that is none")),
    }
}

fn phases(reader: &mut Reader<'_>) -> Result<Phases, SnapshotError> {
    let mut phase = || {
        let us = reader.varint()?.checked_sub(1).map(u32::try_from).transpose();
        us.map_err(|_| reader.garbled("an impossible time"))
    };
    let (connect_us, tls_us, first_byte_us) = (phase()?, phase()?, phase()?);
    Ok(Phases { connect_us, tls_us, first_byte_us, total_us: phase()?.unwrap_or(0) })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::outcome::{Cause, TABLE};
    use nix::errno::Errno;
    use proptest::prelude::*;

    /// Everything that the table can know of a target that has been probed.
    pub(in crate::snapshot) fn reading() -> impl Strategy<Value = Reading> {
        let status = || prop_oneof![Just(0_u16), 100..600_u16];
        let detail = prop_oneof![
            Just(Detail::None),
            Just(Detail::Errno(Errno::ECONNREFUSED)),
            Just(Detail::Cause(Cause::NoFreeSlot)),
        ];
        let us = || prop::option::of(any::<u32>());
        let observed = (0..3_usize).prop_map(|index| Observed::ALL[index]);
        let outcome = (0..TABLE.len(), status(), detail)
            .prop_map(|(code, status, detail)| Outcome { code: TABLE[code].code, status, detail });
        let failure = prop::option::of((3..11_usize, status()));
        let failure = failure
            .prop_map(|f| f.map(|(code, status)| Failure { code: TABLE[code].code, status }));
        let times = (-100_000_000_000..=0_i64, -100_000_000_000..=0_i64, any::<i16>());
        (observed, outcome, failure, times, (us(), us(), us(), any::<u32>())).prop_map(
            |(observed, outcome, failure, (since, at, streak), phases)| {
                let (connect_us, tls_us, first_byte_us, total_us) = phases;
                let phases = Phases { connect_us, tls_us, first_byte_us, total_us };
                let Outcome { code, status, .. } = outcome;
                let itself = Some(Failure { code, status });
                Reading {
                    verdict: Verdict { observed, outcome: Some(outcome), since: Moment(since) },
                    last: Some(LastProbe { at: Moment(at), streak, phases }),
                    failure: if code.class() == Class::Fail { itself } else { failure },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_target_survives_whatever_is_known_of_it(
            known in reading(),
            id in prop::option::of("[a-zé]{1,100}"),
            (ipv6, port) in (prop::option::of(any::<u128>()), any::<u16>()),
            (before, after) in (any::<i64>(), any::<i64>()),
        ) {
            let ip = ipv6.map_or_else(|| IpAddr::from([10, 1, 2, 3]), |bits| {
                IpAddr::from(std::net::Ipv6Addr::from(bits)).to_canonical()
            });
            let endpoint = Endpoint::new(ip, port);
            let entry = Entry { id: id.as_deref(), endpoint, known };
            // Times are relative: another run has another clock.
            let (before, after) = (Moment(before >> 8), Moment(after >> 8));
            let shift = |at: Moment, by: Moment| Moment(at.0 + by.0);
            let moved = |by| {
                let mut moved = entry;
                moved.known.verdict.since = shift(moved.known.verdict.since, by);
                moved.known.last.as_mut().unwrap().at = shift(entry.known.last.unwrap().at, by);
                moved
            };
            let mut bytes = Vec::new();
            prop_assert!(moved(before).put(before, &mut bytes));
            prop_assert!(bytes.len() <= ENTRY_BYTES_MAX);
            let mut reader = Reader::new(&bytes, 0);
            prop_assert_eq!(Entry::take(&mut reader, after).unwrap(), moved(after));
            prop_assert!(reader.is_empty());
            for len in 0..bytes.len() {
                prop_assert!(Entry::take(&mut Reader::new(&bytes[..len], 0), after).is_err());
            }
        }

        #[test]
        fn any_bytes_are_a_target_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut reader = Reader::new(&bytes, 0);
            if let Ok(entry) = Entry::take(&mut reader, Moment(7)) {
                prop_assert!(entry.known.last.is_some());
            }
        }
    }

    #[test]
    fn what_is_not_known_is_not_remembered() {
        let verdict = |observed, outcome| Verdict { observed, outcome, since: Moment(0) };
        let probed = Some(Outcome::plain(Code::L4Ok));
        let last = Some(LastProbe { at: Moment(0), streak: 1, phases: Phases::default() });
        for (verdict, last, is_kept) in [
            (verdict(Observed::Initial, None), None, false),
            (verdict(Observed::Unavailable, probed), last, false),
            (verdict(Observed::Initial, probed), last, true),
            (verdict(Observed::Healthy, probed), last, true),
        ] {
            let known = Reading { verdict, last, failure: None };
            let endpoint = Endpoint::new([127, 0, 0, 1].into(), 80);
            let mut bytes = Vec::new();
            let kept = Entry { id: None, endpoint, known }.put(Moment(0), &mut bytes);
            assert_eq!((kept, bytes.is_empty()), (is_kept, !is_kept), "{verdict:?}");
        }
    }
}
