//! Engines that ask the model.

use super::rig::{LIVE, Rig, calm_with, forecast};
use crate::domain::*;
use crate::driver::{EngineInput, Input, Pace};
use crate::record::Record;

fn recorded(rig: &Rig) -> Vec<(Ts, Vec<Option<Forecast>>)> {
    let of = |record: &Record| match record {
        Record::Forecasts { bar, forecasts } => Some((*bar, forecasts.iter().map(|f| f.forecast).collect())),
        _ => None,
    };
    rig.records.iter().filter_map(|(_, record)| of(record)).collect()
}

fn decisions(rig: &Rig) -> Vec<Decision> {
    let of = |record: &Record| match record {
        Record::Decision { decision, .. } => Some(*decision),
        _ => None,
    };
    rig.records.iter().filter_map(|(_, record)| of(record)).collect()
}

#[test]
fn every_bar_is_asked_about_once_and_stands_on_record_before_it_is_decided() {
    let rig = calm_with(true);
    assert_eq!((rig.batches, rig.decided.len()), (LIVE, 3 * LIVE));
    let forecasts = recorded(&rig);
    assert_eq!(forecasts.len(), LIVE, "one record an instant");
    assert!(forecasts.iter().all(|(_, all)| all.len() == 3 && all.iter().all(Option::is_some)));
    let mut known: Vec<Forecast> = Vec::new();
    let mut entered = 0;
    for (_, record) in &rig.records {
        match record {
            Record::Forecasts { forecasts, .. } => known = forecasts.iter().filter_map(|f| f.forecast).collect(),
            Record::Decision { decision, .. } => {
                let forecast = decision.forecast.expect("a decision by the model has its forecast");
                assert!(known.contains(&forecast));
                if let Some(Intent::Enter { direction, probability, .. }) = decision.intent {
                    entered += 1;
                    assert_eq!((direction, probability), (forecast.side(), Some(forecast.confidence())));
                    assert!(forecast.confidence() >= 0.8);
                }
            }
            _ => {}
        }
    }
    assert!(entered > 30, "{entered}");
    assert!(
        rig.count(|r| matches!(r, Record::Decision { decision: Decision { intent: Some(Intent::Exit), .. }, .. })) > 5
    );
}

#[test]
fn in_lockstep_questions_go_together_in_instrument_order() {
    let mut rig = Rig::with(Pace::Lockstep, true);
    rig.attach_all();
    rig.begin();
    rig.give();
    while !rig.venue_answers.is_empty() {
        rig.venue_answer();
    }
    for left in [2, 1] {
        rig.answer(left);
        assert!(rig.questions.is_empty(), "the others have not asked");
    }
    rig.answer(0);
    let asked: Vec<Ix> = rig.questions.iter().map(|question| question.instrument).collect();
    assert_eq!((asked, rig.batches), (vec![Ix(0), Ix(1), Ix(2)], 1));
    rig.model_answer(2);
    rig.model_answer(0);
    assert!(recorded(&rig).is_empty(), "nothing is told before everything is known");
    rig.model_answer(0);
    assert_eq!(recorded(&rig).len(), 1);
}

#[test]
fn in_realtime_each_goes_as_it_comes_and_a_late_forecast_is_passed_over() {
    let mut rig = Rig::with(Pace::Realtime, true);
    rig.attach_all();
    rig.begin();
    rig.settle();
    rig.give();
    while !rig.venue_answers.is_empty() {
        rig.venue_answer();
    }
    rig.answer(1);
    assert_eq!((rig.questions.len(), rig.batches), (1, 0), "two others may still ask");
    rig.answer(0);
    rig.answer(0);
    assert_eq!((rig.questions.len(), rig.batches), (3, 1));
    rig.model_answer(0);
    assert_eq!(rig.decided.len(), 1);
    let late = rig.questions.clone();
    rig.questions.clear();
    while rig.settle_one() {}
    rig.give();
    rig.settle();
    assert_eq!(rig.decided.len(), 4, "the next bar is decided by all");
    let before = rig.records.len();
    for question in late {
        let answer = Some(forecast(question.features, 0.99));
        rig.tell(Input::Forecasts(vec![(question.instrument, question.bar, answer)]));
    }
    assert_eq!(rig.records.len(), before);
}

#[test]
fn without_a_forecast_nothing_is_wanted_and_the_bar_is_answered() {
    let mut rig = Rig::with(Pace::Lockstep, true);
    rig.attach_all();
    rig.begin();
    for _ in 0..20 {
        rig.give();
        while !(rig.venue_answers.is_empty() && rig.answers.is_empty()) {
            rig.settle_one();
        }
        // Away, numbers that cannot be meant, and the forecast of another window.
        let questions = std::mem::take(&mut rig.questions);
        let of = |q: &Question| [None, Some(forecast(q.features, f64::NAN)), Some(forecast(q.features ^ 1, 0.9))];
        let answers = questions.iter().map(|q| (q.instrument, q.bar, of(q)[q.instrument.at()])).collect();
        rig.tell(Input::Forecasts(answers));
        rig.settle();
    }
    assert!(recorded(&rig).iter().all(|(_, all)| all.iter().all(Option::is_none)));
    assert_eq!((recorded(&rig).len(), rig.decided.len()), (20, 60));
    assert!(decisions(&rig).is_empty());
}

#[test]
fn an_engine_that_comes_back_is_told_what_is_known_and_nothing_is_asked_twice() {
    let mut rig = Rig::with(Pace::Lockstep, true);
    rig.attach_all();
    rig.begin();
    let mut asked = 0;
    for frame in 0..LIVE {
        while rig.given <= frame {
            rig.settle();
            rig.give();
        }
        while !rig.venue_answers.is_empty() {
            rig.venue_answer();
        }
        (0..3).for_each(|_| rig.answer(0));
        asked += rig.questions.len();
        // One dies while the model thinks, another one after it was told.
        rig.detach(0, true);
        while !rig.questions.is_empty() {
            rig.model_answer(0);
        }
        rig.detach(1, true);
        rig.answers.retain(|a| super::of(a) == Ix(2));
        rig.attach(0);
        rig.attach(1);
        let told = |at: usize| rig.seats[at].told.iter().filter(|i| matches!(i, EngineInput::Forecast(..))).count();
        assert_eq!((told(0), told(1)), (frame, 2 * frame + 1), "nobody who is away is told");
    }
    rig.run();
    assert_eq!(asked, 3 * LIVE);
    super::assert_same(&calm_with(true), &rig, 0);
}
