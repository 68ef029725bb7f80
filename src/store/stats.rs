//! Delta statistics of a Parquet file: what lets any reader of the log skip the file without opening it.

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use chrono::DateTime;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value, json};

use crate::period::{Day, format_day, parse_day};

/// The statistics of all columns as the JSON of a Delta `add`. A bound that is not exact is left out, because a
/// shortened text is no upper bound. Columns of types that Delta has no bounds for only get their null count.
pub(super) fn delta_stats(schema: &SchemaRef, metadata: &ParquetMetaData) -> String {
    let (mut least, mut greatest, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (column, field) in schema.fields().iter().enumerate() {
        // Our files are flat, so that the number of a field is that of its Parquet column.
        let summary = summarise(field.data_type(), column, metadata.row_groups());
        let put = |map: &mut Map<String, Value>, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(field.name().clone(), value);
            }
        };
        put(&mut least, summary.least.and_then(|bound| bound.to_json(field.data_type())));
        put(&mut greatest, summary.greatest.and_then(|bound| bound.to_json(field.data_type())));
        put(&mut nulls, summary.nulls.map(Value::from));
    }
    let rows = metadata.file_metadata().num_rows();
    json!({ "numRecords": rows, "minValues": least, "maxValues": greatest, "nullCount": nulls }).to_string()
}

// The statistics of a file, read back from the JSON of a Delta `add`.
struct Told(Value);

impl Told {
    // Of what is no JSON nothing is known.
    fn by(stats: &str) -> Self {
        Self(serde_json::from_str(stats).unwrap_or_default())
    }

    fn of(&self, fact: &str, column: &str) -> Option<&Value> {
        self.0.get(fact)?.get(column)
    }

    fn bounds<'a, T>(&'a self, column: &str, read: impl Fn(&'a Value) -> Option<T>) -> (Option<T>, Option<T>) {
        (self.of("minValues", column).and_then(&read), self.of("maxValues", column).and_then(&read))
    }
}

/// The least and greatest value of an integer column in the JSON of a Delta `add`.
pub(super) fn integer_bounds(stats: &str, column: &str) -> Option<(i64, i64)> {
    let (least, greatest) = Told::by(stats).bounds(column, Value::as_i64);
    least.zip(greatest)
}

/// The least and greatest value of some columns, as they stand in the JSON of a Delta `add`.
#[must_use]
pub fn column_bounds(stats: &str, columns: &[String]) -> Vec<(Option<Value>, Option<Value>)> {
    let told = Told::by(stats);
    columns.iter().map(|column| told.bounds(column, |bound| Some(bound.clone()))).collect()
}

/// The first and last day of a date column that is never null, from the JSON of a Delta `add`.
#[must_use]
pub fn day_bounds(stats: &str, column: &str) -> Option<(Day, Day)> {
    let told = Told::by(stats);
    let has_nulls = told.of("nullCount", column)?.as_u64()? > 0;
    let (first, last) = told.bounds(column, |day| parse_day(day.as_str()?));
    if has_nulls { None } else { first.zip(last) }
}

// The least and the greatest value of a row group, where they are known exactly.
type Bounds = (Option<Bound>, Option<Bound>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Number(i64),
    Text(String),
}

impl Bound {
    fn to_json(&self, data_type: &DataType) -> Option<Value> {
        match (self, data_type) {
            (Self::Text(text), _) => Some(Value::from(text.as_str())),
            (Self::Number(us), DataType::Timestamp(..)) => {
                Some(DateTime::from_timestamp_micros(*us)?.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into())
            }
            (Self::Number(day), DataType::Date32) => Some(format_day(i32::try_from(*day).ok()?).into()),
            (Self::Number(number), _) => Some(Value::from(*number)),
        }
    }
}

// What all row groups say of one column; `None` where one of them does not know.
struct Summary {
    least: Option<Bound>,
    greatest: Option<Bound>,
    nulls: Option<u64>,
}

fn summarise(data_type: &DataType, column: usize, row_groups: &[RowGroupMetaData]) -> Summary {
    let all: Vec<_> = row_groups.iter().map(|group| (group.num_rows(), group.column(column).statistics())).collect();
    let nulls = all.iter().map(|(_, statistics)| statistics.and_then(Statistics::null_count_opt)).sum();
    // A row group without any value has no bounds, and needs none.
    let valued: Vec<_> = all
        .iter()
        .filter(|(rows, statistics)| {
            statistics.and_then(Statistics::null_count_opt) != Some(u64::try_from(*rows).unwrap_or_default())
        })
        .map(|(_, statistics)| statistics.and_then(|statistics| bounds(data_type, statistics)))
        .collect();
    let side = |pick: fn(Bounds) -> Option<Bound>| {
        valued.iter().map(|bounds| bounds.clone().and_then(pick)).collect::<Option<Vec<_>>>()
    };
    Summary {
        least: side(|(least, _)| least).and_then(|bounds| bounds.into_iter().min()),
        greatest: side(|(_, greatest)| greatest).and_then(|bounds| bounds.into_iter().max()),
        nulls,
    }
}

fn bounds(data_type: &DataType, statistics: &Statistics) -> Option<Bounds> {
    let number = |number: i64| Some(Bound::Number(number));
    let found = match (data_type, statistics) {
        (DataType::Int64 | DataType::Timestamp(TimeUnit::Microsecond, _), Statistics::Int64(values)) => {
            (values.min_opt().copied().and_then(number), values.max_opt().copied().and_then(number))
        }
        (DataType::Int32 | DataType::Date32, Statistics::Int32(values)) => (
            values.min_opt().copied().map(i64::from).and_then(number),
            values.max_opt().copied().map(i64::from).and_then(number),
        ),
        (DataType::Utf8, Statistics::ByteArray(values)) => {
            let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(|text| Bound::Text(text.to_owned()));
            (
                values.min_bytes_opt().filter(|_| values.min_is_exact()).and_then(text),
                values.max_bytes_opt().filter(|_| values.max_is_exact()).and_then(text),
            )
        }
        _ => return None,
    };
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Schema};

    use crate::store::{Packing, write_files};

    use super::*;

    fn check_stats(name: &str, array: ArrayRef, expected: &Value) {
        let field = Field::new(name, array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).expect("a batch");
        let root = tempfile::tempdir().expect("a folder");
        let file =
            write_files(root.path(), None, &schema, &[], Packing::Fast, [Ok(batch)]).expect("written").expect("a file");
        let found: Value = serde_json::from_str(&file.stats).expect("JSON");
        assert_eq!(&found, expected, "{name}");
    }

    #[test]
    fn bounds_are_those_of_delta() {
        let text = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
        let long = "x".repeat(200);
        check_stats(
            "text",
            text(vec![Some("b"), Some(""), None, Some("a")]),
            &json!({"numRecords": 4, "minValues": {"text": ""}, "maxValues": {"text": "b"}, "nullCount": {"text": 1}}),
        );
        check_stats(
            "long",
            text(vec![Some("a"), Some(&long)]),
            &json!({"numRecords": 2, "minValues": {"long": "a"}, "maxValues": {}, "nullCount": {"long": 0}}),
        );
        check_stats(
            "nothing",
            text(vec![None, None]),
            &json!({"numRecords": 2, "minValues": {}, "maxValues": {}, "nullCount": {"nothing": 2}}),
        );
        check_stats(
            "number",
            Arc::new(Int64Array::from(vec![3, -1, i64::MAX])),
            &json!({"numRecords": 3, "minValues": {"number": -1}, "maxValues": {"number": i64::MAX},
                "nullCount": {"number": 0}}),
        );
        check_stats(
            "day",
            Arc::new(Date32Array::from(vec![20_454, 0])),
            &json!({"numRecords": 2, "minValues": {"day": "1970-01-01"}, "maxValues": {"day": "2026-01-01"},
                "nullCount": {"day": 0}}),
        );
        check_stats(
            "ts",
            Arc::new(TimestampMicrosecondArray::from(vec![-1, 1_767_225_600_000_001]).with_timezone("UTC")),
            &json!({"numRecords": 2, "minValues": {"ts": "1969-12-31T23:59:59.999999Z"},
                "maxValues": {"ts": "2026-01-01T00:00:00.000001Z"}, "nullCount": {"ts": 0}}),
        );
    }

    #[test]
    fn row_groups_are_taken_together() {
        let rows = 300_000_i64;
        let numbers = (0..rows).map(|row| (row < 270_000).then_some(row - 5)).collect::<Int64Array>();
        check_stats(
            "number",
            Arc::new(numbers),
            &json!({"numRecords": rows, "minValues": {"number": -5}, "maxValues": {"number": 269_994},
                "nullCount": {"number": 30_000}}),
        );
    }

    #[test]
    fn bounds_are_read_back() {
        assert_eq!(integer_bounds(r#"{"minValues":{"batch":3},"maxValues":{"batch":4}}"#, "batch"), Some((3, 4)));
        assert_eq!(integer_bounds(r#"{"minValues":{"batch":3}}"#, "batch"), None);
        assert_eq!(integer_bounds("", "batch"), None);
    }
}
