//! Encoded pages of one column of a row group: packed and put together to what stands in the file, with what the footer
//! says of them. It knows the Parquet format; it does not know how pages are encoded.

use parquet::basic::{BoundaryOrder, Compression, Encoding, EncodingMask, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

/// An encoded column.
pub(super) struct Chunk {
    /// What stands in the file.
    pub(super) bytes: Vec<u8>,
    /// What is said about it in the footer.
    pub(super) close: ColumnCloseResult,
}

/// The least and the greatest value: of the column, and of each page.
pub(super) struct Bounds {
    pub(super) statistics: Statistics,
    pub(super) index: ColumnIndexMetaData,
}

impl Bounds {
    /// Of pages with these bounds, which ascend from page to page or not.
    pub(super) fn new(
        statistics: Statistics,
        pages: impl IntoIterator<Item = [Vec<u8>; 2]>,
        is_ascending: bool,
    ) -> Result<Self> {
        let kind = statistics.physical_type();
        let mut index = ColumnIndexBuilder::new(kind);
        for [least, greatest] in pages {
            index.append(false, least, greatest, 0);
        }
        index.set_boundary_order(if is_ascending { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED });
        Ok(Self { statistics, index: index.build()? })
    }
}

/// Packs pages. What it works with is set up once for a file.
pub(super) enum Packer {
    /// Leaves pages as they are.
    Nothing,
    /// LZ4.
    Lz4,
    /// Zstandard, of this level.
    Zstd(Compression, Box<Compressor<'static>>),
}

impl Packer {
    /// A packer with zstd, LZ4 or nothing.
    pub(super) fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::ZSTD(level) => Self::Zstd(compression, Box::new(Compressor::new(level.compression_level())?)),
            Compression::LZ4_RAW => Self::Lz4,
            _ => Self::Nothing,
        })
    }

    fn compression(&self) -> Compression {
        match self {
            Self::Nothing => Compression::UNCOMPRESSED,
            Self::Lz4 => Compression::LZ4_RAW,
            Self::Zstd(compression, _) => *compression,
        }
    }

    fn pack(&mut self, plain: Vec<u8>) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Nothing => plain,
            Self::Lz4 => lz4_flex::block::compress(&plain),
            Self::Zstd(_, zstd) => zstd.compress(&plain)?,
        })
    }
}

/// The pages of a column so far.
pub(super) struct Pages<'a> {
    packer: &'a mut Packer,
    encoding: Encoding,
    out: TrackedWrite<Vec<u8>>,
    written: u64,
    unpacked: u64,
    rows: u64,
    count: i32,
    dictionary: Option<u64>,
    first: Option<u64>,
    offsets: OffsetIndexBuilder,
    // The bytes of all texts, if these are texts.
    text_bytes: Option<i64>,
}

impl<'a> Pages<'a> {
    /// Begins a column of pages in this encoding.
    pub(super) fn new(packer: &'a mut Packer, encoding: Encoding) -> Self {
        Self {
            packer,
            encoding,
            out: TrackedWrite::new(Vec::new()),
            written: 0,
            unpacked: 0,
            rows: 0,
            count: 0,
            dictionary: None,
            first: None,
            offsets: OffsetIndexBuilder::new(),
            text_bytes: None,
        }
    }

    /// Adds the dictionary, before all pages.
    pub(super) fn dictionary(&mut self, plain: Vec<u8>, num_values: u32) -> Result<()> {
        let page = |buf: Vec<u8>| Page::DictionaryPage {
            buf: buf.into(),
            num_values,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        self.dictionary = Some(self.write(plain, page)?.offset);
        Ok(())
    }

    /// Adds a page of so many rows; of texts also how many bytes these have.
    pub(super) fn page(&mut self, encoded: Vec<u8>, rows: usize, text_bytes: Option<i64>) -> Result<()> {
        let encoding = self.encoding;
        let page = self.write(encoded, |buf| Page::DataPage {
            buf: buf.into(),
            num_values: u32::try_from(rows).unwrap_or(u32::MAX),
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        })?;
        self.first.get_or_insert(page.offset);
        self.rows += rows as u64;
        self.count += 1;
        self.offsets.append_row_count(signed(rows as u64));
        let size = i32::try_from(page.compressed_size).unwrap_or(i32::MAX);
        self.offsets.append_offset_and_size(signed(page.offset), size);
        self.offsets.append_unencoded_byte_array_data_bytes(text_bytes);
        self.text_bytes = text_bytes.map(|bytes| self.text_bytes.unwrap_or(0) + bytes);
        Ok(())
    }

    /// Ends the column; without bounds none are told.
    pub(super) fn finish(self, descr: ColumnDescPtr, bounds: Option<Bounds>) -> Result<Chunk> {
        let stats = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let dictionary = self.dictionary.map(|_| stats(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
        let pages = stats(PageType::DATA_PAGE, self.encoding, self.count);
        let encodings = dictionary.iter().map(|page| page.encoding).chain([Encoding::RLE, self.encoding]);
        let mut metadata = ColumnChunkMetaData::builder(descr)
            .set_compression(self.packer.compression())
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.collect::<Vec<_>>().iter()))
            .set_page_encoding_stats(dictionary.into_iter().chain([pages]).collect())
            .set_total_compressed_size(signed(self.written))
            .set_total_uncompressed_size(signed(self.unpacked))
            .set_num_values(signed(self.rows))
            .set_data_page_offset(signed(self.first.unwrap_or(0)))
            .set_dictionary_page_offset(self.dictionary.map(signed))
            .set_unencoded_byte_array_data_bytes(self.text_bytes);
        let (statistics, column_index) = bounds.map(|bounds| (bounds.statistics, bounds.index)).unzip();
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: self.written,
            rows_written: self.rows,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index,
            offset_index: Some(self.offsets.build()),
        };
        Ok(Chunk { bytes: self.out.into_inner()?, close })
    }

    fn write(&mut self, plain: Vec<u8>, page: impl FnOnce(Vec<u8>) -> Page) -> Result<PageWriteSpec> {
        let length = plain.len();
        let page = CompressedPage::new(page(self.packer.pack(plain)?), length);
        let spec = SerializedPageWriter::new(&mut self.out).write_page(page)?;
        self.written += spec.bytes_written;
        self.unpacked += spec.uncompressed_size as u64;
        Ok(spec)
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
