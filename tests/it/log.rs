//! A small event log for tests: generated events, the batches that carry them, and a model that counts them one by one.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use orgpulse::period::Day;
use orgpulse::seal::Who;
use orgpulse::settings::DimensionSettings;
use orgpulse::store::{DataFile, TableFiles, staged_schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::{Strategy, prop};

/// The first day of the generated logs.
pub(crate) const FIRST_DAY: Day = 20_000;

/// An event; the fields are in the order in which a day is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) day: Day,
    pub(crate) org: String,
    pub(crate) user: String,
    pub(crate) app: String,
    pub(crate) ts: i64,
    pub(crate) id: String,
    pub(crate) action: String,
    pub(crate) duration_ms: i64,
    pub(crate) room: String,
    pub(crate) extra: Option<String>,
}

/// A row of a table as text, cell by cell, the day first.
pub(crate) type Row = Vec<String>;

/// Events that often collide in ids, users and organisations, some of them excluded, internal or machine events.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    let pick = |texts: &[&'static str]| prop::sample::select(texts.to_vec());
    let who = (pick(&["", "a", "b", "acme-0001", "acme-0002"]), pick(&["", "", "u1", "u10", "u2", "ü", "house"]));
    let what = (pick(&["chat", "erp", "crm", "hidden"]), pick(&["use", "use", "push_received", "check_in"]));
    let id = pick(&["", "", "1", "2", "3", "4", "5", "6", "7", "8"]);
    let rest = (pick(&["", "r1", "r2"]), prop::sample::select(vec![None, Some(""), Some("{\"a\":1}")]));
    // Few beginnings and lengths, so that events touch, overlap and begin together; some last past midnight.
    let ts = prop::sample::select(vec![0, 1, 10_000, 20_000, 20_001, 40_000, 86_399_990_000]);
    let duration_ms = prop::sample::select(vec![0, 0, 1, 10, 20, 30, 86_400_000]);
    (0..3, who, what, id, rest, ts, duration_ms).prop_map(
        |(day, (org, user), (app, action), id, (room, extra), ts, duration_ms)| Event {
            day: FIRST_DAY + day,
            org: org.to_owned(),
            user: user.to_owned(),
            app: app.to_owned(),
            ts: i64::from(FIRST_DAY + day) * 86_400_000_000 + ts,
            id: id.to_owned(),
            action: action.to_owned(),
            duration_ms,
            room: room.to_owned(),
            extra: extra.map(str::to_owned),
        },
    )
}

/// Who counts in the tests.
pub(crate) fn who() -> Who {
    let set = |text: &str| [text.to_owned()].into();
    Who { exclude_actions: set("push_received"), exclude_apps: set("hidden"), internal_users: set("house") }
}

/// Events as a staged batch, all from one file of the ingest.
pub(crate) fn staged<'a>(events: impl IntoIterator<Item = &'a Event>, file: u32) -> RecordBatch {
    let events = events.into_iter().collect::<Vec<_>>();
    let text =
        |of: fn(&Event) -> &str| Arc::new(StringArray::from_iter_values(events.iter().map(|event| of(event)))) as _;
    let instants = TimestampMicrosecondArray::from_iter_values(events.iter().map(|event| event.ts));
    let columns: Vec<ArrayRef> = vec![
        text(|event| &event.id),
        Arc::new(instants.with_timezone("UTC")),
        text(|event| &event.user),
        text(|event| &event.org),
        text(|event| &event.app),
        text(|event| &event.action),
        Arc::new(Int64Array::from_iter_values(events.iter().map(|event| event.duration_ms))),
        text(|event| &event.room),
        Arc::new(events.iter().map(|event| event.extra.as_deref()).collect::<StringArray>()),
        Arc::new(UInt32Array::from(vec![file; events.len()])),
    ];
    RecordBatch::try_new(staged_schema(), columns).expect("events fit the schema")
}

/// The events of a log of which each id counts once a day, sorted, and the number of the others.
pub(crate) fn accepted(log: &[Event]) -> (Vec<Event>, u64) {
    let mut known = HashSet::new();
    let is_new = |event: &&Event| event.id.is_empty() || known.insert((event.day, event.id.clone()));
    let mut kept = log.iter().filter(is_new).cloned().collect::<Vec<_>>();
    kept.sort();
    let duplicates = (log.len() - kept.len()) as u64;
    (kept, duplicates)
}

/// The rows of `events` that follow from accepted events.
pub(crate) fn event_rows(accepted: &[Event]) -> Vec<Row> {
    let row = |event: &Event| rows(Some(event.day), &staged([event], 0).project(&EVENTS).expect("the columns"));
    accepted.iter().flat_map(row).collect()
}

// The columns of a staged batch without its file.
const EVENTS: [usize; 9] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/// The rows of a batch, behind its day if it is not a column.
pub(crate) fn rows(day: Option<Day>, batch: &RecordBatch) -> Vec<Row> {
    let cell = |column: &ArrayRef, row: usize| match column.data_type() {
        _ if column.is_null(row) => "null".to_owned(),
        DataType::Utf8 => format!("{:?}", column.as_string::<i32>().value(row)),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Date32 => column.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        other => panic!("no column of a table has type {other}"),
    };
    let cells = |row| batch.columns().iter().map(move |column| cell(column, row));
    (0..batch.num_rows()).map(|row| day.map(|day| day.to_string()).into_iter().chain(cells(row)).collect()).collect()
}

/// The rows of files of a table, in the order of the files.
pub(crate) fn read(table: &TableFiles, files: &[DataFile]) -> Vec<Row> {
    let read = |file: &DataFile| {
        let opened = File::open(table.root.join(&file.path)).expect("a file of the store");
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened).expect("a footer").build().expect("a reader");
        reader.flat_map(|batch| rows(file.day, &batch.expect("rows"))).collect::<Vec<_>>()
    };
    files.iter().flat_map(read).collect()
}

/// The dimension files that the generator writes into a folder.
pub(crate) fn made_up_dimensions(folder: &Path) -> DimensionSettings {
    let file = |name: &str| Some(folder.join(name));
    DimensionSettings {
        orgs: file("orgs.csv"),
        users: file("users.csv"),
        apps: file("apps.csv"),
        campaigns: file("campaigns.csv"),
        account_lists: file("account_lists.csv"),
        calendar: file("calendar.csv"),
    }
}
