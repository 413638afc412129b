mod funding_tests;

use std::fs::{self, OpenOptions};
use std::future::poll_fn;
use std::io::Write;
use std::task::Poll;

use levibot_core::account::{AccountSetup, RiskPolicy, State};
use levibot_core::domain::instrument::RawInstrument;
use levibot_core::domain::{
    AccountKind, BracketSpec, Cause, Commission, Decision, Direction, DoneReason, Fill, Forecast, FreezeCause,
    HaltLevel, InstrumentId, Intent, Ix, Leg, Order, OrderId, Reason, Side, Size, Symbol, Timeframe, Transfer, Ts,
    Vote,
};
use levibot_core::record::{Bracket, MarkedPosition, SymbolForecast, Verdict};
use tempfile::TempDir;

use super::*;

fn symbol() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

fn id(n: u64) -> OrderId {
    format!("lb-{n}").parse().unwrap()
}

fn started(run: &str) -> Record {
    let yaml = "risk_policy: {max_daily_loss_pct: 3.0, max_symbol_risk_pct: 0.2, max_concurrent_positions: 15, \
                rebalance_frequency: weekly, position_sizing: {method: kelly, kelly_fraction: 0.5, min_position_usd: 10, \
                max_position_usd: 1000}}";
    let setup = AccountSetup {
        name: "paper".into(),
        kind: AccountKind::Linear,
        currency: "USDT".into(),
        initial_cash: "10000".parse().unwrap(),
        instruments: Vec::new(),
        risk: RiskPolicy::from_yaml(yaml).unwrap(),
        cost_per_side: 0.001,
        resume_next_day: false,
        unlimited: false,
    };
    let (run, setup) = (run.parse().unwrap(), Box::new(setup));
    Record::Started { run, timeframe: Timeframe::HOUR, config_hash: "ab".into(), setup }
}

fn order(n: u64, side: Side, leg: Leg) -> Record {
    let cause = Cause::Decision { bar: Ts::from_secs(3_600) };
    let (qty, created) = ("1.50".parse().unwrap(), Ts::from_secs(3_600));
    let order = Order { id: id(n), symbol: symbol(), side, leg, qty, cause, attempt: 1, trigger: None, created };
    Record::Intent { order, reserved: "150".parse().unwrap(), bracket: None }
}

fn fill(n: u64, trade_id: u64, side: Side, price: &str) -> Record {
    let (qty, fee) = ("1.50".parse().unwrap(), "0.10".parse().unwrap());
    let (order, price, ts) = (id(n), price.parse().unwrap(), Ts::from_secs(3_700));
    Record::Fill { fill: Fill { order, trade_id, symbol: symbol(), side, price, qty, fee, commission: None, ts } }
}

fn forecast() -> Forecast {
    Forecast {
        version: "20220601_030000".parse().unwrap(),
        features: 1,
        votes: [Some(Vote { probability: 0.75, weight: 1.0 }), None, None],
        prob_up: 0.1 + 0.2,
        quantiles: Some([-0.5, 0.1, 0.25]),
    }
}

fn decision(intent: Option<Intent>, verdict: Verdict) -> Record {
    let (instrument, bar, forecast) = (Ix(0), Ts::from_secs(3_600), Some(forecast()));
    let decision = Decision { instrument, bar, policy: u64::MAX, features: 1, forecast, intent };
    Record::Decision { symbol: symbol(), decision, verdict }
}

/// One round trip with everything around it.
fn life() -> Vec<Record> {
    let reason = Reason { by: "risk".into(), text: "loss".into() };
    let spec = BracketSpec { stop: Some(2.0), target: None, trailing: None, time_exit: None };
    let (direction, probability, size) = (Direction::Long, Some(0.6), Size::Account);
    let enter = Intent::Enter { direction, probability, volatility: 0.01, reference: 100.0, size, bracket: spec };
    let (target, trailing, expires) = (None, None, None);
    let bracket = Bracket { entry: id(1), stop: Some(98.0), target, trailing, trailed: false, best: 100.0, expires };
    let marked = |net: &str, cost: &str| MarkedPosition {
        symbol: symbol(),
        net: net.parse().unwrap(),
        cost: cost.parse().unwrap(),
        mark: "101.0".parse().unwrap(),
    };
    let mark = |equity: &str, positions| {
        let equity = equity.parse().unwrap();
        Record::Mark { cash: equity, equity, positions, stocks: Vec::new() }
    };
    let done = |n| Record::Done { order: id(n), reason: DoneReason::Filled, text: None };
    vec![
        started("run-1"),
        Record::Day { day: 19_000, start_equity: "10000".parse().unwrap() },
        Record::Strategies { strategies: Vec::new() },
        Record::Model { version: forecast().version, digest: "ab".into(), trained_through: Ts::EPOCH },
        Record::Forecasts {
            bar: Ts::from_secs(3_600),
            forecasts: vec![
                SymbolForecast { symbol: symbol(), forecast: Some(forecast()) },
                SymbolForecast { symbol: "ETHUSDT".parse().unwrap(), forecast: None },
            ],
        },
        decision(Some(enter), Verdict::Approved { sizing: None, checks: Vec::new() }),
        order(1, Side::Buy, Leg::Entry),
        Record::Accepted { order: id(1) },
        fill(1, u64::MAX, Side::Buy, "100"),
        fill(1, u64::MAX, Side::Buy, "100"),
        done(1),
        Record::Accepted { order: id(1) },
        Record::Bracket { symbol: symbol(), bracket },
        mark("10001.4", vec![marked("1.5", "150")]),
        decision(
            Some(Intent::Exit),
            Verdict::Refused { check: "day_stop".into(), reason: "3 %".into(), sizing: None, checks: Vec::new() },
        ),
        Record::Halt { level: HaltLevel::ReduceOnly, reason: reason.clone() },
        Record::Freeze { symbol: symbol(), cause: FreezeCause::Engine, reason: Some("engine away".into()) },
        Record::Freeze { symbol: symbol(), cause: FreezeCause::Engine, reason: None },
        Record::Command { by: "me".into(), command: "resume".into(), outcome: "done".into() },
        Record::Resume { reason, start_equity: "10001.4".parse().unwrap() },
        order(2, Side::Sell, Leg::Exit),
        fill(2, 7, Side::Sell, "102.5"),
        done(2),
        mark("10003.55", Vec::new()),
        Record::Ended { reason: "signal".into() },
    ]
}

fn lines(records: &[Record]) -> Vec<u8> {
    let (mut chain, mut out) = (Chain::default(), Vec::new());
    for (n, record) in records.iter().enumerate() {
        chain.encode(Ts::from_secs(n as i64), record, &mut out).unwrap();
    }
    out
}

struct Folder {
    dir: TempDir,
    journal: PathBuf,
}

impl Folder {
    fn new(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal.lbj");
        fs::write(&journal, bytes).unwrap();
        Self { dir, journal }
    }

    async fn store(&self) -> Store {
        Store::open(&format!("sqlite://{}", self.dir.path().join("levibot.db").display())).await.unwrap()
    }

    async fn projector(&self) -> (Store, Projector) {
        let store = self.store().await;
        (store.clone(), Projector::new(store, &self.journal))
    }
}

/// All rows of all tables, as text.
async fn dump(store: &Store) -> Vec<String> {
    let tables = [
        ("projection", "SELECT json_array(byte_offset, line_start, seq, hash, run) FROM projection"),
        ("events", "SELECT json_array(seq, ts, type, body) FROM events"),
        ("orders", "SELECT json_array(id, seq, ts, qty, status, status_ts, reserved) FROM orders ORDER BY seq"),
        (
            "fills",
            "SELECT json_array(seq, ts, order_id, symbol, trade_id, side, price, qty, fee, commission, name) FROM fills",
        ),
        (
            "positions",
            "SELECT json_array(symbol, seq, net, cost, realised, fees, funding, net_pnl, mark) FROM positions",
        ),
        ("brackets", "SELECT json_array(seq, symbol, entry, stop, best) FROM brackets"),
        ("equity", "SELECT json_array(seq, ts, cash, equity, positions, stocks) FROM equity"),
        (
            "decisions",
            "SELECT json_array(seq, symbol, policy, intent, verdict, check_name, model, votes) FROM decisions",
        ),
        ("forecasts", "SELECT json_array(seq, bar, symbol, model, prob_up, votes, q10, q50, q90) FROM forecasts"),
        ("halts", "SELECT json_array(seq, kind, level, symbol, by, text, start_equity) FROM halts"),
        ("commands", "SELECT json_array(seq, ts, by, command, outcome) FROM commands"),
        ("transfers", "SELECT json_array(id, seq, ts, asset, amount, value) FROM transfers ORDER BY seq"),
        ("funding", "SELECT json_array(symbol, ts, seq, rate, mark, amount) FROM funding ORDER BY seq"),
        ("stocks", "SELECT json_array(asset, seq, ts, amount, value) FROM stocks ORDER BY asset"),
        ("account", "SELECT json_array(kind, currency) FROM account"),
        ("instruments", "SELECT json_array(symbol, base, traded) FROM instruments ORDER BY symbol"),
    ];
    let mut all = Vec::new();
    for (table, select) in tables {
        let rows = sqlx::query_scalar::<_, String>(select).fetch_all(&store.pool).await.unwrap();
        all.extend(rows.into_iter().map(|row| format!("{table} {row}")));
    }
    all
}

#[tokio::test]
async fn a_life_becomes_rows() {
    let folder = Folder::new(&lines(&life()));
    let (store, mut projector) = folder.projector().await;
    let progress = projector.catch_up().await.unwrap();
    assert_eq!((progress.records, progress.seq), (25, 25));
    let orders = store.recent_orders(10).await.unwrap();
    assert_eq!(
        orders.iter().map(|o| (o.id.as_str(), o.status.as_str())).collect::<Vec<_>>(),
        [("lb-2", "filled"), ("lb-1", "filled")]
    );
    let fills = store.recent_fills(10).await.unwrap();
    assert_eq!((fills.len(), fills[1].trade_id.as_str()), (2, "18446744073709551615"));
    let position = store.positions().await.unwrap().remove(0);
    let figures = [position.net, position.cost, position.realised, position.fees, position.net_pnl];
    assert_eq!(figures, ["0", "0", "3.75", "0.2", "3.55"]);
    let decisions = store.recent_decisions(Some("BTCUSDT"), 1).await.unwrap();
    assert_eq!(decisions[0].check_name.as_deref(), Some("day_stop"));
    assert_eq!(store.recent_decisions(None, 9).await.unwrap()[1].policy, "ffffffffffffffff");
    type Row = (String, Option<f64>, Option<String>, Option<f64>);
    let forecasts: Vec<Row> =
        sqlx::query_as("SELECT symbol, prob_up, votes, q10 FROM v_forecasts").fetch_all(&store.pool).await.unwrap();
    assert_eq!(forecasts[0].0, "BTCUSDT");
    assert_eq!((forecasts[0].1.map(f64::to_bits), forecasts[0].3), (Some((0.1_f64 + 0.2).to_bits()), Some(-0.5)));
    let votes = forecasts[0].2.as_deref();
    assert_eq!(votes, Some(r#"[{"probability":0.75,"weight":1.0},null,null]"#));
    assert_eq!(forecasts[1], ("ETHUSDT".to_owned(), None, None, None));
    let equity = store.equity(Ts::EPOCH, Ts::MAX, 100).await.unwrap();
    assert_eq!(equity.iter().map(|e| e.equity.as_str()).collect::<Vec<_>>(), ["10001.4", "10003.55"]);
    let kinds: Vec<_> = store.recent_halts(9).await.unwrap().into_iter().map(|h| h.kind).collect();
    assert_eq!(kinds, ["resume", "unfreeze", "freeze", "halt"]);
    let time =
        sqlx::query_scalar::<_, String>("SELECT time FROM v_fills LIMIT 1").fetch_one(&store.pool).await.unwrap();
    assert_eq!(time, "1970-01-01 01:01:40");
    store.check().await.unwrap();
    assert_eq!(projector.catch_up().await.unwrap().records, 0);
}

#[tokio::test]
async fn following_line_by_line_and_half_lines_gives_the_same_rows() {
    let bytes = lines(&life());
    let folder = Folder::new(&bytes);
    let (whole, mut projector) = folder.projector().await;
    projector.catch_up().await.unwrap();
    let expected = dump(&whole).await;

    let folder = Folder::new(&[]);
    let (store, mut projector) = folder.projector().await;
    let mut journal = OpenOptions::new().append(true).open(&folder.journal).unwrap();
    for piece in bytes.chunks(250) {
        journal.write_all(piece).unwrap();
        let progress = projector.catch_up().await.unwrap();
        let written = fs::read(&folder.journal).unwrap();
        let whole = written.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        assert_eq!(progress.offset, whole as u64);
    }
    assert_eq!(dump(&store).await, expected);
    assert_eq!(projector.rebuild().await.unwrap().records, 25);
    assert_eq!(dump(&store).await, expected);
}

#[tokio::test]
async fn nothing_is_taken_beyond_what_is_durable() {
    let bytes = lines(&life());
    let third = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(2).unwrap().0 as u64 + 1;
    let folder = Folder::new(&bytes);
    let (_, mut projector) = folder.projector().await;
    let progress = projector.catch_up_to(third).await.unwrap();
    assert_eq!(progress, Progress { records: 3, seq: 3, offset: third });
    assert_eq!(projector.catch_up_to(third).await.unwrap().records, 0);
    assert_eq!(projector.catch_up().await.unwrap().records, 22);
}

#[tokio::test]
async fn a_projector_killed_at_any_step_loses_and_doubles_nothing() {
    let folder = Folder::new(&lines(&life()));
    let (whole, mut projector) = folder.projector().await;
    projector.catch_up().await.unwrap();
    let expected = dump(&whole).await;
    let mut killed = 0;
    for steps in (1..).step_by(3) {
        let folder = Folder::new(&lines(&life()));
        let (store, mut projector) = folder.projector().await;
        let finished = {
            let mut work = Box::pin(projector.catch_up());
            let mut left = steps;
            poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(Some(result)),
                Poll::Pending if left == 1 => Poll::Ready(None),
                Poll::Pending => {
                    left -= 1;
                    Poll::Pending
                }
            })
            .await
        };
        store.close().await;
        let (store, mut projector) = folder.projector().await;
        let before = dump(&store).await.len();
        assert!(before == 0 || before == expected.len(), "killed after {steps} steps: {before} rows");
        projector.catch_up().await.unwrap();
        assert_eq!(dump(&store).await, expected, "killed after {steps} steps");
        if let Some(result) = finished {
            result.unwrap();
            break;
        }
        killed += 1;
    }
    // How many waits there are is the scheduler's affair; that there is one before the end is certain.
    assert!(killed > 0);
}

#[tokio::test]
async fn a_transaction_that_fails_half_way_leaves_nothing_and_is_done_again() {
    let folder = Folder::new(&lines(&life()));
    let (store, mut projector) = folder.projector().await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON commands BEGIN SELECT RAISE(ABORT, 'disk full'); END";
    sqlx::query(full).execute(&store.pool).await.unwrap();
    let error = projector.catch_up().await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
    assert!(dump(&store).await.is_empty());
    sqlx::query("DROP TRIGGER full").execute(&store.pool).await.unwrap();
    assert_eq!(projector.catch_up().await.unwrap().records, 25);
}

#[tokio::test]
async fn another_journal_is_noticed_and_the_tables_can_be_rebuilt() {
    let (bytes, mut other) = (lines(&life()), life());
    let folder = Folder::new(&bytes);
    let (store, mut projector) = folder.projector().await;
    projector.catch_up().await.unwrap();
    let before = dump(&store).await;

    // The same length, another run.
    other[0] = started("run-2");
    let altered = lines(&other);
    assert_eq!(altered.len(), bytes.len());
    let cut = bytes[..bytes.len() - 1].to_vec();
    for (journal, found) in
        [(Some(altered), "another record 25"), (Some(cut), "ends at byte"), (None, "no journal at all")]
    {
        match &journal {
            Some(journal) => fs::write(&folder.journal, journal).unwrap(),
            None => fs::remove_file(&folder.journal).unwrap(),
        }
        let error = projector.catch_up().await.unwrap_err();
        assert!(matches!(error, StoreError::Mismatch { seq: 25, .. }), "{error}");
        assert!(error.to_string().contains(found) && error.to_string().contains("rebuild"), "{error}");
        assert_eq!(dump(&store).await, before);
    }
    fs::write(&folder.journal, lines(&other)).unwrap();
    projector.rebuild().await.unwrap();
    assert!(dump(&store).await[0].contains("run-2"));
}

#[tokio::test]
async fn damage_stops_the_projection_at_the_line_before_it() {
    let mut bytes = lines(&life());
    let starts: Vec<_> = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
    bytes[starts[9] + 130] ^= 1;
    let folder = Folder::new(&bytes);
    let (_, mut projector) = folder.projector().await;
    for _ in 0..2 {
        let error = projector.catch_up().await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged { seq: 11, .. }), "{error}");
        assert!(error.to_string().contains("line 11"), "{error}");
    }
    let good = projector.catch_up_to(starts[9] as u64).await.unwrap();
    assert_eq!((good.records, good.seq), (0, 10));
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_with_an_example() {
    let error = Store::open("postgres://x").await.unwrap_err().to_string();
    assert!(error.contains("sqlite://"), "{error}");
    Store::open("sqlite::memory:").await.unwrap();
}

/// A spot account with commissions of every kind, others' trades, and payments in and out.
fn money() -> Vec<Record> {
    let Record::Started { run, timeframe, config_hash, mut setup } = started("run-1") else { unreachable!() };
    setup.kind = AccountKind::Spot;
    let id = InstrumentId { venue: "sim".parse().unwrap(), symbol: symbol() };
    let [tick, step] = ["0.1", "0.001"].map(|text| text.parse().unwrap());
    let (min_qty, min_notional) = ("0.001".parse().unwrap(), "5".parse().unwrap());
    let raw = RawInstrument { id, base: "BTC".into(), quote: "USDT".into(), tick, step, min_qty, min_notional };
    setup.instruments.push(raw.try_into().unwrap());
    let with = |record: Record, commission: Commission| match record {
        Record::Fill { fill } => Record::Fill { fill: Fill { commission: Some(commission), ..fill } },
        other => other,
    };
    let foreign = |trade_id, side, price| match fill(9, trade_id, side, price) {
        Record::Fill { fill } => Record::Foreign { fill, name: "web".into() },
        other => other,
    };
    let transfer = |id: &str, asset: &str, amount: &str, value: &str| {
        let (asset, ts) = (asset.parse().unwrap(), Ts::EPOCH);
        let (id, amount, value) = (id.to_owned(), amount.parse().unwrap(), value.parse().unwrap());
        Record::Transfer { transfer: Transfer { id, asset, amount, value, ts } }
    };
    let bnb = Commission::Other { asset: "BNB".parse().unwrap(), amount: "0.5".parse().unwrap() };
    vec![
        Record::Started { run, timeframe, config_hash, setup },
        transfer("t-1", "BNB", "2.0", "600"),
        order(1, Side::Buy, Leg::Entry),
        with(fill(1, 1, Side::Buy, "100"), Commission::Base { amount: "0.0015".parse().unwrap() }),
        foreign(2, Side::Buy, "90"),
        foreign(3, Side::Sell, "95"),
        foreign(4, Side::Sell, "96"),
        order(2, Side::Buy, Leg::Entry),
        with(fill(2, 5, Side::Buy, "110"), bnb),
        transfer("t-2", "BTC", "-0.7", "-75"),
        transfer("t-3", "USDT", "-100", "-100"),
    ]
}

#[tokio::test]
async fn positions_and_stocks_of_the_tables_are_those_of_the_account() {
    let records = money();
    let mut state = State::open(Ts::EPOCH, &records[0]).unwrap();
    records[1..].iter().for_each(|record| state.apply(Ts::EPOCH, record).unwrap());
    let bytes = lines(&records);
    let folder = Folder::new(&[]);
    let (store, mut projector) = folder.projector().await;
    let mut journal = OpenOptions::new().append(true).open(&folder.journal).unwrap();
    for piece in bytes.chunks(300) {
        journal.write_all(piece).unwrap();
        projector.catch_up().await.unwrap();
    }
    let dumped = dump(&store).await;
    for _ in 0..2 {
        let (position, book) = (store.positions().await.unwrap().remove(0), &state.books()[0]);
        let ours = [book.net(), book.cost().get(), book.realised().get(), book.fees().get()];
        assert_eq!([position.net, position.cost, position.realised, position.fees], ours.map(|d| d.to_string()));
        let rows: Vec<(String, String, String)> =
            sqlx::query_as("SELECT asset, amount, value FROM stocks WHERE amount <> '0'")
                .fetch_all(&store.pool)
                .await
                .unwrap();
        let ours = state.stocks().map(|(asset, s)| (asset.to_string(), s.amount.to_string(), s.value.to_string()));
        assert_eq!(rows, ours.collect::<Vec<_>>());
        let transfers = store.recent_transfers(9).await.unwrap();
        assert_eq!((transfers.len(), transfers[0].amount.as_str(), transfers[2].amount.as_str()), (3, "-100", "2"));
        let names: Vec<_> = store.recent_fills(9).await.unwrap().into_iter().map(|f| f.name.is_some()).collect();
        assert_eq!(names, [false, true, true, true, false]);
        projector.rebuild().await.unwrap();
        assert_eq!(dump(&store).await, dumped);
    }
    let stocks: Vec<_> = state.stocks().map(|(asset, _)| asset.to_string()).collect();
    assert!(!state.books()[0].is_flat() && stocks == ["BNB"], "the BTC that was owed is given back: {stocks:?}");
}

#[tokio::test]
async fn tables_of_an_earlier_version_know_the_account_they_belong_to() {
    let folder = Folder::new(&[]);
    let url = format!("sqlite://{}?mode=rwc", folder.dir.path().join("levibot.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let mut earlier = sqlx::migrate!("./migrations");
    earlier.migrations.to_mut().retain(|migration| migration.version < 3);
    earlier.run(&pool).await.unwrap();
    let body = serde_json::to_string(&money()[0]).unwrap();
    let insert = "INSERT INTO events (seq, ts, type, body) VALUES (1, 1, 'started', ?)";
    sqlx::query(insert).bind(body).execute(&pool).await.unwrap();
    pool.close().await;
    let dumped = dump(&folder.store().await).await;
    assert!(dumped.contains(&r#"account ["spot","USDT"]"#.to_owned()), "{dumped:?}");
    assert!(dumped.contains(&r#"instruments ["BTCUSDT","BTC",1]"#.to_owned()), "{dumped:?}");
}

#[tokio::test]
async fn what_is_traded_elsewhere_of_a_symbol_that_has_left_is_booked_by_neither() {
    let Record::Started { run, timeframe, config_hash, setup } = money().remove(0) else { unreachable!() };
    let start = |kept: usize| {
        let mut setup = setup.clone();
        setup.kind = AccountKind::Linear;
        setup.instruments.truncate(kept);
        Record::Started { run, timeframe, config_hash: config_hash.clone(), setup }
    };
    let Record::Fill { fill: foreign } = fill(9, 3, Side::Buy, "90") else { unreachable!() };
    let done = |n| Record::Done { order: id(n), reason: DoneReason::Filled, text: None };
    let records = [
        start(1),
        order(1, Side::Buy, Leg::Entry),
        fill(1, 1, Side::Buy, "100"),
        done(1),
        order(2, Side::Sell, Leg::Exit),
        fill(2, 2, Side::Sell, "110"),
        done(2),
        start(0),
        Record::Foreign { fill: foreign, name: "web".into() },
    ];
    let mut state = State::open(Ts::EPOCH, &records[0]).unwrap();
    records[1..].iter().for_each(|record| state.apply(Ts::EPOCH, record).unwrap());
    let folder = Folder::new(&lines(&records));
    let (store, mut projector) = folder.projector().await;
    projector.catch_up().await.unwrap();
    let position = store.positions().await.unwrap().remove(0);
    assert!(state.books().is_empty());
    assert_eq!((position.net.as_str(), position.realised), ("0", state.realised().to_string()));
}
