//! What is computed when somebody asks and never kept: the rows of a query with its arguments in place, held to the same
//! contract as a kept result.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

use super::rows::Checked;
use super::shape;
use crate::catalog::Query;
use crate::engine::{Engine, Parameters};
use crate::error::{Error, Result};

/// The rows of a query over the tables that [`super::compute`] registered; arguments are among the parameters.
///
/// `Error::Definition` if the columns are not the declared ones, `Error::Data` if a row breaks a check.
pub async fn answer(engine: &Engine, query: &Query, parameters: &Parameters) -> Result<RecordBatch> {
    let rows = select(engine, query, sql_of(query)?, parameters).await;
    rows.map_err(|e| e.within(format!("{}/{}", query.group.folder(), query.name)))
}

/// Rows in the columns and the order of a query that another SQL picks.
pub async fn select(engine: &Engine, query: &Query, sql: &str, parameters: &Parameters) -> Result<RecordBatch> {
    let prepared = engine.prepare(sql, parameters).await?;
    shape::compare(query, prepared.schema())?;
    let batches = prepared.collect().await?;
    let mut checked = Checked::new(query)?;
    let batches = batches.iter().map(|batch| checked.check(batch)).collect::<Result<Vec<_>>>()?;
    concat_batches(&query.schema(), &batches).map_err(|e| Error::Internal(e.to_string()))
}

/// Makes a view known under its name.
pub(super) async fn register(engine: &Engine, view: &Query, parameters: &Parameters) -> Result<()> {
    shape::compare(view, engine.register_view(&view.name, sql_of(view)?, parameters).await?.as_ref())
}

fn sql_of(query: &Query) -> Result<&str> {
    query
        .sql()
        .ok_or_else(|| Error::Internal(format!("`{}` is computed by a job; the catalog let it through", query.name)))
}
