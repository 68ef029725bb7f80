//! A value of any column as something that can be compared, summed and shown, apart from how it lies in memory.

use std::fmt::{Display, Formatter};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat};
use datafusion::scalar::ScalarValue;

use crate::catalog::ColumnType;
use crate::error::{Error, Result};
use crate::period::{Day, format_day, parse_day};

/// The decimals that every number has here, so that numbers of all columns compare.
const DECIMALS: u32 = 6;
const ONE: i128 = 10_i128.pow(DECIMALS);

/// A value; what is missing comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// No value.
    Empty,
    /// True or false.
    Flag(bool),
    /// A calendar day.
    Day(Day),
    /// Microseconds since the epoch.
    Instant(i64),
    /// A number in millionths.
    Number(i128),
    /// Text.
    Text(String),
}

impl Cell {
    /// A whole number.
    #[must_use]
    pub fn count(count: usize) -> Self {
        Self::Number(i128::try_from(count).unwrap_or(i128::MAX / ONE) * ONE)
    }

    /// Reads a value as a person writes it; no text is no value. `None` if it is not of this type.
    #[must_use]
    pub fn parse(kind: ColumnType, text: &str) -> Option<Self> {
        match kind {
            ColumnType::Text => Some(Self::Text(text.to_owned())),
            _ if text.is_empty() => Some(Self::Empty),
            ColumnType::Date => parse_day(text).map(Self::Day),
            ColumnType::Boolean => text.parse().ok().map(Self::Flag),
            ColumnType::Instant => {
                DateTime::parse_from_rfc3339(text).ok().map(|at| Self::Instant(at.timestamp_micros()))
            }
            ColumnType::Integer => text.parse::<i64>().ok().map(|number| Self::Number(i128::from(number) * ONE)),
            ColumnType::Rate | ColumnType::Seconds | ColumnType::Amount => {
                let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
                let is_short = decimals.len() <= usize::from(kind.decimals().unwrap_or_default());
                let digits = format!("{whole}{decimals:0<width$}", width = DECIMALS as usize);
                digits.parse().ok().filter(|_| is_short).map(Self::Number)
            }
        }
    }

    /// The value as SQL gets it.
    #[must_use]
    pub fn scalar(&self, kind: ColumnType) -> ScalarValue {
        let number = match self {
            Self::Number(number) => Some(*number),
            _ => None,
        };
        match (kind, self) {
            (ColumnType::Date, Self::Day(day)) => ScalarValue::Date32(Some(*day)),
            (ColumnType::Date, _) => ScalarValue::Date32(None),
            (ColumnType::Boolean, Self::Flag(flag)) => ScalarValue::Boolean(Some(*flag)),
            (ColumnType::Boolean, _) => ScalarValue::Boolean(None),
            (ColumnType::Integer, _) => ScalarValue::Int64(number.and_then(|number| i64::try_from(number / ONE).ok())),
            (ColumnType::Rate | ColumnType::Seconds | ColumnType::Amount, _) => {
                let scale = kind.decimals().unwrap_or_default();
                let cut = 10_i128.pow(DECIMALS - u32::from(scale));
                ScalarValue::Decimal128(number.map(|number| number / cut), 38, scale.cast_signed())
            }
            (ColumnType::Text | ColumnType::Instant, Self::Empty) => ScalarValue::Utf8(None),
            (ColumnType::Text | ColumnType::Instant, value) => ScalarValue::Utf8(Some(value.to_string())),
        }
    }

    /// The values of an array that is, or can be read as, of this type.
    pub fn values(array: &ArrayRef, kind: ColumnType) -> Result<Vec<Self>> {
        let array = cast(array, &kind.data_type()).map_err(|e| Error::Internal(e.to_string()))?;
        Ok((0..array.len()).map(|row| Self::at(&array, kind, row)).collect())
    }

    fn at(array: &ArrayRef, kind: ColumnType, row: usize) -> Self {
        if array.is_null(row) {
            return Self::Empty;
        }
        match kind {
            ColumnType::Date => Self::Day(array.as_primitive::<Date32Type>().value(row)),
            ColumnType::Instant => Self::Instant(array.as_primitive::<TimestampMicrosecondType>().value(row)),
            ColumnType::Text => Self::Text(array.as_string::<i32>().value(row).to_owned()),
            ColumnType::Boolean => Self::Flag(array.as_boolean().value(row)),
            ColumnType::Integer => Self::Number(i128::from(array.as_primitive::<Int64Type>().value(row)) * ONE),
            ColumnType::Rate | ColumnType::Seconds | ColumnType::Amount => {
                let cut = 10_i128.pow(DECIMALS - u32::from(kind.decimals().unwrap_or_default()));
                Self::Number(array.as_primitive::<Decimal128Type>().value(row) * cut)
            }
        }
    }
}

impl Display for Cell {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::Flag(flag) => write!(formatter, "{flag}"),
            Self::Day(day) => formatter.write_str(&format_day(*day)),
            Self::Instant(us) => {
                let instant = DateTime::from_timestamp_micros(*us);
                let text = instant.map(|instant| instant.to_rfc3339_opts(SecondsFormat::Micros, true));
                formatter.write_str(&text.unwrap_or_default())
            }
            Self::Number(number) => {
                let (sign, size) = (if *number < 0 { "-" } else { "" }, number.unsigned_abs());
                let decimals = format!("{:06}", size % ONE.unsigned_abs());
                let decimals = decimals.trim_end_matches('0');
                let point = if decimals.is_empty() { "" } else { "." };
                write!(formatter, "{sign}{}{point}{decimals}", size / ONE.unsigned_abs())
            }
            Self::Text(text) => formatter.write_str(text),
        }
    }
}
