//! `ringcheck top`: the daemon at work, drawn anew every second.
//!
//! `data` is what was asked, `view` draws it; here is the terminal, and the keys.

mod data;
mod view;

use super::client::DaemonArgs;
use super::{Answer, Exit, Failure, Format};
use crate::time::monotonic;
use data::Source;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io::{self, IsTerminal};
use std::time::Duration;
use view::Screen;

/// How often it is asked and drawn.
const EVERY: Duration = Duration::from_secs(1);

/// Show the daemon at work: load, workers, groups, the newest changes of state.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  ringcheck top

Keys: arrows or j and k move, s sorts by the next column, q ends.")]
pub struct TopArgs {
    /// Which daemon.
    #[command(flatten)]
    pub daemon: DaemonArgs,
}

/// Runs the command.
pub fn run(args: &TopArgs) -> Answer {
    if args.daemon.format == Format::Json || !io::stdout().is_terminal() {
        let cure = "use 'ringcheck status' or 'ringcheck groups'";
        return Err(Failure::usage(format_args!("top draws on a terminal only; {cure}")));
    }
    // Before the terminal is taken, so that the error of a daemon that is not there is a line.
    let mut source = Source::connect(&args.daemon.socket)?;
    let screen = Screen::new(source.fetch()?);
    let mut terminal = ratatui::try_init().map_err(|error| no_terminal(&error))?;
    let ended = watch(&mut terminal, &mut source, screen);
    ratatui::restore();
    ended
}

fn no_terminal(error: &io::Error) -> Failure {
    Failure::engine(format_args!("cannot use the terminal: {error}; is TERM set?"))
}

/// Draws and listens to keys until one ends it, or the daemon is gone.
fn watch(terminal: &mut DefaultTerminal, source: &mut Source, mut screen: Screen) -> Answer {
    let mut due = monotonic() + EVERY;
    loop {
        terminal.draw(|frame| screen.draw(frame)).map_err(|error| no_terminal(&error))?;
        let wait = due.since(monotonic());
        if event::poll(wait).map_err(|error| no_terminal(&error))? {
            let event = event::read().map_err(|error| no_terminal(&error))?;
            if let Event::Key(key) = event
                && key.kind != KeyEventKind::Release
            {
                if ends(key) {
                    return Ok(Exit::Good);
                }
                act(&mut screen, key.code);
            }
        }
        if monotonic() >= due {
            screen.update(source.fetch()?);
            due = monotonic() + EVERY;
        }
    }
}

fn ends(key: KeyEvent) -> bool {
    let is_interrupt =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    is_interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has many keys")]
fn act(screen: &mut Screen, key: KeyCode) {
    match key {
        KeyCode::Down | KeyCode::Char('j') => screen.step(1),
        KeyCode::Up | KeyCode::Char('k') => screen.step(-1),
        KeyCode::PageDown => screen.step(10),
        KeyCode::PageUp => screen.step(-10),
        KeyCode::Char('s') => screen.sort_by_next(),
        _ => {}
    }
}
