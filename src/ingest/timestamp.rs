//! Timestamps as text: RFC 3339 and whole numbers since the epoch become microseconds since the epoch.
//! It does not know zones, days, or which instants are allowed.

use crate::settings::TimestampForm;

const SECOND_US: i64 = 1_000_000;

/// Reads `YYYY-MM-DDTHH:MM:SS[.digits](Z|±HH:MM)`; `t`, `z` and a space for the `T` are allowed, as RFC 3339 has it.
/// Digits beyond the microsecond are cut. A leap second (`:60`) is none.
#[must_use]
pub(super) fn parse_rfc3339(text: &str) -> Option<i64> {
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        mo1,
        mo2,
        b'-',
        d1,
        d2,
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        mi1,
        mi2,
        b':',
        s1,
        s2,
        ref rest @ ..,
    ] = text.as_bytes()
    else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(mo1, mo2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(mi1, mi2)?, two(s1, s2)?);
    let is_date = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_us, rest) = match rest {
        [b'.', digits @ ..] => fraction(digits)?,
        _ => (0, rest),
    };
    let offset_seconds = match *rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = (hours * 60 + minutes) * 60;
            if sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = ((days_from_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - offset_seconds;
    Some(seconds * SECOND_US + fraction_us)
}

/// The microseconds of a whole number since the epoch; `None` beyond 64 bits, and for RFC 3339, which is no number.
#[must_use]
pub(super) fn epoch_us(number: i64, form: TimestampForm) -> Option<i64> {
    match form {
        TimestampForm::Rfc3339 => None,
        TimestampForm::S => number.checked_mul(SECOND_US),
        TimestampForm::Ms => number.checked_mul(1_000),
        TimestampForm::Us => Some(number),
    }
}

/// Reads digits with an optional `-` before them, and nothing else.
#[must_use]
pub(super) fn parse_whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if is_whole { text.parse().ok() } else { None }
}

// The microseconds of the digits that the text begins with, and what follows them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let length = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    let mut us = 0;
    for place in 0..6 {
        us = us * 10 + digits.get(place).map_or(0, |b| i64::from(b - b'0'));
    }
    Some((us, rest))
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens * 10 + ones))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Howard Hinnant's `days_from_civil`: years begin in March, so that the leap day is the last of its year.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse_rfc3339(text), expected, "{text}");
    }

    #[test]
    fn rfc3339_is_read_to_the_microsecond() {
        check("1970-01-01T00:00:00Z", Some(0));
        check("1970-01-01t00:00:00z", Some(0));
        check("1970-01-01 00:00:00Z", Some(0));
        check("1970-01-01T01:00:00+01:00", Some(0));
        check("1969-12-31T19:30:00-04:30", Some(0));
        check("1970-01-01T00:00:00-00:00", Some(0));
        check("1970-01-01T00:00:00.1Z", Some(100_000));
        check("1970-01-01T00:00:00.123456999999Z", Some(123_456));
        check("1969-12-31T23:59:59.9999999Z", Some(-1));
        check("2024-02-29T23:59:59+23:59", Some(1_709_164_859_000_000));
        check("0000-01-01T00:00:00Z", Some(-62_167_219_200_000_000));
        check("9999-12-31T23:59:59.999999Z", Some(253_402_300_799_999_999));
    }

    #[test]
    fn what_is_not_rfc3339_is_refused() {
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00,5Z",
            "2024-01-01T00:00:00+24:00",
            "2024-01-01T00:00:00+01:60",
            "2024-01-01T00:00:00+0100",
            "2024-01-01T00:00:00+01",
            "2024-01-01T00:00:00ZZ",
            "2024-01-01T00:00:00Z ",
            " 2024-01-01T00:00:00Z",
            "2024-01-01_00:00:00Z",
            "2O24-01-01T00:00:00Z",
            "+2024-01-01T00:00:00Z",
            "2024-01-01T00:00:00\u{2212}01:00",
            "1704067200",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn every_day_of_400_years_is_chronos_day() {
        let mut date = NaiveDate::from_ymd_opt(1800, 1, 1).expect("a date");
        while let Some(next) = date.succ_opt().filter(|d| *d < NaiveDate::from_ymd_opt(2200, 1, 1).expect("a date")) {
            date = next;
            let text = format!("{date}T12:34:56Z");
            let expected = DateTime::parse_from_rfc3339(&text).expect("an instant").timestamp_micros();
            check(&text, Some(expected));
        }
    }

    proptest! {
        #[test]
        fn chrono_agrees_on_anything_shaped_alike(
            text in "[0-2][0-9]{3}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?(Z|z|[+-][0-2][0-9]:[0-6][0-9])"
        ) {
            // Chrono takes second 60, which is refused here.
            let expected = DateTime::parse_from_rfc3339(&text).ok()
                .filter(|_| text.get(17..19) != Some("60"))
                .map(|at| at.timestamp_micros());
            prop_assert_eq!(parse_rfc3339(&text), expected, "{}", text);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse_rfc3339(&text);
            let _ = parse_whole(&text);
        }
    }

    #[test]
    fn whole_numbers_are_digits_with_at_most_a_minus() {
        assert_eq!(parse_whole("0012"), Some(12));
        assert_eq!(parse_whole("-12"), Some(-12));
        assert_eq!(parse_whole("-9223372036854775808"), Some(i64::MIN));
        for text in ["", "-", "+1", "1.0", "1e3", " 1", "1 ", "9223372036854775808", "--1"] {
            assert_eq!(parse_whole(text), None, "{text}");
        }
    }

    #[test]
    fn epoch_numbers_that_do_not_fit_are_none() {
        assert_eq!(epoch_us(2, TimestampForm::S), Some(2_000_000));
        assert_eq!(epoch_us(-2, TimestampForm::Ms), Some(-2_000));
        assert_eq!(epoch_us(i64::MAX, TimestampForm::Us), Some(i64::MAX));
        assert_eq!(epoch_us(i64::MAX, TimestampForm::Ms), None);
        assert_eq!(epoch_us(i64::MIN, TimestampForm::S), None);
        assert_eq!(epoch_us(0, TimestampForm::Rfc3339), None);
    }
}
