//! Which target behaves how: a weighted list of behaviours, applied by address.
//!
//! Invariant: the behaviour of an address is a pure function of (mix, address), the same one that
//! the socket filters compute in the kernel: the address as a number, modulo the sum of the
//! weights, falls into one class after the other in the order of the mix. So neighbouring addresses
//! run through the whole mix, and a test can say beforehand what a probe must find.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Classes of one mix; a socket filter holds a few instructions per class.
const CLASSES_MAX: usize = 64;
/// Largest weight of one class.
const WEIGHT_MAX: u32 = 1_000_000;

/// How a simulated target answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Behaviour {
    /// HTTP 200.
    Healthy,
    /// RST to the SYN.
    Refuse,
    /// The SYN is dropped, so a connect times out.
    Silent,
    /// Accepts and never answers.
    Stall,
    /// This HTTP status, 100-599.
    Status(u16),
    /// Bytes that are not HTTP.
    Garbage,
    /// RST after the request.
    Reset,
    /// FIN after half a status line.
    Cut,
    /// HTTP 200, one byte every 100 ms.
    Dribble,
    /// Header lines without end.
    Endless,
    /// Healthy for half of the flap period and silent for the other half, each in a phase of its
    /// own ([`super::Darkness`]).
    Flap,
}

/// Every behaviour that is a word, with it and its alias.
const WORDS: [(Behaviour, &str, &str); 10] = [
    (Behaviour::Healthy, "healthy", "ok"),
    (Behaviour::Refuse, "refuse", "refused"),
    (Behaviour::Silent, "silent", "drop"),
    (Behaviour::Stall, "stall", "stalled"),
    (Behaviour::Garbage, "garbage", "rubbish"),
    (Behaviour::Reset, "reset", "rst"),
    (Behaviour::Cut, "cut", "fin"),
    (Behaviour::Dribble, "dribble", "slow"),
    (Behaviour::Endless, "endless", "infinite"),
    (Behaviour::Flap, "flap", "flapping"),
];

impl fmt::Display for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Status(status) = self {
            return write!(f, "{status}");
        }
        f.write_str(WORDS.iter().find(|word| word.0 == *self).map_or("?", |word| word.1))
    }
}

impl FromStr for Behaviour {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let word = text.trim().to_ascii_lowercase();
        if let Some(known) = WORDS.iter().find(|known| known.1 == word || known.2 == word) {
            return Ok(known.0);
        }
        match word.parse::<u16>() {
            Ok(status @ 100..=599) => Ok(Self::Status(status)),
            Ok(_) => Err(MixError::Status(text.trim().to_owned())),
            Err(_) => Err(unknown(text.trim())),
        }
    }
}

fn unknown(word: &str) -> MixError {
    let near = WORDS.iter().map(|known| known.1).max_by(|a, b| {
        let likeness = |known: &str| strsim::jaro_winkler(known, &word.to_ascii_lowercase());
        likeness(a).total_cmp(&likeness(b))
    });
    MixError::Unknown {
        word: word.to_owned(),
        words: WORDS.map(|known| known.1).join(", "),
        near: near.unwrap_or("healthy"),
    }
}

/// What is wrong with a mix; each message names the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// A word that is no behaviour.
    #[error(
        "unknown behaviour '{word}' in the mix; one of {words}, or an HTTP status, did you mean \
         '{near}'?"
    )]
    Unknown {
        /// As written.
        word: String,
        /// All words.
        words: String,
        /// The word most like it.
        near: &'static str,
    },
    /// A number that is no HTTP status.
    #[error("'{0}' in the mix is no HTTP status; 100 to 599 are")]
    Status(String),
    /// A part without a weight, or with one that is out of range.
    #[error("'{0}' in the mix has no weight; write behaviour=weight, weight 1 to {WEIGHT_MAX}")]
    Weight(String),
    /// Nothing in it.
    #[error("the mix is empty; write for example healthy=97,refuse=3")]
    Empty,
    /// More parts than a socket filter holds.
    #[error("the mix has over {CLASSES_MAX} parts; merge some")]
    TooLong,
}

/// One part of a mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// What its addresses do.
    pub behaviour: Behaviour,
    /// One more than the last remainder that is its own.
    pub end: u32,
}

/// A weighted list of behaviours. Invariants: 1 to `CLASSES_MAX` classes, `end` strictly rising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    classes: Vec<Class>,
}

impl Mix {
    /// A mix of one behaviour.
    #[must_use]
    pub fn all(behaviour: Behaviour) -> Self {
        Self { classes: vec![Class { behaviour, end: 1 }] }
    }

    /// The classes in the order of the mix.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Sum of the weights; never zero.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.classes.last().map_or(1, |class| class.end)
    }

    /// What the target at `ip` does.
    #[must_use]
    pub fn behaviour(&self, ip: Ipv4Addr) -> Behaviour {
        self.classes[self.class(ip)].behaviour
    }

    /// The class of `ip`, an index into [`Mix::classes`].
    #[must_use]
    pub fn class(&self, ip: Ipv4Addr) -> usize {
        let remainder = ip.to_bits() % self.total();
        self.classes.partition_point(|class| class.end <= remainder)
    }

    /// Whether any class has this behaviour.
    #[must_use]
    pub fn has(&self, behaviour: Behaviour) -> bool {
        self.classes.iter().any(|class| class.behaviour == behaviour)
    }
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let mut classes = Vec::new();
        let mut end = 0;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (word, weight) = part.split_once('=').unwrap_or((part, ""));
            let behaviour = word.parse()?;
            let weight = weight.trim().parse().ok().filter(|w| (1..=WEIGHT_MAX).contains(w));
            end += weight.ok_or_else(|| MixError::Weight(part.to_owned()))?;
            classes.push(Class { behaviour, end });
            if classes.len() > CLASSES_MAX {
                return Err(MixError::TooLong);
            }
        }
        if classes.is_empty() { Err(MixError::Empty) } else { Ok(Self { classes }) }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut start = 0;
        for class in &self.classes {
            let comma = if start == 0 { "" } else { "," };
            write!(f, "{comma}{}={}", class.behaviour, class.end - start)?;
            start = class.end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_run_through_the_mix_in_its_order() {
        let mix: Mix = " healthy=3, refused=1,503=2".parse().unwrap();
        assert_eq!(mix.to_string(), "healthy=3,refuse=1,503=2");
        assert_eq!(mix.total(), 6);
        let first = 0x7F00_0000 - 0x7F00_0000 % 6 + 6;
        let seen: Vec<_> =
            (first..first + 7).map(|bits| mix.behaviour(Ipv4Addr::from_bits(bits))).collect();
        use Behaviour::{Healthy, Refuse, Status};
        let s = Status(503);
        assert_eq!(seen, [Healthy, Healthy, Healthy, Refuse, s, s, Healthy]);
        assert!(mix.has(Refuse) && !mix.has(Behaviour::Silent));
    }

    #[test]
    fn every_word_survives_printing() {
        for (behaviour, word, alias) in WORDS {
            assert_eq!(behaviour.to_string(), word);
            assert_eq!(word.parse(), Ok(behaviour));
            assert_eq!(alias.to_uppercase().parse(), Ok(behaviour));
        }
        assert_eq!("503".parse(), Ok(Behaviour::Status(503)));
    }

    #[test]
    fn a_wrong_mix_says_what_and_the_cure() {
        let cases = [
            ("", "the mix is empty; write for example healthy=97,refuse=3"),
            ("healthy", "'healthy' in the mix has no weight; write behaviour=weight"),
            ("healthy=0", "'healthy=0' in the mix has no weight"),
            ("healthy=x", "'healthy=x' in the mix has no weight"),
            ("healthy=5000000", "weight 1 to 1000000"),
            ("700=1", "'700' in the mix is no HTTP status; 100 to 599 are"),
            ("helthy=1", "unknown behaviour 'helthy' in the mix; one of healthy, refuse, silent,"),
            ("refusing=1", "did you mean 'refuse'?"),
        ];
        for (text, message) in cases {
            let error = text.parse::<Mix>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        let long = vec!["healthy=1"; 65].join(",");
        assert_eq!(long.parse::<Mix>(), Err(MixError::TooLong));
    }
}
