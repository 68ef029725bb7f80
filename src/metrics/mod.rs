//! Computing queries one after the other: each is planned, run, checked against what it says of itself, and kept as a
//! Parquet table that the next ones can read. It does not know what any of them counts.

mod rows;
mod shape;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::catalog::{Kind, Query};
use crate::engine::{Engine, Parameters, failure};
use crate::error::{Error, Result};
use crate::frames::{Frame, Inputs, Jobs};
use crate::store::{TableFiles, write_files};
use rows::Checked;

/// The table that a query gave.
#[derive(Debug, Clone)]
pub struct Computed {
    /// The query's name.
    pub name: String,
    /// The result, sorted by the query's key.
    pub table: TableFiles,
    /// Its number of rows.
    pub rows: u64,
}

/// Computes queries in the order given (see `Catalog::order`) and registers each result in the engine under its name.
/// `frame` is `None` if no day was observed: then every result is empty and nothing runs.
/// Results are written under `work_folder`, a folder for each query.
///
/// `Error::Definition` if the columns are not the declared ones, `Error::Data` if a row breaks a check.
pub async fn compute(
    engine: &Engine,
    order: &[&Query],
    parameters: &Parameters,
    frame: Option<Frame>,
    work_folder: &Path,
) -> Result<Vec<Computed>> {
    let (jobs, mut results) = (Arc::new(Jobs::default()), Vec::with_capacity(order.len()));
    for query in order {
        results.push(compute_one(engine, &jobs, query, parameters, frame, work_folder).await?);
    }
    Ok(results)
}

/// Computes one query whose inputs are registered already; see [`compute`].
pub async fn compute_one(
    engine: &Engine,
    jobs: &Arc<Jobs>,
    query: &Query,
    parameters: &Parameters,
    frame: Option<Frame>,
    work_folder: &Path,
) -> Result<Computed> {
    let place = || format!("{}/{}", query.group.folder(), query.name);
    let batches = match (frame, &query.kind) {
        (None, _) => Batches::Gathered(Vec::new()),
        (Some(_), Kind::Sql(sql)) => {
            let planned = engine.plan(sql, parameters).await.map_err(|e| e.within(place()))?;
            shape::compare(query, &planned)?;
            Batches::Stream(engine.stream(sql, parameters).await.map_err(|e| e.within(place()))?)
        }
        (Some(frame), Kind::Frame(job)) => {
            let inputs = files(engine, query).await.map_err(|e| e.within(place()))?;
            let (jobs, job) = (Arc::clone(jobs), job.clone());
            let batch = blocking(move || jobs.run(&job, &inputs, frame)).await.map_err(|e| e.within(place()))?;
            shape::compare(query, batch.schema_ref())?;
            Batches::Gathered(vec![batch])
        }
    };
    let computed = write(query, batches, work_folder).await.map_err(|e| e.within(place()))?;
    engine.register(&computed.table).map_err(|e| e.within(place()))?;
    Ok(computed)
}

enum Batches {
    Stream(SendableRecordBatchStream),
    Gathered(Vec<RecordBatch>),
}

async fn files(engine: &Engine, query: &Query) -> Result<Inputs> {
    let mut inputs = Inputs::new();
    for name in &query.reads {
        inputs.insert(name.clone(), engine.files(name).await?);
    }
    Ok(inputs)
}

async fn write(query: &Query, batches: Batches, work_folder: &Path) -> Result<Computed> {
    let root = work_folder.join(&query.name);
    fs::create_dir_all(&root).map_err(|e| Error::path("create folder", &root, e))?;
    let (schema, key) = (query.schema(), query.key.clone());
    let mut checked = Checked::new(query)?;
    let file = {
        let (root, schema, key, runtime) = (root.clone(), schema.clone(), key.clone(), Handle::current());
        // The writer pulls: a batch is computed when the one before it is on disk.
        blocking(move || {
            let next: Box<dyn Iterator<Item = Result<RecordBatch>>> = match batches {
                Batches::Gathered(batches) => Box::new(batches.into_iter().map(Ok)),
                Batches::Stream(mut stream) => Box::new(std::iter::from_fn(move || {
                    let batch = runtime.block_on(stream.next())?;
                    Some(batch.map_err(failure))
                })),
            };
            let sort_key: Vec<&str> = key.iter().map(String::as_str).collect();
            write_files(&root, None, &schema, &sort_key, next.map(|batch| checked.check(&batch?)))
        })
        .await?
    };
    let rows = file.as_ref().map_or(0, |file| file.rows);
    let table = TableFiles {
        name: query.name.clone(),
        root,
        schema,
        by_day: false,
        sort_key: key,
        version: None,
        files: file.into_iter().collect(),
    };
    Ok(Computed { name: query.name.clone(), table, rows })
}

// Disk and data frames would hold up the threads that async work shares.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
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
