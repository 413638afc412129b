//! Taking over a configuration that was read again, symbol by symbol.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use arc_swap::ArcSwap;
use levibot_core::account::view::OpenPosition;
use levibot_core::alerts::{Alert, Topic};
use levibot_core::domain::{Direction, Event, Feed, FreezeCause, Ix, Symbol, Ts};
use levibot_core::driver::Input;
use levibot_core::engine::StrategyPolicy;

use super::apart::apart;
use super::orders::Clerk;
use super::plan::{Fate, Plan, Reader, Standing};
use super::watch::{SharedSight, Sight};
use super::{model, strategies};
use crate::config::{Change, Config, Overrides};
use crate::control::{Command, Scope, SymbolView};
use crate::forecaster::Asking;
use crate::market::{Grow, Market};
use crate::supervisor::symbols::{NOT_CONFIGURED, SymbolChange};
use crate::supervisor::{AlertChannels, Wish};
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
    /// Held by the clerk's one task, and never while that waits.
    pub(super) standing: RefCell<Standing>,
    pub(super) market: Addr<Market>,
    /// Trading time at which market data began.
    pub(super) began: Ts,
    pub(super) metrics: Arc<Metrics>,
    pub(super) sight: SharedSight,
    pub(super) alerts: AlertChannels,
}

impl Clerk {
    /// Reads again and takes over, or only says what that would do.
    pub(super) async fn read_again(&self, command: &Command) -> Result<String, String> {
        let reader = self.reader();
        let read = apart(move || reader.read()).await;
        let (before, plan) = read.unwrap_or_else(|why| (Sight::clone(&self.reloads.sight.load()), Err(why)));
        if *command == Command::ReloadDryRun { self.preview(plan) } else { self.reload(plan, before).await }
    }

    pub(super) fn reader(&self) -> Reader {
        let Reloads { live, overrides, named, table, standing, began, .. } = &self.reloads;
        Reader {
            live: live.load_full(),
            overrides: overrides.clone(),
            named: *named,
            asks_model: self.model.is_some(),
            table: table.load().to_vec(),
            standing: standing.borrow().clone(),
            board: self.board.clone(),
            began: *began,
        }
    }

    /// Takes over what was read. An invalid file changes nothing; limits, strategies and symbols are taken over at once, the
    /// rest is named as needing a restart.
    async fn reload(&self, plan: Result<Plan, String>, before: Sight) -> Result<String, String> {
        let outcome = match plan {
            Ok(plan) => self.apply(plan).await,
            Err(why) => Err(format!("nothing has changed: {why}")),
        };
        let before = if outcome.is_err() { before.refused() } else { before };
        self.reloads.sight.store(Arc::new(before.now_of(self.reloads.live.load().watched_files())));
        outcome
    }

    /// What a reload would change, in words.
    fn preview(&self, plan: Result<Plan, String>) -> Result<String, String> {
        let plan = plan.map_err(|why| format!("nothing would change: {why}"))?;
        Ok(self.words(&plan, ["would be taken over", "nothing would be taken over", "nothing would change"]))
    }

    /// First the account, then what follows it. What the account does not take is not in force: the next reload finds the
    /// difference again, and also what was not carried to an end of what it took.
    async fn apply(&self, mut plan: Plan) -> Result<String, String> {
        let words = ["taken over", "nothing taken over", "nothing has changed"];
        match plan.feed.take() {
            Some(feed) => {
                self.grow(feed, &plan).await?;
                self.has_grown(plan.table.len()).await?;
            }
            None if plan.next.account.risk != self.reloads.live.load().account.risk => {
                self.tell(Input::Setup(Box::new(plan.setup.clone())))?;
                self.keep(&plan);
            }
            None => {}
        }
        if !plan.fates.is_empty() {
            strategies::tell_unwarmed(&plan.next, plan.traded.iter().copied());
            self.send(strategies::note(&plan.next, plan.traded.iter().copied()))?;
        }
        // Before the fates are met: engines are made by what is in force.
        self.keep(&plan);
        self.reloads.live.store(Arc::new(plan.next.clone()));
        let unmet = plan.fates.iter().copied().collect();
        *self.reloads.standing.borrow_mut() = Standing { traded: plan.traded.clone(), unmet };
        let mut failed = Vec::new();
        if let Some(model) = &self.model {
            let asking = model::asking(&plan.traded, &plan.next, &plan.table);
            let told = model.send(Asking { symbols: plan.table.clone(), asking }).await;
            failed.extend(told.err().map(|error| format!("the model's supervisor does not answer: {error}")));
        }
        for (symbol, fate) in &plan.fates {
            if let Err(why) = self.meet(*symbol, *fate, &plan).await {
                failed.push(why);
                continue;
            }
            self.reloads.standing.borrow_mut().unmet.remove(&(*symbol, *fate));
            if *fate == Fate::Renewed
                && let Some(why) = self.stranded(*symbol, &plan.next)
            {
                self.reloads.alerts.send(&Alert::warning(Topic::Configuration, *symbol, why));
            }
            tracing::info!(%symbol, change = self.fate_words(*symbol, *fate, &plan.next), "configuration reloaded");
        }
        if !failed.is_empty() {
            return Err(format!("taken over, but not by everybody: {}; reload again", failed.join("; ")));
        }
        Ok(self.words(&plan, words))
    }

    /// The market goes over to the new feed and tells the account between two events.
    async fn grow(&self, feed: Box<dyn Feed>, plan: &Plan) -> Result<(), String> {
        let grown = self.reloads.market.send(Grow { feed, setup: Box::new(plan.setup.clone()) }).await;
        let grown = grown.map_err(|error| format!("nothing has changed: the market does not answer: {error}"))?;
        grown.map_err(|why| format!("nothing has changed: {why}"))?;
        self.keep(plan);
        Ok(())
    }

    /// What market and account have been told stays, whatever comes next: a place of the table never changes its meaning.
    fn keep(&self, plan: &Plan) {
        let mut live = Config::clone(&self.reloads.live.load());
        live.market.clone_from(&plan.next.market);
        live.account.clone_from(&plan.next.account);
        self.reloads.live.store(Arc::new(live));
        self.reloads.table.store(Arc::new(plan.table.clone()));
    }

    /// Waits until the account shows so many symbols.
    async fn has_grown(&self, symbols: usize) -> Result<(), String> {
        let look = async {
            while self.board.account().symbols.len() < symbols {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(GROWN_WITHIN, look)
            .await
            .map_err(|_| "the account was told of new symbols and does not show them yet: reload again".to_owned())
    }

    /// Each of these can be done again. The supervisor is told also where the account could not be.
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
                self.reloads.metrics.register_symbol(&symbol);
                let freed = self.freeze(ix, None);
                self.exchange(SymbolChange::Returned(ix, symbol)).await.and(freed)
            }
            Fate::Removed => {
                let frozen = self.freeze(ix, Some(NOT_CONFIGURED.to_owned()));
                self.exchange(SymbolChange::Removed(symbol)).await.and(frozen)
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
            Fate::Renewed => {
                let stranded = self.stranded(symbol, next).map(|why| format!(", but {why}")).unwrap_or_default();
                format!("strategy {} renewed{stranded}", file(symbol))
            }
            Fate::Removed => {
                let account = self.board.account();
                let view = account.symbols.iter().find(|one| one.symbol == symbol);
                format!("removed{}", view.map(rest).unwrap_or_default())
            }
        }
    }

    /// Why nothing would end the position that a renewed strategy finds, if so.
    fn stranded(&self, symbol: Symbol, next: &Config) -> Option<String> {
        let account = self.board.account();
        let view = account.symbols.iter().find(|one| one.symbol == symbol)?;
        stranded(symbol, view.position.as_ref()?, next.strategies.of(symbol))
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

/// A position keeps the bracket that it was entered with: where that has neither a stop nor a time, a strategy that neither
/// leaves its side nor enters the other one never ends it.
fn stranded(symbol: Symbol, position: &OpenPosition, policy: &StrategyPolicy) -> Option<String> {
    let (side, other, word) = match position.direction {
        Direction::Long => (Direction::Long, Direction::Short, "long"),
        Direction::Short => (Direction::Short, Direction::Long, "short"),
    };
    let ends = position.stop.is_some() || position.expires.is_some() || position.closing || position.dust;
    let leaves = policy.plan().side(side).exit.is_some() || policy.trades(other);
    (!ends && !leaves).then(|| {
        format!(
            "nothing ends the {word} position of {symbol}: it was entered without a stop and a time, and the strategy {} \
             has no exit for it; write one under `exit.{word}`, or close it with `levibot close {symbol}`",
            policy.name()
        )
    })
}

/// What there is of a symbol that goes.
fn rest(view: &SymbolView) -> String {
    let mut words = String::new();
    if view.position.is_some() {
        words += ", its position stays protected until it is closed";
    }
    if view.orders > 0 {
        words += &format!(", {} order(s) of it are on the way, of which entries are cancelled", view.orders);
    }
    words
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
