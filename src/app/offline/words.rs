//! Amounts, times and names as people read them.

use levibot_core::domain::{Direction, Leg, Side, Span, Ts};
use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

/// An instant in JSON as people and spreadsheets write it, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Iso(pub Ts);

impl Serialize for Iso {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// `long` or `short`.
pub(super) const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Long => "long",
        Direction::Short => "short",
    }
}

/// `buy` or `sell`.
pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

/// `entry` or `exit`.
pub(super) const fn leg(leg: Leg) -> &'static str {
    match leg {
        Leg::Entry => "entry",
        Leg::Exit => "exit",
    }
}

/// An amount with two decimals; with its own where it would look like nothing.
pub(super) fn amount(value: Decimal) -> String {
    let short = value.round_dp(2);
    if short.is_zero() && !value.is_zero() { value.round_dp(8).normalize().to_string() } else { format!("{short:.2}") }
}

/// [`amount`] with a plus where it is a gain.
pub(super) fn signed(value: Decimal) -> String {
    if value > Decimal::ZERO { format!("+{}", amount(value)) } else { amount(value) }
}

/// At most so many decimals, without trailing zeros.
pub(super) fn rounded(value: Decimal, digits: u32) -> String {
    value.round_dp(digits).normalize().to_string()
}

/// A float without trailing zeros, at most eight decimals; very small ones as powers of ten.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() || value.abs() < 1e-6 || value.abs() >= 1e15 {
        return format!("{value:e}");
    }
    let text = format!("{value:.8}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `2025-10-14 12:30:00`, UTC, without fractions.
pub(super) fn time(ts: Ts) -> String {
    Ts::from_secs(ts.secs()).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// `2025-10-14 12:30:00.045`: where milliseconds matter.
pub(super) fn fine_time(ts: Ts) -> String {
    let millis = ts.nanos().rem_euclid(1_000_000_000) / 1_000_000;
    if millis == 0 { time(ts) } else { format!("{}.{millis:03}", time(ts)) }
}

/// The two largest units of a count of seconds: `3d4h`, `2h15m`, `45s`.
pub(super) fn seconds(seconds: i64) -> String {
    let s = seconds.max(0);
    match (s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, h, _, _) => format!("{d}d{h}h"),
    }
}

/// [`seconds`] of a span.
pub(super) fn span(span: Span) -> String {
    seconds(span.nanos() / Span::SECOND.nanos())
}

/// Text from elsewhere on one line, harmless to a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
