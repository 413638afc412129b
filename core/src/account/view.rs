//! The account as faces show it: a copy, made once a frame.

use serde::{Deserialize, Serialize};

use super::core::Account;
use super::protections::ActiveProtection;
use crate::domain::{Direction, HaltLevel, Leg, Money, Symbol, Ts};

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
    /// Cash with which the journal began.
    pub initial_cash: Money,
    /// How much is forbidden.
    pub halt: HaltLevel,
    /// By whom and why, when halted.
    pub halt_reason: Option<String>,
    /// Pauses of entries in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protections: Vec<ActiveProtection>,
    /// One a symbol, in instrument order.
    pub symbols: Vec<SymbolView>,
}

/// One symbol's part of the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymbolView {
    /// The symbol.
    pub symbol: Symbol,
    /// Its position, if any.
    pub position: Option<OpenPosition>,
    /// Realised and unrealised PnL less fees since the journal began.
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
            initial_cash: state.setup.initial_cash,
            halt: self.halt_level(),
            halt_reason: state.halt.as_ref().map(|h| format!("{}: {}", h.reason.by, h.reason.text)),
            protections: state.protections.active(state.ts).cloned().collect(),
            symbols,
        }
    }

    fn symbol_view(&self, at: usize) -> Option<SymbolView> {
        let (book, live) = self.state.books.get(at).zip(self.live.get(at))?;
        let unrealised = Money::approx(live.net * live.mark).unwrap_or(Money::ZERO) - book.cost();
        let position = book.direction().map(|direction| OpenPosition {
            direction,
            qty: book.size().to_string(),
            entry_price: book.entry_price(),
            mark: live.mark,
            unrealised,
            stop: book.bracket().map(|b| b.stop),
            target: book.bracket().and_then(|b| b.target),
            expires: book.bracket().and_then(|b| b.expires),
            closing: book.has_live(Leg::Exit, &self.state.orders),
        });
        let open = if position.is_some() { unrealised } else { Money::ZERO };
        let total_pnl = book.realised() + open - book.fees();
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
