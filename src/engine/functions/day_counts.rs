//! The aggregate `day_counts(bits, n)`: of months of days as bits, how many there are on each day of the month.
//! What the bits mean is not known here.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use datafusion::scalar::ScalarValue;

use super::{Argument, coerce, integers, mistyped};

const DAYS: usize = 31;

type Counts = [i64; DAYS];

/// For each of 31 days the sum of `n` over the rows that have its bit; rows where either is null count nothing.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DayCounts {
    signature: Signature,
}

impl DayCounts {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for DayCounts {
    fn name(&self) -> &'static str {
        "day_counts"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.name(), &[Argument::Integer, Argument::Integer], given)
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(list_field()))
    }

    fn state_fields(&self, _arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new("day_counts", DataType::List(list_field()), true))])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One(Groups { counts: vec![[0; DAYS]] })))
    }

    fn groups_accumulator_supported(&self, _arguments: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { counts: Vec::new() }))
    }
}

fn list_field() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Int64, true))
}

/// The counts of all groups.
#[derive(Debug)]
struct Groups {
    counts: Vec<Counts>,
}

impl Groups {
    fn add(&mut self, group: usize, bits: i64, n: i64) -> Result<()> {
        if bits >> DAYS != 0 {
            return Err(DataFusionError::Execution(format!(
                "bits={bits} are no bits of a month; bit 0 is its first day, bit 30 the 31st"
            )));
        }
        let counts = self.counts.get_mut(group).ok_or_else(|| mistyped(group))?;
        // All days alike, so that several are added at once. A sum that does not fit wraps, as that of `sum` does.
        for (day, count) in counts.iter_mut().enumerate() {
            *count = count.wrapping_add(n.wrapping_mul(bits >> day & 1));
        }
        Ok(())
    }

    fn update(&mut self, values: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let (bits, numbers) = (integers(values, 0)?, integers(values, 1)?);
        for (row, (bits, n)) in bits.iter().zip(numbers).enumerate() {
            if let (Some(bits), Some(n), Some(group)) = (bits, n, group(row)) {
                self.add(group, bits, n)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, values: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let lists = values.first().and_then(|column| column.as_list_opt::<i32>()).ok_or_else(|| mistyped(0))?;
        for (row, list) in lists.iter().enumerate() {
            let (Some(list), Some(group)) = (list, group(row)) else { continue };
            let more = list.as_primitive_opt::<Int64Type>().ok_or_else(|| mistyped(0))?;
            let counts = self.counts.get_mut(group).ok_or_else(|| mistyped(group))?;
            for (count, more) in counts.iter_mut().zip(more.values()) {
                *count = count.wrapping_add(*more);
            }
        }
        Ok(())
    }

    fn encode(counts: &[Counts]) -> ArrayRef {
        let values = Int64Array::from_iter_values(counts.iter().flatten().copied());
        let offsets = OffsetBuffer::from_repeated_length(DAYS, counts.len());
        Arc::new(ListArray::new(list_field(), offsets, Arc::new(values), None))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.counts.capacity() * size_of::<Counts>()
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.counts.resize(count, [0; DAYS]);
        self.update(values, |row| {
            let passes = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            groups.get(row).copied().filter(|_| passes)
        })
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.counts.resize(count, [0; DAYS]);
        self.merge(values, |row| groups.get(row).copied())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        Ok(Self::encode(&emit.take_needed(&mut self.counts)))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, Array::len);
        let mut each = Self { counts: Vec::new() };
        let groups: Vec<usize> = (0..rows).collect();
        each.update_batch(values, &groups, filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.bytes()
    }
}

/// A single group.
#[derive(Debug)]
struct One(Groups);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update(values, |_| Some(0))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge(states, |_| Some(0))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&Groups::encode(&self.0.counts), 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        self.0.bytes()
    }
}
