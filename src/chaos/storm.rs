//! The storm itself: one loop that strikes what is due and looks at everything.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use levibot_core::domain::{Symbol, Ts};

use super::check::{Evidence, Life, Usage, Wanted};
use super::figures::{Histogram, histograms};
use super::hit::Burst;
use super::look::Eyes;
use super::model_kill::ModelKill;
use super::own::OwnDaemon;
use super::plan::{Planned, Strike};
use super::proc::{Process, Zombies};
use super::record::Absences;
use super::report::Answers;
use super::silence::Silence;
use super::watch::Tracker;
use super::{ChaosError, hit};
use crate::control::StatusView;

/// Between two looks while something is open, and while nothing is.
const LOOK_OPEN: Duration = Duration::from_millis(5);
const LOOK_CALM: Duration = Duration::from_millis(20);
/// How long what is open at the end is waited for.
const SETTLE: Duration = Duration::from_secs(20);
/// Between two marks of trading time.
const MARK_EVERY: f64 = 0.1;
/// How long a daemon may take to run all its engines.
pub(super) const READY_PATIENCE: Duration = Duration::from_secs(120);
const WORDS_MAX: usize = 50;

/// Limits of the daemon that a storm keeps to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) failures_max: u32,
    pub(super) window: Duration,
    pub(super) healthy_after: f64,
    pub(super) progress: Duration,
}

/// Shows how far a storm is.
pub(super) type Show = Box<dyn FnMut(Duration, &Tracker)>;

/// See the module.
pub(super) struct Storm {
    pub(super) eyes: Eyes,
    pub(super) own: Option<OwnDaemon>,
    pub(super) symbols: Vec<Symbol>,
    pub(super) limits: Limits,
    pub(super) isolation: String,
    pub(super) plan: VecDeque<Planned>,
    pub(super) calm: Duration,
    pub(super) length: Duration,
    pub(super) stop: Arc<AtomicBool>,
    /// Strikes that are due and find their engine not up.
    pub(super) put_off: VecDeque<Planned>,
    pub(super) left_out: u64,
    pub(super) refused: Vec<String>,
    pub(super) tracker: Tracker,
    pub(super) bursts: Vec<Burst>,
    pub(super) model_kill: Option<ModelKill>,
    pub(super) evidence: Evidence,
    pub(super) answers: Answers,
    pub(super) status: Option<StatusView>,
    /// Real and trading time, ten times a second.
    pub(super) marks: Vec<(f64, Ts)>,
    /// Real time in which the daemon was away.
    pub(super) gone: Vec<(f64, f64)>,
    pub(super) memory: Vec<f64>,
    pub(super) show: Show,
    daemon: Option<Process>,
    life: Option<(Usage, Duration)>,
    zombies: Zombies,
    histograms: BTreeMap<String, Histogram>,
    /// Engines that were not up all the time since the last second.
    touched: Vec<Symbol>,
    last_second: Option<Duration>,
    silence: Silence,
}

/// What a storm begins with.
pub(super) struct Parts {
    pub(super) eyes: Eyes,
    pub(super) own: Option<OwnDaemon>,
    pub(super) symbols: Vec<Symbol>,
    pub(super) limits: Limits,
    pub(super) isolation: String,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) show: Show,
}

impl Storm {
    pub(super) fn new(parts: Parts, plan: Vec<Planned>, calm: Duration, length: Duration) -> Self {
        let evidence = Evidence { wanted: wanted(plan.iter().map(|p| p.strike)), ..Evidence::default() };
        let Parts { eyes, own, symbols, limits, isolation, stop, show } = parts;
        Self {
            eyes,
            own,
            symbols,
            limits,
            isolation,
            plan: plan.into(),
            calm,
            length,
            stop,
            put_off: VecDeque::new(),
            left_out: 0,
            refused: Vec::new(),
            tracker: Tracker::default(),
            bursts: Vec::new(),
            model_kill: None,
            evidence,
            answers: Answers::default(),
            status: None,
            marks: Vec::new(),
            gone: Vec::new(),
            memory: Vec::new(),
            show,
            daemon: None,
            life: None,
            zombies: Zombies::default(),
            histograms: BTreeMap::new(),
            touched: Vec::new(),
            last_second: None,
            silence: Silence::default(),
        }
    }

    /// Strikes and looks until the time is over or somebody says stop, and then until everything is back.
    pub(super) fn run(&mut self) -> Result<(), ChaosError> {
        self.daemon = self.eyes.daemon()?.and_then(Process::find);
        self.eyes.begin();
        while self.eyes.now() < self.length && !self.stopped() {
            self.strike_due();
            self.turn();
        }
        if self.stopped() {
            // What was not due yet when somebody said stop was not to happen.
            let left = wanted(self.plan.iter().map(|p| p.strike));
            self.evidence.wanted = self.evidence.wanted.without(left);
        }
        self.plan.clear();
        self.left_out += self.put_off.len() as u64;
        self.put_off.clear();
        let end = self.eyes.now() + SETTLE;
        let is_open = |storm: &Self| storm.tracker.any_open() || !storm.bursts.is_empty();
        // A model has a patience of its own, after which it is given up.
        while self.model_kill.is_some() || (is_open(self) && self.eyes.now() < end) {
            self.turn();
        }
        self.second();
        self.end_life();
        Ok(())
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// One look, and what follows of it.
    pub(super) fn turn(&mut self) {
        let began = Instant::now();
        self.look();
        self.follow_bursts();
        self.follow_model();
        let now = self.eyes.now();
        if self.last_second.is_none_or(|last| now - last >= Duration::from_secs(1)) {
            self.last_second = Some(now);
            self.second();
        }
        (self.show)(now, &self.tracker);
        let every = if self.tracker.any_open() { LOOK_OPEN } else { LOOK_CALM };
        std::thread::sleep(every.saturating_sub(began.elapsed()));
    }

    fn look(&mut self) {
        if let Some(look) = self.timed(Eyes::engines) {
            self.tracker.look(&look);
            for row in look.rows.iter().filter(|row| !row.is_up()) {
                if !self.touched.contains(&row.symbol) {
                    self.touched.push(row.symbol);
                }
            }
        }
        let now = self.eyes.now().as_secs_f64();
        if self.marks.last().is_none_or(|(last, _)| now - last >= MARK_EVERY) {
            self.ask_status();
        }
    }

    /// Puts a question, and complains when the daemon is silent.
    fn timed<T>(&mut self, question: impl FnOnce(&mut Eyes) -> Result<T, ChaosError>) -> Option<T> {
        let asked = self.eyes.now();
        let answer = question(&mut self.eyes);
        let error = answer.as_ref().err().map(ToString::to_string);
        if let Some(text) = self.silence.heard(asked, self.eyes.now(), error) {
            self.complain(|e| &mut e.silent, text);
        }
        answer.ok()
    }

    /// Looks at the daemon as a whole, and marks its trading time.
    pub(super) fn ask_status(&mut self) -> Option<&StatusView> {
        let at = self.eyes.now().as_secs_f64();
        let status = self.timed(Eyes::status)?;
        self.marks.push((at, status.trading_time.0));
        Some(self.status.insert(status))
    }

    pub(super) fn complain(&mut self, of: impl Fn(&mut Evidence) -> &mut Vec<String>, text: String) {
        let list = of(&mut self.evidence);
        if list.len() < WORDS_MAX && !list.contains(&text) {
            list.push(text);
        }
    }

    /// What is looked at once a second.
    fn second(&mut self) {
        let now = self.eyes.now();
        if let Some(status) = self.ask_status() {
            let bare = status.account.symbols.iter().filter(|s| s.position.as_ref().is_some_and(|p| p.stop.is_none()));
            let bare: Vec<Symbol> = bare.map(|s| s.symbol).collect();
            for symbol in bare {
                self.complain(|e| &mut e.unprotected, format!("{symbol} at {:.0} s", now.as_secs_f64()));
            }
        }
        self.measure_answers(now);
        if let Some(daemon) = self.daemon {
            for zombie in self.zombies.look(daemon.pid) {
                self.complain(|e| &mut e.zombies, zombie);
            }
            // Not before what a start needs is there, and while nothing is hit.
            if self.life.is_none() && now + Duration::from_secs(2) >= self.calm {
                self.life = daemon.usage().map(|usage| (usage, now));
            }
        }
        if now.as_secs().is_multiple_of(20) {
            let engines = self.engine_processes();
            self.memory.extend(engines.values().filter_map(|process| process.proportional_mb()));
        }
    }

    /// Adds the answers since the last second to those of the calm or of the storm. An engine that was hit meanwhile is
    /// left out: the question is how the others do.
    fn measure_answers(&mut self, now: Duration) {
        let touched = std::mem::take(&mut self.touched);
        let Some(text) = self.eyes.metrics() else { return };
        for (symbol, histogram) in histograms(&text, "levibot_engine_answer_seconds") {
            let before = self.histograms.insert(symbol.clone(), histogram.clone());
            let Some(before) = before else { continue };
            let new = histogram.since(Some(&before));
            let symbol = symbol.parse::<Symbol>().ok();
            let is_hit = symbol.is_some_and(|s| touched.contains(&s) || self.tracker.is_open(s));
            match (is_hit, now <= self.calm) {
                (true, _) => self.answers.hit.add(&new),
                (false, true) => self.answers.calm.add(&new),
                (false, false) => self.answers.storm.add(&new),
            }
        }
    }

    /// The processes of the engines, checked by their names.
    pub(super) fn engine_processes(&self) -> BTreeMap<Symbol, Process> {
        let found = self.symbols.iter().filter_map(|symbol| Some((*symbol, self.engine_process(*symbol)?)));
        found.collect()
    }

    pub(super) fn engine_process(&self, symbol: Symbol) -> Option<Process> {
        Process::named(self.tracker.row(symbol)?.pid?, &format!("engine-{symbol}"))
    }

    /// The daemon's life so far is one to be judged.
    pub(super) fn end_life(&mut self) {
        let now = self.eyes.now();
        if let (Some((first, since)), Some(last)) = (self.life.take(), self.daemon.and_then(Process::usage)) {
            self.evidence.lives.push(Life { first, last, seconds: (now - since).as_secs_f64() });
        }
    }

    /// A new daemon is there.
    pub(super) fn begin_life(&mut self, pid: Option<u32>) {
        self.daemon = pid.and_then(Process::find);
        self.histograms.clear();
        self.zombies = Zombies::default();
        self.silence = Silence::since(self.eyes.now());
    }

    /// When engines were away, in trading time. The daemon's own absences are everybody's.
    pub(super) fn absences(&self) -> Absences {
        let trading = |at: f64, later: bool| {
            let after = self.marks.partition_point(|(real, _)| *real <= at);
            let place = if later { after } else { after.saturating_sub(1) };
            let last = if later { Ts::MAX } else { Ts::EPOCH };
            self.marks.get(place).map_or(last, |(_, ts)| *ts)
        };
        let mut away = Absences::new();
        for outcome in self.tracker.outcomes() {
            // One that did not come back is away until the end.
            let end = outcome.ready.map_or(Ts::MAX, |ready| trading(outcome.at + ready, true));
            away.entry(outcome.symbol).or_default().push((trading(outcome.at, false), end));
        }
        for (from, to) in &self.gone {
            for symbol in &self.symbols {
                away.entry(*symbol).or_default().push((trading(*from, false), trading(*to, true)));
            }
        }
        away
    }

    /// Trading time when the storm began.
    pub(super) fn began(&self) -> Ts {
        self.marks.first().map_or(Ts::EPOCH, |(_, ts)| *ts)
    }

    /// What is due now.
    fn strike_due(&mut self) {
        let now_ms = u64::try_from(self.eyes.now().as_millis()).unwrap_or(u64::MAX);
        while let Some(planned) = self.plan.pop_front_if(|planned| planned.at_ms <= now_ms) {
            self.evidence.due += 1;
            self.put_off.push_back(planned);
        }
        for planned in std::mem::take(&mut self.put_off) {
            if self.strike(planned.strike) {
                self.evidence.struck += 1;
            } else {
                if now_ms.saturating_sub(planned.at_ms) > hit::PUT_OFF_MS {
                    self.left_out += 1;
                } else {
                    self.put_off.push_back(planned);
                }
            }
        }
    }

    fn strike(&mut self, strike: Strike) -> bool {
        match strike {
            Strike::Engine(place, blow) => match self.symbols.get(place).copied() {
                Some(symbol) => self.hit_when_up(symbol, blow),
                None => true,
            },
            Strike::Burst(place) => match self.symbols.get(place).copied() {
                Some(symbol) => self.begin_burst(symbol),
                None => true,
            },
            Strike::Model => self.kill_model(),
            Strike::Daemon => self.kill_daemon(),
        }
    }
}

/// How often each kind that is judged by its count is among these strikes.
fn wanted(strikes: impl Iterator<Item = Strike>) -> Wanted {
    let mut wanted = Wanted::default();
    for strike in strikes {
        match strike {
            Strike::Burst(_) => wanted.bursts += 1,
            Strike::Model => wanted.model_kills += 1,
            Strike::Daemon => wanted.daemon_kills += 1,
            Strike::Engine(..) => {}
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::plan::Blow;

    #[test]
    fn strikes_that_are_judged_by_their_count_are_counted() {
        let all = [Strike::Burst(1), Strike::Model, Strike::Daemon, Strike::Engine(0, Blow::Kill), Strike::Daemon];
        let counted = wanted(all.into_iter());
        assert_eq!(counted, Wanted { bursts: 1, model_kills: 1, daemon_kills: 2 });
        let left = wanted([Strike::Daemon, Strike::Burst(0)].into_iter());
        assert_eq!(counted.without(left), Wanted { bursts: 0, model_kills: 1, daemon_kills: 1 });
    }
}
