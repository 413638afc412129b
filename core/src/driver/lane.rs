//! One engine as the sequencer sees it: what it was given, what it still owes, and how to start it again.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::domain::{Bar, Context, Decision, Forecast, PositionView, Question, Timeframe, Ts};
use crate::engine::Snapshot;

/// Bars that a cold start replays: always so many before the first one that is to be answered, however late the engine
/// comes, so that it does not matter when it came. The longest memory of the features that is not for ever (200 bars)
/// fits more than twice.
pub const WARM_UP_BARS: usize = 512;
/// Bars kept for starting an engine: a warm-up, and what was missed since.
pub const RECENT_BARS_MAX: usize = 2 * WARM_UP_BARS;

/// What an engine is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum EngineInput {
    /// Begin from this state.
    Restore(Snapshot),
    /// Take these bars without deciding, oldest first.
    Prime(Vec<(Bar, Context)>),
    /// The account's truth.
    Position(PositionView),
    /// A bar that has just closed: answer it.
    Bar(Bar, Context),
    /// What the model says of the bar that closed then: decide it.
    Forecast(Ts, Option<Forecast>),
}

/// Where the question about the bar that is owed stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Asking {
    /// None was put.
    Nothing,
    /// The engine has put it.
    Put {
        question: Question,
        /// Whether it has gone to the model.
        sent: bool,
    },
    /// The model has answered.
    Answered {
        question: Question,
        forecast: Option<Forecast>,
        /// Whether that is on record and the engine was told, if it was there.
        recorded: bool,
    },
}

impl Asking {
    /// The question, whether answered or not.
    pub(super) const fn question(&self) -> Option<&Question> {
        match self {
            Self::Nothing => None,
            Self::Put { question, .. } | Self::Answered { question, .. } => Some(question),
        }
    }
}

/// Whether an engine takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneState {
    /// It should be there and is not (yet): in lockstep everybody waits for it.
    Expected,
    /// It is there.
    Up,
    /// It is stopped by a person or quarantined: nobody waits.
    Stopped,
    /// It is stopped by a halt of the account and expected again after the resume.
    Halted,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) state: LaneState,
    pub(super) generation: u64,
    snapshot: Option<(Ts, Snapshot)>,
    recent: VecDeque<(Bar, Context)>,
    /// Closes of bars that wait for an answer, oldest first.
    owed: VecDeque<Ts>,
    /// The answer of this instant, in lockstep.
    pub(super) answer: Option<Option<Decision>>,
    pub(super) asking: Asking,
    timeframe: Timeframe,
}

/// How an engine begins.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) inputs: Vec<EngineInput>,
    /// The bars to answer.
    pub(super) owed: Vec<(Bar, Context)>,
    /// Whether the engine's memory begins anew here.
    pub(super) cold: bool,
}

impl Lane {
    pub(super) fn new(timeframe: Timeframe, state: LaneState) -> Self {
        Self {
            state,
            generation: 0,
            snapshot: None,
            recent: VecDeque::new(),
            owed: VecDeque::new(),
            answer: None,
            asking: Asking::Nothing,
            timeframe,
        }
    }

    pub(super) fn remember(&mut self, bar: Bar, context: Context) {
        if self.recent.len() == RECENT_BARS_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((bar, context));
    }

    /// The last `count` bars, or as many as are kept, oldest first.
    pub(super) fn latest(&self, count: usize) -> impl Iterator<Item = (Bar, Context)> {
        self.recent.iter().skip(self.recent.len().saturating_sub(count)).copied()
    }

    /// A new bar: `true` when the engine is there to take it.
    pub(super) fn offer(&mut self, bar: Bar, context: Context) -> bool {
        self.remember(bar, context);
        self.answer = None;
        self.asking = Asking::Nothing;
        if matches!(self.state, LaneState::Expected | LaneState::Up) {
            self.owed.push_back(bar.close_ts(self.timeframe));
            // An engine that is away for long owes only what it can still be asked about.
            while self.owed.len() > WARM_UP_BARS {
                self.owed.pop_front();
            }
        }
        self.state == LaneState::Up
    }

    /// An answer came for the bar that closed at `close`: `false` when nobody waited for it, and then nothing of it counts.
    pub(super) fn answered(&mut self, close: Ts, snapshot: Option<Snapshot>) -> bool {
        if !self.owes(close) {
            return false;
        }
        while self.owed.front().is_some_and(|owed| *owed <= close) {
            self.owed.pop_front();
        }
        if self.asking.question().is_some_and(|question| question.bar <= close) {
            self.asking = Asking::Nothing;
        }
        // Without one the last stays: the bars since then are remembered, and priming with them leads to the same state.
        if let Some(snapshot) = snapshot {
            self.snapshot = Some((close, snapshot));
        }
        true
    }

    /// Drops the snapshot: the next generation begins cold.
    pub(super) fn forget(&mut self) {
        self.snapshot = None;
    }

    /// Whether an answer to the bar that closed at `close` is waited for.
    pub(super) fn owes(&self, close: Ts) -> bool {
        self.owed.contains(&close)
    }

    /// Whether the instant has to wait for this engine.
    pub(super) fn is_awaited(&self) -> bool {
        !self.owed.is_empty() && self.answer.is_none()
    }

    pub(super) fn stop(&mut self) {
        self.state = LaneState::Stopped;
        self.owed.clear();
        self.answer = None;
        self.asking = Asking::Nothing;
    }

    /// What a new generation must be told so that it continues where the last one ended: its last snapshot and the bars
    /// since, or, where that is too long ago, all bars kept. Bars still owed are answered; `latest_only` answers only
    /// the last of them, because a decision on an older one would come too late.
    pub(super) fn start(&mut self, view: PositionView, latest_only: bool) -> Start {
        if latest_only && self.owed.len() > 1 {
            self.owed.drain(..self.owed.len() - 1);
        }
        let owed_from = self.owed.front().copied().unwrap_or(Ts::MAX);
        let close = |bar: &Bar| bar.close_ts(self.timeframe);
        let oldest = self.recent.front().map_or(Ts::MAX, |(bar, _)| bar.open_ts);
        let snapshot = self.snapshot.as_ref().filter(|(ts, _)| *ts >= oldest);
        let known = snapshot.map_or(Ts::from_nanos(i64::MIN), |(ts, _)| *ts);
        let past = self.recent.iter().filter(|(bar, _)| close(bar) > known && close(bar) < owed_from).copied();
        let mut missed: Vec<(Bar, Context)> = past.collect();
        if snapshot.is_none() {
            missed.drain(..missed.len().saturating_sub(WARM_UP_BARS));
        }
        let mut inputs: Vec<EngineInput> = snapshot.map(|(_, s)| EngineInput::Restore(s.clone())).into_iter().collect();
        inputs.push(EngineInput::Prime(missed));
        inputs.push(EngineInput::Position(view));
        let owed = self.recent.iter().filter(|(bar, _)| close(bar) >= owed_from).copied().collect();
        Start { inputs, owed, cold: snapshot.is_none() }
    }
}
