//! Polars jobs: what a data frame says better than SQL (cohorts, growth accounting).
//! A job gets batches and parameters and gives batches; it knows neither the store nor the engine.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::error::Result;
use crate::period::{Day, WeekStart};

/// What every job is told.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The first observed day.
    pub first_day: Day,
    /// The last observed day, cut at the report day.
    pub as_of: Day,
    /// Rows before this day are left out of the result (never out of the history).
    pub from: Day,
    /// The day on which a week begins.
    pub week_start: WeekStart,
}

/// The names of the jobs that `[job] name` may say.
pub const JOBS: &[&str] = &["retention", "growth_accounting"];

/// Runs a job on the input tables it reads. `job` is the `[job]` table of `query.toml` as key and value.
pub fn run(
    _job: &BTreeMap<String, String>,
    _inputs: &BTreeMap<String, Vec<RecordBatch>>,
    _frame: Frame,
) -> Result<RecordBatch> {
    todo!()
}
