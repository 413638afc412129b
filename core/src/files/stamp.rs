//! Times as files write them.

use crate::domain::Ts;

/// Reads epoch numbers and whatever [`Ts`] reads.
///
/// An epoch number is in seconds, milliseconds, microseconds or nanoseconds by its size. The four ranges do not meet
/// for instants from March 1973 on; a smaller number is not taken for one.
pub(super) fn parse(field: &[u8]) -> Option<Ts> {
    let field = field.trim_ascii();
    epoch(field).or_else(|| iso(field)).or_else(|| std::str::from_utf8(field).ok()?.parse().ok())
}

fn epoch(field: &[u8]) -> Option<Ts> {
    if !(9..=19).contains(&field.len()) {
        return None;
    }
    let mut value = 0_i64;
    for byte in field {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    let nanos_per_unit = match value {
        i64::MIN..100_000_000 => return None,
        100_000_000..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        100_000_000_000_000_000.. => 1,
    };
    value.checked_mul(nanos_per_unit).map(Ts::from_nanos)
}

/// `YYYY-MM-DD`, alone or with `HH:MM:SS` and then nothing, `Z` or an offset: the stamps of nearly all files, about ten
/// times as fast as the general parser, to which everything else is left.
fn iso(field: &[u8]) -> Option<Ts> {
    let (date, rest) = field.split_at_checked(10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (two(date, 0)? * 100 + two(date, 2)?, two(date, 5)?, two(date, 8)?);
    // Inside the range of `Ts` whatever the time of day.
    if !(1_700..=2_250).contains(&year) || !(1..=12).contains(&month) || !(1..=month_days(year, month)).contains(&day) {
        return None;
    }
    let midnight = days_since_epoch(year, month, day) * 86_400;
    if rest.is_empty() {
        return Some(Ts::from_secs(midnight));
    }
    let (time, zone) = rest.split_at_checked(9)?;
    if !matches!(time[0], b' ' | b'T') || time[3] != b':' || time[6] != b':' {
        return None;
    }
    let (hour, minute, second) = (two(time, 1)?, two(time, 4)?, two(time, 7)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(Ts::from_secs(midnight + hour * 3_600 + minute * 60 + second - offset(zone)?))
}

/// Seconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let sign = match (zone, zone.first()) {
        ([] | [b'Z'], _) => return Some(0),
        ([_, _, _, b':', _, _], Some(b'+')) => 1,
        ([_, _, _, b':', _, _], Some(b'-')) => -1,
        _ => return None,
    };
    let (hours, minutes) = (two(zone, 1)?, two(zone, 4)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text[at], text[at + 1]);
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

fn month_days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar, counted in years that begin in March so that the leap day comes
/// last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn general(text: &str) -> Option<Ts> {
        text.parse().ok()
    }

    #[test]
    fn epoch_numbers_are_read_by_their_size() {
        let ts = Ts::from_secs(1_675_209_600);
        for text in ["1675209600", "1675209600000", "1675209600000000", "1675209600000000000", " 1675209600000 "] {
            assert_eq!(parse(text.as_bytes()), Some(ts), "{text}");
        }
        for text in ["", "0", "12345678", "-1675209600", "99999999999999999999", "1675209600.5", "N/A"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"20230201"), Some(ts), "eight digits are a date");
    }

    #[test]
    fn what_the_quick_way_refuses_is_left_to_the_general_one() {
        for text in ["2023-02-01T00:00:00.5Z", "2023-02-01T00:00Z", "2023-02-01 00:00", "2023-02-01T03:00:00+03"] {
            assert_eq!(iso(text.as_bytes()), None, "{text}");
            assert_eq!(parse(text.as_bytes()), general(text), "{text}");
            assert!(general(text).is_some(), "{text}");
        }
        for text in ["2023-02-29", "2023-13-01", "2023-02-01 24:00:00", "2023/02/01", "2023-02-01 00:00:00 MSK"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_agrees_with_the_general_one(
            (year, month, day) in (1_690_i64..2_260, 0_i64..14, 0_i64..33),
            (hour, minute, second) in (0_i64..25, 0_i64..61, 0_i64..61),
            zone in prop_oneof![Just(String::new()), Just("Z".to_owned()), "[+-][0-2][0-9]:[0-5][0-9]"],
            between in prop_oneof![Just(' '), Just('T')],
        ) {
            let date = format!("{year:04}-{month:02}-{day:02}");
            let stamp = format!("{date}{between}{hour:02}:{minute:02}:{second:02}{zone}");
            for text in [date, stamp] {
                if let Some(ts) = iso(text.as_bytes()) {
                    prop_assert_eq!(general(&text), Some(ts), "{}", text);
                }
            }
        }
    }
}
