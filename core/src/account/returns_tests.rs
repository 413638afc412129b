use super::*;
use crate::domain::{Span, Ts};
use proptest::prelude::*;

const KEYS: RawCorrelation = RawCorrelation { window_bars: 50, min_bars: 10, threshold: 0.8 };

fn bar(at: i64, close: f64) -> Bar {
    let open_ts = Ts::EPOCH + Span::HOUR.times(at);
    Bar { open_ts, open: close, high: close, low: close, close, volume: 0.0 }
}

fn returns(symbols: usize) -> Returns {
    Returns::new(&KEYS, Timeframe::HOUR, symbols)
}

/// The textbook's two passes over pairs that both have.
fn pearson(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (ma, mb) = (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
    let (aa, bb) = (sum(&|p| (p.0 - ma).powi(2)), sum(&|p| (p.1 - mb).powi(2)));
    sum(&|p| (p.0 - ma) * (p.1 - mb)) / (aa * bb).sqrt()
}

#[test]
fn a_mirror_is_minus_one_and_itself_is_one() {
    let mut ring = returns(3);
    let mut price: f64 = 100.0;
    for at in 0..40 {
        price *= 1.0 + 0.01 * f64::from(i32::try_from(at * 7 % 11).unwrap() - 5);
        assert!(ring.take(Ix(0), &bar(at, price)) && ring.take(Ix(1), &bar(at, 10_000.0 / price)));
        assert!(ring.take(Ix(2), &bar(at, 5.0)));
    }
    assert!((ring.correlation(Ix(0), Ix(1)).unwrap() + 1.0).abs() < 1e-12);
    assert!((ring.correlation(Ix(0), Ix(0)).unwrap() - 1.0).abs() < 1e-12);
    assert_eq!(ring.correlation(Ix(0), Ix(2)), None, "what does not move moves like nothing");
    assert_eq!((ring.volatility(Ix(2)), ring.correlation(Ix(0), Ix(3))), (None, None));
}

#[test]
fn too_few_bars_say_nothing_and_old_ones_no_more() {
    let mut ring = returns(2);
    let price = |at: i64| 100.0 + f64::from(i32::try_from(at * 3 % 7).unwrap());
    for at in 0..10 {
        ring.take(Ix(0), &bar(at, price(at)));
        ring.take(Ix(1), &bar(at, price(at)));
    }
    assert_eq!(ring.correlation(Ix(0), Ix(1)), None, "ten bars have nine returns");
    ring.take(Ix(0), &bar(10, price(10)));
    ring.take(Ix(1), &bar(10, price(10)));
    assert!(ring.correlation(Ix(0), Ix(1)).is_some() && ring.volatility(Ix(0)).is_some());
    assert!(!ring.take(Ix(0), &bar(10, 1.0)) && !ring.take(Ix(0), &bar(4, 1.0)), "known already");
    ring.take(Ix(0), &bar(60, 50.0));
    assert_eq!((ring.correlation(Ix(0), Ix(1)), ring.volatility(Ix(0))), (None, None), "all is out of the window");
}

proptest! {
    /// With holes anywhere, what is measured is the correlation of the pairs that both have, and nothing else.
    #[test]
    fn holes_are_missing_pairs(
        course in proptest::collection::vec((0.5..2.0_f64, 0.5..2.0_f64, 0u8..8, 0u8..8), 30..120),
    ) {
        let mut ring = returns(2);
        let (mut closes, mut at) = ([Vec::new(), Vec::new()], 0);
        for (a, b, hole_a, hole_b) in course {
            for (ix, price, hole) in [(0, a, hole_a), (1, b, hole_b)] {
                let there = hole > 0;
                closes[ix].push(there.then_some(price));
                if there {
                    ring.take(Ix(u16::try_from(ix).unwrap()), &bar(at, price));
                }
            }
            at += 1;
        }
        let newest = |x: usize| closes[x].iter().rposition(Option::is_some).unwrap_or(0);
        let from = (newest(0).max(newest(1)) + 1).saturating_sub(50).max(1);
        let of = |x: usize, at: usize| Some((closes[x][at]? / closes[x][at - 1]?).ln());
        let pairs: Vec<_> = (from..closes[0].len()).filter_map(|at| Some((of(0, at)?, of(1, at)?))).collect();
        match ring.correlation(Ix(0), Ix(1)) {
            Some(found) => prop_assert!((found - pearson(&pairs)).abs() < 1e-9),
            None => prop_assert!(pairs.len() < 10),
        }
    }
}
