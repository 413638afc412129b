//! Setups that change while a daemon runs, lives that left no strategies on record, and lives that began at one time.

use levibot_core::account::AccountSetup;
use levibot_core::account::policy::RiskPolicy;
use levibot_core::domain::{
    Bar, BracketSpec, Context, Direction, Fill, FreezeCause, HaltLevel, Intent, Ix, Money, Order, Price, Report, Span,
};

use super::*;

fn config() -> Config {
    let file = std::path::absolute("config/levibot.toml").unwrap();
    Config::load(&file, &Default::default(), &Default::default()).unwrap()
}

fn limited(config: &Config, daily_loss_pct: &str) -> Box<AccountSetup> {
    let file = std::path::absolute("policies/risk.yaml").unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().map(|line| match line.split_once("max_daily_loss_pct:") {
        Some((indent, _)) => format!("{indent}max_daily_loss_pct: {daily_loss_pct}\n"),
        None => format!("{line}\n"),
    });
    let mut setup = config.account_setup(&["BTCUSDT".parse().unwrap()]).unwrap();
    setup.risk = RiskPolicy::from_yaml(&lines.collect::<String>()).unwrap();
    Box::new(setup)
}

fn started(config: &Config) -> Record {
    let (timeframe, setup) = (config.market.timeframe, limited(config, "50"));
    Record::Started { run: "r".parse().unwrap(), timeframe, config_hash: config.hash(), setup }
}

/// A daemon's life: what it put on record and on tape.
struct Life {
    account: Account,
    now: Ts,
    journal: VecDeque<(Ts, Record)>,
    tape: Vec<TapeEntry>,
    orders: Vec<Order>,
}

impl Life {
    fn begin(config: &Config) -> Self {
        let (now, mut actions) = (Ts::from_secs(1_760_400_000), Actions::new());
        let account = Account::open(now, started(config), &mut actions).unwrap();
        let mut life = Self { account, now, journal: VecDeque::new(), tape: Vec::new(), orders: Vec::new() };
        life.collect(actions);
        life.put(TapeTarget::Session, Event::FrameEnd);
        life
    }

    /// The daemon is killed, and the next one begins.
    fn restart(&mut self, config: &Config) {
        let (state, mut actions) = (self.account.state().clone(), Actions::new());
        self.account = Account::restart(state, self.now, started(config), &mut actions).unwrap();
        self.collect(actions);
        self.put(TapeTarget::Start(self.account.state().seq()), Event::FrameEnd);
    }

    fn freeze(&mut self, reason: Option<&str>) {
        let reason = reason.map(str::to_owned);
        self.tell(Event::Freeze { instrument: Ix(0), cause: FreezeCause::Engine, reason });
    }

    fn collect(&mut self, mut actions: Actions<Action>) {
        for action in actions.drain() {
            match action {
                Action::Record(record) => self.journal.push_back((self.now, *record)),
                Action::Submit(order) => self.orders.push((*order).clone()),
                _ => {}
            }
        }
    }

    fn put(&mut self, to: TapeTarget, event: Event) {
        let seq = self.tape.len() as u64 + 1;
        self.tape.push(TapeEntry { seq, ts: self.now, to, event });
    }

    fn tell(&mut self, event: Event) {
        let mut actions = Actions::new();
        self.account.step(&event, self.now, &mut actions);
        self.collect(actions);
        self.put(TapeTarget::Account, event);
    }

    fn bar(&mut self, price: f64) {
        let open_ts = self.now - self.account.state().timeframe().span();
        let bar = Bar { open_ts, open: price, high: price, low: price, close: price, volume: 1e6 };
        self.tell(Event::Bar { instrument: Ix(0), bar, context: Context::default() });
    }

    fn frame(&mut self, price: f64) {
        self.bar(price);
        self.tell(Event::FrameEnd);
    }

    fn next(&mut self) {
        self.now = self.now + self.account.state().timeframe().span();
    }

    /// Buys at 20 000, by the decision of a strategy that nobody knows.
    fn buy(&mut self) {
        self.frame(20_000.0);
        let bracket = BracketSpec { stop: Some(2.0), target: Some(4.0), trailing: None, time_exit: Some(Span::DAY) };
        let (direction, reference) = (Direction::Long, 20_000.0);
        let intent = Some(Intent::Enter {
            direction,
            probability: None,
            volatility: 0.2,
            reference,
            size: levibot_core::domain::Size::Account,
            bracket,
        });
        let (instrument, bar) = (Ix(0), self.now);
        self.tell(Event::Decision(Decision { instrument, bar, policy: 7, features: 0, forecast: None, intent }));
        let order = self.orders.pop().expect("it buys");
        self.tell(Event::Report(Report::Accepted { order: order.id }));
        let (price, fee, ts): (Price, Money, _) = ("20000".parse().unwrap(), "0".parse().unwrap(), self.now);
        let Order { id, symbol, side, qty, .. } = order;
        self.tell(Event::Report(Report::Fill(Fill {
            order: id,
            trade_id: 1,
            symbol,
            side,
            price,
            qty,
            fee,
            commission: None,
            ts,
        })));
    }

    fn tighten(&mut self, config: &Config, marks: bool) {
        let mut actions = Actions::new();
        self.account.reconfigure(*limited(config, "0.1"), self.now, &mut actions).unwrap();
        self.collect(actions);
        if marks {
            self.put(TapeTarget::Setup, Event::FrameEnd);
        }
    }

    fn again(self, config: &Config) -> ReplayOutcome {
        let halted = |(_, record): &(Ts, Record)| matches!(record, Record::Halt { level: HaltLevel::ReduceOnly, .. });
        assert!(self.journal.iter().any(halted), "the tightened limit was breached");
        self.repeat(config)
    }

    fn repeat(self, config: &Config) -> ReplayOutcome {
        let mut outcome = ReplayOutcome::default();
        let mut again = Again::new(config, self.journal);
        for entry in self.tape {
            if again.truth.is_none() { again.begin(&entry, &mut outcome) } else { again.take(entry, &mut outcome) }
        }
        again.end(&mut outcome);
        outcome
    }
}

#[test]
fn a_tightened_limit_counts_from_where_it_was_taken() {
    let config = config();
    for marks in [true, false] {
        let mut life = Life::begin(&config);
        life.buy();
        life.next();
        life.frame(19_500.0);
        life.tighten(&config, marks);
        life.next();
        life.frame(19_500.0);
        let outcome = life.again(&config);
        assert_eq!((outcome.different, outcome.beyond, outcome.ahead), (0, 0, 0), "{outcome}");
    }
}

#[test]
fn a_mark_tells_what_its_time_does_not() {
    let config = config();
    let mut life = Life::begin(&config);
    life.buy();
    life.next();
    life.bar(19_500.0);
    life.tighten(&config, true);
    life.tell(Event::FrameEnd);
    let outcome = life.again(&config);
    assert_eq!((outcome.different, outcome.beyond, outcome.ahead), (0, 0, 0), "{outcome}");
}

#[test]
fn decisions_of_a_life_without_strategies_on_record_are_no_differences() {
    let config = config();
    let mut life = Life::begin(&config);
    life.buy();
    life.next();
    life.tighten(&config, true);
    life.frame(19_500.0);
    let outcome = life.again(&config);
    assert_eq!((outcome.different, outcome.of_unknown_strategies), (0, 1), "{outcome}");
    assert!(outcome.to_string().contains("1 decisions of an older version"), "{outcome}");

    // One that has put them on record must have that one, too.
    let mut life = Life::begin(&config);
    let mut actions = Actions::new();
    life.account.note(Record::Strategies { strategies: Vec::new() }, life.now, &mut actions);
    life.collect(actions);
    life.buy();
    life.next();
    life.tighten(&config, true);
    life.frame(19_500.0);
    let outcome = life.again(&config);
    assert_eq!((outcome.different, outcome.of_unknown_strategies), (1, 0), "{outcome}");
}

#[test]
fn of_lives_that_began_at_one_time_the_tape_says_which_it_is_of() {
    let config = config();
    for whole in [true, false] {
        let mut life = Life::begin(&config);
        life.buy();
        life.next();
        life.frame(20_000.0);
        let (first, read) = (life.journal.len() as u64, life.tape.len());
        // Killed before market data came, and its tape is lost.
        life.restart(&config);
        life.freeze(Some("away"));
        life.tape.truncate(read);
        // The next one begins at the same time.
        let second = life.journal.len() as u64 - first;
        life.restart(&config);
        life.freeze(None);
        life.next();
        life.frame(20_100.0);
        let all = life.journal.len() as u64;
        if !whole {
            life.tape.drain(..read);
        }
        let outcome = life.repeat(&config);
        let (unrepeatable, beyond) = if whole { (0, second - 1) } else { (first + second, 0) };
        assert_eq!((outcome.different, outcome.ahead), (0, 0), "{outcome}");
        assert_eq!((outcome.unrepeatable, outcome.beyond), (unrepeatable, beyond), "{outcome}");
        assert_eq!(outcome.records, all - unrepeatable - beyond, "{outcome}");
    }
}
