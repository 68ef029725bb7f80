//! A text file from its bytes to harvests: opened, cut into chunks, and read by many threads, directly or through the
//! source's select. It does not know what makes a record an event.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};

use crate::error::{Error, Result};
use crate::event::Reason;
use crate::settings::LogFormat;

use super::bytes::{Checksum, Progress, Unpacked, open, read_error};
use super::chunks::{Cutter, Ending, Piece};
use super::columns::{Harvest, Harvester, Refusals, internal};
use super::csv::{self, Header};
use super::feed::Manner;
use super::inputs::Source;
use super::jsonl;
use super::mapping::Mapping;
use super::parallel::{Job, in_order};
use super::parquet::{Reading, take_rows};
use super::shape::{Members, Rows};

/// How a file is cut.
pub(super) struct Plan<'a> {
    pub(super) threads: usize,
    pub(super) chunk_bytes: usize,
    /// How many bytes of the file are read.
    pub(super) bytes: u64,
    /// Whether their checksum is to be made on the way.
    pub(super) hash: bool,
    pub(super) progress: &'a Progress<'a>,
}

/// An opened file.
pub(super) struct TextFile<'a> {
    cutter: Cutter<Unpacked<'a>>,
    /// What stands before the first piece.
    pub(super) before: Option<Harvest>,
    /// Reads the pieces.
    pub(super) reader: Arc<TextReader>,
}

/// Reads pieces of one file, in any thread.
pub(super) struct TextReader {
    label: String,
    manner: Manner,
    form: Form,
}

enum Form {
    // With the raw columns, if there is a select.
    Jsonl(Option<Schema>),
    Csv(Header),
}

impl<'a> TextFile<'a> {
    /// Opens a JSON Lines file.
    pub(super) fn open_jsonl(source: &Source, mut manner: Manner, plan: &Plan<'a>) -> Result<Self> {
        let mut raw = None;
        if let Some(select) = select_of(source) {
            let columns = shape(source, plan, manner.rules.max_record_bytes)?;
            // Without a single column no record can have a field; the plain rules say so line by line.
            if !columns.fields().is_empty() {
                manner.mapping = Some(mapping(select, &columns, source)?);
                raw = Some(columns);
            }
        }
        let cutter = cutter(source, plan, plan.hash, manner.rules.max_record_bytes, plan.progress)?;
        let reader = TextReader { label: source.label.clone(), manner, form: Form::Jsonl(raw) };
        Ok(Self { cutter, before: None, reader: Arc::new(reader) })
    }

    /// Opens a CSV file. One without any record, not even a header, has no pieces.
    pub(super) fn open_csv(source: &Source, mut manner: Manner, plan: &Plan<'a>) -> Result<Self> {
        let mut cutter = cutter(source, plan, plan.hash, manner.rules.max_record_bytes, plan.progress)?;
        let header = cutter.header().map_err(|e| read_error(source.label.as_ref(), &e))?;
        let refused = |what| Error::Data(format!("{}: the header {what}; nothing was ingested", source.label));
        let Some((header, lines)) = header.map_err(refused)? else {
            let reader = TextReader { label: source.label.clone(), manner, form: Form::Csv(Header::default()) };
            return Ok(Self { cutter, before: None, reader: Arc::new(reader) });
        };
        let header = Header::parse(&header, &manner.keep).map_err(|e| e.within(&source.label))?;
        if let Some(select) = select_of(source) {
            let text = |name: &String| Field::new(name, DataType::Utf8, true);
            let raw = Schema::new(header.names.iter().map(text).collect::<Vec<_>>());
            manner.mapping = Some(mapping(select, &raw, source)?);
        }
        let reader = TextReader { label: source.label.clone(), manner, form: Form::Csv(header) };
        let before = Some(Harvest { lines, ..Harvest::default() });
        Ok(Self { cutter, before, reader: Arc::new(reader) })
    }

    /// The next piece; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        self.cutter.next().map_err(|e| read_error(self.reader.label.as_ref(), &e))
    }

    /// The checksum of the file, once, if it was to be made on the way. To be asked for behind the last piece.
    pub(super) fn checksum(&mut self) -> Result<Option<Checksum>> {
        self.cutter.input().checksum().map_err(|e| read_error(self.reader.label.as_ref(), &e))
    }
}

impl TextReader {
    /// Reads a piece.
    pub(super) fn read(&self, piece: Piece) -> Result<Harvest> {
        match piece {
            Piece::Records(records) => self.records(&records).map_err(|e| e.within(&self.label)),
            Piece::Refused(reason, raw) => {
                let mut rejects = Refusals::default();
                rejects.push(1, reason, &raw);
                Ok(Harvest { rejects, read: 1, lines: 1, ..Harvest::default() })
            }
        }
    }

    fn records(&self, records: &[u8]) -> Result<Harvest> {
        let reading = self.manner.reading();
        let Reading { rules, keep, file, .. } = reading;
        match &self.form {
            Form::Jsonl(None) => jsonl::read(records, rules, keep, file),
            Form::Jsonl(Some(raw)) => mapped_jsonl(records, raw, &reading),
            Form::Csv(header) if reading.mapping.is_some() => mapped_csv(records, header, &reading),
            Form::Csv(header) => csv::read(records, rules, header, keep, file),
        }
    }
}

fn select_of<'a>(source: &Source<'a>) -> Option<&'a str> {
    source.settings.and_then(|settings| settings.select.as_deref())
}

fn mapping(select: &str, raw: &Schema, source: &Source) -> Result<Mapping> {
    Mapping::new(select, raw).map_err(|e| e.within(&source.label))
}

fn cutter<'a>(
    source: &Source,
    plan: &Plan,
    hash: bool,
    max_record_bytes: usize,
    progress: &'a Progress<'a>,
) -> Result<Cutter<Unpacked<'a>>> {
    let stream = open(&source.path, plan.bytes, hash, progress)?;
    let ending = if source.format == LogFormat::Csv { Ending::Quoted } else { Ending::Line };
    Cutter::new(stream, ending, plan.chunk_bytes, max_record_bytes).map_err(|e| read_error(source.label.as_ref(), &e))
}

// A small file is not worth a thread.
fn threads_for(plan: &Plan) -> usize {
    if plan.bytes < plan.chunk_bytes as u64 / 4 { 1 } else { plan.threads }
}

// The raw columns that the whole file shows.
fn shape(source: &Source, plan: &Plan, max_record_bytes: usize) -> Result<Schema> {
    let silent = Progress::new(0, &|_, _| {});
    let mut cutter = cutter(source, plan, false, max_record_bytes, &silent)?;
    let mut whole = Members::default();
    in_order(
        threads_for(plan),
        || Ok(cutter.next().map_err(|e| read_error(source.label.as_ref(), &e))?.map(Job::Work)),
        |piece, give: &mut dyn FnMut(Members) -> bool| {
            let mut part = Members::default();
            if let Piece::Records(records) = piece {
                jsonl::for_each_line(&records, |_, bytes, line| {
                    if let Some(line) = line.filter(|_| bytes.len() <= max_record_bytes) {
                        part.add_line(line);
                    }
                });
            }
            give(part);
            Ok(())
        },
        |part| {
            whole.merge(part);
            Ok(())
        },
    )?;
    Ok(whole.schema())
}

fn mapped_jsonl(text: &[u8], raw: &Schema, reading: &Reading) -> Result<Harvest> {
    let columns = reading.mapping.map(Mapping::columns).unwrap_or_default();
    let schema = raw.project(columns).map_err(internal)?;
    let mut rows = Rows::new(schema.fields());
    let mut taken = Taken::default();
    let lines = jsonl::for_each_line(text, |number, bytes, line| {
        let outcome = match line {
            None => Err(Reason::BadEncoding),
            Some(_) if bytes.len() > reading.rules.max_record_bytes => Err(Reason::TooLong),
            Some(line) => rows.push(line).ok_or(Reason::BadRecord),
        };
        taken.add(number, bytes, outcome);
    });
    taken.harvest(schema, rows.finish().map_err(internal)?, reading, lines)
}

fn mapped_csv(text: &[u8], header: &Header, reading: &Reading) -> Result<Harvest> {
    let columns = reading.mapping.map(Mapping::columns).unwrap_or_default();
    let fields: Vec<Field> = columns
        .iter()
        .filter_map(|place| header.names.get(*place))
        .map(|name| Field::new(name, DataType::Utf8, true))
        .collect();
    let mut builders: Vec<StringBuilder> = columns.iter().map(|_| StringBuilder::new()).collect();
    let mut taken = Taken::default();
    let lines =
        csv::for_each_record(text, header.names.len(), reading.rules.max_record_bytes, |number, bytes, found| {
            let outcome = found.map(|(record, split)| {
                for (builder, place) in builders.iter_mut().zip(columns) {
                    builder.append_value(split.field(record, *place));
                }
            });
            taken.add(number, bytes, outcome);
        });
    let arrays = builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect();
    taken.harvest(Schema::new(fields), arrays, reading, lines)
}

// The records of a chunk on their way through a select: where each row came from, and what was refused before it.
#[derive(Default)]
struct Taken<'a> {
    rows: Vec<(u64, &'a [u8])>,
    refused: Vec<(u64, &'a [u8], Reason)>,
}

impl<'a> Taken<'a> {
    fn add(&mut self, line: u64, bytes: &'a [u8], outcome: std::result::Result<(), Reason>) {
        match outcome {
            Ok(()) => self.rows.push((line, bytes)),
            Err(reason) => self.refused.push((line, bytes, reason)),
        }
    }

    fn harvest(mut self, schema: Schema, arrays: Vec<ArrayRef>, reading: &Reading, lines: u64) -> Result<Harvest> {
        let mut harvester = Harvester::new(reading.rules);
        if let Some(mapping) = reading.mapping.filter(|_| !self.rows.is_empty()) {
            // A select may read no column at all, and still has its rows.
            let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
            let batch = RecordBatch::try_new_with_options(schema.into(), arrays, &options).map_err(internal)?;
            let (fields, sources) = mapping.run(&batch)?;
            let (rows, refused) = (&self.rows, &mut self.refused);
            take_rows(&fields, reading, &mut harvester, |place, reason| {
                let row = usize::try_from(sources.value(place)).unwrap_or(usize::MAX);
                if let Some((line, bytes)) = rows.get(row) {
                    refused.push((*line, bytes, reason));
                }
            })?;
        }
        self.refused.sort_by_key(|(line, ..)| *line);
        for (line, bytes, reason) in &self.refused {
            harvester.reject(*line, *reason, bytes);
        }
        harvester.harvest(reading.file, lines)
    }
}
