//! SQL over lists of Parquet files, on the engine that was chosen at the start. Nothing below knows which one it is.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;

use crate::error::Result;
use crate::settings::EngineSettings;
use crate::store::TableFiles;

/// Values for `$name` in a query.
pub type Parameters = BTreeMap<String, ScalarValue>;

/// A SQL engine with our functions and the tables that were registered.
#[expect(missing_debug_implementations, reason = "skeleton")]
pub struct Engine {}

impl Engine {
    /// Starts the engine that the settings name.
    pub async fn start(_settings: &EngineSettings) -> Result<Self> {
        todo!()
    }

    /// Makes a table known under its name; an older one of that name is replaced.
    pub fn register(&self, _table: &TableFiles) -> Result<()> {
        todo!()
    }

    /// The schema of a query's result; `Error::Definition` if it cannot be planned or a `$name` has no value.
    pub async fn plan(&self, _sql: &str, _parameters: &Parameters) -> Result<SchemaRef> {
        todo!()
    }

    /// Runs a query; batches come as they are ready.
    pub async fn stream(&self, _sql: &str, _parameters: &Parameters) -> Result<SendableRecordBatchStream> {
        todo!()
    }

    /// Runs a query and gathers the result.
    pub async fn collect(&self, _sql: &str, _parameters: &Parameters) -> Result<Vec<RecordBatch>> {
        todo!()
    }
}
