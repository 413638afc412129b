//! Orders and what a venue says about them.

use std::fmt;

use arrayvec::ArrayString;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::hash::sha256;
use super::ids::NameError;
use super::venue_state::{Transfer, VenueState};
use super::{Asset, ExitReason, Funding, Money, OrderId, Price, Qty, RunId, Symbol, Ts};

/// The side of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Takes base units, gives quote currency.
    Buy,
    /// Gives base units, takes quote currency.
    Sell,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

/// Which leg of a trade an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leg {
    /// Opens or adds.
    Entry,
    /// Only ever reduces.
    Exit,
}

/// Why an order exists. With account, run, instrument, leg and attempt it determines the order's id: the same cause met
/// again after a crash is the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A decision on the bar that closed at this instant.
    Decision {
        /// Close of the deciding bar.
        bar: Ts,
    },
    /// The bracket of the entry that this order id opened.
    Bracket {
        /// The entry order.
        entry: OrderId,
        /// Which rule of the bracket.
        rule: ExitReason,
    },
    /// A command or a stop of the account, by its sequence number in the journal.
    Command {
        /// Journal sequence number of the halt or command.
        seq: u64,
    },
    /// The rebalancing that was due at this instant.
    Rebalance {
        /// When it was due.
        at: Ts,
    },
}

impl Cause {
    /// Whether it is a rebalancing, whose exits make positions smaller and close none.
    pub const fn is_rebalance(&self) -> bool {
        matches!(self, Self::Rebalance { .. })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decision { bar } => write!(f, "decision/{}", bar.nanos()),
            Self::Bracket { entry, rule } => write!(f, "bracket/{entry}/{rule}"),
            Self::Command { seq } => write!(f, "command/{seq}"),
            Self::Rebalance { at } => write!(f, "rebalance/{}", at.nanos()),
        }
    }
}

/// A market order. Immutable once journaled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Deterministic client order id.
    pub id: OrderId,
    /// What is traded.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Entry or exit; an exit is reduce-only.
    pub leg: Leg,
    /// Base units, a whole number of steps.
    pub qty: Qty,
    /// Why it exists.
    pub cause: Cause,
    /// 1 for the first; grows only after a journaled terminal outcome of the one before.
    pub attempt: u32,
    /// The price at which protection was triggered, when the trigger lies inside a closed bar and not in a quote. A
    /// paper venue fills from here; a real one never sees it.
    pub trigger: Option<Price>,
    /// When the account decided it.
    pub created: Ts,
}

/// What an order id is made of.
#[derive(Debug, Clone, Copy)]
pub struct OrderKey<'a> {
    /// The account's name.
    pub account: &'a str,
    /// The run.
    pub run: RunId,
    /// The symbol.
    pub symbol: Symbol,
    /// Hash of the policy that decided; zero for brackets and commands.
    pub policy: u64,
    /// Why.
    pub cause: Cause,
    /// Entry or exit.
    pub leg: Leg,
    /// Attempt number, from 1.
    pub attempt: u32,
}

impl OrderKey<'_> {
    /// `lb-` and the base 32 of 128 bits of SHA-256 over all parts: 29 characters.
    ///
    /// # Errors
    /// Never for a key made of valid names; the signature is that of the id's one constructor.
    pub fn id(&self) -> Result<OrderId, NameError> {
        let mut cause = ArrayString::<128>::new();
        // The longest cause is 10 + 32 + 12 characters: it always fits.
        let _ = fmt::Write::write_fmt(&mut cause, format_args!("{}", self.cause));
        let leg: &[u8] = match self.leg {
            Leg::Entry => b"entry",
            Leg::Exit => b"exit",
        };
        let digest = sha256(&[
            self.account.as_bytes(),
            self.run.as_str().as_bytes(),
            self.symbol.as_str().as_bytes(),
            &self.policy.to_le_bytes(),
            cause.as_bytes(),
            leg,
            &self.attempt.to_le_bytes(),
        ]);
        encode(OrderId::PREFIX, &digest)
    }
}

/// A commission that was not taken in the account's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Commission {
    /// Out of what was traded itself: that much less was bought, or more sold.
    Base {
        /// Base units, over zero.
        amount: Decimal,
    },
    /// Out of a third asset that the venue takes commissions from.
    Other {
        /// Which.
        asset: Asset,
        /// How much of it, over zero.
        amount: Decimal,
    },
}

/// One execution of a part of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fill {
    /// Which order.
    pub order: OrderId,
    /// The venue's number of this trade, unique for the symbol.
    pub trade_id: u64,
    /// The symbol.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Price paid.
    pub price: Price,
    /// Base units.
    pub qty: Qty,
    /// Commission taken in quote currency, zero or more.
    pub fee: Money,
    /// Commission taken in another asset.
    #[serde(default)]
    pub commission: Option<Commission>,
    /// When it happened.
    pub ts: Ts,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoneReason {
    /// Wholly filled.
    Filled,
    /// Cancelled by us, perhaps after a part was filled.
    Cancelled,
    /// The venue refused it.
    Rejected,
    /// It ran out of time at the venue.
    Expired,
    /// It never reached the venue: the evidence is the venue's own answer.
    NotSent,
}

/// What a venue reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The order is live.
    Accepted {
        /// Which order.
        order: OrderId,
    },
    /// A part was executed.
    Fill(Fill),
    /// The order is over.
    Done {
        /// Which order.
        order: OrderId,
        /// How it ended.
        reason: DoneReason,
        /// The venue's words, where it gave any.
        text: Option<String>,
    },
    /// What became of a submission is not known: it may have reached the venue or not.
    Unknown {
        /// Which order.
        order: OrderId,
        /// Trading time after which the venue would no longer accept what was sent.
        acceptable_until: Ts,
        /// What happened.
        text: String,
    },
    /// The venue, asked about an order, says that it has none of this id.
    Absent {
        /// Which order.
        order: OrderId,
        /// Trading time at which it was asked.
        asked: Ts,
        /// Whether reports may have been lost since the order was sent: then this is no evidence.
        gap: bool,
    },
    /// A trade of an order that is not ours: a human's, or another program's. The fill's order id is made by
    /// [`OrderId::foreign`].
    Foreign {
        /// The trade.
        fill: Fill,
        /// The order's own name at the venue.
        name: String,
    },
    /// Something was paid into or out of the account.
    Transfer(Transfer),
    /// A position has paid funding or was paid it.
    Funding(Funding),
    /// All that the venue knows of the account.
    State(Box<VenueState>),
}

impl Report {
    /// Which of our orders this is about, if one.
    pub const fn order(&self) -> Option<OrderId> {
        match self {
            Self::Accepted { order }
            | Self::Done { order, .. }
            | Self::Unknown { order, .. }
            | Self::Absent { order, .. } => Some(*order),
            Self::Fill(fill) => Some(fill.order),
            Self::Foreign { .. } | Self::Transfer(_) | Self::Funding(_) | Self::State(_) => None,
        }
    }
}

impl OrderId {
    /// What every id of ours begins with.
    pub const PREFIX: &'static str = "lb-";

    /// A stand-in for the id of an order that is not ours, from its name at the venue: `ex-` and the base 32 of 128 bits
    /// of SHA-256.
    ///
    /// # Errors
    /// Never; the signature is that of the id's one constructor.
    pub fn foreign(symbol: Symbol, name: &str) -> Result<Self, NameError> {
        encode("ex-", &sha256(&[symbol.as_str().as_bytes(), name.as_bytes()]))
    }

    /// Whether an order of this id is one of ours, of this or an earlier run.
    pub fn is_ours(&self) -> bool {
        self.as_str().starts_with(Self::PREFIX)
    }
}

fn encode(prefix: &str, digest: &[u8; 32]) -> Result<OrderId, NameError> {
    let mut letters = [0; 26];
    data_encoding::BASE32_NOPAD.encode_mut(&digest[..16], &mut letters);
    letters.make_ascii_lowercase();
    let mut text = ArrayString::<32>::new();
    // A prefix has three characters, and base 32 is text: both always fit.
    let _ = text.try_push_str(prefix);
    let _ = text.try_push_str(std::str::from_utf8(&letters).unwrap_or_default());
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(cause: Cause, attempt: u32) -> OrderKey<'static> {
        let (run, symbol) = ("run-1".parse().unwrap(), "BTCUSDT".parse().unwrap());
        OrderKey { account: "paper", run, symbol, policy: 7, cause, leg: Leg::Entry, attempt }
    }

    #[test]
    fn the_same_cause_is_the_same_order_and_nothing_else_is() {
        let bar = Cause::Decision { bar: Ts::from_secs(3_600) };
        let first = key(bar, 1).id().unwrap();
        assert_eq!(first, key(bar, 1).id().unwrap());
        assert_ne!(first, key(bar, 2).id().unwrap());
        assert_ne!(first, key(Cause::Decision { bar: Ts::from_secs(7_200) }, 1).id().unwrap());
        assert_ne!(first, key(Cause::Command { seq: 1 }, 1).id().unwrap());
        assert!(first.as_str().starts_with("lb-") && first.as_str().len() == 29, "{first}");
    }
}
