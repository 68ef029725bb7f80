//! Texts that repeat, as numbers into a list of texts: how the ids of events are held on their way into the store.
//! It does not know what the texts mean, nor the order of the numbers.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, DictionaryArray, RecordBatch, StringArray, StringBuilder, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};

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

/// Takes texts one by one and gives each distinct one a number, in the order of appearance.
#[derive(Debug)]
pub struct Coder {
    hasher: DefaultHashBuilder,
    // The hash of each known text and its number.
    table: HashTable<(u64, u32)>,
    texts: StringBuilder,
    codes: Vec<u32>,
}

impl Default for Coder {
    fn default() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            table: HashTable::new(),
            texts: StringBuilder::new(),
            codes: Vec::new(),
        }
    }
}

impl Coder {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        // Texts come in runs more often than not.
        if let Some(&last) = self.codes.last()
            && text_at(&self.texts, last) == text.as_bytes()
        {
            self.codes.push(last);
            return;
        }
        let hash = self.hasher.hash_one(text.as_bytes());
        let texts = &self.texts;
        let is_same = |&(known, code): &(u64, u32)| known == hash && text_at(texts, code) == text.as_bytes();
        let code = match self.table.entry(hash, is_same, |&(hash, _)| hash) {
            hashbrown::hash_table::Entry::Occupied(entry) => entry.get().1,
            hashbrown::hash_table::Entry::Vacant(slot) => {
                // A column of 2^32 distinct texts does not fit in memory.
                let code = u32::try_from(ArrayBuilder::len(&self.texts)).unwrap_or(u32::MAX);
                slot.insert((hash, code));
                self.texts.append_value(text);
                code
            }
        };
        self.codes.push(code);
    }

    /// The column of all texts since the last call.
    pub fn finish(&mut self) -> DictionaryArray<UInt32Type> {
        self.table.clear();
        let codes = UInt32Array::from(std::mem::take(&mut self.codes));
        DictionaryArray::new(codes, Arc::new(self.texts.finish()))
    }
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

fn text_at(texts: &StringBuilder, code: u32) -> &[u8] {
    let offsets = texts.offsets_slice();
    let offset = |place: usize| offsets.get(place).map_or(0, |offset| offset.cast_unsigned() as usize);
    // The builder's list of offsets always ends with the end of its texts.
    let (start, end) = (offset(code as usize), offset(code as usize + 1));
    texts.values_slice().get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(coded: &DictionaryArray<UInt32Type>) -> Vec<&str> {
        coded.downcast_dict::<StringArray>().expect("texts").into_iter().flatten().collect()
    }

    #[test]
    fn each_text_has_one_number() {
        let mut coder = Coder::default();
        for text in ["b", "a", "b", "b", "", "a"] {
            coder.push(text);
        }
        let coded = coder.finish();
        assert_eq!(texts(&coded), ["b", "a", "b", "b", "", "a"]);
        assert_eq!(coded.values().len(), 3);
        coder.push("a");
        let coded = coder.finish();
        assert_eq!((texts(&coded), coded.values().len()), (vec!["a"], 1));
        assert_eq!(coder.finish().len(), 0);
    }

    #[test]
    fn many_texts_keep_their_numbers() {
        let all = (0..10_000).map(|number| format!("u{}", number % 3_000)).collect::<Vec<_>>();
        let coded = encode(&StringArray::from(all.clone()));
        assert_eq!(texts(&coded), all);
        assert_eq!(coded.values().len(), 3_000);
    }

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
