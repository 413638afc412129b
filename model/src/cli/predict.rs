//! `predict`: what a version thinks of one bar, and why.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use levibot_core::domain::{Direction, Forecast, Member, ModelVersion, Symbol, Timeframe, Ts};
use levibot_core::features::FeatureId;
use levibot_core::forecast::{Asked, input_ids};
use levibot_core::fusion::Ensemble;
use serde::Serialize;

use super::out::{NOTHING, json, pairs, percent, say, table, time};
use super::{CliError, Which, data};
use crate::ensemble::{Explanation, Loaded};
use crate::versions::Metadata;

/// Inputs that are shown of each member.
const REASONS: usize = 5;

#[derive(Debug, Args)]
pub(super) struct PredictArgs {
    /// Of which symbol
    #[arg(long, value_name = "SYMBOL")]
    symbol: Symbol,
    /// The bar that has closed last at this time (UTC); nothing after it is looked at
    #[arg(long, value_name = "TIME")]
    at: Ts,
    /// A price file or a folder of them; without it what `levibot collect` wrote for the default run
    #[arg(long, value_name = "FILE|DIR", default_value = "data/default/history")]
    data: PathBuf,
    #[command(flatten)]
    which: Which,
    /// The ensemble's configuration, for the threshold
    #[arg(long, value_name = "FILE")]
    ensemble: Option<PathBuf>,
    /// Answer also about bars whose outcome the version has learnt from
    #[arg(long)]
    in_sample: bool,
    /// JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// The outcome.
#[derive(Debug, Serialize)]
struct Prediction {
    version: ModelVersion,
    symbol: Symbol,
    bar: String,
    timeframe: Timeframe,
    horizon_bars: u32,
    in_sample: bool,
    trained_through: String,
    features: String,
    members: Vec<MemberLine>,
    absent: Vec<&'static str>,
    prob_up: f64,
    confidence: f64,
    side: &'static str,
    threshold: f64,
    verdict: &'static str,
    quantiles: Option<[f64; 3]>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MemberLine {
    member: &'static str,
    raw: f64,
    calibrated: f64,
    weight: f64,
    /// What `effect` of `top` means.
    effect_is: &'static str,
    top: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Reason {
    feature: &'static str,
    value: f32,
    effect: f64,
}

impl PredictArgs {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let ensemble = super::ensemble(self.ensemble.as_deref())?;
        let loaded = self.which.load()?;
        let (asked, mut notes) = self.question(&loaded)?;
        let metadata = loaded.metadata();
        let in_sample = asked.bar <= metadata.trained_through;
        if in_sample && !self.in_sample {
            let (version, through) = (metadata.version, metadata.trained_through);
            return Err(CliError::InSample { version, through, bar: asked.bar });
        }
        if in_sample {
            notes.push("in sample: the version has learnt from what came after this bar".to_owned());
        }
        notes.extend(configuration_note(metadata, &ensemble));
        let explanation = loaded.explain(&asked, metadata.timeframe).map_err(|refusal| CliError::Refused {
            version: metadata.version,
            symbol: asked.symbol,
            bar: asked.bar,
            refusal,
        })?;
        let prediction = Prediction::of(metadata, &asked, &explanation, ensemble.threshold, in_sample, notes);
        if self.json { json(out, &prediction) } else { prediction.show(out) }
    }

    /// The bar in question, with what is to be said about the prices.
    fn question(&self, loaded: &Loaded) -> Result<(Asked, Vec<String>), CliError> {
        let (table, notes) = data::build(loaded, &self.data, Some(self.symbol), Some(self.at))?;
        let cold = CliError::Cold { symbol: self.symbol, at: self.at };
        let Some(sample) = data::samples(&table, Some(self.symbol)).pop() else { return Err(cold) };
        let last = table.close_ts(sample);
        if last + table.timeframe.span() <= self.at {
            let (symbol, timeframe) = (self.symbol, table.timeframe);
            return Err(CliError::NoBar { symbol, timeframe, at: self.at, last });
        }
        Ok((crate::training::question(&table, sample), notes))
    }
}

/// Says so when the version was trained under another configuration.
pub(super) fn configuration_note(metadata: &Metadata, ensemble: &Ensemble) -> Option<String> {
    let differs = metadata.ensemble_hash != format!("{:016x}", ensemble.hash());
    differs.then(|| "the ensemble's configuration is another one than when the version was trained".to_owned())
}

impl Prediction {
    fn of(
        metadata: &Metadata,
        asked: &Asked,
        explanation: &Explanation,
        threshold: f64,
        in_sample: bool,
        notes: Vec<String>,
    ) -> Self {
        let forecast = &explanation.forecast;
        let confidence = forecast.confidence();
        Self {
            version: forecast.version,
            symbol: asked.symbol,
            bar: asked.bar.to_string(),
            timeframe: metadata.timeframe,
            horizon_bars: metadata.horizon_bars,
            in_sample,
            trained_through: metadata.trained_through.to_string(),
            features: format!("{:016x}", asked.features),
            members: members(asked, explanation),
            absent: Member::ALL.iter().filter(|m| forecast.votes[m.at()].is_none()).map(|m| m.name()).collect(),
            prob_up: forecast.prob_up,
            confidence,
            side: side(forecast),
            threshold,
            verdict: if confidence >= threshold { "trade" } else { "abstain" },
            quantiles: forecast.quantiles,
            notes,
        }
    }

    fn show(&self, out: &mut dyn Write) -> Result<(), CliError> {
        let mut members = table(&["member", "raw", "calibrated", "weight", "what it looked at"]);
        for line in &self.members {
            let top: Vec<String> = line.top.iter().map(|r| format!("{} {:+.4}", r.feature, r.effect)).collect();
            let numbers = [line.raw, line.calibrated, line.weight].map(|x| format!("{x:.4}"));
            let [raw, calibrated, weight] = numbers;
            members.add_row([line.member.to_owned(), raw, calibrated, weight, top.join("\n")]);
        }
        for absent in &self.absent {
            members.add_row([absent, NOTHING, NOTHING, NOTHING, "absent: its weight went to the others"]);
        }
        let quantiles = self
            .quantiles
            .map_or_else(|| NOTHING.to_owned(), |q| q.map(|x| format!("{:+.3} %", x * 100.0)).join("  /  "));
        let verdict = format!("{} (threshold {})", self.verdict, percent(self.threshold));
        let bar = self.bar.parse().map_or_else(|_| self.bar.clone(), time);
        let whole = pairs(&[
            ("symbol", format!("{}, bar of {} closed {bar} UTC", self.symbol, self.timeframe)),
            ("version", format!("{}, looks {} bars ahead", self.version, self.horizon_bars)),
            ("probability of a rise", percent(self.prob_up)),
            ("side", format!("{}, confidence {}", self.side, percent(self.confidence))),
            ("verdict", verdict),
            ("log return, 10 / 50 / 90 %", quantiles),
        ]);
        say(out, &whole)?;
        say(out, &members)?;
        self.notes.iter().try_for_each(|note| say(out, &format!("note: {note}")))
    }
}

fn side(forecast: &Forecast) -> &'static str {
    match forecast.side() {
        Direction::Long => "long",
        Direction::Short => "short",
    }
}

fn members(asked: &Asked, explanation: &Explanation) -> Vec<MemberLine> {
    let line = |(member, reasons): &(Member, Vec<(FeatureId, f64)>)| {
        let vote = explanation.forecast.votes[member.at()]?;
        let top = reasons.iter().take(REASONS).map(|(id, effect)| Reason {
            feature: id.name(),
            value: value(asked, *id),
            effect: *effect,
        });
        Some(MemberLine {
            member: member.name(),
            raw: explanation.raw[member.at()]?,
            calibrated: vote.probability,
            weight: vote.weight,
            effect_is: match member {
                Member::Lightgbm => "added to the log odds of a rise",
                Member::Tft | Member::Sentiment => "weight among its variables, mean over the window",
            },
            top: top.collect(),
        })
    };
    explanation.reasons.iter().filter_map(line).collect()
}

/// A feature of the bar in question.
fn value(asked: &Asked, id: FeatureId) -> f32 {
    let ids = input_ids();
    let row = asked.window.len().saturating_sub(ids.len());
    ids.iter().position(|input| *input == id).and_then(|at| asked.window.get(row + at)).copied().unwrap_or(f32::NAN)
}
