//! The way from price files to a version.

use std::path::{Path, PathBuf};

use levibot_core::domain::{Member, Symbol, Timeframe, Ts};
use levibot_core::forecast::Asked;
use levibot_core::fusion::{Calibration, Ensemble, Fusion};
use nix::sys::resource::{UsageWho, getrusage};
use serde::Serialize;

use super::error::TrainError;
use super::evaluation::{Evaluation, Rules};
use super::judge::question;
use super::limits::Interrupt;
use super::members::{Learnt, learn, speak};
use super::report::{DataReport, MemberReport, REPORT_HTML, REPORT_JSON, Report, SplitReport};
use super::show::Show;
use super::weights::{Voice, fit_fusion};
use crate::dataset::{Built, EngineRows, LeakCheck, Sample, Split, Table, Wanted, truncated_against_full};
use crate::ensemble::{Voters, save};
use crate::progress::Progress;
use crate::settings::Settings;
use crate::versions::{MemberEntry, Metadata, Trained as Seal, Versions};

/// Instants at which data are cut for the leak check.
const LEAK_CUTS: usize = 5;
/// Questions that a version is asked again before it answers anybody.
const CANARY: usize = 24;

/// Whether a new version is put into use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promote {
    /// If nothing is in use.
    First,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is to be trained.
#[derive(Debug, Clone)]
pub struct TrainPlan {
    /// A folder of price files, or one of them.
    pub data: PathBuf,
    /// Only these symbols; `None` for all.
    pub symbols: Option<Vec<Symbol>>,
    /// Bar length; `None` to tell it from the bars.
    pub timeframe: Option<Timeframe>,
    /// Samples close at or after this.
    pub from: Option<Ts>,
    /// Nothing after this is looked at.
    pub to: Option<Ts>,
    /// How.
    pub settings: Settings,
    /// Who votes.
    pub ensemble: Ensemble,
    /// The folder of versions.
    pub models: PathBuf,
    /// Whether it is put into use.
    pub promote: Promote,
}

/// What came of it.
#[derive(Debug)]
pub struct Trained {
    /// The version, as it is kept.
    pub metadata: Metadata,
    /// Its folder.
    pub folder: PathBuf,
    /// Everything that is told of it.
    pub report: Report,
    /// Whether it is in use now.
    pub promoted: bool,
}

/// Reads `config/ensemble.yaml`.
///
/// # Errors
/// [`TrainError::EnsembleRead`] or [`TrainError::Ensemble`], naming the file.
pub fn read_ensemble(path: &Path) -> Result<Ensemble, TrainError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| TrainError::EnsembleRead { path: path.to_owned(), source })?;
    Ensemble::from_yaml(&text).map_err(|source| TrainError::Ensemble { path: path.to_owned(), source })
}

/// Trains a version and writes it. Either it is there afterwards, whole, or nothing of it.
///
/// Members learn from the training part. Validation is halved by time: early stopping looks at the first half, calibration
/// and weights are fitted on the second, so that they are not fitted on forecasts which early stopping has chosen. All
/// figures are of the test part, which nothing was chosen on.
///
/// # Errors
/// [`TrainError`].
pub fn train(
    plan: &TrainPlan,
    show: &Show,
    interrupt: &Interrupt,
    now: &dyn Fn() -> Ts,
) -> Result<Trained, TrainError> {
    let settings = &plan.settings;
    let built = Table::build(&wanted(plan), show)?;
    let table = &built.table;
    let split = Split::new(table, &settings.split)?;
    let parts = Parts::of(table, &split, settings)?;
    let leak_check = truncated_against_full(&built.data, table, &EngineRows, LEAK_CUTS, settings.seed, show)?;
    if !leak_check.is_clean() {
        return Err(TrainError::Leak(leak_check));
    }
    let mut learnt = Vec::new();
    for keys in plan.ensemble.members.iter().filter(|keys| keys.member != Member::Sentiment) {
        learnt.push(learn(keys, table, &split.training, &parts.stopping, settings, show)?);
    }
    learnt.sort_by_key(|one| one.member);
    let (fusion, test) = judge(plan, table, &parts, &learnt, show)?;
    write(plan, show, interrupt, now, Work { built: &built, split: &split, parts, leak_check, learnt, fusion, test })
}

fn wanted(plan: &TrainPlan) -> Wanted<'_> {
    Wanted {
        path: &plan.data,
        symbols: plan.symbols.as_deref(),
        timeframe: plan.timeframe,
        from: plan.from,
        to: plan.to,
        horizon_bars: plan.settings.horizon_bars,
        round_trip_cost: plan.settings.round_trip_cost,
    }
}

/// Validation halved by time, and the test part.
#[derive(Debug)]
struct Parts {
    /// For early stopping.
    stopping: Vec<Sample>,
    /// For calibration and weights.
    calibration: Vec<Sample>,
    /// The border between the two.
    border: Ts,
    /// For figures.
    test: Vec<Sample>,
}

impl Parts {
    fn of(table: &Table, split: &Split, settings: &Settings) -> Result<Self, TrainError> {
        let closes = || split.validation.iter().map(|sample| table.close_ts(*sample));
        let (first, last) = (closes().min().unwrap_or(split.first), closes().max().unwrap_or(split.last));
        let border = Ts::from_nanos(first.nanos() + (last - first).nanos() / 2);
        let embargo = table.timeframe.span().times(i64::from(settings.split.embargo_bars));
        let resolved_by = |sample: &Sample| table.outcome(*sample).is_some_and(|outcome| outcome.resolves < border);
        let stopping = split.validation.iter().filter(|sample| resolved_by(sample)).copied().collect();
        let after = |sample: &&Sample| table.close_ts(**sample) >= border + embargo;
        let calibration = split.validation.iter().filter(after).copied().collect();
        let parts = Self { stopping, calibration, border, test: split.test.clone() };
        both_classes(table, &parts.stopping, "the first half of validation (early stopping)")?;
        both_classes(table, &parts.calibration, "the second half of validation (calibration)")?;
        Ok(parts)
    }
}

fn both_classes(table: &Table, samples: &[Sample], part: &'static str) -> Result<(), TrainError> {
    let labels: Vec<bool> = samples.iter().filter_map(|sample| table.outcome(*sample)?.label).collect();
    let ups = labels.iter().filter(|up| **up).count();
    let downs = labels.len() - ups;
    // Calibration needs two of each to tell anything.
    if ups < 2 || downs < 2 { Err(TrainError::OneClass { part, ups, downs }) } else { Ok(()) }
}

/// Fits calibrations and weights on the second half of validation, and judges the test part.
fn judge(
    plan: &TrainPlan,
    table: &Table,
    parts: &Parts,
    learnt: &[Learnt],
    show: &Show,
) -> Result<(Fusion, Evaluation), TrainError> {
    let labelled: Vec<(Sample, bool)> =
        parts.calibration.iter().filter_map(|sample| Some((*sample, table.outcome(*sample)?.label?))).collect();
    let (samples, outcomes): (Vec<Sample>, Vec<bool>) = labelled.into_iter().unzip();
    show.begin("calibrating", (samples.len() * learnt.len()) as u64);
    let raw = learnt.iter().map(|one| speak(one, table, &samples, show)).collect::<Result<Vec<_>, _>>()?;
    let voice = |(one, raw): (&Learnt, &'_ Vec<f64>)| -> Result<(Member, Calibration), TrainError> {
        Ok((one.member, Calibration::fit(raw, &outcomes).ok_or(TrainError::Fusion)?))
    };
    let fits = learnt.iter().zip(&raw).map(voice).collect::<Result<Vec<_>, _>>()?;
    let voices: Vec<Voice<'_>> = fits
        .into_iter()
        .zip(&raw)
        .filter_map(|((member, calibration), raw)| {
            Some(Voice { member, configured: plan.ensemble.member(member)?.weight, calibration, raw })
        })
        .collect();
    let fusion = fit_fusion(&voices, &outcomes).filter(Fusion::is_sound).ok_or(TrainError::Fusion)?;
    show.end();

    show.begin("evaluating", (parts.test.len() * learnt.len()) as u64);
    let raw = learnt.iter().map(|one| speak(one, table, &parts.test, show)).collect::<Result<Vec<_>, _>>()?;
    let fused = |at: usize| {
        let mut said = [None; Member::ALL.len()];
        learnt.iter().zip(&raw).for_each(|(one, raw)| said[one.member.at()] = Some(raw[at]));
        Ok(fusion.fuse(&said).ok_or(TrainError::Fusion)?.prob_up)
    };
    let prob_up = (0..parts.test.len()).map(fused).collect::<Result<Vec<f64>, TrainError>>()?;
    let rules = Rules { threshold: plan.ensemble.threshold, round_trip_cost: plan.settings.round_trip_cost };
    let evaluation = Evaluation::of(table, &parts.test, &prob_up, rules).ok_or(TrainError::Fusion)?;
    show.end();
    Ok((fusion, evaluation))
}

/// Everything that was made before writing.
#[derive(Debug)]
struct Work<'a> {
    built: &'a Built,
    split: &'a Split,
    parts: Parts,
    leak_check: LeakCheck,
    learnt: Vec<Learnt>,
    fusion: Fusion,
    test: Evaluation,
}

fn write(
    plan: &TrainPlan,
    show: &Show,
    interrupt: &Interrupt,
    now: &dyn Fn() -> Ts,
    work: Work<'_>,
) -> Result<Trained, TrainError> {
    show.begin("writing", 1);
    let questions = canary(&work);
    // From here on an interruption waits until the version stands whole.
    let _whole = interrupt.hold();
    let versions = Versions::new(&plan.models);
    let at = now();
    let draft = versions.begin(at)?;
    let report = report(plan, show, &work, draft.version(), at);
    let json = report.json().map_err(|error| {
        TrainError::Save(crate::ensemble::LoadError::Content {
            path: draft.folder().join(REPORT_JSON),
            reason: error.to_string(),
        })
    })?;
    draft.write(REPORT_JSON, &json)?;
    draft.write(REPORT_HTML, report.html().as_bytes())?;
    let seal = seal(plan, &work, &report)?;
    let members = work.learnt.into_iter().map(|one| (one.member, one.model)).collect();
    let metadata = save(draft, seal, &Voters { members, fusion: work.fusion }, &questions)?;
    let version = metadata.version;
    let wanted = match plan.promote {
        Promote::Always => true,
        Promote::First => versions.current()?.is_none(),
        Promote::Never => false,
    };
    if wanted {
        versions.promote(&version, now(), "train", "trained")?;
    }
    show.step(1, "");
    show.end();
    Ok(Trained { folder: versions.folder(&version), metadata, report, promoted: wanted })
}

/// Questions spread evenly over validation and test.
fn canary(work: &Work<'_>) -> Vec<Asked> {
    let samples: Vec<Sample> = [&work.split.validation[..], &work.parts.test].concat();
    let every = (samples.len() / CANARY).max(1);
    samples.iter().step_by(every).take(CANARY).map(|sample| question(&work.built.table, *sample)).collect()
}

fn report(
    plan: &TrainPlan,
    show: &Show,
    work: &Work<'_>,
    version: levibot_core::domain::ModelVersion,
    at: Ts,
) -> Report {
    let mut warnings = Vec::new();
    if plan.ensemble.member(Member::Sentiment).is_some() {
        warnings.push(
            "sentiment is configured, but absent: there are no scores of news or posts; its weight is shared among the others"
                .to_owned(),
        );
    }
    Report {
        version,
        trained_at: Ts::from_secs(at.secs()),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        warnings,
        data: data_report(plan, work.built),
        split: split_report(work),
        leak_check: work.leak_check.clone(),
        members: member_reports(plan, work),
        calibration: work.fusion.calibration,
        threshold: plan.ensemble.threshold,
        test: work.test.clone(),
        hyperparams: plan.settings.clone(),
        stages: show.times(),
        memory_peak_bytes: memory_peak(),
    }
}

fn data_report(plan: &TrainPlan, built: &Built) -> DataReport {
    let short = built
        .left_out
        .iter()
        .map(|one| format!("{}: {} bars in the range, {} are needed", one.symbol, one.bars, one.needed));
    let absent = built.absent.iter().map(|symbol| format!("{symbol}: no file"));
    DataReport {
        path: plan.data.display().to_string(),
        symbols: built.table.series.iter().map(|series| series.symbol).collect(),
        timeframe: built.table.timeframe,
        bars: built.table.series.iter().map(|series| series.bars.len() as u64).sum(),
        files: built.reports.iter().map(ToString::to_string).collect(),
        left_out: short.chain(absent).collect(),
    }
}

fn split_report(work: &Work<'_>) -> SplitReport {
    let (split, parts) = (work.split, &work.parts);
    SplitReport {
        first: split.first,
        training_end: Ts::from_secs(split.train_end.secs()),
        stopping_end: Ts::from_secs(parts.border.secs()),
        validation_end: Ts::from_secs(split.validation_end.secs()),
        last: split.last,
        trained_through: split.trained_through,
        training: split.training.len(),
        stopping: parts.stopping.len(),
        calibration: parts.calibration.len(),
        test: parts.test.len(),
        dropped: split.dropped,
    }
}

fn member_reports(plan: &TrainPlan, work: &Work<'_>) -> Vec<MemberReport> {
    let total: f64 = work.learnt.iter().filter_map(|one| Some(plan.ensemble.member(one.member)?.weight)).sum();
    let one = |keys: &levibot_core::fusion::MemberKeys| {
        let learnt = work.learnt.iter().find(|one| one.member == keys.member);
        let part = work.fusion.members.iter().find(|part| part.member == keys.member);
        MemberReport {
            name: keys.member,
            weight_configured: if learnt.is_some() { keys.weight / total } else { keys.weight },
            weight: part.map(|part| part.weight),
            calibration: part.map(|part| part.calibration),
            inputs: keys.features.len(),
            note: learnt.map_or_else(|| "absent: there are no scores".to_owned(), |one| one.note.clone()),
            curves: learnt.map(|one| one.curves.clone()).unwrap_or_default(),
            importance: learnt.map(|one| one.importance.clone()).unwrap_or_default(),
        }
    };
    plan.ensemble.members.iter().map(one).collect()
}

/// What the metadata say of the figures; the curves are in the report.
#[derive(Debug, Serialize)]
struct Figures<'a> {
    threshold: f64,
    absent: Vec<Member>,
    warnings: Vec<&'a str>,
    test: Evaluation,
}

fn seal(plan: &TrainPlan, work: &Work<'_>, report: &Report) -> Result<Seal, TrainError> {
    let mut test = work.test.clone();
    test.at_threshold.equity.clear();
    test.at_coverage.equity.clear();
    let figures = Figures {
        threshold: plan.ensemble.threshold,
        absent: report.members.iter().filter(|member| member.weight.is_none()).map(|member| member.name).collect(),
        warnings: report.warnings.iter().chain(&work.test.warnings).map(String::as_str).collect(),
        test,
    };
    let table = &work.built.table;
    let entry = |part: &levibot_core::fusion::MemberFusion| {
        let keys = plan.ensemble.member(part.member)?;
        Some(MemberEntry { name: part.member, weight: part.weight, columns: keys.features.clone() })
    };
    let json = |value: serde_json::Result<serde_json::Value>| {
        let path = plan.models.join(crate::versions::METADATA_FILE);
        value.map_err(|error| TrainError::Save(crate::ensemble::LoadError::Content { path, reason: error.to_string() }))
    };
    Ok(Seal {
        backtest_sharpe: work.test.at_coverage.sharpe,
        backtest_win_rate: work.test.at_coverage.win_rate,
        hyperparams: json(serde_json::to_value(&plan.settings))?,
        trained_from: work.split.first,
        trained_through: work.split.trained_through,
        timeframe: table.timeframe,
        horizon_bars: table.horizon_bars,
        round_trip_cost: plan.settings.round_trip_cost,
        symbols: table.series.iter().map(|series| series.symbol).collect(),
        members: work.fusion.members.iter().filter_map(entry).collect(),
        ensemble_hash: plan.ensemble.hash(),
        seed: plan.settings.seed,
        evaluation: json(serde_json::to_value(&figures))?,
    })
}

/// The most memory that this process had at once, bytes; 0 where the system does not tell.
fn memory_peak() -> u64 {
    let kib = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    u64::try_from(kib).unwrap_or(0) * if cfg!(target_os = "macos") { 1 } else { 1_024 }
}
