//! The SQL functions of this program: exact rates and seconds, local time, the ends of periods, and activity calendars.
//! They are known by name on every engine; what a metric does with them is not known here.

mod aggregate;
mod calendars;
mod day_counts;
mod instants;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Decimal128Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::registry::FunctionRegistry;
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::period::{Grain, WeekStart};
use aggregate::Aggregate;

/// Rates have six decimals.
pub const RATE: DataType = DataType::Decimal128(38, 6);
/// Seconds have three decimals: a millisecond is exact.
pub const SECONDS: DataType = DataType::Decimal128(38, 3);

/// Makes the functions known: `rate`, `seconds`, `local_instant`, `period_start`, `period_end`, `period_after`, and those about calendars.
pub(super) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    use Argument::{Date, Instant, Integer, Text};
    let functions = [
        Function::new("rate", &[Integer, Integer], RATE, rates),
        Function::new("seconds", &[Integer], SECONDS, seconds),
        Function::new("local_instant", &[Instant, Text], DataType::Utf8, instants::local_instants),
        Function::new("period_start", &[Text, Date, Text], DataType::Date32, period_starts),
        Function::new("period_end", &[Text, Date, Text], DataType::Date32, period_ends),
        Function::new("period_after", &[Text, Date, Integer, Text], DataType::Date32, periods_after),
    ];
    for function in functions.into_iter().chain(calendars::functions()) {
        registry.register_udf(Arc::new(ScalarUDF::from(function)))?;
    }
    registry.register_udaf(Arc::new(AggregateUDF::from(Aggregate::<calendars::Union>::new())))?;
    registry.register_udaf(Arc::new(AggregateUDF::from(Aggregate::<day_counts::DayCounts>::new())))?;
    Ok(())
}

/// What an argument may be; values are converted to one type before a function sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    /// Any integer, as `Int64`; one that does not fit is an error, not a null.
    Integer,
    /// A date, or a text that is an ISO date.
    Date,
    /// Any text.
    Text,
    /// A timestamp with a time zone.
    Instant,
    /// What `calendar` gives.
    Calendar,
}

impl Argument {
    fn accept(self, given: &DataType) -> Option<DataType> {
        match self {
            Self::Integer => (given.is_integer() || given.is_null()).then_some(DataType::Int64),
            Self::Date => {
                (given.is_string() || given.is_null() || *given == DataType::Date32).then_some(DataType::Date32)
            }
            Self::Text => (given.is_string() || given.is_null()).then_some(DataType::Utf8),
            Self::Instant => {
                (given.is_null() || matches!(given, DataType::Timestamp(_, Some(_)))).then(instants::instant)
            }
            Self::Calendar => (given.is_binary() || given.is_null()).then_some(DataType::Binary),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Date => "date",
            Self::Text => "text",
            Self::Instant => "instant",
            Self::Calendar => "calendar",
        }
    }
}

/// The types that the arguments of a call are converted to.
fn coerce(name: &str, arguments: &[Argument], given: &[DataType]) -> Result<Vec<DataType>> {
    let accepted: Option<Vec<_>> = arguments.iter().zip(given).map(|(a, g)| a.accept(g)).collect();
    match accepted {
        Some(types) if given.len() == arguments.len() => Ok(types),
        _ => {
            let wanted: Vec<_> = arguments.iter().map(|a| a.name()).collect();
            let given: Vec<_> = given.iter().map(ToString::to_string).collect();
            Err(DataFusionError::Plan(format!(
                "{name}({}) cannot take ({}); cast its arguments",
                wanted.join(", "),
                given.join(", ")
            )))
        }
    }
}

/// Of the rows of a batch; a text that is the same in all of them comes once (see [`text_of`]).
type Compute = fn(&[ArrayRef]) -> Result<ArrayRef>;

/// One function over whole columns. Its name is its identity: there is one function of each name.
#[derive(Debug)]
struct Function {
    name: &'static str,
    arguments: &'static [Argument],
    returns: DataType,
    compute: Compute,
    signature: Signature,
}

impl Function {
    fn new(name: &'static str, arguments: &'static [Argument], returns: DataType, compute: Compute) -> Self {
        Self { name, arguments, returns, compute, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coerce(self.name, self.arguments, given)
    }

    fn invoke_with_args(&self, call: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = call.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { call.number_rows };
        let array = |(value, kind): (&ColumnarValue, &Argument)| match value {
            ColumnarValue::Scalar(text) if *kind == Argument::Text => text.to_array(),
            value => value.to_array(rows),
        };
        let arrays = call.args.iter().zip(self.arguments).map(array).collect::<Result<Vec<_>>>()?;
        let result = (self.compute)(&arrays)?;
        if scalar { Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)) } else { Ok(result.into()) }
    }
}

fn rates(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (numerators, denominators) = (integers(arguments, 0)?, integers(arguments, 1)?);
    let rates: Decimal128Array = numerators.iter().zip(denominators).map(|(n, d)| rate(n?, d?)).collect();
    Ok(Arc::new(rates.with_data_type(RATE)))
}

/// Millionths of `numerator / denominator`, rounded half away from zero. Both fit 64 bits, so nothing here overflows 128.
fn rate(numerator: i64, denominator: i64) -> Option<i128> {
    let (numerator, denominator) = (i128::from(numerator) * 1_000_000, i128::from(denominator));
    let magnitude = denominator.abs();
    let quotient = numerator.abs().checked_div(magnitude)?;
    let rounded = quotient + i128::from(numerator.abs() % magnitude * 2 >= magnitude);
    Some(if (numerator < 0) == (denominator < 0) { rounded } else { -rounded })
}

fn seconds(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let seconds: Decimal128Array = integers(arguments, 0)?.iter().map(|ms| ms.map(i128::from)).collect();
    Ok(Arc::new(seconds.with_data_type(SECONDS)))
}

fn period_starts(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    periods(arguments, |grain, day| grain.first_day(grain.index(day)))
}

fn period_ends(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    periods(arguments, |grain, day| grain.last_day(grain.index(day)))
}

fn periods(arguments: &[ArrayRef], edge: fn(Grain, i32) -> i32) -> Result<ArrayRef> {
    let (grains, days) = (Grains::of(arguments, 0, 2)?, dates(arguments, 1)?);
    let edges = days.iter().enumerate().map(|(row, day)| {
        let (Some(grain), Some(day)) = (grains.at(row)?, day) else { return Ok(None) };
        Ok(Some(edge(grain, day)))
    });
    Ok(Arc::new(edges.collect::<Result<Date32Array>>()?))
}

// The first day of the period so many periods after that of a day.
fn periods_after(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (grains, days) = (Grains::of(arguments, 0, 3)?, dates(arguments, 1)?);
    let firsts = days.iter().zip(integers(arguments, 2)?).enumerate().map(|(row, (day, count))| {
        let (Some(grain), Some(day), Some(count)) = (grains.at(row)?, day, count) else { return Ok(None) };
        let index = i32::try_from(count).ok().and_then(|count| grain.index(day).checked_add(count));
        // So that neither this day nor the last of its period leaves the calendar.
        let index = index.filter(|index| index.unsigned_abs() < 100_000_000);
        let far = || DataFusionError::Execution(format!("{count} periods lead out of the calendar"));
        index.map(|index| Some(grain.first_day(index))).ok_or_else(far)
    });
    Ok(Arc::new(firsts.collect::<Result<Date32Array>>()?))
}

// The grain of each row, by its name and the day on which a week begins.
struct Grains<'a> {
    names: &'a StringArray,
    week_starts: &'a StringArray,
    // That of all rows.
    one: Option<Grain>,
}

impl<'a> Grains<'a> {
    fn of(arguments: &'a [ArrayRef], names: usize, week_starts: usize) -> Result<Self> {
        let (names, week_starts) = (texts(arguments, names)?, texts(arguments, week_starts)?);
        let mut grains = Self { names, week_starts, one: None };
        if names.len() == 1 && week_starts.len() == 1 {
            grains.one = grains.at(0)?;
        }
        Ok(grains)
    }

    fn at(&self, row: usize) -> Result<Option<Grain>> {
        let named = || text_of(self.names, row).zip(text_of(self.week_starts, row));
        if self.one.is_some() { Ok(self.one) } else { named().map(|(name, start)| grain_of(name, start)).transpose() }
    }
}

fn grain_of(grain: &str, week_start: &str) -> Result<Grain> {
    let week_start = match week_start {
        "monday" => WeekStart::Monday,
        "sunday" => WeekStart::Sunday,
        _ => {
            let message = format!("week start '{week_start}' is not one of 'monday', 'sunday'");
            return Err(DataFusionError::Execution(message));
        }
    };
    match grain {
        "day" => Ok(Grain::Day),
        "week" => Ok(Grain::Week(week_start)),
        "month" => Ok(Grain::Month),
        _ => Err(DataFusionError::Execution(format!("grain '{grain}' is not one of 'day', 'week', 'month'"))),
    }
}

fn integers(arguments: &[ArrayRef], index: usize) -> Result<&Int64Array> {
    argument(arguments, index)?.as_primitive_opt::<Int64Type>().ok_or_else(|| mistyped(index))
}

fn dates(arguments: &[ArrayRef], index: usize) -> Result<&Date32Array> {
    argument(arguments, index)?.as_primitive_opt::<Date32Type>().ok_or_else(|| mistyped(index))
}

fn texts(arguments: &[ArrayRef], index: usize) -> Result<&StringArray> {
    argument(arguments, index)?.as_string_opt::<i32>().ok_or_else(|| mistyped(index))
}

// The text of a row, or that of all rows.
fn text_of(texts: &StringArray, row: usize) -> Option<&str> {
    let row = if texts.len() == 1 { 0 } else { row };
    texts.is_valid(row).then(|| texts.value(row))
}

fn argument(arguments: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    arguments.get(index).ok_or_else(|| mistyped(index))
}

fn mistyped(index: usize) -> DataFusionError {
    DataFusionError::Internal(format!("argument {index} was not converted"))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::period::parse_day;

    fn check_rate(numerator: i64, denominator: i64, millionths: Option<i128>) {
        assert_eq!(rate(numerator, denominator), millionths, "{numerator}/{denominator}");
    }

    #[test]
    fn rates_round_half_away_from_zero() {
        check_rate(1, 3, Some(333_333));
        check_rate(2, 3, Some(666_667));
        check_rate(-2, 3, Some(-666_667));
        check_rate(2, -3, Some(-666_667));
        check_rate(-2, -3, Some(666_667));
        // Ties: 1 / 2,000,000 is exactly half of the last digit, and one more below makes it less.
        check_rate(1, 2_000_000, Some(1));
        check_rate(-1, 2_000_000, Some(-1));
        check_rate(1, 2_000_001, Some(0));
        check_rate(3, 2_000_000, Some(2));
        check_rate(0, 7, Some(0));
        check_rate(7, 0, None);
        check_rate(0, 0, None);
        check_rate(i64::MIN, 1, Some(i128::from(i64::MIN) * 1_000_000));
        check_rate(i64::MIN, -1, Some(-i128::from(i64::MIN) * 1_000_000));
        check_rate(i64::MAX, i64::MIN, Some(-1_000_000));
        check_rate(1, i64::MIN, Some(0));
    }

    #[test]
    fn rates_are_the_nearest_millionths() {
        for numerator in -60_i64..60 {
            for denominator in (1_i64..50).chain([999_983, 1_999_999, 2_000_000, 4_000_000]) {
                let found = rate(numerator, denominator).expect("a denominator");
                // |numerator / denominator - found / 10^6| <= 1 / (2 * 10^6), and a tie is the farther from zero.
                let off = 2 * (found * i128::from(denominator) - i128::from(numerator) * 1_000_000);
                let tie = off.abs() == i128::from(denominator);
                assert!(off.abs() <= i128::from(denominator), "{numerator}/{denominator} = {found}");
                assert!(!tie || (off > 0) == (numerator > 0), "{numerator}/{denominator} = {found}");
            }
        }
    }

    async fn check(context: &SessionContext, sql: &str, expected: &str) {
        let answer = async { context.sql(&format!("select {sql}")).await?.collect().await };
        let found = match answer.await {
            Ok(batches) => {
                let column = batches[0].column(0);
                let cell = |row| arrow::util::display::array_value_to_string(column, row).expect("a cell");
                (0..column.len()).map(cell).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.strip_backtrace(),
        };
        assert!(found == expected || (expected.len() > 12 && found.contains(expected)), "{sql}: {found}");
    }

    #[tokio::test]
    async fn functions_answer_for_values_columns_and_nulls() {
        let context = SessionContext::new();
        register(&mut *context.state_ref().write()).expect("register");
        let check = async |sql: &str, expected: &str| check(&context, sql, expected).await;
        check("rate(1, 3)", "0.333333").await;
        check("rate(-1, 3)", "-0.333333").await;
        check("rate(1, 0)", "").await;
        check("rate(null, 3)", "").await;
        check("rate(1, null)", "").await;
        check("rate(cast(1 as int), cast(8 as bigint unsigned))", "0.125000").await;
        check("rate(count(*), 3) from (values (1), (2)) v(n)", "0.666667").await;
        check("rate(n, 4) from (values (1), (null), (6)) v(n)", "0.250000  1.500000").await;
        check("rate(cast(18446744073709551615 as bigint unsigned), 3)", "Can't cast value 18446744073709551615").await;
        check("rate(1.5, 3)", "rate(integer, integer) cannot take").await;
        check("rate(1)", "rate(integer, integer) cannot take").await;
        check("day_counts(b, n)[1:4] from (values (5, 2), (4, -1), (null, 7), (1, null)) v(b, n)", "[2, 0, 1, 0]")
            .await;
        check("array_length(day_counts(2147483647, 3))", "31").await;
        check("day_counts(b, 1)[3] from (values ('x', 4), ('y', 1), ('x', 6)) v(g, b) group by g order by g", "2 0")
            .await;
        check("day_counts(b, 1) filter (where b > 4)[31] from (values (1073741824), (4)) v(b)", "1").await;
        check("day_counts(2147483648, 1)", "bits=2147483648 are no bits of a month").await;
        check("day_counts(-1, 1)", "bits=-1 are no bits of a month").await;
        check(
            "local_instant(to_timestamp_micros(7) at time zone 'UTC', 'Asia/Tokyo')",
            "1970-01-01T09:00:00.000+09:00",
        )
        .await;
        check("local_instant(to_timestamp_micros(7), 'Asia/Tokyo')", "local_instant(instant, text) cannot take").await;
        check("seconds(1234567)", "1234.567").await;
        check("seconds(-1)", "-0.001").await;
        check("seconds(9223372036854775807)", "9223372036854775.807").await;
        check("seconds(null)", "").await;
        check("seconds(n) from (values (0), (60000)) v(n)", "0.000 60.000").await;
        check("period_start('week', date '2026-01-04', 'monday')", "2025-12-29").await;
        check("period_start('week', date '2026-01-04', 'sunday')", "2026-01-04").await;
        check("period_end('week', date '2026-01-04', 'monday')", "2026-01-04").await;
        check("period_end('week', date '2026-01-04', 'sunday')", "2026-01-10").await;
        check("period_start('month', date '2024-02-29', 'monday')", "2024-02-01").await;
        check("period_end('month', date '2024-02-01', 'monday')", "2024-02-29").await;
        check("period_after('month', date '2026-01-31', 1, 'monday')", "2026-02-01").await;
        check("period_after('month', date '2026-01-01', -13, 'monday')", "2024-12-01").await;
        check("period_after('week', date '2026-01-04', 2, 'sunday')", "2026-01-18").await;
        check("period_after('day', d, 0, 'monday') from (values (date '2024-02-29'), (null)) v(d)", "2024-02-29 ")
            .await;
        check("period_after('month', date '2026-01-01', 9000000000, 'monday')", "lead out of the calendar").await;
        check("period_start('day', d, 'monday') from (values (date '2024-02-29'), (null)) v(d)", "2024-02-29 ").await;
        check("period_start('year', date '2024-02-29', 'monday')", "grain 'year' is not one of").await;
        check("period_start('week', date '2024-02-29', 'friday')", "week start 'friday' is not one of").await;
        check("day_bit(date '2024-02-01')", "1").await;
        check("day_bit(d) from (values (date '2024-01-31'), (null), (date '1969-12-02')) v(d)", "1073741824  2").await;
        assert_eq!(parse_day("2024-02-29"), Some(19_782));
    }
}
