//! Draws, and volatility that remembers.

use std::f64::consts::TAU;

use crate::domain::hash::{hash64, unit_draw};

/// Numbers set aside for each step of a stream, so that what one step uses does not shift the next.
const DRAWS_PER_STEP: u64 = 8;
/// Degrees of freedom of the fat-tailed draw: the fewest whole number at which its fourth moment exists.
const STUDENT_FREEDOM: f64 = 5.0;
/// The fat-tailed draw ends at this many standard deviations: what is larger is the business of jumps.
const STUDENT_MAX: f64 = 12.0;
/// Hours in which half of a shock to volatility is forgotten. Turmoil of one day is still felt on the next.
const MEMORY_HOURS: f64 = 12.0;
/// How volatile volatility is, 0 to 1 (not included): the relative variance of the variance is `c² / (1 - c²)`, here
/// 0.56, which alone brings the kurtosis of returns from 3 to 4.7.
const CLUSTERING: f64 = 0.6;
/// Variance is kept under this many times its mean, so that no accident of the recursion lasts.
const VARIANCE_MAX: f64 = 50.0;

/// An endless table of draws: each a pure function of seed, name, step and slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    key: u64,
}

impl Stream {
    pub(super) fn new(seed: u64, kind: &str, name: &str) -> Self {
        Self { key: hash64(&[b"simulator", &seed.to_le_bytes(), kind.as_bytes(), name.as_bytes()]) }
    }

    /// Uniform in `[0, 1)`; `slot` is 0 to 7.
    pub(super) fn unit(self, step: u64, slot: u64) -> f64 {
        debug_assert!(slot < DRAWS_PER_STEP);
        unit_draw(self.key, step.wrapping_mul(DRAWS_PER_STEP).wrapping_add(slot))
    }

    /// Standard normal (Box and Muller 1958), from `slot` and the one after.
    pub(super) fn normal(self, step: u64, slot: u64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit(step, slot)).ln()).sqrt();
        radius * (TAU * self.unit(step, slot + 1)).cos()
    }

    /// Student's t scaled to variance 1 (Bailey 1994), from `slot` and the one after.
    pub(super) fn student(self, step: u64, slot: u64) -> f64 {
        let n = STUDENT_FREEDOM;
        let u = 1.0 - self.unit(step, slot);
        let radius = (n * ((-2.0 / n * u.ln()).exp() - 1.0)).sqrt();
        let t = radius * (TAU * self.unit(step, slot + 1)).cos() * ((n - 2.0) / n).sqrt();
        t.clamp(-STUDENT_MAX, STUDENT_MAX)
    }
}

/// GARCH(1,1) with mean 1: `v' = (1 - a - b) + a v z² + b v` (Bollerslev 1986).
///
/// The coefficients follow from the length of a step, so that memory in hours and clustering stay the same whether the
/// walk steps by a second or by an hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Garch {
    news: f64,
    keep: f64,
    variance: f64,
}

impl Garch {
    /// `kurtosis` is that of the draws `z` fed to it: 3 for normal ones.
    pub(super) fn new(step_hours: f64, kurtosis: f64) -> Self {
        let persistence = (-std::f64::consts::LN_2 * step_hours / MEMORY_HOURS).exp();
        let news = CLUSTERING * ((1.0 - persistence * persistence) / (kurtosis - 1.0)).sqrt();
        let news = news.min(persistence);
        Self { news, keep: persistence - news, variance: 1.0 }
    }

    /// For draws of [`Stream::student`].
    pub(super) fn for_student(step_hours: f64) -> Self {
        Self::new(step_hours, 3.0 + 6.0 / (STUDENT_FREEDOM - 4.0))
    }

    /// The factor on volatility that now holds; 1 on average of its square.
    pub(super) fn volatility(&self) -> f64 {
        self.variance.sqrt()
    }

    /// Learns the draw that was just used.
    pub(super) fn learn(&mut self, z: f64) {
        let rest = 1.0 - self.news - self.keep;
        let next = rest + self.variance * (self.news * z * z + self.keep);
        self.variance = next.min(VARIANCE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(draw: impl Fn(u64) -> f64) -> (f64, f64, f64) {
        let n = 200_000_u32;
        let draws: Vec<f64> = (0..n).map(|step| draw(u64::from(step))).collect();
        let mean = |power: i32| draws.iter().map(|x| x.powi(power)).sum::<f64>() / f64::from(n);
        (mean(1), mean(2), mean(4) / mean(2).powi(2))
    }

    #[test]
    fn draws_have_the_moments_that_they_promise() {
        let stream = Stream::new(1, "test", "");
        let (mean, variance, kurtosis) = moments(|step| stream.normal(step, 0));
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02 && (kurtosis - 3.0).abs() < 0.1);
        let (mean, variance, kurtosis) = moments(|step| stream.student(step, 0));
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.03 && kurtosis > 5.0, "{variance} {kurtosis}");
    }

    #[test]
    fn streams_differ_by_seed_kind_and_name() {
        let first = |seed, kind, name| Stream::new(seed, kind, name).unit(0, 0).to_bits();
        let draws =
            [first(1, "a", "b"), first(2, "a", "b"), first(1, "b", "b"), first(1, "a", "c"), first(1, "ab", "")];
        assert!((0..draws.len()).all(|i| !draws[..i].contains(&draws[i])), "{draws:?}");
    }

    #[test]
    fn variance_stays_about_one_whatever_the_step() {
        let stream = Stream::new(3, "test", "");
        for step_hours in [1.0 / 720.0, 1.0 / 60.0, 1.0, 24.0] {
            let mut garch = Garch::new(step_hours, 3.0);
            let (n, mut sum) = (400_000_u32, 0.0);
            for step in 0..n {
                sum += garch.variance;
                garch.learn(stream.normal(u64::from(step), 0));
            }
            assert!((sum / f64::from(n) - 1.0).abs() < 0.25, "{step_hours} h: {}", sum / f64::from(n));
        }
    }
}
