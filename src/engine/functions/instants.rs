//! `local_instant`: an instant as text, as the clocks of a zone show it.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringBuilder, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Offset};
use chrono_tz::Tz;
use datafusion::error::{DataFusionError, Result};

use super::{argument, mistyped, text_of, texts};
use crate::period::{Day, format_day};

/// What instants are converted to.
pub(super) fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

const DAY_US: i64 = 86_400_000_000;

/// RFC 3339 with milliseconds and the offset of the zone; what is below a millisecond is cut.
pub(super) fn local_instants(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (instants, zones) = (instants(arguments, 0)?, texts(arguments, 1)?);
    let mut texts =
        StringBuilder::with_capacity(instants.len(), instants.len() * "2026-01-31T09:00:00.000+01:00".len());
    // Neighbours mostly share the zone and the day.
    let mut zone_before: Option<(&str, Tz)> = None;
    let mut day_before: Option<(Day, String)> = None;
    let mut text = String::new();
    for (row, instant) in instants.iter().enumerate() {
        let (Some(us), Some(name)) = (instant, text_of(zones, row)) else {
            texts.append_null();
            continue;
        };
        let zone = match zone_before {
            Some((before, zone)) if before == name => zone,
            _ => {
                let unknown = |_| DataFusionError::Execution(format!("'{name}' is no IANA time zone"));
                zone_before.insert((name, name.parse().map_err(unknown)?)).1
            }
        };
        let far = || DataFusionError::Execution(format!("{us} microseconds lead out of the calendar"));
        let utc = DateTime::from_timestamp_micros(us).ok_or_else(far)?;
        let offset = i64::from(utc.with_timezone(&zone).offset().fix().local_minus_utc());
        let local = us + offset * 1_000_000;
        let day = Day::try_from(local.div_euclid(DAY_US)).map_err(|_| far())?;
        if day_before.as_ref().is_none_or(|(before, _)| *before != day) {
            day_before = Some((day, format_day(day)));
        }
        text.clear();
        text.push_str(day_before.as_ref().map_or("", |(_, text)| text));
        let ms = local.rem_euclid(DAY_US) / 1_000;
        put(&mut text, 'T', ms / 3_600_000, 2);
        put(&mut text, ':', ms / 60_000 % 60, 2);
        put(&mut text, ':', ms / 1_000 % 60, 2);
        put(&mut text, '.', ms % 1_000, 3);
        // Long ago some offsets had seconds.
        let minutes = (offset.abs() + 30) / 60;
        put(&mut text, if offset < 0 { '-' } else { '+' }, minutes / 60, 2);
        put(&mut text, ':', minutes % 60, 2);
        texts.append_value(&text);
    }
    Ok(Arc::new(texts.finish()))
}

fn instants(arguments: &[ArrayRef], index: usize) -> Result<&TimestampMicrosecondArray> {
    argument(arguments, index)?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| mistyped(index))
}

// A sign and so many digits.
fn put(text: &mut String, sign: char, number: i64, digits: u32) {
    text.push(sign);
    for place in (0..digits).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, StringArray};

    use super::*;

    fn check(us: i64, zone: &str, expected: &str) {
        let instant = TimestampMicrosecondArray::from(vec![us]).with_timezone("UTC");
        let zone_of = StringArray::from(vec![zone]);
        let found = match local_instants(&[Arc::new(instant), Arc::new(zone_of)]) {
            Ok(texts) => texts.as_string::<i32>().value(0).to_owned(),
            Err(error) => error.strip_backtrace(),
        };
        assert!(found.contains(expected), "{us} {zone}: {found}");
    }

    #[test]
    fn an_instant_is_what_the_clocks_of_a_zone_show() {
        check(0, "UTC", "1970-01-01T00:00:00.000+00:00");
        check(-1, "UTC", "1969-12-31T23:59:59.999+00:00");
        check(1_772_445_600_123_999, "Europe/Berlin", "2026-03-02T11:00:00.123+01:00");
        check(1_784_678_400_000_000, "Europe/Berlin", "2026-07-22T02:00:00.000+02:00");
        check(1_772_445_600_000_000, "America/St_Johns", "2026-03-02T06:30:00.000-03:30");
        check(1_772_488_800_000_000, "Asia/Kathmandu", "2026-03-03T03:45:00.000+05:45");
        check(0, "Africa/Monrovia", "1969-12-31T23:15:30.000-00:45");
        check(0, "Mars/Olympus", "'Mars/Olympus' is no IANA time zone");
        check(i64::MAX, "UTC", "lead out of the calendar");
    }

    #[test]
    fn nothing_gives_nothing() {
        let instants = TimestampMicrosecondArray::from(vec![None, Some(0), None]).with_timezone("UTC");
        let zones = StringArray::from(vec![Some("UTC"), None, None]);
        let texts = local_instants(&[Arc::new(instants), Arc::new(zones)]).expect("texts");
        assert_eq!(texts.null_count(), 3);
    }
}
