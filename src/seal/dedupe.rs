//! One event, once: which staged events repeat an id that their day already has.
//! The first in ingest order wins: sealed events before staged ones.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::rows::{PlainTexts, RowId, position, row_id};

/// Marks duplicates among staged chunks. The table holds staged ids only, since a batch of late events is much smaller
/// than its day: sealed ids are looked up in it, not put into it.
pub(super) struct Dedupe<'a> {
    staged: Vec<PlainTexts<'a>>,
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
    /// Finds the duplicates among the ids of staged chunks, which are given in ingest order.
    pub(super) fn new(staged: Vec<PlainTexts<'a>>) -> Self {
        let with_id = staged.iter().map(|ids| (0..ids.len()).filter(|&row| !ids.at(row).is_empty()).count()).sum();
        let mut dedupe = Self {
            hasher: DefaultHashBuilder::default(),
            first: HashTable::with_capacity(with_id),
            duplicate: staged.iter().map(|ids| vec![false; ids.len()]).collect(),
            staged,
        };
        for chunk in 0..dedupe.staged.len() {
            let ids = dedupe.staged[chunk];
            for row in 0..ids.len() {
                dedupe.enter(chunk, row, ids.at(row));
            }
        }
        dedupe
    }

    fn enter(&mut self, chunk: usize, row: usize, event_id: &[u8]) {
        if event_id.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one(event_id);
        let (staged, hasher) = (&self.staged, &self.hasher);
        let is_same = |entry: &Entry| entry.hash == upper(hash) && id_at(staged, entry.id) == event_id;
        let rehash = |entry: &Entry| hasher.hash_one(id_at(staged, entry.id));
        match self.first.entry(hash, is_same, rehash) {
            hashbrown::hash_table::Entry::Occupied(_) => self.duplicate[chunk][row] = true,
            hashbrown::hash_table::Entry::Vacant(slot) => {
                slot.insert(Entry { hash: upper(hash), id: row_id(chunk, row) });
            }
        }
    }

    /// Marks the staged events whose ids are among these sealed ones.
    pub(super) fn against(&mut self, ids: PlainTexts<'_>) {
        if self.first.is_empty() {
            return;
        }
        for event_id in (0..ids.len()).map(|row| ids.at(row)).filter(|event_id| !event_id.is_empty()) {
            let hash = self.hasher.hash_one(event_id);
            let is_same = |entry: &Entry| entry.hash == upper(hash) && id_at(&self.staged, entry.id) == event_id;
            if let Some(entry) = self.first.find(hash, is_same) {
                let (chunk, row) = position(entry.id);
                self.duplicate[chunk][row] = true;
            }
        }
    }
}

fn id_at<'a>(staged: &[PlainTexts<'a>], id: RowId) -> &'a [u8] {
    let (chunk, row) = position(id);
    staged[chunk].at(row)
}

#[expect(clippy::cast_possible_truncation, reason = "half of the bits are wanted")]
fn upper(hash: u64) -> u32 {
    // The table finds its place with the lowest bits and its tag with the highest seven; these are between them.
    (hash >> 24) as u32
}
