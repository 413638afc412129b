//! The day's stop and all halts: latched, explained, lifted by an explicit resume.

use super::core::{Account, by_risk};
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
        let stopped_itself = self.state.halt.as_ref().is_some_and(|h| h.reason.by == "risk");
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

    /// Raises the halt level: the record latches it, our entries are cancelled, and at `Flatten` everything is
    /// closed.
    pub(super) fn halt(&mut self, level: HaltLevel, reason: Reason, now: Ts, out: &mut Actions<Action>) {
        if level <= self.halt_level() {
            // Nothing new, but for what should be gone and is not.
            if level > HaltLevel::None {
                self.cancel_all_entries(out);
            }
            if level == HaltLevel::Flatten {
                self.flatten(now, out);
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
        self.flatten(now, out);
    }

    /// At `Flatten`, closes what is open and has no exit on its way: an exit may have been refused, an entry may have been
    /// filled before its cancel arrived, and the exits of the halt may have been lost with the process before they were on
    /// record.
    pub(super) fn flatten(&mut self, now: Ts, out: &mut Actions<Action>) {
        let Some(seq) = self.state.halt.as_ref().filter(|h| h.level == HaltLevel::Flatten).map(|h| h.seq) else {
            return;
        };
        for at in 0..self.state.books().len() {
            let Some(ix) = Ix::from_usize(at) else { break };
            self.close(ix, Cause::Command { seq }, None, now, out);
            self.publish(ix, out);
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
