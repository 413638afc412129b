//! Several alerts in one sentence.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Topic;
use crate::domain::{Span, Symbol};

/// Symbols named in one message; the others are counted.
const NAMED_MAX: usize = 12;

/// What was gathered of one topic, to be put into words.
pub(super) struct Gathered<'a> {
    pub(super) topic: Topic,
    /// How many alerts of each symbol; `None`: of no symbol.
    pub(super) counts: &'a BTreeMap<Option<Symbol>, u64>,
    /// Alerts of symbols that are not counted one by one.
    pub(super) others: u64,
    /// Since the first of them.
    pub(super) within: Span,
    pub(super) first: &'a str,
    pub(super) last: &'a str,
}

impl Gathered<'_> {
    pub(super) fn count(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.others
    }

    pub(super) fn words(&self) -> String {
        if self.count() == 1 {
            return self.last.to_owned();
        }
        let mut text = self.head();
        if self.first == self.last {
            let _ = write!(text, "; first and last: {}", self.last);
        } else {
            let _ = write!(text, "; first: {}; last: {}", self.first, self.last);
        }
        text
    }

    /// How many of whom.
    fn head(&self) -> String {
        let (count, within) = (self.count(), seconds(self.within));
        if self.others == 0
            && let Some((symbol, _)) = self.counts.first_key_value().filter(|_| self.counts.len() == 1)
        {
            let (what, of) = (name(self.topic), symbol.map(|symbol| format!(" of {symbol}")).unwrap_or_default());
            return format!("{count} alerts{of} ({what}) in the last {within}");
        }
        let symbols = match self.counts.keys().flatten().count() {
            n if self.others > 0 => format!("more than {n} symbols"),
            1 => "1 symbol".to_owned(),
            n => format!("{n} symbols"),
        };
        let mut text = match self.topic {
            Topic::EngineCrash => format!("engines of {symbols} crashed {count} times in the last {within}: "),
            topic => format!("{count} alerts ({}) of {symbols} in the last {within}: ", name(topic)),
        };
        text.push_str(&self.names());
        text
    }

    /// The symbols with the most alerts, in that order.
    fn names(&self) -> String {
        let mut counts: Vec<(Option<Symbol>, u64)> = self.counts.iter().map(|(symbol, n)| (*symbol, *n)).collect();
        counts.sort_by_key(|(symbol, n)| (std::cmp::Reverse(*n), *symbol));
        let rest: u64 = counts.iter().skip(NAMED_MAX).map(|(_, n)| n).sum::<u64>() + self.others;
        let named = counts.iter().take(NAMED_MAX).map(|(symbol, n)| match symbol {
            Some(symbol) => format!("{symbol} {n}"),
            None => format!("no symbol {n}"),
        });
        let mut names = named.collect::<Vec<_>>().join(", ");
        if rest > 0 {
            let _ = write!(names, ", others {rest}");
        }
        names
    }
}

/// What people call it.
const fn name(topic: Topic) -> &'static str {
    match topic {
        Topic::EngineCrash => "engine crashed",
        Topic::EngineQuarantine => "engine quarantined",
        Topic::Model => "model",
        Topic::Venue => "venue",
        Topic::Account => "account",
        Topic::Store => "SQL tables",
        Topic::Journal => "journal",
        Topic::Retrain => "nightly training",
        Topic::Configuration => "configuration",
        Topic::Alerts => "alerts",
        Topic::Market => "market data",
    }
}

/// Whole seconds, at least one.
fn seconds(span: Span) -> String {
    format!("{} s", ((span.nanos() + 500_000_000) / 1_000_000_000).max(1))
}
