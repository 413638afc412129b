//! Reading the configuration again: what it would change, and the change, symbol by symbol.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use arc_swap::ArcSwap;
use levibot_core::account::AccountSetup;
use levibot_core::domain::{Event, Feed, FreezeCause, Ix, Symbol, Ts};
use levibot_core::driver::Input;

use super::data::Source;
use super::orders::Clerk;
use super::watch::{SharedSight, Sight, lock};
use super::{model, strategies};
use crate::config::{Change, Config, MarketSource, Overrides, environment};
use crate::control::Scope;
use crate::forecaster::Asking;
use crate::market::{Grow, Market};
use crate::supervisor::Wish;
use crate::supervisor::symbols::{NOT_CONFIGURED, SymbolChange};
use crate::telemetry::chain;
use crate::telemetry::metrics::Metrics;

/// How long the account may take to show a new symbol.
const GROWN_WITHIN: Duration = Duration::from_secs(10);

/// Every symbol of this life of the daemon, in [`Ix`] order: it only ever grows. Engines are made by it.
pub(super) type SymbolTable = Arc<ArcSwap<Vec<Symbol>>>;

/// What a clerk needs for reloading.
pub(super) struct Reloads {
    /// The configuration in force; engines look up their strategies here when they are made.
    pub(super) live: Arc<ArcSwap<Config>>,
    pub(super) overrides: Overrides,
    pub(super) named: bool,
    pub(super) table: SymbolTable,
    /// The symbols that are traded.
    pub(super) traded: BTreeSet<Symbol>,
    pub(super) market: Addr<Market>,
    /// Trading time at which market data began.
    pub(super) began: Ts,
    pub(super) metrics: Arc<Metrics>,
    pub(super) sight: SharedSight,
}

/// What becomes of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Added,
    Returned,
    Removed,
    Renewed,
}

/// What a reload changes.
pub(super) struct Plan {
    /// What is in force afterwards.
    next: Config,
    traded: BTreeSet<Symbol>,
    /// With new symbols behind the others.
    table: Vec<Symbol>,
    fates: Vec<(Symbol, Fate)>,
    /// Symbols that should come or go and cannot, and why.
    left: Option<(Vec<Symbol>, String)>,
    taken: Vec<Change>,
    waiting: Vec<Change>,
    setup: AccountSetup,
    /// Over all symbols, where some are new.
    feed: Option<Box<dyn Feed>>,
}

impl Clerk {
    /// The watched files as they are before they are read.
    pub(super) fn watched(&self) -> Sight {
        Sight::of(self.reloads.live.load().watched_files())
    }

    /// Takes over what was read. An invalid file changes nothing; limits, strategies and symbols are taken over at once, the
    /// rest is named as needing a restart.
    pub(super) async fn reload(&mut self, plan: Result<Plan, String>, before: Sight) -> Result<String, String> {
        let outcome = match plan {
            Ok(plan) => self.apply(plan).await,
            Err(why) => Err(format!("nothing has changed: {why}")),
        };
        let before = if outcome.is_err() { before.refused() } else { before };
        *lock(&self.reloads.sight) = before.now_of(self.reloads.live.load().watched_files());
        outcome
    }

    /// What a reload would change, in words.
    pub(super) fn preview(&self, plan: Result<Plan, String>) -> Result<String, String> {
        let plan = plan.map_err(|why| format!("nothing would change: {why}"))?;
        Ok(self.words(&plan, ["would be taken over", "nothing would be taken over", "nothing would change"]))
    }

    /// Reads everything again and compares; changes nothing.
    pub(super) async fn plan(&self) -> Result<Plan, String> {
        let old = self.reloads.live.load_full();
        let Reloads { overrides, named, .. } = &self.reloads;
        let new = if *named {
            Config::load(&old.file, overrides, &environment())
        } else {
            Config::load_default(overrides, &environment())
        };
        let new = new.map_err(|error| chain(&error))?;
        if self.model.is_none() && new.strategies.any_asks_model() {
            return Err("a strategy asks the model, and this daemon was started without one; restart it".to_owned());
        }
        let mut plan = self.compare(&old, &new)?;
        if plan.fates.iter().any(|(_, fate)| *fate == Fate::Added) {
            plan.feed = Some(self.grown_feed(&plan).await?);
        }
        Ok(plan)
    }

    fn compare(&self, old: &Config, new: &Config) -> Result<Plan, String> {
        let Reloads { table, traded, .. } = &self.reloads;
        let (table, wanted) = (table.load(), self.wanted(old, new)?);
        let asked: Vec<Symbol> = wanted.iter().copied().collect();
        // Also what cannot be taken over must be good: the next start uses it.
        new.account_setup(&asked).map_err(|error| chain(&error))?;
        let can = old.symbols_can_change(new);
        let moved: Vec<Symbol> = wanted.symmetric_difference(traded).copied().collect();
        let left = can.as_ref().err().filter(|_| !moved.is_empty()).map(|why| (moved, why.clone()));
        let after = if can.is_ok() { wanted } else { traded.clone() };
        let next = merged(old, new, can.is_ok(), &table, &after);
        let fate = |symbol: Symbol| match (traded.contains(&symbol), after.contains(&symbol)) {
            (true, false) => Some(Fate::Removed),
            (false, true) if table.contains(&symbol) => Some(Fate::Returned),
            (false, true) => Some(Fate::Added),
            (true, true) if old.strategies.of(symbol).hash() != next.strategies.of(symbol).hash() => {
                Some(Fate::Renewed)
            }
            _ => None,
        };
        let all: BTreeSet<Symbol> = traded.union(&after).copied().collect();
        let fates: Vec<_> = all.into_iter().filter_map(|symbol| Some((symbol, fate(symbol)?))).collect();
        let added = fates.iter().filter(|(_, fate)| *fate == Fate::Added).map(|(symbol, _)| *symbol);
        let table: Vec<Symbol> = table.iter().copied().chain(added).collect();
        let setup = next.account_setup_in(&table).map_err(|error| chain(&error))?;
        // What comes and goes with a symbol is told by its name.
        let moved = |symbol: Symbol| traded.contains(&symbol) != after.contains(&symbol);
        let told = |change: &Change| change.key == "market.symbols" || change.symbol().is_some_and(moved);
        let taken = old.diff(&next).into_iter().filter(|change| !told(change)).collect();
        let waiting = next.diff(new);
        Ok(Plan { next, traded: after, table, fates, left, taken, waiting, setup, feed: None })
    }

    /// The symbols that the new configuration means.
    fn wanted(&self, old: &Config, new: &Config) -> Result<BTreeSet<Symbol>, String> {
        match (&old.symbols, &new.symbols) {
            (_, Some(symbols)) => Ok(symbols.iter().copied().collect()),
            // What lies in the folder besides is found at the next start.
            (None, None) => Ok(self.reloads.traded.clone()),
            (Some(_), None) => Source::found(new).map(|found| found.into_iter().collect()).map_err(|e| chain(&e)),
        }
    }

    /// A feed over all symbols. Walking or reading what lies before takes a moment.
    async fn grown_feed(&self, plan: &Plan) -> Result<Box<dyn Feed>, String> {
        let now = self.board.pulse().now.max(self.reloads.began);
        let (config, setup) = (plan.next.clone(), plan.setup.clone());
        let made = tokio::task::spawn_blocking(move || Source::live_feed(&config, &setup, now));
        let feed = made.await.map_err(|error| format!("the prices could not be made: {error}"))?;
        feed.map_err(|error| chain(&error))
    }

    /// First the account, then what follows it. What the account does not take is not in force: the next reload finds the
    /// difference again.
    async fn apply(&mut self, mut plan: Plan) -> Result<String, String> {
        let words = ["taken over", "nothing taken over", "nothing has changed"];
        let old = self.reloads.live.load_full();
        if let Some(feed) = plan.feed.take() {
            self.grow(feed, &plan).await?;
        } else if plan.next.account.risk != old.account.risk {
            self.tell(Input::Setup(Box::new(plan.setup.clone())))?;
        }
        if !plan.fates.is_empty() {
            self.send(strategies::note(&plan.next, plan.traded.iter().copied()))?;
        }
        self.reloads.table.store(Arc::new(plan.table.clone()));
        self.reloads.traded.clone_from(&plan.traded);
        self.reloads.live.store(Arc::new(plan.next.clone()));
        if let Some(model) = &self.model {
            let asking = model::asking(&plan.traded, &plan.next, &plan.table);
            let told = model.send(Asking { symbols: plan.table.clone(), asking }).await;
            told.map_err(|error| format!("the model's supervisor does not answer: {error}"))?;
        }
        let mut failed = Vec::new();
        for (symbol, fate) in &plan.fates {
            failed.extend(self.meet(*symbol, *fate, &plan).await.err());
            tracing::info!(%symbol, change = self.fate_words(*symbol, *fate, &plan.next), "configuration reloaded");
        }
        if !failed.is_empty() {
            return Err(format!("taken over, but not by every engine: {}", failed.join("; ")));
        }
        Ok(self.words(&plan, words))
    }

    /// The market goes over to the new feed and tells the account between two events; then it is waited for.
    async fn grow(&self, feed: Box<dyn Feed>, plan: &Plan) -> Result<(), String> {
        let grown = self.reloads.market.send(Grow { feed, setup: Box::new(plan.setup.clone()) }).await;
        let grown = grown.map_err(|error| format!("nothing has changed: the market does not answer: {error}"))?;
        grown.map_err(|why| format!("nothing has changed: {why}"))?;
        let look = async {
            while self.board.account().symbols.len() < plan.table.len() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(GROWN_WITHIN, look)
            .await
            .map_err(|_| "the account was told of new symbols and does not show them yet: reload again".to_owned())
    }

    async fn meet(&self, symbol: Symbol, fate: Fate, plan: &Plan) -> Result<(), String> {
        let place = plan.table.iter().position(|one| *one == symbol).and_then(Ix::from_usize);
        let Some(ix) = place else { return Err(format!("{symbol} has no place")) };
        match fate {
            Fate::Renewed => self.engines(Wish::Renew, Scope::One(symbol)).await.map(|_| ()),
            Fate::Added => {
                self.reloads.metrics.register_symbol(&symbol);
                self.exchange(SymbolChange::Added(ix, symbol)).await
            }
            Fate::Returned => {
                self.freeze(ix, None)?;
                self.exchange(SymbolChange::Returned(symbol)).await
            }
            Fate::Removed => {
                self.freeze(ix, Some(NOT_CONFIGURED.to_owned()))?;
                self.exchange(SymbolChange::Removed(symbol)).await
            }
        }
    }

    fn freeze(&self, instrument: Ix, reason: Option<String>) -> Result<(), String> {
        self.tell(Input::Control(Event::Freeze { instrument, cause: FreezeCause::Configuration, reason }))
    }

    async fn exchange(&self, change: SymbolChange) -> Result<(), String> {
        let answer = self.supervisor.send(change).await;
        answer.unwrap_or_else(|error| Err(format!("the supervisor does not answer: {error}")))
    }

    fn fate_words(&self, symbol: Symbol, fate: Fate, next: &Config) -> String {
        let file = |symbol| next.strategies.file_of(symbol).display().to_string();
        match fate {
            Fate::Added => format!("added, strategy {}", file(symbol)),
            Fate::Returned => format!("back again, strategy {}", file(symbol)),
            Fate::Renewed => format!("strategy {} renewed", file(symbol)),
            Fate::Removed => {
                let account = self.board.account();
                let open = account.symbols.iter().any(|one| one.symbol == symbol && one.position.is_some());
                let rest = if open { ", its position stays protected until it is closed" } else { "" };
                format!("removed{rest}")
            }
        }
    }

    /// `[taken]` stands before the keys that are, `[none]` where there are none but some wait, `[same]` where nothing
    /// differs.
    fn words(&self, plan: &Plan, [taken, none, same]: [&str; 3]) -> String {
        let key = |c: &Change| format!("{}: {} -> {}", c.key, c.from, c.to);
        let fate =
            |(symbol, fate): &(Symbol, Fate)| format!("{symbol}: {}", self.fate_words(*symbol, *fate, &plan.next));
        let done: Vec<String> = plan.taken.iter().map(key).chain(plan.fates.iter().map(fate)).collect();
        let mut parts = Vec::new();
        if !done.is_empty() {
            parts.push(format!("{taken}: {}", done.join("; ")));
        } else if !plan.waiting.is_empty() {
            parts.push(none.to_owned());
        }
        if let Some((symbols, why)) = &plan.left {
            parts.extend(symbols.iter().map(|symbol| format!("{symbol}: stays as it was: {why}")));
        }
        if !plan.waiting.is_empty() {
            let waiting: Vec<String> = plan.waiting.iter().map(key).collect();
            parts.push(format!("a restart is needed for {}", waiting.join("; ")));
        }
        if parts.is_empty() { same.to_owned() } else { parts.join("; ") }
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
