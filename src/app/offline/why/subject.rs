//! What a person asks about.

use std::fmt;

use levibot_core::domain::{OrderId, Symbol, Ts};

/// Characters after `lb-` from which on the beginning of an order's id is taken.
const BEGINNING_MIN: usize = 6;

/// A question, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// The order whose id begins with this.
    Order(String),
    /// A trade of the venue by its number, of one symbol where it is named.
    Trade(Option<Symbol>, u64),
    /// The decision on the bar of a symbol that closed then.
    Decision(Symbol, Ts),
    /// A record by its number.
    Record(u64),
    /// The latest decision of a symbol.
    Latest(Symbol),
}

/// Text that asks about nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{text}` names nothing that could be explained{}: name an order by its id or its beginning (lb-6xk2qa), a trade of \
     the venue (BTCUSDT/4711, or 4711), a decision (BTCUSDT@2022-06-14T12:00Z, the close of its bar), a record (#1234, in \
     quotes), or a symbol (BTCUSDT: its latest decision)",
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
)]
pub struct SubjectError {
    text: String,
    hint: Option<&'static str>,
}

impl Subject {
    /// Reads what was asked.
    ///
    /// # Errors
    /// [`SubjectError`] with examples.
    pub(super) fn parse(text: &str) -> Result<Self, SubjectError> {
        let fail = |hint| SubjectError { text: text.to_owned(), hint };
        let text = text.trim();
        if let Some(rest) = text.strip_prefix(OrderId::PREFIX) {
            text.parse::<OrderId>().map_err(|_| fail(Some("an id holds lower-case letters and digits")))?;
            let short = rest.len() < BEGINNING_MIN;
            return if short {
                Err(fail(Some("at least 6 characters after lb-")))
            } else {
                Ok(Self::Order(text.to_owned()))
            };
        }
        let symbol = |name: &str| name.to_ascii_uppercase().parse::<Symbol>().ok();
        if let Some(number) = text.strip_prefix('#') {
            let number = number.parse().ok().filter(|number| *number > 0);
            return number.map(Self::Record).ok_or_else(|| fail(Some("a record's number is 1 or more")));
        }
        if let Some((name, time)) = text.split_once('@') {
            let symbol = symbol(name).ok_or_else(|| fail(Some("the symbol before @ cannot be")))?;
            let nanos = time.parse::<i64>().ok().map(Ts::from_nanos);
            let bar =
                nanos.or_else(|| time.parse().ok()).ok_or_else(|| fail(Some("the time after @ cannot be read")))?;
            return Ok(Self::Decision(symbol, bar));
        }
        if let Some((name, number)) = text.split_once('/') {
            let symbol = symbol(name).ok_or_else(|| fail(Some("the symbol before / cannot be")))?;
            let number = number.parse().map_err(|_| fail(Some("the trade's number after / cannot be read")))?;
            return Ok(Self::Trade(Some(symbol), number));
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Trade(None, number));
        }
        symbol(text).map(Self::Latest).ok_or_else(|| fail(None))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(beginning) => write!(f, "order whose id begins with {beginning}"),
            Self::Trade(Some(symbol), number) => write!(f, "trade {number} of {symbol}"),
            Self::Trade(None, number) => write!(f, "trade {number} of any symbol"),
            Self::Decision(symbol, bar) => write!(f, "decision of {symbol} on the bar that closed at {bar}"),
            Self::Record(number) => write!(f, "record {number}"),
            Self::Latest(symbol) => write!(f, "decision of {symbol}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_asking_is_understood() {
        let symbol = "BTCUSDT".parse().unwrap();
        let noon = Ts::from_secs(1_655_208_000);
        for (text, subject) in [
            ("lb-6xk2qa", Subject::Order("lb-6xk2qa".to_owned())),
            ("BTCUSDT/4711", Subject::Trade(Some(symbol), 4_711)),
            ("18446744073709551615", Subject::Trade(None, u64::MAX)),
            ("BTCUSDT@2022-06-14T12:00Z", Subject::Decision(symbol, noon)),
            ("btcusdt@2022-06-14 12:00", Subject::Decision(symbol, noon)),
            ("BTCUSDT@1655208000000000000", Subject::Decision(symbol, noon)),
            ("#1234", Subject::Record(1_234)),
            (" btcusdt ", Subject::Latest(symbol)),
        ] {
            assert_eq!(Subject::parse(text), Ok(subject), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_examples() {
        for (text, word) in [
            ("lb-6xk2", "at least 6"),
            ("lb-6XK2QA", "lower-case"),
            ("#0", "1 or more"),
            ("#x", "1 or more"),
            ("BTCUSDT@noon", "after @"),
            ("@2022-06-14", "before @"),
            ("BTCUSDT/x", "after /"),
            ("", "names nothing"),
            ("a b", "names nothing"),
        ] {
            let error = Subject::parse(text).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("BTCUSDT@2022-06-14T12:00Z"), "{text}: {error}");
        }
    }
}
