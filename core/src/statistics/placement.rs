//! Whether it mattered when positions were taken.

use serde::Serialize;

use super::bootstrap::{key, pick};
use crate::domain::hash::{hash64, unit_draw};

/// A position that was held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// The close at which it begins: index into the closes.
    pub at: usize,
    /// How many bars it lasts.
    pub bars: usize,
    /// Its notional at the beginning, negative for a short: its gain is that times the return of the market.
    pub notional: f64,
}

/// A market and the positions that were held in it one after the other, by their beginnings.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed<'a> {
    /// Closes, oldest first, over zero.
    pub closes: &'a [f64],
    /// Positions.
    pub held: Vec<Held>,
}

impl Placed<'_> {
    fn gain(&self, at: usize, held: &Held) -> f64 {
        let last = self.closes.len().saturating_sub(1);
        match (self.closes.get(at.min(last)), self.closes.get((at + held.bars).min(last))) {
            (Some(from), Some(to)) => held.notional * (to / from - 1.0),
            _ => 0.0,
        }
    }

    fn observed(&self) -> f64 {
        self.held.iter().map(|held| self.gain(held.at, held)).sum()
    }
}

/// What came of placing positions anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Placement {
    /// How often they were placed anew.
    pub draws: u32,
    /// Positions.
    pub trips: usize,
    /// Their gain by closes, before costs.
    pub observed: f64,
    /// Mean of the gains at other times.
    pub mean: f64,
    /// Probability of a gain at least as large if the times did not matter.
    pub p_value: f64,
}

/// Most positions that are placed, over all draws; but no fewer draws than [`DRAWS_MIN`], if so many are asked for.
const PLACED_MAX: usize = 2_000_000;
/// See [`PLACED_MAX`].
const DRAWS_MIN: usize = 200;

/// Permutation test of the times of entries. **The null:** in each market the returns of bars are independent of when positions
/// were taken, and alike over time, so that the same positions (direction, notional at entry, number of bars), in any order
/// and anywhere among the bars without overlap, would have done as well on average. A drift of the market belongs to the null: who
/// is long in a rising market without any sense of time has no small p-value.
///
/// Each draw puts the positions of a market in a random order, and each begins, independently and uniformly, somewhere in the bars
/// that none of them takes up; markets are drawn independently of each other. The p-value is (b + 1) / (m + 1) with b of m draws
/// gaining at least what was observed (Phipson & Smyth 2010), so that it is never 0. It is one-sided.
///
/// Everything is valued by closes, what was observed too: fills inside a bar, costs and funding do not take part. Exits that follow
/// the price (stops, targets) tie the length of a position to its gain; lengths being kept, the test is then approximate.
///
/// Where all draws together would place more than two million positions, fewer are made, but 200 at least. `None` without
/// positions or draws, or where a gain is not finite.
pub fn placement_test(markets: &[Placed<'_>], seed: u64, draws: u32) -> Option<Placement> {
    let trips: usize = markets.iter().map(|market| market.held.len()).sum();
    let observed: f64 = markets.iter().map(Placed::observed).sum();
    if trips == 0 || draws == 0 || !observed.is_finite() {
        return None;
    }
    let draws = draws.min(u32::try_from((PLACED_MAX / trips).max(DRAWS_MIN)).unwrap_or(u32::MAX));
    // Sums of the same gains in another order are equal but for rounding.
    let notional: f64 = markets.iter().flat_map(|market| &market.held).map(|held| held.notional.abs()).sum();
    let bar = observed - notional * 1e-12;
    let (mut sum, mut as_good) = (0.0, 0_u32);
    let mut hand = Hand::default();
    for round in 0..draws {
        let key = key("placement", seed, u64::from(round));
        let of_market = |(at, market)| hand.gain(market, hash64(&[&u64::to_le_bytes(key), &usize::to_le_bytes(at)]));
        let gain: f64 = markets.iter().enumerate().map(of_market).sum();
        sum += gain;
        as_good += u32::from(gain >= bar);
    }
    let p_value = f64::from(as_good + 1) / f64::from(draws + 1);
    let mean = sum / f64::from(draws);
    mean.is_finite().then_some(Placement { draws, trips, observed, mean, p_value })
}

/// What is used again from draw to draw.
#[derive(Default)]
struct Hand {
    order: Vec<Held>,
    places: Vec<f64>,
}

impl Hand {
    /// The gain of a market's positions at other times.
    fn gain(&mut self, market: &Placed<'_>, key: u64) -> f64 {
        let count = market.held.len();
        self.order.clear();
        self.order.extend_from_slice(&market.held);
        let mut n = 0;
        let mut draw = || {
            n += 1;
            unit_draw(key, n)
        };
        for end in (1..count).rev() {
            self.order.swap(end, pick(draw(), end + 1));
        }
        // Sorted uniform places without sorting: sums of exponential values, by their total (Devroye 1986, V.2.3).
        self.places.clear();
        let mut total = 0.0;
        for _ in 0..count {
            total -= (1.0 - draw()).ln();
            self.places.push(total);
        }
        total -= (1.0 - draw()).ln();
        let taken: usize = market.held.iter().map(|held| held.bars).sum();
        let free = market.closes.len().saturating_sub(1 + taken);
        let (mut before, mut gain) = (0, 0.0);
        for (held, place) in self.order.iter().zip(&self.places) {
            gain += market.gain(before + pick(place / total, free + 1), held);
            before += held.bars;
        }
        gain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::normal_quantile;

    fn walk(len: u64, seed: u64) -> Vec<f64> {
        let mut price = 100.0;
        let next = |n| {
            price *= (0.01 * normal_quantile(unit_draw(seed, n).max(1e-300)).unwrap()).exp();
            price
        };
        (0..len).map(next).collect()
    }

    /// Twelve positions of 5 to 27 bars, every third one short.
    fn held() -> Vec<Held> {
        let sign = |n: usize| if n.is_multiple_of(3) { -1.0 } else { 1.0 };
        (0..12).map(|n| Held { at: 3 + n * 40, bars: 5 + 2 * n, notional: 1_000.0 * sign(n) }).collect()
    }

    #[test]
    fn on_a_random_walk_p_values_are_uniform() {
        let p_values: Vec<f64> = (0..200)
            .map(|seed| {
                let markets = [walk(500, seed), walk(500, 10_000 + seed)];
                let placed = markets.each_ref().map(|closes| Placed { closes, held: held() });
                placement_test(&placed, seed, 99).unwrap().p_value
            })
            .collect();
        let under = |bar: f64| p_values.iter().filter(|p| **p <= bar).count();
        // Binomial of 200: 20, 50, 100, 150 and 180 with deviations of 4.2, 6.1, 7.1, 6.1 and 4.2.
        for (bar, low, high) in [(0.1, 7, 33), (0.25, 31, 69), (0.5, 79, 121), (0.75, 131, 169), (0.9, 167, 193)] {
            assert!((low..=high).contains(&under(bar)), "{} of 200 under {bar}", under(bar));
        }
    }

    #[test]
    fn an_edge_is_found_and_a_drift_is_none() {
        let mut closes = walk(500, 77);
        // Whoever holds gains 0.3 % a bar more, in the right direction.
        for one in held() {
            for bar in one.at + 1..=one.at + one.bars {
                let edge = 1.0 + 0.003 * one.notional.signum();
                closes[bar..].iter_mut().for_each(|close| *close *= edge);
            }
        }
        let found = placement_test(&[Placed { closes: &closes, held: held() }], 5, 999).unwrap();
        assert!(found.p_value < 0.01 && found.trips == 12 && found.draws == 999, "{found:?}");
        let drift: Vec<f64> = walk(500, 78).iter().zip(0..).map(|(close, n)| close * 1.01_f64.powi(n)).collect();
        let long: Vec<Held> = held().iter().map(|one| Held { notional: 1_000.0, ..*one }).collect();
        let found = placement_test(&[Placed { closes: &drift, held: long }], 5, 999).unwrap();
        assert!(found.p_value > 0.05 && found.mean > 0.0, "{found:?}");
    }

    #[test]
    fn what_has_no_other_place_is_not_judged_good() {
        // One position over all bars: every draw is what was observed.
        let closes = walk(50, 1);
        let whole = vec![Held { at: 0, bars: 49, notional: 10.0 }];
        let found = placement_test(&[Placed { closes: &closes, held: whole }], 1, 100).unwrap();
        assert!((found.p_value - 1.0).abs() < 1e-12 && (found.mean - found.observed).abs() < 1e-9, "{found:?}");
        assert!((found.observed - 10.0 * (closes[49] / closes[0] - 1.0)).abs() < 1e-9);
        assert!(placement_test(&[Placed { closes: &closes, held: vec![] }], 1, 100).is_none());
        // Indices beyond the market are its end.
        let beyond = vec![Held { at: 90, bars: 9, notional: 10.0 }, Held { at: 40, bars: 90, notional: 1.0 }];
        assert!(placement_test(&[Placed { closes: &closes, held: beyond }], 1, 9).is_some());
        assert!(placement_test(&[Placed { closes: &[], held: held() }], 1, 9).is_some());
        assert!(placement_test(&[Placed { closes: &closes, held: held() }], 1, 0).is_none());
    }

    #[test]
    fn drawn_positions_keep_their_bars_and_never_overlap() {
        // On closes that are powers of two a position's gain tells its bars alone: the sum never changes, unless one hangs over
        // the end and is cut.
        let closes: Vec<f64> = (0..300).map(|n| 2_f64.powi(n)).collect();
        let held: Vec<Held> = (1..=10).map(|bars| Held { at: bars * 12, bars, notional: 1.0 }).collect();
        let found = placement_test(&[Placed { closes: &closes, held: held.clone() }], 3, 500).unwrap();
        assert!((found.mean - found.observed).abs() < 1e-6, "{found:?}");
        // On the square numbers' sums of ones: positions that fill the market take each bar once.
        let closes: Vec<f64> = (0..56).map(|n| 1_000.0 + f64::from(n)).collect();
        let mut hand = Hand::default();
        let placed = Placed { closes: &closes, held };
        let gain = hand.gain(&placed, 4);
        let longest: f64 = hand.order.iter().map(|one| one.bars as f64).sum();
        assert!((longest - 55.0).abs() < 1e-12 && gain > 55.0 / 1_055.0 && gain < 55.0 / 1_000.0, "{gain}");
    }
}
