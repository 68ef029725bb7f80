//! A chunk of events with its columns at hand, and the one order in which the events of a day are stored.
//! It does not know where events come from or where they go.

use std::cmp::Ordering;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, DictionaryArray, Int64Array, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{self, concat_batches};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType, UInt32Type};
use arrow::error::ArrowError;

use crate::error::{Error, Result};
use crate::event::Table;
use crate::store::{CODED_COLUMNS, STAGED_FILE_COLUMN, code, coded_schema};

use super::order::Pool;

/// The most rows of a chunk; a [`RowId`] has so many bits for the row.
pub(super) const CHUNK_ROWS: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: u32 = 16;

// Arrow's text columns hold at most 2 GiB. Ids are bounded by their rows; the kept fields in `extra` are not.
pub(super) const MANY_BYTES: u64 = 1 << 30;
const CHUNK_ROWS_WITH_MANY_BYTES: usize = 1 << 10;
// A chunk of so many rows is not worth being put together with the next batch.
const DECENT_ROWS: usize = 1 << 13;
// So many rows are looked at together by all threads, unless their kept fields or actions are long.
const GROUP_ROWS: usize = 1 << 18;
const GROUP_BYTES: u64 = 64 << 20;

/// The places in [`CODED_COLUMNS`].
pub(super) const USER: usize = 0;
pub(super) const ORG: usize = 1;
pub(super) const APP: usize = 2;
const ACTION: usize = 3;
const ROOM: usize = 4;

/// A row among many chunks: the number of the chunk above, the row in it in the lowest 16 bits.
pub(super) type RowId = u32;

/// Events with typed columns.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    /// The columns of `events`, in the order of its schema, ids coded.
    pub(super) batch: RecordBatch,
    pub(super) event_id: StringArray,
    pub(super) ts: TimestampMicrosecondArray,
    pub(super) duration_ms: Int64Array,
    pub(super) extra: StringArray,
    /// The columns of [`CODED_COLUMNS`], in their order.
    pub(super) coded: [Coded; CODED_COLUMNS.len()],
    /// The file of the ingest that a staged event came from; sealed events have none.
    pub(super) file: Option<UInt32Array>,
}

/// A coded column.
#[derive(Debug, Clone)]
pub(super) struct Coded {
    pub(super) codes: UInt32Array,
    pub(super) texts: StringArray,
}

impl Coded {
    pub(super) fn new(column: &ArrayRef) -> Option<Self> {
        let coded = column.as_dictionary_opt::<UInt32Type>()?;
        Some(Self { codes: coded.keys().clone(), texts: coded.values().as_string_opt::<i32>()?.clone() })
    }

    /// The text of a row.
    pub(super) fn str(&self, row: usize) -> &str {
        self.texts.value(self.codes.value(row) as usize)
    }

    /// The bytes of a row's text.
    pub(super) fn text(&self, row: usize) -> &[u8] {
        self.str(row).as_bytes()
    }

    /// Whether two rows have the same text.
    pub(super) fn is_same(&self, row: usize, other: usize) -> bool {
        self.codes.value(row) == self.codes.value(other) || self.text(row) == self.text(other)
    }
}

/// A text column as it lies in memory: what the inner loops read.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlainTexts<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
}

impl<'a> PlainTexts<'a> {
    pub(super) fn new(column: &'a StringArray) -> Self {
        Self { offsets: column.value_offsets(), bytes: column.value_data() }
    }

    /// The number of texts.
    pub(super) fn len(self) -> usize {
        self.offsets.len() - 1
    }

    /// The bytes of one text.
    pub(super) fn at(self, row: usize) -> &'a [u8] {
        let offset = |row: usize| self.offsets[row].cast_unsigned() as usize;
        &self.bytes[offset(row)..offset(row + 1)]
    }
}

/// The id of a row of a chunk.
#[expect(clippy::cast_possible_truncation, reason = "callers keep chunks and rows below 2^16 each")]
pub(super) fn row_id(chunk: usize, row: usize) -> RowId {
    debug_assert!(chunk < CHUNK_ROWS && row < CHUNK_ROWS);
    (chunk as u32) << CHUNK_BITS | row as u32
}

/// The chunk and the row of an id.
pub(super) fn position(id: RowId) -> (usize, usize) {
    ((id >> CHUNK_BITS) as usize, (id & ((1 << CHUNK_BITS) - 1)) as usize)
}

impl Rows {
    /// Looks up the columns of a batch, ids plain or coded; a column that is missing or of another type is an internal
    /// error.
    pub(super) fn new(batch: &RecordBatch) -> Result<Self> {
        let schema = coded_schema(&Table::Events.file_schema());
        let batch = code(batch).map_err(|cause| misfit("user_id", &format!("cannot be coded: {cause}")))?;
        let columns = schema.fields().iter().map(|field| {
            let column = batch.column_by_name(field.name()).ok_or_else(|| misfit(field.name(), "is missing"))?;
            if column.data_type() != field.data_type() {
                return Err(misfit(field.name(), &format!("has type {}", column.data_type())));
            }
            Ok(column.clone())
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let file = batch.column_by_name(STAGED_FILE_COLUMN).map(|column| {
            column.as_primitive_opt::<UInt32Type>().cloned().ok_or_else(|| misfit(STAGED_FILE_COLUMN, "is no UInt32"))
        });
        let file = file.transpose()?;
        let batch = RecordBatch::try_new(schema, columns)
            .map_err(|cause| Error::Internal(format!("events to be sealed do not fit their table: {cause}")))?;
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>()).cloned();
        let [Some(event_id), Some(extra)] = ["event_id", "extra"].map(text) else {
            return Err(misfit("event_id", "or another text column is no text"));
        };
        let coded = CODED_COLUMNS.map(|name| batch.column_by_name(name).and_then(Coded::new));
        let [Some(user_id), Some(org_id), Some(app_id), Some(action), Some(concurrent_id)] = coded else {
            return Err(misfit("user_id", "or another column of ids is not coded"));
        };
        let coded = [user_id, org_id, app_id, action, concurrent_id];
        let ts = batch.column_by_name("ts").and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let duration_ms = batch.column_by_name("duration_ms").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(ts), Some(duration_ms)) = (ts.cloned(), duration_ms.cloned()) else {
            return Err(misfit("ts", "or duration_ms is no number"));
        };
        Ok(Self { batch, event_id, ts, duration_ms, extra, coded, file })
    }

    /// The organisation of a row.
    pub(super) fn org(&self, row: usize) -> &[u8] {
        self.coded[ORG].text(row)
    }

    /// The number of events.
    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Compares two events by all columns, in the order in which a day is stored; equal means the same in every column.
    pub(super) fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let text = |column: usize| self.coded[column].text(row).cmp(other.coded[column].text(other_row));
        text(ORG)
            .then_with(|| text(USER))
            .then_with(|| text(APP))
            .then_with(|| self.compare_below_app(row, other, other_row))
    }

    /// Compares two events that agree in organisation, user and app.
    pub(super) fn compare_below_app(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        let text = |column: usize| self.coded[column].text(row).cmp(other.coded[column].text(other_row));
        let event_id = || self.event_id.value(row).as_bytes().cmp(other.event_id.value(other_row).as_bytes());
        (self.ts.value(row).cmp(&other.ts.value(other_row)))
            .then_with(event_id)
            .then_with(|| text(ACTION))
            .then_with(|| self.duration_ms.value(row).cmp(&other.duration_ms.value(other_row)))
            .then_with(|| text(ROOM))
            .then_with(|| self.extra_at(row).cmp(&other.extra_at(other_row)))
    }

    // No kept fields come before any.
    fn extra_at(&self, row: usize) -> Option<&[u8]> {
        self.extra.is_valid(row).then(|| self.extra.value(row).as_bytes())
    }

    /// The bytes of the kept fields, which alone can outgrow a text column.
    pub(super) fn extra_bytes(&self) -> u64 {
        text_bytes(&self.extra)
    }
}

/// Puts batches together to chunks of at most [`CHUNK_ROWS`] rows, in order.
pub(super) fn chunks(batches: impl Iterator<Item = Result<RecordBatch>>) -> impl Iterator<Item = Result<Rows>> {
    Chunks { batches: batches.fuse(), waiting: Vec::new(), waiting_rows: 0, waiting_bytes: 0, rest: None }
}

/// How many rows, out of rows that have so many bytes in any one column, may stand in one batch without an overflow.
pub(super) fn rows_at_once(column_bytes: u64) -> usize {
    if column_bytes < MANY_BYTES { CHUNK_ROWS } else { CHUNK_ROWS_WITH_MANY_BYTES }
}

/// Chunks in groups of about [`GROUP_ROWS`] rows, so that threads have something to share, in order.
pub(super) fn groups(mut chunks: impl Iterator<Item = Result<Rows>>) -> impl Iterator<Item = Result<Vec<Rows>>> {
    std::iter::from_fn(move || {
        let (mut group, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while rows < GROUP_ROWS && bytes < GROUP_BYTES {
            match chunks.next() {
                None if group.is_empty() => return None,
                None => break,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(chunk)) => {
                    rows += chunk.len();
                    bytes += chunk.extra_bytes() + text_bytes(&chunk.coded[ACTION].texts);
                    group.push(chunk);
                }
            }
        }
        Some(Ok(group))
    })
}

/// The rows with these positions (chunk, row), in this order, with the columns of `events`, ids coded by `pool`.
pub(super) fn gather(chunks: &[Rows], pool: &Pool, positions: &[(usize, usize)]) -> Result<RecordBatch> {
    gather_coded(chunks, positions, |column| {
        let ranking = &pool.0[column];
        let sources = chunks.iter().enumerate().map(|(chunk, rows)| {
            let codes: &[u32] = rows.coded[column].codes.values();
            (codes, ranking.of(chunk))
        });
        let sources = sources.collect::<Vec<_>>();
        let ranks = positions.iter().map(|&(chunk, row)| {
            let (codes, ranks) = sources[chunk];
            ranks[codes[row] as usize]
        });
        (ranks.collect(), Arc::clone(&ranking.texts))
    })
}

/// The same rows with lists of their own, which hold only the texts of these rows; a text of several chunks more than once.
/// The positions of a chunk stand together.
pub(super) fn pick(chunks: &[Rows], positions: &[(usize, usize)]) -> Result<RecordBatch> {
    gather_coded(chunks, positions, |column| {
        let mut texts = StringBuilder::new();
        let mut picked = Vec::with_capacity(positions.len());
        let mut places = Vec::new();
        for of_chunk in positions.chunk_by(|(one, _), (next, _)| one == next) {
            let coded = of_chunk.first().map(|&(chunk, _)| &chunks[chunk].coded[column]);
            let Some(Coded { codes, texts: list }) = coded else { continue };
            places.clear();
            places.resize(list.len(), None);
            for &(_, row) in of_chunk {
                let code = codes.value(row) as usize;
                picked.push(*places[code].get_or_insert_with(|| {
                    texts.append_value(list.value(code));
                    low(texts.len() - 1)
                }));
            }
        }
        (picked, Arc::new(texts.finish()))
    })
}

fn gather_coded(
    chunks: &[Rows],
    positions: &[(usize, usize)],
    coded: impl Fn(usize) -> (Vec<u32>, ArrayRef),
) -> Result<RecordBatch> {
    let failed = |cause: ArrowError| Error::Internal(format!("cannot put events together: {cause}"));
    let texts = |of: fn(&Rows) -> &StringArray| {
        if chunks.iter().all(|rows| of(rows).null_count() == rows.len()) {
            return Ok(Arc::new(StringArray::new_null(positions.len())) as ArrayRef);
        }
        let columns = chunks.iter().map(|rows| of(rows) as &dyn Array).collect::<Vec<_>>();
        compute::interleave(&columns, positions)
    };
    let instants = chunks.iter().map(|rows| rows.ts.values().as_ref()).collect::<Vec<&[i64]>>();
    let durations = chunks.iter().map(|rows| rows.duration_ms.values().as_ref()).collect::<Vec<&[i64]>>();
    let number = |columns: &[&[i64]]| positions.iter().map(|&(chunk, row)| columns[chunk][row]).collect::<Vec<_>>();
    let coded = |column: usize| {
        let (codes, texts) = coded(column);
        Ok::<_, ArrowError>(Arc::new(DictionaryArray::try_new(UInt32Array::from(codes), texts)?) as ArrayRef)
    };
    let columns = || -> std::result::Result<_, ArrowError> {
        Ok(vec![
            texts(|rows| &rows.event_id)?,
            Arc::new(TimestampMicrosecondArray::from(number(&instants)).with_timezone("UTC")),
            coded(USER)?,
            coded(ORG)?,
            coded(APP)?,
            coded(ACTION)?,
            Arc::new(Int64Array::from(number(&durations))),
            coded(ROOM)?,
            texts(|rows| &rows.extra)?,
        ])
    };
    columns()
        .and_then(|columns| RecordBatch::try_new(coded_schema(&Table::Events.file_schema()), columns))
        .map_err(failed)
}

struct Chunks<I> {
    batches: std::iter::Fuse<I>,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: u64,
    // What is left of a batch that was larger than a chunk.
    rest: Option<RecordBatch>,
}

impl<I: Iterator<Item = Result<RecordBatch>>> Iterator for Chunks<I> {
    type Item = Result<Rows>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let batch = match self.rest.take().map(Ok).or_else(|| self.batches.next()) {
                None if self.waiting.is_empty() => return None,
                None => return Some(self.emit()),
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(batch)) => batch,
            };
            let head = batch.slice(0, batch.num_rows().min(CHUNK_ROWS));
            let bytes = batch.get_array_memory_size() as u64;
            let is_full = self.waiting_rows + head.num_rows() > CHUNK_ROWS
                || self.waiting_rows >= DECENT_ROWS
                || self.waiting_bytes + bytes > MANY_BYTES;
            if is_full && !self.waiting.is_empty() {
                self.rest = Some(batch);
                return Some(self.emit());
            }
            if head.num_rows() < batch.num_rows() {
                self.rest = Some(batch.slice(head.num_rows(), batch.num_rows() - head.num_rows()));
            }
            if head.num_rows() > 0 {
                self.waiting_rows += head.num_rows();
                self.waiting_bytes += bytes;
                self.waiting.push(head);
            }
        }
    }
}

impl<I> Chunks<I> {
    fn emit(&mut self) -> Result<Rows> {
        let waiting = std::mem::take(&mut self.waiting);
        (self.waiting_rows, self.waiting_bytes) = (0, 0);
        match waiting.as_slice() {
            [one] => Rows::new(one),
            several => {
                let schema = several.first().map_or_else(|| Table::Events.file_schema(), RecordBatch::schema);
                let batch = concat_batches(&schema, several)
                    .map_err(|cause| Error::Internal(format!("cannot put staged events together: {cause}")))?;
                Rows::new(&batch)
            }
        }
    }
}

fn text_bytes(column: &StringArray) -> u64 {
    let offsets = column.value_offsets();
    match (offsets.first(), offsets.last()) {
        (Some(&first), Some(&last)) => u64::try_from(last - first).unwrap_or(0),
        _ => 0,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a list holds less than 2^31 bytes of text")]
fn low(place: usize) -> u32 {
    place as u32
}

fn misfit(column: &str, what: &str) -> Error {
    Error::Internal(format!("cannot seal events: column `{column}` {what}"))
}
