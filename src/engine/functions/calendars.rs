//! The SQL functions over activity calendars: `calendar`, which makes one of bits per month, and those that ask it.
//! What a calendar is and answers is not known here, only how columns come and go.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Date32Builder, Int64Array, ListBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility};
use datafusion::scalar::ScalarValue;

use super::{Argument, Function, coerce, dates, integers, mistyped};
use crate::calendar::{Calendar, day_bit};

/// All scalar functions about calendars.
pub(super) fn functions() -> Vec<Function> {
    use Argument::{Calendar, Date, Integer};
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Date32, true)));
    vec![
        Function::new("day_bit", &[Date], DataType::Int64, day_bits),
        Function::new("active_days", &[Calendar, Date, Date], DataType::Int64, active_days),
        Function::new("first_active", &[Calendar], DataType::Date32, first_active),
        Function::new("last_active", &[Calendar], DataType::Date32, last_active),
        Function::new("was_active", &[Calendar, Date], DataType::Boolean, was_active),
        Function::new("calendar_days", &[Calendar], list, calendar_days),
        Function::new("longest_streak", &[Calendar, Date, Date], DataType::Int64, longest_streak),
        Function::new("days_since_active", &[Calendar, Date], DataType::Int64, days_since_active),
        Function::new("trailing", &[Calendar, Integer], DataType::Binary, trailing),
    ]
}

fn day_bits(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    // Rows come day by day, and a month is dear to look up.
    let mut last = (0, day_bit(0));
    let mut bit = |day: i32| {
        if day != last.0 {
            last = (day, day_bit(day));
        }
        last.1
    };
    let bits: Int64Array = dates(arguments, 0)?.iter().map(|day| day.map(&mut bit)).collect();
    Ok(Arc::new(bits))
}

fn active_days(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    between(arguments, Calendar::count)
}

fn longest_streak(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    between(arguments, Calendar::longest_streak)
}

fn between(arguments: &[ArrayRef], number: fn(&Calendar, i32, i32) -> i64) -> Result<ArrayRef> {
    let ends = dates(arguments, 1)?.iter().zip(dates(arguments, 2)?);
    let numbers = calendars(arguments)?.zip(ends).map(|(calendar, (from, until))| {
        let (Some(calendar), Some(from), Some(until)) = (calendar?, from, until) else { return Ok(None) };
        Ok(Some(number(&calendar, from, until)))
    });
    Ok(Arc::new(numbers.collect::<Result<Int64Array>>()?))
}

fn first_active(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let days = calendars(arguments)?.map(|calendar| Ok(calendar?.and_then(|calendar| calendar.first())));
    Ok(Arc::new(days.collect::<Result<Date32Array>>()?))
}

fn last_active(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let days = calendars(arguments)?.map(|calendar| Ok(calendar?.and_then(|calendar| calendar.last())));
    Ok(Arc::new(days.collect::<Result<Date32Array>>()?))
}

fn was_active(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let answers = calendars(arguments)?.zip(dates(arguments, 1)?).map(|(calendar, day)| {
        let (Some(calendar), Some(day)) = (calendar?, day) else { return Ok(None) };
        Ok(Some(calendar.contains(day)))
    });
    Ok(Arc::new(answers.collect::<Result<BooleanArray>>()?))
}

fn days_since_active(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let numbers = calendars(arguments)?.zip(dates(arguments, 1)?).map(|(calendar, day)| {
        let (Some(calendar), Some(day)) = (calendar?, day) else { return Ok(None) };
        Ok(calendar.last_until(day).map(|last| i64::from(day) - i64::from(last)))
    });
    Ok(Arc::new(numbers.collect::<Result<Int64Array>>()?))
}

fn calendar_days(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(Date32Builder::new());
    for calendar in calendars(arguments)? {
        match calendar? {
            Some(calendar) => {
                calendar.days().for_each(|day| lists.values().append_value(day));
                lists.append(true);
            }
            None => lists.append(false),
        }
    }
    Ok(Arc::new(lists.finish()))
}

fn trailing(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let trailing = calendars(arguments)?.zip(integers(arguments, 1)?).map(|(calendar, days)| {
        let (Some(calendar), Some(days)) = (calendar?, days) else { return Ok(None) };
        calendar.trailing(days).map(|calendar| Some(calendar.encode())).map_err(DataFusionError::Execution)
    });
    let trailing = trailing.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(trailing.into_iter().collect::<BinaryArray>()))
}

/// The calendars of the first argument.
fn calendars(arguments: &[ArrayRef]) -> Result<impl Iterator<Item = Result<Option<Calendar>>>> {
    let values = arguments.first().and_then(|array| array.as_binary_opt::<i32>()).ok_or_else(|| mistyped(0))?;
    Ok(values.iter().map(|bytes| bytes.map(decode).transpose()))
}

fn decode(bytes: &[u8]) -> Result<Calendar> {
    Calendar::decode(bytes).ok_or_else(|| {
        DataFusionError::Execution("these bytes are no calendar; make one with calendar(month, days)".into())
    })
}

/// The aggregate `calendar(month, days)`: all days of a group as one calendar, null if there are none.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Union {
    signature: Signature,
}

impl Union {
    pub(super) fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Union {
    fn name(&self) -> &str {
        "calendar"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.name(), &[Argument::Date, Argument::Integer], given)
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, _arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new("calendar", DataType::Binary, true))])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One(Groups { calendars: vec![Calendar::default()] })))
    }

    fn groups_accumulator_supported(&self, _arguments: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { calendars: Vec::new() }))
    }
}

/// The calendars of all groups.
#[derive(Debug)]
struct Groups {
    calendars: Vec<Calendar>,
}

impl Groups {
    fn add(&mut self, group: usize, month: i32, days: i64) -> Result<()> {
        let bits = u64::try_from(days).ok().filter(|bits| bits >> 31 == 0).ok_or_else(|| {
            DataFusionError::Execution(format!(
                "days={days} are no bits of a month; bit 0 is its first day, bit 30 the 31st"
            ))
        })?;
        let Some(calendar) = self.calendars.get_mut(group) else { return Err(mistyped(group)) };
        calendar.add(month, bits).map_err(DataFusionError::Execution)
    }

    fn update(&mut self, values: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let (months, days) = (dates(values, 0)?, integers(values, 1)?);
        for (row, (month, days)) in months.iter().zip(days).enumerate() {
            if let (Some(month), Some(days), Some(group)) = (month, days, group(row)) {
                self.add(group, month, days)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, values: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        for (row, calendar) in calendars(values)?.enumerate() {
            if let (Some(calendar), Some(group)) = (calendar?, group(row))
                && let Some(sum) = self.calendars.get_mut(group)
            {
                sum.join(&calendar);
            }
        }
        Ok(())
    }

    fn encode(calendars: &[Calendar]) -> ArrayRef {
        let bytes = calendars.iter().map(|calendar| (!calendar.is_empty()).then(|| calendar.encode()));
        Arc::new(bytes.collect::<BinaryArray>())
    }

    fn bytes(&self) -> usize {
        let words: usize = self.calendars.iter().map(Calendar::bytes).sum();
        size_of::<Self>() + self.calendars.capacity() * size_of::<Calendar>() + words
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
        self.calendars.resize(count, Calendar::default());
        self.update(values, |row| {
            let passes = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            groups.get(row).copied().filter(|_| passes)
        })
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], count: usize) -> Result<()> {
        self.calendars.resize(count, Calendar::default());
        self.merge(values, |row| groups.get(row).copied())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        Ok(Self::encode(&emit.take_needed(&mut self.calendars)))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |array| array.len());
        let mut each = Self { calendars: Vec::new() };
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
        ScalarValue::try_from_array(&Groups::encode(&self.0.calendars), 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        self.0.bytes()
    }
}
