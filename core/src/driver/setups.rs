//! What a changed setup does to the lanes and to what the account measures with.

use super::lane::Lane;
use super::sequencer::Sequencer;
use super::words::{Output, VenueCommand};
use crate::account::{AccountSetup, Alert, ApplyError};
use crate::alerts::Topic;
use crate::domain::{Actions, Event, Frame, Instrument, Ix};
use crate::record::TapeTarget;

impl Sequencer {
    /// The venue is told of changed instruments, whatever has become of the places.
    pub(super) fn on_setup(&mut self, setup: AccountSetup, history: &[Frame], out: &mut Actions<Output>) {
        let before = self.account.state().setup().instruments.clone();
        let result: Result<(), ApplyError> = self.account.reconfigure(setup, self.now, &mut self.actions);
        if let Err(error) = result {
            let text = format!("the changed setup is refused: {error}");
            out.push(Output::Alert(Alert::warning(Topic::Configuration, None, text)));
        } else {
            // Where among the inputs it came cannot be told from its record's time alone.
            self.tape(TapeTarget::Setup, Event::FrameEnd, out);
        }
        self.carry_out(out);
        let after = self.account.state().setup().instruments.clone();
        if after != before {
            self.place_lanes(&before, &after, history);
            self.tell_venue(VenueCommand::Instruments(after), out);
        }
        self.remind_account(out);
    }

    /// The account measures with what the lanes remember, where it does and as far as it does not know it yet.
    pub(super) fn remind_account(&mut self, out: &mut Actions<Output>) {
        let wanted = self.account.remembers();
        if wanted == 0 {
            return;
        }
        let lanes = std::mem::take(&mut self.lanes);
        for (at, lane) in lanes.iter().enumerate() {
            let Some(instrument) = Ix::from_usize(at) else { break };
            for (bar, context) in lane.latest(wanted) {
                if self.account.remember(instrument, &bar) {
                    self.tape(TapeTarget::Remembered, Event::Bar { instrument, bar, context }, out);
                }
            }
        }
        self.lanes = lanes;
    }

    /// An instrument that has come to its place gets a lane that remembers what `history` holds of it; those that stay have
    /// seen that already. What was said at the place before, of another one, counts no more.
    fn place_lanes(&mut self, before: &[Instrument], after: &[Instrument], history: &[Frame]) {
        let (absent, timeframe) = (self.absent(), self.account.state().timeframe());
        let symbol = |table: &[Instrument], at: usize| table.get(at).map(|one| one.id().symbol);
        let comes: Vec<bool> = (0..after.len()).map(|at| symbol(before, at) != symbol(after, at)).collect();
        self.lanes.resize_with(after.len(), || Lane::new(timeframe, absent));
        for (lane, _) in self.lanes.iter_mut().zip(&comes).filter(|(_, comes)| **comes) {
            let generation = lane.generation;
            *lane = Lane::new(timeframe, absent);
            lane.generation = generation;
        }
        for frame in history {
            for (ix, bar) in frame.bars.iter().filter(|(ix, _)| comes.get(ix.at()).is_some_and(|comes| *comes)) {
                if let Some(lane) = self.lanes.get_mut(ix.at()) {
                    lane.remember(*bar, frame.context);
                }
            }
        }
    }
}
