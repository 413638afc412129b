//! Prices and volumes as files write them.

/// Powers of ten that `f64` holds exactly.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// With so many digits a whole number is under 2^53, and exact.
const DIGITS_MAX: usize = 15;

/// Reads whatever [`f64`] reads, to the same bit.
pub(super) fn parse(field: &[u8]) -> Option<f64> {
    let field = field.trim_ascii();
    plain(field).or_else(|| std::str::from_utf8(field).ok()?.parse().ok())
}

/// Digits with at most one point: nearly all fields, some three times as fast as the general parser, to which everything else
/// is left. Both parts of the one division are exact, so that its result is the nearest number (Clinger 1990).
fn plain(field: &[u8]) -> Option<f64> {
    if field.len() > DIGITS_MAX + 1 {
        return None;
    }
    let (mut digits, mut point, mut count) = (0_u64, None, 0_usize);
    for byte in field {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                count += 1;
            }
            b'.' if point.is_none() => point = Some(count),
            _ => return None,
        }
    }
    if count == 0 || count > DIGITS_MAX {
        return None;
    }
    let decimals = point.map_or(0, |point| count - point);
    Some(digits as f64 / TENS.get(decimals)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn general(text: &str) -> Option<u64> {
        text.trim_ascii().parse::<f64>().ok().map(f64::to_bits)
    }

    #[test]
    fn unusual_numbers_are_those_of_the_general_parser() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "0",
            "-0",
            "-1.5",
            "+2",
            "1e3",
            "1E-7",
            "nan",
            "inf",
            "1.2.3",
            "1,5",
            "0x10",
            " 7.25 ",
            "123456789012345",
            "1234567890123456",
            "0.000000000000001",
            "12345678901234.5",
            "99999999999999.9",
            "１",
        ] {
            assert_eq!(parse(text.as_bytes()).map(f64::to_bits), general(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_decimal_is_that_of_the_general_parser(whole in 0_u64..1_000_000_000_000, part: u64, places in 0_usize..18) {
            let part = format!("{part:020}");
            let text = format!("{whole}.{}", &part[..places]);
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), general(&text));
        }

        #[test]
        fn every_float_is_read_back(value: f64) {
            prop_assert_eq!(parse(value.to_string().as_bytes()).map(f64::to_bits), general(&value.to_string()));
        }

        #[test]
        fn any_text_is_read_as_the_general_parser_reads_it(text in "[0-9.eE+ -]{0,20}") {
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), general(&text));
        }
    }
}
