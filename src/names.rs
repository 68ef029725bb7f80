//! Texts as small numbers: apps, users and rooms are counted by them, and compared as texts only to be put in order.
//! It does not know what a text names.

use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// The distinct texts of one kind, each with a number in the order of appearance. The texts are held here.
#[derive(Default)]
pub(crate) struct Names {
    hasher: DefaultHashBuilder,
    // Of the first so many names. Numbers alone: the smaller the table, the more of it is near the processor.
    table: HashTable<u32>,
    hashed: u32,
    texts: String,
    entries: Vec<Name>,
    // The first so many names are in the order of their numbers, and stand alone.
    sorted: u32,
}

// Where a text ends, and what it is the name of something in; 0 for what stands alone.
struct Name {
    end: usize,
    within: u32,
}

impl Names {
    /// Texts that are in order and differ, each with its place as its number; nothing is hashed before another is asked for.
    pub(crate) fn sorted<'a>(list: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names = Self::default();
        for text in list {
            names.push(text);
        }
        names.sorted = low(names.entries.len());
        names
    }

    /// Adds a text that is known to be new; nothing is hashed before another is asked for.
    pub(crate) fn push(&mut self, text: &str) -> u32 {
        self.texts.push_str(text);
        self.entries.push(Name { end: self.texts.len(), within: 0 });
        low(self.entries.len() - 1)
    }

    /// Takes all of them away: their texts, one behind the other, and where each ends.
    pub(crate) fn take(&mut self) -> (String, impl Iterator<Item = usize> + use<>) {
        let Self { texts, entries, .. } = std::mem::take(self);
        (texts, entries.into_iter().map(|name| name.end))
    }

    /// The number of a text, given anew if it is not known. The same text within something else is another name.
    pub(crate) fn number(&mut self, within: u32, text: &str) -> u32 {
        self.hash_all();
        let hash = self.hasher.hash_one((within, text));
        let Self { hasher, table, texts, entries, .. } = self;
        let is_same =
            |&number: &u32| entries[number as usize].within == within && text_of(texts, entries, number) == text;
        let rehash =
            |&number: &u32| hasher.hash_one((entries[number as usize].within, text_of(texts, entries, number)));
        match table.entry(hash, is_same, rehash) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(slot) => {
                let number = low(entries.len());
                slot.insert(number);
                texts.push_str(text);
                entries.push(Name { end: texts.len(), within });
                self.hashed = number + 1;
                number
            }
        }
    }

    /// The number of a text, if it was given one by [`Self::number`].
    pub(crate) fn find(&self, within: u32, text: &str) -> Option<u32> {
        let Self { hasher, table, texts, entries, .. } = self;
        let is_same =
            |&number: &u32| entries[number as usize].within == within && text_of(texts, entries, number) == text;
        table.find(hasher.hash_one((within, text)), is_same).copied()
    }

    fn hash_all(&mut self) {
        let Self { hasher, table, texts, entries, .. } = self;
        let hash_of = |number: u32| hasher.hash_one((entries[number as usize].within, text_of(texts, entries, number)));
        for number in self.hashed..low(entries.len()) {
            let hash = hash_of(number);
            table.insert_unique(hash, number, |&number| hash_of(number));
        }
        self.hashed = low(entries.len());
    }

    /// The text of a number.
    pub(crate) fn text(&self, number: u32) -> &str {
        text_of(&self.texts, &self.entries, number)
    }

    /// The texts in the order of their numbers.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts_after(0)
    }

    /// The texts that were added when there were so many, in the order of their numbers.
    pub(crate) fn texts_after(&self, count: usize) -> impl Iterator<Item = &str> {
        (low(count)..low(self.len())).map(|number| self.text(number))
    }

    /// What the text is a name in.
    pub(crate) fn within(&self, number: u32) -> u32 {
        self.entries[number as usize].within
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether they are known to be in the order of their numbers.
    pub(crate) fn is_sorted(&self) -> bool {
        self.sorted == low(self.len())
    }

    /// Whether these are the same texts with the same numbers, as far as that is told without looking far.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_ends = || self.entries.iter().map(|name| name.end).eq(other.entries.iter().map(|name| name.end));
        self.is_sorted() && other.is_sorted() && self.texts == other.texts && same_ends()
    }

    /// What they take in memory, about, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len() + self.entries.len() * (size_of::<Name>() + 2 * size_of::<u32>())
    }

    /// The numbers in the order of their texts, and the rank of each number in that order. Equal texts within different
    /// things have different ranks.
    pub(crate) fn ranks(&self) -> Ranks {
        if self.is_sorted() {
            let numbers = (0..low(self.len())).collect::<Vec<_>>();
            return Ranks { ranks: numbers.clone(), numbers };
        }
        let texts = self.texts().map(str::as_bytes).collect::<Vec<_>>();
        let ranks = ranks(&texts);
        let mut numbers = vec![0; ranks.len()];
        for (number, &rank) in (0..).zip(&ranks) {
            numbers[rank as usize] = number;
        }
        Ranks { ranks, numbers }
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
    // Ids of one kind often begin alike ("user-000…"); eight bytes behind that tell most of them apart.
    let common = texts.split_first().map_or(0, |(first, others)| {
        others.iter().fold(first.len(), |common, text| {
            first.iter().zip(*text).take(common).take_while(|(one, other)| one == other).count()
        })
    });
    let mut sorted = (0..).zip(texts).map(|(code, text)| (head(&text[common..]), code)).collect::<Vec<(u64, u32)>>();
    sorted.sort_unstable_by(|(head, code), (other_head, other_code)| {
        let text = |code: &u32| texts[*code as usize];
        head.cmp(other_head).then_with(|| text(code).cmp(text(other_code)))
    });
    let mut ranks = vec![0; texts.len()];
    for (rank, (_, code)) in (0..).zip(sorted) {
        ranks[code as usize] = rank;
    }
    ranks
}

// The first eight bytes as a number that compares like them.
fn head(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(8);
    bytes[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(bytes)
}

#[inline]
fn text_of<'a>(texts: &'a str, entries: &[Name], number: u32) -> &'a str {
    let number = number as usize;
    let start = if number == 0 { 0 } else { entries[number - 1].end };
    &texts[start..entries[number].end]
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
                assert_eq!(names.number(0, &format!("user-{number}")), number);
            }
        }
    }
}
