//! Venues: where approved orders go, and what comes back.

pub mod paper;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix::prelude::*;
use levibot_core::account::Approved;
use levibot_core::domain::{Actions, Event, Instrument, Order, OrderId, Report, Ts};
use levibot_core::driver::{Input, VenueCommand};

use crate::engine_host::thread::words;
use crate::house_link::{HouseLink, Outgoing};
use crate::risk_manager::Tell;

/// Something that executes orders. It takes [`Approved`] orders only, and only the account can make one.
pub trait Broker: std::fmt::Debug + Send + Unpin + 'static {
    /// What it is called.
    fn name(&self) -> &'static str;
    /// Takes an order. A known id is never a second order.
    fn submit(&mut self, order: Approved<Order>, now: Ts, out: &mut Actions<Report>);
    /// Cancels an order, as far as it is not filled.
    fn cancel(&mut self, id: OrderId, now: Ts, out: &mut Actions<Report>);
    /// Says what it knows of an order: reports that it is live, filled or over, or [`Report::Absent`].
    fn query(&mut self, id: OrderId, now: Ts, out: &mut Actions<Report>);
    /// Says all that it knows: one [`Report::State`].
    fn reconcile(&mut self, now: Ts, out: &mut Actions<Report>);
    /// Follows the account's table of instruments, which only ever grows. Orders stay as they are.
    fn set_instruments(&mut self, instruments: &[Instrument]);
    /// Sees market data; a paper venue trades on it.
    fn on_market(&mut self, event: &Event, now: Ts, out: &mut Actions<Report>);
}

/// Commands that may wait.
const MAILBOX: usize = 4_096;
/// How long to wait before a full mailbox is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// A command at a trading time.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct VenueTell(pub Ts, pub VenueCommand);

/// The actor around a broker, on a thread of its own. Every command is answered once, in order.
#[derive(Debug)]
pub struct Venue<B: Broker> {
    broker: B,
    outgoing: Outgoing,
    actions: Actions<Report>,
}

impl<B: Broker> Venue<B> {
    /// A venue that answers to `house`.
    pub fn new(broker: B, house: HouseLink) -> Self {
        Self { broker, outgoing: Outgoing::new(house), actions: Actions::new() }
    }

    fn take(&mut self, now: Ts, command: VenueCommand) -> Vec<Report> {
        match command {
            VenueCommand::Market(events) => {
                for event in &events {
                    self.broker.on_market(event, now, &mut self.actions);
                }
            }
            VenueCommand::Submit(order) => self.broker.submit(order, now, &mut self.actions),
            VenueCommand::Instruments(table) => self.broker.set_instruments(&table),
            VenueCommand::Query(id) => self.broker.query(id, now, &mut self.actions),
            VenueCommand::Reconcile => self.broker.reconcile(now, &mut self.actions),
            VenueCommand::Cancel(id) => self.broker.cancel(id, now, &mut self.actions),
        }
        self.actions.drain().collect()
    }

    fn retry(&mut self, ctx: &mut Context<Self>) {
        if !self.outgoing.flush() {
            ctx.run_later(RETRY, Self::retry);
        }
    }
}

impl<B: Broker> Actor for Venue<B> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl<B: Broker> Handler<VenueTell> for Venue<B> {
    type Result = ();

    fn handle(&mut self, VenueTell(now, command): VenueTell, ctx: &mut Self::Context) {
        let tell = match catch_unwind(AssertUnwindSafe(|| self.take(now, command))) {
            Ok(reports) => Tell::Input(Input::Venue { reports }),
            // Its books can no longer be trusted: nothing is sent any more, and the daemon ends with its record whole.
            Err(panic) => Tell::VenueLost(format!("it panicked: {}", words(&*panic))),
        };
        if !self.outgoing.send(tell) {
            ctx.run_later(RETRY, Self::retry);
        }
    }
}
