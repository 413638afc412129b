//! Rows in the order of their times.

use crate::domain::{Bar, Ts};

use super::RowFault;

/// Lines of rows that were kept, told by where they do not follow each other.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Place of a row, and its line.
    runs: Vec<(usize, u64)>,
}

impl Lines {
    /// The row at `at`, the one after the last, stands on this line.
    pub(super) fn push(&mut self, at: usize, line: u64) {
        let follows = self.runs.last().is_some_and(|(from, first)| line == first + (at - from) as u64);
        if !follows {
            self.runs.push((at, line));
        }
    }

    /// The line of a row.
    pub(super) fn of(&self, at: usize) -> u64 {
        let run = self.runs.partition_point(|(from, _)| *from <= at).checked_sub(1).and_then(|run| self.runs.get(run));
        run.map_or(0, |(from, first)| first + (at - from) as u64)
    }
}

/// Rows in the order of time, and what was left out for it.
#[derive(Debug, PartialEq)]
pub(super) struct Ordered {
    /// Strictly ascending.
    pub(super) bars: Vec<Bar>,
    /// Whether the rows went from new to old.
    pub(super) is_reversed: bool,
    /// Rows left out, by their places in the file, in the order of time, each with its reason.
    pub(super) left_out: Vec<(usize, RowFault)>,
    /// Place of the first kept bar in the file.
    pub(super) first: usize,
}

/// Brings the rows of a file into the order of time. Rows from new to old are turned round. Of rows that are out of order the
/// fewest are left out: so one stamp in the far future costs its own row, not all that come after it. Of rows of one time
/// the first stays.
pub(super) fn ordered(mut bars: Vec<Bar>) -> Ordered {
    if bars.is_sorted_by(|a, b| a.open_ts < b.open_ts) {
        return Ordered { bars, is_reversed: false, left_out: Vec::new(), first: 0 };
    }
    let steps = |falls: bool| bars.windows(2).filter(|pair| (pair[1].open_ts < pair[0].open_ts) == falls).count();
    let is_reversed = steps(true) > steps(false);
    if is_reversed {
        bars.reverse();
    }
    let kept = longest_ascent(&bars);
    let count = bars.len();
    let place = |at: usize| if is_reversed { count - 1 - at } else { at };
    let mut chosen = kept.iter().copied().peekable();
    let (mut last, mut left_out) = (None, Vec::new());
    for (at, bar) in bars.iter().enumerate() {
        if chosen.next_if_eq(&at).is_some() {
            last = Some(bar.open_ts);
        } else {
            let fault = if last == Some(bar.open_ts) { RowFault::Duplicate } else { RowFault::OutOfOrder };
            left_out.push((place(at), fault));
        }
    }
    let first = kept.first().copied().map_or(0, place);
    let bars = kept.iter().filter_map(|at| bars.get(*at).copied()).collect();
    Ordered { bars, is_reversed, left_out, first }
}

/// Places of the most bars whose times ascend strictly (patience sorting; Fredman 1975): `n log n` steps. Of several choices it
/// is one whose last time is the earliest.
fn longest_ascent(bars: &[Bar]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    // For each length the earliest last time of an ascent so long, and where it stands.
    let mut ends: Vec<(Ts, usize)> = Vec::new();
    // The one before each in its ascent.
    let mut before = vec![NONE; bars.len()];
    for (at, bar) in bars.iter().enumerate() {
        let length = ends.partition_point(|(ts, _)| *ts < bar.open_ts);
        before[at] = length.checked_sub(1).and_then(|shorter| ends.get(shorter)).map_or(NONE, |(_, place)| *place);
        match ends.get_mut(length) {
            // The first of one time stays.
            Some((ts, _)) if *ts == bar.open_ts => {}
            Some(end) => *end = (bar.open_ts, at),
            None => ends.push((bar.open_ts, at)),
        }
    }
    let last = ends.last().map(|(_, at)| *at);
    let mut kept: Vec<usize> =
        std::iter::successors(last, |at| before.get(*at).copied().filter(|before| *before != NONE)).collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(hours: &[i64]) -> Vec<Bar> {
        let bar = |hour: &i64| Bar {
            open_ts: Ts::from_secs(hour * 3_600),
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: 1.0,
        };
        hours.iter().map(bar).collect()
    }

    fn check(hours: &[i64], kept: &[i64], is_reversed: bool, left_out: &[(usize, RowFault)]) {
        let ordered = ordered(at(hours));
        assert_eq!(ordered.bars, at(kept), "{hours:?}");
        assert_eq!((ordered.is_reversed, &*ordered.left_out), (is_reversed, left_out), "{hours:?}");
        assert_eq!(hours.get(ordered.first), kept.first(), "{hours:?}");
    }

    #[test]
    fn a_row_from_the_future_costs_itself_alone() {
        use RowFault::{Duplicate, OutOfOrder};
        check(&[0, 1, 2, 3], &[0, 1, 2, 3], false, &[]);
        check(&[0, 1, 900_000, 2, 3], &[0, 1, 2, 3], false, &[(2, OutOfOrder)]);
        check(&[900_000, 0, 1, 2], &[0, 1, 2], false, &[(0, OutOfOrder)]);
        check(&[0, 1, 900_000, 2], &[0, 1, 2], false, &[(2, OutOfOrder)]);
        check(&[0, 1, 2, 1, 3], &[0, 1, 2, 3], false, &[(3, OutOfOrder)]);
        check(&[0, 1, 1, 2], &[0, 1, 2], false, &[(2, Duplicate)]);
    }

    #[test]
    fn rows_from_new_to_old_are_turned_round() {
        use RowFault::{Duplicate, OutOfOrder};
        check(&[1, 0], &[0, 1], true, &[]);
        check(&[3, 2, 1, 0], &[0, 1, 2, 3], true, &[]);
        check(&[5, 4, 900_000, 3, 3, 2], &[2, 3, 4, 5], true, &[(3, Duplicate), (2, OutOfOrder)]);
    }

    #[test]
    fn lines_are_found_again() {
        let mut lines = Lines::default();
        let all = [2, 3, 4, 9, 10, 30];
        for (at, line) in all.into_iter().enumerate() {
            lines.push(at, line);
        }
        assert_eq!(lines.runs.len(), 3);
        assert!(all.into_iter().enumerate().all(|(at, line)| lines.of(at) == line));
    }

    proptest! {
        #[test]
        fn what_stays_ascends_and_with_what_is_left_out_is_all(hours in prop::collection::vec(0..40_i64, 0..60)) {
            let ordered = ordered(at(&hours));
            prop_assert!(ordered.bars.is_sorted_by(|a, b| a.open_ts < b.open_ts));
            prop_assert_eq!(ordered.bars.len() + ordered.left_out.len(), hours.len());
        }

        /// Rows damaged here and there leave all others.
        #[test]
        fn no_good_row_is_lost_to_a_bad_one(bad in prop::collection::btree_map(0..100_usize, 1_000..9_000_i64, 0..20)) {
            let mut hours: Vec<i64> = (0..100).collect();
            for (at, hour) in &bad {
                hours[*at] = *hour;
            }
            let good = (0..100).filter(|hour| !bad.contains_key(&usize::try_from(*hour).unwrap())).count();
            prop_assert!(ordered(at(&hours)).bars.len() >= good);
        }
    }
}
