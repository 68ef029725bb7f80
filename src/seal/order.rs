//! Sorting a day: an index of packed numbers is sorted, not rows. It does not move any event.
//!
//! Every organisation, user and app of the day gets its rank among all of that kind, so that one 128-bit number
//! (org, user, app, ts, row) orders almost all events; only events that agree in the first four are compared by value.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};
use rayon::slice::ParallelSliceMut;

use super::Threads;
use super::names::ranks;
use super::rows::{CHUNK_ROWS, RowId, Rows, Texts, position, row_id};
use crate::error::{Error, Result};

/// The events of a day in the order in which they are stored.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The rows, sorted.
    pub(super) ids: Vec<RowId>,
    /// Consecutive ranges of `ids`; no organisation is in two of them.
    pub(super) parts: Vec<Range<usize>>,
}

/// Sorts the rows of all chunks (at most 65,536) but those marked in `left_out`, which goes by chunk, then row; an
/// absent entry leaves out nothing. A part ends with the organisation that fills it up to `part_rows`.
#[expect(clippy::stable_sort_primitive, reason = "only the stable sort finds the runs of sealed events")]
pub(super) fn sort(chunks: &[Rows], left_out: &[Option<&[bool]>], part_rows: usize, threads: Threads) -> Result<Order> {
    if chunks.len() > CHUNK_ROWS {
        return Err(Error::Internal(format!("cannot sort {} batches of events at once", chunks.len())));
    }
    let mut packed = Packed::new(chunks, left_out);
    match threads {
        Threads::One => packed.keys.sort(),
        Threads::All => packed.keys.par_sort(),
    }
    packed.settle_ties(chunks);
    let parts = packed.parts(part_rows);
    Ok(Order { parts, ids: packed.keys.iter().map(|&key| row_of(key, packed.row_bits)).collect() })
}

// Keys, how many of their bits stand below the organisation, and how many are the row.
struct Packed {
    keys: Vec<u128>,
    org_shift: u32,
    row_bits: u32,
}

impl Packed {
    fn new(chunks: &[Rows], left_out: &[Option<&[bool]>]) -> Self {
        let (mut orgs, mut users, mut apps) = (Codes::default(), Codes::default(), Codes::default());
        let mut keys = Vec::with_capacity(chunks.iter().map(Rows::len).sum());
        let (mut ts_min, mut ts_max) = (i64::MAX, i64::MIN);
        for (number, rows) in chunks.iter().enumerate() {
            let left_out = left_out.get(number).copied().flatten();
            let [org_id, user_id, app_id] = [&rows.org_id, &rows.user_id, &rows.app_id].map(Texts::new);
            let instants = rows.ts.values().as_ref();
            for row in (0..rows.len()).filter(|&row| left_out.is_none_or(|left_out| !left_out[row])) {
                let org = orgs.code(org_id.at(row));
                let user = users.code(user_id.at(row));
                let app = apps.code(app_id.at(row));
                let id = row_id(number, row);
                keys.push(u128::from(org) << 96 | u128::from(user) << 64 | u128::from(app) << 32 | u128::from(id));
                let ts: i64 = instants[row];
                (ts_min, ts_max) = (ts_min.min(ts), ts_max.max(ts));
            }
        }
        let span = if keys.is_empty() { 0 } else { ts_max.abs_diff(ts_min) };
        let row_bits = bits((chunks.len() * CHUNK_ROWS).saturating_sub(1) as u64);
        let [user_bits, app_bits] = [&users, &apps].map(Codes::bits);
        let ts_bits = bits(span);
        let wanted = orgs.bits() + user_bits + app_bits + ts_bits + row_bits;
        // A day has 37 bits of microseconds, so this is 0 unless there are hundreds of millions of everything.
        let ts_cut = wanted.saturating_sub(u128::BITS).min(ts_bits);
        let ts_bits = ts_bits - ts_cut;
        let [orgs, users, apps] = [&orgs, &users, &apps].map(|codes| ranks(&codes.texts));
        let instants = chunks.iter().map(|rows| rows.ts.values().as_ref()).collect::<Vec<&[i64]>>();
        for key in &mut keys {
            let id = low(*key);
            let (chunk, row) = position(id);
            let ts = instants[chunk][row].abs_diff(ts_min) >> ts_cut;
            let rank = |ranks: &[u32], code: u32| u128::from(ranks[code as usize]);
            let org = rank(&orgs, low(*key >> 96));
            let org_user = org << user_bits | rank(&users, low(*key >> 64));
            let org_user_app = org_user << app_bits | rank(&apps, low(*key >> 32));
            *key = (org_user_app << ts_bits | u128::from(ts)) << row_bits | u128::from(id);
        }
        Self { keys, org_shift: user_bits + app_bits + ts_bits + row_bits, row_bits }
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
    table: HashTable<(u32, u32)>,
    texts: Vec<&'a [u8]>,
    // Sealed events come sorted: most texts are the ones of the row before.
    last: Option<(&'a [u8], u32)>,
}

impl<'a> Codes<'a> {
    fn code(&mut self, text: &'a [u8]) -> u32 {
        if let Some((last, code)) = self.last
            && last == text
        {
            return code;
        }
        let hash = self.hasher.hash_one(text);
        let upper = low(u128::from(hash >> 24));
        let (texts, hasher) = (&self.texts, &self.hasher);
        let is_same = |&(known, code): &(u32, u32)| known == upper && texts[code as usize] == text;
        let rehash = |&(_, code): &(u32, u32)| hasher.hash_one(texts[code as usize]);
        let code = match self.table.entry(hash, is_same, rehash) {
            hashbrown::hash_table::Entry::Occupied(entry) => entry.get().1,
            hashbrown::hash_table::Entry::Vacant(slot) => {
                let code = low(self.texts.len() as u128);
                slot.insert((upper, code));
                self.texts.push(text);
                code
            }
        };
        self.last = Some((text, code));
        code
    }

    fn bits(&self) -> u32 {
        bits(self.texts.len().saturating_sub(1) as u64)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the row, never more than 32")]
fn row_of(key: u128, row_bits: u32) -> RowId {
    (key & ((1 << row_bits) - 1)) as RowId
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest half of what is packed is wanted")]
fn low(packed: u128) -> u32 {
    packed as u32
}

// The bits that hold every number up to `most`.
fn bits(most: u64) -> u32 {
    u64::BITS - most.leading_zeros()
}
