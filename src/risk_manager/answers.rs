//! How long engines take to answer a bar.

use std::collections::VecDeque;
use std::time::Instant;

use levibot_core::account::State;
use levibot_core::domain::{Ix, Span, Symbol, Timeframe, Ts};
use levibot_core::driver::{EngineInput, WARM_UP_BARS};

use crate::telemetry::metrics::Metrics;

/// See the module.
#[derive(Debug)]
pub(super) struct Answers {
    timeframe: Timeframe,
    engines: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    symbol: Symbol,
    generation: u64,
    /// Bars without an answer, oldest first: their close, and when each was offered for the first time.
    bars: VecDeque<(Ts, Instant)>,
}

impl Answers {
    pub(super) fn new(state: &State) -> Self {
        let mut answers = Self { timeframe: state.timeframe(), engines: Vec::new() };
        answers.grow(state);
        answers
    }

    /// Symbols that came behind those that are known.
    pub(super) fn grow(&mut self, state: &State) {
        let new = state.books().iter().skip(self.engines.len());
        let waiting = |symbol| Waiting { symbol, generation: 0, bars: VecDeque::new() };
        self.engines.extend(new.map(|book| waiting(book.symbol())));
    }

    pub(super) fn attached(&mut self, ix: Ix, generation: u64) {
        if let Some(engine) = self.engines.get_mut(ix.at()) {
            engine.generation = generation;
        }
    }

    /// An engine is told something. A bar that its next generation is asked about again counts from the first time.
    pub(super) fn offered(&mut self, ix: Ix, input: &EngineInput) {
        let (EngineInput::Bar(bar, _), Some(engine)) = (input, self.engines.get_mut(ix.at())) else { return };
        let close = bar.close_ts(self.timeframe);
        if engine.bars.iter().any(|(waiting, _)| *waiting == close) {
            return;
        }
        if engine.bars.len() == WARM_UP_BARS {
            engine.bars.pop_front();
        }
        engine.bars.push_back((close, Instant::now()));
    }

    /// An engine has answered. What an earlier generation says is late by more than its bar and measures nothing.
    pub(super) fn answered(&mut self, ix: Ix, generation: u64, bar: Ts, metrics: &Metrics) {
        let Some(engine) = self.engines.get_mut(ix.at()).filter(|e| e.generation == generation) else { return };
        while let Some((close, since)) = engine.bars.front().copied()
            && close <= bar
        {
            engine.bars.pop_front();
            if close == bar {
                let nanos = i64::try_from(since.elapsed().as_nanos()).unwrap_or(i64::MAX);
                metrics.engine_answered(&engine.symbol, Span::from_nanos(nanos));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use levibot_core::domain::{Bar, Context};

    use super::*;

    fn count(metrics: &Metrics) -> Option<u64> {
        let text = metrics.encode().unwrap();
        let line = text.lines().find(|l| l.starts_with("levibot_engine_answer_seconds_count{symbol=\"BTCUSDT\"}"))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    #[test]
    fn each_bar_is_measured_once_and_only_for_the_generation_that_is_there() {
        let symbol: Symbol = "BTCUSDT".parse().unwrap();
        let engines = vec![Waiting { symbol, generation: 0, bars: VecDeque::new() }];
        let mut answers = Answers { timeframe: Timeframe::HOUR, engines };
        let metrics = Metrics::new().unwrap();
        let bar = |hour| Bar {
            open_ts: Ts::from_secs(hour * 3_600),
            open: 1.0,
            high: 1.0,
            low: 1.0,
            close: 1.0,
            volume: 1.0,
        };
        let close = |hour| bar(hour).close_ts(Timeframe::HOUR);
        let offer =
            |answers: &mut Answers, hour| answers.offered(Ix(0), &EngineInput::Bar(bar(hour), Context::default()));
        answers.attached(Ix(0), 1);
        offer(&mut answers, 0);
        answers.answered(Ix(0), 1, close(0), &metrics);
        answers.answered(Ix(0), 1, close(0), &metrics);
        assert_eq!(count(&metrics), Some(1), "an answer given twice counts once");

        offer(&mut answers, 1);
        answers.attached(Ix(0), 2);
        offer(&mut answers, 1);
        offer(&mut answers, 2);
        answers.answered(Ix(0), 1, close(1), &metrics);
        assert_eq!(count(&metrics), Some(1), "the generation before does not count");
        answers.answered(Ix(0), 2, close(2), &metrics);
        assert_eq!(count(&metrics), Some(2), "a bar that was passed over is not measured");
        assert!(answers.engines[0].bars.is_empty());

        (0..2 * WARM_UP_BARS as i64).for_each(|hour| offer(&mut answers, 10 + hour));
        assert_eq!(answers.engines[0].bars.len(), WARM_UP_BARS, "what is never answered has a bound");
        answers.answered(Ix(7), 1, close(1), &metrics);
    }
}
