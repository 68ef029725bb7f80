//! `orgpulse metrics try` against two real runs, one with each set of definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::binary::{Desk, files};

/// A report as rows by key, each a value for each column.
type Rows = BTreeMap<Vec<String>, BTreeMap<String, String>>;

/// A desk with the sample's log in its store, and settings files `present.toml` and `other.toml`.
fn desk() -> Desk {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data");
    let desk = Desk::new();
    let files = ["orgs", "users", "apps", "campaigns", "account_lists"];
    let files = files.map(|name| format!("{name} = \"{}/{name}.csv\"\n", sample.display())).concat();
    let settings = |first: &str, second: &str, deep: &str| {
        format!(
            "[report]\ntime_zone = \"Europe/Berlin\"\n[dimensions]\n{files}[[dag]]\n{first}[[dag]]\n\
             valid_from = \"2025-02-20\"\norg_min_usage = \"4m\"\n{second}[deep]\n{deep}"
        )
    };
    desk.write("present.toml", settings("", "min_users = 2\n", "decide_days = 3\n"));
    let apps = "min_apps = 2\n";
    desk.write("other.toml", settings(apps, &format!("min_users = 2\n{apps}"), "decide_days = 11\n"));
    let log = sample.join("logs/jsonl");
    desk.ok(&["--settings", "present.toml", "ingest", log.to_str().expect("a path")]);
    desk
}

const TRY: [&str; 8] =
    ["--settings", "present.toml", "metrics", "try", "--set", "dag.min_apps=2", "--set", "deep.decide_days=11"];

fn try_json(desk: &Desk, rest: &[&str]) -> Value {
    serde_json::from_str(&desk.ok(&[&TRY[..], rest, &["--json"]].concat())).expect("JSON")
}

/// Runs with a settings file and gives the report's tables.
fn run(desk: &Desk, settings: &str, rest: &[&str]) -> BTreeMap<String, Rows> {
    let reports = format!("reports of {settings}");
    let said = desk.ok(&[&["--json", "--settings", settings, "--reports", &reports, "run"], rest].concat());
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let mut files = files(&desk.path(said["folder"].as_str().expect("a folder")));
    let manifest: Value = serde_json::from_str(&files.remove("manifest.json").expect("a manifest")).expect("JSON");
    let table = |(name, text): (String, String)| {
        let key = manifest["files"][&name]["key"].as_array().expect("a key").iter().map(|k| k.as_str().expect("text"));
        let key: Vec<&str> = key.collect();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows = reader.deserialize().map(|row| {
            let row: BTreeMap<String, String> = row.expect("a row");
            (key.iter().map(|column| row[*column].clone()).collect(), row)
        });
        (name.trim_end_matches(".csv").to_owned(), rows.collect())
    };
    files.into_iter().map(table).collect()
}

/// What `try` must say of the months, from two reports of `daily_activity`.
fn months(before: &Rows, after: &Rows) -> Vec<Value> {
    let of = |rows: &Rows, month: &str, column: &str| -> Vec<i64> {
        let rows = rows.values().filter(|row| row["day"].starts_with(month));
        rows.map(|row| row[column].parse().expect("a count")).collect()
    };
    // Six decimals, half away from zero.
    let rate = |numerator: i64, denominator: i64| {
        let doubled = 2_000_000 * i128::from(numerator.abs()) / i128::from(denominator);
        let millionths = (doubled + 1) / 2 * i128::from(numerator.signum());
        format!(
            "{}{}.{:06}",
            if millionths < 0 { "-" } else { "" },
            millionths.abs() / 1_000_000,
            millionths.abs() % 1_000_000
        )
        .parse::<f64>()
        .expect("a number")
    };
    let names: BTreeSet<&str> = before.values().map(|row| &row["day"][..7]).collect();
    let month = |month: &str| {
        let sum = |rows: &Rows| of(rows, month, "dag").iter().sum::<i64>();
        let days = i64::try_from(of(before, month, "dag").len()).expect("a count");
        let last = |rows: &Rows, column: &str| of(rows, month, column).last().copied();
        let at_end = |column: &str| json!({"before": last(before, column), "after": last(after, column)});
        let (one, other) = (sum(before), sum(after));
        json!({
            "month": format!("{month}-01"),
            "days": days,
            "mean_daily_dag": {"before": rate(one, days), "after": rate(other, days)},
            "dag_change": if one == 0 { Value::Null } else { json!(rate(other - one, one)) },
            "dag_28d": at_end("dag_28d"),
            "deep_orgs": at_end("deep_orgs"),
        })
    };
    names.into_iter().map(month).collect()
}

fn ids(orgs: &Value) -> BTreeSet<String> {
    orgs.as_array().expect("a list").iter().map(|org| org["org_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn a_trial_shows_what_two_runs_would() {
    let desk = desk();
    let before = run(&desk, "present.toml", &[]);
    let trial = try_json(&desk, &[]);

    // The trial left what is kept as it was, and published nothing.
    let again: Value = serde_json::from_str(&desk.ok(&["--settings", "present.toml", "--json", "run"])).expect("JSON");
    let pieces =
        again["queries"].as_array().expect("queries").iter().flat_map(|q| q["pieces"].as_array().expect("pieces"));
    let stale: Vec<&Value> = pieces.filter(|piece| piece["stale"] != json!([])).collect();
    assert_eq!(stale, Vec::<&Value>::new());
    let known = desk.path("orgpulse-store/_kept/dag_orgs");
    let index: Value =
        serde_json::from_str(&std::fs::read_to_string(known.join("index.json")).expect("an index")).expect("JSON");
    let kept = index.as_array().expect("a list").iter().filter(|piece| piece["file"] != Value::Null).count();
    assert_eq!(std::fs::read_dir(&known).expect("a folder").count(), kept + 1, "no file that nobody names");

    let after = run(&desk, "other.toml", &[]);
    let daily = months(&before["daily_activity"], &after["daily_activity"]);
    assert!(daily.iter().any(|month| month["dag_28d"]["before"] != month["dag_28d"]["after"]), "{daily:?}");
    assert!(daily.iter().any(|month| month["deep_orgs"]["before"] != month["deep_orgs"]["after"]), "{daily:?}");
    assert_eq!(trial["months"], Value::from(daily));

    let last = before["daily_activity"].keys().next_back().expect("a day")[0].clone();
    let first = orgpulse::period::parse_day(&last).map(|day| orgpulse::period::format_day(day - 27)).expect("a day");
    let dag = |side: &BTreeMap<String, Rows>| -> BTreeSet<String> {
        let rows = side["dag_orgs"].values().filter(|row| row["day"] >= first);
        rows.map(|row| row["org_id"].clone()).collect()
    };
    let deep = |side: &BTreeMap<String, Rows>| -> BTreeSet<String> {
        let rows = side["deep_integration_orgs"].values().filter(|row| row["level"] == "5");
        rows.map(|row| row["org_id"].clone()).collect()
    };
    for (name, one, other) in [("dag", dag(&before), dag(&after)), ("deep", deep(&before), deep(&after))] {
        assert_eq!(ids(&trial[name]["lost"]), &one - &other, "{name}");
        assert_eq!(ids(&trial[name]["gained"]), &other - &one, "{name}");
        assert_ne!(one, other, "{name}");
    }

    check_reports(&trial, &before, &after);
    check_words(&desk, &trial);
    check_earlier_day(&desk);
}

fn check_reports(trial: &Value, before: &BTreeMap<String, Rows>, after: &BTreeMap<String, Rows>) {
    let mut expected = Vec::new();
    for (name, one) in before {
        let other = &after[name];
        let keys: BTreeSet<&Vec<String>> = one.keys().chain(other.keys()).collect();
        let different = keys.into_iter().filter(|key| one.get(*key) != other.get(*key)).count();
        if different > 0 {
            let rows = json!({"before": one.len(), "after": other.len()});
            expected.push(json!({"name": name, "rows": rows, "different_rows": different}));
        }
    }
    assert!(expected.len() > 5 && expected.len() < before.len(), "{expected:?}");
    assert_eq!(trial["reports"], Value::from(expected));
}

fn check_earlier_day(desk: &Desk) {
    let (as_of, from) = (["--as-of", "2025-02-25"], ["--from", "2025-02-10"]);
    let rest = [as_of, from].concat();
    let before = run(desk, "present.toml", &rest);
    let trial = try_json(desk, &rest);
    let after = run(desk, "other.toml", &rest);
    assert_eq!(trial["months"], Value::from(months(&before["daily_activity"], &after["daily_activity"])));
    check_reports(&trial, &before, &after);
}

fn check_words(desk: &Desk, trial: &Value) {
    let text = desk.ok(&TRY);
    for part in [
        "with dag.min_apps=2, deep.decide_days=11 on all days",
        "2025-02",
        "DAG in the 28 days to 2025-04-18: 0 organisations",
        "would lose it: o00",
        "reports would change",
    ] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    let lines = desk.ok(&[&TRY[..], &["--format", "csv"]].concat());
    let mut reader = csv::Reader::from_reader(lines.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(|row| row.expect("a row")).collect();
    let of = |part: &str| rows.iter().filter(|row| row["part"] == part).count();
    let count = |list: &Value| list.as_array().expect("a list").len();
    let orgs = ["dag", "deep"].map(|name| count(&trial[name]["lost"]) + count(&trial[name]["gained"]));
    assert_eq!(
        [of("month"), of("org"), of("report")],
        [3 * count(&trial["months"]), orgs.iter().sum(), 2 * count(&trial["reports"])]
    );
    // The same definitions as now change nothing.
    let same = ["--settings", "present.toml", "metrics", "try", "--set", "deep.decide_days=3"];
    assert!(desk.ok(&same).contains("\n0 of "));
}

#[test]
fn what_cannot_be_tried_is_a_usage_error() {
    let desk = Desk::new();
    for (assignment, part) in [("dag.min_app=4", "dag.min_apps"), ("who.exclude_apps=[]", "rollups"), ("x", "keys are")]
    {
        let output = desk.run(&["metrics", "try", "--set", assignment]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(part) && message.contains(assignment), "{message}");
    }
}
