//! The definitions of the jobs taken by the word, over sets of dates.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};

pub(super) type Histories = BTreeMap<String, BTreeSet<NaiveDate>>;

#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) first: NaiveDate,
    pub(super) as_of: NaiveDate,
    pub(super) sunday: bool,
}

fn start(grain: &str, day: NaiveDate, sunday: bool) -> NaiveDate {
    match grain {
        "week" => {
            let begins = if sunday { Weekday::Sun } else { Weekday::Mon };
            (0..7).map(|back| day - Days::new(back)).find(|d| d.weekday() == begins).expect("a week has all days")
        }
        "month" => day.with_day(1).expect("every month has a first"),
        _ => day,
    }
}

/// The start of the period that comes `steps` later.
fn later(grain: &str, start: NaiveDate, steps: u32) -> NaiveDate {
    match grain {
        "week" => start + Days::new(7 * u64::from(steps)),
        "month" => start + Months::new(steps),
        _ => start + Days::new(u64::from(steps)),
    }
}

pub(super) fn rate(above: usize, below: usize) -> String {
    if below == 0 {
        return String::new();
    }
    let whole = above * 1_000_000 / below;
    let rest = above * 1_000_000 % below;
    let millionths = if rest * 2 >= below { whole + 1 } else { whole };
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

fn within(days: &BTreeSet<NaiveDate>, from: NaiveDate, before: NaiveDate) -> bool {
    days.iter().any(|day| *day >= from && *day < before)
}

pub(super) fn retention(histories: &Histories, asked: Asked) -> Vec<String> {
    let end = asked.as_of + Days::new(1);
    let known: Vec<BTreeSet<NaiveDate>> = histories
        .values()
        .map(|days| days.iter().copied().filter(|day| *day < end).collect())
        .filter(|days: &BTreeSet<NaiveDate>| !days.is_empty())
        .collect();
    let mut rows = Vec::new();
    for (grain, limit) in [("day", 30), ("month", 12), ("week", 26)] {
        let cohort_of = |days: &BTreeSet<NaiveDate>| start(grain, *days.first().expect("days"), asked.sunday);
        let cohorts: BTreeSet<NaiveDate> = known.iter().map(cohort_of).collect();
        for cohort in cohorts {
            let members: Vec<_> = known.iter().filter(|days| cohort_of(days) == cohort).collect();
            let size = members.len();
            for period in 0..=limit {
                let (begins, next) = (later(grain, cohort, period), later(grain, cohort, period + 1));
                if begins > asked.as_of {
                    break;
                }
                let mature_on = next - Days::new(1);
                let count = |from, before| members.iter().filter(|days| within(days, from, before)).count();
                let cells = if mature_on <= asked.as_of {
                    let (on, on_or_after) = (count(begins, next), count(begins, end));
                    let on_or_before = count(later(grain, cohort, 1), next);
                    let on_or_before = if period == 0 { String::new() } else { on_or_before.to_string() };
                    format!("{on},{on_or_after},{on_or_before},{},{},true", rate(on, size), rate(on_or_after, size))
                } else {
                    ",,,,,false".to_owned()
                };
                rows.push(format!("{grain},{cohort},{period},{size},{cells},{mature_on}"));
            }
        }
    }
    rows
}

pub(super) fn growth(entity: &str, histories: &Histories, asked: Asked) -> Vec<String> {
    let end = asked.as_of + Days::new(1);
    let known: Vec<BTreeSet<NaiveDate>> =
        histories.values().map(|days| days.iter().copied().filter(|day| *day < end).collect()).collect();
    let mut rows = Vec::new();
    for grain in ["day", "month", "trailing_28", "week"] {
        let mut begins = start(grain, asked.first, asked.sunday);
        while begins <= asked.as_of {
            let next = later(grain, begins, 1);
            let row = if grain == "trailing_28" { trailing(&known, begins) } else { calendar(&known, grain, begins) };
            let window = if grain == "trailing_28" { begins - Days::new(27) } else { begins };
            let is_complete = window >= asked.first && next <= end;
            let [active, new, retained, resurrected, churned] = row;
            let quick = rate(new + resurrected, churned);
            rows.push(format!(
                "{entity},{grain},{begins},{active},{new},{retained},{resurrected},{churned},{quick},{is_complete}"
            ));
            begins = next;
        }
    }
    rows
}

fn calendar(known: &[BTreeSet<NaiveDate>], grain: &str, begins: NaiveDate) -> [usize; 5] {
    let next = later(grain, begins, 1);
    let previous = if grain == "month" { begins - Months::new(1) } else { begins - (next - begins) };
    let count = |is: &dyn Fn(bool, bool, bool) -> bool| {
        let seen = |days: &&BTreeSet<NaiveDate>| {
            is(within(days, NaiveDate::MIN, previous), within(days, previous, begins), within(days, begins, next))
        };
        known.iter().filter(seen).count()
    };
    [
        count(&|_, _, now| now),
        count(&|earlier, before, now| now && !before && !earlier),
        count(&|_, before, now| now && before),
        count(&|earlier, before, now| now && !before && earlier),
        count(&|_, before, now| before && !now),
    ]
}

fn trailing(known: &[BTreeSet<NaiveDate>], day: NaiveDate) -> [usize; 5] {
    let mut row = [0; 5];
    for days in known {
        let before = days.range(..day).next_back();
        let today = days.contains(&day);
        let active = within(days, day - Days::new(27), day + Days::new(1));
        let new = days.first() == Some(&day);
        let resurrected = today && before.is_some_and(|before| (day - *before).num_days() > 28);
        let churned = !today && before.is_some_and(|before| (day - *before).num_days() == 28);
        let counted = [active, new, active && !new && !resurrected, resurrected, churned];
        for (sum, holds) in row.iter_mut().zip(counted) {
            *sum += usize::from(holds);
        }
    }
    row
}

/// The days of the range, and how many ids have a day in the window that ends on each.
pub(super) fn trailing_activity(entity: &str, histories: &Histories, asked: Asked) -> Vec<String> {
    let days = asked.first.iter_days().take_while(|day| *day <= asked.as_of);
    days.map(|day| {
        let next = day + Days::new(1);
        let count = |window| histories.values().filter(|days| within(days, next - Days::new(window), next)).count();
        format!("{day},{entity},{},{},{}", count(1), count(7), count(28))
    })
    .collect()
}

/// Ids by their days in the last 28.
pub(super) fn stickiness(entity: &str, histories: &Histories, asked: Asked) -> Vec<String> {
    let begins = asked.as_of - Days::new(27);
    let active: Vec<usize> = histories.values().map(|days| days.range(begins..=asked.as_of).count()).collect();
    let is_complete = asked.first <= begins;
    (1..=28)
        .map(|wanted| {
            let exactly = active.iter().filter(|days| **days == wanted).count();
            let at_least = active.iter().filter(|days| **days >= wanted).count();
            format!("{entity},{wanted},{exactly},{at_least},{is_complete}")
        })
        .collect()
}
