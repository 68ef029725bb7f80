//! The promises of the generator, read back from its files.

mod reading;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use super::{Compression, Made, Plan, generate};
use crate::period::{Day, parse_day};
use crate::settings::LogFormat;
use reading::{Log, Record, dimension, read, values};

fn small() -> Plan {
    Plan { orgs: 90, days: 24, days_per_file: 4, compression: None, ..Plan::sample() }
}

fn make(plan: &Plan, threads: usize) -> (tempfile::TempDir, Made) {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let made = pool.install(|| generate(plan, folder.path(), &|_, _| {})).expect("a log");
    (folder, made)
}

fn all_bytes(folder: &Path, made: &Made) -> Vec<(String, Vec<u8>)> {
    let paths = made.files.iter().chain(&made.dimensions);
    let name = |path: &Path| path.strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
    paths.map(|path| (name(path), fs::read(path).expect("a file"))).collect()
}

fn check_threads(format: LogFormat, compression: Option<Compression>) {
    let plan = Plan { orgs: 30, days: 9, days_per_file: 2, format, compression, ..small() };
    let ((one, first), (four, second)) = (make(&plan, 1), make(&plan, 4));
    assert!(all_bytes(one.path(), &first) == all_bytes(four.path(), &second), "{format:?} {compression:?}");
    assert_eq!(first.bytes, second.bytes);
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    check_threads(LogFormat::Jsonl, Some(Compression::Gz));
    check_threads(LogFormat::Csv, Some(Compression::Zst));
    check_threads(LogFormat::Parquet, None);
}

#[test]
fn another_seed_is_another_landscape() {
    let plan = Plan { orgs: 20, days: 3, ..small() };
    let ((one, first), (other, second)) = (make(&plan, 1), make(&Plan { seed: 8, ..plan.clone() }, 1));
    assert!(all_bytes(one.path(), &first) != all_bytes(other.path(), &second));
}

fn check_announced(plan: &Plan, made: &Made) -> Log {
    let log = read(plan, made);
    assert_eq!(log.records, made.records, "{:?}", plan.format);
    assert_eq!(log.rejects, made.rejects, "{:?}", plan.format);
    assert_eq!(log.duplicates, made.duplicates, "{:?}", plan.format);
    assert_eq!(log.late, made.late, "{:?}", plan.format);
    assert_eq!(log.events.len() as u64, made.events, "{:?}", plan.format);
    assert!(made.files.is_sorted(), "files are read in the order of their names");
    log
}

fn content(log: &Log) -> BTreeSet<(Day, Record)> {
    log.events.iter().cloned().collect()
}

#[test]
fn all_formats_hold_the_same_events_and_the_announced_dirt() {
    let plan = small();
    let (_keep, made) = make(&plan, 2);
    let json = check_announced(&plan, &made);
    assert!(json.duplicates > 10 && json.differing > 2 && json.late > 10 && json.blanks > 0, "{made:?}");
    assert_eq!(made.rejects.len(), 10, "every reason: {:?}", made.rejects);
    let rejected: u64 = made.rejects.values().sum();
    assert!((1..=6).contains(&(rejected * 1000 / made.records)), "{rejected} of {}", made.records);

    let csv = Plan { format: LogFormat::Csv, compression: Some(Compression::Gz), ..plan.clone() };
    let (_keep, made) = make(&csv, 2);
    assert_eq!(made.rejects.len(), 10);
    assert!(content(&check_announced(&csv, &made)) == content(&json), "CSV and JSON lines differ");

    let parquet = Plan { format: LogFormat::Parquet, ..plan };
    let (_keep, made) = make(&parquet, 2);
    assert_eq!(made.rejects.len(), 6);
    assert!(content(&check_announced(&parquet, &made)) == content(&json), "Parquet and JSON lines differ");
}

#[test]
fn a_clean_log_is_clean() {
    let plan = Plan { dirt: false, orgs: 40, days: 10, ..small() };
    let (_keep, made) = make(&plan, 2);
    let log = check_announced(&plan, &made);
    assert_eq!((log.duplicates, log.late, log.blanks, log.rejects.len()), (0, 0, 0, 0));
    assert_eq!(made.events, made.records);
}

#[test]
fn an_asked_number_of_events_is_met_nearly() {
    let plan = Plan { events: Some(60_000), days: 20, ..small() };
    let (_keep, made) = make(&plan, 2);
    assert!((48_000..72_000).contains(&made.events), "{}", made.events);
}

fn check_refused(plan: &Plan, expected: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let error = generate(plan, folder.path(), &|_, _| {}).expect_err("refused");
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn impossible_plans_and_used_folders_are_refused() {
    check_refused(&Plan { days: 0, ..small() }, "days=`0`");
    check_refused(&Plan { orgs: 0, ..small() }, "orgs=`0`");
    check_refused(&Plan { events: Some(0), ..small() }, "events=`0`");
    check_refused(&Plan { events: Some(u64::MAX), ..small() }, "too many");
    check_refused(&Plan { days_per_file: 0, ..small() }, "days per file=`0`");
    check_refused(&Plan { first_day: -1, ..small() }, "1970-01-02");
    let plan = Plan { orgs: 3, days: 1, ..small() };
    let (folder, _) = make(&plan, 1);
    let error = generate(&plan, folder.path(), &|_, _| {}).expect_err("refused");
    assert!(error.to_string().contains("already holds files"), "{error}");
}

#[test]
fn progress_ends_at_the_total() {
    let folder = tempfile::tempdir().expect("a folder");
    let most = std::sync::atomic::AtomicU64::new(0);
    let plan = Plan { orgs: 3, days: 5, days_per_file: 2, ..small() };
    generate(&plan, folder.path(), &|done, total| {
        assert_eq!(total, 3);
        most.fetch_max(done, std::sync::atomic::Ordering::Relaxed);
    })
    .expect("a log");
    assert_eq!(most.into_inner(), 3);
}

#[test]
fn the_sample_is_small_and_shows_every_level_and_reason() {
    let plan = Plan::sample();
    let (_keep, made) = make(&plan, 2);
    let log = check_announced(&plan, &made);
    assert!(made.bytes < 1_000_000, "{}", made.bytes);
    assert_eq!((made.rejects.len(), made.files.len()), (10, 5));
    assert!(made.late > 0 && made.duplicates > 0);
    check_levels(&plan, &log, &dimension(&made.dimensions, "apps.csv"), 1);
    check_dag(&plan, &log, 3, 1);
    let [orgs, users, apps] = ["orgs.csv", "users.csv", "apps.csv"].map(|name| dimension(&made.dimensions, name));
    check_unknown_ids(&log, &orgs, &users, &apps);
}

// One landscape is large enough for all phenomena; it is made once for all of these checks.
#[test]
fn a_landscape_shows_what_the_dictionary_measures() {
    let plan = Plan { orgs: 300, days: 70, dirt: false, days_per_file: 10, ..small() };
    let (_keep, made) = make(&plan, 2);
    let log = read(&plan, &made);
    let orgs = dimension(&made.dimensions, "orgs.csv");
    let users = dimension(&made.dimensions, "users.csv");
    let apps = dimension(&made.dimensions, "apps.csv");
    check_rhythm(&plan, &log);
    check_dag(&plan, &log, 30, 50);
    check_levels(&plan, &log, &apps, 5);
    check_people(&plan, &log, &users);
    check_unknown_ids(&log, &orgs, &users, &apps);
    check_rooms(&log);
    check_history(&orgs, &apps);
    let campaigns = values(&dimension(&made.dimensions, "campaigns.csv"), "campaign");
    assert_eq!(campaigns.len(), 5);
    assert!(!values(&users, "campaign").is_subset(&campaigns), "a campaign that only the users file names");
    let accounts = dimension(&made.dimensions, "account_lists.csv");
    assert!(accounts.iter().any(|row| row["org_id"].is_empty()), "accounts that are not there");
    let mut orgs_of: HashMap<(&str, &str), u32> = HashMap::new();
    for row in &accounts {
        *orgs_of.entry((&row["list"], &row["account"])).or_default() += 1;
    }
    assert!(orgs_of.values().any(|orgs| *orgs > 1), "accounts of several organisations");
}

fn is_human(record: &Record) -> bool {
    !record.user.is_empty() && record.action != "push_received"
}

fn check_rhythm(plan: &Plan, log: &Log) {
    let mut active: BTreeMap<Day, HashSet<&str>> = BTreeMap::new();
    for (day, record) in log.events.iter().filter(|(_, record)| is_human(record)) {
        active.entry(*day).or_default().insert(&record.user);
    }
    assert_eq!(active.len(), plan.days as usize, "somebody is there every day");
    let mean = |days: &dyn Fn(i32) -> bool| {
        let of: Vec<usize> =
            active.iter().filter(|(d, _)| days((**d + 3).rem_euclid(7))).map(|(_, u)| u.len()).collect();
        of.iter().sum::<usize>() / of.len()
    };
    let (weekday, weekend) = (mean(&|d| d < 5), mean(&|d| d >= 5));
    assert!(weekend * 100 > weekday * 10 && weekend * 100 < weekday * 60, "{weekend} of {weekday}");
}

fn check_dag(plan: &Plan, log: &Log, daily: u32, misses: u32) {
    let mut usage: BTreeMap<(Day, &str), BTreeMap<&str, i64>> = BTreeMap::new();
    for (day, record) in log.events.iter().filter(|(_, record)| is_human(record) && !record.org.is_empty()) {
        *usage.entry((*day, &record.org)).or_default().entry(&record.app).or_default() += record.duration_ms;
    }
    let (mut dag, mut misses_a, mut misses_b, mut exact) = (0, 0, 0, 0);
    for apps in usage.values() {
        let total: i64 = apps.values().sum();
        let over = apps.values().filter(|ms| **ms >= 60_000).count();
        dag += u32::from(total >= 600_000 && over >= 3);
        misses_a += u32::from(total < 600_000 && over >= 3);
        misses_b += u32::from(total >= 600_000 && over == 2);
        exact += u32::from(total == 600_000 || apps.values().any(|ms| *ms == 60_000));
    }
    assert!(dag / plan.days >= daily, "{dag} organisation-days");
    assert!(misses_a > misses && misses_b > misses && exact > misses, "{misses_a} {misses_b} {exact}");
}

fn check_levels(plan: &Plan, log: &Log, apps: &[BTreeMap<String, String>], at_least: u32) {
    let first_row: HashMap<&str, &BTreeMap<String, String>> =
        apps.iter().rev().map(|row| (row["app_id"].as_str(), row)).collect();
    let last = plan.first_day + plan.days.cast_signed() - 1;
    // Days with an event by organisation and kind: any, eligible, production, then the four stages.
    let mut days: BTreeMap<&str, [HashSet<Day>; 7]> = BTreeMap::new();
    let window = log.events.iter().filter(|(day, record)| *day > last - 28 && !record.org.is_empty());
    for (day, record) in window.filter(|(_, record)| record.action != "push_received") {
        let row = first_row.get(record.app.as_str());
        let column = |name: &str| row.map_or("", |row| row[name].as_str());
        let sets = days.entry(&record.org).or_default();
        sets[0].insert(*day);
        if matches!(column("category"), "communication" | "hr") {
            continue;
        }
        sets[1].insert(*day);
        if !column("system").is_empty() {
            sets[2].insert(*day);
        }
        for (set, stage) in sets[3..].iter_mut().zip(["store", "process", "flow", "decide"]) {
            if column("stage").contains(stage) {
                set.insert(*day);
            }
        }
    }
    let mut levels = [0_u32; 6];
    for sets in days.values() {
        let count: Vec<usize> = sets.iter().map(HashSet::len).collect();
        let rules = [count[0] > 0, count[1] > 0, count[2] >= 8, count[3..6].iter().all(|n| *n >= 4), count[6] >= 2];
        levels[rules.iter().take_while(|holds| **holds).count()] += 1;
    }
    assert!(levels[1..].iter().all(|orgs| *orgs >= at_least), "{levels:?}");
    assert!(days.values().any(|sets| (4..8).contains(&sets[2].len())), "just short of connected");
    let pushed: HashSet<&str> = log.events.iter().map(|(_, record)| record.org.as_str()).collect();
    assert!(pushed.len() > days.len(), "organisations that are seen only");
}

fn check_people(plan: &Plan, log: &Log, users: &[BTreeMap<String, String>]) {
    let mut days_of: BTreeMap<&str, BTreeSet<Day>> = BTreeMap::new();
    let mut orgs_of: HashMap<&str, HashSet<&str>> = HashMap::new();
    for (day, record) in log.events.iter().filter(|(_, record)| is_human(record)) {
        days_of.entry(&record.user).or_default().insert(*day);
        orgs_of.entry(&record.user).or_default().insert(&record.org);
    }
    let companies = |orgs: &HashSet<&str>| orgs.iter().filter(|org| !org.is_empty()).count();
    assert!(orgs_of.values().any(|orgs| companies(orgs) > 1), "users of two organisations");
    assert!(orgs_of.values().filter(|orgs| companies(orgs) == 0).count() > 5, "personal use");
    let last = plan.first_day + plan.days.cast_signed() - 1;
    let gap = |days: &BTreeSet<Day>| days.iter().zip(days.iter().skip(1)).any(|(a, b)| b - a > 28);
    assert!(days_of.values().any(gap), "resurrected");
    assert!(days_of.values().filter(|days| days.last().is_some_and(|day| *day < last - 28)).count() > 20, "churned");
    let new = days_of.values().filter(|days| days.first().is_some_and(|d| (7..=27).contains(&(d - plan.first_day))));
    let week_4 =
        |days: &BTreeSet<Day>| days.first().is_some_and(|first| days.range(first + 28..first + 35).next().is_some());
    let (cohort, kept) = new.fold((0, 0), |(cohort, kept), days| (cohort + 1, kept + u32::from(week_4(days))));
    assert!((20..=80).contains(&(kept * 100 / cohort)), "week 4: {kept} of {cohort}");
    let checked_in = log.events.iter().filter(|(_, record)| record.action == "check_in");
    let mut streaks: HashMap<&str, BTreeSet<Day>> = HashMap::new();
    for (day, record) in checked_in {
        streaks.entry(&record.user).or_default().insert(*day);
    }
    let is_complete = |days: &BTreeSet<Day>| days.iter().any(|d| (0..15).all(|k| days.contains(&(d + k))));
    assert!(streaks.values().any(is_complete) && streaks.values().any(|days| days.len() < 15), "streaks");
    assert!(users.iter().any(|row| row["is_internal"] == "true"));
    assert!(users.iter().any(|row| !row["invited_by"].is_empty()));
    assert!(users.iter().any(|row| row["registered_at"].is_empty()));
}

fn check_unknown_ids(
    log: &Log,
    orgs: &[BTreeMap<String, String>],
    users: &[BTreeMap<String, String>],
    apps: &[BTreeMap<String, String>],
) {
    let missing = |rows: &[BTreeMap<String, String>], column: &str, field: &dyn Fn(&Record) -> String| {
        let known = values(rows, column);
        let seen: HashSet<String> = log.events.iter().map(|(_, record)| field(record)).collect();
        seen.iter().filter(|id| !id.is_empty() && !known.contains(*id)).count()
    };
    assert!(missing(orgs, "org_id", &|record| record.org.clone()) >= 1);
    assert!(missing(users, "user_id", &|record| record.user.clone()) >= 1);
    assert!(missing(apps, "app_id", &|record| record.app.clone()) >= 1);
    assert!(log.events.iter().any(|(_, record)| record.user.is_empty()), "machines");
    assert!(log.events.iter().any(|(_, record)| record.id.is_empty()), "events without id");
    assert!(log.events.iter().any(|(_, record)| record.app.starts_with("lc-o")), "low-code apps");
}

fn check_rooms(log: &Log) {
    let mut rooms: HashMap<(&str, &str), HashSet<&str>> = HashMap::new();
    for (_, record) in log.events.iter().filter(|(_, record)| !record.room.is_empty()) {
        rooms.entry((&record.app, &record.room)).or_default().insert(&record.user);
    }
    for app in ["meet", "calls", "classroom", "webinar"] {
        let largest = rooms.iter().filter(|(room, _)| room.0 == app).map(|(_, users)| users.len()).max();
        assert!(largest.is_some_and(|users| users > 1), "{app}: {largest:?}");
    }
}

fn check_history(orgs: &[BTreeMap<String, String>], apps: &[BTreeMap<String, String>]) {
    let rows = |of: &[BTreeMap<String, String>], column: &str| of.len() - values(of, column).len();
    assert!(rows(orgs, "org_id") > 5, "organisations that change");
    assert_eq!(rows(apps, "app_id"), 3, "apps that change");
    let headcounts: Vec<u64> = orgs.iter().filter_map(|row| row["headcount"].parse().ok()).collect();
    assert!(headcounts.iter().any(|n| *n >= 10_000) && headcounts.len() < orgs.len(), "large, and unknown ones");
    let dates = orgs.iter().map(|row| &row["registered_at"]).filter(|text| !text.is_empty());
    assert!(dates.into_iter().all(|text| parse_day(text).is_some()));
}
