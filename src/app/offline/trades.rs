//! `levibot trades`: every round trip of an account, as a table, CSV or JSON. Nothing is written before the whole journal
//! is read, so that nobody takes the trades before a damage for all of them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use levibot_core::domain::{Symbol, Ts};
use rust_decimal::Decimal;
use serde::Serialize;

use super::trips::{Step, Trip, Trips};
use super::words::Iso;
use super::{read, run_folder, words};
use crate::app::AppError;

/// Which trades are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct TradesFilter {
    /// Those of one symbol.
    pub symbol: Option<Symbol>,
    /// Those that ended at this time or later; an open one has not ended.
    pub from: Option<Ts>,
    /// Those that ended at this time or before; an open one counts when it began by then.
    pub to: Option<Ts>,
}

impl TradesFilter {
    fn takes(&self, trip: &Trip) -> bool {
        self.symbol.is_none_or(|symbol| symbol == trip.symbol)
            && self.from.is_none_or(|from| trip.closed.is_none_or(|closed| closed >= from))
            && self.to.is_none_or(|to| trip.closed.unwrap_or(trip.opened) <= to)
    }
}

/// How trades are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TradesForm {
    /// Lines of values with a header.
    Csv,
    /// An object with `trades` and `totals`.
    Json,
    /// For people.
    Table,
}

/// The sums of the trades that were asked for. Amounts in the account's currency.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct TradesTotals {
    /// Round trips that are closed.
    closed: u64,
    /// Positions that are open.
    open: u64,
    /// Closed ones with a net result over zero.
    wins: u64,
    /// Realised before fees, what open ones have realised so far included.
    gross_pnl: Decimal,
    /// Fees, those of open ones included.
    fees: Decimal,
    /// Funding paid, likewise; under zero more was received.
    funding: Decimal,
    /// Realised less fees and funding.
    net_pnl: Decimal,
    /// The best net result of a closed one.
    best: Option<Decimal>,
    /// The worst.
    worst: Option<Decimal>,
    /// Realised, fees and funding that belong to no position, such as what a transfer moved.
    apart: [Decimal; 3],
}

impl TradesTotals {
    fn take(&mut self, trip: &Trip) {
        let net = trip.net();
        self.gross_pnl = self.gross_pnl.saturating_add(trip.gross);
        self.fees = self.fees.saturating_add(trip.fees);
        self.funding = self.funding.saturating_add(trip.funding);
        self.net_pnl = self.gross_pnl.saturating_sub(self.fees).saturating_sub(self.funding);
        if trip.closed.is_none() {
            self.open += 1;
            return;
        }
        self.closed += 1;
        self.wins += u64::from(net > Decimal::ZERO);
        self.best = Some(self.best.map_or(net, |best| best.max(net)));
        self.worst = Some(self.worst.map_or(net, |worst| worst.min(net)));
    }
}

/// One row. What an open trade does not have yet is null, in CSV empty.
#[derive(Debug, Clone, Serialize)]
struct Row {
    entry_time: Iso,
    exit_time: Option<Iso>,
    symbol: Symbol,
    direction: &'static str,
    quantity: Decimal,
    entry_price: Option<Decimal>,
    exit_price: Option<Decimal>,
    gross_pnl: Decimal,
    fees: Decimal,
    funding: Decimal,
    net_pnl: Decimal,
    return_pct: Option<Decimal>,
    holding_seconds: Option<i64>,
    exit_reason: Option<&'static str>,
    entry_order: Option<String>,
    parts: u64,
}

const HEADER: &str = "entry_time,exit_time,symbol,direction,quantity,entry_price,exit_price,gross_pnl,fees,funding,\
                      net_pnl,return_pct,holding_seconds,exit_reason,entry_order,parts";

impl Row {
    fn of(trip: &Trip) -> Self {
        let closed = trip.closed;
        Self {
            entry_time: Iso(trip.opened),
            exit_time: closed.map(Iso),
            symbol: trip.symbol,
            direction: words::direction(trip.direction),
            quantity: trip.entered.normalize(),
            entry_price: trip.entry_price(),
            exit_price: trip.exit_price(),
            gross_pnl: trip.gross.normalize(),
            fees: trip.fees.normalize(),
            funding: trip.funding.normalize(),
            net_pnl: trip.net().normalize(),
            return_pct: trip.return_pct(),
            holding_seconds: closed.map(|closed| (closed - trip.opened).nanos() / 1_000_000_000),
            exit_reason: trip.reason.filter(|_| closed.is_some()),
            entry_order: trip.orders.first().map(ToString::to_string),
            parts: trip.parts,
        }
    }

    fn csv(&self) -> String {
        let text = |value: Option<String>| value.unwrap_or_default();
        let decimal = |value: Option<Decimal>| text(value.map(|value| value.to_string()));
        let cells = [
            self.entry_time.0.to_string(),
            text(self.exit_time.map(|time| time.0.to_string())),
            self.symbol.to_string(),
            self.direction.to_owned(),
            self.quantity.to_string(),
            decimal(self.entry_price),
            decimal(self.exit_price),
            self.gross_pnl.to_string(),
            self.fees.to_string(),
            self.funding.to_string(),
            self.net_pnl.to_string(),
            decimal(self.return_pct),
            text(self.holding_seconds.map(|seconds| seconds.to_string())),
            self.exit_reason.unwrap_or_default().to_owned(),
            text(self.entry_order.clone()),
            self.parts.to_string(),
        ];
        cells.map(|cell| quoted(&cell)).join(",")
    }
}

/// A value as RFC 4180 wants it.
fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.to_owned() }
}

/// Where rows go.
struct Sheet<'a> {
    form: TradesForm,
    out: &'a mut dyn Write,
    /// What is to be written.
    text: String,
    rows: Vec<Row>,
    written: u64,
}

impl Sheet<'_> {
    fn begin(&mut self) {
        match self.form {
            TradesForm::Csv => self.text.push_str(&format!("{HEADER}\n")),
            TradesForm::Json => self.text.push_str("{\"trades\": ["),
            TradesForm::Table => {}
        }
    }

    fn row(&mut self, row: Row) {
        match self.form {
            TradesForm::Csv => self.text.push_str(&format!("{}\n", row.csv())),
            TradesForm::Json => {
                let comma = if self.written == 0 { "" } else { "," };
                let json = serde_json::to_string(&row).unwrap_or_default();
                self.text.push_str(&format!("{comma}\n  {json}"));
            }
            TradesForm::Table => self.rows.push(row),
        }
        self.written += 1;
    }

    fn end(mut self, totals: &TradesTotals) -> io::Result<()> {
        match self.form {
            TradesForm::Csv => {}
            TradesForm::Json => {
                let totals = serde_json::to_string(totals).unwrap_or_default();
                self.text.push_str(&format!("\n], \"totals\": {totals}}}\n"));
            }
            TradesForm::Table => self.text.push_str(&table(&self.rows, totals)),
        }
        match self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush()) {
            // Whoever reads may have gone away: that is no failure of ours.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes the trades of a data folder, or of the only run in it, to `out`, in the order in which they ended; those that
/// are open come last. The daemon may be running.
///
/// # Errors
/// [`AppError`] when there is no journal, one that is damaged (nothing is written then), or `out` cannot be written.
pub fn trades(dir: &Path, filter: &TradesFilter, form: TradesForm, out: &mut dyn Write) -> Result<PathBuf, AppError> {
    let dir = run_folder(dir)?;
    let (mut trips, mut totals) = (Trips::default(), TradesTotals::default());
    let mut sheet = Sheet { form, out, text: String::new(), rows: Vec::new(), written: 0 };
    sheet.begin();
    let whole = filter.symbol.is_none() && filter.from.is_none() && filter.to.is_none();
    let mut keep = |trip: &Trip, totals: &mut TradesTotals| {
        if filter.takes(trip) {
            totals.take(trip);
            sheet.row(Row::of(trip));
        }
    };
    read(&dir, "reading the journal", &mut |envelope, _| {
        for step in trips.take(envelope)? {
            match step {
                Step::Closed(trip) => keep(&trip, &mut totals),
                Step::Apart { gross, fees, funding } if whole => {
                    let more = [gross, fees, funding];
                    totals.apart.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
                }
                Step::Apart { .. } => {}
            }
        }
        Ok(())
    })?;
    for trip in trips.open().values() {
        keep(trip, &mut totals);
    }
    sheet.end(&totals).map_err(AppError::Output)?;
    Ok(dir)
}

fn table(rows: &[Row], totals: &TradesTotals) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).force_no_tty();
    table.set_header([
        "entered (UTC)",
        "symbol",
        "side",
        "quantity",
        "entry",
        "exit",
        "gross",
        "fees",
        "funding",
        "net",
        "return",
        "held",
        "ended by",
        "parts",
    ]);
    let show = |value: Option<Decimal>, digits| value.map_or_else(|| "-".to_owned(), |v| words::rounded(v, digits));
    for row in rows {
        table.add_row([
            words::time(row.entry_time.0),
            row.symbol.to_string(),
            row.direction.to_owned(),
            row.quantity.to_string(),
            show(row.entry_price, 8),
            show(row.exit_price, 8),
            words::amount(row.gross_pnl),
            words::amount(row.fees),
            words::amount(row.funding),
            words::amount(row.net_pnl),
            row.return_pct.map_or_else(|| "-".to_owned(), |pct| format!("{} %", words::signed(pct.round_dp(2)))),
            row.holding_seconds.map_or_else(|| "open".to_owned(), words::seconds),
            row.exit_reason.unwrap_or("-").to_owned(),
            row.parts.to_string(),
        ]);
    }
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if (3..=11).contains(&at) || at == 13 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    if !rows.is_empty() {
        text = table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>() + "\n";
    }
    text + &totals_text(totals)
}

fn totals_text(totals: &TradesTotals) -> String {
    let TradesTotals { closed, open, wins, gross_pnl, fees, funding, net_pnl, best, worst, apart } = totals;
    let share = Decimal::from(*wins).checked_mul(Decimal::ONE_HUNDRED).and_then(|x| x.checked_div((*closed).into()));
    let rate = share.map_or_else(String::new, |share| format!(", {wins} won ({} %)", share.round_dp(1)));
    let paid = if funding.is_zero() { String::new() } else { format!(", funding {}", words::amount(*funding)) };
    let mut text = format!(
        "{closed} closed{rate}, {open} open; gross {}, fees {}{paid}, net {}",
        words::amount(*gross_pnl),
        words::amount(*fees),
        words::amount(*net_pnl)
    );
    if let (Some(best), Some(worst)) = (best, worst) {
        text.push_str(&format!("; best {}, worst {}", words::amount(*best), words::amount(*worst)));
    }
    if apart.iter().any(|part| !part.is_zero()) {
        let [gross, fees, funding] = apart;
        let what = format!("gross {gross}, fees {fees}, funding {funding}");
        text.push_str(&format!("; besides, outside of any position: {what}"));
    }
    text + "\n"
}

#[cfg(test)]
#[path = "trades_tests.rs"]
mod tests;
