//! Regimes against their definitions, and on walks that have none.

use super::*;
use crate::domain::hash::unit_draw;

/// A standard normal draw (Box and Muller 1958).
fn normal(seed: u64, n: u64) -> f64 {
    let (a, b) = (unit_draw(seed, 2 * n).max(1e-300), unit_draw(seed, 2 * n + 1));
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// Closes of a walk with normal log returns of this size, so many of them.
fn random_walk(seed: u64, size: f64, count: u64) -> Vec<f64> {
    let mut log = 0.0;
    (0..count)
        .map(|n| {
            log += size * normal(seed, n);
            100.0 * f64::exp(log)
        })
        .collect()
}

fn share(regimes: &[Regime], is: impl Fn(&Regime) -> bool) -> f64 {
    regimes.iter().filter(|regime| is(regime)).count() as f64 / regimes.len() as f64
}

fn warm(closes: &[f64]) -> Vec<Regime> {
    let mut classifier = Classifier::new();
    let mut regimes = Vec::new();
    for close in closes {
        classifier.update(*close);
        if classifier.is_trend_warm() && classifier.is_activity_warm() {
            regimes.push(classifier.regime());
        }
    }
    regimes
}

#[test]
fn a_random_walk_is_a_trend_on_one_bar_in_ten_and_moves_as_usual() {
    let regimes = warm(&random_walk(7, 0.01, 400_000));
    let (up, down) = (share(&regimes, |r| r.trend == Trend::Up), share(&regimes, |r| r.trend == Trend::Down));
    assert!((0.04..0.06).contains(&up) && (0.04..0.06).contains(&down), "{up} {down}");
    let (calm, wild) =
        (share(&regimes, |r| r.activity == Activity::Calm), share(&regimes, |r| r.activity == Activity::Wild));
    assert!((0.004..0.01).contains(&calm) && (0.0..0.001).contains(&wild), "{calm} {wild}");
}

#[test]
fn a_steady_climb_is_up_and_a_steady_fall_down() {
    for (drift, trend) in [(0.005, Trend::Up), (-0.005, Trend::Down)] {
        let walk = random_walk(3, 0.005, 5_000);
        let closes: Vec<f64> = walk.iter().zip(0..).map(|(x, n)| x * f64::exp(drift * f64::from(n))).collect();
        let share = share(&warm(&closes), |regime| regime.trend == trend);
        assert!(share > 0.99, "{share}");
    }
}

#[test]
fn a_market_that_goes_quiet_is_calm_and_one_that_wakes_is_wild_until_it_is_usual() {
    let mut classifier = Classifier::new();
    let mut log = 0.0;
    let mut run = |classifier: &mut Classifier, size: f64, bars: u64| {
        (0..bars).for_each(|n| {
            log += if n % 2 == 0 { size } else { -size };
            classifier.update(f64::exp(log));
        });
        classifier.activity()
    };
    assert_eq!(run(&mut classifier, 0.01, 2_000), Activity::Usual);
    assert_eq!(run(&mut classifier, 0.002, 60), Activity::Calm);
    assert_eq!(run(&mut classifier, 0.002, 4_000), Activity::Usual);
    assert_eq!(run(&mut classifier, 0.01, 20), Activity::Wild);
    assert_eq!(run(&mut classifier, 0.01, 4_000), Activity::Usual);
}

#[test]
fn efficiency_and_ratio_are_those_of_their_formulas_at_every_bar() {
    let closes = random_walk(11, 0.02, 3_000);
    let changes: Vec<f64> = closes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let ema = |bars: u32, upto: usize| {
        let (seed, alpha) = (bars as usize, 2.0 / (f64::from(bars) + 1.0));
        let squares: Vec<f64> = changes[..upto].iter().zip(&closes).map(|(d, close)| (d / close).powi(2)).collect();
        let start = squares[..seed].iter().sum::<f64>() / seed as f64;
        squares[seed..].iter().fold(start, |mean, x| mean * (1.0 - alpha) + alpha * x)
    };
    let mut classifier = Classifier::new();
    for (at, close) in closes.iter().enumerate() {
        classifier.update(*close);
        let bars = at + 1;
        assert_eq!(classifier.is_trend_warm(), bars >= Classifier::TREND_WARM_UP);
        assert_eq!(classifier.is_activity_warm(), bars >= Classifier::ACTIVITY_WARM_UP);
        if classifier.is_trend_warm() {
            let last = &changes[at - TREND_BARS..at];
            let want = last.iter().sum::<f64>() / last.iter().map(|d| d.abs()).sum::<f64>();
            assert!((classifier.efficiency() - want).abs() < 1e-12, "bar {at}");
        }
        if classifier.is_activity_warm() && at % 50 == 0 {
            let want = (ema(ACTIVITY_BARS, at) / ema(USUAL_BARS, at)).sqrt();
            assert!((classifier.volatility_ratio() - want).abs() < 1e-9, "bar {at}");
        }
    }
}

#[test]
fn before_it_is_warm_and_where_nothing_moves_there_is_no_trend_and_nothing_unusual() {
    let mut classifier = Classifier::default();
    for n in 0..Classifier::TREND_WARM_UP - 1 {
        // A climb that would be a trend.
        classifier.update(100.0 + n as f64);
        assert_eq!(classifier.regime(), Regime::default());
    }
    classifier.update(200.0);
    assert_eq!(classifier.regime(), Regime { trend: Trend::Up, activity: Activity::Usual });
    let mut still = Classifier::new();
    random_walk(2, 0.01, 30).iter().for_each(|close| still.update(*close));
    for n in 0..200 {
        still.update(5.0);
        assert!(n < 48 || still.trend() == Trend::Range, "{n}");
    }
    let mut still = Classifier::new();
    (0..2_000).for_each(|_| still.update(5.0));
    assert_eq!(still.regime(), Regime::default());
    assert!(still.is_trend_warm() && still.is_activity_warm());
}

#[test]
fn a_close_that_cannot_be_is_passed_over() {
    let mut classifier = Classifier::new();
    random_walk(1, 0.01, 700).iter().for_each(|close| classifier.update(*close));
    let before = classifier.clone();
    [f64::NAN, f64::INFINITY, 0.0, -3.0].into_iter().for_each(|close| classifier.update(close));
    assert_eq!(classifier, before);
}

#[test]
fn restored_at_any_bar_it_goes_on_bit_for_bit() {
    let closes = random_walk(5, 0.01, 1_200);
    let mut truth = Classifier::new();
    let mut restored = Classifier::new();
    for close in closes {
        truth.update(close);
        restored.update(close);
        let bytes = postcard::to_allocvec(&restored).unwrap();
        restored = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(bytes, postcard::to_allocvec(&truth).unwrap());
    }
    assert_eq!(restored, truth);
}
