//! From the store to reports: decide the observed range, compute the metrics, publish.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::TimestampMicrosecondType;
use chrono::DateTime;
use datafusion::scalar::ScalarValue;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde::Serialize;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::catalog::{Catalog, Group, Query};
use crate::dimensions::{self, ObservedRange, Users};
use crate::engine::{Engine, Parameters};
use crate::error::{Error, Result};
use crate::event::Table;
use crate::frames::Frame;
use crate::metrics::{self, Computed, Keep, PieceReport, Source, blocking, named_values};
use crate::period::{Day, format_day, local_day};
use crate::report::{self, Draft, Head, Page};
use crate::settings::{CountedDays, Settings};
use crate::store::{Snapshot, Store};

/// What a run is asked for.
#[derive(Debug, Clone, Default)]
pub struct RunOrder {
    /// The report day; the default is the last observed day, but at most the day before the newest ingest.
    pub as_of: Option<Day>,
    /// Rows of daily metrics, cohorts and periods before this day are not shown.
    pub from: Option<Day>,
    /// The metrics to compute; empty = all.
    pub only: Vec<String>,
    /// Compute everything, also what is kept from earlier runs.
    pub recompute: bool,
}

/// What a run did, for a person or as JSON.
#[derive(Debug, Serialize)]
pub struct RunReport {
    /// The folder with the reports.
    pub folder: PathBuf,
    /// The first and last observed day; none without any event.
    pub observed: Option<(String, String)>,
    /// Each report and its number of rows.
    pub files: Vec<(String, u64)>,
    /// What was computed and why, states among it, in the order of computing.
    pub queries: Vec<QueryReport>,
    /// What else was done, in sentences.
    pub notes: Vec<String>,
}

/// What a query was computed for.
#[derive(Debug, Clone, Serialize)]
pub struct QueryReport {
    /// The query's name.
    pub name: String,
    /// Its months, or the whole of it.
    pub pieces: Vec<PieceReport>,
}

/// Computes metrics from the store and publishes them under the reports folder.
pub async fn run(settings: &Settings, engine: &Engine, catalog: &Catalog, order: &RunOrder) -> Result<RunReport> {
    let (queries, wanted) = chosen(catalog, &order.only)?;
    let Ground { snapshot, range, metrics: mut ground, notes, work: _work } =
        lay_ground(settings, engine, order).await?;
    let definition = |query: &Query| Ok((query.name.clone(), catalog.hash(catalog.order(&[query.name.as_str()])?)));
    let definitions = catalog.metrics().map(definition).collect::<Result<BTreeMap<_, _>>>()?;

    // A metric is written while the next ones are computed; none is seen before all checks hold.
    let (reports, from) = (settings.reports.path.clone(), order.from);
    let draft = Arc::new(blocking(move || Draft::open(&reports, from)).await?);
    let mut pages = JoinSet::new();
    let mut write = |query: &Query, computed: &Computed| {
        if let Some(definition) = definitions.get(&query.name).filter(|_| wanted.contains(&query.name.as_str())) {
            let (draft, query, definition) = (Arc::clone(&draft), query.clone(), definition.clone());
            let table = computed.table.clone();
            pages.spawn(blocking(move || draft.write(Page { query: &query, table: &table, definition: &definition })));
        }
    };
    let computed = metrics::compute(engine, &queries, &mut ground, &mut write).await?;
    for check in queries.iter().filter(|query| query.group == Group::Check) {
        hold(engine, check, &computed).await?;
    }
    let written = pages.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let draft = Arc::into_inner(draft).ok_or_else(|| Error::Internal("a file is written after all were".into()))?;

    let head = Head::new(settings, &snapshot, range, order.from, catalog.hash(catalog.queries()))?;
    let whole = report::Order { head, definitions, partial: !order.only.is_empty() };
    let published = draft.publish(&report_day(order, range), &whole, written)?;
    // What a report shows may be less than what was computed: `from` leaves rows out.
    let rows_of = |result: &Computed| {
        published.manifest.files.get(&format!("{}.csv", result.name)).map(|file| (result.name.clone(), file.rows))
    };
    let report = RunReport {
        folder: published.folder.clone(),
        observed: range.map(|(first, last)| (format_day(first), format_day(last))),
        files: computed.iter().filter(|result| wanted.contains(&result.name.as_str())).filter_map(rows_of).collect(),
        queries: computed.into_iter().map(|result| QueryReport { name: result.name, pieces: result.pieces }).collect(),
        notes,
    };
    ground.keep.clear(&catalog.queries().map(|query| query.name.as_str()).collect())?;
    Ok(report)
}

/// What a run would do.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The first and last observed day; none without any event.
    pub observed: Option<(String, String)>,
    /// The queries in the order in which they are computed, states among them, and what of them would be computed. A
    /// result that depends on another that would be computed is among it, even if that should turn out as it was.
    pub queries: Vec<QueryReport>,
    /// Those of them that become reports.
    pub reports: Vec<String>,
    /// Those of them that must give no row.
    pub checks: Vec<String>,
    /// The folder that the reports go to.
    pub folder: PathBuf,
}

/// Says what a run would do, and computes nothing.
pub async fn plan(settings: &Settings, engine: &Engine, catalog: &Catalog, order: &RunOrder) -> Result<Plan> {
    let (queries, wanted) = chosen(catalog, &order.only)?;
    let mut ground = lay_ground(settings, engine, order).await?;
    let forecast = metrics::forecast(&queries, &mut ground.metrics)?;
    Ok(Plan {
        observed: ground.range.map(|(first, last)| (format_day(first), format_day(last))),
        queries: forecast.into_iter().map(|(name, pieces)| QueryReport { name, pieces }).collect(),
        reports: wanted.into_iter().map(str::to_owned).collect(),
        checks: queries.iter().filter(|query| query.group == Group::Check).map(|query| query.name.clone()).collect(),
        folder: settings.reports.path.join(report_day(order, ground.range)),
    })
}

// The queries that a run computes, in order, with the checks that can be made over them at the end, and the names of
// those that are reported.
fn chosen<'a>(catalog: &'a Catalog, only: &[String]) -> Result<(Vec<&'a Query>, Vec<&'a str>)> {
    let wanted: Vec<&str> = if only.is_empty() {
        catalog.metrics().map(|query| query.name.as_str()).collect()
    } else {
        let metric = |name: &String| catalog.metric(name).map(|query| query.name.as_str());
        let mut wanted = only.iter().map(metric).collect::<Result<Vec<_>>>()?;
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    };
    let checks = catalog.checks(&wanted).map(|check| check.name.as_str());
    Ok((catalog.order(&wanted.iter().copied().chain(checks).collect::<Vec<_>>())?, wanted))
}

// A check that has a row is a contradiction between tables of the report.
async fn hold(engine: &Engine, check: &Query, computed: &[Computed]) -> Result<()> {
    let Some(broken) = computed.iter().find(|result| result.name == check.name && result.rows > 0) else {
        return Ok(());
    };
    let rows = broken.rows;
    engine.register(&broken.table)?;
    let first = engine.collect(&format!("SELECT * FROM {} LIMIT 1", check.name), &Parameters::new()).await?;
    let shown = first.first().map_or_else(String::new, |batch| {
        let schema = batch.schema();
        named_values(schema.fields().iter().map(|field| field.name()).zip(batch.columns()), 0)
    });
    Err(Error::Data(format!(
        "the check `{}` does not hold in {rows} rows, first: {shown}; {}; nothing was published",
        check.name,
        check.title.trim_end_matches('.')
    )))
}

/// What queries stand on.
pub(super) struct Ground {
    pub(super) snapshot: Snapshot,
    pub(super) range: ObservedRange,
    pub(super) metrics: metrics::Ground,
    pub(super) notes: Vec<String>,
    // The dimension tables lie here.
    pub(super) work: TempDir,
}

/// Pins the store, reads the dimensions, and binds the parameters.
pub(super) async fn lay_ground(settings: &Settings, engine: &Engine, order: &RunOrder) -> Result<Ground> {
    let store = Store::open(&settings.store.path, settings.report.time_zone).await?;
    let (users, snapshot) = super::users_and_snapshot(settings, &store).await?;
    let (snapshot, note) = current(settings, &store, snapshot, &users).await?;
    let range = observed_range(settings, engine, &snapshot, order.as_of).await?;
    let work = store.work_folder()?;
    let (tables, of_files) = dimensions::write_tables(settings, users, range, work.path())?;
    let mut sources = BTreeMap::new();
    for table in snapshot.tables.values() {
        sources.insert(table.name.clone(), Source::stored(table.clone()));
    }
    for source in tables.into_par_iter().map(Source::hashed).collect::<Vec<_>>() {
        let source = source?;
        sources.insert(source.table.name.clone(), source);
    }
    let notes = note.into_iter().chain(of_files).collect();
    let (week_start, time_zone) = (settings.report.week_start, settings.report.time_zone);
    let metrics = metrics::Ground {
        sources,
        parameters: parameters(settings, range),
        always: BTreeMap::from([("the program's version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
        frame: range.map(|(first_day, as_of)| Frame { first_day, as_of, week_start, time_zone }),
        jobs: Arc::default(),
        memory: settings.engine.memory / 2,
        keep: Keep::open(&store.kept_folder()?, !order.recompute)?,
    };
    Ok(Ground { snapshot, range, metrics, notes, work })
}

// A snapshot whose rollups follow from its events. The lock is taken only if there is something to mend.
async fn current(
    settings: &Settings,
    store: &Store,
    snapshot: Snapshot,
    users: &Users,
) -> Result<(Snapshot, Option<String>)> {
    let who = super::who_counts(settings, users);
    if store.stale_rollups(&snapshot, &who.hash()).await? == crate::store::Stale::Nothing {
        return Ok((snapshot, None));
    }
    let lock = store.lock()?;
    super::refresh_rollups(store, &lock, store.snapshot().await?, &who, super::limits(settings)).await
}

async fn observed_range(
    settings: &Settings,
    engine: &Engine,
    snapshot: &Snapshot,
    as_of: Option<Day>,
) -> Result<ObservedRange> {
    let days = snapshot.table(Table::Events).days();
    let (Some(&first), Some(&last)) = (days.first(), days.last()) else { return Ok(None) };
    let as_of = match as_of {
        Some(day) => day,
        None => day_before_newest_ingest(settings, engine, snapshot).await?,
    };
    let last = last.min(as_of);
    Ok((first <= last).then_some((first, last)))
}

async fn day_before_newest_ingest(settings: &Settings, engine: &Engine, snapshot: &Snapshot) -> Result<Day> {
    engine.register(snapshot.table(Table::Batches))?;
    let newest = "SELECT ingested_at FROM batches ORDER BY batch DESC LIMIT 1";
    let newest = engine.collect(newest, &Parameters::new()).await?;
    let instant = newest
        .first()
        .map(|batch| batch.column(0).as_primitive::<TimestampMicrosecondType>())
        .and_then(|column| column.iter().next().flatten())
        .and_then(DateTime::from_timestamp_micros)
        .ok_or_else(|| Error::Storage("the store has events but no ledger of their ingest".into()))?;
    Ok(local_day(settings.report.time_zone, instant) - 1)
}

// The folder's name: the last observed day; without one, the day asked for, or a word.
fn report_day(order: &RunOrder, range: ObservedRange) -> String {
    range.map(|(_, last)| last).or(order.as_of).map_or_else(|| "no-events".to_owned(), format_day)
}

fn parameters(settings: &Settings, range: ObservedRange) -> Parameters {
    let date = |day: Option<Day>| ScalarValue::Date32(day);
    let flag = |path: &Option<PathBuf>| ScalarValue::Boolean(Some(path.is_some()));
    let on_work_days = |days: CountedDays| ScalarValue::Boolean(Some(days == CountedDays::WorkDays));
    let work = &settings.work;
    Parameters::from_iter(
        [
            ("first_day", date(range.map(|(first, _)| first))),
            ("as_of", date(range.map(|(_, last)| last))),
            ("week_start", ScalarValue::Utf8(Some(settings.report.week_start.name().to_owned()))),
            ("time_zone", ScalarValue::Utf8(Some(settings.report.time_zone.name().to_owned()))),
            ("dag_rate_on_work_days", on_work_days(work.dag_rate)),
            ("streaks_on_work_days", on_work_days(work.streaks)),
            ("has_orgs", flag(&settings.dimensions.orgs)),
            ("has_users", flag(&settings.dimensions.users)),
            ("has_apps", flag(&settings.dimensions.apps)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
}
