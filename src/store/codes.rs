//! Texts that repeat, as numbers into a list of texts: how the ids of events are held on their way into the store.
//! It does not know what the texts mean, nor the order of the numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;

use super::coder::Coder;

/// The columns of `events` whose texts repeat within a batch.
pub const CODED_COLUMNS: [&str; 5] = ["user_id", "org_id", "app_id", "action", "concurrent_id"];

/// The Arrow type of a coded column. Two numbers may stand for the same text.
#[must_use]
pub fn coded_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8))
}

/// The schema with its columns of [`CODED_COLUMNS`] coded.
#[must_use]
pub fn coded_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        if CODED_COLUMNS.contains(&field.name().as_str()) && field.data_type() == &DataType::Utf8 {
            Arc::new(Field::new(field.name(), coded_type(), field.is_nullable()))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Whether two lists of texts lie at the same place: then a code means the same in both, without a look at the texts.
#[must_use]
pub fn is_same_list(one: &StringArray, other: &StringArray) -> bool {
    one.len() == other.len() && one.value_offsets().as_ptr() == other.value_offsets().as_ptr()
}

/// The batch with its columns of [`CODED_COLUMNS`] coded.
pub fn code(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = coded_schema(&batch.schema());
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        match column.as_string_opt::<i32>().filter(|_| field.data_type() == &coded_type()) {
            Some(texts) => Arc::new(encode(texts)) as ArrayRef,
            None => Arc::clone(column),
        }
    });
    let columns = columns.collect();
    RecordBatch::try_new(schema, columns)
}

/// The batch with its coded columns as plain texts again.
pub fn decode(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.data_type() == &coded_type() {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable())));
            columns.push(cast(column, &DataType::Utf8)?);
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The coded form of a column without nulls.
pub(super) fn encode(texts: &StringArray) -> DictionaryArray<UInt32Type> {
    let mut coder = Coder::default();
    for row in 0..texts.len() {
        coder.push(texts.value(row));
    }
    coder.finish()
}

/// The batch without the texts that its coded columns do not use, where these are most of them.
pub(super) fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let is_loose = |column: &ArrayRef| {
        let coded = column.as_dictionary_opt::<UInt32Type>();
        coded.filter(|coded| coded.values().len() > 2 * coded.len()).cloned()
    };
    if !batch.columns().iter().any(|column| is_loose(column).is_some()) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(|column| match is_loose(column) {
        Some(coded) => compact_column(&coded),
        None => Ok(Arc::clone(column)),
    });
    RecordBatch::try_new(batch.schema(), columns.collect::<Result<_, _>>()?)
}

fn compact_column(coded: &DictionaryArray<UInt32Type>) -> Result<ArrayRef, ArrowError> {
    let mut used = coded.keys().values().to_vec();
    used.sort_unstable();
    used.dedup();
    let codes = coded.keys().values().iter().map(|code| used.partition_point(|known| known < code));
    let codes = codes.map(|code| u32::try_from(code).unwrap_or(u32::MAX)).collect::<UInt32Array>();
    let texts = arrow::compute::take(coded.values(), &UInt32Array::from(used), None)?;
    Ok(Arc::new(DictionaryArray::try_new(codes, texts)?))
}

#[cfg(test)]
mod tests {
    use super::super::coder::texts;
    use super::*;

    #[test]
    fn compact_drops_what_is_not_used() {
        let all = StringArray::from((0..100).map(|number| format!("u{number}")).collect::<Vec<_>>());
        let coded = encode(&all).slice(40, 3);
        let schema = Schema::new(vec![Field::new("user_id", coded_type(), false)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(coded)]).expect("a batch");
        let compact = compact(&batch).expect("compact");
        let column = compact.column(0).as_dictionary::<UInt32Type>();
        assert_eq!((texts(column), column.values().len()), (vec!["u40", "u41", "u42"], 3));
        assert_eq!(decode(&compact).expect("texts"), decode(&batch).expect("texts"));
        assert_eq!(code(&decode(&batch).expect("texts")).expect("coded"), batch);
    }
}
