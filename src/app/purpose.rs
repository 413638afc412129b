//! What a run is for: to trade, or only to close what is open.

use std::time::Duration;

use levibot_core::account::State;
use levibot_core::domain::{Event, HaltLevel, Ix, Reason, Symbol};
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

    /// What the account is told at the start because of it.
    pub(super) fn first_words(&self, state: &State) -> Option<Tell> {
        let Self::Close { only: Some(symbol), reason } = self else { return None };
        let place = state.books().iter().position(|book| book.symbol() == *symbol)?;
        let event = Event::Close { instrument: Ix::from_usize(place)?, reason: reason.clone() };
        Some(Tell::Input(Input::Control(event)))
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
