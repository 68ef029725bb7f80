//! Sorting a day: an index of packed numbers is sorted, not rows. It does not move any event.
//!
//! Every organisation, user and app of the day gets its rank among all of that kind, so that one 128-bit number
//! (org, user, app, ts, row) orders almost all events; only events that agree in the first four are compared by value.

use std::hash::BuildHasher;
use std::ops::Range;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use hashbrown::{DefaultHashBuilder, HashTable};
use rayon::slice::ParallelSliceMut;

use super::Threads;
use super::rows::{APP, CHUNK_ROWS, Coded, ORG, RowId, Rows, USER, position, row_id};
use super::sorting::sort_by_number;
use crate::error::{Error, Result};
use crate::names::ranks;
use crate::store::{CODED_COLUMNS, bit_width, is_same_list};

/// The texts of the coded columns of many chunks, in the order of `CODED_COLUMNS`.
#[derive(Debug, Default)]
pub(super) struct Pool(pub(super) [Ranking; CODED_COLUMNS.len()]);

/// All texts of one kind, ranked by their bytes.
#[derive(Debug)]
pub(super) struct Ranking {
    /// The distinct texts in order, a `StringArray`.
    pub(super) texts: ArrayRef,
    // The ranks of the texts of a list, for each list.
    lists: Vec<Vec<u32>>,
    // The list of each chunk.
    chunks: Vec<usize>,
}

impl Pool {
    /// Ranks the texts of all chunks.
    pub(super) fn new(chunks: &[Rows]) -> Result<Self> {
        let mut pool = Self::default();
        for (column, ranking) in pool.0.iter_mut().enumerate() {
            *ranking = Ranking::new(chunks.iter().map(|rows| &rows.coded[column]))?;
        }
        Ok(pool)
    }
}

impl Default for Ranking {
    fn default() -> Self {
        Self { texts: Arc::new(StringArray::new_null(0)), lists: Vec::new(), chunks: Vec::new() }
    }
}

impl Ranking {
    fn new<'a>(columns: impl Iterator<Item = &'a Coded>) -> Result<Self> {
        let mut codes = Codes::default();
        let (mut known, mut lists, mut chunks) = (Vec::<&StringArray>::new(), Vec::new(), Vec::new());
        for column in columns {
            // Batches of one row group share their list.
            let list = known.iter().rposition(|known| is_same_list(known, &column.texts)).unwrap_or_else(|| {
                codes.table.reserve(column.texts.len(), |&(hash, _)| hash);
                known.push(&column.texts);
                lists.push(column.texts.iter().flatten().map(|text| codes.code(text)).collect::<Vec<_>>());
                lists.len() - 1
            });
            chunks.push(list);
        }
        let (ranks, texts) = codes.ranks()?;
        for code in lists.iter_mut().flatten() {
            *code = ranks[*code as usize];
        }
        Ok(Self { texts: Arc::new(texts), lists, chunks })
    }

    /// The ranks of the codes of a chunk.
    pub(super) fn of(&self, chunk: usize) -> &[u32] {
        &self.lists[self.chunks[chunk]]
    }

    fn bits(&self) -> u32 {
        bit_width(self.texts.len().saturating_sub(1) as u64)
    }
}

/// The events of a day in the order in which they are stored.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The rows, sorted.
    pub(super) ids: Vec<RowId>,
    /// Consecutive ranges of `ids`; no organisation is in two of them.
    pub(super) parts: Vec<Range<usize>>,
    /// The texts of their ids.
    pub(super) pool: Pool,
}

/// Sorts the rows of all chunks (at most 65,536) but those marked in `left_out`, which goes by chunk, then row; an
/// absent entry leaves out nothing. A part ends with the organisation that fills it up to `part_rows`.
#[expect(clippy::stable_sort_primitive, reason = "only the stable sort finds the runs of sealed events")]
pub(super) fn sort(chunks: &[Rows], left_out: &[Option<&[bool]>], part_rows: usize, threads: Threads) -> Result<Order> {
    if chunks.len() > CHUNK_ROWS {
        return Err(Error::Internal(format!("cannot sort {} batches of events at once", chunks.len())));
    }
    let pool = Pool::new(chunks)?;
    let mut packed = Packed::new(chunks, left_out, &pool);
    // Sealed events are in order already, which the standard sort finds.
    let is_sealed = chunks.iter().any(|rows| rows.file.is_none());
    match threads {
        Threads::One if is_sealed || !packed.sort_by_parts() => packed.keys.sort(),
        Threads::One => {}
        Threads::All => packed.keys.par_sort(),
    }
    packed.settle_ties(chunks);
    let parts = packed.parts(part_rows);
    let ids = packed.keys.iter().map(|&key| row_of(key, packed.row_bits)).collect();
    Ok(Order { ids, parts, pool })
}

// Keys, how many of their bits stand below the organisation and below the app, and how many are the row.
struct Packed {
    keys: Vec<u128>,
    org_shift: u32,
    app_shift: u32,
    row_bits: u32,
}

impl Packed {
    fn new(chunks: &[Rows], left_out: &[Option<&[bool]>], pool: &Pool) -> Self {
        let instants = chunks.iter().flat_map(|rows| rows.ts.values().iter().copied());
        let (ts_min, ts_max) = instants.fold((i64::MAX, i64::MIN), |(min, max), ts| (min.min(ts), max.max(ts)));
        let span = if ts_min > ts_max { 0 } else { ts_max.abs_diff(ts_min) };
        let [orgs, users, apps] = [ORG, USER, APP].map(|column| &pool.0[column]);
        let row_bits = bit_width((chunks.len() * CHUNK_ROWS).saturating_sub(1) as u64);
        let (user_bits, app_bits, ts_bits) = (users.bits(), apps.bits(), bit_width(span));
        let wanted = orgs.bits() + user_bits + app_bits + ts_bits + row_bits;
        // A day has 37 bits of microseconds, so this is 0 unless there are hundreds of millions of everything.
        let ts_cut = wanted.saturating_sub(u128::BITS).min(ts_bits);
        let ts_bits = ts_bits - ts_cut;
        let mut keys = Vec::with_capacity(chunks.iter().map(Rows::len).sum());
        for (number, rows) in chunks.iter().enumerate() {
            let left_out = left_out.get(number).copied().flatten();
            let [org_ranks, user_ranks, app_ranks] = [orgs, users, apps].map(|ranking| ranking.of(number));
            let [org_codes, user_codes, app_codes] =
                [ORG, USER, APP].map(|column| -> &[u32] { rows.coded[column].codes.values() });
            let instants: &[i64] = rows.ts.values();
            for row in (0..rows.len()).filter(|&row| left_out.is_none_or(|left_out| !left_out[row])) {
                let org = u128::from(org_ranks[org_codes[row] as usize]);
                let org_user = org << user_bits | u128::from(user_ranks[user_codes[row] as usize]);
                let org_user_app = org_user << app_bits | u128::from(app_ranks[app_codes[row] as usize]);
                let ts = u128::from(instants[row].abs_diff(ts_min) >> ts_cut);
                keys.push((org_user_app << ts_bits | ts) << row_bits | u128::from(row_id(number, row)));
            }
        }
        let app_shift = ts_bits + row_bits;
        Self { keys, org_shift: user_bits + app_bits + app_shift, app_shift, row_bits }
    }

    // Sorts keys whose rows ascend: by instant, if they are not in this order as logs mostly are, and then by what stands above.
    // `false` if that is too much for a number.
    fn sort_by_parts(&mut self) -> bool {
        let most = self.keys.iter().max().copied().unwrap_or(0);
        let Ok(most_above) = u64::try_from(most >> self.app_shift) else { return false };
        let (app_shift, row_bits) = (self.app_shift, self.row_bits);
        let most_instant = part((1 << (app_shift - row_bits)) - 1);
        let instant = |key: &u128| part(key >> row_bits) & most_instant;
        if !self.keys.is_sorted_by_key(instant) {
            sort_by_number(Threads::One, &mut self.keys, most_instant, instant);
        }
        sort_by_number(Threads::One, &mut self.keys, most_above, |key| part(key >> app_shift));
        true
    }

    // Compares by value what the packed numbers leave open.
    fn settle_ties(&mut self, chunks: &[Rows]) {
        let row_bits = self.row_bits;
        for ties in self.keys.chunk_by_mut(|one, next| one >> row_bits == next >> row_bits) {
            if ties.len() > 1 {
                ties.sort_unstable_by(|&one, &other| {
                    let (chunk, row) = position(row_of(one, row_bits));
                    let (other_chunk, other_row) = position(row_of(other, row_bits));
                    chunks[chunk].compare_below_app(row, &chunks[other_chunk], other_row)
                });
            }
        }
    }

    fn parts(&self, part_rows: usize) -> Vec<Range<usize>> {
        let mut parts = Vec::new();
        let mut start = 0;
        while self.keys.len() - start > part_rows {
            let org = self.keys[start + part_rows - 1] >> self.org_shift;
            let rest = &self.keys[start + part_rows..];
            let end = start + part_rows + rest.partition_point(|key| key >> self.org_shift <= org);
            parts.push(start..end);
            start = end;
        }
        if start < self.keys.len() {
            parts.push(start..self.keys.len());
        }
        parts
    }
}

// Gives each distinct text a number in the order of appearance.
#[derive(Default)]
struct Codes<'a> {
    hasher: DefaultHashBuilder,
    // The hash of each known text and its code.
    table: HashTable<(u64, u32)>,
    texts: Vec<&'a str>,
}

impl<'a> Codes<'a> {
    fn code(&mut self, text: &'a str) -> u32 {
        let hash = self.hasher.hash_one(text);
        let texts = &self.texts;
        let is_same = |&(known, code): &(u64, u32)| known == hash && texts[code as usize] == text;
        match self.table.entry(hash, is_same, |&(hash, _)| hash) {
            hashbrown::hash_table::Entry::Occupied(entry) => entry.get().1,
            hashbrown::hash_table::Entry::Vacant(slot) => {
                let code = low(self.texts.len() as u128);
                slot.insert((hash, code));
                self.texts.push(text);
                code
            }
        }
    }

    // The rank of each code's text among all texts, by bytes, and the texts in this order.
    fn ranks(self) -> Result<(Vec<u32>, StringArray)> {
        let bytes = self.texts.iter().map(|text| text.len()).sum::<usize>();
        if i32::try_from(bytes).is_err() {
            return Err(Error::Data("the ids or actions of one day are more than 2 GiB of text".into()));
        }
        let ranks = ranks(&self.texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
        let mut texts = vec![""; self.texts.len()];
        for (text, &rank) in self.texts.iter().zip(&ranks) {
            texts[rank as usize] = text;
        }
        Ok((ranks, StringArray::from_iter_values(texts)))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the row, never more than 32")]
fn row_of(key: u128, row_bits: u32) -> RowId {
    (key & ((1 << row_bits) - 1)) as RowId
}

#[expect(clippy::cast_possible_truncation, reason = "what is above is masked away or is not there")]
fn part(packed: u128) -> u64 {
    packed as u64
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest half of what is packed is wanted")]
fn low(packed: u128) -> u32 {
    packed as u32
}
