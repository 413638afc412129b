//! The market: pulls a feed and gives its events to the house at the run's pace.

#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use actix::prelude::*;
use levibot_core::account::AccountSetup;
use levibot_core::domain::{Feed, MarketEvent, Ts};
use levibot_core::driver::{Input, WARM_UP_BARS};

use crate::engine_host::thread::words;
use crate::house_link::{HouseLink, Outgoing};
use crate::risk_manager::Tell;

/// How long to wait before a full mailbox is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// The house is ready for the next event. One event answers one pull: the feed can never flood the house.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Pull;

/// How fast events come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as they are pulled.
    Unbounded,
    /// This many trading seconds a second, over zero.
    Times(f64),
}

/// More symbols from now on: another feed goes on where this one stands, and the house is told between two events.
/// Answered when that is on its way, or with why it cannot be; then everything is as it was.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), String>")]
pub struct Grow {
    /// Gives the old symbols the same events as the feed in use, and the new ones theirs. It stands somewhere before the
    /// last event that was given.
    pub feed: Box<dyn Feed>,
    /// What the account is told.
    pub setup: Box<AccountSetup>,
}

/// A place in the order of events: quotes of an instant come before its frame.
type Place = (Ts, bool);

const fn place(event: &MarketEvent) -> Place {
    (event.ts(), matches!(event, MarketEvent::Frame(_)))
}

/// The actor around a feed.
pub struct Market {
    feed: Box<dyn Feed>,
    /// The next event, where the feed has been asked for it already.
    ahead: Option<MarketEvent>,
    /// The event that was pulled and may not be known yet.
    held: Option<(MarketEvent, SpawnHandle)>,
    /// Where the last event stood that was given.
    last: Place,
    ended: bool,
    speed: Speed,
    outgoing: Outgoing,
    /// Where real and trading time were together last.
    anchor: Option<(Instant, Ts)>,
}

impl fmt::Debug for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Market").field("speed", &self.speed).field("anchor", &self.anchor).finish_non_exhaustive()
    }
}

impl Market {
    /// A market over `feed`, whose first event lies after `start`.
    pub fn new(feed: Box<dyn Feed>, start: Ts, speed: Speed, house: HouseLink) -> Self {
        let outgoing = Outgoing::new(house);
        Self { feed, ahead: None, held: None, last: (start, true), ended: false, speed, outgoing, anchor: None }
    }

    /// How long to wait before an event of trading time `ts` may be known.
    fn wait(&mut self, ts: Ts) -> Duration {
        let Speed::Times(speed) = self.speed else { return Duration::ZERO };
        let (then, base) = *self.anchor.get_or_insert((Instant::now(), ts));
        let due = Duration::try_from_secs_f64((ts - base).secs_f64() / speed).unwrap_or(Duration::ZERO);
        due.saturating_sub(then.elapsed())
    }

    fn send(&mut self, tell: Tell, ctx: &mut Context<Self>) {
        if !self.outgoing.send(tell) {
            ctx.run_later(RETRY, Self::retry);
        }
    }

    fn retry(&mut self, ctx: &mut Context<Self>) {
        if !self.outgoing.flush() {
            ctx.run_later(RETRY, Self::retry);
        }
    }

    fn pull(&mut self, ctx: &mut Context<Self>) {
        let (ahead, feed) = (self.ahead.take(), &mut self.feed);
        match catch_unwind(AssertUnwindSafe(|| ahead.or_else(|| feed.next_event()))) {
            Ok(None) => {
                self.ended = true;
                self.send(Tell::Input(Input::MarketEnded), ctx);
            }
            Ok(Some(event)) => {
                let wait = self.wait(event.ts());
                if wait.is_zero() {
                    self.give(event, ctx);
                } else {
                    let due = ctx.run_later(wait, |market, ctx| {
                        if let Some((event, _)) = market.held.take() {
                            market.give(event, ctx);
                        }
                    });
                    self.held = Some((event, due));
                }
            }
            Err(panic) => self.send(Tell::Fatal(format!("the market source panicked: {}", words(&*panic))), ctx),
        }
    }

    fn give(&mut self, event: MarketEvent, ctx: &mut Context<Self>) {
        self.last = place(&event);
        self.send(Tell::Input(Input::Market(event)), ctx);
    }

    /// The other feed takes over. An event that was pulled and not given is pulled again, from it.
    fn grow(&mut self, Grow { mut feed, setup }: Grow, ctx: &mut Context<Self>) -> Result<(), String> {
        if self.ended {
            return Err("the market has ended".to_owned());
        }
        let last = self.last;
        let caught_up = catch_unwind(AssertUnwindSafe(move || {
            let mut history = feed.history(WARM_UP_BARS);
            let mut next = feed.next_event();
            while let Some(event) = next.take_if(|event| place(event) <= last) {
                if let MarketEvent::Frame(frame) = event {
                    history.push(frame);
                }
                next = feed.next_event();
            }
            (feed, history, next)
        }));
        let (feed, history, next) =
            caught_up.map_err(|panic| format!("the market source of all symbols panicked: {}", words(&*panic)))?;
        (self.feed, self.ahead) = (feed, next);
        self.send(Tell::Input(Input::Grow { setup, history }), ctx);
        if let Some((_, due)) = self.held.take() {
            ctx.cancel_future(due);
            self.pull(ctx);
        }
        Ok(())
    }
}

impl Actor for Market {
    type Context = Context<Self>;
}

impl Handler<Pull> for Market {
    type Result = ();

    fn handle(&mut self, _: Pull, ctx: &mut Self::Context) {
        self.pull(ctx);
    }
}

impl Handler<Grow> for Market {
    type Result = Result<(), String>;

    fn handle(&mut self, grow: Grow, ctx: &mut Self::Context) -> Self::Result {
        self.grow(grow, ctx)
    }
}
