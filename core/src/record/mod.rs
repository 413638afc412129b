//! The record: journal records, their line codec and hash chain, and the tape.
//!
//! The **journal** is the account's only truth: its state is a fold of [`Record`]s and of nothing else, so that the
//! record alone rebuilds it after any crash and anybody can recompute it. The **tape** holds every input of every core.

pub mod line;
pub mod reader;
#[cfg(test)]
mod samples;
pub mod tape;

pub use line::{Chain, EncodeError, LINE_BYTES_MAX, LineFault};
pub use reader::{JournalReader, ReadFault};
pub use tape::{TapeEntry, TapeItem, TapeTarget};

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::account::AccountSetup;
use crate::account::assets::Stock;
use crate::domain::{
    Asset, Cause, Decision, DoneReason, Fill, Forecast, FreezeCause, Funding, HaltLevel, ModelVersion, Money, Order,
    OrderId, Price, Qty, Reason, ReconcileCause, RunId, Symbol, Timeframe, Transfer, Ts,
};

/// Version of the journal's records. Raised by any change that an older reader would misread.
pub const RECORD_VERSION: u16 = 5;

/// One fact of the account's life.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "decisions are the large ones and a good part of all")]
pub enum Record {
    /// A daemon began to write. The first one of a journal opens the account with its initial cash.
    Started {
        /// The run.
        run: RunId,
        /// Bar length of the run.
        timeframe: Timeframe,
        /// Hash of the whole configuration, hexadecimal.
        config_hash: String,
        /// Everything the account needs to know.
        setup: Box<AccountSetup>,
    },
    /// The account's setup has changed (limits, instruments).
    Setup {
        /// The new one.
        setup: Box<AccountSetup>,
    },
    /// How is decided from here on, until the next record of this kind: at every start, and when a running daemon takes
    /// over another strategy or another symbol. With it a record can be run again without the configuration of that time.
    Strategies {
        /// Each strategy with the symbols that it decides for; every symbol once.
        strategies: Vec<StrategyOf>,
    },
    /// A trading day (UTC) begins.
    Day {
        /// Whole days since the epoch.
        day: i64,
        /// Equity from which the day's loss is counted.
        start_equity: Money,
    },
    /// The model that decisions are made with from here on.
    Model {
        /// Which version.
        version: ModelVersion,
        /// SHA-256 over its files, hexadecimal.
        digest: String,
        /// Close of the last bar that it has learnt from.
        trained_through: Ts,
    },
    /// What the model said of the bars of one instant: written before any decision is made with it.
    Forecasts {
        /// Close of the bars.
        bar: Ts,
        /// By symbol, in instrument order.
        forecasts: Vec<SymbolForecast>,
    },
    /// A decision that wanted something, and what became of it.
    Decision {
        /// Whose.
        symbol: Symbol,
        /// What the engine said.
        decision: Decision,
        /// What the account said.
        verdict: Verdict,
    },
    /// An order is going to be sent: written before it is.
    Intent {
        /// The order.
        order: Order,
        /// Capital held for it until it is done, quote currency; zero for exits.
        reserved: Money,
        /// The protection it will carry once filled; `None` for exits.
        bracket: Option<crate::domain::BracketSpec>,
    },
    /// The venue has it.
    Accepted {
        /// Which order.
        order: OrderId,
    },
    /// A part was executed.
    Fill {
        /// The fill.
        fill: Fill,
    },
    /// The order is over and its reserve released.
    Done {
        /// Which order.
        order: OrderId,
        /// How.
        reason: DoneReason,
        /// The venue's words.
        text: Option<String>,
    },
    /// A position's protection is set or moved.
    Bracket {
        /// Whose.
        symbol: Symbol,
        /// Now in force.
        bracket: Bracket,
    },
    /// The account at the end of an instant.
    Mark {
        /// Cash: initial cash plus realised PnL less fees and funding (linear), quote balance (spot).
        cash: Money,
        /// Cash plus what the positions are worth, plus what the stocks were booked at.
        equity: Money,
        /// Open positions and the prices that value them.
        positions: Vec<MarkedPosition>,
        /// What is held besides, by asset.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stocks: Vec<MarkedStock>,
    },
    /// The halt level is raised.
    Halt {
        /// To what.
        level: HaltLevel,
        /// By whom and why.
        reason: Reason,
    },
    /// All halts are lifted; the day's loss counts from this equity on.
    Resume {
        /// By whom and why.
        reason: Reason,
        /// New baseline.
        start_equity: Money,
    },
    /// Entries of a symbol are frozen or free again.
    Freeze {
        /// Whose.
        symbol: Symbol,
        /// On whose account.
        cause: FreezeCause,
        /// Why; `None` when the cause is gone.
        reason: Option<String>,
    },
    /// A person asked for something over a face, and what came of it.
    Command {
        /// Who.
        by: String,
        /// What.
        command: String,
        /// What came of it.
        outcome: String,
    },
    /// What became of a submission is not known. The order keeps its reserve and locks its symbol's entries until there
    /// is evidence.
    Unknown {
        /// Which order.
        order: OrderId,
        /// Trading time after which the venue would no longer accept what was sent.
        acceptable_until: Ts,
        /// What happened.
        text: String,
    },
    /// The venue said that it has no such order, at a time and in a way that counts as evidence.
    Absent {
        /// Which order.
        order: OrderId,
        /// Trading time at which it was asked.
        asked: Ts,
    },
    /// A trade of an order that is not ours, booked as what it is.
    Foreign {
        /// The trade.
        fill: Fill,
        /// The order's own name at the venue.
        name: String,
    },
    /// Something was paid in or out. The day's loss counts from a start that is moved by its value.
    Transfer {
        /// What.
        transfer: Transfer,
    },
    /// A position has paid funding or was paid it. It is part of what was earned, and of the day's result.
    Funding {
        /// What.
        funding: Funding,
    },
    /// What is left of a position is too small to be sold: it stays in the ledger, counts as no position, and is not tried
    /// again until the next fill.
    Dust {
        /// Whose.
        symbol: Symbol,
        /// Base units.
        size: Qty,
        /// Why it cannot be closed.
        reason: String,
    },
    /// Ledger and venue were compared.
    Reconciled {
        /// Why.
        cause: ReconcileCause,
        /// Trading time for which the venue spoke.
        asked: Ts,
        /// What differed, in words; empty when all was equal.
        found: Vec<String>,
    },
    /// A person closes one symbol.
    Close {
        /// Whose.
        symbol: Symbol,
        /// By whom and why.
        reason: Reason,
    },
    /// A loss that is not there is reckoned with from here on, until the next resume.
    Drill {
        /// A fraction of the day's starting equity.
        loss: f64,
        /// By whom and why.
        reason: Reason,
    },
    /// The open positions were weighed; the orders follow.
    Rebalance {
        /// When it was due.
        at: Ts,
        /// By whom, when a person asked for it.
        by: Option<Reason>,
        /// Each position with what was found and wanted.
        rows: Vec<RebalanceRow>,
    },
    /// The daemon ended in order.
    Ended {
        /// Why it ended.
        reason: String,
    },
    /// A position is to be closed, and no exit may go now: it follows as soon as one may.
    Wanted {
        /// Whose.
        symbol: Symbol,
        /// Why.
        cause: Cause,
        /// The level that was passed, where that is known better than by the next price.
        trigger: Option<Price>,
    },
}

/// A strategy and the symbols that it decides for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrategyOf {
    /// In name order.
    pub symbols: Vec<Symbol>,
    /// The keys of the strategy, as its file has them under `strategy`.
    pub strategy: serde_json::Value,
}

/// What the model said of one symbol's bar.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SymbolForecast {
    /// Whose bar.
    pub symbol: Symbol,
    /// The forecast; `None` when the model was away, too late, or refused the question.
    pub forecast: Option<Forecast>,
}

/// What the account said to a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Orders follow.
    Approved {
        /// How the size came about; `None` for exits.
        sizing: Option<Sizing>,
        /// Every check of an entry, in the order in which they were made; empty for exits.
        #[serde(default)]
        checks: Vec<Check>,
    },
    /// Nothing is sent.
    Refused {
        /// Which check said no: a short stable word such as `day_stop`.
        check: String,
        /// In words, with the figures.
        reason: String,
        /// How the size came about, as far as it was reckoned.
        #[serde(default)]
        sizing: Option<Sizing>,
        /// The checks up to the one that said no.
        #[serde(default)]
        checks: Vec<Check>,
    },
    /// What was wanted is already so.
    Unchanged,
}

/// One check of an entry: what was found and what is allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// A short stable word, such as `max_concurrent_positions`.
    pub name: Cow<'static, str>,
    /// Whether it lets the entry through.
    pub passed: bool,
    /// What was found, where that is a number.
    pub value: Option<f64>,
    /// What is allowed, where that is a number.
    pub limit: Option<f64>,
}

/// One position in a rebalancing. Amounts in the account's currency.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RebalanceRow {
    /// Which.
    pub symbol: Symbol,
    /// What it is worth, without its sign.
    pub notional: f64,
    /// Usual move of its price, a fraction.
    pub volatility: f64,
    /// Its share of the risk of all positions, 0 to 1.
    pub share: f64,
    /// What it should be worth.
    pub target: f64,
    /// What the trade towards it costs, both as fee and spread.
    pub cost: f64,
    /// What is done: a short stable word such as `reduce`, `add`, `keep`, or why nothing is.
    pub action: Cow<'static, str>,
}

/// The terms of a position's size, all in quote currency unless said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sizing {
    /// Equity at the decision.
    pub equity: f64,
    /// Fraction of price, from the decision.
    pub volatility: f64,
    /// `equity * max_risk_pct / volatility`.
    pub base: f64,
    /// Factor that Kelly's rule left of it, 0 to 1; 1 for fixed fractional.
    pub kelly: f64,
    /// Whether a probability stood behind it.
    pub with_probability: bool,
    /// The limit that bound last, a short stable word.
    pub bound_by: String,
    /// Notional after all limits, before steps.
    pub notional: f64,
    /// What each term alone would allow, in the order in which they were taken: the smallest is the notional.
    #[serde(default)]
    pub terms: Vec<Term>,
}

/// One term of a size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// A short stable word, such as `max_position_usd`.
    pub name: Cow<'static, str>,
    /// Notional that it allows, quote currency.
    pub notional: f64,
}

/// A position's protection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bracket {
    /// The entry order it belongs to.
    pub entry: OrderId,
    /// Stop price, where there is one.
    pub stop: Option<f64>,
    /// Target price.
    pub target: Option<f64>,
    /// Distance of the trailing stop.
    pub trailing: Option<f64>,
    /// Whether the stop stands where trailing moved it.
    pub trailed: bool,
    /// Best price since entry.
    pub best: f64,
    /// When the position is closed at the latest.
    pub expires: Option<Ts>,
}

/// A position and the price that values it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarkedPosition {
    /// Which.
    pub symbol: Symbol,
    /// Base units, negative when short.
    pub net: rust_decimal::Decimal,
    /// What the position cost, quote currency, negative when short.
    pub cost: Money,
    /// Last price.
    pub mark: Price,
}

/// What is held of an asset besides currency and positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedStock {
    /// Which.
    pub asset: Asset,
    /// Units of it; under zero when more went than was known to be there.
    pub amount: rust_decimal::Decimal,
    /// What it was booked at, quote currency.
    pub value: Money,
}

impl MarkedStock {
    /// As the ledger has it.
    pub fn of(asset: Asset, stock: &Stock) -> Self {
        Self { asset, amount: stock.amount, value: Money::new(stock.value).unwrap_or(Money::ZERO) }
    }
}

/// A record with its place in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    /// 1 for the first, then without gaps.
    pub seq: u64,
    /// Trading time.
    pub ts: Ts,
    /// [`RECORD_VERSION`] of the writer.
    pub v: u16,
    /// The fact.
    #[serde(flatten)]
    pub record: Record,
}

impl Record {
    /// The symbol it is about, if one.
    pub fn symbol(&self) -> Option<Symbol> {
        match self {
            Self::Decision { symbol, .. }
            | Self::Bracket { symbol, .. }
            | Self::Freeze { symbol, .. }
            | Self::Dust { symbol, .. }
            | Self::Wanted { symbol, .. }
            | Self::Close { symbol, .. } => Some(*symbol),
            Self::Intent { order, .. } => Some(order.symbol),
            Self::Fill { fill } | Self::Foreign { fill, .. } => Some(fill.symbol),
            Self::Funding { funding } => Some(funding.symbol),
            _ => None,
        }
    }

    /// Whether it changes nothing of the account.
    pub const fn is_note(&self) -> bool {
        matches!(
            self,
            Self::Command { .. }
                | Self::Ended { .. }
                | Self::Model { .. }
                | Self::Forecasts { .. }
                | Self::Strategies { .. }
                | Self::Reconciled { .. }
        )
    }

    /// Whether this is a cause the projection shows as belonging to a bracket.
    pub fn bracket_rule(&self) -> Option<crate::domain::ExitReason> {
        match self {
            Self::Intent { order: Order { cause: Cause::Bracket { rule, .. }, .. }, .. } => Some(*rule),
            _ => None,
        }
    }
}
