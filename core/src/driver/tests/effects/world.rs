//! What outlives a daemon: a disk, a venue, a latch file, people, and whoever kills it.

use std::collections::VecDeque;

use super::exchange::Exchange;
use super::plan::{Plan, under};
use crate::domain::hash::unit_draw;
use crate::domain::*;

/// On which side of an effect the daemon is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Before,
    After,
}

/// The daemon is dead.
#[derive(Debug)]
pub(super) struct Killed;

pub(super) type Live<T = ()> = Result<T, Killed>;

/// See the module.
pub(super) struct World {
    pub(super) plan: Plan,
    /// Durable bytes of the journal.
    pub(super) disk: Vec<u8>,
    /// Bytes that were written and are not durable.
    pub(super) written: Vec<u8>,
    pub(super) exchange: Exchange,
    /// Whether the venue lives in the daemon and dies with it.
    pub(super) is_paper: bool,
    /// How much of the market has happened.
    pub(super) given: usize,
    pub(super) latch: Option<(HaltLevel, Reason)>,
    /// Controls whose carrying out is durable: nobody asks again.
    pub(super) obeyed: Vec<bool>,
    /// Effects so far, over all lives.
    pub(super) effects: usize,
    pub(super) kills: VecDeque<(usize, Edge)>,
    pub(super) lives: usize,
    /// What happened, where somebody wants to know.
    pub(super) history: Option<Vec<String>>,
}

impl World {
    pub(super) fn new(plan: Plan, is_paper: bool, kills: &[(usize, Edge)]) -> Self {
        Self {
            exchange: Exchange::new(&plan),
            disk: Vec::new(),
            written: Vec::new(),
            is_paper,
            given: 0,
            latch: None,
            obeyed: vec![false; plan.controls.len()],
            effects: 0,
            kills: kills.iter().copied().collect(),
            lives: 0,
            history: None,
            plan,
        }
    }

    /// An effect is going to happen.
    pub(super) fn before(&mut self, what: impl FnOnce() -> String) -> Live {
        self.effects += 1;
        let (at, given) = (self.effects, self.given);
        self.note(|| format!("{at:>4} [{given:>2}] {}", what()));
        self.die_at(Edge::Before)
    }

    /// It has happened.
    pub(super) fn after(&mut self) -> Live {
        self.die_at(Edge::After)
    }

    fn die_at(&mut self, edge: Edge) -> Live {
        match self.kills.front() {
            // One that was to come on the other side of an effect that is gone comes now.
            Some((at, on)) if *at < self.effects || (*at == self.effects && *on == edge) => {
                self.kills.pop_front();
                self.note(|| format!("     killed {edge:?}"));
                Err(Killed)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(history) = &mut self.history {
            history.push(what());
        }
    }

    /// A number under `count`, by the effects so far.
    fn draw(&self, salt: u64, count: usize) -> usize {
        let key = self.plan.chance.unwrap_or(1) ^ salt;
        under(count, unit_draw(key, self.effects as u64))
    }

    /// The daemon is dead: of what was not durable any beginning may have reached the disk, and the world goes on.
    pub(super) fn go_on_alone(&mut self) {
        let kept = self.draw(0xdead, self.written.len() + 1);
        self.disk.extend_from_slice(&self.written[..kept]);
        self.written.clear();
        self.lives += 1;
        self.exchange.hang_up();
        if self.is_paper {
            return;
        }
        for _ in 0..self.plan.away {
            self.move_market();
        }
        self.exchange.hang_up();
    }

    /// The next piece of the market happens, if there is one.
    pub(super) fn move_market(&mut self) -> Option<MarketEvent> {
        let event = self.plan.market.get(self.given)?.clone();
        self.given += 1;
        if !self.is_paper {
            self.exchange.market(&event, &self.plan, self.given);
        }
        Some(event)
    }

    /// What a failure is explained with.
    pub(super) fn told(&self) -> String {
        let history = self.history.as_deref().unwrap_or_default();
        history[history.len().saturating_sub(400)..].join("\n")
    }
}
