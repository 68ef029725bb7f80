//! A table as CSV: the bytes that a report promises. It knows column types; it does not know where the bytes go.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::catalog::{Column, Query};
use crate::error::{Error, Result};
use crate::period::{Day, format_day};
use crate::report::texts::PIECE_BYTES;

/// Rows are read in batches of this size.
const BATCH_ROWS: usize = 1 << 13;

/// Writes a query's result as CSV and returns the number of rows: UTF-8, a header, `\n`; quoted only where a comma, a
/// quote, CR or LF stands inside; no value = empty; ISO dates, instants in UTC as RFC 3339 with 6 decimals, `true` and `false`,
/// numbers with the decimals of their type.
/// Rows before the day `from` are left out, by the column that the query names for it.
pub fn write_csv(
    query: &Query,
    batches: impl IntoIterator<Item = Result<RecordBatch>>,
    from: Option<Day>,
    sink: &mut impl Write,
) -> Result<u64> {
    write_header(query, sink)?;
    write_rows(query, batches, from, sink)
}

/// The first line of [`write_csv`].
pub(super) fn write_header(query: &Query, sink: &mut impl Write) -> Result<()> {
    let mut line = Vec::new();
    for (place, column) in query.columns.iter().enumerate() {
        separate(place, &mut line);
        put_text(&column.name, &mut line);
    }
    line.push(b'\n');
    put(&line, sink)
}

/// The lines of [`write_csv`] after the first.
pub(super) fn write_rows(
    query: &Query,
    batches: impl IntoIterator<Item = Result<RecordBatch>>,
    from: Option<Day>,
    sink: &mut impl Write,
) -> Result<u64> {
    let mut piece = Vec::with_capacity(PIECE_BYTES + (1 << 12));
    let mut rows = 0;
    for batch in batches {
        let batch = batch?;
        let mut columns = columns(query, &batch)?;
        let days = days(query, &batch)?;
        for row in 0..batch.num_rows() {
            // A row without a day is about all days.
            if from.is_some_and(|from| days.is_some_and(|days| days.is_valid(row) && days.value(row) < from)) {
                continue;
            }
            rows += 1;
            put_row(&mut columns, row, &mut piece);
            if piece.len() >= PIECE_BYTES {
                put(&piece, sink)?;
                piece.clear();
            }
        }
    }
    put(&piece, sink)?;
    Ok(rows)
}

fn put(text: &[u8], sink: &mut impl Write) -> Result<()> {
    sink.write_all(text).map_err(|e| Error::Storage(format!("cannot write: {e}")))
}

/// The rows of a file of a table.
pub(super) fn rows_of(path: PathBuf) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
    let file = File::open(&path).map_err(|e| Error::path("read", &path, e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file);
    let reader = reader.and_then(|reader| reader.with_batch_size(BATCH_ROWS).build());
    let reader = reader.map_err(|e| Error::path("read", &path, e))?;
    Ok(reader.map(move |batch| batch.map_err(|e| Error::path("read", &path, e))))
}

// A column with its type known, so that a value is written without asking again.
enum Values<'a> {
    // The day written last and its text: results are mostly sorted by day.
    Date(&'a Date32Array, Option<(i32, String)>),
    Instant(&'a TimestampMicrosecondArray),
    // Whether some text of the batch holds a character that is quoted.
    Text(&'a StringArray, bool),
    Integer(&'a Int64Array),
    Boolean(&'a BooleanArray),
    Decimal(&'a Decimal128Array, u32),
}

fn columns<'a>(query: &Query, batch: &'a RecordBatch) -> Result<Vec<Values<'a>>> {
    let mut columns = Vec::with_capacity(query.columns.len());
    for column in &query.columns {
        let array = array_of(query, column, batch)?;
        columns.push(match array.data_type() {
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>(), None),
            DataType::Timestamp(..) => Values::Instant(array.as_primitive::<TimestampMicrosecondType>()),
            DataType::Int64 => Values::Integer(array.as_primitive::<Int64Type>()),
            DataType::Boolean => Values::Boolean(array.as_boolean()),
            DataType::Decimal128(_, scale) => {
                Values::Decimal(array.as_primitive::<Decimal128Type>(), u32::from(scale.unsigned_abs()))
            }
            _ => {
                let texts = array.as_string::<i32>();
                Values::Text(texts, is_quoted(bytes_of(texts)))
            }
        });
    }
    Ok(columns)
}

// The column by which rows are left out.
fn days<'a>(query: &Query, batch: &'a RecordBatch) -> Result<Option<&'a Date32Array>> {
    let column = query.columns.iter().find(|column| Some(&column.name) == query.from.as_ref());
    column.map(|column| Ok(array_of(query, column, batch)?.as_primitive::<Date32Type>())).transpose()
}

fn array_of<'a>(query: &Query, column: &Column, batch: &'a RecordBatch) -> Result<&'a ArrayRef> {
    let array = batch.column_by_name(&column.name).filter(|array| *array.data_type() == column.kind.data_type());
    array.ok_or_else(|| {
        let (name, query, kind) = (&column.name, &query.name, column.kind.name());
        Error::Internal(format!("the file of `{query}` has no column `{name}` of type {kind}"))
    })
}

fn put_row(columns: &mut [Values], row: usize, piece: &mut Vec<u8>) {
    for (place, column) in columns.iter_mut().enumerate() {
        separate(place, piece);
        match column {
            Values::Date(array, last) if array.is_valid(row) => put_day(array.value(row), last, piece),
            Values::Instant(array) if array.is_valid(row) => put_instant(array.value(row), piece),
            Values::Text(array, true) if array.is_valid(row) => put_text(array.value(row), piece),
            Values::Text(array, false) if array.is_valid(row) => piece.extend_from_slice(array.value(row).as_bytes()),
            Values::Integer(array) if array.is_valid(row) => put_integer(array.value(row), piece),
            Values::Boolean(array) if array.is_valid(row) => {
                piece.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
            }
            Values::Decimal(array, scale) if array.is_valid(row) => put_decimal(array.value(row), *scale, piece),
            _ => {}
        }
    }
    piece.push(b'\n');
}

fn separate(place: usize, piece: &mut Vec<u8>) {
    if place > 0 {
        piece.push(b',');
    }
}

fn put_day(day: i32, last: &mut Option<(i32, String)>, piece: &mut Vec<u8>) {
    let text = match last.take() {
        Some((known, text)) if known == day => text,
        _ => format_day(day),
    };
    piece.extend_from_slice(text.as_bytes());
    *last = Some((day, text));
}

fn put_instant(us: i64, piece: &mut Vec<u8>) {
    if let Some(instant) = DateTime::from_timestamp_micros(us) {
        piece.extend_from_slice(instant.to_rfc3339_opts(SecondsFormat::Micros, true).as_bytes());
    }
}

fn put_integer(value: impl itoa::Integer, piece: &mut Vec<u8>) {
    piece.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn put_decimal(value: i128, scale: u32, piece: &mut Vec<u8>) {
    if value < 0 {
        piece.push(b'-');
    }
    // Dividing 64 bits is much cheaper than 128, and nearly all there are fit.
    let (size, unit) = (value.unsigned_abs(), 10_u128.pow(scale));
    match (u64::try_from(size), u64::try_from(unit)) {
        (Ok(size), Ok(unit)) => put_parts(size / unit, size % unit, scale, piece),
        _ => put_parts(size / unit, size % unit, scale, piece),
    }
}

fn put_parts<N: itoa::Integer>(whole: N, part: N, scale: u32, piece: &mut Vec<u8>) {
    put_integer(whole, piece);
    piece.push(b'.');
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(part).as_bytes();
    piece.resize(piece.len() + (scale as usize).saturating_sub(digits.len()), b'0');
    piece.extend_from_slice(digits);
}

// The bytes of all texts of a column in a row, without those that no row has.
fn bytes_of(texts: &StringArray) -> &[u8] {
    let offsets = texts.value_offsets();
    let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    let place = |offset: i32| usize::try_from(offset).unwrap_or(0);
    texts.value_data().get(place(first)..place(last)).unwrap_or_default()
}

// Looking at all of them is faster than stopping at the first.
fn is_quoted(text: &[u8]) -> bool {
    text.iter().fold(false, |found, byte| found | matches!(byte, b',' | b'"' | b'\r' | b'\n'))
}

fn put_text(text: &str, piece: &mut Vec<u8>) {
    if !is_quoted(text.as_bytes()) {
        piece.extend_from_slice(text.as_bytes());
        return;
    }
    piece.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            piece.push(b'"');
        }
        piece.push(byte);
    }
    piece.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: &str, expected: &str) {
        let mut piece = Vec::new();
        put_text(text, &mut piece);
        assert_eq!(String::from_utf8(piece).expect("UTF-8"), expected);
    }

    #[test]
    fn text_is_quoted_only_where_it_must_be() {
        check_text("", "");
        check_text("plain", "plain");
        check_text(" two  words ", " two  words ");
        check_text("a;b'c\td", "a;b'c\td");
        check_text("a,b", "\"a,b\"");
        check_text("say \"hi\"", "\"say \"\"hi\"\"\"");
        check_text("a\nb", "\"a\nb\"");
        check_text("a\rb", "\"a\rb\"");
        check_text("\"", "\"\"\"\"");
        check_text("组织 é 🦀", "组织 é 🦀");
        check_text("组,织", "\"组,织\"");
    }

    fn check_decimal(value: i128, scale: u32, expected: &str) {
        let mut piece = Vec::new();
        put_decimal(value, scale, &mut piece);
        assert_eq!(String::from_utf8(piece).expect("UTF-8"), expected);
    }

    #[test]
    fn decimals_have_all_their_digits() {
        check_decimal(0, 6, "0.000000");
        check_decimal(1_000_000, 6, "1.000000");
        check_decimal(333_333, 6, "0.333333");
        check_decimal(-1, 6, "-0.000001");
        check_decimal(-1_500, 3, "-1.500");
        check_decimal(86_400_001, 3, "86400.001");
        check_decimal(5, 2, "0.05");
        check_decimal(i128::MIN, 3, "-170141183460469231731687303715884105.728");
    }

    #[test]
    fn an_instant_has_six_decimals() {
        let mut piece = Vec::new();
        put_instant(1_772_445_600_000_001, &mut piece);
        assert_eq!(String::from_utf8(piece).expect("UTF-8"), "2026-03-02T10:00:00.000001Z");
    }

    #[test]
    fn a_day_that_repeats_is_written_again() {
        let (mut piece, mut last) = (Vec::new(), None);
        for day in [0, 0, -1, 20_513] {
            put_day(day, &mut last, &mut piece);
            piece.push(b' ');
        }
        assert_eq!(String::from_utf8(piece).expect("UTF-8"), "1970-01-01 1970-01-01 1969-12-31 2026-03-01 ");
    }
}
