//! How outcomes are written.

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use levibot_core::domain::Ts;
use serde::Serialize;

use super::CliError;

/// What stands where there is no value.
pub(super) const NOTHING: &str = "-";

/// Width where it cannot be asked for.
const WIDTH: u16 = 120;

fn empty() -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table
}

/// A table whose first row is its head.
pub(super) fn table(head: &[&str]) -> Table {
    let mut table = empty();
    table.set_header(head.iter().copied());
    table
}

/// A table of names and values.
pub(super) fn pairs(rows: &[(&str, String)]) -> Table {
    let mut table = empty();
    for (name, value) in rows {
        table.add_row([*name, value.as_str()]);
    }
    table
}

/// A line, or several. Whoever reads may have gone away, as `head` does: that is no failure of ours.
pub(super) fn say(out: &mut dyn Write, text: &dyn std::fmt::Display) -> Result<(), CliError> {
    match writeln!(out, "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(CliError::Write),
    }
}

/// JSON for programs.
pub(super) fn json(out: &mut dyn Write, value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Write(error.into()))?;
    say(out, &text)
}

/// A share as percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A number or nothing.
pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |value| format!("{value:.digits$}"))
}

/// `2025-10-14 12:30:00`, UTC, without fractions.
pub(super) fn time(ts: Ts) -> String {
    Ts::from_secs(ts.secs()).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}
