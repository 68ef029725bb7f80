//! The events that a job chooses by conditions of its own, counted by the engine into files that live as long as the job.
//! It does not know what the job makes of them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempPath;
use tokio::runtime::Handle;

use super::{blocking, pulled};
use crate::engine::{Engine, Parameters};
use crate::error::{Error, Result};
use crate::frames::Job;
use crate::store::{Packing, write_files};

const SORT_KEY: [&str; 3] = ["month", "entity", "id"];

/// The tables of a job's event queries, each with its file; none if the query gave no row. The tables that they read are
/// registered. A file that a killed run leaves in the folder is cleared with those that no index names.
pub(super) async fn events(
    engine: &Engine,
    job: &Job,
    parameters: &Parameters,
    folder: &Path,
) -> Result<Vec<(String, Option<TempPath>)>> {
    for (key, condition) in job.conditions() {
        // Planned alone, so that a wrong condition is told in its own words and not in those of a larger query.
        let sql = format!("SELECT event_id FROM events WHERE {condition}");
        engine.prepare(&sql, &Parameters::new()).await.map_err(|e| e.within(format!("[job] {key}=`{condition}`")))?;
    }
    let mut tables = Vec::new();
    for query in job.event_queries() {
        fs::create_dir_all(folder).map_err(|e| Error::path("create folder", folder, e))?;
        let prepared = engine.prepare(&query.sql, parameters).await?;
        let schema = Arc::clone(prepared.schema());
        let stream = prepared.stream()?;
        let (root, runtime) = (folder.to_owned(), Handle::current());
        let file = blocking(move || {
            let file = write_files(&root, None, &schema, &SORT_KEY, Packing::Fast, pulled(stream, runtime))?;
            let path = file.map(|file| TempPath::try_from_path(root.join(&file.path)));
            path.transpose().map_err(|e| Error::path("find folder", &root, e))
        });
        tables.push((query.table, file.await?));
    }
    Ok(tables)
}
