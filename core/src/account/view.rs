//! The account as faces show it: a copy, made once a frame.

use serde::{Deserialize, Serialize};

use super::assets::Stock;
use super::core::Account;
use super::protections::ActiveProtection;
use crate::domain::{Asset, Direction, HaltLevel, Leg, Money, Symbol, Ts};
use crate::record::RebalanceRow;

/// The whole account at one instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountView {
    /// Trading time of the last record.
    pub ts: Ts,
    /// Cash, see [`super::State::cash`].
    pub cash: Money,
    /// Equity at the last marks.
    pub equity: Money,
    /// Equity from which the day's loss is counted.
    pub day_start_equity: Money,
    /// Realised PnL since the journal began, before fees.
    pub realised: Money,
    /// PnL of the open positions at the last marks.
    pub unrealised: Money,
    /// Fees since the journal began.
    pub fees: Money,
    /// Funding paid since the journal began; under zero more was received.
    #[serde(default)]
    pub funding: Money,
    /// Cash with which the journal began.
    pub initial_cash: Money,
    /// What was paid in since then less what was paid out: equity less this and the initial cash is what was earned.
    #[serde(default)]
    pub contributed: Money,
    /// What is held besides currency and positions, by asset.
    #[serde(default)]
    pub stocks: Vec<StockView>,
    /// How much is forbidden.
    pub halt: HaltLevel,
    /// By whom and why, when halted.
    pub halt_reason: Option<String>,
    /// The loss of a drill that is reckoned with until a resume, a fraction of the day's start.
    #[serde(default)]
    pub drill: Option<f64>,
    /// Pauses of entries in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protections: Vec<ActiveProtection>,
    /// One a symbol, in instrument order.
    pub symbols: Vec<SymbolView>,
    /// What a rebalancing would find and do now; empty without positions.
    #[serde(default)]
    pub rebalance: Vec<RebalanceRow>,
}

/// What is held of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockView {
    /// Which.
    pub asset: Asset,
    /// Units of it; under zero when more was spent than is known of.
    pub amount: String,
    /// What it was booked at.
    pub value: Money,
}

impl AccountView {
    /// What was earned since the journal began: equity less all that was paid in.
    pub fn earned(&self) -> Money {
        self.equity - self.initial_cash - self.contributed
    }
}

/// One symbol's part of the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymbolView {
    /// The symbol.
    pub symbol: Symbol,
    /// Its position, if any.
    pub position: Option<OpenPosition>,
    /// Realised and unrealised PnL less fees and funding since the journal began.
    pub total_pnl: Money,
    /// The same since the trading day began.
    pub daily_pnl: Money,
    /// Round trips closed.
    pub trades: u64,
    /// Last fill.
    pub last_trade: Option<Ts>,
    /// Orders on their way.
    pub orders: u32,
    /// Why entries are frozen; empty when they are not.
    pub frozen: Vec<String>,
}

/// An open position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenPosition {
    /// Long or short.
    pub direction: Direction,
    /// Base units.
    pub qty: String,
    /// Mean entry price.
    pub entry_price: f64,
    /// Last price.
    pub mark: f64,
    /// PnL at the mark, before fees.
    pub unrealised: Money,
    /// Stop price in force.
    pub stop: Option<f64>,
    /// Target price in force.
    pub target: Option<f64>,
    /// When it is closed at the latest.
    pub expires: Option<Ts>,
    /// Whether an exit is on its way.
    pub closing: bool,
    /// Whether it is too small to be closed: it counts as no position and nothing protects it.
    #[serde(default)]
    pub dust: bool,
}

impl Account {
    /// A copy for faces.
    pub fn view(&self) -> AccountView {
        let state = &self.state;
        let symbols: Vec<SymbolView> = (0..state.books.len()).filter_map(|at| self.symbol_view(at)).collect();
        let approx = |x: f64| Money::approx(x).unwrap_or(Money::ZERO);
        let unrealised = symbols.iter().filter_map(|s| s.position.as_ref()).map(|p| p.unrealised).sum();
        AccountView {
            ts: state.ts,
            cash: state.cash(),
            equity: approx(self.equity()),
            day_start_equity: state.day.map_or(self.last_equity, |d| d.start_equity),
            realised: state.realised(),
            unrealised,
            fees: state.fees(),
            funding: state.funding(),
            initial_cash: state.setup.initial_cash,
            contributed: state.contributed(),
            stocks: state.stocks().map(stock_view).collect(),
            halt: self.halt_level(),
            halt_reason: state.halt.as_ref().map(|h| format!("{}: {}", h.reason.by, h.reason.text)),
            drill: state.drill,
            protections: state.protections.active(state.ts).cloned().collect(),
            symbols,
            rebalance: self.rebalance_rows(),
        }
    }

    fn symbol_view(&self, at: usize) -> Option<SymbolView> {
        let (book, live) = self.state.books.get(at).zip(self.live.get(at))?;
        let unrealised = Money::approx(live.net * live.mark).unwrap_or(Money::ZERO) - book.cost();
        let position = book.held().map(|direction| OpenPosition {
            direction,
            qty: book.size().to_string(),
            entry_price: book.entry_price(),
            mark: live.mark,
            unrealised,
            stop: book.bracket().and_then(|b| b.stop),
            target: book.bracket().and_then(|b| b.target),
            expires: book.bracket().and_then(|b| b.expires),
            closing: book.has_live(Leg::Exit, &self.state.orders),
            dust: book.is_dust(),
        });
        let open = if position.is_some() { unrealised } else { Money::ZERO };
        let total_pnl = book.net_realised() + open;
        Some(SymbolView {
            symbol: book.symbol(),
            position,
            total_pnl,
            daily_pnl: total_pnl - book.day_base,
            trades: book.trades(),
            last_trade: book.last_trade(),
            orders: u32::try_from(book.live().len()).unwrap_or(u32::MAX),
            frozen: book.frozen().values().cloned().collect(),
        })
    }
}

fn stock_view((asset, stock): (Asset, Stock)) -> StockView {
    StockView { asset, amount: stock.amount.to_string(), value: Money::new(stock.value).unwrap_or(Money::ZERO) }
}
