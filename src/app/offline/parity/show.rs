//! The outcome as people read it.

use std::fmt;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::super::words;
use super::difference::{Count, Counts};
use super::{ParityOutcome, ParityVerdict};

/// Rows that are shown; JSON has all.
const SHOWN_MAX: usize = 50;

/// An amount with its sign.
fn signed(value: f64) -> String {
    let text = words::number((value * 1e6).round() / 1e6);
    if value > 0.0 && text != "0" { format!("+{text}") } else { text }
}

fn compared(what: &str, count: &Count) -> String {
    format!("{} {what} ({} of the daemon, {} of the backtest)", count.equal, count.daemon, count.backtest)
}

impl fmt::Display for ParityOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.differences.is_empty() {
            let mut table = Table::new();
            table.load_style(NOTHING).force_no_tty();
            table.set_header(["#", "time (UTC)", "symbol", "cause", "what", "daemon", "backtest", "why", "effect"]);
            for row in self.differences.iter().take(SHOWN_MAX) {
                let why = match row.follows {
                    Some(number) => format!("{} (follows from {number})", row.why),
                    None => row.why.clone(),
                };
                table.add_row([
                    row.number.to_string(),
                    row.ts.0.to_string(),
                    row.symbol.map_or_else(|| "-".to_owned(), |symbol| symbol.to_string()),
                    row.cause.as_str().to_owned(),
                    row.what.to_owned(),
                    row.daemon.clone(),
                    row.backtest.clone(),
                    why,
                    signed(row.effect),
                ]);
            }
            writeln!(f, "{table}")?;
            if let Some(more) = self.differences.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
                writeln!(f, "... and {more} more: --json has all")?;
            }
            for (cause, sum) in &self.by_cause {
                let (count, follow) = (sum.count, sum.follow);
                writeln!(f, "{cause}: {count}, of which {follow} follow; effect {}", signed(sum.effect))?;
            }
        }
        let equity = &self.equity;
        writeln!(
            f,
            "equity at the end: {} of the daemon, {} of the backtest: {} apart, {} of that unexplained",
            words::number((equity.daemon * 1e4).round() / 1e4),
            words::number((equity.backtest * 1e4).round() / 1e4),
            signed(equity.difference),
            signed(equity.rest)
        )?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for gap in &self.gaps {
            writeln!(f, "not compared: {gap}")?;
        }
        let Counts { decisions, orders, fills, ends, brackets, fundings, halts } = &self.counts;
        let all = [
            ("decisions", decisions),
            ("orders", orders),
            ("fills", fills),
            ("ends of orders", ends),
            ("last brackets", brackets),
            ("fundings", fundings),
            ("halts and resumptions", halts),
        ];
        let counted: Vec<String> = all.iter().map(|(what, count)| compared(what, count)).collect();
        let (day, dir, events) = (&self.day, self.dir.display(), self.events);
        let (counted, differ) = (counted.join(", "), self.differences.len());
        writeln!(f, "{day} in {dir}: {events} market events run again; alike are {counted}: {differ} differ")?;
        f.write_str(match self.verdict {
            ParityVerdict::Alike => "alike: the whole day was compared, and nothing differs",
            ParityVerdict::Differs => "differs",
            ParityVerdict::Incomplete => "incomplete: nothing that was compared differs, but not everything was",
        })
    }
}
