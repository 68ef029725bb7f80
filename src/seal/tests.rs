//! Tests of the cores against each other and against a model that sorts and counts rows one by one.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::{ProptestConfig, Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::Threads;
use super::day::{DayResult, Place, seal_day};
use super::large::{Room, seal_large_day};
use super::rows::{Rows, chunks};
use super::who::Who;
use crate::error::Result;
use crate::event::Table;
use crate::store::{DataFile, decode, staged_schema};

/// In the order of the stored sort: org, user, app, ts, id, action, duration, concurrent, extra; and the file last.
type Event = (String, String, String, i64, String, String, i64, String, Option<String>, u32);

const FILES: usize = 3;

fn event() -> impl Strategy<Value = Event> {
    let id = prop::sample::select(vec!["", "", "1", "2", "3", "4", "5", "long id that is not in line with others"]);
    let org = prop::sample::select(vec!["", "a", "ab", "b", "é", "org-000000001", "org-000000002", "org-0000000021"]);
    let user = prop::sample::select(vec!["", "u", "u1", "u10", "u2", "internal", "ü"]);
    let app = prop::sample::select(vec!["chat", "erp", "hidden", "crm"]);
    let action = prop::sample::select(vec!["use", "push_received", ""]);
    let extra = prop::sample::select(vec![None, Some(""), Some("{}")]);
    let texts = (org, user, app, id, action, extra);
    let ts = prop::sample::select(vec![0, 1, 1000, 2000, 2001, 3000]);
    (texts, ts, 0..3_i64, prop::sample::select(vec!["", "room", "other"]), 0..3_u32).prop_map(
        |((org, user, app, id, action, extra), ts, duration_ms, room, file)| {
            let texts = [org, user, app, id, action, room].map(str::to_owned);
            let [org, user, app, id, action, room] = texts;
            (org, user, app, ts, id, action, duration_ms, room, extra.map(str::to_owned), file)
        },
    )
}

fn staged(events: &[Event]) -> RecordBatch {
    let text = |of: fn(&Event) -> &str| Arc::new(StringArray::from_iter_values(events.iter().map(of))) as ArrayRef;
    let columns = vec![
        text(|event| &event.4),
        Arc::new(TimestampMicrosecondArray::from_iter_values(events.iter().map(|event| event.3)).with_timezone("UTC")),
        text(|event| &event.1),
        text(|event| &event.0),
        text(|event| &event.2),
        text(|event| &event.5),
        Arc::new(Int64Array::from_iter_values(events.iter().map(|event| event.6))),
        text(|event| &event.7),
        Arc::new(events.iter().map(|event| event.8.as_deref()).collect::<StringArray>()),
        Arc::new(UInt32Array::from_iter_values(events.iter().map(|event| event.9))),
    ];
    RecordBatch::try_new(staged_schema(), columns).expect("events fit the schema")
}

fn rows(batches: &[RecordBatch]) -> Vec<Rows> {
    chunks(batches.iter().cloned().map(Ok)).collect::<Result<_>>().expect("chunks")
}

fn read(root: &Path, files: &[DataFile]) -> Vec<RecordBatch> {
    let batches = files.iter().flat_map(|file| {
        let file = File::open(root.join(&file.path)).expect("the file was written");
        ParquetRecordBatchReaderBuilder::try_new(file).expect("a footer").build().expect("a reader")
    });
    batches.collect::<std::result::Result<_, _>>().expect("rows")
}

/// Each row of batches as text, column by column.
fn cells(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let cell = |column: &ArrayRef, row: usize| match column.data_type() {
        _ if column.is_null(row) => "null".to_owned(),
        DataType::Utf8 => format!("{:?}", column.as_string::<i32>().value(row)),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        _ => column.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
    };
    let rows = batches.iter().flat_map(|batch| {
        (0..batch.num_rows()).map(move |row| batch.columns().iter().map(|column| cell(column, row)).collect())
    });
    rows.collect()
}

fn who() -> Who {
    let set = |text: &str| [text.to_owned()].into();
    Who { exclude_actions: set("push_received"), exclude_apps: set("hidden"), internal_users: set("internal") }
}

fn place<'a>(folder: &Path, who: &'a Who, part_rows: usize) -> Place<'a> {
    let roots = Table::ALL.map(|table| (table, folder.join(table.name()))).into();
    Place { day: 20_000, roots, who, part_rows, threads: Threads::All }
}

/// The rows of a sealed day, table by table.
type Content = BTreeMap<Table, Vec<Vec<String>>>;

fn content(place: &Place<'_>, result: &DayResult) -> Content {
    let rows = |table: Table, files: &[DataFile]| (table, cells(&read(&place.roots[&table], files)));
    let rollups = result.files.rollups.iter().map(|(&table, files)| rows(table, files));
    rollups.chain([rows(Table::Events, &result.files.events)]).collect()
}

/// The bytes of the files of a sealed day, table by table.
fn bytes(place: &Place<'_>, result: &DayResult) -> BTreeMap<Table, Vec<Vec<u8>>> {
    let bytes = |table: Table, files: &[DataFile]| {
        let read = |file: &DataFile| std::fs::read(place.roots[&table].join(&file.path)).expect("the file was written");
        (table, files.iter().map(read).collect())
    };
    let rollups = result.files.rollups.iter().map(|(&table, files)| bytes(table, files));
    rollups.chain([bytes(Table::Events, &result.files.events)]).collect()
}

fn model(sealed: &[Event], staged: &[Event]) -> (Vec<Event>, u64, Vec<u64>) {
    let mut known = HashSet::new();
    let mut kept = Vec::new();
    let mut duplicates = vec![0; FILES];
    for (number, event) in sealed.iter().chain(staged).enumerate() {
        if event.4.is_empty() || known.insert(event.4.clone()) {
            kept.push(event.clone());
        } else {
            assert!(number >= sealed.len(), "the test seals no duplicates");
            duplicates[event.9 as usize] += 1;
        }
    }
    kept.sort();
    let accepted = (kept.len() - sealed.len()) as u64;
    (kept, accepted, duplicates)
}

fn model_rollups(events: &[Event]) -> [Vec<Vec<String>>; 2] {
    let (mut users, mut apps) = (BTreeMap::<_, [i64; 4]>::new(), BTreeMap::<_, [i64; 4]>::new());
    for (org, user, app, _, _, action, duration_ms, ..) in events {
        let counts = action != "push_received" && app != "hidden";
        let human = i64::from(counts && !user.is_empty() && user != "internal");
        let machine = i64::from(counts && user.is_empty());
        let add = |sums: &mut [i64], new: &[i64]| sums.iter_mut().zip(new).for_each(|(sum, new)| *sum += new);
        if !user.is_empty() {
            add(users.entry((org, user)).or_default(), &[1, human, human * duration_ms, 0]);
        }
        add(apps.entry((org, app)).or_default(), &[1, human, machine, human * duration_ms]);
    }
    let row = |texts: [&String; 2], numbers: &[i64]| {
        texts.iter().map(|text| format!("{text:?}")).chain(numbers.iter().map(ToString::to_string)).collect()
    };
    [
        users.iter().map(|((org, user), sums)| row([org, user], sums)).collect(),
        apps.iter().map(|((org, app), sums)| row([org, app], sums)).collect(),
    ]
}

// Splits at the given places, so that chunks of all sizes meet.
fn batches(events: &[Event], cuts: &[usize]) -> Vec<RecordBatch> {
    let mut cuts = cuts.iter().map(|cut| cut % (events.len() + 1)).chain([0, events.len()]).collect::<Vec<_>>();
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| staged(&events[pair[0]..pair[1]])).collect()
}

proptest! {
    // Every case writes and syncs dozens of files.
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn both_paths_seal_what_the_model_says(
        old in prop::collection::vec(event(), 0..40),
        new in prop::collection::vec(event(), 0..80),
        cuts in prop::collection::vec(any::<usize>(), 0..4),
        part_rows in 1..30_usize,
        memory in 500..4000_u64,
        // With one part at a time, or several.
        unit in prop::sample::select(vec![1, 1 << 20]),
    ) {
        let (old, ..) = model(&[], &old);
        let (expected, accepted, duplicates) = model(&old, &new);
        let folder = tempfile::tempdir().expect("a folder");
        let (who, sealed, staged) = (who(), rows(&batches(&old, &[])), batches(&new, &cuts));
        let place = place(folder.path(), &who, part_rows);
        let in_memory = seal_day(&place, sealed.clone().into_iter().map(Ok), rows(&staged), FILES).expect("sealed");
        let room = Room { folder: folder.path(), memory: memory * unit, wanted: 6000 * unit, sample_step: 2 };
        let old_rows = || sealed.clone().into_iter().map(Ok);
        let new_rows = || chunks(staged.clone().into_iter().map(Ok));
        let on_disk = seal_large_day(&place, old_rows, new_rows, FILES, room).expect("sealed on disk");
        for result in [&in_memory, &on_disk] {
            prop_assert_eq!(result.counts.accepted, accepted);
            prop_assert_eq!(&result.duplicates, &duplicates);
            prop_assert_eq!(result.counts.duplicate, duplicates.iter().sum::<u64>());
        }
        let (one, other) = (content(&place, &in_memory), content(&place, &on_disk));
        prop_assert_eq!(&one, &other);
        prop_assert!(bytes(&place, &in_memory) == bytes(&place, &on_disk), "the same rows in other bytes");
        let whole = Place { part_rows: usize::MAX, threads: Threads::One, ..self::place(folder.path(), &who, 0) };
        let again = seal_day(&whole, old_rows(), rows(&staged), FILES).expect("sealed whole");
        prop_assert_eq!(&one, &content(&whole, &again), "in one part");
        let rows_of = |result: &DayResult| result.files.events.iter().map(|file| file.rows).collect::<Vec<_>>();
        prop_assert_eq!(rows_of(&in_memory), rows_of(&on_disk));
        if accepted > 0 {
            let batch = decode(&Rows::new(&self::staged(&expected)).expect("rows").batch).expect("texts");
            let rollups = model_rollups(&expected);
            prop_assert_eq!(&one[&Table::Events], &cells(&[batch]));
            prop_assert_eq!(&one[&Table::UserDay], &rollups[0]);
            prop_assert_eq!(&one[&Table::OrgAppDay], &rollups[1]);
        } else {
            prop_assert!(one.values().all(Vec::is_empty));
        }
    }
}

#[test]
fn parts_end_with_whole_organisations() {
    let event =
        |org: &str| (org.into(), "u".into(), "a".into(), 0, String::new(), "use".into(), 0, String::new(), None, 0);
    let events = ["b", "a", "a", "a", "c", "d", "d"].map(event);
    let folder = tempfile::tempdir().expect("a folder");
    let who = who();
    let place = place(folder.path(), &who, 2);
    let result = seal_day(&place, std::iter::empty(), rows(&[staged(&events)]), 1).expect("sealed");
    let rows = result.files.events.iter().map(|file| file.rows).collect::<Vec<_>>();
    assert_eq!(rows, [3, 2, 2]);
    assert_eq!(result.files.rollups[&Table::UserDay].len(), 3);
}

#[test]
fn chunks_join_small_batches_and_cut_large_ones() {
    let event = |ts: i64| {
        let [org, user, app, id, action, room] = ["", "", "a", "", "use", ""].map(str::to_owned);
        (org, user, app, ts, id, action, 0, room, None, 0)
    };
    let events = (0..150_000).map(event).collect::<Vec<_>>();
    let all = staged(&events);
    let parts = [all.slice(0, 10), all.slice(10, 0), all.slice(10, 20), all.slice(30, 149_970)];
    let sizes = rows(&parts).iter().map(Rows::len).collect::<Vec<_>>();
    assert_eq!(sizes.iter().sum::<usize>(), 150_000);
    assert!(sizes.iter().all(|&size| size <= 1 << 16), "{sizes:?}");
    let ts = rows(&parts).iter().flat_map(|rows| rows.ts.values().to_vec()).collect::<Vec<_>>();
    assert!(ts.is_sorted());
    assert_eq!(Table::Events.file_schema(), decode(&rows(&parts)[0].batch).expect("texts").schema());
}
