//! Engines that are run again from a tape.

use std::collections::{BTreeMap, VecDeque};

use levibot_core::domain::{Actions, Bar, Context, Decision, Event, Ix, Timeframe, Ts};
use levibot_core::engine::{Core, EngineAction, EngineSetup, StrategyPolicy};
use levibot_core::features::FeatureSet;
use levibot_core::record::TapeTarget;

/// What an engine was given.
#[expect(clippy::large_enum_variant, reason = "few wait, and not for long")]
enum Given {
    Past(Bar, Context),
    Now(Ts, Event),
}

/// An engine. With which strategy it was made its first decision tells: another one may have come into force while it
/// started. Until then what it was given waits, which is a warm-up and a few bars.
#[derive(Default)]
struct Seat {
    core: Option<Core>,
    waiting: Vec<Given>,
    /// Decisions that wait for the recorded ones.
    answers: VecDeque<Decision>,
}

impl Seat {
    fn give(&mut self, given: Given) {
        match (&mut self.core, given) {
            (None, given) => self.waiting.push(given),
            (Some(core), Given::Past(bar, context)) => core.prime(&bar, &context),
            (Some(core), Given::Now(ts, event)) => {
                let mut actions = Actions::new();
                core.step(&event, ts, &mut actions);
                self.answers.extend(actions.drain().filter_map(|action| match action {
                    EngineAction::Decide(decision) => Some(decision),
                    EngineAction::Ask(_) => None,
                }));
            }
        }
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Seats(BTreeMap<Ix, Seat>);

impl Seats {
    /// A daemon has started: nobody is there.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// An engine's memory begins anew. What the one before it has answered and nobody has taken is nobody's.
    fn begin(&mut self, ix: Ix) {
        self.0.insert(ix, Seat::default());
    }

    /// Gives an engine what the tape has for it; what is for others is passed over.
    pub(super) fn take(&mut self, ts: Ts, to: TapeTarget, event: Event) {
        match to {
            TapeTarget::Engine(ix) => self.give(ix, Given::Now(ts, event)),
            TapeTarget::History(ix) | TapeTarget::Cold(ix) => {
                if matches!(to, TapeTarget::Cold(_)) {
                    self.begin(ix);
                }
                if let Event::Bar { bar, context, .. } = event {
                    self.give(ix, Given::Past(bar, context));
                }
            }
            TapeTarget::Account
            | TapeTarget::Remembered
            | TapeTarget::Session
            | TapeTarget::Setup
            | TapeTarget::Start(_) => {}
        }
    }

    fn give(&mut self, ix: Ix, given: Given) {
        self.0.entry(ix).or_default().give(given);
    }

    /// What the engine says to the bar of a recorded decision; `strategy` is the one that made it.
    pub(super) fn answer(
        &mut self,
        recorded: &Decision,
        timeframe: Timeframe,
        strategy: Option<&StrategyPolicy>,
    ) -> Option<Decision> {
        let seat = self.seated(recorded.instrument, timeframe, strategy)?;
        // An engine that was replaced may have left an answer that nobody took.
        while seat.answers.front().is_some_and(|answer| answer.bar < recorded.bar) {
            seat.answers.pop_front();
        }
        seat.answers.pop_front()
    }

    /// The features that an engine has after all that it was given; `strategy` is the one it was made with.
    pub(super) fn features(
        &mut self,
        ix: Ix,
        timeframe: Timeframe,
        strategy: Option<&StrategyPolicy>,
    ) -> Option<&FeatureSet> {
        self.seated(ix, timeframe, strategy)?.core.as_ref().map(Core::features)
    }

    /// The engine of an instrument as it is now, and what waits for one that has said nothing yet.
    pub(super) fn seen(&self, ix: Ix) -> (Option<&Core>, Vec<(Bar, Context)>) {
        let Some(seat) = self.0.get(&ix) else { return (None, Vec::new()) };
        let bar = |given: &Given| match given {
            Given::Past(bar, context) | Given::Now(_, Event::Bar { bar, context, .. }) => Some((*bar, *context)),
            Given::Now(..) => None,
        };
        (seat.core.as_ref(), seat.waiting.iter().filter_map(bar).collect())
    }

    /// A seat whose engine is there.
    fn seated(&mut self, ix: Ix, timeframe: Timeframe, strategy: Option<&StrategyPolicy>) -> Option<&mut Seat> {
        let seat = self.0.entry(ix).or_default();
        if seat.core.is_none() {
            seat.core = Some(Core::new(EngineSetup::new(ix, timeframe, strategy?.clone())));
            std::mem::take(&mut seat.waiting).into_iter().for_each(|given| seat.give(given));
        }
        Some(seat)
    }
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::Span;

    use super::*;

    const HOUR: Span = Span::HOUR;

    fn strategy(slow: u32) -> StrategyPolicy {
        let text = std::fs::read_to_string("policies/strategies/ema_cross_guarded.yaml").unwrap();
        StrategyPolicy::from_yaml(&text.replace("slow: {default: 26", &format!("slow: {{default: {slow}"))).unwrap()
    }

    fn bar(n: i32) -> Bar {
        let (open_ts, close) = (Ts::EPOCH + HOUR.times(n.into()), 100.0 + f64::from(n % 7));
        Bar { open_ts, open: close, high: close + 1.0, low: close - 1.0, close, volume: 1.0 }
    }

    fn event(n: i32) -> Event {
        Event::Bar { instrument: Ix(0), bar: bar(n), context: Context::default() }
    }

    fn close(n: i32) -> Ts {
        bar(n).close_ts(Timeframe::HOUR)
    }

    /// What an engine of this strategy says to bar `n` after the ones before it.
    fn decision(policy: &StrategyPolicy, n: i32) -> Decision {
        let mut core = Core::new(EngineSetup::new(Ix(0), Timeframe::HOUR, policy.clone()));
        (0..n).for_each(|n| core.prime(&bar(n), &Context::default()));
        let mut actions = Actions::new();
        core.step(&event(n), close(n), &mut actions);
        let decided = actions.drain().find_map(|action| match action {
            EngineAction::Decide(decision) => Some(decision),
            EngineAction::Ask(_) => None,
        });
        decided.unwrap()
    }

    #[test]
    fn the_first_decision_tells_the_strategy_and_a_new_memory_another_one() {
        let mut seats = Seats::default();
        for policy in [strategy(26), strategy(40)] {
            seats.begin(Ix(0));
            (0..300).for_each(|n| seats.take(close(n), TapeTarget::History(Ix(0)), event(n)));
            for n in [300, 301] {
                seats.take(close(n), TapeTarget::Engine(Ix(0)), event(n));
            }
            // The answer to bar 300 was never taken.
            let recorded = decision(&policy, 301);
            assert_eq!(recorded.policy, policy.hash());
            assert_eq!(seats.answer(&recorded, Timeframe::HOUR, Some(&policy)), Some(recorded));
            // What the next one is given is answered too, and not taken either.
            seats.take(close(302), TapeTarget::Engine(Ix(0)), event(302));
        }
        let unknown = decision(&strategy(26), 10);
        seats.begin(Ix(0));
        seats.take(close(10), TapeTarget::Engine(Ix(0)), event(10));
        assert_eq!(seats.answer(&unknown, Timeframe::HOUR, None), None, "its strategy is not on record");
    }
}
