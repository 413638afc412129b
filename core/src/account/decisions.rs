//! An engine's decision: checked, sized, reserved and put on record in one step.

use super::Action;
use super::core::{Account, Draft, plain, reserve};
use super::sizing::{SizingInput, size};
use crate::domain::instrument::Rounding;
use crate::domain::{
    AccountKind, Actions, BracketSpec, Cause, Decision, Direction, HaltLevel, Intent, Ix, Leg, Qty, Symbol, Ts,
};
use crate::record::{Record, Sizing, Verdict};

/// Why an entry is refused.
struct Refusal {
    check: &'static str,
    reason: String,
}

fn refuse<T>(check: &'static str, reason: String) -> Result<T, Refusal> {
    Err(Refusal { check, reason })
}

/// What an entry asks for.
#[derive(Clone, Copy)]
struct Entry {
    direction: Direction,
    probability: Option<f64>,
    volatility: f64,
    reference: f64,
    bracket: BracketSpec,
}

impl Account {
    pub(super) fn on_decision(&mut self, decision: &Decision, now: Ts, out: &mut Actions<Action>) {
        let ix = decision.instrument;
        let Some(book) = self.state.book(ix) else { return };
        // The same decision made again after a crash is the same decision: the journal has it already.
        if decision.bar <= book.last_decision {
            return;
        }
        let symbol = book.symbol();
        match decision.intent {
            None => return,
            Some(Intent::Enter { direction, probability, volatility, reference, bracket }) => {
                let entry = Entry { direction, probability, volatility, reference, bracket };
                self.enter(ix, symbol, decision, entry, now, out);
            }
            Some(Intent::Exit) => self.exit(ix, symbol, decision, now, out),
            Some(Intent::Tighten { stop }) => self.tighten(ix, symbol, decision, stop, now, out),
        }
        self.publish(ix, out);
    }

    fn enter(&mut self, ix: Ix, symbol: Symbol, decision: &Decision, entry: Entry, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let held = book.direction();
        let pending = book.live.iter().filter_map(|id| self.state.orders.get(id)).find(|o| o.order.leg == Leg::Entry);
        let side = entry.direction.entry_side();
        let same_pending = pending.is_some_and(|o| o.order.side == side);
        if held == Some(entry.direction) || same_pending {
            self.commit(Record::Decision { symbol, decision: *decision, verdict: Verdict::Unchanged }, now, out);
            return;
        }
        let checked = self.check_entry(ix, &entry);
        let verdict = match &checked {
            Ok((sizing, _)) => Verdict::Approved { sizing: Some(sizing.clone()), checks: Vec::new() },
            Err(Refusal { check, reason }) => Verdict::Refused {
                check: (*check).to_owned(),
                reason: reason.clone(),
                sizing: None,
                checks: Vec::new(),
            },
        };
        if !self.commit(Record::Decision { symbol, decision: *decision, verdict }, now, out) {
            return;
        }
        // An opposite entry on its way, or an opposite position, is no longer wanted even where the new one is refused.
        self.cancel_entries(ix, out);
        if held.is_some() {
            self.close_by_decision(ix, decision, now, out);
        }
        let Ok((sizing, qty)) = checked else { return };
        let draft = Draft {
            ix,
            side,
            leg: Leg::Entry,
            qty,
            cause: Cause::Decision { bar: decision.bar },
            policy: decision.policy,
            attempt: 1,
            trigger: None,
            reserved: reserve(sizing.notional, self.state.setup.cost_per_side),
            bracket: Some(entry.bracket),
        };
        self.submit(draft, now, out);
    }

    /// Every check of an entry, cheapest first; the first that fails names itself.
    fn check_entry(&self, ix: Ix, entry: &Entry) -> Result<(Sizing, Qty), Refusal> {
        self.check_permission(ix, entry.direction)?;
        let finite = |x: f64| x.is_finite() && x > 0.0;
        if !entry.bracket.is_sound() || !finite(entry.volatility) || !finite(entry.reference) {
            return refuse("numbers", format!("the decision holds numbers that cannot be: {:?}", entry.bracket));
        }
        self.check_counts(ix, entry.direction)?;
        self.check_size(ix, entry)
    }

    fn check_permission(&self, ix: Ix, direction: Direction) -> Result<(), Refusal> {
        if let Some(fault) = &self.fault {
            return refuse("ledger_fault", format!("the ledger refused a record: {fault}"));
        }
        if let Some(halt) = &self.state.halt
            && halt.level >= HaltLevel::EntryHalt
        {
            return refuse("halt", format!("halted by {}: {}", halt.reason.by, halt.reason.text));
        }
        if let Some(reason) = self.state.book(ix).and_then(|b| b.frozen().values().next()) {
            return refuse("frozen", format!("entries of this symbol are frozen: {reason}"));
        }
        if let Some((check, reason)) = self.venue_refusal(ix) {
            return refuse(check, reason);
        }
        if direction == Direction::Short && self.state.setup.kind == AccountKind::Spot {
            return refuse("spot_short", "a spot account holds assets and cannot be short".to_owned());
        }
        Ok(())
    }

    /// Directions held or on their way in other symbols, with the symbol.
    fn exposures(&self, but: Ix) -> impl Iterator<Item = (Symbol, Direction)> {
        self.state.books.iter().enumerate().filter(move |(at, _)| *at != but.at()).filter_map(|(_, book)| {
            let pending = || {
                let mut entries = book.live.iter().filter_map(|id| self.state.orders.get(id));
                entries.find(|o| o.order.leg == Leg::Entry).map(|o| match o.order.side {
                    crate::domain::Side::Buy => Direction::Long,
                    crate::domain::Side::Sell => Direction::Short,
                })
            };
            book.direction().or_else(pending).map(|direction| (book.symbol(), direction))
        })
    }

    fn check_counts(&self, ix: Ix, direction: Direction) -> Result<(), Refusal> {
        let risk = &self.state.setup.risk;
        let count = self.exposures(ix).count();
        if count >= risk.positions_max() as usize {
            let reason = format!("{count} positions are open or on their way, {} are allowed", risk.positions_max());
            return refuse("max_concurrent_positions", reason);
        }
        let Some(symbol) = self.state.book(ix).map(super::book::Book::symbol) else { return Ok(()) };
        for (group, symbols) in risk.groups().iter().filter(|(_, symbols)| symbols.contains(&symbol)) {
            let same = self.exposures(ix).filter(|(s, d)| *d == direction && symbols.contains(s)).count();
            if same >= risk.correlated_max() as usize {
                let max = risk.correlated_max();
                let reason = format!("group {group} holds {same} positions of this direction, {max} are allowed");
                return refuse("max_correlated_positions", reason);
            }
        }
        Ok(())
    }

    fn check_size(&self, ix: Ix, entry: &Entry) -> Result<(Sizing, Qty), Refusal> {
        let setup = &self.state.setup;
        let Some((book, live)) = self.state.book(ix).zip(self.live.get(ix.at())) else {
            return refuse("unknown_symbol", "the symbol is not in the account's setup".to_owned());
        };
        let input = SizingInput {
            equity: self.equity(),
            available: self.available(live.net * live.mark),
            volatility: entry.volatility,
            probability: entry.probability,
            bracket: &entry.bracket,
            reference: entry.reference,
            cost_per_side: setup.cost_per_side,
        };
        if input.equity <= 0.0 {
            return refuse("equity", format!("equity is {:.2}", input.equity));
        }
        let sizing = size(&setup.risk, &input);
        let smallest = setup.risk.sizing().min_position_usd;
        if sizing.notional < smallest {
            let reason = format!("{:.2} (bound by {}) is under {smallest}", sizing.notional, sizing.bound_by);
            return refuse("min_position_usd", reason);
        }
        let instrument = book.instrument();
        let numbers = instrument
            .qty_floor(sizing.notional / entry.reference)
            .and_then(|qty| Ok((qty, instrument.price(entry.reference, Rounding::Nearest)?)));
        match numbers {
            Ok((qty, price)) if instrument.is_tradable(qty, price) => Ok((sizing, qty)),
            Ok((qty, _)) => refuse("venue_minimum", format!("{} is under the venue's smallest order", plain(qty))),
            Err(error) => refuse("numbers", error.to_string()),
        }
    }

    /// Capital that is free for a new entry; `freed` is the value of a position that is closed first.
    pub(super) fn available(&self, freed: f64) -> f64 {
        let reserved = self.reserved();
        match self.state.setup.kind {
            AccountKind::Spot => self.state.flow.to_f64() - reserved,
            AccountKind::Linear => self.equity() - self.gross() + freed.abs() - reserved,
        }
    }

    fn exit(&mut self, ix: Ix, symbol: Symbol, decision: &Decision, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let idle = book.direction().is_none() && book.live.is_empty();
        let verdict = if idle { Verdict::Unchanged } else { Verdict::Approved { sizing: None, checks: Vec::new() } };
        if self.commit(Record::Decision { symbol, decision: *decision, verdict }, now, out) && !idle {
            self.cancel_entries(ix, out);
            self.close_by_decision(ix, decision, now, out);
        }
    }

    fn close_by_decision(&mut self, ix: Ix, decision: &Decision, now: Ts, out: &mut Actions<Action>) {
        let cause = Cause::Decision { bar: decision.bar };
        self.close(ix, cause, None, now, out);
    }

    fn tighten(&mut self, ix: Ix, symbol: Symbol, decision: &Decision, stop: f64, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let closer = |now: f64, dir: Direction| stop.is_finite() && stop > 0.0 && (stop - now) * dir.sign() > 0.0;
        let tightened = match (book.bracket(), book.direction()) {
            (Some(bracket), Some(direction)) if closer(bracket.stop, direction) => {
                Some(crate::record::Bracket { stop, trailed: false, ..bracket.clone() })
            }
            _ => None,
        };
        let verdict = match &tightened {
            Some(_) => Verdict::Approved { sizing: None, checks: Vec::new() },
            None => Verdict::Refused {
                check: "tighten".to_owned(),
                reason: format!("a stop at {stop} is not closer than the one in force"),
                sizing: None,
                checks: Vec::new(),
            },
        };
        if self.commit(Record::Decision { symbol, decision: *decision, verdict }, now, out)
            && let Some(bracket) = tightened
        {
            self.commit(Record::Bracket { symbol, bracket }, now, out);
        }
    }
}
