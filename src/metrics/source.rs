//! What queries read, as files whose content and days are known: enough to show a query only the days it may see, and to
//! tell whether anything that it saw has changed. It does not know what a table means.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use arrow::datatypes::DataType;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::period::{Day, format_day};
use crate::store::{DataFile, TableFiles, day_bounds};

// Equal to no checksum.
const UNKNOWN: &str = "?";

/// The first and last of a run of days.
pub(super) type Days = (Day, Day);

/// A table, and for each of its files what it holds.
#[derive(Debug, Clone)]
pub struct Source {
    /// The files, in order.
    pub table: TableFiles,
    // As many as there are files.
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    // `None` = rows that are of no day.
    days: Option<Days>,
    // Equal for equal content.
    content: String,
}

impl Source {
    /// A table of the store, whose files never change under their names.
    #[must_use]
    pub fn stored(table: TableFiles) -> Self {
        let part = |file: &DataFile| Part { days: file.day.map(|day| (day, day)), content: file.path.clone() };
        let parts = table.files.iter().map(part).collect();
        Self { table, parts }
    }

    /// A table whose files are known by what is in them.
    pub fn hashed(table: TableFiles) -> Result<Self> {
        let contents = table.files.iter().map(|file| hash(&table.root.join(&file.path)));
        let contents = contents.collect::<Result<Vec<_>>>()?;
        Ok(Self::known(table, contents))
    }

    /// A table whose files have these contents.
    pub(super) fn known(table: TableFiles, contents: Vec<String>) -> Self {
        let dated = table.sort_key.first().filter(|&name| {
            table.schema.field_with_name(name).is_ok_and(|field| *field.data_type() == DataType::Date32)
        });
        let days = |file: &DataFile| dated.and_then(|column| day_bounds(&file.stats, column));
        let parts = table.files.iter().zip(contents);
        let parts = parts.map(|(file, content)| Part { days: days(file), content }).collect();
        Self { table, parts }
    }

    /// Adds a file of these days whose content is not known yet, so that whatever reads it is stale. What begins with no
    /// day at all is of no day.
    pub(super) fn add_unknown(&mut self, days: Days) {
        let file = DataFile { path: UNKNOWN.to_owned(), bytes: 0, rows: 0, day: None, stats: String::new() };
        self.table.files.push(file);
        self.parts.push(Part { days: (days.0 > Day::MIN).then_some(days), content: UNKNOWN.to_owned() });
    }

    /// The table with no other days than these, as far as its files can be told apart by them.
    pub(super) fn within(&self, window: Days) -> TableFiles {
        let files = self.seen(window).map(|(file, _)| file.clone()).collect();
        TableFiles { files, ..self.table.clone() }
    }

    /// What a query sees of this table, as names and what must be equal under them.
    pub(super) fn ingredients(&self, window: Days) -> BTreeMap<String, String> {
        let mut ingredients = BTreeMap::<String, String>::new();
        for (_, part) in self.seen(window) {
            let name = match part.days {
                None => self.table.name.clone(),
                Some((first, _)) => format!("{} {}", self.table.name, format_day(first)),
            };
            let content = ingredients.entry(name).or_default();
            if !content.is_empty() {
                content.push(' ');
            }
            content.push_str(&part.content);
        }
        ingredients
    }

    fn seen(&self, (first, last): Days) -> impl Iterator<Item = (&DataFile, &Part)> {
        self.table.files.iter().zip(&self.parts).filter(move |(_, part)| match part.days {
            None => true,
            Some((from, until)) => from <= last && until >= first,
        })
    }
}

/// The checksum of a file.
pub(super) fn hash(path: &Path) -> Result<String> {
    let failed = |e| Error::path("read", path, e);
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path).map_err(failed)?, &mut hasher).map_err(failed)?;
    Ok(format!("{:x}", hasher.finalize()))
}
