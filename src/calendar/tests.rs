//! Reading tables of bits into calendars, and the folds against sets of numbers.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use super::bits::smear;
use super::lanes::Lanes;
use super::*;
use crate::period::parse_day;

fn day(text: &str) -> Day {
    parse_day(text).expect("a day of the test")
}

fn range(first: &str, last: &str) -> Range {
    Range::new(day(first), day(last)).expect("a range")
}

/// Month, entity, id, days of the month.
type Row<'a> = (&'a str, &'a str, &'a str, &'a [u32]);

fn table(rows: &[Row<'_>]) -> RecordBatch {
    let bits = |days: &[u32]| days.iter().map(|day| 1_i64 << (day - 1)).sum::<i64>();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("month", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| day(row.0))))),
        ("entity", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
        ("id", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2)))),
        ("days", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| bits(row.3))))),
    ];
    RecordBatch::try_from_iter(columns).expect("a table")
}

fn write(path: &Path, batch: &RecordBatch, group_rows: usize) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let file = File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("written");
    writer.close().expect("closed");
}

fn read_files(batches: &[RecordBatch], range: Range, group_rows: usize) -> Result<Calendars> {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<_> = (0..batches.len()).map(|file| folder.path().join(format!("{file}.parquet"))).collect();
    paths.iter().zip(batches).for_each(|(path, batch)| write(path, batch, group_rows));
    Entities::find(&paths)?.read("user", range)
}

/// The days of each id, counted from the first of the range.
fn days_of(calendars: &Calendars) -> Vec<Vec<usize>> {
    let list = |all: &mut Vec<Vec<usize>>, bits: Bits<'_>| all.push(numbers(bits));
    calendars.fold(Vec::new, list, |one, other| [one, other].concat())
}

fn numbers(bits: Bits<'_>) -> Vec<usize> {
    let mut next = bits.next(0);
    std::iter::from_fn(|| {
        let found = next?;
        next = bits.next(found + 1);
        Some(found)
    })
    .collect()
}

#[test]
fn months_come_together_by_id() {
    let rows: &[Row<'_>] = &[
        ("2026-01-01", "dag", "a", &[9]),
        ("2026-01-01", "user", "a", &[5, 31]),
        ("2026-01-01", "user", "b", &[7]),
        ("2026-02-01", "org", "a", &[1]),
        ("2026-02-01", "user", "a", &[1, 28]),
        ("2026-02-01", "user", "a-longer-id-than-sixteen-1", &[2]),
        ("2026-02-01", "user", "a-longer-id-than-sixteen-2", &[3]),
        ("2026-03-01", "user", "a-longer-id-than-sixteen-2", &[1, 2, 3]),
        ("2026-03-01", "user", "c", &[31]),
        ("2026-04-01", "user", "c", &[1]),
    ];
    let expected: &[&[usize]] = &[&[0, 26, 27, 54], &[28], &[29, 55, 56], &[2]];
    for group_rows in [1, 2, 3, 100] {
        for cut in 0..=rows.len() {
            let (left, right) = rows.split_at(cut);
            let batches = [table(left), table(right)];
            let calendars = read_files(&batches, range("2026-01-05", "2026-03-02"), group_rows).expect("calendars");
            assert_eq!(days_of(&calendars), expected, "{cut} rows in the first file, {group_rows} in a group");
            assert_eq!(calendars.ids(), 4);
        }
    }
}

#[test]
fn the_same_month_may_stand_in_two_files() {
    let one = table(&[("2026-01-01", "user", "a", &[5]), ("2026-01-01", "user", "b", &[6])]);
    let two = table(&[("2026-01-01", "user", "a", &[5, 7])]);
    let calendars = read_files(&[one, two], range("2026-01-05", "2026-01-31"), 9).expect("calendars");
    assert_eq!(days_of(&calendars), [vec![0, 2], vec![1]]);
}

#[test]
fn memory_follows_the_active_span() {
    let ids: Vec<String> = (0..BLOCK_IDS + 10).map(|id| format!("user-{id:06}")).collect();
    let rows: Vec<Row<'_>> = ids.iter().map(|id| ("2025-12-01", "user", id.as_str(), &[3, 4][..])).collect();
    let calendars = read_files(&[table(&rows)], range("2020-01-01", "2026-01-31"), 5000).expect("calendars");
    assert_eq!((calendars.ids(), calendars.blocks.len()), (ids.len(), 2));
    let held = calendars.blocks.iter().map(|block| block.words.len()).sum::<usize>();
    assert_eq!(held, ids.len(), "a word for each id");
}

#[test]
fn every_kind_of_text_and_integer_is_read() {
    let plain = table(&[
        ("2026-01-01", "dag", "b", &[5]),
        ("2026-01-01", "user", "a", &[5]),
        ("2026-01-01", "user", "c", &[6]),
    ]);
    for kind in [
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
    ] {
        let text = |column: usize| cast(plain.column(column), &kind).expect("text");
        let days: ArrayRef = Arc::new(Int32Array::from(vec![16, 16, 32]));
        let columns = [("days", days), ("month", Arc::clone(plain.column(0))), ("entity", text(1)), ("id", text(2))];
        let batch = RecordBatch::try_from_iter(columns).expect("a table");
        let calendars = read_files(&[batch], range("2026-01-01", "2026-01-31"), 9).expect("calendars");
        assert_eq!(days_of(&calendars), [[4], [5]], "{kind}");
    }
}

fn check_refused(batch: RecordBatch, expected: &str) {
    let error = read_files(&[batch], range("2026-01-05", "2026-03-02"), 9).map(|_| ()).expect_err("a wrong table");
    assert!(matches!(error, Error::Definition(_)), "{error:?}");
    assert_eq!(error.to_string(), format!("table `activity_calendar` has {expected}"));
}

#[test]
fn wrong_tables_are_refused() {
    check_refused(
        table(&[("2026-01-01", "user", "a", &[4])]),
        "day=2026-01-04 before the first observed day 2026-01-05",
    );
    check_refused(
        table(&[("2025-12-01", "user", "a", &[31])]),
        "day=2025-12-31 before the first observed day 2026-01-05",
    );
    check_refused(table(&[("2026-01-02", "user", "a", &[5])]), "month=2026-01-02; it must be the first of a month");
    check_refused(
        table(&[("2026-02-01", "user", "a", &[29])]),
        "days=268435456 in month 2026-02-01; it must be bits of its days",
    );
    check_refused(
        table(&[("2026-02-01", "user", "a", &[])]),
        "days=0 in month 2026-02-01; it must be bits of its days",
    );
    let twice = [("2026-02-01", "user", "b", &[5][..]), ("2026-02-01", "user", "a", &[5])];
    let message = "rows of month 2026-02-01 that are not sorted by `id` and unique, at id=`a`";
    check_refused(table(&twice), message);
    check_refused(table(&[twice[1], twice[1]]), message);
    let good = table(&[("2026-01-01", "user", "a", &[5])]);
    check_refused(good.project(&[0, 1, 3]).expect("columns"), "no column `id`");
    let columns = vec![
        Arc::clone(good.column(1)),
        Arc::clone(good.column(1)),
        Arc::clone(good.column(2)),
        Arc::clone(good.column(3)),
    ];
    let kinds =
        [("month", DataType::Utf8), ("entity", DataType::Utf8), ("id", DataType::Utf8), ("days", DataType::Int64)];
    let fields: Vec<Field> = kinds.into_iter().map(|(name, kind)| Field::new(name, kind, false)).collect();
    check_refused(
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a table"),
        "column `month` of type Utf8; it must be a date",
    );
    let empty: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let columns = [("month", good.column(0)), ("entity", good.column(1)), ("id", &empty), ("days", good.column(3))];
    check_refused(
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, Arc::clone(array), true)))
            .expect("a table"),
        "empty values in column `id`",
    );
}

#[test]
fn calendars_read_beside_each_other_have_the_same_ids() {
    let rows: &[Row<'_>] = &[
        ("2026-01-01", "return", "b", &[9]),
        ("2026-01-01", "return", "c", &[5]),
        ("2026-01-01", "start", "a", &[5]),
        ("2026-02-01", "return", "a", &[1]),
        ("2026-02-01", "start", "b", &[2]),
        ("2026-03-01", "start", "late", &[3]),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("0.parquet");
    write(&path, &table(rows), 2);
    let read = Entities::find(&[path])
        .and_then(|found| found.read_beside(["start", "return"], range("2026-01-05", "2026-03-02")));
    let [starts, returns] = read.expect("calendars");
    // The days of `late` are after the range, so it is in neither.
    assert_eq!(days_of(&starts), [vec![0], vec![28], vec![]]);
    assert_eq!(days_of(&returns), [vec![27], vec![4], vec![0]]);
}

#[test]
fn a_file_that_is_gone_is_a_storage_error() {
    let error = Entities::find(&["/no/such/file".into()]);
    assert!(matches!(error, Err(Error::Storage(_))), "{error:?}");
}

/// The words of a set as calendars hold them.
fn words(set: &BTreeSet<usize>) -> (usize, Vec<u64>) {
    let first = set.first().map_or(0, |first| first / 64);
    let last = set.last().map_or(0, |last| last / 64);
    let mut words = vec![0; last + 1 - first];
    for number in set {
        words[number / 64 - first] |= 1 << (number % 64);
    }
    (first, words)
}

fn sets() -> impl Strategy<Value = BTreeSet<usize>> {
    let number = prop_oneof![3 => 0..300_usize, 1 => 60..70_usize, 1 => 120..140_usize];
    let (numbers, row) = (prop::collection::btree_set(number, 1..40), (0..300_usize, 0..150_usize));
    (numbers, row).prop_map(|(numbers, (start, length))| numbers.into_iter().chain(start..start + length).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bits_are_sets(set in sets(), start in 0..400_usize, window in 1..64_u32) {
        let (first, words) = words(&set);
        let bits = Bits { first, words: &words };
        prop_assert_eq!(bits.next(start), set.range(start..).next().copied());
        prop_assert_eq!(bits.last(), set.last().copied());
        let from = (0..64).filter(|bit| set.contains(&(start + bit))).map(|bit| 1_u64 << bit).sum::<u64>();
        prop_assert_eq!(bits.from(start), from);
        let length = window as usize * 3;
        prop_assert_eq!(bits.count(start, length), set.range(start..start + length).count());
        prop_assert_eq!(bits.run(start), (start..1000).take_while(|number| set.contains(number)).count());
        let (end, mut scratch) = (7, vec![9]);
        let wide = bits.widen(window * 4, end, &mut scratch);
        let near = set.iter().flat_map(|number| *number..number + window as usize * 4).filter(|number| *number < end * 64);
        prop_assert_eq!(numbers(wide), near.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>());
        prop_assert!(wide.words.first() != Some(&0) && wide.words.last() != Some(&0));
        let width = window as usize;
        for (index, step) in bits.steps() {
            let smeared = smear(step, window);
            for bit in 0..64 {
                let number = index * 64 + bit;
                let near = set.range((number + 1).saturating_sub(width)..=number).next().is_some();
                prop_assert_eq!(smeared >> bit & 1 == 1, near, "{} in {:?}", number, &set);
            }
        }
    }

    #[test]
    fn lanes_count_each_bit(words in prop::collection::vec((0..3_usize, any::<u64>()), 0..700), cut in 0..700_usize) {
        let count = |words: &[(usize, u64)]| {
            let mut lanes = Lanes::new(3);
            for (index, word) in words {
                lanes.add(*index, *word);
            }
            lanes
        };
        let (left, right) = words.split_at(cut.min(words.len()));
        let found = count(left).join(count(right)).counts();
        for (place, found) in found.iter().enumerate() {
            let set = |(index, word): &&(usize, u64)| *index == place / 64 && word >> (place % 64) & 1 == 1;
            prop_assert_eq!(*found, words.iter().filter(set).count() as u64);
        }
    }
}
