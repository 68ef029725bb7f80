//! Whose turn it is: a query is computed when all that it reads is there, and there is room for it. It knows names and
//! numbers of rows, and nothing else of a query.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::engine::FEW_ROWS;
use crate::error::{Error, Result};

// What reads more than a few rows needs memory, and takes one of the places that there are for so much of it.
const PLACE_MEMORY: u64 = 512 << 20;

/// Queries in an order in which each stands behind what it reads.
pub(super) struct Turns {
    // How many results a query still waits for.
    waits_for: Vec<usize>,
    // The queries that read each query's result.
    readers: Vec<Vec<usize>>,
    ready: BTreeSet<usize>,
}

impl Turns {
    /// All queries by their names, and what each reads; what is no query is there already.
    pub(super) fn new<'a>(queries: impl Iterator<Item = (&'a str, &'a [String])>) -> Self {
        let mut turns = Self { waits_for: Vec::new(), readers: Vec::new(), ready: BTreeSet::new() };
        let mut places = BTreeMap::new();
        for (place, (name, reads)) in queries.enumerate() {
            let reads: BTreeSet<usize> = reads.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
            for &read in &reads {
                let readers: &mut Vec<usize> = &mut turns.readers[read];
                readers.push(place);
            }
            if reads.is_empty() {
                turns.ready.insert(place);
            }
            turns.waits_for.push(reads.len());
            turns.readers.push(Vec::new());
            places.insert(name, place);
        }
        turns
    }

    /// Takes the first query that waits for nothing.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.ready.pop_first()
    }

    /// The result of a query is there.
    pub(super) fn end(&mut self, place: usize) {
        for reader in std::mem::take(&mut self.readers[place]) {
            self.waits_for[reader] -= 1;
            if self.waits_for[reader] == 0 {
                self.ready.insert(reader);
            }
        }
    }
}

/// How much of the room a query that reads much takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// What knows how much memory it takes, and stays within its part.
    One,
    /// SQL: the engine gives it all memory that there is, and what cannot go through the disk fails beside another.
    All,
}

/// Room for queries that read much, each with its share of the memory.
pub(super) struct Places {
    free: Semaphore,
    all: u32,
    /// The memory of each, in bytes.
    pub(super) memory: u64,
}

impl Places {
    /// As many places as the memory has room for, at least one and at most one for each thread.
    pub(super) fn new(threads: usize, memory: u64) -> Self {
        let most = usize::try_from(memory / PLACE_MEMORY).unwrap_or(usize::MAX);
        let all = u32::try_from(most.clamp(1, threads.max(1))).unwrap_or(1);
        Self { free: Semaphore::new(all as usize), all, memory: memory / u64::from(all) }
    }

    /// Waits for a place, if so many rows need one; it is free again when what this gives is dropped.
    pub(super) async fn take(&self, rows: u64, share: Share) -> Result<Option<SemaphorePermit<'_>>> {
        if rows <= FEW_ROWS {
            return Ok(None);
        }
        let places = match share {
            Share::One => 1,
            Share::All => self.all,
        };
        let place = self.free.acquire_many(places).await;
        place.map(Some).map_err(|_| Error::Internal("there are no places for queries".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_waits_for_all_that_it_reads() {
        let queries = [("a", vec!["stored"]), ("b", vec!["stored"]), ("c", vec!["a", "b", "a"]), ("d", vec!["a"])];
        let queries = queries.map(|(name, reads)| (name, reads.into_iter().map(str::to_owned).collect::<Vec<_>>()));
        let mut turns = Turns::new(queries.iter().map(|(name, reads)| (*name, reads.as_slice())));
        assert_eq!([turns.next(), turns.next(), turns.next()], [Some(0), Some(1), None]);
        turns.end(1);
        assert_eq!(turns.next(), None);
        turns.end(0);
        assert_eq!([turns.next(), turns.next(), turns.next()], [Some(2), Some(3), None]);
    }

    #[tokio::test]
    async fn there_are_as_many_places_as_the_memory_has_room_for() {
        for (threads, megabytes, places) in [(8, 64, 1), (8, 1024, 2), (2, 65536, 2), (0, 65536, 1)] {
            let room = Places::new(threads, megabytes << 20);
            assert_eq!((room.free.available_permits() as u64, room.memory), (places, (megabytes << 20) / places));
        }
        let room = Places::new(1, 1 << 30);
        let place = room.take(FEW_ROWS + 1, Share::All).await.expect("a place");
        assert_eq!((place.is_some(), room.free.available_permits()), (true, 0));
        assert!(room.take(FEW_ROWS, Share::One).await.expect("no place").is_none());
        drop(place);
        assert_eq!(room.free.available_permits(), 1);
    }
}
