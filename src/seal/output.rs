//! Rows of a rollup on their way to a file: values in, batches of the table's columns out, texts coded.
//! It does not know what the values mean or where the batches go.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;

use crate::error::{Error, Result};
use crate::event::Table;
use crate::names::Names;
use crate::store::coded_schema;

// As many as a row group holds, so that each has one list of texts.
const BATCH_ROWS: usize = 1 << 18;
const UNKNOWN: u32 = u32::MAX;

/// A text of a row.
#[derive(Clone, Copy)]
pub(super) enum Text<'a> {
    /// One that has a number: the same one for the same text, until [`Output::forget`].
    Numbered(u32, &'a str),
    /// The same, where the text is a name and only looked up if it is not known yet: the number, and the name's own.
    Named(u32, &'a Names, u32),
    /// One that has none. A column has texts of one sort only.
    Plain(&'a str),
}

impl<'a> Text<'a> {
    /// A name by its own number.
    pub(super) fn name(names: &'a Names, number: u32) -> Self {
        Self::Named(number, names, number)
    }

    /// The text itself.
    pub(super) fn str(self) -> &'a str {
        match self {
            Self::Numbered(_, text) | Self::Plain(text) => text,
            Self::Named(_, names, name) => names.text(name),
        }
    }
}

/// Rows of a table whose first columns are texts; the others are integers, instants as microseconds.
pub(super) struct Output<const TEXTS: usize, const NUMBERS: usize> {
    table: Table,
    texts: [CodedTexts; TEXTS],
    numbers: [Vec<i64>; NUMBERS],
    rows: usize,
    full: Vec<RecordBatch>,
}

// A column of texts: their list, and each row's place in it.
#[derive(Default)]
struct CodedTexts {
    list: Names,
    codes: Vec<u32>,
    // The place of each numbered text, and which numbers have one.
    places: Vec<u32>,
    placed: Vec<u32>,
    // Whether texts of the list may have lost their numbers, so that a new number need not be a new text.
    has_forgotten: bool,
}

impl CodedTexts {
    #[inline]
    fn push(&mut self, text: Text<'_>) {
        let (Text::Numbered(number, _) | Text::Named(number, ..)) = text else {
            self.codes.push(self.list.number(0, text.str()));
            return;
        };
        let place = match self.places.get(number as usize) {
            Some(&place) if place != UNKNOWN => place,
            _ => self.place(number, text.str()),
        };
        self.codes.push(place);
    }

    // Gives a numbered text a place.
    #[cold]
    fn place(&mut self, number: u32, text: &str) -> u32 {
        if number as usize >= self.places.len() {
            self.places.resize(number as usize + 1, UNKNOWN);
        }
        let place = if self.has_forgotten { self.list.number(0, text) } else { self.list.push(text) };
        self.places[number as usize] = place;
        self.placed.push(number);
        place
    }

    fn forget(&mut self) {
        for number in self.placed.drain(..) {
            self.places[number as usize] = UNKNOWN;
        }
        self.has_forgotten = true;
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.forget();
        self.has_forgotten = false;
        let defect = |cause: &dyn Display| Error::Internal(format!("rows of a rollup are not coded well: {cause}"));
        let codes = UInt32Array::from(std::mem::take(&mut self.codes));
        let (texts, ends) = self.list.take();
        let offsets = std::iter::once(Ok(0)).chain(ends.map(i32::try_from)).collect::<std::result::Result<Vec<_>, _>>();
        let offsets = OffsetBuffer::new(offsets.map_err(|cause| defect(&cause))?.into());
        let texts = StringArray::try_new(offsets, texts.into_bytes().into(), None).map_err(|cause| defect(&cause))?;
        let column = DictionaryArray::try_new(codes, Arc::new(texts)).map_err(|cause| defect(&cause))?;
        Ok(Arc::new(column))
    }
}

impl<const TEXTS: usize, const NUMBERS: usize> Output<TEXTS, NUMBERS> {
    pub(super) fn new(table: Table) -> Self {
        let texts = std::array::from_fn(|_| CodedTexts::default());
        let numbers = std::array::from_fn(|_| Vec::new());
        Self { table, texts, numbers, rows: 0, full: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, texts: [Text<'_>; TEXTS], numbers: [i64; NUMBERS]) -> Result<()> {
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.push(text);
        }
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.push(number);
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    /// From now on numbers stand for other texts.
    pub(super) fn forget(&mut self) {
        self.texts.iter_mut().for_each(CodedTexts::forget);
    }

    /// Makes a batch of the rows that wait for one.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let schema = coded_schema(&self.table.file_schema());
        let mut columns = self.texts.iter_mut().map(CodedTexts::finish).collect::<Result<Vec<_>>>()?;
        let numbers = self.numbers.iter_mut().map(std::mem::take);
        columns.extend(numbers.zip(&schema.fields()[TEXTS..]).map(|(column, field)| match field.data_type() {
            DataType::Timestamp(_, zone) => {
                Arc::new(TimestampMicrosecondArray::from(column).with_timezone_opt(zone.clone())) as ArrayRef
            }
            _ => Arc::new(Int64Array::from(column)) as ArrayRef,
        }));
        let batch = RecordBatch::try_new(schema, columns)
            .map_err(|cause| Error::Internal(format!("rows of {} do not fit: {cause}", self.table.name())))?;
        self.full.push(batch);
        Ok(())
    }

    /// The table, and its complete batches so far, in the order of the rows.
    pub(super) fn full(&mut self) -> (Table, &mut Vec<RecordBatch>) {
        (self.table, &mut self.full)
    }
}
