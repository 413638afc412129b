//! The run's market data, opened as the configuration says.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use levibot_core::account::AccountSetup;
use levibot_core::domain::{Feed, Instrument, Ix, Span, Symbol, Ts};
use levibot_core::features::mix_words;
use levibot_core::files::{self, FileFeed, Series};
use levibot_core::simulator::{SimulatedFeed, SimulatorSetup};

use super::AppError;
use crate::config::{Config, MarketSource};

/// Market data that is known but not yet begun.
#[derive(Debug)]
pub(super) struct Source {
    /// The account over its symbols.
    pub(super) setup: AccountSetup,
    /// Trading time at which a new account opens.
    pub(super) start: Ts,
    /// Hash of what the data are: a part of a replay's name.
    pub(super) digest: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Simulated(SimulatorSetup),
    Files { path: PathBuf, series: Vec<(Ix, Series)>, from: Option<Ts>, to: Option<Ts> },
}

impl Source {
    /// Reads what is to be read. Rows that are left out are told on the log, a line a file.
    pub(super) fn open(config: &Config) -> Result<Self, AppError> {
        match &config.market.source {
            MarketSource::Simulator { seed, start, .. } => {
                let symbols = config.symbols.clone().unwrap_or_default();
                let setup = config.account_setup(&symbols)?;
                let Some(simulator) = config.market.simulator_setup(&setup) else { return Err(AppError::NoData) };
                let digest = mix_words([*seed].into_iter());
                Ok(Self { setup, start: *start, digest, kind: Kind::Simulated(simulator) })
            }
            MarketSource::Files { path, from, to } => Self::read(config, path.as_deref(), *from, *to),
        }
    }

    /// The same without those configured symbols that have no price files, for a run that only closes.
    pub(super) fn open_priced(config: &Config) -> Result<Self, AppError> {
        let (Some(symbols), Ok(found)) = (&config.symbols, Self::found(config)) else { return Self::open(config) };
        let priced: Vec<Symbol> = symbols.iter().copied().filter(|symbol| found.contains(symbol)).collect();
        // Where there is none at all, the first that is missed is named.
        let symbols = if priced.is_empty() { symbols.clone() } else { priced };
        Self::open(&Config { symbols: Some(symbols), ..config.clone() })
    }

    fn read(config: &Config, path: Option<&Path>, from: Option<Ts>, to: Option<Ts>) -> Result<Self, AppError> {
        let path = path.ok_or(AppError::NoData)?;
        let mut found = files::discover(path)?;
        if let Some(symbols) = &config.symbols {
            found.retain(|symbol, _| symbols.contains(symbol));
        }
        let wanted = config.symbols.clone().unwrap_or_else(|| found.keys().copied().collect());
        if let Some(missing) = wanted.iter().find(|symbol| !found.contains_key(symbol)) {
            return Err(AppError::NoPriceFile { symbol: *missing, path: path.to_owned() });
        }
        let setup = config.account_setup(&wanted)?;
        let bar = progress(found.len() as u64, "reading price files");
        let (mut series, mut words) = (Vec::new(), Vec::new());
        for (symbol, paths) in &found {
            let loaded = files::load(*symbol, paths, Some(config.market.timeframe))?;
            for report in &loaded.reports {
                if report.faults.is_empty() {
                    tracing::debug!(%symbol, "{report}");
                } else {
                    tracing::warn!(%symbol, "{report}");
                }
            }
            for b in &loaded.series.bars {
                words.extend([b.open_ts.nanos().cast_unsigned(), b.open.to_bits(), b.high.to_bits()]);
                words.extend([b.low.to_bits(), b.close.to_bits(), b.volume.to_bits()]);
            }
            if let Some(ix) = setup.ix(*symbol) {
                series.push((ix, loaded.series));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        for bound in [from, to] {
            words.push(bound.map_or(u64::MAX, |ts| ts.nanos().cast_unsigned()));
        }
        let first = series.iter().filter_map(|(_, s)| s.bars.first()).map(|b| b.open_ts).min();
        let start = from.max(first).unwrap_or(Ts::EPOCH);
        Ok(Self {
            setup,
            start,
            digest: mix_words(words.into_iter()),
            kind: Kind::Files { path: path.to_owned(), series, from, to },
        })
    }

    /// What the account holds besides its configured symbols and has no prices.
    pub(super) fn unpriced(&self, config: &Config, account: &AccountSetup) -> Vec<Symbol> {
        let symbols = account.instruments.iter().map(|instrument| instrument.id().symbol);
        let carried = symbols.filter(|symbol| self.setup.ix(*symbol).is_none());
        match &self.kind {
            Kind::Simulated(_) => {
                let simulator = config.market.simulator_setup(account);
                let has_price = |symbol: &Symbol| {
                    simulator.as_ref().is_some_and(|setup| setup.symbols.iter().any(|one| one.symbol == *symbol))
                };
                carried.filter(|symbol| !has_price(symbol)).collect()
            }
            Kind::Files { path, .. } => {
                let found = files::discover(path).unwrap_or_default();
                carried.filter(|symbol| !found.contains_key(symbol)).collect()
            }
        }
    }

    /// Takes in what the account holds besides its configured symbols, behind those: their positions need prices. Rules are
    /// those of the account. What is `unpriced` is taken in without prices.
    ///
    /// # Errors
    /// [`AppError`] where there are no prices of another one.
    pub(super) fn carry(
        &mut self,
        config: &Config,
        account: &AccountSetup,
        unpriced: &[Symbol],
    ) -> Result<(), AppError> {
        let is_carried = |instrument: &&Instrument| {
            let symbol = instrument.id().symbol;
            self.setup.ix(symbol).is_none() && !unpriced.contains(&symbol)
        };
        let carried: Vec<&Instrument> = account.instruments.iter().filter(is_carried).collect();
        let symbols: Vec<Symbol> = carried.iter().map(|instrument| instrument.id().symbol).collect();
        match &mut self.kind {
            Kind::Simulated(simulator) => {
                *simulator = config.market.simulator_setup(account).ok_or(AppError::NoData)?;
                let is_priced = |symbol: &Symbol| simulator.symbols.iter().any(|one| one.symbol == *symbol);
                if let Some(symbol) = symbols.into_iter().find(|symbol| !is_priced(symbol)) {
                    return Err(AppError::NoStartPrice { symbol });
                }
            }
            Kind::Files { .. } if symbols.is_empty() => {}
            Kind::Files { path, series, from, to } => {
                let mut config = Config { symbols: Some(symbols), ..config.clone() };
                config.market.take_rules(carried);
                let Self { kind: Kind::Files { series: read, .. }, .. } = Self::read(&config, Some(path), *from, *to)?
                else {
                    return Err(AppError::NoData);
                };
                series.extend(read.into_iter().filter_map(|(_, one)| Some((account.ix(one.symbol)?, one))));
            }
        }
        self.setup = account.clone();
        Ok(())
    }

    /// The symbols in the order of the account's table.
    pub(super) fn symbols(&self) -> Vec<Symbol> {
        self.setup.instruments.iter().map(|instrument| instrument.id().symbol).collect()
    }

    /// Those of them that are configured.
    pub(super) fn traded(&self, config: &Config) -> impl Iterator<Item = Symbol> {
        self.symbols().into_iter().filter(|symbol| config.trades(*symbol))
    }

    /// What is not configured any more and is [carried on](Self::carry).
    pub(super) fn carried(&self, config: &Config) -> Vec<Instrument> {
        let carried = self.setup.instruments.iter().filter(|instrument| !config.trades(instrument.id().symbol));
        carried.cloned().collect()
    }

    /// The simulated market, where it is one.
    pub(super) const fn simulated(&self) -> Option<&SimulatorSetup> {
        match &self.kind {
            Kind::Simulated(setup) => Some(setup),
            Kind::Files { .. } => None,
        }
    }

    /// Where the price files are, where there are some.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Simulated(_) => None,
            Kind::Files { path, .. } => Some(path),
        }
    }

    /// The most bars of a symbol that close by the start.
    pub(super) fn bars_before_start(&self) -> usize {
        let before = |series: &Series| {
            let end = self.start;
            series.bars.partition_point(|bar| bar.close_ts(series.timeframe) <= end)
        };
        match &self.kind {
            Kind::Simulated(setup) => usize::try_from(setup.walked_bars()).unwrap_or(usize::MAX),
            Kind::Files { series, .. } => series.iter().map(|(_, series)| before(series)).max().unwrap_or(0),
        }
    }

    /// The feed from the start, or from where an earlier session of the same run has ended.
    pub(super) fn feed(self, resume_at: Option<Ts>) -> Result<Box<dyn Feed>, AppError> {
        match self.kind {
            Kind::Simulated(setup) => {
                let mut feed = SimulatedFeed::new(&setup)?;
                if let Some(ts) = resume_at {
                    feed.fast_forward(ts);
                }
                Ok(Box::new(feed))
            }
            Kind::Files { series, from, to, .. } => {
                let timeframe = series.first().map_or(levibot_core::domain::Timeframe::HOUR, |(_, s)| s.timeframe);
                Ok(Box::new(FileFeed::new(series, timeframe, from.max(resume_at), to)?))
            }
        }
    }

    /// A feed over the symbols of a running daemon, in the order of `setup`, for the time from `now` on; its history is what
    /// was before. The old symbols have the same prices as in the feed in use.
    ///
    /// # Errors
    /// [`AppError`] where there are no prices of a symbol, or none after `now` of one of the `added`.
    pub(super) fn live_feed(
        config: &Config,
        setup: &AccountSetup,
        now: Ts,
        added: &[Symbol],
    ) -> Result<Box<dyn Feed>, AppError> {
        // What lies at `now` itself may have been given in part.
        let before = now - Span::from_nanos(1);
        match &config.market.source {
            MarketSource::Simulator { .. } => {
                let simulator = config.market.simulator_setup(setup).ok_or(AppError::NoData)?;
                let mut feed = SimulatedFeed::new(&simulator)?;
                feed.fast_forward(before);
                Ok(Box::new(feed))
            }
            MarketSource::Files { path, from, to } => {
                let symbols = setup.instruments.iter().map(|i| i.id().symbol).collect();
                let source =
                    Self::read(&Config { symbols: Some(symbols), ..config.clone() }, path.as_deref(), *from, *to)?;
                let Kind::Files { path, series, .. } = source.kind else { return Err(AppError::NoData) };
                for (_, one) in series.iter().filter(|(_, one)| added.contains(&one.symbol)) {
                    let last = last_close(one, *to);
                    if last <= now {
                        return Err(AppError::NoPricesAhead { symbol: one.symbol, path, last, now });
                    }
                }
                let placed = series.into_iter().filter_map(|(_, one)| Some((setup.ix(one.symbol)?, one))).collect();
                let timeframe = config.market.timeframe;
                let open = timeframe.floor(before);
                Ok(Box::new(FileFeed::new(placed, timeframe, (*from).max(Some(open)), *to)?))
            }
        }
    }

    /// The symbols for which the price files hold something, where prices come from files.
    ///
    /// # Errors
    /// [`AppError`] where the folder cannot be read.
    pub(super) fn found(config: &Config) -> Result<Vec<Symbol>, AppError> {
        match &config.market.source {
            MarketSource::Files { path: Some(path), .. } => Ok(files::discover(path)?.into_keys().collect()),
            _ => Err(AppError::NoData),
        }
    }

    /// When the data end, if they do.
    pub(super) fn end(&self) -> Option<Ts> {
        match &self.kind {
            Kind::Simulated(_) => None,
            Kind::Files { series, to, .. } => {
                let last = series.iter().filter_map(|(_, s)| s.bars.last().map(|b| b.close_ts(s.timeframe))).max();
                match (last, *to) {
                    (Some(last), Some(to)) => Some(last.min(to)),
                    (last, to) => last.or(to),
                }
            }
        }
    }
}

/// When the last bar closes that is given up to `to`.
fn last_close(series: &Series, to: Option<Ts>) -> Ts {
    let closes = series.bars.iter().rev().map(|bar| bar.close_ts(series.timeframe));
    closes.into_iter().find(|close| to.is_none_or(|to| *close <= to)).unwrap_or(Ts::EPOCH)
}

/// A progress bar on standard error; hidden where that is no terminal.
pub(super) fn progress(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = "{msg} [{bar:40}] {percent}% {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_message(what)
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
