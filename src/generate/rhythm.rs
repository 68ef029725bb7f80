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

    /// The instant of a time on the wall clock (ms) in microseconds since the epoch, and the offset from
    /// UTC in minutes. A time that the clock skips becomes a later one; the instant is always on this day.
    pub(super) fn instant(&self, wall_ms: u32) -> (i64, i16) {
        let offset = self.offsets[(wall_ms / 3_600_000).min(23) as usize];
        let local = i64::from(self.day) * 86_400_000_000 + i64::from(wall_ms) * 1000;
        let us = (local - i64::from(offset) * 1_000_000).clamp(self.starts_us, self.ends_us - 1000);
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

/// The holidays where a zone is, as runs of days, in each year from that of one day to that of another.
pub(super) fn holidays(zone: Tz, from: Day, until: Day) -> Vec<(Day, Day)> {
    let region = match zone.name().split('/').next() {
        Some("Europe") => 1,
        Some("America") => 2,
        _ => 0,
    };
    let new_year = |year: i32| NaiveDate::from_yo_opt(year, 1).map_or(until, day_of_date);
    let days = new_year(date_of_day(from).year())..new_year(date_of_day(until).year() + 1);
    let mut runs: Vec<(Day, Day)> = Vec::new();
    for day in days.filter(|&day| is_holiday(region, date_of_day(day))) {
        match runs.last_mut() {
            Some((_, last)) if *last == day - 1 => *last = day,
            _ => runs.push((day, day)),
        }
    }
    runs
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
    let (golden, century, rest) = (year % 19, year / 100, year % 100);
    let moon_shift = (8 * century + 13) / 25;
    let full_moon = (19 * golden + century - century / 4 - moon_shift + 15) % 30;
    let to_sunday = (32 + 2 * (century % 4) + 2 * (rest / 4) - full_moon - rest % 4) % 7;
    let exception = (golden + 11 * full_moon + 19 * to_sunday) / 433;
    let from_march = full_moon + to_sunday - 7 * exception + 114;
    let month = u32::try_from(from_march / 31).unwrap_or(4);
    let day = u32::try_from(from_march % 31 + 1).unwrap_or(1);
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
    fn holidays_are_runs_of_days() {
        let check = |zone: Tz, from: &str, until: &str, expected: &[&str]| {
            let [from, until] = [from, until].map(|day| parse_day(day).expect("a day"));
            let runs = holidays(zone, from, until);
            let found: Vec<String> =
                runs.iter().map(|&(first, last)| format!("{} {}", format_day(first), format_day(last))).collect();
            assert_eq!(found, expected);
        };
        let spring =
            ["2025-01-01 2025-01-01", "2025-01-28 2025-02-03", "2025-05-01 2025-05-03", "2025-10-01 2025-10-07"];
        check(Tz::Asia__Shanghai, "2025-06-01", "2025-06-01", &spring);
        let year = holidays(Tz::Europe__Berlin, 20_089, 20_089).len();
        assert_eq!(holidays(Tz::Europe__Berlin, 20_088, 20_089).len(), 2 * year);
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
