//! Days, weeks and months of the reporting zone: which day an instant falls on, which period a day falls in.
//! It does not know events or metrics. A day is the number of days since 1970-01-01, as in Arrow's `Date32`.

use std::cell::Cell;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

/// A calendar day: days since 1970-01-01.
pub type Day = i32;

const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
const EPOCH: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("the epoch is a date");

/// Reads an ISO date such as `2026-01-31`.
#[must_use]
pub fn parse_day(text: &str) -> Option<Day> {
    let shaped = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    shaped.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten().map(day_of_date)
}

/// Writes a day as an ISO date.
#[must_use]
pub fn format_day(day: Day) -> String {
    date_of_day(day).format("%Y-%m-%d").to_string()
}

/// The day of a chrono date.
#[must_use]
pub fn day_of_date(date: NaiveDate) -> Day {
    i32::try_from(date.signed_duration_since(EPOCH).num_days()).unwrap_or(Day::MAX)
}

/// The chrono date of a day; days outside chrono's calendar (±262,000 years) become its ends.
#[must_use]
pub fn date_of_day(day: Day) -> NaiveDate {
    let distance = Days::new(u64::from(day.unsigned_abs()));
    if day < 0 {
        EPOCH.checked_sub_days(distance).unwrap_or(NaiveDate::MIN)
    } else {
        EPOCH.checked_add_days(distance).unwrap_or(NaiveDate::MAX)
    }
}

/// The day on which a week begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeekStart {
    /// ISO 8601.
    Monday,
    /// As in the United States.
    Sunday,
}

impl WeekStart {
    /// The word in settings and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Sunday => "sunday",
        }
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Weekday {
    /// The weekday of a day.
    #[must_use]
    pub fn of(day: Day) -> Self {
        // 1970-01-01 was a Thursday.
        match (day + 3).rem_euclid(7) {
            0 => Self::Monday,
            1 => Self::Tuesday,
            2 => Self::Wednesday,
            3 => Self::Thursday,
            4 => Self::Friday,
            5 => Self::Saturday,
            _ => Self::Sunday,
        }
    }
}

/// The length of the periods that a report counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// Calendar days.
    Day,
    /// Weeks from the given day on.
    Week(WeekStart),
    /// Calendar months.
    Month,
    /// So many days each (at least one), one of them beginning on `origin`.
    Days {
        /// The number of days.
        length: i32,
        /// The first day of one of them.
        origin: Day,
    },
}

impl Grain {
    /// The word used in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week(_) => "week",
            Self::Month => "month",
            Self::Days { .. } => "days",
        }
    }

    /// The number of the period that holds `day`; neighbouring periods have neighbouring numbers.
    #[must_use]
    pub fn index(self, day: Day) -> i32 {
        match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday: three days after a Monday, four after a Sunday.
            Self::Week(WeekStart::Monday) => (day + 3).div_euclid(7),
            Self::Week(WeekStart::Sunday) => (day + 4).div_euclid(7),
            Self::Month => month_of_day(day),
            Self::Days { length, origin } => (day - origin).div_euclid(length.max(1)),
        }
    }

    /// The first day of the period with this number.
    #[must_use]
    pub fn first_day(self, index: i32) -> Day {
        match self {
            Self::Day => index,
            Self::Week(WeekStart::Monday) => index * 7 - 3,
            Self::Week(WeekStart::Sunday) => index * 7 - 4,
            Self::Month => first_of_month(index),
            Self::Days { length, origin } => index * length.max(1) + origin,
        }
    }

    /// The last day of the period with this number.
    #[must_use]
    pub fn last_day(self, index: i32) -> Day {
        self.first_day(index + 1) - 1
    }
}

// Days and months of the Gregorian calendar: `civil_from_days` and `days_from_civil` of Howard Hinnant's "chrono-Compatible
// Low-Level Date Algorithms". Years begin with March there, so that the leap day is the last of its year; the calendar
// repeats every 400 of them.
const CYCLE_DAYS: i64 = 146_097;
const CYCLE_MONTHS: i64 = 400 * 12;
// From 0000-03-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_468;
const FIRST_MONTH: i64 = 2;

// Months since January of year 0.
fn month_of_day(day: Day) -> i32 {
    let day = i64::from(day) + EPOCH_DAYS;
    let of_cycle = day.rem_euclid(CYCLE_DAYS);
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let months = day.div_euclid(CYCLE_DAYS) * CYCLE_MONTHS + year * 12 + month + FIRST_MONTH;
    i32::try_from(months).unwrap_or(i32::MAX)
}

// `Day::MAX` for a month that no day lies in.
fn first_of_month(index: i32) -> Day {
    let index = i64::from(index) - FIRST_MONTH;
    let of_cycle = index.rem_euclid(CYCLE_MONTHS);
    let (year, month) = (of_cycle / 12, of_cycle % 12);
    let day = 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5;
    Day::try_from(index.div_euclid(CYCLE_MONTHS) * CYCLE_DAYS + day - EPOCH_DAYS).unwrap_or(Day::MAX)
}

/// The local date of an instant in one zone.
#[must_use]
pub fn local_day(zone: Tz, instant: DateTime<Utc>) -> Day {
    day_of_date(instant.with_timezone(&zone).date_naive())
}

/// The instant at which a local day begins; where the clocks skip midnight, the first one after it.
#[must_use]
pub fn day_start(zone: Tz, day: Day) -> DateTime<Utc> {
    let midnight = date_of_day(day).and_time(NaiveTime::MIN);
    // Clocks change by whole minutes, and at most by the day that Samoa left out.
    let minutes = (0..=2 * 24 * 60).map(TimeDelta::minutes);
    let mut local = minutes.filter_map(|minutes| midnight.checked_add_signed(minutes));
    let start = local.find_map(|local| zone.from_local_datetime(&local).earliest());
    start.map_or_else(|| midnight.and_utc(), |start| start.to_utc())
}

/// Turns instants into local days, fast for instants that come in clusters. Not shared between threads.
#[derive(Debug)]
pub struct DayClock {
    zone: Tz,
    // The hour (since the epoch, UTC) looked up last and its offset in microseconds.
    last: Cell<Option<(i64, i64)>>,
}

impl DayClock {
    /// A clock for one zone.
    #[must_use]
    pub fn new(zone: Tz) -> Self {
        Self { zone, last: Cell::new(None) }
    }

    /// The local day of an instant given in microseconds since the epoch; `None` outside chrono's calendar.
    #[must_use]
    pub fn day(&self, instant_us: i64) -> Option<Day> {
        let hour = instant_us.div_euclid(HOUR_US);
        let offset = match self.last.get() {
            Some((known, offset)) if known == hour => offset,
            _ => self.look_up(hour, instant_us)?,
        };
        i32::try_from((instant_us + offset).div_euclid(DAY_US)).ok()
    }

    // An hour in which the offset changes is not remembered, so that each of its instants is looked up alone.
    fn look_up(&self, hour: i64, instant_us: i64) -> Option<i64> {
        let offset_at = |us: i64| {
            let utc = DateTime::from_timestamp_micros(us)?.naive_utc();
            Some(i64::from(self.zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000_000)
        };
        let offset = offset_at(instant_us)?;
        let (start, end) = (offset_at(hour * HOUR_US)?, offset_at(hour * HOUR_US + HOUR_US - 1)?);
        if start == end {
            self.last.set(Some((hour, offset)));
        }
        Some(offset)
    }
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;

    use super::*;

    fn check_day(zone: &str, instant: &str, expected: &str) {
        let zone: Tz = zone.parse().expect("a zone of the test");
        let instant = DateTime::parse_from_rfc3339(instant).expect("an instant of the test");
        let clock = DayClock::new(zone);
        let day = clock.day(instant.timestamp_micros()).expect("a day");
        assert_eq!(format_day(day), expected, "{instant} in {zone}");
        assert_eq!(local_day(zone, instant.to_utc()), day);
    }

    #[test]
    fn days_follow_the_zone() {
        check_day("Asia/Shanghai", "2026-03-01T15:59:59.999999Z", "2026-03-01");
        check_day("Asia/Shanghai", "2026-03-01T16:00:00Z", "2026-03-02");
        check_day("America/New_York", "2026-03-01T04:59:59Z", "2026-02-28");
        check_day("Europe/Brussels", "2026-03-29T21:59:59Z", "2026-03-29");
        check_day("Europe/Brussels", "2026-10-25T22:59:59Z", "2026-10-25");
    }

    #[test]
    fn a_day_without_midnight_still_begins() {
        // In 2018 Sao Paulo's clocks went from 23:59:59 on 3 November to 01:00 on 4 November.
        check_day("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03");
        check_day("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04");
    }

    #[test]
    fn an_hour_with_a_change_is_right_on_both_sides() {
        // St John's went back from 00:01 to 23:01 on 2010-11-07: the date is 7, then 6, then 7 again.
        let clock = DayClock::new("America/St_Johns".parse().expect("a zone"));
        let at = |text: &str| {
            let us = DateTime::parse_from_rfc3339(text).expect("an instant").timestamp_micros();
            format_day(clock.day(us).expect("a day"))
        };
        assert_eq!(at("2010-11-07T02:30:30Z"), "2010-11-07");
        assert_eq!(at("2010-11-07T02:31:00Z"), "2010-11-06");
        assert_eq!(at("2010-11-07T02:30:59Z"), "2010-11-07");
        assert_eq!(at("2010-11-07T03:30:00Z"), "2010-11-07");
    }

    fn check_period(grain: Grain, day: &str, first: &str, last: &str) {
        let index = grain.index(parse_day(day).expect("a day of the test"));
        assert_eq!(format_day(grain.first_day(index)), first, "{grain:?} of {day}");
        assert_eq!(format_day(grain.last_day(index)), last, "{grain:?} of {day}");
    }

    #[test]
    fn periods_have_their_ends() {
        let monday = Grain::Week(WeekStart::Monday);
        let sunday = Grain::Week(WeekStart::Sunday);
        check_period(monday, "2026-01-01", "2025-12-29", "2026-01-04");
        check_period(monday, "2021-01-03", "2020-12-28", "2021-01-03");
        check_period(sunday, "2021-01-03", "2021-01-03", "2021-01-09");
        check_period(monday, "1969-12-28", "1969-12-22", "1969-12-28");
        check_period(Grain::Month, "2024-02-29", "2024-02-01", "2024-02-29");
        check_period(Grain::Month, "2025-12-31", "2025-12-01", "2025-12-31");
        check_period(Grain::Day, "2024-02-29", "2024-02-29", "2024-02-29");
        let weeks = Grain::Days { length: 21, origin: parse_day("2022-01-18").expect("a day") };
        check_period(weeks, "2022-01-17", "2021-12-28", "2022-01-17");
        check_period(weeks, "2022-02-07", "2022-01-18", "2022-02-07");
        check_period(weeks, "2022-02-08", "2022-02-08", "2022-02-28");
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        // Three cycles of the calendar, day by day, and the ends of all days.
        for day in -2 * 146_097..146_097 {
            let date = date_of_day(day);
            let index = Grain::Month.index(day);
            assert_eq!(index, date.year() * 12 + date.month0().cast_signed(), "{date}");
            assert_eq!(Grain::Month.first_day(index), day_of_date(date.with_day(1).expect("a first")), "{date}");
        }
        for day in [Day::MIN + 31, Day::MAX - 31] {
            let first = Grain::Month.first_day(Grain::Month.index(day));
            assert!((0..31).contains(&(day - first)), "{day}");
        }
        assert_eq!([i32::MIN, i32::MAX].map(|index| Grain::Month.first_day(index)), [Day::MAX; 2]);
    }

    fn check_start(zone: &str, day: &str, expected: &str) {
        let start = day_start(zone.parse().expect("a zone of the test"), parse_day(day).expect("a day of the test"));
        assert_eq!(start.to_rfc3339(), expected, "{day} in {zone}");
    }

    #[test]
    fn days_start_where_the_clocks_say() {
        check_start("UTC", "2026-03-29", "2026-03-29T00:00:00+00:00");
        check_start("Europe/Brussels", "2026-03-29", "2026-03-28T23:00:00+00:00");
        check_start("Europe/Brussels", "2026-03-30", "2026-03-29T22:00:00+00:00");
        check_start("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00+00:00");
        check_start("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00+00:00");
    }

    #[test]
    fn only_iso_dates_are_days() {
        assert_eq!(parse_day("1970-01-02"), Some(1));
        for wrong in ["2026-1-2", "2026-02-30", "20260102", " 2026-01-02", "2026-01-02T00:00:00Z", ""] {
            assert_eq!(parse_day(wrong), None, "{wrong}");
        }
    }
}
