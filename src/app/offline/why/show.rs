//! A story as text for people.

use std::fmt::{self, Write as _};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use levibot_core::domain::{BracketSpec, Commission, Intent, Size};
use rust_decimal::Decimal;

use super::super::words;
use super::features::Features;
use super::scene::Scene;
use super::story::{
    DecisionPart, ModelPart, OrderPart, Planned, ProtectionPart, ProtectionState, RecordPart, ResultPart, Section,
    Story,
};

/// States of a protection that are shown; between the first and the last ones are left out and counted.
const STATES_MAX: usize = 8;
/// Orders of a record that are shown.
const ORDERS_MAX: usize = 12;
/// Columns of the table of features.
const FEATURE_COLUMNS: usize = 3;

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.about)?;
        for section in &self.sections {
            let mut lines = Lines::default();
            let title = match section {
                Section::Decision(part) => decision(part, &mut lines),
                Section::Order(part) => order(part, &mut lines),
                Section::Protection(part) => protection(part, &mut lines),
                Section::Result(part) => result(part, &mut lines),
                Section::Record(part) => record(part, &mut lines),
            };
            write!(f, "\n{title}\n{}", lines.0)?;
        }
        for note in &self.notes {
            writeln!(f, "\nnote: {note}")?;
        }
        write!(f, "\nTimes are UTC. #N is record N of {}", self.dir.join(crate::journal::JOURNAL_FILE).display())
    }
}

/// Indented lines.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn say(&mut self, key: &str, value: impl fmt::Display) {
        // Writing to a string cannot fail.
        writeln!(self.0, "  {key:<11} {value}").ok();
    }

    fn table(&mut self, rows: Vec<Vec<String>>, right: &[usize]) {
        let mut table = Table::new();
        table.load_style(NOTHING).force_no_tty();
        table.add_rows(rows);
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if right.contains(&at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.to_string().lines() {
            writeln!(self.0, "    {}", line.trim_end()).ok();
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn decision(part: &DecisionPart, lines: &mut Lines) -> String {
    let by = match &part.strategy {
        Some(name) => format!("{name} (hash {})", part.policy),
        None => format!("not on record (hash {})", part.policy),
    };
    lines.say("strategy", by);
    lines.say("bar", format!("closed at {}", words::time(part.bar.0)));
    lines.say("wanted", wanted(part));
    if let Some(planned) = &part.planned {
        plan(part, planned, lines);
    }
    if let Some(model) = &part.model {
        votes(model, lines);
    }
    features(&part.features, lines);
    account(&part.account, lines);
    sizing(part, lines);
    checks(part, lines);
    let verdict = match &part.refused {
        Some(refused) => format!("refused by {}: {}", refused.check, words::clean(&refused.reason)),
        None if part.verdict == "unchanged" => "unchanged: what was wanted is already so".to_owned(),
        None => part.verdict.to_owned(),
    };
    lines.say("verdict", verdict);
    format!("DECISION of {} at {} (#{})", part.symbol, words::time(part.time.0), part.seq)
}

fn wanted(part: &DecisionPart) -> String {
    let n = words::number;
    match part.wanted {
        Some(Intent::Enter { direction, probability, volatility, reference, size, bracket }) => {
            let probability = probability.map_or_else(|| "none, a rule has none".to_owned(), percent);
            format!(
                "to be {} at {} (close of the bar); probability of the side: {probability}; usual move {}; {}{}",
                words::direction(direction),
                n(reference),
                percent(volatility),
                bracket_words(&bracket),
                size_words(size)
            )
        }
        Some(Intent::Exit) => "to be flat".to_owned(),
        Some(Intent::Tighten { stop }) => format!("to move the stop to {}", n(stop)),
        None => "nothing".to_owned(),
    }
}

fn stop_at(stop: Option<f64>) -> String {
    stop.map_or_else(|| "no stop".to_owned(), |stop| format!("stop at {}", words::number(stop)))
}

fn stop_words(stop: Option<f64>) -> String {
    stop.map_or_else(|| "no stop".to_owned(), |stop| format!("stop {}", words::number(stop)))
}

/// How large the strategy wants it, where it says so.
fn size_words(size: Size) -> String {
    let n = words::number;
    match size {
        Size::Account => String::new(),
        Size::Units(units) => format!("; size {} units", n(units)),
        Size::Notional(notional) => format!("; size {} of the account's currency", n(notional)),
        Size::Equity(share) => format!("; size {} of equity", percent(share)),
    }
}

fn bracket_words(bracket: &BracketSpec) -> String {
    let mut text =
        bracket.stop.map_or_else(|| "no stop".to_owned(), |stop| format!("stop {} away", words::number(stop)));
    for (name, distance) in [("target", bracket.target), ("trailing", bracket.trailing)] {
        if let Some(distance) = distance {
            text.push_str(&format!(", {name} {} away", words::number(distance)));
        }
    }
    if let Some(time) = bracket.time_exit {
        text.push_str(&format!(", at most {}", words::span(time)));
    }
    text
}

fn plan(part: &DecisionPart, planned: &Planned, lines: &mut Lines) {
    let n = words::number;
    let size = match (planned.notional, planned.quantity) {
        (Some(notional), Some(quantity)) => format!("{notional:.2} ({} units)", n(quantity)),
        _ => "a size that was not reckoned any more".to_owned(),
    };
    let target = planned.target.map_or_else(String::new, |target| format!(", target at {}", n(target)));
    let loss =
        planned.loss_at_stop.map_or_else(String::new, |loss| format!(", where {loss:.2} would be lost before costs"));
    let key = if part.refused.is_some() { "would be" } else { "planned" };
    lines.say(key, format!("{} {size}, {}{loss}{target}", planned.direction, stop_at(planned.stop)));
}

fn votes(model: &ModelPart, lines: &mut Lines) {
    let trained =
        model.trained_through.map_or_else(String::new, |at| format!(", trained through {}", words::time(at.0)));
    let digest = model.digest.as_ref().map_or_else(String::new, |digest| format!(", digest {digest}"));
    lines.say("model", format!("version {}{trained}{digest}", model.version));
    let row = |vote: &super::story::MemberVote| {
        let said = match (vote.probability, vote.weight) {
            (Some(probability), Some(weight)) => [percent(probability), format!("weight {weight:.4}")],
            _ => ["absent".to_owned(), String::new()],
        };
        let [probability, weight] = said;
        vec![vote.member.name().to_owned(), probability, weight]
    };
    let mut rows: Vec<Vec<String>> = model.votes.iter().map(row).collect();
    rows.push(vec!["together".to_owned(), percent(model.prob_up), format!("confidence {}", percent(model.confidence))]);
    lines.say("votes", "probability that the price rises");
    lines.table(rows, &[1]);
    if let Some([low, middle, high]) = model.quantiles {
        let text =
            format!("{} / {} / {} (10, 50, 90 % of the log return)", percent(low), percent(middle), percent(high));
        lines.say("quantiles", text);
    }
}

fn features(features: &Features, lines: &mut Lines) {
    let values = match features {
        Features::Proven { hash, values } => {
            lines.say(
                "features",
                format!("{}, recomputed from the tape; equal to the hash on record ({hash})", values.len()),
            );
            values
        }
        Features::Different { recorded, computed, values } => {
            let text = format!(
                "NOT those that were seen: the tape gives hash {computed}, on record is {recorded} (`levibot \
                 replay-record` compares everything)"
            );
            lines.say("features", text);
            values
        }
        Features::Unknown { why } => {
            lines.say("features", format!("cannot be shown: {why}"));
            return;
        }
    };
    let rows = values.len().div_ceil(FEATURE_COLUMNS);
    let cell = |at: usize| {
        values
            .get(at)
            .map_or_else(|| [String::new(), String::new()], |(name, value)| [(*name).to_owned(), format!("{value:.6}")])
    };
    let row = |row: usize| (0..FEATURE_COLUMNS).flat_map(|column| cell(column * rows + row)).collect();
    lines.table((0..rows).map(row).collect(), &[1, 3, 5]);
}

fn account(scene: &Scene, lines: &mut Lines) {
    let start = scene
        .day_start_equity
        .map_or_else(String::new, |start| format!(", the day began with {}", words::amount(start.get())));
    let open = scene.positions.len();
    let reserved = if scene.orders.is_empty() {
        String::new()
    } else {
        format!(", {} order(s) on their way, {:.2} reserved", scene.orders.len(), scene.reserved)
    };
    let (equity, cash) = (words::amount(scene.equity), words::amount(scene.cash.get()));
    let when = if scene.at_mark { "at the prices of that instant" } else { "at the last prices on record" };
    lines.say("account", format!("equity {equity} {when}, cash {cash}{start}; {open} open{reserved}"));
    let row = |held: &super::scene::Held| {
        vec![
            held.symbol.to_string(),
            held.direction.to_owned(),
            held.quantity.to_string(),
            format!("cost {}", words::amount(held.cost.get().abs())),
            format!("at {}", held.mark.normalize()),
            words::signed(held.unrealised),
        ]
    };
    if open > 0 {
        lines.table(scene.positions.iter().map(row).collect(), &[2, 3, 4, 5]);
    }
    match &scene.halt {
        Some(halt) => lines.say(
            "halt",
            format!("{} by {}: {} (#{})", halt.level, words::clean(&halt.by), words::clean(&halt.text), halt.seq),
        ),
        None => lines.say("halt", "none"),
    }
    for reason in &scene.frozen {
        lines.say("frozen", words::clean(reason));
    }
}

fn sizing(part: &DecisionPart, lines: &mut Lines) {
    if part.sizing.is_empty() {
        return;
    }
    lines.say("size", "in the account's currency, step by step");
    let row = |term: &super::story::Term| {
        let mark = if term.bound { "<- bound" } else { "" };
        vec![term.name.clone(), format!("{:.4}", term.value), term.how.clone(), mark.to_owned()]
    };
    lines.table(part.sizing.iter().map(row).collect(), &[1]);
}

fn checks(part: &DecisionPart, lines: &mut Lines) {
    if part.checks.is_empty() {
        return;
    }
    let failed = part.checks.iter().filter(|check| !check.passed).count();
    lines.say("checks", format!("{} made, {failed} failed", part.checks.len()));
    let figure =
        |what: &str, value: Option<f64>| value.map_or_else(String::new, |v| format!("{what} {}", words::number(v)));
    let row = |check: &levibot_core::record::Check| {
        let passed = if check.passed { "pass" } else { "FAIL" };
        let (found, allowed) = (figure("found", check.value), figure("allowed", check.limit));
        vec![passed.to_owned(), words::clean(&check.name), found, allowed]
    };
    lines.table(part.checks.iter().map(row).collect(), &[]);
}

fn order(part: &OrderPart, lines: &mut Lines) -> String {
    let asked = if part.asked { " <- asked for" } else { "" };
    let attempt = if part.attempt > 1 { format!(", attempt {}", part.attempt) } else { String::new() };
    lines.say("order", format!("{} {} {}{attempt}{asked}", words::side(part.side), part.quantity, part.symbol));
    let cause = part.cause_seq.map_or_else(String::new, |seq| format!(" (#{seq})"));
    lines.say("because", format!("{}{cause}", part.cause));
    if part.reserved.get() > Decimal::ZERO {
        lines.say("reserved", part.reserved);
    }
    if let Some(bracket) = &part.bracket {
        lines.say("carries", bracket_words(bracket));
    }
    let mut told: Vec<(u64, String, String)> = Vec::new();
    for event in &part.events {
        told.push((event.seq, words::fine_time(event.time.0), event.text.clone()));
    }
    for fill in &part.fills {
        let other = match fill.commission {
            Some(Commission::Base { amount }) => format!(", commission {amount} of what was traded"),
            Some(Commission::Other { asset, amount }) => format!(", commission {amount} {asset}"),
            None => String::new(),
        };
        let text =
            format!("filled {} at {}, fee {}{other} (trade {})", fill.quantity, fill.price, fill.fee, fill.trade_id);
        told.push((fill.seq, words::fine_time(fill.time.0), text));
    }
    told.sort();
    for (seq, time, text) in told {
        lines.say("", format!("{time}  {text} (#{seq})"));
    }
    if let Some(filled) = &part.filled {
        let slipped = match (part.reference, filled.slippage_bp, filled.slippage) {
            (Some((price, what)), Some(bp), Some(amount)) => {
                let worse = if bp < 0.0 { "better" } else { "worse" };
                format!("; {:.2} bp ({:.4}) {worse} than {} ({what})", bp.abs(), amount.abs(), words::number(price))
            }
            _ => String::new(),
        };
        let price = words::rounded(filled.price, 8);
        lines.say("in all", format!("{} at {price}, fees {}{slipped}", filled.quantity, filled.fees));
    }
    format!("{} ORDER {} at {} (#{})", part.leg.to_uppercase(), part.id, words::fine_time(part.time.0), part.seq)
}

fn protection(part: &ProtectionPart, lines: &mut Lines) -> String {
    let n = words::number;
    let say = |state: &ProtectionState, lines: &mut Lines| {
        let target = state.target.map_or_else(String::new, |target| format!(", target {}", n(target)));
        let trailing = state.trailing.map_or_else(String::new, |away| format!(", trailing {} away", n(away)));
        let expires = state.expires.map_or_else(String::new, |at| format!(", until {}", words::time(at.0)));
        let moved =
            if state.trailed { format!(" (moved after the best price {})", n(state.best)) } else { String::new() };
        let text = format!("{}{moved}{target}{trailing}{expires} (#{})", stop_words(state.stop), state.seq);
        lines.say("", format!("{}  {text}", words::fine_time(state.time.0)));
    };
    let hidden = part.states.len().saturating_sub(STATES_MAX);
    for (at, state) in part.states.iter().enumerate() {
        if hidden > 0 && at == 1 {
            lines.say("", format!("... {} more moves; --json has them all", hidden));
        }
        if hidden == 0 || at == 0 || at > hidden {
            say(state, lines);
        }
    }
    format!("PROTECTION of {}", part.symbol)
}

fn result(part: &ResultPart, lines: &mut Lines) -> String {
    let price = |price: Option<Decimal>| price.map_or_else(|| "-".to_owned(), |price| words::rounded(price, 8));
    let to = part.closed.map_or_else(|| "now".to_owned(), |closed| words::time(closed.0));
    let held = part.holding_seconds.map_or_else(String::new, |held| format!(", held {}", words::seconds(held)));
    lines.say(
        "position",
        format!("{} {} from {} to {to}{held}", part.direction, part.quantity, words::time(part.opened.0)),
    );
    lines.say("prices", format!("entered at {}, left at {}", price(part.entry_price), price(part.exit_price)));
    if let Some(by) = part.ended_by {
        lines.say("ended by", by);
    }
    let share =
        part.return_pct.map_or_else(String::new, |pct| format!(" ({} % of its cost)", words::signed(pct.round_dp(4))));
    let (gross, fees) = (words::signed(part.gross_pnl), words::amount(part.fees));
    let funding =
        if part.funding.is_zero() { String::new() } else { format!(", funding {}", words::amount(part.funding)) };
    lines.say("result", format!("gross {gross}, fees {fees}{funding}, net {}{share}", words::signed(part.net_pnl)));
    if let Some(open) = &part.open {
        let at = words::time(open.mark_time.0);
        let text = format!(
            "{} at {} ({at}): {} before fees",
            open.quantity,
            open.mark.normalize(),
            words::signed(open.unrealised)
        );
        lines.say("open", text);
    }
    format!("RESULT of {}", part.symbol)
}

fn record(part: &RecordPart, lines: &mut Lines) -> String {
    lines.say("what", words::clean(&part.text));
    if let Some(day) = &part.day {
        let (start, equity) = (words::amount(day.start_equity.get()), words::amount(day.equity));
        lines.say("day", format!("began with {start}; equity {equity}"));
        let (loss, pct) = (words::amount(day.loss), words::rounded(day.loss_pct, 2));
        lines.say("loss", format!("{loss} or {pct} % (limit {} %)", words::rounded(day.limit_pct, 2)));
    }
    if let Some(scene) = &part.account {
        account(scene, lines);
    }
    for (key, ids) in [("cancelled", &part.cancelled), ("sent", &part.sent)] {
        for id in ids.iter().take(ORDERS_MAX) {
            lines.say(key, id);
        }
        if ids.len() > ORDERS_MAX {
            lines.say(key, format!("... and {} more", ids.len() - ORDERS_MAX));
        }
    }
    if part.day.is_none() && part.account.is_none() {
        lines.say("record", words::clean(&part.record.to_string()));
    }
    format!("{} at {} (#{})", part.kind.to_uppercase(), words::fine_time(part.time.0), part.seq)
}
