//! The market: pulls a feed and gives its events to the house at the run's pace.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use actix::prelude::*;
use levibot_core::domain::{Feed, Ts};
use levibot_core::driver::Input;

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

/// The actor around a feed.
pub struct Market {
    feed: Box<dyn Feed>,
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
    /// A market over `feed`.
    pub fn new(feed: Box<dyn Feed>, speed: Speed, house: HouseLink) -> Self {
        Self { feed, speed, outgoing: Outgoing::new(house), anchor: None }
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
}

impl Actor for Market {
    type Context = Context<Self>;
}

impl Handler<Pull> for Market {
    type Result = ();

    fn handle(&mut self, _: Pull, ctx: &mut Self::Context) {
        let feed = &mut self.feed;
        match catch_unwind(AssertUnwindSafe(|| feed.next_event())) {
            Ok(None) => self.send(Tell::Input(Input::MarketEnded), ctx),
            Ok(Some(event)) => {
                let wait = self.wait(event.ts());
                let tell = Tell::Input(Input::Market(event));
                if wait.is_zero() {
                    self.send(tell, ctx);
                } else {
                    ctx.run_later(wait, |market, ctx| market.send(tell, ctx));
                }
            }
            Err(panic) => self.send(Tell::Fatal(format!("the market source panicked: {}", words(&*panic))), ctx),
        }
    }
}
