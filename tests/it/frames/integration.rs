//! The windows of deep integration against a count of each day's last 28 days.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use orgpulse::frames::{Frame, Jobs};
use orgpulse::period::format_day;
use proptest::prelude::*;

use super::{FRAME, job, write};

/// The facts of a day (eligible, production, store, process, flow, decide), and its systems.
type Facts = ([bool; 6], BTreeSet<&'static str>);
type Days = BTreeMap<(i32, String), Facts>;
/// The least production days, systems, store, process, flow and decide days by the day from which on they hold.
type Levels = BTreeMap<i32, [usize; 6]>;

const FIRST_DAY: i32 = 100;

fn facts() -> impl Strategy<Value = Facts> {
    let systems = prop::collection::btree_set(prop::sample::select(vec!["a", "b%3B", "c"]), 0..3);
    (any::<[bool; 6]>(), systems).prop_map(|(mut facts, systems)| {
        facts[1] = !systems.is_empty();
        facts[0] |= facts[1];
        (facts, systems)
    })
}

fn days() -> impl Strategy<Value = Days> {
    let gap = prop_oneof![5 => 1..4_i32, 2 => 26..31_i32, 1 => 31..70_i32];
    let org = prop::collection::vec((gap, facts()), 1..25);
    prop::collection::vec(org, 0..5).prop_map(|orgs| {
        let mut all = Days::new();
        for (number, days) in orgs.into_iter().enumerate() {
            let mut day = 100;
            for (gap, facts) in days {
                day += gap;
                all.insert((day, format!("org-{number}")), facts);
            }
        }
        all
    })
}

/// The usual levels made lower, to be reached by few days, and a few changes of them.
fn levels() -> impl Strategy<Value = Levels> {
    let changes = prop::collection::btree_map(FIRST_DAY..300, prop::array::uniform6(0..4_usize), 0..4);
    changes.prop_map(|mut levels| {
        levels.entry(FIRST_DAY).or_insert([3, 2, 2, 2, 1, 1]);
        levels
    })
}

fn on(levels: &Levels, day: i32) -> [usize; 6] {
    *levels.range(..=day).next_back().expect("levels hold on every day").1
}

fn levels_table(levels: &Levels, as_of: i32) -> RecordBatch {
    let names = ["production_days", "systems", "store_days", "process_days", "flow_days", "decide_days"];
    let counts = |place: usize| -> ArrayRef {
        let count = |day| i64::try_from(on(levels, day)[place]).expect("a count");
        Arc::new(Int64Array::from_iter_values((FIRST_DAY..=as_of).map(count)))
    };
    let day: ArrayRef = Arc::new(Date32Array::from_iter_values(FIRST_DAY..=as_of));
    let columns = names.into_iter().enumerate().map(|(place, name)| (name, counts(place)));
    RecordBatch::try_from_iter([("day", day)].into_iter().chain(columns)).expect("a table")
}

fn table(days: &[(&(i32, String), &Facts)]) -> RecordBatch {
    let fact = |place: usize| -> ArrayRef {
        Arc::new(days.iter().map(|(_, facts)| Some(facts.0[place])).collect::<BooleanArray>())
    };
    let systems = days.iter().map(|(_, facts)| facts.1.iter().copied().collect::<Vec<_>>().join(";"));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("day", Arc::new(Date32Array::from_iter_values(days.iter().map(|(key, _)| key.0)))),
        ("org_id", Arc::new(StringArray::from_iter_values(days.iter().map(|(key, _)| &key.1)))),
        ("is_eligible", fact(0)),
        ("is_production", fact(1)),
        ("is_store", fact(2)),
        ("is_process", fact(3)),
        ("is_flow", fact(4)),
        ("is_decide", fact(5)),
        ("systems", Arc::new(StringArray::from_iter_values(systems))),
    ];
    RecordBatch::try_from_iter(columns).expect("a table")
}

fn windows(days: &Days, levels: &Levels, cut: usize, as_of: i32) -> Vec<String> {
    let rows: Vec<_> = days.iter().collect();
    let (left, right) = rows.split_at(cut.min(rows.len()));
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = ["0.parquet", "1.parquet"].map(|name| folder.path().join(name)).to_vec();
    paths.iter().zip([right, left]).for_each(|(path, rows)| write(path, &table(rows)));
    let definitions = folder.path().join("definitions.parquet");
    write(&definitions, &levels_table(levels, as_of));
    let frame = Frame { first_day: FIRST_DAY, as_of, ..FRAME };
    let inputs = [("deep_definitions", vec![definitions]), ("integration_day", paths)];
    let inputs = inputs.map(|(name, files)| (name.to_owned(), files)).into();
    super::lines(&Jobs::default().run(&job("name = 'deep_window'"), &inputs, frame).expect("a result"))
}

/// Level and counters of an organisation at a day, from the days of its window.
fn counted(days: &Days, levels: &Levels, org: &str, day: i32) -> (i32, String) {
    let window: Vec<&Facts> = days
        .iter()
        .filter(|(key, _)| key.1 == org && (day - 27..=day).contains(&key.0))
        .map(|(_, facts)| facts)
        .collect();
    let [eligible, production, store, process, flow, decide] =
        [0, 1, 2, 3, 4, 5].map(|place| window.iter().filter(|facts| facts.0[place]).count());
    let systems: BTreeSet<&str> = window.iter().flat_map(|facts| facts.1.iter().copied()).collect();
    let [production_days, system_count, store_days, process_days, flow_days, decide_days] = on(levels, day);
    let level = if window.is_empty() {
        0
    } else if eligible == 0 {
        1
    } else if production < production_days || systems.len() < system_count {
        2
    } else if store < store_days || process < process_days || flow < flow_days {
        3
    } else if decide < decide_days {
        4
    } else {
        5
    };
    (level, format!("{},{production},{store},{process},{flow},{decide}", systems.len()))
}

/// The windows by their words: for each organisation from its first day on, the days of a month on which nothing changed; one
/// without an event is there only in the month in which it begins.
fn expected(days: &Days, levels: &Levels, as_of: i32) -> Vec<String> {
    let orgs: BTreeSet<&String> = days.keys().filter(|key| key.0 <= as_of).map(|key| &key.1).collect();
    let month_of = |day: i32| format_day(day)[..7].to_owned();
    let mut rows = Vec::new();
    for org in orgs {
        let first = days.keys().filter(|key| key.1 == *org).map(|key| key.0).min().expect("a day");
        let mut runs: Vec<(i32, i32, i32, i32, String)> = Vec::new();
        let mut before = 0;
        for day in first..=as_of {
            let (level, counters) = counted(days, levels, org, day);
            match runs.last_mut() {
                Some(last) if last.2 == level && last.4 == counters && month_of(last.0) == month_of(day) => {
                    last.1 = day;
                }
                _ if level == 0 && before == 0 => {}
                _ => runs.push((day, day, level, before, counters)),
            }
            before = level;
        }
        rows.extend(runs.into_iter().map(|(from, until, level, before, counters)| {
            (from, org, format!("{},{org},{},{level},{before},{counters}", format_day(from), format_day(until)))
        }));
    }
    rows.sort();
    rows.into_iter().map(|(_, _, row)| row).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_what_their_words_say(
        days in days(),
        levels in levels(),
        cut in 0..60_usize,
        length in 0..200_i32,
    ) {
        let as_of = FIRST_DAY + length;
        prop_assert_eq!(windows(&days, &levels, cut, as_of), expected(&days, &levels, as_of));
    }

    // A month alone, of which only what it may see is known.
    #[test]
    fn a_month_needs_no_more_than_it_sees(
        days in days(),
        levels in levels(),
        length in 0..200_i32,
    ) {
        let as_of = FIRST_DAY + length;
        let whole = windows(&days, &levels, 0, as_of);
        let month = |day: i32| format_day(day)[..7].to_owned();
        let first = (FIRST_DAY..=as_of).find(|day| month(*day) == month(as_of)).expect("a day");
        let seen: Days = days.iter().filter(|(key, _)| key.0 >= first - 28).map(|(key, facts)| (key.clone(), facts.clone())).collect();
        let of_month = |rows: Vec<String>| rows.into_iter().filter(|row| row.starts_with(&month(as_of))).collect::<Vec<_>>();
        prop_assert_eq!(of_month(windows(&seen, &levels, 0, as_of)), of_month(whole));
    }
}
