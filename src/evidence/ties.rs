//! Whether the rows of a step add up to the rows that they are behind of.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use serde::Serialize;

use super::{Address, Cell, Link};
use crate::catalog::{Group, IN_REPORT, Measure, Query, Tie};
use crate::error::{Error, Result};

/// Rows of a query.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// The query, which says what the columns are.
    pub query: &'a Query,
    /// The rows.
    pub batch: RecordBatch,
}

/// A tie that holds.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    /// The step.
    pub step: String,
    /// What is taken of its rows, in words.
    pub measure: String,
    /// What it is equal to: the metric or the step before.
    pub of: String,
    /// The column there.
    pub column: String,
    /// In how many rows there.
    pub rows: usize,
    /// The value, if it is one row.
    pub value: Option<String>,
    /// Whether it is a value of the row itself, and no count or sum.
    #[serde(skip)]
    pub is_same: bool,
}

type Key = Vec<Cell>;

impl Rows<'_> {
    /// What a step shows: the rows that its first tie looks at, and those that are picked beyond the row of the report,
    /// which may be elsewhere.
    pub fn shown(&self, on: &[String], address: &Address, beyond: &[(String, Cell)]) -> Result<Self> {
        let mut shown = self.rows_with(&address.of(on))?;
        let beyond: Vec<(&String, &Cell)> =
            beyond.iter().filter(|(name, _)| self.has(name)).map(|(name, cell)| (name, cell)).collect();
        if !beyond.is_empty() {
            shown.extend(self.rows_with(&beyond)?);
        }
        self.take(shown)
    }

    // Those that agree with the address in these columns.
    fn within(&self, on: &[String], address: &Address) -> Result<Self> {
        self.take(self.rows_with(&address.of(on))?)
    }

    fn rows_with(&self, pins: &[(&String, &Cell)]) -> Result<BTreeSet<u32>> {
        let mut kept: BTreeSet<u32> = (0..).take(self.batch.num_rows()).collect();
        for (name, cell) in pins {
            let values = self.cells(name)?;
            kept.retain(|&row| values.get(row as usize) == Some(cell));
        }
        Ok(kept)
    }

    fn take(&self, rows: BTreeSet<u32>) -> Result<Self> {
        let batch = take_record_batch(&self.batch, &UInt32Array::from_iter_values(rows));
        Ok(Self { query: self.query, batch: batch.map_err(|e| Error::Internal(e.to_string()))? })
    }

    fn has(&self, name: &str) -> bool {
        self.query.columns.iter().any(|column| column.name == name)
    }

    /// The values of a column.
    pub fn cells(&self, name: &str) -> Result<Vec<Cell>> {
        let column = self.query.columns.iter().find(|column| column.name == name);
        column.and_then(|column| Some(Cell::values(self.batch.column_by_name(name)?, column.kind))).ok_or_else(
            || Error::Internal(format!("`{}` has no column `{name}`; the catalog let it through", self.query.name)),
        )?
    }

    // The rows by their values in these columns.
    fn by(&self, on: &[String]) -> Result<BTreeMap<Key, Vec<usize>>> {
        let columns = on.iter().map(|name| self.cells(name)).collect::<Result<Vec<_>>>()?;
        let mut groups: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for row in 0..self.batch.num_rows() {
            groups.entry(columns.iter().map(|column| column[row].clone()).collect()).or_default().push(row);
        }
        Ok(groups)
    }

    /// Whether these rows add up to `of`, which they are behind of. Rows of either side that differ from the address in a
    /// column of the link are not looked at. `Error::Data` names the first row that differs.
    pub fn tie(&self, of: &Self, link: Link, address: &Address) -> Result<Vec<Held>> {
        let on = &link.behind.on;
        let (rows, of) = (self.within(on, address)?, of.within(on, address)?);
        let (behind, explained) = (rows.by(on)?, of.by(on)?);
        link.behind.ties.iter().map(|tie| rows.hold(&of, &behind, &explained, on, tie)).collect()
    }

    fn hold(
        &self,
        of: &Self,
        behind: &BTreeMap<Key, Vec<usize>>,
        explained: &BTreeMap<Key, Vec<usize>>,
        on: &[String],
        tie: &Tie,
    ) -> Result<Held> {
        let expected = if tie.column == IN_REPORT { None } else { Some(of.cells(&tie.column)?) };
        let measured = Measured::of(self, tie)?;
        let (mut compared, mut last) = (0, None);
        let keys: BTreeSet<&Key> = behind.keys().chain(explained.keys()).collect();
        for key in keys {
            let rows = behind.get(key).map_or(&[][..], Vec::as_slice);
            let expected = match (&expected, explained.get(key)) {
                (None, there) => vec![Cell::count(there.map_or(0, Vec::len))],
                (Some(values), Some(there)) => there.iter().map(|&row| values[row].clone()).collect(),
                // Rows behind nothing must not count. A metric that lacks the row may still be explained.
                (Some(_), None) if of.query.group == Group::Metric || measured.is_value() => continue,
                (Some(_), None) => vec![Cell::count(0)],
            };
            for expected in expected {
                // What the report cannot know yet has nothing behind it to compare with.
                if expected == Cell::Empty && !measured.is_value() {
                    continue;
                }
                let mut found = measured.take(rows);
                if found.is_empty() {
                    found.push(Cell::Empty);
                }
                for found in found {
                    if found != expected {
                        return Err(self.differs(of, on, key, tie, &found, &expected));
                    }
                }
                compared += 1;
                last = Some(expected);
            }
        }
        let value = last.filter(|_| compared == 1).map(|cell| cell.to_string());
        Ok(Held {
            step: self.query.name.clone(),
            measure: tie.measure.to_string(),
            of: of.query.name.clone(),
            column: tie.column.clone(),
            rows: compared,
            value,
            is_same: tie.measure == Measure::Same,
        })
    }

    fn differs(&self, of: &Self, on: &[String], key: &Key, tie: &Tie, found: &Cell, expected: &Cell) -> Error {
        let key: Vec<String> = on.iter().zip(key).map(|(name, cell)| format!("{name}=`{cell}`")).collect();
        let place = if key.is_empty() { String::new() } else { format!(" of the row with {}", key.join(", ")) };
        Error::Data(format!(
            "the chain does not hold: evidence/{} gives {} = {found}, but `{}` of {}{place} is {expected}; the evidence \
             and the metric are of two definitions",
            self.query.name, tie.measure, tie.column, of.query.name
        ))
    }
}

// What a tie takes of a step, with the columns that it needs.
enum Measured<'a> {
    Rows,
    Count(Vec<Cell>),
    Sum(Vec<Cell>),
    Distinct(Vec<Cell>),
    Same(Vec<Cell>),
    Named { name: &'a str, names: Vec<Cell>, values: Vec<Cell> },
}

impl<'a> Measured<'a> {
    fn of(rows: &Rows, tie: &'a Tie) -> Result<Self> {
        Ok(match &tie.measure {
            Measure::Rows => Self::Rows,
            Measure::Count(own) => Self::Count(rows.cells(own)?),
            Measure::Sum(own) => Self::Sum(rows.cells(own)?),
            Measure::Distinct(own) => Self::Distinct(rows.cells(own)?),
            Measure::Same => Self::Same(rows.cells(&tie.column)?),
            Measure::Named(names, values) => {
                Self::Named { name: &tie.column, names: rows.cells(names)?, values: rows.cells(values)? }
            }
        })
    }

    // Whether it is a value of each row, and not a count or sum over rows.
    fn is_value(&self) -> bool {
        matches!(self, Self::Same(_) | Self::Named { .. })
    }

    // What these rows give: one number, or the values of each.
    fn take(&self, rows: &[usize]) -> Vec<Cell> {
        match self {
            Self::Rows => vec![Cell::count(rows.len())],
            Self::Count(flags) => {
                vec![Cell::count(rows.iter().filter(|&&row| flags[row] == Cell::Flag(true)).count())]
            }
            Self::Sum(numbers) => vec![Cell::Number(rows.iter().map(|&row| number(&numbers[row])).sum())],
            Self::Distinct(values) => {
                let values: BTreeSet<&Cell> = rows.iter().map(|&row| &values[row]).collect();
                vec![Cell::count(values.into_iter().filter(|cell| **cell != Cell::Empty).count())]
            }
            Self::Same(values) => rows.iter().map(|&row| values[row].clone()).collect(),
            Self::Named { name, names, values } => {
                let is_named = |row: &&usize| matches!(&names[**row], Cell::Text(text) if text == name);
                rows.iter().filter(is_named).map(|&row| values[row].clone()).collect()
            }
        }
    }
}

fn number(cell: &Cell) -> i128 {
    match cell {
        Cell::Number(number) => *number,
        _ => 0,
    }
}
