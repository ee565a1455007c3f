//! What came of all probes together: counts by code, latency, rate, and the exit status.

use super::row::Row;
use crate::cli::{Answer, Exit, Failure, units};
use crate::outcome::{Class, Code, Outcome, TABLE};
use hdrhistogram::Histogram;
use nix::errno::Errno;
use std::io::{self, Write};
use std::time::Duration;

/// Highest latency that is told apart, in microseconds: above the longest timeout.
const LATENCY_US_MAX: u64 = 600_000_000;

/// Counts of finished probes.
#[derive(Debug)]
pub struct Summary {
    by_code: [u64; TABLE.len()],
    /// Microseconds of the probes that passed.
    latency_us: Histogram<u32>,
    /// The last local fault.
    fault: Option<Outcome>,
}

impl Default for Summary {
    fn default() -> Self {
        // Constant bounds that the crate accepts: 1 <= 1, 2 * 1 <= max, at most 5 digits.
        let latency_us =
            Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("constant valid bounds");
        Self { by_code: [0; TABLE.len()], latency_us, fault: None }
    }
}

impl Summary {
    /// Counts one probe.
    pub fn add(&mut self, row: &Row<'_>) {
        self.by_code[row.outcome.code as usize] += 1;
        match row.outcome.class() {
            Class::Pass => self.latency_us.saturating_record(row.phases.total_us.into()),
            Class::Fail => {}
            Class::LocalFault => self.fault = Some(row.outcome),
        }
    }

    /// Probes of one class.
    #[must_use]
    pub fn count(&self, class: Class) -> u64 {
        TABLE.iter().filter(|row| row.class == class).map(|row| self.of(row.code)).sum()
    }

    /// All probes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_code.iter().sum()
    }

    const fn of(&self, code: Code) -> u64 {
        self.by_code[code as usize]
    }

    /// Writes the summary of probes that took `elapsed` together.
    pub(super) fn write(&self, out: &mut impl Write, elapsed: Duration) -> io::Result<()> {
        let total = self.total();
        write!(out, "{} in {}", units::counted(total, "probe"), units::micros(micros(elapsed)))?;
        if let Some(rate) = units::per_second(total, elapsed) {
            write!(out, ", {} per second", units::count(rate))?;
        }
        write!(out, ": {} passed", units::count(self.count(Class::Pass)))?;
        write!(out, ", {} failed", units::count(self.count(Class::Fail)))?;
        match self.count(Class::LocalFault) {
            0 => writeln!(out)?,
            faults => writeln!(out, ", {}", units::counted(faults, "local fault"))?,
        }
        let rows = || TABLE.iter().filter(|row| self.of(row.code) > 0);
        let width = rows().map(|row| units::count(self.of(row.code)).len()).max().unwrap_or(0);
        for row in rows() {
            let count = units::count(self.of(row.code));
            writeln!(out, "  {:<7}  {count:>width$}  {}", row.name, row.meaning)?;
        }
        if self.latency_us.is_empty() {
            return Ok(());
        }
        let at = |quantile| units::micros(self.latency_us.value_at_quantile(quantile));
        writeln!(
            out,
            "latency of what passed: p50 {}, p90 {}, p99 {}, max {}",
            at(0.5),
            at(0.9),
            at(0.99),
            units::micros(self.latency_us.max())
        )
    }

    /// The exit status (DESIGN 3.6): 3 where whatever did not pass was our own fault, with the
    /// cure.
    pub fn answer(&self) -> Answer {
        if self.count(Class::Fail) > 0 {
            return Ok(Exit::Bad);
        }
        match self.fault {
            None => Ok(Exit::Good),
            Some(fault) => {
                let faults = units::counted(self.count(Class::LocalFault), "local fault");
                let what = format_args!("{faults}, the last one: {}", fault.detail_text());
                Err(Failure::engine(format_args!("{what}; {}", cure(fault))))
            }
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the few errnos with a known cure")]
fn cure(fault: Outcome) -> &'static str {
    let crate::outcome::Detail::Errno(errno) = fault.detail else {
        return "probe fewer targets at once, or with a lower --rate";
    };
    match errno {
        Errno::EMFILE | Errno::ENFILE => "raise the limit on open files (ulimit -n)",
        Errno::EADDRNOTAVAIL => "give more ports (net.ipv4.ip_local_port_range), or lower --rate",
        Errno::EACCES | Errno::EPERM => "see whether a firewall or seccomp forbids it",
        Errno::ENOBUFS | Errno::ENOMEM => "free some memory, or lower --rate",
        _ => "see whether this host's network is up",
    }
}

fn micros(duration: Duration) -> u64 {
    crate::stats::micros(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;
    use crate::report::Phases;

    fn summary(outcomes: &[(Outcome, u32)]) -> Summary {
        let mut summary = Summary::default();
        for &(outcome, total_us) in outcomes {
            let endpoint = Endpoint::new(std::net::Ipv4Addr::LOCALHOST.into(), 80);
            let phases = Phases { total_us, ..Phases::default() };
            summary.add(&Row { name: None, endpoint, outcome, phases, presented: None });
        }
        summary
    }

    #[test]
    fn the_summary_reads_well() {
        let mut outcomes: Vec<_> = (1..=1_100).map(|us| (Outcome::plain(Code::L4Ok), us)).collect();
        outcomes.push((Outcome::errno(Code::L4Con, Errno::ECONNREFUSED), 9));
        outcomes.push((Outcome::errno(Code::SockErr, Errno::EMFILE), 9));
        let mut out = Vec::new();
        summary(&outcomes).write(&mut out, Duration::from_millis(2_000)).unwrap();
        let expected = "\
1,102 probes in 2.00 s, 551 per second: 1,100 passed, 1 failed, 1 local fault
  L4OK     1,100  connected
  L4CON        1  refused, unreachable, or reset while connecting
  SOCKERR      1  the checker's own failure, not the target's
latency of what passed: p50 550 µs, p90 990 µs, p99 1.08 ms, max 1.10 ms
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn the_exit_status_says_whose_fault_it_is() {
        let pass = (Outcome::plain(Code::L4Ok), 1);
        let fail = (Outcome::plain(Code::L4Tout), 1);
        let fault = (Outcome::errno(Code::SockErr, Errno::EMFILE), 1);
        let exit = |outcomes: &[_]| match summary(outcomes).answer() {
            Ok(exit) => exit,
            Err(failure) => failure.exit(),
        };
        assert_eq!(exit(&[pass]), Exit::Good);
        assert_eq!(exit(&[pass, fail, fault]), Exit::Bad);
        assert_eq!(exit(&[pass, fault]), Exit::Engine);
        let line = summary(&[fault]).answer().unwrap_err().line();
        assert_eq!(
            line,
            "error: 1 local fault, the last one: too many open files (EMFILE); raise the limit on \
             open files (ulimit -n)"
        );
    }
}
