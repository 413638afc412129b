//! Probabilities against what happened.

/// A forecast and what became of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Probability that was given to the event, 0 to 1.
    pub probability: f64,
    /// Whether it happened.
    pub happened: bool,
}

impl Judged {
    /// How sure the forecast was of the likelier side, 0.5 to 1.
    pub const fn confidence(&self) -> f64 {
        self.probability.max(1.0 - self.probability)
    }

    /// Whether the likelier side was right; at 0.5 the event counts as forecast, as in `Forecast::side`.
    pub fn is_hit(&self) -> bool {
        (self.probability >= 0.5) == self.happened
    }
}

/// Hits among those forecasts that were sure enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// Forecasts that were right.
    pub hits: usize,
    /// Forecasts that were counted.
    pub count: usize,
    /// `count` as a share of all forecasts, 0 to 1.
    pub coverage: f64,
    /// The lowest confidence among those counted.
    pub confidence: f64,
}

impl Accuracy {
    /// `hits / count`, 0 to 1.
    pub fn share(&self) -> f64 {
        self.hits as f64 / self.count as f64
    }

    fn of(counted: &[Judged], all: usize) -> Option<Self> {
        let confidence = counted.iter().map(Judged::confidence).min_by(f64::total_cmp)?;
        let hits = counted.iter().filter(|one| one.is_hit()).count();
        Some(Self { hits, count: counted.len(), coverage: counted.len() as f64 / all as f64, confidence })
    }
}

/// Accuracy on the surest forecasts: the share `coverage` of them, at least one. Of two equally sure the earlier one in
/// `judged` is taken first. The bar of confidence is found in the same data, so that the figure describes them; what can
/// be had live is [`accuracy_from`] a confidence that was chosen on other data. `None` without forecasts or where
/// `coverage` is not over 0 and up to 1.
pub fn accuracy(judged: &[Judged], coverage: f64) -> Option<Accuracy> {
    if !(coverage > 0.0 && coverage <= 1.0) {
        return None;
    }
    let mut surest = judged.to_vec();
    surest.sort_by(|a, b| b.confidence().total_cmp(&a.confidence()));
    let wanted = (coverage * judged.len() as f64).round();
    let taken = (1..judged.len()).find(|n| *n as f64 >= wanted).unwrap_or(judged.len());
    Accuracy::of(&surest[..taken], judged.len())
}

/// Accuracy on the forecasts whose confidence is at least `confidence`; `None` where there are none.
pub fn accuracy_from(judged: &[Judged], confidence: f64) -> Option<Accuracy> {
    let sure: Vec<Judged> = judged.iter().filter(|one| one.confidence() >= confidence).copied().collect();
    Accuracy::of(&sure, judged.len())
}

/// Mean squared distance of probability and event, 0 (best) to 1: sum (p - o)^2 / n (Brier 1950, in the form for one
/// event). 0.25 is what 0.5 for everything earns.
pub fn brier(judged: &[Judged]) -> Option<f64> {
    let terms = judged.iter().map(|one| (one.probability - f64::from(u8::from(one.happened))).powi(2));
    mean_of(terms, judged.len())
}

/// Mean of -ln of the probability that was given to what happened (Good 1952), 0 or more. Probabilities are held 1e-15
/// away from 0 and 1, so that one impossible event costs 34.5 and not everything. ln 2 is what 0.5 for everything earns.
pub fn log_loss(judged: &[Judged]) -> Option<f64> {
    let terms = judged.iter().map(|one| {
        let p = one.probability.clamp(1e-15, 1.0 - 1e-15);
        if one.happened { -p.ln() } else { -(1.0 - p).ln() }
    });
    mean_of(terms, judged.len())
}

fn mean_of(terms: impl Iterator<Item = f64>, count: usize) -> Option<f64> {
    (count > 0).then(|| terms.sum::<f64>() / count as f64)
}

/// Forecasts of about the same probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReliabilityBin {
    /// From this probability on.
    pub from: f64,
    /// Up to this one; it belongs to the next bin, 1 to the last.
    pub to: f64,
    /// Forecasts in it.
    pub count: usize,
    /// Their mean probability; the middle of the bin where there are none.
    pub probability: f64,
    /// Share of them that happened; 0 where there are none.
    pub happened: f64,
}

/// The forecasts in `bins` bins of equal width over 0 to 1, the empty ones among them: what a reliability diagram shows.
pub fn reliability(judged: &[Judged], bins: usize) -> Vec<ReliabilityBin> {
    let mut sums = vec![(0_usize, 0.0_f64, 0_usize); bins];
    let edge = |at: usize| at as f64 / bins as f64;
    for one in judged {
        let at = (1..bins).take_while(|at| one.probability >= edge(*at)).count();
        if let Some((count, sum, happened)) = sums.get_mut(at) {
            *count += 1;
            *sum += one.probability;
            *happened += usize::from(one.happened);
        }
    }
    let bin = |(at, (count, sum, happened)): (usize, (usize, f64, usize))| {
        let n = count.max(1) as f64;
        let middle = f64::midpoint(edge(at), edge(at + 1));
        let probability = if count == 0 { middle } else { sum / n };
        ReliabilityBin { from: edge(at), to: edge(at + 1), count, probability, happened: happened as f64 / n }
    };
    sums.into_iter().enumerate().map(bin).collect()
}

/// Expected calibration error: over 10 bins of equal width, sum count / n * |mean probability - share that happened|
/// (Naeini et al. 2015; Guo et al. 2017), here of the probability of the event rather than of the likelier side, so that
/// errors on either side cannot make up for each other. 0 (best) to 1.
pub fn calibration_error(judged: &[Judged]) -> Option<f64> {
    let terms = reliability(judged, 10).into_iter().map(|bin| {
        let gap = (bin.probability - bin.happened).abs();
        bin.count as f64 * gap
    });
    mean_of(terms, judged.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(f64, bool)]) -> Vec<Judged> {
        pairs.iter().map(|(probability, happened)| Judged { probability: *probability, happened: *happened }).collect()
    }

    #[test]
    fn accuracy_is_that_of_the_surest_and_ties_keep_their_order() {
        let all = judged(&[(0.9, true), (0.2, true), (0.8, false), (0.55, true), (0.45, false)]);
        let full = accuracy(&all, 1.0).unwrap();
        assert_eq!((full.hits, full.count), (3, 5));
        assert!((full.share() - 0.6).abs() < 1e-12 && (full.coverage - 1.0).abs() < 1e-12);
        // 0.2 and 0.8 are equally sure; the earlier one is taken first.
        let two = accuracy(&all, 0.4).unwrap();
        assert_eq!((two.hits, two.count), (1, 2));
        assert!((two.confidence - 0.8).abs() < 1e-12);
        assert_eq!(accuracy(&all, 0.6).unwrap().count, 3);
        assert_eq!(accuracy(&all, 0.001).unwrap().count, 1);
        assert_eq!(accuracy_from(&all, 0.8).unwrap().count, 3);
        assert!(accuracy_from(&all, 0.95).is_none());
        for bad in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(accuracy(&all, bad).is_none());
        }
    }

    #[test]
    fn scores_are_those_computed_by_hand() {
        let all = judged(&[(0.7, true), (0.3, false), (0.9, false), (0.5, true)]);
        assert!((brier(&all).unwrap() - (0.09 + 0.09 + 0.81 + 0.25) / 4.0).abs() < 1e-12);
        let wanted = -(0.7_f64.ln() + 0.7_f64.ln() + 0.1_f64.ln() + 0.5_f64.ln()) / 4.0;
        assert!((log_loss(&all).unwrap() - wanted).abs() < 1e-12);
        assert!((log_loss(&judged(&[(0.0, true)])).unwrap() - 15.0 * 10.0_f64.ln()).abs() < 1e-6);
        assert!(brier(&[]).is_none() && log_loss(&[]).is_none() && calibration_error(&[]).is_none());
        assert!(accuracy(&[], 1.0).is_none());
    }

    #[test]
    fn the_example_of_scikit_learn_gives_its_scores() {
        // sklearn.metrics.brier_score_loss: y_true = [0, 1, 1, 0], y_prob = [0.1, 0.9, 0.8, 0.3] gives 0.0375;
        // sklearn.metrics.log_loss: ["spam", "ham", "ham", "spam"] with P(spam) = [0.9, 0.1, 0.2, 0.65] gives 0.21616.
        let all = judged(&[(0.1, false), (0.9, true), (0.8, true), (0.3, false)]);
        assert!((brier(&all).unwrap() - 0.0375).abs() < 1e-12);
        let spam = judged(&[(0.9, true), (0.1, false), (0.2, false), (0.65, true)]);
        assert!((log_loss(&spam).unwrap() - 0.216_16).abs() < 5e-6);
    }

    #[test]
    fn bins_hold_every_forecast_once_and_edges_belong_above() {
        let all = judged(&[(0.0, false), (0.1, false), (0.29, true), (0.3, true), (0.95, true), (1.0, false)]);
        let bins = reliability(&all, 10);
        let counts: Vec<usize> = bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [1, 1, 1, 1, 0, 0, 0, 0, 0, 2]);
        assert!((bins[9].probability - 0.975).abs() < 1e-12 && (bins[9].happened - 0.5).abs() < 1e-12);
        assert!((bins[4].probability - 0.45).abs() < 1e-12);
        // By hand: (|0 - 0| + |0.1 - 0| + |0.29 - 1| + |0.3 - 1| + 2 |0.975 - 0.5|) / 6.
        let wanted = (0.0 + 0.1 + 0.71 + 0.7 + 0.95) / 6.0;
        assert!((calibration_error(&all).unwrap() - wanted).abs() < 1e-12);
    }
}
