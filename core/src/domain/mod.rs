//! Domain values. This room knows no other room of the crate.
//!
//! Market data is `f64`; everything that is money, an order or a balance is a checked decimal ([`money`]). The border
//! between the two is [`instrument::Instrument`], which converts through whole ticks and steps and refuses numbers that
//! are not finite.

pub mod actions;
pub mod bar;
pub mod decimals;
pub mod decision;
pub mod event;
pub mod feed;
pub mod forecast;
pub mod frame;
pub mod funding;
pub mod hash;
pub mod ids;
pub mod instrument;
pub mod money;
pub mod order;
pub mod position;
pub mod timeframe;
pub mod ts;
pub mod venue_state;
pub mod walk;

pub use actions::Actions;
pub use bar::{Bar, BarFault, Quote};
pub use decision::{BracketSpec, Decision, Direction, ExitReason, Intent, Size};
pub use event::{Event, FreezeCause, HaltLevel, Reason, ReconcileCause};
pub use feed::{Feed, MarketEvent};
pub use forecast::{Forecast, Member, Question, Vote};
pub use frame::{Context, Frame};
pub use funding::{Funding, FundingFault, FundingRates};
pub use ids::{Asset, InstrumentId, Ix, ModelVersion, OrderId, RunId, Symbol, Venue};
pub use instrument::Instrument;
pub use money::{Money, Price, Qty};
pub use order::{Cause, Commission, DoneReason, Fill, Leg, Order, Report, Side};
pub use position::{AccountKind, PositionView};
pub use timeframe::Timeframe;
pub use ts::{Span, Ts, as_text};
pub use venue_state::{Transfer, VenueOrder, VenueState};
pub use walk::{BarSeries, FrameWalk};
