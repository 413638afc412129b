//! Why a backtest cannot be run.

use crate::account::ApplyError;
use crate::domain::{BarFault, Symbol, Ts};
use crate::files::{asked, there_is};

/// Why a backtest is refused. A retry does not help: the job has to be another one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BacktestError {
    /// Nothing to trade.
    #[error("there is no symbol to trade: give at least one")]
    NoSymbols,
    /// More symbols than an account holds.
    #[error("there are {0} symbols, and an account holds up to 65536: trade fewer of them")]
    TooManySymbols(usize),
    /// Lists that belong together have other lengths.
    #[error("there are {found} {what} for {instruments} instruments: give one to each, in instrument order")]
    Lengths {
        /// Which list.
        what: &'static str,
        /// How many it holds.
        found: usize,
        /// How many instruments the account has.
        instruments: usize,
    },
    /// The bars of one symbol stand at the place of another.
    #[error(
        "at place {at} are the bars of {found} and the instrument {expected}: bring the bars into instrument order"
    )]
    OtherSymbol {
        /// The place, from 0.
        at: usize,
        /// Whose bars there are.
        found: Symbol,
        /// Whose instrument it is.
        expected: Symbol,
    },
    /// A policy of the model, and nothing of the model.
    #[error(
        "the policy `{policy}` of {symbol} asks the model and there are no forecasts: give them or take another policy"
    )]
    NoForecasts {
        /// Which policy.
        policy: String,
        /// Which symbol.
        symbol: Symbol,
    },
    /// Forecasts that are not ascending in time.
    #[error(
        "the forecast of {symbol} for the bar that closed at {bar} does not come after the one before it: sort them"
    )]
    ForecastOrder {
        /// Whose.
        symbol: Symbol,
        /// Close of the bar.
        bar: Ts,
    },
    /// A bar whose numbers cannot be.
    #[error("the bar of {symbol} that opens at {open}: {source}; leave it out or repair it")]
    Unsound {
        /// Whose.
        symbol: Symbol,
        /// Its open.
        open: Ts,
        /// What is wrong.
        #[source]
        source: BarFault,
    },
    /// A bar that begins before the one before it has ended.
    #[error("the bar of {symbol} that opens at {open} begins before the one before it has ended: sort them by time")]
    BarOrder {
        /// Whose.
        symbol: Symbol,
        /// Its open.
        open: Ts,
    },
    /// No bar lies in the range.
    #[error("no bar lies {}: {}", asked(*from, *to), there_is(*have))]
    EmptyRange {
        /// Earliest open.
        from: Option<Ts>,
        /// Latest close.
        to: Option<Ts>,
        /// First open and last close there are.
        have: Option<(Ts, Ts)>,
    },
    /// The account could not be opened.
    #[error("the account cannot be opened")]
    Account(#[source] ApplyError),
}
