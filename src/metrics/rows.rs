//! Checks of every row of a result: sorted and unique by its key, nothing missing that must be there, values in bounds.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DynComparator, RecordBatch, StringArray, make_comparator};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Field, Int64Type, Schema, SchemaRef, UInt32Type};
use arrow::util::display::array_value_to_string;

use crate::catalog::{Checks, Column, Query};
use crate::error::{Error, Result};
use crate::store::{coded_type, is_same_list};

/// Checks batches that follow each other; it remembers the last key it saw.
pub(super) struct Checked {
    schema: SchemaRef,
    columns: Vec<Column>,
    // The places of the key's columns.
    key: Vec<usize>,
    // The key's columns of the last row.
    last: Option<Vec<ArrayRef>>,
}

impl Checked {
    /// Starts before the first row of a query's result.
    pub(super) fn new(query: &Query) -> Result<Self> {
        let schema = query.schema();
        let place = |name: &String| {
            schema.column_with_name(name).map(|(place, _)| place).ok_or_else(|| {
                Error::Internal(format!("key=`{name}` of {} is no column; the catalog let it through", query.name))
            })
        };
        let key = query.key.iter().map(place).collect::<Result<_>>()?;
        Ok(Self { schema, columns: query.columns.clone(), key, last: None })
    }

    /// The batch in the declared types, texts as codes if they came like that, or `Error::Data` that names the first bad row
    /// of the first bad column.
    pub(super) fn check(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let internal = |e: arrow::error::ArrowError| Error::Internal(e.to_string());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (array, field) in batch.columns().iter().zip(self.schema.fields()) {
            // Texts that are coded are written like that.
            let stays = array.data_type() == &coded_type() && field.data_type() == &DataType::Utf8;
            arrays.push(if stays { Arc::clone(array) } else { cast(array, field.data_type()).map_err(internal)? });
        }
        for (column, array) in self.columns.iter().zip(&arrays) {
            if let Some((row, wrong)) = first_wrong(column, array) {
                let key = self.key_of(&arrays, row);
                return Err(Error::Data(format!("column `{}` {wrong} in the row with {key}", column.name)));
            }
        }
        self.check_order(&arrays)?;
        RecordBatch::try_new(self.schema_of(&arrays), arrays).map_err(internal)
    }

    // The declared columns, of which some may be coded.
    fn schema_of(&self, arrays: &[ArrayRef]) -> SchemaRef {
        let fields = self.schema.fields().iter().zip(arrays).map(|(field, array)| {
            if field.data_type() == array.data_type() {
                Arc::clone(field)
            } else {
                Arc::new(Field::new(field.name(), array.data_type().clone(), field.is_nullable()))
            }
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn check_order(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let key: Vec<ArrayRef> = self.key.iter().filter_map(|&place| arrays.get(place).cloned()).collect();
        let rows = key.first().map_or(0, Array::len);
        if rows == 0 {
            return Ok(());
        }
        if let Some(last) = &self.last {
            self.expect_rise(arrays, 0, Compared::all(last, &key)?.order(0, 0))?;
        }
        let compared = Compared::all(&key, &key)?;
        for row in 1..rows {
            self.expect_rise(arrays, row, compared.order(row - 1, row))?;
        }
        self.last = Some(key.iter().map(|array| array.slice(rows - 1, 1)).collect());
        Ok(())
    }

    // The row must come after the one before it.
    fn expect_rise(&self, arrays: &[ArrayRef], row: usize, order: Ordering) -> Result<()> {
        let what = match order {
            Ordering::Less => return Ok(()),
            Ordering::Equal => "comes twice",
            Ordering::Greater => "is out of order; end the query in ORDER BY its key",
        };
        Err(Error::Data(format!("the row with {} {what}", self.key_of(arrays, row))))
    }

    // The key of a row as `day=`2026-03-01`, org_id=`a``.
    fn key_of(&self, arrays: &[ArrayRef], row: usize) -> String {
        named_values(
            self.key.iter().filter_map(|&place| Some((self.schema.field(place).name(), arrays.get(place)?))),
            row,
        )
    }
}

/// Columns of some rows beside the same columns of others.
struct Compared<'a>(Vec<ComparedColumn<'a>>);

// A column whose type is known, so that rows are compared without asking again; without nulls, but for those of any type.
enum ComparedColumn<'a> {
    Days([&'a [i32]; 2]),
    Numbers([&'a [i64]; 2]),
    Texts([&'a StringArray; 2]),
    // Codes and their texts; equal codes stand for the same text if they are of one list.
    Coded { codes: [&'a [u32]; 2], lists: [&'a StringArray; 2], is_one: bool },
    Any(DynComparator),
}

impl<'a> Compared<'a> {
    fn all(some: &'a [ArrayRef], others: &'a [ArrayRef]) -> Result<Self> {
        some.iter().zip(others).map(|(one, other)| ComparedColumn::of([one, other])).collect::<Result<_>>().map(Self)
    }

    // How a row of some and a row of the others follow each other, nulls first.
    fn order(&self, row: usize, other: usize) -> Ordering {
        self.0.iter().map(|column| column.order(row, other)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl<'a> ComparedColumn<'a> {
    fn of(pair: [&'a ArrayRef; 2]) -> Result<Self> {
        if pair.iter().all(|array| array.null_count() == 0) {
            if let [Some(one), Some(other)] = pair.map(|array| array.as_primitive_opt::<Date32Type>()) {
                return Ok(Self::Days([one.values(), other.values()]));
            }
            if let [Some(one), Some(other)] = pair.map(|array| array.as_primitive_opt::<Int64Type>()) {
                return Ok(Self::Numbers([one.values(), other.values()]));
            }
            if let [Some(one), Some(other)] = pair.map(|array| array.as_string_opt::<i32>()) {
                return Ok(Self::Texts([one, other]));
            }
            if let [Some(one), Some(other)] = pair.map(|array| array.as_dictionary_opt::<UInt32Type>())
                && let [Some(list), Some(other_list)] = [one, other].map(|coded| coded.values().as_string_opt::<i32>())
            {
                let codes = [one, other].map(|coded| coded.keys().values().as_ref());
                let is_one = is_same_list(list, other_list);
                return Ok(Self::Coded { codes, lists: [list, other_list], is_one });
            }
        }
        let compare = make_comparator(pair[0], pair[1], SortOptions::default());
        compare.map(Self::Any).map_err(|e| Error::Internal(e.to_string()))
    }

    fn order(&self, row: usize, other: usize) -> Ordering {
        match self {
            Self::Days([some, others]) => some[row].cmp(&others[other]),
            Self::Numbers([some, others]) => some[row].cmp(&others[other]),
            Self::Texts([some, others]) => some.value(row).cmp(others.value(other)),
            Self::Coded { codes: [some, others], lists: [texts, other_texts], is_one } => {
                let (code, other) = (some[row], others[other]);
                if *is_one && code == other {
                    return Ordering::Equal;
                }
                texts.value(code as usize).cmp(other_texts.value(other as usize))
            }
            Self::Any(compare) => compare(row, other),
        }
    }
}

/// Values of a row, each as its column's name, an equals sign and the value in backticks; a missing one is empty.
pub fn named_values<'a>(columns: impl Iterator<Item = (&'a String, &'a ArrayRef)>, row: usize) -> String {
    let values = columns.map(|(name, array)| {
        let value =
            if array.is_null(row) { String::new() } else { array_value_to_string(array, row).unwrap_or_default() };
        format!("{name}=`{value}`")
    });
    values.collect::<Vec<_>>().join(", ")
}

fn first_wrong(column: &Column, array: &ArrayRef) -> Option<(usize, String)> {
    if !column.optional && array.null_count() > 0 {
        let row = (0..array.len()).find(|&row| array.is_null(row))?;
        return Some((row, "has no value, and is not optional".to_owned()));
    }
    let checks = &column.checks;
    if *checks == Checks::default() {
        return None;
    }
    let mut valid = (0..array.len()).filter(|&row| array.is_valid(row));
    let known = |text: &str| checks.one_of.iter().any(|allowed| allowed == text);
    let unknown = |row| (row, format!("is none of {}", checks.one_of.join(", ")));
    let (row, why) = match array.data_type() {
        DataType::Int64 => find_outside(checks, array.as_primitive::<Int64Type>().values(), valid)?,
        DataType::Decimal128(..) => find_outside(checks, array.as_primitive::<Decimal128Type>().values(), valid)?,
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            valid.find(|&row| !known(values.value(row))).map(unknown)?
        }
        DataType::Dictionary(..) => {
            let values = array.as_dictionary_opt::<UInt32Type>()?;
            let is_known = values.values().as_string_opt::<i32>()?.iter().map(|text| text.is_some_and(known));
            let (is_known, codes) = (is_known.collect::<Vec<_>>(), values.keys().values());
            valid.find(|&row| !is_known[codes[row] as usize]).map(unknown)?
        }
        _ => return None,
    };
    let value = array_value_to_string(array, row).unwrap_or_default();
    Some((row, format!("is `{value}`, which {why}")))
}

fn find_outside<N: Copy + Into<i128>>(
    checks: &Checks,
    values: &[N],
    mut valid: impl Iterator<Item = usize>,
) -> Option<(usize, String)> {
    let (min, max) = (checks.min.unwrap_or(i128::MIN), checks.max.unwrap_or(i128::MAX));
    // Looking at all of them is faster than stopping at the first.
    let is_inside = |value: N| (min <= value.into()) & (value.into() <= max);
    if values.iter().fold(true, |are_inside, value| are_inside & is_inside(*value)) {
        return None;
    }
    let row = valid.find(|&row| !is_inside(values[row]))?;
    let why = if values[row].into() < min { "is below its check min" } else { "is above its check max" };
    Some((row, why.to_owned()))
}
