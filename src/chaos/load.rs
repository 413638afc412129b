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
/// Between two looks at how far the market has come.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Bars of an engine that may be on their way when the measurement ends.
const OWED: u64 = 2;
/// A bar that is later than this is late, seconds.
const LATE: f64 = 1.0;

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
    /// How much later than at first the market's time came, seconds: what the daemon falls behind. The most of it, looked
    /// at once a second.
    pub behind_max: f64,
    /// The same at last.
    pub behind: f64,
    /// The market's time moves in steps of so many seconds: `behind` is not known better than that.
    pub step: f64,
    /// The daemon's own processor time, cores.
    pub cores: f64,
    /// The daemon at last.
    pub daemon: Option<Usage>,
}

impl LoadReport {
    /// Whether no bar was over a second late: each was answered, in time, and offered in time.
    pub fn holds(&self) -> bool {
        self.late().is_empty()
    }

    /// What is against it.
    fn late(&self) -> Vec<String> {
        let Self { answers, bars, engines, behind_max, step, .. } = self;
        let owed = OWED * *engines as u64;
        let mut late = Vec::new();
        if answers.count == 0 || ((answers.count + owed) as f64) < *bars {
            late.push(format!("of {bars:.0} bars {} were answered", answers.count));
        }
        if answers.over_1s > 0 {
            late.push(format!("{} answers took over a second", answers.over_1s));
        }
        if *behind_max >= LATE + step {
            late.push(format!("the daemon was {} behind the market", short(*behind_max)));
        }
        late
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
            ("most behind the market", format!("{:.2} s", self.behind_max.max(0.0))),
            ("behind at last", format!("{:.2} s", self.behind.max(0.0))),
            ("daemon's cores", format!("{:.2}", self.cores)),
            ("daemon's memory", format!("{memory:.0} MiB")),
        ];
        let rows = rows.map(|(name, value)| vec![name.to_owned(), value]).to_vec();
        write!(f, "{}", aligned(&["load", ""], rows))?;
        writeln!(
            f,
            "an answer counts from the offer of its bar to the engine; what the offer itself is late is in `behind`, looked \
             at once a second"
        )?;
        match self.late().as_slice() {
            [] => write!(f, "\nno bar was over a second late"),
            late => write!(f, "\nBROKEN: bars were over a second late: {}", late.join("; ")),
        }
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
    let MarketSource::Simulator { speed, quote_every, .. } = config.market.source else {
        return Err(ChaosError::Usage("a load is measured on the simulated market".into()));
    };
    let daemon = eyes.daemon()?.and_then(Process::find);
    let engines = eyes.engines()?.rows.len();
    wait(WARM, stop);
    let first = mark(&mut eyes, daemon)?;
    let behind = |at: Instant, trading: f64| (at - first.at).as_secs_f64() - (trading - first.trading) / speed;
    let mut behind_max = 0.0_f64;
    while first.at.elapsed() < request.length && !stop.load(Ordering::Acquire) {
        wait(SAMPLE_EVERY.min(request.length.saturating_sub(first.at.elapsed())), stop);
        // The answer may take long itself: what it says is of its end.
        let trading = eyes.status()?.trading_time.0.secs_f64();
        behind_max = behind_max.max(behind(Instant::now(), trading));
    }
    let last = mark(&mut eyes, daemon)?;
    let seconds = (last.at - first.at).as_secs_f64();
    let cpu = |mark: &Mark| mark.usage.map_or(0.0, |usage| usage.cpu_seconds);
    let answers = last.answers.since(Some(&first.answers));
    let report = LoadReport {
        engines,
        seconds,
        bars: last.bars - first.bars,
        answers: (&answers).into(),
        behind_max: behind_max.max(behind(last.at, last.trading)),
        behind: behind(last.at, last.trading),
        step: quote_every.secs_f64() / speed,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> LoadReport {
        LoadReport {
            engines: 3,
            seconds: 100.0,
            bars: 300.0,
            answers: AnswerFigures { count: 294, p50: Some(0.001), p99: Some(0.01), over_1s: 0 },
            behind_max: 0.5,
            behind: 0.0,
            step: 0.1,
            cores: 0.1,
            daemon: None,
        }
    }

    #[test]
    fn a_load_is_broken_by_what_is_late_and_by_what_never_came() {
        assert!(good().holds());
        let text = good().to_string();
        for words in ["counts from the offer", "most behind the market", "0.50 s", "no bar was over a second late"] {
            assert!(text.contains(words), "`{words}` is missing in:\n{text}");
        }
        let broken = |spoil: fn(&mut LoadReport), words: &str| {
            let mut report = good();
            spoil(&mut report);
            assert!(!report.holds());
            let text = report.to_string();
            assert!(text.contains("BROKEN: ") && text.ends_with(words), "{text}");
        };
        broken(|r| r.answers.count = 293, "of 300 bars 293 were answered");
        broken(|r| (r.bars, r.answers.count) = (0.0, 0), "of 0 bars 0 were answered");
        broken(|r| r.answers.over_1s = 1, "1 answers took over a second");
        broken(|r| r.behind_max = 1.2, "the daemon was 1.20 s behind the market");
    }
}
