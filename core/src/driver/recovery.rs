//! What a start makes of a journal: the account's state, and what a venue that was rebuilt from the same records knows.

use crate::account::{ApplyError, State};
use crate::domain::{DoneReason, Report};
use crate::fills::{PaperVenue, VenueAnswer};
use crate::record::Envelope;

/// The journal's records as they are read. Give it every envelope in order.
#[derive(Debug, Default)]
pub struct Fold {
    state: Option<State>,
    fault: Option<(u64, ApplyError)>,
}

impl Fold {
    /// Takes the next record. What comes after one that cannot follow is passed over.
    pub fn take(&mut self, envelope: &Envelope) {
        if self.fault.is_some() {
            return;
        }
        let result = match &mut self.state {
            Some(state) => state.apply(envelope.ts, &envelope.record),
            None => State::open(envelope.ts, &envelope.record).map(|state| self.state = Some(state)),
        };
        self.fault = result.err().map(|error| (envelope.seq, error));
    }

    /// The state after the last record; `None` when there was none.
    ///
    /// # Errors
    /// The number of a record that cannot follow the ones before it, and why not.
    pub fn finish(self) -> Result<Option<State>, (u64, ApplyError)> {
        self.fault.map_or(Ok(self.state), Err)
    }
}

/// Orders whose intent is on record and that a paper venue, rebuilt from the same record, does not have. They never left:
/// whatever it took it had put on record, and it lived and died with the account. Of a venue elsewhere only a comparison can
/// tell.
pub fn never_sent(state: &State, venue: &PaperVenue) -> Vec<Report> {
    let unsettled = state.orders().filter(|o| venue.query(o.order.id) == VenueAnswer::Unknown);
    let text = Some("not at the venue after a restart".to_owned());
    unsettled.map(|o| Report::Done { order: o.order.id, reason: DoneReason::NotSent, text: text.clone() }).collect()
}
