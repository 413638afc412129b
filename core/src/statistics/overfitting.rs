//! How likely it is that the best of many backtests is the best by chance.

use serde::Serialize;

use super::Quantiles;

/// Logits between two values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LogitBin {
    /// From this one on.
    pub from: f64,
    /// Up to this one; it belongs to the next bin, of the last one to it.
    pub to: f64,
    /// How many.
    pub count: usize,
}

/// What choosing the best of the trials is worth, by combinatorially symmetric cross-validation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overfitting {
    /// Trials.
    pub trials: usize,
    /// Periods.
    pub periods: usize,
    /// Blocks that they were cut into.
    pub blocks: usize,
    /// Ways to take half of the blocks.
    pub combinations: usize,
    /// Probability of backtest overfitting: share of the combinations in which the best trial of one half is no better than the
    /// median in the other half, 0 to 1. About 0.5 where trials are noise.
    pub pbo: f64,
    /// Logits of the relative rank that the best trial of one half has in the other half.
    pub logits: Quantiles,
    /// How they lie.
    pub histogram: Vec<LogitBin>,
    /// Slope of the line through (Sharpe ratio of the best in its half, its ratio in the other half), ratios a period: 1
    /// would keep what was promised, under 0 the better it looks the worse it is. Absent where the former does not vary.
    pub slope: Option<f64>,
    /// Where that line meets 0.
    pub intercept: Option<f64>,
    /// Share of the variance that it explains, 0 to 1.
    pub r_squared: Option<f64>,
    /// Share of the combinations in which the best of one half loses in the other half, 0 to 1.
    pub loss: f64,
}

/// Bins of [`Overfitting::histogram`].
const BINS: usize = 20;

/// Combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado & Zhu 2015, "The Probability of Backtest
/// Overfitting", section 3): the periods are cut into `blocks` blocks of about one length; of every half of the blocks the trial
/// with the highest Sharpe ratio is taken, and its relative rank w among all in the other half (of equal ones the middle rank,
/// over trials + 1) gives the logit ln(w / (1 - w)). PBO is the share of logits of 0 or less.
///
/// `returns` holds a list for each trial, all of one length and of the same periods. A trial without moves has the ratio 0.
/// Sums of blocks are made once; a combination costs trials * (blocks / 2 + some), and one and its complement are
/// looked at together.
///
/// `None` unless there are two trials of finite returns and equal length, an even number of blocks from 2 to 20, and two periods
/// a block.
pub fn overfitting(returns: &[Vec<f64>], blocks: usize) -> Option<Overfitting> {
    let periods = returns.first()?.len();
    let is_sound = |trial: &Vec<f64>| trial.len() == periods && trial.iter().all(|x| x.is_finite());
    let is_cut = (2..=20).contains(&blocks) && blocks.is_multiple_of(2) && periods >= 2 * blocks;
    if returns.len() < 2 || !is_cut || !returns.iter().all(is_sound) {
        return None;
    }
    let cut = Cut::of(returns, blocks);
    let mut found = Vec::new();
    let mut halves = [Half::new(returns.len()), Half::new(returns.len())];
    // A half and its complement are one set of blocks: that which has the first block.
    for mask in (1_u32..1 << blocks).step_by(2).filter(|mask| mask.count_ones() as usize * 2 == blocks) {
        let [one, other] = &mut halves;
        one.fill(&cut, mask);
        other.fill(&cut, !mask);
        found.push(chosen(one, other));
        found.push(chosen(other, one));
    }
    judge(&found, returns.len(), periods, blocks)
}

/// Sums of returns and of their squares, by block and trial.
struct Cut {
    lengths: Vec<usize>,
    sums: Vec<Vec<f64>>,
    squares: Vec<Vec<f64>>,
}

impl Cut {
    fn of(returns: &[Vec<f64>], blocks: usize) -> Self {
        let periods = returns.first().map_or(0, Vec::len);
        let range = |block: usize| block * periods / blocks..(block + 1) * periods / blocks;
        let sums_of = |block: usize, term: fn(f64) -> f64| -> Vec<f64> {
            let sum = |trial: &Vec<f64>| trial.get(range(block)).into_iter().flatten().map(|x| term(*x)).sum();
            returns.iter().map(sum).collect()
        };
        Self {
            lengths: (0..blocks).map(|block| range(block).len()).collect(),
            sums: (0..blocks).map(|block| sums_of(block, |x| x)).collect(),
            squares: (0..blocks).map(|block| sums_of(block, |x| x * x)).collect(),
        }
    }
}

/// Sharpe ratios of the trials over half of the blocks.
struct Half {
    squares: Vec<f64>,
    ratios: Vec<f64>,
}

impl Half {
    fn new(trials: usize) -> Self {
        Self { squares: vec![0.0; trials], ratios: vec![0.0; trials] }
    }

    fn fill(&mut self, cut: &Cut, mask: u32) {
        self.ratios.fill(0.0);
        self.squares.fill(0.0);
        let mut n = 0.0;
        for block in (0..cut.lengths.len()).filter(|block| mask >> block & 1 == 1) {
            n += cut.lengths[block] as f64;
            add(&mut self.ratios, &cut.sums[block]);
            add(&mut self.squares, &cut.squares[block]);
        }
        for (ratio, squares) in self.ratios.iter_mut().zip(&self.squares) {
            let mean = *ratio / n;
            let variance = (squares - n * mean * mean) / (n - 1.0);
            // What is left of equal returns is rounding.
            *ratio = if variance > squares * 1e-13 { mean / variance.sqrt() } else { 0.0 };
        }
    }
}

fn add(to: &mut [f64], from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// The best trial of a half.
struct Chosen {
    inside: f64,
    outside: f64,
    logit: f64,
}

fn chosen(inside: &Half, outside: &Half) -> Chosen {
    let (mut at, mut best) = (0, f64::NEG_INFINITY);
    for (trial, ratio) in inside.ratios.iter().enumerate() {
        if *ratio > best {
            (at, best) = (trial, *ratio);
        }
    }
    let own = outside.ratios[at];
    let (mut worse, mut equal) = (0_u32, 0_u32);
    for ratio in &outside.ratios {
        worse += u32::from(*ratio < own);
        equal += u32::from(ratio.total_cmp(&own).is_eq());
    }
    let rank = f64::from(worse) + f64::midpoint(f64::from(equal), 1.0);
    let share = rank / (outside.ratios.len() + 1) as f64;
    Chosen { inside: best, outside: own, logit: (share / (1.0 - share)).ln() }
}

fn judge(found: &[Chosen], trials: usize, periods: usize, blocks: usize) -> Option<Overfitting> {
    let share = |which: fn(&Chosen) -> bool| found.iter().filter(|one| which(one)).count() as f64 / found.len() as f64;
    let logits = Quantiles::of(found.iter().map(|one| one.logit).collect())?;
    let line = line(found);
    Some(Overfitting {
        trials,
        periods,
        blocks,
        combinations: found.len(),
        // The middle of an odd number of ranks is 0 but for rounding.
        pbo: share(|one| one.logit <= 1e-12),
        logits,
        histogram: histogram(found, &logits),
        slope: line.map(|(slope, _, _)| slope),
        intercept: line.map(|(_, intercept, _)| intercept),
        r_squared: line.map(|(_, _, r_squared)| r_squared),
        loss: share(|one| one.outside < 0.0),
    })
}

fn histogram(found: &[Chosen], logits: &Quantiles) -> Vec<LogitBin> {
    let width = (logits.max - logits.min) / BINS as f64;
    if width <= 0.0 {
        return vec![LogitBin { from: logits.min, to: logits.max, count: found.len() }];
    }
    let edge = |at: usize| logits.min + width * at as f64;
    let bin = |at: usize| LogitBin { from: edge(at), to: edge(at + 1), count: 0 };
    let mut bins: Vec<LogitBin> = (0..BINS).map(bin).collect();
    for one in found {
        let at = (1..BINS).take_while(|at| one.logit >= edge(*at)).count();
        bins[at].count += 1;
    }
    bins
}

/// Least squares of `outside` by `inside`: slope, intercept, share explained.
fn line(found: &[Chosen]) -> Option<(f64, f64, f64)> {
    let n = found.len() as f64;
    let mean = |of: fn(&Chosen) -> f64| found.iter().map(of).sum::<f64>() / n;
    let (mean_in, mean_out) = (mean(|one| one.inside), mean(|one| one.outside));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for one in found {
        let (x, y) = (one.inside - mean_in, one.outside - mean_out);
        (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
    }
    let slope = (xx > 1e-24 * n).then_some(xy / xx)?;
    let explained = if yy > 0.0 { (slope * xy / yy).clamp(0.0, 1.0) } else { 0.0 };
    Some((slope, mean_out - slope * mean_in, explained))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hash::unit_draw;
    use crate::statistics::{normal_quantile, sharpe};

    fn noise(trials: u64, periods: u64, seed: u64) -> Vec<Vec<f64>> {
        let value = |trial: u64, at: u64| normal_quantile(unit_draw(seed, trial * periods + at).max(1e-300)).unwrap();
        (0..trials).map(|trial| (0..periods).map(|at| 0.01 * value(trial, at)).collect()).collect()
    }

    #[test]
    fn combinations_agree_with_brute_force() {
        let returns = noise(5, 61, 3);
        let found = overfitting(&returns, 4).unwrap();
        // Straight from the definition: for each of the six halves, the rows of its blocks.
        let (mut logits, mut lost) = (Vec::new(), 0);
        for mask in 0_u32..16 {
            if mask.count_ones() != 2 {
                continue;
            }
            let rows = |inside: bool, trial: &Vec<f64>| -> Vec<f64> {
                let block = |row: usize| (0..4).find(|b| (b * 61 / 4..(b + 1) * 61 / 4).contains(&row)).unwrap();
                let is_in = |row: &usize| (mask >> block(*row) & 1 == 1) == inside;
                (0..61).filter(is_in).map(|row| trial[row]).collect()
            };
            let ratios = |inside| returns.iter().map(|t| sharpe(&rows(inside, t), 1.0).unwrap()).collect::<Vec<f64>>();
            let (inside, outside) = (ratios(true), ratios(false));
            let best = (0..5).max_by(|a, b| inside[*a].total_cmp(&inside[*b])).unwrap();
            let rank = 1 + outside.iter().filter(|ratio| **ratio < outside[best]).count();
            let share = rank as f64 / 6.0;
            logits.push((share / (1.0 - share)).ln());
            lost += usize::from(outside[best] < 0.0);
        }
        assert_eq!((found.combinations, found.trials, found.periods), (6, 5, 61));
        let pbo = logits.iter().filter(|logit| **logit <= 1e-12).count() as f64 / 6.0;
        assert!((found.pbo - pbo).abs() < 1e-12 && (found.loss - lost as f64 / 6.0).abs() < 1e-12, "{found:?}");
        let wanted = Quantiles::of(logits).unwrap();
        assert!((found.logits.mean - wanted.mean).abs() < 1e-9 && (found.logits.p25 - wanted.p25).abs() < 1e-9);
        assert_eq!(found.histogram.iter().map(|bin| bin.count).sum::<usize>(), 6);
    }

    #[test]
    fn the_best_of_noise_is_the_best_by_chance() {
        let all: Vec<Overfitting> = (0..40).map(|seed| overfitting(&noise(20, 320, seed), 8).unwrap()).collect();
        let mean = |of: fn(&Overfitting) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        let pbo = mean(|one| one.pbo);
        assert!((pbo - 0.5).abs() < 0.1, "{pbo}");
        // What both halves share was won by one of them at the cost of the other.
        let slope = mean(|one| one.slope.unwrap());
        assert!(slope < 0.0, "{slope}");
        let loss = mean(|one| one.loss);
        assert!((loss - 0.5).abs() < 0.15, "{loss}");
    }

    #[test]
    fn a_better_trial_is_found_again() {
        let mut returns = noise(50, 640, 11);
        for value in &mut returns[17] {
            *value += 0.004;
        }
        let found = overfitting(&returns, 16).unwrap();
        assert_eq!(found.combinations, 12_870);
        assert!(found.pbo < 0.01 && found.loss < 0.01, "{} {}", found.pbo, found.loss);
        assert!(found.logits.p50 > 3.0, "{:?}", found.logits);
    }

    #[test]
    fn what_cannot_be_compared_gives_nothing() {
        let returns = noise(3, 40, 1);
        assert!(overfitting(&[], 4).is_none() && overfitting(&returns[..1], 4).is_none());
        assert!(overfitting(&returns, 3).is_none() && overfitting(&returns, 22).is_none());
        assert!(overfitting(&returns, 0).is_none() && overfitting(&noise(3, 7, 1), 4).is_none());
        let mut short = returns.clone();
        short[1].pop();
        assert!(overfitting(&short, 4).is_none());
        let mut broken = returns.clone();
        broken[2][5] = f64::NAN;
        assert!(overfitting(&broken, 4).is_none());
        // Trials that do nothing are all alike: none stands over the median.
        let still = overfitting(&vec![vec![0.0; 40]; 4], 4).unwrap();
        assert!((still.pbo - 1.0).abs() < 1e-12 && still.slope.is_none() && still.histogram.len() == 1);
    }
}
