//! What a whole ingest does with files, as a user would see it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::bytes::{Checksum, checksum};
use super::*;
use crate::period::format_day;
use crate::store::decode;

const NOW: &str = "2026-03-10T12:00:00Z";

/// What became of an ingest, as text: staged rows by day, rejects, and counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    days: BTreeMap<String, Vec<String>>,
    rejects: Vec<String>,
    files: Vec<(u64, u64, u64)>,
    skipped: Vec<bool>,
}

struct Ingest<'a> {
    settings: &'a str,
    threads: usize,
    chunk_bytes: usize,
}

const PLAIN: Ingest = Ingest { settings: "[ingest]\nmax_rejected = 1\n", threads: 1, chunk_bytes: 1 << 20 };

impl Ingest<'_> {
    fn run(&self, folder: &Path, known: &[Checksum]) -> Result<Outcome> {
        let settings = Settings::parse(self.settings).expect("settings");
        let work_folder = tempfile::tempdir().expect("a folder");
        let order = Order {
            settings: &settings,
            inputs: &[Input::Path(folder.display().to_string())],
            known: &known.iter().map(|known| (known.bytes, known.sha256.clone())).collect(),
            now: DateTime::parse_from_rfc3339(NOW).expect("an instant").to_utc(),
            work_folder: work_folder.path(),
            progress: &|done, total| assert!(done <= total, "{done} of {total}"),
        };
        let intake = read_in_chunks(&order, self.threads, self.chunk_bytes)?;
        let mut outcome = Outcome::default();
        for file in &intake.files {
            assert_eq!(file.read, file.accepted + file.rejected, "{file:?}");
            assert_eq!(file.sha256, checksum(file.source.as_ref()).expect("readable").sha256);
            outcome.files.push((file.read, file.accepted, file.rejected));
            outcome.skipped.push(file.skipped);
        }
        let staged = |batch: RecordBatch| (0..batch.num_rows()).map(move |row| show_row(&batch, row));
        for day in intake.staging.days() {
            let batches = intake.staging.read(day).expect("staged");
            let rows = batches.flat_map(|batch| staged(decode(&batch.expect("a batch")).expect("texts"))).collect();
            outcome.days.insert(format_day(day), rows);
        }
        for batch in &intake.rejects {
            let text = |name: &str| batch.column_by_name(name).expect("a column").as_string::<i32>().clone();
            let lines = batch.column_by_name("line").expect("a column").as_primitive::<Int64Type>().clone();
            let (sources, reasons, raws) = (text("source"), text("reason"), text("raw"));
            for row in 0..batch.num_rows() {
                assert!(sources.value(row).starts_with(&folder.display().to_string()));
                outcome.rejects.push(format!("{} {}: {}", lines.value(row), reasons.value(row), raws.value(row)));
            }
        }
        Ok(outcome)
    }

    /// One file of this name.
    fn read(&self, name: &str, bytes: &[u8]) -> Result<Outcome> {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(name), bytes).expect("a file");
        self.run(folder.path(), &[])
    }
}

// `event_id user org app action duration concurrent [extra] @time file`; `-` for an empty text.
fn show_row(batch: &RecordBatch, row: usize) -> String {
    let text = |name: &str| {
        let column = batch.column_by_name(name).expect("a column").as_string::<i32>();
        let text = if column.is_valid(row) { column.value(row) } else { "null" };
        if text.is_empty() { "-".to_owned() } else { text.to_owned() }
    };
    let ts = batch.column_by_name("ts").expect("ts").as_any().downcast_ref::<TimestampMicrosecondArray>();
    let ts = DateTime::from_timestamp_micros(ts.expect("instants").value(row)).expect("an instant");
    let duration = batch.column_by_name("duration_ms").expect("a column").as_primitive::<Int64Type>().value(row);
    let file =
        batch.column_by_name("file").expect("a column").as_primitive::<arrow::datatypes::UInt32Type>().value(row);
    format!(
        "{} {} {} {} {} {duration} {} {} {} {file}",
        text("event_id"),
        text("user_id"),
        text("org_id"),
        text("app_id"),
        text("action"),
        text("concurrent_id"),
        text("extra"),
        ts.format("%H:%M:%S%.6f"),
    )
}

/// The rows of one file, and its rejects.
fn check(ingest: &Ingest, name: &str, bytes: &[u8], rows: &[&str], rejects: &[&str]) {
    let outcome = ingest.read(name, bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    let found: Vec<_> = outcome.days.values().flatten().map(String::as_str).collect();
    assert_eq!(found, rows, "{}", String::from_utf8_lossy(bytes));
    assert_eq!(outcome.rejects, rejects, "{}", String::from_utf8_lossy(bytes));
}

fn check_jsonl(line: &str, reason: Option<&str>) {
    let outcome = PLAIN.read("log.jsonl", line.as_bytes()).expect("read");
    let expected: Vec<_> = reason.iter().map(|reason| format!("1 {reason}: {}", line.trim_end())).collect();
    assert_eq!(outcome.rejects, expected, "{line}");
    assert_eq!(outcome.files, [(1, u64::from(reason.is_none()), u64::from(reason.is_some()))], "{line}");
}

#[test]
fn each_reason_is_given_to_json_lines() {
    let with = |fields: &str| format!(r#"{{"ts":"2026-03-01T00:00:00Z","app_id":"a"{fields}}}"#);
    check_jsonl(&with(""), None);
    check_jsonl(&with(r#","user_id":null,"duration_ms":null,"unknown":[{"x":{}}]"#), None);
    check_jsonl(&with(r#","user_id":123456789012345678901234567890"#), None);
    check_jsonl(&with(r#","user_id":1.0"#), Some("bad_record"));
    check_jsonl(&with(r#","user_id":1e3"#), Some("bad_record"));
    check_jsonl(&with(r#","action":true"#), Some("bad_record"));
    check_jsonl(&with(r#","concurrent_id":["x"]"#), Some("bad_record"));
    check_jsonl(&with(r#","org_id":{}"#), Some("bad_record"));
    check_jsonl(&with(r#","event_id":"\ud800""#), Some("bad_record"));
    check_jsonl(&with(r#","other":"\ud800""#), None);
    check_jsonl(&with("} {"), Some("bad_record"));
    check_jsonl("[]", Some("bad_record"));
    check_jsonl("{\"ts\":", Some("bad_record"));
    check_jsonl(r#"{"app_id":"a"}"#, Some("missing_ts"));
    check_jsonl(r#"{"ts":"","app_id":"a"}"#, Some("missing_ts"));
    check_jsonl(&with(r#","ts":null"#), Some("missing_ts"));
    check_jsonl(&with(r#","ts":1772323200"#), Some("bad_ts"));
    check_jsonl(&with(r#","ts":true"#), Some("bad_ts"));
    check_jsonl(&with(r#","ts":"2026-03-01T00:00:60Z""#), Some("bad_ts"));
    check_jsonl(r#"{"ts":"2026-03-01T00:00:00Z"}"#, Some("missing_app"));
    check_jsonl(&with(r#","duration_ms":86400000"#), None);
    check_jsonl(&with(r#","duration_ms":86400001"#), Some("bad_duration"));
    check_jsonl(&with(r#","duration_ms":5.0"#), Some("bad_duration"));
    check_jsonl(&with(r#","duration_ms":"5""#), None);
    check_jsonl(&with(r#","duration_s":1.5e3"#), None);
    check_jsonl(&with(r#","duration_s":-0.001"#), Some("bad_duration"));
    check_jsonl(&with(r#","ts":"2026-03-11T12:00:00Z""#), None);
    check_jsonl(&with(r#","ts":"2026-03-11T12:00:00.000001Z""#), Some("future_ts"));
    check_jsonl(&with(r#","ts":"2000-01-01T00:00:00Z""#), None);
    check_jsonl(&with(r#","ts":"1999-12-31T23:59:59Z""#), Some("too_old"));
    check_jsonl(&with(r#","user_id":"a\u0000""#), Some("bad_id"));
}

#[test]
fn json_values_become_what_they_say() {
    let line = r#" { "event_id" : "e\"\u00e9\/" , "ts":"2026-03-01T08:00:00.1234567+08:00","user_id":7,"org_id":-0,
        "app_id":"x","app_id":"\u0061pp","action":"","durati\u006fn_s":"1.0005","concurrent_id":"r 1"}"#
        .replace('\n', "");
    check(&PLAIN, "l.jsonl", line.as_bytes(), &["e\"é/ 7 -0 app use 1001 r 1 null 00:00:00.123456 0"], &[]);
}

#[test]
fn lines_are_counted_as_an_editor_counts_them() {
    let good = r#"{"ts":"2026-03-01T00:00:00Z","app_id":"a"}"#;
    let text = format!("\u{feff}{good}\r\n\r\n  \t\nbad\r\n{good}\n\nworse");
    for chunk_bytes in [1, 10, 50, 1 << 20] {
        let rows = ["- - - a use 0 - null 00:00:00.000000 0"; 2];
        check(
            &Ingest { chunk_bytes, ..PLAIN },
            "l.jsonl",
            text.as_bytes(),
            &rows,
            &["4 bad_record: bad", "7 bad_record: worse"],
        );
    }
    let csv = "\u{feff}ts,app_id\r\n2026-03-01T00:00:00Z,\"a\"\r\n\r\n2026-03-01T00:00:00Z,\"\nb\"\r\n,c\n \nx,d";
    for chunk_bytes in [1, 10, 50, 1 << 20] {
        let rows = ["- - - a use 0 - null 00:00:00.000000 0"];
        check(
            &Ingest { chunk_bytes, ..PLAIN },
            "l.csv",
            csv.as_bytes(),
            &rows,
            &["4 bad_id: 2026-03-01T00:00:00Z,\"\nb\"", "6 missing_ts: ,c", "8 bad_ts: x,d"],
        );
    }
}

#[test]
fn encoding_and_length_come_first() {
    let settings = "[ingest]\nmax_rejected = 1\nmax_record_bytes = 60\n";
    let good = r#"{"ts":"2026-03-01T00:00:00Z","app_id":"a"}"#;
    let long = format!("{good}{}", " ".repeat(60 - good.len()));
    let text = [
        long.as_bytes(),
        b"\r\n",
        long.as_bytes(),
        b" \n{\"app_id\":\"\xff\"}\n",
        &[b'x'; 100],
        b"\n",
        &[b'\xff'; 100],
        b"\n",
        good.as_bytes(),
    ]
    .concat();
    for chunk_bytes in [1, 16, 1 << 20] {
        let outcome = Ingest { settings, chunk_bytes, ..PLAIN }.read("l.jsonl", &text).expect("read");
        let expected = [
            format!("2 too_long: {long} "),
            "3 bad_encoding: {\"app_id\":\"\u{fffd}\"}".to_owned(),
            format!("4 too_long: {}", "x".repeat(100)),
            format!("5 bad_encoding: {}", "\u{fffd}".repeat(100)),
        ];
        assert_eq!(outcome.rejects, expected, "by {chunk_bytes}");
        assert_eq!(outcome.files, [(6, 2, 4)]);
    }
}

#[test]
fn a_stray_quote_costs_one_line_of_csv() {
    let line = "2026-03-01T00:00:00Z,";
    let text = format!("ts,app_id\n{line}a\n{line}\"b\n{line}c\n{line}d,e\n{line}f");
    for chunk_bytes in [1, 16, 1 << 20] {
        let rows = ["a", "c", "f"].map(|app| format!("- - - {app} use 0 - null 00:00:00.000000 0"));
        check(
            &Ingest { chunk_bytes, ..PLAIN },
            "l.csv",
            text.as_bytes(),
            &rows.each_ref().map(String::as_str),
            &[&format!("3 bad_record: {line}\"b"), &format!("5 bad_record: {line}d,e")],
        );
    }
}

#[test]
fn a_csv_without_a_good_header_is_refused() {
    for text in ["ts,app_id,ts\n", "ts,,app_id\n", "ts,app_id,\n", "ts,\"app_id\n", "ts,app\u{fffd}"] {
        let bytes: Vec<u8> = text.bytes().filter(|b| *b != 0xbf).collect();
        let error = PLAIN.read("l.csv", &bytes).expect_err("refused");
        assert_eq!(error.exit_code(), 3, "{error}");
        assert!(error.to_string().contains("l.csv"), "{error}");
    }
    for empty in ["", "\n", "\u{feff}", "ts,app_id", "ts,app_id\n\n"] {
        assert_eq!(PLAIN.read("l.csv", empty.as_bytes()).expect("read").files, [(0, 0, 0)], "{empty:?}");
    }
}

#[test]
fn epoch_forms_are_set_for_each_source() {
    let settings = "[ingest]\nmax_rejected = 1\n[[ingest.source]]\nmatch = \"*_s.*\"\nts = \"s\"\n\
                    [[ingest.source]]\nmatch = \"*_ms.*\"\nts = \"ms\"\n[[ingest.source]]\nmatch = \"*\"\nts = \"us\"\n";
    let ingest = Ingest { settings, ..PLAIN };
    let row = ["- - - a use 0 - null 00:00:01.000000 0"];
    check(&ingest, "l_s.csv", b"ts,app_id\n1772323201,a\n", &row, &[]);
    check(&ingest, "l_ms.jsonl", b"{\"ts\":1772323201000,\"app_id\":\"a\"}", &row, &[]);
    check(&ingest, "l_ms.jsonl", b"{\"ts\":\"1772323201000\",\"app_id\":\"a\"}", &row, &[]);
    check(&ingest, "l.jsonl", b"{\"ts\":1772323201000000,\"app_id\":\"a\"}", &row, &[]);
    let wrong = "{\"ts\":\"2026-03-01T00:00:00Z\",\"app_id\":\"a\"}";
    check(&ingest, "l_s.jsonl", wrong.as_bytes(), &[], &[&format!("1 bad_ts: {wrong}")]);
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).expect("memory");
    encoder.finish().expect("memory")
}

// A log over several days, with gaps and bad lines, in all formats.
struct Log {
    ts: Vec<String>,
    user: Vec<String>,
    app: Vec<String>,
    duration: Vec<i64>,
}

impl Log {
    fn new(rows: usize) -> Self {
        let day = |row: usize| 1 + (row * 7) % 9;
        Self {
            ts: (0..rows).map(|row| format!("2026-03-{:02}T{:02}:00:00.5Z", day(row), row % 24)).collect(),
            user: (0..rows).map(|row| format!("u{}", row % 13)).collect(),
            app: (0..rows)
                .map(|row| if row % 17 == 3 { String::new() } else { format!("app \"{}\", é", row % 3) })
                .collect(),
            duration: (0..rows).map(|row| i64::try_from(row).expect("small") * 7 % 100_000).collect(),
        }
    }

    fn jsonl(&self) -> Vec<u8> {
        let line = |row: usize| {
            serde_json::json!({"ts": self.ts[row], "user_id": self.user[row], "app_id": self.app[row],
                "duration_ms": self.duration[row]})
            .to_string()
        };
        (0..self.ts.len()).map(|row| line(row) + "\n").collect::<String>().into_bytes()
    }

    fn csv(&self) -> Vec<u8> {
        let line = |row: usize| {
            let app = self.app[row].replace('"', "\"\"");
            format!("{},{},\"{app}\",{}\n", self.ts[row], self.user[row], self.duration[row])
        };
        let lines: String = (0..self.ts.len()).map(line).collect();
        format!("ts,user_id,app_id,duration_ms\n{lines}").into_bytes()
    }

    fn parquet(&self, group_rows: usize) -> Vec<u8> {
        let us = self.ts.iter().map(|ts| DateTime::parse_from_rfc3339(ts).expect("an instant").timestamp_micros());
        let columns: [(&str, ArrayRef); 4] = [
            ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(us).with_timezone("UTC"))),
            ("user_id", Arc::new(StringArray::from(self.user.clone()))),
            ("app_id", Arc::new(StringArray::from(self.app.clone()))),
            ("duration_ms", Arc::new(Int64Array::from(self.duration.clone()))),
        ];
        parquet_file(&RecordBatch::try_from_iter(columns).expect("a batch"), group_rows)
    }
}

fn parquet_file(batch: &RecordBatch, group_rows: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group_rows)).build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
    writer.write(batch).expect("memory");
    writer.close().expect("memory");
    bytes
}

#[test]
fn a_log_is_the_same_in_every_format_in_any_chunks_on_any_threads() {
    let log = Log::new(500);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("memory");
    let parts = log.jsonl();
    let (left, right) = parts.split_at(parts.len() / 3);
    let forms = [
        ("l.jsonl", log.jsonl()),
        ("l.csv", log.csv()),
        ("l.parquet", log.parquet(10_000)),
        ("l.parquet", log.parquet(37)),
        ("l.jsonl.gz", gzip(&log.jsonl())),
        ("l.ndjson.gz", [gzip(left), gzip(right)].concat()),
        ("l.csv.zst", zstd(&log.csv())),
        ("l.json", zstd(&log.jsonl())),
        ("l.parquet.gz", gzip(&log.parquet(100))),
    ];
    let first = PLAIN.read("l.jsonl", &log.jsonl()).expect("read");
    assert_eq!(first.files, [(500, 470, 30)]);
    assert_eq!(first.days.len(), 9);
    for (name, bytes) in forms {
        for (threads, chunk_bytes) in [(1, 1 << 20), (2, 1), (4, 100), (3, 5000)] {
            let outcome = Ingest { threads, chunk_bytes, ..PLAIN }.read(name, &bytes).expect("read");
            assert_eq!(outcome.days, first.days, "{name} {threads} {chunk_bytes}");
            assert_eq!(outcome.files, first.files, "{name}");
            let places = |outcome: &Outcome, header: usize| -> Vec<usize> {
                let line = |reject: &String| reject.split(' ').next().and_then(|line| line.parse::<usize>().ok());
                outcome.rejects.iter().filter_map(line).map(|line| line - header).collect()
            };
            assert_eq!(places(&outcome, usize::from(name.contains("csv"))), places(&first, 0), "{name}");
        }
    }
}

#[test]
fn a_rejected_row_of_parquet_is_shown_whole() {
    let columns: [(&str, ArrayRef); 4] = [
        (
            "ts",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_772_323_200_000_000)]).with_timezone("UTC"),
            ),
        ),
        ("app_id", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
        ("duration_s", Arc::new(arrow::array::Float64Array::from(vec![0.5, 1.0, 1.0005]))),
        ("note", Arc::new(Int64Array::from(vec![1, 2, 3]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    for group_rows in [1, 2, 3] {
        check(
            &PLAIN,
            "l.parquet",
            &parquet_file(&batch, group_rows),
            &["- - - c use 1001 - null 00:00:00.000000 0"],
            &[
                r#"1 too_old: {"ts":"1970-01-01T00:00:00Z","app_id":"a","duration_s":0.5,"note":1}"#,
                r#"2 missing_ts: {"app_id":"b","duration_s":1.0,"note":2}"#,
            ],
        );
    }
}

#[test]
fn kept_fields_become_extra() {
    let settings = "[ingest]\nmax_rejected = 1\n[[ingest.source]]\nmatch = \"*\"\nkeep = [\"b\", \"a\"]\n";
    let ingest = Ingest { settings, ..PLAIN };
    let line = |fields: &str| format!("{{\"ts\":\"2026-03-01T00:00:00Z\",\"app_id\":\"x\"{fields}}}\n");
    let jsonl = line(r#","a":[1, {"c":"\u00e9"}],"b":1.50,"c":3"#) + &line(r#","a":null,"b":1,"b":"""#) + &line("");
    let row = |extra: &str| format!("- - - x use 0 - {extra} 00:00:00.000000 0");
    let rows = [row(r#"{"b":1.50,"a":[1, {"c":"\u00e9"}]}"#), row(r#"{"b":""}"#), row("null")];
    check(&ingest, "l.jsonl", jsonl.as_bytes(), &rows.each_ref().map(String::as_str), &[]);
    let csv = "a,ts,app_id\n\"q\"\"é\",2026-03-01T00:00:00Z,x\n,2026-03-01T00:00:00Z,x\n";
    let rows = [row(r#"{"a":"q\"é"}"#), row("null")];
    check(&ingest, "l.csv", csv.as_bytes(), &rows.each_ref().map(String::as_str), &[]);
}

#[test]
fn a_select_maps_a_foreign_log() {
    let settings = r#"
        [ingest]
        max_rejected = 1
        [[ingest.source]]
        match = "*"
        ts = "ms"
        keep = ["kind"]
        select = """
            select at * 1000 as ts, payload['user']['id'] as user_id, app as app_id, try_cast(secs as double) as duration_s, kind
            from raw where kind <> 'ping'"""
    "#;
    let text = concat!(
        r#"{"at":1772323201,"payload":{"user":{"id":"u1"}},"app":"a","secs":"1.5","kind":"x"}"#,
        "\n\nnonsense\n",
        r#"{"at":1772323202,"payload":{"user":{"id":"u2"}},"app":"a","kind":"ping"}"#,
        "\n",
        r#"{"at":1772323203,"payload":null,"app":"","kind":"y","secs":9}"#,
        "\n",
        r#"{"at":1772323204,"payload":{"user":{}},"app":"b","kind":"y"}"#,
    );
    for (threads, chunk_bytes) in [(1, 1 << 20), (2, 1), (3, 100)] {
        check(
            &Ingest { settings, threads, chunk_bytes },
            "l.jsonl",
            text.as_bytes(),
            &[
                r#"- u1 - a use 1500 - {"kind":"x"} 00:00:01.000000 0"#,
                r#"- - - b use 0 - {"kind":"y"} 00:00:04.000000 0"#,
            ],
            &[
                "3 bad_record: nonsense",
                r#"5 missing_app: {"at":1772323203,"payload":null,"app":"","kind":"y","secs":9}"#,
            ],
        );
    }
    let csv = Ingest {
        settings: "[ingest]\nmax_rejected = 1\n[[ingest.source]]\nmatch = \"*\"\nselect = \"select timestamp as ts, app || '!' as app_id from raw\"\n",
        ..PLAIN
    };
    check(
        &csv,
        "l.csv",
        b"x,timestamp,app\n1,2026-03-01T00:00:00Z,a\n1,2\n\n1,\"\",b\n",
        &["- - - a! use 0 - null 00:00:00.000000 0"],
        &["3 bad_record: 1,2", "5 missing_ts: 1,\"\",b"],
    );
    let columns: [(&str, ArrayRef); 2] = [
        ("app", Arc::new(StringArray::from(vec!["a", "", "b"]))),
        ("timestamp", Arc::new(StringArray::from(vec!["2026-03-01T00:00:00Z", "x", "y"]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    let parquet = Ingest {
        settings: "[ingest]\nmax_rejected = 1\n[[ingest.source]]\nmatch = \"*\"\nselect = \"select timestamp as ts, app as app_id from raw where app <> ''\"\n",
        ..PLAIN
    };
    check(
        &parquet,
        "l.parquet",
        &parquet_file(&batch, 10),
        &["- - - a use 0 - null 00:00:00.000000 0"],
        &[r#"3 bad_ts: {"app":"b","timestamp":"y"}"#],
    );
    for (name, bytes) in [("l.csv", &b"time\n1\n"[..]), ("l.jsonl", b"{\"time\":1}")] {
        let error = csv.read(name, bytes).expect_err("refused");
        assert_eq!(error.exit_code(), 4, "{error}");
        assert!(error.to_string().contains("timestamp") && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_select_works_inside_an_async_caller() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let settings = "[[ingest.source]]\nmatch = \"*\"\nselect = \"select t as ts, 'a' as app_id from raw\"\n";
    let outcome = runtime.block_on(async { Ingest { settings, ..PLAIN }.read("l.csv", b"t\n2026-03-01T00:00:00Z\n") });
    assert_eq!(outcome.expect("read").files, [(1, 1, 0)]);
}

#[test]
fn a_file_is_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let line = b"{\"ts\":\"2026-03-01T00:00:00Z\",\"app_id\":\"a\"}\n";
    fs::write(folder.path().join("a.jsonl"), line).expect("a file");
    fs::write(folder.path().join("b.jsonl"), line).expect("a file");
    fs::write(folder.path().join("c.jsonl"), [&line[..], b"\n"].concat()).expect("a file");
    fs::write(folder.path().join("d.jsonl"), line.to_ascii_uppercase()).expect("a file");
    let outcome = PLAIN.run(folder.path(), &[]).expect("read");
    assert_eq!(outcome.skipped, [false, true, false, false]);
    assert_eq!(outcome.files, [(1, 1, 0), (0, 0, 0), (1, 1, 0), (1, 0, 1)]);
    let files: Vec<_> = outcome.days["2026-03-01"].iter().map(|row| row.rsplit(' ').next()).collect();
    assert_eq!(files, [Some("0"), Some("2")]);
    let known = checksum(&folder.path().join("c.jsonl")).expect("readable");
    let other = Checksum { sha256: "0".repeat(64), ..known.clone() };
    assert_eq!(PLAIN.run(folder.path(), &[known]).expect("read").skipped, [false, true, true, false]);
    assert_eq!(PLAIN.run(folder.path(), &[other]).expect("read").skipped, [false, true, false, false]);
}

#[test]
fn too_many_rejects_end_the_ingest() {
    let good = "{\"ts\":\"2026-03-01T00:00:00Z\",\"app_id\":\"a\"}\n".repeat(19);
    let read = |settings: &str, text: &str| Ingest { settings, ..PLAIN }.read("l.jsonl", text.as_bytes());
    // One of twenty is exactly the default share.
    assert_eq!(read("", &(good.clone() + "bad")).expect("read").files, [(20, 19, 1)]);
    let error = read("", &(good.clone() + "bad\n\nworse")).expect_err("too many");
    assert_eq!(error.exit_code(), 3);
    for part in ["rejected=2", "read=21", "max_rejected=0.05", "l.jsonl (2 of 21)", "line 20 bad_record", "line 22"] {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
    assert!(read("[ingest]\nmax_rejected = 0\n", &(good + "bad")).is_err());
    assert!(read("[ingest]\nmax_rejected = 0\n", "\n").is_ok());
    let flood = "x\n".repeat(2_000_000);
    let error = read("[ingest]\nmax_rejected = 1\n[engine]\nmemory = \"64MB\"\n", &flood).expect_err("too many");
    assert!(error.to_string().contains("memory"), "{error}");
}

#[test]
fn a_damaged_file_ends_the_ingest() {
    let log = Log::new(5000);
    let (gz, parquet) = (gzip(&log.jsonl()), log.parquet(1000));
    let zst = zstd::encode_all(&log.csv()[..], 1).expect("memory");
    for (name, bytes) in [("l.jsonl.gz", &gz), ("l.csv.zst", &zst), ("l.parquet", &parquet)] {
        for cut in [bytes.len() / 2, bytes.len() - 3] {
            for threads in [1, 3] {
                let error =
                    Ingest { threads, chunk_bytes: 1000, ..PLAIN }.read(name, &bytes[..cut]).expect_err("damaged");
                assert_eq!(error.exit_code(), 3, "{name}: {error}");
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }
}

#[test]
fn progress_comes_to_its_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Log::new(3000);
    fs::write(folder.path().join("a.jsonl"), log.jsonl()).expect("a file");
    fs::write(folder.path().join("b.csv.gz"), gzip(&log.csv())).expect("a file");
    fs::write(folder.path().join("c.parquet"), log.parquet(1000)).expect("a file");
    fs::write(folder.path().join("d.jsonl"), log.jsonl()).expect("a file");
    let total: u64 = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|e| e.expect("an entry").metadata().expect("a size").len())
        .sum();
    let most = AtomicU64::new(0);
    let settings = Settings::parse("[ingest]\nmax_rejected = 1\n").expect("settings");
    let work_folder = tempfile::tempdir().expect("a folder");
    let order = Order {
        settings: &settings,
        inputs: &[Input::Path(folder.path().display().to_string())],
        known: &KnownFiles::default(),
        now: DateTime::parse_from_rfc3339(NOW).expect("an instant").to_utc(),
        work_folder: work_folder.path(),
        progress: &|done, of| {
            assert_eq!(of, total);
            most.fetch_max(done, Ordering::Relaxed);
        },
    };
    read(&order).expect("read");
    // A Parquet file has a footer beside its row groups.
    let most = most.into_inner();
    assert!(most <= total && most > total - 10_000, "{most} of {total}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_bytes_are_counted(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "(\\{\"ts\":\"2026-03-01T00:00:00Z\",\"app_id\":\"[a\"\\\\,\n]{0,3}\"\\}?\n?|[\\x00-\\x7f]{0,10}|\u{e9}){0,8}".prop_map(String::into_bytes),
        ],
        chunk_bytes in 1_usize..40, threads in 1_usize..3,
    ) {
        let ingest = Ingest { settings: "[ingest]\nmax_rejected = 1\nmax_record_bytes = 80\n", threads, chunk_bytes };
        // What begins like a packed file is unpacked, and may be refused.
        prop_assume!(!bytes.starts_with(&[0x1f, 0x8b]) && !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
        let jsonl = ingest.read("l.jsonl", &bytes).expect("JSON Lines cannot fail");
        prop_assert_eq!(&jsonl, &Ingest { threads: 1, chunk_bytes: 1 << 20, ..ingest }.read("l.jsonl", &bytes).expect("read"));
        let csv = [b"ts,app_id\n", &bytes[..]].concat();
        let found = ingest.read("l.csv", &csv).expect("a good header");
        prop_assert_eq!(&found, &Ingest { threads: 1, chunk_bytes: 1 << 20, ..ingest }.read("l.csv", &csv).expect("read"));
        // No header at all may be refused, but not with a panic.
        let _ = ingest.read("l.csv", &bytes);
        let _ = ingest.read("l.parquet", &bytes);
    }
}
