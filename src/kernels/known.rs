//! The ids and pairs of ids of a rollup, each with a number in the order of appearance. It does not know files.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::pairs::{ORG, Rollup};
use crate::names::Names;

/// All ids and pairs that were met, by their numbers.
pub(super) struct Known {
    pub(super) orgs: Names,
    /// Apps, or users.
    pub(super) others: Names,
    /// The organisation and the other id of each pair.
    pub(super) ids: Vec<(u32, u32)>,
    // The place of the id that most often is in one pair only.
    divided_by: usize,
    // By the number of such an id: its first pair.
    first: Vec<u32>,
    hasher: DefaultHashBuilder,
    // Of all its other pairs.
    more: HashTable<u32>,
}

// No pair.
const NONE: u32 = u32::MAX;
// Pairs that are looked at behind one that was found.
const NEXT: usize = 3;
// Pairs that are looked for at a time.
const MANY: usize = 32;

impl Known {
    /// Nothing but personal use is known yet.
    pub(super) fn new(rollup: &Rollup) -> Self {
        let (mut orgs, others) = (Names::default(), Names::default());
        orgs.number(0, "");
        let (ids, first, hasher, more) = (Vec::new(), Vec::new(), DefaultHashBuilder::default(), HashTable::new());
        Self { orgs, others, ids, divided_by: rollup.divided_by, first, hasher, more }
    }

    /// The ids of a place.
    pub(super) fn names(&self, place: usize) -> &Names {
        if place == ORG { &self.orgs } else { &self.others }
    }

    /// The same, to add to them.
    pub(super) fn names_mut(&mut self, place: usize) -> &mut Names {
        if place == ORG { &mut self.orgs } else { &mut self.others }
    }

    /// The numbers of the pairs of many rows, of those that have one. What is looked at for one pair lies far from what is
    /// looked at for the next: so each step is done for many of them, and they wait for the memory together.
    pub(super) fn find_each(&self, pairs: &[(u32, u32)]) -> Vec<Option<u32>> {
        let mut numbers = Vec::with_capacity(pairs.len());
        let mut likely = [NONE; MANY];
        let mut before = None;
        for some in pairs.chunks(MANY) {
            for (first, pair) in likely.iter_mut().zip(some) {
                *first = self.first_of(*pair);
            }
            numbers.extend(some.iter().zip(&likely).map(|(pair, first)| {
                let number = self.find_from(*pair, *first, before);
                before = number.or(before);
                number
            }));
        }
        numbers
    }

    /// The number of a pair, given anew if it has none.
    pub(super) fn number(&mut self, pair: (u32, u32)) -> u32 {
        if let Some(number) = self.find_from(pair, self.first_of(pair), None) {
            return number;
        }
        let number = u32::try_from(self.ids.len()).unwrap_or(NONE);
        self.ids.push(pair);
        let divider = self.divider(pair);
        self.first.resize(self.first.len().max(divider + 1), NONE);
        if self.first[divider] == NONE {
            self.first[divider] = number;
        } else {
            let Self { ids, hasher, more, .. } = self;
            let hash = |pair| hasher.hash_one(as_one(pair));
            more.insert_unique(hash(pair), number, |&number| hash(ids[number as usize]));
        }
        number
    }

    /// What it takes in memory, about.
    pub(super) fn bytes(&self) -> usize {
        let pairs = size_of_val(self.ids.as_slice()) + size_of_val(self.first.as_slice()) + self.more.allocation_size();
        self.orgs.bytes() + self.others.bytes() + pairs
    }

    // The first pair of the id that most often is in one pair only.
    fn first_of(&self, pair: (u32, u32)) -> u32 {
        self.first.get(self.divider(pair)).copied().unwrap_or(NONE)
    }

    // A pair that is not the first of its id is looked for behind that of the row before: rows come in nearly the same order
    // on each day.
    fn find_from(&self, pair: (u32, u32), first: u32, before: Option<u32>) -> Option<u32> {
        if self.ids.get(first as usize)? == &pair {
            return Some(first);
        }
        let next = before.map_or(0, |before| before + 1);
        let near = self.ids.get(next as usize..).unwrap_or_default();
        let near = (next..).zip(near.iter().take(NEXT)).find_map(|(number, known)| (*known == pair).then_some(number));
        near.or_else(|| {
            let is_same = |&number: &u32| self.ids[number as usize] == pair;
            self.more.find(self.hasher.hash_one(as_one(pair)), is_same).copied()
        })
    }

    fn divider(&self, (org, other): (u32, u32)) -> usize {
        (if self.divided_by == ORG { org } else { other }) as usize
    }
}

// One number is hashed in half the time of two.
fn as_one((org, other): (u32, u32)) -> u64 {
    u64::from(org) << 32 | u64::from(other)
}

#[cfg(test)]
mod tests {
    use super::super::pairs::{APPS, USERS};
    use super::*;

    #[test]
    fn a_pair_keeps_its_number_in_any_order() {
        for rollup in [&APPS, &USERS] {
            let mut known = Known::new(rollup);
            let pairs = [(0, 0), (1, 0), (1, 1), (0, 3), (2, 1), (7, 0), (0, 1), (7, 7)];
            assert_eq!(known.find_each(&pairs), [None; 8]);
            for _ in 0..2 {
                assert_eq!(pairs.map(|pair| known.number(pair)), [0, 1, 2, 3, 4, 5, 6, 7]);
            }
            // Each behind each other one, and what is unknown behind each.
            for before in 0..8 {
                for (number, pair) in (0..).zip(pairs) {
                    assert_eq!(known.find_each(&[pairs[before as usize], pair]), [Some(before), Some(number)]);
                }
                for unknown in [(2, 0), (9, 9), (0, 2)] {
                    assert_eq!(known.find_each(&[pairs[before as usize], unknown]), [Some(before), None]);
                }
            }
            // In the same order, backwards, and more than are looked for at a time.
            for order in [vec![0, 1, 2, 3, 4, 5, 6, 7], vec![7, 6, 5, 4, 3, 2, 1, 0], [2, 5, 2].repeat(40)] {
                let asked = order.iter().map(|number| pairs[*number as usize]).collect::<Vec<_>>();
                assert_eq!(known.find_each(&asked), order.into_iter().map(Some).collect::<Vec<_>>());
            }
            assert_eq!(known.find_each(&[(2, 0), (9, 9), (0, 2)]), [None; 3]);
        }
    }
}
