//! What a storm has shown, for people and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::Serialize;

use super::check::{Check, Evidence, Verdict, checks};
use super::figures::{Histogram, Spread, spread};
use super::watch::Outcome;

/// How long engines took to answer bars.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    /// Of all engines, before anything was hit.
    pub calm: Histogram,
    /// Of those that were not hit, in the storm.
    pub storm: Histogram,
    /// Of those that were.
    pub hit: Histogram,
}

/// A histogram in short. Quantiles are upper bounds of its buckets, seconds; none beyond the last bound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerFigures {
    /// Answers.
    pub count: u64,
    /// Half are at most this.
    pub p50: Option<f64>,
    /// All but one in a hundred are at most this.
    pub p99: Option<f64>,
    /// How many took over a second.
    pub over_1s: u64,
}

impl From<&Histogram> for AnswerFigures {
    fn from(of: &Histogram) -> Self {
        let finite = |q| of.quantile(q).filter(|bound: &f64| bound.is_finite());
        Self { count: of.count(), p50: finite(0.5), p99: finite(0.99), over_1s: of.over(1.0) }
    }
}

/// What came of one kind of strike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindRow {
    /// Which.
    pub blow: &'static str,
    /// How often.
    pub struck: usize,
    /// How often it was seen as a failure.
    pub seen: usize,
    /// How often the engine came back.
    pub recovered: usize,
    /// Seconds until it was seen.
    pub seen_after: Option<Spread>,
    /// Seconds until the engine was ready again.
    pub ready_after: Option<Spread>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// How many engines.
    pub engines: usize,
    /// `process` or `thread`.
    pub isolation: String,
    /// Seconds from the first to the last look.
    pub seconds: f64,
    /// Whether it was ended by hand.
    pub interrupted: bool,
    /// Strikes that found no engine to hit for too long.
    pub left_out: u64,
    /// What the daemon refused, the first few.
    pub refused: Vec<String>,
    /// By kind of strike.
    pub kinds: Vec<KindRow>,
    /// Seconds from the strike to ready, engines that had been healthy and did not hang.
    pub ready_of_healthy: Option<Spread>,
    /// The same of those that had failed before: a delay comes first.
    pub ready_of_unhealthy: Option<Spread>,
    /// The same of those that hung.
    pub ready_of_hung: Option<Spread>,
    /// Seconds from a kill of the model to its next answer.
    pub model_back: Option<Spread>,
    /// Seconds from a kill of the daemon until all engines ran.
    pub daemon_back: Option<Spread>,
    /// Answers before the storm.
    pub answers_calm: AnswerFigures,
    /// Answers of engines that were not hit.
    pub answers_storm: AnswerFigures,
    /// Proportional memory of engine processes, MiB.
    pub engine_memory_mb: Option<Spread>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// Every strike.
    pub outcomes: Vec<Outcome>,
}

/// What is known of a storm besides its evidence.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    pub(super) seed: u64,
    pub(super) engines: usize,
    pub(super) isolation: String,
    pub(super) seconds: f64,
    pub(super) interrupted: bool,
    pub(super) left_out: u64,
    pub(super) refused: Vec<String>,
    pub(super) memory: Vec<f64>,
}

impl Report {
    pub(super) fn new(frame: Frame, evidence: &Evidence, answers: &Answers) -> Self {
        let outcomes = &evidence.seen.outcomes;
        let ready = |of: fn(&Outcome) -> bool| {
            spread(outcomes.iter().filter(|o| !o.in_burst && !o.cut_short && of(o)).filter_map(|o| o.ready))
        };
        Self {
            seed: frame.seed,
            engines: frame.engines,
            isolation: frame.isolation,
            seconds: frame.seconds,
            interrupted: frame.interrupted,
            left_out: frame.left_out,
            refused: frame.refused,
            kinds: kinds(outcomes),
            ready_of_healthy: ready(|o| o.was_healthy && !o.hangs),
            ready_of_unhealthy: ready(|o| !o.was_healthy && !o.hangs),
            ready_of_hung: ready(|o| o.hangs),
            model_back: spread(evidence.model_kills.iter().flatten().copied()),
            daemon_back: spread(evidence.daemon_kills.iter().flatten().copied()),
            answers_calm: (&answers.calm).into(),
            answers_storm: (&answers.storm).into(),
            engine_memory_mb: spread(frame.memory),
            checks: checks(evidence),
            outcomes: outcomes.clone(),
        }
    }

    /// Whether nothing is broken.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.verdict != Verdict::Broken)
    }
}

fn kinds(outcomes: &[Outcome]) -> Vec<KindRow> {
    let mut by_kind = BTreeMap::<&'static str, Vec<&Outcome>>::new();
    for outcome in outcomes.iter().filter(|o| !o.cut_short) {
        by_kind.entry(outcome.blow).or_default().push(outcome);
    }
    let row = |(blow, of): (&'static str, Vec<&Outcome>)| {
        let single = || of.iter().filter(|o| !o.in_burst);
        KindRow {
            blow,
            struck: of.len(),
            seen: of.iter().filter(|o| o.seen.is_some()).count(),
            recovered: of.iter().filter(|o| o.ready.is_some()).count(),
            seen_after: spread(of.iter().filter_map(|o| o.seen)),
            ready_after: spread(single().filter_map(|o| o.ready)),
        }
    };
    by_kind.into_iter().map(row).collect()
}

/// Seconds as people read them.
pub(super) fn short(seconds: f64) -> String {
    if seconds < 0.001 {
        format!("{:.0} us", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

fn cells(of: Option<Spread>) -> [String; 3] {
    of.map_or_else(|| ["-", "-", "-"].map(str::to_owned), |s| [s.p50, s.p99, s.max].map(short))
}

pub(super) fn aligned(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.to_vec()).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = if self.interrupted { ", ended by hand" } else { "" };
        writeln!(
            f,
            "storm {}: {} engines ({}), {:.0} s{ended}\n",
            self.seed, self.engines, self.isolation, self.seconds
        )?;
        let row = |k: &KindRow| {
            let mut row = vec![k.blow.to_owned(), k.struck.to_string(), k.seen.to_string(), k.recovered.to_string()];
            row.extend(cells(k.seen_after));
            row.extend(cells(k.ready_after));
            row
        };
        let header = ["fault", "struck", "seen", "back", "seen p50", "p99", "max", "ready p50", "p99", "max"];
        write!(f, "{}", aligned(&header, self.kinds.iter().map(row).collect()))?;
        writeln!(f)?;
        let figure = |name: &str, of: Option<Spread>| {
            let mut row = vec![name.to_owned(), of.map_or(0, |s| s.count).to_string()];
            row.extend(cells(of));
            row
        };
        let answers = |name: &str, of: &AnswerFigures| {
            let bound = |q: Option<f64>| q.map_or_else(|| "-".to_owned(), |q| format!("<= {}", short(q)));
            vec![
                name.to_owned(),
                of.count.to_string(),
                bound(of.p50),
                bound(of.p99),
                format!("{} over 1 s", of.over_1s),
            ]
        };
        let rows = vec![
            figure("ready again, healthy before", self.ready_of_healthy),
            figure("ready again, after a delay", self.ready_of_unhealthy),
            figure("ready again, hung", self.ready_of_hung),
            figure("model answers again", self.model_back),
            figure("daemon killed, all engines run", self.daemon_back),
            answers("bar answered, calm", &self.answers_calm),
            answers("bar answered by others, storm", &self.answers_storm),
        ];
        write!(f, "{}", aligned(&["figure", "count", "p50", "p99", "max"], rows))?;
        if let Some(memory) = self.engine_memory_mb {
            writeln!(
                f,
                "memory of an engine process (proportional): p50 {:.1} MiB, max {:.1} MiB",
                memory.p50, memory.max
            )?;
        }
        if self.left_out > 0 {
            writeln!(f, "{} strikes were left out: their engine was not up in time", self.left_out)?;
        }
        for refused in &self.refused {
            writeln!(f, "refused: {refused}")?;
        }
        writeln!(f)?;
        for check in &self.checks {
            let word = match check.verdict {
                Verdict::Held => "held  ",
                Verdict::Broken => "BROKEN",
                Verdict::Unseen => "  -   ",
            };
            writeln!(f, "{word}  {}: {}", check.name, check.evidence)?;
        }
        let broken = self.checks.iter().filter(|check| check.verdict == Verdict::Broken).count();
        if broken == 0 { write!(f, "\neverything held") } else { write!(f, "\n{broken} BROKEN") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::watch::Seen;

    fn outcome(blow: &'static str, seen: Option<f64>, ready: Option<f64>) -> Outcome {
        let failures = u64::from(seen.is_some());
        Outcome {
            symbol: "BTCUSDT".parse().unwrap(),
            blow,
            hangs: blow == "spin",
            in_burst: false,
            was_healthy: blow == "kill",
            at: 1.0,
            seen,
            ready,
            failures,
            generations: u64::from(ready.is_some()),
            cause: None,
            cut_short: false,
        }
    }

    fn report(outcomes: Vec<Outcome>) -> Report {
        let seen = Seen { outcomes, ..Seen::default() };
        let evidence = Evidence { due: 3, struck: 3, seen, ..Evidence::default() };
        let frame = Frame { seed: 7, engines: 15, isolation: "process".into(), seconds: 60.0, ..Frame::default() };
        Report::new(frame, &evidence, &Answers::default())
    }

    #[test]
    fn figures_stand_with_their_kind() {
        let report = report(vec![
            outcome("kill", Some(0.002), Some(0.009)),
            outcome("kill", Some(0.004), Some(0.250)),
            outcome("spin", Some(3.0), Some(3.5)),
        ]);
        assert!(report.holds());
        assert_eq!(report.kinds.len(), 2);
        assert_eq!(report.ready_of_healthy.map(|s| (s.count, s.max)), Some((2, 0.25)));
        assert_eq!(report.ready_of_hung.unwrap().count, 1);
        assert_eq!(report.ready_of_unhealthy, None);
        let text = report.to_string();
        for words in
            ["storm 7: 15 engines (process), 60 s", "250.0 ms", "3.50 s", "everything held", "held    every fault"]
        {
            assert!(text.contains(words), "`{words}` is missing in:\n{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["kinds"][0]["ready_after"]["p50"], 0.009);
        assert_eq!(json["checks"][0]["verdict"], "held");
    }

    #[test]
    fn what_is_broken_stands_out() {
        let report = report(vec![outcome("kill", None, None)]);
        assert!(!report.holds());
        let text = report.to_string();
        assert!(text.contains("BROKEN  every engine that is hit comes back: BTCUSDT kill at 1.0 s"), "{text}");
        assert!(text.ends_with("3 BROKEN"), "{text}");
    }
}
