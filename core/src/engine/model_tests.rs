//! Engines that ask the model.

use super::tests::{BOTH, Keys, OWN, act, setup, step, strategy, tell};
use super::*;
use crate::domain::{Direction, Forecast, Intent, Ix, PositionView, Vote};
use crate::features::series::walk;
use crate::features::{FeatureId, FeatureSet};
use crate::forecast::{INPUTS, WINDOW, window_hash};

pub(super) fn fusion_setup(change: impl FnOnce(&mut Keys)) -> EngineSetup {
    let mut keys = Keys::default();
    change(&mut keys);
    let (rise, fall, threshold) = ("model.prob_up", "1 - model.prob_up", keys.threshold);
    let under = |x: f64| [rise, fall].map(|side| format!("{side} < {x}"));
    let entries = [rise, fall].map(|side| format!("{side} >= {threshold}"));
    setup(strategy(&keys, entries, keys.exit_under.map(under)), &[FeatureId::Rsi14])
}

pub(super) fn forecast(question: &Question, prob_up: f64) -> Event {
    let vote = Vote { probability: prob_up, weight: 1.0 };
    let version = "20220601_030000".parse().unwrap();
    let votes = [None, Some(vote), None];
    let forecast = Some(Forecast { version, features: question.features, votes, prob_up, quantiles: None });
    Event::Forecast { instrument: OWN, bar: question.bar, forecast }
}

/// An engine that is warm, and the bars that follow.
fn warm(setup: EngineSetup) -> (Core, Vec<(Bar, Context)>) {
    let mut core = Core::new(setup);
    let bars = walk(3, 340);
    let (past, later) = bars.split_at(core.warm_up_bars());
    past.iter().for_each(|(bar, context)| core.prime(bar, context));
    (core, later.to_vec())
}

fn ask(core: &mut Core, (bar, context): &(Bar, Context)) -> Question {
    match act(core, &Event::Bar { instrument: OWN, bar: *bar, context: *context }).pop() {
        Some(EngineAction::Ask(question)) => question,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_model_is_asked_from_the_first_whole_window_on_with_the_rows_of_the_features() {
    let mut core = Core::new(fusion_setup(|_| ()));
    assert_eq!(core.warm_up_bars(), 200 + WINDOW - 1);
    let mut features = FeatureSet::all();
    let mut rows: Vec<f32> = Vec::new();
    for (at, (bar, context)) in walk(3, 300).iter().enumerate() {
        features.update(bar, context);
        #[expect(clippy::cast_possible_truncation, reason = "as the model is shown them")]
        rows.extend(features.values().iter().map(|x| *x as f32));
        let actions = act(&mut core, &Event::Bar { instrument: OWN, bar: *bar, context: *context });
        match &actions[..] {
            [EngineAction::Decide(decision)] => assert!(at < core.warm_up_bars() - 1 && decision.intent.is_none()),
            [EngineAction::Ask(question)] => {
                assert!(at >= core.warm_up_bars() - 1);
                assert_eq!(question.window[..], rows[(at + 1 - WINDOW) * INPUTS..]);
                assert_eq!(question.features, window_hash(&question.window));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_forecast_is_acted_on_from_the_threshold_on_each_side_by_its_own_probability() {
    let held = |direction| PositionView { direction, ..PositionView::flat(OWN) };
    let (long, short) = (Some(Direction::Long), Some(Direction::Short));
    for (prob_up, position, wanted) in [
        (0.6, None, Some((Direction::Long, 0.6))),
        (0.59, None, None),
        (0.4, None, Some((Direction::Short, 0.6))),
        (0.41, None, None),
        (0.9, long, None),
        (0.2, long, Some((Direction::Short, 0.8))),
        (0.7, short, Some((Direction::Long, 0.7))),
    ] {
        let (mut core, later) = warm(fusion_setup(|_| ()));
        let question = ask(&mut core, &later[0]);
        assert!(step(&mut core, &Event::Position(held(position))).is_empty());
        let decision = step(&mut core, &forecast(&question, prob_up))[0];
        let entered = match decision.intent {
            Some(Intent::Enter { direction, probability, .. }) => Some((direction, probability.unwrap())),
            _ => None,
        };
        assert_eq!(entered, wanted, "{prob_up} {position:?}");
        assert!((decision.forecast.unwrap().prob_up - prob_up).abs() < 1e-12);
    }
}

#[test]
fn a_side_that_is_not_believed_in_any_more_is_left() {
    let intent = |change: fn(&mut Keys), direction, prob_up| {
        let (mut core, later) = warm(fusion_setup(change));
        tell(&mut core, direction, None);
        let question = ask(&mut core, &later[0]);
        step(&mut core, &forecast(&question, prob_up))[0].intent
    };
    let (long, short) = (Some(Direction::Long), Some(Direction::Short));
    let usual: fn(&mut Keys) = |keys| keys.threshold = 0.7;
    assert_eq!(intent(usual, long, 0.39), Some(Intent::Exit));
    assert_eq!(intent(usual, long, 0.41), None);
    assert_eq!(intent(usual, short, 0.61), Some(Intent::Exit));
    assert_eq!(intent(usual, None, 0.39), None);
    assert_eq!(intent(|keys| (keys.threshold, keys.exit_under) = (0.7, None), long, 0.39), None);
    assert_eq!(intent(|keys| keys.sides = &BOTH[..1], long, 0.2), Some(Intent::Exit), "not a side of its own");
}

#[test]
fn a_forecast_of_another_bar_or_one_that_cannot_be_meant_decides_nothing() {
    let (mut core, later) = warm(fusion_setup(|_| ()));
    let first = ask(&mut core, &later[0]);
    let second = ask(&mut core, &later[1]);
    assert!(step(&mut core, &forecast(&first, 0.9)).is_empty(), "too late");
    let none = Event::Forecast { instrument: OWN, bar: second.bar, forecast: None };
    let decision = step(&mut core, &none)[0];
    assert_eq!((decision.intent, decision.forecast, decision.bar), (None, None, second.bar));
    assert!(step(&mut core, &forecast(&second, 0.9)).is_empty(), "answered once");
    let third = ask(&mut core, &later[2]);
    assert_eq!(step(&mut core, &forecast(&third, f64::NAN))[0].intent, None);
    let elsewhere = Event::Forecast { instrument: Ix(4), bar: third.bar, forecast: None };
    assert!(step(&mut core, &elsewhere).is_empty());
}

#[test]
fn an_engine_restored_after_a_decision_asks_the_same_as_if_it_had_never_stopped() {
    let setup = fusion_setup(|_| ());
    let (mut core, later) = warm(setup.clone());
    for pair in later.windows(2) {
        let question = ask(&mut core, &pair[0]);
        step(&mut core, &forecast(&question, 0.7));
        let mut restored = Core::restore(setup.clone(), &core.snapshot()).unwrap();
        let wanted = ask(&mut core.clone(), &pair[1]);
        assert_eq!(ask(&mut restored, &pair[1]), wanted);
    }
}

#[test]
fn before_the_model_can_be_asked_exits_that_do_not_name_it_are_made_and_nothing_is_entered() {
    let text = "policy:\n  name: test\n  entry: {long: model.prob_up > 0}\n  \
                exit: {long: close < open or model.prob_up < 0.4}\n  bracket: {stop: 1}\n";
    let mut core = Core::new(setup(StrategyPolicy::from_yaml(text).unwrap(), &[]));
    tell(&mut core, Some(Direction::Long), None);
    let (mut left, mut kept) = (0, 0);
    for (bar, context) in walk(3, 150) {
        let action = act(&mut core, &Event::Bar { instrument: OWN, bar, context }).pop();
        let Some(EngineAction::Decide(decision)) = action else { panic!("{action:?}") };
        assert_eq!(decision.intent, (bar.close < bar.open).then_some(Intent::Exit));
        (left, kept) = if decision.intent.is_some() { (left + 1, kept) } else { (left, kept + 1) };
    }
    assert!(left > 20 && kept > 20, "{left} {kept}");
    // Nor when it says nothing.
    let (mut core, later) = warm(setup(StrategyPolicy::from_yaml(text).unwrap(), &[]));
    tell(&mut core, Some(Direction::Long), None);
    for pair in &later[..60] {
        let question = ask(&mut core, pair);
        let none = Event::Forecast { instrument: OWN, bar: question.bar, forecast: None };
        let wanted = (pair.0.close < pair.0.open).then_some(Intent::Exit);
        assert_eq!(step(&mut core, &none)[0].intent, wanted);
    }
}
