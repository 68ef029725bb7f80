//! All files of an ingest as one stream of work: their parts are read by many threads, across files too, and what they
//! become comes in the order of files and parts. It knows how files are opened, not what is in them.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::settings::LogFormat;

use super::bytes::{Checksum, Progress, Seekable, checksum, length};
use super::chunks::Piece;
use super::columns::Harvest;
use super::inputs::Source;
use super::keep::Keep;
use super::known::KnownFiles;
use super::mapping::Mapping;
use super::parallel::{Job, in_order};
use super::parquet::{ParquetFile, Reading};
use super::record::Rules;
use super::text::{self, TextFile, TextReader};
use super::{FileReport, Order};

// Offsets of Arrow text have 31 bits.
const LONGEST_RECORD_BYTES: u64 = 1 << 30;

/// How files are read.
pub(super) struct Feed<'a> {
    pub(super) order: &'a Order<'a>,
    pub(super) threads: usize,
    pub(super) chunk_bytes: usize,
    pub(super) progress: &'a Progress<'a>,
}

/// What comes out, in order.
pub(super) enum Step {
    /// A file begins. Of a file that is skipped nothing else comes.
    File(FileReport),
    /// A part of the present file.
    Harvest(Harvest),
    /// The SHA-256 (hex) of the present file, if it was not known when the file began.
    Checksum(String),
}

/// How the records of one file are read.
pub(super) struct Manner {
    pub(super) rules: Rules,
    pub(super) keep: Keep,
    pub(super) mapping: Option<Mapping>,
    /// The number of the file.
    pub(super) file: u32,
}

impl Manner {
    /// The same, to be lent.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading { rules: &self.rules, keep: &self.keep, mapping: self.mapping.as_ref(), file: self.file }
    }
}

impl Feed<'_> {
    /// Reads all files that were not ingested before.
    pub(super) fn read(&self, sources: &[Source], take: impl FnMut(Step) -> Result<()>) -> Result<()> {
        let mut jobs =
            Jobs { feed: self, sources: sources.iter(), seen: KnownFiles::default(), files: 0, open: Open::Nothing };
        let work = |part, give: &mut dyn FnMut(Step) -> bool| match part {
            Part::Piece(reader, piece) => {
                give(Step::Harvest(reader.read(piece)?));
                Ok(())
            }
            Part::Group(groups, group) => {
                let reading = groups.manner.reading();
                groups.file.read(group, &reading, &mut |harvest| give(Step::Harvest(harvest)))
            }
        };
        in_order(self.threads, || jobs.next(), work, take)
    }
}

enum Part {
    Piece(Arc<TextReader>, Piece),
    Group(Arc<Groups>, usize),
}

struct Groups {
    manner: Manner,
    file: ParquetFile,
    // Removed when the last group has been read.
    _stored: Seekable,
}

struct Jobs<'a> {
    feed: &'a Feed<'a>,
    sources: std::slice::Iter<'a, Source<'a>>,
    // The files of this ingest.
    seen: KnownFiles,
    files: usize,
    open: Open<'a>,
}

enum Open<'a> {
    Nothing,
    Text(Box<TextFile<'a>>),
    Groups { groups: Arc<Groups>, bytes: std::vec::IntoIter<u64>, next: usize, left: u64 },
}

impl<'a> Jobs<'a> {
    fn next(&mut self) -> Result<Option<Job<Part, Step>>> {
        loop {
            match &mut self.open {
                Open::Nothing => match self.sources.next() {
                    Some(source) => return self.begin(source).map(|report| Some(Job::Ready(Step::File(report)))),
                    None => return Ok(None),
                },
                Open::Text(file) => {
                    if let Some(harvest) = file.before.take() {
                        return Ok(Some(Job::Ready(Step::Harvest(harvest))));
                    }
                    if let Some(piece) = file.next()? {
                        return Ok(Some(Job::Work(Part::Piece(Arc::clone(&file.reader), piece))));
                    }
                    if let Some(Checksum { bytes, sha256 }) = file.checksum()? {
                        self.seen.add(bytes, sha256.clone());
                        self.open = Open::Nothing;
                        return Ok(Some(Job::Ready(Step::Checksum(sha256))));
                    }
                }
                Open::Groups { groups, bytes, next, left } => {
                    if let Some(bytes) = bytes.next() {
                        let bytes = bytes.min(*left);
                        *left -= bytes;
                        self.feed.progress.add(bytes);
                        *next += 1;
                        return Ok(Some(Job::Work(Part::Group(Arc::clone(groups), *next - 1))));
                    }
                }
            }
            self.open = Open::Nothing;
        }
    }

    fn begin(&mut self, source: &'a Source<'a>) -> Result<FileReport> {
        let mut report = FileReport { source: source.label.clone(), ..FileReport::default() };
        let mut bytes = length(&source.path)?;
        let may_be_known = self.feed.order.known.has_length(bytes) || self.seen.has_length(bytes);
        // Text that can be no repeat is hashed while it is read. Some file systems tell no length.
        let hash = bytes > 0 && source.format != LogFormat::Parquet && !may_be_known;
        if !hash {
            Checksum { bytes, sha256: report.sha256 } = checksum(&source.path)?;
            let is_new = self.seen.add(bytes, report.sha256.clone());
            report.skipped = self.feed.order.known.has(bytes, &report.sha256) || !is_new;
        }
        report.bytes = bytes;
        let file = u32::try_from(self.files).map_err(|_| Error::Usage("there are too many files".into()))?;
        self.files += 1;
        if report.skipped {
            self.feed.progress.add(bytes);
        } else {
            let keep = Keep::new(source.settings.map_or(&[], |settings| settings.keep.as_slice()));
            let manner = Manner { rules: rules(self.feed.order, source), keep, mapping: None, file };
            let Feed { threads, chunk_bytes, progress, .. } = *self.feed;
            let plan = text::Plan { threads, chunk_bytes, bytes, hash, progress };
            self.open = match source.format {
                LogFormat::Jsonl => Open::Text(Box::new(TextFile::open_jsonl(source, manner, &plan)?)),
                LogFormat::Csv => Open::Text(Box::new(TextFile::open_csv(source, manner, &plan)?)),
                LogFormat::Parquet => open_parquet(source, manner, &plan, self.feed.order.work_folder)?,
            };
        }
        Ok(report)
    }
}

fn open_parquet<'a>(source: &Source, mut manner: Manner, plan: &text::Plan, work_folder: &Path) -> Result<Open<'a>> {
    let stored = Seekable::open(&source.path, plan.bytes, work_folder, plan.progress)?;
    let file = ParquetFile::open(stored.path(), &source.label)?;
    let select = source.settings.and_then(|settings| settings.select.as_deref());
    let mapping = select.map(|select| Mapping::new(select, file.schema())).transpose();
    manner.mapping = mapping.map_err(|e| e.within(&source.label))?;
    let left = if stored.is_copy() { 0 } else { plan.bytes };
    let bytes = file.group_bytes().into_iter();
    let groups = Arc::new(Groups { manner, file, _stored: stored });
    Ok(Open::Groups { groups, bytes, next: 0, left })
}

fn rules(order: &Order, source: &Source) -> Rules {
    let ingest = &order.settings.ingest;
    Rules {
        zone: order.settings.report.time_zone,
        now: order.now,
        earliest_day: ingest.earliest_day,
        ts: source.settings.map_or_else(Default::default, |settings| settings.ts),
        max_record_bytes: usize::try_from(ingest.max_record_bytes.min(LONGEST_RECORD_BYTES)).unwrap_or(usize::MAX),
    }
}
