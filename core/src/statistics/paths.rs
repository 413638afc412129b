//! What other orders of the same gains would have come to.

use serde::Serialize;

use super::Quantiles;
use super::bootstrap::{key, pick};
use crate::domain::hash::unit_draw;

/// How gains become paths.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathSetup {
    /// Whether a gain is a fraction of the equity before it; else it is one of the first equity.
    pub compound: bool,
    /// Whether each gain is drawn from all (with replacement); else all are drawn once, in another order.
    pub replace: bool,
    /// Share of the first equity at or under which a path is ruined.
    pub ruin_level: f64,
    /// Seed of the draws.
    pub seed: u64,
    /// How many paths.
    pub draws: u32,
}

/// Where many paths end, and how deep they fall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paths {
    /// Deepest drawdown: a fraction of the peak, where gains compound, else of the first equity.
    pub max_drawdown: Quantiles,
    /// Last equity, in multiples of the first.
    pub terminal: Quantiles,
    /// Share of the paths that touched the level of ruin.
    pub ruin: f64,
}

/// Monte Carlo of the order of gains. It takes them as exchangeable: where gains and losses come in runs, the true
/// drawdowns are deeper than these. `None` without gains or draws, or where a figure is not finite.
pub fn paths(gains: &[f64], setup: &PathSetup) -> Option<Paths> {
    if gains.is_empty() || setup.draws == 0 || !gains.iter().all(|gain| gain.is_finite()) {
        return None;
    }
    let mut order = gains.to_vec();
    let (mut depths, mut ends, mut ruined) = (Vec::new(), Vec::new(), 0_u32);
    for round in 0..setup.draws {
        let key = key("paths", setup.seed, u64::from(round));
        if setup.replace {
            for (n, gain) in (0..).zip(&mut order) {
                *gain = gains.get(pick(unit_draw(key, n), gains.len())).copied().unwrap_or_default();
            }
        } else {
            // From the same order each time, so that a path depends on its round alone.
            order.copy_from_slice(gains);
            for (n, end) in (0..).zip((1..order.len()).rev()) {
                order.swap(end, pick(unit_draw(key, n), end + 1));
            }
        }
        let (depth, end, lowest) = walk(&order, setup.compound);
        depths.push(depth);
        ends.push(end);
        ruined += u32::from(lowest <= setup.ruin_level);
    }
    Some(Paths {
        max_drawdown: Quantiles::of(depths)?,
        terminal: Quantiles::of(ends)?,
        ruin: f64::from(ruined) / f64::from(setup.draws),
    })
}

/// Deepest drawdown, last and lowest equity of a path that begins with 1.
fn walk(gains: &[f64], compound: bool) -> (f64, f64, f64) {
    let (mut equity, mut peak, mut lowest, mut deepest) = (1.0_f64, 1.0_f64, 1.0_f64, 0.0_f64);
    for gain in gains {
        // What is lost stays lost.
        equity = if compound { equity * (1.0 + gain).max(0.0) } else { equity + gain };
        peak = peak.max(equity);
        lowest = lowest.min(equity);
        let loss = peak - equity;
        deepest = deepest.max(if compound { loss / peak } else { loss });
    }
    (deepest, equity, lowest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::max_drawdown;

    fn setup(compound: bool, replace: bool) -> PathSetup {
        PathSetup { compound, replace, ruin_level: 0.5, seed: 1, draws: 2_000 }
    }

    #[test]
    fn another_order_ends_where_the_first_one_did() {
        let gains = [0.1, -0.2, 0.05, 0.3, -0.1];
        let found = paths(&gains, &setup(true, false)).unwrap();
        let end: f64 = gains.iter().map(|gain| 1.0 + gain).product();
        assert!((found.terminal.min - end).abs() < 1e-12 && (found.terminal.max - end).abs() < 1e-12, "{found:?}");
        let found = paths(&gains, &setup(false, false)).unwrap();
        assert!((found.terminal.min - 1.15).abs() < 1e-12 && (found.terminal.max - 1.15).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn drawdowns_are_those_of_all_orders() {
        // By hand, the six orders of +0.5, -0.2, -0.1: the losses together in two thirds (0.28), apart in one (0.2).
        let found = paths(&[0.5, -0.2, -0.1], &setup(true, false)).unwrap().max_drawdown;
        assert!((found.min - 0.2).abs() < 1e-12 && (found.max - 0.28).abs() < 1e-12, "{found:?}");
        assert!((found.mean - (0.2 + 2.0 * 0.28) / 3.0).abs() < 0.003, "{found:?}");
        let (deepest, ..) = walk(&[0.1, -0.2, 0.05, 0.5, -0.1], true);
        assert!((deepest - max_drawdown(&[0.1, -0.2, 0.05, 0.5, -0.1])).abs() < 1e-12);
    }

    #[test]
    fn ruin_is_as_likely_as_the_draws_make_it() {
        // Two draws of +0.4 or -0.3, each by half: only two losses (0.49) touch the level of a half, in a quarter.
        let found = paths(&[0.4, -0.3], &setup(true, true)).unwrap();
        assert!((found.ruin - 0.25).abs() < 0.04, "{found:?}");
        assert!((found.terminal.mean - 1.05_f64.powi(2)).abs() < 0.03, "{found:?}");
        assert!(paths(&[0.4, -0.3], &setup(true, false)).unwrap().ruin < 1e-12);
        let all = paths(&[-2.0, 5.0], &setup(true, false)).unwrap();
        assert!((all.ruin - 1.0).abs() < 1e-12 && all.terminal.max.abs() < 1e-12, "{all:?}");
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        assert!(paths(&[], &setup(true, true)).is_none() && paths(&[f64::NAN], &setup(true, true)).is_none());
        assert!(paths(&[0.1], &PathSetup { draws: 0, ..setup(true, true) }).is_none());
        assert_eq!(paths(&[0.1, -0.1], &setup(true, true)), paths(&[0.1, -0.1], &setup(true, true)));
    }
}
