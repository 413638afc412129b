//! Tables of everything: positions, executions, the account over time. Times are RFC 3339, UTC; numbers are written so that
//! they read back as they were.

use std::io::{self, Write};

use levibot_core::backtest::Outcome;
use levibot_core::domain::{Direction, ExitReason, Side};
use levibot_core::regime::{Activity, Trend};

pub(super) fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

pub(super) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Long => "long",
        Direction::Short => "short",
    }
}

pub(super) fn trend(trend: Trend) -> &'static str {
    match trend {
        Trend::Up => "up",
        Trend::Down => "down",
        Trend::Range => "range",
    }
}

pub(super) fn activity(activity: Activity) -> &'static str {
    match activity {
        Activity::Calm => "calm",
        Activity::Usual => "usual",
        Activity::Wild => "wild",
    }
}

fn exit(reason: Option<ExitReason>) -> String {
    reason.map(|reason| reason.to_string()).unwrap_or_default()
}

fn rows<const N: usize>(
    out: &mut dyn Write,
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(heads)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer.flush()
}

/// Positions, in the order of their first fills. One that stands has no `left` and no `exit`.
pub(super) fn trades(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let heads = [
        "symbol",
        "direction",
        "entered",
        "left",
        "bars",
        "qty",
        "entry_price",
        "exit_price",
        "gross",
        "fees",
        "funding",
        "net",
        "adverse",
        "favourable",
        "exit",
        "trend",
        "activity",
    ];
    let row = |trip: &levibot_core::backtest::Trip| {
        [
            trip.symbol.to_string(),
            direction(trip.direction).to_owned(),
            trip.entered.to_string(),
            trip.left.map(|left| left.to_string()).unwrap_or_default(),
            trip.bars.to_string(),
            trip.qty.to_string(),
            trip.entry_price.to_string(),
            trip.exit_price.to_string(),
            trip.gross.to_string(),
            trip.fees.to_string(),
            trip.funding.to_string(),
            trip.net.to_string(),
            trip.adverse.to_string(),
            trip.favourable.to_string(),
            exit(trip.exit),
            trend(trip.regime.trend).to_owned(),
            activity(trip.regime.activity).to_owned(),
        ]
    };
    rows(out, heads, outcome.trips.iter().map(row))
}

/// Executions, in the order in which they happened.
pub(super) fn fills(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let heads = ["ts", "symbol", "side", "qty", "price", "fee", "reference", "exit"];
    let row = |fill: &levibot_core::backtest::FillRow| {
        [
            fill.ts.to_string(),
            fill.symbol.to_string(),
            side(fill.side).to_owned(),
            fill.qty.to_string(),
            fill.price.to_string(),
            fill.fee.to_string(),
            fill.reference.to_string(),
            exit(fill.exit),
        ]
    };
    rows(out, heads, outcome.executions.iter().map(row))
}

/// The account at the end of each frame.
pub(super) fn equity(out: &mut dyn Write, outcome: &Outcome) -> io::Result<()> {
    let row = |point: &levibot_core::backtest::Point| {
        [point.ts.to_string(), point.equity.to_string(), point.gross.to_string(), point.net.to_string()]
    };
    rows(out, ["ts", "equity", "gross", "net"], outcome.curve.iter().map(row))
}
