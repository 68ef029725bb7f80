//! A kernel gives the rows that its query's SQL gives, whatever the log, and however little memory it has.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, Utc};
use orgpulse::catalog::Catalog;
use orgpulse::engine::Engine;
use orgpulse::ingest::Input;
use orgpulse::kernels;
use orgpulse::period::{WeekStart, format_day};
use orgpulse::pipeline;
use orgpulse::settings::Settings;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

// A Friday; the log goes on over the ends of a short month and of a long one.
const FIRST_DAY: i32 = 20_469;
const DAYS: i32 = 95;

/// An event: day, user, organisation, app, action, seconds. Numbers are places in the lists below.
type Event = (i32, usize, usize, usize, usize, u32);

const USERS: [&str; 6] = ["", "u1", "u2", "ü-3", "u10", "intern"];
const ORGS: [&str; 5] = ["", "o1", "o2", "o10", "O1"];
const APPS: [&str; 6] = ["chat", "erp", "crm", "forms", "unheard", "payroll"];
const ACTIONS: [&str; 3] = ["use", "check_in", "push_received"];

fn logs() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..DAYS, 0..USERS.len(), 0..ORGS.len(), 0..APPS.len(), 0..ACTIONS.len(), 0_u32..2_000);
    prop::collection::vec(event, 0..300)
}

fn lines(events: &[Event]) -> String {
    let mut text = String::new();
    for (day, user, org, app, action, seconds) in events {
        let day = format_day(FIRST_DAY + day);
        let (user, org, app, action) = (USERS[*user], ORGS[*org], APPS[*app], ACTIONS[*action]);
        writeln!(
            text,
            r#"{{"ts":"{day}T12:00:00Z","user_id":"{user}","org_id":"{org}","app_id":"{app}","action":"{action}","duration_s":{seconds}}}"#
        )
        .expect("a line");
    }
    text
}

/// A catalog whose queries have no kernels.
fn without_kernels(root: &Path) -> Catalog {
    let built_in = Catalog::read(None).expect("the catalog");
    for query in built_in.queries().filter(|query| query.kernel.is_some()) {
        let place = Path::new(query.group.folder()).join(&query.name);
        let folder = root.join(&place);
        fs::create_dir_all(&folder).expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries").join(&place);
        let text = fs::read_to_string(source.join("query.toml")).expect("query.toml");
        let lines = text.lines().filter(|line| !line.starts_with("kernel = ")).map(|line| format!("{line}\n"));
        fs::write(folder.join("query.toml"), lines.collect::<String>()).expect("query.toml");
        fs::copy(source.join("query.sql"), folder.join("query.sql")).expect("query.sql");
    }
    let catalog = Catalog::read(Some(root)).expect("a catalog");
    assert!(catalog.queries().all(|query| query.kernel.is_none()));
    catalog
}

fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let row = |batch: &RecordBatch, row: usize| {
        let values = batch.columns().iter().map(|column| array_value_to_string(column, row).expect("a value"));
        values.collect::<Vec<_>>().join(" | ")
    };
    let mut rows: Vec<String> =
        batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|place| row(batch, place))).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn kernels_do_what_their_sql_says() {
    let by_sql = tempfile::tempdir().expect("a folder");
    let catalogs = [Catalog::read(None).expect("the catalog"), without_kernels(by_sql.path())];
    let names: Vec<&str> =
        catalogs[0].queries().filter(|query| query.kernel.is_some()).map(|q| q.name.as_str()).collect();
    assert_eq!(names, kernels::names().collect::<Vec<_>>(), "a kernel has the name of its query");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let config = Config { cases: 6, max_shrink_iters: 8, failure_persistence: None, ..Config::default() };
    // What is known of some ids fits, or hardly that of one.
    let memory = prop::sample::select(vec![500, 4_000]);
    let world = (logs(), any::<bool>(), any::<bool>(), memory);
    TestRunner::new(config)
        .run(&world, |(events, is_sunday, has_orgs, memory)| {
            let root = tempfile::tempdir().expect("a folder");
            let log = root.path().join("log.jsonl");
            fs::write(&log, lines(&events)).expect("a log");
            let mut settings = Settings::default();
            settings.store.path = root.path().join("store");
            settings.report.week_start = if is_sunday { WeekStart::Sunday } else { WeekStart::Monday };
            // So that few days are enough to be deeply integrated.
            for deep in settings.deep.definitions_mut() {
                for least in [
                    &mut deep.production_days,
                    &mut deep.store_days,
                    &mut deep.process_days,
                    &mut deep.flow_days,
                    &mut deep.decide_days,
                ] {
                    *least = 1;
                }
            }
            // So that some are DAG, and some fail each rule alone.
            for dag in settings.dag.definitions_mut() {
                (dag.min_apps, dag.min_users) = (2, 2);
            }
            settings.dimensions.users = Some(root.path().join("users.csv"));
            settings.dimensions.apps = Some(root.path().join("apps.csv"));
            let users = "user_id,role,is_internal\nintern,,true\nu1,engineer,\nu2,,\nu10,engineer,\nü-3,buyer,\n";
            fs::write(root.path().join("users.csv"), users).expect("users");
            let apps = "app_id,category,system,stage,valid_from\n\
                chat,communication,,,\nerp,business,erp,store;process,\nerp,business,erp,store;flow,2026-02-10\n\
                crm,business,c;rm%,decide,2026-02-01\nforms,lowcode,,process,\nforms,connector,,process,2026-02-06\npayroll,hr,erp,store,\n\
                payroll,business,pay,flow;decide,2026-03-01\n";
            fs::write(root.path().join("apps.csv"), apps).expect("apps");
            if has_orgs {
                settings.dimensions.orgs = Some(root.path().join("orgs.csv"));
                let orgs = "org_id,name,headcount,industry,edition,valid_from\n\
                    o1,One,40,metal,free,\no1,\"One, Ltd\",120,wood,free,2026-02-20\nO1,One,,metal,paid,2026-01-25\n";
                fs::write(root.path().join("orgs.csv"), orgs).expect("orgs");
            }
            let now = DateTime::from_timestamp(4_102_444_800, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
            let engine = runtime.block_on(Engine::start(&settings.engine)).expect("an engine");
            let inputs = [Input::Path(log.to_string_lossy().into_owned())];
            let ingested = runtime.block_on(pipeline::ingest(&settings, &engine, &inputs, now, &|_, _| ()));
            ingested.expect("ingested");
            let rows_of = |settings: &Settings, catalog: &Catalog| {
                // What is kept depends on no memory.
                let kept = settings.store.path.join("_kept");
                if kept.exists() {
                    fs::remove_dir_all(kept).expect("a folder");
                }
                runtime.block_on(async {
                    let mut all = Vec::new();
                    for name in &names {
                        let sql = format!("SELECT * FROM {name}");
                        let answer = pipeline::ask(settings, &engine, catalog, &sql).await;
                        all.push(rows(&answer.expect("rows").1));
                    }
                    all
                })
            };
            let by_sql = rows_of(&settings, &catalogs[1]);
            let at_once = rows_of(&settings, &catalogs[0]);
            settings.engine.memory = memory;
            let in_parts = rows_of(&settings, &catalogs[0]);
            for (place, name) in names.iter().enumerate() {
                prop_assert_eq!(&at_once[place], &by_sql[place], "{}", name);
                prop_assert_eq!(&in_parts[place], &by_sql[place], "{} with {} bytes", name, memory);
            }
            Ok(())
        })
        .expect("the same rows");
}
