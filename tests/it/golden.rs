//! The golden cases of every query, and how a case is judged and accepted.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use orgpulse::catalog::{Catalog, Query};
use orgpulse::engine::Engine;
use orgpulse::golden::{self, CaseResult};
use orgpulse::settings::{EngineKind, EngineSettings};
use tempfile::TempDir;

fn check(catalog: &Catalog, name: Option<&str>, accept: bool) -> Vec<CaseResult> {
    check_on(EngineKind::Local, catalog, name, accept)
}

fn check_on(kind: EngineKind, catalog: &Catalog, name: Option<&str>, accept: bool) -> Vec<CaseResult> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings = EngineSettings { kind, ..EngineSettings::default() };
        let engine = Engine::start(&settings).await.expect("an engine");
        golden::check(&engine, catalog, name, accept).await.expect("an answer")
    })
}

// A case mostly waits for the disk, so several go at once, each thread with an engine of its own.
const THREADS: usize = 4;

#[test]
fn every_case_holds() {
    check_all_on(EngineKind::Local, |_| true);
}

#[cfg(feature = "cluster")]
#[test]
fn every_case_holds_on_the_cluster() {
    // What is asked with arguments is answered beside the cluster, whatever it is.
    let one_of_these = ["dormant_peak_events", "org_identity"];
    check_all_on(EngineKind::Standalone, |query| {
        !query.group.is_asked() && query.group != orgpulse::catalog::Group::View
            || one_of_these.contains(&query.name.as_str())
    });
}

#[test]
fn every_metric_has_cases() {
    let catalog = Catalog::read(None).expect("a catalog");
    for metric in catalog.metrics() {
        assert!(metric.cases.len() >= 3, "{} has {} cases", metric.name, metric.cases.len());
        assert!(metric.cases.iter().any(|case| case.name == "empty"), "{} has no empty case", metric.name);
    }
}

fn check_all_on(kind: EngineKind, is_wanted: impl Fn(&Query) -> bool) {
    let catalog = Catalog::read(None).expect("a catalog");
    let with_cases = catalog.queries().filter(|query| !query.cases.is_empty() && is_wanted(query));
    let names: Mutex<Vec<&str>> = Mutex::new(with_cases.map(|query| query.name.as_str()).collect());
    let next = || names.lock().expect("no thread panicked").pop();
    let work =
        || std::iter::from_fn(next).flat_map(|name| check_on(kind, &catalog, Some(name), false)).collect::<Vec<_>>();
    let results: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("an answer")).collect()
    });
    let failed: Vec<_> = results
        .iter()
        .filter_map(|result| Some(format!("{}/{}: {}", result.query, result.case, result.failure.as_ref()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), results.len(), failed.join("\n\n"));
}

#[test]
fn the_dictionary_page_is_fresh() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let fresh = orgpulse::catalog::docs(&Catalog::read(None).expect("a catalog"));
    let stored = fs::read_to_string(&page).unwrap_or_default();
    assert!(stored == fresh, "docs/metrics.md is not what the catalog says; run `orgpulse metrics check --accept`");
}

/// Days and their events, over the stored rollup.
const SQL: &str = "
SELECT used.day, cast(sum(used.human_events) AS bigint) AS events
FROM user_day AS used
INNER JOIN dag_definitions AS definition ON used.day = definition.day
WHERE used.day <= $as_of AND used.human_events >= definition.min_users
GROUP BY used.day
ORDER BY day";

const TOML: &str = r#"
title = "Events of a day"
description = "Human events."
owner = "o"
kind = "sql"
reads = ["dag_definitions", "user_day"]
key = ["day"]
from = "day"
column = [
    { name = "day", type = "date", description = "The day." },
    { name = "events", type = "integer", description = "Events.", checks = { min = 1 } },
]
"#;

/// A folder of queries with one metric and the files of its case.
fn queries(case: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("metrics/day_events");
    fs::create_dir_all(folder.join("cases/one")).expect("a folder");
    fs::write(folder.join("query.toml"), TOML).expect("a file");
    fs::write(folder.join("query.sql"), SQL).expect("a file");
    for (name, text) in case {
        fs::write(folder.join("cases/one").join(name), text).expect("a file");
    }
    root
}

const EVENTS: &str = "\
ts,user_id,app_id
2026-03-01T10:00:00Z,u1,chat
2026-03-01T23:30:00Z,u2,chat
2026-03-03T10:00:00Z,u1,chat
2026-03-03T11:00:00Z,u1,chat
";

fn check_case(case: &[(&str, &str)], expected_failure: Option<&str>) {
    let root = queries(case);
    let results = check(&Catalog::of(root.path()).expect("a catalog"), None, false);
    let [result] = results.as_slice() else { panic!("one case was given, {} came out", results.len()) };
    assert_eq!(result.failure.as_deref(), expected_failure, "{case:?}");
}

#[test]
fn a_case_runs_the_whole_chain() {
    let expect = "day,events\n2026-03-01,2\n2026-03-03,2\n";
    check_case(&[("case.toml", "why = \"x\""), ("events.csv", EVENTS), ("expect.csv", expect)], None);
    check_case(&[("case.toml", "why = \"x\""), ("expect.csv", "day,events\n")], None);
    let settings = "why = \"x\"\n[settings.report]\ntime_zone = \"Europe/Brussels\"\n[settings.dag]\nmin_users = 2";
    let expect = "day,events\n2026-03-03,2\n";
    check_case(&[("case.toml", settings), ("events.csv", EVENTS), ("expect.csv", expect)], None);
    let as_of = "why = \"x\"\nas_of = \"2026-03-02\"";
    check_case(&[("case.toml", as_of), ("events.csv", EVENTS), ("expect.csv", "day,events\n2026-03-01,2\n")], None);
    let from = "why = \"x\"\nfrom = \"2026-03-02\"";
    check_case(&[("case.toml", from), ("events.csv", EVENTS), ("expect.csv", "day,events\n2026-03-03,2\n")], None);
    let users = "user_id,is_internal\nu1,true\n";
    let expect = "day,events\n2026-03-01,1\n";
    check_case(
        &[("case.toml", "why = \"x\""), ("events.csv", EVENTS), ("users.csv", users), ("expect.csv", expect)],
        None,
    );
}

#[test]
fn several_logs_are_batches_in_the_order_of_their_numbers() {
    // The id is the same: the first batch wins, so the day has one event of u1 and none of u2.
    let first = "{\"event_id\":\"e\",\"ts\":\"2026-03-01T10:00:00Z\",\"user_id\":\"u1\",\"app_id\":\"a\"}\n";
    let second = "event_id,ts,user_id,app_id\ne,2026-03-01T11:00:00Z,,a\n";
    let expect = "day,events\n2026-03-01,1\n";
    let case = "why = \"x\"";
    check_case(
        &[("case.toml", case), ("events.2.jsonl", first), ("events.10.csv", second), ("expect.csv", expect)],
        None,
    );
    let other_way = [("case.toml", case), ("events.11.jsonl", first), ("events.10.csv", second)];
    check_case(&[other_way.as_slice(), &[("expect.csv", "day,events\n")]].concat(), None);
}

#[test]
fn a_failure_is_shown_line_by_line() {
    let expect = "day,events\n2026-03-01,2\n2026-03-03,3\n";
    let failure = "@ line 1\n day,events\n 2026-03-01,2\n-2026-03-03,3\n+2026-03-03,2";
    check_case(&[("case.toml", "why = \"x\""), ("events.csv", EVENTS), ("expect.csv", expect)], Some(failure));
}

#[test]
fn accepting_writes_what_came_out_and_then_it_holds() {
    let root = queries(&[("case.toml", "why = \"x\""), ("events.csv", EVENTS)]);
    let catalog = || Catalog::of(root.path()).expect("a catalog");
    let before = check(&catalog(), Some("day_events"), false);
    assert!(before[0].failure.as_ref().is_some_and(|failure| failure.contains("no expect.csv")), "{before:?}");
    let accepted = check(&catalog(), Some("day_events"), true);
    assert!(accepted[0].failure.is_none() && accepted[0].accepted, "{accepted:?}");
    let written = root.path().join("metrics/day_events/cases/one/expect.csv");
    assert_eq!(fs::read_to_string(written).expect("a file"), "day,events\n2026-03-01,2\n2026-03-03,2\n");
    let after = check(&catalog(), None, true);
    assert!(after[0].failure.is_none() && !after[0].accepted, "{after:?}");
}

#[test]
fn a_case_that_gives_nothing_fails_also_when_accepting() {
    let root = queries(&[("case.toml", "why = \"x\""), ("events.csv", "ts,user_id\nyesterday,u\n")]);
    let results = check(&Catalog::of(root.path()).expect("a catalog"), None, true);
    assert!(results[0].failure.is_some() && !results[0].accepted, "{results:?}");
    assert!(!root.path().join("metrics/day_events/cases/one/expect.csv").exists());
}

/// The failure of the one case of a query that is no metric, over `EVENTS`.
fn check_table(
    folder: &str,
    reads: &str,
    key: &str,
    columns: &[(&str, &str)],
    sql: &str,
    expect: &str,
) -> Option<String> {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join(folder);
    fs::create_dir_all(folder.join("cases/one")).expect("a folder");
    let columns = columns
        .iter()
        .map(|(name, kind)| format!("[[column]]\nname = \"{name}\"\ntype = \"{kind}\"\ndescription = \"d\"\n"))
        .collect::<Vec<_>>()
        .concat();
    let toml = format!(
        "title = \"t\"\ndescription = \"d\"\nowner = \"o\"\nkind = \"sql\"\nreads = [{reads}]\nkey = [{key}]\n{columns}"
    );
    for (name, text) in [
        ("query.toml", toml.as_str()),
        ("query.sql", sql),
        ("cases/one/case.toml", "why = \"x\""),
        ("cases/one/events.csv", EVENTS),
        ("cases/one/expect.csv", expect),
    ] {
        fs::write(folder.join(name), text).expect("a file");
    }
    let mut results = check(&Catalog::of(root.path()).expect("a catalog"), None, false);
    assert_eq!(results.len(), 1);
    results.pop().and_then(|result| result.failure)
}

#[test]
fn a_state_has_cases_too() {
    let run = |expect: &str| {
        let columns = [("user_id", "text"), ("days", "integer")];
        let sql = "SELECT user_id, count(*) AS days FROM user_day GROUP BY user_id ORDER BY user_id";
        check_table("states/user_days", "\"user_day\"", "\"user_id\"", &columns, sql, expect)
    };
    assert_eq!(run("user_id,days\nu1,2\nu2,1\n"), None);
    assert_eq!(run("user_id,days\nu1,2\n").as_deref(), Some("@ line 1\n user_id,days\n u1,2\n+u2,1"));
}

#[test]
fn a_rollup_is_what_its_sql_gives_and_what_was_sealed() {
    let run = |counted: &str| {
        let columns = [
            ("day", "date"),
            ("org_id", "text"),
            ("user_id", "text"),
            ("events", "integer"),
            ("human_events", "integer"),
            ("usage_ms", "integer"),
        ];
        let sql = format!(
            "SELECT day, org_id, user_id, count(*) AS events, {counted} AS human_events, sum(duration_ms) AS usage_ms
             FROM events WHERE user_id <> '' GROUP BY day, org_id, user_id ORDER BY day, org_id, user_id"
        );
        let expect = "day,org_id,user_id,events,human_events,usage_ms\n\
                      2026-03-01,,u1,1,1,0\n2026-03-01,,u2,1,1,0\n2026-03-03,,u1,2,2,0\n";
        let key = "\"day\", \"org_id\", \"user_id\"";
        check_table("rollups/user_day", "\"events\"", key, &columns, &sql, expect)
    };
    assert_eq!(run("count(*)"), None);
    let failure = run("count(*) - 1").expect("another rule than that of sealing");
    assert!(failure.contains("what was sealed (+)"), "{failure}");
    assert!(failure.contains("\n-2026-03-03,,u1,2,1,0\n") && failure.contains("\n+2026-03-03,,u1,2,2,0"), "{failure}");
}
