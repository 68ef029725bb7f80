//! An aggregate function of this program: what is gathered of each group, as the engine asks for it.
//! It does not know what is gathered.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use datafusion::scalar::ScalarValue;

use super::{Argument, coerce, mistyped};

/// What is gathered of the rows of one group. Its value is also what parts of a group are handed on as.
pub(super) trait Gathered: Debug + Default + Clone + Send + Sync + 'static {
    /// The function's name, which is its identity.
    const NAME: &'static str;
    /// What it takes.
    const ARGUMENTS: &'static [Argument];
    /// What it gives.
    fn returns() -> DataType;
    /// Adds rows, each to its group; those of no group are passed over.
    fn add(groups: &mut [Self], values: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()>;
    /// Adds values of parts, each to its group.
    fn join(groups: &mut [Self], parts: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()>;
    /// The values of groups as a column.
    fn encode(groups: &[Self]) -> ArrayRef;
    /// What one holds elsewhere in memory, in bytes.
    fn bytes(&self) -> usize;
}

/// The function that gathers a `G` of each group.
pub(super) struct Aggregate<G> {
    signature: Signature,
    gathered: PhantomData<fn() -> G>,
}

impl<G> Aggregate<G> {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable), gathered: PhantomData }
    }
}

impl<G: Gathered> Debug for Aggregate<G> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(G::NAME)
    }
}

impl<G> PartialEq for Aggregate<G> {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl<G> Eq for Aggregate<G> {}

impl<G: Gathered> Hash for Aggregate<G> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        G::NAME.hash(state);
    }
}

impl<G: Gathered> AggregateUDFImpl for Aggregate<G> {
    fn name(&self) -> &str {
        G::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerce(G::NAME, G::ARGUMENTS, given)
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(G::returns())
    }

    fn state_fields(&self, _arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(G::NAME, G::returns(), true))])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One(Groups { all: vec![G::default()] })))
    }

    fn groups_accumulator_supported(&self, _arguments: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::<G> { all: Vec::new() }))
    }
}

/// The element of a group; an engine that names a group which it did not announce is at fault.
pub(super) fn of_group<G>(groups: &mut [G], group: usize) -> Result<&mut G> {
    groups.get_mut(group).ok_or_else(|| mistyped(group))
}

#[derive(Debug)]
struct Groups<G> {
    all: Vec<G>,
}

impl<G: Gathered> Groups<G> {
    fn bytes(&self) -> usize {
        let elsewhere: usize = self.all.iter().map(G::bytes).sum();
        size_of::<Self>() + self.all.capacity() * size_of::<G>() + elsewhere
    }
}

impl<G: Gathered> GroupsAccumulator for Groups<G> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.all.resize(count, G::default());
        G::add(&mut self.all, values, |row| {
            let passes = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            groups.get(row).copied().filter(|_| passes)
        })
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.all.resize(count, G::default());
        G::join(&mut self.all, values, |row| groups.get(row).copied())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        Ok(G::encode(&emit.take_needed(&mut self.all)))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, Array::len);
        let mut each = Self { all: Vec::new() };
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
struct One<G>(Groups<G>);

impl<G: Gathered> Accumulator for One<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        G::add(&mut self.0.all, values, |_| Some(0))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        G::join(&mut self.0.all, states, |_| Some(0))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&G::encode(&self.0.all), 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        self.0.bytes()
    }
}
