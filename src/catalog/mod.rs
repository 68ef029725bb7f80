//! The catalog: every folder of `queries/` as a checked value, and the order in which queries depend on each other.
//! It knows what a query says of itself; it does not run one.

mod behind;
mod case;
mod definition;
mod dictionary;
mod folders;
mod tables;
mod window;

pub use behind::{Argument, Behind, IN_REPORT, Measure, Tie};
pub use case::{Case, Part};
pub use definition::{Checks, Column, ColumnType, FROM_MONTH, Kind};
pub use dictionary::docs;
pub use folders::Origin;
pub use tables::{PREPARED, tables_of};
pub use window::Window;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use rayon::prelude::*;
use sha2::digest::Output;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::frames::Job;
use folders::Folder;

/// What a query is for: the folder under `queries/` that it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The SQL that a stored rollup is equal to; sealing computes it, no report runs it.
    Rollup,
    /// A table that metrics are made from.
    State,
    /// A table of the report.
    Metric,
    /// What must hold over the tables of a report: rows are contradictions, and then there is no report.
    Check,
    /// SQL under a name, for those below: put in where it is read, never kept.
    View,
    /// The rows behind a number of a metric, computed when somebody asks.
    Evidence,
    /// A section of the page about one organisation, computed when somebody asks.
    OrgCard,
}

/// One folder of `queries/`, checked.
#[derive(Debug, Clone)]
pub struct Query {
    /// The folder's name: the name in SQL and of the CSV file.
    pub name: String,
    /// What it is for.
    pub group: Group,
    /// A heading.
    pub title: String,
    /// What it counts, with the choices made where the dictionary is silent.
    pub description: String,
    /// Who answers for the definition.
    pub owner: String,
    /// How it is computed.
    pub kind: Kind,
    /// What computes the same as its SQL, faster.
    pub kernel: Option<String>,
    /// The tables that it reads: stored ones, dimensions, states, metrics.
    pub reads: Vec<String>,
    /// The columns that the result is sorted by and unique in.
    pub key: Vec<String>,
    /// The date column by which a report leaves out rows before the day it was asked for; `None` = it shows all rows.
    pub from: Option<String>,
    /// The days of its inputs that it depends on, and whether it is computed and kept month by month.
    pub window: Window,
    /// The number that a metric is asked for first.
    pub number: Option<String>,
    /// The place of a section on its page.
    pub position: Option<u16>,
    /// What it is asked with.
    pub arguments: Vec<Argument>,
    /// What its rows are the rows behind of.
    pub behind: Vec<Behind>,
    /// The columns of the result, in order.
    pub columns: Vec<Column>,
    /// Its examples, by name.
    pub cases: Vec<Case>,
    // Of `query.toml` and `query.sql`, as they are on disk.
    digest: Output<Sha256>,
}

/// All queries, by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    queries: BTreeMap<String, Query>,
}

impl Group {
    const ALL: [Self; 7] =
        [Self::Rollup, Self::State, Self::Metric, Self::Check, Self::View, Self::Evidence, Self::OrgCard];

    /// The folder under `queries/`.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Rollup => "rollups",
            Self::State => "states",
            Self::Metric => "metrics",
            Self::Check => "checks",
            Self::View => "views",
            Self::Evidence => "evidence",
            Self::OrgCard => "org_card",
        }
    }

    /// Whether it is computed when somebody asks, with arguments, and nobody reads it.
    #[must_use]
    pub fn is_asked(self) -> bool {
        matches!(self, Self::Evidence | Self::OrgCard)
    }

    // Whether a query of this group may read those of another; stored rollups are tables like any other.
    fn may_read(self, other: Self) -> bool {
        match other {
            Self::State | Self::Metric => self != Self::Rollup,
            Self::View => self == Self::View || self.is_asked(),
            Self::Rollup | Self::Check | Self::Evidence | Self::OrgCard => false,
        }
    }

    fn of_folder(folder: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.folder() == folder)
    }
}

impl Query {
    /// The columns as an Arrow schema; only optional columns may be null.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let field = |c: &Column| Field::new(&c.name, c.kind.data_type(), c.optional);
        Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<_>>()))
    }

    /// The hash of its definition, lower-case hex.
    #[must_use]
    pub fn digest(&self) -> String {
        format!("{:x}", self.digest)
    }

    /// The names of the parameters that it depends on.
    #[must_use]
    pub fn parameters(&self) -> BTreeSet<String> {
        match &self.kind {
            Kind::Sql(text) => tables::parameters_of(text),
            Kind::Frame(job) => job.parameters().iter().map(|&name| name.to_owned()).collect(),
        }
    }

    /// The SQL text, if it is computed by SQL.
    #[must_use]
    pub fn sql(&self) -> Option<&str> {
        match &self.kind {
            Kind::Sql(text) => Some(text),
            Kind::Frame(_) => None,
        }
    }

    /// The job, if it is computed by a data frame job.
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        match &self.kind {
            Kind::Sql(_) => None,
            Kind::Frame(job) => Some(job),
        }
    }
}

impl Catalog {
    /// Reads the built-in queries, and those of a user's folder, which is laid out alike: a folder there is added to
    /// the built-in ones, or replaces the one of its group and name as a whole.
    pub fn read(user_folder: Option<&Path>) -> Result<Self> {
        let mut all = folders::built_in();
        if let Some(path) = user_folder {
            all.extend(folders::on_disk(path)?);
        }
        Self::of_folders(all)
    }

    /// Reads the queries of one folder, without the built-in ones.
    pub fn of(folder: &Path) -> Result<Self> {
        Self::of_folders(folders::on_disk(folder)?)
    }

    fn of_folders(all: BTreeMap<(Group, String), Folder>) -> Result<Self> {
        let mut catalog = Self::default();
        let all: Vec<_> = all.into_iter().collect();
        let read: Vec<_> = all.par_iter().map(|((group, name), folder)| read_query(*group, name, folder)).collect();
        for (((group, name), _), query) in all.into_iter().zip(read) {
            let query = query?;
            if let Some(other) = catalog.queries.get(&name) {
                let (one, two) = (other.group.folder(), group.folder());
                return Err(Error::Definition(format!(
                    "the name `{name}` is there twice, in {one}/ and in {two}/; rename one of the folders"
                )));
            }
            catalog.queries.insert(name, query);
        }
        catalog.check_reads()?;
        catalog.check_cycles()?;
        behind::check(&catalog)?;
        Ok(catalog)
    }

    /// The query of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Query> {
        self.queries.get(name)
    }

    /// All queries by name.
    pub fn queries(&self) -> impl Iterator<Item = &Query> {
        self.queries.values()
    }

    /// The metrics by name: the tables of a report.
    pub fn metrics(&self) -> impl Iterator<Item = &Query> {
        self.queries().filter(|query| query.group == Group::Metric)
    }

    /// The sections of the page about one organisation, in their order.
    #[must_use]
    pub fn org_card(&self) -> Vec<&Query> {
        let mut sections: Vec<&Query> = self.queries().filter(|query| query.group == Group::OrgCard).collect();
        sections.sort_by_key(|section| (section.position, &section.name));
        sections
    }

    /// The metric of this name; `Error::Usage` names those that there are.
    pub fn metric(&self, name: &str) -> Result<&Query> {
        self.metrics().find(|query| query.name == name).ok_or_else(|| self.unknown(name))
    }

    /// The evidence whose rows are behind a metric or another evidence query, by name, with what it says of that.
    pub fn behind<'a>(&'a self, of: &'a str) -> impl Iterator<Item = (&'a Query, &'a Behind)> {
        let links = |query: &'a Query| query.behind.iter().map(move |behind| (query, behind));
        self.queries().flat_map(links).filter(move |(_, behind)| behind.of == of)
    }

    /// The checks over these metrics by name: each reads no other metric than they.
    pub fn checks(&self, metrics: &[&str]) -> impl Iterator<Item = &Query> {
        let is_there = |name: &String| {
            self.get(name).is_none_or(|read| read.group != Group::Metric) || metrics.contains(&name.as_str())
        };
        self.queries().filter(move |query| query.group == Group::Check && query.reads.iter().all(is_there))
    }

    /// The wanted queries and all that they need, each after what it reads. A stored rollup is never needed: it is there.
    pub fn order(&self, wanted: &[&str]) -> Result<Vec<&Query>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in wanted {
            let query = self.get(name).ok_or_else(|| self.unknown(name))?;
            self.visit(query, &mut seen, &mut order);
        }
        Ok(order)
    }

    /// The names of all tables that a query is made from, through results, views and rollups.
    #[must_use]
    pub fn lineage<'a>(&'a self, query: &'a Query) -> BTreeSet<&'a str> {
        let (mut found, mut next) = (BTreeSet::new(), vec![query]);
        while let Some(query) = next.pop() {
            for name in &query.reads {
                if found.insert(name.as_str()) {
                    next.extend(self.get(name));
                }
            }
        }
        found
    }

    /// The hash of the definitions of these queries, as lower-case hex of SHA-256; their order does not matter.
    #[must_use]
    pub fn hash<'a>(&self, queries: impl IntoIterator<Item = &'a Query>) -> String {
        let by_name: BTreeMap<_, _> = queries.into_iter().map(|q| (&q.name, q)).collect();
        let mut hasher = Sha256::new();
        for (name, query) in by_name {
            hasher.update(query.group.folder());
            hasher.update([0]);
            hasher.update(name);
            hasher.update([0]);
            hasher.update(query.digest);
        }
        format!("{:x}", hasher.finalize())
    }

    /// What a person wants to know of one query, as Markdown.
    #[must_use]
    pub fn describe(&self, query: &Query) -> String {
        dictionary::describe(query)
    }

    /// Writes the dictionary page of the built-in metrics into the source tree and says where. A released program has
    /// no source tree: `None`, and nothing is written.
    pub fn write_dictionary(&self) -> Result<Option<PathBuf>> {
        let Some(root) = folders::source_root() else { return Ok(None) };
        let path = root.join("docs").join("metrics.md");
        fs::write(&path, docs(&Self::read(None)?)).map_err(|e| Error::path("write", &path, e))?;
        Ok(Some(path))
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<_> = self.metrics().map(|query| query.name.as_str()).collect();
        Error::Usage(format!("there is no metric `{name}`; there are: {}", known.join(", ")))
    }

    // The queries that must be computed before this one: rollups are tables of the store.
    fn needs<'a>(&'a self, query: &'a Query) -> impl Iterator<Item = &'a Query> {
        query.reads.iter().filter_map(|name| self.get(name)).filter(|read| read.group != Group::Rollup)
    }

    fn visit<'a>(&'a self, query: &'a Query, seen: &mut BTreeSet<&'a str>, order: &mut Vec<&'a Query>) {
        if seen.insert(&query.name) {
            self.needs(query).for_each(|read| self.visit(read, seen, order));
            order.push(query);
        }
    }

    fn check_reads(&self) -> Result<()> {
        for query in self.queries() {
            for name in &query.reads {
                let known = match self.get(name) {
                    Some(read) => query.group.may_read(read.group) || tables::is_source(name),
                    None => tables::is_source(name),
                };
                if !known {
                    return Err(self.unknown_read(query, name));
                }
            }
        }
        Ok(())
    }

    fn unknown_read(&self, query: &Query, name: &str) -> Error {
        let mut known: BTreeSet<&str> = tables::sources().collect();
        known.extend(self.queries().filter(|read| query.group.may_read(read.group)).map(|read| read.name.as_str()));
        let known: Vec<_> = known.into_iter().collect();
        let known = known.join(", ");
        Error::Definition(format!(
            "{}: reads=`{name}` is no table that it can read; there are: {known}",
            definition::place(query.group, &query.name)
        ))
    }

    fn check_cycles(&self) -> Result<()> {
        let mut done = BTreeSet::new();
        for query in self.queries() {
            self.find_cycle(query, &mut Vec::new(), &mut done)?;
        }
        Ok(())
    }

    fn find_cycle<'a>(&'a self, query: &'a Query, path: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>) -> Result<()> {
        if let Some(start) = path.iter().position(|name| *name == query.name) {
            let cycle: Vec<_> = path.iter().skip(start).copied().chain([query.name.as_str()]).collect();
            let cycle = cycle.join(" reads ");
            return Err(Error::Definition(format!(
                "queries read each other in a circle: {cycle}; take one `reads` out"
            )));
        }
        if done.contains(query.name.as_str()) {
            return Ok(());
        }
        path.push(&query.name);
        for read in self.needs(query) {
            self.find_cycle(read, path, done)?;
        }
        path.pop();
        done.insert(&query.name);
        Ok(())
    }
}

fn read_query(group: Group, name: &str, folder: &Folder) -> Result<Query> {
    let place = folder.place();
    if !is_name(name) {
        return Err(Error::Definition(format!(
            "{place}: the folder's name is a name in SQL; write it with a-z, 0-9 and _, a letter first"
        )));
    }
    if group == Group::Rollup && !tables::is_rollup(name) {
        return Err(Error::Definition(format!(
            "{place}: a rollup is a table that sealing stores; allowed are: {}",
            tables::rollups().collect::<Vec<_>>().join(", ")
        )));
    }
    if group != Group::Rollup && tables::is_source(name) {
        return Err(Error::Definition(format!(
            "{place}: `{name}` is the name of a table that is there already; take another"
        )));
    }
    let mut query = definition::read(group, name, folder)?;
    query.cases = case::read(folder)?;
    Ok(query)
}

/// Whether a text can stand in SQL without quotes and names the same thing in any case.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests;
