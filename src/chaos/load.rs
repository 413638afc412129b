//! How many engines are decided in time: nothing is hit, everything is measured.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::ChaosError;
use super::Request;
use super::check::Usage;
use super::figures::{Histogram, histograms, value};
use super::look::Eyes;
use super::own::OwnDaemon;
use super::proc::Process;
use super::report::{AnswerFigures, aligned, short};
use crate::config::{Config, MarketSource};

/// What comes before the measurement: engines have their first bars behind them.
const WARM: Duration = Duration::from_secs(15);

/// What a load has shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadReport {
    /// How many engines.
    pub engines: usize,
    /// Seconds that were measured.
    pub seconds: f64,
    /// Bars that were taken in.
    pub bars: f64,
    /// How long engines took to answer them.
    pub answers: AnswerFigures,
    /// How much later than at first the market's time came at last, seconds: what the daemon falls behind.
    pub behind: f64,
    /// The daemon's own processor time, cores.
    pub cores: f64,
    /// The daemon at last.
    pub daemon: Option<Usage>,
}

impl LoadReport {
    /// Whether no bar was over a second late.
    pub fn holds(&self) -> bool {
        self.answers.over_1s == 0 && self.behind < 1.0 && self.answers.count > 0
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |q: Option<f64>| q.map_or_else(|| "-".to_owned(), |q| format!("<= {}", short(q)));
        let memory = self.daemon.map_or(0.0, |usage| usage.memory_mb);
        let rows = [
            ("engines", self.engines.to_string()),
            ("measured", format!("{:.0} s", self.seconds)),
            ("bars", format!("{:.0}, {:.0} a second", self.bars, self.bars / self.seconds.max(1.0))),
            ("answered", self.answers.count.to_string()),
            ("answer p50", bound(self.answers.p50)),
            ("answer p99", bound(self.answers.p99)),
            ("over 1 s", self.answers.over_1s.to_string()),
            ("behind the market", format!("{:.2} s", self.behind.max(0.0))),
            ("daemon's cores", format!("{:.2}", self.cores)),
            ("daemon's memory", format!("{memory:.0} MiB")),
        ];
        let rows = rows.map(|(name, value)| vec![name.to_owned(), value]).to_vec();
        write!(f, "{}", aligned(&["load", ""], rows))?;
        write!(
            f,
            "\n{}",
            if self.holds() { "no bar was over a second late" } else { "BROKEN: bars were over a second late" }
        )
    }
}

/// One moment of the measurement.
struct Mark {
    at: Instant,
    trading: f64,
    bars: f64,
    answers: Histogram,
    usage: Option<Usage>,
}

fn mark(eyes: &mut Eyes, daemon: Option<Process>) -> Result<Mark, ChaosError> {
    let text = eyes.metrics().ok_or_else(|| ChaosError::Answer("no metrics: `http.enabled` must be true".into()))?;
    let mut answers = Histogram::default();
    histograms(&text, "levibot_engine_answer_seconds").values().for_each(|of| answers.add(of));
    let bars = value(&text, "levibot_bars_total", &[]).unwrap_or(0.0);
    let trading = eyes.status()?.trading_time.0.secs_f64();
    Ok(Mark { at: Instant::now(), trading, bars, answers, usage: daemon.and_then(Process::usage) })
}

pub(super) fn run(
    request: &Request,
    config: &Config,
    mut eyes: Eyes,
    own: Option<OwnDaemon>,
    stop: &AtomicBool,
) -> Result<LoadReport, ChaosError> {
    let MarketSource::Simulator { speed, .. } = config.market.source else {
        return Err(ChaosError::Usage("a load is measured on the simulated market".into()));
    };
    let daemon = eyes.daemon()?.and_then(Process::find);
    let engines = eyes.engines()?.rows.len();
    wait(WARM, stop);
    let first = mark(&mut eyes, daemon)?;
    wait(request.length, stop);
    let last = mark(&mut eyes, daemon)?;
    let seconds = (last.at - first.at).as_secs_f64();
    let cpu = |mark: &Mark| mark.usage.map_or(0.0, |usage| usage.cpu_seconds);
    let answers = last.answers.since(Some(&first.answers));
    let report = LoadReport {
        engines,
        seconds,
        bars: last.bars - first.bars,
        answers: (&answers).into(),
        behind: seconds - (last.trading - first.trading) / speed,
        cores: (cpu(&last) - cpu(&first)) / seconds.max(1.0),
        daemon: last.usage,
    };
    if let Some(mut own) = own {
        own.stop().map_err(ChaosError::NotReady)?;
    }
    Ok(report)
}

fn wait(length: Duration, stop: &AtomicBool) {
    let began = Instant::now();
    while began.elapsed() < length && !stop.load(Ordering::Acquire) {
        std::thread::sleep(Duration::from_millis(20));
    }
}
