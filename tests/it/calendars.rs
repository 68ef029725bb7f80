//! The SQL functions over activity calendars: the examples of the notes, and many ids on every engine against sets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Date32Type;
use arrow::util::display::array_value_to_string;
use datafusion::scalar::ScalarValue;
use orgpulse::calendar::day_bit;
use orgpulse::engine::{Engine, Parameters};
use orgpulse::error::Error;
use orgpulse::period::{Grain, parse_day};
use orgpulse::settings::{EngineKind, EngineSettings};
use orgpulse::store::{Packing, TableFiles, write_files};

type Days = BTreeMap<String, BTreeSet<i32>>;

fn day(text: &str) -> i32 {
    parse_day(text).expect("a day of the test")
}

/// The table of bits per month, in a file for each month.
fn table(root: &Path, days: &Days) -> TableFiles {
    let mut months: BTreeMap<i32, BTreeMap<&str, i64>> = BTreeMap::new();
    for (id, day) in days.iter().flat_map(|(id, days)| days.iter().map(move |day| (id.as_str(), *day))) {
        let month = Grain::Month.first_day(Grain::Month.index(day));
        *months.entry(month).or_default().entry(id).or_default() |= day_bit(day);
    }
    let batch = |(month, ids): (&i32, &BTreeMap<&str, i64>)| {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("month", Arc::new(Date32Array::from(vec![*month; ids.len()]))),
            ("entity", Arc::new(StringArray::from(vec!["user"; ids.len()]))),
            ("id", Arc::new(StringArray::from_iter_values(ids.keys()))),
            ("days", Arc::new(Int64Array::from_iter_values(ids.values().copied()))),
        ];
        RecordBatch::try_from_iter(columns).expect("a table")
    };
    let batches: Vec<RecordBatch> = months.iter().map(batch).collect();
    let schema = batches.first().expect("a month").schema();
    let write = |batch: &RecordBatch| {
        write_files(root, None, &schema, &[], Packing::Fast, [Ok(batch.clone())]).expect("written")
    };
    let files = batches.iter().filter_map(write).collect();
    let (name, sort_key) = ("activity_calendar".to_owned(), vec!["month".into(), "entity".into(), "id".into()]);
    TableFiles { name, root: root.to_owned(), schema, by_day: false, sort_key, version: None, files }
}

async fn engines(table: &TableFiles) -> Vec<(String, Engine)> {
    let mut kinds = vec![(EngineKind::Local, 1), (EngineKind::Local, 4)];
    if cfg!(feature = "cluster") {
        kinds.push((EngineKind::Standalone, 2));
    }
    let mut engines = Vec::new();
    for (kind, threads) in kinds {
        let settings = EngineSettings { kind, memory: 256 << 20, threads };
        let engine = Engine::start(&settings).await.expect("an engine");
        engine.register(table).expect("registered");
        engines.push((format!("{kind:?} on {threads}"), engine));
    }
    engines
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(work)
}

/// The examples of `docs/sql-notes.md`: an expression over `c`, and its answer.
fn examples() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sql-notes.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, section) = page.split_once("## Activity calendars").expect("the section");
    let block = section.split("```").nth(1).and_then(|block| block.strip_prefix("sql\n")).expect("its examples");
    let example = |line: &str| line.split_once("  -- ").map(|(sql, answer)| (sql.to_owned(), answer.to_owned()));
    block.lines().map(|line| example(line).expect("`sql  -- answer`")).collect()
}

#[test]
fn the_examples_of_the_notes_are_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let days = ["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02", "2026-02-10"].map(day);
    let table = table(folder.path(), &Days::from([("u".to_owned(), days.into())]));
    let parameters = Parameters::from([("as_of".to_owned(), ScalarValue::Date32(Some(day("2026-02-28"))))]);
    run(async {
        for (name, engine) in engines(&table).await {
            for (sql, answer) in examples() {
                let sql = format!(
                    "with c as (select id, calendar(month, days) as c from activity_calendar where entity = 'user' \
                     group by id) select {sql} as answer from c"
                );
                let batches = engine.collect(&sql, &parameters).await.expect(&sql);
                let rows: Vec<&RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).collect();
                let [row] = rows.as_slice() else { panic!("{name}: {sql} gives no single batch") };
                let found = array_value_to_string(row.column(0), 0).expect("a text");
                assert_eq!(if found.is_empty() { "null" } else { found.as_str() }, answer, "{name}: {sql}");
            }
        }
    });
}

#[test]
fn many_calendars_are_the_sets_of_their_days() {
    let mut state = 7_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i32::try_from((state >> 33) % below).expect("a small number")
    };
    let first = day("2025-11-17");
    let ids = (0..3_000).map(|id| {
        let count = random(9) + 1;
        (format!("user-{id:05}"), (0..count).map(|_| first + random(150)).collect::<BTreeSet<i32>>())
    });
    let days: Days = ids.collect();
    let folder = tempfile::tempdir().expect("a folder");
    let table = table(folder.path(), &days);
    let sql = "select id, unnest(calendar_days(c)) as day from \
               (select id, calendar(month, days) as c from activity_calendar group by id) order by id, day";
    let whole = "select unnest(calendar_days(calendar(month, days))) as day from activity_calendar order by day";
    run(async {
        for (name, engine) in engines(&table).await {
            let mut found = Days::new();
            for batch in engine.collect(sql, &Parameters::new()).await.expect(sql) {
                let (ids, of_ids) = (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Date32Type>());
                for (id, day) in ids.iter().zip(of_ids) {
                    assert!(found.entry(id.expect("an id").to_owned()).or_default().insert(day.expect("a day")));
                }
            }
            assert!(found == days, "{name}: other days than were given");
            let batches = engine.collect(whole, &Parameters::new()).await.expect(whole);
            let all: Vec<i32> = batches
                .iter()
                .flat_map(|batch| batch.column(0).as_primitive::<Date32Type>().values().to_vec())
                .collect();
            let expected: BTreeSet<i32> = days.values().flatten().copied().collect();
            assert_eq!(all, expected.into_iter().collect::<Vec<_>>(), "{name}");
        }
    });
}

#[test]
fn what_is_no_calendar_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = table(folder.path(), &Days::from([("u".to_owned(), [day("2026-01-30")].into())]));
    run(async {
        let (_, engine) = engines(&table).await.swap_remove(0);
        let answer = async |sql: &str| {
            let batches = engine.collect(sql, &Parameters::new()).await?;
            Ok::<_, Error>(array_value_to_string(batches[0].column(0), 0).expect("a text"))
        };
        let check = async |sql: &str, words: &str| {
            let error = answer(sql).await.expect_err(sql);
            assert!(matches!(error, Error::Definition(_)), "{sql}: {error:?}");
            assert!(error.to_string().contains(words), "{sql}: {error}");
        };
        check("select first_active(cast('no calendar' as bytea)) as a", "these bytes are no calendar").await;
        check("select first_active('2026-01-01') as a", "first_active(calendar) cannot take (Utf8)").await;
        check("select calendar(month, -1) as a from activity_calendar", "days=-1 are no bits of a month").await;
        check("select calendar(month, 2147483648) as a from activity_calendar", "days=2147483648 are no bits").await;
        check("select calendar(id, days, 1) as a from activity_calendar", "calendar(date, integer) cannot take").await;
        check("select trailing(calendar(month, days), 0) as a from activity_calendar", "a window of 0 days").await;
        let null = "select calendar(month, days) is null as a from activity_calendar where id = 'nobody'";
        assert_eq!(answer(null).await.expect(null), "true");
        let null = "select first_active(calendar(null, days)) is null as a from activity_calendar";
        assert_eq!(answer(null).await.expect(null), "true");
    });
}
