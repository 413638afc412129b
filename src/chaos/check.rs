//! What must hold, whatever an engine does: evidence in, verdicts out.

use std::collections::BTreeMap;

use levibot_core::domain::Symbol;
use serde::Serialize;

use super::watch::{Outcome, Seen};

/// Descriptors and threads that a daemon may have more at the end of its life than at the beginning.
const MORE_HANDLES_MAX: u64 = 16;
/// Memory that it may have more, MiB.
const MORE_MEMORY_MAX: f64 = 48.0;
/// Processor time that it may use itself, cores on average.
const CORES_MAX: f64 = 0.8;
/// The part of the strikes that must be carried out.
const STRUCK_PART_MIN: f64 = 0.8;
/// The part of a storm's bars that must be judged.
const JUDGED_PART_MIN: f64 = 1.0 / 3.0;
/// Words shown of what is broken.
const SHOWN_MAX: usize = 3;

/// A process at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Resident memory, MiB.
    pub memory_mb: f64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
    /// Processor time so far, seconds.
    pub cpu_seconds: f64,
}

/// One daemon from its first calm moment to its last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Life {
    /// At first.
    pub first: Usage,
    /// At last.
    pub last: Usage,
    /// Seconds in between.
    pub seconds: f64,
}

/// How often each kind of strike that is judged by its count was to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Engines hit until they are quarantined.
    pub bursts: u64,
    /// Kills of the model.
    pub model_kills: u64,
    /// Kills of the daemon.
    pub daemon_kills: u64,
}

impl Wanted {
    /// The same without these.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self {
            bursts: self.bursts.saturating_sub(others.bursts),
            model_kills: self.model_kills.saturating_sub(others.model_kills),
            daemon_kills: self.daemon_kills.saturating_sub(others.daemon_kills),
        }
    }
}

/// Bars that closed in the storm, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bars {
    /// Without an answer although their engine was there.
    pub lost: Vec<String>,
    /// Whose engine was there: these had to be answered.
    pub judged: u64,
    /// Whose engine was away, and those of the last moments.
    pub excused: u64,
}

/// What the record says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RecordFacts {
    /// Order ids and trades that are there twice.
    pub doubled: Vec<String>,
    /// What the audit found; `Err` holds the fault.
    pub audit: Option<Result<String, String>>,
    /// What running it again gave; `Err` holds the differences.
    pub replay: Option<Result<String, String>>,
    /// The bars; `None` when there is no tape to tell.
    pub bars: Option<Bars>,
    /// Exits that a bracket made while its engine was away.
    pub exits_while_away: u64,
}

/// Alerts in the daemon's log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Crashes that were told, by symbol.
    pub crashes: BTreeMap<Symbol, u64>,
    /// Quarantines that were told, by symbol.
    pub quarantines: BTreeMap<Symbol, u64>,
}

/// Everything that was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// Of the engines.
    pub seen: Seen,
    /// Strikes that were due.
    pub due: u64,
    /// Of these, carried out.
    pub struck: u64,
    /// What was to happen.
    pub wanted: Wanted,
    /// Bursts that were begun.
    pub bursts: u64,
    /// Of the log; `None` when it could not be read.
    pub told: Option<Told>,
    /// Of the record; `None` when it was not looked at.
    pub record: Option<RecordFacts>,
    /// Open positions that were seen without a stop.
    pub unprotected: Vec<String>,
    /// Children that were dead for over a second and not taken leave of.
    pub zombies: Vec<String>,
    /// Engines and models that outlived their daemon.
    pub orphans: Vec<String>,
    /// Questions that the daemon did not answer while it should have.
    pub silent: Vec<String>,
    /// Fills that were lost with a daemon that was killed, and positions that were others than its record says.
    pub moved: Vec<String>,
    /// The daemon's lives.
    pub lives: Vec<Life>,
    /// Seconds from a kill of the daemon until every engine ran again; `None` when they did not.
    pub daemon_kills: Vec<Option<f64>>,
    /// Seconds from a kill of the model until it answered again; `None` when it did not.
    pub model_kills: Vec<Option<f64>>,
}

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Held,
    /// It does not.
    Broken,
    /// It was not looked at.
    Unseen,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether it does.
    pub verdict: Verdict,
    /// The figures, or what is against it.
    pub evidence: String,
}

fn check(name: &'static str, against: &[String], otherwise: String) -> Check {
    if against.is_empty() {
        return Check { name, verdict: Verdict::Held, evidence: otherwise };
    }
    let mut evidence = against.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("; ");
    if against.len() > SHOWN_MAX {
        evidence = format!("{evidence}; and {} more", against.len() - SHOWN_MAX);
    }
    Check { name, verdict: Verdict::Broken, evidence }
}

fn unseen(name: &'static str, why: &str) -> Check {
    Check { name, verdict: Verdict::Unseen, evidence: why.to_owned() }
}

/// Every check, in the order of the report.
pub fn checks(evidence: &Evidence) -> Vec<Check> {
    let mut all = vec![took_place(evidence)];
    all.extend(engines(&evidence.seen));
    all.push(bursts(evidence));
    all.extend(told(evidence));
    all.extend(record(evidence));
    all.extend(processes(evidence));
    all.extend(recoveries(evidence));
    all
}

/// A storm that hits nothing shows nothing.
fn took_place(evidence: &Evidence) -> Check {
    let Evidence { due, struck, .. } = evidence;
    let text = format!("{struck} of {due} strikes were carried out");
    let is_enough = *struck > 0 && *struck as f64 >= STRUCK_PART_MIN * *due as f64;
    let against: Vec<String> = (!is_enough).then(|| text.clone()).into_iter().collect();
    check("the storm took place", &against, text)
}

fn name_of(outcome: &Outcome) -> String {
    format!("{} {} at {:.1} s", outcome.symbol, outcome.blow, outcome.at)
}

fn engines(seen: &Seen) -> Vec<Check> {
    let judged: Vec<&Outcome> = seen.outcomes.iter().filter(|o| !o.cut_short).collect();
    let single: Vec<&Outcome> = judged.iter().copied().filter(|o| !o.in_burst).collect();
    let wrong = |of: &[&Outcome], is_wrong: &dyn Fn(&Outcome) -> Option<String>| -> Vec<String> {
        of.iter().filter_map(|o| is_wrong(o).map(|why| format!("{}: {why}", name_of(o)))).collect()
    };
    let failures = wrong(&judged, &|o| {
        (o.failures != 1)
            .then(|| format!("{} failures were counted ({})", o.failures, o.cause.as_deref().unwrap_or("no cause")))
    });
    let lost = wrong(&single, &|o| o.ready.is_none().then(|| "it did not come back".to_owned()));
    let generations = wrong(&single, &|o| (o.generations != 1).then(|| format!("{} new generations", o.generations)));
    let strays = seen.quarantines.iter().filter(|q| !q.planned);
    let strays: Vec<String> = strays.map(|q| format!("{} after {} failures", q.symbol, q.failures)).collect();
    vec![
        check("every fault is one failure", &failures, format!("{} faults", judged.len())),
        check("every engine that is hit comes back", &lost, format!("{} recoveries", single.len())),
        check("every recovery is one generation more", &generations, format!("{} recoveries", single.len())),
        check("no engine fails unasked", &seen.unasked, format!("{} looks", seen.looks)),
        check("no quarantine but by a burst", &strays, format!("{} quarantines", seen.quarantines.len())),
        check("running, stopped and crashed add up", &seen.bad_totals, format!("{} looks", seen.looks)),
    ]
}

/// What was to happen so often and did not.
fn missed(wanted: u64, done: u64) -> Option<String> {
    (wanted != done).then(|| format!("{wanted} were planned and {done} took place"))
}

fn bursts(evidence: &Evidence) -> Check {
    let name = "a burst is one quarantine, and others live";
    let planned: Vec<_> = evidence.seen.quarantines.iter().filter(|q| q.planned).collect();
    if evidence.wanted.bursts == 0 && evidence.bursts == 0 {
        return unseen(name, "no burst in this storm");
    }
    let mut against: Vec<String> = missed(evidence.wanted.bursts, evidence.bursts).into_iter().collect();
    if planned.len() as u64 != evidence.bursts {
        against.push(format!("{} bursts and {} quarantines", evidence.bursts, planned.len()));
    }
    for q in &planned {
        for (is, what) in [
            (q.frozen, "its entries were not frozen"),
            (q.others_live, "others did not go on"),
            (q.restarted, "a restart by hand did not bring it back"),
        ] {
            if !is {
                against.push(format!("{}: {what}", q.symbol));
            }
        }
    }
    if let Some(told) = &evidence.told {
        for symbol in evidence.seen.quarantines.iter().map(|q| q.symbol) {
            let count = evidence.seen.quarantines.iter().filter(|q| q.symbol == symbol).count() as u64;
            let alerts = told.quarantines.get(&symbol).copied().unwrap_or(0);
            if alerts != count {
                against.push(format!("{symbol}: {count} quarantines and {alerts} alerts of it"));
            }
        }
    }
    check(name, &against, format!("{} bursts", evidence.bursts))
}

fn told(evidence: &Evidence) -> Vec<Check> {
    let name = "every crash is told";
    let Some(told) = &evidence.told else { return vec![unseen(name, "the daemon's log could not be read")] };
    let mut failures = BTreeMap::<Symbol, u64>::new();
    for outcome in evidence.seen.outcomes.iter().filter(|o| !o.cut_short) {
        *failures.entry(outcome.symbol).or_default() += outcome.failures;
    }
    let silent: Vec<String> = failures
        .iter()
        .filter_map(|(symbol, count)| {
            let alerts = told.crashes.get(symbol).copied().unwrap_or(0);
            (alerts < *count).then(|| format!("{symbol}: {count} failures and {alerts} told"))
        })
        .collect();
    let all: u64 = failures.values().sum();
    vec![check(name, &silent, format!("{all} failures"))]
}

fn record(evidence: &Evidence) -> Vec<Check> {
    const NAMES: [&str; 5] = [
        "no order and no fill is there twice",
        "the record is whole",
        "the record runs again to the same decisions",
        "engines that are not hit answer every bar",
        "every open position keeps its stop",
    ];
    let Some(facts) = &evidence.record else {
        let why = "the record was not looked at";
        return NAMES.into_iter().map(|name| unseen(name, why)).collect();
    };
    let run = |name, result: &Option<Result<String, String>>, why: &str| match result {
        Some(Ok(text)) => check(name, &[], text.clone()),
        Some(Err(text)) => check(name, std::slice::from_ref(text), String::new()),
        None => unseen(name, why),
    };
    let lost = facts.bars.as_ref().map_or_else(|| unseen(NAMES[3], "there is no tape"), |of| bars(NAMES[3], of));
    let stops = format!("{} exits by a bracket while its engine was away", facts.exits_while_away);
    vec![
        check(NAMES[0], &facts.doubled, "every id once".to_owned()),
        run(NAMES[1], &facts.audit, "not audited"),
        run(NAMES[2], &facts.replay, "the daemon still writes: `levibot replay-record` once it has ended"),
        lost,
        check(NAMES[4], &evidence.unprotected, stops),
    ]
}

/// What is said of a few bars does not count for a storm.
fn bars(name: &'static str, of: &Bars) -> Check {
    let Bars { lost, judged, excused } = of;
    let counts = format!("{judged} bars judged, {excused} excused");
    let mut against = lost.clone();
    if *judged == 0 || (judged + excused) as f64 * JUDGED_PART_MIN > *judged as f64 {
        against.insert(0, format!("too few are judged: {counts}"));
    }
    check(name, &against, counts)
}

fn processes(evidence: &Evidence) -> Vec<Check> {
    let mut grown = Vec::new();
    let mut busy = Vec::new();
    for life in &evidence.lives {
        let Life { first, last, seconds } = life;
        for (what, then, now) in
            [("descriptors", first.descriptors, last.descriptors), ("threads", first.threads, last.threads)]
        {
            if now > then + MORE_HANDLES_MAX {
                grown.push(format!("{what} {then} -> {now}"));
            }
        }
        if last.memory_mb > first.memory_mb + MORE_MEMORY_MAX {
            grown.push(format!("memory {:.0} -> {:.0} MiB", first.memory_mb, last.memory_mb));
        }
        let cores = (last.cpu_seconds - first.cpu_seconds) / seconds.max(1.0);
        if cores > CORES_MAX {
            busy.push(format!("{cores:.2} cores over {seconds:.0} s"));
        }
    }
    let lives = |of: fn(&Life) -> String| evidence.lives.iter().map(of).collect::<Vec<_>>().join("; ");
    let flat = lives(|l| {
        format!(
            "{} -> {} descriptors, {} -> {} threads, {:.0} -> {:.0} MiB",
            l.first.descriptors,
            l.last.descriptors,
            l.first.threads,
            l.last.threads,
            l.first.memory_mb,
            l.last.memory_mb
        )
    });
    let cores = lives(|l| format!("{:.2} cores", (l.last.cpu_seconds - l.first.cpu_seconds) / l.seconds.max(1.0)));
    vec![
        check("the daemon answers at all times", &evidence.silent, format!("{} looks", evidence.seen.looks)),
        check("the dead are taken leave of", &evidence.zombies, "no zombie older than 1 s".to_owned()),
        check("what the daemon holds stays level", &grown, flat),
        check("the daemon's own work stays small", &busy, cores),
    ]
}

fn recoveries(evidence: &Evidence) -> Vec<Check> {
    let Evidence { wanted, daemon_kills, model_kills, .. } = evidence;
    let judge = |name, wanted: u64, kills: &[Option<f64>], what: &str, more: &[&Vec<String>], otherwise: &str| {
        if wanted == 0 && kills.is_empty() {
            return unseen(name, "it was not killed");
        }
        let mut against: Vec<String> = missed(wanted, kills.len() as u64).into_iter().collect();
        let gone = kills.iter().enumerate().filter(|(_, back)| back.is_none());
        against.extend(gone.map(|(n, _)| format!("after kill {} {what}", n + 1)));
        against.extend(more.iter().copied().flatten().cloned());
        check(name, &against, format!("{} kills{otherwise}", kills.len()))
    };
    vec![
        judge(
            "a killed daemon comes back as it was",
            wanted.daemon_kills,
            daemon_kills,
            "not every engine ran again",
            &[&evidence.moved, &evidence.orphans],
            ", no fill was lost, no engine and no model outlived one",
        ),
        judge("a killed model answers again", wanted.model_kills, model_kills, "it did not answer again", &[], ""),
    ]
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
