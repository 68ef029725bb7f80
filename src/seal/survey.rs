//! A first look at all events of a day that does not fit in memory: which staged ones repeat an id, and how many events each
//! organisation has. Ids are put aside by their hash, so that equal ones meet. It does not move any event.

use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use hashbrown::DefaultHashBuilder;
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, IntoParallelRefMutIterator,
    ParallelIterator,
};

use super::day::DayResult;
use super::dedupe::Dedupe;
use super::large::Room;
use super::rows::{CHUNK_ROWS, ORG, PlainTexts, Rows, groups, pick};
use super::work::{WorkFile, read, remove};
use crate::error::{Error, Result};
use crate::names::Names;

// So many files are written at once.
const MOST_PARTITIONS: u64 = 256;

/// What a first look tells.
pub(super) struct Survey {
    /// The organisations.
    pub(super) orgs: Names,
    /// How many events stay of each, by its number.
    pub(super) rows: Vec<usize>,
    /// Some events, at even distances, ids coded.
    pub(super) sample: Vec<Rows>,
    /// Which staged events do not stay, in ingest order.
    pub(super) duplicate: Vec<bool>,
    /// What all kept fields take.
    pub(super) extra_bytes: u64,
}

impl Survey {
    /// Looks at all events and counts the staged ones.
    pub(super) fn new(
        sealed: impl Iterator<Item = Result<Rows>>,
        staged: impl Iterator<Item = Result<Rows>>,
        result: &mut DayResult,
        room: Room<'_>,
    ) -> Result<Self> {
        let mut survey = Self {
            orgs: Names::default(),
            rows: Vec::new(),
            sample: Vec::new(),
            duplicate: Vec::new(),
            extra_bytes: 0,
        };
        let hasher = DefaultHashBuilder::default();
        // A partition is held by each thread.
        let count = (room.wanted.saturating_mul(rayon::current_num_threads() as u64))
            .div_ceil(room.memory.max(1))
            .clamp(1, MOST_PARTITIONS);
        let paths = |name| (0..count).map(|number| room.folder.join(format!("{name}-{number}"))).collect::<Vec<_>>();
        let (sealed_paths, staged_paths) = (paths("sealed"), paths("staged"));
        let mut files = IdFiles::create(&sealed_paths, &hasher)?;
        for group in groups(sealed) {
            let group = group?;
            let stays = group.iter().map(|rows| vec![false; rows.len()]).collect::<Vec<_>>();
            survey.look(&group, &stays, &mut files, room.sample_step)?;
        }
        files.finish()?;
        let mut files = IdFiles::create(&staged_paths, &hasher)?;
        for group in groups(staged) {
            let group = group?;
            // A log that writes the same id everywhere must not end in one partition.
            let duplicate = Dedupe::new(group.iter().map(|rows| PlainTexts::new(&rows.event_id)).collect()).duplicate;
            for (rows, duplicate) in group.iter().zip(&duplicate) {
                result.count(rows, duplicate)?;
            }
            survey.look(&group, &duplicate, &mut files, room.sample_step)?;
            survey.duplicate.extend(duplicate.into_iter().flatten());
        }
        files.finish()?;
        survey.leave_out_repeats(&sealed_paths, &staged_paths, result)?;
        Ok(survey)
    }

    /// The numbers of the organisations in the list of a chunk.
    pub(super) fn org_numbers(&mut self, rows: &Rows) -> Vec<u32> {
        rows.coded[ORG].texts.iter().flatten().map(|org| self.orgs.number(0, org)).collect()
    }

    fn look(
        &mut self,
        group: &[Rows],
        left_out: &[Vec<bool>],
        files: &mut IdFiles<'_>,
        sample_step: usize,
    ) -> Result<()> {
        let orgs = group.iter().map(|rows| self.org_numbers(rows)).collect::<Vec<_>>();
        self.rows.resize(self.orgs.len(), 0);
        for ((rows, orgs), left_out) in group.iter().zip(&orgs).zip(left_out) {
            self.extra_bytes += rows.extra_bytes();
            for (&code, left_out) in rows.coded[ORG].codes.values().iter().zip(left_out) {
                self.rows[orgs[code as usize] as usize] += usize::from(!left_out);
            }
        }
        let all = group.iter().enumerate().flat_map(|(chunk, rows)| (0..rows.len()).map(move |row| (chunk, row)));
        let sample = pick(group, &all.step_by(sample_step).collect::<Vec<_>>())?;
        self.sample.push(Rows::new(&sample)?);
        files.add(group, &orgs, left_out)
    }

    fn leave_out_repeats(&mut self, sealed: &[PathBuf], staged: &[PathBuf], result: &mut DayResult) -> Result<()> {
        let all = Mutex::new((self, result));
        (sealed, staged).into_par_iter().with_max_len(1).try_for_each(|(sealed, staged)| {
            let repeats = repeats(sealed, staged)?;
            remove(sealed)?;
            remove(staged)?;
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            let (survey, result) = &mut *all;
            for repeat in repeats {
                survey.duplicate[repeat.row] = true;
                survey.rows[repeat.org as usize] -= 1;
                result.counts.accepted -= 1;
                result.count_duplicate(repeat.file)?;
            }
            Ok(())
        })
    }
}

// Ids on disk, those of one hash in one file.
struct IdFiles<'a> {
    hasher: &'a DefaultHashBuilder,
    files: Vec<WorkFile>,
    // Events so far.
    rows: usize,
}

impl<'a> IdFiles<'a> {
    fn create(paths: &[PathBuf], hasher: &'a DefaultHashBuilder) -> Result<Self> {
        let files = paths.iter().map(|path| WorkFile::create(path, &ids_schema())).collect::<Result<Vec<_>>>()?;
        Ok(Self { hasher, files, rows: 0 })
    }

    fn add(&mut self, group: &[Rows], orgs: &[Vec<u32>], left_out: &[Vec<bool>]) -> Result<()> {
        let before = group.iter().scan(self.rows, |seen, rows| Some(std::mem::replace(seen, *seen + rows.len())));
        let before = before.collect::<Vec<_>>();
        self.rows += group.iter().map(Rows::len).sum::<usize>();
        let members = group.par_iter().zip(left_out).map(|(rows, left_out)| self.members(rows, left_out));
        let members = members.collect::<Vec<_>>();
        self.files.par_iter_mut().enumerate().try_for_each(|(number, file)| {
            let of_chunk = |chunk: usize| members[chunk][number].iter().map(move |&row| (chunk, row));
            let positions = (0..group.len()).flat_map(of_chunk).collect::<Vec<_>>();
            positions.chunks(CHUNK_ROWS).try_for_each(|positions| file.write(&ids(group, orgs, &before, positions)?))
        })
    }

    // The rows of a chunk for each file. Events without id meet no duplicates.
    fn members(&self, rows: &Rows, left_out: &[bool]) -> Vec<Vec<usize>> {
        let ids = PlainTexts::new(&rows.event_id);
        let mut members = vec![Vec::new(); self.files.len()];
        for row in (0..ids.len()).filter(|&row| !left_out[row] && !ids.at(row).is_empty()) {
            members[place(self.hasher.hash_one(ids.at(row)), self.files.len())].push(row);
        }
        members
    }

    fn finish(self) -> Result<()> {
        self.files.into_iter().try_for_each(WorkFile::finish)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "less than the number of files")]
fn place(hash: u64, files: usize) -> usize {
    (hash % files as u64) as usize
}

// A staged event whose id was there before.
struct Repeat {
    row: usize,
    org: u32,
    file: u32,
}

fn repeats(sealed: &Path, staged: &Path) -> Result<Vec<Repeat>> {
    let staged = read(staged)?.map(|batch| Ids::new(&batch?)).collect::<Result<Vec<_>>>()?;
    let mut dedupe = Dedupe::new(staged.iter().map(|ids| PlainTexts::new(&ids.event_id)).collect());
    for batch in read(sealed)? {
        dedupe.against(PlainTexts::new(&Ids::new(&batch?)?.event_id));
    }
    let marked = staged.iter().zip(&dedupe.duplicate).flat_map(|(ids, duplicate)| {
        let marked = duplicate.iter().enumerate().filter(|(_, is_duplicate)| **is_duplicate);
        marked.map(|(place, _)| ids.repeat(place))
    });
    marked.collect()
}

// The columns of a file of ids: of each event its id, its place among all, the number of its organisation, and its file.
fn ids_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let column = |name: &str, data_type| Field::new(name, data_type, false);
        Arc::new(Schema::new(vec![
            column("event_id", DataType::Utf8),
            column("row", DataType::UInt64),
            column("org", DataType::UInt32),
            column("file", DataType::UInt32),
        ]))
    });
    Arc::clone(&SCHEMA)
}

fn ids(group: &[Rows], orgs: &[Vec<u32>], before: &[usize], positions: &[(usize, usize)]) -> Result<RecordBatch> {
    let failed = |cause| Error::Internal(format!("cannot put ids aside: {cause}"));
    let texts = group.iter().map(|rows| &rows.event_id as _).collect::<Vec<_>>();
    let org = |&(chunk, row): &(usize, usize)| orgs[chunk][group[chunk].coded[ORG].codes.value(row) as usize];
    let file = |&(chunk, row): &(usize, usize)| group[chunk].file.as_ref().map_or(0, |file| file.value(row));
    let columns: Vec<ArrayRef> = vec![
        compute::interleave(&texts, positions).map_err(failed)?,
        Arc::new(positions.iter().map(|&(chunk, row)| (before[chunk] + row) as u64).collect::<UInt64Array>()),
        Arc::new(positions.iter().map(org).collect::<UInt32Array>()),
        Arc::new(positions.iter().map(file).collect::<UInt32Array>()),
    ];
    RecordBatch::try_new(ids_schema(), columns).map_err(failed)
}

struct Ids {
    event_id: StringArray,
    row: UInt64Array,
    org: UInt32Array,
    file: UInt32Array,
}

impl Ids {
    fn new(batch: &RecordBatch) -> Result<Self> {
        let number = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>().cloned();
        let event_id = batch.column_by_name("event_id").and_then(|ids| ids.as_string_opt::<i32>()).cloned();
        let row = batch.column_by_name("row").and_then(|rows| rows.as_primitive_opt::<UInt64Type>()).cloned();
        let (Some(event_id), Some(row), Some(org), Some(file)) = (event_id, row, number("org"), number("file")) else {
            return Err(Error::Internal("a work file has other columns than were written".into()));
        };
        Ok(Self { event_id, row, org, file })
    }

    fn repeat(&self, place: usize) -> Result<Repeat> {
        let row = usize::try_from(self.row.value(place))
            .map_err(|cause| Error::Internal(format!("a work file names an event that is not there: {cause}")))?;
        Ok(Repeat { row, org: self.org.value(place), file: self.file.value(place) })
    }
}
