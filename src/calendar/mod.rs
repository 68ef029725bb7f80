//! Activity calendars: the days of each entity as bits, read from a table of bits per month and folded into counts.
//! It knows days and Parquet files; it does not know stores, engines, or what being active means.

mod bits;
mod folds;
mod lanes;
mod merge;
mod periods;
mod runs;
mod value;

pub use folds::{Age, Cohort, Moves, Starts, Streaks, active_periods, growth, retention, streaks, trailing};
pub use periods::Periods;
pub use value::{Calendar, MAX_TRAILING_DAYS};

use std::path::PathBuf;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use crate::error::{Error, Result};
use crate::period::Day;
use bits::Bits;
use runs::Run;

/// The table that calendars are read from.
pub const TABLE: &str = "activity_calendar";

/// The bit of a day in the bits of its month: bit 0 is the first of the month.
#[must_use]
pub fn day_bit(day: Day) -> i64 {
    let first = crate::period::Grain::Month.first_day(crate::period::Grain::Month.index(day));
    1 << (day - first).clamp(0, 30)
}

/// The days that are looked at, from the first to the last; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    first: Day,
    last: Day,
}

impl Range {
    /// The days from `first` to `last`; `None` if there are none.
    #[must_use]
    pub fn new(first: Day, last: Day) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// The first day.
    #[must_use]
    pub fn first(self) -> Day {
        self.first
    }

    /// The last day.
    #[must_use]
    pub fn last(self) -> Day {
        self.last
    }

    /// The number of days.
    #[must_use]
    pub fn days(self) -> usize {
        usize::try_from(i64::from(self.last) - i64::from(self.first) + 1).unwrap_or(0)
    }

    fn words(self) -> usize {
        self.days().div_ceil(64)
    }
}

/// The calendars of all ids of one entity, in the order of the ids, which are not kept. Bit 0 of word 0 is the first
/// day of the range; each id has only the words from its first day to its last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendars {
    range: Range,
    blocks: Vec<Block>,
}

/// Ids of a block: small enough that blocks keep all threads busy, large enough that the block itself costs nothing.
const BLOCK_IDS: usize = 1 << 13;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Block {
    spans: Vec<Span>,
    words: Vec<u64>,
}

/// Which words of the range an id has. 2^16 words are more than 11,000 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: u16,
    words: u16,
}

/// Where each entity stands in the files of table [`TABLE`], or of one with its columns.
#[derive(Debug)]
pub struct Entities {
    runs: Vec<Run>,
}

impl Entities {
    /// Looks through the files.
    pub fn find(files: &[PathBuf]) -> Result<Self> {
        Ok(Self { runs: runs::find(files)? })
    }

    /// Reads the calendars of one entity. Days after the range are not looked at; an earlier day or a missing value means
    /// that the table does not hold what it promises (`Error::Definition`).
    pub fn read(&self, entity: &str, range: Range) -> Result<Calendars> {
        let [calendars] = self.read_beside([entity], range)?;
        Ok(calendars)
    }

    /// Reads the calendars of several entities at once. Each holds every id that any of them has, so that the n-th id is
    /// the same in all.
    pub fn read_beside<const N: usize>(&self, entities: [&str; N], range: Range) -> Result<[Calendars; N]> {
        if range.words() > usize::from(u16::MAX) {
            return Err(Error::Definition(format!("{} days are too many for calendars", range.days())));
        }
        merge::merge(&entities.map(|entity| self.runs.iter().filter(|run| run.entity == entity).collect()), range)
    }
}

impl Calendars {
    /// The days that were looked at.
    #[must_use]
    pub fn range(&self) -> Range {
        self.range
    }

    /// The number of ids with a day in the range, here or in the calendars that were read beside these.
    #[must_use]
    pub fn ids(&self) -> usize {
        self.blocks.iter().map(|block| block.spans.len()).sum()
    }

    /// The memory held, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of = |block: &Block| block.spans.capacity() * size_of::<Span>() + block.words.capacity() * size_of::<u64>();
        self.blocks.iter().map(of).sum()
    }

    fn new(range: Range) -> Self {
        Self { range, blocks: Vec::new() }
    }

    /// Adds an id by its words, if any, neither the first nor the last of which is zero, and where they begin.
    fn push(&mut self, words: &[u64], first: usize) {
        if self.blocks.last().is_none_or(|block| block.spans.len() == BLOCK_IDS) {
            if let Some(full) = self.blocks.last_mut() {
                full.words.shrink_to_fit();
            }
            self.blocks.push(Block { spans: Vec::with_capacity(BLOCK_IDS), words: Vec::new() });
        }
        let Some(block) = self.blocks.last_mut() else { return };
        let narrow = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
        block.spans.push(Span { first: narrow(first), words: narrow(words.len()) });
        block.words.extend_from_slice(words);
    }

    /// Folds all ids into one value: blocks in any order on all threads, so `each` and `join` may only add.
    fn fold<A: Send>(
        &self,
        start: impl Fn() -> A + Send + Sync,
        each: impl Fn(&mut A, Bits<'_>) + Send + Sync,
        join: impl Fn(A, A) -> A + Send + Sync,
    ) -> A {
        let of_block = |mut sum: A, block: &Block| {
            block.sets().for_each(|days| each(&mut sum, days));
            sum
        };
        self.blocks.par_iter().fold(&start, of_block).reduce(&start, join)
    }

    /// Like [`Self::fold`], over two sets of each id: the one here and the one of calendars that were read beside these.
    fn fold_beside<A: Send>(
        &self,
        others: &Self,
        start: impl Fn() -> A + Send + Sync,
        each: impl Fn(&mut A, Bits<'_>, Bits<'_>) + Send + Sync,
        join: impl Fn(A, A) -> A + Send + Sync,
    ) -> A {
        let of_block = |mut sum: A, (block, other): (&Block, &Block)| {
            block.sets().zip(other.sets()).for_each(|(days, other)| each(&mut sum, days, other));
            sum
        };
        self.blocks.par_iter().zip(&others.blocks).fold(&start, of_block).reduce(&start, join)
    }
}

impl Block {
    fn sets(&self) -> impl Iterator<Item = Bits<'_>> {
        let mut rest = self.words.as_slice();
        self.spans.iter().map(move |span| {
            let (words, after) = rest.split_at(usize::from(span.words).min(rest.len()));
            rest = after;
            Bits { first: usize::from(span.first), words }
        })
    }
}

#[cfg(test)]
mod tests;
