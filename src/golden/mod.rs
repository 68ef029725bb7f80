//! Golden cases: each runs the whole chain on a small world of its own, and what comes out is compared byte by byte.
//! It does not know what any query means.

mod difference;

use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::catalog::{Case, Catalog, Group, Query};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ingest::Input;
use crate::pipeline::{self, RunOrder};
use crate::report;
use crate::settings::{DimensionSettings, Settings};
use crate::store::Store;
use difference::difference;

/// The clock of a case that sets none, in seconds since the epoch (2100-01-01): late enough to reject nothing and to
/// make the last observed day the report day.
const NOW: i64 = 4_102_444_800;

/// What became of one case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseResult {
    /// The query.
    pub query: String,
    /// The case's folder name.
    pub case: String,
    /// What the case shows.
    pub why: String,
    /// What is wrong, over several lines; `None` = it holds.
    pub failure: Option<String>,
    /// Whether `expect.csv` was written anew.
    pub accepted: bool,
}

/// Runs the cases of one query, or of all. With `accept`, what comes out is written as what is expected; a case that
/// gives no result still fails. The error is about the question; failures of cases are in the results.
pub async fn check(engine: &Engine, catalog: &Catalog, name: Option<&str>, accept: bool) -> Result<Vec<CaseResult>> {
    let mut results = Vec::new();
    for query in chosen(catalog, name)? {
        for case in &query.cases {
            results.push(check_one(engine, catalog, query, case, accept).await?);
        }
    }
    Ok(results)
}

fn chosen<'a>(catalog: &'a Catalog, name: Option<&str>) -> Result<Vec<&'a Query>> {
    let Some(name) = name else { return Ok(catalog.queries().collect()) };
    let query = catalog.get(name).ok_or_else(|| {
        Error::Usage(format!("no query is named `{name}`; `orgpulse metrics list` names the metrics"))
    })?;
    if query.cases.is_empty() {
        let group = query.group.folder();
        return Err(Error::Usage(format!(
            "`{name}` has no case; add {group}/{name}/cases/<name>/case.toml, which says why, and a log beside it"
        )));
    }
    Ok(vec![query])
}

async fn check_one(engine: &Engine, catalog: &Catalog, query: &Query, case: &Case, accept: bool) -> Result<CaseResult> {
    let mut result = CaseResult {
        query: query.name.clone(),
        case: case.name.clone(),
        why: case.why.clone(),
        failure: None,
        accepted: false,
    };
    let found = match outcome(engine, catalog, query, case).await {
        Ok(found) => found,
        Err(error) => {
            result.failure = Some(error.to_string());
            return Ok(result);
        }
    };
    let expected = if case.has_expect { Some(case.expect.read()?) } else { None };
    if expected.as_deref() == Some(found.as_slice()) {
        return Ok(result);
    }
    if accept {
        accept_one(case, &found)?;
        result.accepted = true;
    } else {
        result.failure = Some(match expected {
            Some(expected) => difference(&String::from_utf8_lossy(&expected), &String::from_utf8_lossy(&found)),
            None => "there is no expect.csv yet; --accept writes what comes out, for you to read".to_owned(),
        });
    }
    Ok(result)
}

fn accept_one(case: &Case, found: &[u8]) -> Result<()> {
    let path = case.expect.disk_path().ok_or_else(|| {
        Error::Usage(format!(
            "{}: it is inside this program and cannot be accepted; point [queries] path to the folder to change",
            case.expect.place()
        ))
    })?;
    fs::write(&path, found).map_err(|e| Error::path("write", &path, e))
}

/// The bytes of the CSV that a query gives over a case's world.
async fn outcome(engine: &Engine, catalog: &Catalog, query: &Query, case: &Case) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().map_err(|e| Error::Storage(format!("cannot create a temporary folder: {e}")))?;
    let (settings, logs) = lay_out(case, folder.path())?;
    let now = case.now.or_else(|| DateTime::from_timestamp(NOW, 0)).unwrap_or(DateTime::<Utc>::MAX_UTC);
    Store::create_or_open(&settings.store.path, settings.report.time_zone).await?;
    for log in logs {
        pipeline::ingest(&settings, engine, &[log], now, &|_, _| ()).await?;
    }
    match query.group {
        Group::Metric => {
            let order =
                RunOrder { as_of: case.as_of, from: case.from, only: vec![query.name.clone()], recompute: false };
            let report = pipeline::run(&settings, engine, catalog, &order).await?;
            let path = report.folder.join(format!("{}.csv", query.name));
            fs::read(&path).map_err(|e| Error::path("read", &path, e))
        }
        Group::Evidence | Group::OrgCard => {
            let asked = pipeline::answer(&settings, engine, catalog, query, &case.arguments, case.as_of);
            csv(query, vec![asked.await?])
        }
        Group::State | Group::View => table(&settings, engine, catalog, query, case, &stored(query)).await,
        Group::Rollup => rollup(&settings, engine, catalog, query, case).await,
        Group::Check => {
            Err(Error::Definition(format!("`{}` is a check: it runs after every run, without cases", query.name)))
        }
    }
}

// Sealing computes the rows of a rollup in its own way; the SQL says what they must be.
async fn rollup(
    settings: &Settings,
    engine: &Engine,
    catalog: &Catalog,
    query: &Query,
    case: &Case,
) -> Result<Vec<u8>> {
    let sql = query.sql().ok_or_else(|| Error::Definition(format!("rollup `{}` has no SQL", query.name)))?;
    let defined = table(settings, engine, catalog, query, case, sql).await?;
    let sealed = table(settings, engine, catalog, query, case, &stored(query)).await?;
    if defined == sealed {
        return Ok(defined);
    }
    let difference = difference(&String::from_utf8_lossy(&defined), &String::from_utf8_lossy(&sealed));
    Err(Error::Data(format!("what was sealed (+) is not what query.sql gives (-):\n{difference}")))
}

// The SQL that shows a table as a report would.
fn stored(query: &Query) -> String {
    let columns: Vec<_> = query.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
    let key: Vec<_> = query.key.iter().map(|column| format!("\"{column}\" NULLS FIRST")).collect();
    format!("SELECT {} FROM {} ORDER BY {}", columns.join(", "), query.name, key.join(", "))
}

async fn table(
    settings: &Settings,
    engine: &Engine,
    catalog: &Catalog,
    query: &Query,
    case: &Case,
    sql: &str,
) -> Result<Vec<u8>> {
    if case.as_of.is_some() || case.from.is_some() {
        return Err(Error::Definition(format!(
            "case.toml: as_of and from are for the cases of metrics; `{}` is none",
            query.name
        )));
    }
    let (_, batches) = pipeline::ask(settings, engine, catalog, sql).await?;
    csv(query, batches)
}

fn csv(query: &Query, batches: Vec<RecordBatch>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    report::write_csv(query, batches.into_iter().map(Ok), None, &mut bytes)?;
    Ok(bytes)
}

// Writes the case's files into a folder; gives the settings over them and the logs in their order.
fn lay_out(case: &Case, folder: &Path) -> Result<(Settings, Vec<Input>)> {
    let mut settings = Settings::parse(&case.settings)?;
    settings.store.path = folder.join("store");
    settings.reports.path = folder.join("reports");
    settings.dimensions = DimensionSettings::default();
    let mut logs = Vec::new();
    for part in case.events.iter().chain(&case.dimensions) {
        let path = folder.join(&part.name);
        fs::write(&path, part.origin.read()?).map_err(|e| Error::path("write", &path, e))?;
        let files = &mut settings.dimensions;
        let place = match part.name.as_str() {
            "orgs.csv" => &mut files.orgs,
            "users.csv" => &mut files.users,
            "apps.csv" => &mut files.apps,
            "campaigns.csv" => &mut files.campaigns,
            "account_lists.csv" => &mut files.account_lists,
            "calendar.csv" => &mut files.calendar,
            _ => {
                logs.push(Input::Path(path.to_string_lossy().into_owned()));
                continue;
            }
        };
        *place = Some(path);
    }
    Ok((settings, logs))
}
