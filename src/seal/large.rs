//! One day that does not fit in memory: the same rows as [`super::day`] makes, by way of files.
//!
//! A first look tells which events stay and how many each organisation has; that cuts the day into pieces that fit in
//! memory. Then events are spread over the pieces, and each is sorted like a day: nothing is merged.

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::Threads;
use super::crossing::Crossing;
use super::cut::Cut;
use super::day::{DayResult, Place, write_part};
use super::order::{Order, sort};
use super::rollup::Lists;
use super::rows::{ORG, Rows, chunks, gather, groups, pick, position, rows_at_once};
use super::survey::Survey;
use super::work::{WorkFile, read, remove};
use crate::error::Result;
use crate::event::Table;
use crate::store::coded_schema;

// This part of the memory is for what crosses organisations, and as much for pieces.
const SHARE: u64 = 4;
// This part is for the files being written.
const SHARE_OF_FILES: u64 = 2;
// The files of a part hold about so many bytes, however small its pieces are.
const PART_BYTES: u64 = 256 << 20;
// About so many pieces are written at once; pieces also end with parts.
const MOST_PIECES: usize = 256;

/// How much a large day may take, and where its work files go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) folder: &'a Path,
    /// Memory in bytes.
    pub(super) memory: u64,
    /// What the day would take in memory, in bytes.
    pub(super) wanted: u64,
    /// Of so many events one tells where an organisation can be cut that is larger than a piece.
    pub(super) sample_step: usize,
}

impl Room<'_> {
    // How many parts are written at once.
    fn parts_at_once(&self) -> usize {
        let fitting = usize::try_from(self.memory / SHARE_OF_FILES / PART_BYTES).unwrap_or(usize::MAX);
        fitting.clamp(1, rayon::current_num_threads())
    }

    // How many of so many rows fit in memory while each part that is written has as many.
    fn piece_rows(&self, rows: usize) -> usize {
        let memory = u128::from(self.memory / SHARE) / self.parts_at_once() as u128;
        let fitting = memory * rows as u128 / u128::from(self.wanted.max(1));
        usize::try_from(fitting).unwrap_or(usize::MAX).max(rows.div_ceil(MOST_PIECES / 2))
    }
}

/// Seals a day of any size. `staged` is in ingest order; `sealed` has no order; both are read twice.
pub(super) fn seal_large_day<S: Iterator<Item = Result<Rows>>, T: Iterator<Item = Result<Rows>>>(
    place: &Place<'_>,
    sealed: impl Fn() -> S,
    staged: impl Fn() -> T,
    files: usize,
    room: Room<'_>,
) -> Result<DayResult> {
    let mut result = DayResult::new(files);
    let survey = Survey::new(sealed(), staged(), &mut result, room)?;
    if result.counts.accepted == 0 {
        return Ok(result);
    }
    let cut = Cut::new(&survey, place.part_rows, room.piece_rows(survey.rows.iter().sum()))?;
    let batch_rows = rows_at_once(survey.extra_bytes);
    let pieces = spread(survey, &cut, sealed(), staged(), room.folder)?;
    let crossing = Crossing::with_memory(room.folder, room.memory / SHARE, room.parts_at_once());
    let write = |part: &Range<usize>| {
        let batches = Sorted { pieces: pieces[part.clone()].iter(), present: None, batch_rows };
        write_part(place, batches, Lists::OfTheDay, &crossing)
    };
    let lanes = cut.parts.par_chunks(cut.parts.len().div_ceil(room.parts_at_once()));
    let lanes = lanes.with_max_len(1).map(|parts| parts.iter().map(write).collect::<Result<Vec<_>>>());
    for part in lanes.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        result.files.extend(part);
    }
    crossing.end(place, &mut result.files)?;
    Ok(result)
}

// Writes the events that stay to the files of their pieces.
fn spread(
    mut survey: Survey,
    cut: &Cut,
    sealed: impl Iterator<Item = Result<Rows>>,
    staged: impl Iterator<Item = Result<Rows>>,
    folder: &Path,
) -> Result<Vec<PathBuf>> {
    let paths = (0..cut.pieces()).map(|piece| folder.join(format!("piece-{piece}"))).collect::<Vec<_>>();
    let schema = coded_schema(&Table::Events.file_schema());
    let mut files = paths.iter().map(|path| WorkFile::create(path, &schema)).collect::<Result<Vec<_>>>()?;
    // The number of staged events so far.
    let mut seen = 0;
    let sealed = groups(sealed).map(|group| (group, false));
    for (group, is_staged) in sealed.chain(groups(staged).map(|group| (group, true))) {
        let group = group?;
        let mut members = vec![Vec::new(); files.len()];
        for (chunk, rows) in group.iter().enumerate() {
            let orgs = survey.org_numbers(rows);
            let left_out = is_staged.then(|| &survey.duplicate[seen..][..rows.len()]);
            seen += left_out.map_or(0, <[bool]>::len);
            for row in (0..rows.len()).filter(|&row| left_out.is_none_or(|left_out| !left_out[row])) {
                let org = orgs[rows.coded[ORG].codes.value(row) as usize];
                members[cut.piece(&survey, org, rows, row)].push((chunk, row));
            }
        }
        let with_members = files.par_iter_mut().zip(&members).filter(|(_, members)| !members.is_empty());
        with_members.try_for_each(|(file, members)| file.write(&pick(&group, members)?))?;
    }
    files.into_iter().try_for_each(WorkFile::finish)?;
    Ok(paths)
}

// The sorted batches of neighbouring pieces. What does not fill a batch goes with the next piece, so that batches do not
// depend on how a part is cut.
struct Sorted<'a> {
    pieces: std::slice::Iter<'a, PathBuf>,
    present: Option<Piece>,
    batch_rows: usize,
}

struct Piece {
    chunks: Vec<Rows>,
    order: Order,
    // The rows that are gone.
    done: usize,
}

impl Iterator for Sorted<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

impl Sorted<'_> {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let most = self.batch_rows;
            let next = self.pieces.as_slice().first();
            let rest = match &mut self.present {
                Some(piece) if piece.left() >= most || next.is_none() => {
                    let positions = piece.take(most);
                    let batch = || gather(&piece.chunks, &piece.order.pool, &positions);
                    return (!positions.is_empty()).then(batch).transpose();
                }
                Some(piece) => {
                    let mut positions = piece.take(most);
                    positions.sort_unstable();
                    Some(Rows::new(&pick(&piece.chunks, &positions)?)?)
                }
                None => None,
            };
            self.present = None;
            let Some(path) = self.pieces.next() else { return Ok(None) };
            self.present = Some(Piece::open(rest, path)?);
        }
    }
}

impl Piece {
    fn open(rest: Option<Rows>, path: &Path) -> Result<Self> {
        let chunks = rest.into_iter().map(Ok).chain(chunks(read(path)?)).collect::<Result<Vec<_>>>()?;
        remove(path)?;
        let order = sort(&chunks, &[], usize::MAX, Threads::One)?;
        Ok(Self { chunks, order, done: 0 })
    }

    fn left(&self) -> usize {
        self.order.ids.len() - self.done
    }

    fn take(&mut self, most: usize) -> Vec<(usize, usize)> {
        let taken = self.order.ids[self.done..].iter().take(most).map(|&id| position(id)).collect::<Vec<_>>();
        self.done += taken.len();
        taken
    }
}
