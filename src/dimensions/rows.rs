//! The rows of a dimension file, CSV or Parquet, as text with the place they came from.

use std::fs::File;
use std::path::Path;

use arrow::array::{AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::{Error, Result};
use crate::period::{Day, local_day, parse_day};

use super::notes::Notes;

/// One row. Columns are numbered as in the list given to [`for_each_row`]; one that the file lacks is empty.
pub(super) struct Row<'a> {
    pub(super) path: &'a Path,
    // `line` or `row`, with its number from 1.
    place: (&'static str, u64),
    columns: &'a [&'a str],
    values: Vec<&'a str>,
}

impl Row<'_> {
    pub(super) fn get(&self, column: usize) -> &str {
        self.values[column]
    }

    /// Where it stands in its file: `line 7` of CSV, `row 6` of Parquet.
    pub(super) fn place(&self) -> String {
        let (kind, number) = self.place;
        format!("{kind} {number}")
    }

    pub(super) fn text(&self, column: usize) -> String {
        self.values[column].to_owned()
    }

    /// An ISO date, or the local date of an RFC 3339 instant.
    pub(super) fn day(&self, column: usize, zone: Tz) -> Result<Option<Day>> {
        let value = self.values[column];
        if value.is_empty() {
            return Ok(None);
        }
        let instant = || DateTime::parse_from_rfc3339(value).ok().map(|t| local_day(zone, t.with_timezone(&Utc)));
        let day = parse_day(value).or_else(instant);
        day.map(Some).ok_or_else(|| {
            self.refuse(
                column,
                "write an ISO date such as 2026-01-31 or an RFC 3339 instant such as 2026-01-31T09:00:00Z",
            )
        })
    }

    pub(super) fn count(&self, column: usize) -> Result<Option<i64>> {
        let value = self.values[column];
        if value.is_empty() {
            return Ok(None);
        }
        let count = value.parse().ok().filter(|&count: &i64| count >= 0);
        count.map(Some).ok_or_else(|| self.refuse(column, "write a whole number of 0 or more"))
    }

    /// An amount with at most two decimals, in hundredths.
    pub(super) fn cents(&self, column: usize) -> Result<Option<i128>> {
        let value = self.values[column];
        if value.is_empty() {
            return Ok(None);
        }
        let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let shaped = !whole.is_empty() && whole.len() <= 18 && decimals.len() <= 2 && digits(whole) && digits(decimals);
        let cents = shaped.then(|| format!("{whole}{decimals:0<2}").parse().ok()).flatten();
        cents.map(Some).ok_or_else(|| self.refuse(column, "write an amount of 0 or more with at most two decimals"))
    }

    /// The error for a value that cannot be used.
    pub(super) fn refuse(&self, column: usize, advice: &str) -> Error {
        let (path, name, value) = (self.path.display(), self.columns[column], self.values[column]);
        Error::Data(format!("{path}, {}: {name}=`{value}`; {advice}", self.place()))
    }
}

/// Gives each row of a dimension file to `take`; no path, no rows. The first `needed` columns are its key: they must be
/// in the file, and a row where one is empty is left out. Columns that are not named are passed over.
pub(super) fn for_each_row(
    path: Option<&Path>,
    columns: &[&str],
    needed: usize,
    notes: &mut Notes,
    mut take: impl FnMut(&Row, &mut Notes) -> Result<()>,
) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let file = File::open(path).map_err(|e| {
        Error::Definition(format!(
            "cannot read dimension file {}: {e}; check [dimensions] in the settings",
            path.display()
        ))
    })?;
    let take = |row: &Row| match (0..needed).find(|&column| row.get(column).is_empty()) {
        Some(column) => {
            notes.add(path, &format!("left out rows without {}", columns[column]), &row.place());
            Ok(())
        }
        None => take(row, notes),
    };
    if path.extension().is_some_and(|extension| extension == "parquet") {
        parquet_rows(path, file, columns, needed, take)
    } else {
        csv_rows(path, file, columns, needed, take)
    }
}

fn csv_rows(
    path: &Path,
    file: File,
    columns: &[&str],
    needed: usize,
    mut take: impl FnMut(&Row) -> Result<()>,
) -> Result<()> {
    let broken = |e: csv::Error| Error::Data(format!("{}: {e}", path.display()));
    let mut reader = csv::ReaderBuilder::new().from_reader(file);
    let header = reader.headers().map_err(broken)?.clone();
    let place_of =
        |name: &&str| header.iter().position(|column| column.strip_prefix('\u{feff}').unwrap_or(column) == *name);
    for (place, name) in header.iter().enumerate() {
        if columns.contains(&name) && header.iter().skip(place + 1).any(|later| later == name) {
            return Err(Error::Data(format!("{}: the header names column `{name}` twice", path.display())));
        }
    }
    let places: Vec<Option<usize>> = columns.iter().map(place_of).collect();
    check_needed(path, columns, needed, |column| places[column].is_some())?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let line = record.position().map_or(0, csv::Position::line);
        let value = |place: &Option<usize>| place.and_then(|place| record.get(place)).unwrap_or("");
        take(&Row { path, place: ("line", line), columns, values: places.iter().map(value).collect() })?;
    }
    Ok(())
}

fn parquet_rows(
    path: &Path,
    file: File,
    columns: &[&str],
    needed: usize,
    mut take: impl FnMut(&Row) -> Result<()>,
) -> Result<()> {
    let broken = |e: &dyn std::fmt::Display| Error::Data(format!("{}: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| broken(&e))?;
    check_needed(path, columns, needed, |column| reader.schema().index_of(columns[column]).is_ok())?;
    let mut number = 0;
    for batch in reader.build().map_err(|e| broken(&e))? {
        let batch = batch.map_err(|e| broken(&e))?;
        let texts: Vec<Option<StringArray>> = columns
            .iter()
            .map(|name| batch.column_by_name(name).map(|array| cast(array, &DataType::Utf8)).transpose())
            .map(|text| text.map(|text| text.map(|text| text.as_string::<i32>().clone())))
            .collect::<std::result::Result<_, _>>()
            .map_err(|e| broken(&e))?;
        for row in 0..batch.num_rows() {
            number += 1;
            // A null has an empty value in the array behind it or not, so it is asked for.
            let value =
                |text: &Option<StringArray>| text.as_ref().is_some_and(|t| !arrow::array::Array::is_null(t, row));
            let values = texts.iter().map(|t| if value(t) { t.as_ref().map_or("", |t| t.value(row)) } else { "" });
            take(&Row { path, place: ("row", number), columns, values: values.collect() })?;
        }
    }
    Ok(())
}

fn check_needed(path: &Path, columns: &[&str], needed: usize, has: impl Fn(usize) -> bool) -> Result<()> {
    match (0..needed).find(|&column| !has(column)) {
        None => Ok(()),
        Some(column) => Err(Error::Data(format!(
            "{} has no column `{}`; it may have {}",
            path.display(),
            columns[column],
            columns.join(", ")
        ))),
    }
}
