//! What happens in a world by itself: the market, what engines make of it, what people want, and what goes wrong.

use std::collections::BTreeMap;

use crate::account::AccountSetup;
use crate::account::fixtures;
use crate::domain::hash::unit_draw;
use crate::domain::instrument::RawInstrument;
use crate::domain::*;
use crate::driver::VenueCommand;
use crate::fills::{PaperSetup, RawPaperSetup};

pub(super) const START: Ts = Ts::from_secs(1_654_041_600);
/// Quiet pieces of market at the end, in which everything comes to rest.
pub(super) const QUIET: usize = 10;

/// What becomes of a command, or of a word of the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Fine,
    /// It never arrives.
    CommandLost,
    /// It is carried out, and nobody hears of it.
    ReplyLost,
    /// What is said of it arrives twice.
    Twice,
    /// What is said of it arrives after so much more of the market.
    Late(usize),
}

/// See the module.
pub(super) struct Plan {
    pub(super) setup: AccountSetup,
    /// The rules at the venue, where they differ from what the account believes.
    pub(super) venue_rules: Vec<Instrument>,
    pub(super) paper: PaperSetup,
    pub(super) market: Vec<MarketEvent>,
    /// By the close of the bar.
    pub(super) decisions: BTreeMap<(Ts, Ix), Intent>,
    /// After so much of the market.
    pub(super) controls: Vec<(usize, Event)>,
    /// Fates of entries, by when they come and whose they are.
    pub(super) scripted: BTreeMap<(usize, Symbol), Fate>,
    /// Draws everything else that goes wrong, and in which order things are done; `None` where nothing is left to chance.
    pub(super) chance: Option<u64>,
    /// How much of the market is missed by who is killed.
    pub(super) away: usize,
}

impl Plan {
    /// Trading time after so much of the market.
    pub(super) fn now(&self, given: usize) -> Ts {
        given.checked_sub(1).map_or(START, |last| self.market[last].ts())
    }

    pub(super) fn is_quiet(&self, given: usize) -> bool {
        given + QUIET > self.market.len()
    }

    /// What becomes of command `n`.
    pub(super) fn command(&self, n: usize, command: &VenueCommand, given: usize) -> Fate {
        let scripted = match command {
            VenueCommand::Submit(order) => self.scripted.get(&(given, order.symbol)).copied(),
            _ => None,
        };
        match self.chance {
            _ if self.is_quiet(given) => Fate::Fine,
            None => scripted.unwrap_or(Fate::Fine),
            Some(seed) => drawn(seed, 1_000_000 + n as u64, [0.05, 0.1, 0.15, 0.2]),
        }
    }

    /// What becomes of word `n` that the venue says by itself.
    pub(super) fn word(&self, n: usize, given: usize) -> Fate {
        match self.chance {
            Some(seed) if !self.is_quiet(given) => drawn(seed, 2_000_000 + n as u64, [0.0, 0.08, 0.14, 0.2]),
            _ => Fate::Fine,
        }
    }
}

/// A fate by growing chances: lost, reply lost, twice, late.
fn drawn(seed: u64, n: u64, chances: [f64; 4]) -> Fate {
    let fates = [Fate::CommandLost, Fate::ReplyLost, Fate::Twice, Fate::Late(1 + (n % 3) as usize)];
    let draw = unit_draw(seed, n);
    chances.into_iter().zip(fates).find(|(chance, _)| draw < *chance).map_or(Fate::Fine, |(_, fate)| fate)
}

const RISK: &str = "
risk_policy:
  max_daily_loss_pct: 50.0
  max_symbol_risk_pct: 0.2
  max_concurrent_positions: 6
  rebalance_frequency: weekly
  max_correlated_positions: 6
  position_sizing: {method: fixed_fractional, kelly_fraction: 0.5, min_position_usd: 10, max_position_usd: 1500}
";

pub(super) const SYMBOLS: [&str; 6] = ["AAA", "BBB", "CCC", "DDD", "EEE", "FFF"];
/// The most that an order may be worth by the policy above.
pub(super) const NOTIONAL_MAX: f64 = 1_500.0;

fn paper() -> PaperSetup {
    let latency = Span::from_millis(50);
    let raw = RawPaperSetup {
        seed: 7,
        fee: 0.0005,
        spread: 0.0002,
        slippage: 0.0001,
        latency,
        participation: 0.5,
        funding: 0.0001,
    };
    raw.try_into().unwrap()
}

/// The venue takes nothing of this symbol: its least order is larger than any of ours.
fn refusing(table: &[Instrument], at: usize) -> Vec<Instrument> {
    let mut table = table.to_vec();
    let raw = RawInstrument { min_notional: "1000000".parse().unwrap(), ..RawInstrument::from(table[at].clone()) };
    table[at] = raw.try_into().unwrap();
    table
}

fn minute(at: usize) -> Ts {
    START + Span::MINUTE.times(i64::try_from(at).unwrap())
}

fn enter(direction: Direction, reference: f64, stop: f64, target: Option<f64>) -> Intent {
    let bracket = BracketSpec { stop: Some(stop), target, trailing: None, time_exit: None };
    Intent::Enter { direction, probability: None, volatility: 0.02, reference, size: Size::Account, bracket }
}

fn with(intent: Intent, change: impl Fn(&mut BracketSpec)) -> Intent {
    let mut changed = intent;
    if let Intent::Enter { bracket, .. } = &mut changed {
        change(bracket);
    }
    changed
}

fn frame(at: usize, bars: Vec<(f64, f64, f64)>) -> MarketEvent {
    let bar = |(ix, (open, close, volume)): (usize, (f64, f64, f64))| {
        let (high, low) = (open.max(close) + 0.02, open.min(close) - 0.02);
        (Ix::from_usize(ix).unwrap(), Bar { open_ts: minute(at), open, high, low, close, volume })
    };
    let bars = bars.into_iter().enumerate().map(bar).collect();
    MarketEvent::Frame(Frame { ts: minute(at + 1), bars, missing: Vec::new(), context: Context::default() })
}

fn by(text: &str) -> Reason {
    Reason { by: "a person".into(), text: text.into() }
}

/// The close of a symbol's bar in the fixed night.
fn close(ix: usize, bar: usize) -> f64 {
    match (ix, bar) {
        // Falls through its stop, and later comes back.
        (1, 5..=9) => 97.0,
        // A short one reaches its target.
        (2, 6..=9) => 96.0,
        // Rises, and falls back by more than the trailing stop follows at.
        (4, 4..=8) => 100.0 + (bar - 3) as f64,
        (4, 9) => 102.0,
        _ => 100.0,
    }
}

/// One night with everything in it that an order can meet.
pub(super) fn fixed() -> Plan {
    use Direction::{Long, Short};
    let setup = fixtures::setup(&SYMBOLS, AccountKind::Linear, RISK);
    let bars = 23 + QUIET;
    let market = (0..bars).map(|bar| {
        let one = |ix: usize| {
            let thin = matches!((ix, bar), (0, 11..=17));
            let open = if bar == 0 { 100.0 } else { close(ix, bar - 1) };
            (open, close(ix, bar), if thin { 8.0 } else { 1_000.0 })
        };
        frame(bar, (0..SYMBOLS.len()).map(one).collect())
    });
    let mut decisions = BTreeMap::new();
    let mut decide = |bar: usize, ix: u16, intent: Intent| decisions.insert((minute(bar + 1), Ix(ix)), intent);
    let long = enter(Long, 100.0, 2.0, None);
    decide(2, 0, long);
    decide(2, 1, long);
    decide(2, 2, enter(Short, 100.0, 2.0, Some(3.0)));
    decide(3, 4, with(enter(Long, 100.0, 5.0, None), |b| b.trailing = Some(2.0)));
    decide(3, 5, with(long, |b| b.time_exit = Some(Span::MINUTE.times(4))));
    decide(4, 3, long);
    decide(8, 0, Intent::Exit);
    // A part is filled, then nothing of it is wanted any more.
    decide(10, 0, long);
    decide(11, 0, Intent::Exit);
    // Nobody knows what became of these.
    decide(11, 1, long);
    decide(11, 2, long);
    decide(12, 0, Intent::Exit);
    decide(13, 1, Intent::Tighten { stop: 99.0 });
    // This one is live and partly filled, and that one on its way, when the halt comes.
    decide(14, 0, long);
    decide(15, 4, long);
    decide(18, 5, enter(Short, 100.0, 2.0, None));
    decide(19, 2, long);
    let (level, reason) = (HaltLevel::ReduceOnly, by("enough"));
    let controls = vec![
        (16, Event::Halt { level, reason }),
        (18, Event::Resume { reason: by("go on") }),
        (21, Event::Halt { level: HaltLevel::Flatten, reason: by("home") }),
    ];
    Plan {
        venue_rules: refusing(&setup.instruments, 3),
        setup,
        paper: paper(),
        market: market.collect(),
        decisions,
        controls,
        scripted: [(12, SYMBOLS[1], Fate::ReplyLost), (12, SYMBOLS[2], Fate::CommandLost)]
            .map(|(given, symbol, fate)| ((given, symbol.parse().unwrap()), fate))
            .into(),
        chance: None,
        away: 0,
    }
}

/// A number under `count`, by a draw from 0 to 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index under a small count")]
pub(super) fn under(count: usize, draw: f64) -> usize {
    (draw * count as f64) as usize
}

/// A night by chance.
pub(super) fn drawn_night(seed: u64) -> Plan {
    let setup = fixtures::setup(&SYMBOLS[..4], AccountKind::Linear, RISK);
    let draw = |n: u64| unit_draw(seed, n);
    let mut n = 0;
    let mut next = || {
        n += 1;
        draw(n)
    };
    let (mut price, mut market, mut decisions) = ([100.0_f64; 4], Vec::new(), BTreeMap::new());
    let busy = 24;
    for bar in 0..busy + QUIET {
        let mut bars = Vec::new();
        for (ix, price) in price.iter_mut().enumerate() {
            let open = *price;
            *price = open * (1.0 + 0.03 * (next() - 0.5));
            bars.push((open, *price, if next() < 0.2 { 6.0 } else { 500.0 }));
            let direction = if next() < 0.5 { Direction::Long } else { Direction::Short };
            let (stop, target) = (0.5 + 2.0 * next(), 1.0 + 3.0 * next());
            let entry = with(enter(direction, *price, stop, (target < 3.0).then_some(target)), |bracket| {
                bracket.trailing = (target > 2.0).then_some(stop);
                bracket.time_exit = (target > 3.5).then_some(Span::MINUTE.times(5));
            });
            let intent = match next() {
                x if x < 0.3 => entry,
                x if x < 0.4 => Intent::Exit,
                x if x < 0.45 => Intent::Tighten { stop: *price * 0.99 },
                _ => continue,
            };
            if bar < busy {
                decisions.insert((minute(bar + 1), Ix::from_usize(ix).unwrap()), intent);
            }
        }
        market.push(frame(bar, bars));
    }
    let mut controls = Vec::new();
    if next() < 0.5 {
        let level = if next() < 0.5 { HaltLevel::EntryHalt } else { HaltLevel::ReduceOnly };
        controls.push((6 + under(6, next()), Event::Halt { level, reason: by("enough") }));
        controls.push((13 + under(3, next()), Event::Resume { reason: by("go on") }));
    }
    controls.push((busy, Event::Halt { level: HaltLevel::Flatten, reason: by("home") }));
    Plan {
        venue_rules: if next() < 0.2 { refusing(&setup.instruments, 3) } else { setup.instruments.clone() },
        setup,
        paper: paper(),
        market,
        decisions,
        controls,
        scripted: BTreeMap::new(),
        chance: Some(seed),
        away: under(3, next()),
    }
}

/// What an engine says of a bar.
pub(super) fn decision(plan: &Plan, instrument: Ix, bar: Ts) -> Decision {
    let intent = plan.decisions.get(&(bar, instrument)).copied();
    Decision { instrument, bar, policy: 11, features: 0, forecast: None, intent }
}
