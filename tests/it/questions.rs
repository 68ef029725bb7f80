//! Questions of analysts as folders: the worked examples of `sample-data/questions`, and the dictionary's own folders
//! asked by way of events.

use std::fs;
use std::path::Path;

use orgpulse::catalog::Catalog;
use orgpulse::engine::Engine;
use orgpulse::golden::{self, CaseResult};
use orgpulse::settings::{EngineKind, EngineSettings};

fn check(kind: EngineKind, catalog: &Catalog, names: &[String]) -> Vec<CaseResult> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings = EngineSettings { kind, ..EngineSettings::default() };
        let engine = Engine::start(&settings).await.expect("an engine");
        let mut results = Vec::new();
        for name in names {
            results.extend(golden::check(&engine, catalog, Some(name), false).await.expect("an answer"));
        }
        results
    })
}

fn assert_all_hold(results: &[CaseResult]) {
    let failed: Vec<_> = results
        .iter()
        .filter_map(|result| Some(format!("{}/{}: {}", result.query, result.case, result.failure.as_ref()?)))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn check_examples_on(kind: EngineKind) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/questions");
    let catalog = Catalog::read(Some(&folder)).expect("a catalog");
    let entries = fs::read_dir(folder.join("metrics")).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().expect("a name")).collect();
    names.sort();
    let results = check(kind, &catalog, &names);
    assert!(names.iter().all(|name| results.iter().any(|result| result.query == *name && result.case == "empty")));
    assert_all_hold(&results);
}

#[test]
fn the_examples_hold() {
    check_examples_on(EngineKind::Local);
}

#[cfg(feature = "cluster")]
#[test]
fn the_examples_hold_on_the_cluster() {
    check_examples_on(EngineKind::Standalone);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a file");
        }
    }
}

/// A condition that every event meets makes calendars out of events, and they must be those that the states hold: who
/// counts, which day, each id once.
#[test]
fn events_and_states_give_the_same_retention() {
    let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/metrics");
    let root = tempfile::tempdir().expect("a folder");
    let names = ["user_retention", "org_retention"].map(str::to_owned);
    for name in &names {
        let folder = root.path().join("metrics").join(name);
        copy(&queries.join(name), &folder);
        let toml = fs::read_to_string(folder.join("query.toml")).expect("a file");
        let events = "reads = [\"events\", \"excluded_actions\", \"excluded_apps\", \"users\"]";
        let toml = toml.replace("reads = [\"activity_calendar\"]", events);
        let asked = toml.replace("[job]\n", "[job]\nfilter = \"true\"\n");
        assert!(asked.contains(events) && asked.contains("filter"));
        fs::write(folder.join("query.toml"), asked).expect("a file");
    }
    let catalog = Catalog::read(Some(root.path())).expect("a catalog");
    let results = check(EngineKind::Local, &catalog, &names);
    assert!(results.len() > 15, "{} cases", results.len());
    assert_all_hold(&results);
}

/// The `[job]` table of a text.
fn job_of(toml: &str) -> toml::Value {
    toml::from_str::<toml::Table>(toml).expect("TOML")["job"].clone()
}

#[test]
fn the_page_of_jobs_shows_the_examples_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/jobs.md")).expect("a page");
    let blocks: Vec<&str> =
        page.split("```toml\n# ").skip(1).map(|rest| rest.split("```").next().expect("a block")).collect();
    assert_eq!(blocks.len(), 5, "one for each job with keys");
    for block in blocks {
        let (head, toml) = block.split_once('\n').expect("a line with the name");
        let name = head.split(':').next().expect("a name");
        let folder = root.join("sample-data/questions/metrics").join(name);
        let kept = fs::read_to_string(folder.join("query.toml")).expect("a folder of this name");
        assert_eq!(job_of(toml), job_of(&kept), "{name}");
    }
}

/// A folder whose `[job]` has another line in the place of its condition.
fn refusal(line: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/questions/metrics/attendance_streaks");
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("metrics/attendance_streaks");
    copy(&examples, &folder);
    let toml = fs::read_to_string(folder.join("query.toml")).expect("a file");
    let toml = toml.replace("filter = \"action = 'attend'\"", line);
    fs::write(folder.join("query.toml"), toml).expect("a file");
    match Catalog::read(Some(root.path())) {
        Err(error) => error.to_string(),
        Ok(catalog) => {
            let results = check(EngineKind::Local, &catalog, &["attendance_streaks".to_owned()]);
            results.iter().find_map(|result| result.failure.clone()).expect("a failure")
        }
    }
}

#[test]
fn a_wrong_condition_is_told_with_its_place() {
    let check = |line: &str, expected: &[&str]| {
        let message = refusal(line);
        assert!(expected.iter().all(|part| message.contains(part)), "{line}: {message}");
    };
    check("filter = \"action = 'a' or\"", &["query.toml, line 12", "filter=", "is not a condition in SQL"]);
    check("filter = \"acton = 'a'\"", &["metrics/attendance_streaks: [job] filter=", "No field named acton", "action"]);
    check("filter = \"duration_ms\"", &["[job] filter=", "non-boolean"]);
    check("filter = \"count(*) > 1\"", &["[job] filter=", "Aggregate functions are not allowed"]);
    check("filter = \"now() > ts\"", &["[job] filter=", "now"]);
    check("min_event = 2", &["line 12", "the key `min_event` is not known", "min_events"]);
}
