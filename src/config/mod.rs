//! The configuration: read raw, checked once, and from then on a value that can be relied on.
//!
//! The only room that reads the environment, and it takes it as a map, so that a test needs no variable. The order is:
//! file, then variables ([`environment`]), then the command line ([`Overrides`]). Relative paths are taken from the
//! folder in which the program was started. Every [`ConfigError`] names where, key, value, reason and remedy.

mod account;
mod alerts;
mod entries;
mod error;
mod host;
mod market;
mod model;
mod overrides;
mod parts;
mod raw;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use levibot_core::account::{AccountSetup, RiskPolicy};
use levibot_core::domain::{AccountKind, Instrument, Money, Span, Symbol, Timeframe, Ts, Venue};
use levibot_core::engine::StrategyPolicy;
use levibot_core::fills::PaperSetup;
use levibot_core::supervision::SupervisionSetup;
use serde::Deserialize;

pub use alerts::{AlertsConfig, Webhook};
pub use entries::{Change, Effect};
pub use error::ConfigError;
pub use model::{ModelConfig, model_binary};
pub use overrides::{Overrides, SLACK_WEBHOOK, arguments, cache_dir, environment};
pub use parts::{ensemble, limits, policy, shipped_rules};
pub use text::parse_to;

/// A file that is built into the binary, by its place in the repository.
#[cfg(feature = "fault-injection")]
pub fn embedded(path: &str) -> Option<&'static str> {
    text::embedded(Path::new(path))
}

use error::Origin;
use overrides::Variables;
use raw::RawConfig;
use text::{EXAMPLE, Shelf, toml_of};

/// A checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// Pace and place.
    pub run: RunConfig,
    /// The account and its limits.
    pub account: AccountConfig,
    /// Where prices come from.
    pub market: MarketConfig,
    /// What is traded, in name order; `None`: every symbol for which the price files hold something.
    pub symbols: Option<Vec<Symbol>>,
    /// How is decided.
    pub strategies: StrategiesConfig,
    /// The fusion model; `None` where no strategy asks one.
    pub model: Option<ModelConfig>,
    /// The paper venue.
    pub paper: PaperSetup,
    /// What engines run in.
    pub isolation: Isolation,
    /// When engines are restarted.
    pub supervision: SupervisionSetup,
    /// So many engines in quarantine at once halt the account, 1 to 1,000.
    pub quarantines_max: u32,
    /// Journal and tape.
    pub journal: JournalConfig,
    /// The queryable projection of the journal.
    pub store: StoreConfig,
    /// The status API.
    pub http: HttpConfig,
    /// Log files.
    pub logs: LogsConfig,
    /// Where alerts go.
    pub alerts: AlertsConfig,
    /// Where the state of the engines is written.
    pub registry: RegistryConfig,
}

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaceKey {
    /// The next instant begins when every answer for this one is in.
    Lockstep,
    /// As the market goes.
    Realtime,
}

/// What engines run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A process each.
    #[default]
    Process,
    /// A thread each.
    Thread,
}

/// `[run]` and `[replay]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunConfig {
    /// How time passes.
    pub pace: PaceKey,
    /// Folder of journal, tape and database. A replay makes a folder a run in it.
    pub data_dir: PathBuf,
    /// Whether a change of the [`watched_files`](Config::watched_files) is taken over by itself. Without effect with
    /// [`PaceKey::Lockstep`].
    pub watch: bool,
    /// Whether a stop of the day is lifted when the next day begins. Never with [`PaceKey::Realtime`].
    pub resume_next_day: bool,
}

/// `[account]`.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountConfig {
    /// Its name, a part of every order id: 1 to 32 lower-case letters, digits, `_` or `-`.
    pub name: String,
    /// Spot or linear.
    pub kind: AccountKind,
    /// Quote currency of everything it trades.
    pub currency: String,
    /// Cash with which the journal opens, over zero.
    pub initial_cash: Money,
    /// The file of the limits.
    pub risk_file: PathBuf,
    /// The limits.
    pub risk: RiskPolicy,
}

/// `[market]` and the trading rules.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketConfig {
    /// Simulator or files, with its settings.
    pub source: MarketSource,
    /// The venue's name in ids and records.
    pub venue: Venue,
    /// Length of a bar.
    pub timeframe: Timeframe,
    /// The file of the trading rules.
    pub instruments_file: PathBuf,
    /// The rules of every symbol that the file knows.
    pub instruments: BTreeMap<Symbol, Instrument>,
}

/// Where prices come from.
#[derive(Debug, Clone, PartialEq)]
pub enum MarketSource {
    /// `[market.simulator]`.
    Simulator {
        /// Chooses the path.
        seed: u64,
        /// Trading time of the first bar, the start of a bar.
        start: Ts,
        /// Trading time between quotes; divides the timeframe.
        quote_every: Span,
        /// Trading time that is walked before `start` for a model to learn from; zero: as much as warms engines up.
        history: Span,
        /// Strength of the hidden drift, 0 (none) to 1.
        trend: f64,
        /// Trading seconds per real second, over 0 and up to 100,000. Without effect in lockstep.
        speed: f64,
        /// Price at the start by symbol, quote currency: of the symbols that are traded at least.
        prices: BTreeMap<Symbol, f64>,
    },
    /// `[market.files]`.
    Files {
        /// A price file or a folder of them; it exists. `None`: still to be given.
        path: Option<PathBuf>,
        /// Bars that open at or after this are traded.
        from: Option<Ts>,
        /// Bars that close at or before this are traded.
        to: Option<Ts>,
    },
}

/// A strategy and the file that holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategyFile {
    /// The file.
    pub file: PathBuf,
    /// The strategy.
    pub policy: StrategyPolicy,
}

/// `[strategy]`.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategiesConfig {
    /// Of every symbol without one of its own.
    pub default: StrategyFile,
    /// Of single symbols, those that are traded.
    pub symbols: BTreeMap<Symbol, StrategyFile>,
}

impl StrategiesConfig {
    /// The file of a symbol's strategy.
    pub fn file_of(&self, symbol: Symbol) -> &Path {
        &self.symbols.get(&symbol).unwrap_or(&self.default).file
    }

    /// The strategy of a symbol.
    pub fn of(&self, symbol: Symbol) -> &StrategyPolicy {
        &self.symbols.get(&symbol).unwrap_or(&self.default).policy
    }
}

/// `[journal]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalConfig {
    /// Whether every input is kept.
    pub tape: bool,
    /// Days that the tape is kept, 1 to 3650.
    pub tape_keep_days: u32,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreConfig {
    /// SQLite, `levibot.db` in the data folder of the run.
    InDataDir,
    /// SQLite, this file.
    File(PathBuf),
}

impl StoreConfig {
    /// The database file of a run with this data folder.
    pub fn path(&self, data_dir: &Path) -> PathBuf {
        match self {
            Self::InDataDir => data_dir.join("levibot.db"),
            Self::File(path) => path.clone(),
        }
    }
}

/// `[http]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpConfig {
    /// Whether the API listens.
    pub enabled: bool,
    /// Where. Beyond loopback only with [`allow_non_loopback`](Self::allow_non_loopback).
    pub bind: SocketAddr,
    /// Whether it may listen beyond this machine.
    pub allow_non_loopback: bool,
}

/// `[logs]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogsConfig {
    /// Folder of the log files.
    pub dir: PathBuf,
    /// A level, or levels by module.
    pub level: String,
    /// Days that log files are kept, 1 to 3650.
    pub keep_days: u32,
    /// Lines that a symbol may log in a second, 1 to 1,000,000; ten times as many at once.
    pub lines_per_second: u32,
    /// Size at which the file of a symbol and day stops growing, MiB, 1 to 1,048,576.
    pub file_mb_max: u32,
}

/// `[registry]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// The file.
    pub path: PathBuf,
}

impl Config {
    /// Reads a file and everything that it names, and checks it all.
    ///
    /// # Errors
    /// The first [`ConfigError`] found.
    pub fn load(path: &Path, overrides: &Overrides, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        Self::assemble(Shelf::Disk, path, overrides, env)
    }

    /// Reads the default, `config/levibot.toml`. A file that is not there is taken as it was when the binary was built,
    /// so that this needs no file at all.
    ///
    /// # Errors
    /// The first [`ConfigError`] found, in a file on disk, the overrides or the environment.
    pub fn load_default(overrides: &Overrides, env: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        Self::assemble(Shelf::DiskThenEmbedded, Path::new(EXAMPLE), overrides, env)
    }

    fn assemble(
        shelf: Shelf,
        path: &Path,
        overrides: &Overrides,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let variables = Variables::read(env)?;
        let raw: RawConfig = toml_of(&shelf.read(path, "--config")?, path, "--config", EXAMPLE)?;
        let name = path.display().to_string();
        let at = Origin(&name);

        let run = host::run(at, raw.run, &raw.replay, &variables, overrides)?;
        let account = account::account(at, shelf, raw.account)?;
        let (market, symbols) = market::market(at, shelf, raw.market, &account.currency, overrides)?;
        let mut strategies = account::strategies(shelf, raw.strategy, &market, symbols.as_deref(), overrides)?;
        let model = model::model(at, shelf, raw.model, &strategies, overrides)?;
        if let Some(model) = &model {
            strategies.take_threshold(model.ensemble.threshold);
        }
        Ok(Self {
            file: path.to_owned(),
            run,
            account,
            market,
            symbols,
            strategies,
            model,
            paper: account::paper(at, &raw.paper)?,
            isolation: raw.supervisor.isolation,
            supervision: host::supervision(at, &raw.supervisor)?,
            quarantines_max: host::quarantines_max(at, &raw.supervisor)?,
            journal: host::journal(at, &raw.journal)?,
            store: host::store(at, &raw.store)?,
            http: host::http(at, &raw.http, &variables, overrides)?,
            logs: host::logs(at, raw.logs, &variables)?,
            alerts: alerts::alerts(at, raw.alerts, &variables)?,
            registry: host::registry(at, raw.registry)?,
        })
    }

    /// The account for these symbols: their instruments in name order, the limits, and what a side of a trade costs (fee,
    /// half spread, slippage).
    ///
    /// # Errors
    /// [`ConfigError::UnknownSymbol`] for one without trading rules, [`ConfigError::Value`] for no symbol at all or one
    /// that is quoted in another currency than the account's.
    pub fn account_setup(&self, symbols: &[Symbol]) -> Result<AccountSetup, ConfigError> {
        let mut sorted = symbols.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        self.account_setup_in(&sorted)
    }

    /// The same with the instruments in this order: the table of a running daemon, in which a symbol keeps its place.
    ///
    /// # Errors
    /// As above. A symbol must not stand there twice.
    pub fn account_setup_in(&self, table: &[Symbol]) -> Result<AccountSetup, ConfigError> {
        let asked = if self.symbols.is_some() { "`market.symbols`" } else { "a price file" };
        let name = self.file.display().to_string();
        if table.is_empty() {
            return Err(market::no_symbols(Origin(&name), "market.symbols"));
        }
        let mut instruments = Vec::with_capacity(table.len());
        for &symbol in table {
            instruments.push(self.market.instrument(symbol, asked, &self.account.currency)?.clone());
        }
        let AccountConfig { name, kind, currency, initial_cash, risk, .. } = self.account.clone();
        Ok(AccountSetup {
            name,
            kind,
            currency,
            initial_cash,
            instruments,
            risk,
            cost_per_side: self.cost_per_side(),
            resume_next_day: self.run.resume_next_day,
            unlimited: false,
        })
    }

    /// What one side of a trade is expected to cost, a fraction of notional: fee, half the spread and slippage.
    pub fn cost_per_side(&self) -> f64 {
        self.paper.fee().rate() + self.paper.spread().half() + self.paper.slippage().mean()
    }

    /// The files whose change can be taken over by a running daemon, each once: this one, the limits, the trading rules, the
    /// strategies, the members of the model.
    pub fn watched_files(&self) -> Vec<PathBuf> {
        let strategies = self.strategies.symbols.values().chain([&self.strategies.default]);
        let mut files = vec![self.file.clone(), self.account.risk_file.clone(), self.market.instruments_file.clone()];
        files.extend(strategies.map(|strategy| strategy.file.clone()));
        files.extend(self.model.iter().map(|model| model.ensemble_file.clone()));
        files.sort_unstable();
        files.dedup();
        files
    }
}
