//! A configuration as a list of keys and texts: what two of them differ in, and the hash of one.

use std::collections::BTreeMap;
use std::path::Path;

use levibot_core::account::policy::RawRiskPolicy;
use levibot_core::domain::hash::hex;
use levibot_core::domain::{Instrument, Symbol};
use levibot_core::engine::StrategyPolicy;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::text::span_text;
use super::{
    AccountConfig, AlertsConfig, Config, HttpConfig, JournalConfig, LogsConfig, MarketConfig, MarketSource,
    ModelConfig, PaceKey, RegistryConfig, RunConfig, StoreConfig,
};

/// Whether alerts go to Slack. The address is a secret and no entry: that it is another one is told all the same.
const SLACK: &str = "alerts.slack";

/// Whether a change is taken over by a running daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// At once.
    Live,
    /// At the next start.
    NeedsRestart,
}

/// A difference of two configurations, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key with its table.
    pub key: String,
    /// The value in force, `none` where there is none.
    pub from: String,
    /// The new value, `none` where there is none.
    pub to: String,
    /// When it counts.
    pub effect: Effect,
}

impl Change {
    /// The symbol whose trading rule or price it is.
    pub fn symbol(&self) -> Option<Symbol> {
        symbol_of(&self.key)
    }
}

fn symbol_of(key: &str) -> Option<Symbol> {
    let rest = key.strip_prefix("market.simulator.prices.").or_else(|| key.strip_prefix("instruments."))?;
    rest.split('.').next()?.parse().ok()
}

impl Config {
    /// What differs in `new`, in the order of the keys. The limits of the account and the strategies, contents as well as
    /// paths, are [`Effect::Live`], and so is what comes and goes with a symbol where [`Self::symbols_can_change`];
    /// everything else waits for a restart.
    pub fn diff(&self, new: &Self) -> Vec<Change> {
        let symbols_can = self.symbols_can_change(new).is_ok();
        let exchanged = |symbol: Symbol| self.trades(symbol) != new.trades(symbol);
        let comes_or_goes =
            |key: &str| symbols_can && (key == "market.symbols" || symbol_of(key).is_some_and(exchanged));
        let rotated = self.alerts.slack_webhook != new.alerts.slack_webhook;
        let (mut old, mut new) = (Entries::of(self).0, Entries::of(new).0);
        let mut keys: Vec<String> = old.keys().chain(new.keys()).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        let change = |key: String| {
            let (from, to) = (old.remove(&key), new.remove(&key));
            let effect = from.as_ref().or(to.as_ref())?.effect;
            let text = |entry: Option<Entry>| entry.map_or_else(|| "none".to_owned(), |entry| entry.text);
            let (from, mut to) = (text(from), text(to));
            if key == SLACK && rotated && from == to {
                to = "on, another address".to_owned();
            }
            let effect = if comes_or_goes(&key) { Effect::Live } else { effect };
            (from != to).then_some(Change { key, from, to, effect })
        };
        keys.into_iter().filter_map(change).collect()
    }

    /// Whether the two configurations' symbols can be exchanged while the daemon runs: `Err` says what stands against it.
    ///
    /// # Errors
    /// In words, for people.
    pub fn symbols_can_change(&self, new: &Self) -> Result<(), String> {
        if self.run.pace == PaceKey::Lockstep {
            return Err("a replay's outcome is named by its symbols; start another one".to_owned());
        }
        let place = |config: &Self| match &config.market.source {
            MarketSource::Simulator { .. } => None,
            MarketSource::Files { path, .. } => Some(path.clone()),
        };
        let changed = [
            ("market.venue", self.market.venue != new.market.venue),
            ("account.currency", self.account.currency != new.account.currency),
            ("market.source", place(self).is_some() != place(new).is_some()),
            ("market.files.path", place(self) != place(new)),
        ];
        match changed.iter().find(|(_, changed)| *changed) {
            Some((key, _)) => Err(format!("`{key}` changes too, which needs a restart")),
            None => Ok(()),
        }
    }

    /// Whether a symbol is traded, where the configuration leaves that to the price files: yes.
    pub fn trades(&self, symbol: Symbol) -> bool {
        self.symbols.as_ref().is_none_or(|symbols| symbols.contains(&symbol))
    }

    /// SHA-256 in hexadecimal over everything that decisions and fills depend on, as a JSON object of sorted keys and
    /// texts: account, limits, market, strategies, trading rules of the symbols, paper venue. Where files lie, how fast
    /// the simulator goes, and what only serves people (logs, status API) is left out.
    pub fn hash(&self) -> String {
        let decisive: serde_json::Map<String, Value> = Entries::of(self)
            .0
            .into_iter()
            .filter(|(_, entry)| entry.is_decisive)
            .map(|(key, entry)| (key, Value::String(entry.text)))
            .collect();
        hex(&Sha256::digest(Value::Object(decisive).to_string()))
    }
}

#[derive(Debug)]
struct Entry {
    text: String,
    effect: Effect,
    is_decisive: bool,
}

/// Every key of a configuration. Values are taken out of their structs by name, so that the compiler asks for a new one.
#[derive(Debug, Default)]
struct Entries(BTreeMap<String, Entry>);

impl Entries {
    fn of(config: &Config) -> Self {
        let Config {
            file: _,
            run,
            account,
            market,
            symbols,
            strategies,
            model,
            paper: _,
            isolation,
            supervision: _,
            quarantines_max: _,
            journal,
            store,
            http,
            logs,
            alerts,
            registry,
        } = config;
        let mut entries = Self::default();
        entries.run(run);
        entries.account(account);
        entries.market(market, symbols.as_deref());
        for (symbol, instrument) in &market.instruments {
            if symbols.as_ref().is_none_or(|symbols| symbols.contains(symbol)) {
                entries.instrument(*symbol, instrument);
            }
        }
        entries.strategy("strategy.default", &strategies.default.file, &strategies.default.policy);
        for (symbol, strategy) in &strategies.symbols {
            entries.strategy(&format!("strategy.symbols.{symbol}"), &strategy.file, &strategy.policy);
        }
        if let Some(model) = model {
            entries.model(model, strategies.any_asks_model());
        }
        entries.paper(config);
        entries.other("supervisor.isolation", format!("{isolation:?}").to_lowercase());
        entries.supervision(config);
        entries.host(*journal, store, *http, logs, registry);
        entries.alerts(alerts);
        entries
    }

    fn put(&mut self, key: impl Into<String>, text: impl ToString, effect: Effect, is_decisive: bool) {
        self.0.insert(key.into(), Entry { text: text.to_string(), effect, is_decisive });
    }

    /// A key that decisions depend on.
    fn decisive(&mut self, key: impl Into<String>, text: impl ToString) {
        self.put(key, text, Effect::NeedsRestart, true);
    }

    /// A key that they do not depend on.
    fn other(&mut self, key: impl Into<String>, text: impl ToString) {
        self.put(key, text, Effect::NeedsRestart, false);
    }

    /// The contents of a policy, key by key. Lists are one value.
    fn policy(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.policy(&format!("{key}.{name}"), value);
                }
            }
            Value::Null => {}
            Value::String(text) => self.put(key, text, Effect::Live, true),
            value => self.put(key, value, Effect::Live, true),
        }
    }

    fn run(&mut self, run: &RunConfig) {
        let RunConfig { pace, data_dir, watch, resume_next_day } = run;
        let pace = match pace {
            PaceKey::Lockstep => "lockstep",
            PaceKey::Realtime => "realtime",
        };
        self.other("run.pace", pace);
        self.other("run.data_dir", data_dir.display());
        self.put("run.watch", watch, Effect::Live, false);
        self.decisive("replay.resume_next_day", resume_next_day);
    }

    fn account(&mut self, account: &AccountConfig) {
        let AccountConfig { name, kind, currency, initial_cash, risk_file, risk } = account;
        self.decisive("account.name", name);
        self.decisive("account.kind", format!("{kind:?}").to_lowercase());
        self.decisive("account.currency", currency);
        self.decisive("account.initial_cash", initial_cash);
        self.put("account.risk", risk_file.display(), Effect::Live, false);
        self.policy("risk_policy", &json(&RawRiskPolicy::from(risk.clone())));
    }

    fn market(&mut self, market: &MarketConfig, symbols: Option<&[Symbol]>) {
        let MarketConfig { source, venue, timeframe, instruments_file, instruments: _ } = market;
        self.decisive("market.venue", venue);
        self.decisive("market.timeframe", timeframe);
        if let Some(symbols) = symbols {
            let names: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
            self.decisive("market.symbols", names.join(", "));
        }
        self.other("market.instruments", instruments_file.display());
        match source {
            MarketSource::Simulator { seed, start, quote_every, history, trend, speed, prices } => {
                self.decisive("market.source", "simulator");
                self.decisive("market.simulator.seed", seed);
                self.decisive("market.simulator.start", start);
                self.decisive("market.simulator.quote_every", span_text(*quote_every));
                self.decisive("market.simulator.history", span_text(*history));
                self.decisive("market.simulator.trend", trend);
                self.other("market.simulator.speed", speed);
                for (symbol, price) in prices.iter().filter(|(s, _)| symbols.is_none_or(|all| all.contains(s))) {
                    self.decisive(format!("market.simulator.prices.{symbol}"), price);
                }
            }
            MarketSource::Files { path, from, to } => {
                self.decisive("market.source", "files");
                if let Some(path) = path {
                    self.other("market.files.path", path.display());
                }
                for (key, ts) in [("from", from), ("to", to)] {
                    if let Some(ts) = ts {
                        self.decisive(format!("market.files.{key}"), ts);
                    }
                }
            }
        }
    }

    fn instrument(&mut self, symbol: Symbol, instrument: &Instrument) {
        let Value::Object(mut rules) = json(instrument) else { return };
        // The venue and the symbol stand elsewhere.
        rules.remove("id");
        for (key, value) in rules {
            self.decisive(format!("instruments.{symbol}.{key}"), value.as_str().unwrap_or_default());
        }
    }

    fn strategy(&mut self, key: &str, file: &Path, policy: &StrategyPolicy) {
        self.put(key, file.display(), Effect::Live, false);
        self.put(format!("{key}.name"), policy.name(), Effect::Live, true);
        for parameter in policy.parameters() {
            self.put(format!("{key}.{}", parameter.name), parameter.value, Effect::Live, true);
        }
        if let Some(threshold) = policy.threshold() {
            self.put(format!("{key}.threshold"), threshold, Effect::Live, true);
        }
        // What it says besides has too many words for a line: the hash of its meaning tells whether it changed.
        self.put(format!("{key}.meaning"), format_args!("{:016x}", policy.hash()), Effect::Live, true);
    }

    /// `asked`: whether a strategy asks the model, so that decisions depend on it.
    fn model(&mut self, model: &ModelConfig, asked: bool) {
        let ModelConfig {
            dir,
            ensemble_file,
            ensemble,
            ensemble_text: _,
            training_file,
            training_text: _,
            batch_wait,
            deadline,
            threads,
            train_when_missing,
            in_sample,
            version,
        } = model;
        self.other("model.dir", dir.display());
        self.put("model.ensemble", ensemble_file.display(), Effect::Live, false);
        // The threshold shows in the strategies that take it.
        self.put("ensemble.voting", format!("{:?}", ensemble.voting), Effect::NeedsRestart, asked);
        for keys in &ensemble.members {
            let name = keys.member.name();
            let features: Vec<&str> = keys.features.iter().map(|id| id.name()).collect();
            self.put(format!("ensemble.{name}.weight"), keys.weight, Effect::NeedsRestart, asked);
            self.put(format!("ensemble.{name}.features"), features.join(", "), Effect::NeedsRestart, asked);
        }
        self.other("model.training", training_file.display());
        self.other("model.batch_wait", span_text(*batch_wait));
        self.other("model.deadline", span_text(*deadline));
        self.other("model.threads", threads);
        self.other("model.train_when_missing", train_when_missing);
        self.other("model.in_sample", in_sample);
        if let Some(version) = version {
            self.put("model.version", version, Effect::NeedsRestart, asked);
        }
    }

    fn paper(&mut self, config: &Config) {
        let paper = &config.paper;
        self.decisive("paper.seed", paper.seed());
        self.decisive("paper.fee", paper.fee().rate());
        self.decisive("paper.spread", paper.spread().full());
        self.decisive("paper.slippage", paper.slippage().mean());
        self.decisive("paper.latency", span_text(paper.latency().mean()));
        self.decisive("paper.participation", paper.participation().share());
        self.decisive("paper.funding", paper.funding());
    }

    fn supervision(&mut self, config: &Config) {
        let setup = &config.supervision;
        self.other("supervisor.failures_max", setup.failures_max);
        for (key, span) in [
            ("window", setup.window),
            ("backoff_first", setup.backoff_first),
            ("backoff_max", setup.backoff_max),
            ("healthy_after", setup.healthy_after),
            ("progress_deadline", setup.progress_deadline),
            ("starting_deadline", setup.starting_deadline),
            ("stop_deadline", setup.stop_deadline),
        ] {
            self.other(format!("supervisor.{key}"), span_text(span));
        }
        self.other("supervisor.quarantines_max", config.quarantines_max);
    }

    fn host(
        &mut self,
        journal: JournalConfig,
        store: &StoreConfig,
        http: HttpConfig,
        logs: &LogsConfig,
        registry: &RegistryConfig,
    ) {
        self.other("journal.tape", journal.tape);
        self.other("journal.tape_keep_days", journal.tape_keep_days);
        let url = match store {
            StoreConfig::InDataDir => "sqlite".to_owned(),
            StoreConfig::File(path) => format!("sqlite://{}", path.display()),
        };
        self.other("store.url", url);
        self.other("http.enabled", http.enabled);
        self.other("http.bind", http.bind);
        self.other("http.allow_non_loopback", http.allow_non_loopback);
        self.other("logs.dir", logs.dir.display());
        self.other("logs.level", &logs.level);
        self.other("logs.keep_days", logs.keep_days);
        self.other("logs.lines_per_second", logs.lines_per_second);
        self.other("logs.file_mb_max", logs.file_mb_max);
        self.other("registry.path", registry.path.display());
    }

    /// The webhook itself is a secret: only whether there is one is told.
    fn alerts(&mut self, alerts: &AlertsConfig) {
        self.other("alerts.coalesce", span_text(alerts.coalesce));
        self.other(SLACK, if alerts.slack_webhook.is_some() { "on" } else { "off" });
        self.other("alerts.slack_level", alerts.slack_level.as_str());
        if let Some(file) = &alerts.slack_webhook_file {
            self.other("alerts.slack_webhook_file", file.display());
        }
    }
}

/// A plain struct as JSON.
#[expect(clippy::expect_used, reason = "structs of numbers, texts and maps with text keys always have a JSON form")]
fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a JSON form")
}
