//! A recorded day: where it begins, what came in, and what was put on record.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use levibot_core::account::{Account, AccountSetup};
use levibot_core::backtest::Forecasts;
use levibot_core::domain::{Actions, Bar, Context, Event, Ix, MarketEvent, Report, Ts};
use levibot_core::engine::{Core, StrategyPolicy};
use levibot_core::fills::{PaperAccount, PaperSetup, PaperVenue, VenueAnswer};
use levibot_core::record::{Record, TapeEntry, TapeItem, TapeTarget};

use super::super::replay_record::{Again, ReplayOutcome};
use super::gather::Open;
use super::names::{day_name, days};
use crate::app::AppError;
use crate::config::Config;
use crate::journal::{JOURNAL_FILE, TapeReader, scan};

/// What a backtest of the day is led by, in order.
#[derive(Debug)]
pub(super) enum Step {
    /// After the record of this number.
    Market(u64, Box<MarketEvent>),
    /// At this time, after the record of this number.
    Control(Ts, u64, Box<Event>),
    Remember(Ix, Bar),
    Setup(Ts, Box<AccountSetup>),
    /// A daemon has started, with this record.
    Start(Ts, Box<Record>),
    /// The same, after something that cannot be repeated: account and venue are taken from the record. What the backtest
    /// has done from `cut` on has no counterpart.
    Reopen {
        account: Box<Account>,
        venue: Option<Box<PaperVenue>>,
        cut: Option<Ts>,
    },
}

/// An engine that begins with an empty memory, and when it comes.
#[derive(Debug)]
pub(super) struct Coming {
    /// In which life of the daemon within the day.
    pub(super) life: u32,
    pub(super) past: Vec<(Bar, Context)>,
    /// Open of the first bar that it was given to answer.
    pub(super) first: Option<Ts>,
    /// Hash of what it decides by.
    pub(super) policy: Option<u64>,
    pub(super) strategy: StrategyPolicy,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Day {
    pub(super) account: Account,
    /// The venue as it stands then, until it is taken.
    pub(super) venue: Option<PaperVenue>,
    /// What the venue was made of, for a restart: records up to the opening.
    pub(super) past: Vec<(Ts, Record)>,
    pub(super) engines: Vec<(Ix, Core)>,
    pub(super) coming: BTreeMap<Ix, VecDeque<Coming>>,
    pub(super) steps: Vec<Step>,
    pub(super) forecasts: Forecasts,
    /// What the daemon put on record.
    pub(super) recorded: Vec<(Ts, Record)>,
    /// Equity of the daemon's account at the end, account currency.
    pub(super) equity: f64,
    /// What the backtest does from here on was ahead of the journal.
    pub(super) cut: Option<Ts>,
    /// Lives of the daemon that the tape holds.
    pub(super) lives: u32,
    /// Those that were too short to leave a tape.
    pub(super) silent: u32,
    pub(super) lost: u64,
    pub(super) beyond: u64,
    pub(super) unlike: u64,
    /// Hash of the configuration that the record was made with.
    pub(super) config_hash: String,
}

/// Reads the day that begins at `from`.
///
/// # Errors
/// [`AppError`]: journal or tape cannot be read, or the tape does not hold the day.
pub(super) fn read(config: &Config, dir: &Path, from: Ts, paper: PaperSetup) -> Result<Day, AppError> {
    let mut journal = VecDeque::new();
    scan(&dir.join(JOURNAL_FILE), &mut |envelope| journal.push_back((envelope.ts, envelope.record)))?;
    let span = (from, from.saturating_add(levibot_core::domain::Span::DAY));
    let mut reader = Reader {
        again: Again::keeping(config, journal),
        outcome: ReplayOutcome::default(),
        paper,
        span,
        past: Vec::new(),
        venue: None,
        days: BTreeSet::new(),
        open: None,
        lost: 0,
        config_hash: String::new(),
    };
    let mut gap = 0;
    for item in TapeReader::open(&dir.join("tape"))? {
        match item? {
            TapeItem::Gap { entries, .. } => gap += entries,
            TapeItem::Entry(entry) => {
                let goes_on = reader.take(entry);
                // What was lost before the first input of the day may have been of it.
                reader.lost += if reader.open.is_some() { gap } else { 0 };
                gap = 0;
                if !goes_on {
                    break;
                }
            }
        }
    }
    reader.lost += if reader.open.is_some() { gap } else { 0 };
    reader.finish(dir)
}

/// Whether an input is of the market.
const fn is_market(event: &Event) -> bool {
    matches!(event, Event::Bar { .. } | Event::Quote { .. } | Event::FrameEnd)
}

struct Reader<'a> {
    again: Again<'a>,
    outcome: ReplayOutcome,
    paper: PaperSetup,
    span: (Ts, Ts),
    /// Records of which a venue is rebuilt.
    past: Vec<(Ts, Record)>,
    /// The venue of this life, until the day opens.
    venue: Option<PaperVenue>,
    /// Days of which the tape has market data.
    days: BTreeSet<i64>,
    open: Option<Open>,
    lost: u64,
    config_hash: String,
}

impl Reader<'_> {
    /// Takes an input; `false` when the day is over.
    fn take(&mut self, entry: TapeEntry) -> bool {
        let (ts, to) = (entry.ts, entry.to);
        let market = to == TapeTarget::Account && is_market(&entry.event);
        let within = self.span.0 <= ts && ts < self.span.1;
        let has_begun = self.again.account_now().is_some();
        if self.open.is_some() && ts >= self.span.1 {
            return false;
        }
        if !has_begun {
            self.again.begin(&entry, &mut self.outcome);
            self.drain(false);
            if self.again.account_now().is_some() {
                self.rebuild();
                if within {
                    self.begin_day();
                }
            }
            return true;
        }
        if market {
            self.days.insert(ts.day());
        }
        let is_start = matches!(to, TapeTarget::Start(_) | TapeTarget::Session);
        if within && self.open.is_none() && !is_start {
            self.begin_day();
        }
        self.note(&entry);
        let before = (self.outcome.beyond, self.outcome.ahead);
        self.again.take(entry, &mut self.outcome);
        self.follow_ahead(ts, before.1);
        if is_start {
            self.start(ts, before.0);
            if within && self.open.is_none() {
                self.begin_day();
            }
        } else {
            self.drain(true);
        }
        true
    }

    /// What the journal does not reach any more has no counterpart.
    fn follow_ahead(&mut self, ts: Ts, before: u64) {
        if let Some(open) = &mut self.open
            && self.outcome.ahead > before
        {
            open.day.cut = open.day.cut.or(Some(ts));
        }
    }

    /// Takes over the records that were read. `counts`: whether they are of the day.
    fn drain(&mut self, counts: bool) {
        for (ts, record) in self.again.passed() {
            if let Record::Started { config_hash, .. } = &record {
                self.config_hash.clone_from(config_hash);
            }
            if let (Some(venue), Record::Setup { setup }) = (&mut self.venue, &record) {
                venue.set_instruments(&setup.instruments);
            }
            match &mut self.open {
                Some(open) if counts => {
                    if let Record::Setup { setup } = &record {
                        open.flush();
                        open.day.steps.push(Step::Setup(ts, setup.clone()));
                    }
                    if self.span.0 <= ts && ts < self.span.1 {
                        open.day.recorded.push((ts, record.clone()));
                    }
                }
                _ => {}
            }
            if is_of_venue(&record) {
                if let Some(venue) = &mut self.venue {
                    venue.recover(&record, ts);
                }
                self.past.push((ts, record));
            }
        }
    }

    /// A venue as a daemon that has just started rebuilds it.
    fn rebuild(&mut self) {
        let Some(account) = self.again.account_now() else { return };
        self.venue = Some(venue_of(self.paper, account.state().setup(), self.past.iter()));
    }

    /// A daemon has started.
    fn start(&mut self, ts: Ts, beyond: u64) {
        let gone = self.outcome.beyond > beyond;
        let mut started = None;
        if let Some(open) = &mut self.open {
            open.flush();
            if let Some(cut) = open.day.cut {
                let begun = open.begun;
                let mut at = 0;
                open.day.recorded.retain(|(ts, _)| (at < begun || *ts < cut, at += 1).0);
            }
        }
        let records = self.again.passed();
        let starts = records.iter().filter(|(_, record)| matches!(record, Record::Started { .. })).count();
        for (then, record) in records {
            if let Record::Started { config_hash, .. } = &record {
                self.config_hash.clone_from(config_hash);
                started = Some(record.clone());
            }
            if let Some(open) = &mut self.open
                && (!gone || matches!(record, Record::Started { .. }))
            {
                open.day.recorded.push((then, record.clone()));
            }
            if is_of_venue(&record) {
                self.past.push((then, record));
            }
        }
        self.rebuild();
        let (Some(open), Some(account)) = (&mut self.open, self.again.account_now()) else { return };
        open.day.lives += 1;
        open.day.silent += u32::try_from(starts.saturating_sub(1)).unwrap_or(u32::MAX);
        open.begun = open.day.recorded.len();
        let cut = open.day.cut.take();
        let step = match started {
            Some(started) if !gone && cut.is_none() => Step::Start(ts, Box::new(started)),
            _ => {
                let (account, venue) = (Box::new(account.clone()), self.venue.take().map(Box::new));
                Step::Reopen { account, venue, cut }
            }
        };
        open.day.steps.push(step);
    }

    /// The first instant of the day, or the first start in it.
    fn begin_day(&mut self) {
        let (Some(account), Some(mut venue)) = (self.again.account_now().cloned(), self.venue.take()) else { return };
        let (mut steps, seq) = (Vec::new(), account.state().seq());
        // What was on its way to the venue at that moment: whether it came there the record says.
        for order in account.state().orders().map(|state| state.order.id) {
            let accepted = self.again.ahead().iter().find_map(|(ts, record)| match record {
                Record::Accepted { order: id } if *id == order => Some(*ts),
                _ => None,
            });
            if let (VenueAnswer::Unknown, Some(ts)) = (venue.query(order), accepted) {
                venue.recover(&Record::Accepted { order }, ts);
                steps.push(Step::Control(self.span.0, seq, Box::new(Event::Report(Report::Accepted { order }))));
            }
        }
        let mut day = Day {
            venue: Some(venue),
            past: self.past.clone(),
            engines: Vec::new(),
            coming: BTreeMap::new(),
            steps,
            forecasts: Forecasts::default(),
            recorded: Vec::new(),
            equity: account.equity(),
            cut: None,
            lives: 1,
            silent: 0,
            lost: 0,
            beyond: 0,
            unlike: 0,
            config_hash: String::new(),
            account,
        };
        for ix in (0..day.account.state().books().len()).filter_map(Ix::from_usize) {
            match self.again.seats().seen(ix) {
                (Some(core), _) => day.engines.push((ix, core.clone())),
                (None, past) if past.is_empty() => {}
                (None, past) => {
                    if let Some(strategy) = self.strategy(ix, None) {
                        let coming = Coming { life: 1, past, first: None, policy: None, strategy };
                        day.coming.entry(ix).or_default().push_back(coming);
                    }
                }
            }
        }
        self.outcome = ReplayOutcome::default();
        self.open = Some(Open {
            day,
            quotes: (self.span.0, Vec::new()),
            bars: Vec::new(),
            context: Context::default(),
            forecasts: BTreeMap::new(),
            seq,
            gathered: seq,
            begun: 0,
        });
    }

    fn strategy(&self, ix: Ix, hash: Option<u64>) -> Option<StrategyPolicy> {
        let symbol = self.again.account_now()?.state().book(ix)?.symbol();
        Some(self.again.strategy(symbol, hash).clone())
    }

    /// What an input means for the day.
    fn note(&mut self, entry: &TapeEntry) {
        let TapeEntry { ts, to, event, .. } = entry;
        if let (None, TapeTarget::Account, Some(venue)) = (&self.open, to, &mut self.venue) {
            venue.observe(event);
        }
        if let (TapeTarget::Cold(ix), Event::Bar { bar, context, .. }) = (to, event)
            && let Some(strategy) = self.strategy(*ix, None)
            && let Some(open) = &mut self.open
        {
            let coming =
                Coming { life: open.day.lives, past: vec![(*bar, *context)], first: None, policy: None, strategy };
            open.day.coming.entry(*ix).or_default().push_back(coming);
        }
        // The strategy that is in force when it is first asked: that of a reload stands on record by then. One that decides
        // nothing all day has no other witness.
        if let (TapeTarget::Engine(ix), Event::Bar { .. }) = (to, event)
            && self.open.as_mut().and_then(|open| open.latest(*ix)).is_some_and(|coming| coming.first.is_none())
            && let Some(strategy) = self.strategy(*ix, None)
            && let Some(coming) = self.open.as_mut().and_then(|open| open.latest(*ix))
        {
            coming.strategy = strategy;
        }
        if let (TapeTarget::Account, Event::Decision(decision)) = (to, event) {
            let strategy = self.strategy(decision.instrument, Some(decision.policy));
            if let Some(open) = &mut self.open
                && let Some(coming) = open.latest(decision.instrument)
                && coming.first.is_some()
                && coming.policy.is_none()
            {
                coming.policy = Some(decision.policy);
                if let Some(strategy) = strategy {
                    coming.strategy = strategy;
                }
            }
        }
        let seq = self.again.number();
        if let Some(open) = &mut self.open {
            open.seq = seq;
            open.note(*ts, *to, event);
        }
    }

    fn finish(mut self, dir: &Path) -> Result<Day, AppError> {
        let dir = dir.to_owned();
        if self.again.account_now().is_none() {
            return Err(AppError::NothingToRepeat { dir });
        }
        let equity = self.again.account_now().map_or(0.0, Account::equity);
        let (from, to) = self.span;
        let is_here = |open: &Open| open.day.steps.iter().any(|step| matches!(step, Step::Market(..)));
        if let Some(open) = &mut self.open {
            open.flush();
        }
        let Some(mut open) = self.open.filter(is_here) else {
            return Err(AppError::NoSuchDay { dir, day: day_name(from), days: days(&self.days) });
        };
        let left = self.again.ahead().iter().filter(|(ts, _)| from <= *ts && *ts < to);
        // A daemon that runs has written more to its journal than to its tape; one that was killed, too.
        let left = left.filter(|(_, record)| !record.is_note()).count() as u64;
        let books = open.day.account.state().books().len();
        let count = books.max(open.forecasts.keys().last().map_or(0, |ix| ix.at() + 1));
        open.day.forecasts.symbols = vec![Vec::new(); count];
        for (ix, list) in open.forecasts {
            if let Some(place) = open.day.forecasts.symbols.get_mut(ix.at()) {
                *place = list.into_iter().collect();
            }
        }
        if let Some(cut) = open.day.cut {
            let (begun, mut at) = (open.begun, 0);
            open.day.recorded.retain(|(ts, _)| (at < begun || *ts < cut, at += 1).0);
        }
        Ok(Day {
            equity,
            lost: self.lost,
            beyond: self.outcome.beyond + left,
            unlike: self.outcome.different,
            config_hash: self.config_hash,
            ..open.day
        })
    }
}

/// Whether a venue is rebuilt from it.
pub(super) const fn is_of_venue(record: &Record) -> bool {
    matches!(
        record,
        Record::Started { .. }
            | Record::Intent { .. }
            | Record::Accepted { .. }
            | Record::Fill { .. }
            | Record::Foreign { .. }
            | Record::Funding { .. }
            | Record::Transfer { .. }
            | Record::Done { .. }
    )
}

/// A venue that is rebuilt from a record.
pub(super) fn venue_of<'r>(
    paper: PaperSetup,
    setup: &AccountSetup,
    records: impl Iterator<Item = &'r (Ts, Record)>,
) -> PaperVenue {
    let mut venue = PaperVenue::new(paper, &PaperAccount::from(setup), &setup.instruments);
    records.for_each(|(ts, record)| venue.recover(record, *ts));
    venue
}

/// Nobody asked for anything yet.
pub(super) fn nothing<T>() -> Actions<T> {
    Actions::new()
}
