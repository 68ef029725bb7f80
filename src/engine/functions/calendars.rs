//! The SQL functions over activity calendars: `calendar`, which makes one of bits per month, and those that ask it.
//! What a calendar is and answers is not known here, only how columns come and go.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Date32Builder, Int64Array, ListBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::error::{DataFusionError, Result};

use super::aggregate::{Gathered, of_group};
use super::{Argument, Function, argument, dates, integers, mistyped};
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
        Function::new("longest_streak_among", &[Calendar, Calendar, Date, Date], DataType::Int64, longest_streak_among),
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

fn longest_streak_among(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    // The days that a streak is made of are the same for many rows.
    let mut decoded = Last::default();
    let among = binaries(arguments, 1)?.iter();
    let ends = dates(arguments, 2)?.iter().zip(dates(arguments, 3)?);
    let numbers = calendars(arguments)?.zip(among.zip(ends)).map(|(calendar, (among, (from, until)))| {
        let (Some(calendar), Some(among), Some(from), Some(until)) = (calendar?, among, from, until) else {
            return Ok(None);
        };
        Ok(Some(calendar.longest_streak_among(decoded.get(among)?, from, until)))
    });
    Ok(Arc::new(numbers.collect::<Result<Int64Array>>()?))
}

/// The calendar decoded last, with the bytes that it was.
#[derive(Default)]
struct Last<'a> {
    bytes: &'a [u8],
    calendar: Calendar,
}

impl<'a> Last<'a> {
    fn get(&mut self, bytes: &'a [u8]) -> Result<&Calendar> {
        if bytes != self.bytes {
            (self.bytes, self.calendar) = (bytes, decode(bytes)?);
        }
        Ok(&self.calendar)
    }
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
    Ok(binaries(arguments, 0)?.iter().map(|bytes| bytes.map(decode).transpose()))
}

fn binaries(arguments: &[ArrayRef], index: usize) -> Result<&BinaryArray> {
    argument(arguments, index)?.as_binary_opt::<i32>().ok_or_else(|| mistyped(index))
}

fn decode(bytes: &[u8]) -> Result<Calendar> {
    Calendar::decode(bytes).ok_or_else(|| {
        DataFusionError::Execution("these bytes are no calendar; make one with calendar(month, days)".into())
    })
}

/// All days of a group, by `calendar(month, days)`; null if there are none.
#[derive(Debug, Default, Clone)]
pub(super) struct Union(Calendar);

impl Gathered for Union {
    const NAME: &'static str = "calendar";
    const ARGUMENTS: &'static [Argument] = &[Argument::Date, Argument::Integer];

    fn returns() -> DataType {
        DataType::Binary
    }

    fn add(groups: &mut [Self], values: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        let (months, days) = (dates(values, 0)?, integers(values, 1)?);
        for (row, (month, days)) in months.iter().zip(days).enumerate() {
            if let (Some(month), Some(days), Some(group)) = (month, days, group(row)) {
                let days = month_bits("days", days)?;
                of_group(groups, group)?.0.add(month, days).map_err(DataFusionError::Execution)?;
            }
        }
        Ok(())
    }

    fn join(groups: &mut [Self], parts: &[ArrayRef], group: impl Fn(usize) -> Option<usize>) -> Result<()> {
        for (row, calendar) in calendars(parts)?.enumerate() {
            if let (Some(calendar), Some(group)) = (calendar?, group(row)) {
                of_group(groups, group)?.0.join(&calendar);
            }
        }
        Ok(())
    }

    fn encode(groups: &[Self]) -> ArrayRef {
        let bytes = groups.iter().map(|Self(calendar)| (!calendar.is_empty()).then(|| calendar.encode()));
        Arc::new(bytes.collect::<BinaryArray>())
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// The days of a month as bits; a number that has other bits is an error.
pub(super) fn month_bits(name: &str, bits: i64) -> Result<u64> {
    u64::try_from(bits).ok().filter(|bits| bits >> 31 == 0).ok_or_else(|| {
        DataFusionError::Execution(format!(
            "{name}={bits} are no bits of a month; bit 0 is its first day, bit 30 the 31st"
        ))
    })
}
