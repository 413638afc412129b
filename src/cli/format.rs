//! Numbers, times and text for people.

use levibot_core::domain::{Money, Span, Ts};

/// What stands where there is nothing.
pub(super) const NOTHING: &str = "-";

/// An amount with two decimals and grouped thousands; with six when it would otherwise look like nothing.
pub(super) fn money(amount: Money) -> String {
    let small = amount != Money::ZERO && amount.abs().to_f64() < 0.005;
    let fixed = if small { format!("{:.6}", amount.rounded(6)) } else { format!("{:.2}", amount.rounded(2)) };
    group(&fixed)
}

/// [`money`] with a plus where it is a gain.
pub(super) fn pnl(amount: Money) -> String {
    let plus = if amount > Money::ZERO { "+" } else { "" };
    format!("{plus}{}", money(amount))
}

/// [`pnl`] of a float of a view.
pub(super) fn pnl_f64(amount: f64) -> String {
    Money::approx(amount).map_or_else(|_| "?".to_owned(), pnl)
}

/// `part` of `whole` in percent, with its sign.
pub(super) fn percent(part: Money, whole: Money) -> String {
    if whole <= Money::ZERO {
        return NOTHING.to_owned();
    }
    let percent = part.to_f64() / whole.to_f64() * 100.0;
    // Rounded first, so that no `-0.00` shows.
    let percent = (percent * 100.0).round() / 100.0 + 0.0;
    if percent > 0.0 { format!("+{percent:.2} %") } else { format!("{percent:.2} %") }
}

/// A price, without trailing zeros; at most eight decimals.
pub(super) fn price(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    let text = format!("{value:.8}");
    group(text.trim_end_matches('0').trim_end_matches('.'))
}

/// A count with grouped thousands.
pub(super) fn count(n: u64) -> String {
    group(&n.to_string())
}

/// Commas between thousands of the whole part.
fn group(number: &str) -> String {
    let (whole, rest) = number.find('.').map_or((number, ""), |at| number.split_at(at));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + rest
}

/// Memory in the unit that suits it: `512 KB`, `11.0 MB`, `1.5 GB`, each 1,024 of the one before.
pub(super) fn memory(bytes: u64) -> String {
    const KB: f64 = 1_024.0;
    let kb = bytes as f64 / KB;
    if kb < KB {
        format!("{kb:.0} KB")
    } else if kb < KB * KB {
        format!("{:.1} MB", kb / KB)
    } else {
        format!("{:.1} GB", kb / KB / KB)
    }
}

/// `2025-10-14 12:30:00`, UTC, without fractions.
pub(super) fn time(ts: Ts) -> String {
    Ts::from_secs(ts.secs()).to_string().replace('T', " ").trim_end_matches('Z').to_owned()
}

/// `10-14 12:30`, UTC, for narrow columns.
pub(super) fn short_time(ts: Ts) -> String {
    time(ts).chars().skip(5).take(11).collect()
}

/// The two largest units: `3d4h`, `2h15m`, `5m7s`, `45s`; `0s` when negative.
pub(super) fn duration(span: Span) -> String {
    let secs = (span.nanos() / Span::SECOND.nanos()).max(0);
    let (days, hours, minutes, seconds) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60, secs % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, m) => format!("{m}m{seconds}s"),
        (0, h, m) => format!("{h}h{m}m"),
        (d, h, _) => format!("{d}d{h}h"),
    }
}

/// Text from elsewhere on one line, harmless to a terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_the_unit_that_suits_it() {
        for (bytes, text) in [(0, "0 KB"), (524_288, "512 KB"), (11_534_336, "11.0 MB"), (1_610_612_736, "1.5 GB")] {
            assert_eq!(memory(bytes), text);
        }
    }

    #[test]
    fn amounts_read_easily() {
        for (amount, text) in [
            ("0", "0.00"),
            ("1234567.891", "1,234,567.89"),
            ("-1234.5", "-1,234.50"),
            ("-999", "-999.00"),
            ("0.000012", "0.000012"),
            ("0.005", "0.00"),
            ("0.006", "0.01"),
        ] {
            assert_eq!(money(amount.parse().unwrap()), text);
        }
        assert_eq!(pnl("12.5".parse().unwrap()), "+12.50");
        assert_eq!(pnl(Money::ZERO), "0.00");
        assert_eq!(pnl_f64(f64::NAN), "?");
    }

    #[test]
    fn prices_lose_their_zeros_only_after_the_point() {
        for (value, text) in [(60123.4, "60,123.4"), (100.0, "100"), (0.000_012_3, "0.0000123"), (0.0, "0")] {
            assert_eq!(price(value), text);
        }
        assert_eq!(price(f64::NAN), "?");
    }

    #[test]
    fn percent_of_nothing_is_nothing() {
        let m = |text: &str| text.parse::<Money>().unwrap();
        assert_eq!(percent(m("3"), m("200")), "+1.50 %");
        assert_eq!(percent(m("-3"), m("200")), "-1.50 %");
        assert_eq!(percent(m("-0.001"), m("200")), "0.00 %");
        assert_eq!(percent(m("3"), Money::ZERO), "-");
    }

    #[test]
    fn times_and_durations() {
        let ts = Ts::from_nanos(1_760_445_000_123_456_789);
        assert_eq!(time(ts), "2025-10-14 12:30:00");
        assert_eq!(short_time(ts), "10-14 12:30");
        for (secs, text) in
            [(-5, "0s"), (0, "0s"), (45, "45s"), (307, "5m7s"), (8100, "2h15m"), (7205, "2h0m"), (274_000, "3d4h")]
        {
            assert_eq!(duration(Span::from_secs(secs)), text);
        }
    }

    #[test]
    fn foreign_text_cannot_drive_a_terminal() {
        assert_eq!(clean("a\x1b[2Jb\nc\u{9b}d"), "a [2Jb c d");
    }
}
