//! What was found, told in the order of time: sections that are text for people and JSON for programs.

use std::path::PathBuf;

use levibot_core::domain::{BracketSpec, Commission, Intent, Member, Money, Qty, Side};
use levibot_core::record::Check;
use rust_decimal::Decimal;
use serde::Serialize;

use super::super::words::Iso;
use super::features::Features;
use super::scene::{Held, Scene};

/// The story of one order, trade, decision or record.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// The data folder.
    pub dir: PathBuf,
    /// What was asked.
    pub asked: String,
    /// The answer in a sentence.
    pub about: String,
    /// In the order of their first records.
    pub sections: Vec<Section>,
    /// What else is to be known, such as that the journal goes on.
    pub notes: Vec<String>,
}

/// A part of a story.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "section", rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a story has few")]
pub enum Section {
    /// A decision: what was seen, wanted and allowed.
    Decision(DecisionPart),
    /// An order with all that became of it.
    Order(OrderPart),
    /// What protected a position.
    Protection(ProtectionPart),
    /// What a round trip came to.
    Result(ResultPart),
    /// A record that is asked for itself, or that caused an order: a halt, a close, a rebalancing.
    Record(RecordPart),
}

impl Section {
    /// The record it begins with, and its place among those that begin with the same.
    pub(super) const fn place(&self) -> (u64, u8) {
        match self {
            Self::Record(part) => (part.seq, 0),
            Self::Decision(part) => (part.seq, 1),
            Self::Order(part) => (part.seq, 2),
            Self::Protection(part) => (part.seq, 3),
            Self::Result(part) => (part.seq, 4),
        }
    }
}

/// A decision.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionPart {
    /// Its record.
    pub seq: u64,
    /// Trading time.
    pub time: Iso,
    /// Whose.
    pub symbol: String,
    /// Close of the bar that caused it.
    pub bar: Iso,
    /// What was wanted.
    pub wanted: Option<Intent>,
    /// The strategy's name; `None` where it is not on record.
    pub strategy: Option<String>,
    /// Hash of the strategy, hexadecimal.
    pub policy: String,
    /// What the model said, where it was asked and answered.
    pub model: Option<ModelPart>,
    /// What the engine saw.
    pub features: Features,
    /// The account just before.
    pub account: Scene,
    /// `approved`, `refused` or `unchanged`.
    pub verdict: &'static str,
    /// Which check refused, and in words.
    pub refused: Option<Refused>,
    /// Every check on record, in the order in which they were made.
    pub checks: Vec<Check>,
    /// How the size came about.
    pub sizing: Vec<Term>,
    /// What an entry would have been or was going to be.
    pub planned: Option<Planned>,
}

/// Why a decision was refused.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// Which check.
    pub check: String,
    /// In words, with the figures.
    pub reason: String,
}

/// What the model said.
#[derive(Debug, Clone, Serialize)]
pub struct ModelPart {
    /// Which version.
    pub version: String,
    /// SHA-256 over its files; `None` where that is not on record.
    pub digest: Option<String>,
    /// Close of the last bar that it had learnt from.
    pub trained_through: Option<Iso>,
    /// Calibrated probability that the price rises.
    pub prob_up: f64,
    /// How sure it was of the likelier side.
    pub confidence: f64,
    /// One for each member.
    pub votes: Vec<MemberVote>,
    /// The 10, 50 and 90 % quantiles of the log return over the horizon.
    pub quantiles: Option<[f64; 3]>,
    /// Hash of the window that it was shown, hexadecimal.
    pub window: String,
}

/// A member's vote.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MemberVote {
    /// Which.
    pub member: Member,
    /// Its probability that the price rises; `None` when it was absent.
    pub probability: Option<f64>,
    /// The weight that it had.
    pub weight: Option<f64>,
}

/// A term of a size.
#[derive(Debug, Clone, Serialize)]
pub struct Term {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// How it came about.
    pub how: String,
    /// Whether it is the one that bound.
    pub bound: bool,
}

/// What an entry was going to be.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Planned {
    /// `long` or `short`.
    pub direction: &'static str,
    /// Close of the deciding bar.
    pub reference: f64,
    /// Worth of the position in quote currency, as far as it was reckoned.
    pub notional: Option<f64>,
    /// That in base units at the reference.
    pub quantity: Option<f64>,
    /// Where the stop would stand.
    pub stop: Option<f64>,
    /// Where the target would stand.
    pub target: Option<f64>,
    /// What the stop would lose, before costs.
    pub loss_at_stop: Option<f64>,
}

/// An order.
#[derive(Debug, Clone, Serialize)]
pub struct OrderPart {
    /// Its intent's record.
    pub seq: u64,
    /// Trading time.
    pub time: Iso,
    /// Its id.
    pub id: String,
    /// What is traded.
    pub symbol: String,
    /// `entry` or `exit`.
    pub leg: &'static str,
    /// Buy or sell.
    pub side: Side,
    /// Base units ordered.
    pub quantity: Qty,
    /// Attempt number.
    pub attempt: u32,
    /// Why it exists.
    pub cause: String,
    /// The record of the cause, where it has one.
    pub cause_seq: Option<u64>,
    /// Whether it is among those that were asked for.
    pub asked: bool,
    /// Capital held for it.
    pub reserved: Money,
    /// The protection that it carries, as distances.
    pub bracket: Option<BracketSpec>,
    /// The price that its fills are compared with, and what that is.
    pub reference: Option<(f64, &'static str)>,
    /// What the venue said, in the order of time.
    pub events: Vec<OrderEvent>,
    /// Its executions.
    pub fills: Vec<FillPart>,
    /// All executions together: base units, mean price, fees, and slippage.
    pub filled: Option<Filled>,
}

/// What the venue said of an order.
#[derive(Debug, Clone, Serialize)]
pub struct OrderEvent {
    /// Its record.
    pub seq: u64,
    /// Trading time.
    pub time: Iso,
    /// In words.
    pub text: String,
}

/// An execution.
#[derive(Debug, Clone, Serialize)]
pub struct FillPart {
    /// Its record.
    pub seq: u64,
    /// When it happened at the venue.
    pub time: Iso,
    /// The venue's number, as text: it may be more than a float holds.
    pub trade_id: String,
    /// Price.
    pub price: Decimal,
    /// Base units.
    pub quantity: Decimal,
    /// Fee in quote currency.
    pub fee: Money,
    /// Commission in another asset.
    pub commission: Option<Commission>,
}

/// The executions of an order together.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Filled {
    /// Base units.
    pub quantity: Decimal,
    /// Mean price.
    pub price: Decimal,
    /// Fees in quote currency.
    pub fees: Decimal,
    /// How much worse than the reference, in basis points; negative when better.
    pub slippage_bp: Option<f64>,
    /// The same in quote currency.
    pub slippage: Option<f64>,
}

/// What protected a position.
#[derive(Debug, Clone, Serialize)]
pub struct ProtectionPart {
    /// The first record.
    pub seq: u64,
    /// Whose.
    pub symbol: String,
    /// Every state of it.
    pub states: Vec<ProtectionState>,
}

/// Protection as it stood from a record on.
#[derive(Debug, Clone, Serialize)]
pub struct ProtectionState {
    /// Its record.
    pub seq: u64,
    /// Trading time.
    pub time: Iso,
    /// Stop price.
    pub stop: Option<f64>,
    /// Target price.
    pub target: Option<f64>,
    /// Distance of the trailing stop.
    pub trailing: Option<f64>,
    /// Whether trailing moved the stop there.
    pub trailed: bool,
    /// Best price since entry.
    pub best: f64,
    /// When the position is closed at the latest.
    pub expires: Option<Iso>,
}

/// What a round trip came to.
#[derive(Debug, Clone, Serialize)]
pub struct ResultPart {
    /// The last record of it that is told.
    pub seq: u64,
    /// Which.
    pub symbol: String,
    /// `long` or `short`.
    pub direction: &'static str,
    /// First fill.
    pub opened: Iso,
    /// Last fill; `None` while it is open.
    pub closed: Option<Iso>,
    /// Seconds between them.
    pub holding_seconds: Option<i64>,
    /// How it ended.
    pub ended_by: Option<&'static str>,
    /// Base units entered.
    pub quantity: Decimal,
    /// Mean entry price.
    pub entry_price: Option<Decimal>,
    /// Mean price of what was closed.
    pub exit_price: Option<Decimal>,
    /// Realised before fees.
    pub gross_pnl: Decimal,
    /// Fees.
    pub fees: Decimal,
    /// Funding paid; under zero more was received.
    pub funding: Decimal,
    /// Realised less fees and funding.
    pub net_pnl: Decimal,
    /// That in percent of what the entries cost.
    pub return_pct: Option<Decimal>,
    /// What is open, at the last price on record.
    pub open: Option<Held>,
    /// Executions.
    pub parts: u64,
}

/// A record that is told for itself.
#[derive(Debug, Clone, Serialize)]
pub struct RecordPart {
    /// Its number.
    pub seq: u64,
    /// Trading time.
    pub time: Iso,
    /// Its type, as in the journal.
    pub kind: String,
    /// In words.
    pub text: String,
    /// The record as the journal has it.
    pub record: serde_json::Value,
    /// The day's loss at that moment, for a halt.
    pub day: Option<DayPart>,
    /// The account just before.
    pub account: Option<Scene>,
    /// Orders that it caused.
    pub sent: Vec<String>,
    /// Orders that it found open and that were cancelled.
    pub cancelled: Vec<String>,
}

/// The day's loss.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct DayPart {
    /// Equity from which it is counted.
    pub start_equity: Money,
    /// Equity at the moment, as the account part has it.
    pub equity: Decimal,
    /// Lost since the day's start; negative when gained.
    pub loss: Decimal,
    /// That in percent.
    pub loss_pct: Decimal,
    /// The limit in percent.
    pub limit_pct: Decimal,
}
