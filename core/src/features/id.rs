//! The names of the features and what they mean.

use serde::{Deserialize, Serialize};

/// Lengths in bars. The table below and [`super::FeatureSet`] both read them, so that neither can drift.
pub(super) mod length {
    pub(in crate::features) const EWMA_SEED: u32 = 20;
    /// In hundredths.
    pub(in crate::features) const EWMA_DECAY: u32 = 94;
    pub(in crate::features) const RETURNS: u32 = 20;
    pub(in crate::features) const PARKINSON: u32 = 20;
    pub(in crate::features) const WILDER: u32 = 14;
    pub(in crate::features) const FAST: u32 = 12;
    pub(in crate::features) const SLOW: u32 = 26;
    pub(in crate::features) const SIGNAL: u32 = 9;
    pub(in crate::features) const MIDDLE: u32 = 50;
    pub(in crate::features) const LONG: u32 = 200;
    pub(in crate::features) const BOLLINGER: u32 = 20;
    pub(in crate::features) const STOCHASTIC: u32 = 14;
    pub(in crate::features) const DONCHIAN: u32 = 20;
    pub(in crate::features) const VOLUME: u32 = 20;
    pub(in crate::features) const OBV: u32 = 10;
}
use length::{
    BOLLINGER, DONCHIAN, EWMA_DECAY, EWMA_SEED, FAST, LONG, MIDDLE, OBV, PARKINSON, RETURNS, SIGNAL, SLOW, STOCHASTIC,
    VOLUME, WILDER,
};

macro_rules! features {
    ($($variant:ident $name:literal, $warm_up:expr, [$($parameter:expr),*], $doc:literal;)*) => {
        /// One feature. Serialised by its name; the order of the variants is that of [`FeatureId::ALL`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum FeatureId {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)*
        }

        impl FeatureId {
            /// Every feature there is.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in files, reports and the schema.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is: formula, range and source.
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }

            /// The number of bars after which it is defined; before that it reads 0.
            pub const fn warm_up(self) -> usize {
                match self { $(Self::$variant => $warm_up as usize,)* }
            }

            /// The numbers in its formula, for the schema: lengths in bars, decays in hundredths.
            pub const fn parameters(self) -> &'static [u32] {
                match self { $(Self::$variant => &[$($parameter),*],)* }
            }
        }
    };
}

features! {
    LogReturn1 "log_return_1", 2, [1], "ln(close / close 1 bar ago).";
    LogReturn3 "log_return_3", 4, [3], "ln(close / close 3 bars ago).";
    LogReturn6 "log_return_6", 7, [6], "ln(close / close 6 bars ago).";
    LogReturn12 "log_return_12", 13, [12], "ln(close / close 12 bars ago).";
    LogReturn24 "log_return_24", 25, [24], "ln(close / close 24 bars ago).";
    EwmaVolatility "ewma_volatility", EWMA_SEED + 1, [EWMA_DECAY, EWMA_SEED],
        "Root of the exponentially weighted mean of squared 1-bar log returns, decay 0.94 (RiskMetrics 1996), seeded with the plain mean of the first 20. A fraction of price a bar, 0 or more.";
    ReturnStd20 "return_std_20", RETURNS + 1, [RETURNS],
        "Population standard deviation of the last 20 1-bar log returns, 0 or more.";
    Parkinson20 "parkinson_20", PARKINSON, [PARKINSON],
        "Range volatility: root of the mean over 20 bars of ln(high / low)^2 / (4 ln 2) (Parkinson 1980), 0 or more.";
    AtrRatio14 "atr_ratio_14", WILDER + 1, [WILDER], "ATR(14) / close (Wilder 1978), 0 or more.";
    Rsi14 "rsi_14", WILDER + 1, [WILDER], "RSI(14) / 100 (Wilder 1978), 0 to 1; 0.5 when nothing moved.";
    EmaGap12 "ema_gap_12", FAST, [FAST], "close / EMA(12) - 1.";
    EmaGap26 "ema_gap_26", SLOW, [SLOW], "close / EMA(26) - 1.";
    EmaGap50 "ema_gap_50", MIDDLE, [MIDDLE], "close / EMA(50) - 1.";
    EmaGap200 "ema_gap_200", LONG, [LONG], "close / EMA(200) - 1.";
    EmaRatio12x26 "ema_ratio_12_26", SLOW, [FAST, SLOW], "EMA(12) / EMA(26) - 1.";
    MacdLine "macd_line", SLOW, [FAST, SLOW, WILDER],
        "(EMA(12) - EMA(26)) / ATR(14) (Appel 1979); 0 when ATR is 0.";
    MacdSignal "macd_signal", SLOW + SIGNAL - 1, [FAST, SLOW, SIGNAL, WILDER],
        "EMA(9) of EMA(12) - EMA(26), over ATR(14) (Appel 1979); 0 when ATR is 0.";
    MacdHistogram "macd_histogram", SLOW + SIGNAL - 1, [FAST, SLOW, SIGNAL, WILDER],
        "MACD line less its signal, over ATR(14) (Aspray 1986); 0 when ATR is 0.";
    BollingerZ20 "bollinger_z_20", BOLLINGER, [BOLLINGER],
        "(close - mean) / population standard deviation of the last 20 closes (Bollinger 2001); 0 when they are all equal.";
    StochasticK14 "stochastic_k_14", STOCHASTIC, [STOCHASTIC],
        "(close - lowest low) / (highest high - lowest low) of the last 14 bars, this one included (Lane 1984), 0 to 1; 0.5 when they span nothing.";
    DonchianPosition20 "donchian_position_20", DONCHIAN + 1, [DONCHIAN],
        "Where the close lies in the channel of the 20 bars before this one (Donchian): 0 at its lowest low, 1 at its highest high, outside on a breakout, held to -1 to 2; 0.5 when the channel is empty.";
    Adx14 "adx_14", 2 * WILDER, [WILDER], "ADX(14) / 100 (Wilder 1978), 0 to 1.";
    DiDifference14 "di_difference_14", WILDER + 1, [WILDER], "(+DI(14) - -DI(14)) / 100 (Wilder 1978), -1 to 1.";
    VolumeZ20 "volume_z_20", VOLUME, [VOLUME],
        "(volume - mean) / population standard deviation of the last 20 volumes; 0 when they are all equal.";
    ObvChange10 "obv_change_10", VOLUME, [OBV, VOLUME],
        "Change of on-balance volume over 10 bars (Granville 1963) / mean volume of 20 bars; 0 without volume.";
    RangeAtr "range_atr", WILDER + 1, [WILDER], "(high - low) / ATR(14), 0 or more; 0 when ATR is 0.";
    ClosePosition "close_position", 1, [], "(close - low) / (high - low) of this bar, 0 to 1; 0.5 when it has no range.";
    BodyRatio "body_ratio", 1, [], "(close - open) / (high - low) of this bar, -1 to 1; 0 when it has no range.";
    UpperWick "upper_wick", 1, [], "(high - the higher of open and close) / (high - low), 0 to 1; 0 without range.";
    LowerWick "lower_wick", 1, [], "(the lower of open and close - low) / (high - low), 0 to 1; 0 without range.";
    DaySin "day_sin", 1, [], "Sine of the bar's opening time of day, UTC, a day being one turn.";
    DayCos "day_cos", 1, [], "Cosine of the bar's opening time of day, UTC, a day being one turn.";
    WeekSin "week_sin", 1, [], "Sine of the bar's weekday, UTC, Monday = 0, seven days being one turn.";
    WeekCos "week_cos", 1, [], "Cosine of the bar's weekday, UTC, Monday = 0, seven days being one turn.";
    Breadth "breadth", 1, [], "Share of the frame's symbols whose close rose, 0 to 1.";
    IndexReturn "index_return", 1, [], "Mean 1-bar log return of the frame's symbols.";
    Dispersion "dispersion", 1, [], "Standard deviation of 1-bar log returns across the frame's symbols, 0 or more.";
    RelativeReturn "relative_return", 2, [1], "Own 1-bar log return less that of the index.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_are_what_serde_writes() {
        let names: HashSet<&str> = FeatureId::ALL.iter().map(|id| id.name()).collect();
        assert_eq!((names.len(), FeatureId::ALL.len()), (38, 38));
        for id in FeatureId::ALL {
            assert_eq!(serde_json::to_string(id).unwrap(), format!("\"{}\"", id.name()));
            assert!(id.warm_up() >= 1 && !id.doc().is_empty());
        }
    }
}
