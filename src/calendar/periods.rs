//! The periods of a range of days, numbered from 0, and a calendar's days put together into them.
//! It does not know what is counted.

use super::Range;
use super::bits::Bits;
use super::value::low_word;
use crate::period::{Day, Grain};

/// The days, weeks or months that a range touches, numbered from 0.
#[derive(Debug, Clone)]
pub struct Periods {
    grain: Grain,
    first: i32,
    count: usize,
    // For each day of the range its period, and for each period the first day after it; empty for days.
    of_day: Vec<u32>,
    ends: Vec<u32>,
    // For each word of days its periods; empty for days.
    parts: Vec<Part>,
}

/// The periods that 64 days touch.
#[derive(Debug, Clone)]
struct Part {
    first: usize,
    // The days of each, from the first period on.
    days: Vec<u64>,
}

impl Periods {
    /// The periods of one grain.
    #[must_use]
    pub fn new(grain: Grain, range: Range) -> Self {
        let (first, last) = (grain.index(range.first()), grain.index(range.last()));
        let count = usize::try_from(last - first + 1).unwrap_or(0);
        if grain == Grain::Day {
            return Self { grain, first, count, of_day: Vec::new(), ends: Vec::new(), parts: Vec::new() };
        }
        // Months are dear to compute, so the ends of the periods are computed and the days filled in.
        let end = |period: i32| u32::try_from(grain.last_day(period) + 1 - range.first()).unwrap_or(0);
        let ends: Vec<u32> = (first..=last).map(end).collect();
        let mut of_day = Vec::with_capacity(range.days());
        for (&end, period) in ends.iter().zip(0..) {
            let end = usize::try_from(end).unwrap_or(usize::MAX).min(range.days());
            of_day.resize(end.max(of_day.len()), period);
        }
        let parts = of_day.chunks(64).map(Part::new).collect();
        Self { grain, first, count, of_day, ends, parts }
    }

    /// How days are put together.
    #[must_use]
    pub fn grain(&self) -> Grain {
        self.grain
    }

    /// The number of periods; the last one holds the last day of the range.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The first day of a period, also of one before or after the range.
    #[must_use]
    pub fn first_day(&self, period: i64) -> Day {
        self.grain.first_day(self.index(period))
    }

    /// The last day of a period, also of one before or after the range.
    #[must_use]
    pub fn last_day(&self, period: i64) -> Day {
        self.grain.last_day(self.index(period))
    }

    /// The period of a day of the range, days counted from its first.
    pub(super) fn number(&self, day: usize) -> usize {
        self.of_day.get(day).map_or(day, |&period| period as usize)
    }

    /// The first day after a period, counted from the first of the range.
    pub(super) fn after(&self, period: usize) -> usize {
        self.ends.get(period).map_or(period + 1, |&end| end as usize)
    }

    fn index(&self, period: i64) -> i32 {
        i32::try_from(i64::from(self.first) + period).unwrap_or(i32::MAX)
    }

    pub(super) fn words(&self) -> usize {
        self.count.div_ceil(64)
    }

    /// The periods of a set of days, in the words of `scratch`.
    pub(super) fn of<'a>(&self, days: Bits<'a>, scratch: &'a mut Vec<u64>) -> Bits<'a> {
        if self.grain == Grain::Day {
            return days;
        }
        scratch.clear();
        let parts = self.parts.get(days.first..).unwrap_or_default();
        let first = parts.first().map_or(0, |part| part.first / 64);
        for (&word, part) in days.words.iter().zip(parts).filter(|(word, _)| **word != 0) {
            // Looking at every period costs less than looking for those that have a day.
            let seen = part.days.iter().rev().fold(0, |seen, days| seen << 1 | u64::from(word & days != 0));
            let wide = u128::from(seen) << (part.first % 64);
            let place = part.first / 64 - first;
            scratch.resize(scratch.len().max(place + 2), 0);
            scratch[place] |= low_word(wide);
            scratch[place + 1] |= low_word(wide >> 64);
        }
        let empty = scratch.iter().take_while(|word| **word == 0).count();
        let end = scratch.iter().rposition(|word| *word != 0).map_or(empty, |last| last + 1);
        Bits { first: first + empty, words: &scratch[empty..end] }
    }
}

impl Part {
    // The periods of 64 days in a row, or of fewer at the end.
    fn new(of_days: &[u32]) -> Self {
        let first = of_days.first().map_or(0, |&period| period as usize);
        let (mut days, mut start) = (Vec::new(), 0);
        for period in of_days.chunk_by(|one, next| one == next) {
            days.push(u64::MAX >> (64 - period.len()) << start);
            start += period.len();
        }
        Self { first, days }
    }
}
