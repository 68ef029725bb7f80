//! When people work: weekdays, weekends and holidays of regions, and the clock of the reporting zone.
//! It does not know organisations.

use chrono::{Datelike, Duration, NaiveDate, NaiveTime, Offset, TimeZone};
use chrono_tz::Tz;

use crate::period::{Day, date_of_day, day_of_date};

/// A day as the generator sees it: its hours in the reporting zone and who is off.
#[derive(Debug, Clone)]
pub(super) struct Date {
    /// The day.
    pub(super) day: Day,
    /// 0 = Monday.
    pub(super) weekday: u8,
    holidays: [bool; 6],
    starts_us: i64,
    ends_us: i64,
    // The offset from UTC at each hour of the wall clock, in seconds.
    offsets: [i32; 24],
}

/// The region whose weekend is Friday and Saturday.
const MIDDLE_EAST: u8 = 5;
// New Year's Day of the lunisolar calendar.
const SPRING_FESTIVALS: [(i32, u32, u32); 7] =
    [(2024, 2, 10), (2025, 1, 29), (2026, 2, 17), (2027, 2, 6), (2028, 1, 26), (2029, 2, 13), (2030, 2, 3)];

impl Date {
    /// A day of a zone.
    pub(super) fn new(zone: Tz, day: Day) -> Self {
        let date = date_of_day(day);
        let mut offsets = [0; 24];
        for (hour, offset) in (0_u32..).zip(&mut offsets) {
            *offset = offset_at(zone, date, hour);
        }
        let weekday = u8::try_from((day + 3).rem_euclid(7)).unwrap_or(0);
        Self {
            day,
            weekday,
            holidays: std::array::from_fn(|region| is_holiday(region, date)),
            starts_us: midnight_us(zone, day),
            ends_us: midnight_us(zone, day + 1),
            offsets,
        }
    }

    /// The instant of a time on the wall clock (ms since midnight) in microseconds since the epoch, and the offset from
    /// UTC in minutes. A time that the clock skips becomes a later one; the instant is always on this day.
    pub(super) fn instant(&self, local_ms: u32) -> (i64, i16) {
        let offset = self.offsets[(local_ms / 3_600_000).min(23) as usize];
        let local_us = i64::from(self.day) * 86_400_000_000 + i64::from(local_ms) * 1000;
        let us = (local_us - i64::from(offset) * 1_000_000).clamp(self.starts_us, self.ends_us - 1000);
        (us, i16::try_from(offset / 60).unwrap_or(0))
    }

    /// The share of usual presence, in thousandths, where a weekend is worth `weekend` thousandths of a weekday.
    pub(super) fn presence(&self, region: u8, weekend: u16) -> u32 {
        let off = if region == MIDDLE_EAST { matches!(self.weekday, 4 | 5) } else { self.weekday >= 5 };
        let usual = match self.weekday {
            _ if off => u32::from(weekend),
            0 => 960,
            4 => 920,
            _ => 1000,
        };
        if self.is_holiday(region) { usual.min(u32::from(weekend)) * 6 / 10 } else { usual }
    }

    /// Whether the region is off for a holiday.
    pub(super) fn is_holiday(&self, region: u8) -> bool {
        self.holidays.get(usize::from(region)).copied().unwrap_or(false)
    }

    /// Whether a region works: neither weekend nor holiday.
    pub(super) fn is_workday(&self, region: u8) -> bool {
        self.presence(region, 0) > 0
    }
}

// Where the clock skips the middle of the hour, the offset from before the change holds on.
fn offset_at(zone: Tz, date: NaiveDate, hour: u32) -> i32 {
    let Some(time) = NaiveTime::from_hms_opt(hour, 30, 0) else { return 0 };
    let local = date.and_time(time);
    let before = || zone.offset_from_local_datetime(&(local - Duration::hours(2))).earliest();
    let offset = zone.offset_from_local_datetime(&local).earliest().or_else(before);
    offset.map_or(0, |o| o.fix().local_minus_utc())
}

fn midnight_us(zone: Tz, day: Day) -> i64 {
    let local = date_of_day(day).and_time(NaiveTime::MIN);
    let before = || zone.offset_from_local_datetime(&(local - Duration::hours(2))).earliest();
    let offset = zone.offset_from_local_datetime(&local).earliest().or_else(before);
    local.and_utc().timestamp_micros() - offset.map_or(0, |o| i64::from(o.fix().local_minus_utc())) * 1_000_000
}

fn is_holiday(region: usize, date: NaiveDate) -> bool {
    let (month, day) = (date.month(), date.day());
    let from_easter = i64::from(day_of_date(date)) - easter(date.year());
    let new_year = (month, day) == (1, 1);
    match region {
        0 => {
            let spring = SPRING_FESTIVALS.iter().any(|&(year, month, day)| {
                NaiveDate::from_ymd_opt(year, month, day)
                    .is_some_and(|first| (-1..=5).contains(&(date - first).num_days()))
            });
            new_year || spring || (month == 5 && day <= 3) || (month == 10 && day <= 7)
        }
        1 => new_year || [-2, 1, 39, 50].contains(&from_easter) || [(5, 1), (12, 25), (12, 26)].contains(&(month, day)),
        2 => {
            let monday = date.weekday().num_days_from_monday() == 0;
            let memorial = month == 5 && monday && day > 24;
            let labor = month == 9 && monday && day <= 7;
            let thanksgiving = month == 11 && date.weekday().num_days_from_monday() == 3 && (22..29).contains(&day);
            new_year || memorial || labor || thanksgiving || [(7, 4), (12, 25)].contains(&(month, day))
        }
        3 => [(1, 26), (8, 15), (10, 2)].contains(&(month, day)),
        4 => new_year || [-48, -47, -2].contains(&from_easter) || [(5, 1), (9, 7), (12, 25)].contains(&(month, day)),
        _ => (month, day) == (12, 2),
    }
}

// The day number of Easter Sunday: the anonymous Gregorian algorithm (Meeus, "Astronomical Algorithms", chapter 8).
fn easter(year: i32) -> i64 {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - b / 4 - g + 15) % 30;
    let l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let n = h + l - 7 * m + 114;
    let month = u32::try_from(n / 31).unwrap_or(4);
    let day = u32::try_from(n % 31 + 1).unwrap_or(1);
    NaiveDate::from_ymd_opt(year, month, day).map_or(0, |date| i64::from(day_of_date(date)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::{format_day, local_day, parse_day};
    use chrono::DateTime;

    #[test]
    fn easter_falls_where_it_did() {
        for (year, expected) in [(2000, "2000-04-23"), (2024, "2024-03-31"), (2025, "2025-04-20"), (2026, "2026-04-05")]
        {
            assert_eq!(format_day(i32::try_from(easter(year)).expect("a day")), expected);
        }
    }

    fn check_instants(zone: &str, day: &str) {
        let zone: Tz = zone.parse().expect("a zone");
        let day = parse_day(day).expect("a day");
        let date = Date::new(zone, day);
        for minute in 0..24 * 60 {
            let (us, offset) = date.instant(minute * 60_000 + 59_999);
            let instant = DateTime::from_timestamp_micros(us).expect("an instant");
            assert_eq!(local_day(zone, instant), day, "{zone} {} minute {minute}", format_day(day));
            assert!(offset.abs() < 24 * 60);
        }
    }

    #[test]
    fn every_minute_is_on_its_day() {
        check_instants("UTC", "2025-03-30");
        check_instants("Europe/Berlin", "2025-03-30");
        check_instants("Europe/Berlin", "2025-10-26");
        check_instants("America/Sao_Paulo", "2018-11-04");
        check_instants("Asia/Kathmandu", "2025-01-01");
        check_instants("America/St_Johns", "2010-11-07");
    }

    #[test]
    fn weekends_and_holidays_are_quiet() {
        let date = |day: &str| Date::new(Tz::UTC, parse_day(day).expect("a day"));
        assert_eq!(date("2025-03-04").presence(1, 100), 1000);
        assert_eq!(date("2025-03-08").presence(1, 100), 100);
        assert_eq!(date("2025-03-07").presence(5, 100), 100);
        assert_eq!(date("2025-03-09").presence(5, 100), 1000);
        assert!(date("2025-05-01").presence(1, 300) < 300);
        assert!(!date("2025-04-21").is_workday(1));
        assert!(date("2025-04-21").is_workday(0));
    }
}
