//! A board with something on it, for the tests of the faces.

use levibot_core::domain::{AccountKind, Direction, HaltLevel, Money, Symbol, Timeframe, Ts};

use super::board::{Board, EngineRow, EnginesView, RunInfo, Stamp};
use super::{AccountView, OpenPosition, SymbolView};

/// 2025-10-14T12:30:00Z.
pub(crate) const NOON: Ts = Ts::from_secs(1_760_445_000);

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

pub(crate) fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

pub(crate) fn info() -> RunInfo {
    RunInfo {
        version: "0.1.0".to_owned(),
        run: "test".to_owned(),
        pace: "lockstep".to_owned(),
        market: "simulator".to_owned(),
        timeframe: Timeframe::MINUTE,
        account: AccountKind::Linear,
        currency: "USDT".to_owned(),
        data_dir: "data/test".to_owned(),
        started: Stamp(NOON),
        venue: "paper".to_owned(),
    }
}

pub(crate) fn engines() -> EnginesView {
    let row = |name: &str, status: &str| EngineRow {
        symbol: symbol(name),
        status: status.to_owned(),
        uptime: "0s".to_owned(),
        uptime_seconds: 0.0,
        last_heartbeat: None,
        last_bar: None,
        error_count: 0,
        restarts: 0,
        last_error: None,
        position: None,
        daily_pnl: 0.0,
        total_pnl: 0.0,
        trade_count: 0,
        pid: None,
        generation: 0,
        memory_bytes: None,
        cpu_percent: None,
        availability: None,
    };
    let running = EngineRow {
        uptime: "2h15m".to_owned(),
        uptime_seconds: 8100.2,
        last_heartbeat: Some(1_697_180_234.567),
        last_bar: Some(Stamp(NOON)),
        position: Some("long 0.015 @ 60123.4".to_owned()),
        daily_pnl: 12.5,
        total_pnl: -1234.5,
        trade_count: 7,
        pid: Some(12_345),
        generation: 1,
        memory_bytes: Some(11_534_336),
        cpu_percent: Some(0.4),
        availability: Some(0.9995),
        ..row("BTCUSDT", "running")
    };
    let crashed = EngineRow {
        error_count: 5,
        restarts: 4,
        last_error: Some("panicked:\x1b[2J out of range".to_owned()),
        ..row("ETHUSDT", "quarantined")
    };
    EnginesView {
        total: 3,
        running: 1,
        stopped: 1,
        crashed: 1,
        engines: vec![running, crashed, row("SOLUSDT", "stopped")],
    }
}

pub(crate) fn account() -> AccountView {
    let flat = |name: &str| SymbolView {
        symbol: symbol(name),
        position: None,
        total_pnl: Money::ZERO,
        daily_pnl: Money::ZERO,
        trades: 0,
        last_trade: None,
        orders: 0,
        frozen: Vec::new(),
    };
    let position = OpenPosition {
        direction: Direction::Long,
        qty: "0.015".to_owned(),
        entry_price: 60123.4,
        mark: 61000.0,
        unrealised: money("13.149"),
        stop: Some(59000.5),
        target: None,
        expires: Some(NOON + levibot_core::domain::Span::MINUTE.times(135)),
        closing: false,
        dust: false,
    };
    let btc = SymbolView {
        position: Some(position),
        total_pnl: money("-1222.851"),
        daily_pnl: money("25.149"),
        trades: 7,
        last_trade: Some(NOON),
        ..flat("BTCUSDT")
    };
    let eth = SymbolView { frozen: vec!["quarantined".to_owned()], orders: 1, ..flat("ETHUSDT") };
    AccountView {
        ts: NOON,
        cash: money("8763.5"),
        equity: money("8777.149"),
        day_start_equity: money("8752"),
        realised: money("-1226"),
        unrealised: money("13.149"),
        fees: money("10"),
        funding: Money::ZERO,
        initial_cash: money("10000"),
        contributed: Money::ZERO,
        stocks: Vec::new(),
        halt: HaltLevel::None,
        halt_reason: None,
        drill: None,
        protections: Vec::new(),
        symbols: vec![btc, eth, flat("SOLUSDT")],
        rebalance: Vec::new(),
    }
}

pub(crate) fn board() -> Board {
    let board = Board::new(info(), account());
    board.show_engines(engines());
    board.beat(|pulse| {
        pulse.ready = true;
        pulse.bars = 1200;
        pulse.journal_seq = 345;
        pulse.store_seq = 340;
        pulse.now = NOON;
    });
    board
}
