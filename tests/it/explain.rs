//! Every number that can be explained adds up to what is behind it, and the card says what the reports say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;

use chrono::{DateTime, Utc};
use orgpulse::catalog::{Catalog, ColumnType, Query};
use orgpulse::engine::Engine;
use orgpulse::error::Result;
use orgpulse::evidence::{Cell, Question};
use orgpulse::generate::{self, Plan};
use orgpulse::ingest::Input;
use orgpulse::period::format_day;
use orgpulse::pipeline::{self, Explanation, RunOrder};
use orgpulse::settings::Settings;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::binary::{Desk, files};
use crate::log::made_up_dimensions;

const FIRST_DAY: i32 = 20_480;

/// Reports by name, each row by column.
type Reports = BTreeMap<String, Vec<BTreeMap<String, String>>>;

/// A store and its settings.
struct World {
    root: TempDir,
    runtime: Runtime,
    settings: Settings,
    catalog: Catalog,
}

impl World {
    fn new(root: TempDir, mut settings: Settings, logs: &[Input]) -> Self {
        settings.store.path = root.path().join("store");
        settings.reports.path = root.path().join("reports");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let catalog = Catalog::read(None).expect("a catalog");
        let now = DateTime::from_timestamp(4_102_444_800, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let ingested = runtime.block_on(async {
            let engine = Engine::start(&settings.engine).await?;
            pipeline::ingest(&settings, &engine, logs, now, &|_, _| ()).await
        });
        ingested.expect("a store");
        Self { root, runtime, settings, catalog }
    }

    fn run(&self) -> Reports {
        let report = self.runtime.block_on(async {
            let engine = Engine::start(&self.settings.engine).await?;
            pipeline::run(&self.settings, &engine, &self.catalog, &RunOrder::default()).await
        });
        let reports = files(&report.expect("a report").folder).into_iter().filter_map(|(name, text)| {
            let rows = csv::Reader::from_reader(text.as_bytes()).into_deserialize().collect::<csv::Result<_>>();
            Some((name.strip_suffix(".csv")?.to_owned(), rows.expect("rows")))
        });
        reports.collect()
    }

    fn explain(&self, question: &Question) -> Result<Explanation<'_>> {
        self.runtime.block_on(async {
            let engine = Engine::start(&self.settings.engine).await?;
            pipeline::explain(&self.settings, &engine, &self.catalog, question).await
        })
    }
}

/// A made-up platform with all its files.
fn made_up(seed: u64, orgs: u32) -> World {
    let root = tempfile::tempdir().expect("a folder");
    let plan = Plan { seed, orgs, first_day: FIRST_DAY, days: 70, ..Plan::sample() };
    let made = generate::generate(&plan, root.path(), &|_, _| ()).expect("logs");
    let settings = Settings { dimensions: made_up_dimensions(root.path()), ..Settings::default() };
    let logs: Vec<Input> =
        made.files.into_iter().map(|path| Input::Path(path.to_string_lossy().into_owned())).collect();
    World::new(root, settings, &logs)
}

/// The columns of a metric that have different evidence, one for each.
fn numbers<'a>(catalog: &Catalog, metric: &'a Query) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let columns = metric
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .filter(|name| !metric.key.iter().any(|key| key == name));
    let steps = |number: &str| {
        let steps = orgpulse::evidence::chain(catalog, metric, number);
        steps.iter().map(|step| step.query.name.clone()).collect::<Vec<_>>()
    };
    columns.filter(|number| !steps(number).is_empty() && seen.insert(steps(number))).collect()
}

#[test]
fn every_number_adds_up_to_what_is_behind_it() {
    let picks = (any::<u64>(), prop::collection::vec(any::<prop::sample::Index>(), 200));
    let config = Config { cases: 1, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&picks, |(seed, picks)| {
            let world = made_up(seed, 12);
            let reports = world.run();
            let mut picks = picks.iter().cycle();
            let mut pick = |count: usize| picks.next().map_or(0, |pick| pick.index(count));
            let ids = |report: &str, column: &str| -> Vec<String> {
                reports[report].iter().map(|row| row[column].clone()).collect()
            };
            let orgs = ids("deep_integration_orgs", "org_id");
            let users = fs::read_to_string(world.root.path().join("users.csv")).expect("users");
            let users: Vec<&str> = users.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
            for metric in world.catalog.metrics() {
                let rows = &reports[&metric.name];
                for number in numbers(&world.catalog, metric) {
                    if rows.is_empty() {
                        continue;
                    }
                    let row = &rows[pick(rows.len())];
                    let mut question = Question {
                        metric: metric.name.clone(),
                        number: Some(number.to_owned()),
                        pins: metric.key.iter().map(|name| (name.clone(), row[name].clone())).collect(),
                        ..Question::default()
                    };
                    let steps = orgpulse::evidence::chain(&world.catalog, metric, number);
                    let takes = |name: &str| {
                        steps.iter().any(|step| step.query.arguments.iter().any(|argument| argument.name == name))
                    };
                    // Anyone: also who is not behind the number.
                    for (name, id) in
                        [("org_id", orgs[pick(orgs.len())].as_str()), ("user_id", users[pick(users.len())])]
                    {
                        if takes(name) && !metric.key.iter().any(|key| key == name) {
                            question.pins.push((name.to_owned(), id.to_owned()));
                        }
                    }
                    let explanation = deepest(&world, question.clone());
                    let value = explanation.value.clone().expect("the row is there");
                    prop_assert_eq!(Cell::parse(explanation.number.kind, &row[number]), Some(value), "{:?}", question);
                    prop_assert!(explanation.steps.iter().all(|step| !step.ties.is_empty()), "{:?}", question);
                }
            }
            Ok(())
        })
        .expect("chains hold");
}

/// Explains a row and goes on with what the steps show, as far as they lead.
fn deepest(world: &World, mut question: Question) -> Explanation<'_> {
    loop {
        let explanation = world.explain(&question).unwrap_or_else(|e| panic!("{question:?}: {e}"));
        let known = question.pins.len();
        for need in explanation.open.iter().flat_map(|open| &open.needs) {
            let has = |rows: &&orgpulse::evidence::Rows| rows.query.columns.iter().any(|column| column.name == **need);
            let shown = explanation.steps.iter().map(|step| &step.rows).find(has);
            let value = shown.and_then(|rows| rows.cells(need).expect("a column").into_iter().next());
            if let Some(value) = value.filter(|_| !question.pins.iter().any(|(name, _)| name == need)) {
                question.pins.push(((*need).to_owned(), value.to_string()));
            }
        }
        if question.pins.len() == known {
            return explanation;
        }
    }
}

/// An event: day, organisation, user, app, and its length.
type Event = (i32, u32, u32, u32, i64);

fn events() -> impl Strategy<Value = Vec<Event>> {
    let length = prop::sample::select(vec![0, 59_999, 60_000, 200_000, 480_000]);
    prop::collection::vec((0..4_i32, 0..3_u32, 0..3_u32, 0..5_u32, length), 20..80)
}

#[test]
fn the_events_behind_a_dag_organisation_make_it_one() {
    let config = Config { cases: 2, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&events(), |events| {
            let root = tempfile::tempdir().expect("a folder");
            let mut log = String::from("ts,user_id,org_id,app_id,duration_ms\n");
            let mut usage: BTreeMap<(i32, u32), BTreeMap<u32, i64>> = BTreeMap::new();
            for (number, org, user, app, ms) in &events {
                let day = format_day(FIRST_DAY + number);
                let _ = writeln!(log, "{day}T10:00:00Z,u{user},o{org},a{app},{ms}");
                *usage.entry((*number, *org)).or_default().entry(*app).or_default() += ms;
            }
            let path = root.path().join("log.csv");
            fs::write(&path, log).expect("a log");
            let world = World::new(root, Settings::default(), &[Input::Path(path.to_string_lossy().into_owned())]);
            for ((day, org), apps) in &usage {
                let long_enough = apps.values().sum::<i64>() >= 600_000;
                let is_dag = long_enough && apps.values().filter(|ms| **ms >= 60_000).count() >= 3;
                let question = Question {
                    metric: "dag_orgs".into(),
                    day: Some(FIRST_DAY + day),
                    pins: vec![("org_id".into(), format!("o{org}"))],
                    ..Question::default()
                };
                let explanation = world.explain(&question).expect("an explanation");
                prop_assert_eq!(explanation.value.is_some(), is_dag, "{} {:?}", day, apps);
                let behind = explanation.steps.iter().find(|step| step.rows.query.name == "org_day_events");
                let behind = &behind.expect("events").rows;
                let mut found: BTreeMap<Cell, i128> = BTreeMap::new();
                for (app, spent) in
                    behind.cells("app_id").expect("apps").into_iter().zip(behind.cells("usage_seconds").expect("usage"))
                {
                    let Cell::Number(millionths) = spent else { panic!("{spent} is no number") };
                    *found.entry(app).or_default() += millionths / 1_000;
                }
                let expected: BTreeMap<Cell, i128> =
                    apps.iter().map(|(app, ms)| (Cell::Text(format!("a{app}")), i128::from(*ms))).collect();
                prop_assert_eq!(found, expected);
            }
            Ok(())
        })
        .expect("events make the number");
}

/// Three organisations: one nearly idle, one DAG, one only in the file.
fn world_at(desk: &Desk) {
    let log = "ts,user_id,org_id,app_id,duration_ms\n\
        2026-03-02T08:00:00Z,u1,acme,crm,300000\n\
        2026-03-02T09:00:00Z,u1,acme,chat,60000\n\
        2026-03-02T10:00:00Z,u2,acme,docs,300000\n\
        2026-03-02T11:00:00Z,u3,beta,chat,60000\n\
        2026-03-03T08:00:00Z,u3,beta,chat,1000\n";
    desk.write("log.csv", log);
    desk.write("orgs.csv", "org_id,name,headcount,industry\nacme,Acme,10,Retail\nsilent,Silent,5,Retail\n");
    desk.write("orgpulse.toml", "[dimensions]\norgs = \"orgs.csv\"\n");
    desk.ok(&["ingest", "log.csv"]);
}

#[test]
fn a_number_is_explained_to_people_auditors_and_programs() {
    let desk = Desk::new();
    world_at(&desk);
    let text = desk.ok(&["explain", "daily_activity", "--day", "2026-03-02"]);
    for part in ["dag = 1", "dag.min_apps", "rows with is_dag = 1 = dag of daily_activity", "Acme", "--org ID"] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let text = desk.ok(&["explain", "dag_orgs", "--day", "2026-03-02", "--org", "beta"]);
    for part in ["no such row", "rows with is_dag = 0 = in_report", "a;b", "540.000"] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let text = desk.ok(&["explain", "dag_orgs", "--day", "2026-03-03", "--org", "silent"]);
    assert!(text.contains("no_human_event"), "{text}");

    let csv = desk.ok(&["explain", "dag_orgs", "--day", "2026-03-02", "--org", "acme", "--format", "csv"]);
    let rows: Vec<BTreeMap<String, String>> =
        csv::Reader::from_reader(csv.as_bytes()).into_deserialize().collect::<csv::Result<_>>().expect("one table");
    let of = |step: &str| rows.iter().filter(|row| row["step"] == step).collect::<Vec<_>>();
    assert_eq!(of("dag_orgs")[0]["usage_seconds"], "660.000");
    assert_eq!(of("org_day_apps").len(), 3);
    let spent: f64 = of("org_day_events").iter().map(|row| row["usage_seconds"].parse::<f64>().expect("s")).sum();
    assert!((spent - 660.0).abs() < 1e-9, "{csv}");
    assert!(of("settings").iter().any(|row| row["setting"] == "dag.org_min_usage" && row["value"] == "10m"), "{csv}");

    let json = desk.ok(&["--json", "explain", "daily_activity", "--day", "2026-03-02", "--column", "dau"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["value"], &json["row"]["dau"]), (&3.into(), &3.into()));
    assert_eq!(json["steps"][0]["rows"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_wrong_question_says_what_can_be_asked() {
    let desk = Desk::new();
    world_at(&desk);
    let check = |arguments: &[&str], parts: &[&str]| {
        let output = desk.run(arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{arguments:?}: {parts:?} are not in: {message}");
    };
    check(&["explain", "nothing"], &["`nothing`", "daily_activity"]);
    check(&["explain", "dag_orgs", "--day", "2026-03-02"], &["day, org_id", "--org ID"]);
    check(&["explain", "dag_orgs", "--org", "acne"], &["`acne`", "`acme`"]);
    check(&["explain", "dag_orgs", "--day", "2026-03-09", "--org", "acme"], &["2026-03-09", "2026-03-02"]);
    check(&["explain", "daily_activity", "--day", "2026-02-01"], &["2026-02-01", "2026-03-02"]);
    check(&["explain", "daily_activity", "--column", "dog"], &["`dog`", "dau", "dag_28d"]);
    check(
        &["explain", "deep_integration_orgs", "--day", "2026-03-02", "--as-of", "2026-03-03", "--org", "acme"],
        &["two of them"],
    );
    check(&["org", "acne"], &["`acne`", "`acme`"]);
}

#[test]
fn evidence_that_does_not_add_up_is_no_answer() {
    let desk = Desk::new();
    world_at(&desk);
    let built_in = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("queries/evidence/org_day_apps");
    let own = desk.path("own/evidence/org_day_apps");
    fs::create_dir_all(&own).expect("a folder");
    fs::copy(built_in.join("query.toml"), own.join("query.toml")).expect("a copy");
    let sql = fs::read_to_string(built_in.join("query.sql")).expect("SQL");
    fs::write(own.join("query.sql"), sql.replace("org_id = $org_id", "org_id = $org_id AND app_id <> 'chat'"))
        .expect("SQL");
    desk.write("orgpulse.toml", "[queries]\npath = \"own\"\n");
    let output = desk.run(&["explain", "daily_activity", "--day", "2026-03-02", "--org", "acme"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(message.contains("`apps_over_threshold` of dag_verdict") && message.contains("is 3"), "{message}");
}

#[test]
fn the_card_says_what_the_reports_say() {
    let world = made_up(7, 5);
    let reports = world.run();
    let card = |org: &str| {
        let card = world.runtime.block_on(async {
            let engine = Engine::start(&world.settings.engine).await?;
            pipeline::org(&world.settings, &engine, &world.catalog, org, None).await
        });
        card.expect("a card")
    };
    let orgs = world.runtime.block_on(async {
        let engine = Engine::start(&world.settings.engine).await?;
        pipeline::ask(&world.settings, &engine, &world.catalog, "SELECT org_id FROM known_orgs ORDER BY org_id").await
    });
    let orgs = orgs.expect("organisations").1;
    let orgs = orgs.iter().flat_map(|batch| Cell::values(batch.column(0), ColumnType::Text).expect("ids"));
    let last = reports["daily_activity"].last().expect("a day")["day"].clone();
    let window = format_day(orgpulse::period::parse_day(&last).expect("a day") - 27);
    // The seats of each cohort and period, added up over the cards: all, retained.
    let mut seats: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for org in orgs.map(|org| org.to_string()) {
        let card = card(&org);
        let values = |section: &str, column: &str| -> Vec<String> {
            let rows = card.sections.iter().find(|rows| rows.query.name == section).expect("a section");
            rows.cells(column).expect("a column").iter().map(ToString::to_string).collect()
        };
        let of = |report: &str| reports[report].iter().filter(|row| row["org_id"] == org).collect::<Vec<_>>();
        for row in of("deep_integration_orgs") {
            for column in ["level", "since", "missing", "systems", "production_days", "decide_days"] {
                assert_eq!(values("org_integration", column), [row[column].as_str()], "{column} of {org}");
            }
            assert_eq!(values("org_systems", "system").len().to_string(), row["systems"], "{org}");
        }
        let dag_days = of("dag_orgs").iter().filter(|row| row["day"] >= window).count();
        assert_eq!(values("org_activity", "dag_days"), [dag_days.to_string()], "{org}");
        let assets = of("integration_assets");
        for kind in ["connector", "lowcode"] {
            let built = assets.iter().rfind(|row| row["kind"] == kind).map(|row| row["cumulative"].clone());
            let kinds = values("org_assets", "kind");
            let place = kinds.iter().position(|found| found == kind);
            assert_eq!(place.map(|place| values("org_assets", "cumulative")[place].clone()), built, "{org}");
        }
        let meetings = of("meeting_volume").into_iter().find(|row| row["month"][..7] == last[..7]);
        let meetings = meetings.map_or("0".to_owned(), |row| row["meetings"].clone());
        assert_eq!(values("org_meetings", "meetings_month"), [meetings], "{org}");

        let months = values("org_seats", "month");
        let (all, retained) = (values("org_seats", "seats"), values("org_seats", "seats_retained"));
        for (place, all) in all.iter().enumerate().filter(|(place, _)| !retained[*place].is_empty()) {
            let cell = seats.entry((months[0].clone(), place.to_string())).or_default();
            cell.0 += all.parse::<u64>().expect("seats");
            cell.1 += retained[place].parse::<u64>().expect("seats");
        }
    }
    let complete = reports["seat_retention"].iter().filter(|row| row["is_complete"] == "true");
    let reported = complete.map(|row| {
        let count = |column: &str| row[column].parse::<u64>().expect("a count");
        ((row["cohort"].clone(), row["period"].clone()), (count("seats"), count("seats_retained")))
    });
    assert_eq!(reported.collect::<BTreeMap<_, _>>(), seats);
}

#[test]
fn an_organisation_of_one_side_only_has_a_card() {
    let desk = Desk::new();
    world_at(&desk);
    let silent: serde_json::Value = serde_json::from_str(&desk.ok(&["--json", "org", "silent"])).expect("JSON");
    assert_eq!(silent["sections"]["org_identity"][0]["name"], "Silent");
    assert_eq!(silent["sections"]["org_activity"][0]["active_seats"], 0);
    assert_eq!(silent["sections"]["org_integration"][0]["level_name"], "inactive");
    let beta = desk.ok(&["org", "beta"]);
    for part in ["(unknown)", "last_active_on   2026-03-03", "active_seats   1", "workflow", "Beside its peers"] {
        assert!(beta.contains(part), "{part:?} is not in:\n{beta}");
    }
    let csv = desk.ok(&["org", "acme", "--format", "csv"]);
    assert!(csv.starts_with("section,org_id,name,"), "{csv}");
}
