//! `levibot backtest`: price files and a policy in, what it would have come to out.
//!
//! The simulation itself is that of `levibot_core::backtest`; here files are read, settings are gathered, parameters are
//! tried on all processors, and the result is written. The same request gives the same result whatever the number of
//! threads, but for the times that it took.

mod account;
mod coverage;
mod error;
mod grid;
mod instruments;
mod interrupt;
mod load;
mod model;
mod output;
mod policy;
mod pool;
mod prune;
mod request;
mod settings;
mod stitch;
mod sweep;
mod trial;
mod view;
mod walk;
mod warm_up;

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

use indicatif::{ProgressBar, ProgressStyle};
use levibot_core::backtest::{Keep, Outcome, Summary, SummaryOptions, Trials, summarise};
use levibot_core::engine::StrategyPolicy;

pub use error::BacktestError;
pub use request::{
    AccountRequest, Axis, CostRequest, FundingRequest, ModelRequest, Objective, POINTS_MAX, Request, RequestError,
    Walk, parse_set,
};
pub use view::{
    AccountView, ConfigView, CostView, Exact, LimitsView, ModelView, PolicyView, Row, RulesView, SearchView, Settings,
    SweepView, View, WalkLengths, WalkView, WindowView,
};

use crate::config::{self, Config, Overrides, environment};
use crate::telemetry::clock;
use account::Terms;
use grid::Grid;
use load::Prices;
use sweep::How;
use trial::{Ground, TrialError};
use view::Rest;

/// The most threads that can be asked for.
const THREADS_MAX: usize = 1024;
/// How often a report draws again.
const RESAMPLES: u32 = 1_000;

/// A finished backtest.
#[derive(Debug)]
pub struct Done {
    /// The result.
    pub view: View,
    /// Everything that happened.
    pub outcome: Outcome,
    /// What it means.
    pub summary: Summary,
    /// Whether Ctrl-C ended it before all was done.
    pub interrupted: bool,
    /// Why not all of it was written to the folder that was asked for; tell it once the result is shown.
    pub unwritten: Option<BacktestError>,
}

/// Does what is asked; what has to be known on the way is told by `tell`, a line each.
///
/// Without a configuration the account is that of a policy measured by itself: 10,000 USDT, 5 basis points a side and
/// nothing else. Where every policy states its own sizes and no file of limits is named, no limit binds; otherwise the
/// limits are those that are shipped.
///
/// # Errors
/// [`BacktestError`]; nothing is written then. What only could not be written is in [`Done::unwritten`].
pub fn run(request: &Request, tell: &dyn Fn(&str)) -> Result<Done, BacktestError> {
    let warnings = RefCell::new(Vec::new());
    let tell = |text: &str| {
        tell(text);
        warnings.borrow_mut().push(text.to_owned());
    };
    let is_search = !request.sweep.is_empty();
    check(request)?;
    let threads = request.threads.unwrap_or_else(pool::cores);
    let config = match &request.config {
        Some(file) => Some(Config::load(file, &Overrides::default(), &environment())?),
        None => None,
    };
    if let Some(out) = &request.out {
        output::prepare(out)?;
    }
    let began = clock::monotonic_now();
    let Prices { market, digest } = load::prices(request, threads, &tell)?;
    let load_seconds = (clock::monotonic_now() - began).secs_f64();

    let policies = policies(request, config.as_ref(), &market)?;
    let asked = model::ask(request, config.as_ref(), &market, policies, threads, &tell)?;
    let policies = asked.policies;
    let (forecasts, model) = asked.said.map_or((None, None), |said| (Some(said.forecasts), Some(said.view)));
    let stop = if is_search { interrupt::flag() } else { AtomicBool::new(false).into() };
    let Terms { setup, paper, told } = account::terms(request, config.as_ref(), &market, &policies, &tell)?;
    let on_initial = setup.unlimited && policies.iter().all(policy::has_fixed_size);
    let ground = Ground {
        market: &market,
        setup: &setup,
        paper: &paper,
        policies: &policies,
        forecasts: forecasts.as_ref(),
        on_initial,
        leaves_at_end: false,
    };
    let seed = paper.seed();
    let bar = progress(request.quiet);
    let how = How { threads, objective: request.objective, stop: &stop, bar: &bar };
    let found = search(request, &ground, seed, how)?;
    bar.finish_and_clear();
    found.notes.iter().for_each(|note| tell(note));

    // Intervals and tests by drawing again are shown by the report alone.
    let resamples = if request.out.is_some() && request.report { RESAMPLES } else { 0 };
    let (trials, past) = (found.trials, Some(&market));
    let options = SummaryOptions { seed, resamples, trials, on_initial, market: past, ..SummaryOptions::default() };
    let summary = summarise(&found.outcome, &options);
    let chosen = found.chosen(&policies)?;
    if found.outcome.unanswered > 0 {
        tell(&format!("of {} bars on which the model was asked there is no forecast", found.outcome.unanswered));
    }
    for text in coverage::stale(&found.outcome, &market) {
        tell(&text);
    }
    let config = config.as_ref();
    let settings = settings::of(request, config, &ground, &chosen, settings::Facts { digest, told, model });
    let interrupted = found.sweep.as_ref().is_some_and(|sweep| sweep.interrupted)
        || found.walk_forward.as_ref().is_some_and(|walk| walk.interrupted);
    let Found { outcome, seconds, sweep, walk_forward, .. } = found;
    let warnings = warnings.into_inner();
    let rest = Rest { seconds, load_seconds, sweep, walk_forward, settings, warnings };
    let view = View::of(&outcome, &summary, rest);
    let mut done = Done { view, outcome, summary, interrupted, unwritten: None };
    if let Some(out) = &request.out {
        // Hours of work are not thrown away because a disk is full.
        done.unwritten = output::write(out, &done, &chosen, request.report).err();
    }
    Ok(done)
}

/// Options that need each other.
fn check(request: &Request) -> Result<(), BacktestError> {
    let none = request.sweep.is_empty();
    if none && request.walk.is_some() {
        let reason = "there is nothing to choose";
        return Err(BacktestError::value("--walk-forward", "given", reason, "name parameters with --sweep"));
    }
    if let Some(points) = request.sweep_random.filter(|_| none) {
        let reason = "there is nothing to draw from";
        return Err(BacktestError::value("--sweep-random", points, reason, "name parameters with --sweep"));
    }
    if let Some(threads) = request.threads.filter(|threads| !(1..=THREADS_MAX).contains(threads)) {
        let reason = format!("it is not between 1 and {THREADS_MAX}");
        return Err(BacktestError::value(
            "--threads",
            threads,
            reason,
            "write as many as the machine has, or leave it out",
        ));
    }
    if let (Some(from), Some(to)) = (request.from, request.to)
        && from >= to
    {
        let remedy = "choose a start before the end";
        return Err(BacktestError::value("--from", format!("{from} to {to}"), "no time lies between", remedy));
    }
    if let Some((name, _)) = request.set.iter().find(|(name, _)| request.sweep.iter().any(|axis| axis.name == *name)) {
        return Err(BacktestError::value("--set", name, "--sweep tries values of it", "name it once"));
    }
    Ok(())
}

/// The policy of every symbol, in the market's order, with what --set says.
fn policies(
    request: &Request,
    config: Option<&Config>,
    market: &levibot_core::backtest::MarketPast,
) -> Result<Vec<StrategyPolicy>, BacktestError> {
    let values: Vec<(&str, f64)> = request.set.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let key = if request.policy.is_some() { "--policy" } else { "--config" };
    let set = |file: &std::path::Path, policy: &StrategyPolicy| {
        policy::with(policy, &values).map_err(|text| BacktestError::Parameters {
            file: file.to_owned(),
            key,
            set: values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", "),
            text,
        })
    };
    match (&request.policy, config) {
        (Some(file), _) => {
            let policy = set(file, &config::policy(file)?.policy)?;
            Ok(vec![policy; market.symbols.len()])
        }
        (None, Some(config)) => {
            let strategies = &config.strategies;
            market.symbols.iter().map(|one| set(strategies.file_of(one.symbol), strategies.of(one.symbol))).collect()
        }
        (None, None) => {
            let remedy = "name a file such as policies/strategies/ema_cross.yaml";
            Err(BacktestError::value("--policy", "missing", "there is nothing to decide with", remedy))
        }
    }
}

/// What a search has found, or the one run where there was none.
struct Found {
    outcome: Outcome,
    seconds: f64,
    /// Parameters of the outcome.
    best: Vec<(String, f64)>,
    trials: Option<Trials>,
    sweep: Option<SweepView>,
    walk_forward: Option<WalkView>,
    /// What must be known of it.
    notes: Vec<String>,
}

impl Found {
    /// The policies with the parameters of the outcome; those of a walk change as it goes.
    fn chosen(&self, policies: &[StrategyPolicy]) -> Result<Vec<StrategyPolicy>, BacktestError> {
        let best: Vec<(&str, f64)> = self.best.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        policies.iter().map(|one| policy::with(one, &best).map_err(BacktestError::Run)).collect()
    }
}

fn search(request: &Request, ground: &Ground<'_>, seed: u64, how: How<'_>) -> Result<Found, BacktestError> {
    let keep = Keep { curve: true, trips: true, executions: request.out.is_some() };
    let range = (request.from, request.to);
    if request.sweep.is_empty() {
        let (outcome, seconds) = once(ground, &[], range, keep)?;
        return Ok(Found {
            outcome,
            seconds,
            best: Vec::new(),
            trials: None,
            sweep: None,
            walk_forward: None,
            notes: warm_up::note(ground, None, request.from).into_iter().collect(),
        });
    }
    let grid = Grid::new(&request.sweep, request.sweep_random, seed)?;
    if let Some(walk) = request.walk {
        let plan = walk::plan(ground, walk, request.from, request.to)?;
        begin(how.bar, plan.windows.len() * grid.len(), "choosing parameters");
        let mut walked = walk::walk(ground, &grid, &plan, how, keep)?;
        walked.notes.extend(warm_up::note(ground, Some(&grid), plan.windows.first().map(|window| window.test.0)));
        return Ok(Found {
            outcome: walked.outcome,
            seconds: walked.seconds,
            best: Vec::new(),
            trials: None,
            sweep: None,
            walk_forward: Some(walked.view),
            notes: walked.notes,
        });
    }
    begin(how.bar, grid.len(), "trying parameters");
    let swept = sweep::sweep(ground, &grid, range, how)?;
    let values: Vec<(&str, f64)> = swept.best.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let (outcome, seconds) = once(ground, &values, range, keep)?;
    Ok(Found {
        outcome,
        seconds,
        best: swept.best,
        trials: swept.trials,
        sweep: Some(swept.view),
        walk_forward: None,
        notes: swept.note.into_iter().chain(warm_up::note(ground, Some(&grid), request.from)).collect(),
    })
}

/// One run, and the seconds that it took.
fn once(
    ground: &Ground<'_>,
    values: &[(&str, f64)],
    (from, to): (Option<levibot_core::domain::Ts>, Option<levibot_core::domain::Ts>),
    keep: Keep,
) -> Result<(Outcome, f64), BacktestError> {
    let began = clock::monotonic_now();
    let outcome = ground.run(values, from, to, keep).map_err(|error| match error {
        TrialError::Refused(why) | TrialError::Failed(why) => BacktestError::Run(why),
    })?;
    Ok((outcome, (clock::monotonic_now() - began).secs_f64()))
}

/// A progress bar on standard error; hidden where that is no terminal, and at first.
fn progress(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    match ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len} {eta}") {
        Ok(style) => bar.with_style(style.progress_chars("=> ")),
        Err(_) => bar,
    }
}

fn begin(bar: &ProgressBar, total: usize, what: &'static str) {
    bar.set_length(total as u64);
    bar.set_message(what);
}
