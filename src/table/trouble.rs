//! What is wrong with the engine or its host, as a pure function of the figures: each trouble with
//! its text and its cure. Whoever tells of troubles (log, summary, metrics, shell) tells of these.

use super::stats_view::{Figures, StatsView};
use crate::limits::LOST_TIME_TOLD;
use crate::outcome::FAULTS;
use crate::stats::micros;
use crate::time::Instant;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What it is called: for machines.
    pub code: &'static str,
    /// What is wrong, with figures.
    pub message: String,
    /// What can be done about it.
    pub cure: &'static str,
    /// Whether the engine does not do what it is there for, so that a supervisor should know.
    pub grave: bool,
}

/// All that is wrong, the worst first.
#[must_use]
pub fn troubles(stats: &StatsView, now: Instant) -> Vec<Trouble> {
    let total = &stats.total;
    let found = [
        collector_stuck(stats, now),
        worker_stuck(stats, now),
        overloaded(stats),
        slots_full(stats),
        slots_stuck(stats),
        lost_time(stats),
        collector_behind(total),
    ];
    found.into_iter().flatten().chain(local_faults(total)).collect()
}

fn collector_stuck(stats: &StatsView, now: Instant) -> Option<Trouble> {
    let seconds = now.since(stats.at).as_secs();
    stats.is_stale(now).then(|| Trouble {
        code: "CollectorStuck",
        message: format!("the collector was not run for {seconds} s, so nothing here is new"),
        cure: "look for a stopped process or a starved CPU; restart it if it stays",
        grave: true,
    })
}

fn worker_stuck(stats: &StatsView, now: Instant) -> Option<Trouble> {
    let (number, worker) = first(stats, |worker| worker.is_stuck(now))?;
    let seconds = now.since(worker.seen).as_secs();
    Some(Trouble {
        code: "WorkerStuck",
        message: format!("worker {number} was not heard of for {seconds} s"),
        cure: "look for a stopped process or a starved CPU; restart it if it stays",
        grave: true,
    })
}

fn overloaded(stats: &StatsView) -> Option<Trouble> {
    let lately = &stats.total.lately;
    let ms = lately.lateness_p99_us / 1_000;
    let due = lately.started + lately.skipped;
    let left_out = match (lately.started * 100).checked_div(due) {
        Some(percent) if percent < 100 => format!("; {percent} % of the starts due were done"),
        Some(_) | None => String::new(),
    };
    stats.is_overloaded().then(|| Trouble {
        code: "Overloaded",
        message: format!("probes start late: p99 of the last seconds is {ms} ms{left_out}"),
        cure: "more workers with a CPU each, longer intervals or fewer targets",
        grave: true,
    })
}

fn slots_full(stats: &StatsView) -> Option<Trouble> {
    let (number, worker) = first(stats, |worker| worker.figures.slots_full)?;
    let f = &worker.figures;
    // Slots with a socket and raw ones are pools of their own: the one may be full when the other
    // is not.
    let (raw, raw_slots, backlog) = (f.raw_in_flight, f.raw_in_flight_capacity, f.backlog);
    let is_raw_full = raw_slots > 0 && raw >= raw_slots;
    let (taken, slots) = if is_raw_full {
        (raw, raw_slots)
    } else {
        (f.in_flight.saturating_sub(raw), f.in_flight_capacity.saturating_sub(raw_slots))
    };
    Some(Trouble {
        code: "SlotsFull",
        message: format!(
            "worker {number}: {taken} of {slots} probe slots are taken, {backlog} wait"
        ),
        cure: FAULTS[0].cure,
        grave: false,
    })
}

fn slots_stuck(stats: &StatsView) -> Option<Trouble> {
    let (number, worker) = first(stats, |worker| worker.figures.slots_stuck > 0)?;
    let stuck = worker.figures.slots_stuck;
    Some(Trouble {
        code: "SlotsStuck",
        message: format!(
            "worker {number}: {stuck} probe slots are lost, because the kernel does not give their \
             operations back although they were cancelled"
        ),
        cure: "restart it; if it comes again, update the kernel, or set engine.backend = \"epoll\"",
        grave: false,
    })
}

fn lost_time(stats: &StatsView) -> Option<Trouble> {
    let (number, worker) =
        first(stats, |worker| worker.figures.lately.lost_us >= micros(LOST_TIME_TOLD))?;
    let tenths = worker.figures.lately.lost_us / 100_000;
    let (seconds, tenths) = (tenths / 10, tenths % 10);
    Some(Trouble {
        code: "LostTime",
        message: format!(
            "worker {number} was not run for {seconds}.{tenths} s of the last seconds; its probes \
             were given that time back"
        ),
        cure: "a CPU of its own: stop other work on it, lower engine.workers, or give the machine \
               more",
        grave: false,
    })
}

fn collector_behind(total: &Figures) -> Option<Trouble> {
    let merged = total.lately.merged;
    (merged > 0).then(|| Trouble {
        code: "CollectorBehind",
        message: format!("{merged} reports were merged into newer ones in the last seconds"),
        cure: "more CPUs, or a worker less; no change of state is lost",
        grave: false,
    })
}

/// Some local faults are told; where most of what is started comes to nothing, nobody is checked.
fn local_faults(total: &Figures) -> impl Iterator<Item = Trouble> {
    let grave = total.lately.local_faults * 2 > total.lately.started;
    let counted = FAULTS.iter().zip(total.recent_faults).filter(|&(_, count)| count > 0);
    counted.map(move |(fault, count)| Trouble {
        code: fault.name,
        message: format!("{}; {count} probes came to nothing in the last minute", fault.what),
        cure: fault.cure,
        grave,
    })
}

/// The first worker of which this holds, with its number.
fn first(
    stats: &StatsView,
    is: impl Fn(&super::WorkerView) -> bool,
) -> Option<(usize, &super::WorkerView)> {
    stats.workers.iter().enumerate().find(|(_, worker)| is(worker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::FaultCounts;
    use crate::table::{Lately, WorkerView};

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// Two workers, the second with these figures, which are those of all too.
    fn view(figures: Figures) -> StatsView {
        let well = WorkerView { seen: at(9_000), ..WorkerView::default() };
        StatsView {
            at: at(9_000),
            total: figures,
            workers: vec![well, WorkerView { figures, ..well }],
        }
    }

    fn lately(lately: Lately) -> Figures {
        Figures { lately, ..Figures::default() }
    }

    fn codes(stats: &StatsView, ms: u64) -> Vec<&'static str> {
        troubles(stats, at(ms)).iter().map(|trouble| trouble.code).collect()
    }

    #[test]
    fn who_is_well_has_no_trouble() {
        let busy = Figures {
            in_flight: 64,
            in_flight_capacity: 64,
            lately: Lately {
                lateness_p99_us: 1_000_000,
                lost_us: 999_999,
                skipped: 5,
                ..Lately::default()
            },
            ..Figures::default()
        };
        assert_eq!(codes(&view(busy), 14_000), [""; 0]);
        let raw = Figures {
            backlog: 9,
            in_flight: 89,
            in_flight_capacity: 90,
            raw_in_flight: 79,
            raw_in_flight_capacity: 80,
            ..Figures::default()
        };
        assert_eq!(codes(&view(Figures { backlog: 0, ..raw }), 9_000), [""; 0]);
        let neither = Figures { in_flight: 88, ..raw };
        assert_eq!(codes(&view(neither), 9_000), [""; 0], "one socket is free, and one raw slot");
    }

    #[test]
    fn each_trouble_is_told_with_its_figures() {
        let mut recent_faults = FaultCounts::default();
        recent_faults[2] = 120;
        let late =
            Lately { lateness_p99_us: 2_500_000, started: 40, skipped: 60, ..Lately::default() };
        let full = Figures {
            backlog: 310,
            slots_full: true,
            in_flight: 60,
            in_flight_capacity: 64,
            ..Figures::default()
        };
        let raw = Figures { raw_in_flight: 60, raw_in_flight_capacity: 80, ..full };
        let cases = [
            (lately(late), "Overloaded", "p99 of the last seconds is 2500 ms; 40 % of the starts"),
            (full, "SlotsFull", "worker 1: 60 of 64 probe slots are taken, 310 wait"),
            (
                Figures { in_flight: 69, in_flight_capacity: 90, ..raw },
                "SlotsFull",
                "worker 1: 9 of 10 probe slots are taken, 310 wait",
            ),
            (
                Figures { in_flight: 83, raw_in_flight: 80, in_flight_capacity: 90, ..raw },
                "SlotsFull",
                "worker 1: 80 of 80 probe slots are taken, 310 wait",
            ),
            (
                Figures { slots_stuck: 3, ..Figures::default() },
                "SlotsStuck",
                "worker 1: 3 probe slots are lost",
            ),
            (
                lately(Lately { lost_us: 5_012_345, ..Lately::default() }),
                "LostTime",
                "worker 1 was not run for 5.0 s",
            ),
            (lately(Lately { merged: 9, ..Lately::default() }), "CollectorBehind", "9 reports"),
            (
                Figures { recent_faults, ..Figures::default() },
                "EADDRNOTAVAIL",
                "no local port was free; 120 probes",
            ),
        ];
        for (figures, code, words) in cases {
            let found = troubles(&view(figures), at(9_000));
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].code, found[0].grave), (code, code == "Overloaded"));
            assert!(found[0].message.contains(words), "{found:?}");
        }
    }

    #[test]
    fn faults_are_grave_where_most_probes_come_to_them() {
        let mut recent_faults = FaultCounts::default();
        recent_faults[2] = 120;
        for (local_faults, grave) in [(50, false), (51, true)] {
            let lately = Lately { started: 100, local_faults, ..Lately::default() };
            let figures = Figures { recent_faults, lately, ..Figures::default() };
            assert_eq!(troubles(&view(figures), at(9_000))[0].grave, grave, "{local_faults}");
        }
    }

    #[test]
    fn the_worst_comes_first() {
        let late = Lately { lateness_p99_us: 1_000_001, ..Lately::default() };
        let mut stats = view(lately(late));
        stats.workers[1].seen = at(3_000);
        assert_eq!(codes(&stats, 8_000), ["Overloaded"]);
        assert_eq!(codes(&stats, 9_000), ["WorkerStuck", "Overloaded"]);
        assert_eq!(codes(&stats, 14_001), ["CollectorStuck", "WorkerStuck", "Overloaded"]);
        let told = &troubles(&stats, at(9_000))[0].message;
        assert_eq!(told, "worker 1 was not heard of for 6 s");
    }
}
