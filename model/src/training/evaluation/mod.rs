//! What forecasts are worth on bars that they were not made from: the same figures for training, `validate` and the gate.

mod portfolio;
mod skill;

use std::collections::BTreeMap;

use levibot_core::domain::hash::unit_draw;
use levibot_core::domain::{Symbol, Ts};
use levibot_core::features::FeatureId;
use levibot_core::forecast::input_ids;
use levibot_core::statistics::{Bounds, correlation, design_effect, mean};
use serde::{Deserialize, Serialize};

pub use portfolio::{Point, Portfolio};
pub use skill::{Bin, Skill};

use crate::dataset::{Sample, SymbolTable, Table};

/// The shares of surest calls at which a model is judged.
pub const COVERAGES: [f64; 3] = [1.0, 0.2, 0.05];
/// The coverage at which returns are judged and versions are compared.
pub const COVERAGE_TRADED: f64 = 0.2;
/// Accuracy over every bar, on bars of [`LEAK_SECS`] or more, above which nobody should believe it.
const LEAK_ACCURACY: f64 = 0.65;
const LEAK_SECS: u32 = 900;
/// Share of calls of the rarer side under which the model does not tell bars apart.
const ONE_SIDED: f64 = 0.02;
/// Independent outcomes under which figures say little: at 100 the 95 % interval of a share is 20 points wide.
const EFFECTIVE_MIN: f64 = 100.0;

/// By what calls are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Confidence from which the daemon acts, 0.5 to 1.
    pub threshold: f64,
    /// Entering and leaving together, a fraction of notional.
    pub round_trip_cost: f64,
}

/// Figures of forecasts over a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Close of the first bar judged.
    #[serde(with = "time_text")]
    pub from: Ts,
    /// Close of the last bar judged.
    #[serde(with = "time_text")]
    pub to: Ts,
    /// Bars with a forecast and a known outcome.
    pub bars: u64,
    /// Share of them without a label: the price moved less than a round trip costs.
    pub unlabelled: f64,
    /// Share of labelled bars whose price rose.
    pub up: Option<f64>,
    /// Brier score of a forecaster that always says `up`: the best that a constant could do, knowing these very bars.
    pub brier_base: Option<f64>,
    /// All symbols together, one entry for each of [`COVERAGES`].
    pub skill: Vec<Skill>,
    /// Each symbol by itself, the share of surest calls being that of the symbol.
    pub symbols: Vec<SymbolSkill>,
    /// How often what was said came true.
    pub reliability: Vec<Bin>,
    /// Acting on calls from the threshold on.
    pub at_threshold: Portfolio,
    /// Acting on the surest fifth.
    pub at_coverage: Portfolio,
    /// What a reader must know before believing the figures.
    pub warnings: Vec<String>,
}

/// Figures of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SymbolSkill {
    /// Which.
    pub symbol: Symbol,
    /// Bars judged.
    pub bars: u64,
    /// One entry for each of [`COVERAGES`].
    pub skill: Vec<Skill>,
}

/// One bar with what was said of it and what came.
#[derive(Debug, Clone, Copy)]
struct Told {
    sample: Sample,
    close: Ts,
    resolves: Ts,
    prob_up: f64,
    label: Option<bool>,
    log_return: f64,
    /// Whether the average over 12 closes is above that over 26.
    trend_up: bool,
}

impl Told {
    const fn confidence(&self) -> f64 {
        self.prob_up.max(1.0 - self.prob_up)
    }

    fn says_up(&self) -> bool {
        self.prob_up >= 0.5
    }
}

/// What is the same for all figures of a range.
#[derive(Debug)]
struct Range {
    rules: Rules,
    /// Close of the first bar.
    from: Ts,
    /// When the last outcome was known.
    resolved: Ts,
    /// Bars with a forecast and a known outcome.
    bars: usize,
    /// What the correlation of symbols costs (`statistics::design_effect`).
    design: f64,
}

impl Evaluation {
    /// Judges `prob_up`, one calibrated probability a sample. Samples without a known outcome are passed over. `None` when
    /// none is left, or when the lists differ in length.
    pub fn of(table: &Table, samples: &[Sample], prob_up: &[f64], rules: Rules) -> Option<Self> {
        let told = tell(table, samples, prob_up)?;
        let all: Vec<&Told> = told.iter().collect();
        let range = Range {
            rules,
            from: told.iter().map(|told| told.close).min()?,
            resolved: told.iter().map(|told| told.resolves).max()?,
            bars: told.len(),
            design: design(table, &told),
        };
        let labels: Vec<bool> = told.iter().filter_map(|told| told.label).collect();
        let up = share(labels.iter().filter(|up| **up).count(), labels.len());
        let sure: Vec<&Told> = all.iter().filter(|told| told.confidence() >= rules.threshold).copied().collect();
        let surest = surest(&all, COVERAGE_TRADED);
        let skill = |coverage: &f64| Skill::of(&all, *coverage, table.horizon_bars, range.design);
        let mut evaluation = Self {
            from: range.from,
            to: told.iter().map(|told| told.close).max()?,
            bars: told.len() as u64,
            unlabelled: 1.0 - share(labels.len(), told.len()).unwrap_or(0.0),
            up,
            brier_base: up.map(|up| up * (1.0 - up)),
            skill: COVERAGES.iter().map(skill).collect(),
            symbols: by_symbol(table, &told),
            reliability: skill::bins(&all),
            at_threshold: portfolio::trade(table, &sure, &range, format!("confidence from {} on", rules.threshold)),
            at_coverage: portfolio::trade(table, &surest, &range, format!("surest {:.0} %", COVERAGE_TRADED * 100.0)),
            warnings: Vec::new(),
        };
        let ups = told.iter().filter(|told| told.says_up()).count();
        evaluation.warnings = evaluation.doubts(table, share(ups, told.len()).unwrap_or(0.5));
        Some(evaluation)
    }

    /// The entry of full coverage.
    pub fn full(&self) -> Option<&Skill> {
        self.skill.first()
    }

    /// What must be said besides the figures; `ups` is the share of calls that say up.
    fn doubts(&self, table: &Table, ups: f64) -> Vec<String> {
        let mut doubts = Vec::new();
        if !(ONE_SIDED..=1.0 - ONE_SIDED).contains(&ups) {
            let side = if ups > 0.5 { "up" } else { "down" };
            doubts
                .push(format!("nearly every call says {side}: the accuracy is that of always saying so, not of skill"));
        }
        if self.at_threshold.calls == 0 {
            doubts.push("no bar reaches the threshold: with this version the daemon would not trade".to_owned());
        }
        let accuracy = self.full().and_then(|skill| skill.accuracy);
        if let Some(accuracy) = accuracy.filter(|x| *x > LEAK_ACCURACY && table.timeframe.secs() >= LEAK_SECS) {
            doubts.push(format!(
                "looks too good: check for a leak. {:.1} % of all calls on bars of {} came true; real markets do not \
                 give that, simulated ones may",
                accuracy * 100.0,
                table.timeframe
            ));
        }
        if let Some(effective) = self.full().map(|skill| skill.effective).filter(|n| *n < EFFECTIVE_MIN) {
            doubts.push(format!(
                "the outcomes are worth only {effective:.0} independent ones: these figures may be luck; judge a longer \
                 range"
            ));
        }
        doubts
    }
}

fn tell(table: &Table, samples: &[Sample], prob_up: &[f64]) -> Option<Vec<Told>> {
    let trend = input_ids().iter().position(|id| *id == FeatureId::EmaRatio12x26)?;
    if samples.len() != prob_up.len() {
        return None;
    }
    let one = |(sample, prob_up): (&Sample, &f64)| {
        let outcome = table.outcome(*sample)?;
        Some(Told {
            sample: *sample,
            close: table.close_ts(*sample),
            resolves: outcome.resolves,
            prob_up: *prob_up,
            label: outcome.label,
            log_return: outcome.log_return,
            trend_up: table.row(*sample)[trend] > 0.0,
        })
    };
    let mut told: Vec<Told> = samples.iter().zip(prob_up).filter_map(one).collect();
    told.sort_by_key(|told| told.sample);
    (!told.is_empty()).then_some(told)
}

fn by_symbol(table: &Table, told: &[Told]) -> Vec<SymbolSkill> {
    let own = |(at, series): (usize, &SymbolTable)| {
        let own: Vec<&Told> = told.iter().filter(|told| told.sample.series as usize == at).collect();
        let skill = COVERAGES.iter().map(|coverage| Skill::of(&own, *coverage, table.horizon_bars, 1.0)).collect();
        (!own.is_empty()).then_some(SymbolSkill { symbol: series.symbol, bars: own.len() as u64, skill })
    };
    table.series.iter().enumerate().filter_map(own).collect()
}

/// The design effect of the mean correlation of outcomes between symbols.
fn design(table: &Table, told: &[Told]) -> f64 {
    let mut outcomes: Vec<BTreeMap<Ts, f64>> = vec![BTreeMap::new(); table.series.len()];
    for told in told {
        outcomes[told.sample.series as usize].insert(told.close, told.log_return);
    }
    outcomes.retain(|own| !own.is_empty());
    let mut correlations = Vec::new();
    for (at, first) in outcomes.iter().enumerate() {
        for second in &outcomes[at + 1..] {
            let both = first.iter().filter_map(|(close, a)| Some((*a, *second.get(close)?)));
            let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
            correlations.extend(correlation(&a, &b));
        }
    }
    design_effect(outcomes.len(), mean(&correlations).unwrap_or(0.0))
}

/// The share `coverage` of bars on which the model is surest, at least one. Which of equally sure ones are taken is drawn
/// by time and symbol, so that none is preferred; the same bars are drawn every time.
fn surest<'a>(told: &[&'a Told], coverage: f64) -> Vec<&'a Told> {
    let lot = |told: &Told| unit_draw(u64::from(told.sample.series), told.close.nanos().cast_unsigned());
    let mut sorted: Vec<(f64, f64, &Told)> = told.iter().map(|told| (told.confidence(), lot(told), *told)).collect();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.total_cmp(&b.1)));
    let wanted = coverage * sorted.len() as f64;
    let count = (1..sorted.len()).find(|count| *count as f64 >= wanted).unwrap_or(sorted.len());
    let mut taken: Vec<&Told> = sorted.into_iter().take(count).map(|(_, _, told)| told).collect();
    taken.sort_by_key(|told| told.sample);
    taken
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn interval(bounds: Option<Bounds>) -> Option<[f64; 2]> {
    bounds.map(|bounds| [bounds.low, bounds.high])
}

/// Instants as text.
pub(crate) mod time_text {
    use levibot_core::domain::Ts;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(crate) fn serialize<S: Serializer>(ts: &Ts, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(ts)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Ts, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
