//! A run over what earlier runs kept gives the bytes of a run that computes everything, whatever came between them: late
//! events, whole days that were missing, other settings, other dimension files, other report days.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use orgpulse::catalog::{Catalog, Group};
use orgpulse::engine::Engine;
use orgpulse::error::Result;
use orgpulse::generate;
use orgpulse::ingest::Input;
use orgpulse::period::format_day;
use orgpulse::pipeline::{self, Plan, QueryReport, RunOrder, RunReport};
use orgpulse::settings::{CountedDays, Settings};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::binary::files;
use crate::log::made_up_dimensions;

const DAYS: u32 = 75;
/// A Sunday, and the first of February 2026: the week and the windows of the first days began before the month.
const FIRST_DAY: i32 = 20_485;

/// What may happen between two runs.
#[derive(Debug, Clone)]
enum Step {
    /// Some of the days that are still missing arrive, in any order.
    Logs(Vec<usize>),
    /// Another threshold of DAG on all days.
    MinApps(u32),
    /// Another threshold of DAG from a day on.
    MinAppsFrom(u32, u32),
    /// Another threshold of deep integration from a day on, and another set of excluded categories.
    DeepFrom(u32, u32),
    /// Another set of apps that do not count at all.
    ExcludeApp(bool),
    /// Another set of categories that are no deep integration.
    ExcludeCategory(bool),
    /// An organisation gets another name and size on a day.
    RenameOrg(u32),
    /// Everybody is off on a day, and DAG rates and streaks are of work days.
    Holiday(u32),
    /// The report of an earlier day.
    AsOf(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let logs = prop::collection::vec(0..DAYS as usize, 1..20);
    let step = prop_oneof![
        3 => logs.clone().prop_map(Step::Logs),
        1 => (2_u32..5).prop_map(Step::MinApps),
        1 => (0_u32..DAYS, 1_u32..5).prop_map(|(day, apps)| Step::MinAppsFrom(day, apps)),
        1 => (0_u32..DAYS, 0_u32..9).prop_map(|(day, days)| Step::DeepFrom(day, days)),
        1 => any::<bool>().prop_map(Step::ExcludeApp),
        1 => any::<bool>().prop_map(Step::ExcludeCategory),
        1 => (0_u32..DAYS).prop_map(Step::RenameOrg),
        1 => (0_u32..DAYS).prop_map(Step::Holiday),
        1 => (5_u32..DAYS).prop_map(Step::AsOf),
    ];
    (logs, prop::collection::vec(step, 3..6)).prop_map(|(first, mut rest)| {
        rest.insert(0, Step::Logs(first));
        rest
    })
}

/// A day of the world as an ISO date.
fn date(day: u32) -> String {
    format_day(FIRST_DAY + day.cast_signed())
}

/// A store with its settings, and the logs that are still to come.
struct World {
    root: tempfile::TempDir,
    runtime: Runtime,
    settings: Settings,
    missing: Vec<PathBuf>,
    as_of: Option<i32>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let plan =
            generate::Plan { orgs: 12, first_day: FIRST_DAY, days: DAYS, days_per_file: 1, ..generate::Plan::sample() };
        let made = generate::generate(&plan, root.path(), &|_, _| ()).expect("logs");
        let mut settings = Settings::default();
        settings.store.path = root.path().join("store");
        settings.dimensions = made_up_dimensions(root.path());
        let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
        Self { root, runtime, settings, missing: made.files, as_of: None }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Logs(picks) => {
                let mut inputs = Vec::new();
                for pick in picks.iter().take(self.missing.len()) {
                    let path = self.missing.remove(pick % self.missing.len());
                    inputs.push(Input::Path(path.to_string_lossy().into_owned()));
                }
                if !inputs.is_empty() {
                    self.ingest(&inputs).expect("ingested");
                }
            }
            Step::MinApps(apps) => self.settings.dag.definitions_mut().for_each(|dag| dag.min_apps = *apps),
            Step::MinAppsFrom(day, apps) => {
                let text = format!("[[dag]]\n[[dag]]\nvalid_from = \"{}\"\nmin_apps = {apps}\n", date(*day));
                self.settings.dag = Settings::parse(&text).expect("settings").dag;
            }
            Step::DeepFrom(day, days) => {
                let text = format!(
                    "[[deep]]\n[[deep]]\nvalid_from = \"{}\"\nproduction_days = {days}\n\
                     excluded_categories = [\"workflow\"]\n",
                    date(*day)
                );
                self.settings.deep = Settings::parse(&text).expect("settings").deep;
            }
            Step::ExcludeApp(is_excluded) => {
                self.settings.who.exclude_apps = if *is_excluded { vec!["chat".into()] } else { Vec::new() };
            }
            Step::ExcludeCategory(is_excluded) => {
                let category = if *is_excluded { "business" } else { "communication" };
                let definitions = self.settings.deep.definitions_mut();
                definitions.for_each(|deep| deep.excluded_categories = vec![category.into()]);
            }
            Step::RenameOrg(day) => {
                let text = fs::read_to_string(self.root.path().join("orgs.csv")).expect("the orgs file");
                let id = text.lines().nth(1).and_then(|line| line.split(',').next()).expect("an org");
                self.append(
                    "orgs.csv",
                    &format!("{id},Renamed {day},{},Retail,EU,pro,,{}", 100 * (day + 1), date(*day)),
                );
            }
            Step::Holiday(day) => {
                self.append("calendar.csv", &format!("{},,holiday,,", date(*day)));
                self.settings.work.dag_rate = CountedDays::WorkDays;
                self.settings.work.streaks = CountedDays::WorkDays;
            }
            Step::AsOf(day) => self.as_of = Some(FIRST_DAY + day.cast_signed()),
        }
    }

    fn append(&self, file: &str, row: &str) {
        let path = self.root.path().join(file);
        let text = fs::read_to_string(&path).expect("a dimension file");
        fs::write(&path, format!("{text}{row}\n")).expect("a dimension file");
    }

    fn ingest(&self, inputs: &[Input]) -> Result<()> {
        let now = DateTime::from_timestamp(4_102_444_800, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.runtime.block_on(async {
            let engine = Engine::start(&self.settings.engine).await?;
            pipeline::ingest(&self.settings, &engine, inputs, now, &|_, _| ()).await.map(drop)
        })
    }

    fn plan(&self, catalog: &Catalog) -> Plan {
        let plan = self.runtime.block_on(async {
            let engine = Engine::start(&self.settings.engine).await?;
            pipeline::plan(&self.settings, &engine, catalog, &RunOrder::default()).await
        });
        plan.expect("a plan")
    }

    fn run(&self, reports: &str, recompute: bool) -> (RunReport, BTreeMap<String, String>) {
        self.run_of(&catalog(), reports, recompute)
    }

    fn run_of(&self, catalog: &Catalog, reports: &str, recompute: bool) -> (RunReport, BTreeMap<String, String>) {
        let mut settings = self.settings.clone();
        settings.reports.path = self.root.path().join(reports);
        let order = RunOrder { as_of: self.as_of, recompute, ..RunOrder::default() };
        let report = self.runtime.block_on(async {
            let engine = Engine::start(&settings.engine).await?;
            pipeline::run(&settings, &engine, catalog, &order).await
        });
        let report = report.expect("a report");
        let content = files(Path::new(&report.folder));
        (report, content)
    }
}

/// With metrics that read events by conditions of their own.
fn catalog() -> Catalog {
    let questions = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-data/questions");
    Catalog::read(Some(&questions)).expect("a catalog")
}

fn computed(queries: &[QueryReport]) -> BTreeSet<String> {
    let stale = queries.iter().filter(|query| query.pieces.iter().any(|piece| !piece.stale.is_empty()));
    stale.map(|query| query.name.clone()).collect()
}

#[test]
fn what_is_kept_never_changes_a_byte() {
    let config = Config { cases: 2, max_shrink_iters: 0, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            let mut world = World::new();
            for step in &steps {
                world.take(step);
                let (_, kept) = world.run("kept", false);
                let (report, fresh) = world.run("fresh", true);
                if report.observed.is_some() {
                    prop_assert_eq!(computed(&report.queries).len(), report.queries.len(), "recompute trusts nothing");
                }
                for (name, content) in &fresh {
                    prop_assert_eq!(content, &kept[name], "{} after {:?}", name, step);
                }
                prop_assert_eq!(fresh.len(), kept.len());
            }
            let (again, _) = world.run("kept", false);
            prop_assert_eq!(computed(&again.queries), BTreeSet::new(), "nothing changed");
            Ok(())
        })
        .expect("kept results are right");
}

#[test]
fn only_what_depends_on_a_change_is_computed() {
    let mut world = World::new();
    let all: Vec<Input> =
        world.missing.drain(..).map(|path| Input::Path(path.to_string_lossy().into_owned())).collect();
    let (last, earlier) = all.split_last().expect("logs");
    world.ingest(earlier).expect("ingested");
    world.run("reports", false);

    // One more day: of what is kept by month, only the last month is computed.
    world.ingest(std::slice::from_ref(last)).expect("ingested");
    let (report, _) = world.run("reports", false);
    let org_day = report.queries.iter().find(|query| query.name == "org_day").expect("a state");
    let stale: Vec<bool> = org_day.pieces.iter().map(|piece| !piece.stale.is_empty()).collect();
    assert_eq!(stale.iter().filter(|stale| **stale).count(), 1, "{:?}", org_day.pieces);
    assert_eq!(stale.last(), Some(&true));

    // A threshold of DAG is not one of deep integration.
    world.settings.dag.definitions_mut().for_each(|dag| dag.min_users = 2);
    let (report, _) = world.run("reports", false);
    let computed = computed(&report.queries);
    assert!(computed.contains("dag_retention"), "{computed:?}");
    for name in ["deep_window", "deep_integration_levels", "deep_integration_orgs", "data_quality"] {
        assert!(!computed.contains(name), "{name} does not depend on [dag]: {computed:?}");
    }
}

/// Whether a query reads a table, by itself or by what it reads. Rollups are stored: no run computes them.
fn depends_on(catalog: &Catalog, query: &str, table: &str) -> bool {
    let computed = catalog.get(query).filter(|query| query.group != Group::Rollup);
    computed.map_or(&[][..], |query| &query.reads).iter().any(|name| name == table || depends_on(catalog, name, table))
}

#[test]
fn a_dimension_file_makes_stale_what_reads_it_and_nothing_else() {
    let mut world = World::new();
    world.take(&Step::Logs(vec![0; 40]));
    world.run("reports", false);
    let catalog = catalog();
    let stale = || {
        let queries = world.plan(&catalog).queries.into_iter();
        let split = queries.map(|query| (query.name, query.pieces.iter().any(|piece| !piece.stale.is_empty())));
        split.collect::<BTreeMap<String, bool>>()
    };
    assert!(stale().values().all(|is_stale| !is_stale), "nothing changed");
    for (file, row, table) in [
        ("account_lists.csv", "new,new,", "account_lists"),
        ("apps.csv", "new,New,hr,,,", "apps"),
        ("calendar.csv", "2026-02-03,,holiday,,", "work_days"),
        ("campaigns.csv", "new,New,,,,,", "campaigns"),
        ("orgs.csv", "new,New,5,,,,,", "orgs"),
        ("users.csv", "new,,,,,", "users"),
    ] {
        let path = world.root.path().join(file);
        let before = fs::read(&path).expect("a dimension file");
        world.append(file, row);
        let stale = stale();
        for (query, is_stale) in &stale {
            assert_eq!(*is_stale, depends_on(&catalog, query, table), "{query} after a change of {file}");
        }
        assert!(stale.values().any(|is_stale| *is_stale) && stale.values().any(|is_stale| !is_stale), "{file}");
        fs::write(&path, before).expect("a dimension file");
    }
}

#[test]
fn a_dated_change_is_computed_for_the_months_in_which_it_holds() {
    let mut world = World::new();
    let all: Vec<Input> =
        world.missing.drain(..).map(|path| Input::Path(path.to_string_lossy().into_owned())).collect();
    world.ingest(&all).expect("ingested");
    let (_, before) = world.run("reports", false);

    world.settings = Settings {
        dag: Settings::parse("[[dag]]\n[[dag]]\nvalid_from = \"2026-03-10\"\nmin_apps = 4\n").expect("settings").dag,
        ..world.settings
    };
    let forecast = world.plan(&catalog()).queries;
    let (report, after) = world.run("reports", false);
    // What comes out as it was makes nothing stale, so no more is computed than was forecast.
    assert!(computed(&forecast).is_superset(&computed(&report.queries)), "{forecast:?}");
    let reasons = forecast.iter().flat_map(|query| &query.pieces).flat_map(|piece| &piece.stale);
    let of_days = reasons.filter_map(|reason| reason.split_once(' '));
    assert!(
        of_days.clone().count() > 0 && of_days.into_iter().all(|(_, day)| day.starts_with("2026-")),
        "{forecast:?}"
    );
    let stale_of = |name: &str| {
        let query = report.queries.iter().find(|query| query.name == name).expect("a query");
        let stale = query.pieces.iter().filter(|piece| !piece.stale.is_empty());
        stale.map(|piece| (piece.month.as_deref().unwrap_or("all"), piece.stale.join(", "))).collect::<Vec<_>>()
    };
    let because = |month| (month, format!("dag_definitions {month}"));
    assert_eq!(stale_of("org_day"), [because("2026-03-01"), because("2026-04-01")]);
    let months = |name: &str| stale_of(name).into_iter().map(|(month, _)| month).collect::<Vec<_>>();
    assert_eq!(months("dag_near_misses"), ["2026-03-01", "2026-04-01"]);
    assert_eq!(months("dag_orgs"), ["2026-03-01", "2026-04-01"]);
    for name in ["integration_day", "deep_window", "deep_integration_orgs"] {
        assert_eq!(months(name), Vec::<&str>::new(), "{name}");
    }
    // History keeps its own numbers, and the later days get the new ones.
    let rows = |files: &BTreeMap<String, String>, is_later: bool| {
        let lines = files["dag_orgs.csv"].lines().skip(1).map(str::to_owned);
        lines.filter(|line| (line.as_str() >= "2026-03-10") == is_later).collect::<Vec<_>>()
    };
    assert_eq!(rows(&before, false), rows(&after, false));
    assert!(rows(&after, true).len() < rows(&before, true).len());
}

#[test]
fn a_kept_file_that_is_gone_or_cut_is_computed_again() {
    let mut world = World::new();
    world.take(&Step::Logs(vec![0; 20]));
    let (_, expected) = world.run("reports", false);
    let kept = world.root.path().join("store/_kept/dag_orgs");
    let file = fs::read_dir(&kept).expect("kept results").map(|entry| entry.expect("an entry").path());
    let file = file.filter(|path| path.extension().is_some_and(|end| end == "parquet")).max().expect("a file");
    fs::write(&file, "torn").expect("a torn file");
    let (report, found) = world.run("reports", false);
    assert_eq!(found, expected);
    let reasons: Vec<&String> = report.queries.iter().flat_map(|q| &q.pieces).flat_map(|p| &p.stale).collect();
    assert_eq!(reasons, ["its file is gone"]);

    fs::write(kept.join("index.json"), "[{").expect("a torn index");
    assert_eq!(world.run("reports", false).1, expected);
}

/// What is kept of each query for each month.
fn kept(world: &World) -> BTreeMap<PathBuf, Vec<serde_json::Value>> {
    let folders = fs::read_dir(world.root.path().join("store/_kept")).expect("kept results");
    let indexes = folders.map(|entry| entry.expect("an entry").path().join("index.json")).filter(|path| path.exists());
    let read = |path: PathBuf| {
        let text = fs::read(&path).expect("an index");
        (path, serde_json::from_slice(&text).expect("an index"))
    };
    indexes.map(read).collect()
}

#[test]
fn a_month_alone_is_as_it_is_among_others() {
    let mut world = World::new();
    world.take(&Step::Logs(vec![0; DAYS as usize]));
    let (_, expected) = world.run("reports", false);
    let content = |world: &World| {
        let name = |piece: &serde_json::Value| (piece["month"].to_string(), piece["file"]["content"].to_string());
        let of_query = |(path, pieces): (PathBuf, Vec<serde_json::Value>)| (path, pieces.iter().map(name).collect());
        kept(world).into_iter().map(of_query).collect::<BTreeMap<_, BTreeMap<_, _>>>()
    };
    let among_others = content(&world);
    for even in [true, false] {
        // Of every second month nothing is known any more, so each is computed for itself.
        for (path, mut pieces) in kept(&world) {
            let month =
                |piece: &serde_json::Value| piece["month"].as_str().and_then(|month| month[5..7].parse::<u8>().ok());
            pieces.retain(|piece| month(piece).is_none_or(|month| (month % 2 == 0) != even));
            fs::write(&path, serde_json::to_vec(&pieces).expect("an index")).expect("an index");
        }
        let (_, found) = world.run("reports", false);
        for (path, months) in content(&world) {
            assert_eq!(months, among_others[&path], "{}", path.display());
        }
        assert_eq!(found, expected);
    }
}

/// The built-in queries, each of which sees all days up to its last one.
fn that_look_back_to_the_first_day(folder: &Path) -> Catalog {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
    for group in fs::read_dir(built_in).expect("groups").map(|group| group.expect("a group").path()) {
        for query in fs::read_dir(&group).expect("queries").map(|query| query.expect("a query").path()) {
            let copy = folder.join(group.file_name().expect("a name")).join(query.file_name().expect("a name"));
            fs::create_dir_all(&copy).expect("a folder");
            let text = fs::read_to_string(query.join("query.toml")).expect("a definition");
            let all = if text.contains("\neach = ") { "looks_back = \"all\"" } else { "" };
            let lines = text.lines().map(|line| if line.starts_with("looks_back") { all } else { line });
            fs::write(copy.join("query.toml"), lines.collect::<Vec<_>>().join("\n")).expect("a definition");
            if let Ok(sql) = fs::read(query.join("query.sql")) {
                fs::write(copy.join("query.sql"), sql).expect("SQL");
            }
        }
    }
    Catalog::of(folder).expect("a catalog")
}

// Of what is cut by month, all months are computed together here; see the test before for a month alone.
#[test]
fn what_looks_back_less_far_gives_the_same() {
    let mut world = World::new();
    world.take(&Step::Logs(vec![0; DAYS as usize]));
    let catalog = that_look_back_to_the_first_day(&world.root.path().join("queries"));
    // The fifth day, the first and the middle of a month, and the last day.
    for day in [4, 28, 44, DAYS - 1] {
        world.take(&Step::AsOf(day));
        let (_, expected) = world.run("reports", false);
        let (report, found) = world.run_of(&catalog, "reports", false);
        assert!(computed(&report.queries).contains("dag_sensitivity"), "its definition is another one");
        for metric in catalog.metrics() {
            let table = format!("{}.csv", metric.name);
            assert_eq!(found[&table], expected[&table], "{table} of day {day}");
        }
    }
}
