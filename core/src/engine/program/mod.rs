//! A policy at work: takes bars, and tells what a [`Plan`] wants.
//!
//! The plan is compiled once, into flat lists over one row of values: constants are folded, what nobody asks for is left
//! out, equal memories are shared, and each value stands in the list that is run where it is first needed. A bar runs the
//! memories and what feeds them; a decision the conditions; an entry its filters and, where they hold, its distances.
//! Nothing is allocated after construction.
//!
//! # When a value is known
//! A value with a memory is known once it has seen enough: an average of `n` after `n` values of its source, which count
//! from the first that is known; a lag of `n` after `n + 1`. A cross compares two bars: the first comparison only says
//! where things stand. Nothing is entered before all that entries, exits, filters, distances and the size need is known;
//! the volatility does not hold up. An exit waits for its own values alone: what may be entered later holds nobody in.
//!
//! Once known, a value can still be a number that is not finite, by a division say. A comparison with one is neither true
//! nor false, and what is not true does not hold, nor does its negation. Averages, extremes and indices leave such a
//! value out; lags keep it in its place.
//!
//! # Model and position
//! What depends on the model or the position is computed when a decision is made. A memory over such a value (a cross of
//! `prob_up`, say) goes on with each decision, not with each bar: it compares with the decision before, and bars that an
//! engine was primed with are not in it. Where there is no forecast, what depends on the model is not known and its
//! memories stand still: nothing is entered, and exits that hold without the model are made.

mod code;
mod compile;
mod memory;

#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod tests;

use code::{Code, MODEL, POSITION, Plain, SizeCode, Values};
pub use memory::Memories;

use crate::domain::{Bar, BracketSpec, Direction, Forecast, Intent, PositionView, Size, Timeframe};
use crate::features::FeatureId;
use crate::policy::Plan;
use crate::policy::plan::{RegimeValue, VOLATILITY_MIN};
use crate::regime::{Activity, Classifier, Trend};

/// Where a decision is made.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Close of the bar, quote currency.
    pub close: f64,
    /// Length of a bar.
    pub timeframe: Timeframe,
    /// The account's last word; `None` before it has spoken.
    pub position: Option<&'a PositionView>,
    /// What the model said of the bar.
    pub forecast: Option<&'a Forecast>,
}

/// A plan that takes bars and decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    code: Code,
    memories: Memories,
    values: Values,
}

impl Program {
    /// A program that has seen nothing. `features` are those that [`Program::update`] will be given, in order; a condition
    /// over one that is not among them never holds.
    pub fn new(plan: &Plan, features: &[FeatureId]) -> Self {
        let (code, memories, values) = compile::compile(plan, features);
        Self { code, memories, values }
    }

    /// Takes the next closed bar, which has passed [`Bar::check`], and the features after it.
    #[inline(always)]
    pub fn update(&mut self, bar: &Bar, features: &[f64], timeframe: Timeframe) {
        let Self { code, memories, values } = self;
        memories.seen = memories.seen.saturating_add(1);
        values.closed = bar.close_ts(timeframe);
        values.set_bar([bar.open, bar.high, bar.low, bar.close, bar.volume]);
        for (place, ready, slot) in &code.features {
            let known = features.get(*place).filter(|_| memories.seen >= *ready);
            values.set(*slot, known.copied().unwrap_or(f64::NAN));
        }
        if let Some(classifier) = &mut memories.regime {
            classifier.update(bar.close);
            code.regimes.iter().for_each(|(value, slot)| values.set(*slot, of_regime(*value, classifier)));
        }
        for (memory, wire) in memories.bar.iter_mut().zip(&code.bar) {
            memory.step(wire, values);
        }
        if !memories.is_warm {
            self.note_warmth();
        }
    }

    #[cold]
    fn note_warmth(&mut self) {
        let Self { code, memories, .. } = self;
        let mut wires = memories.bar.iter().zip(&code.bar);
        memories.is_warm =
            memories.seen >= code.ready_bars && wires.all(|(memory, wire)| !wire.is_required || memory.is_warm());
    }

    /// Whether all that is required of bars is known, so that the next decision may enter. Once so, it stays.
    pub const fn is_warm(&self) -> bool {
        self.memories.is_warm
    }

    /// What is wanted after the last bar; `None` leaves things as they are.
    ///
    /// - To enter a side whose entry holds, with every filter, unless that side is held or on its way. Where the entries of
    ///   both sides hold, neither is entered. An entry with a distance or a size that is not finite and over zero is none;
    ///   nor is one that the account sizes, where the volatility is not known or under [`VOLATILITY_MIN`].
    /// - Else to be flat, where the exit of the side that is held or on its way holds. While the account has not spoken, the
    ///   exits of all sides that the plan enters must hold.
    ///
    /// A plan that asks the model enters nothing without a sound forecast.
    #[inline]
    pub fn decide(&mut self, scene: &Scene<'_>) -> Option<Intent> {
        let is_seen = !self.code.is_late || self.see(scene);
        let may_enter = is_seen && self.memories.is_warm;
        if !may_enter && !self.code.has_exits {
            return None;
        }
        let Self { code, values, .. } = self;
        run(&code.conditions, values);
        let (long, short) = (values.holds(code.long.entry), values.holds(code.short.entry));
        if long != short && may_enter {
            let side = if long { Direction::Long } else { Direction::Short };
            let is_so = scene.position.is_some_and(|position| position.side() == Some(side));
            if !is_so && let Some(intent) = self.enter(side, scene) {
                return Some(intent);
            }
        }
        (self.code.has_exits && self.leaves(scene.position)).then_some(Intent::Exit)
    }

    fn leaves(&self, position: Option<&PositionView>) -> bool {
        let Code { long, short, .. } = self.code;
        match position.map(PositionView::side) {
            Some(Some(Direction::Long)) => self.values.holds(long.exit),
            Some(Some(Direction::Short)) => self.values.holds(short.exit),
            Some(None) => false,
            None => {
                let mut entered = [long, short].into_iter().filter(|side| side.entry.is_some()).peekable();
                entered.peek().is_some() && entered.all(|side| self.values.holds(side.exit))
            }
        }
    }

    fn enter(&mut self, side: Direction, scene: &Scene<'_>) -> Option<Intent> {
        let Self { code, values, .. } = self;
        run(&code.filters, values);
        if !code.all_hold.iter().all(|slot| values.holds(Some(*slot))) {
            return None;
        }
        run(&code.brackets, values);
        let distance = |slot: Option<_>| slot.map(|slot| values.get(slot));
        let bracket = BracketSpec {
            stop: distance(code.stop),
            target: distance(code.target),
            trailing: distance(code.trailing),
            time_exit: code.time_exit_bars.map(|bars| {
                // What can be written is longer than what can be meant: on weekly bars by centuries.
                scene.timeframe.span().times(i64::from(bars)).min(BracketSpec::TIME_MAX)
            }),
        };
        let size = match code.size {
            SizeCode::Account => Size::Account,
            SizeCode::Units(slot) => Size::Units(values.get(slot)),
            SizeCode::Notional(slot) => Size::Notional(values.get(slot)),
            SizeCode::Equity(slot) => Size::Equity(values.get(slot)),
        };
        let volatility = match values.get(code.volatility) {
            x if x.is_finite() && x >= VOLATILITY_MIN => x,
            // The account cannot size by it: the least of all moves would make the largest of all positions.
            _ if size == Size::Account => return None,
            _ => VOLATILITY_MIN,
        };
        let forecast = scene.forecast.filter(|_| code.asks_model);
        let probability = forecast.map(|forecast| forecast.probability_of(side));
        (bracket.is_sound() && size.is_sound()).then_some(Intent::Enter {
            direction: side,
            probability,
            volatility,
            reference: scene.close,
            size,
            bracket,
        })
    }

    /// Takes over what the model and the account say, and tells whether all is known that an entry needs. Nothing is known
    /// of the position before the account has spoken, nor of the model without a sound forecast.
    fn see(&mut self, scene: &Scene<'_>) -> bool {
        let Self { code, memories, values } = self;
        let forecast = scene.forecast.filter(|forecast| code.asks_model && forecast.is_sound());
        if code.asks_model {
            let said = forecast.map_or([f64::NAN; 2], |forecast| [forecast.prob_up, forecast.confidence()]);
            (MODEL..).zip(said).for_each(|(slot, x)| values.set(slot, x));
        }
        if code.reads_position {
            let seen = scene.position.map_or([f64::NAN; 4], |position| {
                let is = |direction| if position.direction == direction { 1.0 } else { 0.0 };
                let gain = |side: Direction| side.sign() * (scene.close / position.entry_price - 1.0);
                let gain = position.direction.map_or(0.0, gain);
                [is(Some(Direction::Long)), is(Some(Direction::Short)), is(None), gain]
            });
            (POSITION..).zip(seen).for_each(|(slot, x)| values.set(slot, x));
        }
        let mut all = forecast.is_some() || !code.asks_model;
        for (memory, wire) in memories.late.iter_mut().zip(&code.late) {
            if wire.is_of_model && forecast.is_none() {
                // What it gave at the decision before must not be taken for what it gives now.
                wire.out.iter().for_each(|slot| values.set(*slot, f64::NAN));
                continue;
            }
            memory.step(wire, values);
            all &= !wire.is_required || memory.is_warm();
        }
        all
    }

    /// The number of bars to prime it with, so that all its values are known on the next one, the volatility among them.
    pub fn warm_up_bars(&self) -> usize {
        self.code.warm_bars.saturating_sub(1) as usize
    }

    /// What it remembers: all that a snapshot must hold.
    pub const fn memories(&self) -> &Memories {
        &self.memories
    }

    /// Goes on from memories of a program of the same plan; `false`, and nothing changes, where they are of another.
    #[must_use]
    pub fn resume(&mut self, memories: Memories) -> bool {
        let fits = self.memories.are_like(&memories);
        if fits {
            self.memories = memories;
        }
        fits
    }
}

#[inline]
fn run(list: &[Plain], values: &mut Values) {
    list.iter().for_each(|plain| plain.run(values));
}

fn of_regime(value: RegimeValue, classifier: &Classifier) -> f64 {
    let (is_warm, holds) = match value {
        RegimeValue::Up => (classifier.is_trend_warm(), classifier.trend() == Trend::Up),
        RegimeValue::Down => (classifier.is_trend_warm(), classifier.trend() == Trend::Down),
        RegimeValue::Range => (classifier.is_trend_warm(), classifier.trend() == Trend::Range),
        RegimeValue::Calm => (classifier.is_activity_warm(), classifier.activity() == Activity::Calm),
        RegimeValue::Wild => (classifier.is_activity_warm(), classifier.activity() == Activity::Wild),
    };
    match (is_warm, holds) {
        (false, _) => f64::NAN,
        (true, true) => 1.0,
        (true, false) => 0.0,
    }
}
