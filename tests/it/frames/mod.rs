//! Retention, growth accounting, trailing activity and stickiness against hand-written tables and a model that counts days by their definitions.

mod integration;
mod laws;
mod model;
mod tables;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::util::display::array_value_to_string;
use chrono::{Datelike, NaiveDate};
use orgpulse::frames::{Frame, Jobs, schema};
use orgpulse::period::day_of_date;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// Entity, id, day.
type Visit = (&'static str, String, NaiveDate);

fn date(text: &str) -> NaiveDate {
    text.parse().expect("a date of the test")
}

fn job(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn retention_of(entity: &str) -> BTreeMap<String, String> {
    job(&[("name", "retention"), ("entity", entity)])
}

fn growth() -> BTreeMap<String, String> {
    job(&[("name", "growth_accounting")])
}

/// The rows of `activity_calendar`, sorted.
fn table(visits: &[Visit]) -> RecordBatch {
    let mut rows: BTreeMap<(i32, &str, &str), i64> = BTreeMap::new();
    for (entity, id, day) in visits {
        let month = day_of_date(day.with_day(1).expect("every month has a first"));
        *rows.entry((month, entity, id)).or_default() |= 1 << day.day0();
    }
    let keys = || rows.keys();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("month", Arc::new(Date32Array::from_iter_values(keys().map(|key| key.0)))),
        ("entity", Arc::new(StringArray::from_iter_values(keys().map(|key| key.1)))),
        ("id", Arc::new(StringArray::from_iter_values(keys().map(|key| key.2)))),
        ("days", Arc::new(Int64Array::from_iter_values(rows.values().copied()))),
    ];
    RecordBatch::try_from_iter(columns).expect("a table")
}

/// The batch as a Parquet file of small row groups.
fn write(path: &Path, batch: &RecordBatch) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(5)).build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

/// The rows of a job as lines of CSV; the batch must have the schema that was told before.
fn rows_of(job: &BTreeMap<String, String>, batches: &[RecordBatch], frame: Frame) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = (0..batches.len()).map(|number| folder.path().join(format!("{number}.parquet")));
    let paths: Vec<_> = paths.collect();
    paths.iter().zip(batches).for_each(|(path, batch)| write(path, batch));
    let inputs = BTreeMap::from([("activity_calendar".to_owned(), paths)]);
    let batch = Jobs::default().run(job, &inputs, frame).expect("a result");
    assert_eq!(batch.schema(), schema(job).expect("a schema"));
    lines(&batch)
}

/// The rows of a batch as lines of CSV.
fn lines(batch: &RecordBatch) -> Vec<String> {
    let text = |column: &ArrayRef, row| array_value_to_string(column, row).expect("a text");
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| text(column, row)).collect::<Vec<_>>().join(","))
        .collect()
}
