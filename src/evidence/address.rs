//! How a row of a report is addressed: what a person pins, turned into a value for each column of the key, and into what
//! narrows the chain beyond it.

use std::collections::BTreeMap;

use super::{Cell, Step};
use crate::catalog::{ColumnType, Query};
use crate::engine::Parameters;
use crate::error::{Error, Result};
use crate::period::{Day, Grain, WeekStart, format_day};

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The metric.
    pub metric: String,
    /// The column asked for; `None` = the metric's own first number.
    pub number: Option<String>,
    /// A day of the row's period, or the report day for a metric whose rows have no day.
    pub day: Option<Day>,
    /// The report day, if it is not the default.
    pub as_of: Option<Day>,
    /// Columns and their values: of the key, and what narrows the chain.
    pub pins: Vec<(String, String)>,
}

/// The columns that are pinned, with their values.
#[derive(Debug, Clone, Default)]
pub struct Address(BTreeMap<String, (ColumnType, Cell)>);

impl Question {
    /// The column asked for.
    pub fn number<'a>(&'a self, metric: &'a Query) -> Result<&'a str> {
        let numbers = || metric.columns.iter().map(|column| column.name.as_str()).filter(|name| !is_key(metric, name));
        let choice = |problem: &str| {
            let numbers = numbers().collect::<Vec<_>>().join(", ");
            Error::Usage(format!("{problem}; choose one of `{}` with --column: {numbers}", metric.name))
        };
        match (&self.number, &metric.number) {
            (Some(name), _) if numbers().any(|number| number == name) => Ok(name),
            (Some(name), _) => Err(choice(&format!("column=`{name}` is no number"))),
            (None, Some(number)) => Ok(number),
            (None, None) => Err(choice("no number is named")),
        }
    }

    /// The report day to ask for: of a metric whose rows have no day, `day` is the report day.
    pub fn report_day(&self, metric: &Query) -> Result<Option<Day>> {
        match (self.day, self.as_of) {
            (Some(day), Some(as_of)) if has_no_day(metric) && day != as_of => Err(Error::Usage(format!(
                "rows of `{}` are as at the report day; --day {} and --as-of {} are two of them",
                metric.name,
                format_day(day),
                format_day(as_of)
            ))),
            (Some(day), None) if has_no_day(metric) => Ok(Some(day)),
            (_, as_of) => Ok(as_of),
        }
    }

    /// The address of the row, over a report of `as_of`, and of what narrows these steps.
    pub fn address(&self, metric: &Query, steps: &[Step], as_of: Day, week_start: WeekStart) -> Result<Address> {
        let mut address = Address::default();
        for (name, text) in &self.pins {
            address.pin(name, kind_of(metric, steps, name)?, text)?;
        }
        if has_no_day(metric) {
            address.0.entry("day".to_owned()).or_insert((ColumnType::Date, Cell::Day(as_of)));
        }
        let day = self.day.unwrap_or(as_of);
        for name in &metric.key {
            let kind = metric.columns.iter().find(|column| column.name == *name).map(|column| column.kind);
            if kind == Some(ColumnType::Date) && !address.0.contains_key(name) {
                let grain = address.grain(name, week_start);
                let first = grain.first_day(grain.index(day));
                address.0.insert(name.clone(), (ColumnType::Date, Cell::Day(first)));
            }
        }
        let missing: Vec<&str> = metric.key.iter().map(String::as_str).filter(|name| !address.has(name)).collect();
        if missing.is_empty() { Ok(address) } else { Err(incomplete(metric, &missing)) }
    }
}

impl Address {
    /// The arguments of one query, as text by their names.
    pub fn of_arguments(query: &Query, given: &BTreeMap<String, String>) -> Result<Self> {
        let mut address = Self::default();
        for (name, text) in given {
            let kind = kind_of(query, &[], name)?;
            address.pin(name, kind, text)?;
        }
        match address.open(query).as_slice() {
            [] => Ok(address),
            open => Err(Error::Usage(format!("`{}` is asked with {}, which is missing", query.name, open.join(", ")))),
        }
    }

    /// An organisation.
    #[must_use]
    pub fn of_org(org_id: &str) -> Self {
        Self(BTreeMap::from([("org_id".to_owned(), (ColumnType::Text, Cell::Text(org_id.to_owned())))]))
    }

    fn pin(&mut self, name: &str, kind: ColumnType, text: &str) -> Result<()> {
        let cell = Cell::parse(kind, text)
            .ok_or_else(|| Error::Usage(format!("{name}=`{text}` is no value of type {}", kind.name())))?;
        match self.0.insert(name.to_owned(), (kind, cell)) {
            Some(_) => Err(Error::Usage(format!("`{name}` is given twice"))),
            None => Ok(()),
        }
    }

    /// Whether a column is pinned.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.0.contains_key(column)
    }

    /// The value of a pinned column.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Cell> {
        self.0.get(column).map(|(_, cell)| cell)
    }

    /// Those of these columns that are pinned, with their values.
    #[must_use]
    pub fn of<'a>(&'a self, columns: &'a [String]) -> Vec<(&'a String, &'a Cell)> {
        columns.iter().filter_map(|name| Some((name, self.get(name)?))).collect()
    }

    /// What is pinned beyond a key.
    #[must_use]
    pub fn beyond(&self, key: &[String]) -> Vec<(String, Cell)> {
        let beyond = self.0.iter().filter(|(name, _)| !key.contains(name) && *name != "day");
        beyond.map(|(name, (_, cell))| (name.clone(), cell.clone())).collect()
    }

    /// The arguments of a query that are still open; it cannot be asked before they are pinned.
    #[must_use]
    pub fn open<'a>(&self, query: &'a Query) -> Vec<&'a str> {
        let open = query.arguments.iter().filter(|argument| !argument.optional && !self.has(&argument.name));
        open.map(|argument| argument.name.as_str()).collect()
    }

    /// The parameters with the arguments of a query among them.
    pub fn bind(&self, query: &Query, parameters: &Parameters) -> Result<Parameters> {
        let mut bound = parameters.clone();
        for argument in &query.arguments {
            let cell = self.get(&argument.name).unwrap_or(&Cell::Empty);
            if bound.insert(argument.name.clone(), cell.scalar(argument.kind)).is_some() {
                let name = &argument.name;
                return Err(Error::Definition(format!(
                    "`{}`: argument `{name}` has the name of a parameter; take another",
                    query.name
                )));
            }
        }
        Ok(bound)
    }

    /// A condition in SQL that only the row with this key meets, over these first columns of it, and its parameters.
    #[must_use]
    pub fn condition(&self, key: &[String]) -> (String, Parameters) {
        let mut parameters = Parameters::new();
        let mut conditions = vec!["true".to_owned()];
        for name in key {
            if let Some((kind, cell)) = self.0.get(name) {
                conditions.push(format!("(\"{name}\" IS NOT DISTINCT FROM $key_{name})"));
                parameters.insert(format!("key_{name}"), cell.scalar(*kind));
            }
        }
        (conditions.join(" AND "), parameters)
    }

    /// The last day of the row's period that a report of `as_of` sees: of the first date in the key, or else `as_of`.
    #[must_use]
    pub fn last_day(&self, metric: &Query, as_of: Day, week_start: WeekStart) -> Day {
        let date = metric.key.iter().find_map(|name| match self.get(name) {
            Some(Cell::Day(day)) => Some((name, *day)),
            _ => None,
        });
        date.map_or(as_of, |(name, day)| {
            let grain = self.grain(name, week_start);
            grain.last_day(grain.index(day)).min(as_of)
        })
    }

    // The period that a date in the key begins: by the grain beside it, or by its own name.
    fn grain(&self, column: &str, week_start: WeekStart) -> Grain {
        let named = match self.get("grain") {
            Some(Cell::Text(grain)) => grain.as_str(),
            _ => column,
        };
        match named {
            "week" => Grain::Week(week_start),
            "month" | "cohort" => Grain::Month,
            _ => Grain::Day,
        }
    }
}

fn is_key(metric: &Query, name: &str) -> bool {
    metric.key.iter().any(|key| key == name)
}

fn has_no_day(metric: &Query) -> bool {
    !metric.columns.iter().any(|column| column.kind == ColumnType::Date && is_key(metric, &column.name))
}

// The type of what is pinned: of a column of the key, or of an argument of the chain.
fn kind_of(metric: &Query, steps: &[Step], name: &str) -> Result<ColumnType> {
    let key = metric.columns.iter().filter(|column| is_key(metric, &column.name));
    let key = key.map(|column| (column.name.as_str(), column.kind));
    let arguments = steps.iter().map(|step| step.query).chain([metric]).flat_map(|query| &query.arguments);
    let known: BTreeMap<&str, ColumnType> =
        arguments.map(|argument| (argument.name.as_str(), argument.kind)).chain(key).collect();
    known.get(name).copied().ok_or_else(|| {
        let names: Vec<&str> = known.keys().copied().collect();
        Error::Usage(format!("`{name}` picks nothing of `{}`; what does: {}", metric.name, names.join(", ")))
    })
}

fn incomplete(metric: &Query, missing: &[&str]) -> Error {
    let flags = missing.iter().map(|name| match *name {
        "org_id" => "--org ID".to_owned(),
        "user_id" => "--user ID".to_owned(),
        "dimension" | "segment" => "--segment DIMENSION=SEGMENT".to_owned(),
        name => format!("--where {name}=…"),
    });
    let mut flags: Vec<String> = flags.collect();
    flags.dedup();
    Error::Usage(format!(
        "a row of `{}` is told by {}; {} is open: give {}",
        metric.name,
        metric.key.join(", "),
        missing.join(" and "),
        flags.join(" ")
    ))
}
