//! Computing queries, each as soon as what it reads is there: it is planned, run, checked against what it says of itself,
//! and kept as a Parquet table that others, and later runs, can read. It does not know what any of them counts.

mod answer;
mod chosen;
mod kept;
mod pieces;
mod rows;
mod shape;
mod source;
mod turns;

pub use answer::{answer, select};
pub use kept::Keep;
pub use rows::named_values;
pub use source::Source;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Weak};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::catalog::{FROM_MONTH, Group, Kind, Query};
use crate::engine::{Engine, Parameters, failure};
use crate::error::{Error, Result};
use crate::frames::{Frame, Inputs, Jobs};
use crate::kernels::{self, Input};
use crate::period::format_day;
use crate::store::{DataFile, Packing, TableFiles, write_files};
use kept::{Ingredients, Kept, KeptFile};
use pieces::{Dealer, Piece, joined, pieces};
use rows::Checked;
use source::hash;
use turns::{Places, Share, Turns};

/// The parameter whose value is the last day that a query may see.
const AS_OF: &str = "as_of";

// So much of the kernels' memory is for rows that several of them read: one part of four.
const SHARED_PART: u64 = 4;

/// What queries are computed from.
#[derive(Debug)]
pub struct Ground {
    /// The tables that are there before any query, by name; results join them.
    pub sources: BTreeMap<String, Source>,
    /// The values of `$name`.
    pub parameters: Parameters,
    /// What every query depends on, by name: settings of the engine's functions, the version of this program.
    pub always: BTreeMap<String, String>,
    /// The observed range; `None` if no day was observed: then every result is empty and nothing runs.
    pub frame: Option<Frame>,
    /// The data frame jobs, and what they share.
    pub jobs: Arc<Jobs>,
    /// Where results are kept.
    pub keep: Keep,
    /// The memory that kernels may take, in bytes.
    pub memory: u64,
}

/// The table that a query gave.
#[derive(Debug, Clone)]
pub struct Computed {
    /// The query's name.
    pub name: String,
    /// The result, sorted by the query's key.
    pub table: TableFiles,
    /// Its number of rows.
    pub rows: u64,
    /// What was done for it.
    pub pieces: Vec<PieceReport>,
}

/// A part of a result, and why it was computed.
#[derive(Debug, Clone, Serialize)]
pub struct PieceReport {
    /// The month, as the ISO date of its first day; `None` = the whole result.
    pub month: Option<String>,
    /// What it was made from and is not as it was; empty if it was taken as it is kept.
    pub stale: Vec<String>,
}

/// Computes queries in the order given (see `Catalog::order`), or takes what is kept of them; queries of which none reads
/// another's result are computed at once, one more than the engine has threads. Views, and what is asked with arguments, are
/// passed over. `watch` is shown each result when it is there, with its query, while others are still computed.
///
/// `Error::Definition` if the columns are not the declared ones, `Error::Data` if a row breaks a check.
pub async fn compute(
    engine: &Engine,
    order: &[&Query],
    ground: &mut Ground,
    watch: &mut dyn FnMut(&Query, &Computed),
) -> Result<Vec<Computed>> {
    let is_kept = |query: &&Query| query.group != Group::View && !query.group.is_asked();
    let queries: Vec<&Query> = order.iter().copied().filter(is_kept).collect();
    let mut results: Vec<Option<Computed>> = queries.iter().map(|_| None).collect();
    let mut turns = Turns::new(queries.iter().map(|query| (query.name.as_str(), query.reads.as_slice())));
    let mut sources = std::mem::take(&mut ground.sources);
    let mut failed: Option<(usize, Error)> = None;
    {
        let (ground, places) = (&*ground, Places::new(engine.threads(), ground.memory));
        let mut running = FuturesUnordered::new();
        // It is there as long as a kernel waits or works.
        let mut shared: Weak<kernels::Shared> = Weak::new();
        loop {
            while failed.is_none()
                && let Some(turn) = turns.next()
            {
                let work = Work::new(queries[turn], &sources, ground);
                let shares = queries[turn].kernel.as_deref().is_some_and(kernels::shares);
                let shared = shares.then(|| alive(&mut shared, ground, &places));
                let means = Means { engine, ground, places: &places, shared };
                running.push(async move {
                    match work {
                        Ok(work) => (turn, work.done(&means).await),
                        Err(error) => (turn, Err(error)),
                    }
                });
            }
            let Some((turn, done)) = running.next().await else { break };
            match done {
                Ok(Some((computed, source))) => {
                    watch(queries[turn], &computed);
                    sources.insert(queries[turn].name.clone(), source);
                    results[turn] = Some(computed);
                    turns.end(turn);
                }
                Ok(None) => {}
                // Of the errors of queries that were at work one is told whichever came first.
                Err(error) => {
                    places.close();
                    if failed.as_ref().is_none_or(|(first, _)| turn < *first) {
                        failed = Some((turn, error));
                    }
                }
            }
        }
    }
    if let Some((turn, error)) = failed {
        return Err(error.within(place(queries[turn])));
    }
    ground.sources = sources;
    Ok(results.into_iter().flatten().collect())
}

// What kernels share, begun anew if none waits or works.
fn alive(shared: &mut Weak<kernels::Shared>, ground: &Ground, places: &Places) -> Arc<kernels::Shared> {
    shared.upgrade().unwrap_or_else(|| {
        let of_each = places.memory - places.memory / SHARED_PART;
        let new = Arc::new(kernels::Shared::new(ground.memory / SHARED_PART, of_each));
        *shared = Arc::downgrade(&new);
        new
    })
}

/// Makes the tables that queries stand on, what [`compute`] gave for this order, and its views known to an engine by name.
pub async fn register(engine: &Engine, order: &[&Query], ground: &Ground) -> Result<()> {
    for source in ground.sources.values() {
        engine.register(&source.table)?;
    }
    for view in order.iter().filter(|query| query.group == Group::View) {
        answer::register(engine, view, &ground.parameters).await.map_err(|e| e.within(place(view)))?;
    }
    Ok(())
}

fn place(query: &Query) -> String {
    format!("{}/{}", query.group.folder(), query.name)
}

/// What [`compute`] would do, as far as it can be told without computing: a result that depends on a stale one is stale,
/// even if the other should turn out as it was.
pub fn forecast(order: &[&Query], ground: &mut Ground) -> Result<Vec<(String, Vec<PieceReport>)>> {
    let mut reports = Vec::with_capacity(order.len());
    for query in order {
        let assessed = assess(query, &ground.sources, ground)?;
        let reused: Vec<Kept> = assessed.iter().filter_map(|piece| piece.found.clone()).collect();
        let mut source = as_source(query, &ground.keep, &reused);
        for unknown in assessed.iter().filter(|piece| piece.found.is_none()) {
            source.add_unknown(unknown.piece.rows);
        }
        ground.sources.insert(query.name.clone(), source);
        reports.push((query.name.clone(), assessed.into_iter().map(|piece| piece.report).collect()));
    }
    Ok(reports)
}

/// A piece of a result, what it is made from now, and what is kept of it.
struct Assessed {
    piece: Piece,
    wanted: Kept,
    found: Option<Kept>,
    report: PieceReport,
}

// Without an observed day there is no piece, and the result is empty.
fn assess(query: &Query, sources: &BTreeMap<String, Source>, ground: &Ground) -> Result<Vec<Assessed>> {
    let kept = ground.keep.of(&query.name);
    let pieces = ground.frame.map_or_else(Vec::new, |frame| pieces(query, frame));
    let parameters = query.parameters();
    let assess = |piece: Piece| {
        let wanted = wanted(query, &parameters, &piece, sources, ground)?;
        let found = ground.keep.find(&query.name, &kept, &wanted).cloned();
        let report = report(&wanted, found.is_some(), &kept);
        Ok(Assessed { piece, wanted, found, report })
    };
    pieces.into_iter().map(assess).collect()
}

/// What a query is computed with.
struct Means<'a> {
    engine: &'a Engine,
    ground: &'a Ground,
    places: &'a Places,
    // For a query with a kernel that reads rollups.
    shared: Option<Arc<kernels::Shared>>,
}

/// What must be done for the result of a query.
struct Work<'a> {
    query: &'a Query,
    assessed: Vec<Assessed>,
    // Neighbouring stale pieces, and the tables that they see.
    stale: Vec<(Range<usize>, Piece, BTreeMap<String, TableFiles>)>,
}

impl<'a> Work<'a> {
    fn new(query: &'a Query, sources: &BTreeMap<String, Source>, ground: &Ground) -> Result<Self> {
        let assessed = assess(query, sources, ground)?;
        let mut stale = Vec::new();
        let mut start = 0;
        // Neighbours are computed at once: a query costs the same to plan for a month and for a year.
        for run_of in assessed.chunk_by(|one, next| one.found.is_none() && next.found.is_none()) {
            let range = start..start + run_of.len();
            start = range.end;
            if run_of.iter().all(|piece| piece.found.is_some()) {
                continue;
            }
            let pieces: Vec<Piece> = run_of.iter().map(|piece| piece.piece).collect();
            if let Some(span) = joined(&pieces) {
                let sees = |name: &String| span.sees(query.window.back(name));
                let input = |name: &String| Some((name.clone(), sources.get(name)?.within(sees(name))));
                stale.push((range, span, query.reads.iter().filter_map(input).collect()));
            }
        }
        Ok(Self { query, assessed, stale })
    }

    // `None` = not all of it was begun, since another one has failed.
    async fn done(self, means: &Means<'_>) -> Result<Option<(Computed, Source)>> {
        let (Self { query, assessed, stale }, ground) = (self, means.ground);
        let mut results: Vec<Option<Kept>> = assessed.iter().map(|piece| piece.found.clone()).collect();
        for (range, span, inputs) in stale {
            let pieces: Vec<Piece> = assessed[range.clone()].iter().map(|piece| piece.piece).collect();
            let Some(files) = run(means, query, inputs, span, &pieces).await? else { return Ok(None) };
            for (place, file) in range.zip(files) {
                results[place] = Some(Kept { file, ..assessed[place].wanted.clone() });
            }
        }
        let results: Vec<Kept> = results.into_iter().flatten().collect();
        ground.keep.remember(&query.name, results.clone())?;
        let source = as_source(query, &ground.keep, &results);
        let table = source.table.clone();
        let pieces = assessed.into_iter().map(|piece| piece.report).collect();
        Ok(Some((Computed { name: query.name.clone(), rows: table.rows(), table, pieces }, source)))
    }
}

/// Everything that a piece of a result is made from.
fn wanted(
    query: &Query,
    parameters: &BTreeSet<String>,
    piece: &Piece,
    sources: &BTreeMap<String, Source>,
    ground: &Ground,
) -> Result<Kept> {
    let mut ingredients = Ingredients::new();
    for (name, value) in &ground.always {
        ingredients.insert(name.clone(), value.clone());
    }
    ingredients.insert("its definition".to_owned(), query.digest());
    let bound = bound(piece, &ground.parameters);
    for name in parameters {
        let value = bound.get(name).map_or_else(String::new, ToString::to_string);
        ingredients.insert(format!("${name}"), value);
    }
    for name in &query.reads {
        let source = sources.get(name).ok_or_else(|| {
            Error::Internal(format!("`{}` reads `{name}`, which is neither there nor computed before", query.name))
        })?;
        ingredients.extend(source.ingredients(piece.sees(query.window.back(name))));
    }
    Ok(Kept { month: piece.month.map(format_day), ingredients, file: None })
}

// The values of the parameters for a piece: it may see no day after its window, and begins with its month.
fn bound(piece: &Piece, parameters: &Parameters) -> Parameters {
    let mut parameters = parameters.clone();
    if piece.month.is_some() {
        parameters.insert(FROM_MONTH.to_owned(), ScalarValue::Date32(piece.month));
    }
    if let Some(ScalarValue::Date32(Some(day))) = parameters.get_mut(AS_OF) {
        *day = piece.until.min(*day);
    }
    parameters
}

fn report(wanted: &Kept, is_kept: bool, kept: &[Kept]) -> PieceReport {
    let before = kept.iter().find(|kept| kept.month == wanted.month);
    let stale = match before {
        _ if is_kept => Vec::new(),
        None => vec!["it was never computed".to_owned()],
        Some(before) => {
            let names: BTreeSet<&String> = wanted.ingredients.keys().chain(before.ingredients.keys()).collect();
            let differs = |name: &&String| wanted.ingredients.get(*name) != before.ingredients.get(*name);
            let mut changed: Vec<String> = names.into_iter().filter(differs).cloned().collect();
            if changed.is_empty() {
                changed.push("its file is gone".to_owned());
            }
            changed
        }
    };
    PieceReport { month: wanted.month.clone(), stale }
}

fn as_source(query: &Query, keep: &Keep, results: &[Kept]) -> Source {
    let files = results.iter().filter_map(|result| result.file.as_ref());
    let table = TableFiles {
        name: query.name.clone(),
        root: keep.folder(&query.name),
        schema: query.schema(),
        by_day: false,
        sort_key: query.key.clone(),
        version: None,
        files: files.clone().map(KeptFile::data_file).collect(),
    };
    Source::known(table, files.map(|file| file.content.clone()).collect())
}

// Computes neighbouring pieces and writes a file for each that has rows; `None` = nothing shall begin any more.
async fn run(
    means: &Means<'_>,
    query: &Query,
    inputs: BTreeMap<String, TableFiles>,
    span: Piece,
    pieces: &[Piece],
) -> Result<Option<Vec<Option<KeptFile>>>> {
    let Means { engine, ground, places, shared } = means;
    let Some(frame) = ground.frame else { return Ok(Some(Vec::new())) };
    let rows = inputs.values().map(TableFiles::rows).sum::<u64>();
    let root = ground.keep.folder(&query.name);
    if let (Some(kernel), true) = (&query.kernel, engine.is_local()) {
        let Some(_place) = places.take(rows, Share::One).await else { return Ok(None) };
        let told = kernels::Frame {
            first_day: frame.first_day,
            as_of: span.until,
            wanted: span.rows,
            week_start: frame.week_start,
            given: given(&ground.parameters),
        };
        let batches = by_kernel(kernel, query.schema(), &inputs, told, shared.clone()).await?;
        return write(query, batches, &root, pieces).await.map(Some);
    }
    let share = if matches!(query.kind, Kind::Frame(_)) { Share::One } else { Share::ByRows };
    let Some(place) = places.take(rows, share).await else { return Ok(None) };
    let engine = engine.apart(place.threads);
    for table in inputs.values() {
        engine.register(table)?;
    }
    let parameters = bound(&span, &ground.parameters);
    let batches = match &query.kind {
        Kind::Frame(job) => {
            shape::compare(query, &job.schema())?;
            let chosen = chosen::events(&engine, job, &parameters, &root).await?;
            let paths = |table: &TableFiles| table.files.iter().map(|file| table.root.join(&file.path)).collect();
            let mut files: Inputs = inputs.iter().map(|(name, table)| (name.clone(), paths(table))).collect();
            files.extend(
                chosen.iter().map(|(name, file)| (name.clone(), file.iter().map(|path| path.to_path_buf()).collect())),
            );
            let (jobs, job) = (Arc::clone(&ground.jobs), job.clone());
            // Jobs look back as far in all that they read.
            let (first, as_of) = span.sees(query.reads.first().and_then(|table| query.window.back(table)));
            let seen = Frame { first_day: frame.first_day.max(first), as_of, ..frame };
            let batch = blocking(move || jobs.run(&job, &files, seen)).await?;
            Batches::Gathered(Box::new(std::iter::once(Ok(batch))))
        }
        Kind::Sql(sql) => {
            let (sql, runtime) = (sql.clone(), Handle::current());
            let prepared = blocking(move || runtime.block_on(engine.prepare(&sql, &parameters))).await?;
            shape::compare(query, prepared.schema())?;
            Batches::Stream(prepared.stream()?)
        }
    };
    write(query, batches, &root, pieces).await.map(Some)
}

enum Batches {
    Stream(SendableRecordBatchStream),
    Gathered(kernels::Rows),
}

fn given(parameters: &Parameters) -> kernels::Given {
    let given = |name: &str| parameters.get(name) == Some(&ScalarValue::Boolean(Some(true)));
    kernels::Given { orgs: given("has_orgs"), users: given("has_users"), apps: given("has_apps") }
}

// What a kernel gives.
async fn by_kernel(
    kernel: &str,
    schema: SchemaRef,
    inputs: &BTreeMap<String, TableFiles>,
    frame: kernels::Frame,
    shared: Option<Arc<kernels::Shared>>,
) -> Result<Batches> {
    let files = |table: &TableFiles| {
        table.files.iter().map(|file| Input { path: table.root.join(&file.path), day: file.day }).collect()
    };
    let inputs: kernels::Inputs = inputs.iter().map(|(name, table)| (name.clone(), files(table))).collect();
    let kernel = kernel.to_owned();
    blocking(move || kernels::run(&kernel, &inputs, frame, &schema, shared.as_deref())).await.map(Batches::Gathered)
}

async fn write(query: &Query, batches: Batches, root: &Path, pieces: &[Piece]) -> Result<Vec<Option<KeptFile>>> {
    std::fs::create_dir_all(root).map_err(|e| Error::path("create folder", root, e))?;
    let (root, schema, key, runtime) = (root.to_owned(), query.schema(), query.key.clone(), Handle::current());
    let mut checked = Checked::new(query)?;
    let pieces = pieces.to_vec();
    blocking(move || {
        let next: Box<dyn Iterator<Item = Result<RecordBatch>>> = match batches {
            Batches::Gathered(batches) => batches,
            Batches::Stream(stream) => Box::new(pulled(stream, runtime)),
        };
        let sort_key: Vec<&str> = key.iter().map(String::as_str).collect();
        let mut dealer = Dealer::new(next.map(|batch| checked.check(&batch?)));
        let mut files = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            let rows = std::iter::from_fn(|| dealer.next_of(piece));
            let file = write_files(&root, None, &schema, &sort_key, Packing::Fast, rows)?;
            files.push(file.map(|file| keep_file(&root, file)).transpose()?);
        }
        Ok(files)
    })
    .await
}

// The batches of a stream for a writer that pulls: each is computed when the one before it is on disk.
fn pulled(mut stream: SendableRecordBatchStream, runtime: Handle) -> impl Iterator<Item = Result<RecordBatch>> {
    std::iter::from_fn(move || Some(runtime.block_on(stream.next())?.map_err(failure)))
}

fn keep_file(root: &Path, file: DataFile) -> Result<KeptFile> {
    let content = hash(&root.join(&file.path))?;
    Ok(KeptFile { path: file.path, bytes: file.bytes, rows: file.rows, stats: file.stats, content })
}

/// Does what waits for the disk or works for long on a thread of its own: it would hold up the threads that async work
/// shares.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Error::Internal(format!("a task was cancelled: {error}"))),
        },
    }
}

#[cfg(test)]
mod tests;
