//! Retention and growth accounting against hand-written tables and a model that counts days by their definitions.

mod laws;
mod model;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, RecordBatch, StringArray};
use arrow::util::display::array_value_to_string;
use chrono::NaiveDate;
use orgpulse::frames::{Frame, run, schema};
use orgpulse::period::day_of_date;

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

fn table(visits: &[Visit]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("entity", Arc::new(StringArray::from_iter_values(visits.iter().map(|visit| visit.0)))),
        ("id", Arc::new(StringArray::from_iter_values(visits.iter().map(|visit| visit.1.as_str())))),
        ("day", Arc::new(Date32Array::from_iter_values(visits.iter().map(|visit| day_of_date(visit.2))))),
    ];
    RecordBatch::try_from_iter(columns).expect("a table")
}

/// The rows of a job as lines of CSV; the batch must have the schema that was told before.
fn rows_of(job: &BTreeMap<String, String>, batches: Vec<RecordBatch>, frame: Frame) -> Vec<String> {
    let inputs = BTreeMap::from([("entity_day".to_owned(), batches)]);
    let batch = run(job, &inputs, frame).expect("a result");
    assert_eq!(batch.schema(), schema(job).expect("a schema"));
    let text = |column: &ArrayRef, row| array_value_to_string(column, row).expect("a text");
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| text(column, row)).collect::<Vec<_>>().join(","))
        .collect()
}
