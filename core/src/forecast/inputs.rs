//! The rows that a model is shown.

use serde::{Deserialize, Serialize};

use crate::domain::hash::hash64;
use crate::features::{self, FeatureId, mix_words};

/// Bars in a window, the last of which is the bar in question.
pub const WINDOW: usize = 64;
/// Numbers in a row, one a feature.
pub const INPUTS: usize = FeatureId::ALL.len();

/// The features of a row, in order.
pub const fn input_ids() -> &'static [FeatureId] {
    FeatureId::ALL
}

/// Hash of the layout: features, formulas, window.
pub fn schema_hash() -> u64 {
    hash64(&[&features::schema_hash(input_ids()).to_le_bytes(), &(WINDOW as u64).to_le_bytes()])
}

/// The features of a group as `config/ensemble.yaml` names it, in the order of a row; `None` for an unknown name. A
/// feature may be in several groups.
pub fn groups(name: &str) -> Option<&'static [FeatureId]> {
    use FeatureId as F;
    Some(match name {
        "ohlcv" => &[
            F::LogReturn1,
            F::LogReturn3,
            F::LogReturn6,
            F::LogReturn12,
            F::LogReturn24,
            F::DonchianPosition20,
            F::ClosePosition,
            F::BodyRatio,
            F::UpperWick,
            F::LowerWick,
            F::RelativeReturn,
        ],
        "volume" => &[F::VolumeZ20, F::ObvChange10],
        "indicators" => &[
            F::EwmaVolatility,
            F::ReturnStd20,
            F::Parkinson20,
            F::AtrRatio14,
            F::Rsi14,
            F::EmaGap12,
            F::EmaGap26,
            F::EmaGap50,
            F::EmaGap200,
            F::EmaRatio12x26,
            F::MacdLine,
            F::MacdSignal,
            F::MacdHistogram,
            F::BollingerZ20,
            F::StochasticK14,
            F::Adx14,
            F::DiDifference14,
            F::RangeAtr,
            F::DaySin,
            F::DayCos,
            F::WeekSin,
            F::WeekCos,
            F::Breadth,
            F::IndexReturn,
            F::Dispersion,
        ],
        "price_history" => &[
            F::LogReturn1,
            F::LogReturn3,
            F::LogReturn6,
            F::LogReturn12,
            F::LogReturn24,
            F::EmaGap12,
            F::EmaGap26,
            F::EmaGap50,
            F::EmaGap200,
            F::BollingerZ20,
            F::Breadth,
            F::IndexReturn,
            F::RelativeReturn,
        ],
        "volatility" => &[F::EwmaVolatility, F::ReturnStd20, F::Parkinson20, F::AtrRatio14, F::RangeAtr, F::Dispersion],
        _ => return None,
    })
}

/// Hash of the bits of a window.
pub fn window_hash(window: &[f32]) -> u64 {
    mix_words(window.iter().map(|value| u64::from(value.to_bits())))
}

/// The last rows, as a ring. Serialised, it is its own snapshot.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Window {
    /// Whole rows, one after the other, at most [`WINDOW`] of them.
    rows: Vec<f32>,
    /// Where the next row goes, in rows, once the ring is full.
    next: usize,
}

impl Window {
    /// Takes the next row: [`INPUTS`] values, each within the bound of features. Another length changes nothing.
    #[expect(clippy::cast_possible_truncation, reason = "features are bounded, so that they stay finite as f32")]
    pub fn push(&mut self, row: &[f64]) {
        if row.len() != INPUTS {
            return;
        }
        if self.rows.len() < WINDOW * INPUTS {
            self.rows.extend(row.iter().map(|x| *x as f32));
            return;
        }
        let start = self.next * INPUTS;
        if let Some(slots) = self.rows.get_mut(start..start + INPUTS) {
            slots.iter_mut().zip(row).for_each(|(slot, x)| *slot = *x as f32);
        }
        self.next = (self.next + 1) % WINDOW;
    }

    /// Whether it holds [`WINDOW`] rows.
    pub const fn is_full(&self) -> bool {
        self.rows.len() == WINDOW * INPUTS
    }

    /// The rows, oldest first.
    pub fn rows(&self) -> Vec<f32> {
        let (new, old) = self.rows.split_at((self.next * INPUTS).min(self.rows.len()));
        [old, new].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: usize) -> Vec<f64> {
        (0..INPUTS).map(|at| (n * 1_000 + at) as f64).collect()
    }

    #[test]
    fn the_window_is_the_last_rows_in_order() {
        let mut window = Window::default();
        for n in 0..WINDOW - 1 {
            window.push(&row(n));
        }
        assert!(!window.is_full());
        for n in WINDOW - 1..3 * WINDOW + 7 {
            window.push(&row(n));
            assert!(window.is_full());
        }
        window.push(&[1.0]);
        let rows = window.rows();
        assert_eq!(rows.len(), WINDOW * INPUTS);
        let firsts: Vec<f32> = rows.chunks(INPUTS).map(|row| row[0]).collect();
        let wanted: Vec<f32> = (2 * WINDOW + 7..3 * WINDOW + 7).map(|n| (n * 1_000) as f32).collect();
        assert_eq!(firsts, wanted);
    }

    #[test]
    fn every_feature_is_in_a_group_and_groups_keep_the_order_of_a_row() {
        let names = ["ohlcv", "volume", "indicators", "price_history", "volatility"];
        for id in input_ids() {
            assert!(names.iter().any(|name| groups(name).unwrap().contains(id)), "{}", id.name());
        }
        for name in names {
            assert!(groups(name).unwrap().is_sorted(), "{name}");
        }
        assert!(groups("astrology").is_none());
    }

    #[test]
    fn the_hash_is_that_of_every_bit() {
        let mut window = vec![0.0_f32; 5];
        let hash = window_hash(&window);
        window[4] = -0.0;
        assert_ne!(window_hash(&window), hash);
        assert_ne!(schema_hash(), features::schema_hash(input_ids()));
    }
}
