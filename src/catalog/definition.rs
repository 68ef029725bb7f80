//! `query.toml` and `query.sql` as values: what may stand there, and what is refused with file and line.
//! It knows one folder; whether the tables it reads exist is checked over the whole catalog.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use arrow::datatypes::{DataType, TimeUnit};
use serde::Deserialize;
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use toml::{Spanned, Value};

use super::folders::Folder;
use super::{Group, Query, behind, is_name, tables, window};
use crate::error::{Error, Result};
use crate::frames::{Job, Written};
use crate::kernels;

/// The parameter whose value is the first day of the first month that a query is asked for.
pub const FROM_MONTH: &str = "from_month";

/// How a query is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// By this SQL.
    Sql(String),
    /// By a data frame job: its `[job]` table.
    Frame(Job),
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name in SQL and in the CSV header.
    pub name: String,
    /// What its values are.
    pub kind: ColumnType,
    /// What is counted, if anything is.
    pub unit: Option<String>,
    /// What it says, in a sentence.
    pub description: String,
    /// Whether a value may be missing.
    pub optional: bool,
    /// What every value must hold to.
    pub checks: Checks,
}

/// The types that a column can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// A calendar day.
    Date,
    /// A moment with 6 decimals of a second, in UTC.
    Instant,
    /// Text.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// True or false.
    Boolean,
    /// A ratio with 6 decimals.
    Rate,
    /// Seconds with 3 decimals.
    Seconds,
    /// An amount of money with 2 decimals.
    Amount,
}

/// Limits for the values of a column; a missing value holds to all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checks {
    /// The least value, in units of the column's last decimal.
    pub min: Option<i128>,
    /// The greatest value, in units of the column's last decimal.
    pub max: Option<i128>,
    /// The texts that are allowed; empty = all.
    pub one_of: Vec<String>,
}

impl ColumnType {
    /// The Arrow type.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Date => DataType::Date32,
            Self::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Text => DataType::Utf8,
            Self::Integer => DataType::Int64,
            Self::Boolean => DataType::Boolean,
            Self::Rate => DataType::Decimal128(38, 6),
            Self::Seconds => DataType::Decimal128(38, 3),
            Self::Amount => DataType::Decimal128(38, 2),
        }
    }

    /// The word in `query.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Instant => "instant",
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Rate => "rate",
            Self::Seconds => "seconds",
            Self::Amount => "amount",
        }
    }

    /// The decimals of a number; `None` for what is no number.
    #[must_use]
    pub fn decimals(self) -> Option<u8> {
        match self {
            Self::Integer => Some(0),
            Self::Rate => Some(6),
            Self::Seconds => Some(3),
            Self::Amount => Some(2),
            Self::Date | Self::Instant | Self::Text | Self::Boolean => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    title: Spanned<String>,
    description: Spanned<String>,
    owner: Spanned<String>,
    kind: Spanned<KindName>,
    reads: Vec<Spanned<String>>,
    key: Spanned<Vec<Spanned<String>>>,
    from: Option<Spanned<String>>,
    each: Option<Spanned<String>>,
    looks_back: Option<Spanned<window::LooksBack>>,
    looks_ahead: Option<Spanned<u16>>,
    number: Option<Spanned<String>>,
    position: Option<Spanned<u16>>,
    job: Option<Spanned<BTreeMap<String, Spanned<Value>>>>,
    kernel: Option<Spanned<String>>,
    #[serde(rename = "argument", default)]
    arguments: Vec<behind::ArgumentDefinition>,
    #[serde(default)]
    behind: Vec<behind::BehindDefinition>,
    #[serde(rename = "column")]
    columns: Vec<ColumnDefinition>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindName {
    Sql,
    Frame,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnDefinition {
    name: Spanned<String>,
    #[serde(rename = "type")]
    kind: ColumnType,
    unit: Option<String>,
    description: Spanned<String>,
    #[serde(default)]
    optional: bool,
    checks: Option<Spanned<ChecksDefinition>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChecksDefinition {
    min: Option<Value>,
    max: Option<Value>,
    one_of: Option<Vec<String>>,
}

/// A text with the place it came from, for errors that name a line.
pub(super) struct Source<'a> {
    place: &'a str,
    text: &'a str,
}

/// Reads the definition of one query, without its cases.
pub(super) fn read(group: Group, name: &str, folder: &Folder) -> Result<Query> {
    let (text, file) = folder.text("query.toml")?.ok_or_else(|| {
        Error::Definition(format!("{}: there is no query.toml; it says what the query is", folder.place()))
    })?;
    let source = Source { place: &file, text: &text };
    let definition: Definition = toml::from_str(&text).map_err(|e| no_toml(&file, &e))?;
    for (key, value) in
        [("title", &definition.title), ("description", &definition.description), ("owner", &definition.owner)]
    {
        source.not_empty(key, value)?;
    }
    let columns = source.columns(&definition.columns)?;
    let key = source.key(&definition.key, &columns)?;
    let from = source.from(definition.from.as_ref(), &columns)?;
    let reads = source.reads(&definition.reads)?;
    let written = window::Written {
        each: definition.each.as_ref(),
        looks_back: definition.looks_back.as_ref(),
        looks_ahead: definition.looks_ahead.as_ref(),
        reads: &reads,
    };
    let window = window::read(&source, &written, &columns, &key)?;
    let number = source.number(definition.number.as_ref(), &columns, &key)?;
    let sql = folder.text("query.sql")?;
    let digest = digest(&text, sql.as_ref().map(|(sql, _)| sql.as_str()));
    let arguments = behind::arguments(&source, &definition.arguments, sql.as_ref().map(|(sql, _)| sql.as_str()))?;
    let kind = source.kind(folder, &definition, sql, &reads)?;
    let kernel = source.kernel(definition.kernel.as_ref(), &kind)?;
    source.fits(group, &definition)?;
    if let Kind::Frame(job) = &kind {
        window::check_job(&source, &written, &window, job)?;
    }
    let behind = behind::behind(&source, definition.behind, &columns)?;
    Ok(Query {
        name: name.to_owned(),
        group,
        title: definition.title.into_inner(),
        description: definition.description.into_inner(),
        owner: definition.owner.into_inner(),
        kind,
        kernel,
        reads,
        key,
        from,
        window,
        number,
        position: definition.position.map(Spanned::into_inner),
        arguments,
        behind,
        columns,
        cases: Vec::new(),
        digest,
    })
}

/// The folder of a query as a person would name it.
pub(super) fn place(group: Group, name: &str) -> String {
    format!("{}/{name}/query.toml", group.folder())
}

/// An error of the TOML reader with its file; the reader adds line and column.
pub(super) fn no_toml(place: &str, error: &toml::de::Error) -> Error {
    Error::Definition(format!("{place}: {}", error.to_string().trim_end()))
}

/// An error at a place in a text.
pub(super) fn refuse(place: &str, text: &str, span: &Range<usize>, message: &str) -> Error {
    let line = text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1;
    Error::Definition(format!("{place}, line {line}: {message}"))
}

impl Source<'_> {
    pub(super) fn refuse(&self, span: &Range<usize>, message: &str) -> Error {
        refuse(self.place, self.text, span, message)
    }

    pub(super) fn not_empty(&self, key: &str, value: &Spanned<String>) -> Result<()> {
        if value.get_ref().trim().is_empty() {
            return Err(self.refuse(&value.span(), &format!("`{key}` is empty; say it in words")));
        }
        Ok(())
    }

    fn columns(&self, definitions: &[ColumnDefinition]) -> Result<Vec<Column>> {
        let mut columns: Vec<Column> = Vec::new();
        for definition in definitions {
            let (name, span) = (definition.name.get_ref(), definition.name.span());
            if !is_name(name) {
                let message = format!("column `{name}`: write its name with a-z, 0-9 and _, a letter first");
                return Err(self.refuse(&span, &message));
            }
            if columns.iter().any(|column| column.name == *name) {
                return Err(self.refuse(&span, &format!("column `{name}` is there twice; name each column once")));
            }
            self.not_empty("description", &definition.description)?;
            columns.push(Column {
                name: name.clone(),
                kind: definition.kind,
                unit: definition.unit.clone(),
                description: definition.description.get_ref().clone(),
                optional: definition.optional,
                checks: self.checks(definition)?,
            });
        }
        Ok(columns)
    }

    fn checks(&self, column: &ColumnDefinition) -> Result<Checks> {
        let Some(checks) = &column.checks else { return Ok(Checks::default()) };
        let (span, checks, name, kind) = (checks.span(), checks.get_ref(), column.name.get_ref(), column.kind);
        let bound = |key: &str, value: &Option<Value>| {
            let Some(value) = value else { return Ok(None) };
            let decimals = kind.decimals().ok_or_else(|| {
                let allowed = if kind == ColumnType::Text { "allowed is one_of" } else { "no check is allowed" };
                self.refuse(&span, &format!("column `{name}`: a {} has no `{key}`; {allowed}", kind.name()))
            })?;
            scaled(value, usize::from(decimals)).map(Some).ok_or_else(|| {
                let message = format!("column `{name}`: {key}=`{value}` is no number with up to {decimals} decimals");
                self.refuse(&span, &message)
            })
        };
        let (min, max) = (bound("min", &checks.min)?, bound("max", &checks.max)?);
        let one_of = checks.one_of.clone().unwrap_or_default();
        if checks.one_of.is_some() && (kind != ColumnType::Text || one_of.is_empty()) {
            let message = format!("column `{name}`: `one_of` is a list of texts, for a column of type text");
            return Err(self.refuse(&span, &message));
        }
        Ok(Checks { min, max, one_of })
    }

    fn key(&self, key: &Spanned<Vec<Spanned<String>>>, columns: &[Column]) -> Result<Vec<String>> {
        if key.get_ref().is_empty() {
            return Err(self.refuse(&key.span(), "`key` is empty; name the columns that tell the rows apart"));
        }
        let mut names = Vec::new();
        for entry in key.get_ref() {
            let name = entry.get_ref();
            let message = match columns.iter().find(|column| column.name == *name) {
                None => {
                    let known: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
                    format!("key=`{name}` is no column; there are: {}", known.join(", "))
                }
                Some(_) if names.contains(name) => format!("key=`{name}` is there twice"),
                Some(_) => {
                    names.push(name.clone());
                    continue;
                }
            };
            return Err(self.refuse(&entry.span(), &message));
        }
        Ok(names)
    }

    fn from(&self, from: Option<&Spanned<String>>, columns: &[Column]) -> Result<Option<String>> {
        let Some(from) = from else { return Ok(None) };
        let name = from.get_ref();
        let is_date = |column: &&Column| column.kind == ColumnType::Date;
        if !columns.iter().filter(is_date).any(|column| column.name == *name) {
            let known: Vec<_> = columns.iter().filter(is_date).map(|column| column.name.as_str()).collect();
            let message = format!("from=`{name}` is no column of type date; there are: {}", known.join(", "));
            return Err(self.refuse(&from.span(), &message));
        }
        Ok(Some(name.clone()))
    }

    fn number(&self, number: Option<&Spanned<String>>, columns: &[Column], key: &[String]) -> Result<Option<String>> {
        let Some(number) = number else { return Ok(None) };
        let mut numbers = columns.iter().map(|column| &column.name).filter(|name| !key.contains(name));
        if !numbers.any(|name| name == number.get_ref()) {
            let message = format!("number=`{}` is no column beside the key", number.get_ref());
            return Err(self.refuse(&number.span(), &message));
        }
        Ok(Some(number.get_ref().clone()))
    }

    // What only queries of some groups may say, and what they must.
    fn fits(&self, group: Group, definition: &Definition) -> Result<()> {
        let is_asked = matches!(group, Group::Evidence | Group::OrgCard);
        let kind = definition.kind.span();
        let wrong = if group == Group::Evidence && definition.behind.is_empty() {
            Some((kind, "evidence needs [[behind]], which says what its rows are behind of"))
        } else if group == Group::OrgCard && definition.position.is_none() {
            Some((kind, "a section of the card needs `position`, its place on the page"))
        } else if (is_asked || group == Group::View) && *definition.kind.get_ref() == KindName::Frame {
            Some((kind, "what is computed when it is asked for needs kind=`sql`"))
        } else if let (true, Some(each)) = (is_asked || group == Group::View, &definition.each) {
            Some((each.span(), "`each` is for what is kept; this is computed when it is asked for"))
        } else if let (true, Some(back)) = (is_asked || group == Group::View, &definition.looks_back) {
            Some((back.span(), "`looks_back` is for what is kept; this is computed when it is asked for"))
        } else if let (false, Some(number)) = (group == Group::Metric, &definition.number) {
            Some((number.span(), "`number` is for metrics"))
        } else if let (false, Some(position)) = (group == Group::OrgCard, &definition.position) {
            Some((position.span(), "`position` is for sections of the card"))
        } else if !is_asked && !definition.arguments.is_empty() {
            Some((kind, "[[argument]] is for evidence and for sections of the card"))
        } else if group != Group::Evidence && !definition.behind.is_empty() {
            Some((kind, "[[behind]] is for evidence"))
        } else {
            None
        };
        wrong.map_or(Ok(()), |(span, message)| Err(self.refuse(&span, message)))
    }

    fn reads(&self, reads: &[Spanned<String>]) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in reads {
            if names.contains(entry.get_ref()) {
                return Err(self.refuse(&entry.span(), &format!("reads=`{}` is there twice", entry.get_ref())));
            }
            names.push(entry.get_ref().clone());
        }
        Ok(names)
    }

    fn kernel(&self, kernel: Option<&Spanned<String>>, kind: &Kind) -> Result<Option<String>> {
        let Some(kernel) = kernel else { return Ok(None) };
        let name = kernel.get_ref();
        if !matches!(kind, Kind::Sql(_)) {
            return Err(
                self.refuse(&kernel.span(), "`kernel` is for kind=`sql`, whose query.sql says what it computes")
            );
        }
        if !kernels::names().any(|known| known == name) {
            let known: Vec<_> = kernels::names().collect();
            let message = format!("kernel=`{name}` does not exist; there are: {}", known.join(", "));
            return Err(self.refuse(&kernel.span(), &message));
        }
        Ok(Some(name.clone()))
    }

    fn kind(
        &self,
        folder: &Folder,
        definition: &Definition,
        sql: Option<(String, String)>,
        reads: &[String],
    ) -> Result<Kind> {
        let span = definition.kind.span();
        match (definition.kind.get_ref(), sql, &definition.job) {
            (KindName::Sql, None, _) => {
                Err(Error::Definition(format!("{}: kind=`sql` needs a file query.sql beside it", folder.place())))
            }
            (KindName::Sql, Some(_), Some(job)) => {
                Err(self.refuse(&job.span(), "[job] is for kind=`frame`; take it out"))
            }
            (KindName::Sql, Some((sql, file)), None) => {
                check_reads(&sql, &file, reads)?;
                if definition.each.is_none() && tables::parameters_of(&sql).contains(FROM_MONTH) {
                    let message =
                        "`$from_month` is for a query with each=`month`; it is the first month that is asked for";
                    return Err(Error::Definition(format!("{file}: {message}")));
                }
                Ok(Kind::Sql(sql))
            }
            (KindName::Frame, Some(_), _) => {
                Err(self.refuse(&span, "kind=`frame` has no query.sql; remove the file or say kind=`sql`"))
            }
            (KindName::Frame, None, None) => Err(self.refuse(&span, "kind=`frame` needs a table [job] with a name")),
            (KindName::Frame, None, Some(job)) => self.job(job, &definition.reads).map(Kind::Frame),
        }
    }

    fn job(&self, table: &Spanned<BTreeMap<String, Spanned<Value>>>, reads: &[Spanned<String>]) -> Result<Job> {
        let written: Written =
            table.get_ref().iter().map(|(key, value)| (key.clone(), value.get_ref().clone())).collect();
        let job = Job::read(&written).map_err(|refusal| {
            let value = refusal.key.and_then(|key| table.get_ref().get(&key));
            self.refuse(&value.map_or_else(|| table.span(), Spanned::span), &refusal.message)
        })?;
        let needed = job.reads();
        let declared: BTreeSet<&str> = reads.iter().map(|read| read.get_ref().as_str()).collect();
        if let Some(wrong) = reads.iter().find(|read| !needed.contains(&read.get_ref().as_str())) {
            let needed = needed.join(", ");
            let message = format!("reads=`{}` is not read by the job; it reads: {needed}", wrong.get_ref());
            return Err(self.refuse(&wrong.span(), &message));
        }
        if let Some(missing) = needed.iter().find(|name| !declared.contains(*name)) {
            let message = format!("the job reads table `{missing}`, which is not in `reads`; add it there");
            return Err(self.refuse(&table.span(), &message));
        }
        Ok(job)
    }
}

// `reads` drives the order of computing, so it must be the truth: no table more, no table less.
fn check_reads(sql: &str, file: &str, reads: &[String]) -> Result<()> {
    let used = tables::tables_of(sql).map_err(|e| e.within(file))?;
    let declared: BTreeSet<String> = reads.iter().cloned().collect();
    if let Some(name) = used.difference(&declared).next() {
        return Err(Error::Definition(format!(
            "{file}: it reads table `{name}`, which is not in `reads` of query.toml; add it there"
        )));
    }
    if let Some(name) = declared.difference(&used).next() {
        return Err(Error::Definition(format!("{file}: reads=`{name}` in query.toml is not used; take it out there")));
    }
    Ok(())
}

fn digest(toml: &str, sql: Option<&str>) -> Output<Sha256> {
    let mut hasher = Sha256::new();
    for text in [toml, sql.unwrap_or_default()] {
        // The length keeps a text that moves from one file to the other from hashing alike.
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize()
}

// A TOML number in units of the last of so many decimals; `None` if it has more of them, or is none.
fn scaled(value: &Value, decimals: usize) -> Option<i128> {
    let text = match value {
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    if fraction.len() > decimals {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_scaled(toml: &str, decimals: usize, expected: Option<i128>) {
        let table: toml::Table = toml::from_str(&format!("v = {toml}")).expect("toml of the test");
        assert_eq!(scaled(&table["v"], decimals), expected, "{toml} with {decimals} decimals");
    }

    #[test]
    fn bounds_are_exact() {
        check_scaled("0", 0, Some(0));
        check_scaled("-7", 0, Some(-7));
        check_scaled("1", 6, Some(1_000_000));
        check_scaled("0.1", 6, Some(100_000));
        check_scaled("-0.5", 3, Some(-500));
        check_scaled("0.5", 0, None);
        check_scaled("0.0000001", 6, None);
        check_scaled("inf", 6, None);
        check_scaled("\"1\"", 6, None);
    }
}
