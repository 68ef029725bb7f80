//! A list of Parquet files as a table: which files a query reads, in which groups, and what is known about them
//! without opening them. It does not know where the list comes from.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DFSchema, Statistics, project_schema};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::helpers::{expr_applicable_for_cols, filter_partitioned_file};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::expressions::Column;
use datafusion::scalar::ScalarValue;
use object_store::ObjectMeta;
use object_store::path::Path as ObjectPath;
use serde_json::Value;

use super::reader::{Files, Place};
use crate::error::{Error, Result};
use crate::period::Day;
use crate::store::{DataFile, TableFiles, column_bounds};

const DAY: &str = "day";

/// One table at one moment.
#[derive(Debug)]
pub(super) struct Table {
    name: String,
    root: PathBuf,
    schema: TableSchema,
    by_day: bool,
    sort_key: Vec<String>,
    // Whether queries run in this process.
    is_local: bool,
    files: Vec<File>,
}

/// A file with the paths that the engine reads it by, here and elsewhere, and what is known of its columns.
#[derive(Debug, Clone)]
struct File {
    data: DataFile,
    place: Place,
    location: ObjectPath,
    columns: Vec<ColumnStatistics>,
}

impl Table {
    /// Checks that the list is one that can be scanned; the files themselves are not opened.
    pub(super) fn new(table: &TableFiles) -> Result<Self> {
        let wrong = |what: String| Error::Internal(format!("table {} {what}", table.name));
        if table.by_day && table.schema.index_of(DAY).is_ok() {
            return Err(wrong("has a column `day` inside its files and as a partition".to_owned()));
        }
        if let Some(missing) = table.sort_key.iter().find(|column| table.schema.index_of(column).is_err()) {
            return Err(wrong(format!("is sorted by `{missing}`, which it does not have")));
        }
        if let Some(file) = table.files.iter().find(|file| file.day.is_some() != table.by_day) {
            let what = if table.by_day { "no day" } else { "a day" };
            return Err(wrong(format!("has a file with {what}: {}", file.path)));
        }
        let root = std::path::absolute(&table.root).map_err(|e| Error::path("find folder", &table.root, e))?;
        let files = table.files.iter().filter(|file| file.rows > 0).map(|file| locate(&root, file, table));
        let mut schema = TableSchema::builder(Arc::clone(&table.schema));
        if table.by_day {
            schema = schema.with_table_partition_cols(vec![Arc::new(Field::new(DAY, DataType::Date32, false))]);
        }
        Ok(Self {
            name: table.name.clone(),
            schema: schema.build(),
            by_day: table.by_day,
            sort_key: table.sort_key.clone(),
            is_local: true,
            files: files.collect::<Result<_>>()?,
            root,
        })
    }

    /// The same table, for an engine that cuts a query into stages: it keeps no order between them, and it holds a stage
    /// to what the columns of its inputs declare, also where an outer join has put nulls in. So no order is told, and
    /// every column may be null.
    pub(super) fn for_stages(self) -> Self {
        let nullable = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
        let in_files = Schema::new(self.schema.file_schema().fields().iter().map(nullable).collect::<Vec<_>>());
        let partitions: Vec<FieldRef> = self.schema.table_partition_cols().iter().map(nullable).collect();
        let schema = TableSchema::builder(Arc::new(in_files)).with_table_partition_cols(partitions).build();
        Self { schema, is_local: false, ..self }
    }

    /// The list that this table was made from, to send it elsewhere.
    #[cfg_attr(not(feature = "cluster"), expect(dead_code, reason = "only a cluster sends tables"))]
    pub(super) fn to_files(&self) -> TableFiles {
        TableFiles {
            name: self.name.clone(),
            root: self.root.clone(),
            schema: Arc::clone(self.schema.file_schema()),
            by_day: self.by_day,
            sort_key: self.sort_key.clone(),
            version: None,
            files: self.files.iter().map(|file| file.data.clone()).collect(),
        }
    }

    fn is_about_days(&self, filter: &Expr) -> bool {
        self.by_day && expr_applicable_for_cols(&[DAY], filter)
    }

    /// The files whose day passes the filters, in the order of the list: by day, then path.
    fn select(&self, filters: &[Expr]) -> DataFusionResult<Vec<PartitionedFile>> {
        let about_days: Vec<Expr> = filters.iter().filter(|filter| self.is_about_days(filter)).cloned().collect();
        let partitions = DFSchema::from_unqualified_fields(self.schema.table_partition_cols().clone(), [].into())?;
        let mut selected = Vec::new();
        for file in &self.files {
            let file = file.to_partitioned();
            selected.extend(filter_partitioned_file(file, &about_days, &partitions)?);
        }
        Ok(selected)
    }

    /// What is known of all selected files together: the rows and the range of days, exactly.
    fn statistics_of(&self, files: &[PartitionedFile]) -> Statistics {
        let known = files.iter().filter_map(|file| file.statistics.as_ref());
        let zero = (Precision::Exact(0), Precision::Inexact(0));
        let (rows, bytes) = known.fold(zero, |(rows, bytes), statistics| {
            (rows.add(&statistics.num_rows), bytes.add(&statistics.total_byte_size))
        });
        let mut columns = columns_without_values(self.schema.file_schema());
        if self.by_day {
            let day = |file: Option<&PartitionedFile>| {
                let value = file.and_then(|file| file.partition_values.first()).cloned();
                value.map_or(Precision::Absent, Precision::Exact)
            };
            columns.push(ColumnStatistics {
                null_count: Precision::Exact(0),
                min_value: day(files.first()),
                max_value: day(files.last()),
                ..ColumnStatistics::new_unknown()
            });
        }
        Statistics { num_rows: rows, total_byte_size: bytes, column_statistics: columns }
    }

    /// The order in which each group gives its rows, as far as the list proves it: by the day and the file's key, where each
    /// file of a group is of later days than the one before it. A key stops at the first column that may be null, since
    /// the list does not say where nulls stand. Only one order is told, although a group of one day is sorted by its
    /// key alone too: an exchange that merges groups keeps one, and DataFusion would go on to trust both.
    fn order_of(&self, groups: &[FileGroup]) -> Option<LexOrdering> {
        if !self.is_local {
            return None;
        }
        let columns = self.schema.table_schema();
        let key = self.sort_key.iter().map_while(|name| {
            let (place, field) = columns.column_with_name(name)?;
            (!field.is_nullable()).then_some((name.as_str(), place))
        });
        let day = columns.index_of(DAY).ok().filter(|_| self.by_day).map(|place| (DAY, place));
        let mut order = day.into_iter().chain(key).peekable();
        if groups.iter().any(|group| group.len() > 1) {
            let (_, first) = *order.peek()?;
            let follows =
                |pair: &[PartitionedFile]| Some(bounds(pair.first()?, first)?.1 < bounds(pair.last()?, first)?.0);
            if !groups.iter().flat_map(|group| group.files().windows(2)).all(|pair| follows(pair) == Some(true)) {
                return None;
            }
        }
        // DataFusion believes no order of several files without the bounds of all its columns.
        let is_believed = |place: usize| {
            groups
                .iter()
                .filter(|group| group.len() > 1)
                .flat_map(FileGroup::iter)
                .all(|file| bounds(file, place).is_some())
        };
        LexOrdering::new(order.take_while(|(_, place)| is_believed(*place)).map(|(name, place)| ascending(name, place)))
    }
}

#[async_trait]
impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        self.select(&[]).ok().map(|files| self.statistics_of(&files))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| {
            if self.is_about_days(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Inexact
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let files = self.select(filters)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(self.schema.table_schema(), projection)?)));
        }
        let statistics = self.statistics_of(&files);
        let groups = even_groups(files, state.config().target_partitions());
        let order = self.order_of(&groups);
        let mut source =
            ParquetSource::new(self.schema.clone()).with_table_parquet_options(state.default_table_options().parquet);
        if self.is_local {
            let known = state.runtime_env().cache_manager.get_file_metadata_cache();
            source = source.with_parquet_file_reader_factory(Arc::new(Files::new(known)));
        }
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_output_ordering(order.into_iter().collect())
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

impl File {
    fn to_partitioned(&self) -> PartitionedFile {
        let meta = ObjectMeta {
            location: self.location.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: self.data.bytes,
            e_tag: None,
            version: None,
        };
        let bytes = usize::try_from(self.data.bytes).unwrap_or(usize::MAX);
        let statistics = Statistics {
            num_rows: usize::try_from(self.data.rows).map_or(Precision::Absent, Precision::Exact),
            total_byte_size: Precision::Inexact(bytes),
            column_statistics: self.columns.clone(),
        };
        let day: Vec<ScalarValue> = self.data.day.iter().map(|day: &Day| ScalarValue::Date32(Some(*day))).collect();
        // The values of the partition come first: they add the statistics of their columns.
        PartitionedFile::new_from_meta(meta)
            .with_partition_values(day)
            .with_statistics(Arc::new(statistics))
            .with_extension(self.place.clone())
    }
}

fn locate(root: &Path, file: &DataFile, table: &TableFiles) -> Result<File> {
    let path = root.join(&file.path);
    let location = ObjectPath::from_absolute_path(&path).map_err(|e| Error::path("find file", &path, e))?;
    let columns = if table.files.len() > 1 { bounded(file, table) } else { columns_without_values(&table.schema) };
    Ok(File { data: file.clone(), place: Place(path), location, columns })
}

// What is known of the columns of a file. Where the key begins and ends tells whether it follows another file.
fn bounded(file: &DataFile, table: &TableFiles) -> Vec<ColumnStatistics> {
    let mut columns = columns_without_values(&table.schema);
    for (name, (least, greatest)) in table.sort_key.iter().zip(column_bounds(&file.stats, &table.sort_key)) {
        let Ok(place) = table.schema.index_of(name) else { continue };
        let value = |bound: Option<Value>| {
            let bound = ScalarValue::try_from_string(as_text(&bound?)?, table.schema.field(place).data_type()).ok()?;
            Some(Precision::Inexact(bound))
        };
        columns[place].min_value = value(least).unwrap_or_default();
        columns[place].max_value = value(greatest).unwrap_or_default();
    }
    columns
}

// A bound as statistics in JSON have it.
fn as_text(bound: &Value) -> Option<String> {
    match bound {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

// The least and the greatest value of a column in a file.
fn bounds(file: &PartitionedFile, column: usize) -> Option<(&ScalarValue, &ScalarValue)> {
    let column = file.statistics.as_ref()?.column_statistics.get(column)?;
    column.min_value.get_value().zip(column.max_value.get_value())
}

fn columns_without_values(schema: &SchemaRef) -> Vec<ColumnStatistics> {
    let column = |field: &Arc<Field>| ColumnStatistics {
        null_count: if field.is_nullable() { Precision::Absent } else { Precision::Exact(0) },
        ..ColumnStatistics::new_unknown()
    };
    schema.fields().iter().map(column).collect()
}

/// Cuts the list into at most `count` runs of neighbours of about equal size.
fn even_groups(files: Vec<PartitionedFile>, count: usize) -> Vec<FileGroup> {
    let total: u128 = files.iter().map(|file| u128::from(file.object_meta.size.max(1))).sum();
    let count = count.clamp(1, files.len()) as u128;
    let mut groups: Vec<Vec<PartitionedFile>> = Vec::new();
    let (mut before, mut last_slot) = (0_u128, None);
    for file in files {
        let size = u128::from(file.object_meta.size.max(1));
        // The slot of the file's middle, so that a file goes to the group that holds most of it.
        let slot = ((before * 2 + size) * count / (total * 2)).min(count - 1);
        before += size;
        match groups.last_mut() {
            Some(group) if last_slot == Some(slot) => group.push(file),
            _ => groups.push(vec![file]),
        }
        last_slot = Some(slot);
    }
    groups.into_iter().map(FileGroup::new).collect()
}

fn ascending(name: &str, index: usize) -> PhysicalSortExpr {
    let options = SortOptions { descending: false, nulls_first: false };
    PhysicalSortExpr::new(Arc::new(Column::new(name, index)), options)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::Schema;
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    const SIZES: &[u64] = &[10, 10, 10, 10];

    fn file(day: Option<Day>, bytes: u64) -> DataFile {
        let path = format!("{}-{bytes}.parquet", day.unwrap_or_default());
        DataFile { path, bytes, rows: 1, day, stats: String::new() }
    }

    fn list(files: Vec<DataFile>) -> TableFiles {
        let text = |name, nullable| Field::new(name, DataType::Utf8, nullable);
        let schema = Arc::new(Schema::new(vec![text("org", false), text("note", true)]));
        let by_day = files.iter().any(|file| file.day.is_some());
        let sort_key = vec!["org".to_owned(), "note".to_owned()];
        TableFiles { name: "t".into(), root: "/data".into(), schema, by_day, sort_key, version: None, files }
    }

    fn check_groups(sizes: &[u64], count: usize, expected: &[usize]) {
        let files = sizes.iter().enumerate().map(|(n, size)| PartitionedFile::new(format!("{n}"), *size));
        let groups = even_groups(files.collect(), count);
        let found: Vec<usize> = groups.iter().map(FileGroup::len).collect();
        assert_eq!(found, expected, "{sizes:?} in {count}");
        let names = groups.iter().flat_map(FileGroup::iter).map(|file| file.path().to_string());
        let in_order: Vec<String> = (0..sizes.len()).map(|n| n.to_string()).collect();
        assert_eq!(names.collect::<Vec<_>>(), in_order);
    }

    #[test]
    fn groups_are_neighbours_of_about_equal_size() {
        check_groups(SIZES, 1, &[4]);
        check_groups(SIZES, 2, &[2, 2]);
        check_groups(SIZES, 4, &[1, 1, 1, 1]);
        check_groups(SIZES, 9, &[1, 1, 1, 1]);
        check_groups(&[100, 1, 1, 1], 2, &[1, 3]);
        check_groups(&[1, 1, 1, 100], 2, &[3, 1]);
        check_groups(&[0, 0], 2, &[1, 1]);
        check_groups(&[u64::MAX, u64::MAX], 2, &[1, 1]);
    }

    fn check_order(days: &[Option<Day>], count: usize, expected: &str) {
        let table = Table::new(&list(days.iter().map(|day| file(*day, 10)).collect())).expect("table");
        let groups = even_groups(table.select(&[]).expect("files"), count);
        let order = table.order_of(&groups).map(|order| order.to_string()).unwrap_or_default();
        assert_eq!(order.replace(" ASC NULLS LAST", ""), expected, "{days:?} in {count}");
    }

    #[test]
    fn only_a_proven_order_is_told() {
        // The key ends before `note`, which can be null.
        check_order(&[None], 1, "org@0");
        check_order(&[None, None], 2, "org@0");
        check_order(&[None, None], 1, "");
        check_order(&[Some(1), Some(2)], 2, "day@2, org@0");
        check_order(&[Some(1), Some(2)], 1, "day@2");
        check_order(&[Some(1), Some(1)], 1, "");
        check_order(&[Some(1), Some(1), Some(2)], 3, "day@2, org@0");
    }

    fn check_order_of_bounds(days: &[Option<Day>], orgs: &[(&str, &str)], expected: &str) {
        let bounded = |(day, (least, greatest)): (&Option<Day>, &(&str, &str))| {
            let stats = format!(r#"{{"minValues":{{"org":"{least}"}},"maxValues":{{"org":"{greatest}"}}}}"#);
            DataFile { stats, ..file(*day, 10) }
        };
        let table = Table::new(&list(days.iter().zip(orgs).map(bounded).collect())).expect("table");
        let groups = even_groups(table.select(&[]).expect("files"), 1);
        let order = table.order_of(&groups).map(|order| order.to_string()).unwrap_or_default();
        assert_eq!(order.replace(" ASC NULLS LAST", ""), expected, "{days:?} with {orgs:?}");
    }

    #[test]
    fn files_that_follow_each_other_are_in_order() {
        check_order_of_bounds(&[None, None], &[("a", "c"), ("d", "e")], "org@0");
        check_order_of_bounds(&[None, None], &[("a", "c"), ("c", "e")], "");
        check_order_of_bounds(&[None, None], &[("d", "e"), ("a", "c")], "");
        check_order_of_bounds(&[Some(1), Some(2)], &[("a", "c"), ("b", "d")], "day@2, org@0");
        check_order_of_bounds(&[Some(1), Some(1)], &[("a", "c"), ("d", "e")], "");
    }

    /// One column of numbers over three days, in files of four row groups each.
    fn numbers(root: &Path) -> TableFiles {
        let schema = Arc::new(Schema::new(vec![
            Field::new("org", DataType::Utf8, false),
            Field::new("n", DataType::Int64, false),
        ]));
        let mut files = Vec::new();
        for day in 0..3 {
            let orgs: ArrayRef = Arc::new(StringArray::from_iter_values((0..400).map(|n| format!("{:04}", n / 3))));
            let values: ArrayRef = Arc::new(Int64Array::from_iter_values((0..400).map(|n| n * 7 % 31 + day)));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![orgs, values]).expect("batch");
            let path = format!("{day}.parquet");
            let properties = WriterProperties::builder().set_max_row_group_row_count(Some(100)).build();
            let open = fs::File::create(root.join(&path)).expect("file");
            let mut writer = ArrowWriter::try_new(open, Arc::clone(&schema), Some(properties)).expect("writer");
            writer.write(&batch).expect("write");
            writer.close().expect("close");
            let bytes = root.join(&path).metadata().expect("metadata").len();
            let day = Some(Day::try_from(day).expect("a small day"));
            files.push(DataFile { path, bytes, rows: 400, day, stats: String::new() });
        }
        let sort_key = vec!["org".to_owned()];
        TableFiles { name: "t".into(), root: root.into(), schema, by_day: true, sort_key, version: None, files }
    }

    async fn explain(context: &SessionContext, sql: &str) -> String {
        let frame = context.sql(sql).await.expect(sql);
        let plan = frame.create_physical_plan().await.expect(sql);
        displayable(plan.as_ref()).indent(false).to_string()
    }

    #[tokio::test]
    async fn plans_use_what_the_list_tells() {
        let folder = tempfile::tempdir().expect("folder");
        let table = Arc::new(Table::new(&numbers(folder.path())).expect("table"));
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(3));
        context.register_table("t", table).expect("register");
        let check = async |sql: &str, with: &[&str], without: &[&str]| {
            let plan = explain(&context, sql).await;
            assert!(with.iter().all(|word| plan.contains(word)), "{sql}\n{plan}");
            assert!(!without.iter().any(|word| plan.contains(word)), "{sql}\n{plan}");
        };
        check("select count(*) from t", &["1200 as count(*)"], &["DataSourceExec"]).await;
        check("select count(*) from t where day > date '1970-01-01'", &["800 as count(*)"], &["DataSourceExec"]).await;
        check("select max(day) from t", &["1970-01-03 as max"], &["DataSourceExec"]).await;
        check("select n from t where day = date '1970-01-02'", &["1.parquet"], &["0.parquet", "FilterExec"]).await;
        check("select n from t where day = date '1971-01-01'", &["EmptyExec"], &["DataSourceExec"]).await;
        check("select n from t where n = 3 and day < '1970-01-02'", &["FilterExec", "0.parquet"], &["1.parquet"]).await;
        check("select * from t order by day, org", &["SortPreservingMergeExec"], &["SortExec"]).await;
        check("select day, count(distinct n) from t group by day", &["ordering_mode=Sorted"], &[]).await;
    }

    #[tokio::test]
    async fn files_split_between_threads_keep_their_order() {
        let folder = tempfile::tempdir().expect("folder");
        let mut list = numbers(folder.path());
        for days in 1..=3 {
            list.files.truncate(days);
            let table = Arc::new(Table::new(&list).expect("table"));
            let mut config = SessionConfig::new().with_target_partitions(8).with_batch_size(32);
            config.options_mut().optimizer.repartition_file_min_size = 1;
            let context = SessionContext::new_with_config(config);
            context.register_table("t", table).expect("register");
            let sql =
                "select day, org, sum(n) as s, count(*) as c from t where n > 3 group by day, org order by day, org";
            let batches = context.sql(sql).await.expect("plan").collect().await.expect("run");
            let batch = arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("concat");
            let keys: Vec<String> = (0..batch.num_rows())
                .map(|row| {
                    let cell = |column: usize| {
                        arrow::util::display::array_value_to_string(batch.column(column), row).expect("cell")
                    };
                    format!("{} {}", cell(0), cell(1))
                })
                .collect();
            assert!(keys.is_sorted_by(|a, b| a < b), "{days} days: {}", explain(&context, sql).await);
            list = numbers(folder.path());
        }
    }
}
