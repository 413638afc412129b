//! Tables of what limits do: a rebalancing, a stop.

use comfy_table::Cell;

use super::format::{self, NOTHING};
use super::json;
use super::render::{Look, left, plain, right, table, trimmed};
use crate::control::{AccountView, StopView};

/// How each engine was stopped.
pub(super) fn stop(view: &StopView, look: Look) -> String {
    let ms = |ms: Option<f64>| Cell::new(ms.map_or_else(|| NOTHING.to_owned(), |ms| format!("{ms:.3}")));
    let columns = [left("WHAT"), right("AFTER THE DRILL, MS"), right("AFTER THE LOSS WAS CONFIRMED, MS")];
    let row = |what: Cell, at: Option<f64>| {
        let all = at.zip(view.drill_ms).map(|(at, drill)| at + drill);
        vec![what, ms(all), ms(at)]
    };
    let mut rows = vec![
        row(Cell::new("halt latched"), Some(view.halted_ms)),
        row(Cell::new(format!("{} cancel(s) at the venue", format::count(view.cancels.into()))), view.cancelled_ms),
    ];
    rows.extend(view.engines.iter().map(|engine| row(plain(engine.symbol.as_str()), engine.stopped_ms)));
    rows.push(row(Cell::new("all"), view.took_ms));
    format!("halted ({}) by {}\n\n", view.level, format::clean(&view.reason)) + &trimmed(&table(look, &columns, rows))
}

/// What a rebalancing would do.
pub(super) fn rebalance(_view: &AccountView, _as_json: bool, _look: Look) -> Option<String> {
    json(&())
}
