//! Whether a new version is put into use.
//!
//! Both versions are asked about the same bars, which neither has learnt from: those that close after the later
//! `trained_through` of the two, the horizon and the embargo, and whose outcome is known. Both are judged by the same
//! outcomes and costs, and at the same coverage, so that a version cannot win by speaking more or less often.

use levibot_core::domain::{ModelVersion, Symbol, Ts};
use levibot_core::statistics::std_dev;
use serde::{Deserialize, Serialize};

use crate::dataset::DatasetError;
use crate::ensemble::Loaded;
use crate::progress::Progress;
use crate::training::{Evaluation, JudgeError, Range, Rules, forecast, resolved, table_of, time_text, unseen_from};

/// Fewest calls at a coverage of 20 % from which anything is concluded.
pub const CALLS_MIN: u64 = 200;
/// How much worse the Brier score over all bars may be: than the champion's, or than the base rate's where there is none.
pub const BRIER_SLACK: f64 = 0.002;

/// Smallest standard deviation of its probabilities over all bars. A version that says nearly the same of every bar knows
/// nothing: what its surest calls earn is luck.
pub const SPREAD_MIN: f64 = 0.002;

/// One version's figures on the bars of the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// Which.
    pub version: ModelVersion,
    /// Up to when it has learnt.
    #[serde(with = "time_text")]
    pub trained_through: Ts,
    /// Calls at a coverage of 20 %.
    pub calls: u64,
    /// Mean return of these calls net of costs, a fraction.
    pub mean_call: Option<f64>,
    /// Share of them that earned something net of costs.
    pub win_rate: Option<f64>,
    /// Annualised Sharpe ratio of acting on them, net of costs.
    pub sharpe: Option<f64>,
    /// Standard deviation of its probabilities over all bars.
    #[serde(default)]
    pub spread: Option<f64>,
    /// Accuracy over all labelled bars.
    pub accuracy: Option<f64>,
    /// Brier score over all labelled bars.
    pub brier: Option<f64>,
}

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether the challenger is put into use.
    pub accepted: bool,
    /// Why, or why not.
    pub reason: String,
    /// Close of the first bar that both were asked about; that of the bar from which on there could be one otherwise.
    #[serde(with = "time_text")]
    pub from: Ts,
    /// Up to when data were looked at.
    #[serde(with = "time_text")]
    pub to: Ts,
    /// Bars with a known outcome.
    pub bars: u64,
    /// Brier score of always saying the share of rises in these very bars.
    pub brier_base: Option<f64>,
    /// The new version; none where there was nothing to judge.
    pub challenger: Option<Contender>,
    /// The version in use; none where there is none, or none that can be compared.
    pub champion: Option<Contender>,
}

/// Why the gate could not judge.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A version did not answer, or the data cannot be used.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

/// On what the versions are compared.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The store of candles.
    pub data: &'a std::path::Path,
    /// Up to when.
    pub as_of: Ts,
    /// Confidence from which the daemon acts.
    pub threshold: f64,
    /// Bars left out after what either has learnt, besides the horizon.
    pub embargo_bars: u32,
}

/// Judges the challenger against the version in use.
///
/// # Errors
/// [`GateError`]. Too little to judge on is a verdict, not an error.
pub fn judge(
    challenger: &Loaded,
    champion: Option<&Loaded>,
    ground: &Ground<'_>,
    progress: &dyn Progress,
) -> Result<Verdict, GateError> {
    let (new, old) = (challenger.metadata(), champion.map(Loaded::metadata));
    let own = unseen_from(new, ground.embargo_bars);
    let from = old.map_or(own, |old| own.max(unseen_from(old, ground.embargo_bars)));
    let silent = |reason: String| Verdict {
        accepted: false,
        reason,
        from,
        to: ground.as_of,
        bars: 0,
        brier_base: None,
        challenger: None,
        champion: None,
    };
    if let Some(old) = old.filter(|old| old.timeframe != new.timeframe || old.horizon_bars != new.horizon_bars) {
        return Ok(silent(format!(
            "it looks {} bars of {} ahead and version {} in use {} of {}: they cannot be compared; put it into use by hand \
             (`levibot model promote {}`)",
            new.horizon_bars, new.timeframe, old.version, old.horizon_bars, old.timeframe, new.version
        )));
    }
    let symbols: Vec<Symbol> = match old {
        Some(old) => new.symbols.iter().filter(|symbol| old.symbols.contains(symbol)).copied().collect(),
        None => new.symbols.clone(),
    };
    if symbols.is_empty() {
        return Ok(silent("it knows none of the symbols of the version in use; put it into use by hand".to_owned()));
    }
    let range = Range {
        data: ground.data,
        symbols: Some(&symbols),
        from: Some(from),
        to: Some(ground.as_of),
        threshold: ground.threshold,
    };
    let table = match table_of(new, &range, progress) {
        Ok(table) => table,
        Err(DatasetError::TooLittle { .. }) => return Ok(silent(too_little(0))),
        Err(error) => return Err(GateError::Judge(error.into())),
    };
    let samples = resolved(&table, from, Some(&symbols));
    let rules = Rules { threshold: ground.threshold, round_trip_cost: new.round_trip_cost };
    let judged = |loaded: &Loaded| -> Result<Option<(Evaluation, Contender)>, JudgeError> {
        let prob_up = forecast(loaded, &table, &samples, progress)?;
        let evaluation = Evaluation::of(&table, &samples, &prob_up, rules);
        Ok(evaluation.map(|evaluation| {
            let contender = contender(loaded, &evaluation, std_dev(&prob_up));
            (evaluation, contender)
        }))
    };
    let Some((of_new, challenger)) = judged(challenger)? else { return Ok(silent(too_little(0))) };
    let champion = champion.map(&judged).transpose()?.flatten().map(|(_, contender)| contender);
    let decision = decide(&challenger, champion.as_ref(), of_new.brier_base);
    Ok(Verdict {
        accepted: decision.is_ok(),
        reason: decision.unwrap_or_else(|reason| reason),
        from: of_new.from,
        to: ground.as_of,
        bars: of_new.bars,
        brier_base: of_new.brier_base,
        challenger: Some(challenger),
        champion,
    })
}

fn contender(loaded: &Loaded, evaluation: &Evaluation, spread: Option<f64>) -> Contender {
    let (metadata, surest) = (loaded.metadata(), &evaluation.at_coverage);
    Contender {
        version: metadata.version,
        trained_through: metadata.trained_through,
        calls: surest.calls,
        mean_call: surest.mean_call,
        win_rate: surest.win_rate,
        sharpe: surest.sharpe,
        spread,
        accuracy: evaluation.full().and_then(|skill| skill.accuracy),
        brier: evaluation.full().and_then(|skill| skill.brier),
    }
}

fn too_little(calls: u64) -> String {
    format!(
        "too little unseen data: {calls} calls at a coverage of 20 %, {CALLS_MIN} are needed; raise split.test or wait for \
         more bars"
    )
}

/// The rule: why the challenger is accepted, or why it is refused.
///
/// With fewer than [`CALLS_MIN`] calls nothing is concluded, and the old version stays. A version whose probabilities have a
/// spread under [`SPREAD_MIN`] is refused. Against a champion, the mean net
/// return a call at a coverage of 20 % must be higher, and the Brier score over all bars not worse by more than
/// [`BRIER_SLACK`]. Without one, the Brier score must not be worse than that of the base rate by more.
///
/// # Errors
/// Why it is refused.
pub fn decide(challenger: &Contender, champion: Option<&Contender>, brier_base: Option<f64>) -> Result<String, String> {
    if challenger.calls < CALLS_MIN {
        return Err(too_little(challenger.calls));
    }
    let (Some(mean), Some(brier)) = (challenger.mean_call, challenger.brier) else {
        return Err("no bar moved by more than a round trip costs: there is nothing to judge on".to_owned());
    };
    if let Some(spread) = challenger.spread.filter(|spread| *spread < SPREAD_MIN) {
        return Err(format!(
            "it says nearly the same of every bar (standard deviation {spread:.5}, {SPREAD_MIN} is asked): it knows nothing"
        ));
    }
    let percent = |mean: f64| format!("{:+.3} %", mean * 100.0);
    match champion {
        None => {
            let base = brier_base.unwrap_or(0.25);
            if brier > base + BRIER_SLACK {
                return Err(format!(
                    "its Brier score {brier:.4} is worse than {base:.4}, that of always saying the base rate"
                ));
            }
            Ok(format!(
                "nothing in use could be compared with; its Brier score {brier:.4} is not worse than the base rate's {base:.4}"
            ))
        }
        Some(old) => {
            let (Some(old_mean), Some(old_brier)) = (old.mean_call, old.brier) else {
                return Err(format!("version {} in use gave no figures to compare with", old.version));
            };
            let (new_text, old_text) = (percent(mean), percent(old_mean));
            if mean <= old_mean {
                return Err(format!(
                    "it earned {new_text} a call net of costs, version {} in use {old_text}",
                    old.version
                ));
            }
            if brier > old_brier + BRIER_SLACK {
                return Err(format!(
                    "its Brier score {brier:.4} is worse than {old_brier:.4} of version {} in use",
                    old.version
                ));
            }
            Ok(format!(
                "it earned {new_text} a call net of costs, version {} {old_text}; Brier score {brier:.4} against {old_brier:.4}",
                old.version
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(calls: u64, mean: f64, brier: f64) -> Contender {
        Contender {
            version: "20251014_030000".parse().unwrap(),
            trained_through: Ts::EPOCH,
            calls,
            mean_call: Some(mean),
            win_rate: Some(0.5),
            sharpe: None,
            spread: Some(0.02),
            accuracy: Some(0.5),
            brier: Some(brier),
        }
    }

    #[test]
    fn the_better_one_wins_and_a_tie_stays_with_the_old_one() {
        let old = contender(500, 0.001, 0.250);
        for (new, wanted) in [
            (contender(500, 0.0011, 0.250), true),
            (contender(500, 0.0011, 0.2519), true),
            (contender(500, 0.0011, 0.2521), false),
            (contender(500, 0.001, 0.240), false),
            (contender(500, -0.002, 0.240), false),
            (contender(CALLS_MIN, 0.002, 0.250), true),
            (contender(CALLS_MIN - 1, 0.002, 0.200), false),
        ] {
            let decision = decide(&new, Some(&old), Some(0.25));
            assert_eq!(decision.is_ok(), wanted, "{new:?}: {decision:?}");
        }
    }

    #[test]
    fn the_first_version_must_not_be_worse_than_the_base_rate() {
        assert!(decide(&contender(500, -0.01, 0.2519), None, Some(0.25)).is_ok());
        let refused = decide(&contender(500, 0.01, 0.2521), None, Some(0.25)).unwrap_err();
        assert!(refused.contains("0.2521 is worse than 0.2500"), "{refused}");
        let few = decide(&contender(10, 0.01, 0.2), None, Some(0.25)).unwrap_err();
        assert!(few.contains("10 calls"), "{few}");
    }

    #[test]
    fn without_figures_nothing_is_concluded() {
        let blind = Contender { mean_call: None, brier: None, ..contender(500, 0.0, 0.0) };
        assert!(decide(&blind, None, None).is_err());
        let same = Contender { spread: Some(0.001), ..contender(500, 0.1, 0.1) };
        assert!(decide(&same, None, Some(0.25)).unwrap_err().contains("nearly the same of every bar"));
        assert!(decide(&same, Some(&contender(500, 0.0, 0.25)), Some(0.25)).is_err(), "whatever it earned");
        assert!(decide(&contender(500, 0.1, 0.1), Some(&blind), Some(0.25)).is_err());
    }
}
