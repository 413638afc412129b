//! One line a trading record, in the symbol's own log file.

use levibot_core::domain::{Intent, Ts};
use levibot_core::record::{Record, Verdict};

/// Target of these lines, so that they can be filtered.
pub const TARGET: &str = "levibot::trading";

/// Writes the line of a record that is about one symbol. `ts` is trading time; the line's own stamp is wall time.
pub(super) fn log(ts: Ts, record: &Record) {
    let Some(symbol) = record.symbol() else { return };
    match record {
        Record::Decision { decision, verdict, .. } => {
            let wanted = match decision.intent {
                Some(Intent::Enter { direction, .. }) => format!("enter {direction:?}").to_lowercase(),
                Some(Intent::Exit) => "exit".to_owned(),
                Some(Intent::Tighten { stop }) => format!("tighten to {stop}"),
                None => return,
            };
            match verdict {
                Verdict::Approved { .. } => {
                    tracing::info!(target: TARGET, %symbol, at = %ts, wanted, "decision approved")
                }
                Verdict::Unchanged => {
                    tracing::debug!(target: TARGET, %symbol, at = %ts, wanted, "decision changes nothing")
                }
                Verdict::Refused { check, reason, .. } => {
                    tracing::info!(target: TARGET, %symbol, at = %ts, wanted, check, reason, "decision refused");
                }
            }
        }
        Record::Intent { order, .. } => {
            tracing::info!(
                target: TARGET, %symbol, at = %ts, order = %order.id, side = ?order.side, leg = ?order.leg,
                qty = %order.qty, cause = %order.cause, "order"
            );
        }
        Record::Fill { fill } => {
            tracing::info!(
                target: TARGET, %symbol, at = %ts, order = %fill.order, side = ?fill.side, qty = %fill.qty,
                price = %fill.price, fee = %fill.fee, "fill"
            );
        }
        Record::Bracket { bracket, .. } => {
            tracing::debug!(target: TARGET, %symbol, at = %ts, stop = bracket.stop, target = ?bracket.target, "bracket");
        }
        Record::Freeze { cause, reason, .. } => {
            tracing::info!(target: TARGET, %symbol, at = %ts, %cause, reason = reason.as_deref().unwrap_or("gone"), "freeze");
        }
        _ => {}
    }
}
