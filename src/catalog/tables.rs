//! Names of tables: those that are there before any query runs, and those that a SQL text reads.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{self, TableFactor, Visit, Visitor};

use crate::error::{Error, Result};
use crate::event::Table;

/// Tables that are made from the dimension files and the settings before any query runs, by name.
pub const PREPARED: &[&str] = &[
    "account_lists",
    "apps",
    "campaigns",
    "dag_definitions",
    "days",
    "deep_definitions",
    "excluded_actions",
    "excluded_apps",
    "orgs",
    "users",
];

/// The tables that any query may read without another query being computed.
pub(super) fn sources() -> impl Iterator<Item = &'static str> {
    Table::ALL.into_iter().map(Table::name).chain(PREPARED.iter().copied())
}

/// Whether a name is that of a stored table or a dimension.
pub(super) fn is_source(name: &str) -> bool {
    sources().any(|source| source == name)
}

/// The stored tables that are derived from events.
pub(super) fn rollups() -> impl Iterator<Item = &'static str> {
    Table::ROLLUPS.into_iter().map(Table::name)
}

/// Whether a name is that of a stored rollup.
pub(super) fn is_rollup(name: &str) -> bool {
    rollups().any(|rollup| rollup == name)
}

/// The tables that a single SELECT reads, without its own `WITH` names and table functions.
/// `Error::Definition` for anything but one SELECT over bare names.
pub fn tables_of(sql: &str) -> Result<BTreeSet<String>> {
    let mut statements = DFParser::parse_sql(sql).map_err(|e| Error::Definition(e.strip_backtrace()))?;
    let (Some(statement), true) = (statements.pop_front(), statements.is_empty()) else {
        return Err(Error::Definition("one statement is allowed, and needed".into()));
    };
    let Statement::Statement(inner) = &statement else {
        return Err(Error::Definition("only a SELECT is allowed".into()));
    };
    let ast::Statement::Query(query) = inner.as_ref() else {
        return Err(Error::Definition("only a SELECT is allowed".into()));
    };
    let mut functions = TableFunctions::default();
    // A visitor that never breaks has nothing to say at the end.
    let _ = query.visit(&mut functions);
    let (references, _) =
        resolve_table_references(&statement, true).map_err(|e| Error::Definition(e.strip_backtrace()))?;
    let mut names = BTreeSet::new();
    for reference in references {
        if reference.schema().is_some() {
            return Err(Error::Definition(format!("`{reference}`: write the name of a table alone, without a schema")));
        }
        let name = reference.table().to_owned();
        if !functions.called.contains(&name) || functions.tables.contains(&name) {
            names.insert(name);
        }
    }
    Ok(names)
}

/// The names that stand after a `$` in a SQL text, also in a comment: one too many does no harm.
pub(super) fn parameters_of(sql: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let name = |text: &str| text.split(|c| !is_name(c)).next().unwrap_or_default().to_owned();
    sql.split('$').skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

// `FROM unnest(x)` looks like a table to the resolver; its argument list tells it apart.
#[derive(Default)]
struct TableFunctions {
    called: BTreeSet<String>,
    tables: BTreeSet<String>,
}

impl Visitor for TableFunctions {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args, .. } = factor {
            let set = if args.is_some() { &mut self.called } else { &mut self.tables };
            set.insert(name.to_string().to_lowercase());
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_reads(sql: &str, expected: &[&str]) {
        let names = tables_of(sql).expect("sql of the test");
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{sql}");
    }

    #[test]
    fn tables_are_found_wherever_they_stand() {
        check_reads("select 1", &[]);
        check_reads("select day from Days order by day", &["days"]);
        check_reads("select * from a join b using (x) where x in (select x from c)", &["a", "b", "c"]);
        check_reads("select (select count(*) from a where a.day = b.day) from b", &["a", "b"]);
        check_reads("select 1 from a union all select 2 from b order by 1", &["a", "b"]);
        check_reads("select * from a where day <= $as_of", &["a"]);
    }

    #[test]
    fn names_of_with_are_no_tables() {
        check_reads("with w as (select * from a) select * from w join b on true", &["a", "b"]);
        check_reads("with a as (select * from a) select * from a", &["a"]);
        check_reads("with recursive r as (select 1 as n union all select n + 1 from r) select n from r", &[]);
    }

    #[test]
    fn table_functions_are_no_tables() {
        check_reads("select * from generate_series(1, 3)", &[]);
        check_reads("select * from a, unnest([1, 2]) as t(n)", &["a"]);
        check_reads("select * from range(1, 3), range", &["range"]);
    }

    #[test]
    fn parameters_are_found() {
        let names = parameters_of("select $as_of - 27, '$', x$1 -- $first_day\nfrom a where day >= $as_of");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["1", "as_of", "first_day"]);
    }

    fn check_refused(sql: &str, expected: &str) {
        let message = tables_of(sql).expect_err("must be refused").to_string();
        assert!(message.contains(expected), "{expected:?} is not in: {message}");
    }

    #[test]
    fn only_one_select_on_bare_names_is_taken() {
        check_refused("select 1; select 2", "one statement");
        check_refused("", "one statement");
        check_refused("drop table events", "only a SELECT");
        check_refused("explain select 1", "only a SELECT");
        check_refused("copy events to 'x'", "only a SELECT");
        check_refused("select * from public.events", "without a schema");
        check_refused("selec 1", "selec");
    }
}
