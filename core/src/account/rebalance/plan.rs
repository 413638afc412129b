//! What a rebalancing would do: a pure function of the account, which faces show as a dry run.

use std::borrow::Cow;

use super::super::book::Book;
use super::super::core::Account;
use super::super::live::Live;
use crate::domain::instrument::Rounding;
use crate::domain::{Direction, HaltLevel, Ix, Qty, Span, Symbol};
use crate::record::RebalanceRow;

/// Make it smaller.
pub(super) const REDUCE: &str = "reduce";
/// Make it larger.
pub(super) const ADD: &str = "add";
/// It is where it should be.
const KEEP: &str = "keep";
/// Its strategy has stated its size, and it is under its cap.
const STATED: &str = "stated";
/// Nothing is known of how much it moves: it is not weighed.
const NO_VOLATILITY: &str = "no_volatility";
/// No price has come since the start.
const NO_PRICE: &str = "no_price";
/// An order of it is on its way, or it is to be closed.
const BUSY: &str = "busy";
/// The trade is under `min_trade_usd`, under the venue's smallest order, or leaves less than that.
const TOO_SMALL: &str = "too_small";
/// The trade costs more than it is worth.
const TOO_DEAR: &str = "too_dear";

/// One position with what is wanted of it.
pub(super) struct Wanted {
    pub(super) ix: Ix,
    pub(super) direction: Direction,
    /// What is traded of it; only where it is reduced.
    pub(super) qty: Qty,
    pub(super) row: RebalanceRow,
}

/// A position on the scales.
struct Weighed<'a> {
    ix: Ix,
    book: &'a Book,
    direction: Direction,
    mark: f64,
    notional: f64,
    volatility: Option<f64>,
    /// The most that it may be worth.
    cap: f64,
    /// Whether its price is one of today.
    is_heard: bool,
}

impl Weighed<'_> {
    /// What its usual move is worth.
    fn risk(&self) -> f64 {
        self.notional * self.volatility.unwrap_or(0.0)
    }

    /// What it should be worth where each carries `level`. A size that is stated stays, up to its cap.
    fn target(&self, level: f64) -> f64 {
        if self.book.is_size_stated {
            return self.cap.min(self.notional);
        }
        self.volatility.map_or(self.notional, |v| self.cap.min(level / v))
    }
}

/// The highest level to which all can be filled, each up to its own `cap`, without `weight * filled` in all exceeding
/// `goal`. Halving finds it to the last bit that matters, in a fixed number of steps.
fn level(goal: f64, all: &[(f64, f64)]) -> f64 {
    let total = |level: f64| all.iter().map(|(cap, weight)| weight * cap.min(level)).sum::<f64>();
    let (mut low, mut high) = (0.0, all.iter().map(|(cap, _)| *cap).fold(0.0, f64::max));
    if total(high) <= goal {
        return high;
    }
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if total(middle) <= goal {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

impl Account {
    /// What a rebalancing would find and do now.
    pub(in super::super) fn rebalance_rows(&self) -> Vec<RebalanceRow> {
        self.plan().into_iter().map(|wanted| wanted.row).collect()
    }

    /// Weighs every position by notional times volatility. Each should carry the same part of the risk that is there now,
    /// up to its cap; what a cap keeps away goes to the others, as far as capital reaches. A position that ought to be
    /// traded and is not, because that is not worth it or cannot be, counts as it stands and the others share the rest:
    /// so the risk that is there stays the same, and a second run finds nothing to do.
    pub(super) fn plan(&self) -> Vec<Wanted> {
        let weighed = self.weigh();
        let total: f64 = weighed.iter().map(Weighed::risk).sum();
        let mut blocked = vec![None; weighed.len()];
        loop {
            let level = self.level_of(&weighed, &blocked);
            let mut again = false;
            for (one, blocked) in weighed.iter().zip(&mut blocked).filter(|(_, blocked)| blocked.is_none()) {
                let (action, _) = self.judge(one, one.target(level));
                if !matches!(action, REDUCE | ADD | KEEP) {
                    (*blocked, again) = (Some((action, one.target(level))), true);
                }
            }
            if !again {
                let all = weighed.iter().zip(&blocked);
                return all.map(|(one, blocked)| self.wanted(one, *blocked, level, total)).collect();
            }
        }
    }

    /// The risk that each carries which is neither blocked nor held back by a cap, when all of them together carry what
    /// they carry now and can be paid.
    fn level_of(&self, weighed: &[Weighed<'_>], blocked: &[Option<(&str, f64)>]) -> f64 {
        let known = || {
            let sized = weighed.iter().zip(blocked).filter(|(one, _)| !one.book.is_size_stated);
            let free = sized.filter(|(_, blocked)| blocked.is_none());
            free.filter_map(|(one, _)| Some((one, one.volatility?)))
        };
        let by_risk: Vec<(f64, f64)> = known().map(|(one, v)| (one.cap * v, 1.0)).collect();
        let by_notional: Vec<(f64, f64)> = known().map(|(one, v)| (one.cap * v, 1.0 / v)).collect();
        let risk: f64 = known().map(|(one, _)| one.risk()).sum();
        let held: f64 = known().map(|(one, _)| one.notional).sum();
        let free = self.available(0.0).max(0.0) / (1.0 + 2.0 * self.state.setup.cost_per_side);
        level(risk, &by_risk).min(level(held + free, &by_notional))
    }

    /// The open positions. Volatility is measured where that is known of all of them; else each has that of its entry,
    /// because the two measures cannot be compared with each other.
    fn weigh(&self) -> Vec<Weighed<'_>> {
        let measured = self.positions().all(|(ix, ..)| self.measured_volatility(ix).is_some());
        let mut all = Vec::new();
        for (ix, book, live, direction) in self.positions() {
            let (mark, notional) = (live.mark, (live.net * live.mark).abs());
            let volatility = if measured { self.measured_volatility(ix) } else { book.volatility };
            let volatility = volatility.filter(|v| *v > 0.0 && notional > 0.0);
            let limit = self.position_cap(book.symbol());
            let cap = if self.may_add(ix) { limit } else { limit.min(notional) };
            let is_heard = self.is_priced(live);
            all.push(Weighed { ix, book, direction, mark, notional, volatility, cap, is_heard });
        }
        all
    }

    fn positions(&self) -> impl Iterator<Item = (Ix, &Book, &Live, Direction)> {
        let books = self.state.books.iter().zip(&self.live).enumerate();
        books.filter_map(|(at, (book, live))| Some((Ix::from_usize(at)?, book, live, book.direction()?)))
    }

    /// The most that a position may be worth.
    pub(super) fn position_cap(&self, symbol: Symbol) -> f64 {
        let limits = self.state.setup.risk.limits(symbol);
        (self.equity() * limits.symbol_fraction).min(limits.max_position_usd).max(0.0)
    }

    /// Whether a symbol's price is fresh enough to trade on.
    fn is_priced(&self, live: &Live) -> bool {
        let age = self.state.ts - live.priced_at;
        live.is_heard() && age <= self.state.setup.risk.data_age_max(self.state.timeframe)
    }

    /// Whether a position may be enlarged: entries are allowed, its price is known, nothing else is under way, a bracket
    /// guards it, and its size is the account's to choose.
    pub(super) fn may_add(&self, ix: Ix) -> bool {
        self.fault.is_none()
            && self.halt_level() < HaltLevel::EntryHalt
            && self.venue_refusal(ix).is_none()
            && self.live.get(ix.at()).is_some_and(|live| self.is_priced(live))
            && self.state.book(ix).is_some_and(|b| {
                let paused = self.state.protections.holds_up(b.symbol(), self.state.ts);
                let stays = b.failed().is_none() && b.wanted().is_none();
                !paused && stays && !b.is_size_stated && b.frozen.is_empty() && b.live.is_empty() && b.bracket.is_some()
            })
    }

    fn wanted(&self, one: &Weighed<'_>, blocked: Option<(&'static str, f64)>, level: f64, total: f64) -> Wanted {
        let ((action, target), qty) = blocked.map_or_else(
            || {
                let target = one.target(level);
                let (action, qty) = self.judge(one, target);
                ((action, target), qty)
            },
            |blocked| (blocked, Qty::ZERO),
        );
        let share = if total > 0.0 { one.risk() / total } else { 0.0 };
        let row = RebalanceRow {
            symbol: one.book.symbol(),
            notional: one.notional,
            volatility: one.volatility.unwrap_or(0.0),
            share,
            target,
            cost: self.cost_of(target - one.notional),
            action: Cow::Borrowed(action),
        };
        Wanted { ix: one.ix, direction: one.direction, qty, row }
    }

    /// What a trade of this size costs, both sides of it.
    fn cost_of(&self, gap: f64) -> f64 {
        2.0 * self.state.setup.cost_per_side * gap.abs()
    }

    /// What is done, and how much of it. A trade must cost less than the usual move, over the week until the next
    /// rebalancing, of what it moves: that is what leaving it in the wrong place is usually worth.
    fn judge(&self, one: &Weighed<'_>, target: f64) -> (&'static str, Qty) {
        let (keys, is_stated) = (self.state.setup.risk.rebalance(), one.book.is_size_stated);
        let gap = target - one.notional;
        if is_stated && gap >= 0.0 {
            return (STATED, Qty::ZERO);
        }
        // Over its cap a stated size is cut whatever it moves and costs: of such an entry no volatility was asked.
        let volatility = if is_stated { Some(f64::INFINITY) } else { one.volatility };
        let Some(volatility) = volatility else { return (NO_VOLATILITY, Qty::ZERO) };
        if gap.abs() <= target * keys.band_pct / 100.0 {
            return (KEEP, Qty::ZERO);
        }
        if !one.is_heard {
            return (NO_PRICE, Qty::ZERO);
        }
        if !one.book.live.is_empty() || one.book.failed().is_some() || one.book.wanted().is_some() {
            return (BUSY, Qty::ZERO);
        }
        let week = Span::DAY.times(super::WEEK_DAYS).secs_f64() / f64::from(self.state.timeframe.secs());
        if self.cost_of(gap) >= gap.abs() * volatility * week.sqrt() {
            return (TOO_DEAR, Qty::ZERO);
        }
        let instrument = one.book.instrument();
        let qty = instrument.qty_floor(gap.abs() / one.mark).unwrap_or(Qty::ZERO);
        let Ok(mark) = instrument.price(one.mark, Rounding::Nearest) else { return (TOO_SMALL, Qty::ZERO) };
        let is_large = qty.to_f64() * one.mark >= keys.min_trade_usd && instrument.is_tradable(qty, mark);
        if gap > 0.0 {
            return if is_large { (ADD, Qty::ZERO) } else { (TOO_SMALL, Qty::ZERO) };
        }
        if is_large && instrument.is_tradable(one.book.size().less(qty), mark) {
            return (REDUCE, qty);
        }
        (TOO_SMALL, Qty::ZERO)
    }
}
