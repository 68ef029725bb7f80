//! Numbers that the tests and manuals of other products hold to be right, under the keys that mean what they mean there.
//! The facts are theirs, the events are written anew.

use chrono::{NaiveDate, TimeDelta};

use super::keys::{Event, World, answer};
use super::{date, job};

/// Ids, their days, and an action that is `use` unless it is named: `a: 2026-01-01 2026-01-05=buy`.
fn world(lines: &[&str], as_of: &str) -> World {
    let mut events = Vec::new();
    for (id, days) in lines.iter().map(|line| line.split_once(": ").expect("`id: days`")) {
        for day in days.split(' ') {
            let (day, action) = day.split_once('=').unwrap_or((day, "use"));
            let noon = date(day).and_hms_opt(12, 0, 0).expect("noon").and_utc();
            let action = ["use", "buy", "open"].into_iter().find(|known| *known == action).expect("an action");
            events.push(Event { id: id.to_owned(), at: noon, action });
        }
    }
    let first = events.iter().map(Event::day).min().expect("an event");
    World { events, first, as_of: date(as_of), sunday: true }
}

/// The cells of a retention table as `cohort,period,size,cell`, where the cell is that of a column.
fn cells(world: &World, keys: &str, column: usize) -> Vec<String> {
    let rows = answer(&job(&format!("name = 'retention'\nentity = 'user'\n{keys}")), world);
    let cells = rows.iter().map(|row| row.split(',').collect::<Vec<_>>());
    cells.map(|row| format!("{},{},{},{}", row[1], row[2], row[3], row[column])).collect()
}

const ON: usize = 4;
const ON_OR_AFTER: usize = 5;
const ON_OR_BEFORE: usize = 6;
const ON_RATE: usize = 7;

fn check(world: &World, keys: &str, column: usize, expected: &[&str]) {
    assert_eq!(cells(world, keys, column), expected, "{keys}");
}

/// `OpenPanel`: who opens the app in a window of three days, of one country, of two users, and week over week.
#[test]
fn openpanel_first_in_range() {
    let all = world(
        &[
            "us-1: 2024-03-04=open 2024-03-05=open 2024-03-06=open 2024-03-05=buy",
            "us-2: 2024-03-04=open 2024-03-06=open 2024-03-06=buy",
            "se-3: 2024-03-04=open",
            "us-4: 2024-03-05=open 2024-03-06=open",
            "us-5: 2024-03-05=open",
            "us-6: 2024-12-30=open 2025-01-06=open",
            "us-7: 2024-12-30=open",
        ],
        "2025-01-18",
    );
    let keys = "cohort = 'first_in_range'\nfrom = 2024-03-04\nuntil = 2024-03-06\ngrains = { day = 2 }\n\
                start = \"action = 'open'\"\nreturn = \"action = 'open'\"\n";
    let day = |rows: [&str; 6]| {
        let dates = ["2024-03-04", "2024-03-05"].into_iter().flat_map(|cohort| (0..3).map(move |age| (cohort, age)));
        dates.zip(rows).map(|((cohort, age), rest)| format!("{cohort},{age},{rest}")).collect::<Vec<_>>()
    };
    assert_eq!(cells(&all, keys, ON), day(["3,3", "3,1", "3,2", "2,2", "2,1", "2,0"]));
    assert_eq!(cells(&all, keys, ON_OR_AFTER), day(["3,3", "3,2", "3,2", "2,2", "2,1", "2,0"]));
    let country = format!("{keys}filter = \"user_id LIKE 'us-%'\"");
    assert_eq!(cells(&all, &country, ON), day(["2,2", "2,1", "2,2", "2,2", "2,1", "2,0"]));
    let two = format!("{keys}filter = \"user_id IN ('us-1', 'us-4')\"");
    assert_eq!(cells(&all, &two, ON), day(["1,1", "1,1", "1,1", "1,1", "1,1", "1,0"]));
    let weeks = ["2024-03-03,0,5,5", "2024-03-03,1,5,0", "2024-12-29,0,2,2", "2024-12-29,1,2,1"];
    let next = ["2025-01-05,0,1,1", "2025-01-05,1,1,0"];
    check(&all, "cohort = 'recurring'\ngrains = { week = 1 }", ON, &[&weeks[..], &next[..]].concat());
}

/// dbt Product Analytics: 24 users of January, a `completed` order 0, 1, 7 and 14 days or more after the first order of any
/// kind. Five begin with another kind, and one of them completes later. The peer does not ask whether a cell can be known
/// yet, so this is asked when all can.
#[test]
fn dbt_product_analytics_unbounded() {
    let mut lines = vec![
        "a: 2018-01-01".to_owned(),
        "b: 2018-01-02 2018-01-27=buy".to_owned(),
        "c: 2018-01-11".to_owned(),
        "d: 2018-01-17".to_owned(),
        "e: 2018-01-26".to_owned(),
        "f: 2018-01-29".to_owned(),
        "g: 2018-01-04=buy 2018-01-29=buy".to_owned(),
        "h: 2018-01-05=buy 2018-01-20".to_owned(),
        "i: 2018-01-07=buy 2018-01-22=buy".to_owned(),
        "j: 2018-01-18=buy 2018-01-23=buy".to_owned(),
    ];
    lines.extend((0..14).map(|day| format!("more-{day}: 2018-01-{:02}=buy", day + 10)));
    lines.push("later: 2018-02-02=buy".to_owned());
    let all = world(&lines.iter().map(String::as_str).collect::<Vec<_>>(), "2018-02-28");
    let keys = "cohort = 'first_in_range'\nfrom = 2018-01-01\nuntil = 2018-01-31\ngrains = { day = 14 }\n\
                return = \"action = 'buy'\"";
    let mut pooled = [(0, 0); 15];
    for cell in cells(&all, keys, ON_OR_AFTER) {
        let cell: Vec<&str> = cell.split(',').collect();
        let number = |place: usize| cell[place].parse::<usize>().expect("a number");
        let sum = &mut pooled[number(1)];
        *sum = (sum.0 + number(3), sum.1 + number(2));
    }
    assert_eq!([0, 1, 7, 14].map(|age: usize| pooled[age]), [(19, 24), (4, 24), (3, 24), (3, 24)]);
}

/// Retentioneering: periods of 30 and 21 days from the first event, of 28 from its Monday, and calendar months.
#[test]
fn retentioneering_periods_of_days() {
    let all = world(
        &[
            "1: 2021-12-28 2022-01-03 2022-01-13 2022-02-03",
            "2: 2021-12-28 2022-01-04 2022-01-15 2022-02-04 2022-04-04",
            "3: 2022-01-05 2022-02-05 2022-04-05",
            "4: 2022-01-06 2022-02-06",
            "5: 2022-01-07 2022-02-07",
            "6: 2022-01-08 2022-02-08",
            "7: 2022-02-06 2022-03-06",
            "8: 2022-02-07 2022-04-07",
            "9: 2022-02-08 2022-03-08",
            "10: 2022-03-03 2022-04-03",
        ],
        "2022-04-30",
    );
    let rates = |keys: &str| -> Vec<String> {
        let shown = cells(&all, &format!("{keys}\nreturning = ['on', 'on_or_after', 'on_or_before']"), ON_RATE);
        shown.into_iter().filter(|cell| !cell.ends_with(',')).map(|cell| cell.replace("0000", "")).collect()
    };
    assert_eq!(
        rates("grains = { 30d = 3 }"),
        [
            "2021-12-28,0,6,1.00",
            "2021-12-28,1,6,1.00",
            "2021-12-28,2,6,0.00",
            "2021-12-28,3,6,0.333333",
            "2022-01-27,0,3,1.00",
            "2022-01-27,1,3,0.666667",
            "2022-01-27,2,3,0.333333",
            "2022-02-26,0,1,1.00",
            "2022-02-26,1,1,1.00",
        ]
    );
    assert_eq!(
        rates("grains = { 28d = 3 }\norigin = 2021-12-27"),
        [
            "2021-12-27,0,6,1.00",
            "2021-12-27,1,6,1.00",
            "2021-12-27,2,6,0.00",
            "2021-12-27,3,6,0.333333",
            "2022-01-24,0,3,1.00",
            "2022-01-24,1,3,0.666667",
            "2022-01-24,2,3,0.333333",
            "2022-02-21,0,1,1.00",
            "2022-02-21,1,1,1.00",
        ]
    );
    // Users 7 and 8 come before 8 February, user 9 on it.
    assert_eq!(
        rates("grains = { 21d = 4 }"),
        [
            "2021-12-28,0,6,1.00",
            "2021-12-28,1,6,0.833333",
            "2021-12-28,2,6,0.166667",
            "2021-12-28,3,6,0.00",
            "2021-12-28,4,6,0.333333",
            "2022-01-18,0,2,1.00",
            "2022-01-18,1,2,0.00",
            "2022-01-18,2,2,0.50",
            "2022-01-18,3,2,0.50",
            "2022-02-08,0,1,1.00",
            "2022-02-08,1,1,1.00",
            "2022-02-08,2,1,0.00",
            "2022-03-01,0,1,1.00",
            "2022-03-01,1,1,1.00",
        ]
    );
    assert_eq!(
        rates("grains = { month = 4 }"),
        [
            "2021-12-01,0,2,1.00",
            "2021-12-01,1,2,1.00",
            "2021-12-01,2,2,1.00",
            "2021-12-01,3,2,0.00",
            "2021-12-01,4,2,0.50",
            "2022-01-01,0,4,1.00",
            "2022-01-01,1,4,1.00",
            "2022-01-01,2,4,0.00",
            "2022-01-01,3,4,0.25",
            "2022-02-01,0,3,1.00",
            "2022-02-01,1,3,0.666667",
            "2022-02-01,2,3,0.333333",
            "2022-03-01,0,1,1.00",
            "2022-03-01,1,1,1.00",
        ]
    );
}

/// Mozilla's windows of seven days from a date: active on it, in days 0 to 6, in days 1 to 6, in days 7 to 13.
#[test]
fn mozilla_weeks_from_a_date() {
    let all = world(&["u: 2020-01-15 2020-01-18 2020-01-28", "other: 2020-01-01"], "2020-02-28");
    let from = |day: &str| format!("cohort = 'recurring'\nfrom = {day}\nuntil = {day}\n");
    let weeks = from("2020-01-15") + "origin = 2020-01-15\ngrains = { 7d = 1 }";
    check(&all, &weeks, ON, &["2020-01-15,0,1,1", "2020-01-15,1,1,1"]);
    let days = cells(&all, &(from("2020-01-15") + "grains = { day = 6 }"), ON_OR_BEFORE);
    assert_eq!(days.last().map(String::as_str), Some("2020-01-15,6,1,1"));
    check(&all, &(from("2020-01-08") + "grains = { day = 6 }"), ON, &[]);
    // Of the two clients who were back on 1 January, one is seen in the days 7 to 13 after it.
    let back = world(&["kept: 2025-12-01 2026-01-01 2026-01-11", "lost: 2025-12-01 2026-01-01"], "2026-01-14");
    let weeks = from("2026-01-01") + "origin = 2026-01-01\ngrains = { 7d = 1 }";
    check(&back, &weeks, ON, &["2026-01-01,0,2,2", "2026-01-01,1,2,1"]);
}

/// The counts of some days over trailing windows.
fn check_trailing(world: &World, windows: &str, expected: &[&str]) {
    for condition in ["", "filter = 'true'"] {
        let keys = format!("name = 'trailing_activity'\nentities = ['user']\nwindows = {windows}\n{condition}");
        let rows = answer(&job(&keys), world);
        let asked = |row: &&str| expected.iter().any(|line| line.get(..10) == row.get(..10));
        let rows: Vec<String> = rows.iter().map(|row| row.replacen(",user", "", 1)).collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).filter(asked).collect();
        assert_eq!(rows, expected, "{keys}");
    }
}

/// Mozilla's last seen, where 28 and 30 days differ, and `MetricFlow`'s distinct users over two days.
#[test]
fn trailing_windows_of_peers() {
    let search = ["b: 2019-09-03 2019-10-02 2019-10-02", "c: 2019-09-03", "a: 2019-10-02 2019-10-02"];
    check_trailing(&world(&search, "2019-10-02"), "[28, 30]", &["2019-10-01,0,0,2", "2019-10-02,2,2,3"]);
    let last_seen = ["a: 2018-12-31", "b: 2018-12-31 2019-01-01 2019-01-02", "c: 2019-01-02"];
    check_trailing(&world(&last_seen, "2019-01-02"), "[7, 28]", &["2019-01-01,1,2,2", "2019-01-02,2,3,3"]);
    let bookings = [
        "a: 2019-12-20 2020-01-02 2020-01-02",
        "b: 2020-01-01 2020-01-01 2020-01-02",
        "c: 2020-01-01",
        "d: 2020-01-01",
        "e: 2020-01-02",
        "f: 2020-01-02 2020-01-03",
    ];
    let expected = ["2020-01-01,3,3", "2020-01-02,4,6", "2020-01-03,1,4"];
    check_trailing(&world(&bookings, "2020-01-03"), "[2]", &expected);
}

/// `OpenPanel`'s average: pooled over the cohorts that are old enough, where a true zero counts.
#[test]
fn openpanel_pooled_over_old_cohorts() {
    let table: [(&str, &[usize]); 3] =
        [("2024-01-07", &[100, 50, 25, 10]), ("2024-01-14", &[80, 40, 0]), ("2024-01-21", &[60, 30])];
    let mut events = Vec::new();
    for (cohort, active) in table {
        let weeks = active.iter().zip(0..).flat_map(|(count, week)| (0..*count).map(move |user| (user, week)));
        events.extend(weeks.map(|(user, week)| {
            let noon = date(cohort).and_hms_opt(12, 0, 0).expect("noon").and_utc();
            Event { id: format!("{cohort}-{user}"), at: noon + TimeDelta::weeks(week), action: "use" }
        }));
    }
    let first: NaiveDate = date("2024-01-07");
    let all = World { events, first, as_of: date("2024-02-03"), sunday: true };
    let mut pooled = [(0, 0); 4];
    for cell in cells(&all, "grains = { week = 3 }", ON) {
        let cell: Vec<usize> = cell.split(',').skip(1).map(|cell| cell.parse().expect("a number")).collect();
        pooled[cell[0]] = (pooled[cell[0]].0 + cell[2], pooled[cell[0]].1 + cell[1]);
    }
    assert_eq!(pooled, [(240, 240), (120, 240), (25, 180), (10, 100)]);
}
