//! The file of limits: what it may say and what is refused.

use super::*;

/// Exactly the user's keys and values.
const USERS: &str = "
risk_policy:
  max_daily_loss_pct: 3.0
  max_symbol_risk_pct: 0.2
  max_concurrent_positions: 15
  rebalance_frequency: weekly
  correlation_groups:
    btc_alts: [BTCUSDT, ETHUSDT, SOLUSDT]
    eth_ecosystem: [ETHUSDT, MATICUSDT, LINKUSDT]
  position_sizing:
    method: kelly
    kelly_fraction: 0.5
    min_position_usd: 10
    max_position_usd: 1000
";

#[test]
fn the_users_own_file_loads_as_it_stands() {
    let policy = RiskPolicy::from_yaml(USERS).unwrap();
    assert!((policy.daily_loss() - 0.03).abs() < 1e-12);
    assert_eq!((policy.correlated_max(), policy.on_stop()), (5, OnStop::ReduceOnly));
    assert_eq!(policy.groups().len(), 2);
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<RiskPolicy>(&json).unwrap(), policy);
}

#[test]
fn mixed_up_units_and_unknown_keys_are_refused_with_a_remedy() {
    for (from, to, wanted) in [
        ("max_daily_loss_pct: 3.0", "max_daily_loss_pct: 0.03", "write 3.0 for 3 %"),
        ("max_daily_loss_pct: 3.0", "max_daily_loss_pct: .nan", "max_daily_loss_pct"),
        ("max_daily_loss_pct: 3.0", "max_daily_loss_pct: -3", "max_daily_loss_pct"),
        ("max_symbol_risk_pct: 0.2", "max_symbol_risk_pct: 20", "write 0.2 for 20 %"),
        ("kelly_fraction: 0.5", "kelly_fraction: 1.5", "position_sizing.kelly_fraction"),
        ("max_concurrent_positions: 15", "max_concurrent_positions: 0", "max_concurrent_positions"),
        ("min_position_usd: 10", "min_position_usd: 2000", "min_position_usd <= max_position_usd"),
        ("max_position_usd: 1000", "max_position_usd: lots", "max_position_usd"),
        ("rebalance_frequency: weekly", "rebalance_frequency: hourly", "hourly"),
        ("  max_concurrent_positions: 15", "  max_concurent_positions: 15", "max_concurent_positions"),
        ("[BTCUSDT, ETHUSDT, SOLUSDT]", "[BTCUSDT, BTCUSDT]", "correlation_groups.btc_alts"),
    ] {
        assert!(USERS.contains(from), "{from}");
        let error = RiskPolicy::from_yaml(&USERS.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{to}: {error}");
    }
}

/// The shipped file with its commented keys in force.
fn with_optional_keys() -> String {
    let shipped = include_str!("../../../../policies/risk.yaml");
    let is_key = |text: &str| {
        let name = text.split(':').next().unwrap_or_default();
        text.contains(':') && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let line = |line: &str| match line.split_once("# ") {
        Some((indent, text)) if indent.trim().is_empty() && is_key(text) => format!("{indent}{text}\n"),
        _ => format!("{line}\n"),
    };
    shipped.lines().map(line).collect()
}

#[test]
fn the_commented_keys_of_the_shipped_file_are_the_defaults() {
    let shipped = RiskPolicy::from_yaml(include_str!("../../../../policies/risk.yaml")).unwrap();
    let all = RiskPolicy::from_yaml(&with_optional_keys()).unwrap();
    let (shipped, mut all) = (RawRiskPolicy::from(shipped), RawRiskPolicy::from(all));
    assert_eq!(shipped.orders, RawOrders::default());
    assert_eq!(all.orders.max_order_usd.take(), Some(shipped.position_sizing.max_position_usd));
    assert_eq!(all.orders.max_data_age.take(), Some(Timeframe::HOUR).and_then(|h| Timeframe::from_secs(2 * h.secs())));
    assert_eq!(all.orders, shipped.orders);
    let symbol: Symbol = "BTCUSDT".parse().unwrap();
    assert_eq!(all.limits(symbol), shipped.limits(symbol));
    let RawProtections { cooldown, stop_loss_guard, max_drawdown, low_profit } = all.protections;
    assert!(cooldown.is_some() && stop_loss_guard.is_some() && max_drawdown.is_some() && low_profit.is_some());
    assert_eq!(shipped.protections, RawProtections::default());
    assert_eq!((all.entry_halt_at.take(), shipped.entry_halt_at), (Some(0.9), None));
    let json = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<RawRiskPolicy>(&json).unwrap(), all);
}

#[test]
fn a_symbol_has_its_own_limits_and_the_general_ones_where_it_has_none() {
    let own = "  symbols: {BTCUSDT: {max_position_usd: 500, max_risk_pct: 0.01}}\n";
    let policy = RiskPolicy::from_yaml(&format!("{USERS}{own}")).unwrap();
    let btc = policy.limits("BTCUSDT".parse().unwrap());
    let eth = policy.limits("ETHUSDT".parse().unwrap());
    assert_eq!((btc.max_position_usd, btc.max_order_usd, btc.risk_per_trade), (500.0, 500.0, 0.01));
    assert_eq!((btc.kelly_fraction, btc.symbol_fraction), (eth.kelly_fraction, eth.symbol_fraction));
    assert_eq!((eth.max_position_usd, eth.max_order_usd, eth.risk_per_trade), (1000.0, 1000.0, 0.02));
}

#[test]
fn limits_that_cannot_be_meant_are_refused_as_a_whole() {
    for (keys, wanted) in [
        ("orders: {max_order_usd: 5}", "orders.max_order_usd` is 5: every entry would be under min_position_usd"),
        ("orders: {max_order_usd: .nan}", "orders.max_order_usd"),
        ("orders: {max_order_usd: -1}", "orders.max_order_usd"),
        ("orders: {max_orders_per_minute: 0}", "orders.max_orders_per_minute"),
        ("orders: {max_orders_per_minute: 6001}", "write a whole number from 1 to 6000"),
        ("orders: {max_orders_per_minute: -1}", "max_orders_per_minute"),
        ("orders: {price_collar_pct: 0.0005}", "write 5.0 for 5 %"),
        ("orders: {price_collar_pct: 51}", "orders.price_collar_pct"),
        ("orders: {price_collar_pct: .inf}", "orders.price_collar_pct"),
        ("orders: {duplicate_window: 2h}", "orders.duplicate_window` is 2h"),
        ("orders: {duplicate_window: 0s}", "0s"),
        ("orders: {max_data_age: 90}", "max_data_age"),
        ("orders: {max_data_age: forever}", "forever"),
        ("orders: {max_order: 100}", "max_order"),
        ("symbols: {BTCUSDT: {max_symbol_risk_pct: 20}}", "symbols.BTCUSDT.max_symbol_risk_pct` is 20"),
        ("symbols: {BTCUSDT: {max_risk_pct: 0}}", "symbols.BTCUSDT.max_risk_pct"),
        ("symbols: {BTCUSDT: {kelly_fraction: .nan}}", "symbols.BTCUSDT.kelly_fraction"),
        ("symbols: {BTCUSDT: {max_position_usd: 5}}", "symbols.BTCUSDT.max_position_usd` is 5"),
        ("symbols: {BTCUSDT: {min_position_usd: 2000}}", "symbols.BTCUSDT.min_position_usd` is 2000"),
        ("symbols: {BTCUSDT: {min_position_usd: 20}}\n  orders: {max_order_usd: 15}", "symbols.BTCUSDT.min_position"),
        ("symbols: {'no symbol!': {max_risk_pct: 0.01}}", "no symbol!"),
        ("symbols: {BTCUSDT: {max_risk: 0.01}}", "max_risk"),
        ("protections: {cooldown: {after_exit: 0s}}", "0s"),
        ("protections: {cooldown: 2h}", "cooldown"),
        ("protections: {stop_loss_guard: {stops: 0, within: 1d, pause: 1h}}", "stop_loss_guard.stops"),
        ("protections: {stop_loss_guard: {stops: 4, within: 1d}}", "pause"),
        ("protections: {max_drawdown: {drawdown_pct: 0.08, within: 1d, pause: 1h}}", "write 8.0 for 8 %"),
        ("protections: {max_drawdown: {drawdown_pct: .nan, within: 1d, pause: 1h}}", "drawdown_pct"),
        ("protections: {low_profit: {profit_pct: 200, trades: 4, within: 1d, pause: 1h}}", "low_profit.profit_pct"),
        ("protections: {low_profit: {profit_pct: 0, trades: 1001, within: 1d, pause: 1h}}", "low_profit.trades"),
        ("protections: {cool_down: {after_exit: 2h}}", "cool_down"),
    ] {
        let error = RiskPolicy::from_yaml(&format!("{USERS}  {keys}\n")).unwrap_err().to_string();
        assert!(error.contains(wanted), "{keys}: {error}");
    }
}
