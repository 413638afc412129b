//! `levibot backtest`: from the options to what is printed.

use std::io::Write;

use comfy_table::Cell;
use levibot_core::domain::Ts;

use super::backtest_args::BacktestArgs;
use super::format::{self, NOTHING};
use super::render::{Look, left, plain, right, table, trimmed};
use super::{CliError, ClientArgs, exit, json, write};
use crate::backtest::{self, BacktestError, Done, SweepView, View, WalkView};

/// Rows of a sweep that are shown; all are in its JSON.
const ROWS_SHOWN: usize = 10;

/// Why a backtest was not done.
#[derive(Debug, thiserror::Error)]
pub enum BacktestCliError {
    /// As it says.
    #[error(transparent)]
    Backtest(#[from] BacktestError),
    /// The result could not be printed.
    #[error(transparent)]
    Output(#[from] CliError),
}

impl BacktestCliError {
    /// What the process should end with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Backtest(error) => error.exit_code(),
            Self::Output(error) => error.exit_code(),
        }
    }
}

/// Does the backtest and prints its result to `out`, and what has to be known to `errors`; gives the exit code.
///
/// # Errors
/// [`BacktestCliError`]; print it, with its sources, and end with its exit code.
pub fn run_backtest(
    args: &BacktestArgs,
    client: &ClientArgs,
    out: &mut impl Write,
    errors: impl Fn(&str),
) -> Result<u8, BacktestCliError> {
    let request = args.request();
    let tell = |text: &str| {
        if !args.quiet {
            errors(&format!("levibot: warning: {}", format::clean(text)));
        }
    };
    let done = backtest::run(&request, &tell)?;
    let text = if client.json { json(&done.view).unwrap_or_default() } else { show(&done, Look::of_stdout()) };
    write(out, &text)?;
    if done.interrupted {
        errors("levibot: interrupted: the result is that of what was done by then");
    }
    if let Some(error) = done.unwritten {
        return Err(error.into());
    }
    if done.interrupted {
        return Ok(exit::REFUSED);
    }
    Ok(exit::DONE)
}

fn fraction(value: Option<f64>) -> String {
    value.filter(|x| x.is_finite()).map_or_else(|| NOTHING.to_owned(), |x| format!("{:.2} %", 100.0 * x + 0.0))
}

fn number(value: Option<f64>) -> String {
    value.filter(|x| x.is_finite()).map_or_else(|| NOTHING.to_owned(), |x| format!("{:.2}", x + 0.0))
}

fn show(done: &Done, look: Look) -> String {
    let view = &done.view;
    let mut text = headline(view) + "\n\n";
    if let Some(model) = &view.settings.model {
        let (version, through) = (model.version, format::time(model.trained_through));
        text += &format!(
            "asked: {} times version {version}, which has learnt from bars through {through}\n",
            model.forecasts
        );
        if model.in_sample {
            text += "IN SAMPLE: it has learnt from bars that it was asked about; what it earned there means nothing\n";
        }
        text += "\n";
    }
    let count = |n: u64| format::count(n);
    let money = |amount: f64| format::pnl_f64(amount);
    let rows = [
        ("net gain", money(view.net_pnl)),
        ("total return", fraction(view.total_return)),
        ("return a year", fraction(view.annual_return)),
        ("deepest fall", fraction(Some(view.max_drawdown))),
        ("Sharpe ratio a year", number(view.sharpe)),
        ("chance that it is over 0", fraction(view.psr)),
        ("the same after the trials", fraction(view.dsr)),
        ("chance of overfitting", fraction(view.pbo)),
        ("fees", money(-view.fees)),
        ("funding", money(-view.funding)),
        ("slippage", money(-view.slippage)),
        ("trades / fills / orders", [view.trades, view.fills, view.orders].map(count).join(" / ")),
        ("bars", format!("{} in {:.3} s, {} a second", count(view.bars), view.seconds, speed(view.bars_per_second))),
        ("price files read in", format!("{:.3} s", view.load_seconds)),
    ];
    let only_after_trials = ["the same after the trials", "chance of overfitting"];
    let rows = rows.into_iter().filter(|(what, value)| value != NOTHING || !only_after_trials.contains(what));
    let rows = rows.map(|(what, value)| vec![plain(what), Cell::new(value)]).collect();
    text += &trimmed(&table(look, &[left(""), right("")], rows));
    text += "\n";
    if let Some(sweep) = &view.sweep {
        text += &show_sweep(sweep, look);
    }
    if let Some(walk) = &view.walk_forward {
        text += &show_walk(walk, look);
    }
    for (check, count) in &view.refused {
        text += &format!("{count} entries refused by {check}\n");
    }
    text += &halts(&view.halts);
    text
}

/// The first halts, and how many there were: a policy that loses every day is halted every day.
fn halts(all: &[(Ts, String)]) -> String {
    const SHOWN: usize = 3;
    let line = |(ts, reason): &(Ts, String)| format!("{}: halted: {}\n", format::time(*ts), format::clean(reason));
    let mut text: String = all.iter().take(SHOWN).map(line).collect();
    if let Some(more) = all.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        text += &format!("{more} more halts: --json and result.json name them all\n");
    }
    text
}

/// What it comes to, in a sentence that promises nothing.
fn headline(view: &View) -> String {
    let settings = &view.settings;
    let names: Vec<&str> = settings.policies.keys().map(String::as_str).collect();
    let symbols = match settings.symbols.as_slice() {
        [one] => one.to_string(),
        all => format!("{} symbols", all.len()),
    };
    let verb = if view.net_pnl < 0.0 { "lost" } else { "gained" };
    let chance = match (view.dsr, view.psr) {
        (Some(dsr), _) => format!(
            "; after {} trials the chance that this is more than luck is {}",
            view.sweep.as_ref().map_or(0, |s| s.trials),
            fraction(Some(dsr))
        ),
        (None, Some(psr)) => format!("; the chance that its Sharpe ratio is truly over 0 is {}", fraction(Some(psr))),
        (None, None) => String::new(),
    };
    let part = if view.walk_forward.is_some() { ", out of sample" } else { "" };
    format!(
        "{} on {symbols}, bars of {}{part}: {verb} {} of {} {} after {} of fees{chance}. The past promises nothing.",
        names.join(", "),
        settings.timeframe,
        format::pnl_f64(view.net_pnl.abs()).trim_start_matches('+'),
        format::pnl_f64(view.initial_equity).trim_start_matches('+'),
        settings.account.currency,
        format::pnl_f64(view.fees).trim_start_matches('+'),
    )
}

fn speed(bars: f64) -> String {
    if bars >= 1e6 { format!("{:.1} million", bars / 1e6) } else { format!("{bars:.0}") }
}

fn values(names: &[String], values: &[f64]) -> String {
    names.iter().zip(values).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

fn show_sweep(sweep: &SweepView, look: Look) -> String {
    let key = |at: &usize| {
        let row = sweep.rows.get(*at)?;
        match sweep.objective.as_str() {
            "net_pnl" => Some(row.figures.net_pnl),
            "calmar" => row.calmar,
            _ => row.figures.sharpe,
        }
    };
    let mut order: Vec<usize> = (0..sweep.rows.len()).collect();
    order.sort_by(|a, b| {
        let value = |at| key(at).unwrap_or(f64::NEG_INFINITY);
        value(b).total_cmp(&value(a))
    });
    let columns = [
        left("PARAMETERS"),
        right("NET GAIN"),
        right("SHARPE"),
        right("CALMAR"),
        right("DEEPEST FALL"),
        right("FILLS"),
    ];
    let best = order.iter().take(ROWS_SHOWN).filter_map(|at| sweep.rows.get(*at));
    let rows = best
        .map(|row| {
            vec![
                plain(values(&sweep.names, &row.values)),
                Cell::new(format::pnl_f64(row.figures.net_pnl)),
                Cell::new(number(row.figures.sharpe)),
                Cell::new(number(row.calmar)),
                Cell::new(fraction(row.figures.max_drawdown)),
                Cell::new(format::count(row.figures.fills)),
            ]
        })
        .collect();
    let mut text = format!(
        "\nthe best of {} trials by {} ({:.3} s, {} bars a second):\n",
        sweep.trials,
        sweep.objective,
        sweep.seconds,
        speed(sweep.bars_per_second)
    );
    text += &trimmed(&table(look, &columns, rows));
    text += "\n";
    if sweep.refused > 0 {
        let why = format::clean(sweep.refused_first.as_deref().unwrap_or_default());
        text += &format!("{} points are refused by the policy, the first with: {why}\n", sweep.refused);
    }
    text
}

fn show_walk(walk: &WalkView, look: Look) -> String {
    let columns = [
        left("TEST FROM"),
        left("TO"),
        left("PARAMETERS"),
        right("SHARPE IN TRAINING"),
        right("NET GAIN"),
        right("FILLS"),
    ];
    let rows = walk
        .windows
        .iter()
        .map(|window| {
            vec![
                Cell::new(format::time(window.test_from)),
                Cell::new(format::time(window.test_to)),
                plain(values(&walk.names, &window.values)),
                Cell::new(number(window.train.sharpe)),
                Cell::new(format::pnl_f64(window.test.net_pnl)),
                Cell::new(format::count(window.test.fills)),
            ]
        })
        .collect();
    let skipped = if walk.skipped > 0 { format!(" ({} without a bar left out)", walk.skipped) } else { String::new() };
    format!("\n{} of {} windows{skipped}, chosen by {}:\n", walk.windows.len(), walk.planned, walk.objective)
        + &trimmed(&table(look, &columns, rows))
        + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_halts_are_counted() {
        let all: Vec<(Ts, String)> = (1..=5).map(|day| (Ts::from_secs(86_400 * day), format!("loss {day}"))).collect();
        let shown = halts(&all);
        assert_eq!(shown.lines().count(), 4, "{shown}");
        assert!(shown.contains("loss 3") && shown.ends_with("2 more halts: --json and result.json name them all\n"));
        assert_eq!(halts(&all[..3]).lines().count(), 3);
        assert_eq!(halts(&[]), "");
    }
}
