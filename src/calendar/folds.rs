//! What is counted over all calendars of an entity, each in one pass of integer sums.
//! It does not know tables, rates, or which periods are shown.

use super::bits::{Bits, MAX_WINDOW, smear};
use super::lanes::Lanes;
use super::{Calendars, Periods};

/// Ids active on each day of the range, and on at least one of the trailing days that end on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailing {
    /// On the day.
    pub active: Vec<u64>,
    /// On one of the trailing 7 days.
    pub active_7d: Vec<u64>,
    /// On one of the trailing 28 days.
    pub active_28d: Vec<u64>,
}

/// Counts who is active, on the day and over trailing windows, for every day of the range.
#[must_use]
pub fn trailing(calendars: &Calendars) -> Trailing {
    let words = calendars.range().words();
    let start = || [1, 7, 28].map(|window| (window, Lanes::new(words)));
    let each = |sums: &mut [(u32, Lanes); 3], days: Bits<'_>| {
        for (index, step) in days.steps() {
            for (window, lanes) in sums.iter_mut() {
                lanes.add(index, smear(step, *window));
            }
        }
    };
    let join = |one: [(u32, Lanes); 3], other: [(u32, Lanes); 3]| {
        let mut other = other.into_iter();
        one.map(|(window, lanes)| match other.next() {
            Some((_, more)) => (window, lanes.join(more)),
            None => (window, lanes),
        })
    };
    let days = calendars.range().days();
    let [active, active_7d, active_28d] = calendars.fold(start, each, join).map(|(_, lanes)| cut(lanes, days));
    Trailing { active, active_7d, active_28d }
}

/// Ids by the number of days on which they were active in the trailing days that end on the last day of the range:
/// place `n` counts those with exactly `n` days, up to `window` (at most 63). Place 0 counts only ids of the range.
#[must_use]
pub fn active_days(calendars: &Calendars, window: u32) -> Vec<u64> {
    let window = window.min(MAX_WINDOW);
    let days = calendars.range().days();
    let length = days.min(window as usize);
    let start = days - length;
    let zeros = || vec![0_u64; window as usize + 1];
    let each = |sums: &mut Vec<u64>, calendar: Bits<'_>| {
        // What lies after the range is never set.
        if let Some(sum) = sums.get_mut(calendar.from(start).count_ones() as usize) {
            *sum += 1;
        }
    };
    calendars.fold(zeros, each, add)
}

/// What moved in one period, counted in ids.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Moves {
    /// Seen in this period or one of the `reach - 1` before it.
    pub active: u64,
    /// Seen for the first time.
    pub new: u64,
    /// Seen, and in none of the `reach` periods before: new, or back.
    pub started: u64,
}

/// Counts for every period of the range who is active and who began to be. An id seen in a period stays active for
/// `reach` periods (at most 63), this one included.
#[must_use]
pub fn growth(calendars: &Calendars, periods: &Periods, reach: u32) -> Vec<Moves> {
    let (reach, words) = (reach.clamp(1, MAX_WINDOW), periods.words());
    let start = || Growth {
        active: Lanes::new(words),
        started: Lanes::new(words),
        new: vec![0; words * 64],
        scratch: Vec::new(),
    };
    let each = |sums: &mut Growth, days: Bits<'_>| {
        let Growth { active, started, new, scratch } = sums;
        let seen = periods.of(days, scratch);
        for (index, step) in seen.steps() {
            active.add(index, smear(step, reach));
            let now = (step >> 64) as u64;
            started.add(index, now & !smear(step << 1, reach));
        }
        if let Some(sum) = seen.next(0).and_then(|first| new.get_mut(first)) {
            *sum += 1;
        }
    };
    let join = |one: Growth, other: Growth| Growth {
        active: one.active.join(other.active),
        started: one.started.join(other.started),
        new: add(one.new, other.new),
        scratch: Vec::new(),
    };
    let Growth { active, started, new, .. } = calendars.fold(start, each, join);
    let (active, started) = (cut(active, periods.count()), cut(started, periods.count()));
    active.into_iter().zip(new).zip(started).map(|((active, new), started)| Moves { active, new, started }).collect()
}

struct Growth {
    active: Lanes,
    started: Lanes,
    new: Vec<u64>,
    scratch: Vec<u64>,
}

/// What happened to a cohort at one age, counted in ids.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Seen at this age.
    pub seen: u64,
    /// Seen for the last time at this age.
    pub last: u64,
    /// Seen for the second time at this age.
    pub returned: u64,
}

/// Counts for every period of the range, as the first one of its cohort, what happened at ages 0 to `limit` (at most
/// 62) in periods. `last` and `returned` of what comes later are in no age.
#[must_use]
pub fn retention(calendars: &Calendars, periods: &Periods, limit: u32) -> Vec<Vec<Age>> {
    let limit = limit.min(MAX_WINDOW - 1);
    let ages = limit as usize + 1;
    let (cohorts, mask) = (periods.count(), u64::MAX >> (63 - limit));
    let start = || Cohorts {
        seen: Lanes::new(cohorts),
        last: vec![0; cohorts * ages],
        returned: vec![0; cohorts * ages],
        scratch: Vec::new(),
    };
    let each = |sums: &mut Cohorts, days: Bits<'_>| {
        let Cohorts { seen, last, returned, scratch } = sums;
        let periods = periods.of(days, scratch);
        let Some(cohort) = periods.next(0) else { return };
        let count = |counts: &mut [u64], period: Option<usize>| {
            let age = period.map(|period| period - cohort).filter(|&age| age < ages);
            if let Some(sum) = age.and_then(|age| counts.get_mut(cohort * ages + age)) {
                *sum += 1;
            }
        };
        let window = periods.from(cohort) & mask;
        seen.add(cohort, window);
        count(last, periods.last());
        count(returned, periods.next(cohort + 1));
    };
    let join = |one: Cohorts, other: Cohorts| Cohorts {
        seen: one.seen.join(other.seen),
        last: add(one.last, other.last),
        returned: add(one.returned, other.returned),
        scratch: Vec::new(),
    };
    let Cohorts { seen, last, returned, .. } = calendars.fold(start, each, join);
    let seen = seen.counts();
    let of_cohort = |((seen, last), returned): ((&[u64], &[u64]), &[u64])| {
        let ages = seen.iter().zip(last).zip(returned);
        ages.map(|((&seen, &last), &returned)| Age { seen, last, returned }).collect()
    };
    seen.chunks(64).zip(last.chunks(ages)).zip(returned.chunks(ages)).map(of_cohort).collect()
}

struct Cohorts {
    seen: Lanes,
    last: Vec<u64>,
    returned: Vec<u64>,
    scratch: Vec<u64>,
}

fn cut(lanes: Lanes, length: usize) -> Vec<u64> {
    let mut counts = lanes.counts();
    counts.truncate(length);
    counts
}

fn add(mut one: Vec<u64>, other: Vec<u64>) -> Vec<u64> {
    one.iter_mut().zip(other).for_each(|(sum, more)| *sum += more);
    one
}
