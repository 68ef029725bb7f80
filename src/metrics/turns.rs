//! Whose turn it is: a query is computed when all that it reads is there, and there is room for it. It knows names and
//! numbers of rows, and nothing else of a query.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::engine::FEW_ROWS;

// What reads more than a few rows needs memory, and takes one of the places that there are for so much of it.
const PLACE_MEMORY: u64 = 512 << 20;

// The rows that SQL may read for each place that it takes.
const PLACE_ROWS: u64 = 4_000_000;

// What a row takes at most, where it needs no place.
const ROW_MEMORY: u64 = 1 << 10;

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
    /// SQL, by the rows that it reads: a join that cannot go through the disk fails if others have the memory that it needs.
    ByRows,
}

/// Room for queries that read much, each with its share of the memory, and hands for all that are at work.
pub(super) struct Places {
    free: Semaphore,
    all: u32,
    // So many rows need no place.
    few: u64,
    hands: Semaphore,
    /// The memory of each place, in bytes.
    pub(super) memory: u64,
}

/// What a query at work holds.
pub(super) struct Place<'a> {
    _room: Option<SemaphorePermit<'a>>,
    _hand: SemaphorePermit<'a>,
    /// So many threads are its own: one, and those that nobody works on now. A query that is shared out between threads
    /// takes more work in all than one that is not.
    pub(super) threads: usize,
}

impl Places {
    /// As many places as the memory has room for, at least one and at most one for each thread.
    pub(super) fn new(threads: usize, memory: u64) -> Self {
        let most = usize::try_from(memory / PLACE_MEMORY).unwrap_or(usize::MAX);
        let all = u32::try_from(most.clamp(1, threads.max(1))).unwrap_or(1);
        // One more, so that no thread stands still while a query waits for the disk or hands on what it gave. A cluster, and who
        // gave one thread, get one query after the other.
        let hands = if threads > 1 { threads + 1 } else { 1 };
        let few = FEW_ROWS.min(memory / hands as u64 / ROW_MEMORY);
        let (free, hands) = (Semaphore::new(all as usize), Semaphore::new(hands));
        Self { free, all, few, hands, memory: memory / u64::from(all) }
    }

    /// Waits until a query that reads so many rows may work; what this gives is to be dropped when it has ended. `None` = no
    /// other query shall begin.
    pub(super) async fn take(&self, rows: u64, share: Share) -> Option<Place<'_>> {
        let room = match share {
            _ if rows <= self.few => None,
            Share::One => Some(1),
            Share::ByRows => Some(u32::try_from(rows / PLACE_ROWS).unwrap_or(u32::MAX).saturating_add(1)),
        };
        let room = match room {
            None => None,
            Some(places) => Some(self.free.acquire_many(places.min(self.all)).await.ok()?),
        };
        let hand = self.hands.acquire().await.ok()?;
        Some(Place { _room: room, _hand: hand, threads: self.hands.available_permits().max(1) })
    }

    /// From now on no query begins.
    pub(super) fn close(&self) {
        self.free.close();
        self.hands.close();
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
    }

    #[tokio::test]
    async fn who_reads_much_takes_room_and_everybody_a_hand() {
        let room = Places::new(3, 4 << 30);
        let free = |room: &Places| (room.free.available_permits(), room.hands.available_permits());
        assert_eq!(free(&room), (3, 4));
        assert_eq!([room.few, Places::new(7, 64 << 20).few], [FEW_ROWS, 8192]);
        let few = room.take(FEW_ROWS, Share::ByRows).await.expect("a place");
        assert_eq!((free(&room), few.threads), ((3, 3), 3));
        let much = room.take(PLACE_ROWS, Share::ByRows).await.expect("a place");
        assert_eq!((free(&room), much.threads), ((1, 2), 2));
        drop((few, much));
        let all = room.take(u64::MAX, Share::ByRows).await.expect("a place");
        assert_eq!(free(&room), (0, 3));
        drop(all);
        let _one = room.take(u64::MAX, Share::One).await.expect("a place");
        assert_eq!(free(&room), (2, 3));
        room.close();
        assert!(room.take(1, Share::One).await.is_none());
    }

    #[tokio::test]
    async fn one_thread_works_on_one_query() {
        let room = Places::new(1, 4 << 30);
        let only = room.take(1, Share::ByRows).await.expect("a place");
        assert_eq!((room.hands.available_permits(), only.threads), (0, 1));
    }
}
