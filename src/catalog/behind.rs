//! What a query that is asked with arguments says of itself: the arguments, and for evidence what its rows are the rows
//! behind of and how they add up to it. Adding them up is not done here.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use serde::Deserialize;
use toml::Spanned;

use super::definition::Source;
use super::{Catalog, Column, ColumnType, Group, Query, definition, is_name, tables};
use crate::error::{Error, Result};

/// In place of a column of a metric: 1 if the report has the row, 0 if it has not. Evidence that ties to it can say of what
/// is not in a report why it is not.
pub const IN_REPORT: &str = "in_report";

/// A value that a query is asked with: `$name` in its SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The name, that of the column whose value it picks.
    pub name: String,
    /// What its values are.
    pub kind: ColumnType,
    /// What it says, in a sentence.
    pub description: String,
    /// Whether the query can do without; it is null then.
    pub optional: bool,
}

/// What the rows of an evidence query are behind of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// A metric, or another evidence query.
    pub of: String,
    /// The columns of the metric that the rows explain; empty = all.
    pub numbers: Vec<String>,
    /// The columns in which a row agrees with the row that it is behind of.
    pub on: Vec<String>,
    /// How the rows add up to it.
    pub ties: Vec<Tie>,
}

/// A column of the row explained, and what of the rows behind it is equal to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tie {
    /// The column, or [`IN_REPORT`].
    pub column: String,
    /// What is equal to it.
    pub measure: Measure,
}

/// What is taken of the rows behind a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// Their number.
    Rows,
    /// The number of those with true in this column.
    Count(String),
    /// The sum of this column; what is empty adds nothing.
    Sum(String),
    /// The number of distinct values of this column; what is empty is none.
    Distinct(String),
    /// The value of the same column, in each of them.
    Same,
    /// In the row whose first column holds the name of the column explained: the value of the second.
    Named(String, String),
}

impl Display for Measure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rows => formatter.write_str("rows"),
            Self::Count(own) => write!(formatter, "rows with {own}"),
            Self::Sum(own) => write!(formatter, "sum of {own}"),
            Self::Distinct(own) => write!(formatter, "distinct {own}"),
            Self::Same => formatter.write_str("the same"),
            Self::Named(names, values) => write!(formatter, "{values} by {names}"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ArgumentDefinition {
    name: Spanned<String>,
    #[serde(rename = "type")]
    kind: ColumnType,
    description: Spanned<String>,
    #[serde(default)]
    optional: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BehindDefinition {
    of: Spanned<String>,
    #[serde(default)]
    numbers: Vec<String>,
    on: Vec<String>,
    rows: Option<String>,
    #[serde(default)]
    counts: BTreeMap<String, String>,
    #[serde(default)]
    sums: BTreeMap<String, String>,
    #[serde(default)]
    distinct: BTreeMap<String, String>,
    #[serde(default)]
    same: Vec<String>,
    named: Option<NamedDefinition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedDefinition {
    column: String,
    value: String,
    names: Vec<String>,
}

/// The arguments of a query, each of which its SQL names.
pub(super) fn arguments(
    source: &Source,
    definitions: &[ArgumentDefinition],
    sql: Option<&str>,
) -> Result<Vec<Argument>> {
    let used = sql.map(tables::parameters_of).unwrap_or_default();
    let mut arguments: Vec<Argument> = Vec::new();
    for definition in definitions {
        let (name, span) = (definition.name.get_ref(), definition.name.span());
        let wrong = if !is_name(name) {
            "write its name with a-z, 0-9 and _, a letter first"
        } else if arguments.iter().any(|argument| argument.name == *name) {
            "it is there twice; name each argument once"
        } else if !used.contains(name) {
            "query.sql does not name it; take it out, or use it there"
        } else {
            source.not_empty("description", &definition.description)?;
            arguments.push(Argument {
                name: name.clone(),
                kind: definition.kind,
                description: definition.description.get_ref().clone(),
                optional: definition.optional,
            });
            continue;
        };
        return Err(source.refuse(&span, &format!("argument `{name}`: {wrong}")));
    }
    Ok(arguments)
}

/// What the rows are behind of; whether that exists is checked over the whole catalog.
pub(super) fn behind(source: &Source, definitions: Vec<BehindDefinition>, columns: &[Column]) -> Result<Vec<Behind>> {
    definitions.into_iter().map(|definition| behind_one(source, definition, columns)).collect()
}

fn behind_one(source: &Source, definition: BehindDefinition, columns: &[Column]) -> Result<Behind> {
    let (of, span) = (definition.of.get_ref().clone(), definition.of.span());
    let refuse = |message: String| Err(source.refuse(&span, &format!("behind `{of}`: {message}")));
    let mut ties: Vec<Tie> = Vec::new();
    let mut tie = |column: String, measure: Measure| ties.push(Tie { column, measure });
    definition.rows.into_iter().for_each(|column| tie(column, Measure::Rows));
    definition.counts.into_iter().for_each(|(own, column)| tie(column, Measure::Count(own)));
    definition.sums.into_iter().for_each(|(own, column)| tie(column, Measure::Sum(own)));
    definition.distinct.into_iter().for_each(|(own, column)| tie(column, Measure::Distinct(own)));
    definition.same.into_iter().for_each(|column| tie(column, Measure::Same));
    if let Some(NamedDefinition { column, value, names }) = definition.named {
        for name in names {
            tie(name, Measure::Named(column.clone(), value.clone()));
        }
    }
    if ties.is_empty() {
        return refuse("say how the rows add up, with rows, counts, sums, distinct, same or named".to_owned());
    }
    for tie in &ties {
        for (name, allowed) in tie.own_columns() {
            let kind = columns.iter().find(|column| column.name == name).map(|column| column.kind);
            if !kind.is_some_and(|kind| allowed.is_none_or(|allowed| allowed.contains(&kind))) {
                let allowed = allowed.unwrap_or_default().iter().map(|kind| kind.name()).collect::<Vec<_>>();
                let allowed =
                    if allowed.is_empty() { String::new() } else { format!(" of type {}", allowed.join(", ")) };
                return refuse(format!("`{name}` is no column of this query{allowed}"));
            }
        }
    }
    if let Some(name) = definition.on.iter().find(|name| !columns.iter().any(|column| column.name == **name)) {
        return refuse(format!("on=`{name}` is no column of this query"));
    }
    Ok(Behind { of, numbers: definition.numbers, on: definition.on, ties })
}

impl Tie {
    // The columns of the query itself that the tie looks at, and the types that they may have; `None` = any.
    fn own_columns(&self) -> Vec<(&str, Option<&'static [ColumnType]>)> {
        const NUMBERS: &[ColumnType] =
            &[ColumnType::Integer, ColumnType::Rate, ColumnType::Seconds, ColumnType::Amount];
        match &self.measure {
            Measure::Rows => Vec::new(),
            Measure::Count(own) => vec![(own, Some(&[ColumnType::Boolean]))],
            Measure::Sum(own) => vec![(own, Some(NUMBERS))],
            Measure::Distinct(own) => vec![(own, None)],
            Measure::Same => vec![(&self.column, None)],
            Measure::Named(name, value) => vec![(name, Some(&[ColumnType::Text])), (value, None)],
        }
    }
}

/// Whether everything that evidence is behind of exists and has the columns named.
pub(super) fn check(catalog: &Catalog) -> Result<()> {
    for query in catalog.queries() {
        for behind in &query.behind {
            check_one(catalog, query, behind)?;
        }
        check_chain(catalog, query, &mut vec![query.name.as_str()])?;
    }
    Ok(())
}

fn check_one(catalog: &Catalog, query: &Query, behind: &Behind) -> Result<()> {
    let refuse = |message: String| {
        let place = definition::place(query.group, &query.name);
        Err(Error::Definition(format!("{place}: behind `{}`: {message}", behind.of)))
    };
    let Some(of) = catalog.get(&behind.of).filter(|of| matches!(of.group, Group::Metric | Group::Evidence)) else {
        return refuse("there is no metric and no evidence of this name".to_owned());
    };
    let has = |name: &String| of.columns.iter().any(|column| column.name == *name);
    if let Some(name) = behind.on.iter().chain(&behind.numbers).find(|name| !has(name)) {
        return refuse(format!("`{name}` is no column of `{}`", of.name));
    }
    let is_report = |tie: &Tie| tie.column == IN_REPORT && of.group == Group::Metric;
    if let Some(tie) = behind.ties.iter().find(|tie| !has(&tie.column) && !is_report(tie)) {
        return refuse(format!("it ties to `{}`, which is no column of `{}`", tie.column, of.name));
    }
    Ok(())
}

fn check_chain<'a>(catalog: &'a Catalog, query: &'a Query, path: &mut Vec<&'a str>) -> Result<()> {
    for behind in &query.behind {
        if path.contains(&behind.of.as_str()) {
            let place = definition::place(query.group, &query.name);
            return Err(Error::Definition(format!("{place}: evidence goes in a circle over `{}`", behind.of)));
        }
        if let Some(of) = catalog.get(&behind.of) {
            path.push(&of.name);
            check_chain(catalog, of, path)?;
            path.pop();
        }
    }
    Ok(())
}
