//! Orders, protection and results as sections of a story.

use std::collections::BTreeSet;

use levibot_core::domain::{Cause, DoneReason, ExitReason, Fill, Intent, Leg, OrderId, Side};
use levibot_core::record::Record;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::super::words::{self, Iso};
use super::pass::{Happening, OrderStory, Pass, TripStory};
use super::story::{FillPart, Filled, OrderEvent, OrderPart, ProtectionPart, ProtectionState, ResultPart};

/// An order with all that became of it.
pub(super) fn order(pass: &Pass, story: &OrderStory, asked: &BTreeSet<OrderId>) -> OrderPart {
    let order = &story.order;
    let reference = reference(story);
    OrderPart {
        seq: story.at.seq,
        time: Iso(story.at.ts),
        id: order.id.to_string(),
        symbol: order.symbol.to_string(),
        leg: words::leg(order.leg),
        side: order.side,
        quantity: order.qty,
        attempt: order.attempt,
        cause: cause(pass, story),
        cause_seq: cause_of(pass, story).map(|cause| cause.at.seq).or(story.decided.as_ref().map(|d| d.at.seq)),
        asked: asked.contains(&order.id),
        reserved: story.reserved,
        bracket: story.bracket,
        reference,
        events: story.events.iter().map(|(at, record)| event(at.seq, Iso(at.ts), record)).collect(),
        fills: story.fills.iter().map(|(at, fill)| fill_part(at.seq, fill)).collect(),
        filled: filled(story, reference.map(|(price, _)| price)),
    }
}

/// The halt, close or rebalancing that an order follows from.
pub(super) fn cause_of<'a>(pass: &'a Pass, story: &OrderStory) -> Option<&'a Happening> {
    match story.order.cause {
        Cause::Command { seq } => pass.causes.get(&seq),
        Cause::Rebalance { at } => {
            pass.rebalanced.as_ref().filter(|r| matches!(r.record, Record::Rebalance { at: due, .. } if due == at))
        }
        Cause::Decision { .. } | Cause::Bracket { .. } => None,
    }
}

fn cause(pass: &Pass, story: &OrderStory) -> String {
    let of_record = || cause_of(pass, story).map(|cause| super::tell::words_of(&cause.record));
    match story.order.cause {
        Cause::Decision { bar } => {
            let what = match story.decided.as_ref().and_then(|d| d.decision.intent) {
                Some(Intent::Enter { .. }) if story.order.leg == Leg::Exit => "turns to the other side",
                Some(Intent::Enter { .. }) => "wants to enter",
                Some(Intent::Exit) => "wants to be flat",
                _ => "decides",
            };
            format!("the strategy {what}, on the bar that closed at {}", words::time(bar))
        }
        Cause::Bracket { entry, rule } => format!("{} of the entry {entry}", rule_words(rule)),
        Cause::Command { seq } => of_record().unwrap_or_else(|| format!("what record {seq} asks for")),
        Cause::Rebalance { at } => {
            of_record().unwrap_or_else(|| format!("the rebalancing that was due at {}", words::time(at)))
        }
    }
}

const fn rule_words(rule: ExitReason) -> &'static str {
    match rule {
        ExitReason::Stop => "the stop price was reached: the bracket",
        ExitReason::Target => "the target price was reached: the bracket",
        ExitReason::Trailing => "the trailing stop was reached: the bracket",
        ExitReason::TimeExit => "the longest holding time is over: the bracket",
        ExitReason::Signal | ExitReason::Reverse | ExitReason::Flatten | ExitReason::RangeEnd => "the bracket",
    }
}

/// What the fills of an order are compared with.
fn reference(story: &OrderStory) -> Option<(f64, &'static str)> {
    if let Some(trigger) = story.order.trigger {
        return Some((trigger.to_f64(), "the price at which the bracket was triggered"));
    }
    match (story.order.cause, &story.guarded) {
        (Cause::Bracket { rule: ExitReason::Stop | ExitReason::Trailing, .. }, Some(bracket)) => {
            Some((bracket.stop?, "the stop price"))
        }
        (Cause::Bracket { rule: ExitReason::Target, .. }, Some(bracket)) => Some((bracket.target?, "the target price")),
        (Cause::Decision { .. }, _) => match story.decided.as_ref()?.decision.intent? {
            Intent::Enter { reference, .. } => Some((reference, "the close of the deciding bar")),
            Intent::Exit | Intent::Tighten { .. } => None,
        },
        _ => None,
    }
}

fn event(seq: u64, time: Iso, record: &Record) -> OrderEvent {
    let said =
        |text: &Option<String>| text.as_ref().map_or_else(String::new, |text| format!(": {}", words::clean(text)));
    let text = match record {
        Record::Accepted { .. } => "accepted: the venue has it".to_owned(),
        Record::Unknown { acceptable_until, text, .. } => format!(
            "unknown what became of it: {} (the venue could still take it until {})",
            words::clean(text),
            words::fine_time(*acceptable_until)
        ),
        Record::Absent { asked, .. } => {
            format!("the venue, asked at {}, has no such order", words::fine_time(*asked))
        }
        Record::Done { reason, text, .. } => {
            let reason = match reason {
                DoneReason::Filled => "filled",
                DoneReason::Cancelled => "cancelled",
                DoneReason::Rejected => "rejected by the venue",
                DoneReason::Expired => "expired at the venue",
                DoneReason::NotSent => "it never reached the venue",
            };
            format!("over: {reason}{}", said(text))
        }
        _ => String::new(),
    };
    OrderEvent { seq, time, text }
}

fn fill_part(seq: u64, fill: &Fill) -> FillPart {
    FillPart {
        seq,
        time: Iso(fill.ts),
        trade_id: fill.trade_id.to_string(),
        price: fill.price.get(),
        quantity: fill.qty.get(),
        fee: fill.fee,
        commission: fill.commission,
    }
}

fn filled(story: &OrderStory, reference: Option<f64>) -> Option<Filled> {
    let (mut quantity, mut value, mut fees) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
    for (_, fill) in &story.fills {
        quantity = quantity.saturating_add(fill.qty.get());
        value = value.saturating_add(fill.price.notional(fill.qty).get());
        fees = fees.saturating_add(fill.fee.get());
    }
    let price = value.checked_div(quantity)?.round_dp(12).normalize();
    let worse = |reference: f64| {
        let sign = if story.order.side == Side::Buy { 1.0 } else { -1.0 };
        Some(sign * (price.to_f64()? - reference)).filter(|worse| worse.is_finite())
    };
    let slippage = reference.and_then(worse);
    Some(Filled {
        quantity: quantity.normalize(),
        price,
        fees: fees.normalize(),
        slippage_bp: slippage.zip(reference).map(|(worse, reference)| worse / reference * 1e4),
        slippage: slippage.zip(quantity.to_f64()).map(|(worse, quantity)| worse * quantity),
    })
}

/// What protected a position.
pub(super) fn protection(story: &TripStory) -> Option<ProtectionPart> {
    let (first, _) = story.brackets.first()?;
    let state = |(at, bracket): &(super::pass::At, levibot_core::record::Bracket)| ProtectionState {
        seq: at.seq,
        time: Iso(at.ts),
        stop: bracket.stop,
        target: bracket.target,
        trailing: bracket.trailing,
        trailed: bracket.trailed,
        best: bracket.best,
        expires: bracket.expires.map(Iso),
    };
    let symbol = story.trip.symbol.to_string();
    Some(ProtectionPart { seq: first.seq, symbol, states: story.brackets.iter().map(state).collect() })
}

/// What a round trip came to; `seq` is its last record.
pub(super) fn result(story: &TripStory, seq: u64) -> ResultPart {
    let trip = &story.trip;
    ResultPart {
        seq,
        symbol: trip.symbol.to_string(),
        direction: words::direction(trip.direction),
        opened: Iso(trip.opened),
        closed: trip.closed.map(Iso),
        holding_seconds: trip.closed.map(|closed| (closed - trip.opened).nanos() / 1_000_000_000),
        ended_by: trip.reason.filter(|_| trip.closed.is_some()),
        quantity: trip.entered.normalize(),
        entry_price: trip.entry_price(),
        exit_price: trip.exit_price(),
        gross_pnl: trip.gross.normalize(),
        fees: trip.fees.normalize(),
        funding: trip.funding.normalize(),
        net_pnl: trip.net().normalize(),
        return_pct: trip.return_pct(),
        open: story.held.clone(),
        parts: trip.parts,
    }
}
