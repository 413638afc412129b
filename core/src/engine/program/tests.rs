//! What a program wants, on plans by hand.

use super::*;
use crate::domain::{Ix, Span, Ts, Vote};
use crate::features::indicators::Atr;
use crate::features::series::walk;
use crate::policy::plan::{
    BarField, Binary, ModelValue, Node, NodeIx, PlannedSize, PositionValue, Rolling, SidePlan, TimeValue, Unary,
};

const OPEN: NodeIx = 0;
const CLOSE: NodeIx = 1;
const ONE: NodeIx = 2;

/// A plan over the open (0), the close (1), the number 1 (2) and these nodes, from 3 on. The volatility is 1.
fn plan(more: &[Node]) -> Plan {
    let mut nodes = vec![Node::Bar(BarField::Open), Node::Bar(BarField::Close), Node::Number(1.0)];
    nodes.extend(more);
    Plan { nodes, volatility: ONE, ..Plan::default() }
}

const fn side(entry: NodeIx, exit: Option<NodeIx>) -> SidePlan {
    SidePlan { entry: Some(entry), exit }
}

/// Long over the open, short under it: entered and left by the form of the bar.
fn by_form() -> Plan {
    let [over, under] = [Binary::Greater, Binary::Less].map(|op| Node::Binary(op, CLOSE, OPEN));
    Plan { long: side(3, Some(4)), short: side(4, Some(3)), ..plan(&[over, under]) }
}

fn bar(at: i64, open: f64, close: f64) -> Bar {
    let open_ts = Ts::EPOCH.saturating_add(Span::HOUR.times(at));
    Bar { open_ts, open, high: open.max(close), low: open.min(close), close, volume: 1.0 }
}

fn view(direction: Option<Direction>, entry_pending: Option<Direction>) -> PositionView {
    PositionView { direction, entry_pending, entry_price: 10.0, ..PositionView::flat(Ix(0)) }
}

fn forecast(prob_up: f64) -> Forecast {
    let votes = [Some(Vote { probability: 0.5, weight: 1.0 }), None, None];
    Forecast { version: "20220601_030000".parse().unwrap(), features: 0, votes, prob_up, quantiles: None }
}

fn decide(program: &mut Program, close: f64, position: Option<&PositionView>) -> Option<Intent> {
    program.decide(&Scene { close, timeframe: Timeframe::HOUR, position, forecast: None })
}

/// Takes a bar from 10 to `close` and decides.
fn take(program: &mut Program, at: i64, close: f64, position: Option<&PositionView>) -> Option<Intent> {
    program.update(&bar(at, 10.0, close), &[], Timeframe::HOUR);
    decide(program, close, position)
}

fn word(intent: Option<Intent>) -> &'static str {
    match intent {
        Some(Intent::Enter { direction: Direction::Long, .. }) => "long",
        Some(Intent::Enter { direction: Direction::Short, .. }) => "short",
        Some(Intent::Exit) => "exit",
        Some(Intent::Tighten { .. }) => "tighten",
        None => "-",
    }
}

/// Words for closes at 9, 10 and 11 over an open of 10, each a program of its own.
fn words(plan: &Plan, position: Option<PositionView>) -> [&'static str; 3] {
    [9.0, 10.0, 11.0].map(|close| word(take(&mut Program::new(plan, &[]), 0, close, position.as_ref())))
}

#[test]
fn a_side_is_entered_unless_it_is_held_or_on_its_way_and_the_other_side_wins_over_an_exit() {
    let (long, short) = (Some(Direction::Long), Some(Direction::Short));
    for (position, wanted) in [
        (None, ["short", "-", "long"]),
        (Some(view(None, None)), ["short", "-", "long"]),
        (Some(view(long, None)), ["short", "-", "-"]),
        (Some(view(short, None)), ["-", "-", "long"]),
        // A part of it is filled, or nothing yet: the other side turns it all the same.
        (Some(view(None, long)), ["short", "-", "-"]),
        (Some(view(long, long)), ["short", "-", "-"]),
        (Some(view(None, short)), ["-", "-", "long"]),
        // It is turning: the side that it turns to is the one that counts.
        (Some(view(long, short)), ["-", "-", "long"]),
        (Some(view(short, long)), ["short", "-", "-"]),
    ] {
        assert_eq!(words(&by_form(), position), wanted, "{position:?}");
    }
}

#[test]
fn a_plan_of_one_side_leaves_what_may_be_that_side() {
    let long_only = Plan { short: SidePlan::default(), ..by_form() };
    for (position, wanted) in [
        (None, ["exit", "-", "long"]),
        (Some(view(None, Some(Direction::Long))), ["exit", "-", "-"]),
        (Some(view(None, None)), ["-", "-", "long"]),
        (Some(view(Some(Direction::Long), None)), ["exit", "-", "-"]),
        (Some(view(Some(Direction::Short), None)), ["-", "-", "long"]),
    ] {
        assert_eq!(words(&long_only, position), wanted, "{position:?}");
    }
}

#[test]
fn where_both_entries_hold_neither_is_entered_and_exits_go_on() {
    let both = Plan { long: side(3, Some(3)), short: side(3, None), ..by_form() };
    assert_eq!(words(&both, Some(view(None, None))), ["-", "-", "-"]);
    assert_eq!(words(&both, Some(view(Some(Direction::Long), None))), ["-", "-", "exit"]);
}

#[test]
fn filters_hold_back_entries_and_never_exits() {
    let never = Plan { filters: vec![3, 4], ..by_form() };
    assert_eq!(words(&never, Some(view(None, None))), ["-", "-", "-"]);
    assert_eq!(words(&never, Some(view(Some(Direction::Long), None))), ["exit", "-", "-"]);
    let fits = Plan { filters: vec![3, ONE], ..by_form() };
    assert_eq!(words(&fits, Some(view(None, None))), ["-", "-", "long"]);
}

#[test]
fn a_cross_needs_two_bars_and_comes_from_equal_too() {
    let [up, down] = [Binary::CrossesAbove, Binary::CrossesBelow].map(|op| Node::Binary(op, CLOSE, OPEN));
    let crossing = Plan { long: side(3, None), short: side(4, None), ..plan(&[up, down]) };
    let mut program = Program::new(&crossing, &[]);
    assert_eq!(program.warm_up_bars(), 1);
    let closes = [11.0, 11.0, 9.0, 10.0, 11.0, 10.0, 9.0, 9.0, 12.0];
    let got: Vec<_> = (0..).zip(closes).map(|(at, close)| word(take(&mut program, at, close, None))).collect();
    assert_eq!(got, ["-", "-", "short", "-", "long", "-", "short", "-", "long"]);
}

#[test]
fn an_entry_carries_distances_size_volatility_and_reference_and_none_that_cannot_be_meant() {
    let numbers = [5.0, 2.0, 0.0, f64::NAN].map(Node::Number);
    let more: Vec<Node> = [Node::Binary(Binary::Greater, CLOSE, OPEN)].into_iter().chain(numbers).collect();
    let whole = Plan {
        long: side(3, None),
        stop: Some(4),
        target: Some(5),
        trailing: Some(ONE),
        time_exit_bars: Some(7),
        size: PlannedSize::Notional(4),
        ..plan(&more)
    };
    let entered = |plan: &Plan| take(&mut Program::new(plan, &[]), 0, 11.0, None);
    let wanted = Intent::Enter {
        direction: Direction::Long,
        probability: None,
        volatility: 1.0,
        reference: 11.0,
        size: Size::Notional(5.0),
        bracket: BracketSpec {
            stop: Some(5.0),
            target: Some(2.0),
            trailing: Some(1.0),
            time_exit: Some(Span::HOUR.times(7)),
        },
    };
    assert_eq!(entered(&whole), Some(wanted));
    for bad in [6, 7] {
        for plan in [
            Plan { stop: Some(bad), ..whole.clone() },
            Plan { target: Some(bad), ..whole.clone() },
            Plan { trailing: Some(bad), ..whole.clone() },
            Plan { size: PlannedSize::Units(bad), ..whole.clone() },
            Plan { size: PlannedSize::Equity(bad), ..whole.clone() },
            Plan { size: PlannedSize::Account, volatility: 7, ..whole.clone() },
        ] {
            assert_eq!(entered(&plan), None, "{plan:?}");
        }
        let Some(Intent::Enter { volatility, .. }) = entered(&Plan { volatility: bad, ..whole.clone() }) else {
            panic!("the size is its own");
        };
        assert!((volatility - VOLATILITY_MIN).abs() < 1e-18);
    }
}

#[test]
fn what_the_account_cannot_size_by_is_no_entry() {
    let nodes = [0.0, -1.0, 1e-10, f64::NAN, f64::INFINITY, 1e-9].map(Node::Number);
    let over = [Node::Binary(Binary::Greater, CLOSE, OPEN)];
    let all = plan(&over.into_iter().chain(nodes).collect::<Vec<_>>());
    for (volatility, enters) in (4..).zip([false, false, false, false, false, true]) {
        let sized = Plan { long: side(3, None), volatility, ..all.clone() };
        assert_eq!(words(&sized, None)[2] == "long", enters, "{volatility}");
        let told = Plan { size: PlannedSize::Units(ONE), ..sized };
        assert_eq!(words(&told, None)[2], "long", "a size that is told needs none");
    }
}

#[test]
fn a_time_over_ten_years_is_one_that_the_account_takes() {
    for (bars, span) in [(10, Span::DAY.times(70)), (100_000, BracketSpec::TIME_MAX)] {
        let long = Plan { time_exit_bars: Some(bars), ..by_form() };
        let mut program = Program::new(&long, &[]);
        let week = Timeframe::from_secs(604_800).unwrap();
        program.update(&bar(0, 10.0, 11.0), &[], week);
        let scene = Scene { close: 11.0, timeframe: week, position: None, forecast: None };
        let Some(Intent::Enter { bracket, .. }) = program.decide(&scene) else { panic!("{bars}") };
        assert_eq!(bracket.time_exit, Some(span));
    }
}

#[test]
fn the_volatility_does_not_hold_up_and_what_else_reads_it_waits() {
    let range = Node::Indicator(crate::policy::plan::Indicator::Atr, 14);
    let shared = [Node::Binary(Binary::Greater, CLOSE, OPEN), range, Node::Binary(Binary::Divide, 4, CLOSE)];
    let free = Plan { long: side(3, None), volatility: 5, ..plan(&shared) };
    let held = Plan { stop: Some(4), ..free.clone() };
    let (mut early, mut late) = (Program::new(&free, &[]), Program::new(&held, &[]));
    assert_eq!((early.warm_up_bars(), late.warm_up_bars()), (14, 14));
    let mut atr = Atr::new(14);
    let (mut entries, mut waited) = (0, 0);
    for (at, (bar, _)) in walk(4, 60).iter().enumerate() {
        atr.update(bar);
        let intents = [&mut early, &mut late].map(|program| {
            program.update(bar, &[], Timeframe::HOUR);
            decide(program, bar.close, None)
        });
        let [Some(Intent::Enter { volatility, .. }), other] = intents else { continue };
        assert!((volatility - (atr.value() / bar.close).max(VOLATILITY_MIN)).abs() < 1e-15);
        assert_eq!(other.is_some(), at >= 14, "{at}");
        entries += 1;
        waited += u32::from(other.is_none());
    }
    assert!(entries > 15 && waited > 3, "{entries} {waited}");
}

#[test]
fn nothing_is_wanted_before_all_is_known_whatever_already_holds() {
    let average = Node::Rolling(Rolling::Sma, CLOSE, 5);
    let nodes = [
        Node::Binary(Binary::Greater, CLOSE, OPEN),
        average,
        Node::Binary(Binary::Less, CLOSE, 4),
        Node::Binary(Binary::Or, 3, 5),
    ];
    let either = Plan { long: side(6, None), ..plan(&nodes) };
    let mut program = Program::new(&either, &[]);
    assert_eq!(program.warm_up_bars(), 4);
    let got: Vec<_> = (0..7).map(|at| word(take(&mut program, at, 11.0, None))).collect();
    assert_eq!(got, ["-", "-", "-", "-", "long", "long", "long"]);
}

#[test]
fn an_exit_waits_for_its_own_values_alone() {
    let nodes = [
        Node::Binary(Binary::Greater, CLOSE, OPEN),
        Node::Binary(Binary::Less, CLOSE, OPEN),
        Node::Rolling(Rolling::Sma, CLOSE, 5),
        Node::Binary(Binary::Greater, CLOSE, 5),
        Node::Binary(Binary::And, 3, 6),
        Node::Rolling(Rolling::Sma, CLOSE, 3),
        Node::Binary(Binary::Less, CLOSE, 8),
    ];
    let held = view(Some(Direction::Long), None);
    let run = |exit| {
        let mut program = Program::new(&Plan { long: side(7, Some(exit)), ..plan(&nodes) }, &[]);
        let closes = [9.5, 9.4, 9.3, 9.2, 9.1];
        (0..).zip(closes).map(|(at, close)| word(take(&mut program, at, close, Some(&held)))).collect::<Vec<_>>()
    };
    assert_eq!(run(4), ["exit"; 5], "it names the bar alone");
    assert_eq!(run(9), ["-", "-", "exit", "exit", "exit"], "three bars");
}

#[test]
fn what_is_not_finite_holds_neither_way() {
    let nodes = [
        Node::Binary(Binary::Subtract, CLOSE, OPEN),
        Node::Binary(Binary::Divide, ONE, 3),
        Node::Binary(Binary::Greater, 4, ONE),
        Node::Unary(Unary::Not, 5),
        Node::Binary(Binary::Equal, CLOSE, OPEN),
        Node::Binary(Binary::Or, 5, 7),
    ];
    let of = |entry| Plan { long: side(entry, None), ..plan(&nodes) };
    // 1 / (close - open) is -1, infinite, and 1.
    assert_eq!(words(&of(5), None), ["-", "-", "-"]);
    assert_eq!(words(&of(6), None), ["long", "-", "long"]);
    assert_eq!(words(&of(8), None), ["-", "long", "-"], "the other half is known");
}

#[test]
fn time_is_that_of_the_close_in_utc() {
    for (value, wanted) in [
        (TimeValue::Minute, 0.0),
        (TimeValue::Hour, 0.0),
        (TimeValue::Weekday, 3.0),
        (TimeValue::Day, 29.0),
        (TimeValue::Month, 2.0),
    ] {
        let nodes = [Node::Time(value), Node::Number(wanted), Node::Binary(Binary::Equal, 3, 4)];
        let mut program = Program::new(&Plan { long: side(5, None), ..plan(&nodes) }, &[]);
        // Wednesday, 28 February 2024, the last hour.
        let open_ts = "2024-02-28T23:00:00Z".parse().unwrap();
        program.update(&Bar { open_ts, ..bar(0, 10.0, 11.0) }, &[], Timeframe::HOUR);
        assert_eq!(word(decide(&mut program, 11.0, None)), "long", "{value:?}");
    }
}

#[test]
fn every_day_of_two_centuries_has_its_date() {
    for days in -40_000..40_000_i64 {
        let ts = Ts::from_secs(days * 86_400 + 4_321);
        let (text, at) = (ts.to_string(), |value| code::Op::Time(value).of(0.0, 0.0, ts));
        let date = |range: std::ops::Range<usize>| text[range].parse::<f64>().unwrap();
        assert_eq!((at(TimeValue::Month), at(TimeValue::Day)), (date(5..7), date(8..10)), "{text}");
        assert_eq!((at(TimeValue::Hour), at(TimeValue::Minute)), (1.0, 12.0));
    }
}

#[test]
fn the_gain_is_that_of_the_side_and_unknown_before_the_account_has_spoken() {
    let nodes = [
        Node::Position(PositionValue::Gain),
        Node::Number(0.05),
        Node::Binary(Binary::Greater, 3, 4),
        Node::Position(PositionValue::Flat),
        Node::Unary(Unary::Not, 6),
    ];
    let taker = Plan { long: side(6, Some(5)), short: SidePlan { entry: None, exit: Some(5) }, ..plan(&nodes) };
    assert_eq!(words(&taker, Some(view(Some(Direction::Long), None))), ["-", "-", "exit"]);
    assert_eq!(words(&taker, Some(view(Some(Direction::Short), None))), ["exit", "-", "-"]);
    assert_eq!(words(&taker, Some(view(None, None))), ["long"; 3]);
    assert_eq!(words(&taker, None), ["-"; 3]);
    let not_flat = Plan { long: side(7, None), ..taker };
    assert_eq!(words(&not_flat, None), ["-"; 3]);
}

#[test]
fn the_model_is_compared_from_decision_to_decision_and_must_be_sound() {
    let nodes = [
        Node::Model(ModelValue::ProbUp),
        Node::Number(0.6),
        Node::Binary(Binary::CrossesAbove, 3, 4),
        Node::Binary(Binary::CrossesBelow, 3, 4),
    ];
    let plan = Plan { long: side(5, Some(6)), ..plan(&nodes) };
    let mut program = Program::new(&plan, &[]);
    let mut at = 0;
    let mut ask = |prob_up: Option<f64>| {
        at += 1;
        program.update(&bar(at, 10.0, 11.0), &[], Timeframe::HOUR);
        let forecast = prob_up.map(forecast);
        program.decide(&Scene { close: 11.0, timeframe: Timeframe::HOUR, position: None, forecast: forecast.as_ref() })
    };
    let wanted = [Some(0.5), Some(0.5), None, Some(f64::NAN), Some(0.7), Some(0.7), Some(0.4)];
    let got: Vec<_> = wanted.into_iter().map(&mut ask).collect();
    assert_eq!(got.iter().map(|intent| word(*intent)).collect::<Vec<_>>(), ["-", "-", "-", "-", "long", "-", "exit"]);
    let Some(Intent::Enter { probability, .. }) = got[4] else { panic!("{got:?}") };
    assert_eq!(probability, Some(0.7));
}

#[test]
fn without_a_forecast_nothing_is_entered_and_exits_that_do_not_name_the_model_go_on() {
    let nodes = [
        Node::Model(ModelValue::ProbUp),
        Node::Number(0.5),
        Node::Binary(Binary::Greater, 3, 4),
        Node::Binary(Binary::Less, 3, 4),
        Node::Binary(Binary::Less, CLOSE, OPEN),
        Node::Binary(Binary::Or, 6, 7),
        Node::Binary(Binary::CrossesBelow, 3, 4),
        Node::Position(PositionValue::Gain),
        Node::Rolling(Rolling::Highest, 10, 2),
        Node::Binary(Binary::Less, 10, 11),
    ];
    let run = |exit, closes: &[f64], probs: &[Option<f64>]| {
        let mut program = Program::new(&Plan { long: side(5, Some(exit)), ..plan(&nodes) }, &[]);
        let held = view(Some(Direction::Long), None);
        let mut got = Vec::new();
        for (at, (close, prob_up)) in (0..).zip(closes.iter().zip(probs)) {
            program.update(&bar(at, 10.0, *close), &[], Timeframe::HOUR);
            let forecast = prob_up.map(forecast);
            let (timeframe, position) = (Timeframe::HOUR, Some(&held));
            let scene = Scene { close: *close, timeframe, position, forecast: forecast.as_ref() };
            got.push(word(program.decide(&scene)));
        }
        got
    };
    let (up, none, bad) = (Some(0.6), None, Some(f64::NAN));
    assert_eq!(run(7, &[9.0, 9.0, 11.0], &[none, bad, none]), ["exit", "exit", "-"], "the close alone");
    assert_eq!(run(6, &[9.0; 3], &[none, Some(0.4), none]), ["-", "exit", "-"], "the model alone");
    assert_eq!(run(8, &[9.0, 11.0, 11.0], &[none, none, Some(0.4)]), ["exit", "-", "exit"], "one of both");
    // What held at the decision before does not hold once more, and the cross goes over the gap.
    assert_eq!(run(9, &[9.0; 5], &[up, Some(0.4), none, up, none]), ["-", "exit", "-", "-", "-"]);
    assert_eq!(run(9, &[9.0; 4], &[up, none, bad, Some(0.4)]), ["-", "-", "-", "exit"]);
    assert_eq!(run(12, &[12.0, 11.0, 13.0, 12.0], &[none; 4]), ["-", "exit", "-", "exit"], "the position is known");
    let mut program = Program::new(&Plan { long: side(5, Some(6)), ..plan(&nodes) }, &[]);
    assert_eq!(word(take(&mut program, 0, 11.0, Some(&view(None, None)))), "-", "no entry");
}

#[test]
fn a_feature_is_read_from_those_given_and_only_when_it_is_defined() {
    let id = FeatureId::Rsi14;
    let nodes = [Node::Feature(id), Node::Number(0.5), Node::Binary(Binary::Greater, 3, 4)];
    let plan = Plan { long: side(5, None), ..plan(&nodes) };
    let run = |given: &[FeatureId], values: &[f64]| {
        let mut program = Program::new(&plan, given);
        let mut got = Vec::new();
        for at in 0..20 {
            program.update(&bar(at, 10.0, 11.0), values, Timeframe::HOUR);
            got.push(decide(&mut program, 11.0, None).is_some());
        }
        got.iter().position(|entered| *entered)
    };
    assert_eq!(run(&[FeatureId::Adx14, id], &[0.1, 0.9]), Some(id.warm_up() - 1));
    assert_eq!(run(&[FeatureId::Adx14, id], &[0.9, 0.1]), None);
    assert_eq!(run(&[FeatureId::Adx14], &[0.9]), None, "not given");
}

#[test]
fn regimes_are_those_of_the_classifier_from_the_bar_on_which_they_are_known() {
    for (value, ready, is) in [
        (RegimeValue::Up, 49, (|c: &Classifier| c.trend() == Trend::Up) as fn(&Classifier) -> bool),
        (RegimeValue::Range, 49, |c| c.trend() == Trend::Range),
        (RegimeValue::Calm, 481, |c| c.activity() == Activity::Calm),
        (RegimeValue::Wild, 481, |c| c.activity() == Activity::Wild),
    ] {
        let mut program = Program::new(&Plan { long: side(3, None), ..plan(&[Node::Regime(value)]) }, &[]);
        let mut classifier = Classifier::new();
        let mut held = 0;
        for (at, (bar, _)) in walk(2, 1_200).iter().enumerate() {
            // The walk trends at first, then falls asleep, then wakes.
            let quiet = if (700..900).contains(&at) { 0.01 } else { 1.0 };
            let close = 100.0 + quiet * (bar.close - 100.0) + if at < 300 { at as f64 } else { 0.0 };
            let bar = Bar { open: close, high: close, low: close, close, ..*bar };
            classifier.update(close);
            program.update(&bar, &[], Timeframe::HOUR);
            let got = decide(&mut program, close, None).is_some();
            assert_eq!(got, at + 1 >= ready && is(&classifier), "{value:?} {at}");
            held += u32::from(got);
        }
        assert!(held > 5, "{value:?} {held}");
    }
}

#[test]
fn resumed_at_any_bar_it_decides_as_if_it_had_never_stopped_and_other_memories_are_refused() {
    let rollings = [
        Rolling::Ema,
        Rolling::Sma,
        Rolling::Std,
        Rolling::Zscore,
        Rolling::Highest,
        Rolling::Lowest,
        Rolling::Lag,
        Rolling::Change,
        Rolling::Rsi,
    ];
    let mut nodes: Vec<Node> = rollings.map(|rolling| Node::Rolling(rolling, CLOSE, 6)).to_vec();
    nodes.extend(
        [crate::policy::plan::Indicator::Atr, crate::policy::plan::Indicator::Adx].map(|i| Node::Indicator(i, 5)),
    );
    // All of them matter: their sum is the stop.
    for at in 0..10 {
        nodes.push(Node::Binary(Binary::Add, if at == 0 { 3 } else { 13 + at }, 4 + at));
    }
    nodes.push(Node::Regime(RegimeValue::Up));
    nodes.push(Node::Binary(Binary::CrossesAbove, CLOSE, 3));
    nodes.push(Node::Binary(Binary::Or, 24, 25));
    let plan = Plan { long: side(26, None), stop: Some(23), ..plan(&nodes) };
    let fresh = Program::new(&plan, &[]);
    let (mut truth, mut stopping) = (fresh.clone(), fresh.clone());
    let mut wanted = 0;
    for (bar, _) in walk(8, 400) {
        let bytes = postcard::to_allocvec(stopping.memories()).unwrap();
        stopping = fresh.clone();
        assert!(stopping.resume(postcard::from_bytes(&bytes).unwrap()));
        let intents = [&mut truth, &mut stopping].map(|program| {
            program.update(&bar, &[], Timeframe::HOUR);
            decide(program, bar.close, None)
        });
        assert_eq!(intents[0], intents[1]);
        wanted += u32::from(intents[0].is_some());
    }
    assert!(wanted > 20, "{wanted}");
    assert_eq!(truth, stopping);
    let mut other = Program::new(&by_form(), &[]);
    let before = other.clone();
    assert!(!other.resume(truth.memories().clone()));
    assert_eq!(other, before);
}

#[test]
fn a_plan_that_names_what_is_not_before_it_never_holds_and_never_fails() {
    let nodes =
        [Node::Binary(Binary::Greater, 900, OPEN), Node::Rolling(Rolling::Ema, 5, 3), Node::Unary(Unary::Not, 3)];
    let broken = Plan { long: side(3, Some(5)), short: side(901, None), filters: vec![902], ..plan(&nodes) };
    assert_eq!(words(&broken, Some(view(Some(Direction::Long), None))), ["-"; 3]);
}
