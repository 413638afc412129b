//! One night from start to end. Whatever fails, the version in use stays what it was.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use levibot_core::chain::chain;
use levibot_core::domain::{ModelVersion, Span, Symbol, Timeframe, Ts};
use levibot_core::fusion::Ensemble;
use serde::Deserialize;

use super::child::{ChildError, ChildPlan};
use super::gate::{self, GateError, Ground, Verdict};
use super::history::{Night, Outcome};
use super::store::{self, Collected, StoreError};
use crate::ensemble::{LoadError, Loaded};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::training::{Interrupt, StageTime, line};
use crate::versions::{VersionError, Versions};

/// What is to be done in a night.
#[derive(Debug, Clone)]
pub struct NightPlan {
    /// The program that trains, this one.
    pub program: PathBuf,
    /// Where new bars come from.
    pub data: PathBuf,
    /// The store of candles that they are added to.
    pub store: PathBuf,
    /// Whose.
    pub symbols: Vec<Symbol>,
    /// Their length.
    pub timeframe: Timeframe,
    /// How a version is trained.
    pub config: PathBuf,
    /// Who votes.
    pub ensemble: PathBuf,
    /// The folder of versions.
    pub models: PathBuf,
    /// Nothing after this is looked at.
    pub as_of: Ts,
    /// Days before `as_of` that are trained on; `None` for all that is stored.
    pub days: Option<u32>,
    /// Most memory of the training, such as `6GiB`.
    pub memory_max: Option<String>,
    /// Longest time of the training.
    pub time_max: Duration,
    /// Versions that are kept.
    pub keep: usize,
}

/// The steps of a night, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// New bars are added to the store.
    Collect,
    /// A version is trained in a child.
    Train,
    /// It is verified and judged against the one in use.
    Validate,
    /// It is put into use.
    Promote,
    /// Old versions are removed.
    Prune,
}

impl Step {
    /// Its name in logs and in the history.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Train => "train",
            Self::Validate => "validate",
            Self::Promote => "promote",
            Self::Prune => "prune",
        }
    }

    /// The exit code when it fails.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Collect => 20,
            Self::Train => 21,
            Self::Validate => 22,
            Self::Promote => 23,
            Self::Prune => 24,
        }
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Gate(#[from] GateError),
}

/// What the training child says of its version on standard output.
#[derive(Debug, Deserialize)]
struct Trained {
    version: ModelVersion,
}

/// The night so far.
#[derive(Debug)]
struct Course<'a> {
    plan: &'a NightPlan,
    settings: &'a Settings,
    ensemble: &'a Ensemble,
    versions: Versions,
    interrupt: &'a Interrupt,
    progress: &'a dyn Progress,
    step: Step,
    step_began: Instant,
    steps: Vec<StageTime>,
    champion: Option<ModelVersion>,
    version: Option<ModelVersion>,
    backtest_sharpe: Option<f64>,
    collected: Vec<Collected>,
    verdict: Option<Verdict>,
    pruned: Vec<ModelVersion>,
    promoted: bool,
}

/// Does everything of a night but taking the lock and noting it. Gives what is to be noted, and the step that failed if
/// one did. The caller holds the lock.
pub fn retrain(
    plan: &NightPlan,
    settings: &Settings,
    ensemble: &Ensemble,
    interrupt: &Interrupt,
    progress: &dyn Progress,
    now: &dyn Fn() -> Ts,
) -> (Night, Option<Step>) {
    let began = Instant::now();
    let mut course = Course {
        plan,
        settings,
        ensemble,
        versions: Versions::new(&plan.models),
        interrupt,
        progress,
        step: Step::Collect,
        step_began: began,
        steps: Vec::new(),
        champion: None,
        version: None,
        backtest_sharpe: None,
        collected: Vec::new(),
        verdict: None,
        pruned: Vec::new(),
        promoted: false,
    };
    let result = course.walk(now);
    course.end_step();
    let failed = result.is_err().then_some(course.step);
    let (outcome, text) = course.told(result);
    let night = Night {
        time: now(),
        as_of: plan.as_of,
        outcome,
        step: course.step.name().to_owned(),
        seconds: began.elapsed().as_secs_f64(),
        steps: course.steps,
        version: course.version,
        champion: course.champion,
        backtest_sharpe: course.backtest_sharpe,
        collected: course.collected,
        gate: course.verdict,
        pruned: course.pruned,
        text,
    };
    (night, failed)
}

impl Course<'_> {
    fn begin(&mut self, step: Step) {
        self.end_step();
        self.step = step;
        self.step_began = Instant::now();
        line(&format!("{}: begins", step.name()));
    }

    fn end_step(&mut self) {
        let name = self.step.name();
        if self.steps.last().is_none_or(|last| last.stage != name) {
            self.steps.push(StageTime { stage: name.to_owned(), seconds: self.step_began.elapsed().as_secs_f64() });
        }
    }

    fn walk(&mut self, now: &dyn Fn() -> Ts) -> Result<(), StepError> {
        line(&format!("{}: begins", Step::Collect.name()));
        self.champion = self.versions.current()?;
        self.collect()?;
        self.begin(Step::Train);
        let version = self.train()?;
        self.version = Some(version);
        self.begin(Step::Validate);
        if self.validate(&version)? {
            self.begin(Step::Promote);
            let reason = self.verdict.as_ref().map(|verdict| verdict.reason.clone()).unwrap_or_default();
            let _whole = self.interrupt.hold();
            self.versions.promote(&version, now(), "retrain", &reason)?;
            self.promoted = true;
        }
        self.begin(Step::Prune);
        self.pruned = self.versions.prune(self.plan.keep)?;
        Ok(())
    }

    fn collect(&mut self) -> Result<(), StepError> {
        let NightPlan { data, store, symbols, timeframe, as_of, .. } = self.plan;
        self.collected = store::collect(data, store, symbols, *timeframe, *as_of)?;
        for Collected { symbol, new, bars, gaps, longest_step_secs, through } in &self.collected {
            let hours = longest_step_secs / 3_600.0;
            line(&format!(
                "  {symbol}: {new} new, {bars} bars through {through}, {gaps} gaps (longest step {hours:.1} h)"
            ));
        }
        Ok(())
    }

    /// Trains in a child that puts nothing into use.
    fn train(&self) -> Result<ModelVersion, StepError> {
        let plan = self.plan;
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let symbols: Vec<&str> = plan.symbols.iter().map(Symbol::as_str).collect();
        let pairs = [
            ("--data", text(&plan.store)),
            ("--symbols", symbols.join(",")),
            ("--timeframe", plan.timeframe.to_string()),
            ("--to", plan.as_of.to_string()),
            ("--config", text(&plan.config)),
            ("--ensemble", text(&plan.ensemble)),
            ("--models", text(&plan.models)),
        ];
        let mut arguments = vec!["train".to_owned()];
        arguments.extend(pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        if let Some(days) = plan.days {
            arguments.extend(["--from".to_owned(), (plan.as_of - Span::DAY.times(i64::from(days))).to_string()]);
        }
        if let Some(bytes) = &plan.memory_max {
            arguments.extend(["--memory-max".to_owned(), bytes.clone()]);
        }
        arguments.extend(["--no-promote", "--dies-with-parent", "--json"].map(str::to_owned));
        let child = ChildPlan { program: plan.program.clone(), arguments, time_max: plan.time_max };
        let output = child.run()?;
        let trained: Trained = serde_json::from_str(&output).map_err(|_| ChildError::Mute)?;
        Ok(trained.version)
    }

    /// Verifies the new version and asks the gate.
    fn validate(&mut self, version: &ModelVersion) -> Result<bool, StepError> {
        let challenger = Loaded::load(self.versions.open(version)?)?;
        self.backtest_sharpe = challenger.metadata().backtest_sharpe;
        // A person may have chosen another one while this one trained.
        self.champion = self.versions.current()?;
        let champion = self.champion.and_then(|version| {
            let loaded = self.versions.open(&version).map_err(LoadError::from).and_then(Loaded::load);
            let unusable =
                |error| line(&format!("  version {version} in use cannot be compared with: {}", chain(&error)));
            loaded.map_err(unusable).ok()
        });
        let ground = Ground {
            data: &self.plan.store,
            as_of: self.plan.as_of,
            threshold: self.ensemble.threshold,
            embargo_bars: self.settings.split.embargo_bars,
        };
        let verdict = gate::judge(&challenger, champion.as_ref(), &ground, self.progress)?;
        line(&format!("  {}: {}", if verdict.accepted { "accepted" } else { "refused" }, verdict.reason));
        let accepted = verdict.accepted;
        self.verdict = Some(verdict);
        Ok(accepted)
    }

    /// The outcome and the alert.
    fn told(&self, result: Result<(), StepError>) -> (Outcome, String) {
        let deployed = "✅ Nightly retrain complete. New model deployed.";
        match result {
            Ok(()) if self.promoted => (Outcome::Deployed, deployed.to_owned()),
            Ok(()) => {
                let reason = self.verdict.as_ref().map_or("", |verdict| verdict.reason.as_str());
                (Outcome::Refused, format!("Nightly retrain: the challenger was refused: {reason}."))
            }
            Err(error) if self.promoted => {
                (Outcome::Deployed, format!("{deployed} But old versions could not be removed: {}", chain(&error)))
            }
            Err(error) => {
                let step = self.step.name();
                (Outcome::Failed, format!("❌ Nightly retrain failed at {step}: {}", chain(&error)))
            }
        }
    }
}
