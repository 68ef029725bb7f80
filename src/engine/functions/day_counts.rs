//! The aggregate `day_counts(bits, n)`: of months of days as bits, how many there are on each day of the month.
//! What the bits mean is not known here.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::error::Result;

use super::aggregate::{Gathered, of_group};
use super::calendars::month_bits;
use super::{Argument, integers, mistyped};

const DAYS: usize = 31;

/// For each of 31 days the sum of `n` over the rows that have its bit; rows where either is null count nothing.
#[derive(Debug, Default, Clone)]
pub(super) struct DayCounts([i64; DAYS]);

impl Gathered for DayCounts {
    const NAME: &'static str = "day_counts";
    const ARGUMENTS: &'static [Argument] = &[Argument::Integer, Argument::Integer];

    fn returns() -> DataType {
        DataType::List(list_field())
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let (bits, numbers) = (integers(values, 0)?, integers(values, 1)?);
        for (row, (bits, n)) in bits.iter().zip(numbers).enumerate() {
            let (Some(bits), Some(n), Some(group)) = (bits, n, group(row)) else { continue };
            let bits = month_bits("bits", bits)?.cast_signed();
            // All days alike, so that several are added at once. A sum that does not fit wraps, as that of `sum` does.
            for (day, count) in of_group(groups, group)?.0.iter_mut().enumerate() {
                *count = count.wrapping_add(n.wrapping_mul(bits >> day & 1));
            }
        }
        Ok(())
    }

    fn join(groups: &mut [Self], parts: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let lists = parts.first().and_then(|column| column.as_list_opt::<i32>()).ok_or_else(|| mistyped(0))?;
        for (row, list) in lists.iter().enumerate() {
            let (Some(list), Some(group)) = (list, group(row)) else { continue };
            let more = list.as_primitive_opt::<Int64Type>().ok_or_else(|| mistyped(0))?;
            for (count, more) in of_group(groups, group)?.0.iter_mut().zip(more.values()) {
                *count = count.wrapping_add(*more);
            }
        }
        Ok(())
    }

    fn encode(groups: &[Self]) -> ArrayRef {
        let values = Int64Array::from_iter_values(groups.iter().flat_map(|counts| counts.0));
        let offsets = OffsetBuffer::from_repeated_length(DAYS, groups.len());
        Arc::new(ListArray::new(list_field(), offsets, Arc::new(values), None))
    }

    fn bytes(&self) -> usize {
        0
    }
}

fn list_field() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Int64, true))
}
