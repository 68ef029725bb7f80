//! Log files: events and broken records as JSON lines or CSV, plain, gzip or zstd. Parquet stands next door.
//! It does not know where events come from.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::write::GzEncoder;

use crate::error::{Error, Result};
use crate::event::Reason;
use crate::settings::LogFormat;

use super::Compression;
use super::activity::{Client, Event};
use super::columns::ParquetLog;
use super::landscape::NONE;
use super::text::{Instants, has_numeric_room, push_app, push_event_id, push_number, push_org, push_room, push_user};

const CSV_HEADER: &[u8] = b"event_id,ts,user_id,org_id,app_id,action,duration_ms,concurrent_id,client\n";
// One byte over a mebibyte, the longest record that ingests take by default.
const TOO_LONG_BYTES: usize = (1 << 20) + 1;
const FLUSH_BYTES: usize = 256 << 10;

/// An open log file.
pub(super) enum LogFile {
    Text(Box<TextLog>),
    Parquet(Box<ParquetLog>),
}

/// A log of lines.
pub(super) struct TextLog {
    is_json: bool,
    lines: Vec<u8>,
    field: Vec<u8>,
    instants: Instants,
    output: Output,
}

enum Output {
    Plain(File),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl LogFile {
    /// Creates a file, which must not exist.
    pub(super) fn create(path: &Path, format: LogFormat, compression: Option<Compression>) -> Result<Self> {
        let file = File::create_new(path).map_err(|e| Error::path("create", path, e))?;
        if format == LogFormat::Parquet {
            return ParquetLog::new(file, compression).map(|log| Self::Parquet(Box::new(log)));
        }
        let output = match compression {
            None => Output::Plain(file),
            Some(Compression::Gz) => Output::Gzip(GzEncoder::new(BufWriter::new(file), flate2::Compression::new(6))),
            Some(Compression::Zst) => {
                Output::Zstd(zstd::Encoder::new(BufWriter::new(file), 3).map_err(|e| Error::path("compress", path, e))?)
            }
        };
        let is_json = format == LogFormat::Jsonl;
        let lines = if is_json { Vec::new() } else { CSV_HEADER.to_vec() };
        Ok(Self::Text(Box::new(TextLog { is_json, lines, field: Vec::new(), instants: Instants::default(), output })))
    }

    /// Adds an event.
    pub(super) fn event(&mut self, event: &Event) -> Result<()> {
        match self {
            Self::Text(log) => {
                if log.is_json {
                    log.json(event)
                } else {
                    log.csv(event)
                }
                log.flush(FLUSH_BYTES)
            }
            Self::Parquet(log) => log.event(event),
        }
    }

    /// Adds a record that is no event for one reason only.
    pub(super) fn broken(&mut self, reason: Reason, event: &Event) -> Result<()> {
        match self {
            Self::Text(log) => {
                log.broken(reason, event);
                log.flush(FLUSH_BYTES)
            }
            Self::Parquet(log) => log.broken(reason, event),
        }
    }

    /// Adds a line without a record, where the format has lines.
    pub(super) fn blank(&mut self) {
        if let Self::Text(log) = self {
            log.lines.push(b'\n');
        }
    }

    /// Ends the file.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Text(mut log) => {
                log.flush(0)?;
                log.output.finish().map_err(|e| cannot_write(&e))
            }
            Self::Parquet(log) => log.finish(),
        }
    }
}

/// What every failed write says; the caller adds the path.
pub(super) fn cannot_write(cause: &dyn std::fmt::Display) -> Error {
    Error::Storage(format!("cannot write: {cause}"))
}

impl Output {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Gzip(encoder) => encoder.finish()?.flush(),
            Self::Zstd(encoder) => encoder.finish()?.flush(),
        }
    }
}

impl TextLog {
    fn flush(&mut self, beyond: usize) -> Result<()> {
        if self.lines.len() > beyond {
            self.output.write_all(&self.lines).map_err(|e| cannot_write(&e))?;
            self.lines.clear();
        }
        Ok(())
    }

    // Absent fields are left out, or null in every eighth event; devices of one kind send seconds.
    fn json(&mut self, event: &Event) {
        let out = &mut self.lines;
        let says_null = event.number % 8 == 7;
        out.push(b'{');
        if event.has_id {
            out.extend_from_slice(b"\"event_id\":\"");
            push_event_id(out, event);
            out.extend_from_slice(b"\",");
        }
        out.extend_from_slice(b"\"ts\":\"");
        self.instants.push(out, event.ts_us, event.offset);
        if event.user != NONE {
            out.extend_from_slice(b"\",\"user_id\":\"");
            push_user(out, event.user);
            out.push(b'"');
        } else if says_null {
            out.extend_from_slice(b"\",\"user_id\":null");
        } else {
            out.push(b'"');
        }
        if event.org != NONE {
            out.extend_from_slice(b",\"org_id\":\"");
            push_org(out, event.org);
            out.push(b'"');
        } else if says_null {
            out.extend_from_slice(b",\"org_id\":null");
        }
        out.extend_from_slice(b",\"app_id\":\"");
        push_app(out, event.app, event.home);
        out.push(b'"');
        if has_action(event) {
            out.extend_from_slice(b",\"action\":\"");
            out.extend_from_slice(event.action.as_bytes());
            out.push(b'"');
        }
        if event.duration_ms > 0 {
            if event.client == Client::Ios {
                out.extend_from_slice(b",\"duration_s\":");
                push_number(out, u64::from(event.duration_ms / 1000), 1);
                out.push(b'.');
                push_number(out, u64::from(event.duration_ms % 1000), 3);
            } else {
                out.extend_from_slice(b",\"duration_ms\":");
                push_number(out, u64::from(event.duration_ms), 1);
            }
        }
        if event.room != 0 {
            let quote: &[u8] = if has_numeric_room(event) { b"" } else { b"\"" };
            out.extend_from_slice(b",\"concurrent_id\":");
            out.extend_from_slice(quote);
            push_room(out, event);
            out.extend_from_slice(quote);
        }
        out.extend_from_slice(b",\"client\":\"");
        out.extend_from_slice(event.client.name().as_bytes());
        out.extend_from_slice(b"\"}\n");
    }

    fn csv(&mut self, event: &Event) {
        let out = &mut self.lines;
        if event.has_id {
            push_event_id(out, event);
        }
        out.push(b',');
        self.instants.push(out, event.ts_us, event.offset);
        out.push(b',');
        if event.user != NONE {
            push_user(out, event.user);
        }
        out.push(b',');
        if event.org != NONE {
            push_org(out, event.org);
        }
        out.push(b',');
        push_app(out, event.app, event.home);
        out.push(b',');
        if has_action(event) {
            out.extend_from_slice(event.action.as_bytes());
        }
        out.push(b',');
        if event.duration_ms > 0 {
            push_number(out, u64::from(event.duration_ms), 1);
        }
        out.push(b',');
        if event.room != 0 {
            push_room(out, event);
        }
        out.push(b',');
        out.extend_from_slice(event.client.name().as_bytes());
        out.push(b'\n');
    }

    // The broken record has the id and the look of a real event: it must claim neither.
    fn broken(&mut self, reason: Reason, event: &Event) {
        let variant = usize::from(event.number) + usize::from(event.app);
        let choose = |choices: &[&'static str]| choices[variant % choices.len()].as_bytes().to_vec();
        let mut record = Fields::new(event, &mut self.instants, &mut self.field);
        match reason {
            Reason::MissingTs => record.ts = Vec::new(),
            Reason::BadTs => {
                record.ts =
                    choose(&["2025-02-30T08:00:00Z", "2025-03-04T09:15:00", "yesterday", "2025-03-04T09:15:60Z"]);
            }
            Reason::MissingApp => record.app = Vec::new(),
            Reason::BadDuration => record.duration = choose(&["-5", "86400001", "soon"]),
            Reason::FutureTs => record.ts = b"2199-01-01T00:00:00.000Z".to_vec(),
            Reason::TooOld => record.ts = b"1999-12-31T23:59:59.999Z".to_vec(),
            Reason::BadId if variant % 2 == 0 => record.user = vec![b'x'; 257],
            Reason::BadId if self.is_json => record.user.extend_from_slice(b"\\u0007"),
            Reason::BadId => record.user.push(0x07),
            Reason::BadEncoding => record.user.push(0xFF),
            Reason::TooLong => record.client = vec![b'x'; TOO_LONG_BYTES],
            Reason::BadRecord => {
                self.lines.extend(choose(if self.is_json {
                    &[
                        "{\"event_id\":\"h0-0-0\",\"ts\":",
                        "[1,2,3]\n",
                        "{\"app_id\":\"chat\",\"user_id\":{}}\n",
                        "oops\n",
                    ]
                } else {
                    &["h0-0-0,2025-03-04\n", "1,2,3,4,5,6,7,8,9,10,11\n"]
                }));
                if self.lines.last() != Some(&b'\n') {
                    self.lines.push(b'\n');
                }
                return;
            }
        }
        record.write(self.is_json, &mut self.lines);
    }
}

/// Whether an event says its action; web clients leave the default out.
pub(super) fn has_action(event: &Event) -> bool {
    event.action != "use" || event.client != Client::Web
}

// The fields of a record as text; broken records only, so that real ones need no copies.
struct Fields {
    id: Vec<u8>,
    ts: Vec<u8>,
    user: Vec<u8>,
    app: Vec<u8>,
    duration: Vec<u8>,
    client: Vec<u8>,
}

impl Fields {
    fn new(event: &Event, instants: &mut Instants, scratch: &mut Vec<u8>) -> Self {
        let mut take = |write: &mut dyn FnMut(&mut Vec<u8>)| {
            scratch.clear();
            write(scratch);
            scratch.clone()
        };
        Self {
            id: take(&mut |out| push_event_id(out, event)),
            ts: take(&mut |out| instants.push(out, event.ts_us, event.offset)),
            user: take(&mut |out| push_user(out, event.user)),
            app: take(&mut |out| push_app(out, event.app, event.home)),
            duration: b"1000".to_vec(),
            client: b"web".to_vec(),
        }
    }

    fn write(&self, is_json: bool, out: &mut Vec<u8>) {
        let empty = Vec::new();
        let named = [
            ("event_id", &self.id),
            ("ts", &self.ts),
            ("user_id", &self.user),
            ("org_id", &empty),
            ("app_id", &self.app),
            ("action", &empty),
            ("duration_ms", &self.duration),
            ("concurrent_id", &empty),
            ("client", &self.client),
        ];
        if is_json {
            let mut separator = b'{';
            for (name, value) in named.iter().filter(|(_, value)| !value.is_empty()) {
                let is_number = *name == "duration_ms" && value.iter().all(|b| b.is_ascii_digit() || *b == b'-');
                let quote: &[u8] = if is_number { b"" } else { b"\"" };
                out.push(separator);
                for part in [b"\"", name.as_bytes(), b"\":", quote, value.as_slice(), quote] {
                    out.extend_from_slice(part);
                }
                separator = b',';
            }
            out.extend_from_slice(b"}\n");
        } else {
            let values: Vec<&[u8]> = named.iter().map(|(_, value)| value.as_slice()).collect();
            out.extend_from_slice(&values.join(&b','));
            out.push(b'\n');
        }
    }
}
