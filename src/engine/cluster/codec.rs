//! How a table travels to a scheduler: as its list of files, so that every node reads the same moment.
//! The columns travel with the plan.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use ballista_core::serde::BallistaLogicalExtensionCodec;
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use serde::{Deserialize, Serialize};

use crate::engine::table::Table;
use crate::period::Day;
use crate::store::{DataFile, TableFiles};

/// Ballista's codec, which also knows our tables.
#[derive(Debug, Default)]
pub(super) struct Codec(BallistaLogicalExtensionCodec);

#[derive(Serialize, Deserialize)]
struct WireTable {
    name: String,
    root: PathBuf,
    by_day: bool,
    sort_key: Vec<String>,
    // Path, bytes, rows, day.
    files: Vec<(String, u64, u64, Option<Day>)>,
}

impl WireTable {
    fn of(table: TableFiles) -> Self {
        let files = table.files.into_iter().map(|file| (file.path, file.bytes, file.rows, file.day));
        let files = files.collect();
        Self { name: table.name, root: table.root, by_day: table.by_day, sort_key: table.sort_key, files }
    }

    /// The columns of a table by day end with the day, which is not in the files.
    fn into_files(self, columns: &Schema) -> TableFiles {
        let in_files = columns.fields().len() - usize::from(self.by_day && !columns.fields().is_empty());
        let schema = Schema::new(columns.fields().iter().take(in_files).cloned().collect::<Vec<_>>());
        let file = |(path, bytes, rows, day)| DataFile { path, bytes, rows, day, stats: String::new() };
        TableFiles {
            name: self.name,
            root: self.root,
            schema: Arc::new(schema),
            by_day: self.by_day,
            sort_key: self.sort_key,
            version: None,
            files: self.files.into_iter().map(file).collect(),
        }
    }
}

impl LogicalExtensionCodec for Codec {
    fn try_encode_table_provider(
        &self,
        name: &TableReference,
        provider: Arc<dyn TableProvider>,
        bytes: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(table) = provider.downcast_ref::<Table>() else {
            return self.0.try_encode_table_provider(name, provider, bytes);
        };
        serde_json::to_writer(bytes, &WireTable::of(table.to_files())).map_err(unreadable)
    }

    fn try_decode_table_provider(
        &self,
        bytes: &[u8],
        _name: &TableReference,
        columns: SchemaRef,
        _context: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        let table: WireTable = serde_json::from_slice(bytes).map_err(unreadable)?;
        let table = Table::new(&table.into_files(&columns)).map_err(unreadable)?;
        Ok(Arc::new(table.for_stages()))
    }

    fn try_encode(&self, node: &Extension, bytes: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode(node, bytes)
    }

    fn try_decode(&self, bytes: &[u8], inputs: &[LogicalPlan], context: &TaskContext) -> Result<Extension> {
        self.0.try_decode(bytes, inputs, context)
    }

    fn try_encode_file_format(&self, bytes: &mut Vec<u8>, format: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.0.try_encode_file_format(bytes, format)
    }

    fn try_decode_file_format(&self, bytes: &[u8], context: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.0.try_decode_file_format(bytes, context)
    }
}

fn unreadable(error: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Internal(format!("a table cannot travel to the cluster: {error}"))
}
