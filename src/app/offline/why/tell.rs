//! Makes a story of what the pass has found.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use levibot_core::domain::{Forecast, Intent, Member, OrderId};
use levibot_core::record::{Check, Record, Sizing, Verdict};
use rust_decimal::Decimal;

use super::super::words::{self, Iso};
use super::features::Features;
use super::orders;
use super::pass::{Decided, Happening, OrderStory, Pass, Terms};
use super::scene::Scene;
use super::story::{
    DayPart, DecisionPart, MemberVote, ModelPart, OrderPart, Planned, RecordPart, Refused, ResultPart, Section, Story,
    Term,
};
use super::subject::Subject;
use crate::journal::Recovery;

/// See the module.
pub(super) fn tell(dir: PathBuf, asked: &str, subject: &Subject, pass: Pass, recovery: &Recovery) -> Story {
    let found = &pass.found;
    let told: BTreeSet<OrderId> =
        found.orders.iter().copied().chain(found.trips.iter().flat_map(|trip| trip.orders.iter().copied())).collect();
    let stories: Vec<&OrderStory> = told.iter().filter_map(|id| pass.orders.get(id)).collect();
    let mut sections: Vec<Section> = Vec::new();
    let mut decisions: Vec<&Decided> = found.decided.iter().collect();
    for story in &stories {
        sections.push(Section::Order(orders::order(&pass, story, &found.orders)));
        decisions.extend(story.decided.as_deref());
    }
    decisions.sort_by_key(|decided| decided.at);
    decisions.dedup_by_key(|decided| decided.at);
    sections.extend(decisions.iter().map(|decided| Section::Decision(decision(&dir, &pass, decided))));
    let mut causes: Vec<&Happening> = stories.iter().filter_map(|story| orders::cause_of(&pass, story)).collect();
    if let Some(happening) = &found.happening {
        causes.retain(|cause| cause.at != happening.at);
        causes.push(happening);
    }
    causes.sort_by_key(|cause| cause.at);
    causes.dedup_by_key(|cause| cause.at);
    sections.extend(causes.into_iter().map(|cause| Section::Record(record(cause))));
    for trip in &found.trips {
        sections.extend(orders::protection(trip).map(Section::Protection));
        let of_trip = trip.orders.iter().filter_map(|id| pass.orders.get(id));
        let last = of_trip.flat_map(|o| o.fills.iter().map(|(at, _)| at.seq)).max().unwrap_or_default();
        sections.push(Section::Result(orders::result(trip, last)));
    }
    sections.sort_by_key(Section::place);
    let about = about(subject, &pass, &sections);
    Story { dir, asked: asked.to_owned(), about, sections, notes: notes(recovery) }
}

fn notes(recovery: &Recovery) -> Vec<String> {
    let torn = recovery.torn.as_ref().map(|torn| {
        format!(
            "the journal's last line is incomplete ({} bytes): a daemon is writing it, or died while it did; the story ends \
             with record {}",
            torn.bytes, recovery.head.seq
        )
    });
    torn.into_iter().collect()
}

/// The answer in a sentence.
fn about(subject: &Subject, pass: &Pass, sections: &[Section]) -> String {
    let decided = |part: &DecisionPart| {
        format!("{}, at {}: {}", wanted_words(part), words::time(part.bar.0), verdict_words(part))
    };
    let by_decision = pass.found.decided.is_some();
    let main = sections.iter().find_map(|section| match section {
        Section::Decision(part) if by_decision && pass.found.decided.as_ref().is_some_and(|d| d.at.seq == part.seq) => {
            Some(decided(part))
        }
        Section::Order(part) if !by_decision && part.asked && pass.found.happening.is_none() => Some(order_words(part)),
        Section::Record(part) if pass.found.happening.as_ref().is_some_and(|h| h.at.seq == part.seq) => {
            Some(format!("record {}: {}", part.seq, part.text))
        }
        _ => None,
    });
    let ended = sections.iter().rev().find_map(|section| match section {
        Section::Result(part) if pass.found.happening.is_none() => Some(result_words(part)),
        _ => None,
    });
    let main = main.unwrap_or_else(|| subject.to_string());
    ended.map_or_else(|| main.clone(), |ended| format!("{main}; {ended}"))
}

fn verdict_words(part: &DecisionPart) -> String {
    match &part.refused {
        Some(refused) => format!("refused by {}", refused.check),
        None => part.verdict.to_owned(),
    }
}

fn wanted_words(part: &DecisionPart) -> String {
    let symbol = &part.symbol;
    match part.wanted {
        Some(Intent::Enter { direction, .. }) => format!("{symbol}: enter {}", words::direction(direction)),
        Some(Intent::Exit) => format!("{symbol}: be flat"),
        Some(Intent::Tighten { stop }) => format!("{symbol}: move the stop to {}", words::number(stop)),
        None => format!("{symbol}: nothing"),
    }
}

fn order_words(part: &OrderPart) -> String {
    let side = words::side(part.side);
    let fill = match &part.filled {
        Some(filled) => format!("{} at {}", filled.quantity, words::rounded(filled.price, 8)),
        None => format!("{}, nothing of it filled", part.quantity),
    };
    format!("order {} is an {} of {}: {side} {fill}", part.id, part.leg, part.symbol)
}

fn result_words(part: &ResultPart) -> String {
    match (part.closed, part.ended_by) {
        (Some(_), Some(by)) => format!(
            "the {} position was closed by {by} after {}: net {}",
            part.direction,
            words::seconds(part.holding_seconds.unwrap_or_default()),
            words::signed(part.net_pnl)
        ),
        _ => format!("the {} position is open", part.direction),
    }
}

fn decision(dir: &Path, pass: &Pass, decided: &Decided) -> DecisionPart {
    let strategy = pass.strategies.get(&decided.decision.policy);
    let (verdict, refused, checks, sizing) = match &decided.verdict {
        Verdict::Approved { sizing, checks } => ("approved", None, checks.clone(), sizing.as_ref()),
        Verdict::Refused { check, reason, sizing, checks } => {
            let refused = Refused { check: check.clone(), reason: reason.clone() };
            ("refused", Some(refused), checks.clone(), sizing.as_ref())
        }
        Verdict::Unchanged => ("unchanged", None, Vec::new(), None),
    };
    DecisionPart {
        seq: decided.at.seq,
        time: Iso(decided.at.ts),
        symbol: decided.symbol.to_string(),
        bar: Iso(decided.decision.bar),
        wanted: decided.decision.intent,
        strategy: strategy.map(|strategy| strategy.name().to_owned()),
        policy: format!("{:016x}", decided.decision.policy),
        model: decided.decision.forecast.as_ref().map(|forecast| model(pass, forecast)),
        features: Features::of(dir, decided, strategy),
        account: decided.scene.clone(),
        verdict,
        planned: planned(decided.decision.intent, sizing),
        checks: complete(checks, refused.as_ref()),
        refused,
        sizing: sizing.map(|sizing| terms(sizing, &decided.terms)).unwrap_or_default(),
    }
}

/// Records of older versions name the check that refused, and no others.
fn complete(checks: Vec<Check>, refused: Option<&Refused>) -> Vec<Check> {
    match refused {
        Some(refused) if checks.is_empty() => {
            vec![Check { name: refused.check.clone().into(), passed: false, value: None, limit: None }]
        }
        _ => checks,
    }
}

fn model(pass: &Pass, forecast: &Forecast) -> ModelPart {
    let note = pass.models.get(&forecast.version);
    let vote = |member: Member| {
        let vote = forecast.votes.get(member.at()).copied().flatten();
        MemberVote { member, probability: vote.map(|v| v.probability), weight: vote.map(|v| v.weight) }
    };
    ModelPart {
        version: forecast.version.to_string(),
        digest: note.map(|note| note.digest.clone()),
        trained_through: note.map(|note| Iso(note.trained_through)),
        prob_up: forecast.prob_up,
        confidence: forecast.confidence(),
        votes: Member::ALL.into_iter().map(vote).collect(),
        quantiles: forecast.quantiles,
        window: format!("{:016x}", forecast.features),
    }
}

/// The terms of a size, step by step.
fn terms(sizing: &Sizing, policy: &Terms) -> Vec<Term> {
    let n = words::number;
    let term = |name: &str, value: f64, how: String| Term {
        name: name.to_owned(),
        value,
        how,
        bound: sizing.bound_by == name,
    };
    let mut terms = match sizing.terms.first().filter(|first| first.name.starts_with("policy_")) {
        // The policy's own figure stands where the account's formula would.
        Some(first) => vec![term(&first.name, first.notional, further_words(&first.name).to_owned())],
        None => formula(sizing, policy).map(|(name, value, how)| term(name, value, how)).into(),
    };
    // Where nothing is limited there is one term. Older records name none, and were limited.
    if sizing.terms.len() != 1 {
        let symbol = format!("at most {} of equity in a symbol", n(policy.symbol_fraction));
        terms.push(term("max_symbol_risk_pct", sizing.equity * policy.symbol_fraction, symbol));
        terms.push(term("max_position_usd", policy.max_position, "at most that in a position".to_owned()));
    }
    terms.extend(further(sizing, &terms));
    if !terms.iter().any(|term| term.bound) {
        terms.push(term(&sizing.bound_by, sizing.notional, "what bound".to_owned()));
    }
    let least = format!("the smallest of them; min_position_usd is {}", n(policy.min_position));
    terms.push(term("notional", sizing.notional, least));
    terms
}

/// The account's own formula, step by step.
fn formula(sizing: &Sizing, policy: &Terms) -> [(&'static str, f64, String); 3] {
    let n = words::number;
    let kelly = if !policy.is_kelly {
        "fixed fractional: the whole of it".to_owned()
    } else if sizing.with_probability {
        format!("Kelly's rule with the probability, times kelly_fraction {}", n(policy.kelly_fraction))
    } else {
        format!("kelly_fraction {}: a rule has no probability", n(policy.kelly_fraction))
    };
    let base = format!(
        "equity {} x max_risk_pct {} / volatility {}",
        n(sizing.equity),
        n(policy.risk_per_trade),
        n(sizing.volatility)
    );
    [
        ("base", sizing.base, base),
        ("kelly", sizing.kelly, kelly),
        ("risk_per_trade", sizing.base * sizing.kelly, "base x kelly".to_owned()),
    ]
}

/// Terms on record that are not reckoned above.
fn further(sizing: &Sizing, known: &[Term]) -> Vec<Term> {
    let is_new = |name: &str| known.iter().all(|term| term.name != name);
    let on_record = sizing.terms.iter().filter(|term| is_new(&term.name));
    let term = |term: &levibot_core::record::Term| Term {
        name: term.name.clone().into_owned(),
        value: term.notional,
        how: further_words(&term.name).to_owned(),
        bound: sizing.bound_by == term.name,
    };
    on_record.map(term).collect()
}

fn further_words(name: &str) -> &'static str {
    match name {
        "policy_units" => "base units that the policy asks for, at the dearer of the decision's price and the last one",
        "policy_notional" => "the amount that the policy asks for",
        "policy_equity" => "the fraction of equity that the policy asks for",
        "max_order_usd" => "at most that in one order",
        "available" => "capital that is neither in positions nor reserved, less both sides' costs",
        _ => "on record",
    }
}

fn planned(intent: Option<Intent>, sizing: Option<&Sizing>) -> Option<Planned> {
    let Some(Intent::Enter { direction, reference, bracket, .. }) = intent else { return None };
    let away = |distance: f64| reference + direction.sign() * distance;
    let notional = sizing.map(|sizing| sizing.notional);
    let quantity = notional.map(|notional| notional / reference).filter(|quantity| quantity.is_finite());
    Some(Planned {
        direction: words::direction(direction),
        reference,
        notional,
        quantity,
        stop: bracket.stop.map(|stop| away(-stop)),
        target: bracket.target.map(away),
        loss_at_stop: quantity.zip(bracket.stop).map(|(quantity, stop)| quantity * stop),
    })
}

fn record(happening: &Happening) -> RecordPart {
    let json = serde_json::to_value(&happening.record).unwrap_or_default();
    let kind = json.get("type").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let is_halt = matches!(happening.record, Record::Halt { .. });
    // What halted saw the prices of its instant, which are on record right after it.
    let scene = happening.scene.clone().map(|scene| match &happening.mark {
        Some(mark) if is_halt => scene.marked(happening.at.ts, mark),
        _ => scene,
    });
    let ids = |ids: &[OrderId]| ids.iter().map(ToString::to_string).collect();
    RecordPart {
        seq: happening.at.seq,
        time: Iso(happening.at.ts),
        kind,
        text: words_of(&happening.record),
        record: json,
        day: scene.as_ref().filter(|_| is_halt).and_then(|scene| day(scene, happening.daily_loss?)),
        account: scene,
        sent: ids(&happening.sent),
        cancelled: ids(&happening.cancelled),
    }
}

fn day(scene: &Scene, limit: f64) -> Option<DayPart> {
    let start_equity = scene.day_start_equity?;
    let loss = start_equity.get().saturating_sub(scene.equity);
    let loss_pct = loss.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(start_equity.get())?.round_dp(4).normalize();
    let limit_pct = Decimal::try_from(limit * 100.0).ok()?.round_dp(4).normalize();
    Some(DayPart { start_equity, equity: scene.equity, loss, loss_pct, limit_pct })
}

/// A record in words.
pub(super) fn words_of(record: &Record) -> String {
    match record {
        Record::Halt { level, reason } => {
            format!("halt ({level}) by {}: {}", words::clean(&reason.by), words::clean(&reason.text))
        }
        Record::Close { symbol, reason } => {
            format!("close {symbol} by {}: {}", words::clean(&reason.by), words::clean(&reason.text))
        }
        Record::Resume { reason, start_equity } => format!(
            "resume by {}: {}; the day's loss counts from {start_equity} on",
            words::clean(&reason.by),
            words::clean(&reason.text)
        ),
        Record::Rebalance { at, by, rows } => {
            let who = by.as_ref().map_or_else(|| "the calendar".to_owned(), |reason| words::clean(&reason.by));
            format!("rebalancing by {who}, due at {}: {} position(s) weighed", words::time(*at), rows.len())
        }
        Record::Command { by, command, outcome } => {
            format!("{} asked for `{}`: {}", words::clean(by), words::clean(command), words::clean(outcome))
        }
        Record::Freeze { symbol, cause, reason } => match reason {
            Some(reason) => format!("entries of {symbol} are frozen ({cause}): {}", words::clean(reason)),
            None => format!("entries of {symbol} are free again ({cause})"),
        },
        Record::Wanted { symbol, .. } => format!("{symbol} is to be closed: its exit follows as soon as one may go"),
        Record::Drill { loss, reason } => {
            format!("drill of a loss of {} % by {}", words::number(loss * 100.0), words::clean(&reason.by))
        }
        Record::Foreign { fill, name } => format!(
            "a trade of an order that is not ours (`{}`): {} {} {} at {}",
            words::clean(name),
            words::side(fill.side),
            fill.qty,
            fill.symbol,
            fill.price
        ),
        Record::Started { run, timeframe, .. } => format!("a daemon began to write: run {run}, bars of {timeframe}"),
        Record::Ended { reason } => format!("the daemon ended in order: {}", words::clean(reason)),
        Record::Day { day, start_equity } => format!("trading day {day} begins with equity {start_equity}"),
        Record::Mark { cash, equity, positions, .. } => {
            format!("the account: cash {cash}, equity {equity}, {} position(s)", positions.len())
        }
        Record::Model { version, .. } => format!("decisions are made with version {version} of the model from here on"),
        Record::Dust { symbol, size, reason } => {
            format!("{size} {symbol} are left and count as no position: {}", words::clean(reason))
        }
        _ => "as the journal has it".to_owned(),
    }
}
