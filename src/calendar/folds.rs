//! What is counted over all calendars of an entity, each in one pass of integer sums.
//! It does not know tables, rates, or which periods are shown.

use super::bits::{Bits, MAX_WINDOW, smear};
use super::lanes::Lanes;
use super::{Calendars, Periods};
use crate::period::Day;

/// Counts for every day of the range the ids active on at least one of the trailing days that end on it: a list for each
/// of the windows (at least one day), in their order.
#[must_use]
pub fn trailing(calendars: &Calendars, windows: &[u32]) -> Vec<Vec<u64>> {
    let words = calendars.range().words();
    let start = || (vec![Lanes::new(words); windows.len()], Vec::new());
    let each = |(sums, scratch): &mut (Vec<Lanes>, Vec<u64>), days: Bits<'_>| {
        for (lanes, &window) in sums.iter_mut().zip(windows) {
            let (days, window) = narrow(days, window, words, scratch);
            days.steps().for_each(|(index, step)| lanes.add(index, smear(step, window)));
        }
    };
    let join = |one: (Vec<Lanes>, Vec<u64>), other: (Vec<Lanes>, Vec<u64>)| {
        (one.0.into_iter().zip(other.0).map(|(one, other)| one.join(other)).collect(), Vec::new())
    };
    let days = calendars.range().days();
    calendars.fold(start, each, join).0.into_iter().map(|lanes| cut(lanes, days)).collect()
}

// A set and a window that `smear` can answer and that come to the same.
fn narrow<'a>(set: Bits<'a>, window: u32, words: usize, scratch: &'a mut Vec<u64>) -> (Bits<'a>, u32) {
    if window <= MAX_WINDOW { (set, window) } else { (set.widen(window, words, scratch), 1) }
}

/// Ids by the number of periods in which they were active, in the trailing periods that end with the one of the last
/// day: place `n` counts those with exactly `n`, up to `window`. Place 0 counts only ids of the range.
#[must_use]
pub fn active_periods(calendars: &Calendars, periods: &Periods, window: usize) -> Vec<u64> {
    let length = periods.count().min(window);
    let first = periods.count() - length;
    let start = || (vec![0_u64; window + 1], Vec::new());
    let each = |(sums, scratch): &mut (Vec<u64>, Vec<u64>), days: Bits<'_>| {
        // What lies after the range is never set.
        if let Some(sum) = sums.get_mut(periods.of(days, scratch).count(first, length)) {
            *sum += 1;
        }
    };
    calendars.fold(start, each, |one, other| (add(one.0, other.0), Vec::new())).0
}

/// Runs of periods in a row, counted in ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streaks {
    /// Place `n`: ids whose longest run has `n` periods; the last place: more than fit.
    pub longest: Vec<u64>,
    /// Place `n`: ids whose present run has `n` periods, 0 if they have none; the last place: more than fit.
    pub current: Vec<u64>,
}

/// Counts ids by the length of their runs of periods in a row, exactly up to `length`. The present run is the one that
/// reaches the period of the last day, or the one before if that period is not over.
#[must_use]
pub fn streaks(calendars: &Calendars, periods: &Periods, length: usize) -> Streaks {
    let last = periods.count() - 1;
    let is_over = periods.last_day(i64::try_from(last).unwrap_or(i64::MAX)) <= calendars.range().last();
    let reaches = if is_over { last } else { last.saturating_sub(1) };
    let start = || (vec![0_u64; length + 2], vec![0_u64; length + 2], Vec::new());
    let each = |(longest, current, scratch): &mut (Vec<u64>, Vec<u64>, Vec<u64>), days: Bits<'_>| {
        let active = periods.of(days, scratch);
        let (mut most, mut present, mut next) = (0, 0, active.next(0));
        while let Some(begins) = next {
            let run = active.run(begins);
            most = most.max(run);
            if begins + run > reaches {
                present = run;
            }
            next = active.next(begins + run);
        }
        longest[most.min(length + 1)] += 1;
        current[present.min(length + 1)] += 1;
    };
    let join = |one: (Vec<u64>, Vec<u64>, Vec<u64>), other: (Vec<u64>, Vec<u64>, Vec<u64>)| {
        (add(one.0, other.0), add(one.1, other.1), Vec::new())
    };
    let (longest, current, _) = calendars.fold(start, each, join);
    Streaks { longest, current }
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
/// `reach` periods (at least one), this one included.
#[must_use]
pub fn growth(calendars: &Calendars, periods: &Periods, reach: u32) -> Vec<Moves> {
    let words = periods.words();
    let start = || Growth {
        active: Lanes::new(words),
        started: Lanes::new(words),
        new: vec![0; words * 64],
        scratch: Default::default(),
    };
    let each = |sums: &mut Growth, days: Bits<'_>| {
        let Growth { active, started, new, scratch: [of_periods, of_window] } = sums;
        let seen = periods.of(days, of_periods);
        let (near, reach) = narrow(seen, reach, words, of_window);
        for (index, step) in near.steps() {
            active.add(index, smear(step, reach));
            started.add(index, seen.word(index) & !smear(step << 1, reach));
        }
        if let Some(sum) = seen.next(0).and_then(|first| new.get_mut(first)) {
            *sum += 1;
        }
    };
    let join = |one: Growth, other: Growth| Growth {
        active: one.active.join(other.active),
        started: one.started.join(other.started),
        new: add(one.new, other.new),
        scratch: Default::default(),
    };
    let Growth { active, started, new, .. } = calendars.fold(start, each, join);
    let (active, started) = (cut(active, periods.count()), cut(started, periods.count()));
    active.into_iter().zip(new).zip(started).map(|((active, new), started)| Moves { active, new, started }).collect()
}

struct Growth {
    active: Lanes,
    started: Lanes,
    new: Vec<u64>,
    scratch: [Vec<u64>; 2],
}

/// Which starts make an id a member of a cohort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starts {
    /// The first day on which a start counts.
    pub from: Day,
    /// The last day on which a start counts.
    pub until: Day,
    /// Whether every period with a start has the id in its cohort; otherwise only the first one has.
    pub recurring: bool,
}

/// What happened to a cohort, counted in ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    /// All members.
    pub size: u64,
    /// Members seen at any age, also beyond the ages that are counted.
    pub seen: u64,
    /// What happened at each age.
    pub ages: Vec<Age>,
}

/// What happened to a cohort at one age, counted in ids.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Seen at this age.
    pub seen: u64,
    /// Seen for the last time at this age.
    pub last: u64,
    /// Seen at this age for the first time after age 0.
    pub returned: u64,
}

/// Counts for every period of the range, as that of a cohort, what happened at ages 0 to `limit` in periods. `starts` and
/// `returns` are calendars that were read beside each other, or the same. `last` and `returned` of what comes later are
/// in no age.
#[must_use]
pub fn retention(
    starts: &Calendars,
    returns: &Calendars,
    which: Starts,
    periods: &Periods,
    limit: usize,
) -> Vec<Cohort> {
    let (ages, cohorts) = (limit + 1, periods.count());
    let words = ages.div_ceil(64);
    let first_day = starts.range().first();
    let place = |day: Day| usize::try_from(i64::from(day) - i64::from(first_day));
    let from = place(which.from).unwrap_or(0);
    // Before the range there is no start.
    let until = place(which.until).ok();
    let start = || Cohorts {
        size: vec![0; cohorts],
        any: vec![0; cohorts],
        seen: Lanes::new(cohorts * words),
        last: vec![0; cohorts * ages],
        returned: vec![0; cohorts * ages],
        scratch: Vec::new(),
    };
    let each = |sums: &mut Cohorts, starts: Bits<'_>, returns: Bits<'_>| {
        let Cohorts { size, any, seen, last, returned, scratch } = sums;
        let active = periods.of(returns, scratch);
        let mut next = starts.next(from);
        while let Some(day) = next.filter(|day| until.is_some_and(|until| *day <= until)) {
            let cohort = periods.number(day);
            let count = |counts: &mut [u64], period: Option<usize>| {
                let age = period.and_then(|period| period.checked_sub(cohort)).filter(|&age| age < ages);
                if let Some(sum) = age.and_then(|age| counts.get_mut(cohort * ages + age)) {
                    *sum += 1;
                }
            };
            size[cohort] += 1;
            any[cohort] += u64::from(active.last().is_some_and(|last| last >= cohort));
            for word in 0..words {
                let left = ages - word * 64;
                let mask = if left < 64 { (1 << left) - 1 } else { u64::MAX };
                seen.add(cohort * words + word, active.from(cohort + word * 64) & mask);
            }
            count(last, active.last());
            count(returned, active.next(cohort + 1));
            next = if which.recurring { starts.next(periods.after(cohort)) } else { None };
        }
    };
    let join = |one: Cohorts, other: Cohorts| Cohorts {
        size: add(one.size, other.size),
        any: add(one.any, other.any),
        seen: one.seen.join(other.seen),
        last: add(one.last, other.last),
        returned: add(one.returned, other.returned),
        scratch: Vec::new(),
    };
    let Cohorts { size, any, seen, last, returned, .. } = starts.fold_beside(returns, start, each, join);
    let seen = seen.counts();
    let of_cohort = |cohort: usize| {
        let age = |age: usize| Age {
            seen: seen[cohort * words * 64 + age],
            last: last[cohort * ages + age],
            returned: returned[cohort * ages + age],
        };
        Cohort { size: size[cohort], seen: any[cohort], ages: (0..ages).map(age).collect() }
    };
    (0..cohorts).map(of_cohort).collect()
}

struct Cohorts {
    size: Vec<u64>,
    any: Vec<u64>,
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
