//! What a backtest begins with.

use super::error::BacktestError;
use crate::account::{Account, AccountSetup, Action};
use crate::domain::{Actions, RunId, Timeframe, Ts};
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
