//! Reads generated logs back with nothing but the rules of the dictionary, to hold them against what was announced.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::DateTime;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::super::{Made, Plan};
use crate::event::Reason;
use crate::period::{Day, DayClock, parse_day};

/// A record that was read, with all fields as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) ts_us: i64,
    pub(super) user: String,
    pub(super) org: String,
    pub(super) app: String,
    pub(super) action: String,
    pub(super) duration_ms: i64,
    pub(super) room: String,
}

/// What a log holds.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Distinct events with their day; the first of an id and day.
    pub(super) events: Vec<(Day, Record)>,
    pub(super) records: u64,
    pub(super) duplicates: u64,
    /// Duplicates whose content differs from the first.
    pub(super) differing: u64,
    pub(super) late: u64,
    pub(super) blanks: u64,
    pub(super) rejects: BTreeMap<&'static str, u64>,
}

type Verdict = Result<Record, Reason>;

/// Reads all log files of a plan in order.
pub(super) fn read(plan: &Plan, made: &Made) -> Log {
    let mut log = Log::default();
    let mut first_of: BTreeMap<(Day, String), Record> = BTreeMap::new();
    let clock = DayClock::new(plan.time_zone);
    for path in &made.files {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let file_day = parse_day(&name[..10]).expect("a name that begins with its day");
        let (verdicts, blanks) = records(path);
        log.blanks += blanks;
        for verdict in verdicts {
            log.records += 1;
            match verdict.and_then(|record| in_time(plan, &clock, record)) {
                Err(reason) => *log.rejects.entry(reason.name()).or_default() += 1,
                Ok((day, record)) => {
                    let known = (day, record.id.clone());
                    if let Some(first) = first_of.get(&known) {
                        log.duplicates += 1;
                        log.differing += u64::from(*first != record);
                        continue;
                    }
                    if !record.id.is_empty() {
                        first_of.insert(known, record.clone());
                    }
                    log.late += u64::from(day < file_day);
                    log.events.push((day, record));
                }
            }
        }
    }
    log
}

fn in_time(plan: &Plan, clock: &DayClock, record: Record) -> Result<(Day, Record), Reason> {
    let day = clock.day(record.ts_us).ok_or(Reason::BadTs)?;
    if record.app.is_empty() {
        return Err(Reason::MissingApp);
    }
    if !(0..=crate::event::MAX_DURATION_MS).contains(&record.duration_ms) {
        return Err(Reason::BadDuration);
    }
    if day > plan.first_day + 40_000 {
        return Err(Reason::FutureTs);
    }
    if day < parse_day("2000-01-01").expect("a day") {
        return Err(Reason::TooOld);
    }
    let ids = [&record.id, &record.user, &record.org, &record.app, &record.room];
    if ids.iter().any(|id| id.len() > 256 || id.chars().any(char::is_control)) {
        return Err(Reason::BadId);
    }
    Ok((day, record))
}

fn records(path: &Path) -> (Vec<Verdict>, u64) {
    let name = path.to_string_lossy().into_owned();
    if name.contains(".parquet") {
        return (parquet_rows(path), 0);
    }
    let mut bytes = fs::read(path).expect("a log file");
    let ends_with = |extension: &str| path.extension().is_some_and(|found| found == extension);
    if ends_with("gz") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).expect("gzip");
        bytes = plain;
    } else if ends_with("zst") {
        bytes = zstd::decode_all(bytes.as_slice()).expect("zstd");
    }
    let lines: Vec<&[u8]> = bytes.strip_suffix(b"\n").expect("a last newline").split(|b| *b == b'\n').collect();
    let blanks = lines.iter().filter(|line| line.is_empty()).count() as u64;
    let is_csv = name.contains(".csv");
    let rows = lines.iter().skip(usize::from(is_csv)).filter(|line| !line.is_empty());
    (rows.map(|line| check_line(line, is_csv)).collect(), blanks)
}

fn check_line(line: &[u8], is_csv: bool) -> Verdict {
    let text = std::str::from_utf8(line).map_err(|_| Reason::BadEncoding)?;
    if line.len() > 1 << 20 {
        return Err(Reason::TooLong);
    }
    if is_csv { csv_record(text) } else { json_record(text) }
}

fn csv_record(line: &str) -> Verdict {
    let fields: Vec<&str> = line.split(',').collect();
    let &[id, ts, user, org, app, action, duration, room, _client] = fields.as_slice() else {
        return Err(Reason::BadRecord);
    };
    let ts_us = instant(ts)?;
    let duration_ms = if duration.is_empty() { 0 } else { duration.parse().unwrap_or(-1) };
    Ok(record([id, user, org, app, action, room], ts_us, duration_ms))
}

fn json_record(line: &str) -> Verdict {
    let Ok(Value::Object(object)) = serde_json::from_str(line) else { return Err(Reason::BadRecord) };
    let text = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
        Some(_) => Err(Reason::BadRecord),
    };
    let fields = ["event_id", "user_id", "org_id", "app_id", "action", "concurrent_id"].map(text);
    let [id, user, org, app, action, room] = fields;
    let (id, user, org, app, action, room) = (id?, user?, org?, app?, action?, room?);
    let ts_us = instant(&text("ts")?)?;
    let duration_ms = match (object.get("duration_ms"), object.get("duration_s")) {
        (Some(ms), _) => ms.as_i64().unwrap_or(-1),
        (None, Some(seconds)) => thousandths(&seconds.to_string()),
        (None, None) => 0,
    };
    Ok(record([&id, &user, &org, &app, &action, &room], ts_us, duration_ms))
}

// 12.3 seconds are 12300 ms; what the JSON reader prints may have fewer digits than the file.
fn thousandths(seconds: &str) -> i64 {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    format!("{whole}{part:0<3}").parse().expect("seconds with at most three decimals")
}

fn instant(ts: &str) -> Result<i64, Reason> {
    if ts.is_empty() {
        return Err(Reason::MissingTs);
    }
    let is_leap = ts.get(17..19) == Some("60");
    match DateTime::parse_from_rfc3339(ts) {
        Ok(instant) if !is_leap => Ok(instant.timestamp_micros()),
        _ => Err(Reason::BadTs),
    }
}

fn record([id, user, org, app, action, room]: [&str; 6], ts_us: i64, duration_ms: i64) -> Record {
    Record {
        id: id.to_owned(),
        ts_us,
        user: user.to_owned(),
        org: org.to_owned(),
        app: app.to_owned(),
        action: if action.is_empty() { "use".to_owned() } else { action.to_owned() },
        duration_ms,
        room: room.to_owned(),
    }
}

fn parquet_rows(path: &Path) -> Vec<Verdict> {
    let file = File::open(path).expect("a log file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("parquet").build().expect("parquet");
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.expect("a batch");
        let text = |name: &str, row: usize| {
            let column = batch.column_by_name(name).expect("a column").as_string::<i32>();
            if column.is_null(row) { "" } else { column.value(row) }
        };
        let ts = batch.column_by_name("ts").expect("ts").as_primitive::<TimestampMicrosecondType>();
        let duration = batch.column_by_name("duration_ms").expect("duration").as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            if ts.is_null(row) {
                rows.push(Err(Reason::MissingTs));
                continue;
            }
            let fields = ["event_id", "user_id", "org_id", "app_id", "action", "concurrent_id"];
            let duration_ms = if duration.is_null(row) { 0 } else { duration.value(row) };
            rows.push(Ok(record(fields.map(|name| text(name, row)), ts.value(row), duration_ms)));
        }
    }
    rows
}

/// The rows of a dimension file by column.
pub(super) fn dimension(paths: &[PathBuf], name: &str) -> Vec<BTreeMap<String, String>> {
    let path = paths.iter().find(|path| path.ends_with(name)).expect("the file");
    let mut reader = csv::Reader::from_path(path).expect("a dimension");
    let header = reader.headers().expect("a header").clone();
    let rows = reader.records().map(|row| {
        let row = row.expect("a row of the header's width");
        header.iter().zip(row.iter()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    });
    rows.collect()
}

/// The distinct values of a column.
pub(super) fn values(rows: &[BTreeMap<String, String>], column: &str) -> HashSet<String> {
    rows.iter().map(|row| row[column].clone()).collect()
}
