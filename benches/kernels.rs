//! The kernels that a run spends its time in, over 400,000 ids and 180 days: `cargo bench`.
//! Activity calendars: reading them from bits per month, and each of the folds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use criterion::{Criterion, criterion_group, criterion_main};
use orgpulse::calendar::{
    Entities, Periods, Range, Starts, active_periods, day_bit, growth, retention, streaks, trailing,
};
use orgpulse::period::{Day, Grain, WeekStart};
use orgpulse::store::{Packing, write_files};

const IDS: u64 = 400_000;
const FIRST: Day = 20_454; // 2026-01-01
const DAYS: i32 = 180;

/// Half of all ids join on the first day, the others later; each then has its own chance to be active on a day.
fn is_active(id: u64, day: i32) -> bool {
    let mixed = |value: u64| {
        let value = (value ^ value >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (value ^ value >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
    };
    let joins = if id.is_multiple_of(2) { 0 } else { mixed(id) % 180 };
    let chance = mixed(id + 1_000_000) % 100;
    let day = u64::from(day.unsigned_abs());
    day >= joins && mixed(id << 8 | day) % 130 < chance
}

/// A file for each month, as `activity_calendar` is kept.
fn write(root: &Path) -> Vec<PathBuf> {
    let months = Grain::Month.index(FIRST)..=Grain::Month.index(FIRST + DAYS - 1);
    let file = |index: i32| {
        let month = Grain::Month.first_day(index);
        let days = month.max(FIRST)..=Grain::Month.last_day(index).min(FIRST + DAYS - 1);
        let bits = |id: u64| days.clone().filter(|day| is_active(id, day - FIRST)).map(day_bit).sum::<i64>();
        let rows: Vec<(String, i64)> =
            (0..IDS).map(|id| (format!("user-{id:07}"), bits(id))).filter(|(_, bits)| *bits > 0).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("month", Arc::new(Date32Array::from(vec![month; rows.len()]))),
            ("entity", Arc::new(StringArray::from(vec!["user"; rows.len()]))),
            ("id", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0)))),
            ("days", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("a table");
        let schema = batch.schema();
        let file = write_files(root, None, &schema, &[], Packing::Fast, [Ok(batch)]).expect("written").expect("a file");
        root.join(file.path)
    };
    months.map(file).collect()
}

fn calendars(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write(folder.path());
    let range = Range::new(FIRST, FIRST + DAYS - 1).expect("a range");
    let read = || Entities::find(&files).and_then(|found| found.read("user", range)).expect("calendars");
    let calendars = read();
    let mut group = criterion.benchmark_group("calendars");
    group.sample_size(10);
    group.bench_function("read", |bench| bench.iter(read));
    group.bench_function("trailing", |bench| bench.iter(|| trailing(&calendars, &[1, 7, 28])));
    let days = Periods::new(Grain::Day, range);
    let ever = Starts { from: range.first(), until: range.last(), recurring: false };
    group.bench_function("active_periods", |bench| bench.iter(|| active_periods(&calendars, &days, 28)));
    group.bench_function("streaks", |bench| bench.iter(|| streaks(&calendars, &days, 28)));
    for (grain, limit) in [(Grain::Day, 30), (Grain::Week(WeekStart::Monday), 26), (Grain::Month, 12)] {
        let periods = Periods::new(grain, range);
        group.bench_function(format!("growth by {}", grain.name()), |bench| {
            bench.iter(|| growth(&calendars, &periods, 1));
        });
        group.bench_function(format!("retention by {}", grain.name()), |bench| {
            bench.iter(|| retention(&calendars, &calendars, ever, &periods, limit));
        });
    }
    for reach in [28, 90] {
        let name = format!("growth over {reach} days");
        group.bench_function(name, |bench| bench.iter(|| growth(&calendars, &days, reach)));
    }
    group.finish();
}

criterion_group!(kernels, calendars);
criterion_main!(kernels);
