//! Everything a core can be told. One type for all of them, because the tape is a list of these.

use serde::{Deserialize, Serialize};

use super::{Bar, Context, Decision, Forecast, Ix, PositionView, Quote, Report, Ts};

/// Version of [`Event`] on the tape. Raised by any change that an older reader would misread.
pub const EVENT_VERSION: u16 = 5;

/// How much the account still allows. Ordered: a higher level forbids all that a lower one forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltLevel {
    /// Nothing is halted.
    #[default]
    None,
    /// Our entries are cancelled, new ones refused.
    EntryHalt,
    /// Increases are refused too; stops and exits live.
    ReduceOnly,
    /// Everything is closed.
    Flatten,
}

impl std::fmt::Display for HaltLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::EntryHalt => "entry-halt",
            Self::ReduceOnly => "reduce-only",
            Self::Flatten => "flatten",
        })
    }
}

impl std::fmt::Display for FreezeCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Engine => "engine",
            Self::Person => "person",
            Self::Store => "store",
            Self::Configuration => "configuration",
            Self::Model => "model",
            Self::Venue => "venue",
        })
    }
}

/// On whose account the entries of a symbol are frozen. Each cause comes and goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreezeCause {
    /// The engine is away or quarantined.
    Engine,
    /// A person has paused or stopped it.
    Person,
    /// The SQL tables are too far behind.
    Store,
    /// The symbol is no longer configured.
    Configuration,
    /// The model that its strategy asks is away.
    Model,
    /// Ledger and venue disagree about it.
    Venue,
}

/// Why ledger and venue are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReconcileCause {
    /// The daemon starts.
    Start,
    /// The connection to the venue was made again.
    Reconnect,
    /// It is time.
    Periodic,
    /// The daemon's own time had a gap: it was suspended or starved.
    Gap,
}

impl std::fmt::Display for ReconcileCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Start => "start",
            Self::Reconnect => "reconnect",
            Self::Periodic => "periodic",
            Self::Gap => "gap",
        })
    }
}

/// Why a halt stands or fell, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Who: a user of the control socket, `risk` or `supervisor`.
    pub by: String,
    /// What for.
    pub text: String,
}

/// An input of a core.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A closed bar with the context of its frame.
    Bar {
        /// Whose.
        instrument: Ix,
        /// The bar.
        bar: Bar,
        /// The view across symbols at its close.
        context: Context,
    },
    /// All bars of this instant have been given.
    FrameEnd,
    /// Best bid and ask.
    Quote {
        /// Whose.
        instrument: Ix,
        /// The quote.
        quote: Quote,
    },
    /// What the model says of a bar that an engine asked about.
    Forecast {
        /// Whose.
        instrument: Ix,
        /// Close of the bar.
        bar: Ts,
        /// The forecast; `None` when the model is away, too late, or refused the question.
        forecast: Option<Forecast>,
    },
    /// An engine's answer to a bar.
    Decision(Decision),
    /// A venue's report.
    Report(Report),
    /// The account's truth, told to an engine.
    Position(PositionView),
    /// Entries of one symbol are frozen for a cause, or that cause is gone. They are allowed when no cause is left.
    Freeze {
        /// Whose.
        instrument: Ix,
        /// On whose account.
        cause: FreezeCause,
        /// Why; `None` when the cause is gone.
        reason: Option<String>,
    },
    /// Raise the halt level. A lower level than the one in force changes nothing.
    Halt {
        /// To what.
        level: HaltLevel,
        /// By whom and why.
        reason: Reason,
    },
    /// Lift every halt and take today's equity from now on as the day's start.
    Resume {
        /// By whom and why.
        reason: Reason,
    },
    /// Compare ledger and venue.
    Reconcile {
        /// Why.
        cause: ReconcileCause,
    },
    /// Cancel the entries of one symbol and close its position.
    Close {
        /// Whose.
        instrument: Ix,
        /// By whom and why.
        reason: Reason,
    },
    /// Reckon with a loss that is not there, until the next resume: a drill of the day's stop. Paper accounts only.
    Drill {
        /// The loss, a fraction of the day's starting equity, over zero.
        loss: f64,
        /// By whom and why.
        reason: Reason,
    },
    /// Rebalance the open positions now, whatever the calendar says.
    Rebalance {
        /// By whom and why.
        reason: Reason,
    },
}
