//! The periods of a range of days, numbered from 0, and a calendar's days put together into them.
//! It does not know what is counted.

use super::Range;
use super::bits::Bits;
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
}

impl Periods {
    /// The periods of one grain.
    #[must_use]
    pub fn new(grain: Grain, range: Range) -> Self {
        let (first, last) = (grain.index(range.first()), grain.index(range.last()));
        let count = usize::try_from(last - first + 1).unwrap_or(0);
        if grain == Grain::Day {
            return Self { grain, first, count, of_day: Vec::new(), ends: Vec::new() };
        }
        // Months are dear to compute, so the ends of the periods are computed and the days filled in.
        let end = |period: i32| u32::try_from(grain.last_day(period) + 1 - range.first()).unwrap_or(0);
        let ends: Vec<u32> = (first..=last).map(end).collect();
        let mut of_day = Vec::with_capacity(range.days());
        for (&end, period) in ends.iter().zip(0..) {
            let end = usize::try_from(end).unwrap_or(usize::MAX).min(range.days());
            of_day.resize(end.max(of_day.len()), period);
        }
        Self { grain, first, count, of_day, ends }
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
        let (mut first, mut start) = (0, 0);
        while let Some(day) = days.next(start) {
            let period = self.number(day);
            if scratch.is_empty() {
                first = period / 64;
            }
            let word = period / 64 - first;
            if word >= scratch.len() {
                scratch.resize(word + 1, 0);
            }
            scratch[word] |= 1 << (period % 64);
            start = self.after(period);
        }
        Bits { first, words: scratch }
    }
}
