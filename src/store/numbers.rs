//! A column of numbers of one row group, written as the differences between neighbours. It knows the Parquet format; it does
//! not know which columns there are.

use std::borrow::Cow;

use arrow::array::{Array, AsArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use parquet::basic::{Encoding, Type};
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
        matches!(kind, DataType::Int64 | DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _))
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
        } else if let Some(days) = column.as_primitive_opt::<Date32Type>() {
            self.0.push(days.values().iter().map(|day| i64::from(*day)).collect());
        } else {
            return Err(ParquetError::General(format!("a column of numbers has type {}", column.data_type())));
        }
        Ok(())
    }

    /// Encodes the rows, in pages of so many. Nothing is left in them that packing would make smaller.
    pub(super) fn finish(self, descr: ColumnDescPtr, page_rows: usize) -> Result<Chunk> {
        let rows: Cow<'_, [i64]> = match self.0.as_slice() {
            [all] => Cow::Borrowed(all),
            parts => Cow::Owned(parts.iter().map(AsRef::as_ref).collect::<Vec<&[i64]>>().concat()),
        };
        let is_narrow = descr.physical_type() == Type::INT32;
        let mut packer = Packer::Nothing;
        let mut pages = Pages::new(&mut packer, Encoding::DELTA_BINARY_PACKED);
        let mut bounds = Vec::new();
        for rows in rows.chunks(page_rows) {
            let widest = (i64::MAX, i64::MIN);
            bounds.push(rows.iter().fold(widest, |(least, greatest), &row| (least.min(row), greatest.max(row))));
            pages.page(differences(rows, is_narrow), rows.len(), None)?;
        }
        let bounds = index(&bounds, is_narrow)?;
        pages.finish(descr, Some(bounds))
    }
}

fn index(pages: &[(i64, i64)], is_narrow: bool) -> Result<Bounds> {
    let bounds = [pages.iter().map(|page| page.0).min(), pages.iter().map(|page| page.1).max()];
    let [least, greatest] = bounds;
    let statistics = if is_narrow {
        let [least, greatest] = bounds.map(|bound| bound.map(low));
        Statistics::int32(least, greatest, None, Some(0), false)
    } else {
        Statistics::int64(least, greatest, None, Some(0), false)
    };
    let is_ascending = pages.is_sorted_by(|one, next| one.0 <= next.0 && one.1 <= next.1);
    let bytes = |bound: i64| if is_narrow { low(bound).to_le_bytes().to_vec() } else { bound.to_le_bytes().to_vec() };
    Bounds::new(statistics, pages.iter().map(|&(least, greatest)| [bytes(least), bytes(greatest)]), is_ascending)
}

// The lower 32 bits: all there is of a narrow number.
#[expect(clippy::cast_possible_truncation, reason = "the lower bits are wanted")]
fn low(number: i64) -> i32 {
    number as i32
}

// A page: how it is cut, how many numbers it has, the first one, and blocks of differences. Differences wrap around,
// those of narrow numbers in 32 bits, and come out right.
fn differences(numbers: &[i64], is_narrow: bool) -> Vec<u8> {
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
            let wide = number.wrapping_sub(before);
            *difference = if is_narrow { i64::from(low(wide)) } else { wide };
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
