//! What differs between two deeds that stand for each other, and the words for it.

use levibot_core::domain::{Decision, DoneReason, Fill, Funding, Intent, Order, Side, Span, Ts};
use levibot_core::record::{Bracket, Sizing, Verdict};

use super::super::words;
use super::difference::Cause;
use super::follow::Link;

/// A difference as it is found: why, in words, and what it may follow from.
pub(super) type Found = (Cause, String, Link);

/// A decision, when it was taken, and what the account said.
pub(super) type Decided<'a> = (Ts, &'a Decision, &'a Verdict);

pub(super) fn decided(then: Decided<'_>, now: Decided<'_>) -> Option<Found> {
    let ((then_ts, a, then_said), (now_ts, b, now_said)) = (then, now);
    // None of these hangs on what the account holds.
    let signal = |why: &str| Some((Cause::Signal, why.to_owned(), Link::Root));
    if a.policy != b.policy {
        return signal("another strategy decided");
    }
    if a.forecast != b.forecast {
        return signal("the model said something else");
    }
    if a.features != b.features {
        return signal("the engines saw other features");
    }
    if a.intent != b.intent {
        let why = "something else was wanted with the same features: the position was another one";
        return Some((Cause::Signal, why.to_owned(), Link::Position));
    }
    let answer = answered(then_said, now_said);
    if then_ts == now_ts {
        return answer.map(|why| (Cause::Size, why, Link::House));
    }
    let when = late("taken", then_ts - now_ts);
    Some((Cause::Latency, answer.map_or(when.clone(), |why| format!("{when}: {why}")), Link::Root))
}

/// What differs in what the account said, as far as anything comes of it.
fn answered(then: &Verdict, now: &Verdict) -> Option<String> {
    match (then, now) {
        (Verdict::Unchanged, Verdict::Unchanged) => None,
        (Verdict::Refused { check: a, .. }, Verdict::Refused { check: b, .. }) if a == b => None,
        (Verdict::Approved { sizing: a, .. }, Verdict::Approved { sizing: b, .. }) => match (a, b) {
            (Some(a), Some(b)) => sized(a, b),
            _ => None,
        },
        (Verdict::Refused { reason, .. }, Verdict::Refused { reason: other, .. }) => {
            Some(format!("another check said no: {reason}; in the backtest {other}"))
        }
        (Verdict::Refused { reason, .. }, _) => Some(format!("the daemon's account refused: {reason}")),
        (_, Verdict::Refused { reason, .. }) => Some(format!("the backtest's account refused: {reason}")),
        _ => Some("one account found it to be so already".to_owned()),
    }
}

/// Whether two amounts are the same but for rounding.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

fn sized(a: &Sizing, b: &Sizing) -> Option<String> {
    if same(a.notional, b.notional) && a.bound_by == b.bound_by {
        return None;
    }
    let terms = a.terms.iter().zip(&b.terms).find(|(a, b)| a.name != b.name || !same(a.notional, b.notional));
    let term = terms.map_or_else(String::new, |(a, b)| {
        format!("; `{}` allowed {} and {}", a.name, words::number(a.notional), words::number(b.notional))
    });
    let equity = if same(a.equity, b.equity) {
        String::new()
    } else {
        format!("; equity was {} and {}", words::number(a.equity), words::number(b.equity))
    };
    let (a_notional, b_notional) = (words::number(a.notional), words::number(b.notional));
    let bound = format!("bound by `{}` and `{}`", a.bound_by, b.bound_by);
    Some(format!("sized to {a_notional} and {b_notional}, {bound}{term}{equity}"))
}

pub(super) fn ordered(then: &Order, now: &Order) -> Option<(Cause, String)> {
    if then.side != now.side || then.leg != now.leg {
        return Some((Cause::Signal, "it goes the other way".to_owned()));
    }
    if then.created != now.created {
        return Some((Cause::Latency, late("sent", then.created - now.created)));
    }
    if then.qty != now.qty {
        return Some((Cause::Size, "the quantity differs".to_owned()));
    }
    (then.trigger != now.trigger).then(|| (Cause::Fill, "it was triggered at another price".to_owned()))
}

pub(super) fn filled((then_ts, then): (Ts, &Fill), (now_ts, now): (Ts, &Fill)) -> Option<Found> {
    if then.ts != now.ts {
        return Some((Cause::Latency, late("filled", then.ts - now.ts), Link::Root));
    }
    if then.qty != now.qty || then.side != now.side {
        return Some((Cause::Fill, "another quantity was filled".to_owned(), Link::Position));
    }
    if then.price != now.price {
        return Some((Cause::Fill, "another price was paid".to_owned(), Link::Root));
    }
    (then_ts != now_ts).then(|| (Cause::Latency, late("heard of", then_ts - now_ts), Link::Root))
}

/// Of the last brackets of a symbol.
pub(super) fn guarded(then: &Bracket, now: &Bracket) -> Option<String> {
    let levels = |one: &Bracket| [("stop", one.stop), ("target", one.target), ("trailing distance", one.trailing)];
    let differs = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => !same(a, b),
        (a, b) => a.is_some() != b.is_some(),
    };
    let other = levels(then).into_iter().zip(levels(now)).find(|((_, a), (_, b))| differs(*a, *b));
    match other {
        Some(((what, _), _)) => Some(format!("another {what}")),
        None if then.expires != now.expires => Some("another time at which it is closed".to_owned()),
        None if then.trailing.is_some() && !same(then.best, now.best) => Some("another best price since".to_owned()),
        None => None,
    }
}

/// What was paid beyond the fee that the same fill has in the backtest, where the rates differ by more than rounding.
pub(super) fn fees(then: &Fill, now: &Fill) -> Option<(f64, String)> {
    let (a, b) = (then.price.to_f64() * then.qty.to_f64(), now.price.to_f64() * now.qty.to_f64());
    if !(a > 0.0 && b > 0.0) {
        return None;
    }
    let (rate, other) = (then.fee.to_f64() / a, now.fee.to_f64() / b);
    let extra = (rate - other) * a;
    let is_rounding = extra.abs() <= 1e-7_f64.max(1e-6 * then.fee.to_f64().abs());
    let percent = |rate: f64| words::number((rate * 1e8).round() / 1e6);
    (!is_rounding).then(|| (extra, format!("the fee was {} % and {} %", percent(rate), percent(other))))
}

/// What a fill is worth at the end before its fee, and the fee. Quote currency.
pub(super) fn worth(fill: &Fill, mark: f64) -> (f64, f64) {
    let sign = if fill.side == Side::Buy { 1.0 } else { -1.0 };
    (sign * fill.qty.to_f64() * (mark - fill.price.to_f64()), fill.fee.to_f64())
}

pub(super) fn late(what: &str, by: Span) -> String {
    let seconds = words::number(by.secs_f64().abs());
    if by > Span::from_nanos(0) { format!("{what} {seconds} s later") } else { format!("{what} {seconds} s earlier") }
}

pub(super) fn described(order: &Order) -> String {
    let Order { side, leg, qty, .. } = order;
    format!("{} {} {}", words::leg(*leg), words::side(*side), words::rounded(qty.get(), 8))
}

pub(super) fn executed(fill: &Fill) -> String {
    let [qty, price, fee] = [fill.qty.get(), fill.price.get(), fill.fee.get()].map(|value| words::rounded(value, 8));
    format!("{} {qty} at {price}, fee {fee}", words::side(fill.side))
}

pub(super) fn told(decision: &Decision, verdict: &Verdict) -> String {
    let wanted = match &decision.intent {
        Some(Intent::Enter { direction, .. }) => format!("enter {}", words::direction(*direction)),
        Some(Intent::Exit) => "exit".to_owned(),
        Some(Intent::Tighten { stop }) => format!("stop to {}", words::number(*stop)),
        None => "nothing".to_owned(),
    };
    match verdict {
        Verdict::Approved { sizing: Some(sizing), .. } => {
            format!("{wanted}, approved for {}", words::number(sizing.notional))
        }
        Verdict::Approved { .. } => format!("{wanted}, approved"),
        Verdict::Refused { check, .. } => format!("{wanted}, refused by {check}"),
        Verdict::Unchanged => format!("{wanted}, already so"),
    }
}

pub(super) fn protected(bracket: &Bracket) -> String {
    let level = |level: Option<f64>| level.map_or_else(|| "none".to_owned(), words::number);
    format!("stop {}, target {}", level(bracket.stop), level(bracket.target))
}

pub(super) fn ended(reason: DoneReason) -> &'static str {
    match reason {
        DoneReason::Filled => "filled",
        DoneReason::Cancelled => "cancelled",
        DoneReason::Rejected => "rejected",
        DoneReason::Expired => "expired",
        DoneReason::NotSent => "never sent",
    }
}

pub(super) fn funded(funding: &Funding) -> String {
    format!("{} at a rate of {}", words::rounded(funding.amount.get(), 8), words::number(funding.rate))
}

/// Why two fundings of an instant differ.
pub(super) fn paid(then: &Funding, now: &Funding) -> Option<Found> {
    if !same(then.rate, now.rate) {
        return Some((Cause::Funding, "another rate was due".to_owned(), Link::Root));
    }
    if then.mark != now.mark {
        return Some((Cause::Funding, "the position was valued at another price".to_owned(), Link::Root));
    }
    let found = || (Cause::Funding, "another position was held".to_owned(), Link::Position);
    (then.amount != now.amount).then(found)
}
