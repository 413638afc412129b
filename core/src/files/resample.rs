//! Longer bars out of shorter ones.

use crate::domain::{Bar, Timeframe};

/// Bars of a longer timeframe, and how many were left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampled {
    /// Strictly ascending in time.
    pub bars: Vec<Bar>,
    /// Bars of the longer timeframe of which a part is absent.
    pub incomplete: u64,
}

/// Puts bars of length `from`, strictly ascending in time, together to bars of length `to`, which begin at multiples of it
/// since the epoch. A bar of which not every part is there is left out: its high, low and volume would be those of another
/// length. `None` where `to` is not a multiple of `from`.
pub fn resample(bars: &[Bar], from: Timeframe, to: Timeframe) -> Option<Resampled> {
    if !to.secs().is_multiple_of(from.secs()) {
        return None;
    }
    let parts = (to.secs() / from.secs()) as usize;
    let (mut longer, mut incomplete) = (Vec::with_capacity(bars.len() / parts + 1), 0);
    for group in bars.chunk_by(|a, b| to.floor(a.open_ts) == to.floor(b.open_ts)) {
        let on_grid = group.iter().all(|bar| from.floor(bar.open_ts) == bar.open_ts);
        match (group.first(), group.last()) {
            (Some(first), Some(last)) if group.len() == parts && on_grid => {
                let (mut high, mut low, mut volume) = (first.high, first.low, 0.0);
                for bar in group {
                    high = high.max(bar.high);
                    low = low.min(bar.low);
                    volume += bar.volume;
                }
                longer.push(Bar { open_ts: first.open_ts, open: first.open, high, low, close: last.close, volume });
            }
            _ => incomplete += 1,
        }
    }
    Some(Resampled { bars: longer, incomplete })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Ts;

    fn minutes(which: impl IntoIterator<Item = i64>) -> Vec<Bar> {
        let bar = |n: i64| {
            let open = 100.0 + (n % 7) as f64;
            let close = 100.0 + ((n + 1) % 7) as f64;
            let open_ts = Ts::from_secs(n * 60);
            Bar { open_ts, open, high: open.max(close) + 1.0, low: open.min(close) - 1.0, close, volume: n as f64 }
        };
        which.into_iter().map(bar).collect()
    }

    fn five() -> Timeframe {
        "5m".parse().unwrap()
    }

    #[test]
    fn a_longer_bar_has_the_first_open_the_extremes_the_last_close_and_the_whole_volume() {
        let bars = minutes(10..20);
        let longer = resample(&bars, Timeframe::MINUTE, five()).unwrap();
        assert_eq!((longer.bars.len(), longer.incomplete), (2, 0));
        let one = longer.bars[0];
        assert_eq!((one.open_ts, one.open, one.close), (bars[0].open_ts, bars[0].open, bars[4].close));
        assert_eq!((one.high, one.low, one.volume), (107.0, 99.0, 10.0 + 11.0 + 12.0 + 13.0 + 14.0));
    }

    #[test]
    fn bars_of_which_a_part_is_absent_are_left_out_and_counted() {
        let bars = minutes((3..13).chain(14..20));
        let longer = resample(&bars, Timeframe::MINUTE, five()).unwrap();
        let opens: Vec<i64> = longer.bars.iter().map(|bar| bar.open_ts.secs() / 60).collect();
        assert_eq!((opens, longer.incomplete), (vec![5, 15], 2));
    }

    #[test]
    fn what_is_no_multiple_is_refused() {
        assert_eq!(resample(&minutes(0..9), five(), "7m".parse().unwrap()), None);
        assert_eq!(resample(&minutes(0..9), five(), Timeframe::MINUTE), None);
    }

    proptest! {
        #[test]
        fn twice_is_as_good_as_once(count in 0..400_i64) {
            let bars = minutes(0..count);
            let once = resample(&bars, Timeframe::MINUTE, Timeframe::HOUR).unwrap();
            let half = resample(&bars, Timeframe::MINUTE, five()).unwrap();
            let twice = resample(&half.bars, five(), Timeframe::HOUR).unwrap();
            prop_assert_eq!(once.bars, twice.bars);
        }
    }
}
