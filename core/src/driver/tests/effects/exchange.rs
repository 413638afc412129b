//! A venue that outlives the daemon, keeps the truth, and does not always behave.

use std::collections::{BTreeMap, VecDeque};

use super::plan::{Fate, Plan};
use crate::domain::*;
use crate::driver::VenueCommand;
use crate::fills::{PaperAccount, PaperVenue};

/// How long a venue may still take what was sent to it.
const ACCEPTABLE: Span = Span::from_secs(5);

/// Something on its way from the venue to the daemon.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// How much of the market must have happened before it arrives.
    pub(super) due: usize,
    pub(super) reports: Vec<Report>,
}

/// See the module.
pub(super) struct Exchange {
    pub(super) venue: PaperVenue,
    /// What came here, and what was taken.
    pub(super) submitted: BTreeMap<OrderId, Order>,
    pub(super) accepted: BTreeMap<OrderId, Order>,
    pub(super) trades: Vec<Fill>,
    /// What no daemon may ever do.
    pub(super) wrong: Vec<String>,
    /// In the order in which it leaves.
    pub(super) under_way: VecDeque<Reply>,
    /// Whether the daemon has missed something since it was told all.
    pub(super) gap: bool,
    /// Commands and words of its own so far.
    commands: usize,
    words: usize,
}

impl Exchange {
    pub(super) fn new(plan: &Plan) -> Self {
        let account = PaperAccount::from(&plan.setup);
        Self {
            venue: PaperVenue::new(plan.paper, &account, &plan.venue_rules),
            submitted: BTreeMap::new(),
            accepted: BTreeMap::new(),
            trades: Vec::new(),
            wrong: Vec::new(),
            under_way: VecDeque::new(),
            gap: true,
            commands: 0,
            words: 0,
        }
    }

    /// The daemon is gone, and what was on its way to it is lost.
    pub(super) fn hang_up(&mut self) {
        self.under_way.clear();
        self.gap = true;
    }

    /// The market moves on, whether anybody looks or not.
    pub(super) fn market(&mut self, event: &MarketEvent, plan: &Plan, given: usize) {
        let mut out = Actions::new();
        for event in super::market_events(event) {
            self.venue.on_event(&event, plan.now(given), &mut out);
        }
        let reports: Vec<Report> = out.drain().collect();
        for report in reports {
            self.note(&report);
            self.words += 1;
            self.send(vec![report], plan.word(self.words, given), given);
        }
    }

    /// Takes a command. What its sender hears of it at once comes as the last reply that is under way.
    pub(super) fn take(&mut self, command: VenueCommand, halted: bool, plan: &Plan, given: usize) {
        self.commands += 1;
        let fate = plan.command(self.commands, &command, given);
        let now = plan.now(given);
        let doubt = doubt(&command, now);
        if fate == Fate::CommandLost {
            self.gap |= doubt.is_empty();
            self.under_way.push_back(Reply { due: given, reports: doubt });
            return;
        }
        let reports = self.execute(command, halted, now);
        if fate == Fate::ReplyLost {
            self.gap = true;
            self.under_way.push_back(Reply { due: given, reports: doubt });
            return;
        }
        // Each word travels by itself.
        for report in reports {
            self.send(vec![report], fate, given);
        }
    }

    fn send(&mut self, reports: Vec<Report>, fate: Fate, given: usize) {
        let reply = |due| Reply { due, reports: reports.clone() };
        match fate {
            Fate::Fine => self.under_way.push_back(reply(given)),
            Fate::Twice => self.under_way.extend([reply(given), reply(given)]),
            Fate::Late(steps) => self.under_way.push_back(reply(given + steps)),
            Fate::CommandLost | Fate::ReplyLost => self.gap = true,
        }
    }

    fn execute(&mut self, command: VenueCommand, halted: bool, now: Ts) -> Vec<Report> {
        let mut out = Actions::new();
        match command {
            VenueCommand::Submit(order) => {
                if self.submitted.insert(order.id, Order::clone(&order)).is_some() {
                    self.wrong.push(format!("{} came twice", order.id));
                }
                if halted && order.leg == Leg::Entry {
                    self.wrong.push(format!("the entry {} came under a halt", order.id));
                }
                self.venue.submit(order, now, &mut out);
            }
            VenueCommand::Cancel(id) => {
                if !id.is_ours() {
                    self.wrong.push(format!("{id} is not ours to cancel"));
                }
                self.venue.cancel(id, now, &mut out);
            }
            VenueCommand::Query(id) => self.venue.tell_of(id, now, &mut out),
            VenueCommand::Reconcile => self.venue.tell_all(now, &mut out),
            VenueCommand::Market(_) | VenueCommand::Instruments(_) => {}
        }
        let mut reports: Vec<Report> = out.drain().collect();
        for report in &mut reports {
            match report {
                Report::Absent { gap, .. } => *gap = self.gap,
                Report::State(state) => {
                    state.gap = std::mem::take(&mut self.gap);
                    state.fills.clone_from(&self.trades);
                    state.orders.push(others());
                }
                _ => {}
            }
            // What is told again is no second trade.
            self.note(report);
        }
        reports
    }

    /// As a venue in the daemon does it: market data come with the commands, and all that comes of one is told together.
    pub(super) fn take_paper(&mut self, command: VenueCommand, now: Ts) -> Vec<Report> {
        let mut out = Actions::new();
        match command {
            VenueCommand::Market(events) => events.iter().for_each(|event| self.venue.on_event(event, now, &mut out)),
            VenueCommand::Submit(order) => self.venue.submit(order, now, &mut out),
            VenueCommand::Cancel(id) => self.venue.cancel(id, now, &mut out),
            VenueCommand::Query(id) => self.venue.tell_of(id, now, &mut out),
            VenueCommand::Reconcile => self.venue.tell_all(now, &mut out),
            VenueCommand::Instruments(table) => self.venue.set_instruments(&table),
        }
        out.drain().collect()
    }

    fn note(&mut self, report: &Report) {
        match report {
            Report::Accepted { order } => {
                if let Some(submitted) = self.submitted.get(order) {
                    self.accepted.insert(*order, submitted.clone());
                }
            }
            Report::Fill(fill) if !self.trades.iter().any(|t| t.trade_id == fill.trade_id) => {
                self.trades.push(fill.clone());
            }
            _ => {}
        }
    }

    /// All that is open here and ours, what is held, and the balances.
    pub(super) fn truth(&mut self) -> VenueState {
        let mut out = Actions::new();
        self.venue.tell_all(Ts::EPOCH, &mut out);
        match out.drain().next() {
            Some(Report::State(state)) => *state,
            other => panic!("{other:?}"),
        }
    }
}

/// A person's order, which is nobody else's business.
fn others() -> VenueOrder {
    let (qty, filled) = ("7".parse().unwrap(), Qty::ZERO);
    VenueOrder { id: None, name: "by-hand".into(), symbol: "AAA".parse().unwrap(), side: Side::Buy, qty, filled }
}

/// What a connection makes of a command whose answer it has not got.
fn doubt(command: &VenueCommand, now: Ts) -> Vec<Report> {
    match command {
        VenueCommand::Submit(order) => {
            let text = "the connection was lost before the answer".to_owned();
            vec![Report::Unknown { order: order.id, acceptable_until: now + ACCEPTABLE, text }]
        }
        _ => Vec::new(),
    }
}
