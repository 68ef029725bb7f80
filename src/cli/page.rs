//! Tables of the catalog's columns for people and programs: aligned text, one CSV over several tables, JSON rows.
//! It knows columns and values; it does not know which command shows them.

use clap::ValueEnum;
use serde_json::{Map, Value};

use crate::catalog::{Column, ColumnType};
use crate::error::{Error, Result};
use crate::evidence::Rows;
use crate::report;

use super::terminal::{Terminal, align_by};

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people: long lists are cut
    Text,
    /// One table over all rows, which says of each what it is in its first column
    Csv,
    /// One document
    Json,
}

impl Format {
    /// What was asked for, be it by `--json`.
    pub(super) fn chosen(format: Option<Self>, terminal: &Terminal) -> Self {
        format.unwrap_or(if terminal.wants_json() { Self::Json } else { Self::Text })
    }
}

/// So many rows are shown to a person.
const SHOWN: usize = 50;

/// A table whose values are texts as in a report.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// What its rows are, for the first column of a CSV over several tables.
    pub(super) name: String,
    columns: Vec<(String, ColumnType)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The rows of a query.
    pub(super) fn of(rows: &Rows) -> Result<Self> {
        let mut bytes = Vec::new();
        report::write_csv(rows.query, [Ok(rows.batch.clone())], None, &mut bytes)?;
        let broken = |e: csv::Error| Error::Internal(format!("cannot read what was written: {e}"));
        let records: csv::Result<Vec<csv::StringRecord>> =
            csv::Reader::from_reader(bytes.as_slice()).records().collect();
        let text = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
        Ok(Self {
            name: rows.query.name.clone(),
            columns: rows.query.columns.iter().map(|Column { name, kind, .. }| (name.clone(), *kind)).collect(),
            rows: records.map_err(broken)?.into_iter().map(text).collect(),
        })
    }

    /// A table of texts.
    pub(super) fn of_texts(name: &str, columns: &[&str], rows: Vec<Vec<String>>) -> Self {
        let columns = columns.iter().map(|&column| (column.to_owned(), ColumnType::Text)).collect();
        Self { name: name.to_owned(), columns, rows }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows that have these values where they have the columns.
    pub(super) fn picked(&self, pins: &[(String, String)]) -> Self {
        let place = |name: &String| self.columns.iter().position(|(column, _)| column == name);
        let pins: Vec<(usize, &String)> = pins.iter().filter_map(|(name, value)| Some((place(name)?, value))).collect();
        let matches = |row: &&Vec<String>| pins.iter().all(|(place, value)| row.get(*place) == Some(*value));
        Self { rows: self.rows.iter().filter(matches).cloned().collect(), ..self.clone() }
    }

    /// Without the columns that hold one of these values in every row.
    pub(super) fn without(&self, known: &[(String, String)]) -> Self {
        let is_known = |place: usize, name: &String| {
            let value = known.iter().find(|(known, _)| known == name).map(|(_, value)| value);
            value.is_some() && self.rows.iter().all(|row| row.get(place) == value)
        };
        let names = self.columns.iter().enumerate();
        let kept: Vec<usize> =
            names.filter(|(place, (name, _))| !is_known(*place, name)).map(|(place, _)| place).collect();
        let row = |row: &Vec<String>| kept.iter().filter_map(|&place| row.get(place).cloned()).collect();
        Self {
            name: self.name.clone(),
            columns: kept.iter().filter_map(|&place| self.columns.get(place).cloned()).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    /// For a person: one row as a line for each column, more as a table with at most so many rows, and how many are left.
    pub(super) fn text(&self) -> String {
        match self.rows.as_slice() {
            [] => "(no rows)".to_owned(),
            [row] if self.columns.len() > 2 => {
                let line = |((name, _), value): (&(String, ColumnType), &String)| vec![name.clone(), value.clone()];
                align_by(&self.columns.iter().zip(row).map(line).collect::<Vec<_>>(), |_| true)
            }
            rows => {
                let mut lines = vec![self.columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()];
                lines.extend(rows.iter().take(SHOWN).cloned());
                let is_text =
                    |column: usize| self.columns.get(column).is_none_or(|(_, kind)| kind.decimals().is_none());
                let text = align_by(&lines, is_text);
                match rows.len().checked_sub(SHOWN) {
                    None | Some(0) => text,
                    Some(more) => format!("{text}\n… and {more} more (--format csv and json give all)"),
                }
            }
        }
    }

    /// The rows as JSON objects: numbers and booleans as such, what is missing as null.
    pub(super) fn json(&self) -> Value {
        let row = |row: &Vec<String>| {
            let fields = self.columns.iter().zip(row).map(|((name, kind), text)| (name.clone(), json(*kind, text)));
            Value::Object(fields.collect::<Map<_, _>>())
        };
        self.rows.iter().map(row).collect()
    }
}

/// All tables in one: the name of the table first, then every column of any of them, empty where a table has none. So it
/// loads as it is, and a filter on the first column gives a table back.
pub(super) fn csv(first: &str, tables: &[Table]) -> Result<String> {
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in tables.iter().flat_map(|table| &table.columns) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let broken = |e: csv::Error| Error::Internal(format!("cannot write the rows: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([first].into_iter().chain(names.iter().map(|name| name.as_str()))).map_err(broken)?;
    for table in tables {
        let places: Vec<Option<usize>> =
            names.iter().map(|name| table.columns.iter().position(|(column, _)| column == *name)).collect();
        for row in &table.rows {
            let value = |place: &Option<usize>| place.and_then(|place| row.get(place)).map_or("", String::as_str);
            let record = [table.name.as_str()].into_iter().chain(places.iter().map(value));
            writer.write_record(record).map_err(broken)?;
        }
    }
    let bytes = writer.into_inner().map_err(|e| Error::Internal(format!("cannot write the rows: {e}")))?;
    String::from_utf8(bytes).map_err(|e| Error::Internal(format!("the rows are not text: {e}")))
}

/// A value as JSON.
pub(super) fn json(kind: ColumnType, text: &str) -> Value {
    match kind {
        ColumnType::Text => Value::from(text),
        _ if text.is_empty() => Value::Null,
        ColumnType::Boolean => Value::from(text == "true"),
        ColumnType::Integer | ColumnType::Rate | ColumnType::Seconds | ColumnType::Amount => {
            text.parse().map_or_else(|_| Value::from(text), Value::Number)
        }
        ColumnType::Date | ColumnType::Instant => Value::from(text),
    }
}
