//! One pass over the journal: the account is folded along, and of the past only that is kept which may belong to the
//! story that is asked for: orders and brackets of open positions, and the last decision of each symbol.

use std::collections::{BTreeMap, BTreeSet};

use levibot_core::account::{ApplyError, SizingMethod, State};
use levibot_core::domain::{
    BracketSpec, Cause, Decision, Fill, Leg, ModelVersion, Money, Order, OrderId, Symbol, Timeframe, Ts,
};
use levibot_core::engine::StrategyPolicy;
use levibot_core::record::{Bracket, Envelope, Record, Verdict};

use super::super::trips::{Step, Trip, Trips};
use super::scene::{Prices, Scene};
use super::subject::Subject;
use crate::app::strategies;

/// Others that would fit the question as well and are named.
const NAMED_MAX: usize = 6;

/// A record with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) seq: u64,
    pub(super) ts: Ts,
}

/// A decision with what stood around it.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) at: At,
    pub(super) symbol: Symbol,
    pub(super) decision: Decision,
    pub(super) verdict: Verdict,
    pub(super) scene: Scene,
    pub(super) terms: Terms,
    /// The start of the daemon that decided.
    pub(super) started: At,
    pub(super) timeframe: Timeframe,
}

/// The keys of the risk policy that a size is made with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) risk_per_trade: f64,
    pub(super) symbol_fraction: f64,
    pub(super) is_kelly: bool,
    pub(super) kelly_fraction: f64,
    pub(super) max_position: f64,
    pub(super) min_position: f64,
}

impl Terms {
    fn of(state: &State, symbol: Symbol) -> Self {
        let keys = state.setup().risk.limits(symbol);
        Self {
            risk_per_trade: keys.risk_per_trade,
            symbol_fraction: keys.symbol_fraction,
            is_kelly: keys.method == SizingMethod::Kelly,
            kelly_fraction: keys.kelly_fraction,
            max_position: keys.max_position_usd,
            min_position: keys.min_position_usd,
        }
    }
}

/// An order with all that is on record of it.
#[derive(Debug, Clone)]
pub(super) struct OrderStory {
    pub(super) at: At,
    pub(super) order: Order,
    pub(super) reserved: Money,
    pub(super) bracket: Option<BracketSpec>,
    /// The decision that caused it.
    pub(super) decided: Option<Box<Decided>>,
    /// The protection in force when it was sent.
    pub(super) guarded: Option<Bracket>,
    pub(super) fills: Vec<(At, Fill)>,
    /// Acceptance, unknown outcomes, absences, the end.
    pub(super) events: Vec<(At, Record)>,
}

/// A closed or open round trip with its protection and its orders, also those that were not filled.
#[derive(Debug, Clone)]
pub(super) struct TripStory {
    pub(super) trip: Trip,
    pub(super) brackets: Vec<(At, Bracket)>,
    pub(super) orders: Vec<OrderId>,
    /// The last price on record of an open one, and what closing there would gain.
    pub(super) held: Option<super::scene::Held>,
}

/// What belongs to an open position besides its trip.
#[derive(Debug, Default)]
struct Guard {
    brackets: Vec<(At, Bracket)>,
    /// Exits that were tried.
    tried: Vec<OrderId>,
}

/// A record that is asked for itself, or that caused an order.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) at: At,
    pub(super) record: Record,
    pub(super) scene: Option<Scene>,
    /// The limit of the day's loss in force, a fraction.
    pub(super) daily_loss: Option<f64>,
    /// The account at the end of the same instant, where that was put on record.
    pub(super) mark: Option<Record>,
    /// Orders that it caused.
    pub(super) sent: Vec<OrderId>,
    /// Orders that it found open and that were cancelled after it.
    pub(super) cancelled: Vec<OrderId>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) decided: Option<Decided>,
    pub(super) orders: BTreeSet<OrderId>,
    pub(super) trips: Vec<TripStory>,
    pub(super) happening: Option<Happening>,
    /// What else fits the question.
    pub(super) others: Vec<String>,
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.decided.is_none() && self.orders.is_empty() && self.happening.is_none()
    }
}

/// What is known of a version of the model.
#[derive(Debug, Clone)]
pub(super) struct ModelNote {
    pub(super) digest: String,
    pub(super) trained_through: Ts,
}

/// See the module. Give it every record in order.
#[derive(Debug)]
pub(super) struct Pass {
    subject: Subject,
    trips: Trips,
    prices: Prices,
    guards: BTreeMap<Symbol, Guard>,
    decided: BTreeMap<Symbol, Decided>,
    started: At,
    pub(super) orders: BTreeMap<OrderId, OrderStory>,
    pub(super) strategies: BTreeMap<u64, StrategyPolicy>,
    pub(super) models: BTreeMap<ModelVersion, ModelNote>,
    /// Halts and closes by their numbers, and the last rebalancing: causes of orders.
    pub(super) causes: BTreeMap<u64, Happening>,
    pub(super) rebalanced: Option<Happening>,
    pub(super) found: Found,
}

impl Pass {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            subject,
            trips: Trips::default(),
            prices: Prices::default(),
            guards: BTreeMap::new(),
            decided: BTreeMap::new(),
            started: At { seq: 0, ts: Ts::EPOCH },
            orders: BTreeMap::new(),
            strategies: BTreeMap::new(),
            models: BTreeMap::new(),
            causes: BTreeMap::new(),
            rebalanced: None,
            found: Found::default(),
        }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// [`ApplyError`] when it cannot follow the ones before it.
    pub(super) fn take(&mut self, envelope: &Envelope) -> Result<(), ApplyError> {
        let at = At { seq: envelope.seq, ts: envelope.ts };
        let asked = self.subject == Subject::Record(at.seq);
        self.learn(at, &envelope.record);
        self.before(at, &envelope.record, asked);
        let steps = self.trips.take(envelope)?;
        self.prices.take(at.ts, &envelope.record);
        self.after(at, &envelope.record);
        for step in steps {
            if let Step::Closed(trip) = step {
                self.close(trip);
            }
        }
        if let Record::Done { order, .. } = &envelope.record
            && !self.is_needed(*order)
        {
            self.orders.remove(order);
        }
        Ok(())
    }

    /// The journal has ended: positions that are open belong to the story as they are.
    pub(super) fn finish(mut self) -> Self {
        for (symbol, trip) in self.trips.open().clone() {
            let guard = self.guards.remove(&symbol).unwrap_or_default();
            let book = self.trips.state().and_then(|state| state.books().iter().find(|book| book.symbol() == symbol));
            let held = book.and_then(|book| self.prices.held(book));
            if self.is_of_story(&trip, &guard) {
                self.found.trips.push(story(trip, guard, held));
            }
        }
        self
    }

    /// What later records refer to.
    fn learn(&mut self, at: At, record: &Record) {
        match record {
            Record::Started { .. } => self.started = at,
            Record::Strategies { strategies } => {
                let known = strategies::of_record(strategies).unwrap_or_default();
                self.strategies.extend(known.into_values().map(|strategy| (strategy.hash(), strategy)));
            }
            Record::Model { version, digest, trained_through } => {
                let note = ModelNote { digest: digest.clone(), trained_through: *trained_through };
                self.models.insert(*version, note);
            }
            _ => {}
        }
    }

    /// What needs the account as the record found it.
    fn before(&mut self, at: At, record: &Record, asked: bool) {
        match record {
            Record::Decision { symbol, decision, verdict } => self.decide(at, *symbol, decision, verdict, asked),
            Record::Intent { order, reserved, bracket } => self.intend(at, order, *reserved, *bracket),
            Record::Halt { .. } | Record::Close { .. } => {
                let happening = self.happening(at, record);
                self.causes.insert(at.seq, happening);
            }
            Record::Rebalance { .. } => self.rebalanced = Some(self.happening(at, record)),
            _ => {}
        }
        if asked {
            self.focus(at, record);
        }
    }

    fn decide(&mut self, at: At, symbol: Symbol, decision: &Decision, verdict: &Verdict, asked: bool) {
        let Some(state) = self.trips.state() else { return };
        let decided = Decided {
            at,
            symbol,
            decision: *decision,
            verdict: verdict.clone(),
            scene: Scene::of(state, &self.prices, Some(symbol)),
            terms: Terms::of(state, symbol),
            started: self.started,
            timeframe: state.timeframe(),
        };
        let wanted = match self.subject {
            Subject::Decision(of, bar) => (of, bar) == (symbol, decision.bar),
            Subject::Latest(of) => of == symbol,
            _ => asked,
        };
        if wanted {
            // A later one takes the place of an earlier one.
            let old = std::mem::take(&mut self.found);
            self.found.decided = Some(decided.clone());
            self.forget(old);
        }
        self.decided.insert(symbol, decided);
    }

    /// Orders of a story that is not told any more.
    fn forget(&mut self, old: Found) {
        let told = old.trips.into_iter().flat_map(|trip| trip.orders);
        for id in old.orders.into_iter().chain(told).collect::<BTreeSet<_>>() {
            if !self.is_needed(id) {
                self.orders.remove(&id);
            }
        }
    }

    fn intend(&mut self, at: At, order: &Order, reserved: Money, bracket: Option<BracketSpec>) {
        let decided = match order.cause {
            Cause::Decision { bar } => self.decided.get(&order.symbol).filter(|d| d.decision.bar == bar).cloned(),
            _ => None,
        };
        let of_found = self.found.decided.as_ref().zip(decided.as_ref()).is_some_and(|(found, d)| found.at == d.at);
        let wanted = match &self.subject {
            Subject::Order(beginning) => order.id.as_str().starts_with(beginning.as_str()),
            _ => of_found,
        };
        if wanted {
            self.want(order.id, order.id.to_string());
        }
        if order.leg == Leg::Exit && self.trips.open().contains_key(&order.symbol) {
            self.guards.entry(order.symbol).or_default().tried.push(order.id);
        }
        let cause = match order.cause {
            Cause::Command { seq } => self.causes.get_mut(&seq),
            Cause::Rebalance { .. } => self.rebalanced.as_mut(),
            _ => None,
        };
        if let Some(happening) = cause {
            happening.sent.push(order.id);
        }
        if let Some(happening) = &mut self.found.happening
            && is_cause_of(happening, order.cause)
        {
            happening.sent.push(order.id);
            self.found.orders.insert(order.id);
        }
        let guarded = self.guards.get(&order.symbol).and_then(|guard| guard.brackets.last());
        let story = OrderStory {
            at,
            order: order.clone(),
            reserved,
            bracket,
            decided: decided.map(Box::new),
            guarded: guarded.map(|(_, bracket)| bracket.clone()),
            fills: Vec::new(),
            events: Vec::new(),
        };
        self.orders.insert(order.id, story);
    }

    /// Takes an order into the story, unless it has one that a decision is told for.
    fn want(&mut self, id: OrderId, name: String) {
        let by_decision = self.found.decided.is_some();
        if by_decision || self.found.orders.is_empty() || self.found.orders.contains(&id) {
            self.found.orders.insert(id);
        } else if self.found.others.len() < NAMED_MAX {
            self.found.others.push(name);
        }
    }

    /// The record itself is asked for.
    fn focus(&mut self, at: At, record: &Record) {
        let order = match record {
            Record::Intent { order, .. } => Some(order.id),
            Record::Accepted { order }
            | Record::Done { order, .. }
            | Record::Unknown { order, .. }
            | Record::Absent { order, .. } => Some(*order),
            Record::Fill { fill } => Some(fill.order),
            Record::Bracket { bracket, .. } => Some(bracket.entry),
            _ => None,
        };
        match (order, record) {
            (Some(id), _) => drop(self.found.orders.insert(id)),
            (None, Record::Decision { .. }) => {}
            (None, _) => self.found.happening = Some(self.happening(at, record)),
        }
    }

    fn happening(&self, at: At, record: &Record) -> Happening {
        let state = self.trips.state();
        Happening {
            at,
            record: record.clone(),
            scene: state.map(|state| Scene::of(state, &self.prices, record.symbol())),
            daily_loss: state.map(|state| state.setup().risk.daily_loss()),
            mark: None,
            sent: Vec::new(),
            cancelled: Vec::new(),
        }
    }

    /// What is told of orders and protection.
    fn after(&mut self, at: At, record: &Record) {
        match record {
            Record::Fill { fill } => {
                let number = fill.trade_id;
                if matches!(self.subject, Subject::Trade(of, n) if n == number && of.is_none_or(|of| of == fill.symbol))
                {
                    self.want(fill.order, format!("{}/{number}", fill.symbol));
                }
                if let Some(story) = self.orders.get_mut(&fill.order) {
                    story.fills.push((at, fill.clone()));
                }
            }
            Record::Accepted { order } | Record::Unknown { order, .. } | Record::Absent { order, .. } => {
                self.event(at, *order, record);
            }
            Record::Done { order, reason, .. } => {
                self.event(at, *order, record);
                let cancelled = *reason == levibot_core::domain::DoneReason::Cancelled;
                if let Some(happening) = self.found.happening.as_mut().filter(|_| cancelled)
                    && let Some(scene) = &happening.scene
                    && scene.orders.contains(order)
                {
                    happening.cancelled.push(*order);
                }
            }
            Record::Bracket { symbol, bracket } => {
                self.guards.entry(*symbol).or_default().brackets.push((at, bracket.clone()));
            }
            Record::Mark { .. } => {
                if let Some(happening) = &mut self.found.happening
                    && happening.mark.is_none()
                    && happening.at.ts == at.ts
                {
                    happening.mark = Some(record.clone());
                }
            }
            _ => {}
        }
    }

    fn event(&mut self, at: At, order: OrderId, record: &Record) {
        if let Some(story) = self.orders.get_mut(&order) {
            story.events.push((at, record.clone()));
        }
    }

    fn close(&mut self, trip: Trip) {
        let guard = self.guards.remove(&trip.symbol).unwrap_or_default();
        if self.is_of_story(&trip, &guard) {
            self.found.trips.push(story(trip, guard, None));
            return;
        }
        for id in trip.orders.into_iter().chain(guard.tried) {
            if !self.is_needed(id) {
                self.orders.remove(&id);
            }
        }
    }

    fn is_of_story(&self, trip: &Trip, guard: &Guard) -> bool {
        trip.orders.iter().chain(&guard.tried).any(|id| self.found.orders.contains(id))
    }

    /// Whether the story, a position that is open, or an order that is not done may still want it.
    fn is_needed(&self, id: OrderId) -> bool {
        self.found.orders.contains(&id)
            || self.found.trips.iter().any(|trip| trip.orders.contains(&id))
            || self.trips.open().values().any(|trip| trip.orders.contains(&id))
            || self.guards.values().any(|guard| guard.tried.contains(&id))
            || self.trips.state().is_some_and(|state| state.orders().any(|order| order.order.id == id))
    }
}

fn story(trip: Trip, guard: Guard, held: Option<super::scene::Held>) -> TripStory {
    let mut orders = trip.orders.clone();
    orders.extend(guard.tried.into_iter().filter(|id| !trip.orders.contains(id)));
    TripStory { trip, brackets: guard.brackets, orders, held }
}

/// Whether an order of this cause follows from a record.
fn is_cause_of(happening: &Happening, cause: Cause) -> bool {
    match cause {
        Cause::Command { seq } => seq == happening.at.seq,
        Cause::Rebalance { at } => matches!(happening.record, Record::Rebalance { at: due, .. } if due == at),
        _ => false,
    }
}
