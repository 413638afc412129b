//! Views as tables that fit in 80 to 100 columns.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table, presets};
use levibot_core::domain::{Direction, HaltLevel, Money};

use super::format::{self, NOTHING};
use crate::control::{AccountView, EngineRow, EnginesView, ModelView, OpenPosition, StatusView, StockView, SymbolView};

/// Width where it cannot be asked for.
const WIDTH: u16 = 100;

/// How to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Colours and bold text.
    pub styled: bool,
    /// Columns at most; `None` asks the terminal.
    pub width: Option<u16>,
}

impl Look {
    /// For files, pipes and tests.
    pub const PLAIN: Self = Self { styled: false, width: Some(WIDTH) };

    /// What suits this program's standard output.
    pub fn of_stdout() -> Self {
        if std::io::stdout().is_terminal() { Self { styled: true, width: None } } else { Self::PLAIN }
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    title: &'static str,
    alignment: CellAlignment,
    /// Whether it may wrap where there is little room; numbers may not.
    wraps: bool,
}

pub(super) const fn left(title: &'static str) -> Column {
    Column { title, alignment: CellAlignment::Left, wraps: false }
}

pub(super) const fn right(title: &'static str) -> Column {
    Column { title, alignment: CellAlignment::Right, wraps: false }
}

pub(super) const fn wrapping(column: Column) -> Column {
    Column { wraps: true, ..column }
}

pub(super) fn table(look: Look, columns: &[Column], rows: Vec<Vec<Cell>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if look.styled {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if let Some(width) = look.width {
        table.set_width(width);
    }
    if columns.iter().any(|column| !column.title.is_empty()) {
        let bold = |column: &Column| Cell::new(column.title).add_attribute(Attribute::Bold);
        table.set_header(columns.iter().map(bold).collect::<Vec<_>>());
    }
    table.add_rows(rows);
    let gap = if table.width().is_some_and(|width| width < WIDTH) { 1 } else { 2 };
    for (drawn, column) in table.column_iter_mut().zip(columns) {
        drawn.set_padding((0, gap)).set_cell_alignment(column.alignment);
        if !column.wraps {
            drawn.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// Drops columns in which every row has nothing.
fn used(columns: &[Column], rows: Vec<Vec<Option<Cell>>>) -> (Vec<Column>, Vec<Vec<Cell>>) {
    let used: Vec<bool> =
        (0..columns.len()).map(|at| rows.iter().any(|r| r.get(at).is_some_and(Option::is_some))).collect();
    let cell = |cell: Option<Cell>| cell.unwrap_or_else(|| Cell::new(NOTHING));
    let keep = |row: Vec<Option<Cell>>| row.into_iter().zip(&used).filter(|(_, u)| **u).map(|(c, _)| cell(c)).collect();
    let columns = columns.iter().zip(&used).filter(|(_, u)| **u).map(|(c, _)| *c).collect();
    (columns, rows.into_iter().map(keep).collect())
}

pub(super) fn plain(text: impl AsRef<str>) -> Cell {
    Cell::new(format::clean(text.as_ref()))
}

/// Green for a gain, red for a loss.
fn coloured(cell: Cell, sign: std::cmp::Ordering) -> Cell {
    match sign {
        std::cmp::Ordering::Greater => cell.fg(Color::Green),
        std::cmp::Ordering::Less => cell.fg(Color::Red),
        std::cmp::Ordering::Equal => cell,
    }
}

fn pnl(amount: Money) -> Cell {
    coloured(Cell::new(format::pnl(amount)), amount.cmp(&Money::ZERO))
}

fn pnl_f64(amount: f64) -> Cell {
    coloured(Cell::new(format::pnl_f64(amount)), amount.total_cmp(&0.0))
}

/// Trailing padding of tables serves nobody.
pub(super) fn trimmed(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The first thing to see when the account is halted; empty otherwise.
fn halt_banner(look: Look, account: &AccountView) -> String {
    if account.halt == HaltLevel::None {
        return String::new();
    }
    let why = account.halt_reason.as_deref().map(|why| format!(" by {}", format::clean(why))).unwrap_or_default();
    let what = match account.halt {
        HaltLevel::None => "",
        HaltLevel::EntryHalt => "no new entries",
        HaltLevel::ReduceOnly => "positions are only reduced; stops and exits stay live",
        HaltLevel::Flatten => "every position is being closed",
    };
    let line = format!("*** HALTED ({}){why}", account.halt);
    let line = if look.styled { format!("\x1b[1;31m{line}\x1b[0m") } else { line };
    format!("{line}\n    {what}; `levibot resume` lifts the halt\n\n")
}

/// Engines and positions that need a word more than their row has.
fn frozen_notes(account: &AccountView) -> String {
    let note = |s: &SymbolView| {
        let why = s.frozen.iter().map(|why| format::clean(why)).collect::<Vec<_>>().join("; ");
        (!why.is_empty()).then(|| format!("{}: entries are frozen: {why}\n", s.symbol))
    };
    account.symbols.iter().filter_map(note).collect()
}

fn engine_counts([total, running, stopped, crashed]: [u32; 4]) -> String {
    format!("{total} ({running} running, {stopped} stopped, {crashed} crashed)")
}

/// The daemon as a whole.
pub fn status(view: &StatusView, look: Look) -> String {
    let (info, account) = (&view.info, &view.account);
    let ready = if view.ready { Cell::new("ready") } else { Cell::new("starting").fg(Color::Yellow) };
    let kind = match info.account {
        levibot_core::domain::AccountKind::Spot => "spot",
        levibot_core::domain::AccountKind::Linear => "linear",
    };
    let day = account.equity - account.day_start_equity;
    let day_text = format!("{} ({})", format::pnl(day), format::percent(day, account.day_start_equity));
    let open = account.symbols.iter().filter(|s| s.position.is_some()).count();
    let lag = match view.store_lag {
        0 => String::new(),
        lag => format!(", tables {} behind", format::count(lag)),
    };
    let halt = match account.halt {
        HaltLevel::None => Cell::new("none"),
        level => Cell::new(level).fg(Color::Red),
    };
    let journal = format!("record {}{lag}", format::count(view.journal_seq));
    let journal = match view.journal_failed {
        false => Cell::new(journal),
        true => {
            Cell::new(format!("{journal}; nothing is put on record any more, and no order is sent: the log says why"))
                .fg(Color::Red)
        }
    };
    let mut rows = vec![
        ("levibot", plain(format!("{}, run {}", info.version, info.run))),
        ("state", ready),
        ("market", plain(format!("{}, {} bars, {}", info.market, info.timeframe, info.pace))),
        ("data folder", plain(&info.data_dir)),
        ("started", Cell::new(format!("{} UTC", format::time(info.started.0)))),
        ("trading time", Cell::new(format!("{} UTC", format::time(view.trading_time.0)))),
        ("bars", Cell::new(format::count(view.bars))),
        ("journal", journal),
        ("engines", Cell::new(engine_counts(view.engines))),
        ("account", plain(format!("{kind}, {}", info.currency))),
        ("equity", Cell::new(format::money(account.equity))),
        ("day PnL", coloured(Cell::new(day_text), day.cmp(&Money::ZERO))),
        ("positions", Cell::new(open)),
        ("halt", halt),
    ];
    if let Some(model) = &view.model {
        // After the engines, which ask it.
        rows.insert(9, ("model", model_cell(model)));
    }
    let rows = rows.into_iter().map(|(key, value)| vec![Cell::new(key), value]).collect();
    let body = trimmed(&table(look, &[left(""), wrapping(left(""))], rows));
    halt_banner(look, account) + &body + &frozen_notes(account)
}

/// The fusion model in one line, and what was last wrong with it.
fn model_cell(model: &ModelView) -> Cell {
    let mut text = model.state.clone();
    for part in [
        model.version.as_ref().map(|version| format!("version {version}")),
        model.trained_through.map(|stamp| format!("trained through {}", format::time(stamp.0))),
        model.pid.map(|pid| format!("pid {pid}")),
        (model.restarts > 0).then(|| format!("restarts {}", model.restarts)),
        model.last_error.as_ref().map(|error| format!("last error: {error}")),
    ] {
        text.extend(part.map(|part| format!(", {part}")));
    }
    let cell = plain(text);
    match model.state.as_str() {
        "running" => cell,
        "quarantined" | "crashed" => cell.fg(Color::Red),
        _ => cell.fg(Color::Yellow),
    }
}

/// The engines.
pub fn engines(view: &EnginesView, look: Look) -> String {
    let columns = [
        left("SYMBOL"),
        left("STATUS"),
        right("UPTIME"),
        wrapping(right("LAST BAR")),
        right("ERR"),
        wrapping(left("POSITION")),
        right("DAY PNL"),
        right("TOTAL PNL"),
        right("TRADES"),
    ];
    let row = |e: &EngineRow| {
        let colour = match e.status.as_str() {
            "running" => Color::Green,
            "crashed" | "quarantined" => Color::Red,
            "starting" | "stopping" | "paused" => Color::Yellow,
            _ => Color::Reset,
        };
        vec![
            plain(e.symbol.as_str()),
            plain(&e.status).fg(colour),
            plain(&e.uptime),
            Cell::new(e.last_bar.map_or_else(|| NOTHING.to_owned(), |bar| format::short_time(bar.0))),
            Cell::new(e.error_count),
            plain(e.position.as_deref().unwrap_or(NOTHING)),
            pnl_f64(e.daily_pnl),
            pnl_f64(e.total_pnl),
            Cell::new(format::count(e.trade_count)),
        ]
    };
    let mut out = format!("engines: {}", engine_counts([view.total, view.running, view.stopped, view.crashed]));
    out.push_str("; times are UTC\n\n");
    out.push_str(&trimmed(&table(look, &columns, view.engines.iter().map(row).collect())));
    let errors: Vec<_> = view.engines.iter().filter_map(|e| Some((e, e.last_error.as_ref()?))).collect();
    if !errors.is_empty() {
        out.push('\n');
    }
    for (engine, error) in errors {
        // Writing to a string cannot fail.
        writeln!(out, "{} (restarts: {}): {}", engine.symbol, engine.restarts, format::clean(error)).ok();
    }
    out + &processes(view, look)
}

/// What the engines take of the machine, as far as any of it is known; beside their other figures there is no room.
fn processes(view: &EnginesView, look: Look) -> String {
    let columns = [left("SYMBOL"), right("STARTS"), right("PID"), right("CPU"), right("MEMORY"), right("AVAILABLE")];
    let row = |e: &EngineRow| {
        vec![
            Some(plain(e.symbol.as_str())),
            Some(Cell::new(format::count(e.generation))),
            e.pid.map(Cell::new),
            e.cpu_percent.map(|percent| Cell::new(format!("{percent:.1} %"))),
            e.memory_bytes.map(|bytes| Cell::new(format::memory(bytes))),
            e.availability.map(|ratio| Cell::new(format!("{:.2} %", ratio * 100.0))),
        ]
    };
    let (columns, rows) = used(&columns, view.engines.iter().map(row).collect());
    // Names and starts alone tell nothing.
    if columns.len() < 3 {
        return String::new();
    }
    format!("\n{}", trimmed(&table(look, &columns, rows)))
}

/// Open positions.
pub fn positions(account: &AccountView, look: Look) -> String {
    let columns = [
        left("SYMBOL"),
        left("SIDE"),
        right("QTY"),
        right("ENTRY"),
        right("MARK"),
        right("OPEN PNL"),
        right("STOP"),
        right("TARGET"),
        right("EXPIRES"),
        left("STATE"),
    ];
    let row = |s: &SymbolView, p: &OpenPosition| {
        let side = match p.direction {
            Direction::Long => "long",
            Direction::Short => "short",
        };
        vec![
            Some(plain(s.symbol.as_str())),
            Some(Cell::new(side)),
            Some(plain(&p.qty)),
            Some(Cell::new(format::price(p.entry_price))),
            Some(Cell::new(format::price(p.mark))),
            Some(pnl(p.unrealised)),
            p.stop.map(|x| Cell::new(format::price(x))),
            p.target.map(|x| Cell::new(format::price(x))),
            p.expires.map(|at| Cell::new(format::duration(at - account.ts))),
            state_of(p).map(Cell::new),
        ]
    };
    let rows: Vec<_> = account.symbols.iter().filter_map(|s| s.position.as_ref().map(|p| row(s, p))).collect();
    let mut out = halt_banner(look, account);
    if rows.is_empty() {
        out.push_str("no open positions\n");
    } else {
        let open = rows.len();
        let (columns, rows) = used(&columns, rows);
        out.push_str(&trimmed(&table(look, &columns, rows)));
        let unrealised = format::pnl(account.unrealised);
        writeln!(out, "\n{open} open, unrealised {unrealised}, at {} UTC trading time", format::time(account.ts)).ok();
    }
    out + &frozen_notes(account)
}

/// What is special about a position, if anything.
const fn state_of(position: &OpenPosition) -> Option<&'static str> {
    match position {
        OpenPosition { closing: true, .. } => Some("closing"),
        OpenPosition { dust: true, .. } => Some("too small"),
        _ => None,
    }
}

/// Profit and loss, by symbol and in sum.
pub fn profit(account: &AccountView, look: Look) -> String {
    let columns = [
        left("SYMBOL"),
        right("DAY PNL"),
        right("TOTAL PNL"),
        right("UNREALISED"),
        right("TRADES"),
        right("LAST TRADE (UTC)"),
    ];
    let row = |s: &SymbolView| {
        vec![
            plain(s.symbol.as_str()),
            pnl(s.daily_pnl),
            pnl(s.total_pnl),
            s.position.as_ref().map_or_else(|| Cell::new(NOTHING), |p| pnl(p.unrealised)),
            Cell::new(format::count(s.trades)),
            Cell::new(s.last_trade.map_or_else(|| NOTHING.to_owned(), format::time)),
        ]
    };
    let mut rows: Vec<_> = account.symbols.iter().map(row).collect();
    let sum = |of: fn(&SymbolView) -> Money| pnl(account.symbols.iter().map(of).sum()).add_attribute(Attribute::Bold);
    rows.push(vec![
        Cell::new("all").add_attribute(Attribute::Bold),
        sum(|s| s.daily_pnl),
        sum(|s| s.total_pnl),
        pnl(account.unrealised).add_attribute(Attribute::Bold),
        Cell::new(format::count(account.symbols.iter().map(|s| s.trades).sum())),
        Cell::new(
            account.symbols.iter().filter_map(|s| s.last_trade).max().map_or_else(|| NOTHING.to_owned(), format::time),
        ),
    ]);
    let net = account.realised + account.unrealised - account.fees - account.funding;
    let day = account.equity - account.day_start_equity;
    let percent = |part: Money, whole: Money| Cell::new(format::percent(part, whole));
    let mut sums = vec![
        vec![Cell::new("realised"), pnl(account.realised), Cell::new("")],
        vec![Cell::new("unrealised"), pnl(account.unrealised), Cell::new("")],
        vec![Cell::new("fees"), pnl(-account.fees), Cell::new("")],
        vec![Cell::new("net"), pnl(net), percent(net, account.initial_cash)],
        vec![Cell::new("day PnL"), pnl(day), percent(day, account.day_start_equity)],
        vec![Cell::new("equity"), Cell::new(format::money(account.equity)), Cell::new("")],
        vec![Cell::new("cash"), Cell::new(format::money(account.cash)), Cell::new("")],
    ];
    if account.funding != Money::ZERO {
        sums.insert(3, vec![Cell::new("funding"), pnl(-account.funding), Cell::new("")]);
    }
    let held = |s: &StockView| vec![plain(s.asset.as_str()), Cell::new(format::money(s.value)), plain(&s.amount)];
    sums.extend(account.stocks.iter().map(held));
    if account.contributed != Money::ZERO {
        sums.push(vec![Cell::new("paid in"), Cell::new(format::money(account.contributed)), Cell::new("")]);
    }
    let mut out = halt_banner(look, account);
    out.push_str(&trimmed(&table(look, &columns, rows)));
    out.push('\n');
    out.push_str(&trimmed(&table(look, &[left(""), right(""), right("")], sums)));
    writeln!(out, "\nat {} UTC trading time", format::time(account.ts)).ok();
    out + &frozen_notes(account)
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
