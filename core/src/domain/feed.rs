//! Where market data comes from, as the rest of the house sees it.

use std::fmt::Debug;

use super::{Frame, Ix, Quote, Ts};

/// One piece of market data, in trading-time order.
#[derive(Debug, Clone, PartialEq)]
pub enum MarketEvent {
    /// New quotes of one instant, in instrument order.
    Quotes {
        /// The instant.
        ts: Ts,
        /// Best bid and ask by instrument.
        quotes: Vec<(Ix, Quote)>,
    },
    /// All bars that close at one instant.
    Frame(Frame),
}

impl MarketEvent {
    /// When it may first be known.
    pub const fn ts(&self) -> Ts {
        match self {
            Self::Quotes { ts, .. } => *ts,
            Self::Frame(frame) => frame.ts,
        }
    }
}

/// A source of market data that is pulled. The same source with the same settings gives the same events.
pub trait Feed: Debug + Send {
    /// The frames that closed at or before the start, oldest first, at most `frames_max`: what engines warm up on.
    fn history(&mut self, frames_max: usize) -> Vec<Frame>;

    /// The next event after the start, or `None` when the source has ended.
    fn next_event(&mut self) -> Option<MarketEvent>;
}
