//! The metric dictionary as a page of Markdown, made from the catalog alone.

use std::fmt::Write;

use super::{Argument, Catalog, Column, Kind, Query};
use crate::frames::Job;

/// The page: an index, then a section for each metric. The same catalog gives the same bytes.
#[must_use]
pub fn docs(catalog: &Catalog) -> String {
    let mut page = String::from(
        "# Metrics\n\nThis page is made from `queries/metrics/`; `orgpulse metrics check --accept` writes it anew. \
         A report holds one file `<metric>.csv` for each of them, its rows in the order of the key.\n\n",
    );
    page.push_str("| metric | title | key |\n|---|---|---|\n");
    for metric in catalog.metrics() {
        let name = &metric.name;
        line(&mut page, &format!("| [`{name}`](#{name}) | {} | {} |", cell(&metric.title), code_list(&metric.key)));
    }
    for metric in catalog.metrics() {
        section(&mut page, metric);
    }
    page
}

/// One query with all that it says of itself, and its SQL.
pub(super) fn describe(query: &Query) -> String {
    let mut text = format!("# {} ({})\n\n", query.name, query.group.folder());
    body(&mut text, query);
    if let Some(sql) = query.sql() {
        line(&mut text, &format!("\n```sql\n{}\n```", sql.trim_end()));
    }
    for made in query.job().map(Job::event_queries).unwrap_or_default() {
        line(&mut text, &format!("\nThe {}:\n\n```sql\n{}\n```", made.table, made.sql));
    }
    text
}

fn section(page: &mut String, metric: &Query) {
    line(page, &format!("\n## {}\n", metric.name));
    body(page, metric);
}

fn body(page: &mut String, metric: &Query) {
    line(page, &format!("**{}.** {}\n", metric.title.trim_end_matches('.'), metric.description.trim()));
    line(page, &format!("- Owner: {}", metric.owner));
    line(page, &format!("- Key: {}", code_list(&metric.key)));
    line(page, &format!("- Reads: {}", if metric.reads.is_empty() { "–".into() } else { code_list(&metric.reads) }));
    if !metric.arguments.is_empty() {
        let argument = |argument: &Argument| {
            let optional = if argument.optional { " (optional)" } else { "" };
            format!("`{}`{optional}", argument.name)
        };
        let arguments: Vec<String> = metric.arguments.iter().map(argument).collect();
        line(page, &format!("- Asked with: {}", arguments.join(", ")));
    }
    if !metric.behind.is_empty() {
        let of: Vec<String> = metric.behind.iter().map(|behind| behind.of.clone()).collect();
        line(page, &format!("- The rows behind: {}", code_list(&of)));
    }
    if let Some(from) = &metric.from {
        line(page, &format!("- `--from` leaves out rows by: `{from}`"));
    }
    line(page, &format!("- Computed by: {}", computed_by(&metric.kind)));
    page.push_str("\n| column | type | unit | description |\n|---|---|---|---|\n");
    for column in &metric.columns {
        line(page, &column_row(column));
    }
    match metric.cases.len() {
        0 => page.push_str("\nNo example.\n"),
        count => line(page, &format!("\nExamples ({count}):\n")),
    }
    for case in &metric.cases {
        line(page, &format!("- `{}`: {}", case.name, case.why.trim()));
    }
}

fn column_row(column: &Column) -> String {
    let kind = column.kind.name();
    let optional = if column.optional { ", may be empty" } else { "" };
    let unit = column.unit.as_deref().unwrap_or_default();
    format!("| `{}` | {kind}{optional} | {} | {} |", column.name, cell(unit), cell(&column.description))
}

fn computed_by(kind: &Kind) -> String {
    match kind {
        Kind::Sql(_) => "SQL".to_owned(),
        Kind::Frame(job) => {
            let rest = job.written.iter().filter(|(key, _)| *key != "name");
            let keys: Vec<_> = rest.map(|(key, value)| format!("`{key} = {value}`")).collect();
            if keys.is_empty() {
                format!("job `{}`", job.name())
            } else {
                format!("job `{}`, {}", job.name(), keys.join(", "))
            }
        }
    }
}

fn code_list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

// A cell of a table is one line, and a bar would end it.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn line(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{text}");
}
