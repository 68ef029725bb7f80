//! One event, once: which staged events repeat an id that their day already has.
//! The first in ingest order wins: sealed events before staged ones.

use std::hash::BuildHasher;

use arrow::array::StringArray;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::rows::{RowId, Rows, position, row_id};

/// Marks duplicates among staged chunks. The table holds staged ids only, since a batch of late events is much smaller
/// than its day: sealed ids are looked up in it, not put into it.
pub(super) struct Dedupe<'a> {
    staged: &'a [Rows],
    hasher: DefaultHashBuilder,
    first: HashTable<Entry>,
    /// For each staged chunk and row: whether it is a duplicate.
    pub(super) duplicate: Vec<Vec<bool>>,
}

// The upper half of the hash spares most comparisons of texts in other parts of memory.
struct Entry {
    hash: u32,
    id: RowId,
}

impl<'a> Dedupe<'a> {
    /// Finds the duplicates among staged chunks, which are given in ingest order.
    pub(super) fn new(staged: &'a [Rows]) -> Self {
        let with_id = staged.iter().map(|rows| rows.len() - ids_missing(&rows.event_id)).sum();
        let mut dedupe = Self {
            staged,
            hasher: DefaultHashBuilder::default(),
            first: HashTable::with_capacity(with_id),
            duplicate: staged.iter().map(|rows| vec![false; rows.len()]).collect(),
        };
        for (chunk, rows) in staged.iter().enumerate() {
            for row in 0..rows.len() {
                dedupe.enter(chunk, row, rows.event_id.value(row).as_bytes());
            }
        }
        dedupe
    }

    fn enter(&mut self, chunk: usize, row: usize, event_id: &[u8]) {
        if event_id.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one(event_id);
        let (staged, hasher) = (self.staged, &self.hasher);
        let is_same = |entry: &Entry| entry.hash == upper(hash) && id_at(staged, entry.id) == event_id;
        let rehash = |entry: &Entry| hasher.hash_one(id_at(staged, entry.id));
        match self.first.entry(hash, is_same, rehash) {
            hashbrown::hash_table::Entry::Occupied(_) => self.duplicate[chunk][row] = true,
            hashbrown::hash_table::Entry::Vacant(slot) => {
                slot.insert(Entry { hash: upper(hash), id: row_id(chunk, row) });
            }
        }
    }

    /// Marks the staged events whose ids these sealed events have.
    pub(super) fn against(&mut self, sealed: &Rows) {
        if self.first.is_empty() {
            return;
        }
        for event_id in sealed.event_id.iter().flatten().filter(|event_id| !event_id.is_empty()) {
            let hash = self.hasher.hash_one(event_id.as_bytes());
            let is_same =
                |entry: &Entry| entry.hash == upper(hash) && id_at(self.staged, entry.id) == event_id.as_bytes();
            if let Some(entry) = self.first.find(hash, is_same) {
                let (chunk, row) = position(entry.id);
                self.duplicate[chunk][row] = true;
            }
        }
    }
}

fn id_at(staged: &[Rows], id: RowId) -> &[u8] {
    let (chunk, row) = position(id);
    staged[chunk].event_id.value(row).as_bytes()
}

#[expect(clippy::cast_possible_truncation, reason = "half of the bits are wanted")]
fn upper(hash: u64) -> u32 {
    // The table finds its place with the lowest bits and its tag with the highest seven; these are between them.
    (hash >> 24) as u32
}

fn ids_missing(event_id: &StringArray) -> usize {
    event_id.value_offsets().windows(2).filter(|pair| pair[0] == pair[1]).count()
}
