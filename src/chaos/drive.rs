//! From a request to a report.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use levibot_core::domain::{Span, Symbol, Ts};

use super::load::{self, LoadReport};
use super::look::Eyes;
use super::own::OwnDaemon;
use super::plan::{Blow, Planned, Wishes, kills, plan};
use super::record;
use super::report::{Frame, Report};
use super::storm::{Limits, Parts, READY_PATIENCE, Show, Storm};
use super::watch::Row;
use super::{ChaosError, Request, What, io};
use crate::app::faults_permitted;
use crate::config::Config;
use crate::control::{Fault, RunInfo};
use crate::telemetry::clock::wall_now;

/// One burst in so long, where none are asked for by number.
const BURST_EVERY: Duration = Duration::from_secs(240);
/// A storm that is shorter has no burst unless asked for.
const BURST_FROM: Duration = Duration::from_secs(90);
/// One kill of the model in so long.
const MODEL_EVERY: Duration = Duration::from_secs(180);
/// What a look may be late.
const SEEN_MARGIN_MS: u64 = 2_000;
/// What is waited for after the last kill of a benchmark.
const KILLS_END: Duration = Duration::from_secs(10);

/// What came of a request.
#[derive(Debug)]
pub enum Outcome {
    /// Of a storm or of kills.
    Storm(Box<Report>),
    /// Of a load.
    Load(LoadReport),
}

impl Outcome {
    /// Whether everything is as it must be.
    pub fn holds(&self) -> bool {
        match self {
            Self::Storm(report) => report.holds(),
            Self::Load(report) => report.holds(),
        }
    }

    /// For `--json`.
    ///
    /// # Errors
    /// When it cannot be JSON.
    pub fn json(&self) -> serde_json::Result<serde_json::Value> {
        match self {
            Self::Storm(report) => serde_json::to_value(report),
            Self::Load(report) => serde_json::to_value(report),
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Storm(report) => report.fmt(f),
            Self::Load(report) => report.fmt(f),
        }
    }
}

/// Does what is asked for and says what came of it. Ctrl-C ends it in order, and it still reports.
///
/// # Errors
/// [`ChaosError`] when it could not begin, or lost the daemon for good.
pub fn run(request: &Request) -> Result<Outcome, ChaosError> {
    let stop = Arc::new(AtomicBool::new(false));
    listen_for_interrupt(&stop)?;
    let mut own = match &request.own {
        Some(own) => Some(OwnDaemon::prepare(request, own)?),
        None => None,
    };
    let config = own.as_ref().map_or(&request.config, |own| &own.config).clone();
    let mut eyes = Eyes::new(&config.run.data_dir, http(&config));
    if let Some(own) = &mut own {
        own.start()?;
        wait_until_ready(own, &mut eyes, &stop)?;
    }
    let first = eyes.engines()?;
    let symbols: Vec<Symbol> = first.rows.iter().map(|row| row.symbol).collect();
    if request.what == What::Load {
        return load::run(request, &config, eyes, own, &stop).map(Outcome::Load);
    }
    let is_process = first.rows.iter().any(|row| row.pid.is_some());
    let isolation = if is_process { "process" } else { "thread" }.to_owned();
    permitted(&eyes.status()?.info)?;
    let (planned, calm, length) = planned(request, &config, symbols.len(), &isolation)?;
    let show = progress(length, symbols.len());
    let limits = limits(&config);
    let since = wall_now();
    let parts = Parts { eyes, own, symbols, limits, isolation, stop, show };
    let mut storm = Storm::new(parts, planned, calm, length);
    storm.run()?;
    finish(request, &config, storm, since).map(|report| Outcome::Storm(Box::new(report)))
}

/// What hits engines asks first what the daemon itself asks before it injects a fault: a kill would lose the same money.
fn permitted(info: &RunInfo) -> Result<(), ChaosError> {
    faults_permitted(info).map_err(ChaosError::Usage)
}

fn http(config: &Config) -> Option<SocketAddr> {
    config.http.enabled.then_some(config.http.bind)
}

fn limits(config: &Config) -> Limits {
    let setup = &config.supervision;
    Limits {
        failures_max: setup.failures_max,
        window: duration(setup.window),
        healthy_after: setup.healthy_after.secs_f64(),
        progress: duration(setup.progress_deadline),
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.nanos()).unwrap_or(0))
}

fn millis(of: Duration) -> u64 {
    u64::try_from(of.as_millis()).unwrap_or(u64::MAX)
}

fn planned(
    request: &Request,
    config: &Config,
    engines: usize,
    isolation: &str,
) -> Result<(Vec<Planned>, Duration, Duration), ChaosError> {
    let limits = limits(config);
    if let What::Kills(count) = request.what {
        if isolation != "process" {
            return Err(ChaosError::Usage("engines that are threads cannot be killed: run them as processes".into()));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a span of the configuration")]
        let healthy_ms = (limits.healthy_after * 1e3) as u64;
        let planned = kills(count, engines, healthy_ms);
        let last = Duration::from_millis(planned.last().map_or(0, |p| p.at_ms));
        let calm = Duration::from_millis(planned.first().map_or(0, |p| p.at_ms));
        return Ok((planned, calm, last + KILLS_END));
    }
    let blows = blows(request, isolation)?;
    let every = |length: Duration, every: Duration| u32::try_from(length.as_secs() / every.as_secs()).unwrap_or(0);
    let bursts = request
        .bursts
        .unwrap_or_else(|| if request.length < BURST_FROM { 0 } else { every(request.length, BURST_EVERY).max(1) });
    // A server that nobody asks does not run.
    let asks_model = config.model.is_some() && config.strategies.any_asks_model();
    let wishes = Wishes {
        seed: request.seed,
        length_ms: millis(request.length),
        engines,
        blows,
        per_minute: request.per_minute,
        failures_max: limits.failures_max,
        window_ms: millis(limits.window),
        seen_ms: millis(limits.progress) + SEEN_MARGIN_MS,
        bursts,
        model_kills: if asks_model { every(request.length, MODEL_EVERY).max(1) } else { 0 },
        daemon_kills: request.own.as_ref().map_or(0, |own| own.daemon_kills),
    };
    Ok((plan(&wishes), Duration::from_millis(wishes.calm_ms()), request.length))
}

/// With what engines are hit: what was asked for, or everything that their isolation stands. In a thread a spin leaves a
/// burning thread behind, so it comes only when asked for.
fn blows(request: &Request, isolation: &str) -> Result<Vec<Blow>, ChaosError> {
    let is_process = isolation == "process";
    if request.blows.is_empty() {
        let stands = |fault: &Fault| is_process || (fault.needs_process().is_none() && *fault != Fault::Spin);
        let faults = Fault::ALL.into_iter().filter(stands).map(Blow::Fault);
        return Ok(faults.chain(is_process.then_some(Blow::Kill)).collect());
    }
    for blow in request.blows.iter().filter(|_| !is_process) {
        let why = match blow {
            Blow::Fault(fault) => fault.needs_process(),
            Blow::Kill => Some("there is no process to kill"),
        };
        if let Some(why) = why {
            return Err(ChaosError::Usage(format!("{blow}: the engines of this daemon are threads, and {why}")));
        }
    }
    Ok(request.blows.clone())
}

fn wait_until_ready(own: &mut OwnDaemon, eyes: &mut Eyes, stop: &AtomicBool) -> Result<(), ChaosError> {
    let began = Instant::now();
    while began.elapsed() < READY_PATIENCE && !stop.load(Ordering::Acquire) {
        if let Some(said) = own.is_over() {
            return Err(ChaosError::NotReady(said));
        }
        if eyes.engines().is_ok_and(|look| !look.rows.is_empty() && look.rows.iter().all(Row::is_up)) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(ChaosError::NotReady(format!("not every engine ran within {READY_PATIENCE:?}")))
}

fn finish(request: &Request, config: &Config, mut storm: Storm, since: Ts) -> Result<Report, ChaosError> {
    let seconds = storm.eyes.now().as_secs_f64();
    let interrupted = storm.stopped();
    let (away, began) = (storm.absences(), storm.began());
    let ended = match &mut storm.own {
        Some(own) => {
            if let Err(why) = own.stop() {
                storm.complain(|e| &mut e.silent, why);
            }
            true
        }
        None => false,
    };
    let mut evidence = std::mem::take(&mut storm.evidence);
    evidence.record = Some(record::facts(config, &storm.symbols, &away, began, ended));
    evidence.told = record::told(&config.logs.dir, since);
    evidence.seen = std::mem::take(&mut storm.tracker).finish();
    let frame = Frame {
        seed: request.seed,
        engines: storm.symbols.len(),
        isolation: storm.isolation.clone(),
        seconds,
        interrupted,
        left_out: storm.left_out,
        refused: storm.refused.clone(),
        memory: storm.memory.clone(),
    };
    Ok(Report::new(frame, &evidence, &storm.answers))
}

/// A bar over the time, with what has come back so far.
fn progress(length: Duration, engines: usize) -> Show {
    let bar = ProgressBar::new(millis(length));
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {percent}%") {
        bar.set_style(style.progress_chars("=> "));
    }
    let mut last = Duration::ZERO;
    Box::new(move |now, tracker| {
        if now - last < Duration::from_millis(200) {
            return;
        }
        last = now;
        let outcomes = tracker.outcomes();
        let back = outcomes.iter().filter(|o| o.ready.is_some()).count();
        bar.set_message(format!("{engines} engines, {} strikes, {back} back", outcomes.len()));
        bar.set_position(millis(now));
    })
}

/// Sets the flag at Ctrl-C or SIGTERM.
fn listen_for_interrupt(stop: &Arc<AtomicBool>) -> Result<(), ChaosError> {
    let failed = || io("listen for signals");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed())?;
    let stop = Arc::clone(stop);
    std::thread::Builder::new()
        .name("interrupt".into())
        .spawn(move || {
            runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let kinds = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
                if let (Ok(mut interrupt), Ok(mut terminate)) = kinds {
                    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                    stop.store(true, Ordering::Release);
                }
            });
        })
        .map_err(failed())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::info;

    #[test]
    fn a_daemon_that_can_lose_money_is_not_hit() {
        assert!(permitted(&info()).is_ok());
        for market in ["binance", "", "simulator2"] {
            let error = permitted(&RunInfo { market: market.into(), ..info() }).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(&format!("the market is {market}")), "{error}");
        }
    }
}
