//! Decimals, quick where they are short: what prices, quantities and sums nearly always are.

use std::cmp::Ordering;

use rust_decimal::Decimal;

/// A decimal of 64 bits at most, which is what prices, quantities and sums nearly always are: digits and scale, without the
/// sign. `None` for longer ones.
#[inline]
pub(crate) const fn short(value: Decimal) -> Option<(u64, u32)> {
    let parts = value.unpack();
    if parts.hi == 0 { Some((((parts.mid as u64) << 32) | parts.lo as u64, parts.scale)) } else { None }
}

/// The decimal of these digits, scale (28 at most) and sign.
#[expect(clippy::cast_possible_truncation, reason = "the halves of a number of 64 bits")]
#[inline]
pub(super) const fn of_short(digits: u64, scale: u32, negative: bool) -> Decimal {
    Decimal::from_parts(digits as u32, (digits >> 32) as u32, 0, negative, scale)
}

/// [`Decimal::checked_add`], at once for short numbers whose sum is one.
#[inline]
pub(crate) fn plus(a: Decimal, b: Decimal) -> Option<Decimal> {
    match quick_sum(a, b) {
        None => a.checked_add(b),
        sum => sum,
    }
}

#[inline]
fn quick_sum(a: Decimal, b: Decimal) -> Option<Decimal> {
    let ((mut left, scale), (mut right, other)) = (short(a)?, short(b)?);
    if scale < other {
        left = left.checked_mul(*TENS.get((other - scale) as usize)?)?;
    } else if other < scale {
        right = right.checked_mul(*TENS.get((scale - other) as usize)?)?;
    }
    let (negative, rest) = (a.is_sign_negative(), b.is_sign_negative());
    let (digits, negative) = match left.checked_sub(right) {
        _ if negative == rest => (left.checked_add(right)?, negative),
        Some(digits) => (digits, negative),
        None => (right - left, rest),
    };
    Some(of_short(digits, scale.max(other), negative))
}

/// [`Decimal::checked_mul`], at once for short numbers whose product is one.
#[inline]
pub(crate) fn times(a: Decimal, b: Decimal) -> Option<Decimal> {
    match quick_product(a, b) {
        None => a.checked_mul(b),
        product => product,
    }
}

#[inline]
fn quick_product(a: Decimal, b: Decimal) -> Option<Decimal> {
    let ((left, scale), (right, other)) = (short(a)?, short(b)?);
    let scale = (scale + other <= Decimal::MAX_SCALE).then_some(scale + other)?;
    Some(of_short(left.checked_mul(right)?, scale, a.is_sign_negative() != b.is_sign_negative()))
}

/// Powers of ten by which short numbers are brought to one scale.
const TENS: [u64; 13] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
];

/// [`Decimal::cmp`], at once for short numbers of one scale and no sign.
#[inline]
pub(crate) fn compare(a: Decimal, b: Decimal) -> Ordering {
    match (short(a), short(b)) {
        (Some((left, scale)), Some((right, other)))
            if scale == other && a.is_sign_positive() && b.is_sign_positive() =>
        {
            left.cmp(&right)
        }
        _ => a.cmp(&b),
    }
}

/// Without trailing zeros: [`Decimal::normalize`], which divides 96 bits by ten for each of them.
#[inline]
pub(crate) fn normal(value: Decimal) -> Decimal {
    let Some((mut digits, was)) = short(value) else { return value.normalize() };
    if digits == 0 {
        return Decimal::ZERO;
    }
    let mut scale = was;
    while scale >= 4 && digits.is_multiple_of(10_000) {
        (digits, scale) = (digits / 10_000, scale - 4);
    }
    while scale > 0 && digits.is_multiple_of(10) {
        (digits, scale) = (digits / 10, scale - 1);
    }
    if scale == was { value } else { of_short(digits, scale, value.is_sign_negative()) }
}

/// Whether the size of a decimal is at most that of a whole number.
#[inline]
pub(super) fn is_at_most(value: Decimal, most: Decimal, most_digits: u64) -> bool {
    match short(value) {
        // Digits behind the point only make it smaller.
        Some((digits, _)) if digits <= most_digits => true,
        _ => value.abs() <= most,
    }
}

/// A decimal as `f64`, for marks and reports.
#[inline]
pub fn decimal_to_f64(value: Decimal) -> f64 {
    // Mantissa and scale are exact in f64 up to 2^53; beyond that the nearest value is what a report wants.
    if let Some((digits, scale)) = short(value)
        && let Some(power) = POWERS.get(scale as usize)
    {
        let size = digits as f64 / power;
        return if value.is_sign_negative() && digits != 0 { -size } else { size };
    }
    let scale = i32::try_from(value.scale()).unwrap_or(0);
    value.mantissa() as f64 / 10_f64.powi(scale)
}

/// The quotient of two decimals as `f64`, as [`decimal_to_f64`] of their division gives it: at once where it has few digits,
/// as the mean price of a position mostly has. Zero where it cannot be.
pub(crate) fn quotient_to_f64(value: Decimal, by: Decimal) -> f64 {
    /// Digits that the quotient may have more than the dividend.
    const FURTHER: u32 = 4;
    let exact = || {
        let ((digits, scale), (by_digits, by_scale)) = (short(value)?, short(by)?);
        let digits = digits.checked_mul(10_u64.pow(FURTHER))?;
        // Exact in `f64`, and so however it is written.
        let quotient = digits.checked_div(by_digits).filter(|q| q * by_digits == digits && *q < 1 << 53)?;
        let power = POWERS.get((scale + FURTHER).checked_sub(by_scale)? as usize)?;
        let size = quotient as f64 / power;
        Some(if value.is_sign_negative() == by.is_sign_negative() || quotient == 0 { size } else { -size })
    };
    exact().unwrap_or_else(|| value.checked_div(by).map_or(0.0, decimal_to_f64))
}

/// The powers of ten that are exact in `f64`.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the size: short ways lead to the same sums and products, to the last digit.
        #[test]
        fn sums_and_products_are_those_of_decimals(
            a in any::<i64>(), b in any::<i64>(), cut in (0u32..60, 0u32..60), scales in (0u32..=28, 0u32..=28),
        ) {
            let (a, b) = (Decimal::new(a >> cut.0, scales.0), Decimal::new(b >> cut.1, scales.1));
            let bits = |x: Option<Decimal>| x.map(|x| x.normalize().serialize());
            prop_assert_eq!(bits(plus(a, b)), bits(a.checked_add(b)), "{} + {}", a, b);
            prop_assert_eq!(bits(times(a, b)), bits(a.checked_mul(b)), "{} * {}", a, b);
        }
    }
}
