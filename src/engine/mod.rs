//! SQL over lists of Parquet files, on the engine that was chosen at the start. Nothing below knows which one it is,
//! and this module does not know what the tables mean.

mod cluster;
mod failure;
mod functions;
mod local;
mod query;
mod reader;
mod table;

pub use failure::failure;
pub use functions::{RATE, SECONDS};
pub use query::FEW_ROWS;

use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProviderList, MemoryCatalogProviderList, TableProvider};
use datafusion::common::TableReference;
use datafusion::execution::{SendableRecordBatchStream, SessionStateDefaults, TaskContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use crate::error::Result;
use crate::settings::{EngineKind, EngineSettings};
use crate::store::TableFiles;
use cluster::Cluster;
use table::Table;

/// Values for `$name` in a query: dates, integers, booleans and text.
pub type Parameters = BTreeMap<String, ScalarValue>;

/// A SQL engine with our functions and the tables that were registered. It knows no clock and no randomness:
/// functions such as `now()` do not exist.
pub struct Engine {
    context: SessionContext,
    // Only a cluster leaves traces that must go when the engine does.
    cluster: Option<Arc<Cluster>>,
    threads: usize,
}

impl Debug for Engine {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts the engine that the settings name. `Error::Usage` if this binary was built without it.
    pub async fn start(settings: &EngineSettings) -> Result<Self> {
        match settings.kind {
            EngineKind::Local => {
                Ok(Self { context: local::start(settings)?, cluster: None, threads: local::threads(settings) })
            }
            EngineKind::Standalone => {
                let (context, cluster) = cluster::start(settings).await?;
                Ok(Self { context, cluster: Some(Arc::new(cluster)), threads: 1 })
            }
        }
    }

    /// The same engine, with its memory and its functions, but with no tables yet: what is registered here is not known
    /// there. Here a query takes so many threads at most; a cluster has its own.
    #[must_use]
    pub fn apart(&self, threads: usize) -> Self {
        let mut state = self.context.state();
        let no_tables =
            SessionStateDefaults::default_catalog(state.config(), state.table_factories(), state.runtime_env());
        let catalogs = MemoryCatalogProviderList::new();
        catalogs.register_catalog(state.config_options().catalog.default_catalog.clone(), Arc::new(no_tables));
        state.register_catalog_list(Arc::new(catalogs));
        if self.is_local() {
            state.config_mut().options_mut().execution.target_partitions = threads.clamp(1, self.threads);
        }
        Self { context: SessionContext::new_with_state(state), cluster: self.cluster.clone(), threads: self.threads }
    }

    /// How many queries it is worth to run at once here. A cluster has its threads elsewhere, and one query fills them.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Makes a table known under its name; an older one of that name is replaced. Files are opened when they are read.
    pub fn register(&self, table: &TableFiles) -> Result<()> {
        let provider = Table::new(table)?;
        let provider = if self.cluster.is_some() { provider.for_stages() } else { provider };
        let name = TableReference::bare(table.name.as_str());
        self.context.deregister_table(name.clone()).map_err(failure)?;
        self.context.register_table(name, Arc::new(provider) as Arc<dyn TableProvider>).map_err(failure)?;
        Ok(())
    }

    /// Whether queries run in this process, and not where the data may be.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.cluster.is_none()
    }

    /// Makes a query known under a name: where that is read, the query stands in its place. The tables that it reads must be
    /// known. Gives the names and types of its columns, all nullable.
    pub async fn register_view(&self, name: &str, sql: &str, parameters: &Parameters) -> Result<SchemaRef> {
        let plan = query::plan(&self.context.state(), sql, parameters).await?;
        let schema = query::result_schema(&plan);
        let name = TableReference::bare(name);
        self.context.deregister_table(name.clone()).map_err(failure)?;
        self.context.register_table(name, Arc::new(ViewTable::new(plan, None))).map_err(failure)?;
        Ok(schema)
    }

    /// Plans a query. `Error::Definition` if it cannot be planned, is no query, or a `$name` has no value.
    pub async fn prepare(&self, sql: &str, parameters: &Parameters) -> Result<Prepared> {
        let mut state = self.context.state();
        let plan = query::plan(&state, sql, parameters).await?;
        if self.is_local() && query::reads_little(&plan)? {
            // Handing rows from thread to thread would take longer than the work itself, and so would handing what a join
            // met to the scan beside it, to skip rows by.
            let options = state.config_mut().options_mut();
            options.execution.target_partitions = 1;
            options.optimizer.enable_join_dynamic_filter_pushdown = false;
        }
        // The state's own method would optimise the plan again.
        let physical = state.query_planner().create_physical_plan(&plan, &state).await.map_err(query::definition)?;
        let schema = query::result_schema(&plan);
        Ok(Prepared { schema, physical, context: state.task_ctx(), is_impatient: self.cluster.is_some() })
    }

    /// Runs a query and gathers the result.
    pub async fn collect(&self, sql: &str, parameters: &Parameters) -> Result<Vec<RecordBatch>> {
        self.prepare(sql, parameters).await?.collect().await
    }
}

/// A query that was planned and can run.
pub struct Prepared {
    schema: SchemaRef,
    physical: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    is_impatient: bool,
}

impl Debug for Prepared {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Prepared").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Prepared {
    /// The names and types of the result's columns, all nullable.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Runs the query; batches come as they are ready. Errors within the stream become this program's with [`failure`].
    pub fn stream(self) -> Result<SendableRecordBatchStream> {
        let stream = execute_stream(self.physical, self.context).map_err(failure)?;
        let stream = query::conform(self.schema, stream);
        Ok(if self.is_impatient { cluster::impatient(stream) } else { stream })
    }

    /// Runs the query and gathers the result.
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        self.stream()?.try_collect().await.map_err(failure)
    }
}
