//! A venue that loses, doubles, delays and reorders what it says, and keeps the truth.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use super::*;

/// How long the venue accepts what was sent.
const WINDOW: Span = Span::from_secs(10);

/// What has truly become of an order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    /// Under way until this time, without anybody knowing.
    Flying(Ts),
    Open,
    Over(DoneReason),
}

#[derive(Debug)]
struct Truth {
    order: Order,
    fate: Fate,
    filled: Qty,
}

impl Truth {
    fn left(&self) -> Qty {
        self.order.qty.less(self.filled)
    }
}

/// The venue, its truth, and the wires between it and the desk.
struct Model {
    desk: Desk,
    orders: BTreeMap<OrderId, Truth>,
    fills: Vec<Fill>,
    /// Sent and not at the venue yet.
    outbox: Vec<Order>,
    cancels: Vec<OrderId>,
    queries: Vec<OrderId>,
    comparisons: usize,
    /// Said and not heard yet.
    wire: Vec<Report>,
    sent: BTreeSet<OrderId>,
}

impl Model {
    fn new(kind: AccountKind) -> Self {
        let (orders, fills, outbox, cancels, queries, comparisons, wire, sent) = Default::default();
        let risk = RISK.replace("max_concurrent_positions: 2", "max_concurrent_positions: 3");
        let desk = Desk::with(kind, &risk);
        let mut model = Self { desk, orders, fills, outbox, cancels, queries, comparisons, wire, sent };
        for at in 0..3 {
            model.pass(1, at, 100.0);
        }
        model
    }

    fn tell(&mut self, event: &Event) {
        let locked: Vec<bool> = (0..3).map(|at| self.desk.account.has_unknown(Ix(at))).collect();
        let asked = self.desk.ask(event);
        self.queries.extend(asked.queries);
        self.comparisons += asked.comparisons;
        self.cancels.append(&mut self.desk.cancels);
        for order in std::mem::take(&mut self.desk.orders) {
            assert!(self.sent.insert(order.id), "{} is sent twice", order.id);
            let at = self.desk.account.ix(order.symbol).unwrap();
            assert!(order.leg == Leg::Exit || !locked[at.at()], "an entry while another is unknown");
            self.outbox.push(order);
        }
    }

    fn net(&self, symbol: Symbol) -> Decimal {
        let of = self.fills.iter().filter(|f| f.symbol == symbol);
        of.map(|f| if f.side == Side::Buy { f.qty.get() } else { -f.qty.get() }).sum()
    }

    /// An order reaches the venue or is lost, and the answer reaches the desk or is lost.
    fn send(&mut self, at: usize, fate: u8) {
        if self.outbox.is_empty() {
            return;
        }
        let order = self.outbox.remove(at % self.outbox.len());
        let (id, until) = (order.id, self.desk.now + WINDOW);
        let doubt = Report::Unknown { order: id, acceptable_until: until, text: "no answer".into() };
        let (fate, report) = match fate % 6 {
            0 | 1 => (Some(Fate::Open), Report::Accepted { order: id }),
            2 => (Some(Fate::Open), doubt),
            3 => (Some(Fate::Flying(until)), doubt),
            4 => (None, doubt),
            _ => {
                let reason = DoneReason::Rejected;
                (Some(Fate::Over(reason)), Report::Done { order: id, reason, text: None })
            }
        };
        if let Some(fate) = fate {
            assert!(self.orders.insert(id, Truth { order, fate, filled: Qty::ZERO }).is_none(), "accepted twice");
        }
        self.wire.push(report);
    }

    fn nth(&self, at: usize, wanted: impl Fn(&Truth) -> bool) -> Option<OrderId> {
        let of: Vec<OrderId> = self.orders.values().filter(|t| wanted(t)).map(|t| t.order.id).collect();
        (!of.is_empty()).then(|| of[at % of.len()])
    }

    /// A part of an open order is executed. What only reduces is cut to what is there, and ends when nothing is.
    fn execute(&mut self, id: OrderId, all: bool, is_heard: bool) {
        let truth = &self.orders[&id];
        let mut qty = truth.left().get();
        if !all {
            qty = (qty / Decimal::TWO).round_dp(3).max("0.001".parse().unwrap()).min(qty);
        }
        let order = truth.order.clone();
        if order.leg == Leg::Exit {
            let net = self.net(order.symbol);
            let closes = net.is_sign_positive() == (order.side == Side::Sell);
            qty = if closes { qty.min(net.abs()) } else { Decimal::ZERO };
            if qty.is_zero() {
                return self.finish(id, DoneReason::Expired, is_heard);
            }
        }
        let fill = self.desk.trade(&order, &qty.to_string(), "100");
        let truth = self.orders.get_mut(&id).unwrap();
        truth.filled = truth.filled + fill.qty;
        self.fills.push(fill.clone());
        let whole = truth.left().is_zero();
        if is_heard {
            self.wire.push(Report::Fill(fill));
        }
        if whole {
            self.finish(id, DoneReason::Filled, is_heard);
        }
    }

    fn finish(&mut self, id: OrderId, reason: DoneReason, is_heard: bool) {
        self.orders.get_mut(&id).unwrap().fate = Fate::Over(reason);
        if is_heard {
            self.wire.push(Report::Done { order: id, reason, text: None });
        }
    }

    fn hear(&mut self, at: usize, again: bool) {
        if self.wire.is_empty() {
            return;
        }
        let at = at % self.wire.len();
        let report = if again { self.wire[at].clone() } else { self.wire.remove(at) };
        self.tell(&Event::Report(report));
    }

    /// What flies lands, or is too late for ever.
    fn land(&mut self, is_late: bool) {
        let now = self.desk.now;
        let flying = |fate| matches!(fate, Fate::Flying(until) if is_late || until < now);
        if is_late {
            for truth in self.orders.values_mut().filter(|t| matches!(t.fate, Fate::Flying(until) if until >= now)) {
                truth.fate = Fate::Open;
            }
        }
        self.orders.retain(|_, truth| !flying(truth.fate));
    }

    fn pass(&mut self, seconds: i64, at: u16, price: f64) {
        self.desk.now = self.desk.now + Span::from_secs(seconds);
        self.land(false);
        let quote = Quote { ts: self.desk.now, bid: price, ask: price, bid_size: 1.0, ask_size: 1.0 };
        self.tell(&Event::Quote { instrument: Ix(at), quote });
    }

    fn cancel_one(&mut self, is_heard: bool) {
        if let Some(id) = self.cancels.pop()
            && self.orders.get(&id).is_some_and(|t| t.fate == Fate::Open)
        {
            self.finish(id, DoneReason::Cancelled, is_heard);
        }
    }

    fn answer_query(&mut self, gap: bool) {
        let Some(id) = self.queries.pop() else { return };
        match self.orders.get(&id).map(|t| t.fate) {
            Some(Fate::Open) => self.wire.push(Report::Accepted { order: id }),
            Some(Fate::Over(reason)) => {
                self.wire.extend(self.fills.iter().filter(|f| f.order == id).cloned().map(Report::Fill));
                self.wire.push(Report::Done { order: id, reason, text: None });
            }
            Some(Fate::Flying(_)) | None => {
                self.wire.push(Report::Absent { order: id, asked: self.desk.now, gap });
            }
        }
    }

    fn answer_comparison(&mut self, gap: bool) {
        if self.comparisons == 0 {
            return;
        }
        self.comparisons -= 1;
        let open = self.orders.values().filter(|t| t.fate == Fate::Open).map(|t| VenueOrder {
            id: Some(t.order.id),
            name: t.order.id.to_string(),
            symbol: t.order.symbol,
            side: t.order.side,
            qty: t.order.qty,
            filled: t.filled,
        });
        let symbols: Vec<Symbol> = self.desk.account.state().books().iter().map(book::Book::symbol).collect();
        let held: Vec<(Symbol, Decimal)> = symbols.into_iter().map(|s| (s, self.net(s))).collect();
        let mut cash = Decimal::from(10_000);
        let (mut positions, mut balances) = (Vec::new(), Vec::new());
        if self.desk.account.state().setup().kind == AccountKind::Linear {
            positions = held;
        } else {
            cash -= held.iter().map(|(_, net)| net * Decimal::from(100)).sum::<Decimal>();
            balances.extend(held.into_iter().map(|(s, net)| (s.as_str().parse().unwrap(), net)));
        }
        balances.push(("USDT".parse().unwrap(), cash));
        let (foreign, transfers, fills) = (Vec::new(), Vec::new(), self.fills.clone());
        let (asked, orders) = (self.desk.now, open.collect());
        let venue = VenueState { asked, gap, orders, fills, foreign, transfers, positions, balances };
        self.wire.push(Report::State(Box::new(venue)));
    }

    fn step(&mut self, what: u8, at: usize, flag: bool, fate: u8) {
        let price = [100.0, 97.0, 105.0, 100.5][usize::from(fate) % 4];
        let symbol = u16::try_from(at % 3).unwrap();
        let direction = if flag && fate > 2 { Direction::Short } else { Direction::Long };
        match what {
            0..=2 => self.send(at, fate),
            3 | 4 => {
                if let Some(id) = self.nth(at, |t| t.fate == Fate::Open) {
                    self.execute(id, flag, fate != 0);
                }
            }
            5..=8 => self.hear(at, flag),
            9 => {
                if let Some(id) = self.nth(at, |t| t.fate == Fate::Open) {
                    self.finish(id, if flag { DoneReason::Expired } else { DoneReason::Cancelled }, fate != 0);
                }
            }
            10 | 11 => self.pass(i64::from(fate) * 3 + 1, symbol, price),
            12 => self.land(true),
            13 => self.cancel_one(flag),
            14 => self.answer_query(flag),
            15 => self.answer_comparison(flag),
            16 => {
                let cause = if flag { ReconcileCause::Reconnect } else { ReconcileCause::Periodic };
                self.tell(&Event::Reconcile { cause });
            }
            17..=19 => self.decide(symbol, Some(direction)),
            _ => self.decide(symbol, None),
        }
    }

    fn decide(&mut self, at: u16, direction: Option<Direction>) {
        self.desk.now = self.desk.now + Span::SECOND;
        let bracket = BracketSpec { stop: Some(2.0), target: Some(4.0), trailing: None, time_exit: None };
        let intent = direction.map_or(Intent::Exit, |direction| Intent::Enter {
            direction,
            probability: None,
            volatility: 0.2,
            reference: 100.0,
            size: Size::Account,
            bracket,
        });
        let (instrument, bar, intent) = (Ix(at), self.desk.now, Some(intent));
        let decision = Decision { instrument, bar, policy: 7, features: 0, forecast: None, intent };
        self.tell(&Event::Decision(decision));
    }

    /// The venue answers everything in time and in order, until nothing is open.
    fn settle(&mut self) {
        for _ in 0..40 {
            for at in 0..3 {
                self.pass(7, at, 100.0);
            }
            while !self.outbox.is_empty() {
                self.send(0, 0);
            }
            while !self.cancels.is_empty() {
                self.cancel_one(true);
            }
            self.queries.dedup();
            while !self.queries.is_empty() {
                self.answer_query(false);
            }
            while let Some(id) = self.nth(0, |t| t.fate == Fate::Open) {
                self.execute(id, true, true);
            }
            while self.comparisons > 0 {
                self.answer_comparison(false);
            }
            while !self.wire.is_empty() {
                self.hear(0, false);
            }
            self.tell(&Event::Reconcile { cause: ReconcileCause::Periodic });
        }
    }

    fn assert_settled(&self) {
        let (account, state) = (&self.desk.account, self.desk.account.state());
        assert_eq!(account.fault, None);
        let open: Vec<String> = state.orders().map(|o| format!("{} {:?}", o.order.id, o.stage)).collect();
        assert_eq!(open, Vec::<String>::new(), "everything ends");
        assert!(account.reserved().abs() < 1e-9);
        for (at, book) in state.books().iter().enumerate() {
            assert_eq!(book.net(), self.net(book.symbol()), "position of {}", book.symbol());
            assert!(!account.has_unknown(Ix::from_usize(at).unwrap()));
            assert!(!book.frozen().contains_key(&FreezeCause::Venue), "{:?}", book.frozen());
            assert!(book.is_flat() || book.bracket().is_some(), "a position without protection");
        }
        let booked = self.desk.records.iter().filter_map(|(_, r)| match r {
            Record::Fill { fill } => Some(fill.trade_id),
            _ => None,
        });
        let mut booked: Vec<u64> = booked.collect();
        booked.sort_unstable();
        assert_eq!(booked, self.fills.iter().map(|f| f.trade_id).collect::<Vec<_>>(), "each trade once");
        self.desk.assert_folds();
    }
}

/// A model that never loses anything proves nothing.
#[test]
fn the_model_meets_what_it_is_for() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..300_u64 {
        let mut model = Model::new(if seed % 3 == 0 { AccountKind::Spot } else { AccountKind::Linear });
        for n in 0..150_u64 {
            let draw = |m: u64, of: f64| (hash::unit_draw(seed * 1_000 + n, m) * of).floor();
            let (what, at, fate) = (draw(1, 22.0), draw(2, 64.0), draw(3, 6.0));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small whole numbers")]
            model.step(what as u8, at as usize, draw(4, 2.0) > 0.0, fate as u8);
        }
        model.settle();
        model.assert_settled();
        for (_, record) in &model.desk.records {
            let name = match record {
                Record::Unknown { .. } => "unknown",
                Record::Absent { .. } => "absent",
                Record::Done { reason: DoneReason::NotSent, .. } => "not sent",
                Record::Done { reason: DoneReason::Rejected, .. } => "rejected",
                Record::Intent { order, .. } if order.leg == Leg::Exit && order.attempt > 1 => "exit again",
                Record::Freeze { reason: Some(_), .. } => "frozen",
                Record::Freeze { reason: None, .. } => "free",
                Record::Reconciled { .. } => "compared",
                Record::Decision { verdict: Verdict::Refused { check, .. }, .. } if check == "unknown_order" => {
                    "locked"
                }
                Record::Decision { verdict: Verdict::Refused { check, .. }, .. } if check == "reconciling" => "waits",
                _ => continue,
            };
            *seen.entry(name).or_default() += 1;
        }
        *seen.entry("late").or_default() += model.desk.alerts.iter().filter(|a| a.contains("after its end")).count();
    }
    let names = ["unknown", "absent", "not sent", "rejected", "exit again", "compared", "locked", "waits"];
    for name in names.into_iter().chain(["late"]) {
        assert!(seen.get(name).is_some_and(|count| *count >= 10), "{name}: {seen:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the venue does with its words, in the end no order was sent twice, no fill is lost or doubled, nothing is
    /// held back, and the ledger is the truth.
    #[test]
    fn any_course_of_reports_ends_in_the_truth(
        is_spot in any::<bool>(),
        course in proptest::collection::vec((0u8..22, 0usize..64, any::<bool>(), 0u8..6), 1..160),
    ) {
        let mut model = Model::new(if is_spot { AccountKind::Spot } else { AccountKind::Linear });
        for (what, at, flag, fate) in course {
            model.step(what, at, flag, fate);
            // The lock is there exactly while something is unknown.
            let state = model.desk.account.state();
            for (at, book) in state.books().iter().enumerate() {
                let unknown = state.orders().any(|o| o.order.symbol == book.symbol() && o.stage.is_unknown());
                prop_assert_eq!(model.desk.account.has_unknown(Ix::from_usize(at).unwrap()), unknown);
            }
        }
        model.settle();
        model.assert_settled();
    }
}
