//! Gathers alerts that belong together, so that a slow channel tells a storm in a few messages.
//!
//! The first alert of a topic and symbol goes at once, and begins a quiet time of the two. Those that follow within it are
//! gathered; when it is over, all that is gathered of the topic is told in one message, and a new quiet time begins. Where
//! several symbols of a topic have a quiet time already, a further one is gathered from its first alert on: that is a
//! storm, and it is told as one. A critical alert is never held back, and neither is one that is more urgent than what was
//! told of its topic and symbol. No alert waits for longer than one quiet time, and none is left out: the counts told add
//! up to the alerts taken.

use std::collections::BTreeMap;

use super::words::Gathered;
use super::{Alert, Severity, Topic};
use crate::domain::{Span, Symbol, Ts};

/// Symbols of one topic whose first alerts go at once within a quiet time.
const AT_ONCE_MAX: usize = 3;
/// Symbols of one topic that are counted one by one; what belongs to further ones is counted together.
const SYMBOLS_MAX: usize = 512;
/// Longest text that is kept of an alert, bytes.
const TEXT_BYTES_MAX: usize = 2_000;

/// A message for people: one alert, or the words for several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What to send. Its symbol is that of all its alerts, its severity that of the most urgent.
    pub alert: Alert,
    /// How many alerts it tells of, at least 1.
    pub count: u64,
}

/// See the module. Its instants are the host's monotonic time and must not go back.
#[derive(Debug, Clone)]
pub struct Coalescer {
    quiet: Span,
    topics: BTreeMap<Topic, Group>,
}

/// A topic with something in its quiet time.
#[derive(Debug, Clone, Default)]
struct Group {
    symbols: BTreeMap<Option<Symbol>, Entry>,
    /// What belongs to more symbols than are kept: gathered without a name.
    others: Option<(Ts, u64)>,
    waiting: Option<Waiting>,
}

/// A topic and symbol in its quiet time.
#[derive(Debug, Clone, Copy)]
struct Entry {
    until: Ts,
    /// The most urgent of what was told; `None`: nothing yet.
    told: Option<Severity>,
    gathered: u64,
}

/// The words of what is gathered of a topic.
#[derive(Debug, Clone)]
struct Waiting {
    since: Ts,
    severity: Severity,
    first: String,
    last: String,
}

impl Coalescer {
    /// Nothing is quiet yet. `quiet` is zero or more; with zero everything goes at once.
    pub const fn new(quiet: Span) -> Self {
        Self { quiet, topics: BTreeMap::new() }
    }

    /// Takes an alert. What is to be told now is appended to `out`.
    pub fn take(&mut self, alert: Alert, now: Ts, out: &mut Vec<Told>) {
        self.tick(now, out);
        if self.quiet <= Span::ZERO {
            out.push(Told { alert: cut(alert), count: 1 });
            return;
        }
        let until = now.saturating_add(self.quiet);
        let group = self.topics.entry(alert.topic).or_default();
        if group.goes_at_once(&alert, until) {
            out.push(Told { alert: cut(alert), count: 1 });
        } else {
            group.gather(alert, now, until);
        }
    }

    /// Time passes: what has waited for its quiet time is told.
    pub fn tick(&mut self, now: Ts, out: &mut Vec<Told>) {
        let again = now.saturating_add(self.quiet);
        for (topic, group) in &mut self.topics {
            if group.due(now) {
                group.tell(*topic, now, again, out);
            }
            group.symbols.retain(|_, entry| entry.until > now);
        }
        self.topics.retain(|_, group| !group.symbols.is_empty() || group.waiting.is_some());
    }

    /// When [`tick`](Self::tick) has something to do next.
    pub fn next_tick(&self) -> Option<Ts> {
        self.topics.values().filter_map(Group::next).min()
    }

    /// Tells everything that waits, whatever its time.
    pub fn flush(&mut self, now: Ts, out: &mut Vec<Told>) {
        for (topic, group) in &mut self.topics {
            group.tell(*topic, now, now, out);
        }
        self.topics.clear();
    }

    /// Alerts that are gathered and not told yet.
    pub fn waiting(&self) -> u64 {
        self.topics.values().map(Group::gathered).sum()
    }
}

impl Group {
    /// Whether it goes at once; if so, its quiet time begins.
    fn goes_at_once(&mut self, alert: &Alert, until: Ts) -> bool {
        let crowded = self.symbols.len() >= AT_ONCE_MAX;
        match self.symbols.get_mut(&alert.symbol) {
            Some(entry) => {
                let urgent = alert.severity == Severity::Critical || entry.told.is_some_and(|t| alert.severity > t);
                if urgent {
                    entry.told = entry.told.max(Some(alert.severity));
                }
                urgent
            }
            None if alert.severity == Severity::Critical || !crowded => {
                if self.symbols.len() < SYMBOLS_MAX {
                    self.symbols.insert(alert.symbol, Entry { until, told: Some(alert.severity), gathered: 0 });
                }
                true
            }
            None => false,
        }
    }

    fn gather(&mut self, alert: Alert, now: Ts, until: Ts) {
        let room = self.symbols.len() < SYMBOLS_MAX;
        match self.symbols.get_mut(&alert.symbol) {
            Some(entry) => entry.gathered += 1,
            None if room => {
                self.symbols.insert(alert.symbol, Entry { until, told: None, gathered: 1 });
            }
            None => self.others.get_or_insert((until, 0)).1 += 1,
        }
        let alert = cut(alert);
        match &mut self.waiting {
            Some(waiting) => {
                waiting.severity = waiting.severity.max(alert.severity);
                waiting.last = alert.text;
            }
            None => {
                let (first, last) = (alert.text.clone(), alert.text);
                self.waiting = Some(Waiting { since: now, severity: alert.severity, first, last });
            }
        }
    }

    /// Whether one of those that have something gathered has waited for its time.
    fn due(&self, now: Ts) -> bool {
        let over = |entry: &Entry| entry.gathered > 0 && entry.until <= now;
        self.symbols.values().any(over) || self.others.is_some_and(|(until, _)| until <= now)
    }

    fn next(&self) -> Option<Ts> {
        self.symbols.values().map(|entry| entry.until).chain(self.others.map(|(until, _)| until)).min()
    }

    fn gathered(&self) -> u64 {
        self.symbols.values().map(|entry| entry.gathered).sum::<u64>() + self.others.map_or(0, |(_, count)| count)
    }

    /// Tells what is gathered in one message; those told of are quiet until `again`.
    fn tell(&mut self, topic: Topic, now: Ts, again: Ts, out: &mut Vec<Told>) {
        let Some(Waiting { since, severity, first, last }) = self.waiting.take() else { return };
        let mut counts = BTreeMap::new();
        for (symbol, entry) in self.symbols.iter_mut().filter(|(_, entry)| entry.gathered > 0) {
            counts.insert(*symbol, entry.gathered);
            *entry = Entry { until: again, told: entry.told.max(Some(severity)), gathered: 0 };
        }
        let others = self.others.take().map_or(0, |(_, count)| count);
        let (within, counts) = (now - since, &counts);
        let gathered = Gathered { topic, counts, others, within, first: &first, last: &last };
        let symbol =
            counts.first_key_value().filter(|_| counts.len() == 1 && others == 0).and_then(|(symbol, _)| *symbol);
        let (text, count) = (gathered.words(), gathered.count());
        out.push(Told { alert: Alert { severity, topic, symbol, text }, count });
    }
}

fn cut(mut alert: Alert) -> Alert {
    alert.text.truncate(alert.text.floor_char_boundary(TEXT_BYTES_MAX));
    alert
}
