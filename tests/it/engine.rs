//! The same question has the same answer on every engine and any number of threads: tables in files against DataFusion
//! over the same rows in memory.

use std::fs::{File, create_dir_all};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::scalar::ScalarValue;
use orgpulse::engine::{Engine, Parameters, RATE, SECONDS, failure};
use orgpulse::error::Error;
use orgpulse::settings::{EngineKind, EngineSettings};
use orgpulse::store::{DataFile, TableFiles};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

const FIRST_DAY: i32 = 20_454; // 2026-01-01

/// Queries that do not depend on which of two equal rows comes first.
const SHAPES: &[&str] = &[
    "select count(*) as n from events",
    "select count(*) as n from events where day >= date '2026-01-04'",
    "select min(day) as a, max(day) as b from events",
    "select * from events where day = '2026-01-03' and usage_ms > 500 order by org_id, user_id, usage_ms",
    "select org_id, user_id, usage_ms from events where day = date '2026-01-05' order by org_id, user_id, usage_ms",
    "select day, org_id, user_id, usage_ms from events order by day, org_id, user_id, usage_ms",
    "select org_id, count(*) as n, sum(usage_ms) as u from events group by org_id order by org_id",
    "select day, count(distinct user_id) as users from events where user_id <> '' group by day order by day",
    "select day, org_id, count(distinct user_id) as users, max(usage_ms) as m from events group by day, org_id order by day, org_id",
    "select count(*) as n from events where extract(day from day) % 2 = 0 and org_id = 'org-3'",
    "select e.day, o.industry, sum(e.usage_ms) as u from events e join orgs o on o.org_id = e.org_id group by 1, 2 order by 1, 2",
    "select o.org_id, count(e.user_id) as n from orgs o left join events e on e.org_id = o.org_id and e.day between '2026-01-02' and '2026-01-04' group by 1 order by 1",
    "select org_id from orgs o where not exists (select 1 from events e where e.org_id = o.org_id) order by 1",
    "select day, sum(n) over (order by day range between interval '2 days' preceding and current row) as n3 from (select day, count(*) as n from events group by day) order by day",
    "select org_id, day, day - lag(day) over (partition by org_id order by day) as gap from (select distinct org_id, day from events) order by org_id, day",
    "select org_id, user_id, usage_ms from events qualify row_number() over (partition by org_id order by usage_ms desc, user_id, day, is_mobile) = 1 order by org_id",
    "select org_id, is_mobile, count(*) as n, cast(grouping(org_id) as bigint) as g from events group by grouping sets ((org_id, is_mobile), (org_id), ()) order by g, org_id nulls last, is_mobile nulls last",
    "select day, org_id, sum(usage_ms) as u from events group by rollup (day, org_id) order by day nulls first, org_id nulls first",
    "select day, org_id, count(*) as n from events group by cube (day, org_id) order by 1 nulls first, 2 nulls first",
    "select org_id, count(*) as n from events group by org_id union all select 'all', count(*) from events order by 1",
    "select 'x' as org_id, 1 as n union all select org_id, usage_ms from events where usage_ms > 990 order by 1, 2",
    "select kind, n from (select 'orgs' as kind, count(*) as n from orgs union all select 'events', count(*) from events union all select 'days', count(distinct day) from events) order by kind",
    "select org_id, n from (select org_id, n from nothing union all select org_id, count(*) from events group by org_id union all (select org_id, usage_ms from events order by usage_ms desc, 1 limit 3)) order by org_id, n",
    "select a.day, a.org_id, a.n, b.m from (select day, org_id, count(*) as n from events group by day, org_id) a join (select day, org_id, count(*) as m from events where usage_ms > 3 group by day, org_id) b on a.day = b.day and a.org_id = b.org_id order by 1, 2",
    "select a.org_id, a.u, b.m from (select org_id, sum(usage_ms) as u from (select * from events order by org_id, user_id, usage_ms limit 900) group by org_id) a join (select org_id, max(usage_ms) as m from events group by org_id) b on a.org_id = b.org_id order by 1",
    "with busy as (select org_id, sum(usage_ms) as u from events group by org_id) select a.org_id, b.org_id as next from busy a join busy b on a.u < b.u order by 1, 2",
    "select d.day, count(distinct e.org_id) as orgs from (select distinct day from events) d join events e on e.day between d.day - 2 and d.day group by d.day order by d.day",
    "select count(*) as n, sum(n) as s from nothing",
    "select org_id, n from nothing where day >= '2026-01-01' order by org_id",
    "select e.org_id, x.n from events e left join nothing x on x.org_id = e.org_id where e.day = '2026-01-01' and e.usage_ms < 50 order by 1",
    "select part, value, note from notes order by note nulls first, part, value",
    "select count(*) as n, count(note) as notes, count(distinct note) as texts from notes",
    "select value, industry from notes n join orgs o on o.org_id = n.part order by value, industry",
    "select day, (select max(usage_ms) from events) as top, count(*) filter (where is_mobile) as mobile from events group by day order by day",
    "select * from (values (0, 'inactive'), (1, 'basic')) as level(number, name) order by number",
    "select distinct org_id from events where user_id in (select user_id from events where day = '2026-01-01' and is_mobile) order by 1",
    "select user_id from events where org_id = 'org-1' except select user_id from events where day > '2026-01-02' order by 1",
    "select sum(usage_ms * 0.5) as half, cast(sum(usage_ms) as decimal(38, 3)) / 1000 as s from events",
    "select org_id || ':' || coalesce(user_id, '') as k, cast(day as varchar) as d from events where usage_ms = 7 order by 1, 2",
    "select org_id from events order by org_id, user_id, usage_ms limit 5",
    "select count(*) as n from events where day = '2027-01-01'",
];

#[test]
fn the_shapes_of_queries_agree_on_every_engine() {
    let folder = tempfile::tempdir().expect("folder");
    let tables = tables(folder.path());
    run(async {
        let reference = reference(&tables);
        let mut expected = Vec::new();
        for sql in SHAPES {
            let batches = reference.sql(sql).await.expect(sql).collect().await.expect(sql);
            expected.push(rows(&batches));
        }
        for (engine, name) in engines(&tables).await {
            for (sql, expected) in SHAPES.iter().zip(&expected) {
                // An engine that does not answer is as wrong as one that answers wrongly.
                let parameters = Parameters::new();
                let answer = tokio::time::timeout(Duration::from_mins(1), engine.collect(sql, &parameters)).await;
                let found = answer.unwrap_or_else(|_| Err(Error::Internal("no answer".to_owned())));
                let found = found.map(|batches| rows(&batches));
                assert_eq!(found.as_ref().map_err(ToString::to_string), Ok(expected), "{name}: {sql}");
            }
        }
    });
}

#[test]
fn parameters_have_the_types_of_their_values() {
    let folder = tempfile::tempdir().expect("folder");
    let tables = tables(folder.path());
    let given = |name: &str, value: ScalarValue| (name.to_owned(), value);
    let parameters = Parameters::from([
        given("from", ScalarValue::Date32(Some(FIRST_DAY + 2))),
        given("limit", ScalarValue::Int64(Some(40))),
        given("below", ScalarValue::Int64(Some(-40))),
        given("has_orgs", ScalarValue::Boolean(Some(true))),
        given("text", ScalarValue::from("it's $from")),
        given("unknown", ScalarValue::Date32(None)),
    ]);
    run(async {
        for (engine, name) in engines(&tables).await {
            let check = async |sql: &str, expected: &str, types: &[DataType]| {
                let batches = engine.collect(sql, &parameters).await.expect(sql);
                assert_eq!(rows(&batches).join("/"), expected, "{name}: {sql}");
                let prepared = engine.prepare(sql, &parameters).await.expect(sql);
                let planned = SchemaRef::clone(prepared.schema());
                assert_eq!(types_of(&planned), types, "{name}: {sql}");
                assert!(batches.iter().all(|batch| batch.schema() == planned), "{name}: {sql}");
            };
            let (date, integer, text) = (DataType::Date32, DataType::Int64, DataType::Utf8);
            check("select $from - 27 as a, $from as b", "2025-12-07,2026-01-03", &[date.clone(), date.clone()]).await;
            check(
                "select $limit * 2 as a, $below + 1 as b, $from - date '2026-01-01' as c",
                "80,-39,2",
                &[integer.clone(), integer.clone(), integer.clone()],
            )
            .await;
            check("select case when $has_orgs then $text else '' end as a", "it's $from", std::slice::from_ref(&text))
                .await;
            check("select count(*) as n from events where day >= $from - 1 and usage_ms * 2 >= $limit and day < '2026-01-03' and usage_ms < 0", "0", std::slice::from_ref(&integer)).await;
            check("select day from (select unnest(generate_series($from, $from + 1, interval '1 day')) as day) order by day limit $limit", "2026-01-03/2026-01-04", std::slice::from_ref(&date)).await;
            check(
                "select coalesce($unknown, $from) as a, $unknown is null as b",
                "2026-01-03,true",
                &[date.clone(), DataType::Boolean],
            )
            .await;
            check("select rate(count(*), 3) as r, seconds(sum(n)) as s, $from + 30 as d, date '2026-01-01' - $from as b from nothing", "0.000000,,2026-02-02,-2", &[RATE, SECONDS, date.clone(), integer.clone()]).await;
            check("select period_start('week', $from, 'sunday') as w, period_end('month', $from, 'monday') as m from orgs limit 1", "2025-12-28,2026-01-31", &[date.clone(), date.clone()]).await;
        }
    });
}

#[test]
fn what_is_no_good_query_is_refused_with_advice() {
    let folder = tempfile::tempdir().expect("folder");
    let tables = tables(folder.path());
    let parameters = Parameters::from([("from".to_owned(), ScalarValue::Date32(Some(FIRST_DAY)))]);
    run(async {
        for (engine, name) in engines(&tables).await {
            let check = async |sql: &str, words: &[&str]| {
                let error = engine.prepare(sql, &parameters).await.expect_err(sql);
                assert!(matches!(error, Error::Definition(_)), "{name}: {sql}: {error:?}");
                let message = error.to_string();
                assert!(!message.contains('\n'), "{message}");
                for word in words {
                    assert!(message.contains(word), "{name}: {sql}: {message}");
                }
            };
            check("create table t as select 1", &["only queries"]).await;
            check("create view v as select 1", &["only queries"]).await;
            check("drop table events", &["only queries"]).await;
            check("insert into events select * from events", &["only queries"]).await;
            check("copy events to 'x.parquet'", &["only queries"]).await;
            check("set datafusion.execution.batch_size = 1", &["only queries"]).await;
            check("create external table t stored as csv location '/etc/passwd'", &["only queries"]).await;
            check("select 1; select 2", &["single SQL statement"]).await;
            check("selec 1", &["selec"]).await;
            check("select nothing_such from events", &["nothing_such"]).await;
            check("select 1 from no_such_table", &["no_such_table"]).await;
            check("select * from events where day >= $until", &["$until", "$from"]).await;
            check("select $1 as a", &["$1"]).await;
            check("select now() as a", &["now"]).await;
            check("select random() as a", &["random"]).await;
            check("select rate(1.5, 2) as a", &["rate(integer, integer)"]).await;
            check(
                "select sum(usage_ms) over (order by day range between 27 preceding and current row) as a from events",
                &["months", "interval '27 days'"],
            )
            .await;
        }
    });
}

#[test]
fn a_table_that_is_registered_again_is_the_new_one() {
    let folder = tempfile::tempdir().expect("folder");
    let mut tables = tables(folder.path());
    run(async {
        for (engine, name) in engines(&tables).await {
            let mut newer = tables[0].clone();
            newer.files.truncate(1);
            engine.register(&newer).expect("register");
            let batches = engine.collect("select count(*) as n, max(day) as d from events", &Parameters::new()).await;
            let rows = rows(&batches.expect("count"));
            assert_eq!(rows, [format!("{},2026-01-01", newer.files[0].rows)], "{name}");
        }
    });
    tables.truncate(1);
    tables[0].sort_key = vec!["absent".to_owned()];
    run(async {
        let engine = Engine::start(&EngineSettings::default()).await.expect("engine");
        assert!(matches!(engine.register(&tables[0]), Err(Error::Internal(_))));
        tables[0].sort_key.clear();
        tables[0].files[0].day = None;
        assert!(matches!(engine.register(&tables[0]), Err(Error::Internal(_))));
    });
}

#[test]
fn memory_is_bounded_and_the_disk_helps() {
    let folder = tempfile::tempdir().expect("folder");
    let table = large_table(folder.path(), 100_000);
    let start = async |memory: u64| {
        let settings = EngineSettings { kind: EngineKind::Local, memory, threads: 2 };
        let engine = Engine::start(&settings).await.expect("engine");
        engine.register(&table).expect("register");
        engine
    };
    run(async {
        let spilling = "select count(*) as n, sum(c) as s from (select key, count(*) as c from large group by key)";
        let batches = start(12 << 20).await.collect(spilling, &Parameters::new()).await.expect("spills");
        assert_eq!(rows(&batches), ["100000,100000"]);
        let sorting = "select sum(r) as s from (select row_number() over (order by key) as r from large)";
        let batches = start(12 << 20).await.collect(sorting, &Parameters::new()).await.expect("spills");
        assert_eq!(rows(&batches), ["5000050000"]);
        let joining = "select count(*) as n from large a join large b on a.key = b.key";
        let error = start(2 << 20).await.collect(joining, &Parameters::new()).await.expect_err("too large");
        assert!(matches!(error, Error::Storage(_)), "{error:?}");
        assert!(error.to_string().contains("[engine] memory"), "{error}");
    });
}

#[test]
fn a_broken_file_is_a_storage_error_and_a_bad_value_a_definition() {
    let folder = tempfile::tempdir().expect("folder");
    let tables = tables(folder.path());
    std::fs::write(tables[1].root.join("part-0.parquet"), b"nonsense").expect("write");
    run(async {
        for (engine, name) in engines(&tables).await {
            let check = async |sql: &str| engine.collect(sql, &Parameters::new()).await.expect_err(sql);
            if !name.starts_with("Standalone") {
                let error = check("select industry from orgs").await;
                assert!(matches!(error, Error::Storage(_)), "{name}: {error:?}");
            }
            let error = check("select cast(org_id as bigint) as n from events").await;
            assert!(matches!(error, Error::Definition(_)), "{name}: {error:?}");
            assert!(error.to_string().contains("Cannot cast"), "{name}: {error}");
        }
    });
    assert!(matches!(failure(datafusion::error::DataFusionError::Internal("x".into())), Error::Internal(_)));
}

/// Every engine that this binary has, at several widths, with the tables registered.
async fn engines(tables: &[TableFiles]) -> Vec<(Engine, String)> {
    let mut kinds = vec![(EngineKind::Local, 1), (EngineKind::Local, 2), (EngineKind::Local, 8)];
    if cfg!(feature = "cluster") {
        kinds.push((EngineKind::Standalone, 2));
    }
    let mut engines = Vec::new();
    for (kind, threads) in kinds {
        let settings = EngineSettings { kind, memory: 256 << 20, threads };
        let engine = Engine::start(&settings).await.expect("engine");
        for table in tables {
            engine.register(table).expect("register");
        }
        engines.push((engine, format!("{kind:?} on {threads}")));
    }
    engines
}

/// DataFusion over the same rows in memory, read back from the files one by one.
fn reference(tables: &[TableFiles]) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    let context = SessionContext::new_with_config(config);
    for table in tables {
        let mut fields: Vec<Field> = table.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        if table.by_day {
            fields.push(Field::new("day", DataType::Date32, false));
        }
        let schema = Arc::new(Schema::new(fields));
        let mut batches = Vec::new();
        for file in &table.files {
            let open = File::open(table.root.join(&file.path)).expect("open");
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(open);
            for batch in reader.expect("reader").build().expect("build") {
                let batch = batch.expect("batch");
                let day = file.day.map(|day| Arc::new(Date32Array::from(vec![day; batch.num_rows()])) as ArrayRef);
                let columns = batch.columns().iter().cloned().chain(day).collect();
                batches.push(RecordBatch::try_new(Arc::clone(&schema), columns).expect("batch"));
            }
        }
        let memory = MemTable::try_new(schema, vec![batches]).expect("table");
        context.register_table(table.name.as_str(), Arc::new(memory)).expect("register");
    }
    context
}

/// Four tables: `events` by day (a day is missing, one has two files), `orgs` of one sorted file, `nothing` without
/// files, `notes` of three files that are sorted by a column with nulls.
fn tables(root: &Path) -> Vec<TableFiles> {
    // A folder's name may hold what means something else in a URL or a glob.
    let root = &root.join("a b%20ä#?*~");
    let events = schema(&[
        ("org_id", DataType::Utf8, false),
        ("user_id", DataType::Utf8, false),
        ("usage_ms", DataType::Int64, false),
        ("is_mobile", DataType::Boolean, false),
    ]);
    let mut parts = Vec::new();
    for (day, name, count) in
        [(0, "a", 300), (1, "a", 700), (2, "a", 50), (2, "b", 80), (4, "a", 900), (5, "a", 10), (6, "a", 400)]
    {
        let day = FIRST_DAY + day;
        parts.push((
            Some(day),
            format!("day={}/{name}.parquet", orgpulse::period::format_day(day)),
            events_of(&events, day, count),
        ));
    }
    let events = write_table(root, "events", &events, &["org_id", "user_id"], parts);

    let orgs = schema(&[("org_id", DataType::Utf8, false), ("industry", DataType::Utf8, true)]);
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values((0..9).map(|n| format!("org-{n}"))));
    let industries: ArrayRef =
        Arc::new((0..9).map(|n| (n % 4 != 3).then(|| ["retail", "banking", "mining"][n % 3])).collect::<StringArray>());
    let batch = RecordBatch::try_new(Arc::clone(&orgs), vec![ids, industries]).expect("orgs");
    let orgs = write_table(root, "orgs", &orgs, &["org_id"], vec![(None, "part-0.parquet".into(), batch)]);

    let nothing = schema(&[("org_id", DataType::Utf8, false), ("n", DataType::Int64, false)]);
    let mut nothing = write_table(root, "nothing", &nothing, &["org_id"], vec![]);
    nothing.by_day = true;

    let notes =
        schema(&[("part", DataType::Utf8, false), ("value", DataType::Int64, false), ("note", DataType::Utf8, true)]);
    let parts = (0..3).map(|part| {
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values((0..20).map(|n| n * 3 + part)));
        let parts: ArrayRef = Arc::new(StringArray::from(vec![format!("org-{part}"); 20]));
        let texts: ArrayRef =
            Arc::new((0..20).map(|n| (n > 5).then(|| format!("note {n:02}"))).collect::<StringArray>());
        (
            None,
            format!("p{part}.parquet"),
            RecordBatch::try_new(Arc::clone(&notes), vec![parts, values, texts]).expect("notes"),
        )
    });
    let notes = write_table(root, "notes", &notes, &["note"], parts.collect());
    vec![events, orgs, nothing, notes]
}

/// Rows that look random and are the same each time, sorted by (`org_id`, `user_id`).
fn events_of(schema: &SchemaRef, day: i32, count: usize) -> RecordBatch {
    let mut state = u64::try_from(day).expect("a day after 1970");
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut rows: Vec<_> = (0..count)
        .map(|_| {
            let (org, user) = (next(7), next(40));
            let org = if org == 6 { String::new() } else { format!("org-{org}") };
            let user = if user < 3 { String::new() } else { format!("user-{user}") };
            (org, user, next(1000).cast_signed(), next(3) == 0)
        })
        .collect();
    rows.sort();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.1))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
        Arc::new(rows.iter().map(|row| Some(row.3)).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns).expect("events")
}

fn large_table(root: &Path, count: i64) -> TableFiles {
    let schema = schema(&[("key", DataType::Utf8, false)]);
    let keys = (0..count).map(|n| format!("{:020}", (n * 7_919) % count));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringArray::from_iter_values(keys))]);
    write_table(root, "large", &schema, &[], vec![(None, "large.parquet".into(), batch.expect("large"))])
}

type Part = (Option<i32>, String, RecordBatch);

fn write_table(root: &Path, name: &str, schema: &SchemaRef, sort_key: &[&str], parts: Vec<Part>) -> TableFiles {
    let root = root.join(name);
    let mut files = Vec::new();
    let by_day = parts.iter().any(|part| part.0.is_some());
    for (day, path, batch) in parts {
        let full = root.join(&path);
        create_dir_all(full.parent().expect("parent")).expect("folder");
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(10_000)).build();
        let file = File::create(&full).expect("create");
        let mut writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties)).expect("writer");
        writer.write(&batch).expect("write");
        writer.close().expect("close");
        let bytes = full.metadata().expect("metadata").len();
        files.push(DataFile { path, bytes, rows: batch.num_rows() as u64, day, stats: String::new() });
    }
    let sort_key = sort_key.iter().map(ToString::to_string).collect();
    TableFiles { name: name.into(), root, schema: Arc::clone(schema), by_day, sort_key, version: None, files }
}

fn schema(columns: &[(&str, DataType, bool)]) -> SchemaRef {
    let fields = columns.iter().map(|(name, kind, nullable)| Field::new(*name, kind.clone(), *nullable));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn types_of(schema: &SchemaRef) -> Vec<DataType> {
    schema.fields().iter().map(|field| field.data_type().clone()).collect()
}

fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let Some(first) = batches.first() else { return Vec::new() };
    let names: Vec<Field> = first.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    let schema = Arc::new(Schema::new(names));
    let batches: Vec<_> = batches
        .iter()
        .map(|b| RecordBatch::try_new(Arc::clone(&schema), b.columns().to_vec()).expect("batch"))
        .collect();
    let batch = concat_batches(&schema, &batches).expect("concat");
    let text = |row: usize| {
        let cells: Vec<_> =
            batch.columns().iter().map(|column| array_value_to_string(column, row).expect("cell")).collect();
        cells.join(",")
    };
    (0..batch.num_rows()).map(text).collect()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("runtime").block_on(future)
}
