//! The rows of a dimension file, CSV or Parquet, as text with the place they came from. It does not know what a column
//! means.

use std::fmt;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, StringArray};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::error::{Error, Result};
use crate::period::{Day, local_day, parse_day};

use super::history::{BEGINNING, END};
use super::notes::Notes;
use super::texts;

// No kind of file has more columns.
const MOST_COLUMNS: usize = 8;
// More than there are people: sums over all organisations of the world still fit.
const MOST: i64 = 9_999_999_999;
// So many columns of a file are named where those that it should have are not there.
const SHOWN_COLUMNS: usize = 10;

/// Where a row stands in its file: `line 7` of CSV, `row 6` of Parquet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    unit: &'static str,
    number: u64,
}

impl Place {
    /// A line of CSV, from 1.
    pub(super) fn line(number: u64) -> Self {
        Self { unit: "line", number }
    }

    /// A row of Parquet, from 1.
    pub(super) fn row(number: u64) -> Self {
        Self { unit: "row", number }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} {}", self.unit, self.number)
    }
}

/// One row. Columns are numbered as in the list given to [`for_each_row`]; one that the file lacks is empty.
pub(super) struct Row<'a> {
    pub(super) path: &'a Path,
    pub(super) place: Place,
    columns: &'a [&'a str],
    values: [&'a str; MOST_COLUMNS],
}

impl Row<'_> {
    pub(super) fn get(&self, column: usize) -> &str {
        self.values[column]
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
        let day = parse_day(value).or_else(instant).filter(|day| (BEGINNING..=END).contains(day));
        day.map(Some).ok_or_else(|| {
            self.refuse(
                column,
                "write an ISO date such as 2026-01-31 or an RFC 3339 instant such as 2026-01-31T09:00:00Z, of the years \
                 0001 to 9999",
            )
        })
    }

    /// A first and a last day in two columns, the last not before the first; either may be missing.
    pub(super) fn days(&self, first: usize, last: usize, zone: Tz) -> Result<(Option<Day>, Option<Day>)> {
        let days = (self.day(first, zone)?, self.day(last, zone)?);
        match days {
            (Some(from), Some(until)) if until < from => {
                let (name, value) = (self.columns[first], self.values[first]);
                Err(self.refuse(last, &format!("it is before {name}=`{value}`; write the same day or a later one")))
            }
            _ => Ok(days),
        }
    }

    pub(super) fn count(&self, column: usize) -> Result<Option<i64>> {
        let value = self.values[column];
        if value.is_empty() {
            return Ok(None);
        }
        let count = value.parse().ok().filter(|count| (0..=MOST).contains(count));
        count.map(Some).ok_or_else(|| self.refuse(column, &format!("write a whole number from 0 to {MOST}")))
    }

    /// An amount with at most two decimals, in hundredths.
    pub(super) fn cents(&self, column: usize) -> Result<Option<i128>> {
        let value = self.values[column];
        if value.is_empty() {
            return Ok(None);
        }
        let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let shaped = !whole.is_empty() && whole.len() <= 12 && decimals.len() <= 2 && digits(whole) && digits(decimals);
        let cents = shaped.then(|| format!("{whole}{decimals:0<2}").parse().ok()).flatten();
        cents.map(Some).ok_or_else(|| {
            self.refuse(
                column,
                "write an amount from 0 to 999999999999.99 with at most two decimals, a point before them and no other \
                 sign",
            )
        })
    }

    /// The error for a value that cannot be used.
    pub(super) fn refuse(&self, column: usize, advice: &str) -> Error {
        let (path, name, value) = (self.path.display(), self.columns[column], self.values[column]);
        Error::Data(format!("{path}, {}: {name}=`{value}`; {advice}", self.place))
    }
}

/// Gives each row of a dimension file to `take`; no path, no rows. The `needed` columns, by number, are its key: they must
/// be in the file, and a row where one is empty is left out. Columns that are not named are passed over.
pub(super) fn for_each_row(
    path: Option<&Path>,
    columns: &[&str],
    needed: &[usize],
    notes: &mut Notes,
    mut take: impl FnMut(&Row, &mut Notes) -> Result<()>,
) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let file = open(path).map_err(|e| {
        Error::Definition(format!(
            "cannot read dimension file {}: {e}; check [dimensions] in the settings",
            path.display()
        ))
    })?;
    let wanted = Wanted { path, columns, needed };
    let mut rows: u64 = 0;
    let mut take = |row: &Row, notes: &mut Notes| {
        rows += 1;
        match needed.iter().find(|&&column| row.get(column).is_empty()) {
            Some(&column) => {
                notes.add(path, &format!("left out rows without {}", columns[column]), &row.place.to_string());
                Ok(())
            }
            None => take(row, notes),
        }
    };
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
        parquet_rows(&wanted, file, notes, &mut take)?;
    } else {
        csv_rows(&wanted, file, notes, &mut take)?;
    }
    if rows == 0 {
        notes.add(path, "nothing is known from it", "it has no rows");
    }
    Ok(())
}

// A folder opens like a file on some systems, and fails when it is read.
fn open(path: &Path) -> std::io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
}

/// The columns that a file shall have, some of them without fail.
struct Wanted<'a> {
    path: &'a Path,
    columns: &'a [&'a str],
    needed: &'a [usize],
}

impl Wanted<'_> {
    // Which column of a file each of the wanted ones is.
    fn places(&self, header: &[&str], notes: &mut Notes) -> Result<Vec<Option<usize>>> {
        let (path, quoted) = (self.path.display(), |names: &[&str]| format!("`{}`", names.join("`, `")));
        for (place, name) in header.iter().enumerate() {
            if self.columns.contains(name) && header[..place].contains(name) {
                return Err(Error::Data(format!("{path}: the header names column `{name}` twice")));
            }
        }
        let places: Vec<_> = self.columns.iter().map(|name| header.iter().position(|column| column == name)).collect();
        let unknown: Vec<&str> = header.iter().copied().filter(|name| !self.columns.contains(name)).collect();
        let unknown = &unknown[..unknown.len().min(SHOWN_COLUMNS)];
        let missing: Vec<&str> =
            self.columns.iter().zip(&places).filter(|(_, place)| place.is_none()).map(|(name, _)| *name).collect();
        if let Some(column) = self.needed.iter().copied().find(|&column| places[column].is_none()) {
            let found = match header {
                [] => "it is empty".to_owned(),
                _ if unknown.is_empty() => format!("it has {}", quoted(header)),
                _ => format!("it has {} instead", quoted(unknown)),
            };
            return Err(Error::Data(format!(
                "{path} has no column `{}`; {found}; the columns are {}",
                self.columns[column],
                self.columns.join(", ")
            )));
        }
        // Either alone is as it may be; together they look like a slip of the pen.
        if !missing.is_empty() && !unknown.is_empty() {
            let place = format!("without {}, and with {}", quoted(&missing), quoted(unknown));
            notes.add(
                self.path,
                "columns that are missing count as empty, and those not known are passed over",
                &place,
            );
        }
        Ok(places)
    }
}

fn csv_rows(
    wanted: &Wanted,
    file: File,
    notes: &mut Notes,
    take: &mut dyn FnMut(&Row, &mut Notes) -> Result<()>,
) -> Result<()> {
    let broken = |e: csv::Error| no_csv(wanted.path, &e);
    // The reader takes off a byte order mark.
    let mut reader = csv::ReaderBuilder::new().from_reader(file);
    let header = reader.headers().map_err(broken)?.clone();
    let places = wanted.places(&header.iter().collect::<Vec<_>>(), notes)?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(broken)? {
        let mut values = [""; MOST_COLUMNS];
        for (value, place) in values.iter_mut().zip(&places) {
            *value = place.and_then(|place| record.get(place)).unwrap_or("");
        }
        let place = Place::line(record.position().map_or(0, csv::Position::line));
        take(&Row { path: wanted.path, place, columns: wanted.columns, values }, notes)?;
    }
    Ok(())
}

fn no_csv(path: &Path, error: &csv::Error) -> Error {
    let line = error.position().map_or_else(String::new, |position| format!(", line {}", position.line()));
    let what = match error.kind() {
        csv::ErrorKind::Io(error) => return Error::path("read", path, error),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!(
            "the row has another number of fields than the header, {len} and not {expected_len}; put a text with a comma \
             or a line break in quotes, and close each quote"
        ),
        csv::ErrorKind::Utf8 { .. } => {
            "the text is not UTF-8; a dimension file is CSV in UTF-8, or Parquet with a name that ends in .parquet"
                .into()
        }
        _ => error.to_string(),
    };
    Error::Data(format!("{}{line}: {what}", path.display()))
}

fn parquet_rows(
    wanted: &Wanted,
    file: File,
    notes: &mut Notes,
    take: &mut dyn FnMut(&Row, &mut Notes) -> Result<()>,
) -> Result<()> {
    let path = wanted.path;
    let broken = |e: &dyn fmt::Display| Error::Data(format!("{}: cannot read it as Parquet: {e}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| broken(&e))?;
    let header: Vec<&str> = reader.schema().fields().iter().map(|field| field.name().as_str()).collect();
    let places = wanted.places(&header, notes)?;
    for field in places.iter().flatten().filter_map(|&place| reader.schema().fields().get(place)) {
        texts::check(field).map_err(|e| e.within(path.display()))?;
    }
    let mut number = 0;
    for batch in reader.build().map_err(|e| broken(&e))? {
        let batch = batch.map_err(|e| broken(&e))?;
        let column = |place: &Option<usize>| place.map(|place| texts::of(batch.column(place))).transpose();
        let columns: Vec<Option<StringArray>> =
            places.iter().map(column).collect::<std::result::Result<_, _>>().map_err(|e| broken(&e))?;
        for row in 0..batch.num_rows() {
            number += 1;
            let mut values = [""; MOST_COLUMNS];
            for (value, column) in values.iter_mut().zip(&columns) {
                // A null has an empty value in the array behind it or not, so it is asked for.
                *value = column.as_ref().filter(|column| !column.is_null(row)).map_or("", |column| column.value(row));
            }
            take(&Row { path, place: Place::row(number), columns: wanted.columns, values }, notes)?;
        }
    }
    Ok(())
}
