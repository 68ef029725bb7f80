//! The rows of a day, read by columns: texts as codes of the texts that they are, and whole numbers.
//! It does not know which columns there are, nor what they mean.

use std::fs::File;

use arrow::array::{Array, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::Input;
use crate::error::{Error, Result};
use crate::names::Names;
use crate::period::Day;

// The rows of a row group, which share the list of their texts.
const BATCH_ROWS: usize = 256 * 1024;

/// The columns that are read of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<const T: usize, const N: usize> {
    /// Columns of text, none of them missing.
    pub(super) texts: [&'static str; T],
    /// Columns of whole numbers, none of them missing.
    pub(super) numbers: [&'static str; N],
}

/// Rows of one day.
pub(super) struct Chunk<const T: usize, const N: usize> {
    pub(super) day: Day,
    texts: [DictionaryArray<Int32Type>; T],
    numbers: [arrow::array::Int64Array; N],
}

/// Texts of a chunk with the numbers that they have in a list of names.
pub(super) struct Numbered<'a> {
    keys: &'a [i32],
    of_key: Vec<u32>,
}

impl<const T: usize, const N: usize> Wanted<T, N> {
    /// Hands over the rows of all files, day by day and in the order of a day's rows. Days are read side by side, as many
    /// as there are threads.
    pub(super) fn for_each(self, inputs: &[Input], mut each: impl FnMut(Chunk<T, N>) -> Result<Go>) -> Result<Go> {
        for some in inputs.chunks(rayon::current_num_threads()) {
            let read: Vec<Result<Vec<Chunk<T, N>>>> = some.par_iter().map(|input| self.read(input)).collect();
            for chunks in read {
                for chunk in chunks? {
                    if each(chunk)? == Go::Stop {
                        return Ok(Go::Stop);
                    }
                }
            }
        }
        Ok(Go::On)
    }

    fn read(self, input: &Input) -> Result<Vec<Chunk<T, N>>> {
        let path = &input.path;
        let broken = |error: &dyn std::fmt::Display| Error::path("read", path, error);
        let day = input.day.ok_or_else(|| Error::Internal(format!("{} is of no day", path.display())))?;
        let file = File::open(path).map_err(|e| Error::path("open", path, e))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|e| broken(&e))?;
        let coded = ArrowReaderOptions::new().with_schema(self.coded(metadata.schema()).into());
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, coded).map_err(|e| broken(&e))?;
        let columns = ProjectionMask::columns(builder.parquet_schema(), self.texts.into_iter().chain(self.numbers));
        let reader = builder.with_projection(columns).with_batch_size(BATCH_ROWS).build().map_err(|e| broken(&e))?;
        reader.map(|batch| self.chunk(day, &batch.map_err(|e| broken(&e))?).map_err(|what| broken(&what))).collect()
    }

    // The schema that makes the reader leave the wanted texts coded, as they are in the file.
    fn coded(self, schema: &Schema) -> Schema {
        let fields = schema.fields().iter().map(|field| {
            if self.texts.contains(&field.name().as_str()) {
                let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                Field::new(field.name(), coded, field.is_nullable())
            } else {
                Field::clone(field)
            }
        });
        Schema::new(fields.collect::<Vec<_>>())
    }

    fn chunk(self, day: Day, batch: &RecordBatch) -> std::result::Result<Chunk<T, N>, String> {
        let column = |name: &str| {
            let column = batch.column_by_name(name).ok_or_else(|| format!("column `{name}` is missing"))?;
            if column.null_count() > 0 { Err(format!("a value of column `{name}` is missing")) } else { Ok(column) }
        };
        let text = |name: &str| {
            let text = column(name)?.as_dictionary_opt::<Int32Type>().cloned();
            text.ok_or_else(|| format!("column `{name}` is no text"))
        };
        let number = |name: &str| {
            let number = column(name)?.as_primitive_opt::<Int64Type>().cloned();
            number.ok_or_else(|| format!("column `{name}` is no whole number"))
        };
        Ok(Chunk { day, texts: all(self.texts.map(text))?, numbers: all(self.numbers.map(number))? })
    }
}

/// Whether reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    On,
    Stop,
}

impl<const T: usize, const N: usize> Chunk<T, N> {
    /// A column of numbers.
    pub(super) fn numbers(&self, place: usize) -> &[i64] {
        self.numbers[place].values()
    }

    /// A column of texts. Each distinct text is looked up once, not each row.
    pub(super) fn numbered(&self, place: usize, names: &mut Names) -> Numbered<'_> {
        let column = &self.texts[place];
        let of_key = match column.values().as_string_opt::<i32>() {
            Some(values) => values.iter().map(|text| names.number(0, text.unwrap_or_default())).collect(),
            None => Vec::new(),
        };
        Numbered { keys: column.keys().values(), of_key }
    }
}

impl Numbered<'_> {
    /// The number of a row's text.
    pub(super) fn of(&self, row: usize) -> u32 {
        usize::try_from(self.keys[row]).ok().and_then(|key| self.of_key.get(key)).copied().unwrap_or_default()
    }
}

/// Names as a column: what the numbers stand for, and each row's number.
pub(super) fn coded(names: &StringArray, keys: Int32Array) -> Result<DictionaryArray<Int32Type>> {
    DictionaryArray::try_new(keys, std::sync::Arc::new(names.clone()))
        .map_err(|e| Error::Internal(format!("a kernel numbers texts that it does not have: {e}")))
}

/// The texts of names in the order of their numbers.
pub(super) fn texts(names: &Names) -> StringArray {
    StringArray::from_iter_values(names.texts())
}

fn all<V, const C: usize>(values: [std::result::Result<V, String>; C]) -> std::result::Result<[V; C], String> {
    let values: Vec<V> = values.into_iter().collect::<std::result::Result<_, _>>()?;
    values.try_into().map_err(|_| "a column was lost".to_owned())
}
