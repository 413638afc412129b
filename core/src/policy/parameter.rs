//! What of a strategy may be set from outside.

use super::error::{Fault, quoted};
use super::tree::Scalar;

/// Figures of parameters, either way from zero.
const FIGURE_MAX: f64 = 1e12;
/// How far from a step rounding may lead, in steps.
const STEP_TOLERANCE: f64 = 1e-6;

/// A number of a strategy that may be set: `levibot backtest --set fast=10`, or a sweep over its range.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// As expressions call it.
    pub name: String,
    /// Where it stands unless it is set.
    pub default: f64,
    /// Where it stands.
    pub value: f64,
    /// The least it may be.
    pub min: f64,
    /// The most it may be.
    pub max: f64,
    /// Distance of the values that it may take, counted from `min`; `None`: any, or any whole one.
    pub step: Option<f64>,
    /// Whether it is a whole number: no figure of it is written with a point.
    pub whole: bool,
}

impl Parameter {
    /// Whether it may be set to this; else reason and remedy.
    ///
    /// # Errors
    /// When the value is not finite, out of range, not whole, or between two steps.
    pub fn check(&self, value: f64) -> Result<(), (String, String)> {
        let Self { name, min, max, step, whole, .. } = self;
        if !(value >= *min && value <= *max) {
            return Err((format!("{value} is out of range"), format!("`{name}` goes from {min} to {max}")));
        }
        if *whole && value.fract() != 0.0 {
            return Err((format!("{value} is not whole"), format!("`{name}` is a whole number")));
        }
        if let Some(step) = step {
            let steps = (value - min) / step;
            if (steps - steps.round()).abs() > STEP_TOLERANCE {
                let nearest = (min + steps.round() * step).min(*max);
                let remedy = format!("`{name}` goes from {min} in steps of {step}: {nearest} is the nearest");
                return Err((format!("{value} is between two steps"), remedy));
            }
        }
        Ok(())
    }
}

/// A figure, and whether it is written as a whole number.
pub(super) fn figure(scalar: &Scalar) -> Result<(f64, bool), Fault> {
    let text = scalar.text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    match text.parse::<f64>() {
        Ok(x) if plain && x.abs() <= FIGURE_MAX => Ok((x, digits.chars().all(|c| c.is_ascii_digit()))),
        _ => {
            let reason = format!("{} is no figure", quoted(text));
            Err(Fault::new(scalar.at.clone(), reason, "write a number such as 12 or 0.5, up to 1e12 either way"))
        }
    }
}
