//! Durations as text: whole milliseconds and decimal seconds, in exact arithmetic.
//! It does not know which field a text came from.

use crate::event::MAX_DURATION_MS;

use super::timestamp::parse_whole;

/// Milliseconds from 0 to 24 hours; anything else is `None`.
#[must_use]
pub(super) fn milliseconds(number: i64) -> Option<i64> {
    (0..=MAX_DURATION_MS).contains(&number).then_some(number)
}

/// Whole milliseconds as text.
#[must_use]
pub(super) fn parse_milliseconds(text: &str) -> Option<i64> {
    parse_whole(text).and_then(milliseconds)
}

/// Decimal seconds as text (`-?digits[.digits][e±digits]`), rounded half up to milliseconds.
///
/// Exact for any number of digits: `1.0005` is 1001 ms, `1.00049999999999999999` is 1000 ms.
#[must_use]
pub(super) fn parse_seconds(text: &str) -> Option<i64> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let are_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let leading_zeros = whole.bytes().chain(fraction.bytes()).take_while(|b| *b == b'0').count();
    let digit_count = whole.len() + fraction.len();
    if leading_zeros == digit_count {
        return Some(0);
    }
    if negative {
        return None;
    }
    // How many of the digits after the leading zeros stand before the point, in milliseconds.
    let places = i128::from(exponent) + 3 + length(whole) - i128::try_from(leading_zeros).ok()?;
    if places > 9 {
        return None;
    }
    let mut digits = whole.bytes().chain(fraction.bytes()).skip(leading_zeros).map(|b| i64::from(b - b'0'));
    let mut ms = 0;
    for _ in 0..places.max(0) {
        ms = ms * 10 + digits.next().unwrap_or(0);
    }
    // The first digit after the point decides; if zeros stand before it, it is below a half.
    if places >= 0 && digits.next().is_some_and(|digit| digit >= 5) {
        ms += 1;
    }
    milliseconds(ms)
}

// Exponents beyond 64 bits are cut: no text is long enough for them to matter.
fn parse_exponent(text: &str) -> Option<i64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let size = unsigned.parse::<i64>().unwrap_or(i64::MAX);
    Some(if text.starts_with('-') { -size } else { size })
}

fn length(text: &str) -> i128 {
    i128::try_from(text.len()).unwrap_or(i128::MAX / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse_seconds(text), expected, "{text}");
    }

    #[test]
    fn seconds_round_half_up_to_milliseconds() {
        check("0", Some(0));
        check("-0", Some(0));
        check("-0.000e9", Some(0));
        check("1", Some(1_000));
        check("1.5", Some(1_500));
        check("1.0005", Some(1_001));
        check("1.00049999999999999999999999", Some(1_000));
        check("0.0005", Some(1));
        check("0.00049", Some(0));
        check("0.0000000005e6", Some(1));
        check("5e-4", Some(1));
        check("5E-5", Some(0));
        check("1.5e3", Some(1_500_000));
        check("1.5E+3", Some(1_500_000));
        check("00012.25", Some(12_250));
        check(".5", Some(500));
        check("5.", Some(5_000));
        check("0e99999999999999999999", Some(0));
        check("1e-99999999999999999999", Some(0));
        check("86400", Some(86_400_000));
        check("86400.0004999", Some(86_400_000));
        check("864e2", Some(86_400_000));
    }

    #[test]
    fn seconds_that_are_none() {
        for text in [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "-1",
            "-0.0001",
            "-1e-30",
            "86400.0005",
            "86401",
            "1e99999999999999999999",
            "1,5",
            " 1",
            "1 ",
            "+1",
            "1.2.3",
            "1e1.5",
            "NaN",
            "inf",
            "0x10",
            "1_000",
            "\u{661}",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn milliseconds_end_at_a_day() {
        assert_eq!(parse_milliseconds("86400000"), Some(86_400_000));
        assert_eq!(parse_milliseconds("-0"), Some(0));
        for text in ["86400001", "-1", "1.0", "1e3", "99999999999999999999"] {
            assert_eq!(parse_milliseconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn integer_arithmetic_agrees(tenth_us in 0_i64..900_000_000_000, zeros in 0_usize..12) {
            let ms = (tenth_us + 5_000) / 10_000;
            let text = format!("{tenth_us}{}e-{}", "0".repeat(zeros), 7 + zeros);
            prop_assert_eq!(parse_seconds(&text), milliseconds(ms));
            let plain = format!("{}.{:07}", tenth_us / 10_000_000, tenth_us % 10_000_000);
            prop_assert_eq!(parse_seconds(&plain), milliseconds(ms));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,40}") {
            let _ = parse_seconds(&text);
        }
    }
}
