//! Log files as Parquet: the same records as columns. Absent text is null.

use std::fs::File;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, Encoding, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use crate::error::Result;
use crate::event::{MAX_DURATION_MS, Reason};

use super::Compression;
use super::activity::Event;
use super::landscape::NONE;
use super::text::{push_app, push_event_id, push_org, push_room, push_user};
use super::write::{cannot_write, has_action};

const BATCH_ROWS: usize = 16 << 10;
// 1999-12-31 and 2199-01-01 in UTC.
const TOO_OLD_US: i64 = 946_598_400_000_000;
const FUTURE_US: i64 = 7_226_582_400_000_000;

/// A log of columns.
#[derive(Debug)]
pub(super) struct ParquetLog {
    schema: SchemaRef,
    writer: ArrowWriter<File>,
    ts: TimestampMicrosecondBuilder,
    duration: Int64Builder,
    // event_id, user_id, org_id, app_id, action, concurrent_id, client
    texts: [StringBuilder; 7],
    rows: usize,
    field: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    EventId,
    User,
    Org,
    App,
    Action,
    Room,
    Client,
}

impl ParquetLog {
    /// A log in an empty file. Without a compression pages are packed with Snappy, as is usual.
    pub(super) fn new(file: File, compression: Option<Compression>) -> Result<Self> {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let schema = Arc::new(Schema::new(vec![
            text("event_id"),
            Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
            text("user_id"),
            text("org_id"),
            text("app_id"),
            text("action"),
            Field::new("duration_ms", DataType::Int64, true),
            text("concurrent_id"),
            text("client"),
        ]));
        let codec = match compression {
            None => Codec::SNAPPY,
            Some(Compression::Gz) => Codec::GZIP(GzipLevel::default()),
            Some(Compression::Zst) => Codec::ZSTD(ZstdLevel::default()),
        };
        let event_id = ColumnPath::from("event_id");
        let properties = WriterProperties::builder()
            .set_compression(codec)
            .set_created_by("orgpulse generate".to_owned())
            .set_column_dictionary_enabled(event_id.clone(), false)
            .set_column_encoding(event_id, Encoding::DELTA_BYTE_ARRAY)
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(|e| cannot_write(&e))?;
        Ok(Self {
            schema,
            writer,
            ts: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            duration: Int64Builder::new(),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            rows: 0,
            field: Vec::new(),
        })
    }

    /// Adds an event.
    pub(super) fn event(&mut self, event: &Event) -> Result<()> {
        self.row(event, None)
    }

    /// Adds a record that is no event; of the reasons only those that a typed column can hold.
    pub(super) fn broken(&mut self, reason: Reason, event: &Event) -> Result<()> {
        self.row(event, Some(reason))
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.writer.close().map_err(|e| cannot_write(&e))?;
        Ok(())
    }

    fn row(&mut self, event: &Event, broken: Option<Reason>) -> Result<()> {
        let ts = match broken {
            Some(Reason::MissingTs) => None,
            Some(Reason::FutureTs) => Some(FUTURE_US),
            Some(Reason::TooOld) => Some(TOO_OLD_US),
            _ => Some(event.ts_us),
        };
        self.ts.append_option(ts);
        let duration = i64::from(event.duration_ms);
        self.duration.append_option(match broken {
            Some(Reason::BadDuration) if event.number % 2 == 0 => Some(-5),
            Some(Reason::BadDuration) => Some(MAX_DURATION_MS + 1),
            _ => (duration > 0).then_some(duration),
        });
        self.text(Text::EventId, event.has_id, |out| push_event_id(out, event));
        self.text(Text::User, event.user != NONE, |out| {
            push_user(out, event.user);
            if broken == Some(Reason::BadId) {
                out.push(0x07);
            }
        });
        self.text(Text::Org, event.org != NONE, |out| push_org(out, event.org));
        self.text(Text::App, broken != Some(Reason::MissingApp), |out| push_app(out, event.app, event.home));
        self.text(Text::Action, has_action(event), |out| out.extend_from_slice(event.action.as_bytes()));
        self.text(Text::Room, event.room != 0, |out| push_room(out, event));
        self.text(Text::Client, true, |out| out.extend_from_slice(event.client.name().as_bytes()));
        self.rows += 1;
        if self.rows >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    fn text(&mut self, column: Text, is_there: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let builder = &mut self.texts[column as usize];
        self.field.clear();
        if is_there {
            write(&mut self.field);
        }
        builder.append_option(std::str::from_utf8(&self.field).ok().filter(|_| is_there));
    }

    fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let [id, user, org, app, action, room, client] = &mut self.texts;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(id.finish()),
            Arc::new(self.ts.finish()),
            Arc::new(user.finish()),
            Arc::new(org.finish()),
            Arc::new(app.finish()),
            Arc::new(action.finish()),
            Arc::new(self.duration.finish()),
            Arc::new(room.finish()),
            Arc::new(client.finish()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| cannot_write(&e))?;
        self.writer.write(&batch).map_err(|e| cannot_write(&e))
    }
}
