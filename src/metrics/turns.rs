//! Whose turn it is: a query is computed when all that it reads is there. It knows names and nothing else of a query.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::Query;

/// Queries in an order in which each stands behind what it reads.
pub(super) struct Turns {
    // How many results a query still waits for.
    waits_for: Vec<usize>,
    // The queries that read each query's result.
    readers: Vec<Vec<usize>>,
    ready: BTreeSet<usize>,
}

impl Turns {
    pub(super) fn new(queries: &[&Query]) -> Self {
        let places: BTreeMap<&str, usize> =
            (0..).zip(queries).map(|(place, query)| (query.name.as_str(), place)).collect();
        let mut turns =
            Self { waits_for: Vec::new(), readers: vec![Vec::new(); queries.len()], ready: BTreeSet::new() };
        for (place, query) in queries.iter().enumerate() {
            let reads: BTreeSet<usize> =
                query.reads.iter().filter_map(|name| places.get(name.as_str()).copied()).collect();
            for &read in &reads {
                turns.readers[read].push(place);
            }
            if reads.is_empty() {
                turns.ready.insert(place);
            }
            turns.waits_for.push(reads.len());
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
