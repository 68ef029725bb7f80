//! The real binary: what a user sees of it, and what survives a kill, a second writer and rubbish.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A folder of its own with a store and reports, and the binary that works in it.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file of the test");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_orgpulse"));
        command.current_dir(self.folder.path()).args(["--now", "2026-06-01T00:00:00Z"]).args(arguments);
        for name in ["SETTINGS", "STORE", "REPORTS", "NOW", "THREADS", "MEMORY"] {
            command.env_remove(format!("ORGPULSE_{name}"));
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the binary starts")
    }

    /// Runs a command that must succeed, and gives its stdout.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// The files of the newest report by name.
    pub(crate) fn reports(&self) -> BTreeMap<String, String> {
        files(&self.path("orgpulse-reports/latest"))
    }
}

/// The files of a folder by name.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("a text file"))
        })
        .collect()
}

fn check_fails(arguments: &[&str], code: i32, parts: &[&str]) {
    let desk = Desk::new();
    desk.write("wrong.toml", "[dag]\nmin_app = 3\n");
    desk.write("bad.jsonl", "{\"ts\":\"2026-01-01T00:00:00Z\",\"app_id\":\"a\"}\nrubbish\n");
    let output = desk.run(arguments);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    for part in parts {
        assert!(message.contains(part), "{arguments:?}: {part:?} is not in: {message}");
    }
}

#[test]
fn what_is_wrong_is_said_and_has_its_exit_code() {
    check_fails(&["no-such-command"], 2, &["no-such-command"]);
    check_fails(&["ingest"], 2, &["nothing to ingest"]);
    check_fails(&["ingest", "nowhere.jsonl"], 2, &["nowhere.jsonl"]);
    check_fails(&["run"], 2, &["orgpulse ingest"]);
    check_fails(&["--settings", "nowhere.toml", "status"], 2, &["nowhere.toml", "orgpulse init"]);
    check_fails(&["--settings", "wrong.toml", "status"], 4, &["wrong.toml", "line 2", "min_app", "min_apps"]);
    check_fails(&["ingest", "bad.jsonl"], 3, &["bad.jsonl", "max_rejected", "bad_record"]);
    check_fails(&["run", "--only", "nothing"], 2, &["nothing", "daily_activity"]);
    check_fails(&["metrics", "show", "nothing"], 2, &["nothing"]);
}

fn log(days: std::ops::Range<u32>, events_a_day: u32) -> String {
    let event = |day: u32, event: u32| {
        let (hour, user, app) = (event % 24, event % 7, event % 4);
        let (org, duration_ms) = (user % 3, 60_000 + event);
        format!(
            "{{\"event_id\":\"{day}-{event}\",\"ts\":\"2026-05-{day:02}T{hour:02}:00:00Z\",\"user_id\":\"u{user}\",\
             \"org_id\":\"o{org}\",\"app_id\":\"app{app}\",\"duration_ms\":{duration_ms}}}\n"
        )
    };
    days.flat_map(|day| (0..events_a_day).map(move |number| event(day, number))).collect()
}

#[test]
fn an_ingest_says_what_became_of_each_record_and_can_be_repeated() {
    let desk = Desk::new();
    desk.write("a.jsonl", log(1..4, 50) + "broken\n");
    desk.write("b.jsonl", log(3..5, 50));
    let report: serde_json::Value =
        serde_json::from_str(&desk.ok(&["--json", "ingest", "a.jsonl", "b.jsonl"])).expect("JSON");
    let counts = |file: &serde_json::Value| {
        ["read", "accepted", "duplicate", "rejected"].map(|count| file[count].as_u64().expect("a count"))
    };
    assert_eq!(counts(&report["files"][0]), [151, 150, 0, 1]);
    assert_eq!(counts(&report["files"][1]), [100, 50, 50, 0]);
    assert_eq!(counts(&report["total"]), [251, 200, 50, 1]);
    let rejects = desk.ok(&["sql", "--format", "csv", "-c", "SELECT batch, line, reason, raw FROM rejects"]);
    assert_eq!(rejects.trim(), "batch,line,reason,raw\n1,151,bad_record,broken");

    desk.ok(&["run"]);
    let first = desk.reports();
    assert!(desk.ok(&["ingest", "a.jsonl", "b.jsonl"]).contains("skipped"));
    desk.ok(&["run"]);
    assert_eq!(first, desk.reports(), "a repeated ingest changed a report");
}

#[test]
fn reports_do_not_depend_on_threads_or_memory() {
    let desk = Desk::new();
    desk.write("a.jsonl", log(1..29, 40));
    desk.ok(&["ingest", "a.jsonl"]);
    desk.ok(&["run"]);
    let expected = desk.reports();
    assert!(expected.len() > 13, "thirteen reports and the manifest");
    for (threads, memory) in [("1", "64MB"), ("8", "4GB")] {
        desk.ok(&["--threads", threads, "--memory", memory, "run"]);
        assert_eq!(expected, desk.reports(), "{threads} threads, {memory}");
    }
}

#[test]
fn an_ingest_killed_at_any_moment_is_whole_or_not_at_all() {
    let desk = Desk::new();
    desk.write("a.jsonl", log(1..15, 300));
    desk.write("b.jsonl", log(10..29, 300));
    let clean = Desk::new();
    clean.write("a.jsonl", log(1..15, 300));
    clean.write("b.jsonl", log(10..29, 300));
    for file in ["a.jsonl", "b.jsonl"] {
        clean.ok(&["ingest", file]);
    }
    clean.ok(&["run"]);

    for file in ["a.jsonl", "b.jsonl"] {
        for pause_ms in [5, 20, 40, 80, 120, 180, 260, 400, 600, 900] {
            let mut child = desk.command(&["ingest", file]).stdout(Stdio::null()).spawn().expect("the binary starts");
            std::thread::sleep(Duration::from_millis(pause_ms));
            let _ = child.kill();
            child.wait().expect("it ends");
        }
        desk.ok(&["ingest", file]);
    }
    desk.ok(&["run"]);
    assert_eq!(without_versions(clean.reports()), without_versions(desk.reports()));
}

// How often a table was committed differs after kills, and only that.
fn without_versions(mut reports: BTreeMap<String, String>) -> BTreeMap<String, String> {
    reports.remove("manifest.json");
    reports
}

#[test]
fn two_ingests_at_once_lose_and_double_nothing() {
    let desk = Desk::new();
    for (name, days) in [("a.jsonl", 1..10), ("b.jsonl", 5..15), ("c.jsonl", 12..20)] {
        desk.write(name, log(days, 100));
    }
    let children: Vec<_> = ["a.jsonl", "b.jsonl", "c.jsonl", "a.jsonl"]
        .map(|file| desk.command(&["ingest", file]).stdout(Stdio::null()).spawn().expect("the binary starts"))
        .into();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let answer =
        desk.ok(&["sql", "--format", "csv", "-c", "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM events"]);
    assert_eq!(answer.trim(), "n,ids\n1900,1900");
    let batches =
        desk.ok(&["sql", "--format", "csv", "-c", "SELECT count(*) AS files, max(batch) AS newest FROM batches"]);
    assert_eq!(batches.trim(), "files,newest\n3,3");
}

#[test]
fn a_changed_setting_changes_what_depends_on_it() {
    let desk = Desk::new();
    desk.write("a.jsonl", log(1..5, 50));
    desk.ok(&["ingest", "a.jsonl"]);
    desk.ok(&["run", "--only", "daily_activity"]);
    let before = desk.reports()["daily_activity.csv"].clone();
    desk.write("orgpulse.toml", "[who]\nexclude_apps = [\"app0\", \"app1\", \"app2\", \"app3\"]\n");
    assert!(desk.ok(&["run", "--only", "daily_activity"]).contains("again"));
    let none = desk.reports()["daily_activity.csv"].clone();
    assert!(none.lines().skip(1).all(|line| line.contains(",0,0,0,0,0,0,0,0,0,0,,,")), "{none}");
    fs::remove_file(desk.path("orgpulse.toml")).expect("the settings");
    desk.ok(&["run", "--only", "daily_activity"]);
    assert_eq!(before, desk.reports()["daily_activity.csv"]);
    desk.write("orgpulse.toml", "[report]\ntime_zone = \"Asia/Shanghai\"\n");
    let output = desk.run(&["run"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{message}");
    assert!(message.contains("Asia/Shanghai") && message.contains("UTC"), "{message}");
}

#[test]
fn a_check_that_does_not_hold_publishes_nothing() {
    let desk = Desk::new();
    desk.write("events.jsonl", log(1..4, 5));
    desk.ok(&["ingest", "events.jsonl"]);
    desk.ok(&["run"]);
    let before = desk.reports();
    fs::create_dir_all(desk.path("mine/checks/nobody_works")).expect("a folder");
    let toml = "title = \"Nobody works.\"\ndescription = \"d\"\nowner = \"o\"\nkind = \"sql\"\n\
        reads = [\"daily_activity\"]\nkey = [\"day\"]\n[[column]]\nname = \"day\"\ntype = \"date\"\ndescription = \"d\"\n";
    desk.write("mine/checks/nobody_works/query.toml", toml);
    desk.write("mine/checks/nobody_works/query.sql", "SELECT day FROM daily_activity WHERE dau > 0 ORDER BY day");
    desk.write("orgpulse.toml", "[queries]\npath = \"mine\"\n");
    let output = desk.run(&["run"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for part in ["`nobody_works`", "3 rows", "day=`", "Nobody works", "nothing was published"] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert_eq!(desk.reports(), before);
    // Over other metrics there is nothing to check.
    desk.ok(&["--reports", "others", "run", "--only", "dag_orgs"]);
}

#[test]
fn sql_sees_metrics_and_refuses_to_write() {
    let desk = Desk::new();
    desk.write("a.jsonl", log(1..5, 50));
    desk.ok(&["ingest", "a.jsonl"]);
    let markdown =
        desk.ok(&["sql", "--format", "markdown", "-c", "SELECT day, dau FROM daily_activity ORDER BY day LIMIT 1"]);
    assert_eq!(markdown.trim(), "| day | dau |\n| --- | --- |\n| 2026-05-01 | 7 |");
    for wrong in ["DROP TABLE events", "COPY events TO 'x.csv'", "SELECT * FROM nowhere", "SELEC 1"] {
        assert_eq!(desk.run(&["sql", "-c", wrong]).status.code(), Some(4), "{wrong}");
    }
}

#[test]
fn a_select_reads_objects_that_a_file_has_or_only_has_empty() {
    let desk = Desk::new();
    let select =
        "SELECT id AS event_id, at AS ts, actor['id'] AS user_id, tool AS app_id FROM raw WHERE kind = 'usage'";
    desk.write("orgpulse.toml", format!("[[ingest.source]]\nmatch = \"*.jsonl\"\nselect = \"{select}\"\n"));
    for (name, actor) in [("full", r#"{"id":"ann"}"#), ("null", "null"), ("empty", "{}")] {
        let file = format!("{name}.jsonl");
        let line =
            format!(r#"{{"id":"{name}","at":"2026-05-01T00:00:00Z","actor":{actor},"tool":"docs","kind":"usage"}}"#);
        desk.write(&file, line + "\n");
        desk.ok(&["ingest", &file]);
    }
    let users = desk.ok(&["sql", "--format", "csv", "-c", "SELECT event_id, user_id FROM events ORDER BY event_id"]);
    assert_eq!(users.trim(), "event_id,user_id\nempty,\nfull,ann\nnull,");
}

#[test]
fn a_header_that_swallowed_its_file_is_refused() {
    let desk = Desk::new();
    desk.write("cr.csv", "ts,app_id\r2026-05-01T00:00:00Z,docs\r");
    let output = desk.run(&["ingest", "cr.csv"]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("control character"));
}

#[test]
fn init_writes_settings_that_hold_and_replaces_nothing() {
    let desk = Desk::new();
    desk.ok(&["init"]);
    assert_eq!(desk.run(&["init"]).status.code(), Some(2));
    desk.ok(&["init", "--force"]);
    desk.write("a.jsonl", log(1..2, 5));
    desk.ok(&["ingest", "a.jsonl"]);
    assert!(desk.ok(&["status"]).contains("rollups follow from the events"));
}
