//! An engine's decision: checked, sized, reserved and put on record in one step.

use std::borrow::Cow;

use super::Action;
use super::checks::{Checks, Refusal};
use super::core::{Account, Draft, plain, reserve};
use super::protections::Protection;
use super::sizing::{POLICY_UNITS, Sized, SizingInput, size};
use crate::domain::instrument::Rounding;
use crate::domain::{
    AccountKind, Actions, BracketSpec, Cause, Decision, Direction, HaltLevel, Intent, Ix, Leg, Money, Qty, Size,
    Symbol, Ts,
};
use crate::record::{Sizing, Verdict};

/// Moves over the holding horizon that can be meant, fractions of price. Smaller ones would make sizes beyond all limits.
const VOLATILITIES: std::ops::RangeInclusive<f64> = 1e-9..=10.0;
/// Prices that can be meant, quote currency.
const PRICES: std::ops::RangeInclusive<f64> = 1e-12..=1e14;
/// The furthest target or trailing distance that can be meant, in prices.
const FURTHEST: f64 = 100.0;

/// What an entry asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Close of the deciding bar.
    pub(super) bar: Ts,
    pub(super) direction: Direction,
    pub(super) probability: Option<f64>,
    pub(super) volatility: f64,
    pub(super) reference: f64,
    pub(super) size: Size,
    pub(super) bracket: BracketSpec,
}

impl Entry {
    /// Whether every number is one that can be meant. A stop as far away as the price is deep protects nothing.
    fn is_sound(&self, now: Ts) -> bool {
        let near = |distance: Option<f64>, furthest: f64| distance.is_none_or(|d| d <= furthest * self.reference);
        self.bar <= now
            && VOLATILITIES.contains(&self.volatility)
            && PRICES.contains(&self.reference)
            && self.probability.is_none_or(|p| (0.0..=1.0).contains(&p))
            && self.bracket.is_sound()
            && self.size.is_sound()
            && self.bracket.stop.is_none_or(|stop| stop < self.reference)
            && near(self.bracket.target, FURTHEST)
            && near(self.bracket.trailing, FURTHEST)
            && self.bracket.time_exit.is_none_or(|t| t <= BracketSpec::TIME_MAX)
    }

    /// Whether a record can hold every number.
    fn is_finite(&self) -> bool {
        let Self { probability, volatility, reference, size, bracket, .. } = self;
        let size = match size {
            Size::Account => None,
            Size::Units(x) | Size::Notional(x) | Size::Equity(x) => Some(*x),
        };
        let optional = [*probability, bracket.stop, bracket.target, bracket.trailing, size];
        [*volatility, *reference].iter().chain(optional.iter().flatten()).all(|x| x.is_finite())
    }
}

/// The decision as a record can hold it: what is not a number would make the line unreadable, and is told in the reason.
fn recordable(decision: &Decision, is_finite: bool) -> Cow<'_, Decision> {
    let is_sound = decision.forecast.as_ref().is_none_or(crate::domain::Forecast::is_sound);
    if is_finite && is_sound {
        return Cow::Borrowed(decision);
    }
    let (intent, forecast) = (decision.intent.filter(|_| is_finite), decision.forecast.filter(|_| is_sound));
    Cow::Owned(Decision { intent, forecast, ..*decision })
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
            Some(Intent::Enter { direction, probability, volatility, reference, size, bracket }) => {
                let bar = decision.bar;
                let entry = Entry { bar, direction, probability, volatility, reference, size, bracket };
                self.enter(ix, symbol, &recordable(decision, entry.is_finite()), entry, now, out);
            }
            Some(Intent::Exit) => self.exit(ix, symbol, &recordable(decision, true), now, out),
            Some(Intent::Tighten { stop }) => {
                self.tighten(ix, symbol, &recordable(decision, stop.is_finite()), stop, now, out);
            }
        }
        self.publish(ix, out);
    }

    fn enter(&mut self, ix: Ix, symbol: Symbol, decision: &Decision, entry: Entry, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let held = book.direction();
        let side = entry.direction.entry_side();
        let mut pending = book.live.iter().filter_map(|id| self.state.orders.get(id));
        // One that was given up is on its way out, and no reason to pass over a change of mind.
        let same_pending = pending.any(|open| open.enters() == Some(entry.direction));
        if held == Some(entry.direction) || same_pending {
            self.note_decision(symbol, decision, Verdict::Unchanged, now, out);
            self.cancel_entries_of(ix, Some(side.opposite()), out);
            return;
        }
        let mut checks = Checks::new(self.is_recording());
        let mut reckoned = None;
        let outcome = self.check_entry(ix, &entry, now, &mut checks, &mut reckoned);
        let sizing = reckoned.as_ref().and_then(|(sized, sizing)| self.is_recording().then(|| sized.on_record(sizing)));
        let verdict = self.verdict(&outcome, sizing, checks);
        if !self.note_decision(symbol, decision, verdict, now, out) {
            return;
        }
        // An opposite entry on its way, or an opposite position, is no longer wanted even where the new one is refused.
        self.cancel_entries(ix, out);
        if held.is_some() {
            self.close_by_decision(ix, decision, now, out);
        }
        let (Ok(qty), Some((sized, _))) = (outcome, reckoned) else { return };
        let draft = Draft {
            ix,
            id: None,
            side,
            leg: Leg::Entry,
            qty,
            cause: Cause::Decision { bar: decision.bar },
            policy: decision.policy,
            attempt: 1,
            trigger: None,
            reserved: self.reserve(sized.notional),
            bracket: Some(entry.bracket),
        };
        self.submit(draft, now, out);
    }

    /// What is put on record of the checks.
    fn verdict(&mut self, outcome: &Result<Qty, Refusal>, sizing: Option<Sizing>, checks: Checks) -> Verdict {
        let checks = checks.into_made();
        match outcome {
            Ok(_) => Verdict::Approved { sizing, checks },
            Err(Refusal { check, reason }) => {
                self.refusals.note(check);
                let check = if self.is_recording() { (*check).to_owned() } else { String::new() };
                Verdict::Refused { check, reason: reason.clone(), sizing, checks }
            }
        }
    }

    /// Capital held for an entry: its notional and both sides' costs. Where no capital binds none is held.
    fn reserve(&self, notional: f64) -> Money {
        let setup = &self.state.setup;
        if setup.unlimited { Money::ZERO } else { reserve(notional, setup.cost_per_side) }
    }

    /// Every check of an entry, cheapest first; the first that fails names itself. Where nothing is limited, only those are
    /// made without which an order would make no sense.
    fn check_entry<'a>(
        &self,
        ix: Ix,
        entry: &'a Entry,
        now: Ts,
        checks: &mut Checks,
        reckoned: &mut Option<(Sized, SizingInput<'a>)>,
    ) -> Result<Qty, Refusal> {
        self.check_permission(ix, entry.direction, checks)?;
        checks.require("numbers", entry.is_sound(now), || {
            format!("the decision holds numbers that cannot be meant: {entry:?}")
        })?;
        if !self.state.setup.unlimited {
            self.check_age(ix, entry, now, checks)?;
            self.check_collar(ix, entry, checks)?;
            self.check_protections(ix, now, checks)?;
            self.check_rate(now, checks)?;
            self.check_counts(ix, entry.direction, &self.exposures(ix), checks)?;
        }
        let (sized, _) = reckoned.insert(self.size_entry(ix, entry, checks)?);
        let qty = self.check_size(ix, entry, sized, now, checks)?;
        self.check_exit(ix, now, checks)?;
        Ok(qty)
    }

    /// An entry that turns a position over goes together with its exit or not at all: alone it would only make the position
    /// smaller, or turn what the exit closes later.
    fn check_exit(&self, ix: Ix, now: Ts, checks: &mut Checks) -> Result<(), Refusal> {
        let Some(book) = self.state.book(ix) else { return Ok(()) };
        let goes = book.direction().is_none()
            || book.is_closing(&self.state.orders)
            || self.exit_room(book, book.size(), Cause::Decision { bar: now }, now).is_some();
        checks.require("exit_waits", goes, || {
            "the exit of the position cannot go yet, and the entry is not sent alone".to_owned()
        })
    }

    fn check_permission(&self, ix: Ix, direction: Direction, checks: &mut Checks) -> Result<(), Refusal> {
        checks.require("ledger_fault", self.fault.is_none(), || {
            format!("the ledger refused a record: {}", self.fault.as_ref().map(ToString::to_string).unwrap_or_default())
        })?;
        let halt = self.state.halt.as_ref().filter(|halt| halt.level >= HaltLevel::EntryHalt);
        checks.require("halt", halt.is_none(), || {
            let reason = halt.map(|halt| format!("{}: {}", halt.reason.by, halt.reason.text));
            format!("halted by {}", reason.unwrap_or_default())
        })?;
        let frozen = self.state.book(ix).and_then(|b| b.frozen().values().next());
        checks.require("frozen", frozen.is_none(), || {
            format!("entries of this symbol are frozen: {}", frozen.map(String::as_str).unwrap_or_default())
        })?;
        let doubt = self.venue_refusal(ix);
        for name in ["reconciling", "unknown_order"] {
            let passed = doubt.as_ref().is_none_or(|(check, _)| *check != name);
            checks.require(name, passed, || doubt.as_ref().map(|(_, why)| why.clone()).unwrap_or_default())?;
        }
        let short_of_assets = direction == Direction::Short && self.state.setup.kind == AccountKind::Spot;
        checks.require("spot_short", !short_of_assets, || "a spot account holds assets and cannot be short".to_owned())
    }

    /// Pauses of entries in force. One that turns a position over would begin the moment its exit has closed it, which is
    /// what a cooldown forbids.
    fn check_protections(&self, ix: Ix, now: Ts, checks: &mut Checks) -> Result<(), Refusal> {
        let Some(book) = self.state.book(ix) else { return Ok(()) };
        let keys = self.state.setup.risk.protections();
        for name in Protection::ALL.into_iter().filter(|name| name.is_on(keys)) {
            let concerns = |symbol: Option<Symbol>| symbol.is_none_or(|symbol| symbol == book.symbol());
            let pause = self.state.protections.active(now).find(|p| p.name == name && concerns(p.symbol));
            let turns = name == Protection::Cooldown && book.direction().is_some();
            checks.require(name.as_str(), pause.is_none() && !turns, || match pause {
                Some(pause) => format!("entries are paused until {}: {}", pause.until, pause.reason),
                None => "the position is closed first, and then its symbol cools down".to_owned(),
            })?;
        }
        Ok(())
    }

    fn size_entry<'a>(
        &self,
        ix: Ix,
        entry: &'a Entry,
        checks: &mut Checks,
    ) -> Result<(Sized, SizingInput<'a>), Refusal> {
        let setup = &self.state.setup;
        let Some((book, live)) = self.state.book(ix).zip(self.live.get(ix.at())) else { return Err(unknown_symbol()) };
        let equity = self.equity();
        // Where nothing is limited, equity may be under zero; a fraction of it is then nothing that can be bought.
        let needs = !setup.unlimited || matches!(entry.size, Size::Account | Size::Equity(_));
        checks
            .require("equity", !needs || (equity.is_finite() && equity > 0.0), || format!("equity is {equity:.2}"))?;
        let input = SizingInput {
            equity,
            available: if setup.unlimited { f64::INFINITY } else { self.available(live.net * live.mark) },
            volatility: entry.volatility,
            probability: entry.probability,
            bracket: &entry.bracket,
            reference: entry.reference,
            price: entry.reference.max(live.mark),
            cost_per_side: setup.cost_per_side,
            size: entry.size,
            unlimited: setup.unlimited,
        };
        Ok((size(&setup.risk.limits(book.symbol()), &input), input))
    }

    /// What sizing gave, against the bounds of the policy and of the venue: the quantity to order.
    fn check_size(&self, ix: Ix, entry: &Entry, sized: &Sized, now: Ts, checks: &mut Checks) -> Result<Qty, Refusal> {
        let Some((book, live)) = self.state.book(ix).zip(self.live.get(ix.at())) else { return Err(unknown_symbol()) };
        let is_limited = !self.state.setup.unlimited;
        let (notional, limits) = (sized.notional, self.state.setup.risk.limits(book.symbol()));
        if is_limited {
            checks.at_least("min_position_usd", notional, limits.min_position_usd, || {
                format!("{notional:.2} (bound by {}) is under {}", sized.bound_by, limits.min_position_usd)
            })?;
        }
        // The dearer of both prices: the limits are kept at the price that is paid now, too.
        let (instrument, dearer) = (book.instrument(), entry.reference.max(live.mark));
        // Units that nothing binds are ordered as they are: no notional is between them and the order.
        let units = match entry.size {
            Size::Units(units) if sized.bound_by == POLICY_UNITS => units,
            _ => notional / dearer,
        };
        let numbers = instrument
            .qty_floor(units)
            .and_then(|qty| Ok((qty, instrument.price(entry.reference, Rounding::Nearest)?)));
        let (qty, price) =
            numbers.map_err(|error| Refusal { check: "numbers", reason: format!("it cannot be ordered: {error}") })?;
        let ordered = qty.to_f64() * dearer;
        if is_limited {
            // Whole steps may be a hair over what they were rounded down from.
            checks.at_most("max_order_usd", ordered, limits.max_order_usd * (1.0 + 1e-9), || {
                format!("an order of {ordered:.2} is over {}", limits.max_order_usd)
            })?;
        }
        checks.require("venue_minimum", instrument.is_tradable(qty, price), || {
            format!("{} is under the venue's smallest order", plain(qty))
        })?;
        if is_limited {
            self.check_duplicate((book.symbol(), entry.direction.entry_side(), qty), now, checks)?;
        }
        Ok(qty)
    }

    /// Capital that is free for a new entry; `freed` is the value of a position that is closed first.
    pub(super) fn available(&self, freed: f64) -> f64 {
        let reserved = self.reserved();
        match self.state.setup.kind {
            AccountKind::Spot => self.state.flow.to_f64() - reserved,
            // A stock is no margin.
            AccountKind::Linear => {
                self.equity() - self.state.stocks.value_f64() - self.gross() + freed.abs() - reserved
            }
        }
    }

    fn exit(&mut self, ix: Ix, symbol: Symbol, decision: &Decision, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let idle = book.direction().is_none() && book.live.is_empty();
        let verdict = if idle { Verdict::Unchanged } else { Verdict::Approved { sizing: None, checks: Vec::new() } };
        if self.note_decision(symbol, decision, verdict, now, out) && !idle {
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
        let is_price = stop.is_finite() && stop > 0.0;
        let closer = |now: f64, dir: Direction| (stop - now) * dir.sign() > 0.0;
        let tightened = match (book.bracket(), book.direction()) {
            (Some(bracket), Some(direction)) if is_price && bracket.stop.is_none_or(|now| closer(now, direction)) => {
                Some(crate::record::Bracket { stop: Some(stop), trailed: false, ..bracket.clone() })
            }
            _ => None,
        };
        let verdict = match &tightened {
            Some(_) => Verdict::Approved { sizing: None, checks: Vec::new() },
            None => Verdict::Refused {
                check: if is_price { "tighten" } else { "numbers" }.to_owned(),
                reason: format!("a stop at {stop} is not closer than the one in force"),
                sizing: None,
                checks: Vec::new(),
            },
        };
        if self.note_decision(symbol, decision, verdict, now, out)
            && let Some(bracket) = tightened
        {
            self.note_bracket(symbol, bracket, now, out);
        }
    }
}

fn unknown_symbol() -> Refusal {
    Refusal { check: "unknown_symbol", reason: "it is not in the account's setup".to_owned() }
}
