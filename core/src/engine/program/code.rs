//! What a program does at a bar, as flat lists over one row of values.

use crate::domain::Ts;
use crate::policy::plan::{Binary, RegimeValue, TimeValue, Unary};

/// Place of a value in the row.
pub(super) type Slot = u32;

/// Open, high, low, close and volume of the bar are the first values.
pub(super) const CLOSE: Slot = 3;
/// Always NaN.
pub(super) const UNKNOWN: Slot = 5;
/// Where values go that nobody reads.
pub(super) const NOWHERE: Slot = 6;
/// [`crate::policy::plan::ModelValue`], in the order of its variants.
pub(super) const MODEL: Slot = 7;
/// [`crate::policy::plan::PositionValue`], in the order of its variants.
pub(super) const POSITION: Slot = 9;
/// The first of the others.
pub(super) const FREE: Slot = 13;

/// The row of values. A condition is 1 where it holds, 0 where it does not, and NaN where a value that it needs is not
/// known: not warm yet, or not finite.
#[derive(Debug, Clone)]
pub(super) struct Values {
    slots: Box<[f64]>,
    /// When the bar closed.
    pub(super) closed: Ts,
}

/// What was worked out last is no part of what a program is: it is worked out anew before it is read.
impl PartialEq for Values {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Values {
    pub(super) fn new(slots: Vec<f64>) -> Self {
        Self { slots: slots.into_boxed_slice(), closed: Ts::EPOCH }
    }

    #[inline(always)]
    pub(super) fn get(&self, slot: Slot) -> f64 {
        self.slots.get(slot as usize).copied().unwrap_or(f64::NAN)
    }

    #[inline(always)]
    pub(super) fn set(&mut self, slot: Slot, x: f64) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = x;
        }
    }

    /// The values of the bar, in the order of their slots.
    #[inline(always)]
    pub(super) fn set_bar(&mut self, bar: [f64; 5]) {
        if let Some(head) = self.slots.first_chunk_mut() {
            *head = bar;
        }
    }

    /// Open, high, low, close, volume.
    #[inline]
    pub(super) fn bar(&self) -> [f64; 5] {
        self.slots.first_chunk().copied().unwrap_or([f64::NAN; 5])
    }

    /// Whether a condition holds; one that is not there does not.
    #[inline]
    pub(super) fn holds(&self, slot: Option<Slot>) -> bool {
        slot.is_some_and(|slot| self.get(slot) > 0.5)
    }
}

/// What needs no memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op {
    Time(TimeValue),
    Unary(Unary),
    Binary(Binary),
}

/// One value from at most two others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plain {
    pub(super) op: Op,
    pub(super) a: Slot,
    pub(super) b: Slot,
    pub(super) out: Slot,
}

impl Plain {
    #[inline]
    pub(super) fn run(&self, values: &mut Values) {
        let x = self.op.of(values.get(self.a), values.get(self.b), values.closed);
        values.set(self.out, x);
    }
}

/// Where a memory reads and writes. One with several answers (mean and deviation of one window) writes them side by side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wire {
    /// What is computed where there is no memory.
    pub(super) op: Op,
    pub(super) a: Slot,
    pub(super) b: Slot,
    /// NaN until the memory is warm.
    pub(super) out: [Slot; 3],
    /// The same from the first value on.
    pub(super) early: [Slot; 3],
    /// Whether nothing is entered before it is warm.
    pub(super) is_required: bool,
    /// Whether it hangs on what the model says.
    pub(super) is_of_model: bool,
}

/// A side's conditions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SideCode {
    pub(super) entry: Option<Slot>,
    pub(super) exit: Option<Slot>,
}

/// How large an entry is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SizeCode {
    Account,
    Units(Slot),
    Notional(Slot),
    Equity(Slot),
}

/// A plan, compiled: constants are folded, and each value stands in the list that is run where it is first needed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Code {
    /// Run with each bar.
    pub(super) bar: Box<[Wire]>,
    /// What remembers values of the model or the position: run with each decision.
    pub(super) late: Box<[Wire]>,
    /// Run with each decision.
    pub(super) conditions: Box<[Plain]>,
    /// Run where an entry holds.
    pub(super) filters: Box<[Plain]>,
    /// Run where its filters hold too.
    pub(super) brackets: Box<[Plain]>,
    /// Features: place among those given, bars after which it is defined, slot.
    pub(super) features: Box<[(usize, u32, Slot)]>,
    pub(super) regimes: Box<[(RegimeValue, Slot)]>,
    pub(super) long: SideCode,
    pub(super) short: SideCode,
    pub(super) all_hold: Box<[Slot]>,
    pub(super) stop: Option<Slot>,
    pub(super) target: Option<Slot>,
    pub(super) trailing: Option<Slot>,
    pub(super) time_exit_bars: Option<u32>,
    pub(super) size: SizeCode,
    pub(super) volatility: Slot,
    pub(super) asks_model: bool,
    pub(super) reads_position: bool,
    /// Whether the model, the position or a memory over them must be seen to first.
    pub(super) is_late: bool,
    /// Whether it leaves anything by itself.
    pub(super) has_exits: bool,
    /// Bars after which all that is required is warm.
    pub(super) ready_bars: u32,
    /// Bars after which all is.
    pub(super) warm_bars: u32,
}

const fn condition(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

impl Op {
    #[inline]
    pub(super) fn of(self, a: f64, b: f64, closed: Ts) -> f64 {
        match self {
            Self::Time(value) => time(value, closed),
            Self::Unary(Unary::Negate) => -a,
            Self::Unary(Unary::Abs) => a.abs(),
            Self::Unary(Unary::Not) => 1.0 - a,
            Self::Binary(op) => binary(op, a, b),
        }
    }
}

/// A comparison with a number that is not finite is not known, nor is what follows from it alone (Kleene 1952).
#[inline]
fn binary(op: Binary, a: f64, b: f64) -> f64 {
    let compare = |holds: bool| if a.is_finite() && b.is_finite() { condition(holds) } else { f64::NAN };
    match op {
        Binary::Add => a + b,
        Binary::Subtract => a - b,
        Binary::Multiply => a * b,
        Binary::Divide => a / b,
        Binary::Min if a.is_nan() || b.is_nan() => f64::NAN,
        Binary::Max if a.is_nan() || b.is_nan() => f64::NAN,
        Binary::Min => a.min(b),
        Binary::Max => a.max(b),
        Binary::Less => compare(a < b),
        Binary::LessEqual => compare(a <= b),
        Binary::Greater => compare(a > b),
        Binary::GreaterEqual => compare(a >= b),
        Binary::Equal => compare(same(a, b)),
        Binary::NotEqual => compare(!same(a, b)),
        Binary::And if same(a, 0.0) || same(b, 0.0) => 0.0,
        Binary::And => a * b,
        Binary::Or if same(a, 1.0) || same(b, 1.0) => 1.0,
        Binary::Or => a + b,
        // A cross remembers: it is never among these.
        Binary::CrossesAbove | Binary::CrossesBelow => f64::NAN,
    }
}

#[expect(clippy::float_cmp, reason = "conditions are exactly 0 or 1, and a policy that writes == means it")]
const fn same(a: f64, b: f64) -> bool {
    a == b
}

fn time(value: TimeValue, closed: Ts) -> f64 {
    let minutes = closed.time_of_day().nanos() / 60_000_000_000;
    let number = match value {
        TimeValue::Minute => minutes % 60,
        TimeValue::Hour => minutes / 60,
        TimeValue::Weekday => closed.weekday(),
        TimeValue::Day => date(closed.day()).1,
        TimeValue::Month => date(closed.day()).0,
    };
    number as f64
}

/// Month and day of the month of so many days after the epoch (Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// 2013: `civil_from_days`).
const fn date(days: i64) -> (i64, i64) {
    let days = days + 719_468;
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    (if from_march < 10 { from_march + 3 } else { from_march - 9 }, day)
}
