//! One journal record into rows.

use levibot_core::domain::{Decision, Intent, Reason, Symbol};
use levibot_core::record::{Bracket, Envelope, Record, Verdict};
use rust_decimal::Decimal;
use serde::Serialize;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use super::book::Book;
use super::{StoreError, database};

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// A decimal as canonical text.
pub(super) fn text(value: Decimal) -> String {
    value.normalize().to_string()
}

/// A unit variant's name, as the journal writes it.
pub(super) fn word<T: Serialize>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok().map(|json| json.trim_matches('"').to_owned())
}

pub(super) fn json<T: Serialize>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}

impl Book {
    /// Writes the rows of one record; positions and stocks wait for [`Self::save`].
    pub(super) async fn apply(&mut self, db: &mut SqliteConnection, envelope: &Envelope) -> Result<(), StoreError> {
        let seq = i64::try_from(envelope.seq).map_err(|_| StoreError::Value { seq: envelope.seq })?;
        let at = (seq, envelope.ts.nanos());
        let query = match &envelope.record {
            Record::Fill { fill } => return self.trade(db, fill, None, at).await,
            Record::Foreign { fill, name } => return self.trade(db, fill, Some(name), at).await,
            Record::Transfer { transfer } => return self.transfer(db, transfer, at).await,
            Record::Funding { funding } => return self.funding(db, funding, at).await,
            Record::Mark { cash, equity, positions, stocks } => {
                self.mark(positions, at);
                let insert = "INSERT INTO equity (seq, ts, cash, equity, positions, stocks) VALUES (?, ?, ?, ?, ?, ?)";
                let open = i64::try_from(positions.len()).unwrap_or(i64::MAX);
                let query = start(insert, at).bind(text(cash.get())).bind(text(equity.get())).bind(open);
                query.bind(Some(stocks).filter(|stocks| !stocks.is_empty()).and_then(json))
            }
            record => {
                if let Record::Started { setup, .. } | Record::Setup { setup } = record {
                    self.adopt(db, setup).await?;
                }
                row(record, at).ok_or(StoreError::Value { seq: envelope.seq })?
            }
        };
        query.execute(db).await.map_err(database("write a row to"))?;
        Ok(())
    }
}

pub(super) fn start(sql: &'static str, (seq, ts): (i64, i64)) -> Query {
    sqlx::query(sql).bind(seq).bind(ts)
}

/// The one statement of a record that is neither a trade, a transfer, funding nor a mark; `None` when serde refuses it.
fn row(record: &Record, at: (i64, i64)) -> Option<Query> {
    Some(match record {
        Record::Decision { symbol, decision, verdict } => decision_row(*symbol, decision, verdict, at)?,
        Record::Intent { order, reserved, bracket } => start(
            "INSERT INTO orders (seq, ts, id, symbol, side, leg, qty, cause, attempt, trigger_price, reserved, bracket,
                                 status, status_ts)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'intent', ?2) ON CONFLICT (id) DO NOTHING",
            at,
        )
        .bind(order.id.as_str().to_owned())
        .bind(order.symbol.as_str().to_owned())
        .bind(word(&order.side))
        .bind(word(&order.leg))
        .bind(text(order.qty.get()))
        .bind(order.cause.to_string())
        .bind(i64::from(order.attempt))
        .bind(order.trigger.map(|price| text(price.get())))
        .bind(text(reserved.get()))
        .bind(bracket.as_ref().and_then(json)),
        Record::Accepted { order } => {
            // A venue's word that comes late does not bring a finished order back.
            let update = "UPDATE orders SET status = 'accepted', status_ts = ?2 WHERE id = ?3 AND status IN ('intent', 'unknown')";
            start(update, at).bind(order.as_str().to_owned())
        }
        Record::Done { order, reason, text } => {
            let update = "UPDATE orders SET status = ?4, status_ts = ?2, text = ?5 WHERE id = ?3";
            start(update, at).bind(order.as_str().to_owned()).bind(word(reason)).bind(text.clone())
        }
        Record::Bracket { symbol, bracket } => bracket_row(*symbol, bracket, at),
        Record::Halt { level, reason } => halt_row("halt", at, word(level), None, Some(reason), None),
        Record::Resume { reason, start_equity } => {
            halt_row("resume", at, None, None, Some(reason), Some(text(start_equity.get())))
        }
        Record::Freeze { symbol, cause, reason } => {
            let kind = if reason.is_some() { "freeze" } else { "unfreeze" };
            let text = reason.clone().unwrap_or_default();
            let why = Some(Reason { by: word(cause).unwrap_or_default(), text });
            halt_row(kind, at, None, Some(*symbol), why.as_ref(), None)
        }
        Record::Command { by, command, outcome } => {
            let insert = "INSERT INTO commands (seq, ts, by, command, outcome) VALUES (?, ?, ?, ?, ?)";
            start(insert, at).bind(by.clone()).bind(command.clone()).bind(outcome.clone())
        }
        Record::Forecasts { bar, forecasts } => {
            let insert = "INSERT INTO forecasts (seq, ts, bar, symbol, model, prob_up, votes, q10, q50, q90)
                          SELECT ?1, ?2, ?3, value ->> '$.symbol', value ->> '$.forecast.version',
                                 value ->> '$.forecast.prob_up', value -> '$.forecast.votes',
                                 value ->> '$.forecast.quantiles[0]', value ->> '$.forecast.quantiles[1]',
                                 value ->> '$.forecast.quantiles[2]'
                          FROM json_each(?4)";
            start(insert, at).bind(bar.nanos()).bind(json(forecasts)?)
        }
        Record::Model { .. } => event_row("model", record, at)?,
        Record::Strategies { .. } => event_row("strategies", record, at)?,
        Record::Started { .. } => event_row("started", record, at)?,
        Record::Setup { .. } => event_row("setup", record, at)?,
        Record::Day { .. } => event_row("day", record, at)?,
        Record::Ended { .. } => event_row("ended", record, at)?,
        Record::Unknown { order, text, .. } => {
            let update = "UPDATE orders SET status = 'unknown', status_ts = ?2, text = ?4 WHERE id = ?3";
            start(update, at).bind(order.as_str().to_owned()).bind(text.clone())
        }
        Record::Absent { .. } => event_row("absent", record, at)?,
        Record::Dust { .. } => event_row("dust", record, at)?,
        Record::Reconciled { .. } => event_row("reconciled", record, at)?,
        Record::Close { .. } => event_row("close", record, at)?,
        Record::Drill { .. } => event_row("drill", record, at)?,
        Record::Wanted { .. } => event_row("wanted", record, at)?,
        Record::Rebalance { .. } => event_row("rebalance", record, at)?,
        Record::Fill { .. }
        | Record::Foreign { .. }
        | Record::Transfer { .. }
        | Record::Funding { .. }
        | Record::Mark { .. } => return None,
    })
}

fn event_row(kind: &'static str, record: &Record, at: (i64, i64)) -> Option<Query> {
    let insert = "INSERT INTO events (seq, ts, type, body) VALUES (?, ?, ?, ?)";
    Some(start(insert, at).bind(kind).bind(json(record)?))
}

fn decision_row(symbol: Symbol, decision: &Decision, verdict: &Verdict, at: (i64, i64)) -> Option<Query> {
    let (intent, direction, probability, volatility, reference, stop) = match &decision.intent {
        None => (None, None, None, None, None, None),
        Some(Intent::Exit) => (Some("exit"), None, None, None, None, None),
        Some(Intent::Tighten { stop }) => (Some("tighten"), None, None, None, None, Some(*stop)),
        Some(Intent::Enter { direction, probability, volatility, reference, bracket, .. }) => {
            let direction = Some(word(direction)?);
            (Some("enter"), direction, *probability, Some(*volatility), Some(*reference), bracket.stop)
        }
    };
    let (verdict, check, reason, sizing, checks) = match verdict {
        Verdict::Approved { sizing, checks } => ("approved", None, None, sizing, checks.as_slice()),
        Verdict::Refused { check, reason, sizing, checks } => {
            ("refused", Some(check.clone()), Some(reason.clone()), sizing, checks.as_slice())
        }
        Verdict::Unchanged => ("unchanged", None, None, &None, &[][..]),
    };
    let (sizing, checks) =
        (sizing.as_ref().and_then(json), Some(checks).filter(|c| !c.is_empty()).and_then(|c| json(&c)));
    let insert = "INSERT INTO decisions (seq, ts, symbol, bar, policy, features, intent, direction, probability,
                                         volatility, reference, stop, verdict, check_name, reason, sizing,
                                         model, prob_up, votes, checks)
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let query = start(insert, at)
        .bind(symbol.as_str().to_owned())
        .bind(decision.bar.nanos())
        .bind(format!("{:016x}", decision.policy))
        .bind(format!("{:016x}", decision.features))
        .bind(intent)
        .bind(direction)
        .bind(probability)
        .bind(volatility)
        .bind(reference)
        .bind(stop);
    let forecast = decision.forecast.as_ref();
    let query = query.bind(verdict).bind(check).bind(reason).bind(sizing);
    let query = query.bind(forecast.map(|f| f.version.as_str().to_owned())).bind(forecast.map(|f| f.prob_up));
    Some(query.bind(forecast.and_then(|f| json(&f.votes))).bind(checks))
}

fn bracket_row(symbol: Symbol, bracket: &Bracket, at: (i64, i64)) -> Query {
    let insert = "INSERT INTO brackets (seq, ts, symbol, entry, stop, target, trailing, trailed, best, expires)
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    start(insert, at)
        .bind(symbol.as_str().to_owned())
        .bind(bracket.entry.as_str().to_owned())
        .bind(bracket.stop)
        .bind(bracket.target)
        .bind(bracket.trailing)
        .bind(bracket.trailed)
        .bind(bracket.best)
        .bind(bracket.expires.map(|ts| ts.nanos()))
}

fn halt_row(
    kind: &'static str,
    at: (i64, i64),
    level: Option<String>,
    symbol: Option<Symbol>,
    reason: Option<&Reason>,
    start_equity: Option<String>,
) -> Query {
    let insert = "INSERT INTO halts (seq, ts, kind, level, symbol, by, text, start_equity)
                  VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    start(insert, at)
        .bind(kind)
        .bind(level)
        .bind(symbol.map(|s| s.as_str().to_owned()))
        .bind(reason.map(|r| r.by.clone()).filter(|by| !by.is_empty()))
        .bind(reason.map(|r| r.text.clone()))
        .bind(start_equity)
}
