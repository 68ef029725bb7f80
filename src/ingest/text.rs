//! A text file from its bytes to harvests: opened, cut into chunks, and read by many threads, directly or through the
//! source's select. It does not know what makes a record an event.

use std::io::Read;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};

use crate::error::{Error, Result};
use crate::event::Reason;
use crate::settings::LogFormat;

use super::bytes::{Progress, open, read_error};
use super::chunks::{Cutter, Ending, Piece};
use super::columns::{Harvest, Harvester, Refusals, internal};
use super::csv::{self, Header};
use super::inputs::Source;
use super::jsonl;
use super::mapping::Mapping;
use super::parallel::in_order;
use super::parquet::{Reading, take_rows};
use super::quotes::count_lines;
use super::shape::{Members, Rows};

/// How a file is read.
pub(super) struct Plan<'a> {
    pub(super) reading: Reading<'a>,
    pub(super) threads: usize,
    pub(super) chunk_bytes: usize,
    /// The length of the file when it was hashed.
    pub(super) bytes: u64,
    pub(super) progress: &'a Progress<'a>,
}

type Stream<'a> = Box<dyn Read + Send + 'a>;

/// Reads a JSON Lines file.
pub(super) fn read_jsonl(source: &Source, plan: &Plan, take: impl FnMut(Harvest) -> Result<()>) -> Result<()> {
    let mapping = match source.settings.and_then(|settings| settings.select.as_deref()) {
        None => None,
        Some(select) => {
            let raw = shape(source, plan)?;
            // Without a single column no record can have a field; the plain rules say so line by line.
            if raw.fields().is_empty() { None } else { Some((mapping(select, &raw, source)?, raw)) }
        }
    };
    let cutter = cutter(source, plan, plan.progress)?;
    let Reading { rules, keep, file, .. } = plan.reading;
    each_piece(source, plan, cutter, take, |records| match &mapping {
        None => jsonl::read(records, rules, keep, file),
        Some((mapping, raw)) => mapped_jsonl(records, raw, &Reading { mapping: Some(mapping), ..plan.reading }),
    })
}

/// Reads a CSV file. One without any record, not even a header, has no records.
pub(super) fn read_csv(source: &Source, plan: &Plan, mut take: impl FnMut(Harvest) -> Result<()>) -> Result<()> {
    let mut cutter = cutter(source, plan, plan.progress)?;
    let header = cutter.header().map_err(|e| read_error(source.label.as_ref(), &e))?;
    let refused = |what| Error::Data(format!("{}: the header {what}; nothing was ingested", source.label));
    let Some((header, lines)) = header.map_err(refused)? else { return Ok(()) };
    let Reading { rules, keep, file, .. } = plan.reading;
    let header = Header::parse(&header, keep).map_err(|e| e.within(&source.label))?;
    take(Harvest { lines, ..Harvest::default() })?;
    let mapping = match source.settings.and_then(|settings| settings.select.as_deref()) {
        None => None,
        Some(select) => {
            let text = |name: &String| Field::new(name, DataType::Utf8, true);
            let raw = Schema::new(header.names.iter().map(text).collect::<Vec<_>>());
            Some(self::mapping(select, &raw, source)?)
        }
    };
    each_piece(source, plan, cutter, take, |records| match &mapping {
        None => csv::read(records, rules, &header, keep, file),
        Some(mapping) => mapped_csv(records, &header, &Reading { mapping: Some(mapping), ..plan.reading }),
    })
}

fn mapping(select: &str, raw: &Schema, source: &Source) -> Result<Mapping> {
    Mapping::new(select, raw).map_err(|e| e.within(&source.label))
}

fn cutter<'a>(source: &Source, plan: &Plan, progress: &'a Progress<'a>) -> Result<Cutter<Stream<'a>>> {
    let stream = open(&source.path, plan.bytes, progress)?;
    let ending = if source.format == LogFormat::Csv { Ending::Quoted } else { Ending::Line };
    Cutter::new(stream, ending, plan.chunk_bytes, plan.reading.rules.max_record_bytes)
        .map_err(|e| read_error(source.label.as_ref(), &e))
}

fn each_piece(
    source: &Source,
    plan: &Plan,
    mut cutter: Cutter<Stream>,
    take: impl FnMut(Harvest) -> Result<()>,
    read: impl Fn(&[u8]) -> Result<Harvest> + Sync,
) -> Result<()> {
    let next = || cutter.next().map_err(|e| read_error(source.label.as_ref(), &e));
    let work = |piece, give: &mut dyn FnMut(Harvest) -> bool| {
        let harvest = match piece {
            Piece::Records(records) => read(&records).map_err(|e| e.within(&source.label))?,
            Piece::Refused(reason, raw) => {
                let mut rejects = Refusals::default();
                rejects.push(1, reason, &raw);
                Harvest { rejects, read: 1, lines: 1, ..Harvest::default() }
            }
        };
        give(harvest);
        Ok(())
    };
    in_order(threads_for(plan), next, work, take)
}

// A small file is not worth a thread.
fn threads_for(plan: &Plan) -> usize {
    if plan.bytes < plan.chunk_bytes as u64 / 4 { 1 } else { plan.threads }
}

// The raw columns that the whole file shows.
fn shape(source: &Source, plan: &Plan) -> Result<Schema> {
    let silent = Progress::new(0, &|_, _| {});
    let mut cutter = cutter(source, plan, &silent)?;
    let max_record_bytes = plan.reading.rules.max_record_bytes;
    let mut whole = Members::default();
    in_order(
        threads_for(plan),
        || cutter.next().map_err(|e| read_error(source.label.as_ref(), &e)),
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
    jsonl::for_each_line(text, |number, bytes, line| {
        let outcome = match line {
            None => Err(Reason::BadEncoding),
            Some(_) if bytes.len() > reading.rules.max_record_bytes => Err(Reason::TooLong),
            Some(line) => rows.push(line).ok_or(Reason::BadRecord),
        };
        taken.add(number, bytes, outcome);
    });
    taken.harvest(schema, rows.finish().map_err(internal)?, reading, count_lines(text))
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
    csv::for_each_record(text, header.names.len(), reading.rules.max_record_bytes, |number, bytes, found| {
        let outcome = found.map(|(record, split)| {
            for (builder, place) in builders.iter_mut().zip(columns) {
                builder.append_value(split.field(record, *place));
            }
        });
        taken.add(number, bytes, outcome);
    });
    let arrays = builders.iter_mut().map(|builder| std::sync::Arc::new(builder.finish()) as ArrayRef).collect();
    taken.harvest(Schema::new(fields), arrays, reading, count_lines(text))
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
