//! What `top` draws: a pure function of the last look, the sort and the selected group.

use super::data::{Look, Worker};
use crate::cli::events::Transition;
use crate::cli::status::Trouble;
use crate::cli::{table, units};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};
use std::time::Duration;

/// Workers that are shown at most; the others are counted.
const WORKERS_MAX: usize = 8;
/// Troubles that are shown at most, the worst first.
const TROUBLES_MAX: usize = 3;
/// Lines of one trouble at most.
const TROUBLE_LINES_MAX: usize = 4;
/// Events below the groups.
const EVENTS_SHOWN: u16 = 6;

/// What is on the screen.
#[derive(Debug)]
pub(super) struct Screen {
    look: Look,
    sort: Sort,
    state: TableState,
}

/// The order of the groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    /// As they were made.
    #[default]
    Made,
    Name,
    Targets,
    Unhealthy,
}

impl Sort {
    const fn next(self) -> Self {
        match self {
            Self::Made => Self::Name,
            Self::Name => Self::Targets,
            Self::Targets => Self::Unhealthy,
            Self::Unhealthy => Self::Made,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Made => "as they were made",
            Self::Name => "by name",
            Self::Targets => "by targets",
            Self::Unhealthy => "by unhealthy",
        }
    }
}

impl Screen {
    /// The first look.
    pub(super) fn new(look: Look) -> Self {
        let state = TableState::default().with_selected(Some(0));
        let mut screen = Self { look, sort: Sort::default(), state };
        screen.arrange();
        screen
    }

    /// The next look.
    pub(super) fn update(&mut self, look: Look) {
        self.look = look;
        self.arrange();
        self.step(0);
    }

    /// Sorts by the next column.
    pub(super) fn sort_by_next(&mut self) {
        self.sort = self.sort.next();
        self.arrange();
    }

    /// Selects another group.
    pub(super) fn step(&mut self, by: isize) {
        let last = self.look.groups.len().saturating_sub(1);
        let next = self.state.selected().unwrap_or(0).saturating_add_signed(by);
        self.state.select(Some(next.min(last)));
    }

    fn arrange(&mut self) {
        let groups = &mut self.look.groups;
        match self.sort {
            // The next look brings the order back.
            Sort::Made => {}
            Sort::Name => groups.sort_by(|a, b| a.name.cmp(&b.name)),
            Sort::Targets => groups.sort_by_key(|group| std::cmp::Reverse(group.targets.total)),
            Sort::Unhealthy => {
                groups.sort_by_key(|group| std::cmp::Reverse(group.targets.unhealthy));
            }
        }
    }

    /// Draws all of it.
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let workers = self.look.summary.workers.len().min(WORKERS_MAX + 1);
        let workers = u16::try_from(workers).unwrap_or(0) + 1;
        let head = self.head(frame.area().width.into());
        let lines = u16::try_from(head.len()).unwrap_or(0);
        let parts = Layout::vertical([
            Constraint::Length(lines),
            Constraint::Length(workers + 1),
            Constraint::Min(3),
            Constraint::Length(EVENTS_SHOWN + 1),
            Constraint::Length(1),
        ]);
        let [top, middle, groups, events, foot] = parts.areas(frame.area());
        frame.render_widget(Paragraph::new(Text::from(head)), top);
        frame.render_widget(self.workers(), middle);
        self.groups(frame, groups);
        frame.render_widget(self.events(), events);
        let keys = format!("q ends, j k move, s sorts ({})", self.sort.name());
        frame.render_widget(Line::from(keys).dim(), foot);
    }

    /// The lines above all; `width` is that of the screen.
    fn head(&self, width: usize) -> Vec<Line<'static>> {
        let summary = &self.look.summary;
        let up = units::span(Duration::from_secs(summary.uptime_seconds));
        let version = table::clean(&summary.version);
        let first = format!(
            "ringcheck {version}, up {up}, {}",
            units::counted(summary.targets.total, "target")
        );
        let targets = summary.targets;
        let states = [
            (targets.healthy, "healthy", Color::Green),
            (targets.unhealthy, "unhealthy", Color::Red),
            (targets.initial, "initial", Color::Yellow),
            (targets.draining + targets.unused + targets.unavailable, "other", Color::Reset),
        ];
        let mut spans = Vec::new();
        for (count, name, color) in states {
            let text = format!("{} {name}  ", units::count(count));
            let style = if count > 0 { Style::new().fg(color) } else { Style::new() };
            spans.push(Span::styled(text, style));
        }
        let mut third = vec![Span::raw(format!(
            "{:.0} probes/s, {} of {} in flight, latency p50 {}, late p99 {}",
            summary.probes.per_second,
            units::count(summary.in_flight),
            units::count(summary.in_flight_capacity),
            units::micros(summary.latency_us.p50),
            units::micros(summary.lateness_us.p99)
        ))];
        if summary.overloaded {
            third.push(Span::styled("  OVERLOADED", Style::new().fg(Color::Red).bold()));
        }
        let mut lines = vec![Line::from(first).bold(), Line::from(spans), Line::from(third)];
        let troubles = summary.troubles.iter().take(TROUBLES_MAX);
        for Trouble { code, message, cure } in troubles {
            let text = table::clean(&format!("{code}: {message}; {cure}"));
            let red = |line| Line::styled(line, Style::new().fg(Color::Red));
            lines.extend(folded(&text, width).into_iter().map(red));
        }
        lines
    }

    fn workers(&self) -> Table<'static> {
        let all = &self.look.summary.workers;
        let mut rows: Vec<Row<'static>> = all.iter().take(WORKERS_MAX).map(worker).collect();
        if all.len() > WORKERS_MAX {
            rows.push(Row::new([format!("… {} more", all.len() - WORKERS_MAX)]));
        }
        let headings = ["WORKER", "TARGETS", "PROBES/S", "IN FLIGHT", "BACKLOG", "LATE P99"];
        numbers(rows, &headings, 10)
    }

    fn groups(&mut self, frame: &mut Frame<'_>, area: Rect) {
        let rows = self.look.groups.iter().map(|group| {
            let targets = group.targets;
            let other = targets.draining + targets.unused + targets.unavailable;
            let bad = if targets.unhealthy > 0 { Color::Red } else { Color::Reset };
            let number = |count| Cell::from(Line::from(units::count(count)).right_aligned());
            Row::new([
                Cell::from(table::clean(&group.name)),
                number(targets.total),
                number(targets.healthy),
                number(targets.unhealthy).style(Style::new().fg(bad)),
                number(targets.initial),
                number(other),
            ])
        });
        let headings = ["GROUP", "TARGETS", "HEALTHY", "UNHEALTHY", "INITIAL", "OTHER"];
        let table = numbers(rows.collect(), &headings, 20)
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, area, &mut self.state);
    }

    fn events(&self) -> Paragraph<'static> {
        let mut lines = vec![Line::from("NEWEST CHANGES").dim()];
        for event in self.look.events.iter().rev().take(usize::from(EVENTS_SHOWN)) {
            let Transition { at, from, to, code, detail } = &event.transition;
            // The time of day is enough: what is shown is new.
            let at = at.get(11..19).unwrap_or(at);
            let detail = detail.as_deref().unwrap_or("");
            let text = format!(
                "{at} {} {}:{} {from} -> {to} {code} {detail}",
                event.group, event.id, event.port
            );
            let color = match to.as_str() {
                "healthy" => Color::Green,
                "unhealthy" => Color::Red,
                _ => Color::Reset,
            };
            lines.push(Line::from(table::clean(&text)).style(Style::new().fg(color)));
        }
        Paragraph::new(Text::from(lines))
    }
}

fn worker(worker: &Worker) -> Row<'static> {
    let number = |text: String| Cell::from(Line::from(text).right_aligned());
    let name =
        if worker.stuck { format!("{} stuck", worker.worker) } else { worker.worker.to_string() };
    let row = Row::new([
        Cell::from(name),
        number(units::count(worker.targets)),
        number(format!("{:.0}", worker.probes.per_second)),
        number(units::count(worker.in_flight)),
        number(units::count(worker.backlog)),
        number(units::micros(worker.lateness_us.p99)),
    ]);
    if worker.stuck { row.style(Style::new().fg(Color::Red)) } else { row }
}

/// A table whose first column is a name of at least `name` characters, and the others numbers.
fn numbers(rows: Vec<Row<'static>>, headings: &[&'static str; 6], name: u16) -> Table<'static> {
    let cells = headings.iter().enumerate().map(|(column, &heading)| {
        let line = Line::from(heading);
        Cell::from(if column == 0 { line } else { line.right_aligned() })
    });
    let widths = [
        Constraint::Min(name),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(10),
    ];
    Table::new(rows, widths).header(Row::new(cells).dim())
}

/// `text` in lines of `width` columns, cut between words, the later ones indented; at most
/// [`TROUBLE_LINES_MAX`].
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().filter(|line| {
            line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width
        });
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => line.extend([" ", word]),
            None => lines.push(format!("  {word}")),
        }
    }
    lines.truncate(TROUBLE_LINES_MAX);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::data::{Event, Group, Summary};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::{Value, json};

    fn counts(healthy: u64, unhealthy: u64) -> Value {
        json!({ "total": healthy + unhealthy, "healthy": healthy, "unhealthy": unhealthy,
            "initial": 0, "draining": 0, "unused": 0, "unavailable": 0 })
    }

    fn look(workers: usize) -> Look {
        let percentiles = json!({ "p50": 180, "p99": 1_250 });
        let worker = json!({ "worker": 0, "targets": 50_000, "probes": { "per_second": 5000.4 },
            "lateness_us": percentiles, "in_flight": 7, "backlog": 0, "stuck": false });
        let summary = json!({ "version": "0.1.0", "targets": counts(99_000, 1_000),
            "probes": { "per_second": 10000.4 }, "lateness_us": percentiles,
            "latency_us": percentiles, "in_flight": 14, "in_flight_capacity": 32_768,
            "overloaded": false, "uptime_seconds": 200, "workers": vec![worker; workers] });
        let group = |name: &str, healthy, unhealthy| -> Group {
            let group = json!({ "name": name, "targets": counts(healthy, unhealthy) });
            serde_json::from_value(group).unwrap()
        };
        let event = json!({ "seq": 3, "at": "2026-01-02T03:04:05.678Z", "group": "web",
            "id": "10.0.0.1", "port": 80, "from": "healthy", "to": "unhealthy", "code": "L4TOUT",
            "detail": null });
        let event: Event = serde_json::from_value(event).unwrap();
        let summary: Summary = serde_json::from_value(summary).unwrap();
        let groups = vec![group("web", 9_000, 990), group("cache", 90_000, 10), group("a", 0, 0)];
        Look { summary, groups, events: vec![event] }
    }

    fn drawn(screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn it_fits_on_80_columns_and_24_lines() {
        let lines = drawn(&mut Screen::new(look(2)), 80, 24);
        assert_eq!(lines[0], "ringcheck 0.1.0, up 3 min 20 s, 100,000 targets");
        assert_eq!(lines[1], "99,000 healthy  1,000 unhealthy  0 initial  0 other");
        let third = "10000 probes/s, 14 of 32,768 in flight, latency p50 180 µs, late p99 1.25 ms";
        assert_eq!(lines[2], third);
        assert!(lines[3].starts_with("WORKER"), "{lines:#?}");
        assert!(lines[4].contains("50,000"), "{lines:#?}");
        assert!(lines[7].starts_with("GROUP"), "{lines:#?}");
        assert!(lines[8].starts_with("web ") && lines[8].contains("990"), "{lines:#?}");
        assert_eq!(lines[17], "03:04:05 web 10.0.0.1:80 healthy -> unhealthy L4TOUT");
        assert_eq!(lines[23], "q ends, j k move, s sorts (as they were made)");
        for (width, height) in [(1, 1), (20, 5), (80, 10), (300, 100)] {
            drawn(&mut Screen::new(look(64)), width, height);
        }
    }

    #[test]
    fn what_is_wrong_stands_below_the_head_the_worst_first() {
        let mut look = look(1);
        let trouble = |code: &str| Trouble {
            code: code.to_owned(),
            message: "it is so".to_owned(),
            cure: "do this".to_owned(),
        };
        look.summary.troubles = ["A", "B", "C", "D"].map(trouble).into();
        let lines = drawn(&mut Screen::new(look), 80, 24);
        assert_eq!(lines[3..6], ["A", "B", "C"].map(|code| format!("{code}: it is so; do this")));
        assert!(lines[6].starts_with("WORKER"), "{lines:#?}");
    }

    #[test]
    fn a_cure_is_readable_on_80_columns() {
        let mut look = look(1);
        let message = "worker 0 was not run for 1.1 s of the last seconds";
        let cure = "a CPU of its own: stop other work on it, lower engine.workers, or give the machine more";
        let trouble = |code: &str| Trouble {
            code: code.to_owned(),
            message: message.to_owned(),
            cure: cure.to_owned(),
        };
        look.summary.troubles = ["LostTime", "B"].map(trouble).into();
        let lines = drawn(&mut Screen::new(look), 80, 24);
        let text = lines[3..5].iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        assert_eq!(text, format!("LostTime: {message}; {cure}"));
        assert!(lines[5].starts_with("B: ") && lines[7].starts_with("WORKER"), "{lines:#?}");
        assert_eq!(folded("", 80), [""]);
        assert_eq!(folded("abc de", 2), ["abc", "  de"], "a word is never cut");
        assert_eq!(folded(&"a ".repeat(1_000), 10).len(), TROUBLE_LINES_MAX);
    }

    #[test]
    fn groups_are_sorted_and_selected() {
        let mut screen = Screen::new(look(1));
        let order = |screen: &Screen| {
            screen.look.groups.iter().map(|group| group.name.clone()).collect::<Vec<_>>()
        };
        screen.sort_by_next();
        assert_eq!(order(&screen), ["a", "cache", "web"]);
        screen.sort_by_next();
        assert_eq!(order(&screen), ["cache", "web", "a"]);
        screen.sort_by_next();
        assert_eq!(order(&screen), ["web", "cache", "a"]);
        screen.step(-1);
        assert_eq!(screen.state.selected(), Some(0));
        screen.step(10);
        assert_eq!(screen.state.selected(), Some(2));
        let mut fewer = look(1);
        fewer.groups.truncate(1);
        screen.update(fewer);
        assert_eq!(screen.state.selected(), Some(0));
    }
}
