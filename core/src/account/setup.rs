//! Everything the account must know, as one validated value. A change of it is an event and a record.

use serde::{Deserialize, Serialize};

use super::RiskPolicy;
use crate::domain::{AccountKind, Instrument, Ix, Money, Symbol};

/// The account's configuration. Instruments are in [`Ix`] order: sorted when the run begins, later ones appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSetup {
    /// The account's name, a part of every order id.
    pub name: String,
    /// Spot or linear.
    pub kind: AccountKind,
    /// Quote currency of the account.
    pub currency: String,
    /// Cash with which the journal opens.
    pub initial_cash: Money,
    /// What may be traded.
    pub instruments: Vec<Instrument>,
    /// The limits.
    pub risk: RiskPolicy,
    /// Cost of one side of a trade as a fraction of notional (fee, half spread, slippage): what reserves and Kelly's
    /// rule reckon with.
    pub cost_per_side: f64,
    /// Whether a stop of the day is lifted by itself when the next day begins. For replays only: a live account is
    /// resumed by a person.
    pub resume_next_day: bool,
    /// Whether no limit, stop or capital binds. For backtests that measure a policy by itself: no configuration of the
    /// daemon has a key for it.
    ///
    /// What stays are the checks without which an order would make no sense: a fault of the ledger, halts and freezes by
    /// people, comparisons and unknown orders, numbers that can be meant, no shorts on spot, the venue's smallest order, and
    /// exits that must go first. No capital is reserved, and equity may fall under zero. An entry that the account sizes
    /// itself is as large as the risk policy's formula makes it (`equity * max_risk_pct / volatility`, times Kelly's factor)
    /// without any cap; that one, and one for a fraction of equity, is refused (`equity`) while equity is zero or less.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlimited: bool,
}

impl AccountSetup {
    /// Where a symbol stands in the table.
    pub fn ix(&self, symbol: Symbol) -> Option<Ix> {
        self.instruments.iter().position(|i| i.id().symbol == symbol).and_then(Ix::from_usize)
    }

    /// The instrument at a place of the table.
    pub fn instrument(&self, ix: Ix) -> Option<&Instrument> {
        self.instruments.get(ix.at())
    }
}
