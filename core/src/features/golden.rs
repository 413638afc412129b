//! Every feature against its definition: computed plainly here, over the whole past, at every bar.

use proptest::prelude::*;

use super::series::walk;
use super::{FEATURE_BOUND, FeatureId as F, FeatureSet};
use crate::domain::{Bar, Context, Span, Ts};

type Path = [(Bar, Context)];

fn seeded(xs: &[f64], seed: usize, alpha: f64) -> f64 {
    let start = xs[..seed].iter().sum::<f64>() / seed as f64;
    xs[seed..].iter().fold(start, |mean, x| mean * (1.0 - alpha) + alpha * x)
}

fn ema(xs: &[f64], n: usize) -> f64 {
    seeded(xs, n, 2.0 / (n as f64 + 1.0))
}

fn wilder(xs: &[f64], n: usize) -> f64 {
    seeded(xs, n, 1.0 / n as f64)
}

fn closes(path: &Path) -> Vec<f64> {
    path.iter().map(|(bar, _)| bar.close).collect()
}

fn returns(path: &Path) -> Vec<f64> {
    path.windows(2).map(|w| (w[1].0.close / w[0].0.close).ln()).collect()
}

fn true_ranges(path: &Path) -> Vec<f64> {
    let range = |a: &Bar, b: &Bar| {
        [b.high - b.low, (b.high - a.close).abs(), (b.low - a.close).abs()].into_iter().fold(0.0, f64::max)
    };
    path.windows(2).map(|w| range(&w[0].0, &w[1].0)).collect()
}

fn tail(xs: &[f64], n: usize) -> &[f64] {
    &xs[xs.len() - n..]
}

fn moments(xs: &[f64]) -> (f64, f64) {
    let n = xs.len() as f64;
    let mean = xs.iter().sum::<f64>() / n;
    (mean, (xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
}

fn z(xs: &[f64]) -> f64 {
    let (mean, deviation) = moments(xs);
    if deviation > 0.0 { (xs[xs.len() - 1] - mean) / deviation } else { 0.0 }
}

fn position(bars: &Path, price: f64) -> f64 {
    let high = bars.iter().map(|(bar, _)| bar.high).fold(f64::MIN, f64::max);
    let low = bars.iter().map(|(bar, _)| bar.low).fold(f64::MAX, f64::min);
    (price - low) / (high - low)
}

fn rsi(path: &Path) -> f64 {
    let changes: Vec<f64> = path.windows(2).map(|w| w[1].0.close - w[0].0.close).collect();
    let gains: Vec<f64> = changes.iter().map(|c| c.max(0.0)).collect();
    let losses: Vec<f64> = changes.iter().map(|c| (-c).max(0.0)).collect();
    1.0 - 1.0 / (1.0 + wilder(&gains, 14) / wilder(&losses, 14))
}

/// (+DI, -DI), each 0 to 1.
fn directional(path: &Path) -> (f64, f64) {
    let moves: Vec<(f64, f64)> =
        path.windows(2).map(|w| (w[1].0.high - w[0].0.high, w[0].0.low - w[1].0.low)).collect();
    let plus: Vec<f64> = moves.iter().map(|(up, down)| if up > down { up.max(0.0) } else { 0.0 }).collect();
    let minus: Vec<f64> = moves.iter().map(|(up, down)| if down > up { down.max(0.0) } else { 0.0 }).collect();
    let range = wilder(&true_ranges(path), 14);
    (wilder(&plus, 14) / range, wilder(&minus, 14) / range)
}

fn adx(path: &Path) -> f64 {
    let divergences: Vec<f64> = (15..=path.len())
        .map(|n| directional(&path[..n]))
        .map(|(plus, minus)| (plus - minus).abs() / (plus + minus))
        .collect();
    wilder(&divergences, 14)
}

fn macd(path: &Path) -> f64 {
    ema(&closes(path), 12) - ema(&closes(path), 26)
}

fn macd_signal(path: &Path) -> f64 {
    let lines: Vec<f64> = (26..=path.len()).map(|n| macd(&path[..n])).collect();
    ema(&lines, 9)
}

fn obv_change(path: &Path) -> f64 {
    let obv = |path: &Path| -> f64 {
        let step = |w: &[(Bar, Context)]| match w[1].0.close.total_cmp(&w[0].0.close) {
            std::cmp::Ordering::Greater => w[1].0.volume,
            std::cmp::Ordering::Less => -w[1].0.volume,
            std::cmp::Ordering::Equal => 0.0,
        };
        path.windows(2).map(step).sum()
    };
    let volume = path[path.len() - 20..].iter().map(|(bar, _)| bar.volume).sum::<f64>() / 20.0;
    (obv(path) - obv(&path[..path.len() - 10])) / volume
}

fn definition(id: F, path: &Path) -> f64 {
    let (bar, context) = path[path.len() - 1];
    let (closes, range) = (closes(path), bar.high - bar.low);
    let atr = || wilder(&true_ranges(path), 14);
    let gap = |n: usize| bar.close / ema(&closes, n) - 1.0;
    let back = |n: usize| (bar.close / closes[closes.len() - 1 - n]).ln();
    let share = |part: f64, none: f64| if range > 0.0 { part / range } else { none };
    let day = std::f64::consts::TAU * (bar.open_ts.secs() % 86_400) as f64 / 86_400.0;
    let week = std::f64::consts::TAU * ((bar.open_ts.secs() / 86_400 + 3) % 7) as f64 / 7.0;
    match id {
        F::LogReturn1 => back(1),
        F::LogReturn3 => back(3),
        F::LogReturn6 => back(6),
        F::LogReturn12 => back(12),
        F::LogReturn24 => back(24),
        F::EwmaVolatility => {
            let squares: Vec<f64> = returns(path).iter().map(|r| r * r).collect();
            seeded(&squares, 20, 0.06).sqrt()
        }
        F::ReturnStd20 => moments(tail(&returns(path), 20)).1,
        F::Parkinson20 => {
            let squares = path[path.len() - 20..].iter().map(|(bar, _)| (bar.high / bar.low).ln().powi(2));
            (squares.sum::<f64>() / (20.0 * 4.0 * 2.0_f64.ln())).sqrt()
        }
        F::AtrRatio14 => atr() / bar.close,
        F::Rsi14 => rsi(path),
        F::EmaGap12 => gap(12),
        F::EmaGap26 => gap(26),
        F::EmaGap50 => gap(50),
        F::EmaGap200 => gap(200),
        F::EmaRatio12x26 => ema(&closes, 12) / ema(&closes, 26) - 1.0,
        F::MacdLine => macd(path) / atr(),
        F::MacdSignal => macd_signal(path) / atr(),
        F::MacdHistogram => (macd(path) - macd_signal(path)) / atr(),
        F::BollingerZ20 => z(tail(&closes, 20)),
        F::StochasticK14 => position(&path[path.len() - 14..], bar.close),
        F::DonchianPosition20 => position(&path[path.len() - 21..path.len() - 1], bar.close).clamp(-1.0, 2.0),
        F::Adx14 => adx(path),
        F::DiDifference14 => directional(path).0 - directional(path).1,
        F::VolumeZ20 => z(tail(&path.iter().map(|(bar, _)| bar.volume).collect::<Vec<_>>(), 20)),
        F::ObvChange10 => obv_change(path),
        F::RangeAtr => range / atr(),
        F::ClosePosition => share(bar.close - bar.low, 0.5),
        F::BodyRatio => share(bar.close - bar.open, 0.0),
        F::UpperWick => share(bar.high - bar.open.max(bar.close), 0.0),
        F::LowerWick => share(bar.open.min(bar.close) - bar.low, 0.0),
        F::DaySin => day.sin(),
        F::DayCos => day.cos(),
        F::WeekSin => week.sin(),
        F::WeekCos => week.cos(),
        F::Breadth => context.breadth,
        F::IndexReturn => context.index_return,
        F::Dispersion => context.dispersion,
        F::RelativeReturn => back(1) - context.index_return,
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_feature_is_its_definition_from_its_first_bar_on() {
    let path = walk(11, 320);
    let mut set = FeatureSet::all();
    for n in 1..=path.len() {
        let (bar, context) = &path[n - 1];
        set.update(bar, context);
        assert_eq!(set.is_warm(), n >= 200);
        for id in F::ALL {
            let got = set.get(*id).unwrap();
            if n < id.warm_up() {
                assert!(got == 0.0, "{} at {n}", id.name());
                continue;
            }
            let want = definition(*id, &path[..n]);
            assert!((got - want).abs() <= 1e-9 * (1.0 + want.abs()), "{} at {n}: {got}, not {want}", id.name());
        }
    }
}

#[test]
fn a_selection_has_the_values_of_the_whole() {
    let path = walk(5, 260);
    let mut whole = FeatureSet::all();
    let mut single: Vec<FeatureSet> = F::ALL.iter().map(|id| FeatureSet::new(&[*id, *id])).collect();
    for (bar, context) in &path {
        whole.update(bar, context);
        for (set, id) in single.iter_mut().zip(F::ALL) {
            set.update(bar, context);
            assert_eq!(bits(set.values()), bits(&[whole.get(*id).unwrap()]), "{}", id.name());
        }
    }
    assert_eq!(single[0].get(F::Adx14), None);
}

#[test]
fn a_restored_set_goes_on_bit_for_bit_from_any_bar() {
    let path = walk(2, 260);
    let mut set = FeatureSet::all();
    let mut snapshots = vec![postcard::to_allocvec(&set).unwrap()];
    let mut truth = Vec::new();
    for (bar, context) in &path {
        set.update(bar, context);
        truth.push((bits(set.values()), set.feature_hash()));
        snapshots.push(postcard::to_allocvec(&set).unwrap());
    }
    for (start, snapshot) in snapshots.iter().enumerate() {
        let mut set: FeatureSet = postcard::from_bytes(snapshot).unwrap();
        for (at, (bar, context)) in path.iter().enumerate().skip(start) {
            set.update(bar, context);
            assert_eq!((bits(set.values()), set.feature_hash()), truth[at], "from {start} at {at}");
        }
    }
}

#[test]
fn a_bar_knows_nothing_of_those_after_it() {
    let path = walk(8, 240);
    let run = |path: &Path| {
        let mut set = FeatureSet::all();
        path.iter()
            .map(|(bar, context)| {
                set.update(bar, context);
                bits(set.values())
            })
            .collect::<Vec<_>>()
    };
    let full = run(&path);
    for n in 0..=path.len() {
        // The future is not merely absent: it is another one.
        let mut other = path[..n].to_vec();
        other.extend_from_slice(&walk(99, 240)[n..]);
        assert_eq!(run(&path[..n]), full[..n]);
        assert_eq!(run(&other)[..n], full[..n]);
    }
}

fn price() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), Just(5e-324), Just(1e-300), Just(1e300), 1e-12..1e12_f64, 99.0..101.0_f64]
}

fn adversarial_bar() -> impl Strategy<Value = (Bar, Context)> {
    let volume = prop_oneof![Just(0.0), Just(1e300), Just(5e-324), 0.0..1e9_f64];
    let number = prop_oneof![Just(f64::NAN), Just(f64::INFINITY), -1.0..1.0_f64];
    ([price(), price(), price(), price()], volume, number, any::<i64>()).prop_map(|(prices, volume, number, nanos)| {
        let high = prices.iter().copied().fold(f64::MIN, f64::max);
        let low = prices.iter().copied().fold(f64::MAX, f64::min);
        let bar = Bar { open_ts: Ts::from_nanos(nanos), open: prices[0], high, low, close: prices[1], volume };
        (bar, Context { count: 1, breadth: number, index_return: number, dispersion: number })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn values_are_bounded_whatever_the_bars(bars in prop::collection::vec(adversarial_bar(), 1..260), still in 0..260_usize) {
        let mut set = FeatureSet::all();
        let last = bars[bars.len() - 1];
        for (bar, context) in bars.iter().chain(std::iter::repeat_n(&last, still)) {
            prop_assert_eq!(bar.check(), Ok(()));
            set.update(bar, context);
            for (id, value) in set.ids().iter().zip(set.values()) {
                prop_assert!(value.is_finite() && value.abs() <= FEATURE_BOUND, "{} {value}", id.name());
            }
        }
        // Whatever came before, an ordinary market is read as such once the windows are past it.
        let mut fresh = FeatureSet::new(&[F::BollingerZ20, F::VolumeZ20, F::Parkinson20, F::ReturnStd20, F::StochasticK14]);
        for (bar, context) in &walk(4, 60) {
            set.update(bar, context);
            fresh.update(bar, context);
        }
        for (id, value) in fresh.ids().iter().zip(fresh.values()) {
            let got = set.get(*id).unwrap_or(f64::NAN);
            prop_assert!((got - value).abs() < 1e-6, "{} {got} {value}", id.name());
        }
    }

    #[test]
    fn a_market_that_stands_still_is_neutral(price in price(), volume in prop_oneof![Just(0.0), 0.0..1e9_f64]) {
        let mut set = FeatureSet::all();
        for i in 0..250 {
            let open_ts = Ts::EPOCH.saturating_add(Span::HOUR.times(i));
            let bar = Bar { open_ts, open: price, high: price, low: price, close: price, volume };
            set.update(&bar, &Context::default());
        }
        let calendar = [F::DaySin, F::DayCos, F::WeekSin, F::WeekCos];
        for (id, value) in set.ids().iter().zip(set.values()).filter(|(id, _)| !calendar.contains(id)) {
            let half = [F::Rsi14, F::StochasticK14, F::DonchianPosition20, F::ClosePosition].contains(id);
            prop_assert!((value - if half { 0.5 } else { 0.0 }).abs() < 1e-12, "{} {value}", id.name());
        }
    }
}
