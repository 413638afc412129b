//! What a decision saw: its features, computed again from the tape by the engine's own code, and proven by the hash on
//! record.

use std::path::Path;

use levibot_core::domain::{Event, Ts};
use levibot_core::engine::StrategyPolicy;
use levibot_core::features::FeatureSet;
use levibot_core::record::{TapeEntry, TapeItem, TapeTarget};
use serde::Serialize;

use super::super::seats::Seats;
use super::pass::Decided;
use crate::journal::{TapeError, TapeReader};

/// The features of a decision.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Features {
    /// They are those that the decision saw: their hash is the one on record.
    Proven {
        /// The hash, hexadecimal.
        hash: String,
        /// Each with its value.
        values: Vec<(&'static str, f64)>,
    },
    /// They were computed and are not those that the decision saw.
    Different {
        /// The hash on record.
        recorded: String,
        /// That of these values.
        computed: String,
        /// Each with its value.
        values: Vec<(&'static str, f64)>,
    },
    /// They cannot be had.
    Unknown {
        /// Why not.
        why: String,
    },
}

impl Features {
    /// The features of a decision from the tape of a run's folder.
    pub(super) fn of(dir: &Path, decided: &Decided, strategy: Option<&StrategyPolicy>) -> Self {
        let Some(strategy) = strategy else {
            let why =
                "its strategy is not on record: an older version of levibot wrote this part of the journal".to_owned();
            return Self::Unknown { why };
        };
        match Search::through(&dir.join("tape"), decided) {
            Ok(mut search) if search.is_there => {
                let set = search.seats.features(decided.decision.instrument, decided.timeframe, Some(strategy));
                set.map_or_else(
                    || Self::Unknown { why: "no engine could be made".to_owned() },
                    |set| Self::compare(decided, set),
                )
            }
            Ok(search) => Self::Unknown { why: search.why(decided) },
            Err(error) => {
                Self::Unknown { why: format!("the tape cannot be read: {}", crate::telemetry::chain(&error)) }
            }
        }
    }

    fn compare(decided: &Decided, set: &FeatureSet) -> Self {
        let values = set.ids().iter().map(|id| id.name()).zip(set.values().iter().copied()).collect();
        let hex = |hash: u64| format!("{hash:016x}");
        let (recorded, computed) = (decided.decision.features, set.feature_hash());
        if recorded == computed {
            Self::Proven { hash: hex(recorded), values }
        } else {
            Self::Different { recorded: hex(recorded), computed: hex(computed), values }
        }
    }
}

/// Reads a tape up to the bar of a decision, and gives its engine all that it was given.
#[derive(Default)]
struct Search {
    seats: Seats,
    /// Time of the first entry, whatever it is.
    first: Option<Ts>,
    /// Time of the last entry that was read.
    last: Option<Ts>,
    has_begun: bool,
    /// The bar has been given.
    is_there: bool,
    /// The next daemon has started.
    is_over: bool,
    /// Inputs that the tape has lost since the daemon started.
    lost: u64,
}

impl Search {
    fn through(tape: &Path, decided: &Decided) -> Result<Self, TapeError> {
        let mut search = Self::default();
        for item in TapeReader::open(tape)? {
            match item? {
                TapeItem::Entry(entry) => search.take(entry, decided),
                TapeItem::Gap { entries, .. } if search.has_begun => search.lost += entries,
                TapeItem::Gap { .. } => {}
            }
            if search.is_there || search.is_over {
                break;
            }
        }
        Ok(search)
    }

    fn take(&mut self, entry: TapeEntry, decided: &Decided) {
        let TapeEntry { ts, to, event, .. } = entry;
        self.first.get_or_insert(ts);
        let is_start = match to {
            TapeTarget::Start(number) => Some(number == decided.started.seq),
            TapeTarget::Session => Some(ts == decided.started.ts),
            _ => None,
        };
        match is_start {
            Some(true) => self.has_begun = true,
            Some(false) if self.has_begun => self.is_over = true,
            _ if self.has_begun => {
                self.last = Some(ts);
                self.give(ts, to, event, decided);
            }
            _ => {}
        }
    }

    fn give(&mut self, ts: Ts, to: TapeTarget, event: Event, decided: &Decided) {
        let ix = decided.decision.instrument;
        match to {
            TapeTarget::Engine(of) if of == ix => {
                let bar = decided.decision.bar;
                self.is_there = matches!(&event, Event::Bar { bar: b, .. } if b.close_ts(decided.timeframe) == bar);
                self.seats.take(ts, to, event);
            }
            TapeTarget::History(of) | TapeTarget::Cold(of) if of == ix => self.seats.take(ts, to, event),
            _ => {}
        }
    }

    fn why(&self, decided: &Decided) -> String {
        let started = decided.started.ts;
        match (self.first, self.last) {
            (None, _) => {
                "there is no tape in the folder: `journal.tape` = false keeps none, and old days are deleted after \
                          `journal.tape_keep_days`"
                    .to_owned()
            }
            (Some(first), _) if !self.has_begun => format!(
                "the tape does not hold the start of the daemon at {started} any more (it begins at {first}): old days are \
                 deleted after `journal.tape_keep_days`"
            ),
            _ if self.lost > 0 => format!("the tape lost {} inputs to a slow disk, the bar among them", self.lost),
            (_, last) => format!(
                "the tape of that daemon ends at {} without the bar: a running daemon has not written it yet (try again in \
                 a moment), or a crash lost it",
                last.unwrap_or(started)
            ),
        }
    }
}
