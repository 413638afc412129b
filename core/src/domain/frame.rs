//! All bars of one instant, and what only the whole of them can tell.

use serde::{Deserialize, Serialize};

use super::{Bar, Ix, Ts};

/// What no single symbol can know: computed once over a frame and sent along with each of its bars.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Context {
    /// How many symbols had a bar at this instant and at the one before.
    pub count: u16,
    /// Share of them whose close rose, 0 to 1; 0.5 when none moved or none is known.
    pub breadth: f64,
    /// Their mean log return, close to close.
    pub index_return: f64,
    /// Standard deviation of their log returns across symbols.
    pub dispersion: f64,
}

/// All bars that close at one instant, in instrument order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// The closing instant.
    pub ts: Ts,
    /// The bars, by instrument.
    pub bars: Vec<(Ix, Bar)>,
    /// Instruments that should have had a bar and had none.
    pub missing: Vec<Ix>,
    /// The view across symbols.
    pub context: Context,
}

impl Context {
    /// Computes the context of a frame from the closes before and at this instant.
    ///
    /// `pairs` holds `(previous close, close)` of each symbol that has both; anything not positive is passed over.
    pub fn of(pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        // Welford's recurrence: one pass, no cancellation.
        let (mut count, mut mean, mut m2, mut up, mut flat) = (0_u16, 0.0_f64, 0.0_f64, 0_u32, 0_u32);
        for (before, now) in pairs {
            if !(before > 0.0 && now > 0.0) {
                continue;
            }
            let r = (now / before).ln();
            count = count.saturating_add(1);
            let delta = r - mean;
            mean += delta / f64::from(count);
            m2 += delta * (r - mean);
            up += u32::from(r > 0.0);
            flat += u32::from(r == 0.0);
        }
        if count == 0 {
            return Self { breadth: 0.5, ..Self::default() };
        }
        let n = f64::from(count);
        let breadth = (f64::from(up) + 0.5 * f64::from(flat)) / n;
        Self { count, breadth, index_return: mean, dispersion: (m2 / n).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_the_mean_breadth_and_spread_of_log_returns() {
        let e = 1.0_f64.exp();
        let context = Context::of([(1.0, e), (1.0, 1.0 / e), (2.0, 2.0), (0.0, 5.0)].into_iter());
        assert_eq!(context.count, 3);
        assert!((context.breadth - 0.5).abs() < 1e-12 && context.index_return.abs() < 1e-12);
        assert!((context.dispersion - (2.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((Context::of(std::iter::empty()).breadth - 0.5).abs() < 1e-12);
    }
}
