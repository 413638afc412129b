use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

fn used() -> (Metrics, Symbol) {
    let (metrics, symbol) = (Metrics::new().unwrap(), "BTCUSDT".parse().unwrap());
    metrics.register_symbol(&symbol);
    metrics.set_engine_status(&symbol, "running");
    metrics.set_engine_uptime(&symbol, Span::MINUTE);
    metrics.engine_restarted(&symbol);
    metrics.engine_failed(&symbol);
    metrics.set_engine_last_bar(&symbol, Ts::from_secs(1_760_443_200));
    metrics.decided(&symbol, DecisionVerdict::Approved);
    metrics.signalled(&symbol, Side::Buy);
    metrics.ordered(&symbol, levibot_core::domain::DoneReason::Filled.into());
    metrics.filled(&symbol);
    metrics.set_data_age(&symbol, Span::SECOND);
    metrics.set_equity(10_000.0);
    metrics.set_cash(9_000.5);
    metrics.set_realized_pnl(-1.5);
    metrics.set_day_pnl_ratio(-0.001);
    metrics.set_positions_open(1);
    metrics.set_halt_level(HaltLevel::ReduceOnly);
    metrics.bars_taken(3);
    metrics.set_journal_seq(42);
    metrics.journal_appended(Span::from_nanos(150_000));
    metrics.decision_took(Span::MILLISECOND);
    metrics.set_store_lag(7);
    metrics.tape_dropped(0);
    metrics.mailbox_full("engine");
    metrics.engines().cpu_spent(&symbol, 0.25);
    metrics.engines().cpu_spent(&symbol, 0.5);
    metrics.engines().set_memory(&symbol, Some(1_048_576));
    metrics.engines().set_availability(&symbol, Some(0.995));
    metrics.engines().set_availability(&symbol, None);
    metrics.engines().set_generation(&symbol, 3);
    (metrics, symbol)
}

#[test]
fn what_is_told_is_scraped() {
    let text = used().0.encode().unwrap();
    for line in [
        r#"levibot_engine_status{status="running",symbol="BTCUSDT"} 1"#,
        r#"levibot_engine_status{status="crashed",symbol="BTCUSDT"} 0"#,
        r#"levibot_engine_uptime_seconds{symbol="BTCUSDT"} 60"#,
        r#"levibot_decisions_total{symbol="BTCUSDT",verdict="approved"} 1"#,
        r#"levibot_orders_total{outcome="filled",symbol="BTCUSDT"} 1"#,
        r#"levibot_orders_total{outcome="unknown",symbol="BTCUSDT"} 0"#,
        r#"levibot_signals_total{side="sell",symbol="BTCUSDT"} 0"#,
        r#"levibot_engine_cpu_seconds_total{symbol="BTCUSDT"} 0.75"#,
        r#"levibot_engine_memory_bytes{symbol="BTCUSDT"} 1048576"#,
        r#"levibot_engine_availability_ratio{symbol="BTCUSDT"} 0.995"#,
        r#"levibot_engine_generation{symbol="BTCUSDT"} 3"#,
        "levibot_halt_level 2",
        "levibot_journal_seq 42",
        r#"levibot_decision_seconds_bucket{le="0.001"} 1"#,
        r#"levibot_decision_seconds_bucket{le="0.0005"} 0"#,
        r#"levibot_mailbox_full_total{actor="engine"} 1"#,
        "levibot_tape_dropped_total 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    assert!(text.contains(concat!("levibot_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")));
    #[cfg(target_os = "linux")]
    assert!(text.contains("process_resident_memory_bytes") && text.contains("process_open_fds"));
}

#[test]
fn memory_that_is_not_known_is_not_shown() {
    let (metrics, symbol) = used();
    let shows = || metrics.encode().unwrap().contains("levibot_engine_memory_bytes{");
    assert!(shows());
    metrics.engines().set_memory(&symbol, None);
    assert!(!shows());
    metrics.engines().set_memory(&symbol, None);
}

#[test]
fn two_runs_do_not_share_their_numbers() {
    let (one, two) = (used().0, Metrics::new().unwrap());
    assert!(one.encode().unwrap().contains("levibot_bars_total 3"));
    assert!(two.encode().unwrap().contains("levibot_bars_total 0"));
}

#[test]
fn prometheus_own_checker_finds_nothing() {
    let text = used().0.encode().unwrap();
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        println!("skipped: promtool is not installed (scripts/setup.sh --dev installs it)");
        return;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}
