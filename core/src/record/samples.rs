//! Records for tests: every kind, with numbers at the ends of their ranges.

use super::{
    Bracket, Check, MarkedPosition, MarkedStock, RebalanceRow, Record, Sizing, StrategyOf, SymbolForecast, Term,
    Verdict,
};
use crate::account::{AccountSetup, RiskPolicy};
use crate::domain::instrument::RawInstrument;
use crate::domain::{
    AccountKind, BracketSpec, Cause, Commission, Decision, Direction, DoneReason, ExitReason, Fill, Forecast,
    FreezeCause, Funding, HaltLevel, InstrumentId, Intent, Ix, Leg, Order, OrderId, Reason, ReconcileCause, Side, Size,
    Span, Symbol, Timeframe, Transfer, Ts, Vote,
};

const EXTREMES: [f64; 6] = [f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0, 0.1 + 0.2, 16_537.600_000_000_002];

fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn id() -> OrderId {
    "lb-aaaaaaaaaaaaaaaaaaaaaaaaaa".parse().unwrap()
}

fn reason() -> Reason {
    Reason { by: "ömer \"the\" \\ trader\n".into(), text: "null \u{1F4C9}\u{7f}\u{0}".into() }
}

fn setup() -> Box<AccountSetup> {
    let raw = RawInstrument {
        id: InstrumentId { venue: "sim".parse().unwrap(), symbol: symbol() },
        base: "BTC".into(),
        quote: "USDT".into(),
        tick: "0.00000001".parse().unwrap(),
        step: "1000".parse().unwrap(),
        min_qty: "0".parse().unwrap(),
        min_notional: "1000000000000000".parse().unwrap(),
    };
    let yaml = "risk_policy: {max_daily_loss_pct: 3.0, max_symbol_risk_pct: 0.2, max_concurrent_positions: 15, \
                rebalance_frequency: weekly, correlation_groups: {alts: [BTCUSDT]}, position_sizing: {method: kelly, \
                kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 1000}}";
    Box::new(AccountSetup {
        name: "paper".into(),
        kind: AccountKind::Linear,
        currency: "USDT".into(),
        initial_cash: "10000".parse().unwrap(),
        instruments: vec![raw.try_into().unwrap()],
        risk: RiskPolicy::from_yaml(yaml).unwrap(),
        cost_per_side: 0.000_7,
        resume_next_day: true,
        unlimited: false,
    })
}

fn spec(x: f64) -> BracketSpec {
    BracketSpec { stop: Some(x), target: Some(x), trailing: None, time_exit: Some(Span::from_nanos(i64::MAX)) }
}

fn decision(intent: Option<Intent>) -> Decision {
    let forecast = intent.map(|_| forecast(0.1));
    Decision { instrument: Ix(u16::MAX), bar: Ts::MAX, policy: u64::MAX, features: u64::MAX - 1, forecast, intent }
}

fn forecast(x: f64) -> Forecast {
    Forecast {
        version: "20251014_030000".parse().unwrap(),
        features: u64::MAX,
        votes: [Some(Vote { probability: x, weight: 1.0 - x }), None, Some(Vote { probability: 5e-324, weight: x })],
        prob_up: x,
        quantiles: Some([-x, x, 1e300]),
    }
}

fn order(cause: Cause, leg: Leg) -> Order {
    Order {
        id: id(),
        symbol: symbol(),
        side: Side::Sell,
        leg,
        qty: "0.12345678".parse().unwrap(),
        cause,
        attempt: u32::MAX,
        trigger: Some("0.00000001".parse().unwrap()),
        created: Ts::from_nanos(i64::MIN),
    }
}

fn enter(x: f64, probability: Option<f64>) -> Intent {
    Intent::Enter {
        direction: Direction::Short,
        probability,
        volatility: x,
        reference: x,
        size: Size::Account,
        bracket: spec(x),
    }
}

fn sizing(x: f64) -> Sizing {
    let bound_by = "symbol".into();
    let terms = vec![Term { name: "available".into(), notional: x }];
    Sizing { equity: x, volatility: x, base: x, kelly: x, with_probability: true, bound_by, notional: x, terms }
}

fn checks(x: f64) -> Vec<Check> {
    let check = |passed, value, limit| Check { name: "halt".into(), passed, value, limit };
    vec![check(true, Some(x), None), check(false, None, Some(x))]
}

/// What the venue's side of the money path brings: unknown outcomes, comparisons, others' trades, transfers, what is left.
fn of_the_venue() -> Vec<Record> {
    let fill = Fill {
        order: OrderId::foreign(symbol(), "web_\u{1F4C9}").unwrap(),
        trade_id: 0,
        symbol: symbol(),
        side: Side::Sell,
        price: "0.1".parse().unwrap(),
        qty: "1".parse().unwrap(),
        fee: "0".parse().unwrap(),
        commission: Some(Commission::Other { asset: "BNB".parse().unwrap(), amount: "0.00000001".parse().unwrap() }),
        ts: Ts::from_nanos(i64::MIN),
    };
    let transfer = Transfer {
        id: "t \"1\"".into(),
        asset: "USDT".parse().unwrap(),
        amount: "-0.5".parse().unwrap(),
        value: "-0.5".parse().unwrap(),
        ts: Ts::MAX,
    };
    let funding = Funding {
        symbol: symbol(),
        ts: Ts::from_nanos(i64::MIN),
        rate: -1.25e-7,
        mark: "0.1".parse().unwrap(),
        amount: "-0.00000001".parse().unwrap(),
    };
    vec![
        Record::Unknown { order: id(), acceptable_until: Ts::MAX, text: "timeout\n".into() },
        Record::Absent { order: id(), asked: Ts::from_nanos(-1) },
        Record::Foreign { fill, name: "web_\u{1F4C9}".into() },
        Record::Transfer { transfer },
        Record::Funding { funding },
        Record::Dust { symbol: symbol(), size: "0.00000001".parse().unwrap(), reason: "too small".into() },
        Record::Reconciled {
            cause: ReconcileCause::Start,
            asked: Ts::MAX,
            found: vec!["a \"b\"".into(), String::new()],
        },
        Record::Reconciled { cause: ReconcileCause::Gap, asked: Ts::MAX, found: Vec::new() },
        Record::Close { symbol: symbol(), reason: reason() },
        Record::Wanted { symbol: symbol(), cause: Cause::Command { seq: 0 }, trigger: Some("0.1".parse().unwrap()) },
        Record::Wanted { symbol: symbol(), cause: Cause::Rebalance { at: Ts::MAX }, trigger: None },
        Record::Rebalance { at: Ts::MAX, by: None, rows: Vec::new() },
    ]
}

fn rebalance(x: f64) -> Record {
    let row = RebalanceRow {
        symbol: symbol(),
        notional: x,
        volatility: x,
        share: x,
        target: x,
        cost: x,
        action: "keep".into(),
    };
    Record::Rebalance { at: Ts::MAX, by: Some(reason()), rows: vec![row] }
}

fn bracket(x: f64, target: Option<f64>) -> Bracket {
    Bracket { entry: id(), stop: Some(x), target, trailing: None, trailed: false, best: x, expires: Some(Ts::MAX) }
}

fn decided(intent: Option<Intent>, verdict: Verdict) -> Record {
    Record::Decision { symbol: symbol(), decision: decision(intent), verdict }
}

/// Every kind of record and every form of what they hold. The first opens the account with 10000.
pub(super) fn records() -> Vec<Record> {
    let timeframe = Timeframe::HOUR;
    let mut all = vec![
        Record::Started { run: "run-1".parse().unwrap(), timeframe, config_hash: "00ff".into(), setup: setup() },
        Record::Setup { setup: setup() },
        Record::Day { day: i64::MIN, start_equity: "-0.000000000000000001".parse().unwrap() },
        Record::Accepted { order: id() },
        Record::Mark {
            cash: "-1000000000000000".parse().unwrap(),
            equity: "999999999999999.99999".parse().unwrap(),
            positions: vec![MarkedPosition {
                symbol: symbol(),
                net: "-1.500".parse().unwrap(),
                cost: "-3".parse().unwrap(),
                mark: "2".parse().unwrap(),
            }],
            stocks: vec![MarkedStock {
                asset: "BNB".parse().unwrap(),
                amount: "-0.00000001".parse().unwrap(),
                value: "0.1".parse().unwrap(),
            }],
        },
        Record::Fill {
            fill: Fill {
                order: id(),
                trade_id: u64::MAX,
                symbol: symbol(),
                side: Side::Buy,
                price: "0.1".parse().unwrap(),
                qty: "1".parse().unwrap(),
                fee: "0".parse().unwrap(),
                commission: None,
                ts: Ts::MAX,
            },
        },
        Record::Strategies {
            strategies: vec![StrategyOf {
                symbols: vec![symbol()],
                strategy: serde_json::json!({"name": "x", "atr": 14, "stop_atr": 0.1 + 0.2, "target_atr": null}),
            }],
        },
        Record::Model { version: "1".parse().unwrap(), digest: "00ff".into(), trained_through: Ts::MAX },
        Record::Forecasts {
            bar: Ts::from_nanos(i64::MIN),
            forecasts: vec![
                SymbolForecast { symbol: symbol(), forecast: Some(forecast(0.1 + 0.2)) },
                SymbolForecast { symbol: symbol(), forecast: None },
                SymbolForecast { symbol: symbol(), forecast: Some(Forecast { quantiles: None, ..forecast(1e-9) }) },
            ],
        },
        Record::Freeze { symbol: symbol(), cause: FreezeCause::Engine, reason: None },
        Record::Freeze { symbol: symbol(), cause: FreezeCause::Store, reason: Some(String::new()) },
        Record::Resume { reason: reason(), start_equity: "1".parse().unwrap() },
        Record::Command { by: "me".into(), command: "halt".into(), outcome: "done\r\n\u{2028}".into() },
        decided(Some(Intent::Exit), Verdict::Approved { sizing: None, checks: Vec::new() }),
        decided(
            Some(Intent::Exit),
            Verdict::Refused { check: "day_stop".into(), reason: "3 %".into(), sizing: None, checks: checks(0.1) },
        ),
        decided(Some(enter(0.5, None)), Verdict::Unchanged),
        decided(None, Verdict::Unchanged),
    ];
    for x in EXTREMES {
        all.push(decided(Some(enter(x, Some(x))), Verdict::Approved { sizing: Some(sizing(x)), checks: checks(x) }));
        all.push(decided(Some(Intent::Tighten { stop: x }), Verdict::Unchanged));
        all.push(Record::Bracket { symbol: symbol(), bracket: bracket(x, Some(x)) });
        all.push(Record::Drill { loss: x, reason: reason() });
        all.push(rebalance(x));
    }
    all.extend(of_the_venue());
    let causes = [
        Cause::Decision { bar: Ts::from_nanos(-1) },
        Cause::Bracket { entry: id(), rule: ExitReason::Trailing },
        Cause::Command { seq: u64::MAX },
        Cause::Rebalance { at: Ts::from_nanos(i64::MIN) },
    ];
    for cause in causes {
        let (reserved, bracket) = ("0.5".parse().unwrap(), Some(spec(0.25)));
        all.push(Record::Intent { order: order(cause, Leg::Entry), reserved, bracket });
        all.push(Record::Intent { order: order(cause, Leg::Exit), reserved, bracket: None });
    }
    use DoneReason::{Cancelled, Expired, Filled, NotSent, Rejected};
    for reason in [Filled, Cancelled, Rejected, Expired, NotSent] {
        all.push(Record::Done { order: id(), reason, text: Some("-2010 null".into()) });
        all.push(Record::Done { order: id(), reason, text: None });
    }
    for level in [HaltLevel::None, HaltLevel::EntryHalt, HaltLevel::ReduceOnly, HaltLevel::Flatten] {
        all.push(Record::Halt { level, reason: reason() });
    }
    all.push(Record::Ended { reason: "signal".into() });
    all
}

/// Records with a number that JSON cannot hold.
pub(super) fn not_finite() -> Vec<Record> {
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    bad.into_iter()
        .flat_map(|x| {
            [
                decided(Some(Intent::Tighten { stop: x }), Verdict::Unchanged),
                decided(Some(enter(0.5, Some(x))), Verdict::Unchanged),
                Record::Bracket { symbol: symbol(), bracket: bracket(1.0, Some(x)) },
                decided(None, Verdict::Approved { sizing: Some(sizing(x)), checks: Vec::new() }),
                decided(None, Verdict::Approved { sizing: None, checks: checks(x) }),
                Record::Drill { loss: x, reason: reason() },
                rebalance(x),
            ]
        })
        .collect()
}
