//! How figures are written. What is not finite is a dash, so that no report says NaN.

/// Stands for what is not there.
pub(super) const NONE: &str = "–";

/// With groups of three digits and a real minus: `-1,234.50` as `−1,234.50`.
pub(super) fn number(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{:.digits$}", value.abs());
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let mut out = String::with_capacity(text.len() + whole.len() / 3 + 4);
    if value < 0.0 && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
        out.push('−');
    }
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// With its sign, also when it is a gain.
pub(super) fn signed(value: f64, digits: usize) -> String {
    let text = number(value, digits);
    let is_gain = value.is_finite() && value > 0.0 && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    if is_gain { format!("+{text}") } else { text }
}

/// With one decimal, or, where that would leave less, with two significant digits: `12.3`, `0.38`, `0.0021`.
pub(super) fn small(value: f64) -> String {
    if !value.is_normal() || value.abs() >= 0.995 {
        return number(value, 1);
    }
    let digits = (1..=9).find(|digits| value.abs() * 10_f64.powi(*digits) >= 9.95).unwrap_or(9);
    number(value, usize::try_from(digits).unwrap_or(1))
}

/// A whole number with groups.
pub(super) fn count(value: u64) -> String {
    number(value as f64, 0)
}

/// A fraction as percent.
pub(super) fn percent(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{} %", number(value * 100.0, digits)) } else { NONE.to_owned() }
}

/// A fraction as percent with its sign.
pub(super) fn signed_percent(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{} %", signed(value * 100.0, digits)) } else { NONE.to_owned() }
}

/// A price: as many digits as its size asks for, none that say nothing.
pub(super) fn price(value: f64) -> String {
    let digits = if value.abs() >= 1_000.0 {
        2
    } else if value.abs() >= 1.0 {
        4
    } else {
        8
    };
    let text = number(value, digits);
    match text.split_once('.') {
        Some((whole, rest)) => {
            let rest = rest.trim_end_matches('0');
            format!("{whole}.{rest:0<2}")
        }
        None => text,
    }
}

/// A value at a mark of an axis whose marks are `apart`, short: `1.5 M`, `20,000`, `0.25`.
pub(super) fn mark(value: f64, apart: f64) -> String {
    let (unit, name) = if value.abs() >= 1e15 {
        return if value.is_finite() { format!("{value:.1e}") } else { NONE.to_owned() };
    } else if value.abs().max(apart) >= 1e9 {
        (1e9, " B")
    } else if value.abs().max(apart) >= 1e6 {
        (1e6, " M")
    } else {
        (1.0, "")
    };
    let text = number(value / unit, digits_for(apart / unit));
    if text == "0" { text } else { format!("{text}{name}") }
}

/// A fraction at a mark, as percent.
pub(super) fn percent_mark(value: f64, apart: f64) -> String {
    format!("{} %", number(value * 100.0, digits_for(apart * 100.0)))
}

/// Decimals that tell two values apart.
fn digits_for(apart: f64) -> usize {
    if !(apart.is_finite() && apart > 0.0) {
        return 2;
    }
    // Marks are 1, 2 or 5 times a power of ten.
    (0..9)
        .find(|digits| {
            let scaled = apart * 10_f64.powi(*digits);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.max(1.0) && scaled >= 0.999
        })
        .and_then(|digits| usize::try_from(digits).ok())
        .unwrap_or(8)
}

/// A length of time in the unit that fits, two significant digits at least: `12 ms`, `45 s`, `12 min`, `3.5 h`, `12 d`.
pub(super) fn duration(secs: f64) -> String {
    if !secs.is_finite() {
        return NONE.to_owned();
    }
    let (unit, name) = match secs.abs() {
        part if part >= 1.0 || part <= 0.0 => long_unit(secs),
        part if part >= 1e-3 => (1e-3, "ms"),
        _ => (1e-6, "µs"),
    };
    let value = secs / unit;
    let digits = usize::from(value < 10.0 && (value - value.round()).abs() > 0.05);
    format!("{} {name}", number(value, digits))
}

/// The unit that a length of a second or more is told in, seconds, and its name.
fn long_unit(secs: f64) -> (f64, &'static str) {
    [(86_400.0, "d"), (3_600.0, "h"), (60.0, "min")]
        .into_iter()
        .find(|(unit, _)| secs >= 2.0 * unit)
        .unwrap_or((1.0, "s"))
}

/// Text as it may stand between tags and in quoted attributes. Characters that XML forbids become the replacement mark.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            '\r' => {}
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_and_signed() {
        assert_eq!(number(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(number(-999.4, 0), "−999");
        assert_eq!(number(-0.001, 2), "0.00");
        assert_eq!((signed(12.0, 1), signed(-12.0, 1), signed(0.0, 1)), ("+12.0".into(), "−12.0".into(), "0.0".into()));
        assert_eq!(percent(0.1234, 1), "12.3 %");
        assert_eq!(
            (price(30_123.456).as_str(), price(0.000_123_4).as_str(), price(2.5).as_str()),
            ("30,123.46", "0.0001234", "2.50")
        );
        assert_eq!(
            (duration(45.0), duration(12_600.0), duration(864_000.0)),
            ("45 s".into(), "3.5 h".into(), "10 d".into())
        );
    }

    #[test]
    fn what_is_small_is_not_called_nothing() {
        for (value, text) in
            [(12.34, "12.3"), (0.0, "0.0"), (0.996, "1.0"), (0.38, "0.38"), (0.0021, "0.0021"), (-0.04, "−0.040")]
        {
            assert_eq!(small(value), text);
        }
        for (secs, text) in [(0.0, "0 s"), (0.25, "250 ms"), (0.0015, "1.5 ms"), (0.000_012, "12 µs"), (1.5, "1.5 s")]
        {
            assert_eq!(duration(secs), text);
        }
    }

    #[test]
    fn marks_are_short_and_tell_apart() {
        assert_eq!((mark(1_500_000.0, 500_000.0), mark(20_000.0, 5_000.0)), ("1.5 M".into(), "20,000".into()));
        assert_eq!(
            (mark(0.25, 0.05), mark(0.0, 1e6), percent_mark(-0.125, 0.025)),
            ("0.25".into(), "0".into(), "−12.5 %".into())
        );
    }

    #[test]
    fn what_is_not_a_number_is_a_dash() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for text in
                [number(value, 2), signed(value, 2), percent(value, 1), price(value), duration(value), mark(value, 1.0)]
            {
                assert_eq!(text, NONE);
            }
        }
    }

    #[test]
    fn text_from_outside_cannot_leave_its_place() {
        assert_eq!(escape("<script>\"'&\u{0}\r\n"), "&lt;script&gt;&quot;&#39;&amp;\u{fffd}\n");
    }
}
