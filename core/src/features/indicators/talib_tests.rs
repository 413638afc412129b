//! Indicators against numbers that TA-Lib 0.6 gives.

use super::{Adx, Atr, Ema, Rsi, Window};
use crate::domain::{Bar, Ts};

/// A walk made of whole numbers (the generator of ANSI C), so that it can be made anywhere.
fn walk(count: usize) -> Vec<Bar> {
    let mut state = 42_u64;
    let mut draw = || {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        state as f64 / f64::from(1_u32 << 31)
    };
    let mut close = 100.0_f64;
    (0..count)
        .map(|_| {
            let open = close;
            close = open * (1.0 + 0.02 * (draw() - 0.5));
            let (high, low) = (open.max(close) * (1.0 + 0.01 * draw()), open.min(close) * (1.0 - 0.01 * draw()));
            Bar { open_ts: Ts::EPOCH, open, high, low, close, volume: 1.0 }
        })
        .collect()
}

/// The first bar that has a value, and the values at it and at bars 40, 80 and 119.
fn compare(name: &str, first: usize, wanted: [f64; 4], mut at_bar: impl FnMut(&Bar) -> Option<f64>) {
    let values: Vec<Option<f64>> = walk(120).iter().map(&mut at_bar).collect();
    assert_eq!(values.iter().position(Option::is_some), Some(first), "{name}");
    for (at, want) in [first, 40, 80, 119].into_iter().zip(wanted) {
        let got = values[at].unwrap();
        assert!((got - want).abs() < 1e-9, "{name} at {at}: {got} {want}");
    }
}

#[test]
fn they_begin_where_talib_does_and_agree_with_it() {
    let mut ema = Ema::new(20);
    let wanted = [99.41195739246832, 100.86073203504878, 104.39374807926797, 103.61475923642503];
    compare("ema", 19, wanted, |bar| {
        ema.update(bar.close);
        ema.is_warm().then(|| ema.value())
    });
    let mut rsi = Rsi::new(14);
    let wanted = [37.28943256796896, 72.57896593433604, 47.91104426601641, 47.785749473246355];
    compare("rsi", 14, wanted, |bar| {
        rsi.update(bar.close);
        rsi.is_warm().then(|| rsi.value())
    });
    let mut atr = Atr::new(14);
    let wanted = [1.5560256611955683, 1.542026560681747, 1.6384648652654896, 1.6211048103944525];
    compare("atr", 14, wanted, |bar| {
        atr.update(bar);
        atr.is_warm().then(|| atr.value())
    });
    let mut adx = Adx::new(14);
    let wanted = [10.329525421548876, 22.536336902982203, 15.029934283325522, 9.829491212983966];
    compare("adx", 27, wanted, |bar| {
        adx.update(bar);
        adx.is_warm().then(|| adx.value())
    });
}

#[test]
fn a_window_has_the_mean_and_deviation_of_talib() {
    let mut window = Window::new(20);
    walk(120).iter().for_each(|bar| window.update(bar.close));
    assert!((window.mean() - 103.60316191625661).abs() < 1e-9);
    assert!((window.deviation() - 0.7408871219965165).abs() < 1e-9);
}
