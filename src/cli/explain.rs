//! `orgpulse explain`: a number, and the rows behind it down to events.

use clap::Args;
use serde_json::{Map, Value};

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::Result;
use crate::evidence::{Held, Question};
use crate::period::Day;
use crate::pipeline::{self, Explained, Explanation};
use crate::settings::Settings;

use super::page::{self, Format, Table};
use super::terminal::{Terminal, align, grouped};

/// Show what a number is made of: its definition, the settings in force, and the rows behind it down to events.
///
/// Each step says what of the step before its rows add up to, and is held to it: if it does not add up, there is no answer
/// but exit code 3. Nothing is published.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The metric
    metric: String,
    /// Which of its numbers [default: the metric's first one]
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// A day: that of the row, or one in its week, month or cohort; of a metric as at the report day, the report day
    /// [default: the report day]
    #[arg(long, value_name = "DAY", value_parser = super::day)]
    day: Option<Day>,
    /// The organisation of the row, or the one to go on with
    #[arg(long, value_name = "ID")]
    org: Option<String>,
    /// The user of the row, or the one to go on with
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// A segment, as in `industry=Retail`
    #[arg(long, value_name = "DIMENSION=SEGMENT", value_parser = pair)]
    segment: Option<(String, String)>,
    /// A cell of retention, as in `grain=week,cohort=2026-01-05,period=4`
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = pair, value_delimiter = ',')]
    cell: Vec<(String, String)>,
    /// Any other column of the key, or what the evidence is asked with
    #[arg(long = "where", value_name = "COLUMN=VALUE", value_parser = pair)]
    pins: Vec<(String, String)>,
    /// The report day [default: the last observed day, at most the day before the newest ingest]
    #[arg(long, value_name = "DAY", value_parser = super::day)]
    as_of: Option<Day>,
    /// How it is printed [default: text]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Explain {
    pub(super) async fn carry_out(&self, settings: &Settings, terminal: &Terminal) -> Result<()> {
        let catalog = Catalog::read(settings.queries.path.as_deref())?;
        let engine = Engine::start(&settings.engine).await?;
        let explanation = pipeline::explain(settings, &engine, &catalog, &self.question()).await?;
        match Format::chosen(self.format, terminal) {
            Format::Text => Terminal::print(text(&explanation)?),
            Format::Csv => Terminal::print(page::csv("step", &tables(&explanation)?)?.trim_end_matches('\n')),
            Format::Json => Terminal::print_json(&json(&explanation)?),
        }
    }

    fn question(&self) -> Question {
        let one = |name: &str, value: &Option<String>| value.clone().map(|value| (name.to_owned(), value));
        let segment = self.segment.iter().flat_map(|(dimension, segment)| {
            [("dimension".to_owned(), dimension.clone()), ("segment".to_owned(), segment.clone())]
        });
        let ids = one("org_id", &self.org).into_iter().chain(one("user_id", &self.user));
        Question {
            metric: self.metric.clone(),
            number: self.column.clone(),
            day: self.day,
            as_of: self.as_of,
            pins: ids.chain(segment).chain(self.cell.iter().cloned()).chain(self.pins.iter().cloned()).collect(),
        }
    }
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

fn text(explanation: &Explanation) -> Result<String> {
    let Explanation { metric, number, .. } = explanation;
    let key: Vec<String> = explanation.key.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let value = match &explanation.value {
        Some(value) => format!("{} = {value}", number.name),
        None => "the report has no such row".to_owned(),
    };
    let place = if key.is_empty() { String::new() } else { format!(", {}", key.join(", ")) };
    let mut parts = vec![
        format!("{}{place}: {value}  (report day {})", metric.name, explanation.as_of),
        format!(
            "{}: {}\n{}. {}",
            number.name,
            number.description,
            metric.title.trim_end_matches('.'),
            metric.description.trim()
        ),
        settings(explanation),
    ];
    for (place, step) in explanation.steps.iter().enumerate() {
        parts.push(step_text(place + 1, step, explanation)?);
    }
    if explanation.steps.is_empty() && explanation.open.is_empty() {
        parts.push(format!("No evidence is described behind `{}` of `{}`.", number.name, metric.name));
    }
    if !explanation.open.is_empty() {
        let line = |open: &pipeline::Open| {
            vec![format!("  {}", open.query.name), open.query.title.clone(), format!("with {}", flags(&open.needs))]
        };
        let lines: Vec<Vec<String>> = explanation.open.iter().map(line).collect();
        parts.push(format!("It goes on to\n{}", align(&lines, 3)));
    }
    Ok(parts.join("\n\n"))
}

fn settings(explanation: &Explanation) -> String {
    let line = |setting: &pipeline::Setting| {
        let since = setting.since.as_ref().map_or_else(String::new, |day| format!("since {day}"));
        vec![format!("  {}", setting.name), setting.value.clone(), since]
    };
    let lines: Vec<Vec<String>> = explanation.settings.iter().map(line).collect();
    format!("Settings in force on {}\n{}", explanation.settings_day, align(&lines, 3))
}

fn step_text(number: usize, step: &Explained, explanation: &Explanation) -> Result<String> {
    let query = step.rows.query;
    let table = Table::of(&step.rows)?;
    let narrowed: Vec<(String, String)> =
        explanation.narrowed.iter().map(|(name, cell)| (name.clone(), cell.to_string())).collect();
    let picked = table.picked(&narrowed);
    let mut lines = vec![format!("{number}. {} ({}): {}", query.title, query.name, query.description.trim())];
    lines.extend(ties_text(&step.ties).into_iter().map(|tie| format!("   {tie}")));
    if picked.len() < table.len() {
        let (shown, all) = (grouped(picked.len() as u64), grouped(table.len() as u64));
        lines.push(format!("   {shown} of {all} rows:"));
    }
    let known: Vec<(String, String)> = explanation.key.iter().cloned().chain(narrowed).collect();
    lines.push(indented(&picked.without(&known).text()));
    Ok(lines.join("\n"))
}

// A line for each tie; columns that are the same as before share one.
fn ties_text(ties: &[Held]) -> Vec<String> {
    let held: Vec<&Held> = ties.iter().filter(|tie| !tie.is_same || tie.rows > 0).collect();
    let alike = |one: &&Held, next: &&Held| one.is_same && next.is_same && one.of == next.of;
    let line = |ties: &[&Held]| match ties {
        [tie, ..] if tie.is_same => {
            let columns: Vec<&str> = ties.iter().map(|tie| tie.column.as_str()).collect();
            format!("as in {}: {}", tie.of, columns.join(", "))
        }
        ties => ties.iter().map(|tie| tie_text(tie)).collect(),
    };
    held.chunk_by(alike).map(line).collect()
}

fn tie_text(tie: &Held) -> String {
    let of = format!("{} of {}", tie.column, tie.of);
    match (&tie.value, tie.rows) {
        (Some(value), _) => format!("{} = {value} = {of}", tie.measure),
        (None, 0) => format!("{} = {of}: nothing to compare", tie.measure),
        (None, rows) => format!("{} = {of}, in each of {rows} rows", tie.measure),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}

fn flags(needs: &[&str]) -> String {
    let flag = |name: &&str| match *name {
        "org_id" => "--org ID".to_owned(),
        "user_id" => "--user ID".to_owned(),
        name => format!("--where {name}=…"),
    };
    needs.iter().map(flag).collect::<Vec<_>>().join(" ")
}

// What an auditor loads: the row of the report, the settings, the ties, and the rows of each step.
fn tables(explanation: &Explanation) -> Result<Vec<Table>> {
    let settings = explanation
        .settings
        .iter()
        .map(|setting| vec![setting.name.clone(), setting.value.clone(), setting.since.clone().unwrap_or_default()]);
    let ties = explanation.steps.iter().flat_map(|step| &step.ties).map(|tie| {
        let value = tie.value.clone().unwrap_or_default();
        vec![tie.step.clone(), tie.measure.clone(), tie.of.clone(), tie.column.clone(), tie.rows.to_string(), value]
    });
    let mut tables = vec![
        Table::of(&explanation.row)?,
        Table::of_texts("settings", &["setting", "value", "since"], settings.collect()),
        Table::of_texts(
            "ties",
            &["evidence", "measure", "equals_of", "equals_column", "in_rows", "value"],
            ties.collect(),
        ),
    ];
    for step in &explanation.steps {
        tables.push(Table::of(&step.rows)?);
    }
    Ok(tables)
}

fn json(explanation: &Explanation) -> Result<Value> {
    let Explanation { metric, number, .. } = explanation;
    let value = explanation.value.as_ref().map_or(Value::Null, |value| page::json(number.kind, &value.to_string()));
    let key: Map<String, Value> =
        explanation.key.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    let mut steps = Vec::new();
    for step in &explanation.steps {
        steps.push(serde_json::json!({
            "name": step.rows.query.name,
            "title": step.rows.query.title,
            "description": step.rows.query.description.trim(),
            "ties": step.ties,
            "rows": Table::of(&step.rows)?.json(),
        }));
    }
    let open = |open: &pipeline::Open| serde_json::json!({"name": open.query.name, "title": open.query.title, "needs": open.needs});
    Ok(serde_json::json!({
        "metric": metric.name,
        "title": metric.title,
        "definition": metric.description.trim(),
        "number": number.name,
        "number_definition": number.description,
        "unit": number.unit,
        "as_of": explanation.as_of,
        "key": key,
        "value": value,
        "row": Table::of(&explanation.row)?.json().get(0),
        "settings_day": explanation.settings_day,
        "settings": explanation.settings,
        "steps": steps,
        "open": explanation.open.iter().map(open).collect::<Vec<_>>(),
    }))
}
