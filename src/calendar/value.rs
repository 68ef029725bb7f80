//! One calendar as a value: a set of days, its bytes, and the questions that analysts ask of it.
//! It does not know SQL.

use super::bits::Bits;
use crate::period::{Day, format_day};

/// Days before year 1 or after year 9999 are in no calendar: a slip in a date must not cost a gigabyte.
const DAYS: std::ops::RangeInclusive<Day> = -719_162..=2_932_896;

/// The widest window of [`Calendar::trailing`]: a hundred years.
pub const MAX_TRAILING_DAYS: i64 = 36_525;

/// A set of days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    // Word `i` holds the days from `64 * (first + i)` on; neither the first nor the last is zero.
    first: i32,
    words: Vec<u64>,
}

impl Calendar {
    /// Adds the days whose bits are set, bit 0 the first of them. What is no day of years 1 to 9999 is told in words.
    pub fn add(&mut self, day: Day, bits: u64) -> Result<(), String> {
        if bits == 0 {
            return Ok(());
        }
        let last = i64::from(day) + 63 - i64::from(bits.leading_zeros());
        if !DAYS.contains(&day) || last > i64::from(*DAYS.end()) {
            return Err(format!("the days from {} on are not of years 1 to 9999", format_day(day)));
        }
        let wide = u128::from(bits) << day.rem_euclid(64);
        self.add_word(day.div_euclid(64), low_word(wide));
        self.add_word(day.div_euclid(64) + 1, low_word(wide >> 64));
        Ok(())
    }

    /// Adds all days of another calendar.
    pub fn join(&mut self, other: &Self) {
        for (&word, index) in other.words.iter().zip(other.first..) {
            self.add_word(index, word);
        }
    }

    /// Whether there is no day.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The memory of its words, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    /// As bytes, equal for equal sets: nothing for no day; else the number of the first byte (days since 1970-01-01
    /// divided by 8) as 4 bytes, least first, and the bytes to the last that is not zero, bit 0 the earliest day.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let bits: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let is_set = |byte: &u8| *byte != 0;
        let (Some(start), Some(end)) = (bits.iter().position(is_set), bits.iter().rposition(is_set)) else {
            return Vec::new();
        };
        let first = self.first * 8 + i32::try_from(start).unwrap_or(0);
        first.to_le_bytes().iter().chain(&bits[start..=end]).copied().collect()
    }

    /// From the bytes that [`Self::encode`] gave; `None` for others.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let Some((first, bits)) = bytes.split_first_chunk::<4>() else {
            return bytes.is_empty().then(Self::default);
        };
        let first = i32::from_le_bytes(*first);
        let mut calendar = Self::default();
        if bits.first().is_none_or(|byte| *byte == 0) || bits.last() == Some(&0) {
            return None;
        }
        for (&byte, index) in bits.iter().zip(0..) {
            let day = first.checked_add(index)?.checked_mul(8)?;
            calendar.add(day, u64::from(byte)).ok()?;
        }
        Some(calendar)
    }

    /// The number of days from one day to another, both included.
    #[must_use]
    pub fn count(&self, from: Day, until: Day) -> i64 {
        let words = self.words.iter().zip(self.first..);
        let ones = |(&word, index): (&u64, i32)| {
            let start = i64::from(index) * 64;
            (word & upwards(i64::from(from) - start) & !upwards(i64::from(until) + 1 - start)).count_ones()
        };
        if from > until { 0 } else { words.map(|word| i64::from(ones(word))).sum() }
    }

    /// The first day.
    #[must_use]
    pub fn first(&self) -> Option<Day> {
        self.next(Day::MIN)
    }

    /// The last day.
    #[must_use]
    pub fn last(&self) -> Option<Day> {
        self.bits().last().map(|place| self.day(place))
    }

    /// The last day that is not after `day`.
    #[must_use]
    pub fn last_until(&self, day: Day) -> Option<Day> {
        self.words.iter().enumerate().rev().find_map(|(index, word)| {
            let start = self.day(index * 64);
            let word = word & !upwards(i64::from(day) + 1 - i64::from(start));
            (word != 0).then(|| start + 63 - word.leading_zeros().cast_signed())
        })
    }

    /// Whether a day is in the set.
    #[must_use]
    pub fn contains(&self, day: Day) -> bool {
        self.next(day) == Some(day)
    }

    /// The days in order.
    pub fn days(&self) -> impl Iterator<Item = Day> {
        let mut next = self.first();
        std::iter::from_fn(move || {
            let day = next?;
            next = self.next(day + 1);
            Some(day)
        })
    }

    /// The most days in a row that lie between two days, both included.
    #[must_use]
    pub fn longest_streak(&self, from: Day, until: Day) -> i64 {
        let (mut longest, mut streak, mut before) = (0, 0, None);
        for day in self.days().skip_while(|day| *day < from).take_while(|day| *day <= until) {
            streak = if before == Some(day - 1) { streak + 1 } else { 1 };
            longest = longest.max(streak);
            before = Some(day);
        }
        longest
    }

    /// The most days of `among` in a row, between two days, both included, that are in the set. Days that are not in `among`
    /// neither break a streak nor lengthen it.
    #[must_use]
    pub fn longest_streak_among(&self, among: &Self, from: Day, until: Day) -> i64 {
        let (mut longest, mut streak) = (0, 0);
        for (&word, index) in among.words.iter().zip(among.first..) {
            let start = i64::from(index) * 64;
            let days = word & upwards(i64::from(from) - start) & !upwards(i64::from(until) + 1 - start);
            let mut left = days;
            if days & self.word(index) == 0 && days != 0 {
                (left, streak) = (0, 0);
            }
            while left != 0 {
                let day = left & left.wrapping_neg();
                streak = if self.word(index) & day == 0 { 0 } else { streak + 1 };
                longest = longest.max(streak);
                left ^= day;
            }
        }
        longest
    }

    /// The days on which the window of `days` days that ends on them holds a day of the set. At most
    /// [`MAX_TRAILING_DAYS`], at least one.
    pub fn trailing(&self, days: i64) -> Result<Self, String> {
        let reach =
            Some(days).filter(|days| (1..=MAX_TRAILING_DAYS).contains(days)).and_then(|days| Day::try_from(days).ok());
        let Some(reach) = reach else {
            return Err(format!("a window of {days} days is not one of 1 to {MAX_TRAILING_DAYS} days"));
        };
        let mut trailing = Self::default();
        let mut filled = Day::MIN;
        for day in self.days() {
            let end = day + reach;
            let mut start = day.max(filled);
            while start < end {
                let length = (end - start).min(64);
                trailing.add(start, u64::MAX >> (64 - length))?;
                start += length;
            }
            filled = end;
        }
        Ok(trailing)
    }

    fn next(&self, from: Day) -> Option<Day> {
        let start = i64::from(from) - i64::from(self.first) * 64;
        self.bits().next(usize::try_from(start).unwrap_or(0)).map(|place| self.day(place))
    }

    fn bits(&self) -> Bits<'_> {
        Bits { first: 0, words: &self.words }
    }

    fn day(&self, place: usize) -> Day {
        self.first * 64 + Day::try_from(place).unwrap_or(Day::MAX)
    }

    fn word(&self, index: i32) -> u64 {
        let place = usize::try_from(i64::from(index) - i64::from(self.first)).ok();
        place.and_then(|place| self.words.get(place)).copied().unwrap_or(0)
    }

    fn add_word(&mut self, index: i32, word: u64) {
        if word == 0 {
            return;
        }
        if self.words.is_empty() {
            self.first = index;
        }
        let place = i64::from(index) - i64::from(self.first);
        let place = usize::try_from(place).unwrap_or_else(|_| {
            let before = usize::try_from(place.unsigned_abs()).unwrap_or(0);
            self.words.splice(0..0, std::iter::repeat_n(0, before));
            self.first = index;
            0
        });
        if place >= self.words.len() {
            self.words.resize(place + 1, 0);
        }
        self.words[place] |= word;
    }
}

// The bits from a place on, which may lie before or after the word.
fn upwards(place: i64) -> u64 {
    match u32::try_from(place) {
        Ok(place) => u64::MAX.checked_shl(place).unwrap_or(0),
        Err(_) if place < 0 => u64::MAX,
        Err(_) => 0,
    }
}

/// The lowest 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the lowest half is wanted")]
pub(super) fn low_word(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(days: &[Day]) -> Calendar {
        let mut calendar = Calendar::default();
        for &day in days {
            calendar.add(day, 1).expect("a day");
        }
        calendar
    }

    fn days() -> impl Strategy<Value = Vec<Day>> {
        let day = prop_oneof![4 => -150..150_i32, 2 => 20_000..20_040_i32, 1 => 19_000..21_000_i32];
        prop::collection::vec(day, 0..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn calendars_are_sets_of_days(days in days(), other in days(), from in -200..21_100_i32, length in -5..300_i32, window in 1..200_i32) {
            let (calendar, set) = (of(&days), days.iter().copied().collect::<BTreeSet<Day>>());
            let until = from + length;
            let within: Vec<Day> = set.iter().copied().filter(|day| (from..=until).contains(day)).collect();
            prop_assert_eq!(calendar.days().collect::<Vec<_>>(), set.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(usize::try_from(calendar.count(from, until)), Ok(within.len()));
            prop_assert_eq!((calendar.first(), calendar.last()), (set.first().copied(), set.last().copied()));
            prop_assert_eq!(calendar.last_until(from), set.range(..=from).next_back().copied());
            prop_assert_eq!(calendar.contains(from), set.contains(&from));
            let among: Vec<Day> = other.iter().copied().filter(|day| (from..=until).contains(day)).collect::<BTreeSet<_>>().into_iter().collect();
            let runs = among.split(|day| !set.contains(day)).map(<[Day]>::len).max().unwrap_or(0);
            prop_assert_eq!(usize::try_from(calendar.longest_streak_among(&of(&other), from, until)), Ok(runs));
            let streak = |day: &Day| (0..=length).take_while(|step| within.contains(&(day + step))).count();
            let longest = within.iter().map(streak).max().unwrap_or(0);
            prop_assert_eq!(usize::try_from(calendar.longest_streak(from, until)), Ok(longest));
            let trailing: BTreeSet<Day> = set.iter().flat_map(|day| *day..*day + window).collect();
            let found = calendar.trailing(i64::from(window)).expect("a window");
            prop_assert_eq!(found.days().collect::<BTreeSet<_>>(), trailing);
        }

        #[test]
        fn bytes_are_equal_for_equal_sets(days in days(), cut in 0..60_usize) {
            let (left, right) = days.split_at(cut.min(days.len()));
            let (mut joined, mut other) = (of(left), of(right));
            joined.join(&of(right));
            other.join(&of(left));
            prop_assert_eq!(&joined, &of(&days));
            prop_assert_eq!(joined.encode(), other.encode());
            prop_assert_eq!(Calendar::decode(&joined.encode()), Some(joined));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            if let Some(calendar) = Calendar::decode(&bytes) {
                prop_assert_eq!(calendar.encode(), bytes);
            }
        }
    }

    #[test]
    fn what_is_no_day_is_refused() {
        assert!(Calendar::default().add(-719_163, 1).is_err());
        assert!(Calendar::default().add(2_932_896, 1).is_ok());
        assert!(Calendar::default().add(2_932_896, 2).is_err());
        assert!(of(&[2_932_896]).trailing(2).is_err());
        assert!(of(&[0]).trailing(0).is_err() && of(&[0]).trailing(MAX_TRAILING_DAYS + 1).is_err());
        assert!(of(&[0]).trailing(MAX_TRAILING_DAYS).is_ok());
        let bytes = |bytes: &[u8]| Calendar::decode(bytes).is_none();
        assert!(bytes(&[1]) && bytes(&[0, 0, 0, 0]) && bytes(&[0, 0, 0, 0, 1, 0]) && bytes(&[0, 0, 0, 0x7f, 1]));
    }
}
