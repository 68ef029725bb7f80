//! The Delta log of one table: reading a version, adding a commit, checkpoints.
//! It knows files and days; which commits belong together it does not know.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::datatypes::{DataType as ArrowType, Field};
use chrono::DateTime;
use deltalake_core::kernel::transaction::CommitData;
use deltalake_core::kernel::{
    Action, Add, DataType, LogicalFileView, Metadata, MetadataExt, PrimitiveType, Protocol, StructField, StructType,
    Transaction, new_metadata,
};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError, TableProperty};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::files::{DataFile, create_folder, sync_folder};
use super::layout::place;
use crate::error::{Error, Result};
use crate::event::Table;
use crate::period::{Day, format_day, parse_day};

/// The partition column of tables by day.
const DAY: &str = "day";
const LOG_FOLDER: &str = "_delta_log";
// A reader replays at most this many commits beside a checkpoint.
const CHECKPOINT_EVERY: i64 = 50;

/// The log of one table of a store.
#[derive(Debug)]
pub(super) struct Log {
    table: Table,
    root: PathBuf,
    // The newest state read, so that the next read only looks at what was added.
    newest: Mutex<Option<Arc<LogState>>>,
}

/// A version of a table. What was asked of it once is remembered, because the log is replayed for each question.
#[derive(Debug)]
pub(super) struct LogState {
    version: i64,
    // The version at which the log was last opened anew, with the checkpoints that there were then.
    opened: i64,
    root: PathBuf,
    table: DeltaTable,
    files: OnceLock<Vec<DataFile>>,
    transactions: Mutex<BTreeMap<String, Option<i64>>>,
}

/// What a commit changes.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Paths of active files that cease to be.
    pub(super) remove: BTreeSet<String>,
    /// New files.
    pub(super) add: Vec<DataFile>,
    /// The transaction that is recorded: an application's name and how far it has come.
    pub(super) transaction: Option<(&'static str, i64)>,
    /// A table property to set, if it has another value.
    pub(super) property: Option<(&'static str, String)>,
    /// The days that are replaced, for the history.
    pub(super) days: BTreeSet<Day>,
    /// Facts for the history.
    pub(super) facts: BTreeMap<&'static str, Value>,
}

impl Log {
    /// The log of a table in a store's folder. Nothing is read yet.
    pub(super) fn new(store: &Path, table: Table) -> Self {
        Self { table, root: store.join(table.name()), newest: Mutex::new(None) }
    }

    /// The table's folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the table was made. A folder without a commit is one that a killed program began.
    pub(super) fn exists(&self) -> bool {
        let entries = fs::read_dir(self.root.join(LOG_FOLDER)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("0000"))
    }

    /// Makes the table, unless another program is faster. `drafts` is a folder on the same file system.
    pub(super) fn create(&self, drafts: &Path) -> Result<()> {
        create_folder(&self.root.join(LOG_FOLDER))?;
        let broken = |error: &dyn std::fmt::Display| {
            Error::Internal(format!("cannot describe table {}: {error}", self.table.name()))
        };
        let schema = self.schema()?;
        // Old versions are what `--as-known-at` reads, so they are never cleaned away.
        let properties = [(TableProperty::EnableExpiredLogCleanup.as_ref(), "false")];
        let metadata = new_metadata(&schema, self.table.by_day().then_some(DAY), properties);
        let metadata = metadata.map_err(|error| broken(&error))?;
        let protocol: Protocol = serde_json::from_value(json!({ "minReaderVersion": 1, "minWriterVersion": 2 }))
            .map_err(|error| broken(&error))?;
        let actions = vec![Action::Protocol(protocol.clone()), Action::Metadata(metadata.clone())];
        let mode = SaveMode::ErrorIfExists;
        let operation = DeltaOperation::Create { mode, location: self.url()?, protocol, metadata };
        self.append(0, drafts, &CommitData::new(actions, operation, HashMap::new(), Vec::new())).map(drop)
    }

    /// The newest version.
    pub(super) async fn read(&self) -> Result<Arc<LogState>> {
        let state = match self.newest() {
            // Versions follow each other without gaps, so one look tells whether there is a newer one.
            Some(state) if !self.commit_path(state.version + 1).exists() => return Ok(state),
            // A state that was carried forward never takes up a later checkpoint, so its replays get longer and longer.
            Some(state) if state.version - state.opened < CHECKPOINT_EVERY => {
                let mut table = state.table.clone();
                let table = table.update_incremental(None).await.map(|()| table);
                self.state(table, Some(state.opened))?
            }
            _ => self.state(deltalake_core::open_table(self.url()?).await, None)?,
        };
        let state = Arc::new(state);
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&state));
        Ok(state)
    }

    /// An older version, or the newest.
    pub(super) async fn read_at(&self, version: i64) -> Result<Arc<LogState>> {
        if let Some(state) = self.newest().filter(|state| state.version == version) {
            return Ok(state);
        }
        let table = deltalake_core::open_table_with_version(self.url()?, version.unsigned_abs()).await;
        self.state(table, None).map(Arc::new)
    }

    /// Adds the commit that follows `base`; the files that it adds outlive a power cut already. `Error::Conflict` if another
    /// program added one before.
    pub(super) fn commit(&self, base: &LogState, change: &Change, drafts: &Path) -> Result<()> {
        let mut actions = base.removals(&change.remove)?;
        for file in &change.add {
            actions.push(Action::Add(self.addition(file)?));
        }
        if let Some(metadata) = self.new_metadata(base, change.property.as_ref())? {
            actions.push(Action::Metadata(metadata));
        }
        let transactions = change.transaction.map(|(app, version)| Transaction::new(app, version));
        let facts = change.facts.iter().map(|(&name, value)| (name.to_owned(), value.clone())).collect();
        let operation = self.operation(&change.days);
        let data = CommitData::new(actions, operation, facts, transactions.into_iter().collect());
        if self.append(base.version + 1, drafts, &data)? {
            return Ok(());
        }
        let place = self.root.display();
        Err(Error::Conflict(format!("another program changed {place} at the same time: run the command again")))
    }

    /// Writes the checkpoint that the newest versions lack, if any. A reader does without one, only slower, so a failure
    /// is left to the next commit.
    pub(super) async fn checkpoint(&self) -> Result<()> {
        let version = self.newest_version() / CHECKPOINT_EVERY * CHECKPOINT_EVERY;
        if version > 0
            && !self.checkpoint_path(version).exists()
            && let Ok(state) = self.read_at(version).await
            && deltalake_core::checkpoints::create_checkpoint(&state.table, None).await.is_ok()
        {
            self.sync_checkpoint(version);
        }
        Ok(())
    }

    /// The days whose files differ between two versions; `None` if the log does not tell.
    pub(super) fn changed_days(&self, after: i64, until: i64) -> Result<Option<BTreeSet<Day>>> {
        let mut days = BTreeSet::new();
        for version in after + 1..=until {
            let path = self.commit_path(version);
            let text = match fs::read_to_string(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                text => text.map_err(|error| Error::path("read", &path, error))?,
            };
            for line in text.lines() {
                let line: CommitLine = serde_json::from_str(line).map_err(|error| Error::path("read", &path, error))?;
                for entry in line.add.into_iter().chain(line.remove) {
                    let Some(day) = entry.day() else { return Ok(None) };
                    days.insert(day);
                }
            }
        }
        Ok(Some(days))
    }

    // The columns as Delta has them, with the partition last.
    fn schema(&self) -> Result<StructType> {
        let day = self.table.by_day().then(|| Field::new(DAY, ArrowType::Date32, false));
        let schema = self.table.file_schema();
        let fields =
            schema.fields().iter().map(AsRef::as_ref).chain(&day).map(delta_field).collect::<Result<Vec<_>>>()?;
        StructType::try_new(fields)
            .map_err(|error| Error::Internal(format!("cannot describe table {}: {error}", self.table.name())))
    }

    // The description that a commit on `base` must bring: of a new value of a property, or of the columns that this
    // program writes, if the table was made by an earlier one. `None` if it stays.
    fn new_metadata(&self, base: &LogState, property: Option<&(&str, String)>) -> Result<Option<Metadata>> {
        let before = base.metadata()?;
        let mut metadata = before.clone();
        let broken = |error: &dyn std::fmt::Display| self.broken("describe", error);
        if let Some((key, value)) = property
            && base.property(key).as_ref() != Some(value)
        {
            metadata = metadata.add_config_key((*key).to_owned(), value.clone()).map_err(|error| broken(&error))?;
        }
        if !base.has_columns(&self.schema()?)? {
            metadata = metadata.with_schema(&self.schema()?).map_err(|error| broken(&error))?;
        }
        Ok((metadata != before).then_some(metadata))
    }

    // Adds a version to the log if it is still free. delta-rs could do it, but does not sync what it writes: after a
    // power cut the log would end in an empty or torn commit.
    fn append(&self, version: i64, drafts: &Path, data: &CommitData) -> Result<bool> {
        let bytes = data.get_bytes().map_err(|error| self.broken("encode a commit for", error))?;
        place(drafts.join(format!("commit-{}", Uuid::new_v4())), &self.commit_path(version), &bytes)
    }

    fn commit_path(&self, version: i64) -> PathBuf {
        self.root.join(LOG_FOLDER).join(format!("{version:020}.json"))
    }

    fn checkpoint_path(&self, version: i64) -> PathBuf {
        self.root.join(LOG_FOLDER).join(format!("{version:020}.checkpoint.parquet"))
    }

    // delta-rs writes checkpoints without syncing them; a torn one would hide the table behind it.
    fn sync_checkpoint(&self, version: i64) {
        let folder = self.root.join(LOG_FOLDER);
        for path in [self.checkpoint_path(version), folder.join("_last_checkpoint")] {
            let _ = File::open(path).and_then(|file| file.sync_all());
        }
        let _ = sync_folder(&folder);
    }

    // Versions follow each other without gaps, so that names tell it and nothing need be read.
    fn newest_version(&self) -> i64 {
        let mut version = self.newest().map_or(0, |state| state.version);
        while self.commit_path(version + 1).exists() {
            version += 1;
        }
        version
    }

    fn newest(&self) -> Option<Arc<LogState>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn url(&self) -> Result<Url> {
        Url::from_directory_path(&self.root)
            .map_err(|()| Error::Internal(format!("{} is no absolute path", self.root.display())))
    }

    fn state(&self, table: std::result::Result<DeltaTable, DeltaTableError>, opened: Option<i64>) -> Result<LogState> {
        let table = table.map_err(|error| self.broken("read", error))?;
        let version = table.version().and_then(|version| i64::try_from(version).ok());
        let version = version.ok_or_else(|| self.broken("read", "it has no version"))?;
        let (opened, root) = (opened.unwrap_or(version), self.root.clone());
        let (files, transactions) = (OnceLock::new(), Mutex::default());
        let state = LogState { version, opened, root, table, files, transactions };
        state.check_protocol()?;
        Ok(state)
    }

    fn addition(&self, file: &DataFile) -> Result<Add> {
        let path = self.root.join(&file.path);
        let metadata = fs::metadata(&path).map_err(|error| Error::path("read", &path, error))?;
        let modified = metadata.modified().map_err(|error| Error::path("read", &path, error))?;
        if metadata.len() != file.bytes {
            let (found, expected) = (metadata.len(), file.bytes);
            return Err(Error::path("commit", &path, format!("it has bytes={found}, expected bytes={expected}")));
        }
        if file.day.is_some() != self.table.by_day() {
            return Err(Error::Internal(format!("{} is no file of table {}", path.display(), self.table.name())));
        }
        Ok(Add {
            path: file.path.clone(),
            partition_values: file.day.map(|day| (DAY.to_owned(), Some(format_day(day)))).into_iter().collect(),
            size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
            modification_time: DateTime::<chrono::Utc>::from(modified).timestamp_millis(),
            data_change: true,
            stats: Some(file.stats.clone()),
            ..Add::default()
        })
    }

    fn operation(&self, days: &BTreeSet<Day>) -> DeltaOperation {
        if !self.table.by_day() {
            return DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        }
        let list = days.iter().map(|day| format!("'{}'", format_day(*day))).collect::<Vec<_>>().join(", ");
        let (partition_by, predicate) = (Some(vec![DAY.to_owned()]), Some(format!("{DAY} IN ({list})")));
        let mode = if days.is_empty() { SaveMode::Append } else { SaveMode::Overwrite };
        DeltaOperation::Write { mode, partition_by, predicate: predicate.filter(|_| !days.is_empty()) }
    }

    fn broken(&self, doing: &str, cause: impl std::fmt::Display) -> Error {
        Error::path(&format!("{doing} table"), &self.root, cause)
    }
}

impl LogState {
    /// The version.
    pub(super) fn version(&self) -> i64 {
        self.version
    }

    /// The active files, ordered by day, then path.
    pub(super) fn files(&self) -> Result<&[DataFile]> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let mut files = self.views()?.map(|view| self.data_file(&view)).collect::<Result<Vec<_>>>()?;
        files.sort_unstable_by(|a, b| (a.day, &a.path).cmp(&(b.day, &b.path)));
        Ok(self.files.get_or_init(|| files))
    }

    /// How far an application has come, as recorded by its last commit.
    pub(super) async fn transaction(&self, app: &str) -> Result<Option<i64>> {
        let known = self.transactions.lock().unwrap_or_else(PoisonError::into_inner).get(app).copied();
        if let Some(version) = known {
            return Ok(version);
        }
        let snapshot = self.table.snapshot().map_err(|error| self.broken(error))?;
        let version = snapshot.transaction_version(&*self.table.log_store(), app).await;
        let version = version.map_err(|error| self.broken(error))?;
        self.transactions.lock().unwrap_or_else(PoisonError::into_inner).insert(app.to_owned(), version);
        Ok(version)
    }

    /// A table property.
    pub(super) fn property(&self, key: &str) -> Option<String> {
        let metadata = serde_json::to_value(self.metadata().ok()?).ok()?;
        Some(metadata.get("configuration")?.get(key)?.as_str()?.to_owned())
    }

    // Whether the table is described with just these columns.
    fn has_columns(&self, schema: &StructType) -> Result<bool> {
        let text = serde_json::to_value(self.metadata()?).map_err(|error| self.broken(error))?;
        let text = text.get("schemaString").and_then(Value::as_str).unwrap_or_default();
        let found: Value = serde_json::from_str(text).map_err(|error| self.broken(error))?;
        Ok(found == serde_json::to_value(schema).map_err(|error| self.broken(error))?)
    }

    /// How the table is described.
    pub(super) fn metadata(&self) -> Result<Metadata> {
        self.table.snapshot().map(|snapshot| snapshot.metadata().clone()).map_err(|error| self.broken(error))
    }

    fn views(&self) -> Result<impl Iterator<Item = LogicalFileView> + '_> {
        let snapshot = self.table.snapshot().map_err(|error| self.broken(error))?;
        Ok(snapshot.snapshot().try_log_data().map_err(|error| self.broken(error))?.into_iter())
    }

    fn removals(&self, paths: &BTreeSet<String>) -> Result<Vec<Action>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let views = self.views()?.filter(|view| paths.contains(view.path().as_ref()));
        Ok(views.map(|view| Action::Remove(view.remove_action(true))).collect())
    }

    fn data_file(&self, view: &LogicalFileView) -> Result<DataFile> {
        let path = view.path().into_owned();
        let broken = |what: &str| Error::path("use", &self.root.join(&path), what);
        if view.deletion_vector_descriptor().is_some() {
            return Err(broken("another program deleted rows in it by a deletion vector, which is not supported"));
        }
        let stats = view.stats().ok_or_else(|| broken("the log has no statistics of it"))?;
        let rows = view.num_records().ok_or_else(|| broken("the log does not tell its number of rows"))?;
        let bytes = u64::try_from(view.size()).map_err(|_| broken("the log does not tell its size"))?;
        let day = match view.partition_values_map().get(DAY).cloned().flatten() {
            Some(text) => Some(parse_day(&text).ok_or_else(|| broken("its day is no ISO date"))?),
            None => None,
        };
        Ok(DataFile { path, bytes, rows: rows as u64, day, stats })
    }

    fn check_protocol(&self) -> Result<()> {
        let snapshot = self.table.snapshot().map_err(|error| self.broken(error))?;
        let protocol = serde_json::to_value(snapshot.protocol()).map_err(|error| self.broken(error))?;
        let needs = |key: &str| protocol.get(key).and_then(Value::as_i64).unwrap_or(i64::MAX);
        let (reader, writer) = (needs("minReaderVersion"), needs("minWriterVersion"));
        if reader <= 1 && writer <= 2 {
            return Ok(());
        }
        let versions = format!("reader version {reader} and writer version {writer}");
        Err(self.broken(format!("another program changed its Delta protocol to {versions}; 1 and 2 are supported")))
    }

    fn broken(&self, cause: impl std::fmt::Display) -> Error {
        Error::path("read table", &self.root, cause)
    }
}

#[derive(Deserialize)]
struct CommitLine {
    add: Option<CommitEntry>,
    remove: Option<CommitEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommitEntry {
    partition_values: Option<BTreeMap<String, Option<String>>>,
}

impl CommitEntry {
    fn day(&self) -> Option<Day> {
        parse_day(self.partition_values.as_ref()?.get(DAY)?.as_ref()?)
    }
}

fn delta_field(field: &Field) -> Result<StructField> {
    let kind = match field.data_type() {
        ArrowType::Utf8 => PrimitiveType::String,
        ArrowType::Int64 => PrimitiveType::Long,
        ArrowType::Date32 => PrimitiveType::Date,
        ArrowType::Timestamp(_, Some(_)) => PrimitiveType::Timestamp,
        other => return Err(Error::Internal(format!("a table cannot have a column of type {other}"))),
    };
    Ok(StructField::new(field.name(), DataType::Primitive(kind), field.is_nullable()))
}
