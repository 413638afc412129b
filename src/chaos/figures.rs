//! Figures of a storm: quantiles of lists, and of histograms as the daemon counts them.

use std::collections::BTreeMap;

use serde::Serialize;

/// A list of seconds in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Half are at most this.
    pub p50: f64,
    /// All but one in a hundred are at most this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// Quantiles of a list (nearest rank); `None` of an empty one.
pub fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let max = *sorted.last()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank between 1 and the length")]
    let rank = |q: f64| (q * sorted.len() as f64).ceil().max(1.0) as usize;
    let at = |q: f64| sorted.get(rank(q) - 1).copied().unwrap_or(max);
    Some(Spread { count: sorted.len(), p50: at(0.5), p99: at(0.99), max })
}

/// Counts of a histogram: how many observations were at most each bound; the last bound is infinite.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    bounds: Vec<f64>,
    counts: Vec<u64>,
}

/// The histogram `name` in Prometheus' text, by symbol.
pub fn histograms(text: &str, name: &str) -> BTreeMap<String, Histogram> {
    let mut found = BTreeMap::<String, Histogram>::new();
    let head = format!("{name}_bucket{{");
    for line in text.lines().filter_map(|line| line.strip_prefix(&head)) {
        let Some((labels, value)) = line.rsplit_once("} ") else { continue };
        let label = |key: &str| {
            let (_, rest) = labels.split_once(&format!("{key}=\""))?;
            rest.split('"').next()
        };
        let bound = match label("le") {
            Some("+Inf") => f64::INFINITY,
            Some(text) => text.parse().unwrap_or(f64::INFINITY),
            None => continue,
        };
        let histogram = found.entry(label("symbol").unwrap_or_default().to_owned()).or_default();
        histogram.bounds.push(bound);
        histogram.counts.push(value.trim().parse().unwrap_or(0));
    }
    found
}

/// The value of a counter or gauge in Prometheus' text, summed over the lines whose labels hold all of `labels`.
pub fn value(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let of = |line: &str| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) || !labels.iter().all(|label| rest.contains(label)) {
            return None;
        }
        rest.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let mut values = text.lines().filter_map(of).peekable();
    values.peek()?;
    Some(values.sum())
}

impl Histogram {
    /// How many observations there are.
    pub fn count(&self) -> u64 {
        self.counts.last().copied().unwrap_or(0)
    }

    /// How many were over `bound`, which must be one of its bounds.
    pub fn over(&self, bound: f64) -> u64 {
        let at = self.bounds.iter().position(|b| b.total_cmp(&bound).is_eq());
        self.count() - at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0).min(self.count())
    }

    /// What was observed since `before`. A daemon that was started in between counts from nothing.
    #[must_use]
    pub fn since(&self, before: Option<&Self>) -> Self {
        match before {
            Some(before) if before.bounds == self.bounds && before.count() <= self.count() => {
                let counts = self.counts.iter().zip(&before.counts).map(|(now, then)| now.saturating_sub(*then));
                Self { bounds: self.bounds.clone(), counts: counts.collect() }
            }
            _ => self.clone(),
        }
    }

    /// Adds what another has observed.
    pub fn add(&mut self, other: &Self) {
        if self.bounds.is_empty() {
            self.clone_from(other);
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The bound under which this part of the observations lies; `None` without any. Infinite beyond the last bound.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count() == 0 {
            return None;
        }
        let rank = (q * self.count() as f64).max(1.0);
        self.counts.iter().zip(&self.bounds).find(|(count, _)| **count as f64 >= rank).map(|(_, bound)| *bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;
    use levibot_core::domain::Span;

    #[test]
    fn a_spread_is_of_nearest_ranks() {
        assert_eq!(spread([]), None);
        let of = spread((1..=200).rev().map(f64::from)).unwrap();
        assert_eq!((of.count, of.p50, of.p99, of.max), (200, 100.0, 198.0, 200.0));
        assert_eq!(spread([3.0]), Some(Spread { count: 1, p50: 3.0, p99: 3.0, max: 3.0 }));
    }

    #[test]
    fn the_daemons_own_text_is_understood() {
        let (metrics, symbol) = (Metrics::new().unwrap(), "BTCUSDT".parse().unwrap());
        metrics.register_symbol(&symbol);
        (0..99).for_each(|_| metrics.engine_answered(&symbol, Span::from_nanos(150_000)));
        let name = "levibot_engine_answer_seconds";
        let first = histograms(&metrics.encode().unwrap(), name).remove("BTCUSDT").unwrap();
        assert_eq!((first.count(), first.quantile(0.5), first.over(1.0)), (99, Some(0.0002), 0));
        metrics.engine_answered(&symbol, Span::from_millis(1_500));
        metrics.engine_answered(&symbol, Span::from_secs(60));
        let text = metrics.encode().unwrap();
        let second = histograms(&text, name).remove("BTCUSDT").unwrap();
        let new = second.since(Some(&first));
        assert_eq!((new.count(), new.over(1.0), new.over(5.0)), (2, 2, 1));
        assert_eq!((new.quantile(0.5), new.quantile(0.99)), (Some(2.0), Some(f64::INFINITY)));
        assert_eq!(first.since(Some(&second)), first, "a daemon that began anew");
        let mut both = Histogram::default();
        both.add(&first);
        both.add(&new);
        assert_eq!(both, second);
        assert_eq!(Histogram::default().quantile(0.5), None);

        metrics.bars_taken(7);
        let text = metrics.encode().unwrap();
        assert_eq!(value(&text, "levibot_bars_total", &[]), Some(7.0));
        assert_eq!(value(&text, "levibot_bars", &[]), None);
        let starts = value(&text, "levibot_engine_status", &["symbol=\"BTCUSDT\"", "status=\"running\""]);
        assert_eq!(starts, Some(0.0));
    }
}
