//! What a run is for: to trade, or only to close what is open.

use std::time::Duration;

use levibot_core::account::State;
use levibot_core::domain::{Event, FreezeCause, HaltLevel, Ix, Reason, Symbol};
use levibot_core::driver::Input;
use levibot_core::record::Record;

use crate::config::Config;
use crate::control::{Board, FlatView};
use crate::risk_manager::Tell;

/// How often a run that closes positions looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug, Clone, Default)]
pub enum Purpose {
    /// To trade as configured.
    #[default]
    Trade,
    /// To cancel entries and close positions, and to end then. No engine is started.
    Close {
        /// Of this symbol alone; `None`: everything, with the account halted at `Flatten` by the latch file.
        only: Option<Symbol>,
        /// By whom and why.
        reason: Reason,
    },
}

impl Purpose {
    /// Whether it only closes.
    pub const fn is_closing(&self) -> bool {
        matches!(self, Self::Close { .. })
    }

    /// Leaves out of the configuration what closing does not need: it is to begin at once, and to disturb nobody.
    pub(super) fn narrow(&self, config: &mut Config) {
        if self.is_closing() {
            config.http.enabled = false;
            config.run.watch = false;
        }
    }

    /// What the account is told at the start because of it. Entries are frozen first, as where an engine is away, so that
    /// nothing is added to a position on the way; an engine that runs again lifts it.
    pub(super) fn first_words(&self, state: &State) -> Vec<Tell> {
        let Self::Close { only, reason } = self else { return Vec::new() };
        let books = || state.books().iter().enumerate().filter_map(|(at, book)| Some((Ix::from_usize(at)?, book)));
        let freeze = |(instrument, _)| Event::Freeze {
            instrument,
            cause: FreezeCause::Engine,
            reason: Some("no engine runs: positions are only closed".to_owned()),
        };
        let meant = books().filter(|(_, book)| *only == Some(book.symbol()));
        let close = |(instrument, _)| Event::Close { instrument, reason: reason.clone() };
        let events = books().map(freeze).chain(meant.map(close));
        events.map(|event| Tell::Input(Input::Control(event))).collect()
    }

    /// Waits until all of it is done. Never ends for a run that trades.
    pub(super) async fn done(&self, board: &Board) {
        let Self::Close { only, .. } = self else { return std::future::pending().await };
        loop {
            let account = board.account();
            let is_halted = only.is_some() || account.halt == HaltLevel::Flatten;
            if is_halted && FlatView::of(&account, *only, Duration::ZERO).flat {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The command that asked for it, for the record.
    pub(super) fn record(&self, board: &Board, took: Duration) -> Option<Record> {
        let Self::Close { only, reason } = self else { return None };
        let command = match only {
            None => format!("flatten: {}", reason.text),
            Some(symbol) => format!("close {symbol}: {}", reason.text),
        };
        let outcome = format!("without a daemon; {}", FlatView::of(&board.account(), *only, took).outcome);
        Some(Record::Command { by: reason.by.clone(), command, outcome })
    }
}
