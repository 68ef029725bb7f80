//! A text column of one row group, written from its codes: the dictionary is there already, so no text is looked at
//! more than once. It knows the Parquet format; it does not know which columns there are.

use std::hash::BuildHasher;

use arrow::array::{Array, AsArray, DictionaryArray, StringArray};
use arrow::datatypes::UInt32Type;
use hashbrown::{DefaultHashBuilder, HashTable};
use parquet::basic::{BoundaryOrder, Compression, Encoding, EncodingMask, PageType, Type};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use super::codes::is_same_list;

// A longer bound is left out: it would stand in the footer many times.
const MAX_BOUND_BYTES: usize = 256;
const UNKNOWN: u32 = u32::MAX;

/// The rows of a column so far.
#[derive(Debug, Default)]
pub(super) struct TextColumn {
    hasher: DefaultHashBuilder,
    // The hash of each text of the dictionary and its number, for the first so many of them.
    table: HashTable<(u64, u32)>,
    hashed: u32,
    ends: Vec<usize>,
    bytes: Vec<u8>,
    numbers: Vec<u32>,
    // The list of the last batch and the numbers of its texts.
    list: Option<StringArray>,
    known: Vec<u32>,
}

/// An encoded column.
pub(super) struct TextChunk {
    /// What stands in the file.
    pub(super) bytes: Vec<u8>,
    /// What is said about it in the footer.
    pub(super) close: ColumnCloseResult,
}

impl TextColumn {
    /// Adds rows; a column of another type is an error.
    pub(super) fn push(&mut self, column: &dyn Array) -> Result<()> {
        if column.null_count() > 0 {
            return Err(ParquetError::General("a column of ids has nulls".into()));
        }
        if let Some(coded) = column.as_any().downcast_ref::<DictionaryArray<UInt32Type>>() {
            return self.push_coded(coded);
        }
        let texts = column.as_string_opt::<i32>();
        let texts = texts.ok_or_else(|| ParquetError::General("a column of ids is no text".into()))?;
        for row in 0..texts.len() {
            let text = texts.value(row).as_bytes();
            let number = match self.numbers.last() {
                Some(&last) if self.text(last) == text => last,
                _ => self.number(text),
            };
            self.numbers.push(number);
        }
        Ok(())
    }

    fn push_coded(&mut self, coded: &DictionaryArray<UInt32Type>) -> Result<()> {
        let list = coded.values().as_string_opt::<i32>();
        let list = list.ok_or_else(|| ParquetError::General("the list of a column of ids is no text".into()))?;
        // The texts of the first list need no look into those before: there are none.
        let mut is_first = self.hashed == 0;
        if !self.list.as_ref().is_some_and(|known| is_same_list(known, list)) {
            is_first = self.ends.is_empty();
            self.known.clear();
            self.known.resize(list.len(), UNKNOWN);
            self.list = Some(list.clone());
        }
        let mut known = std::mem::take(&mut self.known);
        self.numbers.reserve(coded.len());
        for &code in coded.keys().values() {
            let number = &mut known[code as usize];
            if *number == UNKNOWN {
                let text = list.value(code as usize).as_bytes();
                *number = if is_first { self.append(text) } else { self.number(text) };
            }
            self.numbers.push(*number);
        }
        self.known = known;
        Ok(())
    }

    fn append(&mut self, text: &[u8]) -> u32 {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        u32::try_from(self.ends.len() - 1).unwrap_or(UNKNOWN)
    }

    fn number(&mut self, text: &[u8]) -> u32 {
        for number in self.hashed..u32::try_from(self.ends.len()).unwrap_or(UNKNOWN) {
            let hash = self.hasher.hash_one(self.text(number));
            self.table.insert_unique(hash, (hash, number), |&(hash, _)| hash);
        }
        let hash = self.hasher.hash_one(text);
        let (ends, bytes) = (&self.ends, &self.bytes);
        let is_same = |&(known, number): &(u64, u32)| known == hash && text_at(ends, bytes, number) == text;
        let number = if let Some(&(_, number)) = self.table.find(hash, is_same) {
            number
        } else {
            let number = self.append(text);
            self.table.insert_unique(hash, (hash, number), |&(hash, _)| hash);
            number
        };
        self.hashed = u32::try_from(self.ends.len()).unwrap_or(UNKNOWN);
        number
    }

    fn text(&self, number: u32) -> &[u8] {
        text_at(&self.ends, &self.bytes, number)
    }

    /// What is held, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.len() + 8 * self.ends.len() + 4 * self.numbers.len()
    }

    /// Encodes the rows, in pages of so many, packed with zstd or LZ4.
    pub(super) fn finish(self, descr: ColumnDescPtr, page_rows: usize, compression: Compression) -> Result<TextChunk> {
        let mut out = TrackedWrite::new(Vec::new());
        let mut writer = SerializedPageWriter::new(&mut out);
        let zstd = match compression {
            Compression::ZSTD(level) => Some(Compressor::new(level.compression_level())?),
            _ => None,
        };
        let mut pack = Pack { zstd, written: 0, unpacked: 0 };
        let mut plain = Vec::with_capacity(self.bytes.len() + 4 * self.ends.len());
        for number in 0..self.ends.len() {
            let text = self.text(u32::try_from(number).unwrap_or(UNKNOWN));
            plain.extend_from_slice(&u32::try_from(text.len()).unwrap_or(UNKNOWN).to_le_bytes());
            plain.extend_from_slice(text);
        }
        let num_values = u32::try_from(self.ends.len()).unwrap_or(UNKNOWN);
        let dictionary = pack.write(&mut writer, &plain, |buf| Page::DictionaryPage {
            buf: buf.into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        })?;
        let width = bits(num_values.saturating_sub(1)).max(1);
        let mut index = Index { pages: Vec::new(), seen: vec![0; self.ends.len()] };
        let mut offsets = OffsetIndexBuilder::new();
        let mut first_page = None;
        let mut text_bytes = 0;
        for rows in self.numbers.chunks(page_rows) {
            let page = pack.write(&mut writer, &hybrid(rows, width), |buf| Page::DataPage {
                buf: buf.into(),
                num_values: u32::try_from(rows.len()).unwrap_or(UNKNOWN),
                encoding: Encoding::RLE_DICTIONARY,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            })?;
            first_page.get_or_insert(page.offset);
            let bytes = index.add(rows, &self);
            text_bytes += bytes;
            offsets.append_row_count(signed(rows.len() as u64));
            offsets
                .append_offset_and_size(signed(page.offset), i32::try_from(page.compressed_size).unwrap_or(i32::MAX));
            offsets.append_unencoded_byte_array_data_bytes(Some(bytes));
        }
        writer.close()?;
        let bounds = index.bounds(&self);
        let column_index = bounds.as_ref().map(Bounds::column_index).transpose()?;
        let mut metadata = ColumnChunkMetaData::builder(descr)
            .set_compression(compression)
            .set_encodings_mask(EncodingMask::new_from_encodings(
                [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY].iter(),
            ))
            .set_page_encoding_stats(vec![
                PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 },
                PageEncodingStats {
                    page_type: PageType::DATA_PAGE,
                    encoding: Encoding::RLE_DICTIONARY,
                    count: i32::try_from(index.pages.len()).unwrap_or(i32::MAX),
                },
            ])
            .set_total_compressed_size(signed(pack.written))
            .set_total_uncompressed_size(signed(pack.unpacked))
            .set_num_values(signed(self.numbers.len() as u64))
            .set_data_page_offset(signed(first_page.unwrap_or(0)))
            .set_dictionary_page_offset(Some(signed(dictionary.offset)))
            .set_unencoded_byte_array_data_bytes(Some(text_bytes));
        if let Some(bounds) = &bounds {
            metadata = metadata.set_statistics(bounds.statistics());
        }
        let close = ColumnCloseResult {
            bytes_written: pack.written,
            rows_written: self.numbers.len() as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index,
            offset_index: Some(offsets.build()),
        };
        Ok(TextChunk { bytes: out.into_inner()?, close })
    }
}

fn text_at<'a>(ends: &[usize], bytes: &'a [u8], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] };
    &bytes[start..ends[number]]
}

// Compresses pages and sums up what was written.
struct Pack {
    // Without it, LZ4.
    zstd: Option<Compressor<'static>>,
    written: u64,
    unpacked: u64,
}

impl Pack {
    fn write(
        &mut self,
        writer: &mut SerializedPageWriter<'_, Vec<u8>>,
        plain: &[u8],
        page: impl FnOnce(Vec<u8>) -> Page,
    ) -> Result<PageWriteSpec> {
        let packed = match &mut self.zstd {
            Some(zstd) => zstd.compress(plain)?,
            None => lz4_flex::block::compress(plain),
        };
        let spec = writer.write_page(CompressedPage::new(page(packed), plain.len()))?;
        self.written += spec.bytes_written;
        self.unpacked += spec.uncompressed_size as u64;
        Ok(spec)
    }
}

// The numbers of the least and the greatest text of each page.
struct Index {
    pages: Vec<[u32; 2]>,
    // For each text: how many pages there were with the last one that has it. A text is compared once for each page.
    seen: Vec<usize>,
}

impl Index {
    // Adds a page and says how many bytes of text it has.
    fn add(&mut self, rows: &[u32], column: &TextColumn) -> i64 {
        let page = self.pages.len() + 1;
        let (mut bounds, mut bytes) = (None, 0);
        for run in rows.chunk_by(|one, next| one == next) {
            let Some(&number) = run.first() else { continue };
            let text = column.text(number);
            bytes += text.len() * run.len();
            if std::mem::replace(&mut self.seen[number as usize], page) == page {
                continue;
            }
            let (least, greatest) = bounds.get_or_insert(((text, number), (text, number)));
            if text < least.0 {
                *least = (text, number);
            } else if text > greatest.0 {
                *greatest = (text, number);
            }
        }
        self.pages.extend(bounds.map(|(least, greatest)| [least.1, greatest.1]));
        signed(bytes as u64)
    }

    fn bounds<'a>(&self, column: &'a TextColumn) -> Option<Bounds<'a>> {
        let pages = self.pages.iter().map(|page| page.map(|number| column.text(number))).collect::<Vec<_>>();
        let least = pages.iter().map(|[least, _]| *least).min()?;
        let greatest = pages.iter().map(|[_, greatest]| *greatest).max()?;
        let is_short = pages.iter().flatten().all(|bound| bound.len() <= MAX_BOUND_BYTES);
        is_short.then_some(Bounds { all: [least, greatest], pages })
    }
}

struct Bounds<'a> {
    all: [&'a [u8]; 2],
    pages: Vec<[&'a [u8]; 2]>,
}

impl Bounds<'_> {
    fn statistics(&self) -> Statistics {
        let [least, greatest] = self.all.map(|bound| Some(ByteArray::from(bound.to_vec())));
        Statistics::byte_array(least, greatest, None, Some(0), false)
    }

    fn column_index(&self) -> Result<ColumnIndexMetaData> {
        let mut index = ColumnIndexBuilder::new(Type::BYTE_ARRAY);
        for [least, greatest] in &self.pages {
            index.append(false, least.to_vec(), greatest.to_vec(), 0);
        }
        let is_ascending = self.pages.is_sorted_by(|one, next| one[0] <= next[0] && one[1] <= next[1]);
        index.set_boundary_order(if is_ascending { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED });
        index.build()
    }
}

// Numbers of so many bits in the RLE and bit-packing hybrid of Parquet, behind the byte that says how many.
fn hybrid(numbers: &[u32], width: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + numbers.len() * width as usize / 8 + 16);
    out.push(u8::try_from(width).unwrap_or(32));
    // Numbers on their way into groups of eight.
    let mut loose = Vec::new();
    let mut start = 0;
    while start < numbers.len() {
        let number = numbers[start];
        let length = numbers[start..].iter().take_while(|other| **other == number).count();
        // A run can only begin where the groups before it are full.
        let fill = if loose.len().is_multiple_of(8) { 0 } else { length.min(8 - loose.len() % 8) };
        loose.extend(std::iter::repeat_n(number, fill));
        let rest = length - fill;
        if rest >= 8 {
            bit_pack(&mut loose, width, &mut out);
            varint((rest as u64) << 1, &mut out);
            out.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
        } else {
            loose.extend(std::iter::repeat_n(number, rest));
        }
        start += length;
    }
    bit_pack(&mut loose, width, &mut out);
    out
}

fn bit_pack(loose: &mut Vec<u32>, width: u32, out: &mut Vec<u8>) {
    if loose.is_empty() {
        return;
    }
    loose.resize(loose.len().next_multiple_of(8), 0);
    varint((loose.len() as u64 / 8) << 1 | 1, out);
    let (mut waiting, mut waiting_bits) = (0_u64, 0);
    for number in loose.drain(..) {
        waiting |= u64::from(number) << waiting_bits;
        waiting_bits += width;
        while waiting_bits >= 8 {
            out.push(waiting.to_le_bytes()[0]);
            waiting >>= 8;
            waiting_bits -= 8;
        }
    }
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn bits(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
