//! Training, validation and test by time.

use std::fmt;

use levibot_core::domain::{Span, Ts};
use serde::Serialize;

use super::{DatasetError, Sample, Table};
use crate::settings::SplitSettings;

/// A part of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What members learn from.
    Training,
    /// What early stopping, calibration and weights are chosen on.
    Validation,
    /// What figures are computed on, and nothing else.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "the training part",
            Self::Validation => "the validation part",
            Self::Test => "the test part",
        })
    }
}

/// Bars that became no sample of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Dropped {
    /// Their outcome is not known: the data end before it, or hold a gap in it.
    pub unresolved: usize,
    /// Their outcome reaches to or over the next border.
    pub purged: usize,
    /// They lie right after a border.
    pub embargoed: usize,
}

/// Samples in three parts. No bar that decides an outcome of one part closes at or after the border to the next, and no
/// sample of the next closes before that border and its embargo (purged and embargoed split, Lopez de Prado 2018,
/// ch. 7.4). Samples are in the order of time, those of one instant in symbol order; those whose move earns nobody anything
/// (`label` is `None`) are among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// What members learn from.
    pub training: Vec<Sample>,
    /// What early stopping, calibration and weights are chosen on.
    pub validation: Vec<Sample>,
    /// What figures are computed on.
    pub test: Vec<Sample>,
    /// What is in none of them, of the bars from each series' `first` on.
    pub dropped: Dropped,
    /// Close of the first sample of all.
    pub first: Ts,
    /// Border of training: its outcomes are all decided before it.
    pub train_end: Ts,
    /// Border of validation: its outcomes are all decided before it.
    pub validation_end: Ts,
    /// Close of the last sample of all.
    pub last: Ts,
    /// When the last outcome among training and validation was decided: what a version has learnt from.
    pub trained_through: Ts,
}

impl Split {
    /// Divides the time from the first sample's close to the last one's by the shares of `settings`.
    ///
    /// # Errors
    /// [`DatasetError::EmptyPart`] and, of training and validation, [`DatasetError::OneClass`].
    pub fn new(table: &Table, settings: &SplitSettings) -> Result<Self, DatasetError> {
        let all = Samples::of(table)?;
        let validation = all.at(1.0 - settings.validation - settings.test, all.last);
        let test = all.at(1.0 - settings.test, all.last);
        all.divide(table, validation, test, settings.embargo_bars)
    }

    /// The test part begins with the first close at or after `test_from`; time before it goes to training and validation in
    /// the ratio of `settings`. Here the embargo lies before `test_from`, so that no day of the test is lost.
    ///
    /// # Errors
    /// As [`Split::new`].
    pub fn with_test_from(table: &Table, settings: &SplitSettings, test_from: Ts) -> Result<Self, DatasetError> {
        let all = Samples::of(table)?;
        let test = test_from - embargo(table, settings.embargo_bars);
        let validation = all.at(1.0 - settings.validation / (1.0 - settings.test), test);
        all.divide(table, validation, test, settings.embargo_bars)
    }

    /// The samples of a part.
    pub fn part(&self, part: Part) -> &[Sample] {
        match part {
            Part::Training => &self.training,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

fn embargo(table: &Table, bars: u32) -> Span {
    table.timeframe.span().times(i64::from(bars))
}

/// All samples with an outcome, in order.
struct Samples {
    /// Close, when it resolves, which.
    all: Vec<(Ts, Ts, Sample)>,
    unresolved: usize,
    first: Ts,
    last: Ts,
}

impl Samples {
    fn of(table: &Table) -> Result<Self, DatasetError> {
        let (mut all, mut unresolved) = (Vec::new(), 0);
        for (series, number) in table.series.iter().zip(0..) {
            for (at, bar) in (0..).zip(&series.bars).skip(series.first) {
                let sample = Sample { series: number, at };
                match table.outcome(sample) {
                    Some(outcome) => all.push((bar.close_ts(table.timeframe), outcome.resolves, sample)),
                    None => unresolved += 1,
                }
            }
        }
        all.sort_unstable_by_key(|(close, _, sample)| (*close, *sample));
        let span = all.first().zip(all.last()).map(|(first, last)| (first.0, last.0));
        let Some((first, last)) = span else {
            return Err(DatasetError::EmptyPart { part: Part::Training, from: Ts::EPOCH, to: Ts::EPOCH });
        };
        Ok(Self { all, unresolved, first, last })
    }

    /// The instant at a share of the time from the first sample to `end`.
    #[expect(clippy::cast_possible_truncation, reason = "a share of a span that fits")]
    fn at(&self, share: f64, end: Ts) -> Ts {
        self.first + Span::from_nanos(((end - self.first).nanos() as f64 * share.clamp(0.0, 1.0)) as i64)
    }

    fn divide(self, table: &Table, train_end: Ts, validation_end: Ts, bars: u32) -> Result<Split, DatasetError> {
        let embargo = embargo(table, bars);
        let mut split = Split {
            training: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
            dropped: Dropped { unresolved: self.unresolved, ..Dropped::default() },
            first: self.first,
            train_end,
            validation_end,
            last: self.last,
            trained_through: self.first,
        };
        for (close, resolves, sample) in &self.all {
            let (part, begin, end) = if *close < train_end {
                (&mut split.training, None, train_end)
            } else if *close < validation_end {
                (&mut split.validation, Some(train_end), validation_end)
            } else {
                (&mut split.test, Some(validation_end), Ts::MAX)
            };
            if begin.is_some_and(|begin| *close < begin + embargo) {
                split.dropped.embargoed += 1;
            } else if *resolves >= end {
                split.dropped.purged += 1;
            } else {
                part.push(*sample);
                if end < Ts::MAX {
                    split.trained_through = split.trained_through.max(*resolves);
                }
            }
        }
        split.check(table)
    }
}

impl Split {
    fn check(self, table: &Table) -> Result<Self, DatasetError> {
        for part in [Part::Training, Part::Validation, Part::Test] {
            let samples = self.part(part);
            if samples.is_empty() {
                return Err(DatasetError::EmptyPart { part, from: self.first, to: self.last });
            }
            let labels = || samples.iter().filter_map(|sample| table.outcome(*sample)?.label);
            let (ups, downs) = (labels().filter(|up| *up).count(), labels().filter(|up| !*up).count());
            if part != Part::Test && (ups == 0 || downs == 0) {
                return Err(DatasetError::OneClass { part, ups, downs });
            }
        }
        Ok(self)
    }
}
