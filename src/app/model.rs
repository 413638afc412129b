//! The fusion model of a run: the client of its server, and what the house is told of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use levibot_core::account::State;
use levibot_core::domain::{Event, FreezeCause, Ix, Symbol};
use levibot_core::driver::{Input, Pace};
use levibot_core::record::{Envelope, Record};

use super::AppError;
use crate::config::{Config, environment, model_binary};
use crate::forecaster::{self, Answers, Forecaster, Known, ModelProcess, Pinned, Words};
use crate::journal::{JOURNAL_FILE, scan};
use crate::model_versions::Metadata;
use crate::risk_manager::Tell;

/// What a forecaster shares with everybody.
pub(super) struct Shared {
    pub(super) pace: Pace,
    /// The version that was found before the start.
    pub(super) found: Option<Metadata>,
    /// The account's table, also with what is not configured any more.
    pub(super) symbols: Vec<Symbol>,
    pub(super) known: Known,
    pub(super) house: crate::house_link::HouseLink,
    pub(super) board: crate::control::Board,
    pub(super) metrics: Arc<crate::telemetry::metrics::Metrics>,
    pub(super) alerts: crate::supervisor::AlertChannels,
}

/// The forecaster of a run whose strategies ask the model; `None` where none does.
pub(super) fn forecaster(config: &Config, shared: Shared) -> Result<Option<Forecaster>, AppError> {
    let Some(model) = config.model.as_ref().filter(|_| config.strategies.any_asks_model()) else { return Ok(None) };
    let traded = shared.symbols.iter().copied().filter(|symbol| config.trades(*symbol)).collect();
    let asking = asking(&traded, config, &shared.symbols);
    // A replay asks the version that its name is made of and no other, whichever comes into use meanwhile.
    let pinned = match (shared.pace, shared.found) {
        (Pace::Lockstep, Some(found)) => Some(Pinned { version: found.version, digest: Some(found.digest) }),
        _ => model.version.map(|version| Pinned { version, digest: None }),
    };
    let process = ModelProcess {
        binary: model_binary(&environment())?,
        models: model.dir.clone(),
        version: pinned.as_ref().map(|pinned| pinned.version),
        threads: model.threads,
    };
    let parts = forecaster::Parts {
        pace: shared.pace,
        symbols: shared.symbols,
        asking,
        timeframe: config.market.timeframe,
        batch_wait: model.batch_wait,
        deadline: model.deadline,
        pinned,
        known: shared.known,
        house: shared.house,
        words: words(shared.pace),
        board: shared.board,
        metrics: shared.metrics,
        alerts: shared.alerts,
        supervision: forecaster::SUPERVISION,
    };
    Ok(Some(Forecaster::new(parts, Box::new(process))))
}

/// The symbols of a table that are traded and whose strategies ask the model.
pub(super) fn asking(traded: &BTreeSet<Symbol>, config: &Config, table: &[Symbol]) -> Vec<Ix> {
    let asks = |symbol: Symbol| traded.contains(&symbol) && config.strategies.asks_model(symbol);
    let asking = table.iter().enumerate().filter(|(_, symbol)| asks(**symbol));
    asking.filter_map(|(at, _)| Ix::from_usize(at)).collect()
}

fn words(pace: Pace) -> Words {
    Words {
        answers: Arc::new(|Answers { answers, .. }| Tell::Input(Input::Forecasts(answers))),
        away: Arc::new(|instrument, reason| {
            let cause = FreezeCause::Model;
            Tell::Input(Input::Control(Event::Freeze { instrument, cause, reason }))
        }),
        swapped: Arc::new(move |ready| {
            // A replay's version stands on record from its start: when its server is ready is no input of it.
            (pace == Pace::Realtime).then(|| {
                Tell::Input(Input::Note(Record::Model {
                    version: ready.version,
                    digest: ready.digest.clone(),
                    trained_through: ready.trained_through,
                }))
            })
        }),
    }
}

/// The first note of a replay that asks the model: which version answers.
pub(super) fn first_note(config: &Config, metadata: Option<&Metadata>) -> Option<Tell> {
    let metadata = metadata.filter(|_| super::house::pace(config) == Pace::Lockstep)?;
    Some(Tell::Input(Input::Note(Record::Model {
        version: metadata.version,
        digest: metadata.digest.clone(),
        trained_through: metadata.trained_through,
    })))
}

/// Frees entries that an earlier session froze for a cause that is gone: the model was away and the strategy does not ask
/// it any more, or the symbol was not configured and now is. Nobody else would. Nor would anybody lift a freeze for the
/// SQL tables, as who follows the journal into them does not know of it; they fall behind anew before it freezes again.
pub(super) fn thawed(config: &Config, state: &State) -> Vec<Tell> {
    let mut tells = Vec::new();
    for (at, book) in state.books().iter().enumerate() {
        let Some(instrument) = Ix::from_usize(at) else { continue };
        let stale = |cause| match cause {
            FreezeCause::Model => !config.strategies.asks_model(book.symbol()),
            FreezeCause::Configuration => config.trades(book.symbol()),
            // The tables' follower freezes again by itself where it is still behind.
            cause => cause == FreezeCause::Store,
        };
        for cause in book.frozen().keys().copied().filter(|cause| stale(*cause)) {
            tells.push(Tell::Input(Input::Control(Event::Freeze { instrument, cause, reason: None })));
        }
    }
    tells
}

/// The forecasts that a journal holds already; of a folder without one, none.
pub(super) fn known(dir: &Path, ix: impl Fn(Symbol) -> Option<Ix>) -> Result<Known, AppError> {
    let path = dir.join(JOURNAL_FILE);
    if !path.exists() {
        return Ok(Known::default());
    }
    let mut known = Vec::new();
    scan(&path, &mut |envelope: Envelope| {
        if let Record::Forecasts { bar, forecasts } = envelope.record {
            let of = forecasts.iter().filter_map(|f| Some((ix(f.symbol)?, bar, f.forecast?)));
            known.extend(of);
        }
    })?;
    Ok(known.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use levibot_core::account::Account;
    use levibot_core::domain::{Actions, Ts};

    use super::*;

    #[test]
    fn a_start_lifts_what_nobody_else_would_and_keeps_the_rest() {
        let config = std::path::absolute("config/levibot.toml").unwrap();
        let config = Config::load(&config, &Default::default(), &Default::default()).unwrap();
        let symbols = config.symbols.clone().unwrap();
        let (timeframe, setup) = (config.market.timeframe, Box::new(config.account_setup(&symbols).unwrap()));
        let started = Record::Started { run: "r".parse().unwrap(), timeframe, config_hash: config.hash(), setup };
        let (now, mut actions) = (Ts::from_secs(1_760_400_000), Actions::new());
        let mut account = Account::open(now, started, &mut actions).unwrap();
        let freeze = |at, cause| Event::Freeze { instrument: Ix(at), cause, reason: Some("it was so".into()) };
        let causes = [FreezeCause::Store, FreezeCause::Configuration, FreezeCause::Engine];
        for (at, cause) in [(0, causes[0]), (1, causes[1]), (1, causes[2]), (2, causes[0])] {
            account.step(&freeze(at, cause), now, &mut actions);
        }
        let tells = thawed(&config, account.state());
        assert_eq!(tells.len(), 3, "{tells:?}");
        for tell in tells {
            let Tell::Input(Input::Control(event)) = tell else { panic!("{tell:?}") };
            account.step(&event, now, &mut actions);
        }
        let left: Vec<_> = account.state().books().iter().flat_map(|book| book.frozen().keys().copied()).collect();
        assert_eq!(left, [FreezeCause::Engine]);
    }
}
