//! How a result is cut into pieces that are computed and kept on their own: months, or the whole.
//! It does not know what the rows are.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Date32Type;

use super::source::Days;
use crate::catalog::{Query, Window};
use crate::error::{Error, Result};
use crate::frames::Frame;
use crate::period::{Day, Grain};

/// A part of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// The first day of its month; `None` = all there is.
    pub(super) month: Option<Day>,
    /// The days of its rows.
    pub(super) rows: Days,
    /// The first day of its month, or the report day: from here a row looks back.
    begins: Day,
    /// The last day that its rows may depend on, none after the report day.
    pub(super) until: Day,
}

impl Piece {
    /// The days of an input that its rows may depend on, where they look back so many days; `None` = to the first.
    pub(super) fn sees(&self, back: Option<i32>) -> Days {
        (back.map_or(Day::MIN, |days| self.begins - days), self.until)
    }
}

/// The pieces of a query's result over the observed range, in order.
pub(super) fn pieces(query: &Query, frame: Frame) -> Vec<Piece> {
    let Window { by_month, ahead, .. } = query.window;
    if !by_month {
        return vec![Piece { month: None, rows: (Day::MIN, frame.as_of), begins: frame.as_of, until: frame.as_of }];
    }
    let month = |index: i32| {
        let rows = (Grain::Month.first_day(index), Grain::Month.last_day(index));
        Piece { month: Some(rows.0), rows, begins: rows.0, until: (rows.1 + ahead).min(frame.as_of) }
    };
    // A row may be of a month in which nothing was observed yet: a week that began before the first day.
    let first = Grain::Month.index(frame.first_day - ahead);
    (first..=Grain::Month.index(frame.as_of)).map(month).collect()
}

/// Neighbouring pieces as one.
pub(super) fn joined(pieces: &[Piece]) -> Option<Piece> {
    let (first, last) = (pieces.first()?, pieces.last()?);
    Some(Piece { rows: (first.rows.0, last.rows.1), until: last.until, ..*first })
}

/// Deals out rows that come in the order of their first column, a date, to one piece after the other.
pub(super) struct Dealer<I> {
    batches: I,
    rest: Option<RecordBatch>,
}

impl<I: Iterator<Item = Result<RecordBatch>>> Dealer<I> {
    pub(super) fn new(batches: I) -> Self {
        Self { batches, rest: None }
    }

    /// The next rows of a piece; `None` when those that follow are of later days. Rows of earlier days are dropped: the
    /// query saw more days than it was asked for.
    pub(super) fn next_of(&mut self, piece: &Piece) -> Option<Result<RecordBatch>> {
        loop {
            let batch = match self.rest.take() {
                Some(batch) => batch,
                None => match self.batches.next()? {
                    Ok(batch) => batch,
                    Err(error) => return Some(Err(error)),
                },
            };
            if piece.month.is_none() {
                return Some(Ok(batch));
            }
            let Some(days) = batch.columns().first().and_then(|column| column.as_primitive_opt::<Date32Type>()) else {
                return Some(Err(Error::Internal("rows that are kept by month do not begin with a date".into())));
            };
            let days: &[Day] = days.values();
            let from = days.partition_point(|&day| day < piece.rows.0);
            let until = days.partition_point(|&day| day <= piece.rows.1);
            if until < days.len() {
                self.rest = Some(batch.slice(until, batch.num_rows() - until));
            }
            if from < until {
                return Some(Ok(batch.slice(from, until - from)));
            }
            if self.rest.is_some() {
                return None;
            }
        }
    }
}
