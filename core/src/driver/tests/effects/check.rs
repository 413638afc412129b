//! What must hold at the end of every night, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::daemon::read;
use super::plan::NOTIONAL_MAX;
use super::world::World;
use crate::account::State;
use crate::domain::*;
use crate::driver::audit::Audit;
use crate::driver::recovery::Fold;
use crate::record::{Envelope, Record, Verdict};

/// Checks everything; the first thing that is wrong, in words.
pub(super) fn check(world: &mut World, state: &State) -> Result<(), String> {
    let (envelopes, _, whole) = read(&world.disk);
    if whole != world.disk.len() {
        return Err("the journal does not end with a whole record".into());
    }
    fold(&envelopes, state)?;
    chain_of_causes(&envelopes)?;
    if !world.is_paper {
        orders(world, &envelopes)?;
        trades(world, &envelopes)?;
    }
    books(world, state)?;
    at_rest(world, state)
}

/// The record gives the account as it is, and is sound in itself.
fn fold(envelopes: &[Envelope], state: &State) -> Result<(), String> {
    let (mut fold, mut audit) = (Fold::default(), Audit::default());
    for envelope in envelopes {
        fold.take(envelope);
        audit.take(envelope).map_err(|fault| format!("audit: {fault}"))?;
    }
    match fold.finish() {
        Ok(Some(again)) if again == *state => Ok(()),
        Ok(_) => Err("the record does not give the account as it is".into()),
        Err((seq, error)) => Err(format!("record {seq}: {error}")),
    }
}

/// Every order has a cause on record before it, every word about it an intent, and no decision is two orders.
fn chain_of_causes(envelopes: &[Envelope]) -> Result<(), String> {
    let (mut causes, mut intents) = (BTreeSet::new(), BTreeSet::new());
    let mut entries = BTreeSet::new();
    for Envelope { seq, record, .. } in envelopes {
        match record {
            Record::Decision { symbol, decision, verdict } if !matches!(verdict, Verdict::Unchanged) => {
                causes.insert((*symbol, format!("decision/{}", decision.bar.nanos())));
            }
            Record::Bracket { symbol, bracket } => {
                causes.insert((*symbol, format!("bracket/{}", bracket.entry)));
            }
            Record::Intent { order, .. } => {
                let cause = match order.cause {
                    Cause::Bracket { entry, .. } => format!("bracket/{entry}"),
                    cause => cause.to_string(),
                };
                let commanded = matches!(order.cause, Cause::Command { seq } if is_command(envelopes, seq));
                if !commanded && !causes.contains(&(order.symbol, cause)) {
                    return Err(format!("record {seq}: {} has no cause on record: {}", order.id, order.cause));
                }
                if !intents.insert(order.id) {
                    return Err(format!("record {seq}: {} is intended twice", order.id));
                }
                if order.leg == Leg::Entry && !entries.insert((order.symbol, order.cause.to_string())) {
                    return Err(format!("record {seq}: {} is the second entry of one decision", order.id));
                }
            }
            Record::Accepted { order } | Record::Done { order, .. } | Record::Unknown { order, .. }
                if !intents.contains(order) =>
            {
                return Err(format!("record {seq}: {order} was never intended"));
            }
            Record::Fill { fill } if !intents.contains(&fill.order) => {
                return Err(format!("record {seq}: {} was never intended", fill.order));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_command(envelopes: &[Envelope], seq: u64) -> bool {
    let at = usize::try_from(seq).unwrap_or_default().checked_sub(1);
    let record = at.and_then(|at| envelopes.get(at)).map(|envelope| &envelope.record);
    matches!(record, Some(Record::Halt { .. } | Record::Close { .. }))
}

/// No order came twice, none came that is not on record, none is larger than what it was meant to be.
fn orders(world: &World, envelopes: &[Envelope]) -> Result<(), String> {
    if let Some(wrong) = world.exchange.wrong.first() {
        return Err(wrong.clone());
    }
    let intent = |envelope: &Envelope| match &envelope.record {
        Record::Intent { order, .. } => Some((order.id, order.clone())),
        _ => None,
    };
    let intents: BTreeMap<OrderId, Order> = envelopes.iter().filter_map(intent).collect();
    for order in world.exchange.submitted.values() {
        if intents.get(&order.id) != Some(order) {
            return Err(format!("{} came to the venue and is not on record like that", order.id));
        }
        if order.leg == Leg::Entry && order.qty.to_f64() * 80.0 > NOTIONAL_MAX {
            return Err(format!("{} of {} is over the limit", order.id, order.qty));
        }
    }
    for order in world.exchange.accepted.values() {
        let trades = world.exchange.trades.iter().filter(|trade| trade.order == order.id);
        let filled = trades.fold(Qty::ZERO, |sum, trade| sum + trade.qty);
        if filled > order.qty {
            return Err(format!("{} of {} was filled with {filled}", order.id, order.qty));
        }
    }
    Ok(())
}

/// Every trade at the venue stands on record, once, and nothing else does.
fn trades(world: &World, envelopes: &[Envelope]) -> Result<(), String> {
    let mut booked = BTreeMap::new();
    for envelope in envelopes {
        if let Record::Fill { fill } = &envelope.record
            && booked.insert((fill.symbol, fill.trade_id), fill.clone()).is_some()
        {
            return Err(format!("record {}: trade {} is booked twice", envelope.seq, fill.trade_id));
        }
    }
    for trade in &world.exchange.trades {
        match booked.remove(&(trade.symbol, trade.trade_id)) {
            Some(fill) if fill == *trade => {}
            Some(fill) => return Err(format!("{trade:?} is booked as {fill:?}")),
            None => return Err(format!("{trade:?} is not booked")),
        }
    }
    booked.into_values().next().map_or(Ok(()), |fill| Err(format!("{fill:?} never happened")))
}

/// Positions and cash are those of the venue, and equity is what the trades make of the beginning.
fn books(world: &mut World, state: &State) -> Result<(), String> {
    let truth = world.exchange.truth();
    let books: Vec<(Symbol, Decimal)> =
        state.books().iter().filter(|book| !book.is_flat()).map(|book| (book.symbol(), book.net())).collect();
    if books != truth.positions {
        return Err(format!("positions are {books:?} here and {:?} at the venue", truth.positions));
    }
    let cash = truth.balances.iter().map(|(_, held)| *held).sum::<Decimal>();
    if cash != state.cash().get() {
        return Err(format!("cash is {} here and {cash} at the venue", state.cash()));
    }
    if world.is_paper {
        return Ok(());
    }
    let mark = Decimal::from(100);
    let trade = |trade: &Fill| {
        let paid = trade.qty.get() * (trade.price.get() - mark);
        (if trade.side == Side::Buy { -paid } else { paid }) - trade.fee.get()
    };
    let equity = world.plan.setup.initial_cash.get() + world.exchange.trades.iter().map(trade).sum::<Decimal>();
    let open: Decimal = state.books().iter().map(|book| book.net() * mark - book.cost().get()).sum();
    if equity != state.cash().get() + open {
        return Err(format!("equity is {} here and {equity} by the trades", state.cash().get() + open));
    }
    Ok(())
}

/// Nothing of ours is open at the venue that is over here or not known, and nothing is open here that is over there.
fn at_rest(world: &mut World, state: &State) -> Result<(), String> {
    let open: BTreeSet<OrderId> = world.exchange.truth().orders.iter().filter_map(|order| order.id).collect();
    let here: BTreeSet<OrderId> = state.orders().map(|order| order.order.id).collect();
    if open != here {
        return Err(format!("open are {here:?} here and {open:?} at the venue"));
    }
    // The night ends with everything closed.
    match state.books().iter().find(|book| !book.is_flat()) {
        Some(book) => Err(format!("{} is still held", book.symbol())),
        None => Ok(()),
    }
}
