//! A column of numbers of one row group, written as the differences between neighbours. It knows the Parquet format; it does
//! not know which columns there are.

use std::borrow::Cow;

use arrow::array::{Array, AsArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use parquet::basic::Encoding;
use parquet::errors::{ParquetError, Result};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::bits::{bit_width, pack, varint};
use super::pages::{Bounds, Chunk, Packer, Pages};

// Differences that share their least one, and how many of them share a width.
const BLOCK: usize = 256;
const MINI_BLOCK: usize = 64;

/// The rows of a column so far, as they were given: most groups are of one batch, which is not copied.
#[derive(Debug, Default)]
pub(super) struct NumberColumn(Vec<ScalarBuffer<i64>>);

impl NumberColumn {
    /// Whether a column without nulls can be written like this.
    pub(super) fn takes(kind: &DataType) -> bool {
        matches!(kind, DataType::Int64 | DataType::Timestamp(TimeUnit::Microsecond, _))
    }

    /// Adds rows; a column of another type is an error.
    pub(super) fn push(&mut self, column: &dyn Array) -> Result<()> {
        if column.null_count() > 0 {
            return Err(ParquetError::General("a column that must not have nulls has some".into()));
        }
        if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
            self.0.push(numbers.values().clone());
        } else if let Some(instants) = column.as_primitive_opt::<TimestampMicrosecondType>() {
            self.0.push(instants.values().clone());
        } else {
            return Err(ParquetError::General(format!("a column of numbers has type {}", column.data_type())));
        }
        Ok(())
    }

    /// What is held, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.0.iter().map(|part| size_of_val::<[i64]>(part)).sum()
    }

    /// Encodes the rows, in pages of so many. Nothing is left in them that packing would make smaller.
    pub(super) fn finish(self, descr: ColumnDescPtr, page_rows: usize) -> Result<Chunk> {
        let rows: Cow<'_, [i64]> = match self.0.as_slice() {
            [all] => Cow::Borrowed(all),
            parts => Cow::Owned(parts.iter().map(AsRef::as_ref).collect::<Vec<&[i64]>>().concat()),
        };
        let mut packer = Packer::Nothing;
        let mut pages = Pages::new(&mut packer, Encoding::DELTA_BINARY_PACKED);
        let mut bounds = Vec::new();
        for rows in rows.chunks(page_rows) {
            let widest = (i64::MAX, i64::MIN);
            bounds.push(rows.iter().fold(widest, |(least, greatest), &row| (least.min(row), greatest.max(row))));
            pages.page(differences(rows), rows.len(), None)?;
        }
        let bounds = index(&bounds)?;
        pages.finish(descr, Some(bounds))
    }
}

fn index(pages: &[(i64, i64)]) -> Result<Bounds> {
    let [least, greatest] = [pages.iter().map(|page| page.0).min(), pages.iter().map(|page| page.1).max()];
    let statistics = Statistics::int64(least, greatest, None, Some(0), false);
    let is_ascending = pages.is_sorted_by(|one, next| one.0 <= next.0 && one.1 <= next.1);
    let pages = pages.iter().map(|&(least, greatest)| [least, greatest].map(|bound| bound.to_le_bytes().to_vec()));
    Bounds::new(statistics, pages, is_ascending)
}

// A page: how it is cut, how many numbers it has, the first one, and blocks of differences. Differences of 64 bits wrap around
// and come out right.
fn differences(numbers: &[i64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 2 * numbers.len());
    let first = numbers.first().copied().unwrap_or(0);
    for head in [BLOCK, BLOCK / MINI_BLOCK, numbers.len()] {
        varint(head as u64, &mut out);
    }
    varint(zigzag(first), &mut out);
    let mut block = [0; BLOCK];
    let mut before = first;
    for numbers in numbers.get(1..).unwrap_or_default().chunks(BLOCK) {
        let block = &mut block[..numbers.len()];
        for (difference, &number) in block.iter_mut().zip(numbers) {
            *difference = number.wrapping_sub(before);
            before = number;
        }
        let least = block.iter().copied().min().unwrap_or(0);
        varint(zigzag(least), &mut out);
        let widths = out.len();
        out.resize(widths + BLOCK / MINI_BLOCK, 0);
        for (place, differences) in block.chunks(MINI_BLOCK).enumerate() {
            let above = |difference: &i64| difference.wrapping_sub(least).cast_unsigned();
            // As wide as the widest of them.
            let width = bit_width(differences.iter().fold(0, |all, difference| all | above(difference)));
            out[widths + place] = u8::try_from(width).unwrap_or(64);
            let fill = std::iter::repeat_n(0, MINI_BLOCK - differences.len());
            pack(differences.iter().map(above).chain(fill), width, &mut out);
        }
    }
    out
}

// Numbers near zero as small ones, whatever their sign.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}
