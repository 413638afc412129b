//! The parts that features and rules are made of. Each takes one value or bar at a time in constant time, allocates at
//! construction at most, and is serialisable, so that a state that was stored goes on as if it had never stopped.

mod average;
mod channel;
mod wilder;
mod window;

#[cfg(test)]
mod talib_tests;

pub use average::Ema;
pub use channel::{Channel, SlidingMax};
pub use wilder::{Adx, Atr, Directional, Rsi};
pub use window::{Lags, Window};
