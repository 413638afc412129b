//! Tables of what limits do: a rebalancing, a stop.

use comfy_table::Cell;
use levibot_core::account::simulate::Row;
use levibot_core::domain::{Direction, Money};
use levibot_core::record::RebalanceRow;

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

/// What a rebalancing would do; `None` where it cannot be written as JSON.
pub(super) fn rebalance(view: &AccountView, as_json: bool, look: Look) -> Option<String> {
    let rows = &view.rebalance;
    if as_json {
        return json(rows);
    }
    if rows.is_empty() {
        return Some("no open position: there is nothing to weigh\n".to_owned());
    }
    Some(rebalance_table(rows, look))
}

fn rebalance_table(rows: &[RebalanceRow], look: Look) -> String {
    let columns = [
        left("SYMBOL"),
        right("NOTIONAL"),
        right("VOLATILITY"),
        right("SHARE OF RISK"),
        right("TARGET"),
        right("COST"),
        left("ACTION"),
    ];
    let money = |amount: f64| Cell::new(Money::approx(amount).map_or_else(|_| "?".to_owned(), format::money));
    let row = |row: &RebalanceRow| {
        vec![
            plain(row.symbol.as_str()),
            money(row.notional),
            Cell::new(format!("{:.2} %", 100.0 * row.volatility)),
            Cell::new(format!("{:.1} %", 100.0 * row.share)),
            money(row.target),
            money(row.cost),
            plain(&row.action),
        ]
    };
    let rows = rows.iter().map(row).collect();
    trimmed(&table(look, &columns, rows)) + "\nnothing is done: leave out --dry-run to rebalance now\n"
}

/// Made-up positions under the limits of a configuration, as `levibot risk simulate` prints them.
pub fn show_simulation(rows: &[Row], as_json: bool) -> String {
    if as_json {
        return json(&rows).unwrap_or_default();
    }
    let look = Look::of_stdout();
    let columns = [
        left("SYMBOL"),
        left("SIDE"),
        right("PROBABILITY"),
        right("VOLATILITY"),
        right("BASE"),
        right("KELLY"),
        right("NOTIONAL"),
        left("BOUND BY"),
        left("REFUSED BY"),
    ];
    let nothing = || NOTHING.to_owned();
    let amount = |amount: Option<f64>| {
        Cell::new(amount.map_or_else(nothing, |a| Money::approx(a).map_or_else(|_| "?".to_owned(), format::money)))
    };
    let line = |row: &Row| {
        vec![
            plain(row.symbol.as_str()),
            Cell::new(if row.side == Direction::Long { "long" } else { "short" }),
            Cell::new(format!("{:.1} %", 100.0 * row.probability)),
            Cell::new(format!("{:.2} %", 100.0 * row.volatility)),
            amount(row.base),
            Cell::new(row.kelly.map_or_else(nothing, |kelly| format!("{kelly:.3}"))),
            if row.approved { amount(row.notional) } else { Cell::new(NOTHING) },
            plain(row.bound_by.as_deref().unwrap_or(NOTHING)),
            plain(row.check.as_deref().unwrap_or(NOTHING)),
        ]
    };
    let approved = rows.iter().filter(|row| row.approved);
    let (count, sum) = (approved.clone().count(), approved.filter_map(|row| row.notional).sum::<f64>());
    let sum = Money::approx(sum).map_or_else(|_| "?".to_owned(), format::money);
    let mut text = trimmed(&table(look, &columns, rows.iter().map(line).collect()));
    text += &format!("\n{count} of {} positions, {sum} in all\n", rows.len());
    for row in rows {
        if let (Some(check), Some(reason)) = (&row.check, &row.reason) {
            text += &format!("{}: {check}: {}\n", row.symbol, format::clean(reason));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::HaltLevel;

    use super::*;
    use crate::control::{EngineStop, samples};

    #[test]
    fn a_stop_is_shown_from_the_drill_and_from_the_loss() {
        let engine = |name: &str, stopped_ms| EngineStop { symbol: samples::symbol(name), stopped_ms };
        let view = StopView {
            number: 1,
            level: HaltLevel::ReduceOnly,
            reason: "risk: the day's loss\x1b[2J".to_owned(),
            drill_ms: Some(100.0),
            halted_ms: 0.25,
            cancels: 3,
            cancelled_ms: Some(1.5),
            engines: vec![engine("BTCUSDT", Some(12.0)), engine("ETHUSDT", None)],
            took_ms: None,
        };
        let text = stop(&view, Look::PLAIN);
        let line = |first: &str| {
            let line = text.lines().find(|line| line.starts_with(first)).unwrap_or_else(|| panic!("{text}"));
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).skip(1).collect::<Vec<_>>()
        };
        assert_eq!(line("halt latched"), ["100.250", "0.250"]);
        assert_eq!(line("3 cancel(s)"), ["101.500", "1.500"]);
        assert_eq!(
            (line("BTCUSDT"), line("ETHUSDT"), line("all")),
            (vec!["112.000", "12.000"], vec!["-"; 2], vec!["-"; 2])
        );
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn a_rebalancing_is_shown_row_by_row() {
        assert!(rebalance(&samples::account(), false, Look::PLAIN).unwrap().starts_with("no open position"));
        let text = rebalance_table(
            &[RebalanceRow {
                symbol: samples::symbol("BTCUSDT"),
                notional: 1_200.0,
                volatility: 0.021,
                share: 0.6,
                target: 800.0,
                cost: 0.32,
                action: "reduce".into(),
            }],
            Look::PLAIN,
        );
        for part in ["1,200.00", "2.10 %", "60.0 %", "800.00", "0.32", "reduce"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
