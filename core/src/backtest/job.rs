//! What a backtest is made of.

use crate::account::AccountSetup;
use crate::domain::{Bar, Forecast, FundingRates, Symbol, Timeframe, Ts};
use crate::engine::StrategyPolicy;
use crate::fills::PaperSetup;

/// The bars of one symbol, oldest first, each sound and of the market's timeframe.
#[derive(Debug, Clone, PartialEq)]
pub struct SymbolBars {
    /// Whose.
    pub symbol: Symbol,
    /// The bars.
    pub bars: Vec<Bar>,
}

/// A market of the past: shared by all backtests over it, so that a thousand of them hold it once. In instrument order,
/// that of [`AccountSetup::instruments`].
#[derive(Debug, Clone, PartialEq)]
pub struct MarketPast {
    /// Length of a bar.
    pub timeframe: Timeframe,
    /// By instrument.
    pub symbols: Vec<SymbolBars>,
    /// Rates of funding of linear contracts, by instrument; where there are none the constant one of the [`PaperSetup`] is paid.
    pub funding: Vec<FundingRates>,
}

/// What a model said of bars: of each symbol in instrument order, by close of the bar, oldest first. A bar that is not
/// among them has no forecast.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forecasts {
    /// By instrument.
    pub symbols: Vec<Vec<(Ts, Forecast)>>,
    /// Where trading began in the run that asked. Engines that begin there too are shown the same windows to the bit, and
    /// what was said of another window is no forecast. The averages of engines that begin elsewhere began elsewhere too:
    /// they are told what was said of the bar. `None`: nobody knows.
    pub start: Option<Ts>,
}

/// What of a backtest is kept beside its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// [`super::Outcome::curve`].
    pub curve: bool,
    /// [`super::Outcome::trips`].
    pub trips: bool,
    /// [`super::Outcome::executions`].
    pub executions: bool,
}

/// One backtest.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The market.
    pub market: &'a MarketPast,
    /// First bar to trade, by its open; earlier ones warm up. `None`: the first one there is, and nothing warms up.
    pub from: Option<Ts>,
    /// Last bar to trade, by its close.
    pub to: Option<Ts>,
    /// The account.
    pub setup: &'a AccountSetup,
    /// What trading costs.
    pub paper: &'a PaperSetup,
    /// How is decided, by instrument.
    pub policies: &'a [StrategyPolicy],
    /// What the model said, for policies that ask it.
    pub forecasts: Option<&'a Forecasts>,
    /// What is kept.
    pub keep: Keep,
    /// Whether what is held at the end of the range is left there: at the last close, with half the spread and the mean
    /// slippage against us and the fee, as a market order of any size. Its reason is [`crate::domain::ExitReason::RangeEnd`].
    /// Otherwise it stands, valued at the last close.
    pub leaves_at_end: bool,
}
