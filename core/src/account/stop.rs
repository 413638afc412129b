//! The day's stop and all halts: latched, explained, lifted by an explicit resume.

use super::book::Book;
use super::core::{Account, RISK, by_risk};
use super::open_orders::OpenOrders;
use super::policy::OnStop;
use super::witness::CONFIRM_AFTER;
use super::{Action, Alert};
use crate::alerts::Topic;
use crate::domain::{Actions, Cause, HaltLevel, Ix, Money, Reason, Span, Ts};
use crate::record::Record;

/// So long after a loss was seen once and not again, people are told of it.
const DOUBT_AFTER: Span = Span::MINUTE;
/// Shares of the daily loss at which people are warned.
const WARNINGS: [f64; 2] = [0.5, 0.8];

impl Account {
    /// All bars of an instant are in: look at the day, put the mark on record, and begin a new day after midnight. A
    /// frame that closes at midnight belongs to the day it closes.
    pub(super) fn on_frame_end(&mut self, now: Ts, out: &mut Actions<Action>) {
        self.begin_day((now - Span::from_nanos(1)).day(), now, out);
        self.watch_day(now, out);
        if self.is_recording() {
            let mark = self.mark_record();
            if let Record::Mark { equity, .. } = &mark {
                self.last_equity = *equity;
            }
            self.commit(mark, now, out);
        } else {
            self.close_frame(now);
        }
        self.begin_day(now.day(), now, out);
    }

    pub(super) fn begin_day(&mut self, day: i64, now: Ts, out: &mut Actions<Action>) {
        if self.state.day.is_some_and(|d| d.day >= day) {
            return;
        }
        self.settle_frame();
        self.commit(Record::Day { day, start_equity: self.last_equity }, now, out);
        (self.warned, self.unconfirmed) = (0, None);
        let stopped_itself = self.state.halt.as_ref().is_some_and(|h| h.reason.by == RISK);
        if stopped_itself && self.state.setup.resume_next_day {
            let text = "a new day begins (resume_next_day)".to_owned();
            self.resume(Reason { by: "replay".to_owned(), text }, now, out);
        }
    }

    /// Compares equity with the day's start.
    pub(super) fn watch_day(&mut self, now: Ts, out: &mut Actions<Action>) {
        let Some(day) = self.state.day.filter(|_| !self.state.setup.unlimited) else { return };
        let start = day.start_equity.to_f64();
        let limit = self.state.setup.risk.daily_loss();
        if start <= 0.0 {
            return;
        }
        let drill = self.drill(now);
        let share = ((start - self.confirmed_equity()) / start + drill) / limit;
        self.warn(share, limit, now, out);
        let wanted = self.wanted_level(share);
        if wanted > self.halt_level() {
            let loss = 100.0 * share * limit;
            let drill = if drill > 0.0 { format!(", {:.2} % of it a drill", 100.0 * drill) } else { String::new() };
            let text =
                format!("the day's loss is {loss:.2} % of {start:.2}{drill} (limit {:.2} %) at {now}", 100.0 * limit);
            self.halt(wanted, by_risk(text), now, out);
        }
        // A halt by hand stands already, and leaves open what no stop guards: the day's loss does not.
        if wanted == HaltLevel::ReduceOnly && self.halt_level() == wanted {
            self.close_stopless(now, out);
        }
        let seen = (start - self.equity()) / start / limit;
        self.tell_of_doubt(seen >= 1.0 && share < 1.0, now, out);
    }

    /// The loss that a drill adds, a fraction of the day's start. It is seen and confirmed like any other.
    fn drill(&mut self, now: Ts) -> f64 {
        let Some(loss) = self.state.drill else { return 0.0 };
        let seen = *self.drilled.get_or_insert(now);
        if now - seen >= CONFIRM_AFTER { loss } else { 0.0 }
    }

    /// A loss that stands and is not confirmed, because a symbol is not quoted any more: only people can judge it.
    fn tell_of_doubt(&mut self, doubtful: bool, now: Ts, out: &mut Actions<Action>) {
        let (since, told) = self.unconfirmed.unwrap_or((now, false));
        let tell = doubtful && !told && now - since >= DOUBT_AFTER;
        self.unconfirmed = doubtful.then_some((since, told || tell));
        if tell {
            let text = format!("prices seen once, at {since}, and never confirmed put the day's loss over its limit");
            self.tell(|| Alert::warning(Topic::Account, None, text), out);
        }
    }

    fn wanted_level(&self, share: f64) -> HaltLevel {
        let risk = &self.state.setup.risk;
        if share >= 1.0 {
            match risk.on_stop() {
                OnStop::ReduceOnly => HaltLevel::ReduceOnly,
                OnStop::Flatten => HaltLevel::Flatten,
            }
        } else if risk.entry_halt_at().is_some_and(|at| share >= at) {
            HaltLevel::EntryHalt
        } else {
            HaltLevel::None
        }
    }

    fn warn(&mut self, share: f64, limit: f64, now: Ts, out: &mut Actions<Action>) {
        while let Some(at) = WARNINGS.get(usize::from(self.warned))
            && share >= *at
        {
            self.warned += 1;
            let text =
                || format!("{:.0} % of the daily loss limit of {:.2} % is used at {now}", 100.0 * at, 100.0 * limit);
            self.tell(|| Alert::warning(Topic::Account, None, text()), out);
        }
    }

    /// Raises the halt level: the record latches it, our entries are cancelled, and what may not stay open is closed.
    /// Where a person stops the engines and with them the exits of strategies, people are told what no stop guards.
    pub(super) fn halt(&mut self, level: HaltLevel, reason: Reason, now: Ts, out: &mut Actions<Action>) {
        if level <= self.halt_level() {
            // Nothing new, but for what should be gone and is not.
            if level > HaltLevel::None {
                self.cancel_all_entries(out);
            }
            if level == HaltLevel::Flatten {
                self.close_halted(now, out);
            }
            return;
        }
        if !self.commit(Record::Halt { level, reason: reason.clone() }, now, out) {
            return;
        }
        let text = format!("halt ({level}) by {}: {}", reason.by, reason.text);
        out.push(Action::Halt(level, reason));
        out.push(Action::Alert(Alert::critical(Topic::Account, None, text)));
        self.cancel_all_entries(out);
        self.close_halted(now, out);
        if level == HaltLevel::ReduceOnly && !self.is_stopped_by_risk() {
            self.tell_stopless(out);
        }
    }

    /// Closes what the halt in force does not leave open and has no exit on its way: everything at `Flatten`, and what no
    /// stop guards where the account has stopped itself. An exit may have been refused, an entry may have been filled before
    /// its cancel arrived, and the exits of the halt may have been lost with the process before they were on record.
    pub(super) fn close_halted(&mut self, now: Ts, out: &mut Actions<Action>) {
        match self.halt_level() {
            HaltLevel::Flatten => self.close_each(|_, _| true, now, out),
            HaltLevel::ReduceOnly if self.is_stopped_by_risk() => self.close_stopless(now, out),
            _ => {}
        }
    }

    fn is_stopped_by_risk(&self) -> bool {
        self.state.halt.as_ref().is_some_and(|halt| halt.reason.by == RISK)
    }

    /// From `ReduceOnly` on no engine runs, so that nobody asks a strategy's own exits any more: a position that no stop
    /// guards would go on losing without an end.
    fn close_stopless(&mut self, now: Ts, out: &mut Actions<Action>) {
        let Some(names) = self.stopless() else { return };
        let text = || {
            format!(
                "no stop guards the position of {names}, and its strategy is asked no more: closed by the day's stop"
            )
        };
        self.tell(|| Alert::critical(Topic::Account, None, text()), out);
        self.close_each(|book, orders| book.is_stopless() && !book.is_leaving(orders), now, out);
    }

    fn tell_stopless(&self, out: &mut Actions<Action>) {
        let Some(names) = self.stopless() else { return };
        let text = || {
            format!(
                "no stop guards the position of {names}, and its strategy is asked no more: watch it, or close it with \
                 `levibot close SYMBOL`; at the day's loss limit the account closes it"
            )
        };
        self.tell(|| Alert::critical(Topic::Account, None, text()), out);
    }

    /// The names of positions of ours that no stop guards and nothing closes yet.
    fn stopless(&self) -> Option<String> {
        let bare = |book: &&Book| book.is_stopless() && !book.is_leaving(&self.state.orders);
        let names: Vec<String> = self.state.books().iter().filter(bare).map(|book| book.symbol().to_string()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn close_each(&mut self, meant: impl Fn(&Book, &OpenOrders) -> bool, now: Ts, out: &mut Actions<Action>) {
        let Some(seq) = self.state.halt.as_ref().map(|halt| halt.seq) else { return };
        for at in 0..self.state.books().len() {
            let Some(ix) = Ix::from_usize(at) else { break };
            if self.state.book(ix).is_some_and(|book| meant(book, &self.state.orders)) {
                self.close(ix, Cause::Command { seq }, None, now, out);
                self.publish(ix, out);
            }
        }
    }

    /// What is still open of them; their cancels may have been lost with the process or the venue.
    fn cancel_all_entries(&self, out: &mut Actions<Action>) {
        for at in 0..self.state.books().len() {
            let Some(ix) = Ix::from_usize(at) else { break };
            self.cancel_entries(ix, out);
        }
    }

    /// Lifts every halt, and ends a drill. The loss of the day counts from this equity on, or the stop would latch again at once.
    pub(super) fn resume(&mut self, reason: Reason, now: Ts, out: &mut Actions<Action>) {
        if self.state.halt.is_none() && self.state.drill.is_none() {
            return;
        }
        let start_equity = Money::approx(self.equity()).unwrap_or(self.last_equity);
        if self.commit(Record::Resume { reason: reason.clone(), start_equity }, now, out) {
            (self.warned, self.unconfirmed) = (0, None);
            out.push(Action::Halt(HaltLevel::None, reason));
        }
    }
}
