//! Protection: brackets live here, in the daemon, and not in the engines that may die.

use super::Action;
use super::core::{Account, Draft};
use crate::domain::instrument::Rounding;
use crate::domain::{Actions, Bar, BracketSpec, Cause, Direction, ExitReason, Ix, Leg, OrderId, Quote, Ts};
use crate::record::{Bracket, Record};

/// A rule of a bracket that was reached, and at which price if that is known better than by the next quote.
struct Trigger {
    rule: ExitReason,
    price: Option<f64>,
}

impl Bracket {
    /// The protection of a position entered at `entry_price`.
    fn anchored(spec: &BracketSpec, entry: OrderId, direction: Direction, entry_price: f64, now: Ts) -> Self {
        let away = |distance: f64| entry_price + direction.sign() * distance;
        // A stop under zero is a stop that is never reached: keep it the smallest price there is.
        let stop = away(-spec.stop).max(f64::MIN_POSITIVE);
        let expires = spec.time_exit.map(|t| now + t);
        Self {
            entry,
            stop,
            target: spec.target.map(away),
            trailing: spec.trailing,
            trailed: false,
            best: entry_price,
            expires,
        }
    }

    fn stop_rule(&self) -> ExitReason {
        if self.trailed { ExitReason::Trailing } else { ExitReason::Stop }
    }

    /// Which rule a closed bar reaches. Inside a bar nobody knows what came first, so the stop is taken before the
    /// target. A bar that opens beyond a level is a gap: it triggers at the open, the worse price for a stop and the
    /// better one for a target.
    fn reached_in_bar(&self, direction: Direction, bar: &Bar) -> Option<Trigger> {
        let long = direction == Direction::Long;
        let (worst, best) = if long { (bar.low, bar.high) } else { (bar.high, bar.low) };
        let beyond = |price: f64, level: f64| if long { price >= level } else { price <= level };
        if beyond(self.stop, worst) {
            let price = if beyond(self.stop, bar.open) { bar.open } else { self.stop };
            return Some(Trigger { rule: self.stop_rule(), price: Some(price) });
        }
        let target = self.target?;
        if !beyond(best, target) {
            return None;
        }
        let price = if beyond(bar.open, target) { bar.open } else { target };
        Some(Trigger { rule: ExitReason::Target, price: Some(price) })
    }

    /// Which rule a quote reaches; `exit` is the side at which the position could be closed.
    fn reached_at(&self, direction: Direction, exit: f64) -> Option<Trigger> {
        let gain = |level: f64| (exit - level) * direction.sign();
        if gain(self.stop) <= 0.0 {
            return Some(Trigger { rule: self.stop_rule(), price: None });
        }
        self.target.is_some_and(|t| gain(t) >= 0.0).then_some(Trigger { rule: ExitReason::Target, price: None })
    }

    /// The bracket after the best price has become `best`, if its stop moved.
    fn trailed_to(&self, direction: Direction, best: f64) -> Option<Self> {
        let distance = self.trailing?;
        if (best - self.best) * direction.sign() <= 0.0 {
            return None;
        }
        let stop = best - direction.sign() * distance;
        let closer = (stop - self.stop) * direction.sign() > 0.0;
        closer.then(|| Self { best, stop, trailed: true, ..self.clone() })
    }
}

impl Account {
    pub(super) fn on_bar(&mut self, ix: Ix, bar: &Bar, now: Ts, out: &mut Actions<Action>) {
        let Some(live) = self.live.get_mut(ix.at()) else { return };
        if live.quoted {
            return;
        }
        live.mark = bar.close;
        if live.net == 0.0 {
            return;
        }
        let Some((direction, bracket)) = self.protected(ix) else { return };
        match bracket.reached_in_bar(direction, bar) {
            Some(trigger) => self.exit_by_bracket(ix, bracket.entry, &trigger, now, out),
            None => {
                let best = if direction == Direction::Long { bar.high } else { bar.low };
                self.after_quiet(ix, direction, best, now, out);
            }
        }
    }

    pub(super) fn on_quote(&mut self, ix: Ix, quote: &Quote, now: Ts, out: &mut Actions<Action>) {
        let Some(live) = self.live.get_mut(ix.at()) else { return };
        if !quote.is_sound() {
            return;
        }
        (live.quoted, live.quoted_at) = (true, now);
        live.mark = quote.mid();
        live.witness.see(live.mark, now);
        if live.net != 0.0
            && let Some((direction, bracket)) = self.protected(ix)
        {
            let exit = if direction == Direction::Long { quote.bid } else { quote.ask };
            match bracket.reached_at(direction, exit) {
                Some(trigger) => self.exit_by_bracket(ix, bracket.entry, &trigger, now, out),
                None => self.after_quiet(ix, direction, exit, now, out),
            }
        }
        self.begin_day(now.day(), now, out);
        self.watch_day(now, out);
    }

    /// The bracket that guards a position, unless an exit is on its way already.
    fn protected(&self, ix: Ix) -> Option<(Direction, Bracket)> {
        let book = self.state.book(ix)?;
        let direction = book.direction()?;
        let bracket = book.bracket()?;
        if book.has_live(Leg::Exit, &self.state.orders) {
            return None;
        }
        Some((direction, bracket.clone()))
    }

    /// No level was reached: time may be over, or the stop may follow.
    fn after_quiet(&mut self, ix: Ix, direction: Direction, best: f64, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let (symbol, Some(bracket)) = (book.symbol(), book.bracket()) else { return };
        if bracket.expires.is_some_and(|at| at <= now) {
            let (entry, trigger) = (bracket.entry, Trigger { rule: ExitReason::TimeExit, price: None });
            self.exit_by_bracket(ix, entry, &trigger, now, out);
        } else if let Some(bracket) = bracket.trailed_to(direction, best) {
            self.commit(Record::Bracket { symbol, bracket }, now, out);
            self.publish(ix, out);
        }
    }

    fn exit_by_bracket(&mut self, ix: Ix, entry: OrderId, trigger: &Trigger, now: Ts, out: &mut Actions<Action>) {
        self.cancel_entries(ix, out);
        self.close(ix, Cause::Bracket { entry, rule: trigger.rule }, trigger.price, now, out);
        self.publish(ix, out);
    }

    /// Sends an exit for the whole position, unless one is on its way.
    pub(super) fn close(&mut self, ix: Ix, cause: Cause, trigger: Option<f64>, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let Some(direction) = book.direction() else { return };
        if book.has_live(Leg::Exit, &self.state.orders) {
            return;
        }
        let trigger = trigger.and_then(|price| book.instrument().price(price, Rounding::Nearest).ok());
        let side = direction.entry_side().opposite();
        let attempt = book.next_exit_attempt(cause);
        let draft = Draft { trigger, ..Draft::exit(ix, side, book.size(), cause, attempt) };
        self.submit(draft, now, out);
    }

    /// Sets or re-anchors the bracket after a fill of an entry.
    pub(super) fn anchor(&mut self, ix: Ix, entry: OrderId, spec: &BracketSpec, now: Ts, out: &mut Actions<Action>) {
        let Some(book) = self.state.book(ix) else { return };
        let Some(direction) = book.direction() else { return };
        let mut bracket = Bracket::anchored(spec, entry, direction, book.entry_price(), now);
        if let Some(old) = book.bracket().filter(|old| old.entry == entry) {
            // A further part of the same entry moves the levels with the mean price, not the clock, and never loosens a
            // stop that has followed the price.
            bracket.expires = old.expires;
            if old.trailed {
                (bracket.stop, bracket.best, bracket.trailed) = (old.stop, old.best, true);
            }
        }
        let symbol = book.symbol();
        self.commit(Record::Bracket { symbol, bracket }, now, out);
    }
}
