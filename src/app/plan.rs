//! What a configuration that is read again would change, symbol by symbol. Files may be slow to come and the simulator's
//! walk is long, so all of it is done apart from everybody else.

use std::collections::BTreeSet;
use std::sync::Arc;

use levibot_core::account::AccountSetup;
use levibot_core::domain::{Feed, Symbol, Ts};

use super::data::Source;
use super::open_files::Need;
use super::watch::Sight;
use crate::config::{Change, Config, MarketSource, Overrides, environment};
use crate::control::Board;
use crate::telemetry::chain;

/// What becomes of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    Added,
    Returned,
    Removed,
    Renewed,
}

/// The symbols as they stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// The symbols that are traded.
    pub(super) traded: BTreeSet<Symbol>,
    /// What was decided of symbols and not carried to an end: the next reload meets it again.
    pub(super) unmet: BTreeSet<(Symbol, Fate)>,
}

/// What a reload changes.
#[derive(Debug)]
pub(super) struct Plan {
    /// What is in force afterwards.
    pub(super) next: Config,
    pub(super) traded: BTreeSet<Symbol>,
    /// With new symbols behind the others.
    pub(super) table: Vec<Symbol>,
    pub(super) fates: Vec<(Symbol, Fate)>,
    /// Symbols that should come or go and cannot, and why.
    pub(super) left: Option<(Vec<Symbol>, String)>,
    pub(super) taken: Vec<Change>,
    pub(super) waiting: Vec<Change>,
    pub(super) setup: AccountSetup,
    /// Over all symbols, where some are new.
    pub(super) feed: Option<Box<dyn Feed>>,
}

/// What is needed to read the configuration again.
#[derive(Debug)]
pub(super) struct Reader {
    /// The configuration in force.
    pub(super) live: Arc<Config>,
    pub(super) overrides: Overrides,
    pub(super) named: bool,
    pub(super) asks_model: bool,
    /// Every symbol of this life of the daemon, in the order of their places.
    pub(super) table: Vec<Symbol>,
    pub(super) standing: Standing,
    pub(super) board: Board,
    /// Trading time at which market data began.
    pub(super) began: Ts,
}

impl Reader {
    /// Reads everything again and compares; changes nothing. Besides, the watched files as they were before that.
    pub(super) fn read(&self) -> (Sight, Result<Plan, String>) {
        let before = Sight::of(self.live.watched_files());
        (before, self.plan())
    }

    fn plan(&self) -> Result<Plan, String> {
        let new = if self.named {
            Config::load(&self.live.file, &self.overrides, &environment())
        } else {
            Config::load_default(&self.overrides, &environment())
        };
        let new = new.map_err(|error| chain(&error))?;
        if !self.asks_model && new.strategies.any_asks_model() {
            return Err("a strategy asks the model, and this daemon was started without one; restart it".to_owned());
        }
        let mut plan = self.compare(&new)?;
        let added: Vec<Symbol> = plan.table.iter().skip(self.table.len()).copied().collect();
        if !added.is_empty() {
            Need::of(&self.live, plan.table.len()).ensure().map_err(|error| chain(&error))?;
            let now = self.board.pulse().now.max(self.began);
            let feed = Source::live_feed(&plan.next, &plan.setup, now, &added);
            plan.feed = Some(feed.map_err(|error| chain(&error))?);
        }
        Ok(plan)
    }

    pub(super) fn compare(&self, new: &Config) -> Result<Plan, String> {
        let (old, traded) = (&*self.live, &self.standing.traded);
        let wanted = self.wanted(new)?;
        let asked: Vec<Symbol> = wanted.iter().copied().collect();
        // Also what cannot be taken over must be good: the next start uses it.
        new.account_setup(&asked).map_err(|error| chain(&error))?;
        let can = old.symbols_can_change(new);
        let moved: Vec<Symbol> = wanted.symmetric_difference(traded).copied().collect();
        let left = can.as_ref().err().filter(|_| !moved.is_empty()).map(|why| (moved, why.clone()));
        let after = if can.is_ok() { wanted } else { traded.clone() };
        let next = merged(old, new, can.is_ok(), &self.table, &after);
        let fates = self.fates(&next, &after);
        let added = fates.iter().filter(|(_, fate)| *fate == Fate::Added).map(|(symbol, _)| *symbol);
        let table: Vec<Symbol> = self.table.iter().copied().chain(added).collect();
        let setup = next.account_setup_in(&table).map_err(|error| chain(&error))?;
        // What comes and goes with a symbol is told by its name.
        let moved = |symbol: Symbol| traded.contains(&symbol) != after.contains(&symbol);
        let told = |change: &Change| change.key == "market.symbols" || change.symbol().is_some_and(moved);
        let taken = old.diff(&next).into_iter().filter(|change| !told(change)).collect();
        let waiting = next.diff(new);
        Ok(Plan { next, traded: after, table, fates, left, taken, waiting, setup, feed: None })
    }

    /// The symbols that the new configuration means.
    fn wanted(&self, new: &Config) -> Result<BTreeSet<Symbol>, String> {
        match (&self.live.symbols, &new.symbols) {
            (_, Some(symbols)) => Ok(symbols.iter().copied().collect()),
            // What lies in the folder besides is found at the next start.
            (None, None) => Ok(self.standing.traded.clone()),
            (Some(_), None) => Source::found(new).map(|found| found.into_iter().collect()).map_err(|e| chain(&e)),
        }
    }

    fn fates(&self, next: &Config, after: &BTreeSet<Symbol>) -> Vec<(Symbol, Fate)> {
        let Standing { traded, unmet } = &self.standing;
        let all: BTreeSet<Symbol> =
            traded.union(after).copied().chain(unmet.iter().map(|(symbol, _)| *symbol)).collect();
        all.into_iter().flat_map(|symbol| self.fates_of(symbol, next, after).map(move |fate| (symbol, fate))).collect()
    }

    fn fates_of(&self, symbol: Symbol, next: &Config, after: &BTreeSet<Symbol>) -> impl Iterator<Item = Fate> + use<> {
        let (was, is) = (self.standing.traded.contains(&symbol), after.contains(&symbol));
        let unmet = |fate: Fate| self.standing.unmet.contains(&(symbol, fate));
        let moved = match (was, is) {
            (true, false) => Some(Fate::Removed),
            (false, true) if self.table.contains(&symbol) => Some(Fate::Returned),
            (false, true) => Some(Fate::Added),
            (true, true) => (unmet(Fate::Added) || unmet(Fate::Returned)).then_some(Fate::Returned),
            (false, false) => unmet(Fate::Removed).then_some(Fate::Removed),
        };
        let differs = self.live.strategies.of(symbol).hash() != next.strategies.of(symbol).hash();
        // One that was to be stopped and runs on knows the strategy of that time.
        let renewed = is && (was && (differs || unmet(Fate::Renewed)) || unmet(Fate::Removed));
        moved.into_iter().chain(renewed.then_some(Fate::Renewed))
    }
}

/// What is in force after a reload: only what can change live is taken over, the rest stays as it was until the restart.
fn merged(old: &Config, new: &Config, symbols_change: bool, known: &[Symbol], traded: &BTreeSet<Symbol>) -> Config {
    let mut next = old.clone();
    next.run.watch = new.run.watch;
    next.account.risk.clone_from(&new.account.risk);
    next.account.risk_file.clone_from(&new.account.risk_file);
    next.strategies.clone_from(&new.strategies);
    if let (Some(next), Some(new)) = (&mut next.model, &new.model) {
        next.ensemble_file.clone_from(&new.ensemble_file);
        next.ensemble.threshold = new.ensemble.threshold;
    }
    if !symbols_change {
        // One that should have gone is decided for as before.
        let kept = old.strategies.symbols.iter().filter(|(symbol, _)| traded.contains(symbol) && !new.trades(**symbol));
        next.strategies.symbols.extend(kept.map(|(symbol, strategy)| (*symbol, strategy.clone())));
        return next;
    }
    next.symbols.clone_from(&new.symbols);
    // A symbol that was there before goes on with its rules and prices.
    let is_new = |symbol: &Symbol| !known.contains(symbol);
    let rules = new.market.instruments.iter().filter(|(symbol, _)| is_new(symbol));
    next.market.instruments.extend(rules.map(|(symbol, rules)| (*symbol, rules.clone())));
    if let (MarketSource::Simulator { prices, .. }, MarketSource::Simulator { prices: others, .. }) =
        (&mut next.market.source, &new.market.source)
    {
        prices.extend(others.iter().filter(|(symbol, _)| is_new(symbol)).map(|(symbol, price)| (*symbol, *price)));
    }
    next
}
