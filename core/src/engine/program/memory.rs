//! What a program remembers of the bars before.

use serde::{Deserialize, Serialize};

use super::code::{NOWHERE, Values, Wire};
use crate::domain::{Bar, Ts};
use crate::features::indicators::{Adx, Atr, Ema, Rsi, SlidingMax, Window};
use crate::regime::Classifier;

/// All of it: what a snapshot holds of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Memories {
    /// Bars taken.
    pub(super) seen: u32,
    /// Whether all that is required of bars is warm. It stays so.
    pub(super) is_warm: bool,
    pub(super) bar: Box<[Memory]>,
    pub(super) late: Box<[Memory]>,
    pub(super) regime: Option<Classifier>,
}

/// The memory of one wire.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Memory {
    /// None.
    Plain,
    Ema(Ema),
    /// Mean, deviation and distance from the mean.
    Window(Window),
    Highest(SlidingMax),
    /// Of the negated values.
    Lowest(SlidingMax),
    /// The value so long ago, and the change since.
    Delay(Delay),
    Rsi(Box<Rsi>),
    Atr(Atr),
    Adx(Box<Adx>),
    /// Above and below.
    Cross(Cross),
}

/// The last values, oldest first from `at` on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Delay {
    ring: Box<[f64]>,
    at: usize,
    is_full: bool,
}

/// How two values stood at the last two bars.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Cross {
    before: u8,
    now: u8,
}

/// The one was not known, or the other, or their difference is not finite; then under, equal and over follow.
const UNKNOWN_STANDING: u8 = 0;

impl Cross {
    #[inline(always)]
    fn update(&mut self, a: f64, b: f64) {
        let apart = a - b;
        let standing = 1 + u8::from(apart >= 0.0) + u8::from(apart > 0.0);
        self.before = self.now;
        self.now = if apart.is_finite() { standing } else { UNKNOWN_STANDING };
    }

    const fn is_known(self) -> bool {
        self.before != UNKNOWN_STANDING && self.now != UNKNOWN_STANDING
    }

    /// Whether the one was at or under the other before and is over it now; NaN where that is not known.
    #[inline(always)]
    fn above(self) -> f64 {
        known(&ABOVE, self)
    }

    /// Whether the one was at or over the other before and is under it now; NaN where that is not known.
    #[inline(always)]
    fn below(self) -> f64 {
        known(&BELOW, self)
    }
}

const NAN: f64 = f64::NAN;
/// By how it stood before, then by how it stands now.
static ABOVE: [[f64; 4]; 4] = [[NAN; 4], [NAN, 0.0, 0.0, 1.0], [NAN, 0.0, 0.0, 1.0], [NAN, 0.0, 0.0, 0.0]];
static BELOW: [[f64; 4]; 4] = [[NAN; 4], [NAN, 0.0, 0.0, 0.0], [NAN, 1.0, 0.0, 0.0], [NAN, 1.0, 0.0, 0.0]];

/// Numbers are looked up instead of told apart: a cross comes by surprise, and a branch that is guessed wrong costs more
/// than all else here.
#[inline(always)]
fn known(table: &[[f64; 4]; 4], Cross { before, now }: Cross) -> f64 {
    table[usize::from(before & 3)][usize::from(now & 3)]
}

impl Memories {
    /// Whether both are of the same plan.
    pub(super) fn are_like(&self, other: &Self) -> bool {
        let alike = |a: &[Memory], b: &[Memory]| {
            let same = |(a, b): (&Memory, &Memory)| std::mem::discriminant(a) == std::mem::discriminant(b);
            a.len() == b.len() && a.iter().zip(b).all(same)
        };
        alike(&self.bar, &other.bar)
            && alike(&self.late, &other.late)
            && self.regime.is_some() == other.regime.is_some()
    }
}

impl Delay {
    pub(super) fn new(bars: u32) -> Self {
        Self { ring: vec![0.0; bars.max(1) as usize].into_boxed_slice(), at: 0, is_full: false }
    }

    /// Takes the next value and gives the one so many before it; NaN while there is none.
    fn update(&mut self, x: f64) -> f64 {
        let Some(place) = self.ring.get_mut(self.at) else { return f64::NAN };
        let old = std::mem::replace(place, x);
        let known = self.is_full;
        self.at += 1;
        if self.at == self.ring.len() {
            (self.at, self.is_full) = (0, true);
        }
        if known { old } else { f64::NAN }
    }
}

impl Values {
    /// Writes the `nth` answer of a wire.
    #[inline(always)]
    fn put(&mut self, wire: &Wire, nth: usize, is_warm: bool, x: f64) {
        let (Some(out), Some(early)) = (wire.out.get(nth), wire.early.get(nth)) else { return };
        self.set(*out, if is_warm { x } else { f64::NAN });
        if *early != NOWHERE {
            self.set(*early, x);
        }
    }
}

impl Wire {
    fn wants(&self, nth: usize) -> bool {
        self.out.get(nth).is_some_and(|slot| *slot != NOWHERE)
    }
}

impl Memory {
    /// Takes the values of this bar. One that is not finite is left out of averages, extremes and indices, which then
    /// stay as they were.
    #[inline(always)]
    pub(super) fn step(&mut self, wire: &Wire, values: &mut Values) {
        let x = values.get(wire.a);
        match self {
            Self::Plain => {
                let [out, ..] = wire.out;
                values.set(out, wire.op.of(x, values.get(wire.b), values.closed));
            }
            Self::Ema(ema) => {
                if x.is_finite() {
                    ema.update(x);
                }
                values.put(wire, 0, ema.is_warm(), ema.value());
            }
            Self::Cross(cross) => {
                cross.update(x, values.get(wire.b));
                let [above, below, _] = wire.out;
                values.set(above, cross.above());
                values.set(below, cross.below());
            }
            Self::Atr(atr) => {
                atr.update(&bar_of(values));
                values.put(wire, 0, atr.is_warm(), atr.value());
            }
            _ => self.step_further(x, wire, values),
        }
    }

    /// The less common ones.
    #[inline(never)]
    fn step_further(&mut self, x: f64, wire: &Wire, values: &mut Values) {
        match self {
            Self::Plain | Self::Ema(_) | Self::Cross(_) | Self::Atr(_) => {}
            Self::Window(window) => spread(window, x, wire, values),
            Self::Highest(max) => {
                if x.is_finite() {
                    max.update(x);
                }
                values.put(wire, 0, max.is_full(), max.value());
            }
            Self::Lowest(max) => {
                if x.is_finite() {
                    max.update(-x);
                }
                values.put(wire, 0, max.is_full(), -max.value());
            }
            Self::Delay(delay) => {
                let old = delay.update(x);
                values.put(wire, 0, true, old);
                values.put(wire, 1, true, x - old);
            }
            Self::Rsi(rsi) => {
                if x.is_finite() {
                    rsi.update(x);
                }
                values.put(wire, 0, rsi.is_warm(), rsi.value());
            }
            Self::Adx(adx) => {
                adx.update(&bar_of(values));
                values.put(wire, 0, adx.is_warm(), adx.value());
            }
        }
    }

    /// Whether it gives what it is asked for.
    pub(super) fn is_warm(&self) -> bool {
        match self {
            Self::Plain => true,
            Self::Ema(ema) => ema.is_warm(),
            Self::Window(window) => window.is_full(),
            Self::Highest(max) | Self::Lowest(max) => max.is_full(),
            Self::Delay(delay) => delay.is_full,
            Self::Rsi(rsi) => rsi.is_warm(),
            Self::Atr(atr) => atr.is_warm(),
            Self::Adx(adx) => adx.is_warm(),
            Self::Cross(cross) => cross.is_known(),
        }
    }
}

fn spread(window: &mut Window, x: f64, wire: &Wire, values: &mut Values) {
    if x.is_finite() {
        window.update(x);
    }
    let is_warm = window.is_full();
    values.put(wire, 0, is_warm, window.mean());
    if wire.wants(1) {
        values.put(wire, 1, is_warm, window.deviation());
    }
    if wire.wants(2) {
        values.put(wire, 2, is_warm && x.is_finite(), window.z(x));
    }
}

fn bar_of(values: &Values) -> Bar {
    let [open, high, low, close, volume] = values.bar();
    Bar { open_ts: Ts::EPOCH, open, high, low, close, volume }
}
