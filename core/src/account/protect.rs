//! Protection: brackets live here, in the daemon, and not in the engines that may die.

use super::core::{Account, Draft};
use super::live::{BarHeard, Heard};
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::instrument::Rounding;
use crate::domain::{Actions, Bar, BracketSpec, Cause, Direction, ExitReason, Fill, Ix, Leg, OrderId, Quote, Ts};
use crate::record::Bracket;

/// A rule of a bracket that was reached, and at which price if that is known better than by the next quote.
struct Trigger {
    rule: ExitReason,
    price: Option<f64>,
}

/// What the market shows a bracket.
#[derive(Clone, Copy)]
enum Seen<'a> {
    Bar(&'a Bar),
    /// A price at which the position could be closed.
    Price(f64),
}

impl Bracket {
    /// The protection of a position entered at `entry_price` and `entered`.
    fn anchored(spec: &BracketSpec, entry: OrderId, direction: Direction, entry_price: f64, entered: Ts) -> Self {
        let away = |distance: f64| entry_price + direction.sign() * distance;
        // A stop under zero is a stop that is never reached: keep it the smallest price there is.
        // A trailing stop alone begins at its own distance.
        let stop = spec.stop.or(spec.trailing).map(|distance| away(-distance).max(f64::MIN_POSITIVE));
        let expires = spec.time_exit.map(|t| entered + t);
        Self {
            entry,
            stop,
            target: spec.target.map(away),
            trailing: spec.trailing,
            trailed: spec.stop.is_none() && spec.trailing.is_some(),
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
        if let Some(stop) = self.stop.filter(|stop| beyond(*stop, worst)) {
            let price = if beyond(stop, bar.open) { bar.open } else { stop };
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
        if self.stop.is_some_and(|stop| gain(stop) <= 0.0) {
            return Some(Trigger { rule: self.stop_rule(), price: None });
        }
        self.target.is_some_and(|t| gain(t) >= 0.0).then_some(Trigger { rule: ExitReason::Target, price: None })
    }

    /// Which rule is reached at `now`. Levels go before time.
    fn reached(&self, direction: Direction, seen: Seen<'_>, now: Ts) -> Option<Trigger> {
        let level = match seen {
            Seen::Bar(bar) => self.reached_in_bar(direction, bar),
            Seen::Price(exit) => self.reached_at(direction, exit),
        };
        let is_over = self.expires.is_some_and(|at| at <= now);
        level.or_else(|| is_over.then_some(Trigger { rule: ExitReason::TimeExit, price: None }))
    }

    /// The bracket after the best price has become `best`, if its stop moved. A best price that moves no stop is not
    /// kept: it could only ever move it to where it stands or further away.
    fn trailed_to(&self, direction: Direction, best: f64) -> Option<Self> {
        let distance = self.trailing?;
        if (best - self.best) * direction.sign() <= 0.0 {
            return None;
        }
        let stop = best - direction.sign() * distance;
        let closer = self.stop.is_none_or(|old| (stop - old) * direction.sign() > 0.0);
        closer.then(|| Self { best, stop: Some(stop), trailed: true, ..self.clone() })
    }
}

impl Account {
    pub(super) fn on_bar(&mut self, ix: Ix, bar: &Bar, now: Ts, out: &mut Actions<Action>) {
        if !bar.is_sound() || bar.open_ts > now {
            return;
        }
        if let Some(returns) = &mut self.returns {
            returns.take(ix, bar);
        }
        let Some(live) = self.live.get_mut(ix.at()) else { return };
        live.keep(&self.closing);
        let heard = live.hear_bar(bar, now);
        if heard == BarHeard::Nothing || live.net == 0.0 {
            return;
        }
        // A level that was set within the bar knows nothing of what came before it: then only the bar's end counts.
        let set = self.state.book(ix).map_or(Ts::EPOCH, |book| book.bracket_at);
        let seen = if heard == BarHeard::Close || (bar.open_ts < set && set < now) {
            Seen::Price(bar.close)
        } else {
            Seen::Bar(bar)
        };
        self.guard(ix, seen, now, out);
    }

    pub(super) fn on_quote(&mut self, ix: Ix, quote: &Quote, now: Ts, out: &mut Actions<Action>) {
        let Some(live) = self.live.get_mut(ix.at()) else { return };
        let (mark, net) = (live.mark, live.net);
        live.keep(&self.closing);
        match live.hear(quote, now) {
            Heard::Nothing => return,
            Heard::Held { first } => {
                if first && let Some(book) = self.state.book(ix) {
                    self.tell_held(book.symbol(), mark, quote, out);
                }
            }
            Heard::Believed if net != 0.0 => {
                let exit = if net > 0.0 { quote.bid } else { quote.ask };
                self.guard(ix, Seen::Price(exit), now, out);
            }
            Heard::Believed => {}
        }
        if self.due <= now {
            self.expire(now, out);
        }
        self.begin_day(now.day(), now, out);
        self.watch_day(now, out);
    }

    /// The bracket that guards a position, unless that is to be closed already.
    fn protected(&self, ix: Ix) -> Option<(Direction, &Bracket)> {
        let book = self.state.book(ix)?;
        book.guarding(book.is_closing(&self.state.orders))
    }

    /// Triggers what is reached; else the stop may follow.
    fn guard(&mut self, ix: Ix, seen: Seen<'_>, now: Ts, out: &mut Actions<Action>) {
        let Some((direction, bracket)) = self.protected(ix) else { return };
        let entry = bracket.entry;
        if let Some(trigger) = bracket.reached(direction, seen, now) {
            return self.exit_by_bracket(ix, entry, &trigger, now, out);
        }
        let best = match (seen, direction) {
            (Seen::Price(exit), _) => exit,
            (Seen::Bar(bar), Direction::Long) => bar.high,
            (Seen::Bar(bar), Direction::Short) => bar.low,
        };
        if let (Some(bracket), Some(book)) = (bracket.trailed_to(direction, best), self.state.book(ix)) {
            self.note_bracket(book.symbol(), bracket, now, out);
            self.publish(ix, out);
        }
    }

    /// Closes what has run out of time, whoever brought the news of the time.
    pub(super) fn expire(&mut self, now: Ts, out: &mut Actions<Action>) {
        for at in 0..self.live.len() {
            let Some(ix) = self.live.get(at).filter(|live| live.expires <= now).and_then(|_| Ix::from_usize(at)) else {
                continue;
            };
            if let Some((_, bracket)) = self.protected(ix) {
                let (entry, trigger) = (bracket.entry, Trigger { rule: ExitReason::TimeExit, price: None });
                self.exit_by_bracket(ix, entry, &trigger, now, out);
            }
        }
    }

    fn exit_by_bracket(&mut self, ix: Ix, entry: OrderId, trigger: &Trigger, now: Ts, out: &mut Actions<Action>) {
        self.cancel_entries(ix, out);
        self.close(ix, Cause::Bracket { entry, rule: trigger.rule }, trigger.price, now, out);
        self.publish(ix, out);
    }

    /// Sends an exit for the whole position, unless one is on its way. Where none may go now, it is put on record that one is
    /// wanted.
    pub(super) fn close(&mut self, ix: Ix, cause: Cause, trigger: Option<f64>, now: Ts, out: &mut Actions<Action>) {
        let Some(qty) = self.closable(ix, now, out) else { return self.want(ix, cause, trigger, now, out) };
        let Some(book) = self.state.book(ix) else { return };
        let Some(direction) = book.direction() else { return };
        if self.exit_under_way(book) {
            if !book.is_closing(&self.state.orders) {
                self.make_way(book, out);
                self.want(ix, cause, trigger, now, out);
            }
            return;
        }
        let Some(qty) = self.exit_room(book, qty, cause, now) else { return self.want(ix, cause, trigger, now, out) };
        let trigger = trigger.and_then(|price| book.instrument().price(price, Rounding::Nearest).ok());
        let side = direction.entry_side().opposite();
        let Some((attempt, id)) = self.next_exit(book, cause) else { return };
        self.cancel_unknown_exits(book, out);
        let draft = Draft { trigger, id: Some(id), ..Draft::exit(ix, side, qty, cause, attempt) };
        self.submit(draft, now, out);
    }

    /// An addition has come too late: what it was added to is gone, and with it the bracket. Its exit is protection, and no
    /// rebalancing.
    pub(super) fn close_orphan(&mut self, ix: Ix, now: Ts, out: &mut Actions<Action>) {
        if self.state.book(ix).is_some_and(|book| book.bracket().is_none()) {
            self.cancel_entries(ix, out);
            let cause = Cause::Command { seq: self.state.seq() };
            self.close(ix, cause, None, now, out);
        }
    }

    /// Tells once of each position that nothing protects: a human's, or one of an old record. Of positions whose strategy
    /// gives them no stop it tells once a symbol, because all of that strategy's are so.
    pub(super) fn tell_unprotected(&mut self, out: &mut Actions<Action>) {
        if !self.is_recording() {
            return;
        }
        for (book, live) in self.state.books.iter().zip(&mut self.live) {
            let bare = book.direction().is_some() && book.bracket().is_none();
            if bare && !live.bare_told && !book.has_live(Leg::Exit, &self.state.orders) {
                live.bare_told = true;
                let text = format!("the position of {} has no bracket: no stop protects it", book.net());
                out.push(Action::Alert(Alert::warning(Topic::Account, book.symbol(), text)));
            }
            if book.is_stopless() && !live.stopless_told && !book.is_leaving(&self.state.orders) {
                live.stopless_told = true;
                let text = format!(
                    "the position of {} has no stop: only its strategy's exits, a target or its time end it, and the \
                     account's day's stop closes it; write `bracket.stop` or `bracket.trailing` if that is not meant",
                    book.net()
                );
                out.push(Action::Alert(Alert::warning(Topic::Account, book.symbol(), text)));
            }
        }
    }

    /// When the time of an entry begins: with the bar in which it was filled, which may be heard of a whole bar later. The
    /// moments that an order takes are no part of it, or a position whose prices are bars alone would be held one bar more
    /// than it may be. A venue whose clock is ahead lengthens nothing.
    pub(super) fn entered(&self, fill: &Fill, cause: Cause, now: Ts) -> Ts {
        let (filled, length) = (fill.ts.min(now), self.state.timeframe().span());
        match cause {
            // Bars follow the deciding one; after a pause of the market too, they begin in its steps.
            Cause::Decision { bar } if bar <= filled => {
                bar + length.times((filled - bar).nanos() / length.nanos().max(1))
            }
            _ => filled,
        }
    }

    /// Sets or re-anchors the bracket after a fill of an entry; `entered` is when its time began.
    pub(super) fn anchor(
        &mut self,
        ix: Ix,
        (entry, entered): (OrderId, Ts),
        spec: &BracketSpec,
        now: Ts,
        out: &mut Actions<Action>,
    ) {
        let Some(book) = self.state.book(ix) else { return };
        let Some(direction) = book.direction() else { return };
        let mut bracket = Bracket::anchored(spec, entry, direction, book.entry_price(), entered);
        if let Some(old) = book.bracket() {
            // A further part of an entry moves the levels with the mean price, not the clock, and never loosens a stop,
            // wherever it came from.
            if old.entry == entry {
                bracket.expires = old.expires;
            }
            let tighter = |old: f64| bracket.stop.is_none_or(|new| (old - new) * direction.sign() >= 0.0);
            if old.stop.is_some_and(tighter) {
                (bracket.stop, bracket.best, bracket.trailed) = (old.stop, old.best, old.trailed);
            }
        }
        let symbol = book.symbol();
        self.note_bracket(symbol, bracket, now, out);
    }
}
