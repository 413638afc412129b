//! The bars of several symbols as one feed.

use super::{FileError, Series};
use crate::domain::{Bar, BarSeries, Feed, Frame, FrameWalk, Ix, MarketEvent, Timeframe, Ts};

/// Merges series in time: the bars that close at one instant become one frame.
///
/// An instrument is `missing` from a frame that lies between its first and its last bar and holds none of it. The
/// context compares with the frame before, however long ago that was, and does so across the start of the range too: a
/// frame has the same context as history and as event. Takes a frame's bars and missing instruments in one pass over
/// the symbols, so time and memory are linear in what comes out.
#[derive(Debug, Clone)]
pub struct FileFeed {
    series: Vec<Fitted>,
    timeframe: Timeframe,
    to: Option<Ts>,
    /// Stands at the next event.
    walk: FrameWalk,
    /// Frames before the range.
    before: usize,
}

/// The bars of one instrument, checked.
#[derive(Debug, Clone)]
struct Fitted {
    ix: Ix,
    bars: Vec<Bar>,
}

impl BarSeries for Fitted {
    fn bars(&self) -> &[Bar] {
        &self.bars
    }
}

impl FileFeed {
    /// A feed of the bars that open at or after `from` and close at or before `to`; `None` leaves that end open.
    ///
    /// # Errors [`FileError::EmptyRange`] when no bar lies in the range, [`FileError::Unfit`] for a series of another
    /// timeframe or out of order, [`FileError::Repeated`] when an instrument stands twice.
    pub fn new(
        series: Vec<(Ix, Series)>,
        timeframe: Timeframe,
        from: Option<Ts>,
        to: Option<Ts>,
    ) -> Result<Self, FileError> {
        let series = fit(series, timeframe)?;
        let mut walk = FrameWalk::new(series.len());
        let mut before = 0;
        let start = loop {
            match walk.peek(&series) {
                Some(open) if from.is_some_and(|from| open < from) => walk.advance(&series, open),
                open => break open,
            }
            before += 1;
        };
        let feed = Self { series, timeframe, to, walk, before };
        if start.is_some_and(|open| feed.is_inside(open)) {
            return Ok(feed);
        }
        let first = feed.series.iter().filter_map(|one| one.bars.first()).map(|bar| bar.open_ts).min();
        let last = feed.series.iter().filter_map(|one| one.bars.last()).map(|bar| bar.close_ts(timeframe)).max();
        Err(FileError::EmptyRange { from, to, have: first.zip(last) })
    }

    fn is_inside(&self, open: Ts) -> bool {
        self.to.is_none_or(|to| open + self.timeframe.span() <= to)
    }

    /// The frame at which `walk` has just arrived.
    fn frame(&self, walk: &FrameWalk, open: Ts) -> Frame {
        let ix = |at: usize| self.series.get(at).map(|one| one.ix);
        let mut bars = Vec::with_capacity(self.series.len());
        bars.extend(walk.bars(&self.series).filter_map(|(at, bar)| Some((ix(at)?, *bar))));
        let missing = walk.missing(&self.series).filter_map(ix).collect();
        Frame { ts: open + self.timeframe.span(), bars, missing, context: walk.context() }
    }
}

impl Feed for FileFeed {
    /// The frames before the first one of the range. Where the start lies inside a bar, the last of them closes after
    /// it.
    fn history(&mut self, frames_max: usize) -> Vec<Frame> {
        let mut walk = FrameWalk::new(self.series.len());
        let mut frames = Vec::with_capacity(frames_max.min(self.before));
        for at in 0..self.before {
            let Some(open) = walk.peek(&self.series) else { break };
            walk.advance(&self.series, open);
            if self.before - at <= frames_max {
                frames.push(self.frame(&walk, open));
            }
        }
        frames
    }

    fn next_event(&mut self) -> Option<MarketEvent> {
        let open = self.walk.peek(&self.series).filter(|open| self.is_inside(*open))?;
        self.walk.advance(&self.series, open);
        Some(MarketEvent::Frame(self.frame(&self.walk, open)))
    }
}

/// The series in instrument order, each checked for what the merge relies on.
fn fit(series: Vec<(Ix, Series)>, timeframe: Timeframe) -> Result<Vec<Fitted>, FileError> {
    let mut fitted = Vec::with_capacity(series.len());
    for (ix, series) in series {
        let ascending = series.bars.is_sorted_by(|a, b| a.open_ts < b.open_ts);
        // A close of zero would be taken for an absent bar.
        let sound = series.bars.iter().all(|bar| bar.check().is_ok());
        if series.timeframe != timeframe || !ascending || !sound {
            return Err(FileError::Unfit { symbol: series.symbol, timeframe });
        }
        fitted.push(Fitted { ix, bars: series.bars });
    }
    fitted.sort_by_key(|one| one.ix);
    if let Some(pair) = fitted.windows(2).find(|pair| pair[0].ix == pair[1].ix) {
        return Err(FileError::Repeated { ix: pair[0].ix });
    }
    Ok(fitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Timeframe = Timeframe::HOUR;

    fn hour(n: i64) -> Ts {
        Ts::from_secs(1_640_995_200 + n * 3_600)
    }

    /// Bars at the given hours; the close of the bar at hour `n` is `base + n`.
    fn series(symbol: &str, base: f64, hours: &[i64]) -> Series {
        let bar = |n: &i64| {
            let close = base + f64::from(i32::try_from(*n).unwrap());
            Bar { open_ts: hour(*n), open: close, high: close, low: close, close, volume: 1.0 }
        };
        Series { symbol: symbol.parse().unwrap(), timeframe: HOUR, bars: hours.iter().map(bar).collect() }
    }

    fn three() -> Vec<(Ix, Series)> {
        vec![
            (Ix(2), series("CCC", 300.0, &[2, 3, 7])),
            (Ix(0), series("AAA", 100.0, &[0, 1, 2, 3, 4, 6, 7, 8])),
            (Ix(1), series("BBB", 200.0, &[0, 2, 3, 4])),
        ]
    }

    fn frames(feed: &mut FileFeed) -> Vec<Frame> {
        std::iter::from_fn(|| feed.next_event())
            .map(|event| match event {
                MarketEvent::Frame(frame) => frame,
                MarketEvent::Quotes { .. } => panic!("files hold no quotes"),
            })
            .collect()
    }

    #[test]
    fn bars_of_one_instant_become_one_frame_and_absent_ones_are_named() {
        let mut feed = FileFeed::new(three(), HOUR, None, None).unwrap();
        assert!(feed.history(10).is_empty());
        let frames = frames(&mut feed);
        let seen: Vec<(i64, Vec<u16>, Vec<u16>)> = frames
            .iter()
            .map(|f| {
                let bars = f.bars.iter().map(|(ix, bar)| {
                    assert_eq!(bar.close_ts(HOUR), f.ts);
                    ix.0
                });
                ((f.ts - hour(0)).nanos() / 3_600_000_000_000, bars.collect(), f.missing.iter().map(|i| i.0).collect())
            })
            .collect();
        let expected = [
            (1, vec![0, 1], vec![]),
            (2, vec![0], vec![1]),
            (3, vec![0, 1, 2], vec![]),
            (4, vec![0, 1, 2], vec![]),
            (5, vec![0, 1], vec![2]),
            // Nothing at all at hour 5, and BBB has ended: neither is missing.
            (7, vec![0], vec![2]),
            (8, vec![0, 2], vec![]),
            (9, vec![0], vec![]),
        ];
        assert_eq!(seen, expected);
        assert_eq!(feed.next_event(), None);
    }

    #[test]
    fn the_context_counts_symbols_with_a_bar_now_and_in_the_frame_before() {
        let mut feed = FileFeed::new(three(), HOUR, None, None).unwrap();
        let frames = frames(&mut feed);
        let counts: Vec<u16> = frames.iter().map(|f| f.context.count).collect();
        assert_eq!(counts, [0, 1, 1, 3, 2, 1, 1, 1]);
        assert!((frames[1].context.index_return - (101.0_f64 / 100.0).ln()).abs() < 1e-15);
        assert!((frames[5].context.index_return - (106.0_f64 / 104.0).ln()).abs() < 1e-15, "across the empty hour");
    }

    #[test]
    fn history_and_events_join_without_a_seam() {
        let whole = frames(&mut FileFeed::new(three(), HOUR, None, None).unwrap());
        for from in -1..=8 {
            let mut feed = FileFeed::new(three(), HOUR, Some(hour(from)), None).unwrap();
            let mut joined = feed.history(100);
            assert!(joined.iter().all(|f| f.ts <= hour(from)));
            assert_eq!(feed.history(2), joined[joined.len().saturating_sub(2)..]);
            joined.extend(frames(&mut feed));
            assert_eq!(joined, whole, "from hour {from}");
            assert_eq!(feed.history(1), FileFeed::new(three(), HOUR, Some(hour(from)), None).unwrap().history(1));
        }
    }

    #[test]
    fn the_range_takes_whole_bars_only() {
        let within = |from, to| frames(&mut FileFeed::new(three(), HOUR, Some(from), Some(to)).unwrap());
        let some: Vec<Ts> = within(hour(2), hour(4)).iter().map(|f| f.ts).collect();
        assert_eq!(some, [hour(3), hour(4)]);
        let inside_a_bar = Ts::from_secs(hour(2).secs() + 1);
        assert_eq!(within(inside_a_bar, hour(4)).len(), 1);
    }

    #[test]
    fn a_range_without_bars_is_an_error_that_tells_the_range() {
        let error = FileFeed::new(three(), HOUR, Some(hour(9)), None).unwrap_err().to_string();
        let parts = ["at or after 2022-01-01T09:00:00Z", "from 2022-01-01T00:00:00Z to 2022-01-01T09:00:00Z"];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        for (from, to) in [(None, Some(hour(0))), (Some(hour(5)), Some(hour(6))), (Some(hour(3)), Some(hour(1)))] {
            assert!(matches!(FileFeed::new(three(), HOUR, from, to), Err(FileError::EmptyRange { .. })));
        }
        let none = FileFeed::new(vec![], HOUR, None, None).unwrap_err().to_string();
        assert!(none.contains("the data are empty"), "{none}");
    }

    #[test]
    fn series_that_do_not_fit_are_refused() {
        let refused = |list| FileFeed::new(list, HOUR, None, None).unwrap_err();
        let twice = vec![(Ix(1), series("AAA", 1.0, &[0])), (Ix(1), series("BBB", 1.0, &[0]))];
        assert!(matches!(refused(twice), FileError::Repeated { ix: Ix(1) }));
        let unordered = vec![(Ix(0), series("AAA", 1.0, &[1, 0]))];
        assert!(matches!(refused(unordered), FileError::Unfit { .. }));
        let unsound = vec![(Ix(0), series("AAA", 0.0, &[0]))];
        assert!(matches!(refused(unsound), FileError::Unfit { .. }));
        let minutes = Series { timeframe: Timeframe::MINUTE, ..series("AAA", 1.0, &[0]) };
        assert!(matches!(refused(vec![(Ix(0), minutes)]), FileError::Unfit { .. }));
    }
}
