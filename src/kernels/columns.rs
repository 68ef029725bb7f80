//! The rows of a day, read by columns: texts as codes of the texts that they are, and whole numbers.
//! It does not know which columns there are, nor what they mean.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Field, Int32Type, Int64Type, Schema};
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

/// Some rows of a day.
pub(super) struct Chunk<const T: usize, const N: usize> {
    texts: [DictionaryArray<Int32Type>; T],
    numbers: [arrow::array::Int64Array; N],
}

/// Texts of a chunk with the numbers that they have in a list of names.
pub(super) struct Numbered<'a> {
    keys: &'a [i32],
    of_key: Vec<u32>,
}

/// The days of a table, in order, each with its files.
pub(super) fn days(inputs: &[Input]) -> Result<Vec<(Day, Vec<Input>)>> {
    let mut days: Vec<(Day, Vec<Input>)> = Vec::new();
    for input in inputs {
        let of_no_day = || Error::Internal(format!("{} is of no day", input.path.display()));
        let day = input.day.ok_or_else(of_no_day)?;
        match days.last_mut() {
            Some((last, files)) if *last == day => files.push(input.clone()),
            Some((last, _)) if *last > day => {
                return Err(Error::Internal(format!("{} comes after a later day", input.path.display())));
            }
            _ => days.push((day, vec![input.clone()])),
        }
    }
    Ok(days)
}

/// What `work` makes of each of many things, in their order; as many are worked on side by side as there are threads, and
/// no more are held.
pub(super) fn side_by_side<A: Send + Sync + 'static, B: Send + 'static>(
    all: Vec<A>,
    work: impl Fn(&A) -> Result<B> + Send + Sync + 'static,
) -> impl Iterator<Item = Result<B>> + Send {
    let step = rayon::current_num_threads();
    (0..all.len()).step_by(step).flat_map(move |start| {
        let some = &all[start..all.len().min(start + step)];
        some.par_iter().map(&work).collect::<Vec<_>>()
    })
}

impl<const T: usize, const N: usize> Wanted<T, N> {
    /// The rows of a day, in the order of its files.
    pub(super) fn read_day(self, inputs: &[Input]) -> Result<Vec<Chunk<T, N>>> {
        let mut chunks = Vec::new();
        for input in inputs {
            chunks.extend(self.read(input)?);
        }
        Ok(chunks)
    }

    fn read(self, input: &Input) -> Result<Vec<Chunk<T, N>>> {
        let path = &input.path;
        let broken = |error: &dyn std::fmt::Display| Error::path("read", path, error);
        let file = File::open(path).map_err(|e| Error::path("open", path, e))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|e| broken(&e))?;
        let coded = ArrowReaderOptions::new().with_schema(self.coded(metadata.schema()).into());
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, coded).map_err(|e| broken(&e))?;
        let columns = ProjectionMask::columns(builder.parquet_schema(), self.texts.into_iter().chain(self.numbers));
        let reader = builder.with_projection(columns).with_batch_size(BATCH_ROWS).build().map_err(|e| broken(&e))?;
        reader.map(|batch| self.chunk(&batch.map_err(|e| broken(&e))?).map_err(|what| broken(&what))).collect()
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

    fn chunk(self, batch: &RecordBatch) -> std::result::Result<Chunk<T, N>, String> {
        let text = |name| typed(batch, name, "text", |column| column.as_dictionary_opt::<Int32Type>().cloned());
        let number =
            |name| typed(batch, name, "whole number", |column| column.as_primitive_opt::<Int64Type>().cloned());
        Ok(Chunk { texts: all(self.texts.map(text))?, numbers: all(self.numbers.map(number))? })
    }
}

impl<const T: usize, const N: usize> Chunk<T, N> {
    /// A column of numbers.
    pub(super) fn numbers(&self, place: usize) -> &[i64] {
        self.numbers[place].values()
    }

    /// A column of texts: each row's place in a list of texts, and the list. It may hold a text twice, and some that no row
    /// has.
    pub(super) fn texts(&self, place: usize) -> (&[i32], Vec<&str>) {
        let column = &self.texts[place];
        let values = column.values().as_string_opt::<i32>();
        (
            column.keys().values(),
            values.map_or_else(Vec::new, |values| values.iter().map(Option::unwrap_or_default).collect()),
        )
    }

    /// A column of texts as numbers. Each distinct text is looked up once, not each row.
    pub(super) fn numbered(&self, place: usize, names: &mut Names) -> Numbered<'_> {
        let (keys, texts) = self.texts(place);
        Numbered { keys, of_key: texts.into_iter().map(|text| names.number(0, text)).collect() }
    }
}

impl Numbered<'_> {
    /// The number of a row's text.
    pub(super) fn of(&self, row: usize) -> u32 {
        usize::try_from(self.keys[row]).ok().and_then(|key| self.of_key.get(key)).copied().unwrap_or_default()
    }
}

/// The rows of a small table that is of no day: texts and dates, none of them missing.
pub(super) fn read_rows<const T: usize, const D: usize>(
    inputs: &[Input],
    (texts, dates): ([&str; T], [&str; D]),
    mut each: impl FnMut([&str; T], [Day; D]),
) -> Result<()> {
    for_each_batch(inputs, |batch| {
        let texts = all(texts.map(|name| typed(batch, name, "text", |column| column.as_string_opt::<i32>())))?;
        let dates =
            all(dates.map(|name| typed(batch, name, "date", |column| column.as_primitive_opt::<Date32Type>())))?;
        for row in 0..batch.num_rows() {
            each(texts.map(|column| column.value(row)), dates.map(|column| column.value(row)));
        }
        Ok(())
    })
}

/// The numbers of a small table by its column `day`.
pub(super) fn read_small<const N: usize>(inputs: &[Input], numbers: [&str; N]) -> Result<BTreeMap<Day, [i64; N]>> {
    let mut by_day = BTreeMap::new();
    for_each_batch(inputs, |batch| {
        let days = typed(batch, "day", "date", |column| column.as_primitive_opt::<Date32Type>())?;
        let number = |name| typed(batch, name, "whole number", |column| column.as_primitive_opt::<Int64Type>());
        let numbers = all(numbers.map(number))?;
        by_day.extend((0..batch.num_rows()).map(|row| (days.value(row), numbers.map(|column| column.value(row)))));
        Ok(())
    })?;
    Ok(by_day)
}

fn for_each_batch(
    inputs: &[Input],
    mut each: impl FnMut(&RecordBatch) -> std::result::Result<(), String>,
) -> Result<()> {
    for Input { path, .. } in inputs {
        let broken = |error: &dyn std::fmt::Display| Error::path("read", path, error);
        let file = File::open(path).map_err(|e| Error::path("open", path, e))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| broken(&e))?;
        for batch in builder.build().map_err(|e| broken(&e))? {
            each(&batch.map_err(|e| broken(&e))?).map_err(|what| broken(&what))?;
        }
    }
    Ok(())
}

// A column of a type, without missing values.
fn typed<'a, A>(
    batch: &'a RecordBatch,
    name: &str,
    kind: &str,
    as_kind: impl FnOnce(&'a ArrayRef) -> Option<A>,
) -> std::result::Result<A, String> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("column `{name}` is missing"))?;
    if column.null_count() > 0 {
        return Err(format!("a value of column `{name}` is missing"));
    }
    as_kind(column).ok_or_else(|| format!("column `{name}` is no {kind}"))
}

/// Names as a column: what the numbers stand for, and each row's number.
pub(super) fn coded(names: &StringArray, keys: Int32Array) -> Result<DictionaryArray<Int32Type>> {
    DictionaryArray::try_new(keys, Arc::new(names.clone()))
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
