//! Texts that come one by one, each distinct one with a number. It does not know what the texts mean.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{ArrayBuilder, DictionaryArray, StringBuilder, UInt32Array};
use arrow::datatypes::UInt32Type;
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Takes texts one by one and gives each distinct one a number, in the order of appearance.
#[derive(Debug, Default)]
pub struct Coder {
    hasher: DefaultHashBuilder,
    // Each known text and its number.
    table: HashTable<(Ends, u32)>,
    texts: StringBuilder,
    codes: Vec<u32>,
    last: Option<(Ends, u32)>,
}

impl Coder {
    /// Adds a text.
    pub fn push(&mut self, text: &str) {
        let ends = Ends::of(text.as_bytes());
        let texts = &self.texts;
        let is_same = |&(known, code): &(Ends, u32)| {
            known == ends && (known.are_all() || text_at(texts, code) == text.as_bytes())
        };
        // Texts come in runs more often than not.
        if let Some(last) = self.last.filter(is_same) {
            self.codes.push(last.1);
            return;
        }
        let hasher = &self.hasher;
        let hash = |ends: Ends, text: &[u8]| {
            if ends.are_all() { hasher.hash_one((ends.head, ends.tail)) } else { hasher.hash_one(text) }
        };
        let rehash = |&(ends, code): &(Ends, u32)| hash(ends, text_at(texts, code));
        let code = match self.table.entry(hash(ends, text.as_bytes()), is_same, rehash) {
            Entry::Occupied(entry) => entry.get().1,
            Entry::Vacant(slot) => {
                // A column of 2^32 distinct texts does not fit in memory.
                let code = u32::try_from(ArrayBuilder::len(&self.texts)).unwrap_or(u32::MAX);
                slot.insert((ends, code));
                self.texts.append_value(text);
                code
            }
        };
        self.last = Some((ends, code));
        self.codes.push(code);
    }

    /// The column of all texts since the last call.
    pub fn finish(&mut self) -> DictionaryArray<UInt32Type> {
        self.table.clear();
        self.last = None;
        let codes = UInt32Array::from(std::mem::take(&mut self.codes));
        DictionaryArray::new(codes, Arc::new(self.texts.finish()))
    }
}

// The length of a text, its first and its last bytes. Most ids have no others, and are compared as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    length: usize,
    head: u64,
    tail: u64,
}

impl Ends {
    #[inline]
    fn of(text: &[u8]) -> Self {
        let (head, tail) = if let (Some(head), Some(tail)) = (text.first_chunk::<8>(), text.last_chunk()) {
            (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
        } else if let (Some(head), Some(tail)) = (text.first_chunk::<4>(), text.last_chunk()) {
            (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into())
        } else {
            text.iter().fold((0, 0), |(head, _), byte| (head << 8 | u64::from(*byte), 0))
        };
        Self { length: text.len(), head, tail }
    }

    // Whether they are the whole text.
    #[inline]
    fn are_all(self) -> bool {
        self.length <= 16
    }
}

fn text_at(texts: &StringBuilder, code: u32) -> &[u8] {
    let offsets = texts.offsets_slice();
    let offset = |place: usize| offsets.get(place).map_or(0, |offset| offset.cast_unsigned() as usize);
    // The builder's list of offsets always ends with the end of its texts.
    let (start, end) = (offset(code as usize), offset(code as usize + 1));
    texts.values_slice().get(start..end).unwrap_or_default()
}

// The text of each row.
#[cfg(test)]
pub(super) fn texts(coded: &DictionaryArray<UInt32Type>) -> Vec<&str> {
    coded.downcast_dict::<arrow::array::StringArray>().expect("texts").into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::Array;

    use super::*;

    #[test]
    fn each_text_has_one_number() {
        let mut coder = Coder::default();
        for text in ["b", "a", "b", "b", "", "a"] {
            coder.push(text);
        }
        let coded = coder.finish();
        assert_eq!(texts(&coded), ["b", "a", "b", "b", "", "a"]);
        assert_eq!(coded.values().len(), 3);
        coder.push("a");
        let coded = coder.finish();
        assert_eq!((texts(&coded), coded.values().len()), (vec!["a"], 1));
        assert_eq!(coder.finish().len(), 0);
    }

    #[test]
    fn many_texts_keep_their_numbers() {
        let all = (0..10_000).map(|number| format!("u{}", number % 3_000)).collect::<Vec<_>>();
        let mut coder = Coder::default();
        for text in &all {
            coder.push(text);
        }
        let coded = coder.finish();
        assert_eq!(texts(&coded), all);
        assert_eq!(coded.values().len(), 3_000);
    }

    #[test]
    fn texts_of_every_length_differ_by_any_byte() {
        let mut all = Vec::new();
        for length in 0..40 {
            all.push("a".repeat(length));
            for place in 0..length {
                let mut text = "a".repeat(length);
                text.replace_range(place..=place, "b");
                all.push(text.replace('b', "\0"));
                all.push(text);
            }
        }
        let mut coder = Coder::default();
        for text in all.iter().chain(&all) {
            coder.push(text);
        }
        let coded = coder.finish();
        assert_eq!(texts(&coded), all.iter().chain(&all).collect::<Vec<_>>());
        assert_eq!(coded.values().len(), all.len());
    }
}
