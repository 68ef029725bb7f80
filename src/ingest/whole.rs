//! Columns that are what they should be: a batch of Parquet is judged column by column and taken as it is, and only the
//! rows that may be no events go the long way. It decides nothing that [`super::record`] would not decide alike.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Field as Column, Int64Type, Schema, SchemaRef, TimeUnit, UInt32Type};
use arrow::error::ArrowError;

use crate::error::Result;
use crate::event::{DEFAULT_ACTION, MAX_DURATION_MS, MAX_ID_BYTES};
use crate::period::Day;
use crate::store::{CODED_COLUMNS, coded_schema, coded_type, staged_schema};

use super::columns::internal;
use super::record::{Judge, is_id};
use super::table::instant_us;
use super::timestamp::epoch_us;

/// The columns of a file as they are asked for: repeated ids coded, so that each text is looked at once.
pub(super) fn wanted_schema(file: &SchemaRef) -> SchemaRef {
    let is_text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let fields = file.fields().iter().map(|field| {
        let kind = match field.name().as_str() {
            _ if !is_text(field.data_type()) => return Arc::clone(field),
            name if CODED_COLUMNS.contains(&name) => coded_type(),
            "event_id" => DataType::Utf8,
            _ => return Arc::clone(field),
        };
        Arc::new(Column::new(field.name(), kind, field.is_nullable()).with_metadata(field.metadata().clone()))
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), file.metadata().clone()))
}

/// Accepted events of a batch, and the places of the other rows.
pub(super) struct Whole {
    /// In the columns of staged events, ids coded.
    pub(super) batch: RecordBatch,
    /// The day of each event.
    pub(super) days: Vec<Day>,
    /// The rows that are no events.
    pub(super) suspects: Vec<u32>,
}

/// Judges batches of one row group. It remembers what it knows of the texts of a column from batch to batch.
#[derive(Default)]
pub(super) struct Columns {
    known: [Option<Known>; CODED_COLUMNS.len()],
}

// The texts of a coded column.
struct Known {
    // As they were read: holding them keeps their address.
    read: StringArray,
    // As they are staged: the last one stands for a missing value.
    staged: ArrayRef,
    // Which of the staged ones no event may have; empty if all are good.
    bad: Vec<bool>,
    longest_bytes: usize,
}

impl Columns {
    /// `None` if a column is of a type that needs a closer look, or if a row may be too long.
    pub(super) fn judge(
        &mut self,
        batch: &RecordBatch,
        judge: &Judge,
        max_record_bytes: usize,
        file: u32,
    ) -> Result<Option<Whole>> {
        let rows = batch.num_rows();
        let mut is_bad = vec![false; rows];
        let Some(ts) = instants(batch, judge) else { return Ok(None) };
        let Some(event_id) = event_ids(batch) else { return Ok(None) };
        let Some(duration_ms) = durations(batch).map_err(internal)? else { return Ok(None) };
        let mut longest_bytes = longest_bytes(&event_id);
        let mut ids = Vec::with_capacity(CODED_COLUMNS.len());
        for (name, known) in CODED_COLUMNS.into_iter().zip(&mut self.known) {
            let Some(column) = coded_column(batch, name, known, &mut is_bad).map_err(internal)? else {
                return Ok(None);
            };
            longest_bytes += known.as_ref().map_or(0, |known| known.longest_bytes);
            ids.push(column);
        }
        if longest_bytes > max_record_bytes {
            return Ok(None);
        }
        let mut days = Vec::with_capacity(rows);
        for (row, is_bad) in is_bad.iter_mut().enumerate() {
            let day = if ts.is_valid(row) { judge.day_of(ts.value(row)) } else { None };
            *is_bad |= day.is_none();
            days.push(day.unwrap_or_default());
        }
        mark_bad_ids(&event_id, &mut is_bad);
        for (is_bad, ms) in is_bad.iter_mut().zip(duration_ms.values()) {
            *is_bad |= !(0..=MAX_DURATION_MS).contains(ms);
        }
        let [user_id, org_id, app_id, action, concurrent_id]: [ArrayRef; 5] =
            ids.try_into().map_err(|_| internal("a column of ids is missing"))?;
        let ts = TimestampMicrosecondArray::new(ts.values().clone(), None).with_timezone("UTC");
        let columns: Vec<ArrayRef> = vec![
            Arc::new(event_id),
            Arc::new(ts),
            user_id,
            org_id,
            app_id,
            action,
            Arc::new(duration_ms),
            concurrent_id,
            Arc::new(StringArray::new_null(rows)),
            Arc::new(UInt32Array::from_value(file, rows)),
        ];
        let mut batch = RecordBatch::try_new(coded_schema(&staged_schema()), columns).map_err(internal)?;
        let mut suspects = Vec::new();
        if is_bad.contains(&true) {
            suspects = (0..).zip(&is_bad).filter(|(_, is_bad)| **is_bad).map(|(row, _)| row).collect();
            let good: UInt32Array = (0..).zip(&is_bad).filter(|(_, is_bad)| !**is_bad).map(|(row, _)| row).collect();
            batch = take_record_batch(&batch, &good).map_err(internal)?;
            let mut bad = is_bad.iter();
            days.retain(|_| bad.next().is_some_and(|is_bad| !is_bad));
        }
        Ok(Some(Whole { batch, days, suspects }))
    }
}

/// The rows at these places.
pub(super) fn rows_at(batch: &RecordBatch, places: &[u32]) -> Result<RecordBatch> {
    take_record_batch(batch, &UInt32Array::from(places.to_vec())).map_err(internal)
}

// Microseconds; nothing where there is none or it is beyond 64 bits.
fn instants(batch: &RecordBatch, judge: &Judge) -> Option<Int64Array> {
    let column = batch.column_by_name("ts")?;
    match column.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let numbers = column.to_data().into_builder().data_type(DataType::Int64).build().ok()?;
            let numbers = Int64Array::from(numbers);
            Some(match unit {
                // They are what is wanted, and need no copy.
                TimeUnit::Microsecond => numbers,
                _ => numbers.unary_opt(|number| instant_us(number, *unit)),
            })
        }
        DataType::Int64 => {
            let form = judge.form();
            Some(column.as_primitive::<Int64Type>().unary_opt(|number| epoch_us(number, form)))
        }
        _ => None,
    }
}

fn event_ids(batch: &RecordBatch) -> Option<StringArray> {
    let Some(column) = batch.column_by_name("event_id") else {
        return Some(StringArray::from(vec![""; batch.num_rows()]));
    };
    let texts = column.as_string_opt::<i32>()?;
    match texts.nulls() {
        None => Some(texts.clone()),
        // What stands behind a null is no matter only if it is empty, as a reader of Parquet leaves it.
        Some(nulls) => {
            let offsets = texts.value_offsets();
            if (0..texts.len()).any(|row| nulls.is_null(row) && offsets[row] != offsets[row + 1]) {
                return None;
            }
            let (offsets, values, _) = texts.clone().into_parts();
            StringArray::try_new(offsets, values, None).ok()
        }
    }
}

// Missing ones are 0, and those that are no number of milliseconds are -1.
fn durations(batch: &RecordBatch) -> std::result::Result<Option<Int64Array>, ArrowError> {
    let seconds = batch.column_by_name("duration_s");
    if seconds.is_some_and(|column| column.null_count() < column.len()) {
        return Ok(None);
    }
    let Some(column) = batch.column_by_name("duration_ms") else {
        return Ok(Some(Int64Array::from_value(0, batch.num_rows())));
    };
    Ok(match column.data_type() {
        DataType::Null => Some(Int64Array::from_value(0, batch.num_rows())),
        DataType::Int64 | DataType::Int32 | DataType::UInt32 => {
            let numbers = cast(column, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            match numbers.nulls() {
                None => Some(numbers.clone()),
                Some(nulls) => {
                    let value = |(row, number): (usize, &i64)| if nulls.is_valid(row) { *number } else { 0 };
                    Some(Int64Array::from_iter_values(numbers.values().iter().enumerate().map(value)))
                }
            }
        }
        _ => None,
    })
}

// The column as it is staged; marks the rows whose text no event may have.
fn coded_column(
    batch: &RecordBatch,
    name: &str,
    known: &mut Option<Known>,
    is_bad: &mut [bool],
) -> std::result::Result<Option<ArrayRef>, ArrowError> {
    let missing = DictionaryArray::new(UInt32Array::from(Vec::<u32>::new()), Arc::new(StringArray::new_null(0)));
    let coded = match batch.column_by_name(name) {
        None => None,
        Some(column) if column.data_type() == &DataType::Null => None,
        Some(column) => match column.as_dictionary_opt::<UInt32Type>() {
            Some(coded) => Some(coded),
            None => return Ok(None),
        },
    };
    let Some(texts) = coded.unwrap_or(&missing).values().as_string_opt::<i32>() else { return Ok(None) };
    if texts.null_count() > 0 {
        return Ok(None);
    }
    let known = match known {
        Some(known) if is_same(&known.read, texts) => known,
        other => other.insert(Known::new(texts, name)),
    };
    let absent = u32::try_from(texts.len()).unwrap_or(u32::MAX);
    let codes = match coded {
        None => UInt32Array::from_value(absent, batch.num_rows()),
        Some(coded) => match coded.keys().nulls() {
            None => coded.keys().clone(),
            Some(nulls) => {
                let mut codes = coded.keys().values().to_vec();
                for (code, is_valid) in codes.iter_mut().zip(nulls) {
                    *code = if is_valid { *code } else { absent };
                }
                UInt32Array::from(codes)
            }
        },
    };
    if !known.bad.is_empty() {
        for (is_bad, code) in is_bad.iter_mut().zip(codes.values()) {
            *is_bad |= known.bad[*code as usize];
        }
    }
    Ok(Some(Arc::new(DictionaryArray::try_new(codes, Arc::clone(&known.staged))?)))
}

impl Known {
    fn new(read: &StringArray, name: &str) -> Self {
        let absent = if name == "action" { DEFAULT_ACTION } else { "" };
        let all = read.iter().flatten().map(|text| if text.is_empty() { absent } else { text }).chain([absent]);
        let staged = StringArray::from_iter_values(all);
        let is_good = |text: &str| match name {
            "action" => true,
            "app_id" => !text.is_empty() && is_id(text),
            _ => is_id(text),
        };
        let mut bad = staged.iter().flatten().map(|text| !is_good(text)).collect::<Vec<_>>();
        if !bad.contains(&true) {
            bad.clear();
        }
        Self { read: read.clone(), longest_bytes: longest_bytes(read), staged: Arc::new(staged), bad }
    }
}

fn is_same(one: &StringArray, other: &StringArray) -> bool {
    one.len() == other.len()
        && one.value_offsets().as_ptr() == other.value_offsets().as_ptr()
        && one.value_data().as_ptr() == other.value_data().as_ptr()
}

fn longest_bytes(texts: &StringArray) -> usize {
    let lengths = texts.value_offsets().windows(2).map(|ends| ends[1] - ends[0]);
    lengths.max().and_then(|length| usize::try_from(length).ok()).unwrap_or(0)
}

fn mark_bad_ids(ids: &StringArray, is_bad: &mut [bool]) {
    let offsets = ids.value_offsets();
    let range = |row: usize| offsets[row].cast_unsigned() as usize;
    let bytes = &ids.value_data()[range(0)..range(ids.len())];
    // Without a way out in between, so that many bytes are looked at together.
    let is_suspect = |byte: &u8| matches!(byte, 0..0x20 | 0x7f | 0xc2);
    let has_suspect = |bytes: &[u8]| bytes.iter().fold(false, |any, byte| any | is_suspect(byte));
    if bytes.chunks(1 << 12).any(has_suspect) || longest_bytes(ids) > MAX_ID_BYTES {
        for (row, is_bad) in is_bad.iter_mut().enumerate() {
            *is_bad |= !is_id(ids.value(row));
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use crate::period::parse_day;
    use crate::settings::TimestampForm;
    use crate::store::decode;

    use super::super::keep::Keep;
    use super::super::record::Rules;
    use super::super::table::Table;
    use super::*;

    const ROWS: usize = 3_000;

    fn rules() -> Rules {
        Rules {
            zone: "Asia/Shanghai".parse().expect("a zone"),
            now: DateTime::parse_from_rfc3339("2026-03-01T12:00:00Z").expect("an instant").to_utc(),
            earliest_day: parse_day("2000-01-01").expect("a day"),
            ts: TimestampForm::Us,
            max_record_bytes: 1 << 20,
        }
    }

    // Good and bad values of all kinds meet, because they change at different paces.
    fn pick<T: Clone>(values: &[T], pace: usize) -> Vec<T> {
        (0..ROWS).map(|row| values[row * pace / 7 % values.len()].clone()).collect()
    }

    fn batch(ts: ArrayRef) -> RecordBatch {
        let long = "x".repeat(MAX_ID_BYTES + 1);
        let ids = ["", "a", "b", "c", "\u{e9}", "\u{a0}", "a\u{85}", "\t", &long].map(Some).into_iter().chain([None]);
        let ids = ids.collect::<Vec<_>>();
        let text = |pace| Arc::new(StringArray::from(pick(&ids, pace))) as ArrayRef;
        let ms = [Some(0), Some(1), None, Some(MAX_DURATION_MS), Some(MAX_DURATION_MS + 1), Some(-1)];
        RecordBatch::try_from_iter([
            ("event_id", text(3)),
            ("ts", ts),
            ("user_id", text(5)),
            ("org_id", text(2)),
            ("app_id", text(11)),
            ("action", text(13)),
            ("concurrent_id", text(17)),
            ("duration_ms", Arc::new(Int64Array::from(pick(&ms, 19)))),
        ])
        .expect("a batch")
    }

    // Coded with its nulls.
    fn coded(batch: &RecordBatch) -> RecordBatch {
        let wanted = wanted_schema(&batch.schema());
        let columns =
            wanted.fields().iter().zip(batch.columns()).map(|(field, column)| cast(column, field.data_type()));
        let columns = columns.collect::<std::result::Result<_, _>>().expect("coded");
        RecordBatch::try_new(wanted, columns).expect("a batch")
    }

    fn check(batch: &RecordBatch) {
        let (rules, table) = (rules(), Table::new(batch, &Keep::default()).expect("a table"));
        let judge = Judge::new(&rules);
        let outcomes = (0..ROWS).map(|row| judge.event(&table.values(row))).collect::<Vec<_>>();
        let mut columns = Columns::default();
        let mut good = 0;
        // The second part finds the texts known.
        for part in [0..2_000, 2_000..ROWS] {
            let rows = coded(batch).slice(part.start, part.len());
            let whole =
                columns.judge(&rows, &judge, rules.max_record_bytes, 7).expect("judged").expect("plain columns");
            let bad = (0..).zip(&outcomes[part.clone()]).filter(|(_, outcome)| outcome.is_err()).map(|(row, _)| row);
            assert_eq!(whole.suspects, bad.collect::<Vec<u32>>());
            let events = decode(&whole.batch).expect("texts");
            let text = |name: &str, row: usize| events[name].as_string::<i32>().value(row).to_owned();
            let (instants, durations) = (number_column(&events, "ts"), number_column(&events, "duration_ms"));
            for (row, event) in outcomes[part].iter().flatten().enumerate() {
                let texts =
                    ["event_id", "user_id", "org_id", "app_id", "action", "concurrent_id"].map(|name| text(name, row));
                let expected =
                    [event.event_id, event.user_id, event.org_id, event.app_id, event.action, event.concurrent_id];
                assert_eq!(texts, expected);
                assert_eq!((instants.value(row), durations.value(row)), (event.ts_us, event.duration_ms));
                assert_eq!(whole.days[row], event.day);
                good += 1;
            }
            assert!(number_column(&events, "file").values().iter().all(|file| *file == 7));
            assert_eq!(events["extra"].null_count(), events.num_rows());
            assert_eq!(whole.days.len(), events.num_rows());
        }
        assert!(good > 50 && good < ROWS - 50, "{good}");
    }

    fn number_column(batch: &RecordBatch, name: &str) -> Int64Array {
        cast(&batch[name], &DataType::Int64).expect("numbers").as_primitive::<Int64Type>().clone()
    }

    #[test]
    fn columns_are_judged_like_rows() {
        let us = [0, 1_772_323_200_000_000, i64::MAX, 1_772_380_800_000_000, 4_102_444_800_000_000, -1].map(Some);
        let us = us.into_iter().chain([None, Some(1_772_366_400_000_001)]).collect::<Vec<_>>();
        check(&batch(Arc::new(TimestampMicrosecondArray::from(pick(&us, 23)).with_timezone("UTC"))));
        check(&batch(Arc::new(Int64Array::from(pick(&us, 23)))));
        let seconds = pick(&us, 23).into_iter().map(|us| us.map(|us| us / 1_000_000)).collect::<Vec<_>>();
        check(&batch(Arc::new(arrow::array::TimestampSecondArray::from(seconds).with_timezone("+08:00"))));
    }

    #[test]
    fn other_columns_go_the_long_way() {
        let judge = Judge::new(&rules());
        let good = batch(Arc::new(Int64Array::from(vec![0; ROWS])));
        let is_whole = |batch: &RecordBatch, max_record_bytes| {
            Columns::default().judge(batch, &judge, max_record_bytes, 0).expect("judged").is_some()
        };
        assert!(is_whole(&coded(&good), 1 << 20));
        assert!(!is_whole(&coded(&good), 300), "a row may be too long");
        assert!(!is_whole(&good, 1 << 20), "ids are not coded");
        assert!(!is_whole(&coded(&batch(Arc::new(StringArray::from(vec!["0"; ROWS])))), 1 << 20), "ts is text");
        assert!(!is_whole(&coded(&good.project(&[0, 2, 3, 4, 5, 6, 7]).expect("columns")), 1 << 20), "no ts");
    }
}
