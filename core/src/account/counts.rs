//! How many positions, in all and of those that move together; and what becomes of entries on their way when limits are
//! lowered.

use super::checks::{Checks, Refusal};
use super::core::Account;
use super::{Action, Alert, RiskPolicy};
use crate::alerts::Topic;
use crate::domain::{Actions, Direction, Ix, Leg, Side, Symbol};

/// A position that is held or on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exposure {
    ix: Ix,
    symbol: Symbol,
    direction: Direction,
}

impl Account {
    /// Positions held or on their way in other symbols.
    pub(super) fn exposures(&self, but: Ix) -> Vec<Exposure> {
        let books = self.state.books.iter().enumerate().filter(|(at, _)| *at != but.at());
        let exposure = |(at, book): (usize, &super::book::Book)| {
            let pending = || {
                let mut entries = book.live().iter().filter_map(|id| self.state.orders.get(id));
                entries.find(|o| o.order.leg == Leg::Entry).map(|o| direction_of(o.order.side))
            };
            let direction = book.direction().or_else(pending)?;
            Some(Exposure { ix: Ix::from_usize(at)?, symbol: book.symbol(), direction })
        };
        books.filter_map(exposure).collect()
    }

    /// Whether one more position of `direction` fits beside `others`.
    pub(super) fn check_counts(
        &self,
        ix: Ix,
        direction: Direction,
        others: &[Exposure],
        checks: &mut Checks,
    ) -> Result<(), Refusal> {
        let risk = &self.state.setup.risk;
        // One that is about to turn over stands there with both its directions.
        let first = |(at, other): &(usize, &Exposure)| others.iter().take(*at).all(|o| o.symbol != other.symbol);
        let (count, most) = (others.iter().enumerate().filter(first).count(), risk.positions_max());
        checks.under("max_concurrent_positions", count as f64, f64::from(most), || {
            format!("{count} positions are open or on their way, {most} are allowed")
        })?;
        let Some(symbol) = self.state.book(ix).map(super::book::Book::symbol) else { return Ok(()) };
        let (group, same) = fullest_group(risk, symbol, direction, others);
        let most = risk.correlated_max();
        checks.under("max_correlated_positions", same as f64, f64::from(most), || {
            format!("group {group} holds {same} positions of this direction, {most} are allowed")
        })?;
        let together = others.iter().filter(|other| self.moves_with(ix, direction, other)).count();
        checks.under("measured_correlation", together as f64, f64::from(most), || {
            format!("{together} positions are measured to move with this one, {most} are allowed")
        })
    }

    /// Whether two positions gain and lose together by measure: same directions of symbols that move together, or
    /// opposite ones of symbols that move against each other.
    fn moves_with(&self, ix: Ix, direction: Direction, other: &Exposure) -> bool {
        let Some(threshold) = self.state.setup.risk.correlation().map(|keys| keys.threshold) else { return false };
        let sign = direction.sign() * other.direction.sign();
        self.measured_correlation(ix, other.ix).is_some_and(|measured| sign * measured >= threshold)
    }

    /// Cancels entries on their way that the limits in force would not allow, the youngest first. What is held stays: a
    /// limit that is lowered sells nothing. `cost_per_side` is the one that the entries were reserved with.
    pub(super) fn cancel_what_does_not_fit(&self, cost_per_side: f64, out: &mut Actions<Action>) {
        let mut entries: Vec<_> = self.state.orders.values().filter(|o| o.order.leg == Leg::Entry).collect();
        entries.sort_by_key(|o| (o.order.created, o.order.id));
        let pending = |symbol: Symbol| entries.iter().any(|o| o.order.symbol == symbol);
        let mut kept = self.exposures(Ix(u16::MAX));
        kept.retain(|held| !pending(held.symbol) || self.state.book(held.ix).is_some_and(|book| !book.is_flat()));
        let mut cancelled: Vec<&str> = Vec::new();
        for entry in &entries {
            let (symbol, direction) = (entry.order.symbol, direction_of(entry.order.side));
            let Some(ix) = self.ix(symbol) else { continue };
            let others: Vec<Exposure> = kept.iter().filter(|other| other.symbol != symbol).copied().collect();
            let notional = entry.reserved.to_f64() / (1.0 + 2.0 * cost_per_side);
            let is_small = notional <= self.largest_entry(symbol) * (1.0 + 1e-9);
            if is_small && self.check_counts(ix, direction, &others, &mut Checks::new(false)).is_ok() {
                // What it turns over is there until its exit is filled, and stays if the entry was cancelled before.
                kept.push(Exposure { ix, symbol, direction });
            } else {
                out.push(Action::Cancel(entry.order.id));
                cancelled.push(entry.order.symbol.as_str());
            }
        }
        if !cancelled.is_empty() {
            let text = format!("changed limits cancel entries on their way: {}", cancelled.join(", "));
            out.push(Action::Alert(Alert::warning(Topic::Configuration, None, text)));
        }
    }

    /// The largest entry of a symbol that the limits allow at this equity, whatever its sizing.
    pub(super) fn largest_entry(&self, symbol: Symbol) -> f64 {
        let limits = self.state.setup.risk.limits(symbol);
        (self.equity() * limits.symbol_fraction).min(limits.max_position_usd).min(limits.max_order_usd)
    }
}

/// The correlation group of `symbol` that holds most positions of `direction`, and how many.
fn fullest_group<'a>(
    risk: &'a RiskPolicy,
    symbol: Symbol,
    direction: Direction,
    others: &[Exposure],
) -> (&'a str, usize) {
    let mine = risk.groups().iter().filter(|(_, symbols)| symbols.contains(&symbol));
    let same = |symbols: &[Symbol]| {
        others.iter().filter(|other| other.direction == direction && symbols.contains(&other.symbol)).count()
    };
    mine.map(|(group, symbols)| (group.as_str(), same(symbols))).max_by_key(|(_, same)| *same).unwrap_or(("none", 0))
}

const fn direction_of(entry: Side) -> Direction {
    match entry {
        Side::Buy => Direction::Long,
        Side::Sell => Direction::Short,
    }
}
