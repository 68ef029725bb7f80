//! Arrow columns, from Parquet or from a SQL select, become the values of records.
//! It does not know what makes a record an event.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int64Type, TimeUnit,
};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;

use super::keep::Keep;
use super::record::{FIELDS, Field, Value, Values};

/// The columns of a batch that hold fields.
pub(super) struct Table {
    columns: [Column; FIELDS.len()],
    extra: Vec<Option<String>>,
}

impl Table {
    /// Finds the fields by name. Columns of a type that a field cannot have are no error: each of their values is.
    pub(super) fn new(batch: &RecordBatch, keep: &Keep) -> Result<Self, ArrowError> {
        let mut columns = std::array::from_fn(|_| Column::Missing);
        for (name, field) in FIELDS {
            if let Some(array) = batch.column_by_name(name) {
                columns[field as usize] = Column::new(array, field)?;
            }
        }
        Ok(Self { columns, extra: extras(batch, keep)? })
    }

    /// The values of a row.
    pub(super) fn values(&self, row: usize) -> Values<'_> {
        std::array::from_fn(|field| self.columns[field].value(row))
    }

    /// The kept fields of a row, as a JSON object.
    pub(super) fn extra(&self, row: usize) -> Option<&str> {
        self.extra.get(row)?.as_deref()
    }

    /// No row is longer than this.
    pub(super) fn longest_row_bytes(&self) -> usize {
        let extra = self.extra.iter().flatten().map(String::len).max().unwrap_or(0);
        self.columns.iter().map(Column::longest_bytes).sum::<usize>() + extra
    }

    /// How long a row is: the bytes of its text.
    pub(super) fn row_bytes(&self, row: usize) -> usize {
        let text = self.columns.iter().map(|column| match column.value(row) {
            Value::Text(text) => text.len(),
            _ => 0,
        });
        text.sum::<usize>() + self.extra(row).map_or(0, str::len)
    }
}

/// Rows as JSON objects, one a row, without their nulls.
pub(super) fn rows_as_json(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let mut text = Vec::new();
    let mut writer = LineDelimitedWriter::new(&mut text);
    writer.write(batch)?;
    writer.finish()?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(str::to_owned).collect())
}

fn extras(batch: &RecordBatch, keep: &Keep) -> Result<Vec<Option<String>>, ArrowError> {
    let schema = batch.schema();
    let places: Vec<usize> = keep.names().iter().filter_map(|name| schema.index_of(name).ok()).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let rows = rows_as_json(&batch.project(&places)?)?;
    Ok(rows.into_iter().map(|row| Some(row).filter(|row| row != "{}")).collect())
}

enum Column {
    Missing,
    Text(StringArray),
    Integer(StringArray),
    Decimal(StringArray),
    Binary(Int64Array),
    Instant(Int64Array, TimeUnit),
    Other(ArrayRef),
}

impl Column {
    fn new(array: &ArrayRef, field: Field) -> Result<Self, ArrowError> {
        use DataType as T;
        let text = |array: &ArrayRef| Ok::<_, ArrowError>(cast(array, &T::Utf8)?.as_string::<i32>().clone());
        let is_number_field = matches!(field, Field::Ts | Field::DurationMs | Field::DurationSeconds);
        Ok(match array.data_type() {
            T::Null => Self::Missing,
            T::Utf8 | T::LargeUtf8 | T::Utf8View => Self::Text(text(array)?),
            T::Dictionary(_, values) => Self::new(&cast(array, values)?, field)?,
            T::RunEndEncoded(_, values) => Self::new(&cast(array, values.data_type())?, field)?,
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 if is_number_field => {
                Self::Binary(cast(array, &T::Int64)?.as_primitive::<Int64Type>().clone())
            }
            kind if kind.is_integer() => Self::Integer(text(array)?),
            T::Float16 | T::Float32 | T::Float64 => Self::Decimal(shortest_decimals(array)),
            T::Decimal32(_, scale) | T::Decimal64(_, scale) | T::Decimal128(_, scale) | T::Decimal256(_, scale) => {
                let digits = decimals(array)?;
                if *scale == 0 { Self::Integer(digits) } else { Self::Decimal(digits) }
            }
            T::Timestamp(unit, Some(_)) if field == Field::Ts => {
                let instants = array.to_data().into_builder().data_type(T::Int64).build()?;
                Self::Instant(Int64Array::from(instants), *unit)
            }
            _ => Self::Other(Arc::clone(array)),
        })
    }

    #[inline]
    fn value(&self, row: usize) -> Value<'_> {
        match self {
            Self::Text(column) if column.is_valid(row) => Value::Text(column.value(row)),
            Self::Integer(column) if column.is_valid(row) => Value::Integer(column.value(row)),
            Self::Decimal(column) if column.is_valid(row) => Value::Decimal(column.value(row)),
            Self::Binary(column) if column.is_valid(row) => Value::Binary(column.value(row)),
            Self::Instant(column, unit) if column.is_valid(row) => Value::Instant(instant_us(column.value(row), *unit)),
            Self::Other(column) if column.is_valid(row) => Value::Other,
            _ => Value::Missing,
        }
    }
}

impl Column {
    fn longest_bytes(&self) -> usize {
        let Self::Text(column) = self else { return 0 };
        let lengths = column.value_offsets().windows(2).map(|ends| ends[1] - ends[0]);
        lengths.max().and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
    }
}

/// An instant in microseconds; `None` beyond 64 bits.
pub(super) fn instant_us(value: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => value.checked_mul(1_000_000),
        TimeUnit::Millisecond => value.checked_mul(1_000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond => Some(value.div_euclid(1_000)),
    }
}

// The shortest decimal text that reads back as the same number, without an exponent; not-a-number stays no number.
fn shortest_decimals(array: &ArrayRef) -> StringArray {
    match array.data_type() {
        DataType::Float16 => array.as_primitive::<Float16Type>().iter().map(|x| x.map(|x| x.to_string())).collect(),
        DataType::Float32 => array.as_primitive::<Float32Type>().iter().map(|x| x.map(|x| x.to_string())).collect(),
        _ => array.as_primitive::<Float64Type>().iter().map(|x| x.map(|x| x.to_string())).collect(),
    }
}

fn decimals(array: &ArrayRef) -> Result<StringArray, ArrowError> {
    Ok(match array.data_type() {
        DataType::Decimal256(..) => {
            let column = array.as_primitive::<Decimal256Type>();
            (0..column.len()).map(|row| column.is_valid(row).then(|| column.value_as_string(row))).collect()
        }
        DataType::Decimal128(..) => {
            let column = array.as_primitive::<Decimal128Type>();
            (0..column.len()).map(|row| column.is_valid(row).then(|| column.value_as_string(row))).collect()
        }
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
            return decimals(&cast(array, &DataType::Decimal128(38, *scale))?);
        }
        _ => StringArray::new_null(array.len()),
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int32Array,
        LargeStringArray, StringViewArray, TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
        UInt64Array,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    fn check(field: Field, array: impl Array + 'static, expected: &[Value]) {
        let (name, _) = FIELDS[field as usize];
        let batch = RecordBatch::try_from_iter([(name, Arc::new(array) as ArrayRef)]).expect("a batch");
        let table = Table::new(&batch, &Keep::default()).expect("a table");
        let found: Vec<_> = (0..batch.num_rows()).map(|row| table.values(row)[field as usize]).collect();
        assert_eq!(found, expected, "{field:?} {:?}", batch.schema());
    }

    #[test]
    fn text_comes_in_many_encodings() {
        use Value::{Integer, Missing, Text};
        let texts = [Some("a"), None, Some("")];
        let expected = [Text("a"), Missing, Text("")];
        check(Field::OrgId, StringArray::from(texts.to_vec()), &expected);
        check(Field::OrgId, LargeStringArray::from(texts.to_vec()), &expected);
        check(Field::OrgId, StringViewArray::from(texts.to_vec()), &expected);
        check(Field::OrgId, texts.into_iter().collect::<DictionaryArray<Int32Type>>(), &expected);
        check(Field::OrgId, Int32Array::from(vec![-7]), &[Integer("-7")]);
        check(Field::OrgId, UInt64Array::from(vec![u64::MAX]), &[Integer("18446744073709551615")]);
        check(Field::OrgId, BooleanArray::from(vec![Some(true), None]), &[Value::Other, Missing]);
    }

    #[test]
    fn instants_keep_their_microseconds() {
        use Value::{Binary, Instant, Other};
        let seconds = TimestampSecondArray::from(vec![2, i64::MAX]).with_timezone("UTC");
        check(Field::Ts, seconds, &[Instant(Some(2_000_000)), Instant(None)]);
        let ms = TimestampMillisecondArray::from(vec![-1]).with_timezone("+08:00");
        check(Field::Ts, ms, &[Instant(Some(-1_000))]);
        let ns = TimestampNanosecondArray::from(vec![1_999, -1]).with_timezone("UTC");
        check(Field::Ts, ns, &[Instant(Some(1)), Instant(Some(-1))]);
        check(Field::Ts, TimestampSecondArray::from(vec![2]), &[Other]);
        check(Field::Ts, Date32Array::from(vec![2]), &[Other]);
        check(Field::Ts, Int32Array::from(vec![2]), &[Binary(2)]);
    }

    #[test]
    fn durations_keep_their_digits() {
        use Value::{Binary, Decimal, Integer};
        check(
            Field::DurationSeconds,
            Float64Array::from(vec![1.0005, 1e-7]),
            &[Decimal("1.0005"), Decimal("0.0000001")],
        );
        check(Field::DurationSeconds, Float32Array::from(vec![0.1]), &[Decimal("0.1")]);
        let decimal = Decimal128Array::from(vec![10_005]).with_precision_and_scale(38, 4).expect("a decimal");
        check(Field::DurationSeconds, decimal, &[Decimal("1.0005")]);
        let whole = Decimal128Array::from(vec![5]).with_precision_and_scale(10, 0).expect("a decimal");
        check(Field::DurationMs, whole, &[Integer("5")]);
        check(Field::DurationMs, Int32Array::from(vec![5]), &[Binary(5)]);
        check(Field::DurationMs, Float64Array::from(vec![5.0]), &[Decimal("5")]);
    }

    #[test]
    fn kept_columns_become_an_object() {
        let batch = RecordBatch::try_from_iter([
            ("a", Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef),
            ("b", Arc::new(StringArray::from(vec![Some("x\"y"), None])) as ArrayRef),
        ])
        .expect("a batch");
        let keep = Keep::new(&["b".into(), "absent".into(), "a".into()]);
        let table = Table::new(&batch, &keep).expect("a table");
        assert_eq!(table.extra(0), Some(r#"{"b":"x\"y","a":1}"#));
        assert_eq!(table.extra(1), None);
    }
}
