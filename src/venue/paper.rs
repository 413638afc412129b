//! The paper broker: the fill models of the core behind the [`Broker`] face.

use levibot_core::account::Approved;
use levibot_core::domain::{Actions, Event, Instrument, Order, OrderId, Report, Ts};
use levibot_core::fills::PaperVenue;

use super::Broker;

/// What this venue is called.
pub const NAME: &str = "paper";

impl Broker for PaperVenue {
    fn name(&self) -> &'static str {
        NAME
    }

    fn submit(&mut self, order: Approved<Order>, now: Ts, out: &mut Actions<Report>) {
        Self::submit(self, order, now, out);
    }

    fn cancel(&mut self, id: OrderId, now: Ts, out: &mut Actions<Report>) {
        Self::cancel(self, id, now, out);
    }

    fn query(&mut self, id: OrderId, now: Ts, out: &mut Actions<Report>) {
        Self::tell_of(self, id, now, out);
    }

    fn reconcile(&mut self, now: Ts, out: &mut Actions<Report>) {
        Self::tell_all(self, now, out);
    }

    fn set_instruments(&mut self, instruments: &[Instrument]) {
        Self::set_instruments(self, instruments);
    }

    fn on_market(&mut self, event: &Event, now: Ts, out: &mut Actions<Report>) {
        self.on_event(event, now, out);
    }
}
