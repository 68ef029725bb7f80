//! The edge cases of the dictionary, worked out by hand.

use orgpulse::frames::Frame;
use orgpulse::period::{WeekStart, parse_day};

use super::{Visit, date, growth, retention_of, rows_of, table};

fn frame(first_day: &str, as_of: &str) -> Frame {
    let day = |text| parse_day(text).expect("a day of the test");
    Frame { first_day: day(first_day), as_of: day(as_of), week_start: WeekStart::Monday }
}

/// Ids and their days, `a: 2026-01-01 2026-01-05`, all of one entity.
fn visits(entity: &'static str, lines: &[&str]) -> Vec<Visit> {
    let ids = lines.iter().map(|line| line.split_once(": ").expect("`id: days`"));
    ids.flat_map(|(id, days)| days.split(' ').map(move |day| (entity, id.to_owned(), date(day)))).collect()
}

/// The rows of user retention of one grain: `cohort,period,size,on,on_or_after,on_or_before,rates,complete,mature_on`.
fn check_retention(lines: &[&str], frame: Frame, grain: &str, expected: &[&str]) {
    let all = rows_of(&retention_of("user"), &[table(&visits("user", lines))], frame);
    let shown: Vec<&str> = all.iter().filter_map(|row| row.strip_prefix(grain)?.strip_prefix(',')).collect();
    assert_eq!(shown, expected);
}

/// The rows of growth accounting of users and one grain whose period starts are named:
/// `period_start,active,new,retained,resurrected,churned,quick_ratio,is_complete`.
fn check_growth(lines: &[&str], frame: Frame, grain: &str, expected: &[&str]) {
    let all = rows_of(&growth(), &[table(&visits("user", lines))], frame);
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
    let of = |as_of| rows_of(&growth(), &[table(&visits("user", &lines))], frame("2026-01-05", as_of));
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
        assert!(rows_of(&job, &[table(&later)], frame("2026-01-05", "2026-01-04")).is_empty());
    }
    assert!(rows_of(&retention_of("dag"), &[], frame("2026-01-05", "2026-01-09")).is_empty());
}

#[test]
fn all_entities_have_every_period_also_without_any_activity() {
    let rows = rows_of(&growth(), &[], frame("2026-01-05", "2026-01-06"));
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
    assert_eq!(day(rows_of(&retention_of("user"), &[table(&all)], frame)), 2);
    assert_eq!(day(rows_of(&retention_of("org"), &[table(&all)], frame)), 1);
    assert_eq!(day(rows_of(&retention_of("dag"), &[table(&all)], frame)), 0);
}

#[test]
fn periods_end_at_their_limits() {
    let rows = rows_of(
        &retention_of("user"),
        &[table(&visits("user", &["a: 2024-01-01 2025-12-31"]))],
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
    use super::{Frame, WeekStart, check_growth, check_retention, frame};

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
        let weeks = Frame { week_start: WeekStart::Sunday, ..frame("2024-12-29", "2025-01-11") };
        check_retention(
            &["1: 2024-12-30 2025-01-06", "2: 2024-12-30"],
            weeks,
            "week",
            &[
                "2024-12-29,0,2,2,2,,1.000000,1.000000,true,2025-01-04",
                "2024-12-29,1,2,1,1,1,0.500000,0.500000,true,2025-01-11",
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
