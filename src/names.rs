//! Texts as small numbers: apps, users and rooms are counted by them, and compared as texts only to be put in order.
//! It does not know what a text names.

use std::cmp::Ordering;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

/// The distinct texts of one kind, each with a number in the order of appearance. The texts are held here.
#[derive(Default)]
pub(crate) struct Names {
    hasher: DefaultHashBuilder,
    // Of the first so many names. Numbers alone: the smaller the table, the more of it is near the processor.
    table: HashTable<u32>,
    hashed: u32,
    texts: String,
    // By number: where the text ends.
    ends: Ends,
    // By number: what the text is the name of something in; empty as long as all stand alone.
    withins: Vec<u32>,
    // The first so many names are in the order of their numbers, and stand alone.
    sorted: u32,
}

/// Where texts end that stand one behind the other, in half the memory of whole numbers.
#[derive(Default, PartialEq, Eq)]
struct Ends {
    low: Vec<u32>,
    // The texts at whose ends the number of bytes goes over another multiple of 2^32. None is that long by itself.
    turns: Vec<u32>,
}

impl Ends {
    fn push(&mut self, end: usize) {
        let turns = end >> u32::BITS;
        self.turns.resize(turns.max(self.turns.len()), low(self.low.len()));
        #[expect(clippy::cast_possible_truncation, reason = "the upper half is the number of turns")]
        self.low.push(end as u32);
    }

    #[inline]
    fn of(&self, number: u32) -> usize {
        let turns = if self.turns.is_empty() { 0 } else { self.turns.partition_point(|turn| *turn <= number) };
        turns << u32::BITS | self.low[number as usize] as usize
    }

    // Where a text lies.
    #[inline]
    fn place(&self, number: u32) -> Range<usize> {
        (if number == 0 { 0 } else { self.of(number - 1) })..self.of(number)
    }
}

// Texts that are looked up at a time.
const MANY: usize = 32;

impl Names {
    /// Texts that are in order and differ, each with its place as its number; nothing is hashed before another is asked for.
    pub(crate) fn sorted<'a>(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for text in list {
            names.push(text);
        }
        names.sorted = low(names.len());
        names
    }

    /// Adds a text that is known to be new; nothing is hashed before another is asked for.
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        self.append(0, text)
    }

    /// Takes all of them away: their texts, one behind the other, and where each ends.
    pub(crate) fn take(&mut self) -> (String, impl Iterator<Item = usize> + use<>) {
        let Self { texts, ends, .. } = std::mem::take(self);
        (texts, (0..low(ends.low.len())).map(move |number| ends.of(number)))
    }

    /// The number of a text, given anew if it is not known. The same text within something else is another name.
    pub(crate) fn number(&mut self, within: u32, text: &str) -> u32 {
        self.hash_all();
        let hash = self.hash(within, text);
        self.find_hashed(hash, within, text).unwrap_or_else(|| {
            let number = self.append(within, text);
            self.enter(hash, number);
            number
        })
    }

    /// The number of a text, if it was given one by [`Self::number`].
    pub(crate) fn find(&self, within: u32, text: &str) -> Option<u32> {
        self.find_hashed(self.hash(within, text), within, text)
    }

    /// The number of each of many texts that stand alone, if it was given one by [`Self::number`]. What is looked at for one
    /// text lies far from what is looked at for the next: so each step is done for many of them, and they wait for the
    /// memory together.
    pub(crate) fn find_each<'a>(&self, mut texts: impl Iterator<Item = &'a str>) -> Vec<Option<u32>> {
        let mut numbers = Vec::with_capacity(texts.size_hint().0);
        let mut some: Vec<(&str, u64)> = Vec::with_capacity(MANY);
        let mut likely: Vec<(Option<u32>, Range<usize>)> = Vec::with_capacity(MANY);
        loop {
            some.clear();
            some.extend(texts.by_ref().take(MANY).map(|text| (text, self.hash(0, text))));
            if some.is_empty() {
                return numbers;
            }
            likely.clear();
            likely.extend(some.iter().map(|(_, hash)| (self.table.find(*hash, |_| true).copied(), 0..0)));
            for (number, place) in &mut likely {
                *place = number.map_or(0..0, |number| self.ends.place(number));
            }
            numbers.extend(some.iter().zip(&likely).map(|((text, hash), (number, place))| match number {
                Some(number) if !self.is_at(place.clone(), text) || self.within(*number) != 0 => {
                    self.find_hashed(*hash, 0, text)
                }
                number => *number,
            }));
        }
    }

    fn hash(&self, within: u32, text: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(within);
        hasher.write(text.as_bytes());
        hasher.finish()
    }

    fn find_hashed(&self, hash: u64, within: u32, text: &str) -> Option<u32> {
        let is_same = |&number: &u32| self.is_at(self.ends.place(number), text) && self.within(number) == within;
        self.table.find(hash, is_same).copied()
    }

    // Whether a text lies there. Most ids are of 8 to 16 bytes: two numbers each, which overlap, and no call.
    fn is_at(&self, place: Range<usize>, text: &str) -> bool {
        let (known, text) = (&self.texts.as_bytes()[place], text.as_bytes());
        if known.len() != text.len() {
            return false;
        }
        match (known.first_chunk::<8>(), text.first_chunk::<8>()) {
            (Some(known_first), Some(first)) if text.len() <= 16 => {
                known_first == first && known.last_chunk::<8>() == text.last_chunk::<8>()
            }
            _ => known == text,
        }
    }

    fn append(&mut self, within: u32, text: &str) -> u32 {
        let number = self.len();
        self.texts.push_str(text);
        self.ends.push(self.texts.len());
        if within != 0 && self.withins.is_empty() {
            self.withins.resize(number, 0);
        }
        if within != 0 || !self.withins.is_empty() {
            self.withins.push(within);
        }
        low(number)
    }

    // Puts the next number into the table. A larger one is filled in the order of the numbers, since the texts lie in it.
    fn enter(&mut self, hash: u64, number: u32) {
        if self.table.len() == self.table.capacity() {
            let room = (2 * self.table.len()).max(1);
            self.table = HashTable::new();
            self.table = HashTable::with_capacity(room);
            for known in 0..number {
                let hash = self.hash(self.within(known), self.text(known));
                // It does not grow by itself.
                self.table.insert_unique(hash, known, |_| hash);
            }
        }
        self.table.insert_unique(hash, number, |_| hash);
        self.hashed = number + 1;
    }

    fn hash_all(&mut self) {
        for number in self.hashed..low(self.len()) {
            self.enter(self.hash(self.within(number), self.text(number)), number);
        }
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        &self.texts[self.ends.place(number)]
    }

    /// The texts in the order of their numbers.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts_after(0)
    }

    /// The texts that were added when there were so many, in the order of their numbers.
    pub(crate) fn texts_after(&self, count: usize) -> impl Iterator<Item = &str> {
        (low(count)..low(self.len())).map(|number| self.text(number))
    }

    /// The text that was added last.
    pub(crate) fn last(&self) -> Option<&str> {
        low(self.len()).checked_sub(1).map(|number| self.text(number))
    }

    /// The number of a text among names that are in order, or of the one that it would stand before. What is near a number
    /// is found soon.
    pub(crate) fn search(&self, text: &str, near: u32) -> Result<u32, u32> {
        let (mut least, mut most) = (0, low(self.len()));
        let (mut is_above, mut is_below) = (false, false);
        let (mut place, mut step) = (near, 1);
        while least < most {
            place = if is_above && is_below { least + (most - least) / 2 } else { place.clamp(least, most - 1) };
            match self.text(place).cmp(text) {
                Ordering::Equal => return Ok(place),
                Ordering::Less => {
                    (least, is_above) = (place + 1, true);
                    place = place.saturating_add(step);
                }
                Ordering::Greater => {
                    (most, is_below) = (place, true);
                    place = place.saturating_sub(step);
                }
            }
            step = step.saturating_mul(2);
        }
        Err(least)
    }

    /// What the text is a name in.
    pub(crate) fn within(&self, number: u32) -> u32 {
        self.withins.get(number as usize).copied().unwrap_or(0)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.low.len()
    }

    /// Whether they are known to be in the order of their numbers.
    pub(crate) fn is_sorted(&self) -> bool {
        self.sorted == low(self.len())
    }

    /// Whether these are the same texts with the same numbers, as far as that is told without looking far.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.is_sorted() && other.is_sorted() && self.texts == other.texts && self.ends == other.ends
    }

    /// What they take in memory, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let numbers = self.ends.low.len() + self.withins.len();
        self.texts.len() + numbers * size_of::<u32>() + self.table.allocation_size()
    }

    /// The numbers in the order of their texts, and the rank of each number in that order. Equal texts within different
    /// things have different ranks.
    pub(crate) fn ranks(&self) -> Ranks {
        if self.is_sorted() {
            let numbers = (0..low(self.len())).collect::<Vec<_>>();
            return Ranks { ranks: numbers.clone(), numbers };
        }
        let numbers = self.in_order_after(0).collect::<Vec<_>>();
        let mut ranks = vec![0; numbers.len()];
        for (rank, &number) in (0..).zip(&numbers) {
            ranks[number as usize] = rank;
        }
        Ranks { ranks, numbers }
    }

    /// The numbers that were given when there were so many names, in the order of their texts.
    pub(crate) fn in_order_after(&self, count: usize) -> impl Iterator<Item = u32> + use<> {
        let first = low(count);
        let sorted = in_order(low(self.len()) - first, |number| self.text(first + number).as_bytes());
        sorted.into_iter().map(move |(_, number)| first + number)
    }
}

/// An order of numbers.
pub(crate) struct Ranks {
    /// By number.
    pub(crate) ranks: Vec<u32>,
    /// By rank.
    pub(crate) numbers: Vec<u32>,
}

/// The rank of each text among all of them, by bytes; equal texts get ranks of their own.
pub(crate) fn ranks(texts: &[&[u8]]) -> Vec<u32> {
    let mut ranks = vec![0; texts.len()];
    for (rank, (_, code)) in (0..).zip(in_order(low(texts.len()), |code| texts[code as usize])) {
        ranks[code as usize] = rank;
    }
    ranks
}

// So many texts in their order: by bytes, each by its number, with a head that tells most of them apart.
fn in_order<'a>(count: u32, text: impl Fn(u32) -> &'a [u8]) -> Vec<(u64, u32)> {
    // Ids of one kind often begin alike ("user-000…"); eight bytes behind that are the head.
    let common = (1..count).fold(if count == 0 { 0 } else { text(0).len() }, |common, number| {
        text(0).iter().zip(text(number)).take(common).take_while(|(one, other)| one == other).count()
    });
    let mut sorted = (0..count).map(|number| (head(&text(number)[common..]), number)).collect::<Vec<(u64, u32)>>();
    // Ids mostly come in a few runs of them, which this sort finds and the unstable one does not.
    sorted.sort_by(|(head, number), (other_head, other)| {
        head.cmp(other_head).then_with(|| text(*number).cmp(text(*other)))
    });
    sorted
}

// The first eight bytes as a number that compares like them.
fn head(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(8);
    bytes[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(bytes)
}

#[expect(clippy::cast_possible_truncation, reason = "a day has fewer events than 2^32 between two spills")]
fn low(count: usize) -> u32 {
    count as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_text_within_something() {
        let mut names = Names::default();
        let all = [(0, "b"), (0, "a"), (1, "b"), (0, ""), (0, "b"), (1, "b")];
        assert_eq!(all.map(|(within, text)| names.number(within, text)), [0, 1, 2, 3, 0, 2]);
        assert_eq!([(1, "b"), (1, "a")].map(|(within, text)| names.find(within, text)), [Some(2), None]);
        assert_eq!((names.len(), names.text(2), names.within(2), names.text(3)), (4, "b", 1, ""));
        let ranks = names.ranks();
        assert_eq!(ranks.numbers.iter().map(|&number| names.text(number)).collect::<Vec<_>>(), ["", "a", "b", "b"]);
        assert!((0..4).all(|number| ranks.numbers[ranks.ranks[number as usize] as usize] == number));
    }

    #[test]
    fn texts_of_all_lengths_are_told_apart() {
        let mut names = Names::default();
        let texts = (0..40).map(|length| "0123456789".repeat(4)[..length].to_owned()).collect::<Vec<_>>();
        for text in &texts {
            names.number(0, text);
        }
        let known = |texts: &[String]| names.find_each(texts.iter().map(String::as_str));
        assert_eq!(known(&texts), (0..40).map(Some).collect::<Vec<_>>());
        for place in 0..40 {
            // Each text with another byte at one place, held against the text itself.
            let others = texts.iter().filter(|text| text.len() > place).map(|text| {
                let mut other = text.clone();
                other.replace_range(place..=place, "x");
                other
            });
            for (other, length) in others.zip(place + 1..) {
                assert!(!names.is_at(names.ends.place(u32::try_from(length).expect("small")), &other));
            }
        }
    }

    #[test]
    fn sorted_names_are_hashed_when_another_is_asked_for() {
        let mut names = Names::sorted(["", "a", "b"]);
        assert!(names.is_sorted() && names.is_same(&Names::sorted(["", "a", "b"])));
        assert!(!Names::sorted(["a", "bc"]).is_same(&Names::sorted(["ab", "c"])));
        assert_eq!(names.ranks().numbers, [0, 1, 2]);
        assert_eq!(["b", "", "aa", "a", "aa"].map(|text| names.number(0, text)), [2, 0, 3, 1, 3]);
        assert!(!names.is_sorted());
        assert_eq!(names.ranks().numbers, [0, 1, 3, 2]);
        let (texts, ends) = names.take();
        assert_eq!((texts.as_str(), ends.collect::<Vec<_>>(), names.len()), ("abaa", vec![0, 1, 2, 4], 0));
    }

    #[test]
    fn many_names_keep_their_numbers() {
        let mut names = Names::default();
        for _ in 0..2 {
            for number in 0..10_000 {
                assert_eq!(names.number(number % 3, &format!("user-{number}")), number);
            }
        }
        assert_eq!(names.find(1, "user-7"), Some(7));
    }

    #[test]
    fn many_texts_are_found_in_any_order() {
        let mut names = Names::default();
        assert_eq!(names.find_each(["", "a"].into_iter()), [None; 2]);
        let texts: Vec<String> = (0..1000).map(|number| (number * 7919 % 1000).to_string()).collect();
        for text in &texts {
            names.number(0, text);
        }
        assert_eq!(names.find_each([""].into_iter()), [None]);
        let empty = names.number(0, "");
        let elsewhere = [names.number(9, "elsewhere"), names.number(9, "5")];
        assert_eq!(elsewhere, [1001, 1002]);
        let asked: Vec<&str> = ["", "unknown", "elsewhere", "5", "5", "+"].into_iter().cycle().take(100).collect();
        let asked = || asked.iter().copied().chain(texts.iter().rev().map(String::as_str));
        let found = names.find_each(asked());
        assert_eq!(found, asked().map(|text| names.find(0, text)).collect::<Vec<_>>());
        assert_eq!(found[..6], [Some(empty), None, None, found[3], found[3], None]);
        assert!(texts.iter().rev().zip(&found[100..]).all(|(text, number)| names.text(number.expect("known")) == text));
    }

    #[test]
    fn what_is_in_order_is_found_from_anywhere() {
        let texts: Vec<String> = (0..100).map(|number| format!("{:03}", 2 * number)).collect();
        let names = Names::sorted(texts.iter().map(String::as_str));
        assert_eq!(names.last(), Some("198"));
        for near in [0, 1, 49, 50, 99, 100, u32::MAX] {
            for (number, text) in (0..).zip(&texts) {
                assert_eq!(names.search(text, near), Ok(number));
                assert_eq!(names.search(&format!("{:03}", 2 * number + 1), near), Err(number + 1));
            }
            assert_eq!(names.search("", near), Err(0));
            assert_eq!(Names::default().search("", near), Err(0));
        }
        let mut names = Names::default();
        for text in ["b", "d", "a", "e", "", "c"] {
            names.number(0, text);
        }
        assert_eq!(
            [0, 2, 6].map(|count| names.in_order_after(count).collect::<Vec<_>>()),
            [vec![4, 2, 0, 5, 1, 3], vec![4, 2, 5, 3], vec![]]
        );
    }

    #[test]
    fn ends_go_beyond_32_bits() {
        let mut ends = Ends::default();
        let all = [0, 7, u32::MAX as usize, 1 << 32, (1 << 32) + 5, (2 << 32) + 1, (3 << 32) + 9, 3 << 33];
        for end in all {
            ends.push(end);
        }
        assert_eq!((0..8).map(|number| ends.of(number)).collect::<Vec<_>>(), all);
        assert_eq!((ends.place(0), ends.place(4)), (0..0, 1 << 32..(1 << 32) + 5));
    }
}
