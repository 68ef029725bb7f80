//! From Arrow to Polars: the days of each entity as small numbers, in order, a bounded piece at a time.
//! It knows table `entity_day` and periods; it does not know what is counted.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type};
use hashbrown::HashMap;
use polars::prelude::{
    Column, DataFrame, Expr, FillNullStrategy, IntoColumn, IntoLazy, LazyFrame, NULL, NamedFrom, PlSmallStr,
    PolarsError, Series, col, lit, when,
};
use rayon::slice::ParallelSliceMut;

use super::{ENTITIES, ENTITY_DAY, Frame};
use crate::error::{Error, Result};
use crate::period::{Grain, format_day};

/// Rows that go through Polars at once: bounds its memory (some 40 bytes a row) whatever the size of the table.
const PIECE_ROWS: usize = 1 << 22;

/// The distinct days of each id of one entity: the id's dense number above, the days since `first_day` below; sorted.
pub(super) struct Visits {
    packed: Vec<u64>,
    piece_rows: usize,
}

impl Visits {
    /// Reads the visits of one entity within the observed range. Later days are not looked at; an earlier day, a null
    /// or an unknown entity means that the table does not hold what it promises.
    pub(super) fn gather(batches: &[RecordBatch], entity: &str, frame: Frame) -> Result<Self> {
        let columns = batches.iter().map(Columns::of).collect::<Result<Vec<_>>>()?;
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut packed = Vec::new();
        for batch in &columns {
            // Tables come sorted by id, so most rows need no look-up.
            let mut last: Option<(&str, u32)> = None;
            for (row, &day) in batch.days.iter().enumerate() {
                let kind = batch.entities.value(row);
                if kind != entity {
                    if !ENTITIES.contains(&kind) {
                        return Err(wrong_table(&format!("entity=`{kind}`; known: {}", ENTITIES.join(", "))));
                    }
                    continue;
                }
                if day > frame.as_of {
                    continue;
                }
                let offset = u32::try_from(i64::from(day) - i64::from(frame.first_day)).map_err(|_| {
                    let (day, first) = (format_day(day), format_day(frame.first_day));
                    wrong_table(&format!("day={day} before the first observed day {first}"))
                })?;
                let id = batch.ids.value(row);
                let number = match last {
                    Some((known, number)) if known == id => number,
                    _ => {
                        let next = u32::try_from(numbers.len()).map_err(|_| wrong_table("more than 2^32 ids"))?;
                        *numbers.entry(id).or_insert(next)
                    }
                };
                last = Some((id, number));
                packed.push(u64::from(number) << 32 | u64::from(offset));
            }
        }
        if !packed.is_sorted() {
            packed.par_sort_unstable();
        }
        packed.dedup();
        Ok(Self { packed, piece_rows: PIECE_ROWS })
    }

    /// One row per id and period in which it was seen, by id and period, in pieces that never part an id:
    /// `period`, and the id's `previous` and `next` period, null at its ends.
    pub(super) fn steps<'a>(&'a self, calendar: &'a Calendar) -> impl Iterator<Item = Result<LazyFrame>> + 'a {
        let mut rest = self.packed.as_slice();
        std::iter::from_fn(move || {
            let last = *rest.get(self.piece_rows.min(rest.len()).checked_sub(1)?)?;
            let (piece, after) = rest.split_at(rest.partition_point(|visit| visit >> 32 <= last >> 32));
            rest = after;
            Some(steps(piece, calendar))
        })
    }
}

/// Number of the id that a visit belongs to.
const ID: &str = "id";
/// Number of a period, as [`Grain::index`] counts.
pub(super) const PERIOD: &str = "period";
/// The period before this one in which the id was seen.
pub(super) const PREVIOUS: &str = "previous";
/// The period after this one in which the id was seen.
pub(super) const NEXT: &str = "next";

/// The period of each observed day, looked up once: months are too dear to compute for each row.
pub(super) struct Calendar {
    /// How days are put together.
    pub(super) grain: Grain,
    /// The period that holds the first observed day.
    pub(super) first: i32,
    /// The period that holds the last observed day.
    pub(super) last: i32,
    periods: Vec<i32>,
}

impl Calendar {
    /// The calendar of the observed range, which must not be empty.
    pub(super) fn new(grain: Grain, frame: Frame) -> Self {
        let periods: Vec<i32> = (frame.first_day..=frame.as_of).map(|day| grain.index(day)).collect();
        Self { grain, first: grain.index(frame.first_day), last: grain.index(frame.as_of), periods }
    }

    fn period(&self, visit: u64) -> i32 {
        // Visits lie in the observed range, so every offset has its period.
        usize::try_from(visit & u64::from(u32::MAX))
            .ok()
            .and_then(|offset| self.periods.get(offset))
            .copied()
            .unwrap_or(self.last)
    }
}

/// A failure of Polars: the jobs' expressions are fixed, so it is never the user's.
pub(super) fn internal(cause: &PolarsError) -> Error {
    Error::Internal(format!("a data frame job failed: {cause}"))
}

/// An expression's last value that is not null, carried down.
pub(super) fn carried(value: Expr) -> Expr {
    value.fill_null_with_strategy(FillNullStrategy::Forward(None))
}

fn steps(piece: &[u64], calendar: &Calendar) -> Result<LazyFrame> {
    let ids: Vec<u32> = piece.iter().map(|visit| (visit >> 32) as u32).collect();
    let periods: Vec<i32> = piece.iter().map(|visit| calendar.period(*visit)).collect();
    let columns = vec![column(ID, ids), column(PERIOD, periods)];
    let visits = DataFrame::new(piece.len(), columns).map_err(|e| internal(&e))?;
    let same_id = |rows: i64| col(ID).eq(col(ID).shift(lit(rows)));
    let neighbour = |rows: i64| when(same_id(rows)).then(col(PERIOD).shift(lit(rows))).otherwise(lit(NULL));
    let repeated = same_id(1).and(col(PERIOD).eq(col(PERIOD).shift(lit(1)))).fill_null(lit(false));
    Ok(visits.lazy().filter(repeated.not()).with_columns([neighbour(1).alias(PREVIOUS), neighbour(-1).alias(NEXT)]))
}

fn column<T>(name: &str, values: Vec<T>) -> Column
where
    Series: NamedFrom<Vec<T>, [T]>,
{
    Series::new(PlSmallStr::from_str(name), values).into_column()
}

/// The columns of `entity_day` in the only types that are read.
struct Columns {
    entities: StringArray,
    ids: StringArray,
    days: arrow::buffer::ScalarBuffer<i32>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self> {
        let days = one(batch, "day")?;
        let days = days
            .as_primitive_opt::<Date32Type>()
            .ok_or_else(|| wrong_table(&format!("column `day` of type {}; it must be a date", days.data_type())))?;
        Ok(Self { entities: text(batch, "entity")?, ids: text(batch, "id")?, days: days.values().clone() })
    }
}

fn text(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    let array = one(batch, name)?;
    let is_text = match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => matches!(**values, DataType::Utf8 | DataType::LargeUtf8),
        _ => false,
    };
    if !is_text {
        return Err(wrong_table(&format!("column `{name}` of type {}; it must be text", array.data_type())));
    }
    let array = cast(array, &DataType::Utf8).map_err(|e| wrong_table(&format!("column `{name}`: {e}")))?;
    Ok(array.as_string::<i32>().clone())
}

fn one<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let array = batch.column_by_name(name).ok_or_else(|| wrong_table(&format!("no column `{name}`")))?;
    if array.is_nullable() && array.logical_null_count() > 0 {
        return Err(wrong_table(&format!("empty values in column `{name}`")));
    }
    Ok(array)
}

fn wrong_table(what: &str) -> Error {
    Error::Definition(format!("table `{ENTITY_DAY}` has {what}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Date32Array;
    use arrow::datatypes::{Field, Schema};

    use super::*;
    use crate::period::{Day, WeekStart};

    const FRAME: Frame = Frame { first_day: 100, as_of: 140, week_start: WeekStart::Monday };

    fn table(rows: &[(&str, &str, Day)]) -> RecordBatch {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("entity", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)))),
            ("id", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
            ("day", Arc::new(Date32Array::from_iter_values(rows.iter().map(|row| row.2)))),
        ];
        RecordBatch::try_from_iter(columns).expect("a table")
    }

    fn days(visits: &Visits) -> Vec<(u64, u64)> {
        visits.packed.iter().map(|visit| (visit >> 32, visit & 0xffff_ffff)).collect()
    }

    #[test]
    fn one_entity_is_gathered_in_order() {
        let first = table(&[("user", "b", 103), ("org", "b", 100), ("user", "a", 101), ("user", "b", 101)]);
        let second = table(&[("user", "a", 140), ("user", "a", 141), ("user", "a", 101)]);
        let visits = Visits::gather(&[first, second], "user", FRAME).expect("visits");
        assert_eq!(days(&visits), [(0, 1), (0, 3), (1, 1), (1, 40)]);
    }

    #[test]
    fn every_kind_of_text_is_read() {
        let plain = table(&[("user", "a", 101), ("dag", "b", 102), ("user", "c", 102)]);
        let expected = days(&Visits::gather(std::slice::from_ref(&plain), "user", FRAME).expect("visits"));
        for kind in [
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ] {
            let cast_to = |column: usize| cast(plain.column(column), &kind).expect("text");
            let columns = [("entity", cast_to(0)), ("id", cast_to(1)), ("day", Arc::clone(plain.column(2)))];
            let batch = RecordBatch::try_from_iter(columns).expect("a table");
            assert_eq!(days(&Visits::gather(&[batch], "user", FRAME).expect("visits")), expected, "{kind}");
        }
    }

    fn check_refused(batch: RecordBatch, expected: &str) {
        let error = Visits::gather(&[batch], "user", FRAME).map(|_| ()).expect_err("a wrong table");
        assert!(matches!(error, Error::Definition(_)), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn wrong_tables_are_refused() {
        check_refused(
            table(&[("user", "a", 99)]),
            "table `entity_day` has day=1970-04-10 before the first observed day 1970-04-11",
        );
        check_refused(table(&[("app", "a", 101)]), "table `entity_day` has entity=`app`; known: dag, org, user");
        let good = table(&[("user", "a", 101)]);
        check_refused(good.project(&[0, 2]).expect("two columns"), "table `entity_day` has no column `id`");
        let columns = vec![Arc::clone(good.column(0)), Arc::clone(good.column(1)), Arc::clone(good.column(0))];
        let fields = ["entity", "id", "day"].map(|name| Field::new(name, DataType::Utf8, false));
        check_refused(
            RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns).expect("a table"),
            "table `entity_day` has column `day` of type Utf8; it must be a date",
        );
        let empty: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
        let columns = [("entity", Arc::clone(good.column(0))), ("id", empty), ("day", Arc::clone(good.column(2)))];
        check_refused(
            RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
                .expect("a table"),
            "table `entity_day` has empty values in column `id`",
        );
    }

    #[test]
    fn pieces_never_part_an_id() {
        let rows: Vec<(u64, u64)> = vec![(0, 0), (0, 1), (0, 9), (1, 4), (2, 0), (2, 7), (2, 8), (2, 30), (3, 3)];
        let packed: Vec<u64> = rows.iter().map(|(id, day)| id << 32 | day).collect();
        let calendar = Calendar::new(Grain::Week(WeekStart::Monday), FRAME);
        let all = |piece_rows: usize| {
            let visits = Visits { packed: packed.clone(), piece_rows };
            let mut rows = Vec::new();
            for steps in visits.steps(&calendar) {
                let piece = steps.expect("a piece").collect().expect("steps");
                let columns = [PERIOD, PREVIOUS, NEXT]
                    .map(|name| piece.column(name).expect("a column").i32().expect("i32").clone());
                rows.extend((0..piece.height()).map(|row| columns.each_ref().map(|column| column.get(row))));
            }
            rows
        };
        let at = |offset: i32| Some(Grain::Week(WeekStart::Monday).index(100 + offset));
        let expected = [
            [at(0), None, at(9)],
            [at(9), at(0), None],
            [at(4), None, None],
            [at(0), None, at(7)],
            [at(7), at(0), at(30)],
            [at(30), at(7), None],
            [at(3), None, None],
        ];
        for piece_rows in 1..=10 {
            assert_eq!(all(piece_rows), expected, "{piece_rows} rows at once");
        }
    }
}
