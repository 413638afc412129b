//! The engine as its host sees it.

use super::model_tests::{forecast, fusion_setup};
use super::*;
use crate::domain::{BracketSpec, Direction, Intent, Ix, PositionView, Quote, Span, Timeframe};
use crate::features::series::walk;
use crate::features::{FeatureId, FeatureSet, feature_hash};

pub(super) const OWN: Ix = Ix(3);

/// What the strategies of these tests differ in.
pub(super) struct Keys {
    pub(super) fast: u32,
    pub(super) slow: u32,
    pub(super) atr: u32,
    pub(super) stop: f64,
    pub(super) sides: &'static [Direction],
    /// A condition that entries need.
    pub(super) filter: &'static str,
    pub(super) threshold: f64,
    /// The probability under which a side is left.
    pub(super) exit_under: Option<f64>,
}

pub(super) const BOTH: &[Direction] = &[Direction::Long, Direction::Short];

impl Default for Keys {
    fn default() -> Self {
        let filter = "close > 0";
        Self { fast: 2, slow: 3, atr: 2, stop: 2.0, sides: BOTH, filter, threshold: 0.6, exit_under: Some(0.4) }
    }
}

/// A strategy of both sides, or of one that is left where the other would be entered.
pub(super) fn strategy(keys: &Keys, conditions: [String; 2], exits: Option<[String; 2]>) -> StrategyPolicy {
    let Keys { atr, stop, sides, filter, .. } = keys;
    let [up, down] = &conditions;
    let entry = match sides {
        [Direction::Long] => format!("entry: {{long: \"{up}\"}}"),
        _ => format!("entry: {{long: \"{up}\", short: \"{down}\"}}"),
    };
    let exit = match (sides, exits) {
        ([Direction::Long], None) => format!("exit: {{long: \"{down}\"}}"),
        ([Direction::Long], Some([long, _])) => format!("exit: {{long: \"{long}\"}}"),
        (_, Some([long, short])) => format!("exit: {{long: \"{long}\", short: \"{short}\"}}"),
        (_, None) => String::new(),
    };
    let bracket = format!("bracket: {{stop: {stop} * atr({atr}), target: 4 * atr({atr}), time: 10}}");
    let others = format!("filters: [\"{filter}\"]\n  volatility: atr({atr}) / close");
    let lines = ["name: test".to_owned(), entry, exit, bracket, others];
    let text = lines.iter().filter(|line| !line.is_empty()).map(|line| format!("  {line}\n")).collect::<String>();
    StrategyPolicy::from_yaml(&format!("policy:\n{text}")).unwrap()
}

/// Two averages that cross.
pub(super) fn policy(change: impl FnOnce(&mut Keys)) -> StrategyPolicy {
    let mut keys = Keys::default();
    change(&mut keys);
    let Keys { fast, slow, .. } = keys;
    let cross = |word: &str| format!("crosses_{word}(ema(close, {fast}), ema(close, {slow}))");
    strategy(&keys, [cross("above"), cross("below")], None)
}

pub(super) fn setup(policy: StrategyPolicy, features: &[FeatureId]) -> EngineSetup {
    EngineSetup { features: features.to_vec(), ..EngineSetup::new(OWN, Timeframe::HOUR, policy) }
}

fn long_only() -> Core {
    Core::new(setup(policy(|keys| keys.sides = &BOTH[..1]), &[]))
}

fn point(at: i64, price: f64) -> Bar {
    let open_ts = Ts::EPOCH.saturating_add(Span::HOUR.times(at));
    Bar { open_ts, open: price, high: price, low: price, close: price, volume: 1.0 }
}

pub(super) fn act(core: &mut Core, event: &Event) -> Vec<EngineAction> {
    let mut actions = Actions::new();
    core.step(event, Ts::EPOCH, &mut actions);
    actions.drain().collect()
}

/// Steps an engine that asks no model.
pub(super) fn step(core: &mut Core, event: &Event) -> Vec<Decision> {
    let decide = |action| match action {
        EngineAction::Decide(decision) => decision,
        EngineAction::Ask(question) => panic!("{question:?}"),
    };
    act(core, event).into_iter().map(decide).collect()
}

pub(super) fn give(core: &mut Core, bar: Bar) -> Vec<Decision> {
    step(core, &Event::Bar { instrument: OWN, bar, context: Context::default() })
}

pub(super) fn tell(core: &mut Core, direction: Option<Direction>, entry_pending: Option<Direction>) {
    let view = PositionView { direction, entry_pending, ..PositionView::flat(OWN) };
    assert!(step(core, &Event::Position(view)).is_empty());
}

/// Averages of 2 and 3 closes: over at the first comparison (bar 2), under from bar 4, over from bar 6, under from
/// bar 8. ATR(2): 2.5 at bar 4, 2.875 at bar 6.
const CLOSES: [f64; 10] = [10.0, 11.0, 12.0, 13.0, 9.0, 8.0, 12.0, 14.0, 9.0, 7.0];

fn intents(core: &mut Core) -> Vec<Option<Intent>> {
    let bars = CLOSES.iter().zip(0..).map(|(price, at)| point(at, *price));
    bars.flat_map(|bar| give(core, bar)).map(|decision| decision.intent).collect()
}

fn entered(intent: Option<Intent>) -> Option<Direction> {
    match intent {
        Some(Intent::Enter { direction, .. }) => Some(direction),
        _ => None,
    }
}

#[test]
fn each_cross_after_the_first_comparison_is_an_entry_and_nothing_else_is() {
    let policy = policy(|_| ());
    let mut core = Core::new(setup(policy.clone(), &[]));
    for (at, price) in (0..).zip(CLOSES) {
        let decisions = give(&mut core, point(at, price));
        assert_eq!(decisions.len(), 1);
        let decision = decisions[0];
        assert_eq!((decision.instrument, decision.policy, decision.features), (OWN, policy.hash(), feature_hash(&[])));
        assert_eq!(decision.bar, Ts::from_secs(3_600 * (at + 1)));
        let want = match at {
            4 => Some((Direction::Short, 9.0, 2.5)),
            6 => Some((Direction::Long, 12.0, 2.875)),
            8 => Some((Direction::Short, 9.0, 3.71875)),
            _ => None,
        };
        let Some((side, close, atr)) = want else {
            assert_eq!(decision.intent, None, "bar {at}");
            continue;
        };
        let Some(Intent::Enter { direction, probability, volatility, reference, size: _, bracket }) = decision.intent
        else {
            panic!("bar {at}: {decision:?}");
        };
        assert_eq!((direction, probability), (side, None));
        assert!((volatility - atr / close).abs() < 1e-12 && (reference - close).abs() < 1e-12, "{decision:?}");
        let BracketSpec { stop, target, trailing, time_exit } = bracket;
        let off = (stop.unwrap() - 2.0 * atr).abs().max((target.unwrap() - 4.0 * atr).abs());
        assert!(off < 1e-12, "{bracket:?}");
        assert_eq!((trailing, time_exit), (None, Some(Span::HOUR.times(10))));
    }
}

#[test]
fn what_is_already_so_is_not_asked_for() {
    for (direction, pending, wanted) in [
        (None, None, [Some(Direction::Short), Some(Direction::Long), Some(Direction::Short)]),
        (Some(Direction::Short), None, [None, Some(Direction::Long), None]),
        (Some(Direction::Long), None, [Some(Direction::Short), None, Some(Direction::Short)]),
        (None, Some(Direction::Long), [Some(Direction::Short), None, Some(Direction::Short)]),
        (None, Some(Direction::Short), [None, Some(Direction::Long), None]),
    ] {
        let mut core = Core::new(setup(policy(|_| ()), &[]));
        tell(&mut core, direction, pending);
        let intents = intents(&mut core);
        assert_eq!([4, 6, 8].map(|at| entered(intents[at])), wanted, "{direction:?} {pending:?}");
        assert_eq!(intents.iter().flatten().count(), wanted.iter().flatten().count());
    }
}

#[test]
fn after_a_stop_it_waits_for_the_next_cross() {
    let mut core = Core::new(setup(policy(|_| ()), &[]));
    let mut entries = Vec::new();
    for (at, price) in (0..).zip(CLOSES) {
        let intent = give(&mut core, point(at, price))[0].intent;
        if let Some(direction) = entered(intent) {
            entries.push(at);
            // Filled at once and stopped out before the next bar.
            tell(&mut core, Some(direction), None);
            tell(&mut core, None, None);
        }
    }
    assert_eq!(entries, [4, 6, 8]);
}

#[test]
fn long_only_leaves_on_a_cross_down_if_there_is_something_to_leave() {
    let exits = |core: &mut Core| {
        let intents = intents(core);
        assert!(intents.iter().all(|intent| entered(*intent) != Some(Direction::Short)));
        intents.iter().enumerate().filter(|(_, i)| **i == Some(Intent::Exit)).map(|(at, _)| at).collect::<Vec<_>>()
    };
    assert_eq!(exits(&mut long_only()), [4, 8], "an unknown position may be one");
    for (direction, pending, want) in
        [(Some(Direction::Long), None, vec![4, 8]), (None, Some(Direction::Long), vec![4, 8]), (None, None, vec![])]
    {
        let mut core = long_only();
        tell(&mut core, direction, pending);
        assert_eq!(exits(&mut core), want, "{direction:?} {pending:?}");
    }
}

#[test]
fn a_bar_that_was_seen_or_cannot_be_is_not_taken() {
    let mut core = Core::new(setup(policy(|_| ()), FeatureId::ALL));
    let path = walk(4, 60);
    for (at, (bar, context)) in path.iter().enumerate() {
        let event = Event::Bar { instrument: OWN, bar: *bar, context: *context };
        assert_eq!(step(&mut core, &event).len(), 1);
        let before = core.clone();
        assert!(step(&mut core, &event).is_empty(), "again");
        assert!(give(&mut core, path[at / 2].0).is_empty(), "an older one");
        core.prime(bar, context);
        let later = Bar { open_ts: bar.open_ts + Span::HOUR.times(100), ..*bar };
        assert!(give(&mut core, Bar { high: f64::NAN, ..later }).is_empty());
        assert!(give(&mut core, Bar { low: 0.0, ..later }).is_empty());
        assert_eq!(core, before);
    }
}

#[test]
fn what_concerns_others_changes_nothing() {
    let mut core = Core::new(setup(policy(|_| ()), FeatureId::ALL));
    give(&mut core, point(0, 5.0));
    let before = core.clone();
    let quote = Quote { ts: Ts::EPOCH, bid: 1.0, ask: 2.0, bid_size: 1.0, ask_size: 1.0 };
    for event in [
        Event::Bar { instrument: Ix(4), bar: point(1, 6.0), context: Context::default() },
        Event::Position(PositionView { direction: Some(Direction::Long), ..PositionView::flat(Ix(4)) }),
        Event::FrameEnd,
        Event::Quote { instrument: OWN, quote },
    ] {
        assert!(step(&mut core, &event).is_empty());
        assert_eq!(core, before, "{event:?}");
    }
}

#[test]
fn nothing_is_wanted_before_what_the_policy_names_is_warm_and_other_features_hold_nothing_up() {
    let run = |features: &[FeatureId], filter: &'static str| {
        let mut core = Core::new(setup(policy(|keys| keys.filter = filter), features));
        let bars = walk(6, 400);
        let decide = |(bar, _): &(Bar, Context)| give(&mut core, *bar)[0].intent;
        let intents: Vec<_> = bars.iter().map(decide).collect();
        (core.warm_up_bars(), intents)
    };
    let (bars, bare) = run(&[], "close > 0");
    assert_eq!(bars, 3);
    assert!(bare[..3].iter().all(Option::is_none) && bare[3..199].iter().any(Option::is_some));
    let (bars, full) = run(FeatureId::ALL, "close > 0");
    assert_eq!((bars, full), (200, bare.clone()));
    let (bars, named) = run(&[], "feature.ema_gap_200 > -1");
    assert_eq!(bars, 200);
    assert!(named[..199].iter().all(Option::is_none));
    assert_eq!(named[199..], bare[199..], "features move the start, not the rule");
}

#[test]
fn answers_forecasts_and_words_of_the_account_are_what_a_step_is_made_of() {
    let own = PositionView { direction: Some(Direction::Long), ..PositionView::flat(OWN) };
    let others = PositionView { instrument: Ix(4), ..own };
    for setup in [setup(policy(|_| ()), &[]), fusion_setup(|_| ())] {
        let (mut stepped, mut called) = (Core::new(setup.clone()), Core::new(setup));
        let mut wanted = 0;
        for (at, (bar, context)) in walk(3, 400).iter().enumerate() {
            if at % 7 == 0 {
                stepped.step(&Event::Position(own), Ts::EPOCH, &mut Actions::new());
                called.told(&own);
                called.told(&others);
            }
            let event = Event::Bar { instrument: OWN, bar: *bar, context: *context };
            let action = act(&mut stepped, &event).pop().unwrap();
            match called.answer(bar, context) {
                Answer::Decided(decision) => assert_eq!(action, EngineAction::Decide(decision)),
                Answer::Asks(question) => {
                    assert_eq!(action, EngineAction::Ask(question.clone()));
                    let event = forecast(&question, if at % 2 == 0 { 0.7 } else { 0.3 });
                    let Event::Forecast { bar, forecast, .. } = event else { unreachable!() };
                    assert_eq!(called.forecast(bar + Span::HOUR, forecast), None, "of another bar");
                    let decision = called.forecast(bar, forecast).unwrap();
                    assert_eq!(step(&mut stepped, &event), [decision]);
                    assert_eq!(called.forecast(bar, forecast), None, "answered once");
                    wanted += usize::from(decision.intent.is_some());
                }
                Answer::NotTaken => panic!("bar {at}"),
            }
            assert_eq!(called.answer(bar, context), Answer::NotTaken);
            wanted += usize::from(matches!(action, EngineAction::Decide(Decision { intent: Some(_), .. })));
            assert_eq!(stepped, called);
        }
        assert!(wanted > 20, "{wanted}");
    }
}

#[test]
fn priming_is_stepping_without_decisions() {
    let setup = setup(policy(|keys| (keys.fast, keys.slow, keys.atr) = (5, 12, 7)), FeatureId::ALL);
    let (mut primed, mut stepped) = (Core::new(setup.clone()), Core::new(setup));
    for (bar, context) in &walk(12, 300) {
        primed.prime(bar, context);
        step(&mut stepped, &Event::Bar { instrument: OWN, bar: *bar, context: *context });
        assert_eq!(primed.snapshot(), stepped.snapshot());
    }
    assert_eq!(primed, stepped);
}

#[test]
fn an_engine_restored_at_any_bar_decides_as_if_it_had_never_stopped() {
    let setup = setup(policy(|keys| (keys.fast, keys.slow, keys.atr) = (3, 8, 5)), FeatureId::ALL);
    let events: Vec<Event> =
        walk(21, 320).into_iter().map(|(bar, context)| Event::Bar { instrument: OWN, bar, context }).collect();
    let bytes = |decisions: Vec<Decision>| postcard::to_allocvec(&decisions).unwrap();
    let mut core = Core::new(setup.clone());
    let mut snapshots = vec![core.snapshot()];
    let (mut truth, mut wanted) = (Vec::new(), 0);
    for event in &events {
        let decisions = step(&mut core, event);
        wanted += decisions.iter().filter(|decision| decision.intent.is_some()).count();
        truth.push(bytes(decisions));
        snapshots.push(core.snapshot());
    }
    assert!(wanted > 5, "{wanted}");
    for (start, snapshot) in snapshots.iter().enumerate() {
        let stored = postcard::to_allocvec(snapshot).unwrap();
        let mut core = Core::restore(setup.clone(), &postcard::from_bytes(&stored).unwrap()).unwrap();
        for (at, event) in events.iter().enumerate().skip(start) {
            assert_eq!(bytes(step(&mut core, event)), truth[at], "from {start} at {at}");
        }
        assert_eq!(&core.snapshot(), &snapshots[events.len()]);
    }
}

#[test]
fn the_position_is_not_believed_from_a_snapshot() {
    let mut core = long_only();
    tell(&mut core, None, None);
    for (at, price) in (0..).zip(&CLOSES[..4]) {
        give(&mut core, point(at, *price));
    }
    let setup = setup(policy(|keys| keys.sides = &BOTH[..1]), &[]);
    let mut restored = Core::restore(setup, &core.snapshot()).unwrap();
    assert_eq!(give(&mut core, point(4, CLOSES[4]))[0].intent, None);
    assert_eq!(give(&mut restored, point(4, CLOSES[4]))[0].intent, Some(Intent::Exit));
}

#[test]
fn a_snapshot_that_does_not_fit_is_refused_with_its_reason() {
    let all = setup(policy(|_| ()), FeatureId::ALL);
    let mut core = Core::new(all.clone());
    for (bar, context) in &walk(1, 250) {
        core.prime(bar, context);
    }
    let good = core.snapshot();
    let reason = |setup: &EngineSetup, snapshot: &Snapshot| Core::restore(setup.clone(), snapshot).unwrap_err();

    let old = Snapshot { version: SNAPSHOT_VERSION + 1, ..good.clone() };
    assert_eq!(reason(&all, &old), RestoreError::Version { found: SNAPSHOT_VERSION + 1 });
    let fewer = EngineSetup { features: vec![FeatureId::Rsi14], ..all.clone() };
    let wanted = FeatureSet::new(&[FeatureId::Rsi14]).schema_hash();
    assert_eq!(reason(&fewer, &good), RestoreError::Schema { found: good.schema, wanted });
    let other = EngineSetup { policy: policy(|keys| keys.stop = 3.0), ..all.clone() };
    assert_eq!(reason(&other, &good), RestoreError::Policy { found: good.policy, wanted: other.policy.hash() });
    assert_eq!(reason(&EngineSetup { instrument: Ix(4), ..all.clone() }, &good), RestoreError::Instrument);
    assert_eq!(reason(&EngineSetup { timeframe: Timeframe::MINUTE, ..all.clone() }, &good), RestoreError::Instrument);
    for at in 0..good.bytes.len() {
        let (mut changed, mut cut) = (good.clone(), good.clone());
        changed.bytes[at] ^= 1 << (at % 8);
        cut.bytes.truncate(at);
        assert_eq!(reason(&all, &changed), RestoreError::Damaged, "changed at {at}");
        assert_eq!(reason(&all, &cut), RestoreError::Damaged, "cut at {at}");
    }
}
