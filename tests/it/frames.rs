//! Retention and growth accounting against hand-written tables and a model that counts days by their definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray};
use arrow::util::display::array_value_to_string;
use chrono::{Datelike, Days, Months, NaiveDate, Weekday};
use orgpulse::frames::{Frame, run, schema};
use orgpulse::period::{WeekStart, day_of_date, parse_day};
use proptest::prelude::*;

/// Entity, id, day.
type Visit = (&'static str, String, NaiveDate);

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date of the test")
}

fn frame(first_day: &str, as_of: &str) -> Frame {
    let day = |text| parse_day(text).expect("a day of the test");
    Frame { first_day: day(first_day), as_of: day(as_of), week_start: WeekStart::Monday }
}

fn job(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn retention_of(entity: &str) -> BTreeMap<String, String> {
    job(&[("name", "retention"), ("entity", entity)])
}

fn growth() -> BTreeMap<String, String> {
    job(&[("name", "growth_accounting")])
}

fn table(visits: &[Visit]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("entity", Arc::new(StringArray::from_iter_values(visits.iter().map(|visit| visit.0)))),
        ("id", Arc::new(StringArray::from_iter_values(visits.iter().map(|visit| visit.1.as_str())))),
        ("day", Arc::new(Date32Array::from_iter_values(visits.iter().map(|visit| day_of_date(visit.2))))),
    ];
    RecordBatch::try_from_iter(columns).expect("a table")
}

/// The rows of a job as lines of CSV; the batch must have the schema that was told before.
fn rows_of(job: &BTreeMap<String, String>, batches: Vec<RecordBatch>, frame: Frame) -> Vec<String> {
    let inputs = BTreeMap::from([("entity_day".to_owned(), batches)]);
    let batch = run(job, &inputs, frame).expect("a result");
    assert_eq!(batch.schema(), schema(job).expect("a schema"));
    let text = |column: &ArrayRef, row| array_value_to_string(column, row).expect("a text");
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| text(column, row)).collect::<Vec<_>>().join(","))
        .collect()
}

/// Ids and their days, `a: 2026-01-01 2026-01-05`, all of one entity.
fn visits(entity: &'static str, lines: &[&str]) -> Vec<Visit> {
    let ids = lines.iter().map(|line| line.split_once(": ").expect("`id: days`"));
    ids.flat_map(|(id, days)| days.split(' ').map(move |day| (entity, id.to_owned(), date(day)))).collect()
}

/// The rows of user retention of one grain: `cohort,period,size,on,on_or_after,on_or_before,rates,complete,mature_on`.
fn check_retention(lines: &[&str], frame: Frame, grain: &str, expected: &[&str]) {
    let all = rows_of(&retention_of("user"), vec![table(&visits("user", lines))], frame);
    let shown: Vec<&str> = all.iter().filter_map(|row| row.strip_prefix(grain)?.strip_prefix(',')).collect();
    assert_eq!(shown, expected);
}

/// The rows of growth accounting of users and one grain whose period starts are named:
/// `period_start,active,new,retained,resurrected,churned,quick_ratio,is_complete`.
fn check_growth(lines: &[&str], frame: Frame, grain: &str, expected: &[&str]) {
    let all = rows_of(&growth(), vec![table(&visits("user", lines))], frame);
    let prefix = format!("user,{grain},");
    let asked = |row: &&str| expected.iter().any(|line| line.get(..10) == row.get(..10));
    let shown: Vec<&str> = all.iter().filter_map(|row| row.strip_prefix(&prefix)).filter(asked).collect();
    assert_eq!(shown, expected);
}

#[test]
fn weeks_can_start_on_sunday_in_retention_and_growth() {
    // 2026-03-01 is a Sunday: b joins on the day before, which is the week before for a Sunday week only.
    let lines = ["a: 2026-03-01 2026-03-08", "b: 2026-02-28 2026-03-07"];
    let monday = frame("2026-02-28", "2026-03-14");
    let sunday = Frame { week_start: WeekStart::Sunday, ..monday };
    check_retention(
        &lines,
        sunday,
        "week",
        &[
            "2026-02-22,0,1,1,1,,1.000000,1.000000,true,2026-02-28",
            "2026-02-22,1,1,1,1,1,1.000000,1.000000,true,2026-03-07",
            "2026-02-22,2,1,0,0,1,0.000000,0.000000,true,2026-03-14",
            "2026-03-01,0,1,1,1,,1.000000,1.000000,true,2026-03-07",
            "2026-03-01,1,1,1,1,1,1.000000,1.000000,true,2026-03-14",
        ],
    );
    check_retention(
        &lines,
        monday,
        "week",
        &[
            "2026-02-23,0,2,2,2,,1.000000,1.000000,true,2026-03-01",
            "2026-02-23,1,2,2,2,2,1.000000,1.000000,true,2026-03-08",
            "2026-02-23,2,2,,,,,,false,2026-03-15",
        ],
    );
    check_growth(
        &lines,
        sunday,
        "week",
        &["2026-02-22,1,1,0,0,0,,false", "2026-03-01,2,1,1,0,0,,true", "2026-03-08,1,0,1,0,1,0.000000,true"],
    );
}

#[test]
fn iso_week_53_is_followed_by_week_1() {
    let lines = ["a: 2020-12-26 2021-01-03 2021-01-04"];
    check_retention(
        &lines,
        frame("2020-12-21", "2021-01-10"),
        "week",
        &[
            "2020-12-21,0,1,1,1,,1.000000,1.000000,true,2020-12-27",
            "2020-12-21,1,1,1,1,1,1.000000,1.000000,true,2021-01-03",
            "2020-12-21,2,1,1,1,1,1.000000,1.000000,true,2021-01-10",
        ],
    );
    // A year of 52 weeks.
    check_growth(
        &["a: 2025-12-28 2025-12-29"],
        frame("2025-12-22", "2026-01-04"),
        "week",
        &["2025-12-22,1,1,0,0,0,,true", "2025-12-29,1,0,1,0,0,,true"],
    );
}

#[test]
fn data_may_begin_in_mid_month() {
    let lines = ["a: 2026-01-15 2026-02-01", "b: 2026-01-31"];
    let frame = frame("2026-01-15", "2026-02-10");
    check_retention(
        &lines,
        frame,
        "month",
        &["2026-01-01,0,2,2,2,,1.000000,1.000000,true,2026-01-31", "2026-01-01,1,2,,,,,,false,2026-02-28"],
    );
    check_growth(&lines, frame, "month", &["2026-01-01,2,2,0,0,0,,false", "2026-02-01,1,0,1,0,1,0.000000,false"]);
    check_growth(&lines, frame, "week", &["2026-01-12,1,1,0,0,0,,false", "2026-01-19,0,0,0,0,1,0.000000,true"]);
    check_growth(&lines, frame, "day", &["2026-01-15,1,1,0,0,0,,true"]);
}

#[test]
fn a_cohort_without_return_has_its_zeros() {
    // Two days in period 0 only: the second is no return.
    check_retention(
        &["a: 2026-01-05 2026-01-07"],
        frame("2026-01-05", "2026-01-26"),
        "week",
        &[
            "2026-01-05,0,1,1,1,,1.000000,1.000000,true,2026-01-11",
            "2026-01-05,1,1,0,0,0,0.000000,0.000000,true,2026-01-18",
            "2026-01-05,2,1,0,0,0,0.000000,0.000000,true,2026-01-25",
            "2026-01-05,3,1,,,,,,false,2026-02-01",
        ],
    );
}

#[test]
fn cells_that_cannot_be_known_yet_are_empty() {
    // The day grain is complete up to the report day; the first month is not over.
    let lines = ["a: 2026-01-05 2026-01-06", "b: 2026-01-06"];
    let frame = frame("2026-01-05", "2026-01-06");
    check_retention(
        &lines,
        frame,
        "day",
        &[
            "2026-01-05,0,1,1,1,,1.000000,1.000000,true,2026-01-05",
            "2026-01-05,1,1,1,1,1,1.000000,1.000000,true,2026-01-06",
            "2026-01-06,0,1,1,1,,1.000000,1.000000,true,2026-01-06",
        ],
    );
    check_retention(&lines, frame, "week", &["2026-01-05,0,2,,,,,,false,2026-01-11"]);
    check_retention(&lines, frame, "month", &["2026-01-01,0,2,,,,,,false,2026-01-31"]);
}

#[test]
fn a_sunday_joiner_in_a_monday_week_has_a_week_of_one_day() {
    check_retention(
        &["a: 2026-01-11 2026-01-12"],
        frame("2026-01-11", "2026-01-18"),
        "week",
        &[
            "2026-01-05,0,1,1,1,,1.000000,1.000000,true,2026-01-11",
            "2026-01-05,1,1,1,1,1,1.000000,1.000000,true,2026-01-18",
        ],
    );
}

#[test]
fn those_who_are_gone_stay_in_the_denominator() {
    // Of three, one comes back at once, one skips a week, one never comes back.
    let lines = ["a: 2026-01-05 2026-01-12", "b: 2026-01-06 2026-01-19", "c: 2026-01-07"];
    check_retention(
        &lines,
        frame("2026-01-05", "2026-02-01"),
        "week",
        &[
            "2026-01-05,0,3,3,3,,1.000000,1.000000,true,2026-01-11",
            "2026-01-05,1,3,1,2,1,0.333333,0.666667,true,2026-01-18",
            "2026-01-05,2,3,1,1,2,0.333333,0.333333,true,2026-01-25",
            "2026-01-05,3,3,0,0,2,0.000000,0.000000,true,2026-02-01",
        ],
    );
}

#[test]
fn new_means_first_ever_and_no_period_is_rewritten_by_a_later_one() {
    let lines = ["a: 2026-01-05 2026-01-20", "b: 2026-01-19 2026-01-20", "c: 2026-01-26"];
    check_growth(
        &lines,
        frame("2026-01-05", "2026-01-26"),
        "day",
        &["2026-01-19,1,1,0,0,0,,true", "2026-01-20,2,0,1,1,0,,true"],
    );
    // Later days complete periods, but what a complete period said stays as it was.
    let of = |as_of| rows_of(&growth(), vec![table(&visits("user", &lines))], frame("2026-01-05", as_of));
    let (earlier, later) = (of("2026-01-25"), of("2026-01-26"));
    assert!(earlier.iter().filter(|row| row.ends_with(",true")).all(|row| later.contains(row)));
}

#[test]
fn the_leap_day_is_a_day() {
    let lines = ["a: 2024-02-28 2024-02-29 2024-03-01"];
    check_retention(
        &lines,
        frame("2024-02-28", "2024-03-01"),
        "day",
        &[
            "2024-02-28,0,1,1,1,,1.000000,1.000000,true,2024-02-28",
            "2024-02-28,1,1,1,1,1,1.000000,1.000000,true,2024-02-29",
            "2024-02-28,2,1,1,1,1,1.000000,1.000000,true,2024-03-01",
        ],
    );
    check_retention(
        &["a: 2024-02-29"],
        frame("2024-02-01", "2024-02-29"),
        "month",
        &["2024-02-01,0,1,1,1,,1.000000,1.000000,true,2024-02-29"],
    );
    check_growth(&["a: 2024-02-29"], frame("2024-02-01", "2024-02-29"), "month", &["2024-02-01,1,1,0,0,0,,true"]);
}

#[test]
fn gaps_of_27_28_and_29_days_in_the_trailing_window() {
    let frame = frame("2026-01-01", "2026-03-31");
    // Last seen on 1 January: the window that ends on the 28th still holds it, the next does not.
    check_growth(
        &["a: 2026-01-01"],
        frame,
        "trailing_28",
        &[
            "2026-01-01,1,1,0,0,0,,false",
            "2026-01-27,1,0,1,0,0,,false",
            "2026-01-28,1,0,1,0,0,,true",
            "2026-01-29,0,0,0,0,1,0.000000,true",
            "2026-01-30,0,0,0,0,0,,true",
        ],
    );
    check_growth(
        &["a: 2026-01-01 2026-01-28"],
        frame,
        "trailing_28",
        &[
            "2026-01-28,1,0,1,0,0,,true",
            "2026-01-29,1,0,1,0,0,,true",
            "2026-02-24,1,0,1,0,0,,true",
            "2026-02-25,0,0,0,0,1,0.000000,true",
        ],
    );
    // Back on the day on which it would have left.
    check_growth(&["a: 2026-01-01 2026-01-29"], frame, "trailing_28", &["2026-01-29,1,0,1,0,0,,true"]);
    // One day late: it left, and came back.
    check_growth(
        &["a: 2026-01-01 2026-01-30"],
        frame,
        "trailing_28",
        &["2026-01-29,0,0,0,0,1,0.000000,true", "2026-01-30,1,0,0,1,0,,true"],
    );
}

#[test]
fn nothing_in_gives_headers_only() {
    for job in [growth(), retention_of("user"), retention_of("org"), retention_of("dag")] {
        let later = visits("user", &["a: 2026-01-05"]);
        assert!(rows_of(&job, vec![table(&later)], frame("2026-01-05", "2026-01-04")).is_empty());
    }
    assert!(rows_of(&retention_of("dag"), vec![], frame("2026-01-05", "2026-01-09")).is_empty());
}

#[test]
fn all_entities_have_every_period_also_without_any_activity() {
    let rows = rows_of(&growth(), vec![], frame("2026-01-05", "2026-01-06"));
    let expected: Vec<String> = ["dag", "org", "user"]
        .iter()
        .flat_map(|entity| {
            [
                format!("{entity},day,2026-01-05,0,0,0,0,0,,true"),
                format!("{entity},day,2026-01-06,0,0,0,0,0,,true"),
                format!("{entity},month,2026-01-01,0,0,0,0,0,,false"),
                format!("{entity},trailing_28,2026-01-05,0,0,0,0,0,,false"),
                format!("{entity},trailing_28,2026-01-06,0,0,0,0,0,,false"),
                format!("{entity},week,2026-01-05,0,0,0,0,0,,false"),
            ]
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn entities_are_counted_apart() {
    let mut all = visits("user", &["x: 2026-01-05 2026-01-06"]);
    all.extend(visits("org", &["x: 2026-01-06"]));
    let frame = frame("2026-01-05", "2026-01-06");
    let day = |rows: Vec<String>| rows.into_iter().filter(|row| row.starts_with("day,")).count();
    assert_eq!(day(rows_of(&retention_of("user"), vec![table(&all)], frame)), 2);
    assert_eq!(day(rows_of(&retention_of("org"), vec![table(&all)], frame)), 1);
    assert_eq!(day(rows_of(&retention_of("dag"), vec![table(&all)], frame)), 0);
}

#[test]
fn periods_end_at_their_limits() {
    let rows = rows_of(
        &retention_of("user"),
        vec![table(&visits("user", &["a: 2024-01-01 2025-12-31"]))],
        frame("2024-01-01", "2025-12-31"),
    );
    let last = |grain: &str| rows.iter().rfind(|row| row.starts_with(grain)).expect("a row").clone();
    assert_eq!(last("day"), "day,2024-01-01,30,1,0,1,0,0.000000,1.000000,true,2024-01-31");
    assert_eq!(last("week"), "week,2024-01-01,26,1,0,1,0,0.000000,1.000000,true,2024-07-07");
    assert_eq!(last("month"), "month,2024-01-01,12,1,0,1,0,0.000000,1.000000,true,2025-01-31");
    assert_eq!(rows.len(), 31 + 27 + 13);
}

/// Worked examples of other products whose definitions are ours, typed anew.
mod peers {
    use super::*;

    /// The fixtures of `OpenPanel`'s retention service: five users in three days, weeks from Sunday over a year's end.
    #[test]
    fn openpanel_days_and_sunday_weeks() {
        let lines = [
            "1: 2024-03-04 2024-03-05 2024-03-06",
            "2: 2024-03-04 2024-03-06",
            "3: 2024-03-04",
            "4: 2024-03-05 2024-03-06",
            "5: 2024-03-05",
        ];
        check_retention(
            &lines,
            frame("2024-03-04", "2024-03-06"),
            "day",
            &[
                "2024-03-04,0,3,3,3,,1.000000,1.000000,true,2024-03-04",
                "2024-03-04,1,3,1,2,1,0.333333,0.666667,true,2024-03-05",
                "2024-03-04,2,3,2,2,2,0.666667,0.666667,true,2024-03-06",
                "2024-03-05,0,2,2,2,,1.000000,1.000000,true,2024-03-05",
                "2024-03-05,1,2,1,1,1,0.500000,0.500000,true,2024-03-06",
            ],
        );
    }

    /// Mozilla's resurrection: two clients back after 31 days, one of them seen again ten days later.
    #[test]
    fn mozilla_resurrection() {
        let lines = ["kept: 2025-12-01 2026-01-01 2026-01-11", "lost: 2025-12-01 2026-01-01"];
        check_growth(
            &lines,
            frame("2025-12-01", "2026-01-14"),
            "trailing_28",
            &["2025-12-28,2,0,2,0,0,,true", "2025-12-29,0,0,0,0,2,0.000000,true", "2026-01-01,2,0,0,2,0,,true"],
        );
    }
}

/// The definitions of METRICS.md taken by the word, over sets of dates.
mod model {
    use super::*;

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

    fn rate(above: usize, below: usize) -> String {
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
                let row =
                    if grain == "trailing_28" { trailing(&known, begins) } else { calendar(&known, grain, begins) };
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
}

/// A random case: visits in random order, some twice, some after the report day, cut into batches anywhere.
#[derive(Debug, Clone)]
struct Case {
    visits: Vec<Visit>,
    cut: usize,
    first: NaiveDate,
    as_of: NaiveDate,
    sunday: bool,
}

impl Case {
    fn frame(&self) -> Frame {
        Frame {
            first_day: day_of_date(self.first),
            as_of: day_of_date(self.as_of),
            week_start: if self.sunday { WeekStart::Sunday } else { WeekStart::Monday },
        }
    }

    fn asked(&self) -> model::Asked {
        model::Asked { first: self.first, as_of: self.as_of, sunday: self.sunday }
    }

    fn batches(&self) -> Vec<RecordBatch> {
        let (left, right) = self.visits.split_at(self.cut.min(self.visits.len()));
        vec![table(left), table(right)]
    }

    fn histories(&self, entity: &str) -> model::Histories {
        let mut histories = model::Histories::new();
        for (_, id, day) in self.visits.iter().filter(|visit| visit.0 == entity) {
            histories.entry(id.clone()).or_default().insert(*day);
        }
        histories
    }
}

/// The gaps between an id's days: mostly days and weeks, and those around the window of 28.
fn gaps() -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![4 => 0..4_u64, 3 => 5..10_u64, 3 => 26..31_u64, 1 => 31..200_u64];
    prop::collection::vec(gap, 1..14)
}

fn cases() -> impl Strategy<Value = Case> {
    let entity = prop_oneof![Just("user"), Just("user"), Just("org"), Just("dag")];
    let histories = prop::collection::vec((entity, 0..150_u64, gaps()), 0..14);
    let order = any::<u64>();
    (0..800_u64, histories, prop_oneof![0..40_u64, 0..450_u64], any::<bool>(), order).prop_map(
        |(offset, histories, length, sunday, order)| {
            let first = date("2019-12-01") + Days::new(offset);
            let mut visits = Vec::new();
            for (number, (entity, joins, gaps)) in histories.into_iter().enumerate() {
                let mut day = first + Days::new(joins);
                for gap in gaps {
                    day = day + Days::new(gap);
                    visits.push((entity, format!("id-{number}"), day));
                }
            }
            let mixed = |visit: &Visit| {
                let text = format!("{}{}{}", visit.0, visit.1, visit.2);
                text.bytes().fold(order, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            };
            visits.sort_by_key(mixed);
            let cut = usize::try_from(order % 50).expect("a small number");
            Case { visits, cut, first, as_of: first + Days::new(length), sunday }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn retention_is_what_its_words_say(case in cases()) {
        for entity in ["user", "org", "dag"] {
            let rows = rows_of(&retention_of(entity), case.batches(), case.frame());
            prop_assert_eq!(rows, model::retention(&case.histories(entity), case.asked()));
        }
    }

    #[test]
    fn growth_is_what_its_words_say(case in cases()) {
        let rows = rows_of(&growth(), case.batches(), case.frame());
        let entities = ["dag", "org", "user"].into_iter();
        let expected = entities.flat_map(|entity| model::growth(entity, &case.histories(entity), case.asked()));
        prop_assert_eq!(rows, expected.collect::<Vec<_>>());
    }

    #[test]
    fn growth_adds_up(case in cases()) {
        let mut before = (String::new(), 0_i64);
        for row in rows_of(&growth(), case.batches(), case.frame()) {
            let cells: Vec<&str> = row.split(',').collect();
            let series = cells[..2].join(",");
            let counts: Vec<i64> = cells[3..8].iter().map(|cell| cell.parse().expect("a count")).collect();
            let &[active, new, retained, resurrected, churned] = counts.as_slice() else { panic!("five counts") };
            let previous = if series == before.0 { before.1 } else { 0 };
            prop_assert!(counts.iter().all(|count| *count >= 0), "{}", row);
            prop_assert_eq!(active, new + retained + resurrected, "{}", row);
            prop_assert_eq!(active - previous, new + resurrected - churned, "{}", row);
            before = (series, active);
        }
    }

    #[test]
    fn retention_rates_are_shares(case in cases()) {
        for row in rows_of(&retention_of("user"), case.batches(), case.frame()) {
            let cells: Vec<&str> = row.split(',').collect();
            if cells[9] == "false" {
                prop_assert!(cells[4..9].iter().all(|cell| cell.is_empty()), "{}", row);
                continue;
            }
            let count = |place: usize| cells[place].parse::<i64>().unwrap_or(0);
            prop_assert!(count(4) <= count(5) && count(5) <= count(3) && count(6) <= count(3), "{}", row);
            prop_assert!(["0", "1"].contains(&&cells[7][..1]) && ["0", "1"].contains(&&cells[8][..1]), "{}", row);
            prop_assert!(cells[7] <= "1.000000" && cells[8] <= "1.000000", "{}", row);
        }
    }
}
