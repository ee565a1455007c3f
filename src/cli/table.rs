//! Tables for people: columns aligned by comfy-table, no lines, colour where the terminal has it.

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use serde_json::value::RawValue;
use std::io::{IsTerminal, Write};

/// A table under these headings; `right` names the columns that hold numbers.
#[must_use]
pub fn new(headings: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().map(|heading| Cell::new(heading.to_uppercase())));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for &column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if !std::io::stdout().is_terminal() {
        table.force_no_tty();
    }
    table
}

/// A state in its colour.
#[must_use]
pub fn state(state: &str) -> Cell {
    let cell = Cell::new(state);
    match state {
        "healthy" => cell.fg(Color::Green),
        "unhealthy" => cell.fg(Color::Red),
        "initial" | "draining" => cell.fg(Color::Yellow),
        _ => cell,
    }
}

/// Text from the daemon as a cell; a dash where there is none.
#[must_use]
pub fn text(text: &str) -> Cell {
    let clean = clean(text);
    Cell::new(if clean.is_empty() { "-" } else { &clean })
}

/// Text from the daemon without control characters, which do not belong on a terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Prints JSON objects, one per line.
///
/// # Errors
/// Those of `out`.
pub fn objects<'a>(
    out: &mut impl Write,
    objects: impl IntoIterator<Item = &'a Box<RawValue>>,
) -> std::io::Result<()> {
    objects.into_iter().try_for_each(|object| writeln!(out, "{object}"))
}

/// A reader that has gone (`| head`) has all it wanted.
///
/// # Errors
/// Every other error.
pub fn gone(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// Prints a table without blanks at the ends of its lines.
///
/// # Errors
/// Those of `out`.
pub fn print(out: &mut impl Write, table: &Table) -> std::io::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
