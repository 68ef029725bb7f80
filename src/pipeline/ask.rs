//! An analyst's question: stored tables, dimensions, states and metrics under one roof.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::catalog::{self, Catalog};
use crate::engine::Engine;
use crate::error::Result;
use crate::metrics;
use crate::settings::Settings;

/// Answers a query. The states and metrics that it names are computed first, as at the default report day.
pub async fn ask(
    settings: &Settings,
    engine: &Engine,
    catalog: &Catalog,
    sql: &str,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let mut ground = super::run::lay_ground(settings, engine, &super::RunOrder::default()).await?;
    let named = catalog::tables_of(sql)?;
    let wanted: Vec<&str> = named
        .iter()
        .filter_map(|name| catalog.get(name))
        .filter(|query| query.group != catalog::Group::Rollup)
        .map(|query| query.name.as_str())
        .collect();
    let queries = catalog.order(&wanted)?;
    metrics::compute(engine, &queries, &mut ground.metrics, &mut |_, _| {}).await?;
    metrics::register(engine, &queries, &ground.metrics).await?;
    let prepared = engine.prepare(sql, &ground.metrics.parameters).await?;
    Ok((Arc::clone(prepared.schema()), prepared.collect().await?))
}
