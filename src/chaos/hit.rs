//! How a storm strikes: engines, bursts, the model and the daemon.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use levibot_core::domain::{Direction, Symbol, Ts};
use rust_decimal::Decimal;

use super::kept::{Journaled, Shown, lost};
use super::model_kill::{ModelKill, answered};
use super::own::OwnDaemon;
use super::plan::Blow;
use super::proc::{MODEL, Process, family};
use super::record::journaled;
use super::storm::{READY_PATIENCE, Storm};
use crate::control::{Command, Fault, Scope, SymbolView};

/// A strike whose engine is not up for so long is left out.
pub(super) const PUT_OFF_MS: u64 = 20_000;
/// How long a quarantine is watched before it is lifted.
const HOLD: Duration = Duration::from_secs(4);
/// How long a burst, and what follows it, may take.
const BURST_PATIENCE: Duration = Duration::from_secs(90);
/// How long a killed model may be away.
const MODEL_PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a killed model.
const MODEL_LOOK: Duration = Duration::from_millis(50);
/// What a daemon shows of its account must be on disk after so long: only then is it killed.
const DURABLE: Duration = Duration::from_millis(500);
/// After so long no engine and no model of a killed daemon may be there.
const ORPHANS: Duration = Duration::from_secs(2);
/// What a quick failure is, in a process and in a thread.
const QUICK: [Blow; 3] = [Blow::Fault(Fault::Panic), Blow::Kill, Blow::Fault(Fault::Abort)];

/// A burst on its way.
#[derive(Debug)]
pub(super) struct Burst {
    symbol: Symbol,
    began: Duration,
    hits: usize,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Until it is quarantined.
    Hitting,
    /// Quarantined since then; the bars that the others had answered.
    Held(Duration, Vec<(Symbol, Option<Ts>)>),
    /// Restarted by hand.
    Restarted,
}

impl Storm {
    /// Whether the engine can be hit so that it must come back.
    fn can_be_hit(&self, symbol: Symbol) -> bool {
        let window = self.limits.window.as_secs_f64() + 1.0;
        let recent = self.tracker.recent(symbol, self.eyes.now(), window);
        let is_free = !self.tracker.is_open(symbol) && !self.bursts.iter().any(|burst| burst.symbol == symbol);
        is_free && self.is_up(symbol) && recent + 1 < self.limits.failures_max as usize
    }

    fn is_up(&self, symbol: Symbol) -> bool {
        self.tracker.row(symbol).is_some_and(super::watch::Row::is_up)
    }

    /// `false` when it is to be tried again later.
    pub(super) fn hit_when_up(&mut self, symbol: Symbol, blow: Blow) -> bool {
        if !self.can_be_hit(symbol) {
            return false;
        }
        self.hit(symbol, blow, false)
    }

    fn hit(&mut self, symbol: Symbol, blow: Blow, in_burst: bool) -> bool {
        let process = self.engine_process(symbol);
        self.tracker.begin(symbol, blow, self.eyes.now(), in_burst, self.limits.healthy_after);
        let done = match (blow, process) {
            (Blow::Fault(fault), _) => {
                self.eyes.order(Command::Inject { symbol, fault: self.fitting(fault) }).map(|_| ())
            }
            (Blow::Kill, Some(process)) => process.kill(),
            (Blow::Kill, None) => Err(format!("no process of {symbol} is shown")),
        };
        if let Err(why) = done {
            self.tracker.never_mind(symbol);
            if self.refused.len() < 20 {
                self.refused.push(format!("{symbol} {blow}: {why}"));
            }
            return false;
        }
        true
    }

    /// A sleep that is longer than an engine may be without progress.
    fn fitting(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Sleep { .. } => {
                let ms = self.limits.progress.as_millis() + 2_000;
                Fault::Sleep { ms: u64::try_from(ms).unwrap_or(6_000) }
            }
            other => other,
        }
    }

    pub(super) fn begin_burst(&mut self, symbol: Symbol) -> bool {
        if self.tracker.is_open(symbol) || !self.is_up(symbol) {
            return false;
        }
        self.evidence.bursts += 1;
        self.bursts.push(Burst { symbol, began: self.eyes.now(), hits: 0, phase: Phase::Hitting });
        true
    }

    /// Goes on with the bursts.
    pub(super) fn follow_bursts(&mut self) {
        let now = self.eyes.now();
        for mut burst in std::mem::take(&mut self.bursts) {
            let is_over = self.follow(&mut burst);
            if !is_over && now - burst.began < BURST_PATIENCE {
                self.bursts.push(burst);
            }
        }
    }

    /// One step of a burst; `true` when it is over.
    fn follow(&mut self, burst: &mut Burst) -> bool {
        let (symbol, now) = (burst.symbol, self.eyes.now());
        let status = self.tracker.row(symbol).map(|row| row.status.clone()).unwrap_or_default();
        match &burst.phase {
            Phase::Hitting if status == "quarantined" => {
                let others = self.tracker.rows().filter(|row| row.symbol != symbol).map(|r| (r.symbol, r.last_bar));
                burst.phase = Phase::Held(now, others.collect());
            }
            Phase::Hitting if self.is_up(symbol) && !self.tracker.is_open(symbol) => {
                let quick = if self.isolation == "process" { QUICK.len() } else { 1 };
                if let Some(blow) = QUICK.get(burst.hits % quick) {
                    burst.hits += usize::from(self.hit(symbol, *blow, true));
                }
            }
            Phase::Held(since, others) if now - *since >= HOLD => {
                let is_live = |(other, bar): &(Symbol, Option<Ts>)| {
                    let row = self.tracker.row(*other);
                    self.tracker.is_open(*other) || row.is_some_and(|row| row.last_bar > *bar)
                };
                let others_live = others.iter().all(is_live);
                let frozen = self.status.as_ref().is_some_and(|status| {
                    status.account.symbols.iter().any(|s| s.symbol == symbol && !s.frozen.is_empty())
                });
                if let Some(quarantine) = self.tracker.quarantine(symbol) {
                    (quarantine.frozen, quarantine.others_live) = (frozen, others_live);
                }
                if let Err(why) = self.eyes.order(Command::Restart(Scope::One(symbol))) {
                    self.refused.push(format!("restart of {symbol}: {why}"));
                    return true;
                }
                burst.phase = Phase::Restarted;
            }
            Phase::Restarted if self.is_up(symbol) => {
                if let Some(quarantine) = self.tracker.quarantine(symbol) {
                    quarantine.restarted = true;
                }
                return true;
            }
            _ => {}
        }
        false
    }

    pub(super) fn kill_model(&mut self) -> bool {
        let pid = self.status.as_ref().and_then(|status| status.model.as_ref()).and_then(|model| model.pid);
        let process = pid.and_then(|pid| Process::named(pid, MODEL));
        let (Some(process), None) = (process, &self.model_kill) else { return false };
        if process.kill().is_err() {
            return false;
        }
        self.model_kill = Some(ModelKill::new(process.pid, self.eyes.now()));
        true
    }

    /// Looks whether the model answers again.
    pub(super) fn follow_model(&mut self) {
        let now = self.eyes.now();
        let Some(mut kill) = self.model_kill.take_if(|kill| now - kill.looked >= MODEL_LOOK) else { return };
        kill.looked = now;
        let answers = self.eyes.metrics().as_deref().and_then(answered);
        let is_back = kill.is_back(self.ask_status().and_then(|status| status.model.as_ref()), answers);
        if is_back || now - kill.since > MODEL_PATIENCE {
            self.evidence.model_kills.push(is_back.then_some((now - kill.since).as_secs_f64()));
        } else {
            self.model_kill = Some(kill);
        }
    }

    /// Kills the daemon once everything is back, starts it again and sees that it is as it was.
    pub(super) fn kill_daemon(&mut self) -> bool {
        if self.tracker.any_open() || !self.bursts.is_empty() || self.model_kill.is_some() {
            return false;
        }
        let Some(shown) = self.ask_status().map(Shown::from) else { return false };
        std::thread::sleep(DURABLE);
        let Some(old) = self.own.as_ref().and_then(OwnDaemon::pid) else { return true };
        let mut children = family(old);
        self.end_life();
        let Some(own) = &mut self.own else { return true };
        let (began, at) = (Instant::now(), self.eyes.now());
        own.kill();
        let left = journaled(&own.config.run.data_dir);
        let started = own.start();
        let pid = own.pid();
        self.eyes.forget();
        self.tracker.daemon_gone();
        let ready = started.is_ok() && self.wait_for_all(began);
        self.evidence.daemon_kills.push(ready.then(|| began.elapsed().as_secs_f64()));
        self.gone.push((at.as_secs_f64(), self.eyes.now().as_secs_f64()));
        std::thread::sleep(ORPHANS.saturating_sub(began.elapsed()));
        // Also what was started in the daemon's last moment, which names it.
        children.extend(family(old));
        for (process, name) in children.into_iter().filter(|(process, _)| process.lives()) {
            self.complain(|e| &mut e.orphans, format!("{name} ({}) outlived its daemon", process.pid));
        }
        match left {
            Ok(left) if ready => self.compare(&shown, &left),
            Ok(_) => {}
            Err(why) => self.complain(|e| &mut e.moved, format!("the record of a killed daemon cannot be read: {why}")),
        }
        self.begin_life(pid);
        true
    }

    /// Waits until every engine runs.
    fn wait_for_all(&mut self, began: Instant) -> bool {
        while began.elapsed() < READY_PATIENCE && !self.stopped() {
            if self
                .eyes
                .engines()
                .is_ok_and(|look| look.totals[0] > 0 && look.rows.iter().all(super::watch::Row::is_up))
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    /// The new daemon must have on record what the old one left and had shown, and show what is on record.
    fn compare(&mut self, before: &Shown, left: &Journaled) {
        let Some(dir) = self.own.as_ref().map(|own| own.config.run.data_dir.clone()) else { return };
        match journaled(&dir) {
            Ok(after) => lost(before, left, &after).into_iter().for_each(|text| self.complain(|e| &mut e.moved, text)),
            Err(why) => return self.complain(|e| &mut e.moved, format!("the record cannot be read: {why}")),
        }
        let began = Instant::now();
        let mut differ = "the daemon did not show its positions after it was killed".to_owned();
        while began.elapsed() < Duration::from_secs(5) {
            let (Ok(recorded), Ok(status)) = (journaled(&dir), self.eyes.status()) else { continue };
            let shown: BTreeMap<Symbol, Decimal> = status.account.symbols.iter().filter_map(net).collect();
            if shown == recorded.positions {
                return;
            }
            let [before, on_record, shown] = [&left.positions, &recorded.positions, &shown].map(BTreeMap::len);
            differ = format!("{before} positions before, {on_record} on record and {shown} shown after");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.complain(|e| &mut e.moved, differ);
    }
}

/// A symbol's position, below zero when it is short; `None` when it is flat.
fn net(of: &SymbolView) -> Option<(Symbol, Decimal)> {
    let position = of.position.as_ref()?;
    let qty: Decimal = position.qty.parse().ok()?;
    Some((of.symbol, if position.direction == Direction::Long { qty } else { -qty }))
}
