//! What a backtest came to.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Direction, ExitReason, Money, Side, Symbol, Timeframe, Ts};
use crate::regime::Regime;

/// The account at the end of a frame. Account currency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Close of the frame.
    pub ts: Ts,
    /// Cash and what positions are worth at the last closes.
    pub equity: f64,
    /// Sum of the positions' absolute values.
    pub gross: f64,
    /// Sum of the positions' values, shorts negative.
    pub net: f64,
}

/// One execution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FillRow {
    /// When the order met the market: the open of the bar that filled it, the end of the bar inside which a level was
    /// reached, or the time of the quote.
    pub ts: Ts,
    /// What.
    pub symbol: Symbol,
    /// Bought or sold.
    pub side: Side,
    /// Base units.
    pub qty: f64,
    /// Price paid, quote currency.
    pub price: f64,
    /// Fee, quote currency.
    pub fee: f64,
    /// What the deciding side reckoned with (close of the deciding bar, or the level that was reached), quote currency.
    pub reference: f64,
    /// Why a position was left; `None` for an entry.
    pub exit: Option<ExitReason>,
}

/// A position from its first fill to its last; one that stands at the end has no `left`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trip {
    /// What.
    pub symbol: Symbol,
    /// Long or short.
    pub direction: Direction,
    /// First fill.
    pub entered: Ts,
    /// Last fill; `None` while it is open.
    pub left: Option<Ts>,
    /// Bars from the first fill to the last, or to the end.
    pub bars: u32,
    /// Most base units held.
    pub qty: f64,
    /// Mean price of the entries, quote currency.
    pub entry_price: f64,
    /// Mean price of the exits; of an open one the last close.
    pub exit_price: f64,
    /// Gain before costs, quote currency.
    pub gross: f64,
    /// Fees of its fills, quote currency.
    pub fees: f64,
    /// Funding paid (negative: received), quote currency.
    pub funding: f64,
    /// `gross - fees - funding`.
    pub net: f64,
    /// Furthest that it was against us, a fraction of the entry price, zero or more (maximum adverse excursion), by its
    /// fills and the lows and highs of the bars at whose end it was held.
    pub adverse: f64,
    /// Furthest that it was for us, likewise.
    pub favourable: f64,
    /// Why it was left; `None` while it is open.
    pub exit: Option<ExitReason>,
    /// What the market was like when it was decided.
    pub regime: Regime,
}

/// Figures of one symbol, account currency.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct SymbolSums {
    /// Bars seen.
    pub bars: u64,
    /// Executions.
    pub fills: u64,
    /// Notional traded.
    pub turnover: f64,
    /// Realised before fees.
    pub realised: Money,
    /// Fees paid.
    pub fees: Money,
    /// Funding paid (negative: received).
    pub funding: Money,
    /// What the open position gains at the last close.
    pub unrealised: Money,
    /// Frames in which a position was held.
    pub held: u64,
}

/// What a backtest came to. Money is exact where the ledger is; the curve is `f64`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Length of a bar.
    pub timeframe: Timeframe,
    /// Close of the first frame; `None` where there was none.
    pub from: Option<Ts>,
    /// Close of the last frame.
    pub to: Option<Ts>,
    /// Bars over all symbols.
    pub bars: u64,
    /// Frames.
    pub frames: u64,
    /// Orders sent.
    pub orders: u64,
    /// Executions.
    pub fills: u64,
    /// Decisions that wanted something.
    pub decisions: u64,
    /// Bars on which an engine asked the model and there was no forecast of what it was shown.
    pub unanswered: u64,
    /// Entries refused, by the check that said no.
    pub refused: BTreeMap<String, u64>,
    /// Notional traded, account currency.
    pub turnover: f64,
    /// What fills cost beside the price reckoned with, account currency; negative where they were better.
    pub slippage: f64,
    /// Fees paid.
    pub fees: Money,
    /// Funding paid (negative: received).
    pub funding: Money,
    /// `final_equity - initial_equity`.
    pub net_pnl: Money,
    /// Cash in the beginning.
    pub initial_equity: Money,
    /// Cash and positions at the last closes.
    pub final_equity: Money,
    /// Largest gross exposure over equity; infinite where equity was zero or less while something was held.
    pub leverage_max: f64,
    /// Halts that the account latched, oldest first, with their words.
    pub halts: Vec<(Ts, String)>,
    /// The account at the end of each frame, oldest first.
    pub curve: Vec<Point>,
    /// All positions, in the order of their first fills.
    pub trips: Vec<Trip>,
    /// All executions, in the order in which they happened, where they were to be kept.
    pub executions: Vec<FillRow>,
    /// By symbol.
    pub symbols: BTreeMap<Symbol, SymbolSums>,
}
