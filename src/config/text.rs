//! Text in: files, and the values that are written as text.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use levibot_core::domain::ts::ParseTsError;
use levibot_core::domain::{Span, Ts};
use serde::de::{self, DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer};

use super::ConfigError;

/// More than this is no configuration.
const BYTES_MAX: u64 = 4 << 20;

/// The file that shows every key.
pub(super) const EXAMPLE: &str = "config/levibot.toml";

/// The files without which the default cannot start, as they were when the binary was built.
const EMBEDDED: [(&str, &str); 11] = [
    (EXAMPLE, include_str!("../../config/levibot.toml")),
    ("config/ensemble.yaml", include_str!("../../config/ensemble.yaml")),
    ("config/training-quick.toml", include_str!("../../config/training-quick.toml")),
    ("config/symbols/binance.toml", include_str!("../../config/symbols/binance.toml")),
    ("policies/risk.yaml", include_str!("../../policies/risk.yaml")),
    ("policies/strategies/fusion.yaml", include_str!("../../policies/strategies/fusion.yaml")),
    ("policies/strategies/fusion_hourly.yaml", include_str!("../../policies/strategies/fusion_hourly.yaml")),
    ("policies/strategies/ema_cross.yaml", include_str!("../../policies/strategies/ema_cross.yaml")),
    ("policies/strategies/ema_cross_guarded.yaml", include_str!("../../policies/strategies/ema_cross_guarded.yaml")),
    ("policies/strategies/breakout.yaml", include_str!("../../policies/strategies/breakout.yaml")),
    ("policies/strategies/mean_reversion.yaml", include_str!("../../policies/strategies/mean_reversion.yaml")),
];

/// Where files are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    /// On disk only.
    Disk,
    /// On disk; one that is not there, among the embedded ones.
    DiskThenEmbedded,
}

impl Shelf {
    /// The text of a file that `key` named: UTF-8 without a byte order mark, not empty, at most 4 MiB.
    pub(super) fn read(self, path: &Path, key: &str) -> Result<String, ConfigError> {
        if self == Self::DiskThenEmbedded
            && !path.exists()
            && let Some(text) = embedded(path)
        {
            return Ok(text.to_owned());
        }
        let bytes = read_bytes(path).map_err(|source| ConfigError::Read {
            file: path.to_owned(),
            key: key.to_owned(),
            source,
        })?;
        text_of(bytes).map_err(|(reason, remedy)| ConfigError::Text {
            file: path.to_owned(),
            key: key.to_owned(),
            reason,
            remedy,
        })
    }
}

/// The text of a file as it was when the binary was built.
pub(super) fn embedded(path: &Path) -> Option<&'static str> {
    EMBEDDED.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| *text)
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // A pipe or a device could block or never end.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text_of(bytes: Vec<u8>) -> Result<String, (String, &'static str)> {
    if bytes.len() as u64 > BYTES_MAX {
        return Err(("is larger than 4 MiB".to_owned(), "name the right file"));
    }
    if [&b"\xEF\xBB\xBF"[..], b"\xFF\xFE", b"\xFE\xFF"].iter().any(|mark| bytes.starts_with(mark)) {
        return Err(("begins with a byte order mark".to_owned(), "save it as UTF-8 without a byte order mark"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        (format!("is not UTF-8 at line {line}"), "save it as UTF-8 text")
    })?;
    if text.trim().is_empty() {
        return Err(("is empty".to_owned(), "restore it or name the right file"));
    }
    Ok(text)
}

/// Reads TOML, keeping what the parser says about line and column.
pub(super) fn toml_of<T: DeserializeOwned>(
    text: &str,
    path: &Path,
    key: &str,
    example: &'static str,
) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Toml {
        file: path.to_owned(),
        key: key.to_owned(),
        text: masked(error.to_string().trim_end()),
        example,
    })
}

/// What a parser says of a file, which quotes its lines, without the rest of any address: that of the Slack webhook is a
/// secret wherever it was put, and what is wrong with a file goes to logs, alerts and the journal.
pub(super) fn masked(text: &str) -> String {
    let begins = |text: &str| ["://", "/services/"].iter().filter_map(|mark| Some(text.find(mark)? + mark.len())).min();
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = begins(rest) {
        let (before, after) = rest.split_at(at);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`');
        let (hidden, tail) = after.split_at(after.find(ends).unwrap_or(after.len()));
        shown.push_str(before);
        shown.push_str(if hidden.is_empty() { "" } else { "..." });
        rest = tail;
    }
    shown + rest
}

/// Reads the end of a range. A date alone means the end of that day, which is therefore inside: `2022-12-31` is
/// 2023-01-01T00:00:00Z, the instant at which the last bar of the day closes. Anything else is read as [`Ts`] reads it.
///
/// # Errors
/// [`ParseTsError`] when the text is no time.
pub fn parse_to(text: &str) -> Result<Ts, ParseTsError> {
    Ts::parse_end(text)
}

/// A length of time as text with its unit, such as `50ms`, `5s`, `1m 30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpanText(pub(super) Span);

impl<'de> Deserialize<'de> for SpanText {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = SpanText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a length of time in quotes with its unit, such as \"50ms\", \"5s\" or \"1m\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SpanText, E> {
                let fail = || E::invalid_value(de::Unexpected::Str(text), &self);
                let length = humantime::parse_duration(text).map_err(|_| fail())?;
                let nanos = i64::try_from(length.as_nanos()).map_err(|_| fail())?;
                Ok(SpanText(Span::from_nanos(nanos)))
            }
        }
        d.deserialize_any(Text)
    }
}

/// A span as text with units; a negative one, which no file can give, as zero.
pub(super) fn span_text(span: Span) -> String {
    humantime::format_duration(Duration::from_nanos(u64::try_from(span.nanos()).unwrap_or(0))).to_string()
}

/// An instant as text; as the end of a range by [`EndText`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TsText(pub(super) Ts);

/// The end of a range as text, read by [`parse_to`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndText(pub(super) Ts);

impl<'de> Deserialize<'de> for TsText {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        time_text(d, str::parse).map(Self)
    }
}

impl<'de> Deserialize<'de> for EndText {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        time_text(d, parse_to).map(Self)
    }
}

fn time_text<'de, D: Deserializer<'de>>(d: D, parse: fn(&str) -> Result<Ts, ParseTsError>) -> Result<Ts, D::Error> {
    struct Text(fn(&str) -> Result<Ts, ParseTsError>);
    impl Visitor<'_> for Text {
        type Value = Ts;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time in quotes, such as \"2022-06-01\" or \"2022-06-01T13:30:00Z\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Ts, E> {
            (self.0)(text).map_err(E::custom)
        }
    }
    d.deserialize_any(Text(parse))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_range_takes_a_date_whole() {
        let to = |text| parse_to(text).unwrap().to_string();
        assert_eq!(to("2022-12-31"), "2023-01-01T00:00:00Z");
        assert_eq!(to("2022-12-31T00:00:00Z"), "2022-12-31T00:00:00Z");
        assert_eq!(to("2022-12-31 12:00:00"), "2022-12-31T12:00:00Z");
        assert!(parse_to("soon").unwrap_err().to_string().contains("write 2022-06-01"));
    }

    #[test]
    fn addresses_are_masked_and_nothing_else_is() {
        for (text, wanted) in [
            ("a = \"https://h/s3cr3t\" # b", "a = \"https://...\" # b"),
            ("https://h/services/s3cr3t\n 'http://s3cr3t'", "https://...\n 'http://...'"),
            ("hooks.slack.com/services/s3cr3t", "hooks.slack.com/services/..."),
            ("no :// address", "no :// address"),
            ("://", "://"),
            ("", ""),
        ] {
            assert_eq!(masked(text), wanted);
        }
    }

    #[test]
    fn what_is_not_text_is_told_apart() {
        for (bytes, wanted) in [
            (&b"\xEF\xBB\xBFa = 1"[..], "byte order mark"),
            (b"\xFF\xFEa", "byte order mark"),
            (b"a = 1\nb = \"\xE9\"", "not UTF-8 at line 2"),
            (b" \n\t\n", "empty"),
        ] {
            let (reason, _) = text_of(bytes.to_vec()).unwrap_err();
            assert!(reason.contains(wanted), "{reason}");
        }
        assert!(text_of(vec![b'a'; usize::try_from(BYTES_MAX + 1).unwrap()]).is_err());
    }
}
