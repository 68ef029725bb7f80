//! `orgpulse run`: metrics into reports.

use clap::Args;

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::Result;
use crate::metrics::PieceReport;
use crate::period::Day;
use crate::pipeline::{self, Plan, QueryReport, RunOrder, RunReport};
use crate::settings::Settings;

use super::terminal::{Terminal, align, grouped};

// So many reasons are named; the rest is counted.
const NAMED: usize = 6;

/// Compute the metrics and publish the reports under `<reports>/<report day>/`.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// The report day [default: the last observed day, at most the day before the newest ingest]
    #[arg(long, value_name = "DAY", value_parser = super::day)]
    as_of: Option<Day>,
    /// Leave out days, cohorts and periods before this day
    #[arg(long, value_name = "DAY", value_parser = super::day)]
    from: Option<Day>,
    /// Only these metrics
    #[arg(long, value_name = "METRIC", num_args = 1.., value_delimiter = ',')]
    only: Vec<String>,
    /// Say what would be computed, and compute nothing
    #[arg(long = "dry-run")]
    only_plan: bool,
    /// Say what was stale, and why; everything else is taken as an earlier run left it
    #[arg(long)]
    explain: bool,
    /// Compute everything anew, also what an earlier run left
    #[arg(long)]
    recompute: bool,
}

impl Run {
    pub(super) async fn carry_out(&self, settings: &Settings, terminal: &Terminal) -> Result<()> {
        let catalog = Catalog::read(settings.queries.path.as_deref())?;
        let order = RunOrder { as_of: self.as_of, from: self.from, only: self.only.clone(), recompute: self.recompute };
        let engine = Engine::start(&settings.engine).await?;
        if self.only_plan {
            let plan = pipeline::plan(settings, &engine, &catalog, &order).await?;
            return if terminal.wants_json() {
                Terminal::print_json(&plan)
            } else {
                Terminal::print(describe_plan(&plan, self.explain))
            };
        }
        let report = pipeline::run(settings, &engine, &catalog, &order).await?;
        if terminal.wants_json() {
            return Terminal::print_json(&report);
        }
        Terminal::print(describe(&report, self.explain))
    }
}

fn describe_plan(plan: &Plan, explain: bool) -> String {
    let line = |query: &QueryReport| {
        let kind = if plan.reports.contains(&query.name) {
            "report"
        } else if plan.checks.contains(&query.name) {
            "check"
        } else {
            "state"
        };
        vec![kind.to_owned(), query.name.clone(), work(query)]
    };
    let mut lines = vec![observed(plan.observed.as_ref())];
    lines.push(align(&plan.queries.iter().map(line).collect::<Vec<_>>(), 3));
    if explain {
        lines.extend(plan.queries.iter().flat_map(reasons));
    }
    lines.push(format!("reports would go to {}", plan.folder.display()));
    lines.join("\n")
}

// How much of a query is computed.
fn work(query: &QueryReport) -> String {
    let stale = query.pieces.iter().filter(|piece| !piece.stale.is_empty()).count();
    match (stale, query.pieces.len()) {
        (0, _) => "kept".to_owned(),
        (_, 1) => "computed".to_owned(),
        (stale, all) if stale == all => format!("computed, {all} months"),
        (stale, all) => format!("{stale} of {all} months computed"),
    }
}

// Why a query is computed, a line for each piece.
fn reasons(query: &QueryReport) -> Vec<String> {
    let stale = query.pieces.iter().filter(|piece| !piece.stale.is_empty());
    let line = |piece: &PieceReport| {
        let month =
            piece.month.as_deref().map_or_else(String::new, |month| format!(" {}", &month[..7.min(month.len())]));
        let named: Vec<&str> = piece.stale.iter().take(NAMED).map(String::as_str).collect();
        let rest = piece.stale.len() - named.len();
        let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        format!("{}{month} is stale: {}{rest}", query.name, named.join(", "))
    };
    stale.map(line).collect()
}

fn observed(range: Option<&(String, String)>) -> String {
    match range {
        Some((first, last)) => format!("observed {first} to {last}"),
        None => "no day is observed up to the report day: reports are headers only".to_owned(),
    }
}

fn describe(report: &RunReport, explain: bool) -> String {
    let rows: Vec<Vec<String>> =
        report.files.iter().map(|(name, rows)| vec![format!("{name}.csv"), grouped(*rows)]).collect();
    let mut lines = vec![observed(report.observed.as_ref())];
    lines.extend(report.notes.iter().cloned());
    if explain {
        let line = |query: &QueryReport| vec![query.name.clone(), work(query)];
        lines.push(align(&report.queries.iter().map(line).collect::<Vec<_>>(), 2));
        lines.extend(report.queries.iter().flat_map(reasons));
    }
    lines.push(align(&rows, 1));
    lines.push(format!("reports are in {}", report.folder.display()));
    lines.join("\n")
}
