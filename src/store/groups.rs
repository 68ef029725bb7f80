//! Row groups: batches become the column chunks of a Parquet file. Columns of texts that repeat and of numbers are encoded
//! here, the others by the `parquet` crate. It does not know where files go, or what makes them part of a table.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef, TimeUnit};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::Page;
use parquet::errors::Result;
use parquet::file::metadata::{ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

use super::codes::CODED_COLUMNS;
use super::numbers::NumberColumn;
use super::pages::Packer;
use super::texts::TextColumn;
use crate::error::Error;

// Rows of a row group. Scans are split between threads at row groups, so a day of a million events still feeds
// several threads; a writer holds one encoded row group, so this also bounds what it takes.
const ROW_GROUP_ROWS: usize = 256 * 1024;
// Text of one row group that is longer than this ends the row group early: kept fields may be long.
const ROW_GROUP_BYTES: usize = 64 << 20;
// Rows of a page: a reader skips pages, but each costs the compressor a fresh start.
const PAGE_ROWS: usize = 64 * 1024;
// Level 1 is within a few percent of level 3 on sorted, dictionary-encoded columns and costs half the time.
const ZSTD_LEVEL: i32 = 1;
// Columns of events whose values hardly ever repeat. A dictionary of them would be built in vain, and nobody looks for a range of
// such texts.
const DISTINCT_TEXTS: [&str; 2] = ["event_id", "extra"];
const SPREAD_NUMBERS: [&str; 2] = ["ts", "duration_ms"];

// Rows that are added before a row group is measured again.
const STEP_ROWS: usize = 8 * 1024;

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// For what is large and seldom read: zstd.
    Small,
    /// For what each run reads, in many small files: LZ4, which has no state to set up for each column.
    Fast,
}

/// A file that takes batches.
pub(super) struct GroupWriter {
    file: SerializedFileWriter<File>,
    factory: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    descriptions: SchemaDescriptor,
    kinds: Vec<Kind>,
    packer: Packer,
    group: Option<Group>,
}

// How a column of the table is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    // As a dictionary of texts.
    Texts,
    // As differences of numbers.
    Numbers,
    // By the `parquet` crate.
    Any,
}

struct Group {
    columns: Vec<GroupColumn>,
    rows: usize,
}

// A column of the table; in the file a nested one is several.
enum GroupColumn {
    Texts(Box<TextColumn>),
    Numbers(NumberColumn),
    Any(Vec<ArrowColumnWriter>),
}

impl GroupWriter {
    /// Begins a file.
    pub(super) fn new(
        file: File,
        schema: &SchemaRef,
        packing: Packing,
        mut properties: WriterProperties,
    ) -> Result<Self> {
        let descriptions = ArrowSchemaConverter::new().convert(schema)?;
        let packer = Packer::new(properties.compression(&ColumnPath::new(Vec::new())))?;
        let kinds = schema.fields().iter().map(|field| Kind::of(field, packing, &properties)).collect();
        add_encoded_arrow_schema_to_metadata(schema, &mut properties);
        let file = SerializedFileWriter::new(file, descriptions.root_schema_ptr(), Arc::new(properties))?;
        let factory = ArrowRowGroupWriterFactory::new(&file, SchemaRef::clone(schema));
        Ok(Self { file, factory, schema: SchemaRef::clone(schema), descriptions, kinds, packer, group: None })
    }

    /// Adds rows; texts are plain or coded.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        // The first row of the batch that is in the group.
        let mut first = 0;
        while start < batch.num_rows() {
            let group = match &mut self.group {
                Some(group) => group,
                empty => {
                    // These have room for much as soon as they are made.
                    let writers = if self.kinds.contains(&Kind::Any) {
                        self.factory.create_column_writers(self.file.flushed_row_groups().len())?
                    } else {
                        Vec::new()
                    };
                    let group = empty.insert(Group::new(&self.kinds, &self.descriptions, writers));
                    group.reserve((batch.num_rows() - start).min(ROW_GROUP_ROWS));
                    group
                }
            };
            let rows = (batch.num_rows() - start).min(ROW_GROUP_ROWS - group.rows).min(STEP_ROWS);
            for ((column, field), array) in group.columns.iter_mut().zip(self.schema.fields()).zip(batch.columns()) {
                let array: ArrayRef = array.slice(start, rows);
                match column {
                    GroupColumn::Texts(texts) => texts.push(&array)?,
                    GroupColumn::Numbers(_) => {}
                    GroupColumn::Any(writers) => {
                        for (writer, leaf) in writers.iter_mut().zip(compute_leaves(field, &array)?) {
                            writer.write(&leaf)?;
                        }
                    }
                }
            }
            start += rows;
            group.rows += rows;
            let is_full = group.rows >= ROW_GROUP_ROWS || group.bytes() >= ROW_GROUP_BYTES;
            if is_full || start == batch.num_rows() {
                group.add_numbers(batch, first..start)?;
            }
            if is_full {
                self.end_group()?;
                first = start;
            }
        }
        Ok(())
    }

    /// Ends the file and gives back its footer and itself.
    pub(super) fn finish(mut self) -> Result<(ParquetMetaData, File)> {
        self.end_group()?;
        let footer = self.file.finish()?;
        Ok((footer, self.file.inner().try_clone()?))
    }

    fn end_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let descriptions = &self.descriptions;
        let roots =
            (0..descriptions.num_columns()).map(|leaf| descriptions.get_column_root_idx(leaf)).collect::<Vec<_>>();
        let mut writer = self.file.next_row_group()?;
        for (place, column) in group.columns.into_iter().enumerate() {
            let description = || descriptions.column(roots.partition_point(|root| *root < place));
            let chunk = match column {
                GroupColumn::Any(writers) => {
                    for column in writers {
                        column.close()?.append_to_row_group(&mut writer)?;
                    }
                    continue;
                }
                GroupColumn::Texts(texts) => texts.finish(description(), PAGE_ROWS, &mut self.packer)?,
                GroupColumn::Numbers(numbers) => numbers.finish(description(), PAGE_ROWS)?,
            };
            // A page is a way to name bytes that can be read at any place.
            let (buf, encoding) = (chunk.bytes.into(), Encoding::PLAIN);
            let bytes = Page::DictionaryPage { buf, num_values: 0, encoding, is_sorted: false };
            writer.append_column(bytes.buffer(), chunk.close)?;
        }
        writer.close()?;
        Ok(())
    }
}

impl Kind {
    fn of(field: &Field, packing: Packing, properties: &WriterProperties) -> Self {
        let encoding = || properties.encoding(&ColumnPath::from(field.name().as_str()));
        let is_coded = || packing == Packing::Fast || CODED_COLUMNS.contains(&field.name().as_str());
        match field.data_type() {
            _ if field.is_nullable() => Self::Any,
            DataType::Utf8 if is_coded() && encoding() != Some(Encoding::PLAIN) => Self::Texts,
            kind if NumberColumn::takes(kind) && encoding() == Some(Encoding::DELTA_BINARY_PACKED) => Self::Numbers,
            _ => Self::Any,
        }
    }
}

impl Group {
    fn new(kinds: &[Kind], descriptions: &SchemaDescriptor, writers: Vec<ArrowColumnWriter>) -> Self {
        let column = |kind: &Kind| match kind {
            Kind::Texts => GroupColumn::Texts(Box::default()),
            Kind::Numbers => GroupColumn::Numbers(NumberColumn::default()),
            Kind::Any => GroupColumn::Any(Vec::new()),
        };
        let mut columns = kinds.iter().map(column).collect::<Vec<_>>();
        for (leaf, writer) in writers.into_iter().enumerate() {
            if let GroupColumn::Any(writers) = &mut columns[descriptions.get_column_root_idx(leaf)] {
                writers.push(writer);
            }
        }
        Self { columns, rows: 0 }
    }

    fn reserve(&mut self, rows: usize) {
        for column in &mut self.columns {
            if let GroupColumn::Texts(texts) = column {
                texts.reserve(rows);
            }
        }
    }

    // Numbers are kept as they are given, so they are given all at once.
    fn add_numbers(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Result<()> {
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            if let GroupColumn::Numbers(numbers) = column {
                numbers.push(&array.slice(rows.start, rows.len()))?;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let bytes = self.columns.iter().map(|column| match column {
            GroupColumn::Texts(texts) => texts.held_bytes(),
            // They are added when a batch ends.
            GroupColumn::Numbers(_) => self.rows * size_of::<i64>(),
            GroupColumn::Any(writers) => writers.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum(),
        });
        bytes.sum()
    }
}

/// How files of a table are written.
pub(super) fn properties(
    schema: &SchemaRef,
    sort_key: &[&str],
    packing: Packing,
) -> crate::error::Result<WriterProperties> {
    let sorting = sort_key
        .iter()
        .map(|name| {
            let column = schema.index_of(name).ok().and_then(|index| i32::try_from(index).ok());
            let column_idx =
                column.ok_or_else(|| Error::Internal(format!("sort key {name} is no column of the file")))?;
            Ok(SortingColumn { column_idx, descending: false, nulls_first: false })
        })
        .collect::<crate::error::Result<Vec<_>>>()?;
    let compression = match packing {
        Packing::Small => {
            Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).map_err(|error| Error::Internal(error.to_string()))?)
        }
        Packing::Fast => Compression::LZ4_RAW,
    };
    let mut builder = WriterProperties::builder()
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .set_compression(compression)
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by(concat!("orgpulse ", env!("CARGO_PKG_VERSION")).to_owned());
    for name in DISTINCT_TEXTS {
        let column = ColumnPath::from(name);
        builder = builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column.clone(), Encoding::PLAIN)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    // A dictionary of numbers costs a lookup for each of them; differences are packed at once, and mostly as small.
    let is_spread = |field: &&FieldRef| {
        SPREAD_NUMBERS.contains(&field.name().as_str())
            || packing == Packing::Fast
                && matches!(
                    field.data_type(),
                    DataType::Int64 | DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _)
                )
    };
    for field in schema.fields().iter().filter(is_spread) {
        let column = ColumnPath::from(field.name().as_str());
        // Nothing is left in them that would make them smaller.
        builder = builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED)
            .set_column_compression(column, Compression::UNCOMPRESSED);
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Date32Array, Int64Array, StringArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::{Date32Type, Int64Type, Schema, TimestampMicrosecondType};
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use parquet::basic::BoundaryOrder;
    use parquet::file::metadata::PageIndexPolicy;
    use parquet::file::page_index::column_index::ColumnIndexMetaData;
    use parquet::file::statistics::Statistics;
    use proptest::prelude::{Just, ProptestConfig, any, prop};
    use proptest::{prop_assert_eq, prop_oneof, proptest};

    use super::super::codes::code;
    use super::*;

    fn schema() -> SchemaRef {
        let text = |name: &str| Field::new(name, DataType::Utf8, false);
        Arc::new(Schema::new(vec![text("org_id"), text("event_id"), text("user_id")]))
    }

    fn batch(texts: &[String]) -> RecordBatch {
        let column = |texts: Vec<&String>| Arc::new(StringArray::from_iter_values(texts)) as ArrayRef;
        let all = || texts.iter().collect::<Vec<_>>();
        let columns = vec![column(all()), column(all()), column(texts.iter().rev().collect())];
        RecordBatch::try_new(schema(), columns).expect("a batch")
    }

    fn write(batches: &[RecordBatch], packing: Packing) -> File {
        let file = tempfile::tempfile().expect("a file");
        let properties = properties(&schema(), &["org_id"], packing).expect("properties");
        let mut writer =
            GroupWriter::new(file.try_clone().expect("a file"), &schema(), packing, properties).expect("a writer");
        for batch in batches {
            writer.write(batch).expect("written");
        }
        writer.finish().expect("finished");
        file
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn texts_come_back_however_they_were_given(
            parts in prop::collection::vec((prop::collection::vec((0..40_u32, 1..30_usize), 0..40), any::<bool>()), 1..5),
            width in 0..3_usize,
            packing in prop_oneof![Just(Packing::Small), Just(Packing::Fast)],
        ) {
            let mut given = Vec::new();
            let mut plain = Vec::new();
            for (runs, is_coded) in parts {
                let text = |number: u32| if number == 0 { String::new() } else { "é".repeat(width) + &number.to_string() };
                let texts = runs.iter().flat_map(|&(number, times)| vec![text(number); times]).collect::<Vec<_>>();
                plain.push(batch(&texts));
                given.push(if is_coded { code(&batch(&texts)).expect("coded") } else { batch(&texts) });
            }
            let expected = concat_batches(&schema(), &plain).expect("one batch");
            let file = write(&given, packing);
            let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
            let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).expect("a footer");
            let footer = Arc::clone(reader.metadata());
            prop_assert_eq!(footer.num_row_groups(), usize::from(expected.num_rows() > 0));
            let columns = [(0, expected.column(0)), (2, expected.column(2))];
            for (place, column) in columns.into_iter().take(2 * footer.num_row_groups()) {
                let texts = column.as_string::<i32>();
                let bounds = [texts.iter().flatten().min(), texts.iter().flatten().max()].map(|text| text.map(str::as_bytes));
                let chunk = footer.row_group(0).column(place);
                let statistics = chunk.statistics().expect("statistics");
                prop_assert_eq!([statistics.min_bytes_opt(), statistics.max_bytes_opt()], bounds);
                prop_assert_eq!(statistics.null_count_opt(), Some(0));
                let bytes = texts.iter().flatten().map(str::len).sum::<usize>();
                prop_assert_eq!(chunk.unencoded_byte_array_data_bytes(), i64::try_from(bytes).ok());
                let Some(ColumnIndexMetaData::BYTE_ARRAY(index)) = footer.column_index().map(|index| &index[0][place]) else {
                    panic!("no index of pages");
                };
                prop_assert_eq!([index.min_value(0), index.max_value(0)], bounds);
            }
            let rows = reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect::<Vec<_>>();
            prop_assert_eq!(concat_batches(&schema(), &rows).expect("one batch"), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn numbers_come_back_whatever_lies_between_them(
            parts in prop::collection::vec(
                prop::collection::vec(prop_oneof![any::<i64>(), -9..9_i64, Just(i64::MIN), Just(i64::MAX)], 0..400),
                1..4,
            ),
            narrow in any::<bool>(),
        ) {
            let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            let fields = vec![
                Field::new("users", DataType::Int64, false),
                Field::new("peak_at", utc, false),
                Field::new("day", DataType::Date32, false),
            ];
            let schema = Arc::new(Schema::new(fields));
            let batches = parts.iter().map(|numbers| {
                let numbers = numbers.iter().map(|number| if narrow { number % 100 } else { *number });
                let numbers = Int64Array::from_iter_values(numbers);
                let instants = numbers.reinterpret_cast::<TimestampMicrosecondType>().with_timezone("UTC");
                // The lower half of the number.
                let days = numbers.iter().flatten().map(|number| i32::from_le_bytes(*number.to_le_bytes().first_chunk().expect("four bytes")));
                let columns: Vec<ArrayRef> = vec![Arc::new(numbers.clone()), Arc::new(instants), Arc::new(Date32Array::from_iter_values(days))];
                RecordBatch::try_new(Arc::clone(&schema), columns).expect("a batch")
            });
            let batches = batches.collect::<Vec<_>>();
            let expected = concat_batches(&schema, &batches).expect("one batch");
            let file = tempfile::tempfile().expect("a file");
            let properties = properties(&schema, &["users"], Packing::Fast).expect("properties");
            let mut writer = GroupWriter::new(file.try_clone().expect("a file"), &schema, Packing::Fast, properties).expect("a writer");
            for batch in &batches {
                writer.write(batch).expect("written");
            }
            writer.finish().expect("finished");
            let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
            let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).expect("a footer");
            let footer = Arc::clone(reader.metadata());
            let numbers = expected.column(0).as_primitive::<Int64Type>().values();
            let bounds = [numbers.iter().min(), numbers.iter().max()];
            for place in (0..2).take(2 * footer.num_row_groups()) {
                let Some(Statistics::Int64(statistics)) = footer.row_group(0).column(place).statistics() else {
                    panic!("no statistics");
                };
                prop_assert_eq!([statistics.min_opt(), statistics.max_opt()], bounds);
                let Some(ColumnIndexMetaData::INT64(index)) = footer.column_index().map(|index| &index[0][place]) else {
                    panic!("no index of pages");
                };
                prop_assert_eq!([index.min_value(0), index.max_value(0)], bounds);
            }
            if footer.num_row_groups() > 0 {
                let days = expected.column(2).as_primitive::<Date32Type>().values();
                let bounds = [days.iter().min(), days.iter().max()];
                let Some(Statistics::Int32(statistics)) = footer.row_group(0).column(2).statistics() else {
                    panic!("no statistics");
                };
                prop_assert_eq!([statistics.min_opt(), statistics.max_opt()], bounds);
                let Some(ColumnIndexMetaData::INT32(index)) = footer.column_index().map(|index| &index[0][2]) else {
                    panic!("no index of pages");
                };
                prop_assert_eq!([index.min_value(0), index.max_value(0)], bounds);
            }
            let rows = reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect::<Vec<_>>();
            prop_assert_eq!(concat_batches(&schema, &rows).expect("one batch"), expected);
        }
    }

    #[test]
    fn other_columns_of_these_names_are_as_good() {
        let list = Field::new_list("action", Field::new_list_field(DataType::Utf8, true), true);
        let fields =
            vec![Field::new("user_id", DataType::Utf8, true), list, Field::new("org_id", DataType::Utf8, false)];
        let schema = Arc::new(Schema::new(fields));
        let mut lists = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
        lists.append_value([Some("a"), None]);
        lists.append_null();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![None, Some("u")])),
            Arc::new(lists.finish()),
            Arc::new(StringArray::from(vec!["o", "p"])),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).expect("a batch");
        let file = tempfile::tempfile().expect("a file");
        let properties = properties(&schema, &[], Packing::Small).expect("properties");
        let mut writer =
            GroupWriter::new(file.try_clone().expect("a file"), &schema, Packing::Small, properties).expect("a writer");
        writer.write(&batch).expect("written");
        writer.finish().expect("finished");
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a footer").build().expect("a reader");
        assert_eq!(reader.next().expect("rows").expect("rows"), batch);
    }

    #[test]
    fn many_texts_fill_many_pages_and_groups() {
        let texts = |row: usize| format!("u{:06}", row * 7_919 % 150_000);
        let parts = (0..300_000).map(texts).collect::<Vec<_>>();
        let parts = parts.chunks(70_000).map(|texts| code(&batch(texts)).expect("coded")).collect::<Vec<_>>();
        let file = write(&parts, Packing::Small);
        let reader = ParquetRecordBatchReaderBuilder::try_new(file.try_clone().expect("a file")).expect("a footer");
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let rows = reader.build().expect("a reader").map(|batch| batch.expect("rows"));
        let found = rows.flat_map(|batch| {
            batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        });
        assert!(found.eq((0..300_000).map(texts)));
        // A selection finds its page by the index.
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).expect("a footer");
        let selection = parquet::arrow::arrow_reader::RowSelection::from_consecutive_ranges(
            [200_000..200_003, 290_000..290_001].into_iter(),
            300_000,
        );
        let mut rows =
            reader.with_row_selection(selection).build().expect("a reader").map(|batch| batch.expect("rows"));
        let found = rows.next().expect("rows").column(0).as_string::<i32>().clone();
        assert_eq!(found.iter().flatten().collect::<Vec<_>>(), [200_000, 200_001, 200_002, 290_000].map(texts));
    }

    fn check_pages(number: fn(i64) -> i64, order: BoundaryOrder) {
        let rows = 150_000;
        let schema = Arc::new(Schema::new(vec![Field::new("users", DataType::Int64, false)]));
        let all = (0..rows).map(number).collect::<Vec<_>>();
        let file = tempfile::tempfile().expect("a file");
        let properties = properties(&schema, &[], Packing::Fast).expect("properties");
        let mut writer =
            GroupWriter::new(file.try_clone().expect("a file"), &schema, Packing::Fast, properties).expect("a writer");
        let column: ArrayRef = Arc::new(Int64Array::from(all.clone()));
        writer.write(&RecordBatch::try_new(schema, vec![column]).expect("a batch")).expect("written");
        writer.finish().expect("finished");
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).expect("a footer");
        let index = reader.metadata().column_index().map(|index| &index[0][0]);
        assert_eq!(index.and_then(ColumnIndexMetaData::get_boundary_order), Some(order));
        let Some(ColumnIndexMetaData::INT64(index)) = index else { panic!("no index of pages") };
        let pages = all.chunks(PAGE_ROWS).map(|page| (page.iter().min(), page.iter().max()));
        assert!(pages.enumerate().all(|(place, bounds)| bounds == (index.min_value(place), index.max_value(place))));
        // A selection finds its page by the index.
        let some = [70_000..70_003, 149_999..150_000];
        let selection =
            parquet::arrow::arrow_reader::RowSelection::from_consecutive_ranges(some.clone().into_iter(), all.len());
        let mut found = reader.with_row_selection(selection).build().expect("a reader");
        let found = found.next().expect("rows").expect("rows");
        let expected = some.into_iter().flat_map(|rows| all[rows].to_vec()).collect::<Vec<_>>();
        assert_eq!(found.column(0).as_primitive::<Int64Type>().values(), &expected[..]);
    }

    #[test]
    fn many_numbers_fill_many_pages() {
        check_pages(|row| row, BoundaryOrder::ASCENDING);
        check_pages(|row| row * 7_919 % 150_000, BoundaryOrder::UNORDERED);
    }
}
