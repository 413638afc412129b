//! What a daemon must still know after it was killed.

use std::collections::BTreeMap;

use levibot_core::domain::{Symbol, Ts};
use rust_decimal::Decimal;

use crate::control::StatusView;

/// What a journal holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Journaled {
    /// Its last record.
    pub(super) seq: u64,
    /// Every fill in its order: whose, the venue's number of it and when.
    pub(super) fills: Vec<(Symbol, u64, Ts)>,
    /// Positions as the fills add up to them, without those that are flat.
    pub(super) positions: BTreeMap<Symbol, Decimal>,
}

/// What a daemon showed before it was killed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The last record that it called durable.
    pub(super) journal_seq: u64,
    /// When each symbol was filled last.
    pub(super) filled: BTreeMap<Symbol, Ts>,
}

impl From<&StatusView> for Shown {
    fn from(status: &StatusView) -> Self {
        let filled = status.account.symbols.iter().filter_map(|s| Some((s.symbol, s.last_trade?)));
        Self { journal_seq: status.journal_seq, filled: filled.collect() }
    }
}

/// What is missing: in the journal of the daemon that was killed, of what it had shown; and in that of the next one, of
/// what its predecessor left behind.
pub(super) fn lost(shown: &Shown, left: &Journaled, after: &Journaled) -> Vec<String> {
    let mut lost = Vec::new();
    if left.seq < shown.journal_seq {
        lost.push(format!("record {} was shown as durable, and {} was the last on disk", shown.journal_seq, left.seq));
    }
    for (symbol, ts) in &shown.filled {
        if !left.fills.iter().any(|(of, _, at)| of == symbol && at >= ts) {
            lost.push(format!("the fill of {symbol} at {ts} was shown and is not on record"));
        }
    }
    if after.seq < left.seq {
        lost.push(format!("the journal went back from record {} to {}", left.seq, after.seq));
    }
    let differ = left.fills.iter().enumerate().find(|(n, fill)| after.fills.get(*n) != Some(*fill));
    if let Some((n, (symbol, trade, _))) = differ {
        let (had, has) = (left.fills.len(), after.fills.len());
        lost.push(format!("fill {} of {had}, trade {trade} of {symbol}, is not among the {has} afterwards", n + 1));
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journaled(seq: u64, trades: &[u64]) -> Journaled {
        let symbol = "BTCUSDT".parse().unwrap();
        let fill = |trade: &u64| (symbol, *trade, Ts::from_secs(i64::try_from(*trade).unwrap()));
        Journaled { seq, fills: trades.iter().map(fill).collect(), positions: BTreeMap::new() }
    }

    #[test]
    fn every_fill_that_was_shown_or_on_record_must_still_be_there() {
        let shown = |journal_seq, at| {
            let filled = [("BTCUSDT".parse().unwrap(), Ts::from_secs(at))];
            Shown { journal_seq, filled: filled.into() }
        };
        let left = journaled(9, &[1, 2]);
        let none: Vec<String> = Vec::new();
        assert_eq!(lost(&shown(9, 2), &left, &left), none);
        assert_eq!(lost(&shown(5, 1), &left, &journaled(12, &[1, 2, 3])), none);
        assert_eq!(lost(&Shown::default(), &Journaled::default(), &left), none);
        for (shown, after, words) in [
            (shown(10, 2), journaled(12, &[1, 2]), "record 10 was shown as durable"),
            (shown(9, 3), journaled(12, &[1, 2, 3]), "was shown and is not on record"),
            (shown(9, 2), journaled(8, &[1, 2]), "went back from record 9 to 8"),
            (shown(9, 2), journaled(12, &[1]), "fill 2 of 2, trade 2 of BTCUSDT, is not among the 1 afterwards"),
            (shown(9, 2), journaled(12, &[2, 3]), "fill 1 of 2"),
            (shown(9, 2), journaled(12, &[]), "among the 0 afterwards"),
        ] {
            let lost = lost(&shown, &left, &after);
            assert!(lost.len() == 1 && lost[0].contains(words), "{lost:?} lacks `{words}`");
        }
    }
}
