//! The selected features of one symbol.

use serde::{Deserialize, Serialize};

use super::id::{FeatureId, length};
use super::indicators::{Atr, Channel, Directional, Ema, Lags, Rsi, Window};
use super::{feature_hash, schema_hash};
use crate::domain::{Bar, Context, Span, Ts};

/// Every value lies between minus and plus this, so that it stays finite in single precision too.
pub const FEATURE_BOUND: f64 = 1e6;

/// A selection of features, updated bar by bar. Serialised, it is its own snapshot: restored, it goes on bit for bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureSet {
    ids: Vec<FeatureId>,
    values: Vec<f64>,
    /// Bars taken.
    seen: usize,
    /// Bars after which every selected feature is defined.
    warm_up: usize,
    parts: Parts,
}

impl FeatureSet {
    /// Computes only these, in this order; of a feature named twice the first counts.
    pub fn new(ids: &[FeatureId]) -> Self {
        let mut kept: Vec<FeatureId> = Vec::with_capacity(ids.len());
        for id in ids {
            if !kept.contains(id) {
                kept.push(*id);
            }
        }
        let warm_up = kept.iter().map(|id| id.warm_up()).max().unwrap_or(0);
        Self { values: vec![0.0; kept.len()], seen: 0, warm_up, parts: Parts::of(&kept), ids: kept }
    }

    /// Computes every feature, in the order of [`FeatureId::ALL`].
    pub fn all() -> Self {
        Self::new(FeatureId::ALL)
    }

    /// Takes the next closed bar, which has passed [`Bar::check`], and the context of its frame.
    #[inline]
    pub fn update(&mut self, bar: &Bar, context: &Context) {
        if !self.ids.is_empty() {
            self.compute(bar, context);
        }
    }

    fn compute(&mut self, bar: &Bar, context: &Context) {
        self.parts.update(bar);
        self.seen = self.seen.saturating_add(1);
        let warm = self.is_warm();
        for (value, id) in self.values.iter_mut().zip(&self.ids) {
            if warm || self.seen >= id.warm_up() {
                *value = bounded(self.parts.read(*id, bar, context));
            }
        }
    }

    /// The values after the last bar, in the order of the selection: finite, within [`FEATURE_BOUND`], and 0 while a
    /// feature is not defined yet.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// What is computed, in order.
    pub fn ids(&self) -> &[FeatureId] {
        &self.ids
    }

    /// One value, or `None` when it was not selected.
    pub fn get(&self, id: FeatureId) -> Option<f64> {
        let at = self.ids.iter().position(|selected| *selected == id)?;
        self.values.get(at).copied()
    }

    /// Whether every selected feature is defined. Nothing is to be decided on the values before.
    pub const fn is_warm(&self) -> bool {
        self.seen >= self.warm_up
    }

    /// The number of bars after which it is warm.
    pub const fn warm_up_bars(&self) -> usize {
        self.warm_up
    }

    /// Hash of the definition of the selection.
    pub fn schema_hash(&self) -> u64 {
        schema_hash(&self.ids)
    }

    /// Hash of the bits of the values.
    pub fn feature_hash(&self) -> u64 {
        feature_hash(&self.values)
    }
}

/// What a number that cannot be used is replaced by is 0: it only arises where prices span hundreds of decades.
const fn bounded(x: f64) -> f64 {
    if x.is_finite() { x.clamp(-FEATURE_BOUND, FEATURE_BOUND) } else { 0.0 }
}

/// `a / b`, or 0 where `b`, which is never negative, is 0.
fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

/// The channel of the bars before this one, and where this close lies in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Donchian {
    channel: Channel,
    position: f64,
}

/// On-balance volume as its steps: the volume, signed by the change of the close.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SignedVolume {
    close: Option<f64>,
    steps: Window,
}

/// Where the bar opens in the day and in the week, each as (sine, cosine).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Calendar {
    /// Number of the day that `week` is of.
    date: Option<i64>,
    day: (f64, f64),
    week: (f64, f64),
}

impl Calendar {
    fn update(&mut self, open_ts: Ts) {
        let turn = |turns: f64| (std::f64::consts::TAU * turns).sin_cos();
        self.day = turn(open_ts.time_of_day().nanos() as f64 / Span::DAY.nanos() as f64);
        if self.date.replace(open_ts.day()) != Some(open_ts.day()) {
            self.week = turn(open_ts.weekday() as f64 / 7.0);
        }
    }
}

/// The indicators that the selection needs, each at most once; the others are not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Parts {
    log_closes: Option<Lags>,
    ewma: Option<Ema>,
    returns: Option<Window>,
    parkinson: Option<Window>,
    atr: Option<Atr>,
    rsi: Option<Rsi>,
    fast: Option<Ema>,
    slow: Option<Ema>,
    middle: Option<Ema>,
    long: Option<Ema>,
    signal: Option<Ema>,
    closes: Option<Window>,
    stochastic: Option<Channel>,
    donchian: Option<Donchian>,
    directional: Option<Directional>,
    volumes: Option<Window>,
    obv: Option<SignedVolume>,
    calendar: Option<Calendar>,
}

impl Parts {
    fn of(ids: &[FeatureId]) -> Self {
        use FeatureId as F;
        let any = |wanted: &[F]| ids.iter().any(|id| wanted.contains(id));
        let window = |len: u32| Window::new(len as usize);
        let ewma_alpha = 1.0 - f64::from(length::EWMA_DECAY) / 100.0;
        let log_returns = [F::LogReturn1, F::LogReturn3, F::LogReturn6, F::LogReturn12, F::LogReturn24];
        let from_returns = [F::RelativeReturn, F::EwmaVolatility, F::ReturnStd20];
        let macd = [F::MacdLine, F::MacdSignal, F::MacdHistogram];
        Self {
            log_closes: (any(&log_returns) || any(&from_returns)).then(Lags::default),
            ewma: any(&[F::EwmaVolatility]).then(|| Ema::with_alpha(ewma_alpha, length::EWMA_SEED)),
            returns: any(&[F::ReturnStd20]).then(|| window(length::RETURNS)),
            parkinson: any(&[F::Parkinson20]).then(|| window(length::PARKINSON)),
            atr: (any(&[F::AtrRatio14, F::RangeAtr]) || any(&macd)).then(|| Atr::new(length::WILDER)),
            rsi: any(&[F::Rsi14]).then(|| Rsi::new(length::WILDER)),
            fast: (any(&[F::EmaGap12, F::EmaRatio12x26]) || any(&macd)).then(|| Ema::new(length::FAST)),
            slow: (any(&[F::EmaGap26, F::EmaRatio12x26]) || any(&macd)).then(|| Ema::new(length::SLOW)),
            middle: any(&[F::EmaGap50]).then(|| Ema::new(length::MIDDLE)),
            long: any(&[F::EmaGap200]).then(|| Ema::new(length::LONG)),
            signal: any(&macd[1..]).then(|| Ema::new(length::SIGNAL)),
            closes: any(&[F::BollingerZ20]).then(|| window(length::BOLLINGER)),
            stochastic: any(&[F::StochasticK14]).then(|| Channel::new(length::STOCHASTIC as usize)),
            donchian: any(&[F::DonchianPosition20])
                .then(|| Donchian { channel: Channel::new(length::DONCHIAN as usize), position: 0.0 }),
            directional: any(&[F::Adx14, F::DiDifference14]).then(|| Directional::new(length::WILDER)),
            volumes: any(&[F::VolumeZ20, F::ObvChange10]).then(|| window(length::VOLUME)),
            obv: any(&[F::ObvChange10]).then(|| SignedVolume { close: None, steps: window(length::OBV) }),
            calendar: any(&[F::DaySin, F::DayCos, F::WeekSin, F::WeekCos]).then(Calendar::default),
        }
    }

    fn update(&mut self, bar: &Bar) {
        self.update_returns(bar);
        self.update_averages(bar);
        if let Some(window) = &mut self.closes {
            window.update(bar.close);
        }
        if let Some(channel) = &mut self.stochastic {
            channel.update(bar);
        }
        if let Some(donchian) = &mut self.donchian {
            donchian.position = donchian.channel.position(bar.close).clamp(-1.0, 2.0);
            donchian.channel.update(bar);
        }
        if let Some(directional) = &mut self.directional {
            directional.update(bar);
        }
        if let Some(window) = &mut self.volumes {
            window.update(bar.volume);
        }
        if let Some(calendar) = &mut self.calendar {
            calendar.update(bar.open_ts);
        }
        if let Some(obv) = &mut self.obv
            && let Some(before) = obv.close.replace(bar.close)
        {
            let sign = f64::from(i8::from(bar.close > before) - i8::from(bar.close < before));
            obv.steps.update(sign * bar.volume);
        }
    }

    fn update_returns(&mut self, bar: &Bar) {
        if let Some(window) = &mut self.parkinson {
            let range = (bar.high / bar.low).ln();
            window.update(range * range);
        }
        let Some(log_closes) = &mut self.log_closes else { return };
        let first = log_closes.is_empty();
        log_closes.update(bar.close.ln());
        if first {
            return;
        }
        let change = log_closes.change(1);
        if let Some(ewma) = &mut self.ewma {
            ewma.update(change * change);
        }
        if let Some(window) = &mut self.returns {
            window.update(change);
        }
    }

    fn update_averages(&mut self, bar: &Bar) {
        if let Some(atr) = &mut self.atr {
            atr.update(bar);
        }
        if let Some(rsi) = &mut self.rsi {
            rsi.update(bar.close);
        }
        for ema in [&mut self.fast, &mut self.slow, &mut self.middle, &mut self.long].into_iter().flatten() {
            ema.update(bar.close);
        }
        if let (Some(signal), Some(fast), Some(slow)) = (&mut self.signal, &self.fast, &self.slow)
            && slow.is_warm()
        {
            signal.update(fast.value() - slow.value());
        }
    }

    fn read(&self, id: FeatureId, bar: &Bar, context: &Context) -> f64 {
        use FeatureId as F;
        match id {
            F::LogReturn1 => self.log_return(1),
            F::LogReturn3 => self.log_return(3),
            F::LogReturn6 => self.log_return(6),
            F::LogReturn12 => self.log_return(12),
            F::LogReturn24 => self.log_return(24),
            F::EwmaVolatility => value(&self.ewma).sqrt(),
            F::ReturnStd20 => self.returns.as_ref().map_or(0.0, Window::deviation),
            F::Parkinson20 => (mean(&self.parkinson).max(0.0) / (4.0 * std::f64::consts::LN_2)).sqrt(),
            F::AtrRatio14 => self.atr() / bar.close,
            F::Rsi14 => self.rsi.as_ref().map_or(0.0, Rsi::value) / 100.0,
            F::EmaGap12 => gap(bar.close, &self.fast),
            F::EmaGap26 => gap(bar.close, &self.slow),
            F::EmaGap50 => gap(bar.close, &self.middle),
            F::EmaGap200 => gap(bar.close, &self.long),
            F::EmaRatio12x26 => gap(value(&self.fast), &self.slow),
            F::MacdLine => ratio(self.macd(), self.atr()),
            F::MacdSignal => ratio(value(&self.signal), self.atr()),
            F::MacdHistogram => ratio(self.macd() - value(&self.signal), self.atr()),
            F::BollingerZ20 => self.closes.as_ref().map_or(0.0, |window| window.z(bar.close)),
            F::StochasticK14 => self.stochastic.as_ref().map_or(0.0, |channel| channel.position(bar.close)),
            F::DonchianPosition20 => self.donchian.as_ref().map_or(0.0, |donchian| donchian.position),
            F::Adx14 => self.directional.as_ref().map_or(0.0, Directional::adx) / 100.0,
            F::DiDifference14 => self.directional.as_ref().map_or(0.0, |d| (d.plus() - d.minus()) / 100.0),
            F::VolumeZ20 => self.volumes.as_ref().map_or(0.0, |window| window.z(bar.volume)),
            F::ObvChange10 => self.obv_change(),
            F::RangeAtr => ratio(bar.high - bar.low, self.atr()),
            F::RelativeReturn => self.log_return(1) - context.index_return,
            F::Breadth => context.breadth,
            F::IndexReturn => context.index_return,
            F::Dispersion => context.dispersion,
            F::ClosePosition | F::BodyRatio | F::UpperWick | F::LowerWick => shape(id, bar),
            F::DaySin => self.calendar.map_or(0.0, |calendar| calendar.day.0),
            F::DayCos => self.calendar.map_or(0.0, |calendar| calendar.day.1),
            F::WeekSin => self.calendar.map_or(0.0, |calendar| calendar.week.0),
            F::WeekCos => self.calendar.map_or(0.0, |calendar| calendar.week.1),
        }
    }

    fn log_return(&self, bars: usize) -> f64 {
        self.log_closes.as_ref().map_or(0.0, |closes| closes.change(bars))
    }

    fn atr(&self) -> f64 {
        self.atr.as_ref().map_or(0.0, Atr::value)
    }

    fn macd(&self) -> f64 {
        value(&self.fast) - value(&self.slow)
    }

    fn obv_change(&self) -> f64 {
        let change = self.obv.as_ref().map_or(0.0, |obv| obv.steps.mean() * f64::from(length::OBV));
        ratio(change, mean(&self.volumes))
    }
}

fn value(ema: &Option<Ema>) -> f64 {
    ema.as_ref().map_or(0.0, Ema::value)
}

fn mean(window: &Option<Window>) -> f64 {
    window.as_ref().map_or(0.0, Window::mean)
}

fn gap(price: f64, ema: &Option<Ema>) -> f64 {
    let base = value(ema);
    if base > 0.0 { price / base - 1.0 } else { 0.0 }
}

/// The form of one bar, in shares of its range.
fn shape(id: FeatureId, bar: &Bar) -> f64 {
    let range = bar.high - bar.low;
    if range <= 0.0 {
        return if id == FeatureId::ClosePosition { 0.5 } else { 0.0 };
    }
    let part = match id {
        FeatureId::ClosePosition => bar.close - bar.low,
        FeatureId::BodyRatio => bar.close - bar.open,
        FeatureId::UpperWick => bar.high - bar.open.max(bar.close),
        _ => bar.open.min(bar.close) - bar.low,
    };
    part / range
}
