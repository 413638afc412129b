//! Funding at the paper venue: which rate is due when.

use super::setup::PaperSetupError;
use crate::domain::{Funding, FundingRates, Ts};

/// The most that a constant rate can be either way. More is a mistaken unit.
const CONSTANT_MAX: f64 = 0.01;

/// Checks a constant rate.
pub(super) fn constant(value: f64) -> Result<f64, PaperSetupError> {
    if !(-CONSTANT_MAX..=CONSTANT_MAX).contains(&value) {
        let reason = "it must lie between -0.01 and 0.01";
        let remedy = "write a fraction of notional for every 8 hours (0.0001 is 0.01 %)";
        return Err(PaperSetupError { key: "funding", value: value.to_string(), reason, remedy });
    }
    Ok(value)
}

/// What one instrument still has to pay.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    rates: Rates,
    /// Everything up to here was seen to; `None` before anything is known.
    seen: Option<Ts>,
    /// The next instant at which something is due: the end of time where nothing is.
    due: Ts,
}

#[derive(Debug, Clone)]
enum Rates {
    Constant(f64),
    /// Those on file, and which one is next.
    Past(FundingRates, usize),
}

impl Schedule {
    pub(super) fn constant(rate: f64) -> Self {
        let mut schedule = Self { rates: Rates::Constant(rate), seen: None, due: Ts::MAX };
        schedule.aim();
        schedule
    }

    /// Takes rates of the past in place of what was there. What was seen to stays so.
    pub(super) fn follow(&mut self, rates: FundingRates) {
        self.rates = Rates::Past(rates, 0);
        self.aim();
    }

    /// Whether something may be due at `now`.
    pub(super) const fn is_due(&self, now: Ts) -> bool {
        now.nanos() >= self.due.nanos()
    }

    /// The next instant at which something may be due.
    pub(super) const fn due(&self) -> Ts {
        self.due
    }

    /// Up to and with `ts` nothing is due any more.
    pub(super) fn pass(&mut self, ts: Ts) {
        if self.seen.is_none_or(|seen| seen < ts) {
            self.seen = Some(ts);
            self.aim();
        }
    }

    /// The first market data: nothing is held before, and nothing due.
    pub(super) fn begin(&mut self, ts: Ts) {
        if self.seen.is_none() {
            self.pass(ts);
        }
    }

    /// The next instant up to `until` and its rate, which counts as seen to.
    pub(super) fn next(&mut self, until: Ts) -> Option<(Ts, f64)> {
        self.seen.filter(|_| self.is_due(until))?;
        let rate = match &self.rates {
            Rates::Constant(rate) => *rate,
            Rates::Past(rates, at) => rates.rows().get(*at)?.1,
        };
        let ts = self.due;
        self.pass(ts);
        Some((ts, rate))
    }

    fn aim(&mut self) {
        let next = match (&mut self.rates, self.seen) {
            (Rates::Constant(0.0), _) => None,
            (Rates::Constant(_), Some(seen)) => Some(Funding::next(seen)),
            (Rates::Past(rates, at), Some(seen)) => {
                *at = rates.rows().partition_point(|(ts, _)| *ts <= seen);
                rates.rows().get(*at).map(|(ts, _)| *ts)
            }
            // The first market data say from when on.
            (_, None) => Some(Ts::from_nanos(i64::MIN)),
        };
        self.due = next.unwrap_or(Ts::MAX);
    }
}
