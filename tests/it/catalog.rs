//! Queries from folders, computed by an engine: what comes out, and what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, Date32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use chrono_tz::Tz;
use datafusion::scalar::ScalarValue;
use orgpulse::catalog::{Catalog, PREPARED};
use orgpulse::dimensions;
use orgpulse::engine::{Engine, Parameters};
use orgpulse::error::Result;
use orgpulse::frames::Frame;
use orgpulse::metrics::{self, Computed, Ground, Keep, Source};
use orgpulse::period::WeekStart;
use orgpulse::settings::EngineSettings;
use orgpulse::store::{Packing, TableFiles, write_files};
use tempfile::TempDir;

#[test]
fn the_catalog_knows_the_tables_that_dimensions_make() {
    assert_eq!(PREPARED, dimensions::TABLES);
}

/// A query folder: path, its reads, key, columns (name and type), and SQL.
type Folder<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

fn catalog(folders: &[Folder]) -> (TempDir, Catalog) {
    let root = tempfile::tempdir().expect("a folder");
    for (path, reads, key, columns, sql) in folders {
        let columns = columns
            .iter()
            .map(|(name, kind)| format!("[[column]]\nname = \"{name}\"\ntype = \"{kind}\"\ndescription = \"d\"\n"))
            .collect::<Vec<_>>()
            .concat();
        let toml = format!(
            "title = \"t\"\ndescription = \"d\"\nowner = \"o\"\nkind = \"sql\"\nreads = {reads:?}\nkey = {key:?}\n{columns}"
        );
        let folder = root.path().join(path);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("query.toml"), toml).expect("a file");
        fs::write(folder.join("query.sql"), sql).expect("a file");
    }
    let catalog = Catalog::of(root.path()).expect("a catalog");
    (root, catalog)
}

/// The dimension `orgs` as far as these tests look at it: three organisations.
fn orgs(folder: &Path) -> TableFiles {
    let schema = Arc::new(Schema::new(vec![
        Field::new("org_id", DataType::Utf8, false),
        Field::new("registered_on", DataType::Date32, true),
    ]));
    let columns: [Arc<dyn arrow::array::Array>; 2] = [
        Arc::new(StringArray::from(vec!["a", "b", "c"])),
        Arc::new(Date32Array::from(vec![Some(1), Some(1), Some(2)])),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into()).expect("a batch");
    let root = folder.join("orgs");
    fs::create_dir_all(&root).expect("a folder");
    let file = write_files(&root, None, &schema, &["org_id"], Packing::Fast, [Ok(batch)]).expect("a file");
    TableFiles {
        name: "orgs".into(),
        root,
        schema,
        by_day: false,
        sort_key: vec!["org_id".into()],
        version: None,
        files: file.into_iter().collect(),
    }
}

const FRAME: Frame = Frame { first_day: 0, as_of: 9, week_start: WeekStart::Monday, time_zone: Tz::UTC };

/// Computes the wanted queries over `orgs`, and then asks the engine.
fn run(
    folders: &[Folder],
    wanted: &[&str],
    frame: Option<Frame>,
    ask: &str,
) -> Result<(Vec<Computed>, Vec<RecordBatch>)> {
    let (_root, catalog) = catalog(folders);
    let work = tempfile::tempdir().expect("a folder");
    // One thread for async work, as a stricter test of who waits for whom.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let engine = Engine::start(&EngineSettings::default()).await?;
        let parameters = Parameters::from([("min_orgs".to_owned(), ScalarValue::Int64(Some(2)))]);
        let order = catalog.order(wanted)?;
        let keep = Keep::open(work.path(), true)?;
        let orgs = Source::hashed(orgs(work.path()))?;
        let sources = BTreeMap::from([("orgs".to_owned(), orgs)]);
        let mut ground = Ground {
            sources,
            parameters: parameters.clone(),
            always: BTreeMap::new(),
            frame,
            jobs: Arc::default(),
            keep,
            memory: 1 << 30,
        };
        let computed = metrics::compute(&engine, &order, &mut ground, &mut |_, _| {}).await?;
        metrics::register(&engine, &order, &ground).await?;
        let answer = engine.collect(ask, &parameters).await?;
        Ok((computed, answer))
    })
}

const DAYS: Folder = (
    "states/registered",
    &["orgs"],
    &["day"],
    &[("day", "date"), ("orgs", "integer")],
    "SELECT registered_on AS day, count(*) AS orgs FROM orgs GROUP BY registered_on ORDER BY day",
);
const BUSY: Folder = (
    "metrics/busy",
    &["registered"],
    &["day"],
    &[("day", "date"), ("orgs", "integer"), ("share", "rate"), ("spent", "seconds"), ("name", "text")],
    "SELECT day, orgs, rate(orgs, 3) AS share, seconds(orgs) AS spent, concat('day ', cast(day AS varchar)) AS name
     FROM registered WHERE orgs >= $min_orgs ORDER BY day",
);

#[test]
fn a_metric_reads_the_state_that_was_computed_before_it() {
    let ask = "SELECT orgs, cast(share AS varchar) || ' ' || cast(spent AS varchar) || ' ' || name AS words FROM busy";
    let (computed, answer) = run(&[BUSY, DAYS], &["busy"], Some(FRAME), ask).expect("a result");
    assert_eq!(
        computed.iter().map(|c| (c.name.as_str(), c.rows)).collect::<Vec<_>>(),
        [("registered", 2), ("busy", 1)]
    );
    assert_eq!(computed[1].table.sort_key, ["day"]);
    let answer = arrow::compute::concat_batches(&answer[0].schema(), &answer).expect("one batch");
    assert_eq!(answer.column(0).as_primitive::<Int64Type>().values(), &[2]);
    let words = arrow::compute::cast(answer.column(1), &DataType::Utf8).expect("text");
    assert_eq!(words.as_string::<i32>().value(0), "0.666667 0.002 day 1970-01-02");
}

#[test]
fn without_an_observed_day_every_table_is_empty_and_nothing_runs() {
    let broken: Folder = ("metrics/broken", &["orgs"], &["day"], &[("day", "date")], "SELECT nothing AS day FROM orgs");
    let (computed, answer) =
        run(&[BUSY, DAYS, broken], &["busy", "broken"], None, "SELECT count(*) AS n FROM busy").expect("a result");
    assert!(computed.iter().all(|c| c.rows == 0 && c.table.files.is_empty()), "{computed:?}");
    assert_eq!(computed.len(), 3);
    assert_eq!(answer[0].column(0).as_primitive::<Int64Type>().value(0), 0);
}

fn check_refused(key: &[&str], columns: &[(&str, &str)], sql: &str, exit_code: u8, expected: &[&str]) {
    let folder: Folder = ("metrics/m", &["orgs"], key, columns, sql);
    let error = run(&[folder], &["m"], Some(FRAME), "SELECT 1").expect_err("must be refused");
    assert_eq!(error.exit_code(), exit_code, "{error}");
    for part in expected {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn a_query_that_does_not_hold_its_word_is_refused() {
    let columns: &[(&str, &str)] = &[("org_id", "text"), ("day", "date")];
    let check =
        |sql: &str, exit_code: u8, expected: &[&str]| check_refused(&["org_id"], columns, sql, exit_code, expected);
    check("SELECT org_id FROM orgs ORDER BY 1", 4, &["metrics/m", "column `day` (date) is missing"]);
    check("SELECT org_id, 1 AS day FROM orgs ORDER BY 1", 4, &["metrics/m", "column `day` is Int64, declared is date"]);
    check("SELECT org, registered_on AS day FROM orgs", 4, &["metrics/m", "org"]);
    check("SELECT org_id, registered_on AS day FROM orgs WHERE 1 = $nothing", 4, &["metrics/m", "$nothing"]);
    let shown = "SELECT org_id, registered_on AS day FROM orgs ORDER BY org_id DESC";
    check(shown, 3, &["metrics/m", "org_id=`b`", "out of order"]);
    let twice = "SELECT 'x' AS org_id, registered_on AS day FROM orgs ORDER BY org_id";
    check(twice, 3, &["metrics/m", "org_id=`x`", "comes twice"]);
    let empty =
        "SELECT org_id, CASE WHEN org_id = 'b' THEN NULL ELSE registered_on END AS day FROM orgs ORDER BY org_id";
    check(empty, 3, &["metrics/m", "column `day` has no value", "org_id=`b`"]);
}
