//! A backtest that is led step by step, from an account in the middle of its life: what a recorded day is run again with.
//!
//! It is the loop of [`super::run`], but whoever leads it says when an engine takes its place, what people ask for, when
//! limits change, and when everything begins anew as after a restart of a daemon.

use super::floor::{Floor, Sink};
use super::forecasts::Cursors;
use super::seat::Seat;
use super::{Forecasts, Keep, Opening};
use crate::account::{Account, AccountSetup, ApplyError, Book};
use crate::domain::{Bar, Event, Ix, MarketEvent, Report, Ts};
use crate::driver::recovery::never_sent;
use crate::engine::{Core, EngineSetup, StrategyPolicy};
use crate::fills::PaperVenue;
use crate::record::Record;

/// Records, each with its time.
#[derive(Debug, Default)]
struct Log(Vec<(Ts, Record)>);

impl Sink for Log {
    const IS_ON: bool = true;
    fn take(&mut self, ts: Ts, record: Record) {
        self.0.push((ts, record));
    }
}

/// See the module.
#[derive(Debug)]
pub struct Rerun<'a> {
    floor: Floor<'a, Log>,
    /// What keeps the place of an engine that has not come: it decides nothing.
    spare: StrategyPolicy,
}

impl<'a> Rerun<'a> {
    /// Begins where `opening` stands, without engines. `forecasts` are those of the record, by instrument; `spare` is any
    /// policy: it stands at the places of engines that have not come, and never decides.
    pub fn new(opening: Opening, forecasts: &'a Forecasts, spare: StrategyPolicy) -> Self {
        let seats = empty(&opening.account, &spare);
        let keep = Keep { curve: false, trips: false, executions: false };
        let floor = Floor::new(opening, seats, Cursors::new(Some(forecasts), None), keep, Log::default());
        Self { floor, spare }
    }

    /// The account.
    pub const fn account(&self) -> &Account {
        self.floor.account()
    }

    /// The records since they were asked for last.
    pub fn records(&mut self) -> Vec<(Ts, Record)> {
        std::mem::take(&mut self.floor.sink().0)
    }

    /// An engine takes its place at instrument `ix`, with all that it remembers, and is told the position.
    pub fn place(&mut self, ix: Ix, core: Core) {
        let setup = EngineSetup::new(ix, self.account().state().timeframe(), core.policy().clone());
        self.floor.place(ix, Seat::with(setup, core));
    }

    /// A bar of the past, which the account measures with and nothing else.
    pub fn remember(&mut self, ix: Ix, bar: &Bar) {
        self.floor.remember(ix, bar);
    }

    /// Numbers the records of what comes next after `seq`, as they were: orders that are named after a number keep their names.
    pub const fn count_from(&mut self, seq: u64) {
        self.floor.count_from(seq);
    }

    /// One piece of market data, through all phases of its instant.
    pub fn market(&mut self, event: &MarketEvent) {
        self.floor.market(event);
    }

    /// What people and supervisors ask of the account at trading time `ts`.
    pub fn control(&mut self, ts: Ts, event: &Event) {
        self.floor.control(ts, event);
    }

    /// Takes changed limits or instruments at trading time `ts`. Places of instruments that have come are empty.
    ///
    /// # Errors
    /// [`ApplyError::OtherAccount`] when the setup describes another account; nothing has changed then.
    pub fn reconfigure(&mut self, ts: Ts, setup: AccountSetup) -> Result<(), ApplyError> {
        let Self { floor, spare } = self;
        let timeframe = floor.account().state().timeframe();
        floor.reconfigure(ts, setup, |ix| Seat::empty(EngineSetup::new(ix, timeframe, spare.clone())))
    }

    /// As after a restart of a daemon: the account goes on from its own state with `started`, the venue is one that was
    /// rebuilt from the record, orders that never reached it are settled, and no engine is there.
    ///
    /// # Errors
    /// [`ApplyError`] when `started` cannot follow; nothing has changed then.
    pub fn restart(&mut self, ts: Ts, started: Record, venue: PaperVenue) -> Result<(), ApplyError> {
        let mut asked = crate::domain::Actions::new();
        let account = Account::restart(self.account().state().clone(), ts, started, &mut asked)?;
        let told = never_sent(account.state(), &venue);
        self.begin_anew(Opening { account, asked, venue }, &told);
        Ok(())
    }

    /// Goes on with another account and venue, without engines.
    pub fn reopen(&mut self, opening: Opening) {
        self.begin_anew(opening, &[]);
    }

    fn begin_anew(&mut self, opening: Opening, told: &[Report]) {
        let seats = empty(&opening.account, &self.spare);
        self.floor.begin_anew(opening, seats, told);
    }
}

/// A place for each instrument.
fn empty(account: &Account, spare: &StrategyPolicy) -> Vec<Seat> {
    let timeframe = account.state().timeframe();
    let books: &[Book] = account.state().books();
    let places = (0..books.len()).filter_map(Ix::from_usize);
    places.map(|ix| Seat::empty(EngineSetup::new(ix, timeframe, spare.clone()))).collect()
}
