//! Shows probes as they finish: rows on stdout, progress on stderr, the summary at the end.
//!
//! Time is an input. Rows are buffered and go out at least every 200 ms; a reader that has gone
//! (`| head`) ends the run quietly, through the error of [`Presenter::row`] or [`Presenter::tick`].

use super::ProbeFormat;
use super::row::{Row, Rows};
use super::summary::Summary;
use crate::cli::{Answer, Failure, units};
use crate::outcome::Class;
use crate::time::Instant;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

/// Longest time that a row waits in the buffer.
const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// Time between two progress lines, and before the first.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Bytes that wait for stdout.
const BUFFER_BYTES: usize = 64 * 1_024;

/// What there is to present.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Format of the rows.
    pub format: ProbeFormat,
    /// How many probes there will be.
    pub probes: u64,
    /// Characters of the longest target.
    pub target_chars: usize,
    /// When the run began.
    pub started: Instant,
    /// The same by the wall clock, seconds since 1970.
    pub started_s: i64,
}

/// Presents one run of `probe`.
#[derive(Debug)]
pub struct Presenter<O: Write> {
    scope: Scope,
    rows: Rows,
    out: BufWriter<O>,
    summary: Summary,
    flushed: Instant,
    reported: Instant,
    progress: ProgressBar,
}

impl Presenter<io::StdoutLock<'static>> {
    /// A presenter on stdout, with progress on stderr where that is a terminal.
    pub fn on_stdout(scope: Scope) -> Self {
        let out = io::stdout();
        let has_colour = anstream::AutoStream::choice(&out) != anstream::ColorChoice::Never;
        let target = ProgressDrawTarget::stderr();
        Self::new(scope, out.lock(), has_colour, target)
    }
}

impl<O: Write> Presenter<O> {
    fn new(scope: Scope, out: O, has_colour: bool, target: ProgressDrawTarget) -> Self {
        let progress = ProgressBar::with_draw_target(Some(scope.probes), target);
        // Only what we say ourselves; a template that is constant is right or the tests fail.
        progress.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self {
            rows: Rows::new(scope.format, has_colour, scope.target_chars, scope.started_s),
            out: BufWriter::with_capacity(BUFFER_BYTES, out),
            summary: Summary::default(),
            flushed: scope.started,
            reported: scope.started,
            progress,
            scope,
        }
    }

    /// Shows one finished probe.
    ///
    /// # Errors
    /// Those of stdout; [`io::ErrorKind::BrokenPipe`]: nobody reads any more.
    pub fn row(&mut self, row: &Row<'_>) -> io::Result<()> {
        self.summary.add(row);
        if self.summary.total() == 1 {
            self.rows.header(&mut self.out)?;
        }
        self.rows.write(&mut self.out, row)
    }

    /// Shows what is due at `now`: to be called after each batch of rows, and while there are none.
    ///
    /// # Errors
    /// As [`Presenter::row`].
    pub fn tick(&mut self, now: Instant) -> io::Result<()> {
        if now.since(self.flushed) >= FLUSH_EVERY {
            self.flushed = now;
            self.flush()?;
        }
        if now.since(self.reported) >= PROGRESS_EVERY {
            self.reported = now;
            self.progress.set_message(self.line(now));
        }
        Ok(())
    }

    /// How many probes were shown so far.
    pub fn shown(&self) -> u64 {
        self.summary.total()
    }

    /// Shows the summary at `now`, and returns what the command comes to. With json and csv the
    /// summary goes to stderr, so that stdout holds rows only.
    pub fn finish(mut self, now: Instant) -> Answer {
        self.progress.finish_and_clear();
        let elapsed = now.since(self.scope.started);
        let written = match self.scope.format {
            ProbeFormat::Table => writeln!(self.out)
                .and_then(|()| self.summary.write(&mut self.out, elapsed))
                .and_then(|()| self.out.flush()),
            ProbeFormat::Json | ProbeFormat::Csv => self.out.flush().and_then(|()| {
                let mut err = io::stderr().lock();
                self.summary.write(&mut err, elapsed)
            }),
        };
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::output(&error)),
            Ok(()) | Err(_) => self.summary.answer(),
        }
    }

    /// Ends without a summary after an error of `row` or `tick`: nobody reads it.
    pub fn abandon(self, error: &io::Error) -> Answer {
        self.progress.finish_and_clear();
        let answer = match error.kind() == io::ErrorKind::BrokenPipe {
            true => self.summary.answer(),
            false => Err(Failure::output(error)),
        };
        // What is still buffered cannot be written, and trying again on drop would be in vain.
        drop(self.out.into_parts());
        answer
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.progress.is_hidden() || !io::stdout().is_terminal() {
            return self.out.flush();
        }
        // Both on one terminal: the progress line makes room for the rows.
        self.progress.suspend(|| self.out.flush())
    }

    fn line(&self, now: Instant) -> String {
        let elapsed = now.since(self.scope.started);
        let done = self.summary.total();
        let left = match u32::try_from(done) {
            Ok(done) if done > 0 => {
                let each = elapsed / done;
                let left = self.scope.probes.saturating_sub(done.into());
                units::span(each.saturating_mul(u32::try_from(left).unwrap_or(u32::MAX)))
            }
            Ok(_) | Err(_) => "?".to_owned(),
        };
        format!(
            "{} of {} probes, {} per second, {} passed, {} failed, {left} left",
            units::count(done),
            units::count(self.scope.probes),
            units::count(units::per_second(done, elapsed).unwrap_or(0)),
            units::count(self.summary.count(Class::Pass)),
            units::count(done - self.summary.count(Class::Pass)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;
    use crate::endpoint::Endpoint;
    use crate::outcome::{Code, Outcome};
    use crate::report::Phases;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Stdout whose reader can go.
    #[derive(Clone, Default)]
    struct Pipe(Rc<RefCell<Option<Vec<u8>>>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match &mut *self.0.borrow_mut() {
                Some(written) => written.write(bytes),
                None => Err(io::ErrorKind::BrokenPipe.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn presenter() -> (Presenter<Pipe>, Pipe) {
        let pipe = Pipe(Rc::new(RefCell::new(Some(Vec::new()))));
        let scope = Scope {
            format: ProbeFormat::Table,
            probes: 4_000,
            target_chars: 12,
            started_s: 0,
            started: Instant::from_millis(1_000),
        };
        (Presenter::new(scope, pipe.clone(), false, ProgressDrawTarget::hidden()), pipe)
    }

    fn row(presenter: &mut Presenter<Pipe>, code: Code) -> io::Result<()> {
        let endpoint = Endpoint::new(std::net::Ipv4Addr::LOCALHOST.into(), 80);
        let phases = Phases { total_us: 7, ..Phases::default() };
        let outcome = Outcome::plain(code);
        presenter.row(&Row { name: None, endpoint, outcome, phases, presented: None })
    }

    fn written(pipe: &Pipe) -> String {
        String::from_utf8(pipe.0.borrow().clone().unwrap()).unwrap()
    }

    #[test]
    fn rows_go_out_after_200_ms_and_the_summary_comes_last() {
        let (mut presenter, pipe) = presenter();
        row(&mut presenter, Code::L4Ok).unwrap();
        presenter.tick(Instant::from_millis(1_199)).unwrap();
        assert_eq!(written(&pipe), "");
        presenter.tick(Instant::from_millis(1_200)).unwrap();
        assert_eq!(written(&pipe).lines().count(), 2);
        row(&mut presenter, Code::L4Tout).unwrap();
        assert_eq!(presenter.finish(Instant::from_millis(3_000)), Ok(Exit::Bad));
        let lines = written(&pipe);
        assert!(lines.starts_with("TARGET "), "{lines}");
        assert!(
            lines.contains("\n\n2 probes in 2.00 s, 1 per second: 1 passed, 1 failed\n"),
            "{lines}"
        );
    }

    #[test]
    fn progress_says_how_far_and_how_long() {
        let (mut presenter, _pipe) = presenter();
        assert!(presenter.line(Instant::from_millis(1_000)).ends_with(", ? left"));
        for code in [Code::L4Ok, Code::L4Ok, Code::L4Ok, Code::L4Con] {
            row(&mut presenter, code).unwrap();
        }
        let expected = "4 of 4,000 probes, 2 per second, 3 passed, 1 failed, 33 min 18 s left";
        assert_eq!(presenter.line(Instant::from_millis(3_000)), expected);
    }

    #[test]
    fn a_reader_that_goes_ends_the_run_with_what_is_known() {
        let (mut presenter, pipe) = presenter();
        row(&mut presenter, Code::L4Ok).unwrap();
        *pipe.0.borrow_mut() = None;
        let error = presenter.tick(Instant::from_millis(2_000)).unwrap_err();
        assert_eq!(presenter.abandon(&error), Ok(Exit::Good));
    }
}
