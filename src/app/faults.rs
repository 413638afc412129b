//! Whether faults may be injected.

use levibot_core::domain::Symbol;

use super::Clerk;
use crate::control::{Fault, RunInfo};
use crate::supervisor::Inject;

/// Markets whose prices mean nothing outside. A market that is not named here is refused.
const MARKETS: [&str; 2] = ["simulator", "files"];
/// Where orders lose no money. A venue that is not named here is refused.
const VENUES: [&str; 1] = ["paper"];

/// Faults are for a daemon that can lose nothing: simulated or recorded prices, and paper money.
fn permitted(market: &str, venue: &str) -> Result<(), String> {
    let no = |key: &str, value: &str, known: &[&str]| {
        let known = known.join(" or ");
        Err(format!("faults are for simulated trading alone: {key} is {value}; run a daemon whose {key} is {known}"))
    };
    match (MARKETS.contains(&market), VENUES.contains(&venue)) {
        (true, true) => Ok(()),
        (false, _) => no("the market", market, &MARKETS),
        (true, false) => no("the venue", venue, &VENUES),
    }
}

/// Whether the daemon that says this of itself takes faults; `Err` holds why not.
pub(crate) fn faults_permitted(info: &RunInfo) -> Result<(), String> {
    permitted(&info.market, &info.venue)
}

impl Clerk {
    pub(super) async fn inject(&self, symbol: Symbol, fault: Fault) -> Result<String, String> {
        faults_permitted(self.board.info())?;
        let answer = self.supervisor.send(Inject { symbol, fault }).await;
        answer.unwrap_or_else(|error| Err(format!("the supervisor does not answer: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::permitted;

    #[test]
    fn only_what_is_known_to_be_simulated_takes_faults() {
        assert_eq!(permitted("simulator", "paper"), Ok(()));
        assert_eq!(permitted("files", "paper"), Ok(()));
        let error = permitted("binance", "paper").unwrap_err();
        assert!(error.contains("the market is binance") && error.contains("simulator or files"), "{error}");
        let error = permitted("simulator", "binance").unwrap_err();
        assert!(error.contains("the venue is binance"), "{error}");
    }
}
