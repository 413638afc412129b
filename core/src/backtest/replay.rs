//! A backtest over events as they come: recorded days, which hold quotes beside bars.

use super::checks;
use super::error::BacktestError;
use super::floor::Floor;
use super::forecasts::Cursors;
use super::seat::seats;
use super::{Forecasts, Keep, Outcome};
use crate::account::{Account, AccountSetup, Action, Book};
use crate::domain::{Actions, Frame, MarketEvent, RunId, Timeframe, Ts};
use crate::engine::StrategyPolicy;
use crate::features::FeatureId;
use crate::fills::{PaperAccount, PaperSetup, PaperVenue};
use crate::record::Record;

/// Account and venue as they are before the first event.
#[derive(Debug)]
pub struct Opening {
    /// The account.
    pub account: Account,
    /// What it has asked for since it was opened: its first record.
    pub asked: Actions<Action>,
    /// The venue, rebuilt from the account's record where there is one.
    pub venue: PaperVenue,
}

impl Opening {
    /// A new account that is opened at trading time `start`, and a venue without orders.
    ///
    /// # Errors
    /// [`BacktestError::Account`].
    pub fn new(
        setup: &AccountSetup,
        paper: &PaperSetup,
        run: RunId,
        timeframe: Timeframe,
        start: Ts,
    ) -> Result<Self, BacktestError> {
        let started = Record::Started { run, timeframe, config_hash: String::new(), setup: Box::new(setup.clone()) };
        let mut asked = Actions::new();
        let account = Account::open(start, started, &mut asked).map_err(BacktestError::Account)?;
        let venue = PaperVenue::new(*paper, &PaperAccount::from(setup), &setup.instruments);
        Ok(Self { account, asked, venue })
    }
}

/// What is replayed, beside the events.
#[derive(Debug, Clone, Copy)]
pub struct Replay<'a> {
    /// Frames before the first event, oldest first: what engines warm up on, and what the account measures with.
    pub history: &'a [Frame],
    /// How is decided, by instrument.
    pub policies: &'a [StrategyPolicy],
    /// Features that engines compute beside what their policies look at. Those of the recorded run, where hashes of
    /// features are to be compared.
    pub features: &'a [FeatureId],
    /// What the model said, for policies that ask it.
    pub forecasts: Option<&'a Forecasts>,
    /// Notes that are put on record before the first event: strategies, models.
    pub notes: &'a [Record],
    /// What is kept.
    pub keep: Keep,
}

/// Runs the cores over events, in the phases in which [`super::run`] does, and gives every record to `sink`, each with its
/// time.
///
/// # Errors
/// [`BacktestError::Lengths`] when there is not one policy for each instrument, [`BacktestError::NoForecasts`] when one
/// asks the model and there are none, [`BacktestError::Unsound`] when a bar is not sound.
pub fn replay(
    opening: Opening,
    replay: &Replay<'_>,
    events: impl IntoIterator<Item = MarketEvent>,
    sink: &mut dyn FnMut(Ts, Record),
) -> Result<Outcome, BacktestError> {
    let state = opening.account.state();
    let symbols: Vec<_> = state.books().iter().map(Book::symbol).collect();
    checks::policies(&symbols, replay.policies, replay.forecasts)?;
    let seats = seats(replay.policies, replay.features, state.timeframe(), replay.keep.trips);
    let mut floor = Floor::new(opening, seats, Cursors::new(replay.forecasts, None), replay.keep, sink);
    let mut past = vec![Vec::new(); symbols.len()];
    for frame in replay.history {
        for (ix, bar) in &frame.bars {
            if let Some(bars) = past.get_mut(ix.at()) {
                bars.push((*bar, frame.context));
            }
        }
    }
    floor.begin(&past, replay.notes);
    for event in events {
        if let MarketEvent::Frame(frame) = &event {
            checks::frame(&symbols, &frame.bars)?;
        }
        floor.market(&event);
    }
    Ok(floor.finish())
}
