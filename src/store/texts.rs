//! A text column of one row group, written from its codes: the dictionary is there already, so no text is looked at
//! more than once. It knows the Parquet format; it does not know which columns there are.

use std::hash::BuildHasher;

use arrow::array::{Array, AsArray, DictionaryArray, StringArray};
use arrow::datatypes::UInt32Type;
use hashbrown::{DefaultHashBuilder, HashTable};
use parquet::basic::Encoding;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::bits::{bit_width, hybrid};
use super::codes::is_same_list;
use super::pages::{Bounds, Chunk, Packer, Pages};

// A longer bound is left out: it would stand in the footer many times.
const MAX_BOUND_BYTES: usize = 256;
const UNKNOWN: u32 = u32::MAX;

/// The rows of a column so far.
#[derive(Debug, Default)]
pub(super) struct TextColumn {
    dictionary: Dictionary,
    numbers: Vec<u32>,
    // The list of the last batch and the numbers of its texts.
    list: Option<StringArray>,
    known: Vec<u32>,
}

// The distinct texts in the order of appearance.
#[derive(Debug, Default)]
struct Dictionary {
    hasher: DefaultHashBuilder,
    // The hash of each text and its number, for the first so many of them.
    table: HashTable<(u64, u32)>,
    hashed: u32,
    ends: Vec<usize>,
    // As they stand in the file: each text behind its length.
    plain: Vec<u8>,
}

// The bytes of a length.
const LENGTH: usize = size_of::<u32>();

impl TextColumn {
    /// Makes room for so many rows.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.numbers.reserve_exact(rows);
    }

    /// Adds rows; a column of another type is an error.
    pub(super) fn push(&mut self, column: &dyn Array) -> Result<()> {
        if column.null_count() > 0 {
            return Err(ParquetError::General("a column of texts has nulls".into()));
        }
        if let Some(coded) = column.as_any().downcast_ref::<DictionaryArray<UInt32Type>>() {
            return self.push_coded(coded);
        }
        let texts = column.as_string_opt::<i32>();
        let texts = texts.ok_or_else(|| ParquetError::General("a column of texts has another type".into()))?;
        for row in 0..texts.len() {
            let text = texts.value(row).as_bytes();
            let number = match self.numbers.last() {
                Some(&last) if self.dictionary.text(last) == text => last,
                _ => self.dictionary.number(text),
            };
            self.numbers.push(number);
        }
        Ok(())
    }

    fn push_coded(&mut self, coded: &DictionaryArray<UInt32Type>) -> Result<()> {
        let list = coded.values().as_string_opt::<i32>();
        let list =
            list.ok_or_else(|| ParquetError::General("the list of a column of texts has another type".into()))?;
        let Self { dictionary, numbers, list: last, known } = self;
        // The texts of the first list need no look into those before: there are none.
        let mut is_first = dictionary.hashed == 0;
        if !last.as_ref().is_some_and(|last| is_same_list(last, list)) {
            is_first = dictionary.ends.is_empty();
            known.clear();
            known.resize(list.len(), UNKNOWN);
            *last = Some(list.clone());
        }
        numbers.extend(coded.keys().values().iter().map(|&code| {
            let number = &mut known[code as usize];
            if *number == UNKNOWN {
                let text = list.value(code as usize).as_bytes();
                *number = if is_first { dictionary.append(text) } else { dictionary.number(text) };
            }
            *number
        }));
        Ok(())
    }

    /// What is held, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.dictionary.plain.len() + 8 * self.dictionary.ends.len() + 4 * self.numbers.len()
    }

    /// Encodes the rows, in pages of so many.
    pub(super) fn finish(self, descr: ColumnDescPtr, page_rows: usize, packer: &mut Packer) -> Result<Chunk> {
        let Self { dictionary, numbers, .. } = self;
        let mut index = Index { dictionary: &dictionary, bounds: Vec::new(), rows: vec![0; dictionary.ends.len()] };
        let text_bytes = numbers.chunks(page_rows).map(|rows| index.add(rows)).collect::<Vec<_>>();
        let bounds = index.bounds()?;
        let texts = dictionary.len();
        let width = bit_width(texts.saturating_sub(1).into()).max(1);
        let mut pages = Pages::new(packer, Encoding::RLE_DICTIONARY);
        pages.dictionary(dictionary.plain, texts)?;
        for (rows, text_bytes) in numbers.chunks(page_rows).zip(text_bytes) {
            pages.page(hybrid(rows, width), rows.len(), Some(text_bytes))?;
        }
        pages.finish(descr, bounds)
    }
}

impl Dictionary {
    fn append(&mut self, text: &[u8]) -> u32 {
        self.plain.extend_from_slice(&u32::try_from(text.len()).unwrap_or(UNKNOWN).to_le_bytes());
        self.plain.extend_from_slice(text);
        self.ends.push(self.plain.len());
        self.len() - 1
    }

    fn number(&mut self, text: &[u8]) -> u32 {
        for number in self.hashed..self.len() {
            let hash = self.hasher.hash_one(self.text(number));
            self.table.insert_unique(hash, (hash, number), |&(hash, _)| hash);
        }
        let hash = self.hasher.hash_one(text);
        let is_same = |&(known, number): &(u64, u32)| known == hash && self.text(number) == text;
        let number = if let Some(&(_, number)) = self.table.find(hash, is_same) {
            number
        } else {
            let number = self.append(text);
            self.table.insert_unique(hash, (hash, number), |&(hash, _)| hash);
            number
        };
        self.hashed = self.len();
        number
    }

    fn text(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.plain[start + LENGTH..self.ends[number]]
    }

    fn len(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(UNKNOWN)
    }
}

// The least and the greatest text of each page.
struct Index<'a> {
    dictionary: &'a Dictionary,
    bounds: Vec<[&'a [u8]; 2]>,
    // How many rows of the present page have each text, so that a text is looked at once for each page.
    rows: Vec<u32>,
}

impl Index<'_> {
    // Adds a page; gives how many bytes the texts of its rows have.
    fn add(&mut self, numbers: &[u32]) -> i64 {
        for &number in numbers {
            self.rows[number as usize] += 1;
        }
        let mut bytes = 0;
        let mut bounds: Option<[&[u8]; 2]> = None;
        for (number, rows) in (0..).zip(&mut self.rows).filter(|(_, rows)| **rows > 0) {
            let text = self.dictionary.text(number);
            bytes += u64::from(std::mem::take(rows)) * text.len() as u64;
            let [least, greatest] = bounds.get_or_insert([text, text]);
            // Texts ascend more often than not.
            if text > *greatest {
                *greatest = text;
            } else if text < *least {
                *least = text;
            }
        }
        self.bounds.extend(bounds);
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }

    fn bounds(self) -> Result<Option<Bounds>> {
        let pages = self.bounds;
        let (Some(least), Some(greatest)) =
            (pages.iter().map(|page| page[0]).min(), pages.iter().map(|page| page[1]).max())
        else {
            return Ok(None);
        };
        if pages.iter().flatten().any(|bound| bound.len() > MAX_BOUND_BYTES) {
            return Ok(None);
        }
        let [least, greatest] = [least, greatest].map(|bound| Some(ByteArray::from(bound.to_vec())));
        let statistics = Statistics::byte_array(least, greatest, None, Some(0), false);
        let is_ascending = pages.is_sorted_by(|one, next| one[0] <= next[0] && one[1] <= next[1]);
        let pages = pages.into_iter().map(|page| page.map(<[u8]>::to_vec));
        Bounds::new(statistics, pages, is_ascending).map(Some)
    }
}
