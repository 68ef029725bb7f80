//! `orgpulse run`: metrics into reports.

use clap::Args;

use crate::catalog::Catalog;
use crate::engine::Engine;
use crate::error::Result;
use crate::period::Day;
use crate::pipeline::{self, Plan, RunOrder, RunReport};
use crate::settings::Settings;

use super::terminal::{Terminal, align, grouped};

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
}

impl Run {
    pub(super) async fn carry_out(&self, settings: &Settings, terminal: &Terminal) -> Result<()> {
        let catalog = Catalog::read(settings.queries.path.as_deref())?;
        let order = RunOrder { as_of: self.as_of, from: self.from, only: self.only.clone() };
        let engine = Engine::start(&settings.engine).await?;
        if self.only_plan {
            let plan = pipeline::plan(settings, &engine, &catalog, &order).await?;
            return if terminal.wants_json() {
                Terminal::print_json(&plan)
            } else {
                Terminal::print(describe_plan(&plan))
            };
        }
        let report = pipeline::run(settings, &engine, &catalog, &order).await?;
        if terminal.wants_json() {
            return Terminal::print_json(&report);
        }
        Terminal::print(describe(&report))
    }
}

fn describe_plan(plan: &Plan) -> String {
    let line = |name: &String| {
        let kind = if plan.reports.contains(name) { "report" } else { "state" };
        vec![kind.to_owned(), name.clone()]
    };
    format!(
        "{}\n{}\nreports would go to {}",
        observed(plan.observed.as_ref()),
        align(&plan.queries.iter().map(line).collect::<Vec<_>>(), 2),
        plan.folder.display()
    )
}

fn observed(range: Option<&(String, String)>) -> String {
    match range {
        Some((first, last)) => format!("observed {first} to {last}"),
        None => "no day is observed up to the report day: reports are headers only".to_owned(),
    }
}

fn describe(report: &RunReport) -> String {
    let rows: Vec<Vec<String>> =
        report.files.iter().map(|(name, rows)| vec![format!("{name}.csv"), grouped(*rows)]).collect();
    let mut lines = vec![observed(report.observed.as_ref())];
    lines.extend(report.notes.iter().cloned());
    lines.push(align(&rows, 1));
    lines.push(format!("reports are in {}", report.folder.display()));
    lines.join("\n")
}
