//! With records and without: the same account.

use super::*;
use rust_decimal::Decimal;

/// What limits, pauses and stops there are, all of them near.
const NARROW: &str = "
risk_policy:
  max_daily_loss_pct: 1.0
  entry_halt_at: 0.6
  on_stop: flatten
  max_symbol_risk_pct: 0.5
  max_concurrent_positions: 2
  rebalance_frequency: never
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 5000}
  protections:
    cooldown: {after_exit: 2h}
    max_drawdown: {drawdown_pct: 0.7, within: 1d, pause: 3h}
";

const WIDE: &str = "
risk_policy:
  max_daily_loss_pct: 40.0
  max_symbol_risk_pct: 1.0
  max_concurrent_positions: 3
  rebalance_frequency: never
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 5000}
";

/// An order without the names that records alone need.
type Sent = (Symbol, Side, Leg, Qty, Option<Price>, Ts);

/// An account with a venue that fills everything at the next bar, in halves where it can.
struct Run {
    account: Account,
    out: Actions<Action>,
    waiting: Vec<Order>,
    sent: Vec<Sent>,
    told: Vec<PositionView>,
    halts: Vec<HaltLevel>,
    records: usize,
    trades: u64,
    now: Ts,
    prices: [f64; 3],
}

impl Run {
    fn new(recording: Recording, risk: &str, unlimited: bool) -> Self {
        let mut out = Actions::new();
        let setup = AccountSetup { unlimited, resume_next_day: true, ..setup(AccountKind::Linear, risk) };
        let started = Record::Started {
            run: "run-1".parse().unwrap(),
            timeframe: Timeframe::HOUR,
            config_hash: String::new(),
            setup: Box::new(setup),
        };
        let now = Ts::from_secs(1_654_041_600);
        let mut account = Account::open(now, started, &mut out).unwrap();
        account.set_recording(recording);
        out.drain();
        let (waiting, sent, told, halts) = Default::default();
        Self { account, out, waiting, sent, told, halts, records: 0, trades: 0, now, prices: [100.0; 3] }
    }

    fn carry_out(&mut self) {
        for action in self.out.drain() {
            match action {
                Action::Record(_) => self.records += 1,
                Action::Submit(order) => {
                    let Order { symbol, side, leg, qty, trigger, created, .. } = *order;
                    self.sent.push((symbol, side, leg, qty, trigger, created));
                    self.waiting.push((*order).clone());
                }
                Action::Cancel(id) => self.waiting.retain(|order| order.id != id),
                Action::Position(view) => self.told.push(view),
                Action::Halt(level, _) => self.halts.push(level),
                Action::Alert(_) | Action::Query(_) | Action::Reconcile => {}
            }
        }
    }

    fn report(&mut self, report: Report) {
        self.account.report(&report, self.now, &mut self.out);
        self.carry_out();
    }

    fn fill(&mut self, order: &Order, qty: Qty, price: Price) {
        self.trades += 1;
        let rate: Decimal = "0.0005".parse().unwrap();
        let fee = Money::new((price.notional(qty).get() * rate).round_dp(8)).unwrap();
        let Order { id, symbol, side, .. } = *order;
        let (order, trade_id, ts) = (id, self.trades, self.now);
        let fill = Fill { order, trade_id, symbol, side, price, qty, fee, commission: None, ts };
        self.account.fill(&fill, self.now, &mut self.out);
        self.carry_out();
    }

    /// Fills what waits; an odd draw fills entries in two parts, one of seven refuses them, and one of four says no more than
    /// what was filled.
    fn trade(&mut self, draw: u8) {
        for order in std::mem::take(&mut self.waiting) {
            let is_brief = draw % 4 == 1;
            if !is_brief {
                self.report(Report::Accepted { order: order.id });
            }
            let ix = self.account.ix(order.symbol).unwrap();
            let price = Price::new(Decimal::try_from(self.prices[ix.at()]).unwrap().round_dp(2)).unwrap();
            if draw % 7 == 6 && order.leg == Leg::Entry {
                self.report(Report::Done { order: order.id, reason: DoneReason::Rejected, text: None });
                continue;
            }
            let mut left = order.qty;
            let half = Qty::new((order.qty.get() / Decimal::TWO).round_dp(3)).unwrap();
            if draw % 2 == 1 && !half.is_zero() && half < left {
                self.fill(&order, half, price);
                left = left.less(half);
            }
            self.fill(&order, left, price);
            if !is_brief {
                self.report(Report::Done { order: order.id, reason: DoneReason::Filled, text: None });
            }
        }
    }

    fn frame(&mut self, step: &Step) {
        self.now = self.now + Span::HOUR.times(step.hours);
        self.trade(step.draw);
        for at in 0..3 {
            let open = self.prices[at];
            let close = (open * (1.0 + f64::from(step.moves[at]) / 2_000.0)).max(1.0);
            self.prices[at] = close;
            if step.draw % 5 == 4 && at == 1 {
                continue;
            }
            let (high, low) = (open.max(close) * 1.002, open.min(close) * 0.998);
            let bar = Bar { open_ts: self.now - Span::HOUR, open, high, low, close, volume: 1.0 };
            let ix = Ix::from_usize(at).unwrap();
            self.account.bar(ix, &bar, self.now, &mut self.out);
            self.carry_out();
        }
        self.account.frame_end(self.now, &mut self.out);
        self.carry_out();
        for (at, wish) in step.wishes.iter().enumerate() {
            let instrument = Ix::from_usize(at).unwrap();
            let Some(intent) = wish.intent(self.prices[at]) else { continue };
            let decision =
                Decision { instrument, bar: self.now, policy: 7, features: 0, forecast: None, intent: Some(intent) };
            self.account.decide(&decision, self.now, &mut self.out);
            self.carry_out();
        }
        if step.draw.is_multiple_of(3) {
            // At once, before the frame is over for good.
            self.trade(step.draw);
        }
        if step.draw == 77 {
            let transfer = Transfer {
                id: format!("t{}", self.now.nanos()),
                asset: "USDT".parse().unwrap(),
                amount: "250.5".parse().unwrap(),
                value: "250.5".parse().unwrap(),
                ts: self.now,
            };
            self.report(Report::Transfer(transfer));
        }
    }

    /// Everything that is not a name.
    fn account_of(&mut self) -> impl PartialEq + std::fmt::Debug + use<> {
        self.account.settle_frame();
        let state = self.account.state();
        let book = |book: &book::Book| {
            let bracket = book.bracket().map(|b| (b.stop, b.target, b.trailed, b.expires));
            let last = (book.last_trade(), book.trades(), book.is_dust(), book.day_base, book.volatility);
            (book.holding(), book.marked, book.marked_at, bracket, last, book.entry_price().to_bits())
        };
        let books: Vec<_> = state.books().iter().map(book).collect();
        let sums =
            (state.cash(), state.contributed(), state.realised(), state.fees(), state.day(), state.halt().cloned());
        let refusals: Vec<_> = self.account.refusals().collect();
        let equity = (self.account.exact_equity(), self.account.equity().to_bits(), self.account.last_equity);
        (books, sums, refusals, equity, (state.seq(), state.ts()))
    }
}

#[derive(Debug, Clone)]
struct Wish(u8, u8);

impl Wish {
    fn intent(&self, price: f64) -> Option<Intent> {
        let direction = if self.1.is_multiple_of(2) { Direction::Long } else { Direction::Short };
        let size = match self.1 % 8 {
            0 | 1 => Size::Account,
            2 | 3 => Size::Units(3.0 + f64::from(self.1) / 7.0),
            4 | 5 => Size::Notional(700.0),
            _ => Size::Equity(0.2),
        };
        let stop = (!self.1.is_multiple_of(3)).then_some(0.01 * price);
        let target = (!self.1.is_multiple_of(5)).then_some(0.02 * price);
        let trailing = (self.1.is_multiple_of(7)).then_some(0.015 * price);
        let time_exit = (self.1.is_multiple_of(4)).then_some(Span::HOUR.times(5));
        let bracket = BracketSpec { stop, target, trailing, time_exit };
        match self.0 {
            0..=4 => {
                Some(Intent::Enter { direction, probability: None, volatility: 0.05, reference: price, size, bracket })
            }
            5 => Some(Intent::Exit),
            6 => Some(Intent::Tighten { stop: 0.995 * price }),
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
struct Step {
    hours: i64,
    draw: u8,
    moves: [i8; 3],
    wishes: Vec<Wish>,
}

fn step() -> impl Strategy<Value = Step> {
    let wish = (0u8..14, any::<u8>()).prop_map(|(kind, how)| Wish(kind, how));
    let hours = prop_oneof![9 => Just(1i64), 1 => 2i64..60];
    let wishes = proptest::collection::vec(wish, 3);
    (hours, any::<u8>(), proptest::array::uniform3(prop_oneof![12 => -30i8..30, 1 => any::<i8>()]), wishes)
        .prop_map(|(hours, draw, moves, wishes)| Step { hours, draw, moves, wishes })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Orders, fills, ledger, marks, days, halts and refusals are the same to the last bit, whoever reads of them.
    #[test]
    fn an_account_without_records_is_the_same_account(
        steps in proptest::collection::vec(step(), 1..120),
        (risk, unlimited) in prop_oneof![Just((NARROW, false)), Just((WIDE, false)), Just((WIDE, true)), Just((NARROW, true))],
    ) {
        let (mut on, mut off) = (Run::new(Recording::On, risk, unlimited), Run::new(Recording::Off, risk, unlimited));
        for step in &steps {
            on.frame(step);
            off.frame(step);
            prop_assert_eq!(&on.sent, &off.sent);
        }
        prop_assert_eq!(off.records, 0);
        prop_assert!(on.records > steps.len());
        prop_assert_eq!((&on.told, &on.halts), (&off.told, &off.halts));
        let last = Step { hours: 1, draw: 1, moves: [0; 3], wishes: Vec::new() };
        on.frame(&last);
        off.frame(&last);
        prop_assert_eq!(on.account_of(), off.account_of());
    }
}

/// The courses above are no idle ones: something is refused, stopped, paused and lost in them.
#[test]
fn the_courses_meet_what_they_are_to_meet() {
    let mut run = Run::new(Recording::Off, NARROW, false);
    for n in 0..400_u32 {
        let draw = u8::try_from(n * 37 % 251).unwrap();
        let quiet = [0, 1, 2].map(|at| i8::try_from((n * 7 + at * 5) % 43).unwrap() - 21);
        let moves = if n % 9 == 8 { [if n % 2 == 0 { 110 } else { -110 }; 3] } else { quiet };
        let wish = |at: u32| Wish(u8::try_from((n + at) % 9).unwrap(), u8::try_from((n * 11 + at * 3) % 256).unwrap());
        run.frame(&Step { hours: 1, draw, moves, wishes: vec![wish(0), wish(1), wish(2)] });
    }
    let refused: Vec<&str> = run.account.refusals().map(|(check, _)| check).collect();
    assert!(["cooldown", "max_drawdown", "halt"].iter().all(|check| refused.contains(check)), "{refused:?}");
    assert!(run.halts.contains(&HaltLevel::Flatten) && run.sent.len() > 50, "{:?}", run.halts);
}
