//! What a target does when it is probed, as plain data: the simulated network plays it, and so can
//! a real listener on loopback, so that one table of scripts serves both worlds.

use crate::rng::Rng;
use crate::time::Instant;
use nix::errno::Errno;
use std::sync::Arc;
use std::time::Duration;

/// What a target does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// The SYN is answered with RST; a datagram with ICMP port unreachable.
    Refuse,
    /// The SYN is lost; a datagram is, or is taken and not answered.
    Silent,
    /// The connection fails with this errno: a route that is missing, an ICMP answer, a reset. A
    /// datagram is answered by ICMP.
    Unreachable(Errno),
    /// The connection is accepted, and this follows. A datagram is answered by one for each
    /// [`Step::Send`], and there is no end.
    Accept(Arc<Talk>),
    /// The connection is accepted, and what follows depends on what the checker says.
    Converse(Converse),
    /// Each behaviour holds from its instant on; the first one also before. Not empty.
    Scheduled(Vec<(Instant, Self)>),
    /// One of these for each probe, by the seed. Not empty.
    Random(Vec<Self>),
}

/// What an accepted connection brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Talk {
    /// What the first step waits for.
    pub starts: Starts,
    /// What is sent, one step after the other.
    pub steps: Vec<Step>,
    /// What follows the last step.
    pub end: End,
}

/// One side of a conversation that cannot be written down beforehand, such as TLS. The world knows
/// no protocol; who plays it does.
pub trait Talker: Send {
    /// Takes bytes that the checker has sent, cut anywhere. Says what is sent to that, behind what
    /// is still on its way, and what follows: [`End::Hold`] hears on.
    fn hear(&mut self, bytes: &[u8]) -> (Vec<Step>, End);
}

/// Who talks on a fresh connection.
#[derive(Clone)]
pub struct Converse(Arc<dyn Fn() -> Box<dyn Talker> + Send + Sync>);

impl Converse {
    /// `begin` is called for each connection.
    #[must_use]
    pub fn new(begin: impl Fn() -> Box<dyn Talker> + Send + Sync + 'static) -> Self {
        Self(Arc::new(begin))
    }

    /// The talker of a fresh connection.
    #[must_use]
    pub fn begin(&self) -> Box<dyn Talker> {
        (self.0)()
    }
}

impl std::fmt::Debug for Converse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Converse")
    }
}

impl PartialEq for Converse {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Converse {}

impl Talk {
    /// Nothing was said yet in a conversation.
    #[must_use]
    pub const fn silence() -> Self {
        Self { starts: Starts::OnRequest, steps: Vec::new(), end: End::Hold }
    }

    /// The steps from `step` on, then what `talker` says to `bytes`; nothing once an end is in
    /// sight.
    #[must_use]
    pub fn go_on(&self, step: usize, talker: &mut dyn Talker, bytes: &[u8]) -> Self {
        let (mut steps, mut end) = (self.steps[step..].to_vec(), self.end);
        if end == End::Hold {
            let (more, then) = talker.hear(bytes);
            steps.extend(more);
            end = then;
        }
        Self { starts: self.starts, steps, end }
    }

    /// Whether something is left from `step` on.
    #[must_use]
    pub fn is_left(&self, step: usize) -> bool {
        step < self.steps.len() || self.end != End::Hold
    }
}

/// What the first step of a [`Talk`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Starts {
    /// Nothing: the target speaks as soon as it accepts.
    AtOnce,
    /// The request.
    OnRequest,
    /// The request, and for no longer than this: then the connection is closed without a step.
    OnRequestWithin(Duration),
}

/// One step of a [`Talk`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing for a while.
    Pause(Duration),
    /// These bytes; the network may split them anywhere.
    Send(Arc<[u8]>),
    /// These bytes, one at a time, with a gap after each.
    Drip(Arc<[u8]>, Duration),
    /// These bytes again and again, with a gap after each time; no step follows.
    Forever(Arc<[u8]>, Duration),
}

/// How a [`Talk`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The connection stays open and silent.
    Hold,
    /// FIN.
    Close,
    /// RST.
    Reset,
    /// The connection stays open, and the next request begins the talk again. Where none comes for
    /// so long: FIN.
    Again(Option<Duration>),
}

/// The answer of a healthy target, for scripts that need no other.
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

impl Behaviour {
    /// Accepts; answers each request with `answer` and closes.
    #[must_use]
    pub fn healthy(answer: &[u8]) -> Self {
        Self::talk(Starts::OnRequest, vec![Step::Send(answer.into())], End::Close)
    }

    /// As [`Behaviour::healthy`], but closes where it is asked nothing for so long.
    #[must_use]
    pub fn impatient(answer: &[u8], patience: Duration) -> Self {
        Self::talk(Starts::OnRequestWithin(patience), Self::send(answer), End::Close)
    }

    /// Accepts, and answers each request with `answer`; closes where none comes for so long.
    #[must_use]
    pub fn lasting(answer: &[u8], patience: Option<Duration>) -> Self {
        Self::talk(Starts::OnRequest, Self::send(answer), End::Again(patience))
    }

    /// Accepts, and never answers.
    #[must_use]
    pub fn stall() -> Self {
        Self::talk(Starts::OnRequest, Vec::new(), End::Hold)
    }

    /// Accepts, and resets at once, whatever the checker does.
    #[must_use]
    pub fn reset_at_once() -> Self {
        Self::talk(Starts::AtOnce, Vec::new(), End::Reset)
    }

    /// Accepts, and resets after these bytes of an answer.
    #[must_use]
    pub fn reset_after(answer: &[u8]) -> Self {
        Self::talk(Starts::OnRequest, Self::send(answer), End::Reset)
    }

    /// Accepts, and closes after these bytes of an answer.
    #[must_use]
    pub fn cut_after(answer: &[u8]) -> Self {
        Self::talk(Starts::OnRequest, Self::send(answer), End::Close)
    }

    /// Accepts, and answers byte by byte.
    #[must_use]
    pub fn dribble(answer: &[u8], gap: Duration) -> Self {
        Self::talk(Starts::OnRequest, vec![Step::Drip(answer.into(), gap)], End::Close)
    }

    /// Accepts, and answers with bytes that need be no HTTP; the connection stays open.
    #[must_use]
    pub fn garbage(bytes: &[u8]) -> Self {
        Self::talk(Starts::OnRequest, Self::send(bytes), End::Hold)
    }

    /// Accepts, and answers before it is asked.
    #[must_use]
    pub fn early_answer(answer: &[u8], end: End) -> Self {
        Self::talk(Starts::AtOnce, Self::send(answer), end)
    }

    /// Accepts, sends `begin`, then `more` for ever.
    #[must_use]
    pub fn endless(begin: &[u8], more: &[u8], gap: Duration) -> Self {
        let mut steps = Self::send(begin);
        steps.push(Step::Forever(more.into(), gap));
        Self::talk(Starts::OnRequest, steps, End::Hold)
    }

    /// Accepts, and does this.
    #[must_use]
    pub fn talk(starts: Starts, steps: Vec<Step>, end: End) -> Self {
        Self::Accept(Arc::new(Talk { starts, steps, end }))
    }

    fn send(bytes: &[u8]) -> Vec<Step> {
        if bytes.is_empty() { Vec::new() } else { vec![Step::Send(bytes.into())] }
    }

    /// What holds for a connection that starts at `at`, and its place in the outermost list (0
    /// where there is none). Never `Scheduled` or `Random`, as long as no list is empty.
    #[must_use]
    pub fn resolve(&self, at: Instant, rng: &mut Rng) -> (u16, &Self) {
        let (index, inner) = match self {
            Self::Refuse
            | Self::Silent
            | Self::Unreachable(_)
            | Self::Accept(_)
            | Self::Converse(_) => return (0, self),
            Self::Scheduled(list) => {
                let index = list.iter().rposition(|(from, _)| *from <= at).unwrap_or(0);
                (index, list.get(index).map(|(_, inner)| inner))
            }
            Self::Random(list) => {
                let index = usize::try_from(rng.below(list.len() as u64)).unwrap_or(0);
                (index, list.get(index))
            }
        };
        let (_, inner) = inner.expect("a list of behaviours is not empty").resolve(at, rng);
        (u16::try_from(index).unwrap_or(u16::MAX), inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_holds_from_its_instants_on() {
        let at = Instant::from_millis;
        let flaky = Behaviour::Scheduled(vec![
            (at(10), Behaviour::Refuse),
            (at(20), Behaviour::Random(vec![Behaviour::Silent])),
        ]);
        let mut rng = Rng::new(1);
        assert_eq!(flaky.resolve(at(0), &mut rng), (0, &Behaviour::Refuse));
        assert_eq!(flaky.resolve(at(19), &mut rng), (0, &Behaviour::Refuse));
        assert_eq!(flaky.resolve(at(20), &mut rng), (1, &Behaviour::Silent));
    }

    #[test]
    fn chance_takes_every_behaviour() {
        let flaky = Behaviour::Random(vec![Behaviour::Refuse, Behaviour::Silent]);
        let mut rng = Rng::new(1);
        let mut seen = [0; 2];
        for _ in 0..100 {
            seen[usize::from(flaky.resolve(Instant::ZERO, &mut rng).0)] += 1;
        }
        assert!(seen.iter().all(|&n| n > 20), "{seen:?}");
    }
}
