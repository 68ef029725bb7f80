//! Tables in Parquet files, read by columns: texts as codes of the texts that they are, others by the type that the reader
//! knows. A column that is not there, not full, or of another type refuses the table. It does not know what columns mean.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int64Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Date32Type, Field, Int32Type, Int64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::RowGroupMetaData;

use crate::error::{Error, Result};
use crate::names::Names;
use crate::period::Day;

// The rows of a row group, which share the list of their texts.
const BATCH_ROWS: usize = 256 * 1024;

// Texts of a list that are asked about at a time.
const MANY: usize = 1024;

/// What is read of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The table's name, for errors.
    pub(crate) table: &'static str,
    /// Columns of text.
    pub(crate) texts: &'static [&'static str],
    /// Columns of other types.
    pub(crate) others: &'static [&'static str],
}

/// Some rows, in the order of their file.
pub(crate) struct Chunk {
    table: &'static str,
    start: usize,
    batch: RecordBatch,
}

/// A column of texts: each row's place in a list of texts, and the list. It may hold a text twice, and some that no row has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts<'a> {
    keys: &'a [i32],
    list: &'a StringArray,
}

/// What is known of the texts of a column.
pub(crate) struct Known<'a, V> {
    keys: &'a [i32],
    of_key: Vec<V>,
}

/// A table is not what its name promises.
pub(crate) fn wrong(table: &str, what: &str) -> Error {
    Error::Definition(format!("table `{table}` has {what}"))
}

impl Wanted {
    /// The rows of one file.
    pub(crate) fn read(self, path: &Path) -> Result<impl Iterator<Item = Result<Chunk>> + use<>> {
        self.read_where(path, "", &|_, _| true)
    }

    /// The rows of one file without those row groups of which no text of a column, from the least to the most, is wanted.
    pub(crate) fn read_where(
        self,
        path: &Path,
        column: &str,
        is_wanted: &dyn Fn(&[u8], &[u8]) -> bool,
    ) -> Result<impl Iterator<Item = Result<Chunk>> + use<>> {
        let path: Arc<Path> = Arc::from(path);
        let broken = |error: &dyn std::fmt::Display| Error::path("read", &path, error);
        let file = File::open(&path).map_err(|e| Error::path("open", &path, e))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|e| broken(&e))?;
        let coded = ArrowReaderOptions::new().with_schema(self.coded(metadata.schema()).into());
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, coded).map_err(|e| broken(&e))?;
        let names = self.texts.iter().chain(self.others).copied();
        let columns = ProjectionMask::columns(builder.parquet_schema(), names);
        let groups = builder.metadata().row_groups();
        let is_wanted = |group: &RowGroupMetaData| {
            let column = group.columns().iter().find(|of_group| of_group.column_path().string() == column);
            let bounds = column.and_then(|column| column.statistics()).map(|s| (s.min_bytes_opt(), s.max_bytes_opt()));
            !matches!(bounds, Some((Some(least), Some(most))) if !is_wanted(least, most))
        };
        let wanted: Vec<usize> = (0..groups.len()).filter(|group| is_wanted(&groups[*group])).collect();
        let left_out =
            groups[..wanted.first().copied().unwrap_or(0)].iter().map(RowGroupMetaData::num_rows).sum::<i64>();
        let mut start = usize::try_from(left_out).unwrap_or(0);
        let builder = builder.with_row_groups(wanted).with_projection(columns).with_batch_size(BATCH_ROWS);
        let reader = builder.build().map_err(|e| broken(&e))?;
        let table = self.table;
        Ok(reader.map(move |batch| match batch {
            Ok(batch) => {
                let next = start + batch.num_rows();
                Ok(Chunk { table, start: std::mem::replace(&mut start, next), batch })
            }
            Err(error) => Err(Error::path("read", &path, error)),
        }))
    }

    // The schema that makes the reader leave the wanted texts coded, as they are in the file.
    fn coded(self, schema: &Schema) -> Schema {
        let fields = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
                if self.texts.contains(&field.name().as_str()) =>
            {
                let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                Field::new(field.name(), coded, field.is_nullable())
            }
            _ => Field::clone(field),
        });
        Schema::new(fields.collect::<Vec<_>>())
    }
}

impl Chunk {
    /// The place of its first row in the file, if only row groups at the ends are left out.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column of whole numbers.
    pub(crate) fn numbers(&self, name: &str) -> Result<&[i64]> {
        Ok(self.primitives::<Int64Type>(name, "whole numbers")?.values())
    }

    /// A column of whole numbers that some rows lack.
    pub(crate) fn some_numbers(&self, name: &str) -> Result<&Int64Array> {
        self.any(name)?.as_primitive_opt().ok_or_else(|| self.mistyped(name, "whole numbers"))
    }

    /// A column of days.
    pub(crate) fn days(&self, name: &str) -> Result<&[Day]> {
        Ok(self.primitives::<Date32Type>(name, "dates")?.values())
    }

    /// A column of true and false.
    pub(crate) fn flags(&self, name: &str) -> Result<&BooleanArray> {
        self.column(name)?.as_boolean_opt().ok_or_else(|| self.mistyped(name, "true or false"))
    }

    /// A column of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Texts<'_>> {
        let column: Option<&DictionaryArray<Int32Type>> = self.column(name)?.as_dictionary_opt();
        let texts = column.and_then(|column| {
            let list = column.values().as_string_opt::<i32>()?;
            Some(Texts { keys: column.keys().values(), list })
        });
        texts.ok_or_else(|| self.mistyped(name, "text"))
    }

    fn primitives<T: ArrowPrimitiveType>(&self, name: &str, needed: &str) -> Result<&PrimitiveArray<T>> {
        self.column(name)?.as_primitive_opt().ok_or_else(|| self.mistyped(name, needed))
    }

    // A column that every row has.
    fn column(&self, name: &str) -> Result<&ArrayRef> {
        let array = self.any(name)?;
        if array.is_nullable() && array.logical_null_count() > 0 {
            return Err(wrong(self.table, &format!("empty values in column `{name}`")));
        }
        Ok(array)
    }

    fn any(&self, name: &str) -> Result<&ArrayRef> {
        self.batch.column_by_name(name).ok_or_else(|| wrong(self.table, &format!("no column `{name}`")))
    }

    fn mistyped(&self, name: &str, needed: &str) -> Error {
        wrong(self.table, &format!("a column `{name}` that is not {needed}"))
    }
}

impl<'a> Texts<'a> {
    /// Each row's place in the list.
    pub(crate) fn keys(self) -> &'a [i32] {
        self.keys
    }

    /// The texts that rows have, each once for each time that it stands in the list.
    pub(crate) fn used(self) -> impl Iterator<Item = &'a str> {
        let mut is_used = vec![false; self.list.len()];
        for &key in self.keys {
            if let Some(is_used) = usize::try_from(key).ok().and_then(|key| is_used.get_mut(key)) {
                *is_used = true;
            }
        }
        self.list.iter().zip(is_used).filter(|(_, is_used)| *is_used).filter_map(|(text, _)| text)
    }

    /// Asks something about each text of the list, not about each row.
    pub(crate) fn each<V: Copy + Default>(self, ask: impl FnMut(&'a str) -> V) -> Known<'a, V> {
        Known { keys: self.keys, of_key: self.list.iter().map(Option::unwrap_or_default).map(ask).collect() }
    }

    /// Asks something about each text of the list, about many of them at a time.
    pub(crate) fn many<V>(self, mut ask: impl FnMut(&mut dyn Iterator<Item = &'a str>) -> Vec<V>) -> Known<'a, V> {
        let mut list = self.list.iter().map(Option::unwrap_or_default);
        let times = self.list.len().div_ceil(MANY);
        let of_key = (0..times).flat_map(|_| ask(&mut list.by_ref().take(MANY))).collect();
        Known { keys: self.keys, of_key }
    }

    /// The numbers of those texts that have one.
    pub(crate) fn found(self, names: &Names) -> Known<'a, Option<u32>> {
        self.many(|texts| names.find_each(texts))
    }

    /// The texts as numbers, of which some were found before; the others are given one.
    pub(crate) fn numbered_as(
        self,
        found: Known<'a, Option<u32>>,
        mut number: impl FnMut(&'a str) -> u32,
    ) -> Known<'a, u32> {
        let mut numbers = found.of_key.into_iter();
        self.each(|text| numbers.next().flatten().unwrap_or_else(|| number(text)))
    }

    /// The texts as numbers.
    pub(crate) fn numbered(self, names: &mut Names) -> Known<'a, u32> {
        self.each(|text| names.number(0, text))
    }
}

impl<V: Copy + Default> Known<'_, V> {
    /// What is known of a row's text.
    pub(crate) fn of(&self, row: usize) -> V {
        usize::try_from(self.keys[row]).ok().and_then(|key| self.of_key.get(key)).copied().unwrap_or_default()
    }
}
