//! `orgpulse metrics try`: what another definition would do to the past months.

use std::fmt::Display;

use clap::Args;

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::Result;
use crate::period::Day;
use crate::pipeline::{self, Millionths, MonthTrial, Org, OrgTrial, Pair, ReportTrial, RunOrder, Trial};
use crate::settings::Settings;

use super::page::{self, Format, Table};
use super::terminal::{Terminal, align};

// So many organisations are named for people; a program gets all.
const NAMED: usize = 20;

/// Show what other thresholds would do to the past, before they are set
///
/// All metrics are computed under the present settings and under the changed ones, as if the change had held on all days
/// of the past: where `[dag]` or `[deep]` is a list, each entry gets it. Nothing is published, and what is kept for `run`
/// stays as it is.
#[derive(Debug, Args)]
pub(super) struct Try {
    /// A key of `[dag]` or `[deep]` and its value, as in `dag.min_apps=4`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", required = true)]
    assignments: Vec<String>,
    /// Show and compare days, cohorts and periods from this day on only
    #[arg(long, value_name = "DAY", value_parser = super::day)]
    from: Option<Day>,
    /// The report day [default: the last observed day, at most the day before the newest ingest]
    #[arg(long, value_name = "DAY", value_parser = super::day)]
    as_of: Option<Day>,
    /// How the answer is printed [default: text]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Try {
    pub(super) async fn carry_out(&self, settings: &Settings, catalog: &Catalog, terminal: &Terminal) -> Result<()> {
        let mut other = settings.clone();
        for assignment in &self.assignments {
            other.set_on_all_days(assignment)?;
        }
        let engine = Engine::start(&settings.engine).await?;
        let order = RunOrder { as_of: self.as_of, from: self.from, ..RunOrder::default() };
        let trial = pipeline::trial(settings, &other, &engine, catalog, &order).await?;
        match Format::chosen(self.format, terminal) {
            Format::Text => Terminal::print(self.describe(&trial)),
            Format::Csv => Terminal::print(csv(&trial)?.trim_end()),
            Format::Json => Terminal::print_json(&trial),
        }
    }

    fn describe(&self, trial: &Trial) -> String {
        let Some((first, last)) = &trial.observed else {
            return "no day is observed up to the report day: there is nothing to compare".to_owned();
        };
        let mut lines = vec![
            format!("observed {first} to {last}"),
            format!("with {} on all days (before → after)", self.assignments.join(", ")),
        ];
        lines.extend(trial.notes.iter().cloned());
        let mut rows = vec![
            ["month", "days", "mean daily DAG", "", "DAG in 28 days at the end", "deep at the end"]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(trial.months.iter().map(month));
        lines.push(String::new());
        lines.push(align(&rows, 1));
        lines.push(String::new());
        lines.extend(orgs(&format!("DAG in the 28 days to {last}"), &trial.dag));
        lines.extend(orgs(&format!("deep-integration customers on {last}"), &trial.deep));
        lines.push(String::new());
        lines.push(format!("{} of {} reports would change", trial.reports.len(), trial.report_count));
        let report = |report: &ReportTrial| {
            vec![
                report.name.clone(),
                format!("{} rows", arrow_between(&report.rows)),
                format!("{} differ", report.different_rows),
            ]
        };
        lines.push(align(&trial.reports.iter().map(report).collect::<Vec<_>>(), 1));
        lines.join("\n").trim_end().to_owned()
    }
}

fn month(month: &MonthTrial) -> Vec<String> {
    let mean = month.mean_daily_dag;
    vec![
        month.month[..7.min(month.month.len())].to_owned(),
        month.days.to_string(),
        arrow_between(&Pair { before: tenths(mean.before, 1), after: tenths(mean.after, 1) }),
        month.dag_change.map_or_else(String::new, |change| format!("{} %", signed(&tenths(change, 100)))),
        arrow_between(&month.dag_28d),
        arrow_between(&month.deep_orgs),
    ]
}

fn arrow_between<T: Display>(pair: &Pair<T>) -> String {
    format!("{} → {}", pair.before, pair.after)
}

// So many times the number with one decimal, half away from zero.
fn tenths(number: Millionths, times: i128) -> String {
    let size = (number.0.abs() * times + 50_000) / 100_000;
    let sign = if number.0 < 0 && size > 0 { "-" } else { "" };
    format!("{sign}{}.{}", size / 10, size % 10)
}

fn signed(number: &str) -> String {
    if number.starts_with('-') { number.to_owned() } else { format!("+{number}") }
}

// How many would be lost and gained, and which.
fn orgs(what: &str, trial: &OrgTrial) -> Vec<String> {
    let (lost, gained) = (trial.lost.len(), trial.gained.len());
    let mut lines = vec![format!("{what}: {lost} organisations would lose it, {gained} would gain it")];
    for (verb, orgs) in [("lose", &trial.lost), ("gain", &trial.gained)] {
        let named: Vec<String> = orgs.iter().take(NAMED).map(named).collect();
        let rest = match orgs.len() - named.len() {
            0 => String::new(),
            rest => format!(" and {rest} more (--format csv lists all)"),
        };
        if !named.is_empty() {
            lines.push(format!("  would {verb} it: {}{rest}", named.join(", ")));
        }
    }
    lines
}

fn named(org: &Org) -> String {
    if org.name.is_empty() { org.org_id.clone() } else { format!("{} ({})", org.org_id, org.name) }
}

// One number a line, so that any program can pick what it needs.
fn csv(trial: &Trial) -> Result<String> {
    let table = |part: &str, rows: Vec<[String; 5]>| {
        let columns = ["item", "name", "measure", "before", "after"];
        Table::of_texts(part, &columns, rows.into_iter().map(Vec::from).collect())
    };
    let row = |item: &str, name: &str, measure: &str, before: &dyn Display, after: &dyn Display| {
        [item.to_owned(), name.to_owned(), measure.to_owned(), before.to_string(), after.to_string()]
    };
    let month = |month: &MonthTrial| {
        let (mean, name) = (month.mean_daily_dag, month.month.as_str());
        [
            row(name, "", "mean_daily_dag", &mean.before, &mean.after),
            row(name, "", "dag_28d", &month.dag_28d.before, &month.dag_28d.after),
            row(name, "", "deep_orgs", &month.deep_orgs.before, &month.deep_orgs.after),
        ]
    };
    let mut orgs = Vec::new();
    for (measure, trial) in [("dag_28d", &trial.dag), ("deep", &trial.deep)] {
        for (side, before) in [(&trial.lost, true), (&trial.gained, false)] {
            orgs.extend(side.iter().map(|org| row(&org.org_id, &org.name, measure, &before, &!before)));
        }
    }
    let report = |report: &ReportTrial| {
        [
            row(&report.name, "", "rows", &report.rows.before, &report.rows.after),
            row(&report.name, "", "different_rows", &0, &report.different_rows),
        ]
    };
    let months = trial.months.iter().flat_map(month).collect();
    let reports = trial.reports.iter().flat_map(report).collect();
    page::csv("part", &[table("month", months), table("org", orgs), table("report", reports)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_shown_with_one_decimal() {
        assert_eq!(tenths(Millionths(12_345_678), 1), "12.3");
        assert_eq!(tenths(Millionths(12_350_000), 1), "12.4");
        assert_eq!(tenths(Millionths(-123_456), 100), "-12.3");
        assert_eq!(tenths(Millionths(-400), 100), "0.0");
        assert_eq!(signed("12.0"), "+12.0");
    }
}
