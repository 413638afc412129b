//! What the record, the tape and the log say of a storm afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use levibot_core::alerts::Topic;
use levibot_core::domain::{Event, Ix, Side, Span, Symbol, Timeframe, Ts};
use levibot_core::record::{Record, TapeItem, TapeTarget};

use super::check::{Bars, RecordFacts, Told};
use super::kept::Journaled;
use crate::app::offline::{audit, replay_record};
use crate::config::Config;
use crate::journal::{JOURNAL_FILE, TapeReader, scan};
use crate::telemetry::chain;

/// Bars that an engine may still owe when the storm ends.
const BARS_OWED: i64 = 3;

/// When engines were away, in trading time.
pub(super) type Absences = BTreeMap<Symbol, Vec<(Ts, Ts)>>;

/// Reads everything; bars are judged from the trading time `from` on. `ended` says whether the daemon has: else it is
/// not run again.
pub(super) fn facts(config: &Config, symbols: &[Symbol], away: &Absences, from: Ts, ended: bool) -> RecordFacts {
    let dir = &config.run.data_dir;
    let mut facts = RecordFacts { doubled: doubled(dir), ..RecordFacts::default() };
    facts.audit = Some(match audit(dir, &config.store) {
        Ok(outcome) if outcome.is_clean() => Ok(format!("{} records, the audit is clean", outcome.report.records)),
        Ok(outcome) => Err(outcome.fault.as_ref().map_or_else(|| outcome.to_string(), ToString::to_string)),
        Err(error) => Err(chain(&error)),
    });
    if ended {
        facts.replay = Some(match replay_record(config, dir) {
            Ok(outcome) if outcome.different == 0 => Ok(format!(
                "{} decisions and {} records, 0 differ, {} beyond a tape",
                outcome.decisions, outcome.records, outcome.beyond
            )),
            Ok(outcome) => Err(format!("{} differ: {}", outcome.different, outcome.differences.join("; "))),
            Err(error) => Err(chain(&error)),
        });
    }
    facts.exits_while_away = exits_while_away(dir, away);
    let timeframe = config.market.timeframe;
    facts.bars = taped(dir, timeframe).ok().map(|taped| judge(&taped, symbols, timeframe.span(), away, from));
    facts
}

fn doubled(dir: &Path) -> Vec<String> {
    let (mut orders, mut trades, mut doubled) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let read = scan(&dir.join(JOURNAL_FILE), &mut |envelope| match &envelope.record {
        Record::Intent { order, .. } if !orders.insert(order.id) => doubled.push(format!("order {}", order.id)),
        Record::Fill { fill } if !trades.insert((fill.symbol, fill.trade_id)) => {
            doubled.push(format!("trade {} of {}", fill.trade_id, fill.symbol));
        }
        _ => {}
    });
    doubled.extend(read.err().map(|error| chain(&error)));
    doubled
}

/// What the journal holds.
pub(super) fn journaled(dir: &Path) -> Result<Journaled, String> {
    let mut journaled = Journaled::default();
    let read = scan(&dir.join(JOURNAL_FILE), &mut |envelope| {
        if let Record::Fill { fill } = &envelope.record {
            journaled.fills.push((fill.symbol, fill.trade_id, fill.ts));
            let (qty, net) = (fill.qty.get(), journaled.positions.entry(fill.symbol).or_default());
            *net += if fill.side == Side::Buy { qty } else { -qty };
        }
    });
    journaled.seq = read.map_err(|error| chain(&error))?.head.seq;
    journaled.positions.retain(|_, net| !net.is_zero());
    Ok(journaled)
}

fn is_away(away: &Absences, symbol: Symbol, at: Ts) -> bool {
    away.get(&symbol).is_some_and(|spans| spans.iter().any(|(from, to)| (*from..=*to).contains(&at)))
}

fn exits_while_away(dir: &Path, away: &Absences) -> u64 {
    let mut exits = 0;
    let _ = scan(&dir.join(JOURNAL_FILE), &mut |envelope| {
        let is_exit = envelope.record.bracket_rule().is_some();
        exits += u64::from(is_exit && envelope.record.symbol().is_some_and(|s| is_away(away, s, envelope.ts)));
    });
    exits
}

/// Bars as the tape tells of them: which closed, by the account, and which were decided.
#[derive(Debug, Default)]
struct Taped {
    closed: BTreeSet<(Ix, Ts)>,
    decided: BTreeSet<(Ix, Ts)>,
    /// The last entry.
    last: Ts,
}

fn taped(dir: &Path, timeframe: Timeframe) -> Result<Taped, String> {
    let mut taped = Taped { last: Ts::EPOCH, ..Taped::default() };
    for item in TapeReader::open(&dir.join("tape")).map_err(|error| chain(&error))? {
        let Ok(TapeItem::Entry(entry)) = item else { continue };
        taped.last = taped.last.max(entry.ts);
        match (entry.to, entry.event) {
            (TapeTarget::Account, Event::Bar { instrument, bar, .. }) => {
                taped.closed.insert((instrument, bar.close_ts(timeframe)));
            }
            (TapeTarget::Account, Event::Decision(decision)) => {
                taped.decided.insert((decision.instrument, decision.bar));
            }
            _ => {}
        }
    }
    Ok(taped)
}

/// Judges the bars that closed after the storm began at `from`. Excused are those whose engine was away, and a bar
/// around it; and the last ones, which may still be answered.
fn judge(taped: &Taped, symbols: &[Symbol], bar: Span, away: &Absences, from: Ts) -> Bars {
    let around = |(a, b): &(Ts, Ts)| (*a - bar, *b + bar);
    let widened: Absences = away.iter().map(|(s, spans)| (*s, spans.iter().map(around).collect())).collect();
    let mut bars = Bars::default();
    for (ix, close) in taped.closed.iter().filter(|(_, close)| *close > from) {
        let Some(symbol) = symbols.get(ix.at()).copied() else { continue };
        if taped.last - *close <= bar.times(BARS_OWED) || is_away(&widened, symbol, *close) {
            bars.excused += 1;
            continue;
        }
        bars.judged += 1;
        if !taped.decided.contains(&(*ix, *close)) {
            bars.lost.push(format!("{symbol} at {close}"));
        }
    }
    bars
}

/// Alerts of crashes in the log, from `since` on (wall time); `None` when there is no log.
pub(super) fn told(dir: &Path, since: Ts) -> Option<Told> {
    let mut told = Told::default();
    let files = fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    for file in files.filter(|path| path.extension().is_some_and(|end| end == "jsonl")) {
        for line in fs::read_to_string(file).ok()?.lines() {
            take_line(line, since, &mut told);
        }
    }
    Some(told)
}

/// One line of the log: an alert names its topic and its symbol.
fn take_line(line: &str, since: Ts, told: &mut Told) {
    let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { return };
    let text = |key: &str| line.get(key).and_then(serde_json::Value::as_str);
    let is_new = text("ts").and_then(|ts| ts.parse::<Ts>().ok()).is_some_and(|ts| ts >= since);
    let symbol = text("symbol").and_then(|symbol| symbol.parse::<Symbol>().ok());
    let (Some("alert"), true, Some(symbol)) = (text("msg"), is_new, symbol) else { return };
    let is_quarantine = text("topic") == Some(Topic::EngineQuarantine.as_str());
    if is_quarantine || text("topic") == Some(Topic::EngineCrash.as_str()) {
        *told.crashes.entry(symbol).or_default() += 1;
        *told.quarantines.entry(symbol).or_default() += u64::from(is_quarantine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_excused_by_the_absence_of_its_own_engine_alone() {
        let symbols: [Symbol; 2] = ["BTCUSDT", "ETHUSDT"].map(|text| text.parse().unwrap());
        let at = |minute: i64| Ts::from_secs(minute * 60);
        let both = || [Ix(0), Ix(1)].into_iter();
        let closed = |to: i64| both().flat_map(move |ix| (0..=to).map(move |minute| (ix, at(minute))));
        let taped = |missing: &[(Ix, i64)]| {
            let missing: Vec<_> = missing.iter().map(|(ix, minute)| (*ix, at(*minute))).collect();
            let decided = closed(20).filter(|bar| !missing.contains(bar)).collect();
            Taped { closed: closed(20).collect(), decided, last: at(20) }
        };
        let away: Absences = [(symbols[0], vec![(at(10), at(11))])].into();
        let judged = |missing: &[(Ix, i64)]| judge(&taped(missing), &symbols, Span::from_secs(60), &away, at(4));
        // From 5 to 20 there are 16 each: 4 are owed, and 4 of the first lie around its absence.
        let whole = judged(&[]);
        assert_eq!((whole.lost.len(), whole.judged, whole.excused), (0, 20, 12));
        assert!(judged(&[(Ix(0), 9), (Ix(0), 12), (Ix(1), 17), (Ix(1), 3)]).lost.is_empty());
        for lost in [(Ix(0), 8), (Ix(0), 13), (Ix(1), 10), (Ix(1), 16)] {
            assert_eq!(judged(&[lost]).lost, [format!("{} at {}", symbols[lost.0.at()], at(lost.1))]);
        }
    }

    #[test]
    fn alerts_of_engines_are_counted_by_their_topic_and_from_their_time_on() {
        let mut told = Told::default();
        let since = Ts::from_secs(1_700_000_000);
        let line = |ts: &str, symbol: &str, topic: &str| {
            format!(r#"{{"ts":"{ts}","level":"warn","symbol":"{symbol}","msg":"alert","topic":"{topic}","text":"x"}}"#)
        };
        for (ts, symbol, topic) in [
            ("2025-01-01T00:00:00Z", "BTCUSDT", "engine_crash"),
            ("2025-01-01T00:00:01Z", "BTCUSDT", "engine_quarantine"),
            ("2025-01-01T00:00:01Z", "ETHUSDT", "engine_crash"),
            ("2025-01-01T00:00:01Z", "ETHUSDT", "account"),
            ("2020-01-01T00:00:01Z", "ETHUSDT", "engine_crash"),
        ] {
            take_line(&line(ts, symbol, topic), since, &mut told);
        }
        take_line("no line", since, &mut told);
        let count = |of: &BTreeMap<Symbol, u64>, symbol: &str| of.get(&symbol.parse().unwrap()).copied();
        assert_eq!((count(&told.crashes, "BTCUSDT"), count(&told.crashes, "ETHUSDT")), (Some(2), Some(1)));
        assert_eq!((count(&told.quarantines, "BTCUSDT"), count(&told.quarantines, "ETHUSDT")), (Some(1), Some(0)));
    }
}
